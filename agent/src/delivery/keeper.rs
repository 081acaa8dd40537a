//! The task that keeps the queue on disk.

use std::io;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::item::{Class, Item};
use super::mutex::lock;
use super::queue::{Chore, Ticket};
use super::room::BLOCK;
use super::shared::Shared;
use super::store::{Hangs, Health, Store};
use crate::vitals::Pulse;

/// The task that keeps the queue on disk. What there is to do the queue knows, so that a disk which fails piles nothing up.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    store: Store,
    health: Health,
    pulse: Pulse,
    /// Nothing could be written since something was refused.
    writes_fail: bool,
    /// Something that is to be removed is still there.
    removals_fail: bool,
}

impl Keeper {
    pub(super) const fn new(shared: Arc<Shared>, store: Store, health: Health, pulse: Pulse) -> Self {
        Self { shared, store, health, pulse, writes_fail: false, removals_fail: false }
    }

    /// Keeps what there is to keep, for ever.
    pub(super) async fn run(mut self) {
        loop {
            match self.shared.chore() {
                Some(Chore::Remove(tickets)) => self.remove(tickets).await,
                Some(Chore::Write(ticket, item)) => self.write(ticket, item).await,
                None => {
                    self.shared.progress.notify_waiters();
                    self.pulse.rest();
                    self.shared.chores.notified().await;
                    continue;
                }
            }
            let is_sound = !self.writes_fail && !self.removals_fail;
            if is_sound {
                self.health.works();
            }
            self.shared.set_on_disk(is_sound);
            self.shared.progress.notify_waiters();
        }
    }

    async fn write(&mut self, ticket: Ticket, item: Item) {
        let mut result = self.attempt(&ticket, &item).await;
        // On a full disk telemetry waits in memory. An alert is worth more than the oldest of what waits there.
        if let Err(error) = &result
            && item.class == Class::Alert
            && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            let rooms = {
                let mut queue = lock(&self.shared.queue);
                queue.make_room(BLOCK.saturating_mul(2));
                queue.take_discarded()
            };
            if !rooms.is_empty() {
                self.remove(rooms).await;
                result = self.attempt(&ticket, &item).await;
            }
        }
        let states = {
            let mut queue = lock(&self.shared.queue);
            match result {
                Ok(()) => {
                    queue.stored(&ticket);
                    if self.writes_fail {
                        // What was refused while the disk failed is tried again before it is said to work.
                        queue.retry();
                        self.writes_fail = !queue.is_all_stored();
                    }
                }
                Err(error) => {
                    queue.refused(&ticket);
                    self.writes_fail = true;
                    self.health.fails(self.store.root(), &error);
                }
            }
            self.shared.changed(&mut queue)
        };
        self.shared.tell_all(states);
    }

    async fn attempt(&mut self, ticket: &Ticket, item: &Item) -> io::Result<()> {
        let (store, ticket, item) = (self.store.clone(), ticket.clone(), item.clone());
        self.on_disk(move || store.write(&ticket, &item)).await?
    }

    /// Does something on the disk, however long that takes. A disk that hangs is told like any other that fails; to start
    /// the agent anew would not mend it, and live delivery goes on without it.
    async fn on_disk<T: Send + 'static>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let mut working = spawn_blocking(work);
        self.pulse.expect(self.shared.patience);
        if let Ok(done) = timeout(self.shared.patience, &mut working).await {
            return done.map_err(io::Error::other);
        }
        self.pulse.rest();
        self.health.fails(self.store.root(), &Hangs);
        self.shared.set_on_disk(false);
        self.shared.set_disk_answers(false);
        let done = working.await;
        self.shared.set_disk_answers(true);
        done.map_err(io::Error::other)
    }

    async fn remove(&mut self, tickets: Vec<Ticket>) {
        let store = self.store.clone();
        let remove = move || {
            let attempts = tickets.into_iter().map(|ticket| store.remove(&ticket).map_err(|error| (ticket, error)));
            attempts.filter_map(Result::err).unzip::<_, _, Vec<_>, Vec<_>>()
        };
        // Nothing in there panics.
        let Ok((left, errors)) = self.on_disk(remove).await else { return };
        let mut queue = lock(&self.shared.queue);
        queue.not_removed(left);
        match errors.first() {
            Some(error) => {
                self.removals_fail = true;
                self.health.fails(self.store.root(), error);
            }
            None if self.removals_fail => {
                queue.retry();
                self.removals_fail = queue.has_removals();
            }
            None => {}
        }
    }
}
