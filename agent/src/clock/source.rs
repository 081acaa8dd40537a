//! One source of time: what it said lately, whether it answers, and what is held of it.

use super::aging::Aging;
use super::filter::Filter;
use super::intersection::{Candidate, Group};
use super::sample::{Failure, Sample};
use crate::time::{BootTime, ErrorBound, Span};

/// A source that left this many polls in a row without a usable answer is unreachable.
const LOST_AFTER: u32 = 3;
/// A source that fell silent keeps its vote against overturning the estimate for this long.
const VOTE: Span = Span::from_nanos(15 * 60 * 1_000_000_000);

/// What is held of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It agrees with the majority.
    Truechimer,
    /// It contradicts the majority.
    Falseticker,
    /// It answers, and nobody can say whether it is right.
    Undecided,
    /// It does not answer.
    Unreachable,
    /// It answers that it does not know the time.
    Unsynchronized,
    /// It answered that it will not serve this host.
    Denied,
    /// It has not answered yet.
    WarmingUp,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 7] = [
        Self::Truechimer,
        Self::Falseticker,
        Self::Undecided,
        Self::Unreachable,
        Self::Unsynchronized,
        Self::Denied,
        Self::WarmingUp,
    ];

    /// The name in output and attributes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truechimer => "truechimer",
            Self::Falseticker => "falseticker",
            Self::Undecided => "undecided",
            Self::Unreachable => "unreachable",
            Self::Unsynchronized => "unsynchronized",
            Self::Denied => "denied",
            Self::WarmingUp => "warming-up",
        }
    }
}

/// What is told of a source in advance.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Whether it decides where there is no majority.
    pub trusted: bool,
    /// Whether it smears leap seconds.
    pub leap_smear: bool,
    /// The witness that it is a part of, if other sources are the same one.
    pub group: Option<Group>,
}

/// What a source has to say when it is decided whom to believe.
///
/// ```text
///  Unasked ──first poll──▶ Silent ◀────── three polls lost, or denied ──────┐
///                            │                                              │
///                            └─answers─▶ Accepted ──contradicts─▶ Condemned ┤
///                                          ▲  │   ◀──agrees─────   ▲  │    │
///                                 answers │  │ another jumps      │  │     │
///                                          │  ▼                    │  ▼     │
///                                        Outdated (the condemned stay so) ──┘
/// ```
///
/// One whose first answer is held back, because it contradicts the estimate of an earlier process, is outdated as well until
/// a second one says the same.
///
/// *Contradicts* and *agrees* are meant of what a majority has agreed on. Neither silence nor a jump makes up for having
/// contradicted one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Word {
    /// It was not asked yet.
    Unasked,
    /// It has said nothing, or does not answer any more.
    Silent,
    /// All that it said is older than a jump of true time of which another has told, or waits for a second answer that says
    /// the same: it neither supports nor contradicts.
    Outdated {
        /// Whether it was asked since, in vain. An answer that was held back is none that came in vain: whoever waits hears
        /// the next one as well.
        is_asked: bool,
    },
    /// It contradicted a majority, and has not agreed with one since.
    Condemned(Candidate),
    /// It is as good as any other.
    Accepted(Candidate),
}

/// The state of one source.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) witness: Traits,
    pub(super) filter: Filter,
    reach: u8,
    polls: u32,
    last_poll: Option<BootTime>,
    failures: u32,
    last_failure: Failure,
    verdict: Verdict,
    /// See [`Word::Condemned`].
    condemned: bool,
}

impl Source {
    pub(super) fn new(witness: Traits) -> Self {
        Self {
            witness,
            filter: Filter::default(),
            reach: 0,
            polls: 0,
            last_poll: None,
            failures: 0,
            last_failure: Failure::Unanswered,
            verdict: Verdict::WarmingUp,
            condemned: false,
        }
    }

