//! Estimates true time: what all sources say together, how sure that is, and who is wrong.

use serde::{Deserialize, Serialize};

use super::aging::Aging;
use super::decision::{Belief, Hearing, Veto, decide};
use super::drift::{self, Drift, History};
use super::estimate::{ClockState, Estimate, contradicts, is_worthless};
use super::filter::Offered;
use super::intersection::{Agreement, count};
use super::leap::is_leap_night;
use super::sample::{FREQUENCY_TOLERANCE, Failure, Sample};
use super::source::{Source, Traits, Verdict, Word};
use super::steering::{self, Steering};
use crate::time::{Anchor, BootTime, ErrorBound, Offset, Reading, Span};

/// Without a first answer for this long, the state is not `starting` any more.
const STARTING: Span = Span::from_nanos(15 * 1_000_000_000);
/// How long the first estimate waits for sources that have not been asked yet.
const FIRST_ROUND: Span = Span::from_nanos(10 * 1_000_000_000);
/// How long a jump that one source tells waits for the others to be asked as well.
const SECOND_OPINION: Span = Span::from_nanos(20 * 1_000_000_000);
/// While a host sleeps, a clock counts that tells whole seconds.
const ASLEEP_RESOLUTION: Span = Span::from_nanos(1_000_000_000);
/// By how much that clock may be wrong, in seconds a second.
const ASLEEP_FREQUENCY: f64 = 100e-6 + FREQUENCY_TOLERANCE;
/// What is measured no better than this has no part in the trend: it would be taken for one where there is none.
const COARSE: Span = Span::from_nanos(50_000_000);
/// By how much a smeared source may differ from an unsmeared one.
const SMEAR: Span = Span::from_nanos(500_000_000);

/// The whole estimate.
///
/// All anchors in it, those of the sources included, are kept without what the kernel has added to the boot clock
/// ([`Steering`]), because a clock that is slewed makes what was measured neither wrong nor old. What it is asked for is
/// true minus boot time.
#[derive(Clone, Debug)]
pub struct Estimator {
    started: BootTime,
    /// Since when sources that were not asked yet are waited for.
    round: BootTime,
    sources: Vec<Source>,
    agreed: Option<Agreed>,
    is_vouched: bool,
    state: ClockState,
    steering: Steering,
    history: History,
    /// When true time was last found to have moved against the boot clock, by whichever source.
    jump: Option<BootTime>,
}

/// What of the estimate outlives the process, while the host is not booted again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    agreed: Option<Agreed>,
    is_vouched: bool,
    steering: Option<steering::Memory>,
    history: drift::Memory,
}

/// An estimate, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Agreed {
    at: BootTime,
    anchor: Anchor,
    bound: Span,
    /// For how long the host has slept since: what that may have done is in the bound.
    asleep: Span,
}

impl Estimator {
    /// Starts without knowing anything.
    pub fn new(witnesses: impl IntoIterator<Item = Traits>, now: BootTime) -> Self {
        Self {
            started: now,
            round: now,
            sources: witnesses.into_iter().map(Source::new).collect(),
            agreed: None,
            is_vouched: false,
            state: ClockState::Starting,
            steering: Steering::default(),
            history: History::default(),
            jump: None,
        }
    }

    /// What is to outlive the process.
    pub fn memory(&self) -> Memory {
        Memory {
            agreed: self.agreed,
            is_vouched: self.is_vouched,
            steering: self.steering.memory(),
            history: self.history.memory(),
        }
    }

    /// Goes on with what was remembered: the last estimate holds, until the sources are heard.
    pub fn resume(&mut self, memory: &Memory, now: BootTime) {
        self.agreed = memory.agreed.map(|held| Agreed { at: held.at.min(now), ..held });
        self.steering = Steering::resumed(memory.steering);
        if self.agreed.is_some() {
            self.state = ClockState::Holdover;
            self.is_vouched = memory.is_vouched;
        }
        self.history = History::resumed(&memory.history, now);
    }

