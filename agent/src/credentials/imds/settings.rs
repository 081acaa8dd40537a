//! Where the instance metadata service is, and how it is asked.

use std::time::Duration;

/// The instance metadata service (IMDSv2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imds {
    /// `http://` host and port, without a path.
    pub endpoint: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often one request is tried, at least once.
    pub attempts: u32,
    /// How often the credentials are read while they are far from expiry.
    pub poll: Duration,
}
