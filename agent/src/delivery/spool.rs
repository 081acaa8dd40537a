//! The queue at work: a task that keeps it on disk, and a task for each destination that sends.
//!
//! An item is sent as soon as it is pushed, whether or not the disk has it yet: a disk that is slow, full or read-only
//! delays nothing and takes nothing but the life after a restart.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::fate::Parcel;
use super::item::Item;
use super::keeper::Keeper;
use super::mutex::lock;
use super::queue::{Budget, Queue, Rhythm};
use super::request::Destination;
use super::sender::Sender;
use super::shared::{Served, Shared};
use super::store::{HANGS, Health, Inventory, Store};
use crate::clock::local;
use crate::clock::true_clock::Stamp;
use crate::snapshot::Delivery;
use crate::time::Span;
use crate::vitals::{Ailment, Task};

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

impl Spool {
    /// Goes on with what `store` keeps; without one, what waits is lost with the process. `tell` is called with the state
    /// of a destination whenever it changes, and returns whether it was heard; if not, [`Spool::catch_up`] tells it again.
    ///
    /// What was found and cannot be sent yet waits for [`Spool::lane`].
    pub fn start(
        store: Option<(Store, Health)>,
        budget: Budget,
        tell: impl Fn(Delivery) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(store, budget, HANGS, tell)
    }

