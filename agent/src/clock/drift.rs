//! How fast true time runs away from the local clock: a Theil–Sen slope with its confidence interval.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::{Anchor, BootTime, Span};

/// History older than this is forgotten, as long as enough of it is younger.
const WINDOW: Span = Span::from_nanos(3_600 * 1_000_000_000);
/// Enough for a trend: a source that is asked every seventeen minutes gets one as well.
const ENOUGH_POINTS: usize = 12;
/// History older than this says nothing of the present, however little there is. Of sources that are asked every seventeen
/// minutes it holds enough, even where half of their answers are lost.
const LONGEST: Span = Span::from_nanos(8 * 3_600 * 1_000_000_000);
/// More points than this are thinned out.
const MOST_POINTS: usize = 128;
/// Fewer points than this, or a shorter time, carry no trend.
const FEWEST_POINTS: usize = 8;
const SHORTEST: Span = Span::from_nanos(20 * 1_000_000_000);

/// The slope of the offset, in seconds a second. Positive: the system clock loses time, so that it gets slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The median slope.
    pub rate: f64,
    /// The lower end of the 95 % confidence interval.
    pub low: f64,
    /// The upper end of the 95 % confidence interval.
    pub high: f64,
}

impl Drift {
    /// Whether the trend is distinguishable from none.
    pub fn is_significant(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// The end of the interval that is further from zero: the pessimist's rate.
    pub fn pessimistic(&self) -> f64 {
        if self.low.abs() > self.high.abs() { self.low } else { self.high }
    }
}

/// What is remembered of the last hour, or of the last points, where there are few.
#[derive(Clone, Debug, Default)]
pub struct History {
    points: VecDeque<(BootTime, Anchor)>,
    spacing: Span,
    drift: Option<Drift>,
}

/// What of a history outlives the process, while the host is not booted again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    points: Vec<(BootTime, Anchor)>,
    spacing: Span,
}

impl History {
    /// What is to outlive the process.
    pub fn memory(&self) -> Memory {
        Memory { points: self.points.iter().copied().collect(), spacing: self.spacing }
    }

    /// Goes on with what was remembered; points out of order or of the future are dropped, as no history has them.
    pub fn resumed(memory: &Memory, now: BootTime) -> Self {
        let mut history = Self { spacing: memory.spacing.clamp(Span::ZERO, WINDOW), ..Self::default() };
        for &(at, anchor) in memory.points.iter().take(MOST_POINTS) {
            if at <= now && history.points.back().is_none_or(|(last, _)| at > *last) {
                history.points.push_back((at, anchor));
            }
        }
        history.drift = theil_sen(history.points.make_contiguous());
        history
    }

    /// Adds what was found true at `at`; a point that is not newer than the last is ignored.
    pub fn push(&mut self, at: BootTime, anchor: Anchor) {
        if let Some((last, _)) = self.points.back()
            && at.since(*last) <= self.spacing
        {
            return;
        }
        while let Some((first, _)) = self.points.front() {
            let age = at.since(*first);
            let is_enough = self.points.len() >= ENOUGH_POINTS;
            if age <= WINDOW || (!is_enough && age <= LONGEST) {
                break;
            }
            self.points.pop_front();
        }
        if self.points.len() == MOST_POINTS {
            let mut keep = true;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            let span = at.since(self.points.front().map_or(at, |(first, _)| *first));
            self.spacing = Span::from_nanos(span.nanos() / i64::try_from(MOST_POINTS).unwrap_or(i64::MAX));
        }
        self.points.push_back((at, anchor));
        self.drift = theil_sen(self.points.make_contiguous());
    }

    /// The trend; `None` where there are too few points.
    pub const fn drift(&self) -> Option<Drift> {
        self.drift
    }

