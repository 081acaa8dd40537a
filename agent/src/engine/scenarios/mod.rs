//! Ten thousand random hosts in invented time: no alert without a cause, no cause without an alert, none told twice, and
//! every alert resolves, whatever happens to the clock, the network, the host, the agent and its configuration.

mod post;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::post::{Disk, Post, Step, Telling};
use super::{CredentialEvent, Engine, Event, Image};
use crate::alert::machine::{Change, Transition};
use crate::assess::finding::{Kind, Severity};
use crate::clock::sample::{Sample, Timestamps};
use crate::clock::time::{Anchor, BootTime, Reading, Span, SystemTime, TrueTime};
use crate::clock::true_clock::Stamp;
use crate::config::checked::{Config, Server, Source};
use crate::config::load::parse;
use crate::credentials::lease::{Lease, Unavailable};
use crate::ntp::poller::Polled;
use crate::ntp::refusal::Refusal;

/// How many hosts there are, each with its seed.
const SEEDS: u64 = 10_000;
/// After so many failures the rest would tell nothing new.
const MOST_STORIES: usize = 3;
/// 2026-11-01, the true time at which every scenario begins.
const BEGIN: f64 = 1_793_491_200.0;
const TICK: f64 = 8.0;
const POLL: f64 = 16.0;
const IMDS_POLL: f64 = 60.0;
const EXPORT_EVERY: f64 = 60.0;
/// Things go wrong for this long; then all is repaired.
const TROUBLE: f64 = 2_400.0;
/// After the repair this is enough for every alert to resolve.
const PEACE: f64 = 1_200.0;
/// By then a cause must have become an alert.
const PATIENCE: f64 = 120.0;

/// A host and the world around it.
struct Host {
    random: fastrand::Rng,
    /// True seconds since the beginning.
    elapsed: f64,
    /// What true time gains on the boot clock, in seconds a second.
    drift: f64,
    /// True minus boot time gained so far.
    gained: f64,
    /// System minus boot time, less the beginning: what steps have added.
    stepped: f64,
    last_step: f64,
    /// What the boot clock read at the beginning.
    booted: f64,
    asleep: f64,
    was_paused: bool,
    was_rebooted: bool,
    was_reloaded: bool,
    liar: Option<usize>,
    lie: f64,
    /// Which sources are out of reach.
    lost: Vec<bool>,
    /// Which sources are in the configuration, in its order.
    configured: Vec<usize>,
    imds_out: bool,
    rotated: f64,
    rotates: bool,
}

/// For how long each cause has been there, in seconds; absent where it is not.
type Causes = BTreeMap<&'static str, f64>;

impl Host {
    fn new(seed: u64, sources: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let liar = (sources >= 3 && random.bool()).then(|| random.usize(..sources));
        let lie = [30.0, -400.0, 400.0, 86_400.0][random.usize(..4)];
        Self {
            elapsed: 0.0,
            drift: 0.0,
            gained: 0.0,
            stepped: 0.0,
            last_step: f64::NEG_INFINITY,
            booted: 1_000.0,
            asleep: 0.0,
            was_paused: false,
            was_rebooted: false,
            was_reloaded: false,
            liar,
            lie,
            lost: vec![false; sources],
            configured: (0..sources).collect(),
            imds_out: false,
            rotated: 0.0,
            rotates: true,
            random,
        }
    }

    fn boot(&self) -> f64 {
        self.booted + self.elapsed - self.gained
    }

    fn offset(&self) -> f64 {
        self.gained - self.stepped
    }

    fn reading(&self) -> Reading {
        Reading {
            boot: BootTime::from_seconds(self.boot()),
            system: SystemTime::from_seconds(BEGIN + self.elapsed - self.offset()),
        }
    }

    fn advance(&mut self, seconds: f64) {
        self.elapsed += seconds;
        self.gained += seconds * self.drift;
        if self.rotates && self.elapsed - self.rotated >= 3_600.0 {
            self.rotated = self.elapsed;
        }
    }

    /// The host sleeps, and a clock that is not very exact counts meanwhile.
    fn sleep(&mut self, seconds: f64) {
        let error = (self.random.f64() - 0.5) * 2.0 * (0.9 + 90e-6 * seconds);
        self.advance(seconds);
        self.gained -= error;
        self.asleep += seconds + error;
    }

