//! The engine itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::credentials::Credentials;
use super::event::{Event, Reaction};
use super::history::History;
use super::judged::Judged;
use crate::alert::machine::{Change, Machine, Moment, State, Transition};
use crate::assess::alerts::Part;
use crate::assess::answer::{Answer, Ruling};
use crate::assess::clock_findings::{self, ClockFacts};
use crate::assess::finding::Kind;
use crate::assess::limit::{self, Skew, Standing};
use crate::assess::rule::{Rule, Rules};
use crate::assess::{credential_findings, source_findings};
use crate::clock::estimate::ClockState;
use crate::clock::estimator::Estimator;
use crate::clock::filter::Offered;
use crate::clock::intersection::Group;
use crate::clock::leap;
use crate::clock::source::Traits;
use crate::clock::true_clock::Stamp;
use crate::config::checked::Config;
use crate::credentials::imds::host::HostIdentity;
use crate::host::identity::Speaker;
use crate::host::vmclock::Page;
use crate::notify::runbooks::Runbooks;
use crate::snapshot::{Delivery, Steps};
use crate::sources::poller::Polled;
use crate::sources::refusal::Refusal;
use crate::sources::source::Source;
use crate::sys::KernelClock;
use crate::time::{Anchor, BootTime, Reading, Span, TrueTime};

/// A smaller change of system minus boot time is the noise of reading two clocks.
const STEP: Span = Span::from_nanos(1_000_000);
/// A shorter sleep is the noise of reading two clocks.
const SLEEP: Span = Span::from_nanos(500_000_000);

/// All state of the agent.
pub struct Engine {
    pub(super) config: Arc<Config>,
    pub(super) estimator: Estimator,
    pub(super) sources: Vec<SourceLog>,
    pub(super) credentials: Credentials,
    /// The SDKs that are judged.
    pub(super) sdks: Judged,
    pub(super) kernel: Option<KernelClock>,
    pub(super) steps: Steps,
    /// What the hypervisor said last of the machine.
    pub(super) machine: Option<Page>,
    /// The last hour.
    pub(super) history: History,
    /// How often it has disrupted its clocks since this process began.
    pub(super) disruptions: u64,
    /// When the last one was, until what was heard since is confirmed.
    pub(super) unconfirmed_since: Option<BootTime>,
    pub(super) alerts: Machine,
    pub(super) delivery: BTreeMap<String, Delivery>,
    /// When an item arrived last, by destination.
    pub(super) arrivals: BTreeMap<String, BootTime>,
    /// What the instance metadata service said of this host.
    pub(super) host: Option<HostIdentity>,
    /// The name of this host.
    host_name: String,
    /// Since when this process measures.
    pub(super) begun: BootTime,
    /// Since when the boot grace runs.
    pub(super) started: BootTime,
    pub(super) last: Reading,
    /// The last time for which somebody vouched in an earlier process.
    pub(super) vouched_before: Option<TrueTime>,
    /// When it came, or was told where that was later: only then does the time begin for which it is told.
    pub(super) last_step: Option<(BootTime, Span)>,
    /// The last tick, and for how long the host had slept by then.
    pub(super) asleep: Option<(BootTime, Span)>,
    /// The number of the next source that is new.
    pub(super) next_source: usize,
    pub(super) last_burst: Option<BootTime>,
    pub(super) wants_burst: bool,
    /// Whether all may be asked a second time at once.
    pub(super) may_confirm: bool,
}

/// What happened to one source, for those who look at it.
pub(super) struct SourceLog {
    /// Its number, which no other source ever gets.
    pub(super) id: usize,
    pub(super) address: Option<SocketAddr>,
    pub(super) refusal: Option<Refusal>,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
}

impl SourceLog {
    pub(super) const fn new(id: usize) -> Self {
        Self { id, address: None, refusal: None, outcomes: BTreeMap::new() }
    }
}

/// What is known of time at one moment, worked out once for all who need it.
pub(super) struct Now {
    pub(super) reading: Reading,
    pub(super) state: ClockState,
    pub(super) skew: Option<Skew>,
    pub(super) truth: Option<TrueTime>,
    pub(super) standings: Vec<Standing>,
}

