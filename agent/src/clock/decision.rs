//! Whom to believe: one decision from what every source has to say, or the reason why nobody is believed.

use super::estimate::{Estimate, contradicts, is_worthless};
use super::intersection::{Agreement, Candidate, intersect, witnesses};
use super::source::Word;

/// All that the decision rests on.
pub(super) struct Hearing<'a> {
    /// What each source has to say.
    pub(super) words: &'a [Word],
    /// What is held so far.
    pub(super) held: Option<Estimate>,
    /// How many witnesses have a vote on what contradicts what is held.
    pub(super) electorate: usize,
    /// Whether sources that were not asked yet are waited for.
    pub(super) awaits_first_round: bool,
    /// Whether sources that were not asked since the last jump, or whose answer since is held back, are waited for.
    pub(super) awaits_second_opinion: bool,
}

/// What is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Belief {
    pub(super) agreement: Agreement,
    /// Whether two witnesses that agree or more, or a trusted source, vouch for it.
    pub(super) is_vouched: bool,
}

/// Why nobody is believed; the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Veto {
    /// Not every source was asked yet: whoever happens to answer first would be believed.
    FirstRound,
    /// One has told of a jump, and not every other was asked since, or what it answered waits for a second answer: whoever
    /// happens to be confirmed first would be believed.
    SecondOpinion,
    /// Nobody has anything to say.
    Silence,
    /// Those that speak have contradicted a majority and contradict what is held. They did not become right because the
    /// others fell silent.
    Condemned,
    /// They contradict one another, and nobody is trusted.
    NoMajority,
    /// What they say contradicts what is held, and needs more than the majority of those who happen to answer: a majority
    /// of all that have answered lately, or a trusted source.
    Overturns,
}

/// Decides whom to believe.
///
/// # Errors
/// The reason why nobody is.
pub(super) fn decide(hearing: &Hearing<'_>) -> Result<Belief, Veto> {
    let Hearing { words, held, electorate, awaits_first_round, awaits_second_opinion } = *hearing;
    if awaits_first_round && words.contains(&Word::Unasked) {
        return Err(Veto::FirstRound);
    }
    if awaits_second_opinion && words.contains(&Word::Outdated { is_asked: false }) {
        return Err(Veto::SecondOpinion);
    }
    if !words.iter().any(|word| matches!(word, Word::Accepted(_) | Word::Condemned(_))) {
        return Err(Veto::Silence);
    }
    let heard = heard(words, held);
    if heard.is_empty() {
        return Err(Veto::Condemned);
    }
    let agreement = intersect(&heard).ok_or(Veto::NoMajority)?;
    let supporters = || heard.iter().filter(|candidate| candidate.agrees_with(&agreement));
    let is_backed_by_trust = supporters().any(|candidate| candidate.trusted);
    let overturns = held.is_some_and(|held| contradicts(&held, agreement.anchor, agreement.bound));
    if overturns && !is_backed_by_trust && witnesses(supporters()) <= electorate / 2 {
        return Err(Veto::Overturns);
    }
    // An agreement that says nothing is vouched for by nobody.
    let is_vouched = !is_worthless(agreement.bound) && (is_backed_by_trust || witnesses(supporters()) > 1);
    Ok(Belief { agreement, is_vouched })
}

