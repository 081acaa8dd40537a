//! What the kernel adds to its clocks by running them faster or slower than the oscillator ticks.
//!
//! `tick` and `freq` of `adjtimex(2)`, the phase-locked loop and `adjtime(3)` steer `CLOCK_REALTIME`, `CLOCK_MONOTONIC` and
//! `CLOCK_BOOTTIME` alike; `CLOCK_MONOTONIC_RAW` alone ticks as the oscillator does. So the difference of two of them
//! tells what all of these have done together, between two readings as well, to whoever may read a clock. What a server
//! said is kept without it: a clock that chronyd slews by a twelfth of a second each second makes no answer older.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::{Anchor, BootTime, Span};

/// Readings nearer than this to the one before are replaced by the next.
const SPACING: Span = Span::from_nanos(1_000_000_000);
/// The rate is that of the last readings which span this.
const WINDOW: Span = Span::from_nanos(8 * 1_000_000_000);
/// No kernel makes its clocks faster or slower by more (`tick` is changed by a tenth at most), in seconds a second.
const FASTEST: f64 = 0.11;
/// How much more than that is put down to the reading.
const NOISE: Span = Span::from_nanos(1_000_000);
/// How wrong the difference of two clocks may be that are read one after the other.
const READING_ERROR: Span = Span::from_nanos(2_000);

/// What the kernel has added, as it was read lately.
#[derive(Clone, Debug, Default)]
pub struct Steering {
    /// What had been added when it was read for the first time. All else is counted from there.
    zero: Span,
    /// The oldest first.
    readings: VecDeque<(BootTime, Span)>,
}

/// What of the steering outlives the process, while the host is not booted again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    zero: Span,
    at: BootTime,
    added: Span,
}

/// How fast the kernel makes its clocks run beyond the oscillator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Seconds a second; positive where the clocks are made faster.
    pub rate: f64,
    /// How far the rate can be wrong.
    pub error: f64,
}

impl Steering {
    /// What is to outlive the process; `None` where nothing was read.
    pub fn memory(&self) -> Option<Memory> {
        self.readings.back().map(|(at, added)| Memory { zero: self.zero, at: *at, added: *added })
    }

    /// Goes on with what was remembered.
    pub fn resumed(memory: Option<Memory>) -> Self {
        memory.map_or_else(Self::default, |Memory { zero, at, added }| Self { zero, readings: [(at, added)].into() })
    }

    /// Takes what the kernel has added since the host was booted, as read at `now`.
    pub fn take(&mut self, total: Span, now: BootTime) {
        if self.readings.is_empty() {
            self.zero = total;
        }
        let mut added = Span::from_nanos(total.nanos().saturating_sub(self.zero.nanos()));
        if let Some((last, before)) = self.readings.back().copied() {
            if now < last {
                return;
            }
            // One of the clocks is not the kernel's: somebody fakes it for this process.
            let change = Span::from_nanos(added.nanos().saturating_sub(before.nanos()));
            if change.abs() > now.since(last).scaled(FASTEST).plus(NOISE) {
                self.zero = self.zero.plus(change);
                added = before;
            }
            if self.readings.iter().rev().nth(1).is_some_and(|(before, _)| last.since(*before) < SPACING) {
                self.readings.pop_back();
            }
        }
        self.readings.push_back((now, added));
        while self.readings.get(1).is_some_and(|(second, _)| now.since(*second) > WINDOW) {
            self.readings.pop_front();
        }
    }

    /// `anchor`, which was measured at `at`, without what the kernel had added by then.
    pub fn removed(&self, anchor: Anchor, at: BootTime) -> Anchor {
        anchor.plus(self.added(at))
    }

    /// The opposite of [`Self::removed`]: true minus boot time at `at`.
    pub fn applied(&self, anchor: Anchor, at: BootTime) -> Anchor {
        anchor.minus(self.added(at))
    }

    /// How wrong [`Self::removed`] can be of what was measured at `at`, since the last reading but one: the kernel may have
    /// begun or ended to slew at any moment between the two.
    pub fn doubt(&self, at: BootTime) -> Span {
        let mut latest = self.readings.iter().rev();
        let (Some((end, to)), Some((begin, from))) = (latest.next(), latest.next()) else { return Span::ZERO };
        let usual =
            self.readings.front().filter(|(first, _)| begin.since(*first) >= SPACING).map_or(0.0, |(first, added)| {
                Span::from_nanos(from.nanos().saturating_sub(added.nanos())).seconds() / begin.since(*first).seconds()
            });
        let change = Span::from_nanos(to.nanos().saturating_sub(from.nanos()));
        let unusual = Span::from_nanos(change.nanos().saturating_sub(end.since(*begin).scaled(usual).nanos())).abs();
        unusual.min(end.since(at).abs().scaled(2.0 * FASTEST))
    }

    /// How fast the kernel has made its clocks run lately; `None` where it was not read for a second.
    pub fn rate(&self) -> Option<Rate> {
        let ((first, from), (last, to)) = (self.readings.front()?, self.readings.back()?);
        let seconds = last.since(*first).seconds();
        let rate = |span: Span| span.seconds() / seconds;
        (last.since(*first) >= SPACING)
            .then(|| Rate { rate: rate(Span::from_nanos(to.nanos() - from.nanos())), error: rate(READING_ERROR) })
    }

