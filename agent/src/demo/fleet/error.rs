//! Why there is nothing to be seen.

use crate::config::explain::ConfigError;

/// Why there is no drill.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The configuration of the hosts cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The way to the collector cannot be made.
    #[error("the collector cannot be reached: {0}")]
    Collector(String),
    /// The collector does not take metrics.
    #[error(
        "the collector does not take metrics: {0}. --otlp is the base URL, to which /v1/metrics is added, such as \
         http://127.0.0.1:4318, or http://127.0.0.1:8428/opentelemetry of VictoriaMetrics"
    )]
    Refused(String),
    /// What a host exports cannot be encoded.
    #[error("an export cannot be made: {0}")]
    Export(#[from] std::io::Error),
}
