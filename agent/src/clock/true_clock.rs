//! The clock by which all that leaves the agent is stamped.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::local;
use super::time::{Anchor, Reading, TrueTime};

/// True time, anchored to the boot clock at the last good estimate: a step of the system clock does not move it.
///
/// Before the first estimate it follows the system clock, and says so.
#[derive(Debug, Default)]
pub struct TrueClock {
    anchor: AtomicI64,
    verified: AtomicBool,
}

/// A point of true time, and whether anything but the system clock vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The time.
    pub time: TrueTime,
    /// Whether it rests on an estimate; else it is the system clock's.
    pub verified: bool,
}

impl Stamp {
    /// The estimate, or what the system clock says where there is none.
    pub const fn new(estimate: Option<TrueTime>, reading: Reading) -> Self {
        match estimate {
            Some(time) => Self { time, verified: true },
            None => Self { time: TrueTime::from_nanos(reading.system.nanos()), verified: false },
        }
    }
}

impl TrueClock {
    /// Moves the clock to an estimate.
    pub fn set(&self, anchor: Anchor) {
        self.anchor.store(anchor.nanos(), Ordering::Relaxed);
        self.verified.store(true, Ordering::Release);
    }

    /// What time it is.
    pub fn now(&self) -> Stamp {
        self.at(local::read())
    }

    /// What time it was at `reading`.
    pub fn at(&self, reading: Reading) -> Stamp {
        let is_set = self.verified.load(Ordering::Acquire);
        let anchor = is_set.then(|| Anchor::from_nanos(self.anchor.load(Ordering::Relaxed)));
        Stamp::new(anchor.map(|anchor| anchor.at(reading.boot)), reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::time::{BootTime, SystemTime};

    #[test]
    fn it_follows_the_system_clock_until_the_first_estimate_and_never_after() {
        let clock = TrueClock::default();
        let reading = |system| Reading { boot: BootTime::from_nanos(7), system: SystemTime::from_nanos(system) };
        assert_eq!(clock.at(reading(100)), Stamp { time: TrueTime::from_nanos(100), verified: false });
        clock.set(Anchor::from_nanos(1_000));
        for system in [100, 500_000] {
            assert_eq!(clock.at(reading(system)), Stamp { time: TrueTime::from_nanos(1_007), verified: true });
        }
    }
}
