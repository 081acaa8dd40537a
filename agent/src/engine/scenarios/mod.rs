//! Ten thousand random hosts in invented time: no alert without a cause, no cause without an alert, none told twice, and
//! every alert resolves, whatever happens to the clock, the network, the host, the agent and its configuration.

mod each;
mod forecast;
mod growth;
mod host;
mod over;
mod post;
mod runaway;
mod steps;
mod witnesses;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::host::Host;
use self::post::{CHANNELS, Disk, Post, Step, Telling};
use super::{Engine, Event, Image};
use crate::alert::machine::{Change, Transition};
use crate::assess::finding::{Kind, Severity};
use crate::clock::true_clock::Stamp;
use crate::config::checked::Config;
use crate::config::load::parse;
use crate::schedules;
use crate::sources::ntp::Server;
use crate::sources::poller::Polled;
use crate::sources::source::Source;
use crate::time::{Reading, Span, TrueTime};

/// How many hosts there are, each with its seed: all, and the few that are played after every edit.
const SEEDS: u64 = 10_000;
const FEW_SEEDS: u64 = 48;
/// The clock of one host in so many runs away.
const RUN_AWAY: u64 = 23;
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
/// By then a skew must have become an alert, and its end the end of the alert.
const SKEW_PATIENCE: f64 = 40.0;
/// An alert that ten thousand hosts are told no more often than this is not caused by them, but by chance.
const COMMON: u32 = 200;
/// The alerts that are not common among them, and why. [`each`] causes them all.
const RARE: [(Kind, &str); 2] = [
    (Kind::ClockSkewForecast, "few are near a limit that their drift reaches within a week"),
    (Kind::CredentialRotationOverdue, "a habit is known after three rotations, and trouble is over before that"),
];
/// The skews at which AWS changes its ways.
const LIMITS: [f64; 3] = [240.0, 300.0, 900.0];
/// Below these, an alert of this severity is over.
const CLEAR: [(Severity, f64); 2] = [(Severity::Warning, 48.0), (Severity::Critical, 120.0)];

/// For how long each cause has been there, in seconds; absent where it is not.
type Causes = BTreeMap<&'static str, f64>;

/// A configuration with these sources of a host; `port` is what their servers' ports begin with.
fn config(host: &Host, configured: &[usize], port: u16) -> Config {
    let mut config = parse("{}", std::path::Path::new("scenario.yaml"), &|_| None).unwrap();
    config.sources = configured
        .iter()
        .map(|index| Source {
            name: format!("s{index}"),
            kind: Server::Address(([169, 254, 169, 123], port + u16::try_from(*index).unwrap()).into()).into(),
            trusted: host.is_trusted(*index),
            leap_smear: true,
            group: host.witnesses.group(*index),
            poll: Duration::from_secs(16),
        })
        .collect();
    config
}

/// Whether a clock that is so wrong reaches a limit within a week or so, if it goes on like this.
fn limit_ahead(offset: f64, drift: f64) -> bool {
    // The trend is not known to the last digit, and an alert lasts until a fifth more than a week is left.
    let most = (drift.abs() + 20e-6) * 1.2 * 7.0 * 86_400.0;
    LIMITS.into_iter().any(|limit| offset < limit && limit - offset < most)
}

/// Whether a clock that is slow by so much, or by as much as `doubt` more or less, leaves an SDK too little of its margin,
/// or is so far ahead that it finds a new credential near its end. An alert lasts until a fifth more than that is left.
fn has_short_margin(slow: f64, doubt: f64) -> bool {
    // Half of the shortest margin; and a lifetime less the longest.
    slow + doubt >= 60.0 - 1.2 * 30.0 || -slow + doubt >= 6.0 * 3_600.0 - 1.2 * 600.0
}

struct Run {
    host: Host,
    config: Arc<Config>,
    engine: Engine,
    post: Post,
    /// The process was killed, and another has to begin.
    was_killed: bool,
    transitions: Vec<(f64, Transition)>,
    /// What happened, and when.
    story: Vec<(f64, String)>,
    /// How bad each alert is that fires.
    firing: BTreeMap<(Kind, String), Severity>,
    /// When each of them began to, as the host counts.
    fired: BTreeMap<(Kind, String), f64>,
    /// When each source answered last, in seconds of `watched`.
    answered: BTreeMap<usize, f64>,
    causes: Causes,
    /// When each cause was last there, in seconds of `watched`.
    last_seen: Causes,
    /// How long the agent has watched the host, without the times in which one of them slept.
    watched: f64,
    /// When the boot grace began, in seconds of `watched`.
    graced: f64,
    /// When this process began, in seconds of `watched`.
    begun: f64,
    burst: bool,
    /// Whether the credentials are read before their time.
    reads: bool,
    /// How often something happens.
    tick: f64,
    /// How often a skew was told where there was one, and where there was none.
    skews: [u32; 2],
}

