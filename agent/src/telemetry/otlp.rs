//! Where telemetry goes, and how often.

use std::time::Duration;

use crate::setting::secret::SecretRef;
use crate::setting::tls::Tls;
use crate::setting::url::WebUrl;

/// An OTLP collector.
#[derive(Clone, PartialEq, Eq)]
pub struct Otlp {
    /// The base URL, to which `/v1/metrics` and `/v1/logs` are added; `None` leaves it to the `OTEL_*` variables.
    pub endpoint: Option<WebUrl>,
    /// Further headers, such as `Authorization`.
    pub headers: Vec<(String, SecretRef)>,
    /// How often metrics are exported.
    pub interval: Duration,
    /// How long one export may take.
    pub timeout: Duration,
    /// Whom TLS trusts, and as whom it speaks.
    pub tls: Tls,
}
