//! The task that sends to one destination.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::item::{Class, Item};
use super::mutex::lock;
use super::policy::Again;
use super::queue::{Next, Ticket};
use super::request::{Answer, Destination, Failure};
use super::shared::Shared;
use super::store::{Hangs, ReadError};
use crate::clock::local;
use crate::vitals::Pulse;

/// While the end is near, nobody waits longer than this for another attempt.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// So many items are the end of what a process has to tell, and not what it could not tell before.
const LAST: u64 = 2;
/// An attempt ends by itself long before this.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(300);

/// The task that sends to one destination.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) name: String,
    pub(super) destination: Arc<Mutex<Arc<dyn Destination>>>,
    /// Something has come, or a pause has ended.
    pub(super) changed: Arc<Notify>,
    /// The process is about to end.
    pub(super) closing: CancellationToken,
}

impl Sender {
    /// Sends what comes, until the end.
    pub(super) async fn run(self, pulse: Pulse) {
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

    /// Whether the process may end without what waits here: the disk has it all, and the destination is out of order, or
    /// shared by a fleet that may all end together, as for an upgrade. The last that was made goes faster than its pace even
    /// there: a host that is terminated has no other start.
    fn may_leave(&self) -> bool {
        let queue = lock(&self.shared.queue);
        let Some(state) = queue.state(&self.name) else { return true };
        let is_shared = queue.is_shared(&self.name) && state.queued > LAST;
        queue.is_safe(&self.name) && (state.error.is_some() || is_shared)
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
        let mut states = self.shared.changed(&mut queue);
        states.extend(queue.state(&self.name));
        drop(queue);
        self.shared.tell_all(states);
    }

    /// Notes that an item on disk could not be read, as if the destination had failed.
    fn is_unreadable(&self, ticket: &Ticket, error: &dyn std::fmt::Display) {
        let failure = Err(Failure::transient(format!("an item that waits on disk cannot be read: {error}")));
        self.settle(std::slice::from_ref(ticket), &failure, Class::Alert, &ticket.number.to_string());
    }

    async fn send(&self, ticket: Option<Ticket>, item: Item, pulse: &Pulse) {
        let destination = Arc::clone(&lock(&self.destination));
        let (mut tickets, mut items): (Vec<_>, _) = (ticket.into_iter().collect(), vec![item]);
        while items.len() < destination.most_joined()
            && let Some((ticket, item)) = self.following(tickets.last(), pulse).await
        {
            tickets.push(ticket);
            items.push(item);
        }
        pulse.expect(LONGEST_ATTEMPT);
        let [first, ..] = items.as_slice() else { return };
        let joined = if items.len() > 1 { destination.join(&items) } else { None };
        if let Some(joined) = joined {
            let result = destination.attempt(&joined).await;
            let is_refused = result.as_ref().is_err_and(|failure| {
                failure.again == Again::Never && failure.answer.as_ref().is_none_or(|answer| answer.status >= 300)
            });
            if !is_refused {
                return self.settle(&tickets, &result, first.class, &first.key);
            }
            // Nobody says which of them is at fault.
            pulse.expect(LONGEST_ATTEMPT);
        }
        let result = destination.attempt(first).await;
        tickets.truncate(1);
        self.settle(&tickets, &result, first.class, &first.key);
    }

    /// What waits behind `last`, if it can be had.
    async fn following(&self, last: Option<&Ticket>, pulse: &Pulse) -> Option<(Ticket, Item)> {
        let (ticket, item) = lock(&self.shared.queue).following(last?)?;
        let item = match item {
            Some(item) => item,
            // What cannot be read is dealt with once it is the first.
            None => self.read(&ticket, pulse).await?.ok()?,
        };
        Some((ticket, item))
    }

    fn settle(&self, tickets: &[Ticket], result: &Result<Answer, Failure>, class: Class, key: &str) {
        let (is_news, states) = {
            let mut queue = lock(&self.shared.queue);
            let now = local::boot();
            let is_news = queue.settle(&self.name, tickets, result, now, fastrand::f64());
            let mut states = self.shared.changed(&mut queue);
            states.extend(queue.state(&self.name));
            (is_news, states)
        };
        let destination = self.name.as_str();
        match result {
            Err(Failure { again: Again::Never, reason, .. }) if class == Class::Alert => tracing::warn!(
                destination,
                reason,
                item = key,
                "delivery fails: an alert was refused for good, and given up"
            ),
            Err(Failure { again: Again::Slowly, reason, .. }) if is_news => tracing::warn!(
                destination,
                reason,
                "delivery fails: the destination refuses what it is sent. It is tried again, slowly, for as long as \
                 queue.age allows: mend its address, its credentials, or the proxy on the way"
            ),
            // A collector that refuses every export is told of once; what it cost is counted.
            Err(Failure { again, reason, .. }) if is_news => tracing::warn!(
                destination,
                reason,
                given_up = *again == Again::Never,
                "delivery fails; measuring goes on"
            ),
            Ok(_) if is_news => tracing::info!(destination, "delivery works again"),
            _ => {}
        }
        self.shared.tell_all(states);
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
