//! The task that asks one source, for as long as the agent runs.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, timeout};

use super::pace::Pace;
use super::query::query;
use super::refusal::Refusal;
use crate::clock::sample::Sample;
use crate::config::checked::{Server, Source};

/// How long a server may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How long a resolver may take to answer.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(5);
/// Names are resolved again after this long, because the servers behind them come and go.
const RESOLVE_AGAIN: Duration = Duration::from_secs(86_400);

/// How one poll ended.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The source's place in the configuration.
    pub source: usize,
    /// The address that was asked; `None` where the name has none.
    pub address: Option<SocketAddr>,
    /// What came of it.
    pub result: Result<Sample, Refusal>,
}

/// Asks `source` at its pace, and at once whenever `burst` says so, until the mailbox closes or the server denies
/// its service.
pub async fn run<E: From<Polled>>(
    index: usize,
    source: Source,
    mailbox: mpsc::Sender<E>,
    mut burst: broadcast::Receiver<()>,
) {
    let mut pace = Pace::new(source.poll, !source.server.is_near());
    let mut addresses = Addresses::new(source.server);
    loop {
        let polled = addresses.poll(index).await;
        let next = pace.polled(&polled.result);
        if mailbox.send(polled.into()).await.is_err() {
            return;
        }
        let Some(next) = next else { return };
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
pub async fn once(index: usize, source: Source) -> Polled {
    Addresses::new(source.server).poll(index).await
}

/// The addresses of a server, and which of them is in use.
struct Addresses {
    server: Server,
    resolved: Vec<SocketAddr>,
    resolved_at: Instant,
    current: usize,
}

impl Addresses {
    fn new(server: Server) -> Self {
        Self { server, resolved: Vec::new(), resolved_at: Instant::now(), current: 0 }
    }

    /// Asks the address in use. One that does not answer makes room for the next, at once where the network refuses it;
    /// after the last of them the name is resolved again.
    async fn poll(&mut self, source: usize) -> Polled {
        loop {
            let Some(address) = self.current().await else {
                return Polled { source, address: None, result: Err(Refusal::Unresolved) };
            };
            let result = query(address, PATIENCE).await;
            if result.is_err() {
                self.current += 1;
            }
            let has_another = self.current < self.resolved.len();
            if result != Err(Refusal::Network) || !has_another {
                return Polled { source, address: Some(address), result };
            }
        }
    }

    async fn current(&mut self) -> Option<SocketAddr> {
        match &self.server {
            Server::Address(address) => Some(*address),
            Server::Name { host, port } => {
                let stale = self.resolved_at.elapsed() > RESOLVE_AGAIN;
                if stale || self.current >= self.resolved.len() {
                    let lookup = timeout(RESOLVER_PATIENCE, tokio::net::lookup_host((host.as_str(), *port))).await;
                    // A resolver that is out of order does not take away the addresses that still answer.
                    if let Ok(Ok(found)) = lookup {
                        self.resolved = found.collect();
                        self.resolved_at = Instant::now();
                    }
                    self.current = 0;
                }
                self.resolved.get(self.current).copied()
            }
        }
    }
}
