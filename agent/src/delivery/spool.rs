//! The queue at work: a task that keeps it on disk, and a task for each destination that sends.
//!
//! An item is sent as soon as it is pushed, whether or not the disk has it yet: a disk that is slow, full or read-only
//! delays nothing and takes nothing but the life after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::item::{Class, Item};
use super::keeper::Keeper;
use super::queue::{Budget, Chore, Keeping, Next, Queue, Ticket};
use super::request::{Answer, Endpoint, Failure};
use super::store::{HANGS, Hangs, Health, Inventory, ReadError, Store};
use crate::clock::local;
use crate::clock::time::Span;
use crate::clock::true_clock::Stamp;
use crate::snapshot::Delivery;
use crate::vitals::{Ailment, Pulse, Task};

/// While the end is near, nobody waits longer than this for another attempt.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// An attempt ends by itself long before this.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(300);

/// All destinations, and what waits for them.
pub struct Spool {
    shared: Arc<Shared>,
    /// What keeps the queue on disk, where there is one.
    keeper: Option<Task>,
}

/// The way into the queue of one destination. To put something in never waits.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
    name: Arc<str>,
}

/// Whether an alert outlives the process. Nobody asks that of telemetry, which counts as if it did.
pub struct Kept {
    shared: Arc<Shared>,
    name: Arc<str>,
    key: String,
}

/// What all parts of the queue share.
pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    lanes: Mutex<BTreeMap<String, Lane>>,
    store: Option<Store>,
    /// How long the disk may take for one thing before it counts as one that hangs.
    pub(super) patience: Duration,
    /// There may be something to do for the disk.
    pub(super) chores: Notify,
    /// The disk is at work.
    is_busy: AtomicBool,
    /// Something was written, refused, delivered or given up.
    pub(super) progress: Notify,
    tell: Box<dyn Fn(Delivery) + Send + Sync>,
}

