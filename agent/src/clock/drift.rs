//! How fast true time runs away from the local clock: a Theil–Sen slope with its confidence interval.

use std::collections::VecDeque;

use super::time::{Anchor, BootTime, Span};

/// History older than this is forgotten.
const WINDOW: Span = Span::from_nanos(3_600 * 1_000_000_000);
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

/// What is remembered of the last hour.
#[derive(Clone, Debug, Default)]
pub struct History {
    points: VecDeque<(BootTime, Anchor)>,
    spacing: Span,
    drift: Option<Drift>,
}

impl History {
    /// Adds what was found true at `at`; a point that is not newer than the last is ignored.
    pub fn push(&mut self, at: BootTime, anchor: Anchor) {
        if let Some((last, _)) = self.points.back()
            && at.since(*last) <= self.spacing
        {
            return;
        }
        while self.points.front().is_some_and(|(first, _)| at.since(*first) > WINDOW) {
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
    let mut rank = |position: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the indices")]
        let index = position.clamp(0.0, slopes.len() as f64 - 1.0) as usize;
        *slopes.select_nth_unstable_by(index, f64::total_cmp).1
    };
    Some(Drift { rate: rank(middle), low: rank(middle - spread / 2.0), high: rank(middle + spread / 2.0 + 1.0) })
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
    fn the_history_stays_small_and_keeps_the_whole_hour() {
        let history = history(1e-6, 0.0, 10_000, 1, 1);
        assert!(history.points.len() <= MOST_POINTS);
        let kept = history.points.back().unwrap().0.since(history.points.front().unwrap().0);
        assert!(kept.seconds() > 3_400.0 && kept <= WINDOW, "{kept:?}");
    }
}
