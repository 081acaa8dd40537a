//! The task that reads what one provider hands out, for as long as the agent runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::round::{Polled, Read};
use crate::vitals::Pulse;

/// Files are near, and each request has its own end. What takes longer hangs, as the home of a user on a server that is
/// gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads every `poll`, and whenever `wake` says so, until the mailbox closes.
pub async fn run<E: From<Polled>>(
    reader: Box<dyn Read>,
    poll: Duration,
    mailbox: mpsc::Sender<E>,
    wake: Arc<Notify>,
    pulse: Pulse,
) {
    run_within(PATIENCE, reader, poll, mailbox, wake, pulse).await;
}

async fn run_within<E: From<Polled>>(
    patience: Duration,
    mut reader: Box<dyn Read>,
    poll: Duration,
    mailbox: mpsc::Sender<E>,
    wake: Arc<Notify>,
    pulse: Pulse,
) {
    let provider = reader.provider();
    loop {
        let tell = || tracing::warn!(provider = provider.name(), "credentials cannot be read: their file system hangs");
        // What was known before holds meanwhile.
        let polled = pulse.patiently(patience, once(reader.as_mut()), tell).await;
        if mailbox.send(polled.into()).await.is_err() {
            return;
        }
        pulse.expect(poll);
        tokio::select! {
            () = tokio::time::sleep(poll) => {}
            () = wake.notified() => {}
            () = mailbox.closed() => return,
        }
    }
}

/// Reads once.
pub async fn once(reader: &mut dyn Read) -> Polled {
    Polled { provider: reader.provider(), round: reader.read().await }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::super::Provider;
    use super::super::round::Round;
    use super::*;
    use crate::vitals::Task;

    /// A reader that hangs at its first reading until it is let go.
    struct Hanging {
        calls: Arc<AtomicUsize>,
        go: Arc<Notify>,
    }

    #[async_trait]
    impl Read for Hanging {
        fn provider(&self) -> Provider {
            Provider::SharedFile
        }

        async fn read(&mut self) -> Round {
            if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
                self.go.notified().await;
            }
            Round::of(Vec::new())
        }
    }

    #[tokio::test]
    async fn a_reading_that_hangs_is_waited_for_and_no_other_is_begun() {
        let (calls, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let reader = Box::new(Hanging { calls: Arc::clone(&calls), go: Arc::clone(&go) });
        let (mailbox, mut inbox) = mpsc::channel::<Polled>(8);
        let millis = Duration::from_millis;
        let task =
            Task::spawn("test", |pulse| run_within(millis(5), reader, millis(1), mailbox, Arc::default(), pulse));
        // Many times its patience.
        tokio::time::sleep(millis(100)).await;
        assert_eq!((calls.load(Ordering::Relaxed), inbox.len()), (1, 0));
        go.notify_one();
        for _ in 0..2 {
            assert_eq!(inbox.recv().await.unwrap().provider, Provider::SharedFile);
        }
        task.abort();
    }
}