    /// The host is booted: the boot clock begins again, and the system clock has what another clock has kept.
    fn boot_again(&mut self, in_trouble: bool) {
        self.advance(30.0);
        self.booted = 20.0 - self.elapsed + self.gained;
        self.asleep = 0.0;
        self.last_step = f64::NEG_INFINITY;
        self.was_rebooted = true;
        if in_trouble {
            let offset = [0.0, 0.3, -2.0, 100.0, self.offset(), self.offset()][self.random.usize(..6)];
            self.stepped = self.gained - offset;
        }
    }

    /// Breaks or mends one thing.
    fn something_happens(&mut self) {
        match self.random.u8(..11) {
            0 | 1 => {
                let sizes = [0.02, 2.0, 30.0, 75.0, 200.0, 400.0, 5_000.0, 172_800.0];
                let size = sizes[self.random.usize(..sizes.len())];
                let sign = if self.random.bool() { 1.0 } else { -1.0 };
                self.step(sign * size);
            }
            2 => self.drift = (self.random.f64() - 0.5) * 400e-6,
            3 => self.step(self.gained - self.stepped),
            4 => {
                let is_lost = !self.lost.iter().all(|lost| *lost);
                self.lost.fill(is_lost);
            }
            // The host is paused, and neither of its clocks knows.
            7 => {
                let pause = [5.0, 100.0, 400.0, 3_600.0][self.random.usize(..4)];
                self.elapsed += pause;
                self.gained += pause;
                self.was_paused = true;
            }
            // One source is lost or found again; the others go on.
            8 => {
                let one = self.random.usize(..self.lost.len());
                self.lost[one] = !self.lost[one];
            }
            5 => self.imds_out = !self.imds_out,
            10 => {
                let seconds = [3.0, 60.0, 1_800.0, 20_000.0][self.random.usize(..4)];
                self.sleep(seconds);
            }
            6 => {
                self.rotates = false;
                self.rotated = self.elapsed - 6.0 * 3_600.0 + self.random.f64() * 1_800.0;
            }
            _ => {
                self.rotates = true;
                self.rotated = self.elapsed;
            }
        }
    }

    fn step(&mut self, by: f64) {
        self.stepped += by;
        if by.abs() >= 1.0 {
            self.last_step = self.boot();
        }
    }

    fn repair(&mut self) {
        (self.drift, self.imds_out, self.liar) = (0.0, false, None);
        self.step(self.gained - self.stepped);
        self.lost.fill(false);
        (self.rotates, self.rotated) = (true, self.elapsed);
    }

    fn poll(&mut self, source: usize) -> Polled {
        let delay = 1e-4 + self.random.f64() * 2e-3;
        let lie = if self.liar == Some(source) { self.lie } else { 0.0 };
        // The error of an honest answer stays within half of its round trip.
        let error = (self.random.f64() - 0.5) * delay;
        let lost = self.lost[source] || self.random.u8(..50) == 0;
        // No two wild answers say the same.
        let wild = if self.random.u16(..300) == 0 { 500.0 + 1_000.0 * self.random.f64() } else { 0.0 };
        let sample = Sample {
            at: self.reading().boot,
            anchor: Anchor::from_seconds(BEGIN + self.elapsed - self.boot() + lie + error + wild),
            delay: Span::from_seconds(delay),
            root_delay: Span::from_seconds(1e-3),
            root_dispersion: Span::from_seconds(1e-3),
            precision: Span::from_nanos(1_000),
            stratum: 2,
            leap_announced: false,
            timestamps: Timestamps::Kernel,
        };
        Polled { source, address: None, result: if lost { Err(Refusal::Timeout) } else { Ok(sample) } }
    }

    fn read_credentials(&self) -> CredentialEvent {
        let at = |seconds: f64| Some(TrueTime::from_seconds(BEGIN + seconds));
        let lease = Lease {
            identity: "role".to_owned(),
            code: None,
            kind: None,
            last_updated: at(self.rotated),
            expiration: at(self.rotated + 6.0 * 3_600.0),
        };
        let result = if self.imds_out { Err(Unavailable::Timeout) } else { Ok(lease) };
        CredentialEvent { provider: "imds", result, requests: Vec::new() }
    }

