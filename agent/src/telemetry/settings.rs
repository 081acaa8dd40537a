//! What of the telemetry can be configured.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::detail::Detail;
use super::otlp::Otlp;

/// All ways of what is measured and told for others to store.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// How much is exported, whichever way.
    pub detail: Detail,
    /// The collector; `None` where there is none.
    pub otlp: Option<Otlp>,
    /// Where Prometheus scrapes; `None` where it does not.
    pub listen: Option<SocketAddr>,
    /// The file that node_exporter reads; `None` where there is none.
    pub textfile: Option<PathBuf>,
}
