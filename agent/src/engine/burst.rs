//! When all sources are asked at once.

use super::machine::Engine;
use crate::time::{BootTime, Span};

/// All sources are asked at once no more often than this.
const BURST_INTERVAL: Span = Span::from_nanos(10 * 1_000_000_000);

impl Engine {
    /// Whether all are to be asked once more at once, because what was heard since a disruption is not confirmed yet.
    pub(super) fn wants_to_confirm(&mut self) -> bool {
        if self.estimator.is_confirmed() {
            self.unconfirmed_since = None;
        }
        self.unconfirmed_since.is_some()
    }

    /// Whether every source is to be asked now. A wish that comes too early is kept until its time, but for the first:
    /// what contradicts the earlier answers is confirmed at once. While the clock runs away, only answers of one moment
    /// agree with one another.
    pub(super) fn bursts(&mut self, now: BootTime) -> bool {
        let is_early = self.last_burst.is_some_and(|last| now.since(last) < BURST_INTERVAL);
        let bursts = self.wants_burst && (!is_early || self.may_confirm);
        if bursts {
            self.wants_burst = false;
            self.may_confirm = !is_early;
            if !is_early {
                self.last_burst = Some(now);
            }
        }
        bursts
    }
}
