//! When to ask a source again.

use std::time::Duration;

use super::refusal::Refusal;
use crate::clock::sample::Failure;

/// How often a source is asked at least. RFC 5905 §7.2 allows 36 h, in which a step would stay unseen.
pub const SLOWEST: Duration = Duration::from_secs(1_024);
/// The first answers come close together, so that the filter has something to choose from.
const WARM_UP_POLLS: u32 = 3;

/// How often a source may be asked, and is where nobody says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cadence {
    /// The shortest time between two polls that may be configured.
    pub shortest: Duration,
    /// The usual one.
    pub usual: Duration,
    /// The time between the first polls.
    pub warm_up: Duration,
    /// The least time between two polls, however urgent the second is.
    pub floor: Duration,
    /// By which share of the time the next poll may be late, so that a fleet that was started together does not ask together.
    pub jitter: f64,
}

impl Cadence {
    /// That of a source on this host or on its link, which asking harms nobody.
    pub const NEAR: Self = Self {
        shortest: Duration::from_secs(1),
        usual: Duration::from_secs(16),
        warm_up: Duration::from_secs(2),
        floor: Duration::ZERO,
        jitter: 0.1,
    };
    /// That of any other. It is never asked more often than the shortest, whatever the occasion.
    pub const FAR: Self = Self {
        shortest: Duration::from_secs(16),
        usual: Duration::from_secs(64),
        warm_up: Duration::from_secs(16),
        floor: Duration::from_secs(16),
        jitter: 0.1,
    };
}

/// The pace of one source.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    warm_up: Duration,
    floor: Duration,
    jitter: f64,
    polls: u32,
}

impl Pace {
    /// Asks every `interval`, and otherwise as a source of this cadence is asked.
    pub fn new(interval: Duration, cadence: &Cadence) -> Self {
        let Cadence { warm_up, floor, jitter, .. } = *cadence;
        Self { interval, warm_up: warm_up.min(interval), floor, jitter, polls: 0 }
    }

    /// The least time between two polls, however urgent the second is.
    pub const fn floor(&self) -> Duration {
        self.floor
    }

    /// How long to wait where nobody is left to ask, and somebody else may answer some day.
    pub const fn slowest(&self) -> Duration {
        SLOWEST
    }

    /// Takes note of how a poll ended; `None` where who was asked must not be asked again.
    ///
    /// One that is asked too often doubles the interval for good; one that denies its service is not asked until the
    /// configuration is loaded again, unless somebody else may answer some day.
    pub fn polled<T>(&mut self, result: &Result<T, Refusal>) -> Option<Duration> {
        self.polls = self.polls.saturating_add(1);
        match result {
            Err(refusal) if refusal.failure == Failure::Denied => return None,
            Err(refusal) if refusal.is_too_often => {
                self.interval = self.interval.saturating_mul(2).min(SLOWEST);
                (self.warm_up, self.floor) = (self.interval, self.interval);
            }
            Ok(_) | Err(_) => {}
        }
        let interval = if self.polls < WARM_UP_POLLS { self.warm_up } else { self.interval };
        Some(interval.mul_f64(1.0 + fastrand::f64() * self.jitter))
    }
}

#[cfg(test)]
mod tests {
    use sntpc::KissOfDeathCode;

    use super::*;
    use crate::sources::ntp::refusal::Refusal as OfNtp;

    fn kiss(code: KissOfDeathCode) -> Result<(), Refusal> {
        Err(OfNtp::Kiss(code).into())
    }

    #[test]
    fn rate_doubles_the_interval_up_to_the_slowest_and_deny_ends_it() {
        let mut pace = Pace::new(Duration::from_secs(16), &Cadence::FAR);
        let rate = kiss(KissOfDeathCode::Rate);
        let mut next = || pace.polled(&rate).unwrap().as_secs_f64();
        assert!((32.0..35.3).contains(&next()));
        assert!((64.0..70.5).contains(&next()));
        assert!((0..10).map(|_| next()).last().unwrap() <= 1_024.0 * 1.1);
        assert_eq!(pace.floor(), Duration::from_secs(1_024), "not even a jump makes it ask sooner");
        assert_eq!(pace.polled(&kiss(KissOfDeathCode::Deny)), None);
        assert_eq!(pace.polled(&kiss(KissOfDeathCode::Rstr)), None);
    }

    #[test]
    fn the_first_answers_come_close_together() {
        let mut pace = Pace::new(Duration::from_secs(64), &Cadence::NEAR);
        let seconds: Vec<_> = (0..4).map(|_| pace.polled(&Ok(())).unwrap().as_secs()).collect();
        assert!(seconds[0] <= 2 && seconds[1] <= 2 && seconds[2] >= 60 && seconds[3] >= 60, "{seconds:?}");
    }
}
