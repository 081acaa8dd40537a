//! The queue at work: a task that keeps it on disk, and a task for each destination that sends.
//!
//! An item is sent as soon as it is pushed, whether or not the disk has it yet: a disk that is slow, full or read-only
//! delays nothing and takes nothing but the life after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::item::{Class, Item};
use super::queue::{Budget, Next, Pushed, Queue, Ticket};
use super::request::{Answer, Endpoint, Failure};
use super::store::{Health, Inventory, ReadError, Store};
use crate::clock::local;
use crate::clock::time::Span;
use crate::clock::true_clock::Stamp;
use crate::snapshot::Delivery;
use crate::vitals::{Ailment, Pulse, Task};

/// While the end is near, nobody waits longer than this for another attempt.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// An attempt ends by itself long before this.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(300);
/// What else a file takes on disk beside the body, roughly.
const BLOCK: u64 = 4_096;

/// All destinations, and what waits for them.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

/// The way into the queue of one destination. To put something in never waits.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
    name: Arc<str>,
}

/// Resolves once an item outlives the process, or it is clear that it cannot.
pub struct Kept(Option<oneshot::Receiver<()>>);

struct Shared {
    queue: Mutex<Queue>,
    lanes: Mutex<BTreeMap<String, Lane>>,
    store: Option<Store>,
    jobs: mpsc::UnboundedSender<Job>,
    tell: Box<dyn Fn(Delivery) + Send + Sync>,
}

/// The sender of one destination.
struct Lane {
    endpoint: Arc<Mutex<Arc<dyn Endpoint>>>,
    changed: Arc<Notify>,
    closing: CancellationToken,
    task: Task,
}

