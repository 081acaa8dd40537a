//! When to read the credentials next.

use std::time::Duration;

use crate::credentials::lease::{Lease, Unavailable};
use crate::time::{Span, TrueTime};

/// The end of a lifetime, in which the rotation is watched closely.
const LAST_PART: Duration = Duration::from_secs(15 * 60);
/// The interval in the last part of a lifetime and after it.
const CLOSE: Duration = Duration::from_secs(60);
/// The pause after the first failure. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The shortest delay of all.
const SHORTEST: Duration = Duration::from_secs(1);
/// By how much a pause after a failure is moved at random, in either direction.
const JITTER: f64 = 0.1;

/// Decides how long to wait from one reading of the credentials to the next.
#[derive(Clone, Debug)]
pub struct Schedule {
    poll: Duration,
    failures: u32,
    role_was_seen: bool,
    random: fastrand::Rng,
}

impl Schedule {
    /// A schedule for `poll`, the interval while the credentials are far from their end. Below 1 s it is taken as 1 s.
    pub fn new(poll: Duration, random: fastrand::Rng) -> Self {
        Self { poll: poll.max(SHORTEST), failures: 0, role_was_seen: false, random }
    }

    /// The delay from a reading that ended with `result` at `true_now` to the next: never less than 1 s.
    ///
    /// It is `poll` where more than 15 min are left, or it is not known how much is; but no longer than to the last
    /// 15 min. In those and after the expiration it is 60 s. An instance that never had a role is asked every `poll`. Any other
    /// failure is retried after 5 s, then twice that, up to `poll`, each ±10 %. No delay but the jitter exceeds `poll`.
    pub fn next(&mut self, result: &Result<Lease, Unavailable>, true_now: TrueTime) -> Duration {
        match result {
            Ok(lease) => {
                self.failures = 0;
                self.role_was_seen = true;
                let expiration = lease.expiration.map(|expiration| TrueTime::from_nanos(expiration.nanos()));
                self.until_next(expiration.map(|expiration| expiration.since(true_now)))
            }
            Err(Unavailable::NoRole) if !self.role_was_seen => {
                self.failures = 0;
                self.poll
            }
            Err(_) => self.pause(),
        }
    }

    fn until_next(&self, remaining: Option<Span>) -> Duration {
        let Some(remaining) = remaining else { return self.poll };
        remaining.to_duration().saturating_sub(LAST_PART).max(CLOSE).min(self.poll)
    }

    fn pause(&mut self) -> Duration {
        let doublings = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(doublings).min(self.poll);
        let factor = 1.0 + JITTER * (2.0 * self.random.f64() - 1.0);
        pause.mul_f64(factor).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::credentials::timestamp::Timestamp;

    const NOW: TrueTime = TrueTime::from_nanos(1_772_380_800_000_000_000);
    const POLL: Duration = Duration::from_secs(300);

    fn schedule(poll: Duration) -> Schedule {
        Schedule::new(poll, fastrand::Rng::with_seed(7))
    }

    fn lease(remaining: Option<f64>) -> Result<Lease, Unavailable> {
        let expiration = remaining.map(|seconds| Timestamp::Server(NOW.plus(Span::from_seconds(seconds))));
        Ok(Lease { identity: "web".into(), code: None, kind: None, last_updated: None, expiration })
    }

    fn any_result() -> impl Strategy<Value = Result<Lease, Unavailable>> {
        prop_oneof![
            any::<i64>().prop_map(|nanos| {
                let mut result = lease(Some(0.0));
                result.as_mut().unwrap().expiration = Some(Timestamp::Server(TrueTime::from_nanos(nanos)));
                result
            }),
            (-10_000.0..30_000.0).prop_map(|seconds| lease(Some(seconds))),
            Just(lease(None)),
            Just(Err(Unavailable::NoRole)),
            Just(Err(Unavailable::Timeout)),
        ]
    }

    #[test]
    fn far_from_the_end_or_without_a_known_end_the_delay_is_the_poll() {
        for remaining in [None, Some(6.0 * 3_600.0), Some(1_201.0)] {
            assert_eq!(schedule(POLL).next(&lease(remaining), NOW), POLL);
        }
    }

    #[test]
    fn in_the_last_quarter_of_an_hour_and_after_the_end_the_delay_is_a_minute() {
        for remaining in [900.0, 899.0, 1.0, 0.0, -1.0, -1e9] {
            assert_eq!(schedule(POLL).next(&lease(Some(remaining)), NOW), CLOSE, "{remaining}");
        }
    }

    #[test]
    fn a_long_poll_does_not_sleep_through_the_last_quarter_of_an_hour() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(schedule(hour).next(&lease(Some(1_800.0)), NOW), Duration::from_secs(900));
        assert_eq!(schedule(hour).next(&lease(Some(910.0)), NOW), CLOSE);
    }

    #[test]
    fn a_failure_doubles_the_pause_from_five_seconds_to_the_poll() {
        let mut schedule = schedule(POLL);
        for nominal in [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0] {
            let pause = schedule.next(&Err(Unavailable::Timeout), NOW).as_secs_f64();
            assert!((nominal * 0.9..=nominal * 1.1).contains(&pause), "{pause} instead of {nominal}");
        }
    }

    #[test]
    fn an_instance_without_a_role_is_asked_every_poll_and_is_no_failure() {
        let mut schedule = schedule(POLL);
        assert_eq!(schedule.next(&Err(Unavailable::NoRole), NOW), POLL);
        assert!(schedule.next(&Err(Unavailable::Timeout), NOW) < Duration::from_secs(6));
    }

    #[test]
    fn pauses_of_two_hosts_differ() {
        let mut one = Schedule::new(POLL, fastrand::Rng::with_seed(1));
        let mut other = Schedule::new(POLL, fastrand::Rng::with_seed(2));
        assert_ne!(one.next(&Err(Unavailable::Refused), NOW), other.next(&Err(Unavailable::Refused), NOW));
    }

    proptest! {
        #[test]
        fn no_delay_is_below_a_second_or_beyond_the_poll_and_its_jitter(
            poll_ms in 0_u64..10_000_000,
            seed: u64,
            results in prop::collection::vec(any_result(), 1..60),
        ) {
            let poll = Duration::from_millis(poll_ms);
            let mut schedule = Schedule::new(poll, fastrand::Rng::with_seed(seed));
            for result in results {
                let delay = schedule.next(&result, NOW);
                prop_assert!(delay >= SHORTEST);
                prop_assert!(delay <= poll.max(SHORTEST).mul_f64(1.0 + JITTER));
                if result.is_ok() {
                    prop_assert!(delay <= poll.max(SHORTEST));
                }
            }
        }

        #[test]
        fn a_success_forgets_the_failures_before_it(failures in 0_usize..200, seed: u64) {
            let mut schedule = Schedule::new(POLL, fastrand::Rng::with_seed(seed));
            for _ in 0..failures {
                schedule.next(&Err(Unavailable::Refused), NOW);
            }
            schedule.next(&lease(None), NOW);
            prop_assert!(schedule.next(&Err(Unavailable::Refused), NOW) <= FIRST_PAUSE.mul_f64(1.0 + JITTER));
        }

        #[test]
        fn a_shorter_remaining_life_is_never_asked_about_later(a in -5_000.0..50_000.0, b in -5_000.0..50_000.0) {
            let delay = |remaining: f64| schedule(POLL).next(&lease(Some(remaining)), NOW);
            prop_assert!(delay(f64::min(a, b)) <= delay(f64::max(a, b)));
        }
    }
}
