//! The queue of one destination, and the task that empties it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::request::{Destination, Failure, Item, attempt};
use crate::snapshot::Delivery;

/// A queue larger than this loses its oldest items.
const MOST_BYTES: usize = 256 * 1024;
/// So does a longer one.
const MOST_ITEMS: usize = 1_000;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The queue of one destination. To put something in never waits.
#[derive(Clone)]
pub struct Outbox {
    queue: Arc<Queue>,
}

struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
    closing: CancellationToken,
}

struct Inner {
    items: VecDeque<Item>,
    /// Counts what left the queue at its front, so that the sender knows whether the item it holds is still there.
    departed: u64,
    state: Delivery,
}

impl Outbox {
    /// Makes a queue and starts the task that empties it; every change is told to the mailbox.
    pub fn start<E: From<Delivery> + Send + 'static>(
        client: reqwest::Client,
        destination: Destination,
        mailbox: mpsc::Sender<E>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let state = Delivery { destination: destination.name.clone(), ..Delivery::default() };
        let inner = Inner { items: VecDeque::new(), departed: 0, state };
        let queue =
            Arc::new(Queue { inner: Mutex::new(inner), changed: Notify::new(), closing: CancellationToken::new() });
        let task = tokio::spawn(send_all(Arc::clone(&queue), client, destination, mailbox));
        (Self { queue }, task)
    }

    /// Puts an item into the queue; where there is no room, the oldest ones are dropped and counted.
    pub fn push(&self, item: Item) {
        let mut inner = self.queue.lock();
        inner.items.push_back(item);
        while inner.items.len() > MOST_ITEMS || (inner.items.len() > 1 && inner.size() > MOST_BYTES) {
            inner.drop_front();
            inner.state.dropped = inner.state.dropped.saturating_add(1);
        }
        inner.count();
        drop(inner);
        self.queue.changed.notify_one();
    }

    /// Lets the task end once the queue is empty.
    pub fn close(&self) {
        self.queue.closing.cancel();
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.queue.lock().items.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest item and its number; `None` where the queue is closed and empty.
    async fn oldest(&self) -> Option<(u64, Item)> {
        loop {
            {
                let inner = self.lock();
                if let Some(item) = inner.items.front() {
                    return Some((inner.departed, item.clone()));
                }
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = self.closing.cancelled() => if self.lock().items.is_empty() { return None },
            }
        }
    }
}

impl Inner {
    fn size(&self) -> usize {
        self.items.iter().map(|item| item.body.len()).sum()
    }

    fn drop_front(&mut self) {
        if self.items.pop_front().is_some() {
            self.departed = self.departed.wrapping_add(1);
        }
    }

    fn count(&mut self) {
        self.state.queued = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        self.state.bytes = u64::try_from(self.size()).unwrap_or(u64::MAX);
    }

    /// Notes how the attempt at item `number` ended; returns whether the destination broke down or recovered with it.
    fn settle(&mut self, number: u64, result: &Result<(), Failure>) -> bool {
        let was_broken = self.state.error.is_some();
        let is_final = match result {
            Ok(()) => {
                self.state.delivered = self.state.delivered.saturating_add(1);
                self.state.error = None;
                true
            }
            Err(failure) => {
                self.state.failures = self.state.failures.saturating_add(1);
                self.state.error = Some(failure.reason.clone());
                if !failure.retry {
                    self.state.dropped = self.state.dropped.saturating_add(1);
                }
                !failure.retry
            }
        };
        if is_final && self.departed == number {
            self.drop_front();
        }
        self.count();
        was_broken != self.state.error.is_some()
    }
}

async fn send_all<E: From<Delivery>>(
    queue: Arc<Queue>,
    client: reqwest::Client,
    destination: Destination,
    mailbox: mpsc::Sender<E>,
) {
    let mut pause = FIRST_PAUSE;
    while let Some((number, item)) = queue.oldest().await {
        let result = attempt(&client, &destination, &item).await;
        let (changed, state) = {
            let mut inner = queue.lock();
            (inner.settle(number, &result), inner.state.clone())
        };
        if changed {
            match &result {
                Ok(()) => tracing::info!(destination = destination.name, "delivery works again"),
                Err(failure) => {
                    tracing::warn!(
                        destination = destination.name,
                        reason = failure.reason,
                        "delivery fails; measuring goes on"
                    );
                }
            }
        }
        // The engine is not waited for: it may be waiting for this task at the end of the agent's life.
        let _ = mailbox.try_send(state.into());
        match result {
            Err(failure) if failure.retry => {
                let asked = failure.retry_after.unwrap_or_default().min(LONGEST_PAUSE);
                let wait = pause.mul_f64(0.5 + fastrand::f64()).max(asked);
                pause = (pause * 2).min(LONGEST_PAUSE);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    // Whoever closed the queue waits for it, and not for long.
                    () = queue.closing.cancelled() => tokio::time::sleep(wait.min(FIRST_PAUSE)).await,
                }
            }
            _ => pause = FIRST_PAUSE,
        }
    }
}
