//! The addresses of one server: which of them is asked, and what becomes of those that do not answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout};

use super::query::query;
use super::refusal::Refusal;
use super::server::Server;
use crate::clock::sample::{Failure, Sample};
use crate::resolver;
use crate::sources::witness::{Answer, Witness};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a resolver may take to answer.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(5);
/// Names are resolved again after this long, because the servers behind them come and go.
const RESOLVE_AGAIN: Duration = Duration::from_secs(86_400);

/// One poll asks no more addresses than this, all of which may keep it waiting.
const MOST_ADDRESSES: u32 = 32;

/// So many addresses of one name are remembered that have denied their service; the oldest is forgotten first.
const MOST_DENIED: usize = 256;

/// The addresses of a server, and which of them is in use.
pub(super) struct Addresses {
    server: Server,
    resolved: Vec<SocketAddr>,
    resolved_at: Instant,
    current: usize,
    /// Those that have denied their service, and how. They are asked no more, whichever answer of the resolver has them.
    denied: VecDeque<(SocketAddr, Refusal)>,
}

/// What came of asking once, in the words of NTP.
struct Asked {
    /// The address that was asked; `None` where the name has none.
    address: Option<SocketAddr>,
    result: Result<Sample, Refusal>,
}

#[async_trait]
impl Witness for Addresses {
    async fn ask(&mut self) -> Answer {
        let Asked { address, result } = self.poll().await;
        Answer { address, result: result.map_err(Into::into) }
    }

    /// Twice, because a name of which every address denies its service is resolved anew.
    fn patience(&self) -> Duration {
        (RESOLVER_PATIENCE + PATIENCE * MOST_ADDRESSES) * 2
    }

    /// A name may lead elsewhere some day.
    fn may_change(&self) -> bool {
        self.is_name()
    }
}

impl Addresses {
    pub(super) fn new(server: Server) -> Self {
        let resolved = match &server {
            Server::Address(address) => server.twin().map(|twin| vec![*address, twin]).unwrap_or_default(),
            Server::Name { .. } => Vec::new(),
        };
        Self { server, resolved, resolved_at: Instant::now(), current: 0, denied: VecDeque::new() }
    }

    /// Asks a server that has an address in either family: the one that answered last, and the other where the network
    /// has no way to it. Only if neither answers is there something to tell, and that is of the address in which
    /// something is amiss rather than of a family that is not there.
    async fn poll_twins(&mut self, first: SocketAddr, second: SocketAddr) -> Asked {
        let polled = |address, result| Asked { address: Some(address), result };
        let result = query(first, PATIENCE).await;
        // Any other refusal is an answer, and the server the same at both.
        if !matches!(result, Err(Refusal::Network | Refusal::Timeout)) {
            return polled(first, result);
        }
        let other = query(second, PATIENCE).await;
        if matches!(other, Err(Refusal::Network)) || (other == Err(Refusal::Timeout) && result == other) {
            return polled(first, result);
        }
        if other.is_ok() {
            self.resolved.swap(0, 1);
        }
        polled(second, other)
    }

    /// Whether there may be others once all that there are have denied their service.
    const fn is_name(&self) -> bool {
        matches!(self.server, Server::Name { .. })
    }

    /// Asks the address in use. One that does not answer makes room for the next, at once where the network refuses it
    /// or it denies its service; after the last of them the name is resolved again.
    async fn poll(&mut self) -> Asked {
        if let (Server::Address(_), [first, second]) = (&self.server, self.resolved.as_slice()) {
            let (first, second) = (*first, *second);
            return self.poll_twins(first, second).await;
        }
        let mut is_resolved_anew = false;
        loop {
            let Some(address) = self.current().await else {
                // Where the name has addresses, the one that denied its service last speaks for all.
                let denied = self.denied.back().filter(|_| !self.resolved.is_empty());
                let (address, refusal) = denied.map_or((None, Refusal::Unresolved), |(ip, why)| (Some(*ip), *why));
                return Asked { address, result: Err(refusal) };
            };
            let result = query(address, PATIENCE).await;
            match result {
                Err(refusal) if refusal.failure() == Failure::Denied && self.is_name() => {
                    tracing::info!(%address, "{refusal}: this address of {} is asked no more", self.server);
                    if self.denied.len() == MOST_DENIED {
                        self.denied.pop_front();
                    }
                    self.denied.push_back((address, refusal));
                    self.skip_denied();
                    if self.current < self.resolved.len() {
                        continue;
                    }
                    if !is_resolved_anew {
                        is_resolved_anew = true;
                        continue;
                    }
                }
                Err(_) => self.current += 1,
                Ok(_) => {}
            }
            let has_another = self.current < self.resolved.len();
            if result != Err(Refusal::Network) || !has_another {
                return Asked { address: Some(address), result };
            }
        }
    }

