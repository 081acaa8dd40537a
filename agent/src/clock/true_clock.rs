//! The clock by which all that leaves the agent is stamped, and the stricter one by which TLS judges certificates.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

use super::local;
use crate::built::BUILT;
use crate::time::{Anchor, Reading, TrueTime};

/// True time, anchored to the boot clock at the last good estimate: a step of the system clock does not move it.
///
/// Before the first estimate it follows the system clock, and says so. Its second reading, for TLS, is moved only by an
/// estimate for which a quorum or a trusted source vouches: whoever forges the answers of a single time server must not
/// make a certificate valid that has expired. That reading is never before this program was built, nor before the last time
/// for which somebody vouched in an earlier process: whoever can set the system clock back, or has the trusted source
/// in his hand, gains no older certificates by it. Within one process a time that was vouched for may be overturned by
/// another, or a lie about the future would keep the agent silent for ever.
#[derive(Debug)]
pub struct TrueClock {
    estimate: Held,
    vouched: Held,
    /// In nanoseconds since the Unix epoch.
    floor: AtomicI64,
    /// Whether the sources agree on it now.
    is_settled: AtomicBool,
}

impl Default for TrueClock {
    fn default() -> Self {
        Self {
            estimate: Held::default(),
            vouched: Held::default(),
            floor: AtomicI64::new(BUILT.nanos()),
            is_settled: AtomicBool::new(false),
        }
    }
}

/// An anchor, once there is one.
#[derive(Debug, Default)]
struct Held {
    anchor: AtomicI64,
    is_set: AtomicBool,
}

/// A point of true time, and whether anything but the system clock vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl Held {
    fn set(&self, anchor: Anchor) {
        self.anchor.store(anchor.nanos(), Ordering::Relaxed);
        self.is_set.store(true, Ordering::Release);
    }

    fn at(&self, reading: Reading) -> Stamp {
        let is_set = self.is_set.load(Ordering::Acquire);
        let anchor = is_set.then(|| Anchor::from_nanos(self.anchor.load(Ordering::Relaxed)));
        Stamp::new(anchor.map(|anchor| anchor.at(reading.boot)), reading)
    }
}

impl TrueClock {
    /// Moves the clock to an estimate. One that is not vouched for leaves the time of TLS where it was.
    pub fn set(&self, anchor: Anchor, is_vouched: bool) {
        self.estimate.set(anchor);
        if is_vouched {
            self.vouched.set(anchor);
        }
    }

    /// Takes note whether the sources agree on the time now. What was vouched for once, and is held without them, may be weeks
    /// old on a machine that was paused.
    pub fn settle(&self, is_settled: bool) {
        self.is_settled.store(is_settled, Ordering::Relaxed);
    }

    /// Whether the time of TLS is known at `reading` better than whoever is asked for it could tell.
    pub fn is_known(&self, reading: Reading) -> bool {
        self.is_settled.load(Ordering::Relaxed) && self.vouched_at(reading).verified
    }

    /// Follows the system clock again: of true time nothing is known any more.
    pub fn forget(&self) {
        for held in [&self.estimate, &self.vouched] {
            held.is_set.store(false, Ordering::Release);
        }
    }

    /// Lets the time of TLS be no earlier than this, which it was known to be in an earlier process.
    pub fn not_before(&self, time: TrueTime) {
        self.floor.fetch_max(time.nanos(), Ordering::Relaxed);
    }

    /// What time it is.
    pub fn now(&self) -> Stamp {
        self.at(local::read())
    }

    /// What time it was at `reading`.
    pub fn at(&self, reading: Reading) -> Stamp {
        self.estimate.at(reading)
    }

    /// What time it was for TLS at `reading`: by the last estimate for which a quorum or a trusted source vouched, or by
    /// the system clock until there is one (`verified` is false then). Where that is earlier than it can be, the earliest
    /// time that it can be, which nobody vouches for.
    pub fn vouched_at(&self, reading: Reading) -> Stamp {
        let stamp = self.vouched.at(reading);
        let floor = TrueTime::from_nanos(self.floor.load(Ordering::Relaxed));
        if stamp.time < floor { Stamp { time: floor, verified: false } } else { stamp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{BootTime, SystemTime};

    fn reading(system: i64) -> Reading {
        Reading { boot: BootTime::from_nanos(7), system: SystemTime::from_nanos(system) }
    }

    const fn stamp(nanos: i64, verified: bool) -> Stamp {
        Stamp { time: TrueTime::from_nanos(nanos), verified }
    }

    #[test]
    fn it_follows_the_system_clock_until_the_first_estimate_and_never_after() {
        let clock = TrueClock::default();
        assert_eq!(clock.at(reading(100)), stamp(100, false));
        clock.set(Anchor::from_nanos(1_000), false);
        for system in [100, 500_000] {
            assert_eq!(clock.at(reading(system)), stamp(1_007, true));
        }
    }

    #[test]
    fn the_time_of_tls_is_moved_by_vouched_estimates_alone_and_holds_after() {
        let clock = TrueClock::default();
        let since = BUILT.nanos();
        clock.set(Anchor::from_nanos(since + 1_000), false);
        assert_eq!(clock.vouched_at(reading(since + 100)), stamp(since + 100, false), "the system clock's");
        clock.set(Anchor::from_nanos(since + 2_000), true);
        clock.set(Anchor::from_nanos(since + 9_000), false);
        for system in [100, 500_000] {
            assert_eq!(clock.vouched_at(reading(system)), stamp(since + 2_007, true));
        }
        assert_eq!(clock.at(reading(100)), stamp(since + 9_007, true));
    }

    #[test]
    fn the_time_of_tls_is_never_before_the_build_nor_before_what_was_vouched_for_in_an_earlier_process() {
        let (clock, since) = (TrueClock::default(), BUILT.nanos());
        let of_2024 = 1_704_067_200 * 1_000_000_000;
        assert_eq!(clock.vouched_at(reading(of_2024)), stamp(since, false), "the system clock was set back");
        clock.set(Anchor::from_nanos(of_2024), true);
        assert_eq!(clock.vouched_at(reading(of_2024)), stamp(since, false), "and the trusted source lies");
        clock.not_before(TrueTime::from_nanos(since + 5_000));
        clock.not_before(TrueTime::from_nanos(since + 1_000));
        assert_eq!(clock.vouched_at(reading(of_2024)), stamp(since + 5_000, false));
        clock.set(Anchor::from_nanos(since + 6_000), true);
        assert_eq!(clock.vouched_at(reading(of_2024)), stamp(since + 6_007, true));
    }
}
