//! One host of a drill: its clocks, who answers it, and the real engine.

use std::sync::Arc;
use std::time::Duration;

use super::place::{MARK, RUN, identity, name};
use super::trouble::{CALM, STALE, Trouble};
use crate::alert::machine::Transition;
use crate::clock::estimate::ClockState;
use crate::clock::sample::{Sample, Timestamps};
use crate::clock::true_clock::Stamp;
use crate::config::checked::Config;
use crate::credentials::Provider;
use crate::credentials::imds::schedule::Schedule;
use crate::credentials::lease::{Lease, Unavailable};
use crate::credentials::round::{self, Round};
use crate::credentials::timestamp::Timestamp;
use crate::delivery::item::Item;
use crate::engine::{Engine, Event};
use crate::host::vmclock::{Expected, Page};
use crate::snapshot::Delivery;
use crate::sources::poller::Polled;
use crate::sources::refusal::Refusal;
use crate::sys::KernelClock;
use crate::telemetry::direct::{Origin, Told, export};
use crate::time::{BootTime, Reading, Span, SystemTime, TrueTime};

/// Something happens to each host once in so many seconds.
pub(super) const TICK: u32 = 8;
/// What the boot clock reads when a host comes into the drill.
const UPTIME: f64 = 100.0;
/// By how much a clock that drifts loses, in seconds a second.
const DRIFT: f64 = 500e-6;
/// By how much a clock is set ahead.
const STEP: f64 = 90.0;
/// How slow the clock is with the bad image on every second host, and on the others: past the limits, and soon.
const SLOWEST: f64 = 400.0;
const SLOW: f64 = 200.0;
const ROTATION: f64 = 3_600.0;
const LIFETIME: f64 = 6.0 * 3_600.0;
const IMDS_POLL: Duration = Duration::from_secs(300);
/// The date of HTTP is one of a second, and may be a second old.
const DATE_DOUBT: f64 = 1.0;

/// What all hosts of a drill have in common.
pub(super) struct Common {
    /// What tells this drill from others.
    pub(super) run: String,
    /// The true time at which the drill begins.
    pub(super) begin: TrueTime,
    /// The configuration of most.
    pub(super) config: Arc<Config>,
    /// The configuration of those that ask an HTTPS server as well.
    pub(super) witnessed: Arc<Config>,
    /// What their telemetry says of who speaks, as that of this host does.
    pub(super) resource: opentelemetry_sdk::Resource,
}

/// A host. Times are seconds since the beginning of the drill.
pub(super) struct Host {
    pub(super) number: u32,
    pub(super) trouble: Option<Trouble>,
    engine: Engine,
    told: Told,
    random: fastrand::Rng,
    schedule: Schedule,
    /// When the credentials are read next.
    reads: f64,
    /// When it came into the drill, which is when it was booted or a little before.
    came: f64,
    at: f64,
    /// True minus boot time, by what its oscillator has lost.
    lost: f64,
    /// System minus boot time, by what somebody has set.
    stepped: f64,
    rotated: f64,
    is_struck: bool,
    exports: u64,
}

impl Host {
    /// A host that comes into the drill at `at`.
    pub(super) fn new(number: u32, trouble: Option<Trouble>, at: f64, common: &Common) -> Self {
        let mut random = fastrand::Rng::with_seed(u64::from(number));
        let is_witnessed = trouble.is_none() && number.is_multiple_of(8);
        let config = if is_witnessed { &common.witnessed } else { &common.config };
        let stepped = match trouble {
            Some(Trouble::Image) if number.is_multiple_of(2) => -SLOWEST,
            Some(Trouble::Image) => -SLOW,
            _ => 0.0,
        };
        // What is not renewed runs out after the calm.
        let rotated = match trouble {
            Some(Trouble::Rotation) => CALM + STALE - LIFETIME,
            _ => at - random.f64() * ROTATION,
        };
        let schedule = Schedule::new(IMDS_POLL, random.fork());
        let system = SystemTime::from_nanos(common.time(at).nanos()).plus(Span::from_seconds(stepped));
        let begin = Reading { boot: BootTime::from_seconds(UPTIME), system };
        let mut host = Self {
            engine: Engine::new(Arc::clone(config), begin),
            told: Told::default(),
            number,
            trouble,
            random,
            schedule,
            reads: at,
            came: at,
            at,
            lost: 0.0,
            stepped,
            rotated,
            is_struck: false,
            exports: 0,
        };
        host.engine.name_host(name(&common.run, number));
        host.engine.stand_on(Some(true));
        host.engine.handle(Event::Host(identity(&common.run, number, trouble)), begin);
        if host.tells_of_the_machine() {
            host.engine.runs_on(Page { marker: 1, generation: Some(1), expected: None }, begin);
        }
        host
    }