    async fn current(&mut self) -> Option<SocketAddr> {
        match &self.server {
            // Where a server has an address in either family, these two are all that there are, in the order of trying.
            Server::Address(address) => Some(self.resolved.get(self.current).copied().unwrap_or(*address)),
            Server::Name { host, port } => {
                let stale = self.resolved_at.elapsed() > RESOLVE_AGAIN;
                if stale || self.current >= self.resolved.len() {
                    let lookup = timeout(RESOLVER_PATIENCE, resolver::lookup(host)).await;
                    // A resolver that is out of order does not take away the addresses that still answer.
                    if let Ok(Ok(found)) = lookup {
                        self.resolved = found.into_iter().take(MOST_ADDRESSES as usize).collect();
                        self.resolved.iter_mut().for_each(|address| address.set_port(*port));
                        self.resolved_at = Instant::now();
                    }
                    self.current = 0;
                }
                self.skip_denied();
                self.resolved.get(self.current).copied()
            }
        }
    }

    /// Goes on to the next address that has not denied its service.
    fn skip_denied(&mut self) {
        let is_denied = |address: &SocketAddr| self.denied.iter().any(|(denied, _)| denied == address);
        while self.resolved.get(self.current).is_some_and(is_denied) {
            self.current += 1;
        }
    }
}

#[cfg(test)]
pub(in crate::sources) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::UdpSocket;

    use super::*;
    use crate::demo::ntp as server;

    async fn closed() -> SocketAddr {
        UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    fn addresses(resolved: Vec<SocketAddr>) -> Addresses {
        let server = Server::Name { host: "localhost".into(), port: 1 };
        Addresses { resolved, ..Addresses::new(server) }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_address_that_refuses_makes_room_for_the_next_at_once_and_a_good_one_is_kept() {
        let good = server::start(Default::default()).await.unwrap();
        let mut addresses = addresses(vec![closed().await, closed().await, good]);
        for _ in 0..2 {
            let polled = addresses.poll().await;
            assert_eq!(polled.address, Some(good));
            assert!(polled.result.is_ok());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_server_in_two_families_is_asked_where_it_answers_and_a_missing_family_is_no_failure() {
        let good = server::start(Default::default()).await.unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (silent, closed) = (silent.local_addr().map(|address| (silent, address)).unwrap(), closed().await);
        let twins =
            |first, second| Addresses { resolved: vec![first, second], ..Addresses::new(Server::Address(first)) };
        for missing in [closed, silent.1] {
            let mut addresses = twins(missing, good);
            for _ in 0..2 {
                let polled = addresses.poll().await;
                assert_eq!((polled.address, polled.result.is_ok()), (Some(good), true));
            }
            assert_eq!(addresses.resolved, [good, missing], "it is asked first where it has answered");
        }
        for (first, second) in [(silent.1, closed), (closed, silent.1)] {
            let polled = twins(first, second).poll().await;
            assert_eq!((polled.address, polled.result), (Some(silent.1), Err(Refusal::Timeout)));
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn after_the_last_address_the_name_is_resolved_again() {
        let mut addresses = addresses(vec![closed().await]);
        let polled = addresses.poll().await;
        assert_eq!(polled.result, Err(Refusal::Network));
        let again = addresses.poll().await;
        assert_ne!(again.address, polled.address, "localhost has port 1");
        assert_eq!(again.address.map(|address| address.port()), Some(1));
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_told_as_such() {
        // No name at all, so that no resolver outside of this host is asked.
        let server = Server::Name { host: "no..name".into(), port: 123 };
        let polled = Addresses::new(server).poll().await;
        assert_eq!((polled.address, polled.result), (None, Err(Refusal::Unresolved)));
    }

    /// A server that denies its service to all who ask, and how often it was asked.
    pub(in crate::sources) async fn denying() -> (SocketAddr, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut request = [0; 48];
            while let Ok((_, client)) = socket.recv_from(&mut request).await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut reply = [0; 48];
                reply[0] = 4 << 3 | 4;
                reply[12..16].copy_from_slice(b"DENY");
                reply[24..32].copy_from_slice(&request[40..48]);
                socket.send_to(&reply, client).await.unwrap();
            }
        });
        (address, asked)
    }

    #[tokio::test]
    async fn an_address_of_a_pool_that_denies_its_service_is_given_up_alone() {
        let good = server::start(Default::default()).await.unwrap();
        let (denier, asked) = denying().await;
        let mut addresses = addresses(vec![denier, good]);
        for _ in 0..3 {
            let polled = addresses.poll().await;
            assert_eq!(polled.address, Some(good), "{:?}", polled.result);
            assert!(polled.result.is_ok());
        }
        // Even if the resolver names it again.
        addresses.resolved = vec![denier, good];
        addresses.current = 0;
        assert_eq!(addresses.poll().await.address, Some(good));
        assert_eq!(asked.load(Ordering::Relaxed), 1, "whoever denies its service is left alone");
    }

    #[tokio::test]
    async fn a_name_of_which_every_address_denies_its_service_is_resolved_anew_and_nobody_asked_twice() {
        let (denier, asked) = denying().await;
        let server = Server::Name { host: "127.0.0.1".into(), port: denier.port() };
        let mut addresses = Addresses::new(server);
        for _ in 0..3 {
            let polled = addresses.poll().await;
            assert_eq!((polled.address, polled.result.unwrap_err().outcome()), (Some(denier), "kiss-deny"));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // The name leads elsewhere now.
        let good = server::start(Default::default()).await.unwrap();
        addresses.server = Server::Name { host: "127.0.0.1".into(), port: good.port() };
        assert_eq!(addresses.poll().await.address, Some(good));
    }
}
