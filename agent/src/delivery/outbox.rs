//! The queue of one destination, and the task that empties it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::item::Item;
use super::request::{Answer, Endpoint, Failure};
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
        name: &str,
        endpoint: Arc<dyn Endpoint>,
        mailbox: mpsc::Sender<E>,
    ) -> (Self, JoinHandle<()>) {
        let state = Delivery { destination: name.to_owned(), ..Delivery::default() };
        // A destination is known before anything goes there; a mailbox that is full at the start has other worries.
        let _ = mailbox.try_send(state.clone().into());
        let inner = Inner { items: VecDeque::new(), departed: 0, state };
        let queue =
            Arc::new(Queue { inner: Mutex::new(inner), changed: Notify::new(), closing: CancellationToken::new() });
        let task = tokio::spawn(send_all(Arc::clone(&queue), name.to_owned(), endpoint, mailbox));
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
    fn settle(&mut self, number: u64, result: &Result<Answer, Failure>) -> bool {
        let was_broken = self.state.error.is_some();
        let is_final = match result {
            Ok(_) => {
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
    destination: String,
    endpoint: Arc<dyn Endpoint>,
    mailbox: mpsc::Sender<E>,
) {
    let mut pause = FIRST_PAUSE;
    while let Some((number, item)) = queue.oldest().await {
        let result = endpoint.attempt(&item).await;
        let (changed, state) = {
            let mut inner = queue.lock();
            (inner.settle(number, &result), inner.state.clone())
        };
        if changed {
            match &result {
                Ok(_) => tracing::info!(destination, "delivery works again"),
                Err(failure) => {
                    tracing::warn!(destination, reason = failure.reason, "delivery fails; measuring goes on");
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use reqwest::header::HeaderMap;

    use super::*;
    use crate::delivery::client::client;
    use crate::delivery::item::Class;
    use crate::delivery::request::{Post, send};
    use crate::demo::http::{self, Response};

    struct Sink {
        url: String,
        taken: Arc<Mutex<Vec<String>>>,
    }

    /// A server whose nth answer has the nth status, and 200 after the last.
    async fn sink(statuses: &'static [u16]) -> Sink {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (shared, count) = (Arc::clone(&taken), AtomicUsize::new(0));
        let address = http::start(move |request| {
            shared.lock().unwrap().push(String::from_utf8(request.body).unwrap());
            Response::status(statuses.get(count.fetch_add(1, Ordering::Relaxed)).copied().unwrap_or(200))
        })
        .await
        .unwrap();
        Sink { url: format!("http://{address}/"), taken }
    }

    struct Poster(reqwest::Client, String);

    #[async_trait::async_trait]
    impl Endpoint for Poster {
        async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
            let (url, body, timeout) = (self.1.clone(), item.body.clone(), Duration::from_secs(1));
            send(&self.0, Post { url, headers: HeaderMap::new(), body, timeout }).await
        }
    }

    fn item(body: &str) -> Item {
        crate::delivery::item::tests::item(Class::Alert, body, body.as_bytes())
    }

    fn start(url: &str) -> (Outbox, JoinHandle<()>, mpsc::Receiver<Delivery>) {
        let (mailbox, states) = mpsc::channel(64);
        let poster = Poster(client(false).unwrap(), url.to_owned());
        let (outbox, task) = Outbox::start("sink", Arc::new(poster), mailbox);
        (outbox, task, states)
    }

    async fn until(states: &mut mpsc::Receiver<Delivery>, is_so: impl Fn(&Delivery) -> bool) -> Delivery {
        loop {
            let state = states.recv().await.unwrap();
            if is_so(&state) {
                return state;
            }
        }
    }

    fn bodies(sink: &Sink) -> Vec<String> {
        sink.taken.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn what_may_still_be_taken_is_sent_again_and_in_order() {
        let sink = sink(&[503, 429]).await;
        let (outbox, _, mut states) = start(&sink.url);
        outbox.push(item("first"));
        outbox.push(item("second"));
        let failing = until(&mut states, |state| state.failures == 1).await;
        assert_eq!((failing.error.as_deref(), failing.queued), (Some("status 503"), 2));
        let state = until(&mut states, |state| state.delivered == 2).await;
        assert_eq!(state, Delivery { destination: "sink".into(), delivered: 2, failures: 2, ..Delivery::default() });
        assert_eq!(bodies(&sink), ["first", "first", "first", "second"]);
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_dropped_with_its_reason() {
        let sink = sink(&[400]).await;
        let (outbox, _, mut states) = start(&sink.url);
        outbox.push(item("bad"));
        let state = until(&mut states, |state| state.dropped == 1).await;
        assert_eq!((state.error.as_deref(), state.queued), (Some("status 400"), 0));
        outbox.push(item("good"));
        assert_eq!(until(&mut states, |state| state.delivered == 1).await.error, None);
    }

    #[tokio::test]
    async fn a_full_queue_loses_its_oldest_and_counts_them() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (outbox, _, mut states) = start(&format!("http://{closed}/"));
        for number in 0..MOST_ITEMS + 5 {
            outbox.push(item(&number.to_string()));
        }
        let state = until(&mut states, |state| state.failures == 1).await;
        assert_eq!((state.queued, state.dropped), (MOST_ITEMS as u64, 5));
        assert!(state.error.unwrap().starts_with("no connection"));
        assert_eq!(outbox.queue.lock().items.front().unwrap().body.as_ref(), b"5");
        outbox.push(item(&"x".repeat(MOST_BYTES)));
        assert_eq!(outbox.len(), 1, "the last item is kept, however large");
    }

    #[tokio::test]
    async fn a_closed_queue_ends_once_it_is_empty() {
        let sink = sink(&[]).await;
        let (outbox, task, _states) = start(&sink.url);
        outbox.push(item("last words"));
        outbox.close();
        task.await.unwrap();
        assert_eq!(bodies(&sink), ["last words"]);
    }
}