impl Now {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp::new(self.truth, self.reading)
    }
}

impl Engine {
    /// Begins without knowing anything.
    pub fn new(config: Arc<Config>, now: Reading) -> Self {
        Self {
            estimator: Estimator::new(traits(&config.sources), now.boot),
            sources: (0..config.sources.len()).map(SourceLog::new).collect(),
            credentials: Credentials::new(&config),
            sdks: Judged::new(&config),
            kernel: None,
            steps: Steps::default(),
            machine: None,
            history: History::default(),
            disruptions: 0,
            unconfirmed_since: None,
            alerts: Machine::new(config.alerts.repeat),
            delivery: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            host: None,
            host_name: String::new(),
            begun: now.boot,
            started: now.boot,
            last: now,
            vouched_before: None,
            last_step: None,
            asleep: None,
            next_source: config.sources.len(),
            last_burst: None,
            wants_burst: false,
            may_confirm: false,
            config,
        }
    }

    /// Takes note of what the kernel has added to its clocks by `now`, without which what is known of time is only as
    /// good as the kernel leaves its clocks alone ([`crate::clock::local::steered`]).
    pub fn steered(&mut self, added: Span, now: BootTime) {
        self.estimator.steered(added, now);
    }

    /// Takes an event, and says what follows.
    pub fn handle(&mut self, event: Event, now: Reading) -> Reaction {
        self.wants_burst |= self.notice_step(now);
        let mut slept = None;
        match event {
            Event::Tick { kernel, asleep } => {
                self.kernel = kernel;
                slept = self.notice_sleep(asleep, now.boot);
                self.wants_burst |= slept.is_some();
            }
            Event::Source(polled) => self.wants_burst |= self.take_poll(&polled, now.boot),
            Event::Credential(event) => self.credentials.take(event, now.boot),
            Event::Sdks { sdks, is_whole } => self.sdks.found(sdks, is_whole, now.boot),
            Event::Host(host) => {
                self.host = Some(host);
                self.introduce();
            }
            Event::Delivery(delivery) => {
                let before = self.delivery.get(&delivery.destination).map_or(0, |before| before.delivered);
                if delivery.delivered > before {
                    self.arrivals.insert(delivery.destination.clone(), now.boot);
                }
                self.delivery.insert(delivery.destination.clone(), delivery);
            }
        }
        let known = self.at(now);
        self.history.note(known.skew, now.boot);
        let rulings = self.rulings(&known);
        let moment = Moment { boot: now.boot, stamp: known.stamp(), graced: now.boot >= self.graced() };
        let (credentials, rules) = (&self.credentials, &self.config.alerts.rules);
        let gone = |kind, subject: &str| answer_on_what_is_gone(kind, subject, credentials, rules);
        let transitions = self.alerts.step(&rulings, gone, moment);
        self.note_told_step(&transitions, now.boot);
        Reaction { transitions, burst: self.bursts(now.boot), slept }
    }

    /// The host is called so from now on. Alerts that fire go on under the name of before.
    pub fn name_host(&mut self, name: String) {
        if self.host_name != name {
            self.host_name = name;
            self.introduce();
        }
    }

    /// Lets what begins to fire from now on be told by this host as it is known now.
    pub(super) fn introduce(&mut self) {
        self.alerts.speak_as(Speaker { host: self.host_name.clone(), attributes: self.attributes() });
    }

    /// What is known of the host beside its name.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let attributes = self.host.iter().flat_map(HostIdentity::attributes);
        attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Takes what the firmware says of this host: whether it is an EC2 instance; `None` where nothing tells.
    pub const fn stand_on(&mut self, is_ec2: Option<bool>) {
        self.credentials.stand_on(is_ec2);
    }

    /// True time minus boot time, once there is an estimate.
    pub fn anchor(&self) -> Option<Anchor> {
        self.estimator.estimate(self.last.boot).map(|estimate| estimate.anchor)
    }