    /// Whether a majority of all sources is honest and answers, or the one that is trusted.
    fn has_quorum(&self) -> bool {
        let answers = |source: &&usize| !self.lost[**source] && self.liar != Some(**source);
        let honest = self.configured.iter().filter(answers).count();
        honest > self.configured.len() / 2 || (self.lost.len() < 3 && self.configured.contains(&0) && answers(&&0))
    }

    fn remaining(&self) -> f64 {
        self.rotated + 6.0 * 3_600.0 - self.elapsed
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "[offset {:.3} boot {:.0} asleep {:.0} drift {:.1e} sources {:?} lost {:?} imds out {} rotates {}]",
            self.offset(),
            self.boot(),
            self.asleep,
            self.drift,
            self.configured,
            self.lost,
            self.imds_out,
            self.rotates
        )
    }
}

/// A configuration with these sources out of so many; `port` is what their servers' ports begin with.
fn config(configured: &[usize], sources: usize, port: u16) -> Config {
    let text = "alerts: {credential-refresh-margin: {enabled: false}}\n";
    let mut config = parse(text, std::path::Path::new("scenario.yaml"), &|_| None).unwrap();
    config.sources = configured
        .iter()
        .map(|index| Source {
            name: format!("s{index}"),
            server: Server::Address(([169, 254, 169, 123], port + u16::try_from(*index).unwrap()).into()),
            trusted: *index == 0 && sources < 3,
            leap_smear: true,
            poll: Duration::from_secs(16),
        })
        .collect();
    config
}

