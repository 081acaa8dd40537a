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
use crate::vitals::Pulse;

/// How long a server may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How long a resolver may take to answer.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(5);
/// Names are resolved again after this long, because the servers behind them come and go.
const RESOLVE_AGAIN: Duration = Duration::from_secs(86_400);

/// One poll asks no more addresses than this, all of which may keep it waiting.
const MOST_ADDRESSES: u32 = 32;

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
    pulse: Pulse,
) {
    let mut pace = Pace::new(source.poll, !source.server.is_near());
    let mut addresses = Addresses::new(source.server);
    loop {
        pulse.expect(RESOLVER_PATIENCE + PATIENCE * MOST_ADDRESSES);
        let polled = addresses.poll(index).await;
        let next = pace.polled(&polled.result);
        if mailbox.send(polled.into()).await.is_err() {
            return;
        }
        let Some(next) = next else { return pulse.end() };
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
                        self.resolved = found.take(MOST_ADDRESSES as usize).collect();
                        self.resolved_at = Instant::now();
                    }
                    self.current = 0;
                }
                self.resolved.get(self.current).copied()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;
    use crate::demo::ntp as server;

    async fn closed() -> SocketAddr {
        UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    fn addresses(resolved: Vec<SocketAddr>) -> Addresses {
        let server = Server::Name { host: "localhost".into(), port: 1 };
        Addresses { server, resolved, resolved_at: Instant::now(), current: 0 }
    }

    #[tokio::test]
    async fn an_address_that_refuses_makes_room_for_the_next_at_once_and_a_good_one_is_kept() {
        let good = server::start(Default::default()).await.unwrap();
        let mut addresses = addresses(vec![closed().await, closed().await, good]);
        for _ in 0..2 {
            let polled = addresses.poll(7).await;
            assert_eq!((polled.source, polled.address), (7, Some(good)));
            assert!(polled.result.is_ok());
        }
    }

    #[tokio::test]
    async fn after_the_last_address_the_name_is_resolved_again() {
        let mut addresses = addresses(vec![closed().await]);
        let polled = addresses.poll(0).await;
        assert_eq!(polled.result, Err(Refusal::Network));
        let again = addresses.poll(0).await;
        assert_ne!(again.address, polled.address, "localhost has port 1");
        assert_eq!(again.address.map(|address| address.port()), Some(1));
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_told_as_such() {
        // No name at all, so that no resolver outside of this host is asked.
        let server = Server::Name { host: "no..name".into(), port: 123 };
        let polled = Addresses::new(server).poll(0).await;
        assert_eq!((polled.address, polled.result), (None, Err(Refusal::Unresolved)));
    }

    #[tokio::test]
    async fn a_source_that_denies_its_service_is_not_asked_again() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (mailbox, mut inbox) = mpsc::channel::<Polled>(8);
        let (_burst, woken) = broadcast::channel(1);
        let source = Source {
            name: "s".into(),
            server: Server::Address(address),
            trusted: false,
            leap_smear: false,
            poll: Duration::from_secs(1),
        };
        let poller = tokio::spawn(run(0, source, mailbox, woken, Pulse::default()));
        let mut request = [0; 48];
        let (_, client) = socket.recv_from(&mut request).await.unwrap();
        let mut reply = [0; 48];
        reply[0] = 4 << 3 | 4;
        reply[12..16].copy_from_slice(b"DENY");
        reply[24..32].copy_from_slice(&request[40..48]);
        socket.send_to(&reply, client).await.unwrap();
        poller.await.unwrap();
        assert_eq!(inbox.recv().await.unwrap().result.unwrap_err().outcome(), "kiss-deny");
        assert!(inbox.recv().await.is_none());
    }
}
