//! How often a credential is replaced on this host, learnt from what was seen, and whether the next time is overdue.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// AWS promises new credentials at least this long before the old ones expire.
pub const PROMISE: Span = Span::from_nanos(300 * 1_000_000_000);
/// So many intervals are remembered.
const REMEMBERED: usize = 8;
/// Fewer intervals than this prove no habit.
const HABIT: usize = 3;
/// What may pass between a rotation and its being seen.
const SLACK: Span = Span::from_nanos(600 * 1_000_000_000);

/// The rotations of one credential, as far as they were seen. A rotation that nobody saw makes an interval longer, and what
/// is learnt more patient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// When it was last replaced, in nanoseconds since the Unix epoch by the clock of whoever did.
    last: Option<i64>,
    intervals: VecDeque<Span>,
}

impl Rotation {
    /// Takes note that the credential was last replaced at `updated` (nanoseconds since the Unix epoch).
    pub fn observe(&mut self, updated: i64) {
        let Some(last) = self.last.replace(updated) else { return };
        let interval = Span::from_nanos(updated.saturating_sub(last));
        if interval > Span::ZERO {
            self.intervals.push_back(interval);
            if self.intervals.len() > REMEMBERED {
                self.intervals.pop_front();
            }
        } else if interval < Span::ZERO {
            // Another credential under the same name, or a clock that was set: the habit is another one.
            self.intervals.clear();
        }
    }

    /// The longest interval of late; `None` while too few were seen.
    pub fn habit(&self) -> Option<Span> {
        if self.intervals.len() < HABIT { None } else { self.intervals.iter().max().copied() }
    }

    /// Whether a credential that was replaced `age` ago, and lives for `whole` where that is known, should have been replaced
    /// again: after twice the longest interval of late, and half of its life.
    pub fn is_overdue(&self, age: Span, whole: Option<Span>) -> bool {
        let is_young = whole.is_some_and(|whole| age < whole.half());
        !is_young && self.habit().is_some_and(|habit| age > habit.plus(habit).plus(SLACK))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600 * 1_000_000_000;

    fn hours(hours: i64) -> Span {
        Span::from_nanos(hours * HOUR)
    }

    fn rotated_at(hours: &[i64]) -> Rotation {
        let mut rotation = Rotation::default();
        for hour in hours {
            rotation.observe(hour * HOUR);
            rotation.observe(hour * HOUR);
        }
        rotation
    }

    #[test]
    fn a_habit_takes_three_intervals_and_is_the_longest_of_them() {
        assert_eq!(rotated_at(&[0, 1, 2]).habit(), None);
        assert_eq!(rotated_at(&[0, 1, 3, 4]).habit(), Some(hours(2)));
        let late = rotated_at(&[0, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        assert_eq!(late.habit(), Some(hours(1)), "what is long ago is forgotten");
        assert_eq!(rotated_at(&[0, 1, 2, 3, 1]).habit(), None, "back in time");
    }

    #[test]
    fn twice_the_habit_is_overdue_and_without_a_habit_nothing_is() {
        let hourly = rotated_at(&[0, 1, 2, 3]);
        assert!(!hourly.is_overdue(hours(2), None));
        assert!(!hourly.is_overdue(hours(2).plus(SLACK), None));
        assert!(hourly.is_overdue(hours(3), None));
        assert!(hourly.is_overdue(hours(3), Some(hours(6))));
        assert!(!hourly.is_overdue(hours(3), Some(hours(12))), "an instance that was often given another role");
        assert!(!rotated_at(&[0, 1]).is_overdue(hours(100), None));
    }

    proptest! {
        #[test]
        fn who_rotates_no_more_slowly_than_before_is_never_overdue(
            intervals in prop::collection::vec(1_i64..100_000, 3..40),
            part in 0.0_f64..1.0,
        ) {
            let mut rotation = Rotation::default();
            let mut now = 0;
            rotation.observe(now);
            for interval in &intervals {
                now += interval * 1_000_000_000;
                rotation.observe(now);
            }
            let slowest = intervals.iter().rev().take(REMEMBERED).max().copied().unwrap() as f64;
            prop_assert!(!rotation.is_overdue(Span::from_seconds(slowest * part), None));
        }

        #[test]
        fn what_is_remembered_does_not_grow(updates: Vec<i64>) {
            let mut rotation = Rotation::default();
            for update in updates {
                rotation.observe(update);
                prop_assert!(rotation.intervals.len() <= REMEMBERED);
            }
        }
    }
}
