//! Who is asked for true time, while the agent runs.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::refusal::Refusal;
use crate::clock::sample::Sample;

/// Who is asked for true time, and remembers how.
#[async_trait]
pub trait Witness: Send {
    /// Asks once.
    async fn ask(&mut self) -> Answer;

    /// How long that takes at most. Whoever takes longer is held to hang, and the agent ends.
    fn patience(&self) -> Duration;

    /// Whether somebody else may answer some day, once all that were asked have denied their service.
    fn may_change(&self) -> bool {
        false
    }
}

/// What came of asking once.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The address that was asked; `None` where there is none.
    pub address: Option<SocketAddr>,
    /// What came of it.
    pub result: Result<Sample, Refusal>,
}
