//! Why the agent does not start, or ends.

use crate::credentials::imds;
use crate::delivery::client::ClientError;
use crate::status::ListenError;
use crate::telemetry::collector::HalfIdentity;
use crate::vitals::Ailment;

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An HTTP client cannot be set up.
    #[error("{destination}: {error}")]
    Client {
        /// For whom.
        destination: String,
        /// Why.
        error: ClientError,
    },
    /// The variables of OTLP name half of an identity.
    #[error(transparent)]
    HalfIdentity(#[from] HalfIdentity),
    /// The client of the instance metadata service cannot be set up.
    #[error("the client of the instance metadata service cannot be set up: {0}")]
    Imds(#[from] imds::client::SetupError),
    /// The exporters cannot be set up.
    #[error("OTLP cannot be set up: {0}")]
    Otlp(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The place of the status socket is somebody else's.
    #[error(
        "failed to open the status socket {path}: {source}: set `socket` in the configuration to a place of its own"
    )]
    Socket {
        /// Where it was to be.
        path: String,
        /// Why.
        source: ListenError,
    },
}

/// Why a running agent ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not even start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A part of it is missing. To go on without would be to keep silent about it.
    #[error("{0}: ending, so that the service manager starts the agent anew")]
    Ailing(Ailment),
}