enum Job {
    Write(Ticket, oneshot::Sender<()>),
    Remove(Ticket),
    Flush(oneshot::Sender<()>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spool {
    /// Goes on with what `store` keeps; without one, what waits is lost with the process. `tell` is called with the state
    /// of a destination whenever it changes.
    ///
    /// What was found and cannot be sent yet waits for [`Spool::lane`].
    pub fn start(
        store: Option<(Store, Health)>,
        budget: Budget,
        tell: impl Fn(Delivery) + Send + Sync + 'static,
    ) -> Self {
        let (store, inventory) = store.and_then(scan).unzip();
        let (store, health) = store.unzip();
        let Inventory { found, highest } = inventory.unwrap_or_default();
        let mut queue = Queue::new(budget, found);
        queue.number_after(highest);
        queue.set_on_disk(store.is_some());
        let (jobs, inbox) = mpsc::unbounded_channel();
        let shared = Shared {
            queue: Mutex::new(queue),
            lanes: Mutex::default(),
            store: store.clone(),
            jobs,
            tell: Box::new(tell),
        };
        let shared = Arc::new(shared);
        shared.discard(&mut lock(&shared.queue));
        if let (Some(store), Some(health)) = (store, health) {
            tokio::spawn(Keeper { shared: Arc::clone(&shared), store, health, is_failing: false }.run(inbox));
        }
        Self { shared }
    }

    /// The destination of this name, from now on at `endpoint`; what waits for it is sent there.
    pub fn lane(&self, name: &str, endpoint: Arc<dyn Endpoint>) -> Outbox {
        let outbox = Outbox { shared: Arc::clone(&self.shared), name: name.into() };
        let mut lanes = lock(&self.shared.lanes);
        if let Some(lane) = lanes.get(name).filter(|lane| !lane.closing.is_cancelled()) {
            *lock(&lane.endpoint) = endpoint;
            // Whoever named another endpoint wants to see it tried.
            lock(&self.shared.queue).hurry(name);
            lane.changed.notify_one();
            return outbox;
        }
        let state = lock(&self.shared.queue).open(name);
        (self.shared.tell)(state);
        let endpoint = Arc::new(Mutex::new(endpoint));
        let (changed, closing) = (Arc::new(Notify::new()), CancellationToken::new());
        let sender = Sender {
            shared: Arc::clone(&self.shared),
            name: name.to_owned(),
            endpoint: Arc::clone(&endpoint),
            changed: Arc::clone(&changed),
            closing: closing.clone(),
        };
        let task = Task::spawn(format!("sender {name}"), |pulse| sender.run(pulse));
        lanes.insert(name.to_owned(), Lane { endpoint, changed, closing, task });
        outbox
    }

    /// Ends the senders of all other destinations, and returns their names. What waits for them goes on waiting.
    pub fn retain(&self, names: &BTreeSet<String>) -> Vec<String> {
        let mut gone = Vec::new();
        lock(&self.shared.lanes).retain(|name, lane| {
            let stays = names.contains(name);
            if !stays {
                lane.task.abort();
                gone.push(name.clone());
            }
            stays
        });
        let queue = lock(&self.shared.queue);
        for (destination, items) in queue.waiting().filter(|(name, _)| !names.contains(*name)) {
            tracing::warn!(
                destination,
                items,
                "the configuration has no such destination: what waits for it is kept for as long as queue.age allows"
            );
        }
        gone
    }

    /// Changes how much may wait.
    pub fn set_budget(&self, budget: Budget) {
        let mut queue = lock(&self.shared.queue);
        queue.set_budget(budget);
        self.shared.discard(&mut queue);
    }

    /// Gives up what is too old.
    pub fn expire(&self, now: Stamp) {
        let mut queue = lock(&self.shared.queue);
        let expired = queue.expire(now, local::boot());
        self.shared.discard(&mut queue);
        drop(queue);
        if expired > 0 {
            tracing::warn!(items = expired, "given up: they have waited for longer than queue.age allows");
        }
    }

    /// What is wrong with the senders at `now`.
    pub fn ailment(&self, now: Span) -> Option<Ailment> {
        lock(&self.shared.lanes).values().find_map(|lane| lane.task.ailment(now))
    }

    /// Sends what can be sent, and returns once all is delivered or on disk.
    pub async fn close(&self) {
        let tasks: Vec<_> = {
            let lanes = std::mem::take(&mut *lock(&self.shared.lanes));
            lanes.into_values().map(|lane| (lane.closing.cancel(), lane.task).1).collect()
        };
        for task in tasks {
            task.join().await;
        }
        let (done, flushed) = oneshot::channel();
        if self.shared.store.is_some() && self.shared.jobs.send(Job::Flush(done)).is_ok() {
            let _ = flushed.await;
        }
    }

    /// What waits: the destination, how many items, and whether they outlive the process.
    pub fn waiting(&self) -> Vec<(String, usize, bool)> {
        let queue = lock(&self.shared.queue);
        let waiting = queue.waiting().map(|(name, items)| (name.to_owned(), items, queue.is_safe(name)));
        waiting.collect()
    }
}

/// What is kept; `None` where nobody can know. To write there would be to write over it.
fn scan((store, health): (Store, Health)) -> Option<((Store, Health), Inventory)> {
    match store.scan() {
        Ok(inventory) => Some(((store, health), inventory)),
        Err(error) => {
            tracing::warn!(
                folder = %store.root().display(),
                %error,
                "what waited for delivery cannot be read, and waits for the next start: until then nothing is written there, \
                 and what waits is lost with the process"
            );
            None
        }
    }
}

impl Outbox {
    /// Puts an item into the queue, where it waits its turn.
    pub fn push(&self, item: Item) -> Kept {
        let mut queue = lock(&self.shared.queue);
        let pushed = queue.push(&self.name, item, local::boot());
        let kept = match (&self.shared.store, pushed) {
            (Some(_), Pushed::Waits(ticket)) => {
                let (done, kept) = oneshot::channel();
                // The keeper lives as long as the queue.
                let _ = self.shared.jobs.send(Job::Write(ticket, done));
                Some(kept)
            }
            _ => None,
        };
        self.shared.discard(&mut queue);
        let state = queue.state(&self.name).filter(|state| state.error.is_some());
        drop(queue);
        if let Some(state) = state {
            (self.shared.tell)(state);
        }
        self.wake();
        Kept(kept)
    }

    /// Puts `item` in the place of an earlier one like it: sent while nothing else waits, and forgotten with the process.
    pub fn push_latest(&self, item: Option<Item>) {
        lock(&self.shared.queue).push_latest(&self.name, item);
        self.wake();
    }

    fn wake(&self) {
        if let Some(lane) = lock(&self.shared.lanes).get(&*self.name) {
            lane.changed.notify_one();
        }
    }
}

impl Kept {
    /// Waits for it.
    pub async fn wait(self) {
        if let Some(kept) = self.0 {
            // A keeper that is gone keeps nothing more.
            let _ = kept.await;
        }
    }
}

impl Shared {
    /// Lets the disk forget what the queue has forgotten.
    fn discard(&self, queue: &mut Queue) {
        for ticket in queue.take_discarded() {
            if self.store.is_some() {
                let _ = self.jobs.send(Job::Remove(ticket));
            }
        }
    }
}

/// The task that keeps the queue on disk.
struct Keeper {
    shared: Arc<Shared>,
    store: Store,
    health: Health,
    is_failing: bool,
}

impl Keeper {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(job) = jobs.recv().await {
            match job {
                Job::Write(ticket, done) => {
                    self.write(ticket).await;
                    // Whoever pushed it need not care.
                    let _ = done.send(());
                }
                Job::Remove(ticket) => self.remove(vec![ticket]).await,
                Job::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    async fn write(&mut self, ticket: Ticket) {
        let mut result = self.attempt(&ticket).await;
        if let Err(error) = &result
            && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            let rooms = {
                let mut queue = lock(&self.shared.queue);
                queue.make_room(BLOCK.saturating_mul(2));
                queue.take_discarded()
            };
            if !rooms.is_empty() {
                self.remove(rooms).await;
                result = self.attempt(&ticket).await;
            }
        }
        match result {
            Ok(true) if self.is_failing => {
                self.is_failing = false;
                self.health.works();
                let rest = lock(&self.shared.queue).all_in_memory();
                for ticket in rest {
                    // The next item finds out whether the disk has broken again.
                    let _ = self.attempt(&ticket).await;
                }
            }
            // What was delivered before it could be written says nothing of the disk.
            Ok(_) => {}
            Err(error) => {
                self.is_failing = true;
                self.health.fails(self.store.root(), &error);
            }
        }
        lock(&self.shared.queue).set_on_disk(!self.is_failing);
    }

    /// Writes an item that still waits in memory; returns whether there was anything to write.
    async fn attempt(&self, ticket: &Ticket) -> io::Result<bool> {
        let item = lock(&self.shared.queue).in_memory(ticket).cloned();
        let Some(item) = item else { return Ok(false) };
        let (store, written) = (self.store.clone(), ticket.clone());
        blocking(move || store.write(&written, &item)).await??;
        if !lock(&self.shared.queue).stored(ticket) {
            self.remove(vec![ticket.clone()]).await;
        }
        Ok(true)
    }

    async fn remove(&self, tickets: Vec<Ticket>) {
        let store = self.store.clone();
        let remove = move || tickets.iter().for_each(|ticket| store.remove(ticket));
        // What could not be removed is sent again after a restart, which an idempotency key allows for.
        let _ = blocking(remove).await;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)
}

/// The task that sends to one destination.
struct Sender {
    shared: Arc<Shared>,
    name: String,
    endpoint: Arc<Mutex<Arc<dyn Endpoint>>>,
    changed: Arc<Notify>,
    closing: CancellationToken,
}

impl Sender {
    async fn run(self, pulse: Pulse) {
        loop {
            let now = local::boot();
            let next = lock(&self.shared.queue).next(&self.name, now);
            match next {
                Next::Nothing if self.closing.is_cancelled() => return,
                Next::Nothing => {
                    pulse.rest();
                    self.rest(None).await;
                }
                Next::Wait(then) if self.closing.is_cancelled() => {
                    if self.may_leave() {
                        return;
                    }
                    tokio::time::sleep(then.since(now).to_duration().min(LAST_PAUSE)).await;
                    let next = lock(&self.shared.queue).next(&self.name, then);
                    self.take(next).await;
                }
                Next::Wait(then) => {
                    let pause = then.since(now).to_duration();
                    pulse.expect(pause);
                    self.rest(Some(pause)).await;
                }
                next => {
                    pulse.expect(LONGEST_ATTEMPT);
                    self.take(next).await;
                }
            }
        }
    }

    /// Waits until something changes, or for so long.
    async fn rest(&self, pause: Option<Duration>) {
        let pause = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
            () = self.changed.notified() => {}
            () = self.closing.cancelled() => {}
        }
    }

    /// Whether the process may end without what waits here: the destination is out of order, and the disk has it all.
    fn may_leave(&self) -> bool {
        let queue = lock(&self.shared.queue);
        queue.is_safe(&self.name) && queue.state(&self.name).is_some_and(|state| state.error.is_some())
    }

    async fn take(&self, next: Next) {
        match next {
            Next::Item(ticket, item) => self.send(ticket, item).await,
            Next::Stored(ticket) => match self.read(&ticket).await {
                Ok(item) => self.send(Some(ticket), item).await,
                // It may be read later, when there are fewer open files.
                Err(ReadError::Io(error)) if error.kind() != io::ErrorKind::NotFound => {
                    let failure =
                        Err(Failure::transient(format!("an item that waits on disk cannot be read: {error}")));
                    self.settle(Some(&ticket), &failure, Class::Alert, &ticket.number.to_string());
                }
                Err(error) => {
                    if let Some(store) = &self.shared.store {
                        store.set_aside(&ticket, &error);
                    }
                    lock(&self.shared.queue).lose(&ticket);
                }
            },
            Next::Nothing | Next::Wait(_) => {}
        }
    }

    async fn send(&self, ticket: Option<Ticket>, item: Item) {
        let endpoint = Arc::clone(&lock(&self.endpoint));
        let result = endpoint.attempt(&item).await;
        self.settle(ticket.as_ref(), &result, item.class, &item.key);
    }

    fn settle(&self, ticket: Option<&Ticket>, result: &Result<Answer, Failure>, class: Class, key: &str) {
        let (changed, state) = {
            let mut queue = lock(&self.shared.queue);
            let now = local::boot();
            let changed = queue.settle(&self.name, ticket, result, now, fastrand::f64());
            self.shared.discard(&mut queue);
            (changed, queue.state(&self.name))
        };
        match result {
            Err(failure) if !failure.retry && class == Class::Alert => tracing::warn!(
                destination = self.name,
                reason = failure.reason,
                item = key,
                "delivery fails: an alert was refused for good, and given up"
            ),
            // A collector that refuses every export is told of once; what it cost is counted.
            Err(failure) if changed => {
                let given_up = !failure.retry;
                tracing::warn!(
                    destination = self.name,
                    reason = failure.reason,
                    given_up,
                    "delivery fails; measuring goes on"
                );
            }
            Ok(_) if changed => tracing::info!(destination = self.name, "delivery works again"),
            _ => {}
        }
        if let Some(state) = state {
            (self.shared.tell)(state);
        }
    }

    async fn read(&self, ticket: &Ticket) -> Result<Item, ReadError> {
        let Some(store) = self.shared.store.clone() else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        let wanted = ticket.clone();
        blocking(move || store.read(&wanted)).await?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;
    use crate::delivery::item::tests::item;

    const BUDGET: Budget = Budget { size: 1_000_000, age: Duration::from_secs(3_600) };

    /// Takes everything while it is up, and remembers it.
    #[derive(Default)]
    struct Sink {
        is_down: AtomicBool,
        taken: Mutex<Vec<String>>,
        attempts: Notify,
    }

    #[async_trait]
    impl Endpoint for Sink {
        async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
            self.attempts.notify_one();
            if self.is_down.load(Ordering::Relaxed) {
                return Err(Failure::transient("it is down"));
            }
            lock(&self.taken).push(item.key.clone());
            Ok(Answer { status: 200, body: Bytes::new() })
        }
    }

    fn sink(is_down: bool) -> Arc<Sink> {
        Arc::new(Sink { is_down: AtomicBool::new(is_down), ..Sink::default() })
    }

    fn start(folder: &std::path::Path) -> (Spool, mpsc::UnboundedReceiver<Delivery>) {
        let (told, states) = mpsc::unbounded_channel();
        let tell = move |state| told.send(state).unwrap_or(());
        let store = (Store::new(folder.join("queue")), Health::default());
        (Spool::start(Some(store), BUDGET, tell), states)
    }

    async fn until(states: &mut mpsc::UnboundedReceiver<Delivery>, is_so: impl Fn(&Delivery) -> bool) -> Delivery {
        loop {
            let state = states.recv().await.unwrap();
            if is_so(&state) {
                return state;
            }
        }
    }

    #[tokio::test]
    async fn what_was_not_delivered_is_delivered_by_the_next_process_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _states) = start(folder.path());
        let outbox = spool.lane("ops", sink(true));
        for number in 0..20 {
            outbox.push(item(Class::Alert, &number.to_string(), b"body")).wait().await;
        }
        // As by SIGKILL: nothing is closed.
        spool.retain(&BTreeSet::new());

        let (spool, mut states) = start(folder.path());
        let up = sink(false);
        assert!(states.try_recv().is_err());
        spool.lane("ops", Arc::clone(&up) as Arc<dyn Endpoint>);
        let state = until(&mut states, |state| state.delivered == 20).await;
        assert_eq!((state.queued, state.dropped, state.on_disk), (0, 0, true));
        assert_eq!(*lock(&up.taken), (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
        spool.close().await;
        let (third, _) = start(folder.path());
        assert_eq!(third.waiting(), []);
    }

    #[tokio::test]
    async fn a_destination_that_cannot_be_read_hides_no_other_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _states) = start(folder.path());
        let outbox = spool.lane("ops", sink(true));
        for key in ["1", "2"] {
            outbox.push(item(Class::Alert, key, b"body")).wait().await;
        }
        spool.retain(&BTreeSet::new());
        std::os::unix::fs::symlink("broken", folder.path().join("queue/broken")).unwrap();

        let (spool, mut states) = start(folder.path());
        let up = sink(true);
        let outbox = spool.lane("ops", Arc::clone(&up) as Arc<dyn Endpoint>);
        outbox.push(item(Class::Alert, "3", b"body")).wait().await;
        up.is_down.store(false, Ordering::Relaxed);
        until(&mut states, |state| state.delivered == 3).await;
        assert_eq!(*lock(&up.taken), ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn where_nobody_knows_what_waits_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("queue", folder.path().join("queue")).unwrap();
        let (spool, mut states) = start(folder.path());
        let up = sink(false);
        let outbox = spool.lane("ops", Arc::clone(&up) as Arc<dyn Endpoint>);
        std::fs::remove_file(folder.path().join("queue")).unwrap();
        outbox.push(item(Class::Alert, "1", b"body")).wait().await;
        let state = until(&mut states, |state| state.delivered == 1).await;
        assert!(!state.on_disk);
        spool.close().await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_delays_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("queue"), b"a file is in the way").unwrap();
        let (spool, mut states) = start(folder.path());
        let up = sink(false);
        let outbox = spool.lane("ops", Arc::clone(&up) as Arc<dyn Endpoint>);
        outbox.push(item(Class::Alert, "1", b"body")).wait().await;
        until(&mut states, |state| state.delivered == 1).await;
        outbox.push(item(Class::Alert, "2", b"body"));
        let state = until(&mut states, |state| state.delivered == 2).await;
        assert!(!state.on_disk);

        // What waits in memory is written once that is possible.
        up.is_down.store(true, Ordering::Relaxed);
        outbox.push(item(Class::Alert, "3", b"body")).wait().await;
        std::fs::remove_file(folder.path().join("queue")).unwrap();
        outbox.push(item(Class::Alert, "4", b"body")).wait().await;
        assert_eq!(spool.waiting(), [("ops".to_owned(), 2, true)]);
    }

