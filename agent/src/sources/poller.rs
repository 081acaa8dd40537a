//! The task that asks one source, for as long as the agent runs.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

use super::pace::Pace;
use super::refusal::Refusal;
use super::source::Source;
use super::witness::{Answer, Witness};
use crate::clock::sample::Sample;
use crate::clock::true_clock::TrueClock;
use crate::vitals::Pulse;

/// How one poll ended.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The number of the source.
    pub source: usize,
    /// The address that was asked; `None` where there is none.
    pub address: Option<SocketAddr>,
    /// What came of it.
    pub result: Result<Sample, Refusal>,
}

/// Asks `source` at its pace, and at once whenever `burst` says so, until the mailbox closes or it denies its service.
/// Where somebody else may answer some day, it is asked on. Whoever needs TLS judges it by `clock`.
pub async fn run<E: From<Polled>>(
    index: usize,
    source: Source,
    mailbox: mpsc::Sender<E>,
    mut burst: broadcast::Receiver<()>,
    clock: Arc<TrueClock>,
    pulse: Pulse,
) {
    let mut pace = Pace::new(source.poll, &source.kind.cadence());
    let mut witness = source.kind.witness(&clock);
    loop {
        pulse.expect(witness.patience());
        let polled = poll(index, witness.as_mut()).await;
        let next = pace.polled(&polled.result);
        if mailbox.send(polled.into()).await.is_err() {
            return;
        }
        let Some(next) = next.or_else(|| witness.may_change().then(|| pace.slowest())) else { return pulse.end() };
        pulse.expect(next);
        let (earliest, due) = (Instant::now() + pace.floor(), Instant::now() + next);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            woken = burst.recv() => match woken {
                Err(broadcast::error::RecvError::Closed) => return,
                _ => tokio::time::sleep_until(earliest.min(due)).await,
            },
        }
    }
}

/// Asks `source` once.
pub async fn once(index: usize, source: Source, clock: &Arc<TrueClock>) -> Polled {
    poll(index, source.kind.witness(clock).as_mut()).await
}

async fn poll(source: usize, witness: &mut dyn Witness) -> Polled {
    let Answer { address, result } = witness.ask().await;
    Polled { source, address, result }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::demo::ntp as server;
    use crate::sources::ntp::Server;
    use crate::sources::ntp::addresses::tests::denying;

    fn source(server: Server) -> Source {
        let poll = Duration::from_secs(1);
        Source { name: "s".into(), kind: server.into(), trusted: false, leap_smear: false, group: None, poll }
    }

    #[tokio::test]
    async fn what_was_asked_once_is_told_under_its_number() {
        let good = server::start(Default::default()).await.unwrap();
        let polled = once(7, source(Server::Address(good)), &Arc::default()).await;
        assert_eq!((polled.source, polled.address), (7, Some(good)));
        assert!(polled.result.is_ok());
    }

    #[tokio::test]
    async fn a_name_goes_on_after_a_denial() {
        let (denier, asked) = denying().await;
        let (mailbox, mut inbox) = mpsc::channel::<Polled>(8);
        let (_burst, woken) = broadcast::channel(1);
        let source = source(Server::Name { host: "127.0.0.1".into(), port: denier.port() });
        let mut poller = tokio::spawn(run(0, source, mailbox, woken, Arc::default(), Pulse::default()));
        assert_eq!(inbox.recv().await.unwrap().result.unwrap_err().outcome, "kiss-deny");
        assert!(
            timeout(Duration::from_millis(100), &mut poller).await.is_err(),
            "the name may lead elsewhere some day"
        );
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        poller.abort();
    }

    #[tokio::test]
    async fn a_source_that_denies_its_service_is_not_asked_again() {
        let (address, asked) = denying().await;
        let (mailbox, mut inbox) = mpsc::channel::<Polled>(8);
        let (_burst, woken) = broadcast::channel(1);
        let poller =
            tokio::spawn(run(0, source(Server::Address(address)), mailbox, woken, Arc::default(), Pulse::default()));
        poller.await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(inbox.recv().await.unwrap().result.unwrap_err().outcome, "kiss-deny");
        assert!(inbox.recv().await.is_none());
    }
}
