//! What holds where the configuration says nothing: right for EC2 without a file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::checked::Queue;
use crate::assess::limit::Limit;

/// How long one attempt to tell a channel may take.
pub(super) const CHANNEL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often metrics are exported.
pub(super) const OTLP_INTERVAL: Duration = Duration::from_secs(60);
/// How long one export may take.
pub(super) const OTLP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the agent is silent after its start.
pub(super) const BOOT_GRACE: Duration = Duration::from_secs(120);
/// How often a firing alert is repeated.
pub(super) const REPEAT: Duration = Duration::from_secs(4 * 3_600);
/// Where Prometheus scrapes: this host alone, at the port that OpenTelemetry has for it.
pub(super) const PROMETHEUS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
/// The log stream of CloudWatch: one for all hosts, each of which says who it is.
pub(super) const LOG_STREAM: &str = "skewguard";
/// What may wait for delivery: three days of metrics every minute take less than 40 MiB, and ten thousand alerts at once for
/// four channels and a collector 200 MiB.
pub(super) const QUEUE: Queue = Queue { size: 256 * 1024 * 1024, age: Duration::from_secs(72 * 3_600) };
/// The limits of AWS itself.
pub(super) fn limits() -> Vec<Limit> {
    let limit = |name: &str, seconds, masked| Limit { name: name.into(), window: Duration::from_secs(seconds), masked };
    vec![limit("sdk-correction", 240, true), limit("sigv4", 300, false), limit("s3-sts", 900, false)]
}