struct Run {
    host: Host,
    config: Arc<Config>,
    engine: Engine,
    post: Post,
    /// The process was killed, and another has to begin.
    was_killed: bool,
    sources: usize,
    transitions: Vec<(f64, Transition)>,
    /// What happened, and when.
    story: Vec<(f64, String)>,
    /// How bad each alert is that fires.
    firing: BTreeMap<(Kind, String), Severity>,
    causes: Causes,
    /// When each cause was last there, in seconds of `watched`.
    last_seen: Causes,
    /// How long the agent has watched the host, without the times in which one of them slept.
    watched: f64,
    /// When the boot grace began, in seconds of `watched`.
    graced: f64,
    burst: bool,
    /// Whether the credentials are read before their time.
    reads: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let sources = 1 + usize::try_from(seed % 5).unwrap();
        let host = Host::new(seed, sources);
        let config = Arc::new(config(&host.configured, sources, 1_000));
        let engine = Engine::new(Arc::clone(&config), host.reading());
        Self {
            host,
            config,
            engine,
            post: Post::new(),
            was_killed: false,
            sources,
            transitions: Vec::new(),
            story: Vec::new(),
            firing: BTreeMap::new(),
            causes: Causes::new(),
            last_seen: Causes::new(),
            watched: 0.0,
            graced: 0.0,
            burst: false,
            reads: false,
        }
    }

    fn play(&mut self) {
        let mut next_trouble = 300.0;
        while self.watched < TROUBLE {
            if self.watched >= next_trouble {
                self.begin_after_a_kill();
                let before = self.host.to_string();
                match self.host.random.u8(..18) {
                    0 | 1 => self.restart(true),
                    2 => self.reload(),
                    3..=6 => self.something_happens_to_the_post(),
                    _ => self.host.something_happens(),
                }
                self.story.push((self.host.elapsed, format!("{} was {before} is {}", self.host.elapsed, self.host)));
                next_trouble += 60.0 + self.host.random.f64() * 600.0;
            }
            self.step();
            if !self.was_killed {
                self.check();
            }
        }
        self.begin_after_a_kill();
        self.host.repair();
        self.reload_with((0..self.sources).collect(), 1_000, true);
        self.story.push((self.host.elapsed, format!("{} all is repaired", self.host.elapsed)));
        if self.host.random.bool() {
            self.restart(false);
        }
        self.post.down.clear();
        self.repair_the_disk();
        self.post.kill = None;
        let end = self.watched + PEACE;
        while self.watched < end {
            self.step();
        }
        assert_eq!(self.firing.len(), 0, "not resolved after the repair: {:?}", self.firing);
        self.finish_the_post();
    }

    /// One destination, or the disk, breaks or is mended, or the agent is killed now or when it has something to tell.
    fn something_happens_to_the_post(&mut self) {
        let random = &mut self.host.random;
        match random.u8(..6) {
            0 | 1 => {
                let lanes = self.post.lanes();
                let lane = lanes[random.usize(..lanes.len())].clone();
                if !self.post.down.remove(&lane) {
                    self.post.down.insert(lane);
                }
            }
            2 if self.post.disk != Disk::Fine => self.repair_the_disk(),
            2 => self.post.break_disk(if random.bool() { Disk::ReadOnly } else { Disk::Full(random.usize(..60_000)) }),
            3 => self.was_killed = self.post.disk == Disk::Fine,
            _ => self.post.kill = Some(Step::ALL[random.usize(..Step::ALL.len())]),
        }
    }

    /// The disk works again, and gets what it missed.
    fn repair_the_disk(&mut self) {
        self.begin_after_a_kill();
        self.post.repair_disk();
        self.post.write_state(&self.engine.image(), &[]);
    }

    /// All that waits is sent; what a read-only disk would not let go is sent once more by the next process.
    fn finish_the_post(&mut self) {
        for _ in 0..2 {
            let last = self.watched + PEACE;
            while !self.post.is_sent() && self.watched < last {
                self.step();
            }
            assert!(self.post.is_sent(), "something still waits");
            if self.post.is_empty() {
                break;
            }
            self.was_killed = true;
            self.step();
        }
        assert!(self.post.is_empty(), "files are left");
        self.post.assert_told();
    }

    fn step(&mut self) {
        self.begin_after_a_kill();
        let asleep = Span::from_seconds(self.host.asleep);
        self.handle(Event::Tick { kernel: None, asleep });
        let is_due = |host: &Host, every: f64| host.elapsed % every < TICK;
        if is_due(&self.host, POLL) || self.burst {
            self.burst = false;
            let mut order: Vec<_> = self.engine.source_ids().into_iter().zip(self.host.configured.clone()).collect();
            self.host.random.shuffle(&mut order);
            for (id, source) in order {
                let polled = Polled { source: id, ..self.host.poll(source) };
                self.handle(Event::Ntp(polled));
            }
        }
        if is_due(&self.host, IMDS_POLL) || self.reads {
            self.reads = false;
            let read = self.host.read_credentials();
            self.handle(Event::Credential(read));
        }
        if is_due(&self.host, EXPORT_EVERY) && !self.was_killed {
            let time = TrueTime::from_seconds(BEGIN + self.host.elapsed);
            self.post.export(Stamp { time, verified: true }, self.host.reading().boot);
            self.post.write_state(&self.engine.image(), &[]);
        }
        self.post.send(&mut self.host, Span::from_seconds(TICK));
        self.host.advance(TICK);
        self.watched += TICK;
    }

    /// A process that was killed is followed by another, in the same boot of the host, with what the disk has.
    fn begin_after_a_kill(&mut self) {
        if !std::mem::take(&mut self.was_killed) {
            return;
        }
        self.story.push((self.host.elapsed, format!("{} killed", self.host.elapsed)));
        let now = self.host.reading();
        self.engine = match self.post.begin_again(now.boot) {
            Some(image) => {
                let text = serde_json::to_string(&image).unwrap();
                let image: Image = serde_json::from_str(&text).unwrap();
                Engine::restore(Arc::clone(&self.config), image, now, true)
            }
            None => Engine::new(Arc::clone(&self.config), now),
        };
        self.begin_again();
    }

    /// The agent ends and begins again, in the same boot of the host or another one. Its state goes through a file.
    /// In trouble the system clock may have been set meanwhile.
    fn restart(&mut self, in_trouble: bool) {
        self.begin_after_a_kill();
        let text = serde_json::to_string(&self.engine.image()).unwrap();
        let image: Image = serde_json::from_str(&text).unwrap();
        assert_eq!(image, self.engine.image());
        // A disk that keeps nothing lets the next process forget.
        self.repair_the_disk();
        let same_boot = self.host.random.bool();
        let away = [0.1, 20.0, 300.0][self.host.random.usize(..3)];
        self.host.advance(away);
        if in_trouble && self.host.random.u8(..4) == 0 {
            let size = [-400.0, 3.0][self.host.random.usize(..2)];
            self.host.step(size);
        }
        if !same_boot {
            self.host.boot_again(in_trouble);
            self.graced = self.watched;
        }
        let now = self.host.reading();
        self.post.begin_again(now.boot);
        self.engine = Engine::restore(Arc::clone(&self.config), image, now, same_boot);
        self.begin_again();
    }

    /// Some sources come or go, change their places or their servers, and rules are turned off and on.
    fn reload(&mut self) {
        let mut configured: Vec<usize> = (0..self.sources).collect();
        if self.sources > 1 && self.host.random.bool() {
            configured.remove(self.host.random.usize(..self.sources));
        }
        self.host.random.shuffle(&mut configured);
        let port = if self.host.random.u8(..4) == 0 { 2_000 } else { 1_000 };
        let keeps = self.host.random.bool();
        self.host.was_reloaded = true;
        self.reload_with(configured, port, keeps);
    }

    fn reload_with(&mut self, configured: Vec<usize>, port: u16, undisciplined: bool) {
        self.begin_after_a_kill();
        let before = self.engine.source_ids();
        let mut config = config(&configured, self.sources, port);
        config.alerts.clock_undisciplined.enabled = undisciplined;
        self.host.configured = configured;
        self.config = Arc::new(config);
        self.engine.reload(Arc::clone(&self.config), self.host.reading());
        // Whoever was asked before may answer after.
        let after = self.engine.source_ids();
        for id in before.into_iter().filter(|id| !after.contains(id)) {
            let late = Polled { source: id, ..self.host.poll(0) };
            self.handle(Event::Ntp(late));
        }
        self.begin_again();
    }

    /// All who are asked are asked again, and causes need their time again to become alerts.
    fn begin_again(&mut self) {
        (self.burst, self.reads) = (true, true);
        self.causes.clear();
    }

    fn handle(&mut self, event: Event) {
        if self.was_killed {
            return;
        }
        let now = self.host.reading();
        let reaction = self.engine.handle(event, now);
        self.burst |= reaction.burst;
        if reaction.transitions.is_empty() {
            return;
        }
        let telling = self.post.tell(&reaction.transitions, &self.engine.image(), now);
        self.was_killed = telling != Telling::Done;
        if telling == (Telling::Killed { decided: false }) {
            return;
        }
        for transition in reaction.transitions {
            let key = (transition.kind, transition.subject.clone());
            match transition.change {
                Change::Firing => {
                    let before = self.firing.insert(key, transition.severity);
                    assert_ne!(before, Some(transition.severity), "told twice: {}", transition.summary);
                    assert_eq!(before, transition.before, "the severity before is not the one that was told");
                }
                Change::Repeated => assert!(self.firing.contains_key(&key), "repeated without firing"),
                Change::Resolved => {
                    assert!(self.firing.remove(&key).is_some(), "resolved without firing: {key:?}");
                }
            }
            assert!(!transition.summary.is_empty() && !transition.remedy.is_empty());
            self.transitions.push((self.host.elapsed, transition));
        }
    }

    /// Compares what fires with what is true.
    fn check(&mut self) {
        let (host, watched) = (&self.host, self.watched);
        let offset = host.offset().abs();
        let mut is_there = |name: &'static str, is_so: bool| {
            if is_so {
                *self.causes.entry(name).or_insert(0.0) += TICK;
                self.last_seen.insert(name, watched);
            } else {
                self.causes.remove(name);
            }
        };
        let knows = host.has_quorum();
        is_there("skew", offset >= 61.0 && knows);
        is_there("critical skew", offset >= 151.0 && knows);
        is_there("some skew", offset >= 47.0);
        is_there("a second", offset >= 0.75);
        is_there("no quorum", !knows);
        is_there("a source out", host.configured.iter().any(|source| host.lost[*source]));
        is_there("sources out", host.configured.iter().all(|source| host.lost[*source]));
        is_there("a step", host.boot() - host.last_step <= 300.0);
        is_there("imds out", host.imds_out);
        is_there("expiring", host.remaining() < 900.0 && !host.imds_out);
        is_there("nearly expiring", host.remaining() < 1_100.0);

        let lasted = |name| self.causes.get(name).copied().unwrap_or(0.0);
        let lately = |name, within: f64| self.last_seen.get(name).is_some_and(|last| watched - last <= within);
        let fires = |kind: Kind| self.firing.iter().find(|((firing, _), _)| *firing == kind);
        let grace = watched - self.graced > 120.0 + PATIENCE;

        // No cause without an alert.
        assert!(lasted("skew") < PATIENCE || fires(Kind::ClockSkew).is_some(), "a skew of {offset} s is not told");
        if lasted("critical skew") >= PATIENCE {
            assert_eq!(fires(Kind::ClockSkew).map(|(_, severity)| *severity), Some(Severity::Critical));
        }
        assert!(
            lasted("imds out") < 2.0 * IMDS_POLL + PATIENCE || !grace || fires(Kind::CredentialUnavailable).is_some()
        );
        // Without sources an old estimate still tells the time.
        let knows = !lately("no quorum", 900.0 + PATIENCE);
        assert!(
            !knows || lasted("expiring") < IMDS_POLL + PATIENCE || !grace || fires(Kind::CredentialExpiring).is_some()
        );
        assert!(lasted("sources out") < 900.0 + PATIENCE || fires(Kind::ClockUnverified).is_some());

        // What was known before holds until it is measured again, and nobody knows what a pause, a boot or a sleep changed.
        // Where a liar is the only one of new sources that answers, nobody can know that either.
        let is_fooled = host.was_reloaded && host.liar.is_some();
        let is_blind = !knows && (host.was_paused || host.was_rebooted || host.asleep > 0.0 || is_fooled);
        let rules = &self.config.alerts;
        // No alert without a cause.
        for (kind, subject) in self.firing.keys() {
            let has_cause = match kind {
                Kind::ClockSkew => lately("some skew", PATIENCE) || is_blind,
                Kind::ClockUndisciplined => {
                    rules.clock_undisciplined.enabled && (lately("a second", PATIENCE) || is_blind)
                }
                Kind::ClockStepped => lately("a step", PATIENCE),
                Kind::ClockUnverified => lately("no quorum", PATIENCE),
                Kind::SourceUnreachable => lately("a source out", PATIENCE),
                Kind::SourceFalseticker => host.liar.is_some_and(|liar| *subject == format!("s{liar}")) || !knows,
                Kind::CredentialUnavailable => lately("imds out", IMDS_POLL + PATIENCE),
                Kind::CredentialExpiring => {
                    lately("nearly expiring", IMDS_POLL + PATIENCE) || lately("imds out", IMDS_POLL) || is_blind
                }
                Kind::ClockSkewForecast | Kind::CredentialRefreshMargin | Kind::Test => false,
            };
            assert!(has_cause, "{} {subject} fires without a cause (offset {offset} s)", kind.name());
        }
    }
}