    /// Holds the source with this index for one that contradicts the majority, until it agrees with one.
    pub fn condemn(&mut self, source: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.condemn();
        }
    }

    /// Goes on with other sources: each is the one that had the index beside it, or new. The estimate holds.
    pub fn reload(&mut self, sources: impl IntoIterator<Item = (Traits, Option<usize>)>, now: BootTime) {
        let mut before: Vec<Option<Source>> = std::mem::take(&mut self.sources).into_iter().map(Some).collect();
        let mut keep = |index: usize| before.get_mut(index).and_then(Option::take);
        self.sources = sources
            .into_iter()
            .map(|(witness, kept)| match kept.and_then(&mut keep) {
                Some(source) => source.now_as(witness),
                None => Source::new(witness),
            })
            .collect();
        self.round = now;
        if self.state == ClockState::Synchronized
            && !self.sources.iter().any(|source| source.verdict() == Verdict::Truechimer)
        {
            self.state = ClockState::Holdover;
        }
    }

    /// Takes note of what the kernel has added to its clocks by `now` ([`super::local::steered`]). Who never tells it is
    /// taken to have a kernel that adds nothing.
    pub fn steered(&mut self, added: Span, now: BootTime) {
        self.steering.take(added, now);
    }

    /// Takes an answer of the source with this index.
    pub fn answered(&mut self, source: usize, sample: Sample, now: BootTime) -> Offered {
        let sample = Sample {
            anchor: self.steering.removed(sample.anchor, sample.at),
            root_dispersion: sample.root_dispersion.plus(self.steering.doubt(sample.at)),
            ..sample
        };
        // One that comes back to what is held brings no news.
        let is_news =
            self.held(now).is_some_and(|held| contradicts(&held, sample.anchor, sample.error_bound(now, 0.0)));
        let Some(source) = self.sources.get_mut(source) else { return Offered::Suspected };
        source.answered(now);
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
        source.failed(failure, now);
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
        if let Some(agreed) = &mut self.agreed {
            agreed.asleep = agreed.asleep.plus(by);
            agreed.bound = agreed.bound.plus(doubt);
        }
        for source in &mut self.sources {
            source.filter.slept(by, doubt);
        }
        self.history.reset();
        // What was said before is no quorum now, and the first answer is not believed before the others were asked.
        self.jump = Some(now);
        if self.state == ClockState::Synchronized {
            self.state = ClockState::Holdover;
        }
    }

    /// Takes note that the clocks of this machine were disrupted, as where it was moved to another host: of what was measured
    /// before nothing says anything any more, but for who contradicted the majority.
    pub fn disrupted(&mut self, now: BootTime) {
        self.agreed = None;
        self.is_vouched = false;
        self.state = ClockState::Starting;
        (self.started, self.round, self.jump) = (now, now, None);
        self.history.reset();
        self.sources.iter_mut().for_each(Source::forget);
    }

    /// What is known at `now`.
    pub fn state(&self, now: BootTime) -> ClockState {
        match (self.state, self.estimate(now)) {
            (ClockState::Starting, _) if now.since(self.started) > STARTING => ClockState::Unknown,
            (ClockState::Holdover, Some(estimate)) if is_worthless(estimate.bound) => ClockState::Unknown,
            (state, _) => state,
        }
    }

    /// The last agreed estimate as it is at `now`, with the bound that it has grown to.
    pub fn estimate(&self, now: BootTime) -> Option<Estimate> {
        self.held(now).map(|held| Estimate { anchor: self.steering.applied(held.anchor, now), ..held })
    }

    /// The offset of the system clock, as this source alone has it.
    pub fn claimed(&self, source: &Source, reading: Reading) -> Option<Offset> {
        let sample = source.latest()?;
        let anchor = self.aging().moved(sample.anchor, reading.boot.since(sample.at));
        Some(reading.offset(self.steering.applied(anchor, reading.boot)))
    }

    /// The trend of the offset, as long as the kernel steers as it does now.
    pub fn drift(&self) -> Option<Drift> {
        let trend = self.history.drift()?;
        Some(match self.steering.rate() {
            Some(now) => Drift {
                rate: trend.rate - now.rate,
                low: trend.low - now.rate - now.error,
                high: trend.high - now.rate + now.error,
            },
            None => trend,
        })
    }

    /// Whether the estimate rests on more than a single answer of a single source.
    pub fn is_confirmed(&self) -> bool {
        let honest = || self.sources.iter().filter(|source| source.verdict() == Verdict::Truechimer);
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

    /// What is held at `now`, without what the kernel has added.
    fn held(&self, now: BootTime) -> Option<Estimate> {
        let aging = self.aging();
        self.agreed.map(|agreed| {
            let age = now.minus(agreed.asleep).since(agreed.at);
            let bound = ErrorBound::new(aging.grown(agreed.bound, age));
            Estimate { anchor: aging.moved(agreed.anchor, age), bound }
        })
    }

    fn aging(&self) -> Aging {
        Aging::new(self.history.drift(), self.steering.rate())
    }

    fn agree(&mut self, now: BootTime) {
        let held = self.held(now);
        let (mut words, mut decision) = self.hear(held, now);
        // What was just agreed and what is held cannot both be true, so that the trend is over by which all has aged.
        if let (Some(held), Ok(belief)) = (held, decision)
            && self.history.drift().is_some()
            && excludes(&held, &belief.agreement)
        {
            self.history.reset();
            (words, decision) = self.hear(self.held(now), now);
        }
        if matches!(decision, Err(Veto::FirstRound | Veto::SecondOpinion)) {
            return;
        }
        for (source, word) in self.sources.iter_mut().zip(words) {
            source.judge(verdict(source, word, decision.ok()));
        }
        self.state = match decision {
            Ok(Belief { agreement, is_vouched }) => {
                self.is_vouched = is_vouched;
                self.adopt(&agreement, now);
                ClockState::Synchronized
            }
            Err(Veto::NoMajority | Veto::Overturns) => ClockState::Disagreement,
            Err(_) if self.agreed.is_some() => ClockState::Holdover,
            Err(_) if self.sources.iter().all(|source| source.verdict() != Verdict::WarmingUp) => ClockState::Unknown,
            Err(_) => self.state,
        };
    }

    /// What every source has to say at `now`, and whom to believe.
    fn hear(&self, held: Option<Estimate>, now: BootTime) -> (Vec<Word>, Result<Belief, Veto>) {
        let (aging, grace) = (self.aging(), self.leap_grace(now));
        let words: Vec<_> = self.sources.iter().map(|source| source.word(now, &aging, grace, self.jump)).collect();
        let decision = decide(&Hearing {
            words: &words,
            held,
            electorate: count(self.sources.iter().filter(|source| source.has_a_vote(now)).map(|one| one.witness.group)),
            awaits_first_round: now.since(self.round) < FIRST_ROUND,
            awaits_second_opinion: self.jump.is_some_and(|jump| now.since(jump) < SECOND_OPINION),
        });
        (words, decision)
    }

    fn adopt(&mut self, agreement: &Agreement, now: BootTime) {
        // True time jumped against the boot clock, and the trend ended there.
        if self.held(now).is_some_and(|held| contradicts(&held, agreement.anchor, agreement.bound)) {
            self.history.reset();
        }
        // The trend is drawn through the measurements themselves, not through what was made of them later.
        let aging = self.aging();
        let measured = self
            .sources
            .iter()
            .filter(|source| source.verdict() == Verdict::Truechimer)
            .filter_map(|source| source.filter.best(now, &aging))
            .filter(|claim| claim.sample.root_distance() <= COARSE)
            .min_by_key(|claim| (claim.anchor.since(agreement.anchor).abs(), claim.sample.root_distance()));
        if let Some(claim) = measured {
            self.history.push(claim.sample.at, claim.sample.anchor);
        }
        let (anchor, bound) = (agreement.anchor, agreement.bound.span());
        self.agreed = Some(Agreed { at: now, anchor, bound, asleep: Span::ZERO });
    }

    /// Smeared and unsmeared sources differ by up to half a second around a leap second, and neither lies.
    fn leap_grace(&self, now: BootTime) -> Span {
        let smeared = self.sources.iter().filter(|source| source.witness.leap_smear).count();
        let mixed = smeared > 0 && smeared < self.sources.len();
        // Whoever tells the time, right or half a second off, knows the day.
        let told = || self.sources.iter().find_map(|source| Some(source.latest()?.anchor));
        let anchor = self.agreed.map(|agreed| agreed.anchor).or_else(told);
        if mixed && anchor.is_some_and(|anchor| is_leap_night(anchor.at(now))) { SMEAR } else { Span::ZERO }
    }
}

