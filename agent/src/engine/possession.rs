//! Whether something that a provider hands out was ever there, and whether it is there now.
//!
//! ```text
//!             a lease                 a failure
//!  NeverHad ───────────▶ Held ◀──────────────────────▶ Lost
//!     ▲                    │   (a lease ends the loss)
//!     └────────────────────┘
//!       the role is gone, and nobody can have seen it go: the host was booted since
//! ```

use serde::{Deserialize, Serialize};

use crate::time::{BootTime, Span};

/// What is known of the possession of one thing that expires. What nobody ever had, nobody can have lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Possession {
    /// It was never read.
    NeverHad {
        /// Reads that failed in a row.
        count: u32,
    },
    /// It was read the last time that somebody looked.
    Held,
    /// It was read before, and cannot be read now.
    Lost {
        /// Since the first read that failed.
        since: BootTime,
        /// Reads that failed in a row.
        count: u32,
    },
}

impl Possession {
    /// Before the first read.
    pub(super) const NONE: Self = Self::NeverHad { count: 0 };

    /// The same after a read that failed at `now`.
    pub(super) const fn failed(self, now: BootTime) -> Self {
        match self {
            Self::NeverHad { count } => Self::NeverHad { count: count.saturating_add(1) },
            Self::Held => Self::Lost { since: now, count: 1 },
            Self::Lost { since, count } => Self::Lost { since, count: count.saturating_add(1) },
        }
    }

    /// Reads that failed in a row.
    pub(super) const fn failures(self) -> u32 {
        match self {
            Self::Held => 0,
            Self::NeverHad { count } | Self::Lost { count, .. } => count,
        }
    }

    /// For how long it has been lost at `now`; `None` where it is not.
    pub(super) const fn lost_for(self, now: BootTime) -> Option<Span> {
        match self {
            Self::Lost { since, .. } => Some(now.since(since)),
            Self::NeverHad { .. } | Self::Held => None,
        }
    }

    /// The same where `by`, which ends at `now`, does not count: nobody could look.
    pub(super) fn without(self, by: Span, now: BootTime) -> Self {
        match self {
            Self::Lost { since, count } => Self::Lost { since: since.plus(by).min(now), count },
            other => other,
        }
    }

    /// The same after another boot of the host, if nobody was told of a loss: what was there before is looked for anew.
    pub(super) const fn booted(self) -> Self {
        match self {
            Self::NeverHad { .. } => Self::NONE,
            Self::Held | Self::Lost { .. } => Self::Held,
        }
    }
}

impl Default for Possession {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn what_was_never_there_is_never_lost_however_often_it_is_missed() {
        let missed = (0..9).fold(Possession::NONE, |state, second| state.failed(at(second)));
        assert_eq!((missed, missed.lost_for(at(99))), (Possession::NeverHad { count: 9 }, None));
        assert_eq!(missed.booted(), Possession::NONE);
    }

    #[test]
    fn a_loss_lasts_from_the_first_failure_without_the_time_in_which_nobody_could_look() {
        let lost = Possession::Held.failed(at(10)).failed(at(20));
        assert_eq!((lost.failures(), lost.lost_for(at(30))), (2, Some(Span::from_seconds(20.0))));
        let slept = lost.without(Span::from_seconds(15.0), at(30));
        assert_eq!(slept.lost_for(at(30)), Some(Span::from_seconds(5.0)));
        assert_eq!(lost.without(Span::from_seconds(1e6), at(30)).lost_for(at(30)), Some(Span::ZERO));
        assert_eq!((lost.booted(), Possession::Held.failures()), (Possession::Held, 0));
    }
}
