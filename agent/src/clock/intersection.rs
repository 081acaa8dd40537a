//! Where the intervals of several sources overlap: who tells the truth, and what it is (Marzullo; RFC 5905 §11.2.1).

use std::collections::BTreeSet;

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
    /// The witness that it is a part of, if several sources are the same one.
    pub group: Option<Group>,
}

/// Sources that are one witness have the same number: what is wrong with it is wrong with all of them, so that together they
/// count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group(pub usize);

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

/// How many witnesses these are: each group is one.
pub fn witnesses<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> usize {
    count(candidates.map(|candidate| candidate.group))
}

/// How many witnesses belong to these groups, each that has none by itself.
pub fn count(groups: impl Iterator<Item = Option<Group>>) -> usize {
    let mut seen = BTreeSet::new();
    groups.filter(|group| group.is_none_or(|group| seen.insert(group))).count()
}

/// The interval that holds the truth if a strict majority of the witnesses tells it.
///
/// For a group speaks the most exact of it. Where its members contradict one another, nobody knows which of them is right:
/// then each may agree with other witnesses, but none of them tells the truth by itself.
///
/// It spans every point on which a strict majority agrees, so that no coalition of a minority with a part of the honest
/// can push the truth out of it. A trusted survivor narrows it to its own interval. Without a majority the trusted
/// candidates decide among themselves; where they do not agree either, or there are none, there is no agreement.
pub fn intersect(candidates: &[Candidate]) -> Option<Agreement> {
    let trusted = || candidates.iter().copied().filter(|candidate| candidate.trusted).collect::<Vec<_>>();
    let (low, high) = majority(candidates).or_else(|| majority(&trusted()))?;
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

/// From the first to the last point that a strict majority of the witnesses tells.
fn majority(candidates: &[Candidate]) -> Option<(i64, i64)> {
    let needed = witnesses(candidates.iter()) / 2 + 1;
    let voices: Vec<Voice<'_>> = candidates.iter().filter_map(|one| voice(one, candidates)).collect();
    // Two majorities have a witness in common, and what that one tells spans both, unless it contradicts itself: such a one
    // must not tie together what others say at either end.
    let all: Vec<&Voice<'_>> = voices.iter().collect();
    let spanned = told(&all, needed).filter(|(low, high)| all.iter().any(|voice| voice.spans(*low, *high)));
    let sound: Vec<&Voice<'_>> = all.into_iter().filter(|voice| !voice.is_contradicted).collect();
    spanned.or_else(|| told(&sound, needed))
}

/// From the first to the last point that so many witnesses tell.
fn told(voices: &[&Voice<'_>], needed: usize) -> Option<(i64, i64)> {
    let is_told = |point: &i64| {
        let telling = || voices.iter().filter(|voice| voice.spans(*point, *point));
        let count = witnesses(telling().map(|voice| voice.of));
        count >= needed && (count > 1 || telling().any(|voice| !voice.is_contradicted))
    };
    // What is told begins and ends where an interval does.
    let low = voices.iter().map(|voice| voice.of.low()).filter(is_told).min();
    let high = voices.iter().map(|voice| voice.of.high()).filter(is_told).max();
    low.zip(high)
}

/// A candidate that speaks.
struct Voice<'a> {
    of: &'a Candidate,
    /// Whether another of its group says something else.
    is_contradicted: bool,
}

impl Voice<'_> {
    const fn spans(&self, low: i64, high: i64) -> bool {
        self.of.low() <= low && high <= self.of.high()
    }
}

/// `one` as a voice, unless a better one of its group speaks for it.
fn voice<'a>(one: &'a Candidate, candidates: &[Candidate]) -> Option<Voice<'a>> {
    let own = || candidates.iter().filter(|other| other.group == one.group && one.group.is_some());
    let is_contradicted = own().any(|other| own().any(|another| !other.overlaps(another)));
    let best = own().min_by_key(|other| (other.bound, !other.trusted, other.anchor));
    (is_contradicted || best.is_none_or(|best| best == one)).then_some(Voice { of: one, is_contradicted })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(anchor: i64, bound: i64, trusted: bool) -> Candidate {
        let bound = ErrorBound::new(Span::from_nanos(bound));
        Candidate { anchor: Anchor::from_nanos(anchor), bound, trusted, group: None }
    }

    fn member(group: usize, candidate: Candidate) -> Candidate {
        Candidate { group: Some(Group(group)), ..candidate }
    }

    #[test]
    fn however_many_sources_one_witness_has_it_has_one_vote() {
        let lie = |bound| member(0, candidate(1_000_000, bound, false));
        let truth = candidate(0, 10, false);
        let agreement = intersect(&[lie(10), lie(20), lie(5), truth, candidate(5, 10, false)]).unwrap();
        assert!(agreement.high.nanos() <= 15, "{agreement:?}");
        assert_eq!(intersect(&[lie(10), lie(20), lie(5), truth]), None, "one against one");
        // The most exact of them speaks.
        let agreement = intersect(&[lie(10), lie(20), lie(5)]).unwrap();
        assert_eq!((agreement.anchor.nanos(), agreement.bound.span().nanos()), (1_000_000, 5));
    }

    #[test]
    fn a_witness_that_contradicts_itself_is_believed_where_another_agrees_with_a_part_of_it_and_not_by_itself() {
        let (exact, other) = (member(0, candidate(37_000, 1, true)), member(0, candidate(0, 50, true)));
        assert_eq!(intersect(&[exact, other]), None);
        let coarse = candidate(300, 1_000, false);
        let agreement = intersect(&[exact, other, coarse]).unwrap();
        assert_eq!((agreement.low.nanos(), agreement.high.nanos()), (-50, 50));
        assert!(!exact.agrees_with(&agreement));
        // Nor does it tie together what two others contradict one another about.
        let (one, another) = (candidate(0, 10, false), candidate(400_000, 10, false));
        let both = [member(0, one), member(0, another), one, another];
        assert_eq!(intersect(&both), None);
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
        fn the_truth_is_inside_whenever_a_majority_of_the_witnesses_tells_it(
            honest in prop::collection::vec(prop::collection::vec(honest(), 1..4), 1..6),
            liars in prop::collection::vec(prop::collection::vec(prop_oneof![liar(), honest()], 1..6), 0..5),
        ) {
            let liars = liars.get(..liars.len().min(honest.len() - 1)).unwrap();
            let groups = honest.iter().chain(liars).enumerate();
            let all: Vec<_> = groups.flat_map(|(group, of)| of.iter().map(move |one| member(group, *one))).collect();
            let agreement = intersect(&all).unwrap();
            prop_assert!(agreement.low.nanos() <= 0 && 0 <= agreement.high.nanos());
            for one in honest.iter().flatten() {
                prop_assert!(one.agrees_with(&agreement));
            }
        }

        #[test]
        fn the_order_of_the_sources_changes_nothing(
            mut all in prop::collection::vec((prop_oneof![honest(), liar()], prop::option::of(0_usize..4)).prop_map(
                |(one, group)| Candidate { group: group.map(Group), ..one }), 0..16),
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