/// The verdict on a source that said this, where this is believed or nobody is.
fn verdict(source: &Source, word: Word, belief: Option<Belief>) -> Verdict {
    match (word, belief) {
        (Word::Unasked | Word::Silent, _) => source.silent_verdict(),
        (Word::Outdated { .. }, _) | (Word::Accepted(_), None) => Verdict::Undecided,
        (Word::Condemned(_), None) => Verdict::Falseticker,
        (Word::Accepted(candidate) | Word::Condemned(candidate), Some(Belief { agreement, .. })) => {
            if candidate.agrees_with(&agreement) { Verdict::Truechimer } else { Verdict::Falseticker }
        }
    }
}

/// Whether what is held and what was agreed cannot both be true.
const fn excludes(held: &Estimate, agreement: &Agreement) -> bool {
    let (low, high) = (held.anchor.minus(held.bound.span()), held.anchor.plus(held.bound.span()));
    agreement.high.nanos() < low.nanos() || high.nanos() < agreement.low.nanos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::filter::tests::sample;
    use crate::clock::intersection::Group;
    use crate::clock::true_clock::TrueClock;
    use crate::time::SystemTime;

    const HONEST: Traits = Traits { trusted: false, leap_smear: true, group: None };

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
        // Nobody knows how wrong the oscillator is: 500 ppm, and the 15 of any clock.
        assert!((bound(1_005.0) - bound(5.0) - 0.515).abs() < 1e-9);
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
        let told = |witnesses: &[Traits], anchors: &[f64]| {
            let mut estimator = Estimator::new(witnesses.iter().copied(), at(0.0));
            for _ in 0..4 {
                for (source, anchor) in anchors.iter().enumerate() {
                    estimator.answered(source, sample(1.0, *anchor, 0.001), at(1.0));
                }
            }
            estimator
        };
        let trusted = Traits { trusted: true, ..HONEST };
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
            step(source, Some(2e9), 1.0);
        }
        for second in [2.0, 3.0, 4.0] {
            step(0, None, second);
            step(1, None, second);
        }
        assert_eq!(step(1, None, 5.0), (ClockState::Holdover, [2e9, 2e9]));
        // The first one comes back alone with another time; after a while nobody else has a vote.
        step(0, Some(2e9 + 400.0), 10.0);
        assert_eq!(step(0, Some(2e9 + 400.0), 11.0), (ClockState::Disagreement, [2e9, 2e9]));
        step(0, Some(2e9 + 400.0), 2_000.0);
        let overturned = (ClockState::Synchronized, [2e9 + 400.0, 2e9]);
        assert_eq!(step(0, Some(2e9 + 400.0), 2_001.0), overturned);
        assert_eq!(step(1, Some(2e9 + 400.0), 2_002.0).1, [2e9 + 400.0, 2e9], "one answer proves nothing");
        assert_eq!(step(1, Some(2e9 + 400.0), 2_003.0).1, [2e9 + 400.0; 2]);
    }

    #[test]
    fn after_a_jump_a_trusted_source_is_not_outvoted_by_what_the_others_said_before() {
        let trusted = Traits { trusted: true, ..HONEST };
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
        let trusted = Traits { trusted: true, ..HONEST };
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
    fn whoever_is_confirmed_first_after_a_restart_is_not_believed_before_those_that_have_answered_as_well() {
        let told = 1e9 + 0.5;
        for trusted in [false, true] {
            let witnesses = [Traits { trusted, ..HONEST }, HONEST, HONEST, HONEST];
            let mut before = Estimator::new(witnesses, at(0.0));
            for source in 0..4 {
                before.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
            }
            // The clock runs away, so that all contradict what is held, and one of them lies.
            let mut after = Estimator::new(witnesses, at(20.0));
            after.resume(&before.memory(), at(20.0));
            let lie = told - 400.0;
            for (source, said) in [(1, told), (0, lie), (2, told), (3, told)] {
                assert_eq!(after.answered(source, sample(21.0, said, 0.001), at(21.0)), Offered::Suspected);
            }
            let offered = after.answered(0, sample(22.0, lie, 0.001), at(22.0));
            assert_eq!(offered, Offered::Jumped { since: at(21.0) });
            assert_eq!(anchor(&after, 22.0), Anchor::from_seconds(1e9), "the others have answered, too");
            for source in 1..4 {
                after.answered(source, sample(22.0, told, 0.001), at(22.0));
                assert_ne!(anchor(&after, 22.0), Anchor::from_seconds(lie));
            }
            assert_eq!((after.state(at(22.0)), anchor(&after, 22.0).seconds()), (ClockState::Synchronized, told));
            assert_eq!(after.sources()[0].verdict(), Verdict::Falseticker);
        }
    }

    #[test]
    fn an_answer_that_nothing_has_confirmed_yet_has_a_vote_against_one_that_is_alone() {
        let mut before = Estimator::new([HONEST; 4], at(0.0));
        for source in 0..4 {
            before.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        let mut after = Estimator::new([HONEST; 4], at(20.0));
        after.resume(&before.memory(), at(20.0));
        for (source, said) in [(0, 1e9 - 400.0), (1, 1e9 + 0.5), (2, 1e9 + 0.5), (3, 1e9 + 0.5)] {
            after.answered(source, sample(21.0, said, 0.001), at(21.0));
        }
        // From then on the others are silent, and one is heard alone.
        for second in 22..1_000 {
            let now = f64::from(second);
            after.answered(0, sample(now, 1e9 - 400.0, 0.001), at(now));
            for source in 1..4 {
                after.failed(source, Failure::Unanswered, at(now));
            }
            let is_overturned = now - 21.0 >= 900.0;
            let expected = if is_overturned { ClockState::Synchronized } else { ClockState::Disagreement };
            assert_eq!((second, after.state(at(now))), (second, expected));
        }
    }

    #[test]
    fn a_trusted_source_that_was_outvoted_does_not_win_because_the_others_are_yet_to_confirm_a_jump() {
        let trusted = Traits { trusted: true, ..HONEST };
        let mut estimator = Estimator::new([trusted, HONEST, HONEST], at(0.0));
        for (source, said) in [(1, 1e9), (2, 1e9), (0, 1e9 - 30.0)] {
            estimator.answered(source, sample(1.0, said, 0.001), at(1.0));
        }
        assert_eq!(estimator.sources()[0].verdict(), Verdict::Falseticker);
        // The host was paused for 400 s, and all are asked twice.
        let told = 1e9 + 400.0;
        for (second, believed) in [(60.0, [1e9, 1e9, 1e9]), (61.0, [1e9, 1e9, told])] {
            for ((source, said), believed) in [(0, told - 30.0), (1, told), (2, told)].into_iter().zip(believed) {
                estimator.answered(source, sample(second, said, 0.001), at(second));
                assert_eq!(anchor(&estimator, second), Anchor::from_seconds(believed), "{second} s, {source}");
            }
        }
        assert_eq!(estimator.sources()[0].verdict(), Verdict::Falseticker);
    }

    #[test]
    fn one_bad_answer_of_a_trusted_source_after_a_restart_proves_nothing() {
        let witnesses = [Traits { trusted: true, ..HONEST }, HONEST];
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
    fn smeared_and_unsmeared_agree_in_the_night_of_a_leap_second_whoever_announces_it() {
        let plain = Traits { leap_smear: false, ..HONEST };
        let state = |date: &str, apart: f64| {
            let anchor = chrono::DateTime::parse_from_rfc3339(date).unwrap().timestamp() as f64;
            let mut estimator = Estimator::new([HONEST, plain], at(0.0));
            estimator.answered(0, sample(1.0, anchor, 0.001), at(1.0));
            estimator.answered(1, sample(1.0, anchor + apart, 0.001), at(1.0));
            estimator.state(at(1.0))
        };
        for night in ["2026-12-31T12:00:00Z", "2027-01-01T11:59:00Z", "2027-06-30T23:59:59Z", "2027-07-01T00:00:00Z"] {
            assert_eq!(state(night, 0.49), ClockState::Synchronized, "{night}");
            assert_eq!(state(night, 1.2), ClockState::Disagreement, "{night}");
        }
        for day in ["2026-11-30T23:59:59Z", "2026-12-30T23:00:00Z", "2027-01-02T01:00:00Z", "2027-04-01T00:00:00Z"] {
            assert_eq!(state(day, 0.49), ClockState::Disagreement, "{day}");
        }
    }

    #[test]
    fn two_sources_of_one_witness_never_outvote_two_others_and_vouch_for_nothing_by_themselves() {
        let nitro = Traits { group: Some(Group(0)), ..HONEST };
        let mut estimator = Estimator::new([nitro, nitro, nitro, HONEST, HONEST], at(0.0));
        for (source, said) in [(0, 1e9 + 37.0), (1, 1e9 + 37.0), (2, 1e9 + 37.0), (3, 1e9), (4, 1e9)] {
            estimator.answered(source, sample(1.0, said, 0.001), at(1.0));
        }
        assert_eq!((estimator.state(at(1.0)), anchor(&estimator, 1.0).seconds()), (ClockState::Synchronized, 1e9));
        let mut alone = Estimator::new([nitro, nitro], at(0.0));
        for source in [0, 1] {
            alone.answered(source, sample(1.0, 1e9, 0.001), at(1.0));
        }
        assert!(!alone.is_vouched(), "one witness is one, however often it is asked");
        alone.reload([(HONEST, Some(0)), (HONEST, Some(1))], at(2.0));
        alone.answered(0, sample(3.0, 1e9, 0.001), at(3.0));
        assert!(alone.is_vouched(), "they were told to be two");
    }

    #[test]
    fn what_is_as_coarse_as_a_second_makes_no_trend() {
        let mut estimator = Estimator::new([HONEST], at(0.0));
        for poll in 0..40 {
            let now = f64::from(poll) * 300.0;
            estimator.answered(0, sample(now, 1e9 + f64::from(poll) * 0.01, 2.0), at(now));
        }
        assert_eq!((estimator.state(at(12_000.0)), estimator.drift()), (ClockState::Synchronized, None));
    }

    #[test]
    fn a_denied_source_stays_denied() {
        let mut estimator = Estimator::new([HONEST], at(0.0));
        estimator.failed(0, Failure::Denied, at(1.0));
        assert_eq!(estimator.sources()[0].verdict(), Verdict::Denied);
        assert_eq!(estimator.state(at(1.0)), ClockState::Unknown);
    }
}
