//! Why the service manager did not do as it was told.

/// Why the service manager did not do as it was told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServiceError(pub String);
