//! One source of time: what it said lately, whether it answers, and what is held of it.

use super::filter::Filter;
use super::intersection::Candidate;
use super::sample::{Failure, Sample};
use super::time::{BootTime, ErrorBound, Offset, Reading, Span};

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
pub struct Witness {
    /// Whether it decides where there is no majority.
    pub trusted: bool,
    /// Whether it smears leap seconds.
    pub leap_smear: bool,
}

/// The state of one source.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) witness: Witness,
    pub(super) filter: Filter,
    reach: u8,
    pub(super) polls: u32,
    pub(super) last_poll: Option<BootTime>,
    failures: u32,
    pub(super) last_failure: Failure,
    pub(super) verdict: Verdict,
    /// It contradicted a majority, and has not agreed with one since.
    pub(super) condemned: bool,
}

impl Source {
    pub(super) fn new(witness: Witness) -> Self {
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

    /// The answer that came last, while the source is reachable.
    pub fn latest(&self) -> Option<&Sample> {
        self.is_reachable().then(|| self.filter.latest()).flatten()
    }

    /// The offset of the system clock, as this source alone has it.
    pub fn claimed(&self, reading: Reading) -> Option<Offset> {
        self.latest().map(|sample| reading.offset(sample.anchor))
    }

    pub(super) fn polled(&mut self, answered: bool, now: BootTime) {
        self.last_poll = Some(now);
        self.polls = self.polls.saturating_add(1);
        self.reach = self.reach << 1 | u8::from(answered);
        self.failures = if answered { 0 } else { self.failures.saturating_add(1) };
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.failures < LOST_AFTER && self.last_failure != Failure::Denied
    }

    pub(super) fn candidate(&self, now: BootTime, aging: f64, grace: Span) -> Option<Candidate> {
        if !self.is_reachable() {
            return None;
        }
        let best = self.filter.best(now, aging)?;
        let bound = best.error_bound(now, aging).span().plus(grace);
        Some(Candidate { anchor: best.anchor, bound: ErrorBound::new(bound), trusted: self.witness.trusted })
    }

    /// Whether all that is known of it is older than a jump that another source has told since.
    pub(super) fn is_outdated(&self, jump: Option<BootTime>) -> bool {
        jump.is_some_and(|jump| self.filter.latest().is_some_and(|sample| sample.at < jump))
    }

    /// Whether its word still counts when the estimate is to be overturned, although it may be silent now.
    pub(super) fn has_a_vote(&self, now: BootTime) -> bool {
        !self.condemned && self.filter.latest().is_some_and(|sample| now.since(sample.at) < VOTE)
    }

    pub(super) const fn silent_verdict(&self) -> Verdict {
        match self.last_failure {
            Failure::Denied => Verdict::Denied,
            Failure::Unsynchronized if self.failures > 0 => Verdict::Unsynchronized,
            _ if self.failures >= LOST_AFTER => Verdict::Unreachable,
            _ => Verdict::WarmingUp,
        }
    }
}
