//! How the clock was in the last hour, for those who look at one host.

use std::collections::VecDeque;

use crate::assess::limit::Skew;
use crate::snapshot::Past;
use crate::time::{BootTime, Span};

/// Between two points.
const STEP: Span = Span::from_nanos(60 * 1_000_000_000);
/// An hour of them.
const MOST: usize = 60;
/// The oldest that is shown, in seconds.
const HOUR: f64 = 3_600.0;

/// The skew of each minute of the last hour, as it was measured then.
#[derive(Default)]
pub(super) struct History(VecDeque<(BootTime, Skew)>);

impl History {
    /// Takes note of the skew at `now`, where it is known and the last point is a minute old.
    pub(super) fn note(&mut self, skew: Option<Skew>, now: BootTime) {
        let is_due = self.0.back().is_none_or(|(last, _)| now.since(*last) >= STEP);
        if let Some(skew) = skew.filter(|_| is_due) {
            self.0.push_back((now, skew));
            if self.0.len() > MOST {
                self.0.pop_front();
            }
        }
    }

    /// The points, the oldest first, as of `now`.
    pub(super) fn publish(&self, now: BootTime) -> Vec<Past> {
        let past = |(at, skew): &(BootTime, Skew)| Past {
            ago_seconds: now.since(*at).seconds(),
            offset_seconds: skew.offset.seconds(),
            error_bound_seconds: skew.bound.seconds(),
        };
        self.0.iter().map(past).filter(|past| past.ago_seconds <= HOUR).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ErrorBound, Offset};

    #[test]
    fn an_hour_is_kept_a_point_a_minute_and_none_where_nothing_is_known() {
        let mut history = History::default();
        for second in 0..7_200 {
            let skew =
                Skew { offset: Offset::new(Span::from_seconds(f64::from(second))), bound: ErrorBound::new(STEP) };
            let is_known = !(3_600..4_800).contains(&second);
            history.note(is_known.then_some(skew), BootTime::ZERO.plus(Span::from_seconds(f64::from(second))));
        }
        let now = BootTime::ZERO.plus(Span::from_seconds(7_200.0));
        let ages: Vec<f64> = history.publish(now).iter().map(|past| past.ago_seconds).collect();
        // Of the last hour, nothing was known for the first twenty minutes.
        assert_eq!(ages.len(), 40, "{ages:?}");
        assert!(ages.windows(2).all(|pair| pair[0] - pair[1] >= 60.0), "{ages:?}");
        assert!(ages[0] <= 2_400.0 && ages[39] <= 60.0, "{ages:?}");
        assert!(history.0.len() == MOST, "what is kept has an end");
    }
}