    /// Whether it is silent by now.
    pub(super) fn is_silent(&self) -> bool {
        self.is_struck && self.trouble == Some(Trouble::Silence)
    }

    /// Lets the time until `at` pass, and says what the agent tells.
    pub(super) fn pass(&mut self, at: f64, common: &Common) -> Vec<Transition> {
        let drifts = self.is_struck && self.trouble == Some(Trouble::Drift);
        self.lost += if drifts { DRIFT * (at - self.at) } else { 0.0 };
        let before = std::mem::replace(&mut self.at, at);
        if at >= CALM && !self.is_struck {
            self.strike(common);
        }
        if self.trouble != Some(Trouble::Rotation) && at - self.rotated >= ROTATION {
            self.rotated = at;
        }
        let mut transitions = Vec::new();
        let kernel = KernelClock { synchronized: !drifts, max_error: Some(Span::from_seconds(1e-3)), frequency: 0.0 };
        let mut asks = self.handle(Event::Tick { kernel: Some(kernel), asleep: Span::ZERO }, common, &mut transitions);
        for index in 0..self.sources() {
            let poll = if index == 0 { 16.0 } else { 64.0 };
            let is_due = (before / poll).floor() < (at / poll).floor() || before <= self.came;
            if is_due {
                let polled = self.ask(index, common);
                asks |= self.handle(Event::Source(polled), common, &mut transitions);
            }
        }
        while std::mem::take(&mut asks) {
            for index in 0..self.sources() {
                let polled = self.ask(index, common);
                asks |= self.handle(Event::Source(polled), common, &mut transitions);
            }
        }
        if at >= self.reads {
            let result = self.read(common);
            let next = self.schedule.next(&result, common.time(at));
            self.reads = at + next.as_secs_f64();
            let round = Round::one(result, Vec::new());
            let polled = round::Polled { provider: Provider::Imds, round };
            self.handle(Event::Credential(polled), common, &mut transitions);
        }
        transitions
    }

    /// What it exports now, and how many points that are; `None` before it knows the time, as the agent has it.
    pub(super) fn export(&mut self, common: &Common) -> std::io::Result<Option<(Item, usize)>> {
        self.tell_of_the_post(common);
        let snapshot = self.engine.snapshot(self.reading(common));
        if snapshot.clock.state == ClockState::Starting.name() {
            return Ok(None);
        }
        self.exports += 1;
        let name = name(&common.run, self.number);
        let attributes = [(MARK, "true"), (RUN, common.run.as_str())];
        let (resource, start) = (&common.resource, common.time(self.came));
        let origin = Origin { name: &name, resource, attributes: &attributes, start };
        let stamp = Stamp { time: common.time(self.at), verified: snapshot.time.verified };
        Ok(Some(export(&origin, &snapshot, stamp, &mut self.told)?))
    }

    fn strike(&mut self, common: &Common) {
        self.is_struck = true;
        match self.trouble {
            Some(Trouble::Step) => self.stepped += STEP,
            Some(Trouble::Migration) => {
                let reading = self.reading(common);
                let expected = Some(Expected::WithinAnHour);
                self.engine.runs_on(Page { marker: 2, generation: Some(1), expected }, reading);
            }
            _ => {}
        }
    }

