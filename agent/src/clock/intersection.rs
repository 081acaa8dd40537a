//! Where the intervals of several sources overlap: who tells the truth, and what it is (Marzullo; RFC 5905 §11.2.1).

use crate::time::{Anchor, ErrorBound, Span};

/// What one source claims: the truth lies within `bound` of `anchor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The claim.
    pub anchor: Anchor,
    /// How far it can be wrong.
    pub bound: ErrorBound,
    /// Whether it decides where there is no majority.
    pub trusted: bool,
}

/// What the candidates say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The best estimate: the claim of the most exact survivor, within the interval.
    pub anchor: Anchor,
    /// How far the ends of the interval are from it.
    pub bound: ErrorBound,
    /// The least that the truth can be.
    pub low: Anchor,
    /// The most that the truth can be.
    pub high: Anchor,
}

impl Candidate {
    const fn low(&self) -> i64 {
        self.anchor.nanos().saturating_sub(self.bound.span().nanos())
    }

    const fn high(&self) -> i64 {
        self.anchor.nanos().saturating_add(self.bound.span().nanos())
    }

    /// Whether both claims can be true.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.low() <= other.high() && other.low() <= self.high()
    }

    /// Whether the claim is compatible with what was agreed; one that is not is a falseticker.
    pub const fn agrees_with(&self, agreement: &Agreement) -> bool {
        self.low() <= agreement.high.nanos() && agreement.low.nanos() <= self.high()
    }
}

/// The interval that holds the truth if a strict majority of the candidates tells it.
///
/// It spans every point on which a strict majority agrees, so that no coalition of a minority with a part of the honest
/// can push the truth out of it. A trusted survivor narrows it to its own interval. Without a majority the trusted
/// candidates decide among themselves; where they do not agree either, or there are none, there is no agreement.
pub fn intersect(candidates: &[Candidate]) -> Option<Agreement> {
    let (low, high) =
        majority(candidates.iter()).or_else(|| majority(candidates.iter().filter(|candidate| candidate.trusted)))?;
    let survivors = || candidates.iter().filter(move |one| one.low() <= high && low <= one.high());
    let (low, high) = survivors().filter(|one| one.trusted).fold((low, high), |(low, high), one| {
        let (narrow_low, narrow_high) = (low.max(one.low()), high.min(one.high()));
        if narrow_low <= narrow_high { (narrow_low, narrow_high) } else { (low, high) }
    });
    // Ties are broken by the claim itself, so that the order of the sources never matters.
    let best = survivors().min_by_key(|one| (!one.trusted, one.bound, one.anchor))?;
    let anchor = best.anchor.nanos().clamp(low, high);
    let bound = high.saturating_sub(anchor).max(anchor.saturating_sub(low));
    Some(Agreement {
        anchor: Anchor::from_nanos(anchor),
        bound: ErrorBound::new(Span::from_nanos(bound)),
        low: Anchor::from_nanos(low),
        high: Anchor::from_nanos(high),
    })
}

/// From the first to the last point that lies in a strict majority of the intervals.
fn majority<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Option<(i64, i64)> {
    // At the same point, intervals begin (0) before others end (1): they touch.
    let mut edges: Vec<(i64, u8)> = candidates.flat_map(|one| [(one.low(), 0), (one.high(), 1)]).collect();
    edges.sort_unstable();
    let needed = edges.len() / 2 / 2 + 1;
    let mut covering = 0;
    let mut low = None;
    let mut high = None;
    for (point, edge) in edges {
        if edge == 0 {
            covering += 1;
            if covering == needed && low.is_none() {
                low = Some(point);
            }
        } else {
            if covering == needed {
                high = Some(point);
            }
            covering -= 1;
        }
    }
    low.zip(high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(anchor: i64, bound: i64, trusted: bool) -> Candidate {
        Candidate { anchor: Anchor::from_nanos(anchor), bound: ErrorBound::new(Span::from_nanos(bound)), trusted }
    }

    #[test]
    fn a_tie_goes_to_the_trusted_source_and_is_a_disagreement_without_one() {
        let pair = [candidate(0, 10, true), candidate(1_000, 10, false)];
        let agreement = intersect(&pair).unwrap();
        assert_eq!((agreement.low.nanos(), agreement.high.nanos()), (-10, 10));
        assert!(!pair[1].agrees_with(&agreement));
        assert_eq!(intersect(&[candidate(0, 10, false), candidate(1_000, 10, false)]), None);
        assert_eq!(intersect(&[]), None);
    }

    #[test]
    fn a_trusted_survivor_narrows_the_interval() {
        let agreement =
            intersect(&[candidate(0, 1_000, false), candidate(100, 5, true), candidate(-7, 900, false)]).unwrap();
        assert_eq!((agreement.anchor.nanos(), agreement.bound.span().nanos()), (100, 5));
    }

    prop_compose! {
        /// An honest source: its interval holds 0, the truth.
        fn honest()(bound in 0_i64..1_000_000, share in -1.0_f64..=1.0) -> Candidate {
            #[expect(clippy::cast_possible_truncation, reason = "well within range")]
            candidate((bound as f64 * share) as i64, bound, false)
        }
    }
    prop_compose! {
        fn liar()(anchor in any::<i64>(), bound in 0_i64..10_000_000_000) -> Candidate {
            candidate(anchor, bound, false)
        }
    }

    proptest! {
        #[test]
        fn the_truth_is_inside_whenever_a_majority_tells_it(
            honest in prop::collection::vec(honest(), 1..17),
            liars in prop::collection::vec(prop_oneof![liar(), (-3_000_000_i64..3_000_000, 0_i64..3_000_000)
                .prop_map(|(anchor, bound)| candidate(anchor, bound, false))], 0..16),
        ) {
            let liars = liars.get(..liars.len().min(honest.len() - 1)).unwrap();
            let all: Vec<_> = honest.iter().chain(liars).copied().collect();
            let agreement = intersect(&all).unwrap();
            prop_assert!(agreement.low.nanos() <= 0 && 0 <= agreement.high.nanos());
            prop_assert!(agreement.anchor.nanos().abs() <= agreement.bound.span().nanos());
            for one in &honest {
                prop_assert!(one.agrees_with(&agreement));
            }
        }

        #[test]
        fn the_order_of_the_sources_changes_nothing(
            mut all in prop::collection::vec(prop_oneof![honest(), liar()], 0..16),
            seed in any::<u64>(),
        ) {
            let before = intersect(&all);
            fastrand::Rng::with_seed(seed).shuffle(&mut all);
            prop_assert_eq!(before, intersect(&all));
        }

        #[test]
        fn one_liar_of_three_never_moves_the_estimate_out_of_the_honest_intervals(
            first in honest(), second in honest(), liar in liar(),
        ) {
            let agreement = intersect(&[first, liar, second]).unwrap();
            let inside = |one: &Candidate| one.low() <= agreement.anchor.nanos() && agreement.anchor.nanos() <= one.high();
            prop_assert!(inside(&first) || inside(&second));
        }
    }
}
