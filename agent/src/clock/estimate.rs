//! The estimate of true time: what all sources say together, how sure that is, and who is wrong.

use serde::{Deserialize, Serialize};

use super::drift::{self, Drift, History};
use super::filter::Offered;
use super::intersection::{Agreement, Candidate, intersect};
use super::sample::{FREQUENCY_TOLERANCE, Failure, Sample};
use super::source::{Source, Verdict, Witness};
use super::time::{Anchor, BootTime, ErrorBound, Offset, Reading, Span};

/// Without a first answer for this long, the state is not `starting` any more.
const STARTING: Span = Span::from_nanos(15 * 1_000_000_000);
/// An estimate whose bound has grown to this says nothing about a limit of minutes any more.
const WORTHLESS: Span = Span::from_nanos(30 * 1_000_000_000);
/// How long after the last announcement of a leap second smeared and unsmeared sources may still disagree.
const LEAP: Span = Span::from_nanos(36 * 3_600 * 1_000_000_000);
/// A move of the estimate beyond what both bounds explain and this ends the trend; smaller ones a robust slope ignores.
const JUMP: Span = Span::from_nanos(100_000_000);
/// How long the first estimate waits for sources that have not been asked yet.
const FIRST_ROUND: Span = Span::from_nanos(10 * 1_000_000_000);
/// How long a jump that one source tells waits for the others to be asked as well.
const SECOND_OPINION: Span = Span::from_nanos(20 * 1_000_000_000);
/// While a host sleeps, a clock counts that tells whole seconds.
const ASLEEP_RESOLUTION: Span = Span::from_nanos(1_000_000_000);
/// By how much that clock may be wrong, in seconds a second.
const ASLEEP_FREQUENCY: f64 = 100e-6;
/// By how much a smeared source may differ from an unsmeared one.
const SMEAR: Span = Span::from_nanos(500_000_000);

/// What is known of true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockState {
    /// Nothing was heard yet.
    Starting,
    /// A quorum of sources agrees.
    Synchronized,
    /// The sources are gone; the last estimate holds, and its bound grows.
    Holdover,
    /// The sources answer and contradict one another.
    Disagreement,
    /// No source has answered, or not for so long that the last estimate is worth nothing.
    Unknown,
}

impl ClockState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Synchronized, Self::Holdover, Self::Disagreement, Self::Unknown];

    /// The name in output and attributes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Synchronized => "synchronized",
            Self::Holdover => "holdover",
            Self::Disagreement => "disagreement",
            Self::Unknown => "unknown",
        }
    }
}

/// True time as last agreed, and how far it can be wrong by now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// True time minus boot time.
    pub anchor: Anchor,
    /// How far the anchor can be wrong.
    pub bound: ErrorBound,
}

impl Estimate {
    /// The offset of the system clock at `reading`.
    pub const fn offset(&self, reading: Reading) -> Offset {
        reading.offset(self.anchor)
    }
}

/// The whole estimate.
#[derive(Clone, Debug)]
pub struct Estimator {
    started: BootTime,
    /// Since when sources that were not asked yet are waited for.
    round: BootTime,
    sources: Vec<Source>,
    agreed: Option<(BootTime, Estimate)>,
    is_vouched: bool,
    state: ClockState,
    history: History,
    leap_until: Option<BootTime>,
    /// When true time was last found to have moved against the boot clock, by whichever source.
    jump: Option<BootTime>,
}

/// What of the estimate outlives the process, while the host is not booted again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    agreed: Option<Agreed>,
    is_vouched: bool,
    history: drift::Memory,
    leap_until: Option<BootTime>,
}

/// An estimate, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Agreed {
    at: BootTime,
    anchor: Anchor,
    bound: Span,
}

impl Estimator {
    /// Starts without knowing anything.
    pub fn new(witnesses: impl IntoIterator<Item = Witness>, now: BootTime) -> Self {
        Self {
            started: now,
            round: now,
            sources: witnesses.into_iter().map(Source::new).collect(),
            agreed: None,
            is_vouched: false,
            state: ClockState::Starting,
            history: History::default(),
            leap_until: None,
            jump: None,
        }
    }

    /// What is to outlive the process.
    pub fn memory(&self) -> Memory {
        Memory {
            agreed: self.agreed.map(|(at, held)| Agreed { at, anchor: held.anchor, bound: held.bound.span() }),
            is_vouched: self.is_vouched,
            history: self.history.memory(),
            leap_until: self.leap_until,
        }
    }