impl Run {
    fn new(seed: u64) -> Self {
        Self::of(Host::new(seed, true))
    }

    fn of(host: Host) -> Self {
        let config = Arc::new(config(&host, &host.configured, 1_000));
        let engine = Engine::new(Arc::clone(&config), host.reading());
        Self {
            host,
            config,
            engine,
            post: Post::new(),
            was_killed: false,
            transitions: Vec::new(),
            story: Vec::new(),
            firing: BTreeMap::new(),
            fired: BTreeMap::new(),
            answered: BTreeMap::new(),
            causes: Causes::new(),
            last_seen: Causes::new(),
            watched: 0.0,
            graced: 0.0,
            begun: 0.0,
            burst: false,
            reads: false,
            tick: TICK,
            skews: [0; 2],
        }
    }

    fn play(&mut self) {
        self.be_in_trouble(TROUBLE);
        self.come_to_peace();
    }

    /// For so many seconds things go wrong, one after the other.
    fn be_in_trouble(&mut self, seconds: f64) {
        let mut next_trouble = self.watched + 300.0;
        let end = self.watched + seconds;
        while self.watched < end {
            if self.watched >= next_trouble {
                self.begin_after_a_kill();
                let before = self.host.to_string();
                match self.host.random.u8(..18) {
                    0 | 1 => self.restart(true, &[0.1, 20.0, 300.0]),
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
    }

    /// All is repaired, every alert resolves, and all is told.
    fn come_to_peace(&mut self) {
        self.begin_after_a_kill();
        self.host.repair();
        self.post.reload(&CHANNELS);
        self.reload_with(self.host.all_sources(), 1_000, true);
        self.story.push((self.host.elapsed, format!("{} all is repaired", self.host.elapsed)));
        if self.host.random.bool() {
            self.restart(false, &[0.1, 20.0, 300.0]);
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
        self.assert_small();
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
        self.handle(Event::Tick { kernel: self.host.kernel(), asleep });
        let tick = self.tick;
        let is_due = |host: &Host, every: f64| host.elapsed % every < tick;
        self.answer_bursts();
        self.ask(&self.host.due(tick));
        self.answer_bursts();
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
        self.post.send(&mut self.host, Span::from_seconds(tick));
        self.host.listen(tick);
        self.host.advance(tick);
        self.watched += tick;
    }

    fn answer_bursts(&mut self) {
        while std::mem::take(&mut self.burst) {
            self.ask(&self.host.configured.clone());
        }
    }

    /// Asks these sources, in any order.
    fn ask(&mut self, sources: &[usize]) {
        let mut order: Vec<_> = self.engine.source_ids().into_iter().zip(self.host.configured.clone()).collect();
        order.retain(|(_, source)| sources.contains(source));
        self.host.random.shuffle(&mut order);
        for (id, source) in order {
            let polled = Polled { source: id, ..self.host.poll(source) };
            if polled.result.is_ok() {
                self.answered.insert(source, self.watched);
            }
            self.handle(Event::Source(polled));
        }
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
            None => {
                self.host.heard = 0.0;
                Engine::new(Arc::clone(&self.config), now)
            }
        };
        self.begin_again();
    }

    /// The agent ends and begins again, in the same boot of the host or another one. Its state goes through a file.
    /// In trouble the system clock may have been set meanwhile.
    fn restart(&mut self, in_trouble: bool, away: &[f64]) {
        self.begin_after_a_kill();
        let text = serde_json::to_string(&self.engine.image()).unwrap();
        let image: Image = serde_json::from_str(&text).unwrap();
        assert_eq!(image, self.engine.image());
        // A disk that keeps nothing lets the next process forget.
        self.repair_the_disk();
        let same_boot = self.host.random.bool();
        let away = away[self.host.random.usize(..away.len())];
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

    /// Some sources come or go, change their places or their servers, and rules and channels are turned off and on.
    fn reload(&mut self) {
        let mut configured = self.host.all_sources();
        if configured.len() > 1 && self.host.random.bool() {
            configured.remove(self.host.random.usize(..configured.len()));
        }
        self.host.random.shuffle(&mut configured);
        let port = if self.host.random.u8(..4) == 0 { 2_000 } else { 1_000 };
        let keeps = self.host.random.bool();
        let channels = [&CHANNELS[..], &CHANNELS[..1], &CHANNELS[1..]][self.host.random.usize(..3)];
        self.begin_after_a_kill();
        self.post.reload(channels);
        if self.host.liar.is_some() {
            self.host.heard = 0.0;
        }
        self.reload_with(configured, port, keeps);
    }

    fn reload_with(&mut self, configured: Vec<usize>, port: u16, undisciplined: bool) {
        self.begin_after_a_kill();
        let before = self.engine.source_ids();
        let mut config = config(&self.host, &configured, port);
        config.alerts.rules.change(Kind::ClockUndisciplined, |rule| rule.enabled = undisciplined);
        self.host.configured = configured;
        self.config = Arc::new(config);
        self.engine.reload(Arc::clone(&self.config), self.host.reading());
        // Whoever was asked before may answer after.
        let after = self.engine.source_ids();
        for id in before.into_iter().filter(|id| !after.contains(id)) {
            let late = Polled { source: id, ..self.host.poll(0) };
            self.handle(Event::Source(late));
        }
        self.begin_again();
    }

    /// All who are asked are asked again, and causes need their time again to become alerts.
    fn begin_again(&mut self) {
        self.begun = self.watched;
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
            if transition.kind == Kind::ClockSkew && transition.change == Change::Firing {
                self.check_skew(&transition, now);
            }
            if transition.kind == Kind::CredentialUnavailable && transition.severity == Severity::Critical {
                assert!(!self.host.imds_never, "what was never there is told as lost");
            }
            match transition.change {
                Change::Firing => {
                    self.fired.entry(key.clone()).or_insert(self.host.elapsed);
                    let before = self.firing.insert(key, transition.severity);
                    assert_ne!(before, Some(transition.severity), "told twice: {}", transition.summary);
                    assert_eq!(before, transition.before, "the severity before is not the one that was told");
                }
                Change::Repeated => assert!(self.firing.contains_key(&key), "repeated without firing"),
                Change::Resolved => {
                    self.check_over(&transition, now);
                    assert!(self.firing.remove(&key).is_some(), "resolved without firing: {key:?}");
                    self.fired.remove(&key);
                }
            }
            assert!(!transition.summary.is_empty() && !transition.remedy.is_empty());
            self.transitions.push((self.host.elapsed, transition));
        }
    }

    /// A skew is told only where the clock may be so wrong, except to those who cannot know the time.
    fn check_skew(&mut self, told: &Transition, now: Reading) {
        let clear = CLEAR.iter().find(|(severity, _)| *severity == told.severity).map(|(_, clear)| *clear).unwrap();
        let most = self.host.offset().abs() + self.bound(now);
        self.skews[usize::from(most < clear)] += 1;
        let is_known = self.host.is_known();
        assert!(most >= clear || !is_known, "told of {most} s, which is less than {clear}: {}", told.summary);
    }

    /// How wrong the agent thinks that its estimate can be, in seconds.
    fn bound(&self, now: Reading) -> f64 {
        self.engine.at(now).skew.map_or(0.0, |skew| skew.bound.seconds())
    }

    /// Plays something; what went wrong is told as a story, which ends with what the agent believes.
    fn tell_what_goes_wrong(&mut self, seed: u64, play: impl FnOnce(&mut Self)) -> Result<(), String> {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(self))).is_ok() {
            return Ok(());
        }
        let of = |(at, one): &(f64, Transition)| {
            format!("{at} {} {} {}: {}", one.change.name(), one.kind.name(), one.subject, one.summary)
        };
        let told = self.transitions.iter().map(|one| (one.0, of(one)));
        let mut story: Vec<_> = self.story.iter().cloned().chain(told).collect();
        story.sort_by(|one, other| one.0.total_cmp(&other.0));
        let story: Vec<_> = story.into_iter().map(|(_, text)| text).collect();
        let host = &self.host;
        let believed = self.engine.snapshot(host.reading());
        let verdicts: Vec<_> =
            believed.sources.iter().map(|one| (&one.name, &one.verdict, one.offset_seconds)).collect();
        Err(format!(
            "seed {seed}, {:?}, liar {:?} by {} s, at {} s:\n{}\n{:?} {verdicts:?}",
            host.witnesses,
            host.liar,
            host.lie,
            host.elapsed,
            story.join("\n"),
            believed.clock,
        ))
    }

    /// Compares what fires with what is true.
    fn check(&mut self) {
        self.check_twins();
        let (host, watched, tick) = (&self.host, self.watched, self.tick);
        let offset = host.offset().abs();
        // The estimate may be off by its bound as well.
        let bound = self.bound(host.reading());
        let most = offset + 2.0 * bound;
        let mut is_there = |name: &'static str, is_so: bool| {
            if is_so {
                *self.causes.entry(name).or_insert(0.0) += tick;
                self.last_seen.insert(name, watched);
            } else {
                self.causes.remove(name);
            }
        };
        let knows = host.has_quorum();
        is_there("skew", offset >= 61.0 && knows);
        is_there("critical skew", offset >= 151.0 && knows);
        is_there("some skew", most >= CLEAR[0].1);
        is_there("a second", most >= 0.75);
        is_there("a limit ahead", limit_ahead(offset, host.steepest()));
        is_there("a short margin", has_short_margin(host.offset(), 2.0 * bound));
        is_there("another trend", host.elapsed - host.changed <= tick);
        is_there("no quorum", !knows);
        is_there("a source out", host.configured.iter().any(|source| host.lost[*source]));
        is_there("sources out", host.configured.iter().all(|source| host.lost[*source]));
        is_there("a step", host.boot() - host.last_step <= 300.0);
        is_there("imds out", host.is_imds_silent());
        is_there("expiring", host.remaining() < 900.0 && !host.is_imds_silent());
        is_there("nearly expiring", host.remaining() < 1_100.0);
        is_there("old", host.remaining() < 3.0 * 3_600.0);

        let lasted = |name| self.causes.get(name).copied().unwrap_or(0.0);
        let lately = |name, within: f64| self.last_seen.get(name).is_some_and(|last| watched - last <= within);
        let fires = |kind: Kind| self.firing.iter().find(|((firing, _), _)| *firing == kind);
        let grace = watched - self.graced > 120.0 + PATIENCE;

        // Sources that are asked together agree about a clock that runs away, but for those that are not heard then.
        let patience = if host.runs_away() { PATIENCE } else { SKEW_PATIENCE };
        // No cause without an alert.
        assert!(lasted("skew") < patience || fires(Kind::ClockSkew).is_some(), "a skew of {offset} s is not told");
        if lasted("critical skew") >= patience {
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
        // After a restart each source is asked eight times before it counts as silent.
        let anew = watched - self.begun < 900.0 + 2.0 * PATIENCE;
        assert!(lasted("sources out") < 900.0 + PATIENCE || anew || fires(Kind::ClockUnverified).is_some());

        let is_blind = !host.is_known();
        let rules = &self.config.alerts.rules;
        // No alert without a cause.
        for (kind, subject) in self.firing.keys() {
            let has_cause = match kind {
                Kind::ClockSkew => lately("some skew", patience) || is_blind,
                Kind::ClockUndisciplined => {
                    rules.of(Kind::ClockUndisciplined).enabled && (lately("a second", PATIENCE) || is_blind)
                }
                // One within the boot grace is told at its end, and is over with the first tick after its time.
                Kind::ClockStepped => lately("a step", PATIENCE + 2.0 * TICK),
                Kind::ClockUnverified => lately("no quorum", PATIENCE),
                Kind::SourceUnreachable => lately("a source out", PATIENCE),
                // One that was condemned while nobody could know better has to answer before it agrees.
                Kind::SourceFalseticker => {
                    host.is_lying(subject[1..].parse().unwrap()) || !knows || self.is_silent(subject)
                }
                Kind::CredentialUnavailable => lately("imds out", IMDS_POLL + PATIENCE),
                Kind::CredentialExpiring => {
                    lately("nearly expiring", IMDS_POLL + PATIENCE) || lately("imds out", IMDS_POLL) || is_blind
                }
                // Where there was none for a time, a trend is known again after eight polls.
                Kind::ClockSkewForecast => {
                    let within = PATIENCE + 8.0 * POLL;
                    ["a limit ahead", "no quorum", "another trend"].iter().any(|cause| lately(cause, within))
                        || is_blind
                }
                // Half of its life has passed without a rotation.
                Kind::CredentialRotationOverdue => {
                    lately("old", IMDS_POLL + PATIENCE) || lately("imds out", IMDS_POLL + PATIENCE) || is_blind
                }
                // What was not read since is not known to be in order.
                Kind::CredentialRefreshMargin => {
                    lately("a short margin", PATIENCE) || lately("imds out", IMDS_POLL + PATIENCE) || is_blind
                }
                Kind::Test => false,
            };
            assert!(has_cause, "{} {subject} fires without a cause (offset {offset} s)", kind.name());
        }
    }
}

/// What was told.
#[derive(Default)]
struct Told {
    kinds: BTreeMap<Kind, u32>,
    /// As in [`Run`].
    skews: [u32; 2],
}

/// Plays the host with this seed; what was told, or the story of what went wrong.
fn play(seed: u64) -> Result<Told, String> {
    let mut run = Run::new(seed);
    run.tell_what_goes_wrong(seed, |run| {
        if seed.is_multiple_of(RUN_AWAY) {
            run.run_away();
        }
        run.play();
    })?;
    let mut told = Told { skews: run.skews, ..Told::default() };
    for (_, transition) in run.transitions.iter().filter(|(_, one)| one.change == Change::Firing) {
        *told.kinds.entry(transition.kind).or_default() += 1;
    }
    Ok(told)
}

#[test]
fn ten_thousand_random_hosts_are_told_what_is_wrong_and_nothing_else() {
    let told: Mutex<Told> = Mutex::default();
    let failed: Mutex<BTreeMap<u64, String>> = Mutex::default();
    let seeds = schedules::seeds(SEEDS, FEW_SEEDS);
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.lock().unwrap().len() >= MOST_STORIES {
                        return;
                    }
                    match play(seed) {
                        Ok(Told { kinds, skews }) => {
                            let mut told = told.lock().unwrap();
                            kinds.into_iter().for_each(|(kind, count)| *told.kinds.entry(kind).or_default() += count);
                            told.skews.iter_mut().zip(skews).for_each(|(sum, count)| *sum += count);
                        }
                        Err(story) => drop(failed.lock().unwrap().insert(seed, story)),
                    }
                }
            });
        }
    });
    let stories: Vec<String> = failed.into_inner().unwrap().into_values().collect();
    assert!(stories.is_empty(), "{}", stories.join("\n\n"));
    let Told { kinds: told, skews: [right, wrong] } = told.into_inner().unwrap();
    println!("{told:?}; a skew was told {right} times, and {wrong} times more by agents that could not know the time");
    // One host alone shows nothing of a fleet.
    if schedules::one().is_some() {
        return;
    }
    assert!(wrong * 20 < right, "{wrong} and {right}");
    // The scenarios would prove nothing about alerts that none of them causes. Of few it can only be asked that some come.
    let common = if schedules::all() { COMMON } else { 1 };
    for kind in Kind::ALL {
        let count = told.get(&kind).copied().unwrap_or_default();
        match RARE.iter().find(|(rare, _)| *rare == kind) {
            Some((_, reason)) => assert!(count < COMMON, "{} came {count} times, although {reason}", kind.name()),
            None => assert!(count >= common, "{} came {count} times", kind.name()),
        }
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
fn what_contradicts_the_earlier_answers_is_asked_again_twice_at_once_and_no_more() {
    let mut run = Run::new(1);
    while run.host.elapsed < 200.0 {
        run.step();
    }
    // The host was paused, and then a source lies as well.
    run.host.elapsed += 400.0;
    run.host.gained += 400.0;
    let mut asks = |source, lie| {
        (run.host.liar, run.host.lie) = (Some(source), lie);
        let polled = std::iter::repeat_with(|| run.host.poll(source)).find(|polled| polled.result.is_ok()).unwrap();
        run.engine.handle(Event::Source(polled), run.host.reading()).burst
    };
    assert_eq!(
        [(0, 0.0), (1, 0.0), (0, 1_000.0), (1, 1_000.0)].map(|(source, lie)| asks(source, lie)),
        [true, true, false, false]
    );
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