/// The sender of one destination.
struct Lane {
    endpoint: Arc<Mutex<Arc<dyn Endpoint>>>,
    changed: Arc<Notify>,
    closing: CancellationToken,
    task: Task,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
        Self::start_with(store, budget, HANGS, tell)
    }

    fn start_with(
        store: Option<(Store, Health)>,
        budget: Budget,
        patience: Duration,
        tell: impl Fn(Delivery) + Send + Sync + 'static,
    ) -> Self {
        let (store, inventory) = store.and_then(scan).unzip();
        let (store, health) = store.unzip();
        let Inventory { found, highest } = inventory.unwrap_or_default();
        let mut queue = Queue::new(budget, found);
        queue.number_after(highest);
        queue.set_on_disk(store.is_some());
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            lanes: Mutex::default(),
            store: store.clone(),
            patience,
            chores: Notify::new(),
            is_busy: AtomicBool::new(false),
            progress: Notify::new(),
            tell: Box::new(tell),
        });
        let keeper = store.zip(health).map(|(store, health)| {
            let shared = Arc::clone(&shared);
            Task::spawn("queue on disk", |pulse| Keeper::new(shared, store, health, pulse).run())
        });
        Self { shared, keeper }
    }

    /// The way to the destination of this name, whether or not anything is sent there yet.
    pub fn outbox(&self, name: &str) -> Outbox {
        Outbox { shared: Arc::clone(&self.shared), name: name.into() }
    }

    /// The destination of this name, from now on at `endpoint`; what waits for it is sent there.
    pub fn lane(&self, name: &str, endpoint: Arc<dyn Endpoint>) -> Outbox {
        let outbox = self.outbox(name);
        let mut lanes = lock(&self.shared.lanes);
        if let Some(lane) = lanes.get(name).filter(|lane| !lane.closing.is_cancelled()) {
            *lock(&lane.endpoint) = endpoint;
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
        let mut queue = lock(&self.shared.queue);
        gone.iter().for_each(|name| queue.abandon(name));
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
        self.shared.changed(&mut queue);
    }

    /// Gives up what is too old, and lets the disk be asked again for what it has refused.
    pub fn keep_house(&self, now: Stamp) {
        let mut queue = lock(&self.shared.queue);
        let expired = queue.expire(now, local::boot());
        queue.retry();
        self.shared.changed(&mut queue);
        drop(queue);
        if expired > 0 {
            tracing::warn!(items = expired, "given up: they have waited for longer than queue.age allows");
        }
    }

    /// What is wrong with the senders and the keeper at `now`.
    pub fn ailment(&self, now: Span) -> Option<Ailment> {
        let keeper = self.keeper.as_ref().and_then(|keeper| keeper.ailment(now));
        keeper.or_else(|| lock(&self.shared.lanes).values().find_map(|lane| lane.task.ailment(now)))
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
        if self.keeper.is_some() {
            {
                let mut queue = lock(&self.shared.queue);
                queue.retry();
                self.shared.changed(&mut queue);
            }
            self.shared.settled().await;
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
        let kept = self.kept(item.key.clone());
        let mut queue = lock(&self.shared.queue);
        queue.push(&self.name, item, local::boot());
        self.shared.changed(&mut queue);
        let state = queue.state(&self.name).filter(|state| state.error.is_some());
        drop(queue);
        if let Some(state) = state {
            (self.shared.tell)(state);
        }
        self.wake();
        kept
    }

    /// What becomes of the alert of this key, which was pushed before.
    pub fn kept(&self, key: String) -> Kept {
        Kept { shared: Arc::clone(&self.shared), name: Arc::clone(&self.name), key }
    }

    /// Puts `item` in the place of an earlier one like it: sent while nothing else waits, and forgotten with the process.
    pub fn push_latest(&self, item: Option<Item>) {
        lock(&self.shared.queue).push_latest(&self.name, item);
        self.wake();
    }

    /// Ends the pause of the destination, even one that it has asked for.
    pub fn hurry(&self) {
        lock(&self.shared.queue).hurry(&self.name);
        self.wake();
    }

    fn wake(&self) {
        if let Some(lane) = lock(&self.shared.lanes).get(&*self.name) {
            lane.changed.notify_one();
        }
    }
}

impl Kept {
    /// Waits until it outlives the process or does not wait any more, or it is clear that the disk does not keep it.
    pub async fn wait(&self) {
        loop {
            let progress = self.shared.progress.notified();
            let keeping = lock(&self.shared.queue).keeping(&self.name, &self.key);
            if keeping != Keeping::Pending || self.shared.store.is_none() {
                return;
            }
            progress.await;
        }
    }

    /// Whether it outlives the process, or does not wait any more. What waits for a destination that was removed waits for
    /// nobody.
    pub fn is_safe(&self) -> bool {
        lock(&self.shared.queue).keeping(&self.name, &self.key) == Keeping::Safe
    }
}

impl Shared {
    /// Shows those who wait for it that the queue has changed.
    fn changed(&self, queue: &mut Queue) {
        if self.store.is_some() {
            self.chores.notify_one();
        } else {
            queue.take_discarded();
        }
        self.progress.notify_waiters();
    }

    /// What the disk is to do next.
    pub(super) fn chore(&self) -> Option<Chore> {
        let mut queue = lock(&self.queue);
        let chore = queue.chore();
        self.is_busy.store(chore.is_some(), Ordering::Relaxed);
        chore
    }

    /// Waits until the disk has all that it takes.
    async fn settled(&self) {
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
            state.into_iter().for_each(&self.tell);
        }
    }
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
                    self.take(next, &pulse).await;
                }
                Next::Wait(then) => {
                    let pause = then.since(now).to_duration();
                    pulse.expect(pause);
                    self.rest(Some(pause)).await;
                }
                next => self.take(next, &pulse).await,
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

    async fn take(&self, next: Next, pulse: &Pulse) {
        match next {
            Next::Item(ticket, item) => self.send(ticket, item, pulse).await,
            Next::Stored(ticket) => match self.read(&ticket, pulse).await {
                Some(Ok(item)) => self.send(Some(ticket), item, pulse).await,
                // It may be read later, when there are fewer open files.
                Some(Err(ReadError::Io(error)))
                    if error.kind() != io::ErrorKind::NotFound && !lock(&self.shared.queue).unreadable(&ticket) =>
                {
                    self.is_unreadable(&ticket, &error);
                }
                Some(Err(error)) => self.lose(ticket, error, pulse).await,
                None => {}
            },
            Next::Nothing | Next::Wait(_) => {}
        }
    }

    /// Gives up an item that cannot be read.
    async fn lose(&self, ticket: Ticket, error: ReadError, pulse: &Pulse) {
        pulse.rest();
        if let Some(store) = self.shared.store.clone() {
            let aside = ticket.clone();
            // Where it cannot be set aside, it is removed, as all that is given up.
            let _ = spawn_blocking(move || store.set_aside(&aside, &error)).await;
        }
        let mut queue = lock(&self.shared.queue);
        queue.lose(&ticket);
        self.shared.changed(&mut queue);
        let state = queue.state(&self.name);
        drop(queue);
        state.into_iter().for_each(&self.shared.tell);
    }

    /// Notes that an item on disk could not be read, as if the destination had failed.
    fn is_unreadable(&self, ticket: &Ticket, error: &dyn std::fmt::Display) {
        let failure = Err(Failure::transient(format!("an item that waits on disk cannot be read: {error}")));
        self.settle(Some(ticket), &failure, Class::Alert, &ticket.number.to_string());
    }

    async fn send(&self, ticket: Option<Ticket>, item: Item, pulse: &Pulse) {
        pulse.expect(LONGEST_ATTEMPT);
        let endpoint = Arc::clone(&lock(&self.endpoint));
        let result = endpoint.attempt(&item).await;
        self.settle(ticket.as_ref(), &result, item.class, &item.key);
    }

    fn settle(&self, ticket: Option<&Ticket>, result: &Result<Answer, Failure>, class: Class, key: &str) {
        let (changed, state) = {
            let mut queue = lock(&self.shared.queue);
            let now = local::boot();
            let changed = queue.settle(&self.name, ticket, result, now, fastrand::f64());
            self.shared.changed(&mut queue);
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

    /// Reads an item, however long that takes; `None` where the end comes first. Nothing overtakes an item that waits on a
    /// disk that hangs: what resolves an alert must not arrive before what fires it.
    async fn read(&self, ticket: &Ticket, pulse: &Pulse) -> Option<Result<Item, ReadError>> {
        let Some(store) = self.shared.store.clone() else {
            return Some(Err(io::Error::from(io::ErrorKind::NotFound).into()));
        };
        let wanted = ticket.clone();
        let mut reading = spawn_blocking(move || store.read(&wanted));
        let flat = |read: Result<_, JoinError>| read.unwrap_or_else(|error| Err(io::Error::other(error).into()));
        pulse.expect(self.shared.patience);
        if let Ok(read) = timeout(self.shared.patience, &mut reading).await {
            return Some(flat(read));
        }
        pulse.rest();
        self.is_unreadable(ticket, &Hangs);
        tokio::select! {
            read = &mut reading => Some(flat(read)),
            () = self.closing.cancelled() => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use async_trait::async_trait;
    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::*;
    use crate::delivery::item::tests::item;

    const BUDGET: Budget = Budget { size: 1_000_000, age: Duration::from_secs(3_600) };
    /// More than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

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
            let state = timeout(PATIENCE, states.recv()).await.expect("nothing happens").unwrap();
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
        // The newest item cannot be read; its number is taken all the same.
        std::fs::create_dir(folder.path().join("queue/ops/00000000000000000003.item")).unwrap();

        let (spool, mut states) = start(folder.path());
        let up = sink(true);
        let outbox = spool.lane("ops", Arc::clone(&up) as Arc<dyn Endpoint>);
        outbox.push(item(Class::Alert, "3", b"body")).wait().await;
        assert_eq!(spool.waiting(), [("ops".to_owned(), 3, true)]);
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
        until(&mut states, |state| state.delivered == 2 && !state.on_disk).await;

        // What waits in memory is written once that is possible.
        up.is_down.store(true, Ordering::Relaxed);
        outbox.push(item(Class::Alert, "3", b"body")).wait().await;
        std::fs::remove_file(folder.path().join("queue")).unwrap();
        outbox.push(item(Class::Alert, "4", b"body")).wait().await;
        spool.shared.settled().await;
        assert_eq!(spool.waiting(), [("ops".to_owned(), 2, true)]);
    }

    /// What is logged on this thread while the guard lives.
    pub(crate) fn log() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Log(Arc::clone(&writer)));
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn count(log: &Mutex<Vec<u8>>, what: &str) -> usize {
        String::from_utf8(lock(log).clone()).unwrap().matches(what).count()
    }

    fn stamp() -> Stamp {
        item(Class::Alert, "", b"").at
    }

    /// A disk that hangs until the sender is used: there is one thread for it, and that is busy.
    fn hang() -> std::sync::mpsc::Sender<()> {
        let (release, held) = std::sync::mpsc::channel();
        spawn_blocking(move || held.recv());
        release
    }

    fn with_one_thread_for_the_disk(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().max_blocking_threads(1).build().unwrap().block_on(test);
    }

    fn start_with_little_patience(folder: &std::path::Path) -> (Spool, mpsc::UnboundedReceiver<Delivery>) {
        let (told, states) = mpsc::unbounded_channel();
        let tell = move |state| told.send(state).unwrap_or(());
        let store = (Store::new(folder.join("queue")), Health::default());
        (Spool::start_with(Some(store), BUDGET, Duration::from_millis(50), tell), states)
    }

    fn in_a_year() -> Span {
        local::awake().plus(Span::from_seconds(3e7))
    }

    #[test]
    fn a_disk_that_hangs_is_told_once_holds_up_nothing_and_gets_all_when_it_goes_on() {
        with_one_thread_for_the_disk(async {
            let folder = tempfile::tempdir().unwrap();
            let (log, _guard) = log();
            let (spool, mut states) = start_with_little_patience(folder.path());
            let release = hang();
            let (up, down) = (spool.lane("up", sink(false)), spool.lane("down", sink(true)));
            down.push(item(Class::Alert, "1", b"body"));
            until(&mut states, |state| !state.on_disk).await;
            for (key, delivered) in [("2", 1), ("3", 2)] {
                up.push(item(Class::Alert, key, b"body"));
                until(&mut states, |state| state.delivered == delivered).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(count(&log, "does not answer"), 1);
            let keeper = spool.keeper.as_ref().unwrap();
            assert_eq!(keeper.ailment(in_a_year()), None, "another start would not mend it");
            assert_eq!(spool.waiting(), [("down".to_owned(), 1, false)]);
            release.send(()).unwrap();
            until(&mut states, |state| state.on_disk).await;
            spool.shared.settled().await;
            assert_eq!(spool.waiting(), [("down".to_owned(), 1, true)]);
            assert_eq!(count(&log, "can be written again"), 1);
        });
    }

    #[test]
    fn what_waits_on_a_disk_that_hangs_waits_for_it_and_nobody_else_does() {
        with_one_thread_for_the_disk(async {
            let folder = tempfile::tempdir().unwrap();
            let (spool, mut states) = start_with_little_patience(folder.path());
            let (first, other) = (sink(true), sink(false));
            let (outbox, live) =
                (spool.lane("ops", Arc::clone(&first) as Arc<dyn Endpoint>), spool.lane("live", other));
            outbox.push(item(Class::Alert, "1", b"body")).wait().await;
            first.attempts.notified().await;
            let release = hang();
            first.is_down.store(false, Ordering::Relaxed);
            outbox.push(item(Class::Alert, "2", b"body"));
            live.push(item(Class::Alert, "3", b"body"));
            until(&mut states, |state| state.destination == "live" && state.delivered == 1).await;
            let hangs = |state: &Delivery| state.error.as_ref().is_some_and(|error| error.contains("does not answer"));
            until(&mut states, hangs).await;
            assert_eq!(spool.ailment(in_a_year()), None);
            release.send(()).unwrap();
            until(&mut states, |state| state.destination == "ops" && state.delivered == 2).await;
            assert_eq!(*lock(&first.taken), ["1", "2"]);
        });
    }

    #[tokio::test]
    async fn a_keeper_that_has_ended_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _states) = start(folder.path());
        assert_eq!(spool.ailment(local::awake()), None);
        spool.keeper = Some(Task::spawn("queue on disk", |_| async {}));
        tokio::task::yield_now().await;
        assert_eq!(spool.ailment(local::awake()), Some(Ailment::Dead("queue on disk".into())));
    }

    /// Takes everything, and puts something that cannot be removed in the place of what it took, as if the disk had
    /// become read-only.
    struct Breaker(std::path::PathBuf);

    #[async_trait]
    impl Endpoint for Breaker {
        async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
            let file = self.0.join(format!("{:0>20}.item", item.key));
            std::fs::remove_file(&file).unwrap();
            std::fs::create_dir(&file).unwrap();
            Ok(Answer { status: 200, body: Bytes::new() })
        }
    }

    #[tokio::test]
    async fn a_disk_that_removes_nothing_any_more_is_told_once_and_asked_again_later() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _states) = start(folder.path());
        let outbox = spool.lane("ops", sink(true));
        for key in ["1", "2", "3"] {
            outbox.push(item(Class::Alert, key, b"body")).wait().await;
        }
        spool.retain(&BTreeSet::new());

        let (log, _guard) = log();
        let (spool, mut states) = start(folder.path());
        let lane = folder.path().join("queue/ops");
        spool.lane("ops", Arc::new(Breaker(lane.clone())));
        let state = until(&mut states, |state| state.delivered == 3 && !state.on_disk).await;
        assert_eq!(state.queued, 0);
        spool.shared.settled().await;
        assert_eq!(count(&log, " WARN "), 1);
        for file in std::fs::read_dir(&lane).unwrap() {
            let path = file.unwrap().path();
            std::fs::remove_dir(&path).unwrap();
            std::fs::write(&path, b"it would be sent again").unwrap();
        }
        spool.keep_house(stamp());
        until(&mut states, |state| state.on_disk).await;
        assert_eq!(std::fs::read_dir(&lane).unwrap().count(), 0);
        assert_eq!((count(&log, " WARN "), count(&log, "can be written again")), (1, 1));
    }

    #[tokio::test]
    async fn what_the_disk_has_refused_is_safe_once_it_is_asked_again_or_delivered() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("queue"), b"a file is in the way").unwrap();
        let (spool, mut states) = start(folder.path());
        let (up, down) = (sink(false), sink(true));
        let (good, bad) = (spool.lane("up", up), spool.lane("down", down));
        let delivered = good.push(item(Class::Alert, "1", b"body"));
        let waits = bad.push(item(Class::Alert, "1", b"body"));
        until(&mut states, |state| state.delivered == 1).await;
        waits.wait().await;
        assert!(delivered.is_safe() && !waits.is_safe());
        std::fs::remove_file(folder.path().join("queue")).unwrap();
        spool.keep_house(stamp());
        timeout(PATIENCE, spool.shared.settled()).await.unwrap();
        assert!(waits.is_safe());
        assert_eq!(spool.waiting(), [("down".to_owned(), 1, true)]);
    }

    #[tokio::test]
    async fn another_endpoint_takes_over_without_a_loss() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, mut states) = start(folder.path());
        let (old, new) = (sink(true), sink(false));
        let outbox = spool.lane("ops", Arc::clone(&old) as Arc<dyn Endpoint>);
        outbox.push(item(Class::Alert, "1", b"body"));
        old.attempts.notified().await;
        spool.lane("ops", Arc::clone(&new) as Arc<dyn Endpoint>).hurry();
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
    async fn an_item_that_can_never_be_read_is_given_up_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, mut states) = start(folder.path());
        let down = sink(true);
        let outbox = spool.lane("ops", Arc::clone(&down) as Arc<dyn Endpoint>);
        for key in ["1", "2"] {
            outbox.push(item(Class::Alert, key, b"body")).wait().await;
        }
        // Reading a folder fails as reading from a broken disk does.
        let file = folder.path().join("queue/ops/00000000000000000001.item");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        down.is_down.store(false, Ordering::Relaxed);
        let mut rounds = 0;
        let state = loop {
            rounds += 1;
            assert!(rounds < 100, "it is tried for ever");
            outbox.hurry();
            let state = until(&mut states, |state| state.queued <= 2).await;
            if state.delivered == 1 {
                break state;
            }
        };
        assert_eq!((state.queued, state.dropped), (0, 1));
        assert_eq!(*lock(&down.taken), ["2"]);
        assert!(state.failures >= 7, "it was tried again and again: {state:?}");
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
