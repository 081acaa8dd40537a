//! What becomes of what the agent of a scenario says: its state file, its queue and the disk of both, and those who are
//! told. Each of them fails at times, and the agent may be killed between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::Host;
use crate::alert::machine::Transition;
use crate::assess::finding::Severity;
use crate::clock::true_clock::Stamp;
use crate::delivery::item::{Class, Content, Item};
use crate::delivery::queue::{Budget, Found, Next, Pushed, Queue, Ticket};
use crate::delivery::request::{Answer, Failure};
use crate::engine::Image;
use crate::notify::channel::{Channel, message as seen_message, told};
use crate::notify::message::{item, message};
use crate::notify::runbooks::Runbooks;
use crate::notify::targets::AnyTarget;
use crate::notify::targets::slack::Slack;
use crate::setting::secret::SecretRef;
use crate::setting::tls::Tls;
use crate::state::Untold;
use crate::time::{BootTime, Reading, Span};

/// Room for twenty exports of two blocks each, and for more than a hundred alerts of one.
const BUDGET: Budget = Budget { size: 800_000, age: Duration::from_secs(86_400) };
const EXPORT: [u8; 5_000] = [0; 5_000];
const METRICS: &str = "otlp-metrics";
/// All channels that a configuration can have.
pub(super) const CHANNELS: [&str; 2] = ["ops", "pager"];
/// What one attempt takes, and what a lane may try in one tick.
const ATTEMPT: Span = Span::from_nanos(10_000_000);
const MOST_ATTEMPTS: usize = 200;
/// What is to be told at one moment is no more than the alerts that there can be.
const MOST_UNTOLD: usize = 40;

/// What the disk of the host does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Disk {
    Fine,
    /// It has room for so many bytes.
    Full(usize),
    ReadOnly,
}

/// The steps of telling, in their order. A process may be killed before any of them, or after the last.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) enum Step {
    WriteState,
    Push,
    WriteItems,
    CrossOff,
    Done,
}

impl Step {
    pub(super) const ALL: [Self; 5] = [Self::WriteState, Self::Push, Self::WriteItems, Self::CrossOff, Self::Done];
}

/// How the telling of transitions ended.
#[derive(Debug, PartialEq)]
pub(super) enum Telling {
    Done,
    /// The process was killed; whether what was decided outlived it.
    Killed {
        decided: bool,
    },
}

/// The pager is told only what is critical.
fn channel(name: &str) -> Channel {
    Channel {
        name: name.to_owned(),
        severity: if name == "pager" { Severity::Critical } else { Severity::Warning },
        alerts: None,
        target: AnyTarget::Slack(Slack { url: SecretRef::Environment("A".to_owned()) }),
        timeout: Duration::from_secs(10),
        tls: Tls::default(),
    }
}

/// What a process has counted that is gone.
#[derive(Default)]
struct Counted {
    pushed: u64,
    found: u64,
}

pub(super) struct Post {
    channels: Vec<Channel>,
    queue: Queue,
    counted: BTreeMap<String, Counted>,
    pub(super) disk: Disk,
    /// What was given up meanwhile is sent by the next process all the same, late.
    was_read_only: bool,
    files: BTreeMap<Ticket, Item>,
    /// The state file: the memory of the engine, and what was to be told.
    state: Option<(Image, Vec<Untold>)>,
    /// Before which step the next telling is cut off.
    pub(super) kill: Option<Step>,
    pub(super) down: BTreeSet<String>,
    /// What each channel was to be told, and what everybody took, by its key.
    decided: BTreeMap<String, Vec<String>>,
    taken: BTreeMap<String, Vec<String>>,
    exports: u64,
}

impl Post {
    pub(super) fn new() -> Self {
        Self {
            channels: CHANNELS.iter().map(|name| channel(name)).collect(),
            queue: Queue::new(BUDGET, []),
            counted: BTreeMap::new(),
            disk: Disk::Fine,
            was_read_only: false,
            files: BTreeMap::new(),
            state: None,
            kill: None,
            down: BTreeSet::new(),
            decided: BTreeMap::new(),
            taken: BTreeMap::new(),
            exports: 0,
        }
    }

    /// Goes on with these channels. What waits for another waits until it is configured again.
    pub(super) fn reload(&mut self, names: &[&str]) {
        self.channels = names.iter().map(|name| channel(name)).collect();
    }

    pub(super) fn lanes(&self) -> Vec<String> {
        self.channels.iter().map(|channel| channel.name.clone()).chain([METRICS.to_owned()]).collect()
    }