    #[tokio::test]
    async fn another_endpoint_takes_over_without_a_loss() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, mut states) = start(folder.path());
        let (old, new) = (sink(true), sink(false));
        let outbox = spool.lane("ops", Arc::clone(&old) as Arc<dyn Endpoint>);
        outbox.push(item(Class::Alert, "1", b"body"));
        old.attempts.notified().await;
        spool.lane("ops", Arc::clone(&new) as Arc<dyn Endpoint>);
        outbox.push(item(Class::Alert, "2", b"body"));
        until(&mut states, |state| state.delivered == 2).await;
        assert_eq!(*lock(&new.taken), ["1", "2"]);
    }

    #[tokio::test]
    async fn the_end_waits_for_what_can_be_delivered_and_for_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _states) = start(folder.path());
        let (up, down) = (sink(false), sink(true));
        let (good, bad) = (
            spool.lane("up", Arc::clone(&up) as Arc<dyn Endpoint>),
            spool.lane("down", Arc::clone(&down) as Arc<dyn Endpoint>),
        );
        bad.push(item(Class::Alert, "kept", b"body")).wait().await;
        down.attempts.notified().await;
        good.push(item(Class::Alert, "last words", b"body"));
        spool.close().await;
        assert_eq!(*lock(&up.taken), ["last words"]);
        assert_eq!(spool.waiting(), [("down".to_owned(), 1, true)]);
    }

    #[tokio::test]
    async fn an_item_that_was_damaged_on_disk_does_not_stop_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, mut states) = start(folder.path());
        let down = sink(true);
        let outbox = spool.lane("ops", Arc::clone(&down) as Arc<dyn Endpoint>);
        for key in ["1", "2"] {
            outbox.push(item(Class::Alert, key, b"body")).wait().await;
        }
        std::fs::write(folder.path().join("queue/ops/00000000000000000001.item"), b"nonsense").unwrap();
        down.is_down.store(false, Ordering::Relaxed);
        let state = until(&mut states, |state| state.delivered == 1).await;
        assert_eq!((state.queued, state.dropped), (0, 1));
        assert_eq!(*lock(&down.taken), ["2"]);
    }
}
