//! What outlives the process of one thing that expires.

use serde::{Deserialize, Serialize};

use super::{Known, Sighting};
use crate::assess::rotation::Rotation;
use crate::engine::possession::Possession;
use crate::time::{BootTime, Span, TrueTime};

/// What outlives the process of one thing that expires. Its lifetime is read again at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct Before {
    possession: Possession,
    /// Whether that is of an earlier boot of the host.
    is_of_earlier_boot: bool,
    /// How often it was replaced.
    rotation: Rotation,
    /// When its expiration was first seen, within the boot in which this is written.
    seen: Option<Sighting>,
    /// Whether that one was in use, as far as the time was known.
    is_used: bool,
    /// The expiration that it had in an earlier boot while somebody used it, in nanoseconds since the Unix epoch.
    used_until: Option<i64>,
}

impl Before {
    /// Takes note that nobody looked for `away`, at the end of which it is `now`: that time does not count for an outage.
    #[must_use]
    pub(in crate::engine) fn after(self, last: BootTime, now: BootTime) -> Self {
        let possession = match self.possession {
            Possession::Lost { since, count } => {
                Possession::Lost { since: now.minus(last.since(since).max(Span::ZERO)), count }
            }
            other => other,
        };
        Self { possession, ..self }
    }

    /// Takes note that the host slept for `by`.
    pub(in crate::engine) fn slept(&mut self, by: Span, now: BootTime) {
        self.possession = self.possession.without(by, now);
    }

    /// The same in another boot of the host, where `is_told` says that somebody was told of an outage, which goes on then.
    #[must_use]
    pub(in crate::engine) fn booted(self, is_told: bool) -> Self {
        let end = self.seen.filter(|_| self.is_used).and_then(|seen| seen.end);
        Self {
            possession: if is_told { self.possession } else { self.possession.booted() },
            is_of_earlier_boot: !is_told,
            rotation: self.rotation,
            seen: None,
            is_used: false,
            used_until: end.or(self.used_until),
        }
    }
}

impl Known {
    /// What is to outlive the process at `now`, which in truth is `truth`.
    pub(in crate::engine) fn memory(&self, now: BootTime, truth: Option<TrueTime>) -> Before {
        let is_known = self.expiration().is_some() && truth.is_some();
        Before {
            possession: self.possession,
            is_of_earlier_boot: self.is_of_earlier_boot,
            rotation: self.rotation.clone(),
            seen: self.seen,
            is_used: is_known && !self.is_abandoned(now, truth),
            used_until: self.used_until,
        }
    }

    /// Goes on with what was known before a restart.
    pub(in crate::engine) fn resume(&mut self, before: Before) {
        let Before { possession, is_of_earlier_boot, rotation, seen, is_used: _, used_until } = before;
        (self.possession, self.is_of_earlier_boot) = (possession, is_of_earlier_boot);
        (self.rotation, self.seen, self.used_until) = (rotation, seen, used_until);
    }
}