    /// The last time for which a quorum or a trusted source vouched, in this process or in an earlier one.
    pub fn last_vouched(&self) -> Option<TrueTime> {
        let anchor = self.anchor().filter(|_| self.is_vouched());
        anchor.map(|anchor| anchor.at(self.last.boot)).or(self.vouched_before)
    }

    /// Whether a quorum or a trusted source vouches for the anchor.
    pub const fn is_vouched(&self) -> bool {
        self.estimator.is_vouched()
    }

    /// Whether the sources agree on the time now.
    pub fn is_settled(&self) -> bool {
        self.estimator.state(self.last.boot) == ClockState::Synchronized
    }

    /// Every alert that fires, as if it were told again at `now`.
    pub fn firing(&self, now: Stamp) -> impl Iterator<Item = Transition> {
        self.alerts.firing(now)
    }

    /// Where it is written what is to be done about an alert.
    pub fn runbooks(&self) -> &Runbooks {
        &self.config.alerts.runbooks
    }

    /// What is known of time at `reading`.
    pub(super) fn at(&self, reading: Reading) -> Now {
        let estimate = self.estimator.estimate(reading.boot);
        let skew = estimate.map(|estimate| Skew { offset: estimate.offset(reading), bound: estimate.bound });
        let drift = self.estimator.drift();
        Now {
            reading,
            state: self.estimator.state(reading.boot),
            skew,
            truth: estimate.map(|estimate| estimate.anchor.at(reading.boot)),
            standings: skew.map_or_else(Vec::new, |skew| limit::judge(&self.config.limits, &skew, drift)),
        }
    }

    /// When the boot grace is over.
    fn graced(&self) -> BootTime {
        self.started.plus(Span::from_duration(self.config.alerts.boot_grace))
    }

    /// Whether the last step of the system clock is yet to be told.
    fn is_step_untold(&self) -> bool {
        let is_untold = |state| matches!(state, State::Pending { .. });
        self.alerts.alerts().any(|(kind, _, alert)| kind == Kind::ClockStepped && is_untold(alert.state))
    }

    /// Takes note that a step was told `now`, be it late because of the boot grace, or because nobody looked meanwhile.
    fn note_told_step(&mut self, transitions: &[Transition], now: BootTime) {
        let begins = |one: &Transition| one.change == Change::Firing && one.before.is_none();
        let is_told = transitions.iter().any(|one| one.kind == Kind::ClockStepped && begins(one));
        if let Some((at, _)) = self.last_step.as_mut().filter(|_| is_told) {
            *at = now;
        }
    }

    /// What the rules say of all that is known.
    pub(super) fn rulings(&self, now: &Now) -> Vec<Ruling> {
        let facts = ClockFacts {
            state: now.state,
            skew: now.skew,
            is_confirmed: self.estimator.is_confirmed(),
            has_trend: self.estimator.drift().is_some(),
            standings: &now.standings,
            last_step: self.last_step,
            is_step_untold: self.is_step_untold(),
            now: now.reading.boot,
        };
        let mut rulings = clock_findings::judge(&facts, &self.config.alerts.rules);
        for ((source, log), configured) in self.estimator.sources().iter().zip(&self.sources).zip(&self.config.sources)
        {
            let facts = source_findings::SourceFacts {
                name: &configured.name,
                server: configured.kind.to_string(),
                verdict: source.verdict(),
                offset: self.estimator.claimed(source, now.reading),
                agreed: now.skew.map(|skew| skew.offset),
                refusal: log.refusal.as_ref().map(Refusal::to_string),
                remedy: &|refusal| configured.kind.remedy(refusal, self.credentials.may_be_ec2()),
            };
            rulings.extend(source_findings::judge(&facts, &self.config.alerts.rules));
        }
        for known in self.credentials.iter() {
            let assessed = known.assess(now.reading, now.truth, now.skew.as_ref(), self.sdks.all());
            let levels = self.config.credentials.levels(known.provider(), known.slot());
            let facts = known.facts(&assessed, levels, self.credentials.is_missed(known), now.reading.boot);
            rulings.extend(credential_findings::judge(&facts, &self.config.alerts.rules));
        }
        rulings
    }

