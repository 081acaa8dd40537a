//! The task that reads what one provider hands out, for as long as the agent runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::provider::{Polled, Read};
use crate::vitals::Pulse;

/// Files are near, and each request has its own end. What takes longer hangs, as the home of a user on a server that is
/// gone.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the task may go without a sign of life while it reads.
const ROUND: Duration = Duration::from_secs(120);

/// Reads every `poll`, and whenever `wake` says so, until the mailbox closes.
pub async fn run<E: From<Polled>>(
    mut reader: Box<dyn Read>,
    poll: Duration,
    mailbox: mpsc::Sender<E>,
    wake: Arc<Notify>,
    pulse: Pulse,
) {
    let mut hangs = false;
    loop {
        pulse.expect(ROUND);
        match timeout(LONGEST, once(reader.as_mut())).await {
            Ok(polled) => {
                hangs = false;
                if mailbox.send(polled.into()).await.is_err() {
                    return;
                }
            }
            // What was known before holds.
            Err(_) if !hangs => {
                hangs = true;
                tracing::warn!(
                    provider = reader.provider().name(),
                    "credentials cannot be read: their file system hangs"
                );
            }
            Err(_) => {}
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