    /// Tells transitions as the agent does.
    pub(super) fn tell(&mut self, transitions: &[Transition], image: &Image, now: Reading) -> Telling {
        let untold: Vec<_> = transitions
            .iter()
            .map(|one| Untold { transition: one.clone(), message: message(one, now.system, &Runbooks::default()) })
            .collect();
        assert!(untold.len() <= MOST_UNTOLD, "{} are to be told at once", untold.len());
        // A disk that keeps nothing lets a crash forget; without a crash nothing is lost even so.
        let kill = self.kill.take_if(|_| self.disk == Disk::Fine);
        let is_cut_off = |step| kill.is_some_and(|kill| kill <= step);
        if is_cut_off(Step::WriteState) {
            return Telling::Killed { decided: false };
        }
        self.write_state(image, &untold);
        for Untold { transition, .. } in &untold {
            for channel in &self.channels {
                if let Some(seen) = told(channel, transition) {
                    let one = untold.iter().find(|one| one.transition == *transition).expect("it is one of them");
                    let key = seen_message(&one.message, &seen).key();
                    self.decided.entry(channel.name.clone()).or_default().push(key);
                }
            }
        }
        if is_cut_off(Step::Push) {
            return Telling::Killed { decided: true };
        }
        let pushed = self.push_all(&untold, now.boot);
        if is_cut_off(Step::WriteItems) {
            return Telling::Killed { decided: true };
        }
        self.write_items(pushed);
        if is_cut_off(Step::CrossOff) {
            return Telling::Killed { decided: true };
        }
        self.write_state(image, &[]);
        if is_cut_off(Step::Done) { Telling::Killed { decided: true } } else { Telling::Done }
    }

    fn push_all(&mut self, untold: &[Untold], now: BootTime) -> Vec<Ticket> {
        let mut pushed = Vec::new();
        for Untold { transition, message } in untold {
            for channel in self.channels.clone() {
                let Some(seen) = told(&channel, transition) else { continue };
                let item = item(&seen_message(message, &seen), transition.at).unwrap();
                pushed.extend(self.push(&channel.name, item, now));
            }
        }
        pushed
    }

    fn push(&mut self, lane: &str, item: Item, now: BootTime) -> Option<Ticket> {
        let Pushed::Waits(ticket) = self.queue.push(lane, item, now) else { return None };
        self.counted.entry(lane.to_owned()).or_default().pushed += 1;
        self.discard();
        Some(ticket)
    }

    /// Pushes one export.
    pub(super) fn export(&mut self, at: Stamp, now: BootTime) {
        self.exports += 1;
        let key = format!("metrics/{}", self.exports);
        let (content, body) = (Content::ProtobufGzip, Bytes::from_static(&EXPORT));
        let ticket = self.push(METRICS, Item { class: Class::Telemetry, key, at, content, body }, now);
        self.write_items(ticket.into_iter().collect());
    }

    pub(super) fn write_state(&mut self, image: &Image, untold: &[Untold]) {
        if self.disk == Disk::Fine {
            self.state = Some((image.clone(), untold.to_vec()));
        }
    }

    fn write_items(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets {
            let Some(item) = self.queue.in_memory(&ticket).cloned() else { continue };
            let used = || self.files.values().map(|item| item.body.len()).sum::<usize>();
            let fits = |disk, used: usize| match disk {
                Disk::Fine => true,
                Disk::Full(room) => used + item.body.len() <= room,
                Disk::ReadOnly => false,
            };
            let is_full = matches!(self.disk, Disk::Full(_)) && !fits(self.disk, used());
            if is_full && item.class == Class::Alert {
                self.queue.make_room(item.body.len() as u64);
                self.discard();
            }
            let used = self.files.values().map(|item| item.body.len()).sum::<usize>();
            if fits(self.disk, used) {
                // Through the file, as another process would read it.
                let kept = Item::decode(&item.encode()).unwrap();
                if self.queue.stored(&ticket) {
                    self.files.insert(ticket, kept);
                }
            }
        }
    }

    fn discard(&mut self) {
        for ticket in self.queue.take_discarded() {
            if self.disk != Disk::ReadOnly {
                self.files.remove(&ticket);
            }
        }
    }

    /// The disk does something else from now on.
    pub(super) fn break_disk(&mut self, disk: Disk) {
        self.was_read_only |= disk == Disk::ReadOnly;
        self.disk = disk;
    }

    /// The disk is repaired, and gets what waited in memory.
    pub(super) fn repair_disk(&mut self) {
        self.disk = Disk::Fine;
        self.write_items(self.queue.all_in_memory());
    }

