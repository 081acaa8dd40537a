//! Where telemetry goes, and how often.

use std::time::Duration;

use super::gateway::Signal;
use crate::credentials::imds::settings::Imds;
use crate::setting::arn::domain;
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
    /// How requests are signed for AWS; `None` where they are not.
    pub sigv4: Option<Sigv4>,
}

/// A service of AWS that takes OTLP, and by whose keys requests are signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Sigv4 {
    /// Such as `eu-central-1`.
    pub region: String,
    /// The name of the service in signatures, of both signals; `None` for those of CloudWatch.
    pub service: Option<String>,
    /// The log group and the log stream that take log records at CloudWatch, which both must be there.
    pub log: Option<(String, String)>,
    /// Who hands out the keys.
    pub imds: Imds,
}

impl Sigv4 {
    /// The name of the service in the signatures of `signal`.
    pub(super) fn service(&self, signal: Signal) -> &str {
        self.service.as_deref().unwrap_or_else(|| cloudwatch(signal))
    }

    /// Where CloudWatch takes `signal`; `None` for log records without a log group.
    pub(super) fn url(&self, signal: Signal) -> Option<WebUrl> {
        if signal == Signal::Logs && self.log.is_none() {
            return None;
        }
        let url = format!("https://{}.{}.{}", cloudwatch(signal), self.region, domain(&self.region)?);
        Some(WebUrl::unchecked(url).followed_by(signal.path()))
    }
}

const fn cloudwatch(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "monitoring",
        Signal::Logs => "logs",
    }
}
