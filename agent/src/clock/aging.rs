//! How true time moves against a clock that nobody steers while nobody measures it, and how wrong that can be.

use super::drift::Drift;
use super::sample::FREQUENCY_TOLERANCE;
use super::steering::Rate;
use crate::time::{Anchor, Span};

/// No oscillator of a running host is off by more than this (the kernel's own limit of correction), in seconds a second.
pub const WORST_FREQUENCY: f64 = 500e-6;

/// A trend beyond this is not that of an oscillator, and may end as it began, in seconds a second.
const RUNAWAY: f64 = 2.0 * WORST_FREQUENCY;

/// What becomes of an anchor with its age, in seconds a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aging {
    /// By how much true time gains on the local clock.
    rate: f64,
    /// How far the rate can be wrong.
    doubt: f64,
}

impl Aging {
    /// By the trend of what was measured. Until there is one, the kernel is taken to steer as is right, and the bound holds
    /// even if it should not steer at all, whatever the oscillator.
    pub fn new(trend: Option<Drift>, steering: Option<Rate>) -> Self {
        match trend {
            Some(Drift { rate, low, high }) if rate.abs() <= RUNAWAY => {
                Self { rate, doubt: FREQUENCY_TOLERANCE + (high - rate).max(rate - low) }
            }
            Some(trend) => Self::within(FREQUENCY_TOLERANCE + trend.pessimistic().abs()),
            None => {
                let rate = steering.map_or(0.0, |steering| steering.rate);
                let rate = if rate.abs() <= WORST_FREQUENCY { rate } else { 0.0 };
                Self { rate, doubt: FREQUENCY_TOLERANCE + WORST_FREQUENCY + rate.abs() }
            }
        }
    }

    /// True time stays where it is, give or take `doubt`.
    pub const fn within(doubt: f64) -> Self {
        Self { rate: 0.0, doubt }
    }

    /// Where `anchor` is after `age`.
    pub fn moved(&self, anchor: Anchor, age: Span) -> Anchor {
        anchor.plus(age.scaled(self.rate))
    }

    /// What `bound` has grown to after `age`.
    pub fn grown(&self, bound: Span, age: Span) -> Span {
        bound.plus(age.abs().scaled(self.doubt))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trend_is_followed_and_its_interval_doubted() {
        let aging = Aging::new(Some(Drift { rate: 100e-6, low: 99e-6, high: 103e-6 }), None);
        assert_eq!(aging, Aging { rate: 100e-6, doubt: FREQUENCY_TOLERANCE + 103e-6 - 100e-6 });
        let runaway = Aging::new(Some(Drift { rate: -5e-3, low: -6e-3, high: -4e-3 }), None);
        assert_eq!(runaway, Aging::within(FREQUENCY_TOLERANCE + 6e-3));
    }

    proptest! {
        #[test]
        fn without_a_trend_the_bound_holds_for_every_oscillator_whatever_the_kernel_does(
            oscillator in -WORST_FREQUENCY..WORST_FREQUENCY,
            steering in prop::option::of(-0.1_f64..0.1),
            seconds in 0_i64..100_000,
        ) {
            let aging = Aging::new(None, steering.map(|rate| Rate { rate, error: 0.0 }));
            let age = Span::from_seconds(seconds as f64);
            let moved = aging.moved(Anchor::ZERO, age).seconds();
            prop_assert!((moved + oscillator * age.seconds()).abs() <= aging.grown(Span::ZERO, age).seconds() + 1e-9);
        }
    }
}