/// Plays the host with this seed; what was told, by kind, or the story of what went wrong.
fn play(seed: u64) -> Result<BTreeMap<Kind, u32>, String> {
    let mut run = Run::new(seed);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.play()));
    if outcome.is_err() {
        let of = |(at, one): &(f64, Transition)| {
            format!("{at} {} {} {}: {}", one.change.name(), one.kind.name(), one.subject, one.summary)
        };
        let told = run.transitions.iter().map(|one| (one.0, of(one)));
        let mut story: Vec<_> = run.story.iter().cloned().chain(told).collect();
        story.sort_by(|one, other| one.0.total_cmp(&other.0));
        let story: Vec<_> = story.into_iter().map(|(_, text)| text).collect();
        let Run { sources, host, .. } = run;
        return Err(format!(
            "seed {seed}, {sources} sources, liar {:?}, at {} s:\n{}",
            host.liar,
            host.elapsed,
            story.join("\n")
        ));
    }
    let mut told = BTreeMap::new();
    for (_, transition) in run.transitions.iter().filter(|(_, one)| one.change == Change::Firing) {
        *told.entry(transition.kind).or_default() += 1;
    }
    Ok(told)
}

#[test]
fn ten_thousand_random_hosts_are_told_what_is_wrong_and_nothing_else() {
    let told: Mutex<BTreeMap<Kind, u32>> = Mutex::default();
    let failed: Mutex<BTreeMap<u64, String>> = Mutex::default();
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS || failed.lock().unwrap().len() >= MOST_STORIES {
                        return;
                    }
                    match play(seed) {
                        Ok(counts) => {
                            let mut told = told.lock().unwrap();
                            counts.into_iter().for_each(|(kind, count)| *told.entry(kind).or_default() += count);
                        }
                        Err(story) => drop(failed.lock().unwrap().insert(seed, story)),
                    }
                }
            });
        }
    });
    let stories: Vec<String> = failed.into_inner().unwrap().into_values().collect();
    assert!(stories.is_empty(), "{}", stories.join("\n\n"));
    let told = told.into_inner().unwrap();
    // The scenarios would prove nothing about alerts that none of them causes.
    for kind in [
        Kind::ClockSkew,
        Kind::ClockUndisciplined,
        Kind::ClockStepped,
        Kind::ClockUnverified,
        Kind::SourceFalseticker,
        Kind::SourceUnreachable,
        Kind::CredentialExpiring,
        Kind::CredentialUnavailable,
    ] {
        assert!(told.get(&kind).is_some_and(|count| *count >= 200), "{} came {:?} times", kind.name(), told.get(&kind));
    }
}