    /// What had been added at `at`: in a line between two readings, and as at the nearest outside of them.
    fn added(&self, at: BootTime) -> Span {
        let later = self.readings.iter().position(|(read, _)| *read >= at);
        let Some(later) = later else { return self.readings.back().map_or(Span::ZERO, |(_, added)| *added) };
        let end = self.readings.get(later).copied().unwrap_or_default();
        let Some(begin) = later.checked_sub(1).and_then(|index| self.readings.get(index)) else { return end.1 };
        let share = at.since(begin.0).seconds() / end.0.since(begin.0).seconds();
        begin.1.plus(Span::from_nanos(end.1.nanos().saturating_sub(begin.1.nanos())).scaled(share))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> BootTime {
        BootTime::from_seconds(seconds)
    }

    #[test]
    fn what_was_added_is_told_between_the_readings_and_held_outside_of_them() {
        let mut steering = Steering::default();
        assert_eq!((steering.added(at(5.0)), steering.rate()), (Span::ZERO, None));
        for (second, total) in [(10.0, 432.0), (11.0, 432.0), (12.0, 432.08)] {
            steering.take(Span::from_seconds(total), at(second));
        }
        let added = |second| steering.added(at(second)).seconds();
        assert_eq!([5.0, 10.0, 11.0, 11.5, 12.0, 60.0].map(added), [0.0, 0.0, 0.0, 0.04, 0.08, 0.08]);
        let Rate { rate, error } = steering.rate().unwrap();
        assert!((rate - 0.04).abs() < 1e-9 && (error - 1e-6).abs() < 1e-12, "{rate} {error}");
    }

    #[test]
    fn what_was_measured_while_a_slew_began_is_doubted_by_what_the_slew_may_have_done_since() {
        let slew = |second: f64| (second - 10.6).max(0.0) * 0.08;
        let mut steering = Steering::default();
        for second in 0..12 {
            let second = f64::from(second);
            steering.take(Span::from_seconds(slew(second)), at(second));
        }
        for moment in [10.1, 10.6, 10.9, 10.99] {
            let error = (steering.added(at(moment)).seconds() - slew(moment)).abs();
            let doubt = steering.doubt(at(moment)).seconds();
            assert!(error <= doubt && doubt <= 0.22 * (11.0 - moment) + 1e-9, "{moment}: {error} {doubt}");
        }
        // One that goes on for long is no news.
        let mut steady = Steering::default();
        for second in 0..12 {
            steady.take(Span::from_seconds(f64::from(second) * 0.08), at(f64::from(second)));
        }
        assert!(steady.doubt(at(10.5)) <= Span::from_nanos(10), "{:?}", steady.doubt(at(10.5)));
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds_however_often_it_is_read() {
        let mut steering = Steering::default();
        for step in 0..400 {
            let second = f64::from(step) * 0.1;
            steering.take(Span::from_seconds(if second < 20.0 { 0.0 } else { (second - 20.0) * 500e-6 }), at(second));
        }
        assert!(steering.readings.len() <= 12, "{}", steering.readings.len());
        assert!((steering.rate().unwrap().rate - 500e-6).abs() < 1e-9, "{:?}", steering.rate());
    }

    #[test]
    fn the_next_process_goes_on_with_what_was_added_and_a_late_reading_changes_nothing() {
        let mut before = Steering::default();
        before.take(Span::from_seconds(100.0), at(1_000.0));
        before.take(Span::from_seconds(100.05), at(1_001.0));
        let mut after = Steering::resumed(before.memory());
        after.take(Span::from_seconds(101.05), at(1_021.0));
        after.take(Span::from_seconds(7.0), at(1_020.0));
        assert_eq!([1_001.0, 1_011.0, 1_030.0].map(|second| after.added(at(second)).seconds()), [0.05, 0.55, 1.05]);
        assert!((after.rate().unwrap().rate - 0.05).abs() < 1e-9);
        assert_eq!(Steering::resumed(None).memory(), None);
    }

    #[test]
    fn what_no_kernel_can_add_is_not_its_doing() {
        let mut steering = Steering::default();
        for (second, total) in [(10.0, 0.0), (11.0, 0.1), (12.0, 9.1), (13.0, 9.2)] {
            steering.take(Span::from_seconds(total), at(second));
        }
        assert_eq!([11.0, 12.0, 13.0].map(|second| steering.added(at(second)).seconds()), [0.1, 0.1, 0.2]);
    }

    proptest! {
        #[test]
        fn what_is_removed_comes_back_at_the_same_moment(
            readings in prop::collection::vec((0_i64..2_000_000_000, -100_000_000_i64..100_000_000), 0..20),
            anchor in -1_000_000_000_000_i64..1_000_000_000_000,
            moment in 0_i64..30_000_000_000,
        ) {
            let mut steering = Steering::default();
            let (mut now, mut total) = (0, 0);
            for (after, added) in readings {
                now += after;
                total += added;
                steering.take(Span::from_nanos(total), BootTime::from_nanos(now));
            }
            let (anchor, moment) = (Anchor::from_nanos(anchor), BootTime::from_nanos(moment));
            prop_assert_eq!(steering.applied(steering.removed(anchor, moment), moment), anchor);
        }
    }
}
