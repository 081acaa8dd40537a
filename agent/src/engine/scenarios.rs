//! A thousand random hosts in invented time: no alert without a cause, no cause without an alert, every alert resolves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{CredentialEvent, Engine, Event};
use crate::alert::machine::{Change, Transition};
use crate::assess::finding::{Kind, Severity};
use crate::clock::sample::{Sample, Timestamps};
use crate::clock::time::{Anchor, BootTime, Reading, Span, SystemTime, TrueTime};
use crate::config::checked::{Config, Server, Source};
use crate::config::load::parse;
use crate::credentials::lease::{Lease, Unavailable};
use crate::ntp::poller::Polled;
use crate::ntp::refusal::Refusal;

/// 2026-11-01, the true time at which every scenario begins.
const BEGIN: f64 = 1_793_491_200.0;
const TICK: f64 = 8.0;
const POLL: f64 = 16.0;
const IMDS_POLL: f64 = 60.0;
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
    was_paused: bool,
    liar: Option<usize>,
    lie: f64,
    /// Which sources are out of reach.
    lost: Vec<bool>,
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
            was_paused: false,
            liar,
            lie,
            lost: vec![false; sources],
            imds_out: false,
            rotated: 0.0,
            rotates: true,
            random,
        }
    }

    fn boot(&self) -> f64 {
        1_000.0 + self.elapsed - self.gained
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

    /// Breaks or mends one thing.
    fn something_happens(&mut self) {
        match self.random.u8(..10) {
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
        let wild = if self.random.u16(..300) == 0 { 1_000.0 } else { 0.0 };
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
        let answers = |source: usize| !self.lost[source] && self.liar != Some(source);
        let honest = (0..self.lost.len()).filter(|source| answers(*source)).count();
        honest > self.lost.len() / 2 || (self.lost.len() < 3 && answers(0))
    }

    fn remaining(&self) -> f64 {
        self.rotated + 6.0 * 3_600.0 - self.elapsed
    }
}

fn config(sources: usize) -> Config {
    let text = "alerts: {credential-refresh-margin: {enabled: false}}\n";
    let mut config = parse(text, std::path::Path::new("scenario.yaml"), &|_| None).unwrap();
    config.sources = (0..sources)
        .map(|index| Source {
            name: format!("s{index}"),
            server: Server::Address(([169, 254, 169, 123], 1_000 + u16::try_from(index).unwrap()).into()),
            trusted: index == 0 && sources < 3,
            leap_smear: true,
            poll: Duration::from_secs(16),
        })
        .collect();
    config
}

struct Run {
    host: Host,
    engine: Engine,
    sources: usize,
    transitions: Vec<(f64, Transition)>,
    /// Since when each alert fires.
    firing: BTreeMap<(Kind, String), Severity>,
    causes: Causes,
    /// When each cause was last there.
    last_seen: Causes,
    burst: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let sources = 1 + usize::try_from(seed % 5).unwrap();
        let host = Host::new(seed, sources);
        let engine = Engine::new(Arc::new(config(sources)), host.reading());
        Self {
            host,
            engine,
            sources,
            transitions: Vec::new(),
            firing: BTreeMap::new(),
            causes: Causes::new(),
            last_seen: Causes::new(),
            burst: false,
        }
    }

    fn play(&mut self) {
        let mut next_trouble = 300.0;
        while self.host.elapsed < TROUBLE {
            if self.host.elapsed >= next_trouble {
                self.host.something_happens();
                next_trouble += 60.0 + self.host.random.f64() * 600.0;
            }
            self.step();
            self.check();
        }
        self.host.repair();
        let end = self.host.elapsed + PEACE;
        while self.host.elapsed < end {
            self.step();
        }
        assert_eq!(self.firing.len(), 0, "not resolved after the repair: {:?}", self.firing);
    }

    fn step(&mut self) {
        self.handle(Event::Tick(None));
        let is_due = |host: &Host, every: f64| host.elapsed % every < TICK;
        if is_due(&self.host, POLL) || self.burst {
            self.burst = false;
            let mut order: Vec<usize> = (0..self.sources).collect();
            self.host.random.shuffle(&mut order);
            for source in order {
                let polled = self.host.poll(source);
                self.handle(Event::Ntp(polled));
            }
        }
        if is_due(&self.host, IMDS_POLL) {
            let read = self.host.read_credentials();
            self.handle(Event::Credential(read));
        }
        self.host.advance(TICK);
    }

    fn handle(&mut self, event: Event) {
        let reaction = self.engine.handle(event, self.host.reading());
        self.burst |= reaction.burst;
        for transition in reaction.transitions {
            let key = (transition.kind, transition.subject.clone());
            match transition.change {
                Change::Firing => {
                    self.firing.insert(key, transition.severity);
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
        let host = &self.host;
        let offset = host.offset().abs();
        let mut is_there = |name: &'static str, is_so: bool| {
            if is_so {
                *self.causes.entry(name).or_insert(0.0) += TICK;
                self.last_seen.insert(name, host.boot());
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
        is_there("a source out", host.lost.iter().any(|lost| *lost));
        is_there("sources out", host.lost.iter().all(|lost| *lost));
        is_there("a step", host.boot() - host.last_step <= 300.0);
        is_there("imds out", host.imds_out);
        is_there("expiring", host.remaining() < 900.0 && !host.imds_out);
        is_there("nearly expiring", host.remaining() < 1_100.0);

        let lasted = |name| self.causes.get(name).copied().unwrap_or(0.0);
        let lately = |name, within: f64| self.last_seen.get(name).is_some_and(|last| host.boot() - last <= within);
        let fires = |kind: Kind| self.firing.iter().find(|((firing, _), _)| *firing == kind);
        let grace = host.elapsed > 120.0 + PATIENCE;

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

        // No alert without a cause.
        for (kind, subject) in self.firing.keys() {
            let has_cause = match kind {
                // Without a quorum what was known before holds, and a pause since then cannot be known.
                Kind::ClockSkew => lately("some skew", PATIENCE) || (!knows && host.was_paused),
                Kind::ClockUndisciplined => lately("a second", PATIENCE) || (!knows && host.was_paused),
                Kind::ClockStepped => lately("a step", PATIENCE),
                Kind::ClockUnverified => lately("no quorum", PATIENCE),
                Kind::SourceUnreachable => lately("a source out", PATIENCE),
                Kind::SourceFalseticker => host.liar.is_some_and(|liar| *subject == format!("s{liar}")) || !knows,
                Kind::CredentialUnavailable => lately("imds out", IMDS_POLL + PATIENCE),
                Kind::CredentialExpiring => {
                    lately("nearly expiring", IMDS_POLL + PATIENCE) || lately("imds out", IMDS_POLL)
                }
                Kind::ClockSkewForecast | Kind::CredentialRefreshMargin | Kind::Test => false,
            };
            assert!(has_cause, "{} {subject} fires without a cause (offset {offset} s)", kind.name());
        }
    }
}

#[test]
fn a_thousand_random_hosts_are_told_what_is_wrong_and_nothing_else() {
    let mut told: BTreeMap<Kind, u32> = BTreeMap::new();
    for seed in 0..1_000 {
        let mut run = Run::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.play()));
        if outcome.is_err() {
            let story: Vec<_> = run
                .transitions
                .iter()
                .map(|(at, one)| {
                    format!("{at} {} {} {}: {}", one.change.name(), one.kind.name(), one.subject, one.summary)
                })
                .collect();
            panic!(
                "seed {seed}, {} sources, liar {:?}, at {} s:\n{}",
                run.sources,
                run.host.liar,
                run.host.elapsed,
                story.join("\n")
            );
        }
        for (_, transition) in run.transitions.iter().filter(|(_, one)| one.change == Change::Firing) {
            *told.entry(transition.kind).or_default() += 1;
        }
    }
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
        assert!(told.get(&kind).is_some_and(|count| *count >= 20), "{} came {:?} times", kind.name(), told.get(&kind));
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
    let reaction = run.engine.handle(Event::Tick(None), run.host.reading());
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
    let again = run.engine.handle(Event::Tick(None), run.host.reading());
    assert!(!again.burst && again.transitions.is_empty());
}