    /// Between two readings of both clocks, system minus boot time changes when, and only when, somebody sets the
    /// system clock, or the kernel inserts a leap second: slewing moves both.
    fn notice_step(&mut self, now: Reading) -> bool {
        let by = now.system_minus_boot().nanos().saturating_sub(self.last.system_minus_boot().nanos());
        let by = Span::from_nanos(by);
        let last = std::mem::replace(&mut self.last, now);
        if by.abs() < STEP {
            return false;
        }
        // True time makes the same step, unless it is smeared: the sources are to say.
        if leap::is_leap_second(last.system, now.system, by) {
            return true;
        }
        let counter = if by > Span::ZERO { &mut self.steps.forward } else { &mut self.steps.backward };
        *counter = counter.saturating_add(1);
        // The smaller corrections that follow a step do not hide it, whether it was told or is yet to be.
        let hold = Span::from_duration(self.config.alerts.rules.of(Kind::ClockStepped).hold);
        let is_untold = self.is_step_untold();
        let is_kept = |(at, size): (BootTime, Span)| size.abs() > by.abs() && (is_untold || now.boot < at.plus(hold));
        if !self.last_step.is_some_and(is_kept) {
            self.last_step = Some((now.boot, by));
        }
        self.estimator.stepped();
        true
    }

    /// Whether the host slept since the last tick, and for how long. Both clocks were set when it woke up, by one that
    /// counted meanwhile.
    fn notice_sleep(&mut self, asleep: Span, now: BootTime) -> Option<Span> {
        let (at, before) = self.asleep.replace((now, asleep))?;
        let by = Span::from_nanos(asleep.nanos().saturating_sub(before.nanos())).min(now.since(at));
        if by < SLEEP {
            return None;
        }
        self.estimator.slept(by, now);
        self.alerts.slept(by, now);
        self.credentials.slept(by, now);
        Some(by)
    }

    /// Whether an answer has to be confirmed at once.
    fn take_poll(&mut self, polled: &Polled, now: BootTime) -> bool {
        // One that was removed by a reload may still have had a question on its way.
        let Some(index) = self.sources.iter().position(|log| log.id == polled.source) else { return false };
        if let Some(log) = self.sources.get_mut(index) {
            log.address = polled.address.or(log.address);
            log.refusal = polled.result.as_ref().err().cloned();
            let outcome = log.refusal.as_ref().map_or("ok", |refusal| refusal.outcome);
            let count: &mut u64 = log.outcomes.entry(outcome).or_default();
            *count = count.saturating_add(1);
        }
        match &polled.result {
            // Asked by a clock that is gone.
            Ok(sample) if self.unconfirmed_since.is_some_and(|since| sample.at < since) => false,
            Ok(sample) => self.estimator.answered(index, *sample, now) == Offered::Suspected || self.wants_to_confirm(),
            Err(refusal) => {
                self.estimator.failed(index, refusal.failure, now);
                false
            }
        }
    }
}

/// What is to be said of an alert whose subject is not known any more, or not yet.
fn answer_on_what_is_gone(kind: Kind, subject: &str, credentials: &Credentials, rules: &Rules) -> Answer {
    let is_gone = match kind.part() {
        Some(Part::Credential) => credentials.is_gone(subject),
        // A source that is not configured any more.
        Some(Part::Source | Part::Clock) | None => true,
    };
    let answer = |_: &Rule| if is_gone { Answer::Absent } else { Answer::Unknown };
    Ruling::of(kind, subject, rules, answer).answer
}

/// What the estimate is told of the sources in advance.
pub(super) fn traits(sources: &[Source]) -> impl Iterator<Item = Traits> {
    sources.iter().map(|source| {
        let group = source.group.as_ref().and_then(|_| sources.iter().position(|other| other.group == source.group));
        Traits { trusted: source.trusted, leap_smear: source.leap_smear, group: group.map(Group) }
    })
}