    fn start_with(
        store: Option<(Store, Health)>,
        budget: Budget,
        patience: Duration,
        tell: impl Fn(Delivery) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (store, inventory) = store.and_then(scan).unzip();
        let (store, health) = store.unzip();
        let Inventory { found, highest } = inventory.unwrap_or_default();
        let mut queue = Queue::new(budget, found);
        queue.number_after(highest);
        queue.set_on_disk(store.is_some());
        queue.set_disk_answers(store.is_some());
        let shared = Arc::new(Shared::new(queue, store.clone(), patience, tell));
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

    /// The way to the destination of this name, which is `destination` from now on; what waits is sent there. `rhythm` says
    /// how often something new is.
    pub fn lane(&self, name: &str, rhythm: Rhythm, destination: Arc<dyn Destination>) -> Outbox {
        let outbox = self.outbox(name);
        let state = lock(&self.shared.queue).open(name, rhythm, local::boot(), fastrand::f64());
        let mut lanes = lock(&self.shared.lanes);
        if let Some(lane) = lanes.get(name).filter(|lane| !lane.closing.is_cancelled()) {
            *lock(&lane.destination) = destination;
            return outbox;
        }
        self.shared.tell(state);
        let destination = Arc::new(Mutex::new(destination));
        let (changed, closing) = (Arc::new(Notify::new()), CancellationToken::new());
        let sender = Sender {
            shared: Arc::clone(&self.shared),
            name: name.to_owned(),
            destination: Arc::clone(&destination),
            changed: Arc::clone(&changed),
            closing: closing.clone(),
        };
        let task = Task::spawn(format!("sender {name}"), |pulse| sender.run(pulse));
        lanes.insert(name.to_owned(), Served { destination, changed, closing, task });
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
        let states = self.shared.changed(&mut queue);
        drop(queue);
        self.shared.tell_all(states);
    }

    /// Gives up what is too old, and lets the disk be asked again for what it has refused.
    pub fn keep_house(&self, now: Stamp) {
        let mut queue = lock(&self.shared.queue);
        let expired = queue.expire(now, local::boot());
        queue.retry();
        let states = self.shared.changed(&mut queue);
        drop(queue);
        self.shared.tell_all(states);
        if expired > 0 {
            tracing::warn!(items = expired, "given up: they have waited for longer than queue.age allows");
            self.tell_again(|_| true);
        }
        self.shared.tell_losses(true);
    }

    /// Tells the states of destinations that could not be told when they changed.
    pub fn catch_up(&self) {
        let untold = std::mem::take(&mut *lock(&self.shared.untold));
        if !untold.is_empty() {
            self.tell_again(|name| untold.contains(name));
        }
    }

    fn tell_again(&self, is_one: impl Fn(&str) -> bool) {
        let names: Vec<_> = lock(&self.shared.lanes).keys().filter(|name| is_one(name)).cloned().collect();
        let states = names.iter().filter_map(|name| lock(&self.shared.queue).state(name)).collect();
        self.shared.tell_all(states);
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

    /// Says what was given up and has not been told, which is the last that there is to say.
    pub fn tell_losses(&self) {
        self.shared.tell_losses(true);
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
    pub fn push(&self, item: Item) -> Parcel {
        let key = item.key.clone();
        let mut queue = lock(&self.shared.queue);
        queue.push(&self.name, item, local::boot());
        let mark = queue.mark(&self.name, &key);
        let mut states = self.shared.changed(&mut queue);
        states.extend(queue.state(&self.name).filter(|state| state.error.is_some()));
        drop(queue);
        self.shared.tell_all(states);
        self.wake();
        mark.map_or_else(Parcel::settled, |mark| Parcel::queued(mark, Arc::clone(&self.shared.progress)))
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

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use bytes::Bytes;
    use tokio::sync::mpsc;
    use tokio::task::spawn_blocking;
    use tokio::time::timeout;

    use super::*;
    use crate::delivery::fate::Fate;
    use crate::delivery::item::Class;
    use crate::delivery::item::tests::item;
    use crate::delivery::request::{Answer, Failure};

    const BUDGET: Budget = Budget { size: 1_000_000, age: Duration::from_secs(3_600) };
    /// More than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Takes everything while it is up, and remembers it.
    #[derive(Default)]
    struct Remembering {
        is_down: AtomicBool,
        taken: Mutex<Vec<String>>,
        attempts: Notify,
    }

    #[async_trait]
    impl Destination for Remembering {
        async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
            self.attempts.notify_one();
            if self.is_down.load(Ordering::Relaxed) {
                return Err(Failure::transient("it is down"));
            }
            lock(&self.taken).push(item.key.clone());
            Ok(Answer { status: 200, body: Bytes::new() })
        }
    }

    fn remembering(is_down: bool) -> Arc<Remembering> {
        Arc::new(Remembering { is_down: AtomicBool::new(is_down), ..Remembering::default() })
    }

    fn start(folder: &std::path::Path) -> (Spool, mpsc::UnboundedReceiver<Delivery>) {
        let (told, states) = mpsc::unbounded_channel();
        let tell = move |state| told.send(state).is_ok();
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
    async fn what_is_given_up_for_want_of_room_is_told_at_once_and_then_in_a_sum() {
        const GIVEN_UP: usize = 5;
        let (log, _guard) = log();
        // Without a disk there is room for one block, and so for one item.
        let spool = Spool::start(None, Budget { size: 4_096, ..BUDGET }, |_| true);
        let outbox = spool.lane("ops", Rhythm::AsItComes, remembering(true));
        for number in 0..=GIVEN_UP {
            outbox.push(item(Class::Alert, &number.to_string(), b"body"));
        }
        assert_eq!((count(&log, "given up for want of room"), count(&log, "alerts=1 exports=0")), (1, 1));
        spool.tell_losses();
        assert_eq!((count(&log, "given up for want of room"), count(&log, "alerts=4 exports=0")), (2, 1));
    }

    /// Takes several items as one, unless one of them is what it refuses.
    struct Joiner {
        inner: Arc<Remembering>,
        refuses: &'static str,
        requests: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Destination for Joiner {
        async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
            if !self.inner.is_down.load(Ordering::Relaxed) {
                lock(&self.requests).push(item.key.clone());
                if item.key.split('+').any(|key| key == self.refuses) {
                    return Err(Failure::lasting("status 400"));
                }
            }
            self.inner.attempt(item).await
        }

        fn most_joined(&self) -> usize {
            4
        }

        fn join(&self, items: &[Item]) -> Option<Item> {
            let keys: Vec<_> = items.iter().map(|item| item.key.as_str()).collect();
            Some(Item { key: keys.join("+"), ..items.first()?.clone() })
        }
    }

    #[tokio::test]
    async fn what_has_waited_is_sent_together_and_one_by_one_where_that_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (refuses, requests, outcome) in [
            ("", vec!["0+1+2+3", "4+5+6"], (7, 0)),
            ("3", vec!["0+1+2+3", "0", "1+2+3+4", "1", "2+3+4+5", "2", "3+4+5+6", "3", "4+5+6"], (6, 1)),
        ] {
            let (spool, mut states) = start(&folder.path().join(refuses));
            let joiner = Arc::new(Joiner { inner: remembering(true), refuses, requests: Mutex::default() });
            let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::clone(&joiner) as Arc<dyn Destination>);
            for number in 0..7 {
                outbox.push(item(Class::Alert, &number.to_string(), b"body")).wait().await;
            }
            joiner.inner.is_down.store(false, Ordering::Relaxed);
            outbox.hurry();
            let state = until(&mut states, |state| state.delivered + state.dropped == 7).await;
            assert_eq!((state.delivered, state.dropped), outcome);
            let seen = lock(&joiner.requests).clone();
            assert_eq!(seen, requests);
        }
    }

    #[tokio::test]
    async fn what_was_not_delivered_is_delivered_by_the_next_process_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _states) = start(folder.path());
        let outbox = spool.lane("ops", Rhythm::AsItComes, remembering(true));
        for number in 0..5 {
            outbox.push(item(Class::Alert, &number.to_string(), b"body")).wait().await;
        }
        // As by SIGKILL: nothing is closed.
        spool.retain(&BTreeSet::new());

        let (spool, mut states) = start(folder.path());
        let up = remembering(false);
        assert!(states.try_recv().is_err());
        spool.lane("ops", Rhythm::AsItComes, Arc::clone(&up) as Arc<dyn Destination>);
        let state = until(&mut states, |state| state.delivered == 5).await;
        assert_eq!((state.queued, state.dropped, state.on_disk), (0, 0, true));
        assert_eq!(*lock(&up.taken), (0..5).map(|number| number.to_string()).collect::<Vec<_>>());
        spool.close().await;
        let (third, _) = start(folder.path());
        assert_eq!(third.waiting(), []);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_destination_that_cannot_be_read_hides_no_other_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _states) = start(folder.path());
        let outbox = spool.lane("ops", Rhythm::AsItComes, remembering(true));
        for key in ["1", "2"] {
            outbox.push(item(Class::Alert, key, b"body")).wait().await;
        }
        spool.retain(&BTreeSet::new());
        std::os::unix::fs::symlink("broken", folder.path().join("queue/broken")).unwrap();
        // The newest item cannot be read; its number is taken all the same.
        std::fs::create_dir(folder.path().join("queue/ops/00000000000000000003.item")).unwrap();