    /// Forgets all, because a step ended the trend.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The median of the slopes between all pairs of points, which a third of wild points cannot move, and the interval of
/// Sen (1968): the ranks which Kendall's τ of unrelated points stays within in 95 % of all cases.
fn theil_sen(points: &[(BootTime, Anchor)]) -> Option<Drift> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < FEWEST_POINTS || last.0.since(first.0) < SHORTEST {
        return None;
    }
    let mut slopes: Vec<f64> = points
        .iter()
        .enumerate()
        .flat_map(|(index, (at, anchor))| {
            points
                .iter()
                .skip(index + 1)
                .map(move |(later_at, later)| later.since(*anchor).nanos() as f64 / later_at.since(*at).nanos() as f64)
        })
        .collect();
    let n = points.len() as f64;
    let spread = 1.96 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let middle = slopes.len() as f64 / 2.0;
    let count = slopes.len();
    // What was ranked below stays below, so that the ranks are taken in order, each from what is left.
    let (mut rest, mut ranked) = (slopes.as_mut_slice(), 0);
    let mut rank = |position: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the indices")]
        let index = position.clamp(0.0, count as f64 - 1.0) as usize;
        let (_, slope, _) = rest.select_nth_unstable_by(index - ranked, f64::total_cmp);
        let slope = *slope;
        rest = std::mem::take(&mut rest).get_mut(index - ranked..).unwrap_or_default();
        ranked = index;
        slope
    };
    let low = rank(middle - spread / 2.0);
    let rate = rank(middle);
    Some(Drift { rate, low, high: rank(middle + spread / 2.0 + 1.0) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn history(rate: f64, noise: f64, seconds: u32, step: u32, seed: u64) -> History {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut history = History::default();
        for at in (0..seconds).step_by(step as usize) {
            let at = f64::from(at);
            let error = (random.f64() - 0.5) * 2.0 * noise;
            history.push(BootTime::from_seconds(at), Anchor::from_seconds(1e9 + at * rate + error));
        }
        history
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_true_drift_is_found_with_its_sign(ppm in prop_oneof![-500.0_f64..-20.0, 20.0_f64..500.0], seed in any::<u64>()) {
            let drift = history(ppm * 1e-6, 100e-6, 3_600, 16, seed).drift().unwrap();
            prop_assert!((drift.rate * 1e6 - ppm).abs() < 1.0, "{drift:?}");
            prop_assert!(drift.low <= drift.rate && drift.rate <= drift.high);
            prop_assert!(drift.is_significant());
            prop_assert_eq!(drift.pessimistic().signum(), ppm.signum());
        }
    }

    #[test]
    fn noise_alone_is_rarely_taken_for_a_trend() {
        let significant = (0..60).filter(|seed| history(0.0, 5e-3, 3_600, 64, *seed).drift().unwrap().is_significant());
        assert!(significant.count() <= 9, "the interval is one of 95 %");
    }

    #[test]
    fn a_minute_of_a_point_a_second_is_enough_for_500_ppm() {
        let drift = history(500e-6, 50e-6, 60, 1, 1).drift().unwrap();
        assert!((drift.rate - 500e-6).abs() < 5e-6, "{drift:?}");
    }

    #[test]
    fn a_point_every_seventeen_minutes_is_enough_for_a_trend_and_none_is_older_than_the_working_day() {
        assert_eq!(history(100e-6, 1e-3, 7 * 1_024, 1_024, 1).drift(), None, "seven points");
        let mut slow = history(100e-6, 1e-3, 48 * 1_024, 1_024, 1);
        let drift = slow.drift().unwrap();
        assert!((drift.rate - 100e-6).abs() < 5e-6 && drift.is_significant(), "{drift:?}");
        assert!(slow.points.len() <= ENOUGH_POINTS, "{} points", slow.points.len());
        let later = slow.points.back().unwrap().0.plus(LONGEST);
        slow.push(later, Anchor::from_seconds(1e9));
        assert_eq!((slow.points.len(), slow.drift()), (2, None), "what is long past is no trend");
    }

    #[test]
    fn a_history_goes_on_where_it_was_left() {
        let before = history(100e-6, 50e-6, 3_600, 16, 1);
        let mut after = History::resumed(&before.memory(), BootTime::from_seconds(3_600.0));
        assert_eq!((after.drift(), after.memory()), (before.drift(), before.memory()));
        let mut before = before;
        for history in [&mut before, &mut after] {
            history.push(BootTime::from_seconds(3_700.0), Anchor::from_seconds(1e9 + 0.37));
        }
        assert_eq!((after.drift(), after.memory()), (before.drift(), before.memory()));
    }

    #[test]
    fn points_of_the_future_or_out_of_order_are_not_resumed() {
        let at = |seconds| (BootTime::from_seconds(seconds), Anchor::from_seconds(1e9));
        let memory = Memory { points: vec![at(5.0), at(5.0), at(1.0), at(7.0), at(100.0)], spacing: Span::ZERO };
        assert_eq!(History::resumed(&memory, BootTime::from_seconds(10.0)).memory().points, [at(5.0), at(7.0)]);
    }

    #[test]
    fn the_history_stays_small_and_keeps_the_whole_hour() {
        let history = history(1e-6, 0.0, 10_000, 1, 1);
        assert!(history.points.len() <= MOST_POINTS);
        let kept = history.points.back().unwrap().0.since(history.points.front().unwrap().0);
        assert!(kept.seconds() > 3_400.0 && kept <= WINDOW, "{kept:?}");
    }
}