    /// Another process begins with what is on disk; returns the memory of the engine. One that ended in peace has written
    /// the state and all that waited.
    pub(super) fn begin_again(&mut self, now: BootTime) -> Option<Image> {
        let found: Vec<_> = self
            .files
            .iter()
            .map(|(ticket, item)| Found {
                ticket: ticket.clone(),
                class: item.class,
                key: item.key.clone(),
                at: item.at,
                bytes: item.body.len() as u64,
            })
            .collect();
        self.counted.clear();
        for one in &found {
            self.counted.entry(one.ticket.lane.clone()).or_default().found += 1;
        }
        self.queue = Queue::new(BUDGET, found);
        self.discard();
        let (image, untold) = self.state.clone()?;
        let pushed = self.push_all(&untold, now);
        self.write_items(pushed);
        self.write_state(&image, &[]);
        Some(image)
    }

    /// Lets every lane send for as long as a tick lasts.
    pub(super) fn send(&mut self, host: &mut Host, tick: Span) {
        let begin = host.reading().boot;
        for lane in self.lanes() {
            let mut now = begin;
            for _ in 0..MOST_ATTEMPTS {
                let (ticket, item) = match self.queue.next(&lane, now) {
                    Next::Nothing => break,
                    Next::Wait(then) if then.since(begin) >= tick => break,
                    Next::Wait(then) => {
                        now = then;
                        continue;
                    }
                    Next::Stored(ticket) => {
                        let item = self.files.get(&ticket).unwrap_or_else(|| panic!("{ticket:?} is not on disk"));
                        (ticket.clone(), item.clone())
                    }
                    Next::Item(Some(ticket), item) => (ticket, item),
                    Next::Item(None, _) => unreachable!("nothing is told again and again"),
                };
                now = now.plus(ATTEMPT);
                let result = self.attempt(&lane, &item, host);
                self.queue.settle(&lane, std::slice::from_ref(&ticket), &result, now, host.random.f64());
                self.discard();
            }
            self.check(&lane);
        }
    }

    fn attempt(&mut self, lane: &str, item: &Item, host: &mut Host) -> Result<Answer, Failure> {
        let random = &mut host.random;
        if self.down.contains(lane) {
            let retry_after = (random.u8(..4) == 0).then(|| Duration::from_secs(random.u64(..120)));
            return Err(Failure { retry_after, ..Failure::transient("status 503") });
        }
        if item.class == Class::Telemetry && random.u8(..100) == 0 {
            return Err(Failure::lasting("status 400"));
        }
        self.taken.entry(lane.to_owned()).or_default().push(item.key.clone());
        if random.u8(..20) == 0 {
            return Err(Failure::transient("no answer in time"));
        }
        Ok(Answer { status: 200, body: Bytes::new() })
    }

    /// Every item is somewhere, and there is room for all of them.
    fn check(&self, lane: &str) {
        let Some(state) = self.queue.state(lane) else { return };
        let Counted { pushed, found } = self.counted.get(lane).unwrap_or(&Counted { pushed: 0, found: 0 });
        assert_eq!(state.queued + state.delivered + state.dropped, pushed + found, "{lane}: {state:?}");
        assert!(lane == METRICS || state.dropped == 0, "an alert was given up: {state:?}");
        let bytes: u64 = self.lanes().iter().filter_map(|lane| self.queue.state(lane)).map(|state| state.bytes).sum();
        assert!(bytes <= BUDGET.size, "{bytes} bytes wait");
        // What could not be removed from a read-only disk is removed after the next start.
        assert!(self.files.len() <= 2_000, "{} files", self.files.len());
    }

    /// Whether nothing waits any more, in memory or on disk.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.waiting().next().is_none() && self.files.is_empty()
    }

    /// Whether nothing waits for anybody, although files may be left that could not be removed.
    pub(super) fn is_sent(&self) -> bool {
        self.queue.waiting().next().is_none()
    }

    /// Whether everybody was told all, in its order, and each thing under one key.
    pub(super) fn assert_told(&self) {
        for channel in &self.channels {
            let none = Vec::new();
            let decided = self.decided.get(&channel.name).unwrap_or(&none);
            let taken = self.taken.get(&channel.name).unwrap_or(&none);
            let mut seen = BTreeSet::new();
            let first: Vec<_> = taken.iter().filter(|key| seen.insert(*key)).collect();
            assert_eq!(first, decided.iter().collect::<Vec<_>>(), "what {} was told", channel.name);
        }
        let exports: Vec<u64> =
            self.taken.get(METRICS).into_iter().flatten().filter_map(|key| key[8..].parse().ok()).collect();
        let mut seen = BTreeSet::new();
        let first: Vec<_> = exports.into_iter().filter(|number| seen.insert(*number)).collect();
        assert!(self.was_read_only || first.is_sorted(), "exports out of order: {first:?}");
    }
}