    fn handle(&mut self, event: Event, common: &Common, transitions: &mut Vec<Transition>) -> bool {
        let reaction = self.engine.handle(event, self.reading(common));
        transitions.extend(reaction.transitions);
        reaction.burst
    }

    /// What its agent says of what it sends: a channel that refuses is none of the engine's affair.
    fn tell_of_the_post(&mut self, common: &Common) {
        let sent = |destination: &str, delivered, refusals| Delivery {
            destination: destination.to_owned(),
            queued: 0,
            bytes: 0,
            delivered,
            dropped: refusals,
            failures: refusals,
            refusals,
            error: None,
            last_delivered: None,
            on_disk: true,
        };
        let mut all = vec![sent("otlp-metrics", self.exports, 0), sent("otlp-logs", 0, 0)];
        if self.trouble == Some(Trouble::Refusal) {
            let refusals = if self.is_struck { self.exports } else { 0 };
            all.push(sent("drill-channel", 0, refusals));
        }
        for delivery in all {
            self.handle(Event::Delivery(delivery), common, &mut Vec::new());
        }
    }

    fn sources(&self) -> usize {
        self.engine.source_ids().len()
    }

    const fn tells_of_the_machine(&self) -> bool {
        matches!(self.trouble, Some(Trouble::Migration))
    }

    fn is_cut_off(&self) -> bool {
        self.is_struck && self.trouble == Some(Trouble::Zone)
    }

    fn ask(&mut self, index: usize, common: &Common) -> Polled {
        let source = self.engine.source_ids().get(index).copied().unwrap_or_default();
        if self.is_cut_off() {
            return Polled { source, address: None, result: Err(Refusal::TIMEOUT) };
        }
        let (boot, truth) = (self.reading(common).boot, common.time(self.at));
        let delay = 1e-4 + self.random.f64() * 2e-4;
        let honest = Sample {
            at: boot,
            // The error of an honest answer stays within half of its round trip.
            anchor: truth.plus(Span::from_seconds((self.random.f64() - 0.5) * delay)).anchored(boot),
            delay: Span::from_seconds(delay),
            root_delay: Span::from_seconds(1e-4),
            root_dispersion: Span::from_seconds(5e-5),
            precision: Span::from_nanos(1_000),
            stratum: Some(4),
            timestamps: Timestamps::Kernel,
        };
        let doubt = Span::from_seconds(DATE_DOUBT);
        let date = TrueTime::from_seconds(truth.seconds().floor());
        let sample = if index == 0 {
            honest
        } else {
            Sample {
                anchor: date.plus(doubt).anchored(boot),
                root_delay: Span::ZERO,
                root_dispersion: doubt,
                stratum: None,
                timestamps: Timestamps::HttpDate,
                ..honest
            }
        };
        Polled { source, address: None, result: Ok(sample) }
    }

    fn read(&self, common: &Common) -> Result<Lease, Unavailable> {
        if self.is_cut_off() {
            return Err(Unavailable::Timeout);
        }
        let at = |seconds: f64| Some(Timestamp::Server(common.time(seconds)));
        Ok(Lease {
            identity: "drill-role".to_owned(),
            code: Some("Success".to_owned()),
            kind: None,
            last_updated: at(self.rotated),
            expiration: at(self.rotated + LIFETIME),
        })
    }

    fn reading(&self, common: &Common) -> Reading {
        let passed = self.at - self.came - self.lost;
        let system = SystemTime::from_nanos(common.time(self.came).nanos());
        Reading {
            boot: BootTime::from_seconds(UPTIME + passed),
            system: system.plus(Span::from_seconds(passed + self.stepped)),
        }
    }
}

impl Common {
    /// The true time so many seconds after the beginning.
    pub(super) fn time(&self, at: f64) -> TrueTime {
        self.begin.plus(Span::from_seconds(at))
    }
}