    /// The same source, of which something else is told.
    pub(super) fn now_as(self, witness: Traits) -> Self {
        Self { witness, ..self }
    }

    /// Begins anew, but for what a majority has thought of it.
    pub(super) fn forget(&mut self) {
        *self = Self { condemned: self.condemned, ..Self::new(self.witness) };
    }

    /// What is held of it.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether it contradicted a majority, and has not agreed with one since.
    pub const fn is_condemned(&self) -> bool {
        self.condemned
    }

    /// The share of the last eight polls that were answered, 0 to 1; `None` before the first.
    pub fn reachability(&self) -> Option<f64> {
        (self.polls > 0).then(|| f64::from(self.reach.count_ones()) / f64::from(self.polls.min(8)))
    }

    /// The answer that came last, while the source is reachable. Its anchor is kept as the estimator keeps all
    /// ([`super::steering`]): what it says of the system clock is told by [`super::estimator::Estimator::claimed`].
    pub fn latest(&self) -> Option<&Sample> {
        self.is_reachable().then(|| self.filter.latest()).flatten()
    }

    /// Holds it for one that contradicts the majority, until it agrees with one.
    pub(super) const fn condemn(&mut self) {
        self.condemned = true;
    }

    pub(super) const fn judge(&mut self, verdict: Verdict) {
        self.verdict = verdict;
        match verdict {
            Verdict::Truechimer => self.condemned = false,
            Verdict::Falseticker => self.condemned = true,
            _ => {}
        }
    }

    pub(super) fn answered(&mut self, now: BootTime) {
        self.polled(true, now);
        self.failures = 0;
        self.last_failure = Failure::Unanswered;
    }

    pub(super) fn failed(&mut self, failure: Failure, now: BootTime) {
        self.polled(false, now);
        self.failures = self.failures.saturating_add(1);
        self.last_failure = failure;
    }

    fn polled(&mut self, answered: bool, now: BootTime) {
        self.last_poll = Some(now);
        self.polls = self.polls.saturating_add(1);
        self.reach = self.reach << 1 | u8::from(answered);
    }

    fn is_reachable(&self) -> bool {
        self.failures < LOST_AFTER && self.last_failure != Failure::Denied
    }

    /// What it has to say at `now`, where another told last of a `jump`, and neither side of a leap second lies within
    /// `grace`.
    pub(super) fn word(&self, now: BootTime, aging: &Aging, grace: Span, jump: Option<BootTime>) -> Word {
        if self.polls == 0 {
            return Word::Unasked;
        }
        let (true, Some(_)) = (self.is_reachable(), self.filter.heard()) else { return Word::Silent };
        let taken = self.filter.latest().map(|sample| sample.at);
        let Some(best) = self.filter.best_since(jump, now, aging).filter(|_| taken >= jump) else {
            return Word::Outdated { is_asked: self.last_poll >= jump && self.failures > 0 };
        };
        let bound = ErrorBound::new(best.bound.plus(grace));
        let Traits { trusted, group, .. } = self.witness;
        let candidate = Candidate { anchor: best.anchor, bound, trusted, group };
        if self.condemned { Word::Condemned(candidate) } else { Word::Accepted(candidate) }
    }

    /// Whether its word still counts when the estimate is to be overturned, although it may be silent now, or what it said
    /// is held back: whoever is confirmed first would be the only voter.
    pub(super) fn has_a_vote(&self, now: BootTime) -> bool {
        !self.condemned && self.filter.heard().is_some_and(|at| now.since(at) < VOTE)
    }

    /// The verdict on one that has nothing to say.
    pub(super) const fn silent_verdict(&self) -> Verdict {
        match self.last_failure {
            Failure::Denied => Verdict::Denied,
            Failure::Unsynchronized if self.failures > 0 => Verdict::Unsynchronized,
            _ if self.failures >= LOST_AFTER => Verdict::Unreachable,
            _ => Verdict::WarmingUp,
        }
    }
}
