//! What the parts of the queue at work share: the queue itself, its disk, and those who are told of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::mutex::lock;
use super::queue::Queue;
use super::request::Destination;
use super::store::Store;
use super::ticket::{Chore, Losses};
use crate::clock::local;
use crate::snapshot::Delivery;
use crate::time::Span;
use crate::vitals::Task;

/// What was given up for want of room is told at once, and what follows it in a sum after so long.
const NEXT_LOSSES: Span = Span::from_nanos(60 * 1_000_000_000);

/// What all parts of the queue share.
pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    pub(super) lanes: Mutex<BTreeMap<String, Served>>,
    pub(super) store: Option<Store>,
    /// How long the disk may take for one thing before it counts as one that hangs.
    pub(super) patience: Duration,
    /// There may be something to do for the disk.
    pub(super) chores: Notify,
    /// The disk is at work.
    is_busy: AtomicBool,
    /// Something was written, refused, delivered or given up.
    pub(super) progress: Arc<Notify>,
    tell: Box<dyn Fn(Delivery) -> bool + Send + Sync>,
    /// Destinations whose state could not be told.
    pub(super) untold: Mutex<BTreeSet<String>>,
    losses: Mutex<Untold>,
}

/// The sender of one destination.
pub(super) struct Served {
    pub(super) destination: Arc<Mutex<Arc<dyn Destination>>>,
    pub(super) changed: Arc<Notify>,
    pub(super) closing: CancellationToken,
    pub(super) task: Task,
}

/// What was given up for want of room, and has not been told.
#[derive(Default)]
struct Untold {
    losses: BTreeMap<String, Losses>,
    /// When such a thing was told last, as [`local::awake`] counts.
    told: Option<Span>,
}

impl Shared {
    /// `tell` is called with the state of a destination whenever it changes, and returns whether it was heard.
    pub(super) fn new(
        queue: Queue,
        store: Option<Store>,
        patience: Duration,
        tell: impl Fn(Delivery) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            queue: Mutex::new(queue),
            lanes: Mutex::default(),
            store,
            patience,
            chores: Notify::new(),
            is_busy: AtomicBool::new(false),
            progress: Arc::default(),
            tell: Box::new(tell),
            untold: Mutex::default(),
            losses: Mutex::default(),
        }
    }

    /// Shows those who wait for it that the queue has changed. Returns the states of all destinations that have lost
    /// something by it, which are to be told once the queue is free.
    pub(super) fn changed(&self, queue: &mut Queue) -> Vec<Delivery> {
        if self.store.is_some() {
            self.chores.notify_one();
        } else {
            queue.take_discarded();
        }
        self.progress.notify_waiters();
        let losses = queue.take_losses();
        let states = losses.keys().filter_map(|name| queue.state(name)).collect();
        let mut untold = lock(&self.losses);
        for (name, Losses { alerts, telemetry }) in losses {
            let sum = untold.losses.entry(name).or_default();
            sum.alerts = sum.alerts.saturating_add(alerts);
            sum.telemetry = sum.telemetry.saturating_add(telemetry);
        }
        states
    }

    /// Tells the state of a destination.
    pub(super) fn tell(&self, state: Delivery) {
        let name = state.destination.clone();
        if !(self.tell)(state) {
            lock(&self.untold).insert(name);
        }
    }

    /// Tells the states of several destinations, and what some of them have lost.
    pub(super) fn tell_all(&self, states: Vec<Delivery>) {
        states.into_iter().for_each(|state| self.tell(state));
        self.tell_losses(false);
    }

    /// Says what was given up for want of room; unless it is `due`, only if that was not said lately.
    pub(super) fn tell_losses(&self, due: bool) {
        let mut untold = lock(&self.losses);
        if untold.losses.is_empty() {
            return;
        }
        let now = local::awake();
        if !due && untold.told.is_some_and(|told| now.minus(told) < NEXT_LOSSES) {
            return;
        }
        untold.told = Some(now);
        for (destination, Losses { alerts, telemetry }) in std::mem::take(&mut untold.losses) {
            tracing::warn!(
                destination,
                alerts,
                exports = telemetry,
                "given up for want of room, the oldest first: more waits for delivery than queue.size allows, or than memory \
                 holds while no disk keeps it. Mend the destinations that take nothing, or the state directory"
            );
        }
    }

    /// What the disk is to do next.
    pub(super) fn chore(&self) -> Option<Chore> {
        let mut queue = lock(&self.queue);
        let chore = queue.chore();
        self.is_busy.store(chore.is_some(), Ordering::Relaxed);
        chore
    }

    /// Waits until the disk has all that it takes.
    pub(super) async fn settled(&self) {
        loop {
            let progress = self.progress.notified();
            if !self.is_busy.load(Ordering::Relaxed) && !lock(&self.queue).has_chores() {
                return;
            }
            progress.await;
        }
    }

    /// Takes note of whether the disk keeps what waits, and tells of all destinations if that is news.
    pub(super) fn set_on_disk(&self, is_on_disk: bool) {
        if !lock(&self.queue).set_on_disk(is_on_disk) {
            return;
        }
        let served: Vec<_> = lock(&self.lanes).keys().cloned().collect();
        for name in served {
            let state = lock(&self.queue).state(&name);
            state.into_iter().for_each(|state| self.tell(state));
        }
    }

    /// Takes note of whether the disk answers at all.
    pub(super) fn set_disk_answers(&self, answers: bool) {
        let mut queue = lock(&self.queue);
        queue.set_disk_answers(answers);
        let states = self.changed(&mut queue);
        drop(queue);
        self.tell_all(states);
    }
}