        let (spool, mut states) = start(folder.path());
        let up = remembering(true);
        let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::clone(&up) as Arc<dyn Destination>);
        outbox.push(item(Class::Alert, "3", b"body")).wait().await;
        assert_eq!(spool.waiting(), [("ops".to_owned(), 3, true)]);
        up.is_down.store(false, Ordering::Relaxed);
        until(&mut states, |state| state.delivered == 3).await;
        assert_eq!(*lock(&up.taken), ["1", "2", "3"]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn where_nobody_knows_what_waits_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("queue", folder.path().join("queue")).unwrap();
        let (spool, mut states) = start(folder.path());
        let up = remembering(false);
        let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::clone(&up) as Arc<dyn Destination>);
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
        let up = remembering(false);
        let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::clone(&up) as Arc<dyn Destination>);
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
        let tell = move |state| told.send(state).is_ok();
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
            let (up, down) = (
                spool.lane("up", Rhythm::AsItComes, remembering(false)),
                spool.lane("down", Rhythm::AsItComes, remembering(true)),
            );
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
            let (first, other) = (remembering(true), remembering(false));
            let (outbox, live) = (
                spool.lane("ops", Rhythm::AsItComes, Arc::clone(&first) as Arc<dyn Destination>),
                spool.lane("live", Rhythm::AsItComes, other),
            );
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
    impl Destination for Breaker {
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
        let outbox = spool.lane("ops", Rhythm::AsItComes, remembering(true));
        for key in ["1", "2", "3"] {
            outbox.push(item(Class::Alert, key, b"body")).wait().await;
        }
        spool.retain(&BTreeSet::new());

        let (log, _guard) = log();
        let (spool, mut states) = start(folder.path());
        let lane = folder.path().join("queue/ops");
        spool.lane("ops", Rhythm::AsItComes, Arc::new(Breaker(lane.clone())));
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
        let (up, down) = (remembering(false), remembering(true));
        let (good, bad) = (spool.lane("up", Rhythm::AsItComes, up), spool.lane("down", Rhythm::AsItComes, down));
        let mut delivered = good.push(item(Class::Alert, "1", b"body"));
        let mut waits = bad.push(item(Class::Alert, "1", b"body"));
        until(&mut states, |state| state.delivered == 1).await;
        waits.wait().await;
        assert_eq!((delivered.fate(), waits.fate()), (Fate::Settled, Fate::Exposed));
        std::fs::remove_file(folder.path().join("queue")).unwrap();
        spool.keep_house(stamp());
        timeout(PATIENCE, spool.shared.settled()).await.unwrap();
        assert_eq!(waits.fate(), Fate::Stored);
        assert_eq!(spool.waiting(), [("down".to_owned(), 1, true)]);
    }

    #[tokio::test]
    async fn another_destination_takes_over_without_a_loss() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, mut states) = start(folder.path());
        let (old, new) = (remembering(true), remembering(false));
        let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::clone(&old) as Arc<dyn Destination>);
        outbox.push(item(Class::Alert, "1", b"body"));
        old.attempts.notified().await;
        spool.lane("ops", Rhythm::AsItComes, Arc::clone(&new) as Arc<dyn Destination>).hurry();
        outbox.push(item(Class::Alert, "2", b"body"));
        until(&mut states, |state| state.delivered == 2).await;
        assert_eq!(*lock(&new.taken), ["1", "2"]);
    }

    #[tokio::test]
    async fn the_end_waits_for_what_can_be_delivered_and_for_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _states) = start(folder.path());
        let (up, down) = (remembering(false), remembering(true));
        let (good, bad) = (
            spool.lane("up", Rhythm::AsItComes, Arc::clone(&up) as Arc<dyn Destination>),
            spool.lane("down", Rhythm::AsItComes, Arc::clone(&down) as Arc<dyn Destination>),
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
        let down = remembering(true);
        let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::clone(&down) as Arc<dyn Destination>);
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
        let down = remembering(true);
        let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::clone(&down) as Arc<dyn Destination>);
        for key in ["1", "2"] {
            outbox.push(item(Class::Alert, key, b"body")).wait().await;
        }
        std::fs::write(folder.path().join("queue/ops/00000000000000000001.item"), b"nonsense").unwrap();
        down.is_down.store(false, Ordering::Relaxed);
        let state = until(&mut states, |state| state.delivered == 1).await;
        assert_eq!((state.queued, state.dropped), (0, 1));
        assert_eq!(*lock(&down.taken), ["2"]);
    }

    async fn all_at_once(alerts: usize) {
        const CHANNELS: [&str; 4] = ["one", "two", "three", "four"];
        let folder = tempfile::tempdir().unwrap();
        let (told, mut states) = mpsc::unbounded_channel();
        let tell = move |state| told.send(state).is_ok();
        let budget = Budget { size: 256 * 1024 * 1024, age: Duration::from_secs(3_600) };
        let spool = Spool::start(Some((Store::new(folder.path().join("queue")), Health::default())), budget, tell);
        let all = CHANNELS.map(|_| remembering(false));
        let outboxes: Vec<_> = CHANNELS
            .iter()
            .zip(&all)
            .map(|(name, one)| spool.lane(name, Rhythm::AsItComes, Arc::clone(one) as Arc<dyn Destination>))
            .collect();
        // As large as an alert is.
        let body = [b'x'; 900];
        for number in 0..alerts {
            for outbox in &outboxes {
                outbox.push(item(Class::Alert, &number.to_string(), &body));
            }
        }
        let mut last: BTreeMap<String, Delivery> = BTreeMap::new();
        let is_dealt_with = |state: &Delivery| state.delivered + state.dropped == alerts as u64;
        while last.len() < CHANNELS.len() || !last.values().all(is_dealt_with) {
            let state = timeout(PATIENCE, states.recv()).await.expect("nothing happens").unwrap();
            last.insert(state.destination.clone(), state);
        }
        let lost: u64 = last.values().map(|state| state.dropped).sum();
        let delivered: usize = all.iter().map(|one| lock(&one.taken).len()).sum();
        assert_eq!((delivered, lost), (alerts * CHANNELS.len(), 0), "{alerts} alerts for {} channels", CHANNELS.len());
        let in_order: Vec<_> = (0..alerts).map(|number| number.to_string()).collect();
        assert!(all.iter().all(|one| *lock(&one.taken) == in_order));
    }

    #[tokio::test]
    async fn a_thousand_alerts_at_once_reach_four_channels() {
        all_at_once(1_000).await;
    }

    #[tokio::test]
    async fn ten_thousand_alerts_at_once_reach_four_channels() {
        all_at_once(10_000).await;
    }
}