    /// Goes on with what was remembered: the last estimate holds, until the sources are heard.
    pub fn resume(&mut self, memory: &Memory, now: BootTime) {
        self.agreed = memory.agreed.map(|held| {
            let estimate = Estimate { anchor: held.anchor, bound: ErrorBound::new(held.bound) };
            (held.at.min(now), estimate)
        });
        if self.agreed.is_some() {
            self.state = ClockState::Holdover;
            self.is_vouched = memory.is_vouched;
        }
        self.history = History::resumed(&memory.history, now);
        self.leap_until = memory.leap_until.map(|until| until.min(now.plus(LEAP)));
    }

    /// Holds the source with this index for one that contradicts the majority, until it agrees with one.
    pub fn condemn(&mut self, source: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.condemned = true;
        }
    }

    /// Goes on with other sources: each is the one that had the index beside it, or new. The estimate holds.
    pub fn reload(&mut self, sources: impl IntoIterator<Item = (Witness, Option<usize>)>, now: BootTime) {
        let mut before: Vec<Option<Source>> = std::mem::take(&mut self.sources).into_iter().map(Some).collect();
        let mut keep = |index: usize| before.get_mut(index).and_then(Option::take);
        self.sources = sources
            .into_iter()
            .map(|(witness, kept)| kept.and_then(&mut keep).unwrap_or_else(|| Source::new(witness)))
            .collect();
        self.round = now;
        if self.state == ClockState::Synchronized
            && !self.sources.iter().any(|source| source.verdict == Verdict::Truechimer)
        {
            self.state = ClockState::Holdover;
        }
    }

    /// Takes an answer of the source with this index.
    pub fn answered(&mut self, source: usize, sample: Sample, now: BootTime) -> Offered {
        if sample.leap_announced {
            self.leap_until = Some(now.plus(LEAP));
        }
        let held = self.estimate(now);
        // One that comes back to what is held brings no news.
        let is_news = held.is_some_and(|held| contradicts(&held, sample.anchor, sample.error_bound(now, 0.0)));
        let Some(source) = self.sources.get_mut(source) else { return Offered::Suspected };
        source.polled(true, now);
        source.last_failure = Failure::Unanswered;
        let offered = source.filter.offer(sample, is_news);
        if let Offered::Jumped { since } = offered
            && is_news
        {
            self.jump = self.jump.max(Some(since));
        }
        self.agree(now);
        offered
    }

    /// Takes note of a poll of the source with this index that gave no answer.
    pub fn failed(&mut self, source: usize, failure: Failure, now: BootTime) {
        let Some(source) = self.sources.get_mut(source) else { return };
        source.polled(false, now);
        source.last_failure = failure;
        self.agree(now);
    }

    /// Takes note that somebody set the system clock: what disciplined it before may not do so any more.
    pub fn stepped(&mut self) {
        self.history.reset();
    }

    /// Takes note that the host slept for `by`: both clocks were set by one that is not very exact, and what was measured
    /// before is worth that much less.
    pub fn slept(&mut self, by: Span, now: BootTime) {
        let doubt = ASLEEP_RESOLUTION.plus(by.abs().scaled(ASLEEP_FREQUENCY));
        if let Some((_, estimate)) = &mut self.agreed {
            estimate.bound = ErrorBound::new(estimate.bound.span().plus(doubt));
        }
        for source in &mut self.sources {
            source.filter.doubt(doubt);
        }
        self.history.reset();
        // What was said before is no quorum now, and the first answer is not believed before the others were asked.
        self.jump = Some(now);
        if self.state == ClockState::Synchronized {
            self.state = ClockState::Holdover;
        }
    }

    /// What is known at `now`.
    pub fn state(&self, now: BootTime) -> ClockState {
        match (self.state, self.estimate(now)) {
            (ClockState::Starting, _) if now.since(self.started) > STARTING => ClockState::Unknown,
            (ClockState::Holdover, Some(estimate)) if estimate.bound.span() > WORTHLESS => ClockState::Unknown,
            (state, _) => state,
        }
    }

    /// The last agreed estimate, with the bound that it has grown to at `now`.
    pub fn estimate(&self, now: BootTime) -> Option<Estimate> {
        self.agreed.map(|(at, estimate)| {
            let age = now.since(at).abs().scaled(self.aging());
            Estimate { bound: ErrorBound::new(estimate.bound.span().plus(age)), ..estimate }
        })
    }

    /// The trend of the offset.
    pub const fn drift(&self) -> Option<Drift> {
        self.history.drift()
    }

    /// Whether the estimate rests on more than a single answer of a single source.
    pub fn is_confirmed(&self) -> bool {
        let honest = || self.sources.iter().filter(|source| source.verdict == Verdict::Truechimer);
        honest().count() > 1 || honest().any(|source| source.filter.is_confirmed())
    }

    /// Whether a quorum, two sources that agree or more, or a trusted source vouches for the estimate that is held. One
    /// source that is not trusted does not, for then whoever forges its answers would decide what time it is.
    pub const fn is_vouched(&self) -> bool {
        self.is_vouched
    }

    /// The sources, in the order of the configuration.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What the local clock may gain, in seconds a second: the tolerance of RFC 5905, and the drift that was measured.
    fn aging(&self) -> f64 {
        FREQUENCY_TOLERANCE
            + self.history.drift().filter(Drift::is_significant).map_or(0.0, |drift| drift.pessimistic().abs())
    }

    fn agree(&mut self, now: BootTime) {
        if self.must_wait(now) {
            return;
        }
        let (aging, grace) = (self.aging(), self.leap_grace(now));
        let held = self.estimate(now);
        let jump = self.jump;
        let of = |source: &Source| source.candidate(now, aging, grace).filter(|_| !source.is_outdated(jump));
        let candidates: Vec<_> = self.sources.iter().map(of).collect();
        let heard = self.heard(&candidates, held);
        let agreement = intersect(&heard).filter(|agreement| self.may_overturn(held, agreement, &heard, now));
        for (source, candidate) in self.sources.iter_mut().zip(&candidates) {
            source.verdict = match (candidate, &agreement) {
                // Asked since the jump, and not heard: what it said before says nothing now.
                (None, _) if source.is_reachable() && source.is_outdated(jump) => Verdict::Undecided,
                (None, _) => source.silent_verdict(),
                (Some(candidate), Some(agreement)) if candidate.agrees_with(agreement) => Verdict::Truechimer,
                (Some(_), Some(_)) => Verdict::Falseticker,
                (Some(_), None) if source.condemned => Verdict::Falseticker,
                (Some(_), None) => Verdict::Undecided,
            };
            match source.verdict {
                Verdict::Truechimer => source.condemned = false,
                Verdict::Falseticker => source.condemned = true,
                _ => {}
            }
        }
        self.state = match agreement {
            Some(agreement) => {
                self.is_vouched = is_vouched(&agreement, &heard);
                self.adopt(&agreement, now, aging);
                ClockState::Synchronized
            }
            None if !heard.is_empty() => ClockState::Disagreement,
            None if self.agreed.is_some() => ClockState::Holdover,
            None if self.sources.iter().all(|source| source.verdict != Verdict::WarmingUp) => ClockState::Unknown,
            None => self.state,
        };
    }

    /// Whether to judge now would be to believe whoever happens to answer first: at the start, and after a jump.
    fn must_wait(&self, now: BootTime) -> bool {
        let is_first = now.since(self.round) < FIRST_ROUND;
        let is_unasked = |source: &Source| source.polls == 0;
        let has_jumped = self.jump.is_some_and(|jump| now.since(jump) < SECOND_OPINION);
        let is_unasked_since =
            |source: &Source| source.is_reachable() && source.is_outdated(self.jump) && source.last_poll < self.jump;
        (is_first && self.sources.iter().any(is_unasked)) || (has_jumped && self.sources.iter().any(is_unasked_since))
    }

    /// The candidates that count. A falseticker does not become right because the others fell silent: one that
    /// contradicts what is held counts only if another, who is no falseticker, says the same, or if it is trusted and
    /// there is nobody else to ask.
    fn heard(&self, candidates: &[Option<Candidate>], held: Option<Estimate>) -> Vec<Candidate> {
        let is_accepted = |source: &Source, candidate: &Candidate| {
            !source.condemned || held.is_none_or(|held| !contradicts(&held, candidate.anchor, candidate.bound))
        };
        let all: Vec<(&Source, Candidate)> = self
            .sources
            .iter()
            .zip(candidates)
            .filter_map(|(source, candidate)| Some((source, (*candidate)?)))
            .collect();
        let accepted: Vec<Candidate> =
            all.iter().filter(|(source, one)| is_accepted(source, one)).map(|(_, one)| *one).collect();
        let is_heard = |source: &Source, candidate: &Candidate| {
            is_accepted(source, candidate)
                || accepted.iter().any(|other| candidate.overlaps(other))
                || (candidate.trusted && accepted.is_empty())
        };
        all.iter().filter(|(source, one)| is_heard(source, one)).map(|(_, one)| *one).collect()
    }

    /// What contradicts the estimate that is held needs more than the majority of those who happen to answer: a
    /// majority of all that have answered lately, or a trusted source.
    fn may_overturn(&self, held: Option<Estimate>, agreement: &Agreement, heard: &[Candidate], now: BootTime) -> bool {
        if held.is_none_or(|held| !contradicts(&held, agreement.anchor, agreement.bound)) {
            return true;
        }
        let electorate = self.sources.iter().filter(|source| source.has_a_vote(now)).count();
        let supporters = || heard.iter().filter(|candidate| candidate.agrees_with(agreement));
        supporters().any(|candidate| candidate.trusted) || supporters().count() > electorate / 2
    }

    fn adopt(&mut self, agreement: &Agreement, now: BootTime, aging: f64) {
        let estimate = Estimate { anchor: agreement.anchor, bound: agreement.bound };
        // True time jumped against the boot clock, and the trend ended there.
        if self.estimate(now).is_some_and(|held| contradicts(&held, estimate.anchor, estimate.bound)) {
            self.history.reset();
        }
        // The trend is drawn through the measurements themselves, not through what was made of them later.
        let measured = self
            .sources
            .iter()
            .filter(|source| source.verdict == Verdict::Truechimer)
            .filter_map(|source| source.filter.best(now, aging))
            .min_by_key(|sample| (sample.anchor.since(agreement.anchor).abs(), sample.root_distance()));
        if let Some(sample) = measured {
            self.history.push(sample.at, sample.anchor);
        }
        self.agreed = Some((now, estimate));
    }

    /// Smeared and unsmeared sources differ by up to half a second around a leap second, and neither lies.
    fn leap_grace(&self, now: BootTime) -> Span {
        let smeared = self.sources.iter().filter(|source| source.witness.leap_smear).count();
        let mixed = smeared > 0 && smeared < self.sources.len();
        if mixed && self.leap_until.is_some_and(|until| now < until) { SMEAR } else { Span::ZERO }
    }
}

