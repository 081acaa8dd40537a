//! How far the clock is from the skew at which AWS rejects requests, and when it gets there.

use std::time::Duration;

use crate::clock::drift::Drift;
use crate::time::{ErrorBound, Offset, Span};

/// An AWS rule on the time of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// What people call it.
    pub name: String,
    /// The skew, in either direction, from which requests are rejected.
    pub window: Duration,
    /// Whether SDKs correct the skew from here on, so that nothing is rejected yet.
    pub masked: bool,
}

/// Nobody can foretell more than a year from the trend of an hour.
const HORIZON: Span = Span::from_nanos(365 * 86_400 * 1_000_000_000);

/// The offset of the system clock and how far it can be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skew {
    /// Positive where the system clock is slow.
    pub offset: Offset,
    /// How far the offset can be wrong.
    pub bound: ErrorBound,
}

impl Skew {
    /// The most that the clock can be off, by which limits are judged.
    pub const fn at_most(&self) -> Span {
        self.offset.span().abs().plus(self.bound.span())
    }

    /// The least that the clock is off for certain.
    pub fn at_least(&self) -> Span {
        Span::from_nanos(self.offset.span().abs().nanos().saturating_sub(self.bound.span().nanos()).max(0))
    }
}

/// Where the clock stands with a limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The limit.
    pub limit: Limit,
    /// What is left to it; negative where it is passed.
    pub margin: Span,
    /// When it is passed if the trend goes on; `None` without a trend towards it.
    pub time_to_limit: Option<Span>,
    /// When it is passed by the steepest trend that was not ruled out; `None` without one towards it.
    pub soonest: Option<Span>,
}

/// Judges every limit.
pub fn judge(limits: &[Limit], skew: &Skew, drift: Option<Drift>) -> Vec<Standing> {
    limits
        .iter()
        .map(|limit| {
            let margin = Span::from_duration(limit.window).nanos().saturating_sub(skew.at_most().nanos());
            let margin = Span::from_nanos(margin);
            let soonest = drift.and_then(|drift| soonest(margin, skew, drift));
            // Nothing is foretold while the trend is not distinguishable from none.
            let is_told = |time: &Span| drift.is_some_and(|drift| drift.is_significant()) && *time < HORIZON;
            Standing { limit: limit.clone(), margin, time_to_limit: soonest.filter(is_told), soonest }
        })
        .collect()
}

/// `None` for a limit that is passed, and while the clock is on its way back to the truth.
fn soonest(margin: Span, skew: &Skew, drift: Drift) -> Option<Span> {
    let (slower, faster) = (drift.high.max(0.0), (-drift.low).max(0.0));
    let rate = match skew.offset.span() {
        // Within its bound the clock may be on either side.
        _ if skew.at_least() == Span::ZERO => slower.max(faster),
        offset if offset >= Span::ZERO => slower,
        _ => faster,
    };
    (margin > Span::ZERO && rate > 0.0).then(|| margin.scaled(1.0 / rate))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn skew(offset: f64, bound: f64) -> Skew {
        Skew { offset: Offset::new(Span::from_seconds(offset)), bound: ErrorBound::new(Span::from_seconds(bound)) }
    }

    fn limit(seconds: u64) -> Limit {
        Limit { name: "sigv4".into(), window: Duration::from_secs(seconds), masked: false }
    }

    fn drift(rate: f64) -> Option<Drift> {
        Some(Drift { rate, low: rate * 0.9, high: rate * 1.1 })
    }

    #[test]
    fn a_growing_offset_reaches_the_limit_by_arithmetic() {
        let judged = judge(&[limit(300)], &skew(10.0, 1.0), drift(100e-6));
        assert_eq!(judged[0].margin, Span::from_seconds(289.0));
        let predicted = judged[0].time_to_limit.unwrap().seconds();
        assert!((predicted - 289.0 / 110e-6).abs() < 1.0, "{predicted}");
    }

    #[test]
    fn no_forecast_for_a_clock_on_its_way_back_or_past_the_limit_or_without_a_trend() {
        let forecast = |offset, drift| judge(&[limit(300)], &skew(offset, 0.1), drift)[0].time_to_limit;
        assert_eq!(forecast(10.0, drift(-100e-6)), None);
        assert_eq!(forecast(-10.0, drift(100e-6)), None);
        assert_eq!(forecast(301.0, drift(100e-6)), None);
        assert_eq!(forecast(10.0, None), None);
        assert_eq!(forecast(10.0, Some(Drift { rate: 1e-6, low: -1e-6, high: 2e-6 })), None);
        assert_eq!(forecast(0.0, drift(1e-6)), None, "in nine years");
        assert!(forecast(0.01, drift(-100e-6)).is_some(), "within its bound the clock may be on either side");
    }

    proptest! {
        #[test]
        fn the_margin_is_the_same_for_a_slow_and_a_fast_clock(offset in -2_000.0_f64..2_000.0, bound in 0.0_f64..20.0) {
            let margin = |offset| judge(&[limit(300)], &skew(offset, bound), None)[0].margin;
            prop_assert_eq!(margin(offset), margin(-offset));
        }
    }
}