#[test]
fn a_step_is_noticed_at_the_next_tick_known_at_once_and_measured_again() {
    let mut run = Run::new(0);
    while run.host.elapsed < 200.0 {
        run.step();
    }
    assert_eq!(run.transitions.len(), 0, "{:?}", run.transitions);
    run.host.step(-400.0);
    let reaction = run.engine.handle(Event::Tick { kernel: None, asleep: Span::ZERO }, run.host.reading());
    let told: Vec<_> = reaction.transitions.iter().map(|one| (one.kind, one.severity, one.change)).collect();
    assert_eq!(
        told,
        [
            (Kind::ClockSkew, Severity::Critical, Change::Firing),
            (Kind::ClockStepped, Severity::Warning, Change::Firing),
        ]
    );
    assert!(reaction.burst);
    assert!(reaction.transitions[1].summary.contains("400 s back"), "{}", reaction.transitions[1].summary);
    let snapshot = run.engine.snapshot(run.host.reading());
    assert_eq!((snapshot.clock.steps.backward, snapshot.clock.steps.forward), (1, 0));
    assert!((snapshot.clock.offset_seconds.unwrap() - 400.0).abs() < 0.01);
    let again = run.engine.handle(Event::Tick { kernel: None, asleep: Span::ZERO }, run.host.reading());
    assert!(!again.burst && again.transitions.is_empty());
}