/// Whether a claim lies further from what is held than both bounds explain.
fn contradicts(held: &Estimate, anchor: Anchor, bound: ErrorBound) -> bool {
    anchor.since(held.anchor).abs() > bound.span().plus(held.bound.span()).plus(JUMP)
}

/// An agreement that says nothing is vouched for by nobody.
fn is_vouched(agreement: &Agreement, heard: &[Candidate]) -> bool {
    let supporters = || heard.iter().filter(|candidate| candidate.agrees_with(agreement));
    agreement.bound.span() <= WORTHLESS && (supporters().any(|one| one.trusted) || supporters().count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::filter::tests::sample;
    use crate::clock::time::SystemTime;
    use crate::clock::true_clock::TrueClock;

    const HONEST: Witness = Witness { trusted: false, leap_smear: true };

    fn at(seconds: f64) -> BootTime {
        BootTime::from_seconds(seconds)
    }

    #[test]
    fn sources_that_are_gone_leave_a_holdover_whose_bound_grows() {
        let mut estimator = Estimator::new([HONEST], at(0.0));
        assert_eq!(estimator.state(at(0.0)), ClockState::Starting);
        estimator.answered(0, sample(1.0, 1e9, 0.001), at(1.0));
        assert_eq!(estimator.state(at(1.0)), ClockState::Synchronized);
        for poll in 2..5 {
            estimator.failed(0, Failure::Unanswered, at(f64::from(poll)));
        }
        assert_eq!(estimator.state(at(5.0)), ClockState::Holdover);
        assert_eq!(estimator.sources()[0].verdict(), Verdict::Unreachable);
        let bound = |seconds| estimator.estimate(at(seconds)).unwrap().bound.seconds();
        assert!((bound(1_005.0) - bound(5.0) - 0.015).abs() < 1e-9);
        assert_eq!(estimator.state(at(3e6)), ClockState::Unknown);
    }

    #[test]
    fn nothing_heard_is_unknown_after_a_while_and_at_once_when_all_are_lost() {
        let mut estimator = Estimator::new([HONEST], at(0.0));
        assert_eq!(estimator.state(at(16.0)), ClockState::Unknown);
        for _ in 0..3 {
            estimator.failed(0, Failure::Unanswered, at(1.0));
        }
        assert_eq!(estimator.state(at(1.0)), ClockState::Unknown);
    }

    #[test]
    fn a_liar_among_three_is_named_and_does_no_harm() {
        let mut estimator = Estimator::new([HONEST; 3], at(0.0));
        for (source, anchor) in [(0, 1e9), (1, 1e9 + 30.0), (2, 1e9 + 1e-4)] {
            estimator.answered(source, sample(1.0, anchor, 0.001), at(1.0));
        }
        let verdicts: Vec<_> = estimator.sources().iter().map(Source::verdict).collect();
        assert_eq!(verdicts, [Verdict::Truechimer, Verdict::Falseticker, Verdict::Truechimer]);
        let off = estimator.estimate(at(1.0)).unwrap().anchor.since(Anchor::from_seconds(1e9));
        assert!(off.abs() <= Span::from_seconds(0.002), "{off:?}");
    }

    #[test]
    fn a_liar_does_not_become_right_when_the_others_fall_silent() {
        let mut estimator = Estimator::new([HONEST; 3], at(0.0));
        for (source, anchor) in [(0, 1e9), (1, 1e9 + 30.0), (2, 1e9)] {
            estimator.answered(source, sample(1.0, anchor, 0.001), at(1.0));
        }
        for second in 2..2_000 {
            let now = at(f64::from(second));
            estimator.failed(0, Failure::Unanswered, now);
            estimator.answered(1, sample(f64::from(second), 1e9 + 30.0, 0.001), now);
            estimator.failed(2, Failure::Unanswered, now);
        }
        assert_eq!(estimator.state(at(2_000.0)), ClockState::Holdover);
        assert_eq!(estimator.sources()[1].verdict(), Verdict::Falseticker);
        // Once the others are back and say the same, it was right.
        for source in [0, 2, 0, 2, 1] {
            estimator.answered(source, sample(2_001.0, 1e9 + 30.0, 0.001), at(2_001.0));
        }
        assert_eq!(estimator.state(at(2_001.0)), ClockState::Synchronized);
        assert_eq!(estimator.sources()[1].verdict(), Verdict::Truechimer);
    }

    #[test]
    fn whoever_answers_first_is_not_believed_before_the_others_were_asked() {
        let orders = [[(0, 1e9 + 400.0), (1, 1e9), (2, 1e9)], [(1, 1e9), (2, 1e9), (0, 1e9 + 400.0)]];
        for order in orders {
            let mut estimator = Estimator::new([HONEST; 3], at(0.0));
            for (source, anchor) in order {
                assert!(estimator.estimate(at(1.0)).is_none());
                estimator.answered(source, sample(1.0, anchor, 0.001), at(1.0));
            }
            assert_eq!(estimator.sources()[0].verdict(), Verdict::Falseticker);
            assert!(
                estimator.estimate(at(1.0)).unwrap().anchor.since(Anchor::from_seconds(1e9)).abs().seconds() < 0.01
            );
        }
        let mut estimator = Estimator::new([HONEST; 3], at(0.0));
        estimator.answered(1, sample(11.0, 1e9, 0.001), at(11.0));
        assert_eq!(
            estimator.state(at(11.0)),
            ClockState::Synchronized,
            "one that is never asked does not block for ever"
        );
    }

    #[test]
    fn one_answer_of_one_source_is_not_confirmed_two_of_one_or_one_of_two_are() {
        let mut one = Estimator::new([HONEST], at(0.0));
        one.answered(0, sample(1.0, 1e9, 0.001), at(1.0));
        assert!(one.estimate(at(1.0)).is_some() && !one.is_confirmed());
        one.answered(0, sample(2.0, 1e9, 0.001), at(2.0));
        assert!(one.is_confirmed());
        let mut two = Estimator::new([HONEST; 2], at(0.0));
        for source in [0, 1] {
            two.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        assert!(two.is_confirmed());
    }

    #[test]
    fn a_quorum_or_a_trusted_source_vouches_and_a_single_one_does_not() {
        let told = |witnesses: &[Witness], anchors: &[f64]| {
            let mut estimator = Estimator::new(witnesses.iter().copied(), at(0.0));
            for _ in 0..4 {
                for (source, anchor) in anchors.iter().enumerate() {
                    estimator.answered(source, sample(1.0, *anchor, 0.001), at(1.0));
                }
            }
            estimator
        };
        let trusted = Witness { trusted: true, leap_smear: true };
        assert!(!told(&[HONEST], &[1e9]).is_vouched(), "however often it answers");
        assert!(!told(&[HONEST; 2], &[1e9]).is_vouched(), "nor if the other was not asked");
        assert!(!told(&[HONEST; 2], &[1e9, 1e9 + 30.0]).is_vouched(), "nor if the other contradicts it");
        assert!(told(&[trusted], &[1e9]).is_vouched());
        assert!(told(&[HONEST; 2], &[1e9, 1e9]).is_vouched());
        assert!(told(&[HONEST; 3], &[1e9, 1e9 + 30.0, 1e9]).is_vouched());
        assert!(told(&[trusted, HONEST], &[1e9, 1e9 + 30.0]).is_vouched());
        let mut vague = Estimator::new([trusted, HONEST], at(0.0));
        for source in [0, 1] {
            vague.answered(source, sample(1.0, 1e9, 3_600.0), at(1.0));
        }
        assert!(vague.estimate(at(1.0)).is_some() && !vague.is_vouched(), "what is an hour wide says nothing");
    }

    #[test]
    fn what_a_quorum_has_told_tls_holds_when_it_falls_silent_and_when_one_alone_overturns_it() {
        let clock = TrueClock::default();
        let mut estimator = Estimator::new([HONEST; 2], at(0.0));
        let mut step = |source, anchor: Option<f64>, second: f64| {
            let now = at(second);
            match anchor {
                Some(anchor) => drop(estimator.answered(source, sample(second, anchor, 0.001), now)),
                None => estimator.failed(source, Failure::Unanswered, now),
            }
            if let Some(estimate) = estimator.estimate(now) {
                clock.set(estimate.anchor, estimator.is_vouched());
            }
            let reading = Reading { boot: now, system: SystemTime::ZERO };
            let anchors =
                [clock.at(reading), clock.vouched_at(reading)].map(|stamp| stamp.time.anchored(now).seconds());
            (estimator.state(now), anchors)
        };
        for source in [0, 1] {
            step(source, Some(1e9), 1.0);
        }
        for second in [2.0, 3.0, 4.0] {
            step(0, None, second);
            step(1, None, second);
        }
        assert_eq!(step(1, None, 5.0), (ClockState::Holdover, [1e9, 1e9]));
        // The first one comes back alone with another time; after a while nobody else has a vote.
        step(0, Some(1e9 + 400.0), 10.0);
        assert_eq!(step(0, Some(1e9 + 400.0), 11.0), (ClockState::Disagreement, [1e9, 1e9]));
        step(0, Some(1e9 + 400.0), 2_000.0);
        let overturned = (ClockState::Synchronized, [1e9 + 400.0, 1e9]);
        assert_eq!(step(0, Some(1e9 + 400.0), 2_001.0), overturned);
        assert_eq!(step(1, Some(1e9 + 400.0), 2_002.0).1, [1e9 + 400.0, 1e9], "one answer proves nothing");
        assert_eq!(step(1, Some(1e9 + 400.0), 2_003.0).1, [1e9 + 400.0; 2]);
    }

    #[test]
    fn after_a_jump_a_trusted_source_is_not_outvoted_by_what_the_others_said_before() {
        let trusted = Witness { trusted: true, leap_smear: true };
        let mut estimator = Estimator::new([trusted, HONEST, HONEST], at(0.0));
        for source in [0, 1, 2] {
            estimator.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        // The host was paused for 400 s, and the way to the others is gone.
        estimator.answered(0, sample(60.0, 1e9 + 400.0, 0.001), at(60.0));
        assert_eq!(
            estimator.answered(0, sample(61.0, 1e9 + 400.0, 0.001), at(61.0)),
            Offered::Jumped { since: at(60.0) }
        );
        let anchor = |estimator: &Estimator, now| estimator.estimate(at(now)).unwrap().anchor;
        assert_eq!(anchor(&estimator, 61.0), Anchor::from_seconds(1e9), "the others are waited for");
        estimator.failed(1, Failure::Unanswered, at(62.0));
        estimator.failed(2, Failure::Unanswered, at(63.0));
        assert_eq!(estimator.state(at(63.0)), ClockState::Synchronized);
        assert_eq!(anchor(&estimator, 63.0), Anchor::from_seconds(1e9 + 400.0));
        assert_eq!(estimator.sources()[0].verdict(), Verdict::Truechimer);
    }

    #[test]
    fn after_a_jump_of_one_the_others_are_asked_before_it_is_believed() {
        let trusted = Witness { trusted: true, leap_smear: true };
        let mut estimator = Estimator::new([trusted, HONEST, HONEST], at(0.0));
        for source in [0, 1, 2] {
            estimator.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        for second in [60.0, 61.0] {
            estimator.answered(0, sample(second, 1e9 + 400.0, 0.001), at(second));
        }
        for source in [1, 2] {
            estimator.answered(source, sample(62.0, 1e9, 0.001), at(62.0));
        }
        assert_eq!(estimator.sources()[0].verdict(), Verdict::Falseticker);
        assert_eq!(estimator.estimate(at(62.0)).unwrap().anchor, Anchor::from_seconds(1e9));
    }

    fn anchor(estimator: &Estimator, now: f64) -> Anchor {
        estimator.estimate(at(now)).unwrap().anchor
    }

    #[test]
    fn a_resumed_estimate_is_a_holdover_whose_bound_grew_while_nobody_looked() {
        let mut before = Estimator::new([HONEST; 3], at(0.0));
        for source in [0, 1, 2] {
            before.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        let mut after = Estimator::new([HONEST; 3], at(1_001.0));
        after.resume(&before.memory(), at(1_001.0));
        assert_eq!(after.state(at(1_001.0)), ClockState::Holdover);
        assert_eq!(after.estimate(at(1_001.0)), before.estimate(at(1_001.0)));
        assert!(after.is_vouched(), "TLS goes on by what a quorum has told");
        // Whoever answers first does not overturn it.
        after.answered(0, sample(1_002.0, 1e9 + 400.0, 0.001), at(1_002.0));
        assert_eq!(anchor(&after, 1_002.0), Anchor::from_seconds(1e9));
        for source in [1, 2] {
            after.answered(source, sample(1_002.0, 1e9, 0.001), at(1_002.0));
        }
        after.answered(0, sample(1_003.0, 1e9 + 400.0, 0.001), at(1_003.0));
        assert_eq!(after.state(at(1_003.0)), ClockState::Synchronized);
        assert_eq!(after.sources()[0].verdict(), Verdict::Falseticker);
    }

    #[test]
    fn one_bad_answer_of_a_trusted_source_after_a_restart_proves_nothing() {
        let witnesses = [Witness { trusted: true, leap_smear: true }, HONEST];
        let mut before = Estimator::new(witnesses, at(0.0));
        for source in [0, 1] {
            before.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        let mut after = Estimator::new(witnesses, at(2.0));
        after.resume(&before.memory(), at(2.0));
        after.answered(1, sample(3.0, 1e9, 0.001), at(3.0));
        assert_eq!(after.answered(0, sample(3.0, 1e9 + 1_000.0, 0.001), at(3.0)), Offered::Suspected);
        assert_eq!((after.state(at(3.0)), anchor(&after, 3.0)), (ClockState::Synchronized, Anchor::from_seconds(1e9)));
    }

    #[test]
    fn one_that_was_condemned_before_does_not_win_when_it_alone_answers() {
        let mut before = Estimator::new([HONEST; 3], at(0.0));
        for source in [0, 1, 2] {
            before.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        let mut after = Estimator::new([HONEST; 3], at(2.0));
        after.resume(&before.memory(), at(2.0));
        after.condemn(1);
        for second in 2..60 {
            let now = f64::from(second);
            after.failed(0, Failure::Unanswered, at(now));
            after.answered(1, sample(now, 1e9 + 400.0, 0.001), at(now));
            after.failed(2, Failure::Unanswered, at(now));
        }
        assert_eq!((after.state(at(60.0)), anchor(&after, 60.0)), (ClockState::Holdover, Anchor::from_seconds(1e9)));
    }

    #[test]
    fn a_reload_keeps_what_is_known_of_the_sources_that_stay() {
        let mut estimator = Estimator::new([HONEST; 3], at(0.0));
        for (source, anchor) in [(0, 1e9), (1, 1e9 + 30.0), (2, 1e9)] {
            estimator.answered(source, sample(1.0, anchor, 0.001), at(1.0));
        }
        estimator.reload([(HONEST, Some(2)), (HONEST, None), (HONEST, Some(1))], at(2.0));
        let verdicts: Vec<_> = estimator.sources().iter().map(Source::verdict).collect();
        assert_eq!(verdicts, [Verdict::Truechimer, Verdict::WarmingUp, Verdict::Falseticker]);
        assert_eq!(estimator.state(at(2.0)), ClockState::Synchronized);
        estimator.reload([(HONEST, None)], at(3.0));
        assert_eq!(
            (estimator.state(at(3.0)), anchor(&estimator, 3.0)),
            (ClockState::Holdover, Anchor::from_seconds(1e9))
        );
    }

    #[test]
    fn after_a_sleep_the_bound_holds_the_error_of_the_clock_that_counted_until_it_is_measured_again() {
        let mut estimator = Estimator::new([HONEST; 2], at(0.0));
        for source in [0, 1] {
            estimator.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        let before = estimator.estimate(at(1.0)).unwrap().bound.seconds();
        let (slept, error) = (10_000.0, 1.9);
        let now = 1.0 + slept;
        estimator.slept(Span::from_seconds(slept), at(now));
        let asleep = estimator.estimate(at(now)).unwrap();
        assert!((asleep.bound.seconds() - before - 1.0 - slept * 115e-6).abs() < 1e-6, "{asleep:?}");
        assert_eq!((estimator.state(at(now)), estimator.drift()), (ClockState::Holdover, None));
        // Without an answer what was said before is no quorum.
        for source in [0, 1] {
            estimator.failed(source, Failure::Unanswered, at(now));
        }
        assert_eq!(estimator.state(at(now)), ClockState::Holdover);
        for source in [0, 1] {
            let offered = estimator.answered(source, sample(now + 1.0, 1e9 - error, 0.001), at(now + 1.0));
            assert_eq!(offered, Offered::Taken);
        }
        assert_eq!(estimator.state(at(now + 1.0)), ClockState::Synchronized);
        assert_eq!(anchor(&estimator, now + 1.0), Anchor::from_seconds(1e9 - error));
        assert!(estimator.estimate(at(now + 1.0)).unwrap().bound.seconds() < 0.01);
    }

    #[test]
    fn two_that_contradict_are_a_disagreement() {
        let mut estimator = Estimator::new([HONEST; 2], at(0.0));
        estimator.answered(0, sample(1.0, 1e9, 0.001), at(1.0));
        estimator.answered(1, sample(1.0, 1e9 + 30.0, 0.001), at(1.0));
        assert_eq!(estimator.state(at(1.0)), ClockState::Disagreement);
        assert_eq!(estimator.sources()[0].verdict(), Verdict::Undecided);
    }

    #[test]
    fn smeared_and_unsmeared_agree_while_a_leap_second_is_announced() {
        let plain = Witness { trusted: false, leap_smear: false };
        let mut estimator = Estimator::new([HONEST, plain], at(0.0));
        let announced = |anchor| Sample { leap_announced: true, ..sample(1.0, anchor, 0.001) };
        estimator.answered(0, announced(1e9), at(1.0));
        estimator.answered(1, announced(1e9 + 0.4), at(1.0));
        assert_eq!(estimator.state(at(1.0)), ClockState::Synchronized);
    }

    #[test]
    fn a_denied_source_stays_denied() {
        let mut estimator = Estimator::new([HONEST], at(0.0));
        estimator.failed(0, Failure::Denied, at(1.0));
        assert_eq!(estimator.sources()[0].verdict(), Verdict::Denied);
        assert_eq!(estimator.state(at(1.0)), ClockState::Unknown);
    }
}
