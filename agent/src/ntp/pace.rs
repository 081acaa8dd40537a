//! When to ask a source again.

use std::time::Duration;

use sntpc::KissOfDeathCode;

use super::refusal::Refusal;
use crate::clock::sample::Failure;

/// RFC 5905 §7.2 polls no less often than every 36 h; this agent would be of little use beyond 1024 s.
const SLOWEST: Duration = Duration::from_secs(1_024);
/// The first answers come close together, so that the filter has something to choose from.
const WARM_UP_POLLS: u32 = 3;
const WARM_UP: Duration = Duration::from_secs(2);
/// Servers of others are never asked more often than this, whatever the occasion.
const REMOTE_FLOOR: Duration = Duration::from_secs(16);

/// The pace of one source.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    warm_up: Duration,
    floor: Duration,
    polls: u32,
}

impl Pace {
    /// Asks every `interval`; `remote` is a server of somebody else's, neither link-local nor this host.
    pub fn new(interval: Duration, remote: bool) -> Self {
        let (warm_up, floor) = if remote { (REMOTE_FLOOR, REMOTE_FLOOR) } else { (WARM_UP, Duration::ZERO) };
        Self { interval, warm_up: warm_up.min(interval), floor, polls: 0 }
    }

    /// The least time between two polls, however urgent the second is.
    pub const fn floor(&self) -> Duration {
        self.floor
    }

    /// How long to wait where nobody is left to ask, and the name may lead elsewhere some day.
    pub const fn slowest(&self) -> Duration {
        SLOWEST
    }

    /// Takes note of how a poll ended; `None` where who was asked must not be asked again.
    ///
    /// RATE doubles the interval for good; DENY and RSTR stop a source that is an address until the configuration is
    /// loaded again.
    pub fn polled<T>(&mut self, result: &Result<T, Refusal>) -> Option<Duration> {
        self.polls = self.polls.saturating_add(1);
        match result {
            Err(refusal) if refusal.failure() == Failure::Denied => return None,
            Err(Refusal::Kiss(KissOfDeathCode::Rate)) => {
                self.interval = self.interval.saturating_mul(2).min(SLOWEST);
                (self.warm_up, self.floor) = (self.interval, self.interval);
            }
            Ok(_) | Err(_) => {}
        }
        let interval = if self.polls < WARM_UP_POLLS { self.warm_up } else { self.interval };
        // A fleet that was started together must not ask together, nor anybody too often.
        Some(interval.mul_f64(1.0 + fastrand::f64() / 10.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_doubles_the_interval_up_to_the_slowest_and_deny_ends_it() {
        let mut pace = Pace::new(Duration::from_secs(16), true);
        let rate: Result<(), _> = Err(Refusal::Kiss(KissOfDeathCode::Rate));
        let mut next = || pace.polled(&rate).unwrap().as_secs_f64();
        assert!((32.0..35.3).contains(&next()));
        assert!((64.0..70.5).contains(&next()));
        assert!((0..10).map(|_| next()).last().unwrap() <= 1_024.0 * 1.1);
        assert_eq!(pace.floor(), Duration::from_secs(1_024), "not even a jump makes it ask sooner");
        assert_eq!(pace.polled::<()>(&Err(Refusal::Kiss(KissOfDeathCode::Deny))), None);
        assert_eq!(pace.polled::<()>(&Err(Refusal::Kiss(KissOfDeathCode::Rstr))), None);
    }

    #[test]
    fn the_first_answers_come_close_together() {
        let mut pace = Pace::new(Duration::from_secs(64), false);
        let seconds: Vec<_> = (0..4).map(|_| pace.polled(&Ok(())).unwrap().as_secs()).collect();
        assert!(seconds[0] <= 2 && seconds[1] <= 2 && seconds[2] >= 60 && seconds[3] >= 60, "{seconds:?}");
    }
}