#[test]
fn a_sleep_is_told_as_such_asks_every_source_again_and_is_no_step() {
    let mut run = Run::new(0);
    while run.host.elapsed < 200.0 {
        run.step();
    }
    run.host.sleep(3_000.0);
    let asleep = Span::from_seconds(run.host.asleep);
    let reaction = run.engine.handle(Event::Tick { kernel: None, asleep }, run.host.reading());
    assert_eq!((reaction.slept, reaction.burst, reaction.transitions.len()), (Some(asleep), true, 0));
    let clock = run.engine.snapshot(run.host.reading()).clock;
    assert_eq!((clock.state.as_str(), clock.steps.backward + clock.steps.forward), ("holdover", 0));
    let (offset, bound) = (clock.offset_seconds.unwrap(), clock.error_bound_seconds.unwrap());
    assert!((offset - run.host.offset()).abs() < bound && bound < 1.5, "{offset} ± {bound}");
    let again = run.engine.handle(Event::Tick { kernel: None, asleep }, run.host.reading());
    assert_eq!((again.slept, again.burst), (None, false));
    // One that sets the clock as well is a step.
    run.host.sleep(3_000.0);
    run.host.step(-400.0);
    let asleep = Span::from_seconds(run.host.asleep);
    let reaction = run.engine.handle(Event::Tick { kernel: None, asleep }, run.host.reading());
    assert!(reaction.slept.is_some());
    assert!(reaction.transitions.iter().any(|one| one.kind == Kind::ClockStepped), "{:?}", reaction.transitions);
}

#[test]
fn a_step_while_the_agent_was_down_is_noticed_at_the_first_event_of_the_same_boot_alone() {
    for same_boot in [true, false] {
        let mut run = Run::new(0);
        while run.host.elapsed < 200.0 {
            run.step();
        }
        run.host.advance(50.0);
        run.host.step(-400.0);
        let now = run.host.reading();
        let mut engine = Engine::restore(Arc::clone(&run.config), run.engine.image(), now, same_boot);
        let told = engine.handle(Event::Tick { kernel: None, asleep: Span::ZERO }, now).transitions;
        let kinds: Vec<Kind> = told.iter().map(|one| one.kind).collect();
        let expected: &[Kind] = if same_boot { &[Kind::ClockStepped] } else { &[] };
        assert!(kinds.ends_with(expected) && kinds.is_empty() != same_boot, "{kinds:?}");
        assert_eq!(engine.anchor().is_some(), same_boot);
    }
}