/// The candidates that count. A condemned one counts if it does not contradict what is held, if another that counts says
/// the same, or if it is trusted and there is nobody else to ask.
fn heard(words: &[Word], held: Option<Estimate>) -> Vec<Candidate> {
    let is_at_odds = |one: &Candidate| held.is_some_and(|held| contradicts(&held, one.anchor, one.bound));
    let accepted: Vec<Candidate> = words
        .iter()
        .filter_map(|word| match word {
            Word::Accepted(candidate) => Some(*candidate),
            Word::Condemned(candidate) if !is_at_odds(candidate) => Some(*candidate),
            _ => None,
        })
        .collect();
    let is_heard = |candidate: &Candidate| {
        !is_at_odds(candidate)
            || accepted.iter().any(|other| candidate.overlaps(other))
            || (candidate.trusted && accepted.is_empty())
    };
    words
        .iter()
        .filter_map(|word| match word {
            Word::Accepted(candidate) => Some(*candidate),
            Word::Condemned(candidate) => Some(*candidate).filter(is_heard),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Anchor, ErrorBound, Span};

    fn candidate(anchor: f64, trusted: bool) -> Candidate {
        let bound = ErrorBound::new(Span::from_seconds(0.001));
        Candidate { anchor: Anchor::from_seconds(anchor), bound, trusted, group: None }
    }

    fn accepted(anchor: f64) -> Word {
        Word::Accepted(candidate(anchor, false))
    }

    fn condemned(anchor: f64) -> Word {
        Word::Condemned(candidate(anchor, false))
    }

    fn hear(words: &[Word]) -> Hearing<'_> {
        Hearing { words, held: None, electorate: 0, awaits_first_round: false, awaits_second_opinion: false }
    }

    /// The estimate that is held is 0.
    fn hear_again(words: &[Word], electorate: usize) -> Hearing<'_> {
        let held = Estimate { anchor: Anchor::ZERO, bound: ErrorBound::new(Span::from_seconds(0.01)) };
        Hearing { held: Some(held), electorate, ..hear(words) }
    }

    fn believed(decision: Result<Belief, Veto>) -> (f64, bool) {
        let belief = decision.unwrap();
        (belief.agreement.anchor.seconds(), belief.is_vouched)
    }

    #[test]
    fn each_veto_has_its_reason() {
        let words = [accepted(1.0), Word::Unasked];
        assert_eq!(decide(&Hearing { awaits_first_round: true, ..hear(&words) }), Err(Veto::FirstRound));
        assert_eq!(believed(decide(&hear(&words))), (1.0, false));

        let words = [accepted(1.0), Word::Outdated { is_asked: false }];
        assert_eq!(decide(&Hearing { awaits_second_opinion: true, ..hear(&words) }), Err(Veto::SecondOpinion));
        let asked = [accepted(1.0), Word::Outdated { is_asked: true }];
        assert_eq!(believed(decide(&Hearing { awaits_second_opinion: true, ..hear(&asked) })), (1.0, false));

        assert_eq!(decide(&hear(&[])), Err(Veto::Silence));
        assert_eq!(
            decide(&hear(&[Word::Silent, Word::Unasked, Word::Outdated { is_asked: true }])),
            Err(Veto::Silence)
        );
        assert_eq!(decide(&hear_again(&[condemned(30.0), Word::Silent], 1)), Err(Veto::Condemned));
        assert_eq!(decide(&hear(&[accepted(0.0), accepted(30.0)])), Err(Veto::NoMajority));
        assert_eq!(decide(&hear_again(&[accepted(30.0), Word::Silent, Word::Silent], 3)), Err(Veto::Overturns));
    }

    #[test]
    fn what_is_held_is_overturned_by_a_majority_of_the_electorate_or_by_trust() {
        assert_eq!(believed(decide(&hear_again(&[accepted(30.0), accepted(30.0), Word::Silent], 3))), (30.0, true));
        let trusted = [Word::Accepted(candidate(30.0, true)), Word::Silent, Word::Silent];
        assert_eq!(believed(decide(&hear_again(&trusted, 3))), (30.0, true));
    }

    #[test]
    fn a_condemned_source_counts_once_it_is_back_or_another_says_the_same_or_it_alone_is_trusted() {
        assert_eq!(believed(decide(&hear_again(&[condemned(0.0)], 1))), (0.0, false));
        assert_eq!(believed(decide(&hear_again(&[condemned(30.0), accepted(30.0)], 1))), (30.0, true));
        assert_eq!(believed(decide(&hear_again(&[condemned(30.0), accepted(0.0)], 1))), (0.0, false));
        let trusted = Word::Condemned(candidate(30.0, true));
        assert_eq!(believed(decide(&hear_again(&[trusted, Word::Silent], 1))), (30.0, true));
        assert_eq!(believed(decide(&hear_again(&[trusted, accepted(0.0)], 1))), (0.0, false));
    }
}
