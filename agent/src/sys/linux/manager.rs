//! The service manager, which hears how the agent is (`sd_notify(3)`), and which may be too busy to listen.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use crate::sys::Phase;

/// So many messages wait for a manager that is busy.
const MOST_UNSENT: usize = 16;

/// The service manager. To tell it something never waits: its socket holds ten messages on some hosts, and a manager that
/// hangs reads none of them.
pub struct Manager {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear that all is well.
    watchdog: Option<Duration>,
    heard: Cell<Option<Instant>>,
    unsent: RefCell<VecDeque<String>>,
    is_lost: Cell<bool>,
}

impl Manager {
    /// Whether this process was started by one, as a service.
    pub fn is_there() -> bool {
        std::env::var_os("NOTIFY_SOCKET").is_some()
    }

    fn of(socket: Option<io::Result<UnixDatagram>>, watchdog: Option<Duration>) -> Self {
        let manager = Self {
            socket: None,
            watchdog,
            heard: Cell::new(None),
            unsent: RefCell::default(),
            is_lost: Cell::new(false),
        };
        match socket {
            Some(Ok(socket)) => Self { socket: Some(socket), ..manager },
            Some(Err(error)) => {
                manager.lose(&error);
                manager
            }
            None => manager,
        }
    }

    /// Tells it what has happened, now or as soon as it listens.
    pub fn tell(&self, phase: Phase) {
        match phase {
            Phase::Ready => self.notify(&[NotifyState::Ready]),
            Phase::Stopping => self.notify(&[NotifyState::Stopping]),
            Phase::Reloading => match NotifyState::monotonic_usec_now() {
                Ok(now) => self.notify(&[NotifyState::Reloading, now]),
                Err(_) => self.notify(&[NotifyState::Reloading]),
            },
        }
    }

    fn notify(&self, state: &[NotifyState<'_>]) {
        if self.socket.is_none() {
            return;
        }
        let mut unsent = self.unsent.borrow_mut();
        if unsent.len() == MOST_UNSENT {
            unsent.pop_front();
        }
        unsent.push_back(state.iter().map(|line| format!("{line}\n")).collect());
        drop(unsent);
        self.send();
    }

    /// Called every second while all is well: tells it so, as often as it wants to hear it.
    pub fn alive(&self) {
        if !self.send() {
            return;
        }
        let is_due =
            |every: Duration| self.heard.get().is_none_or(|heard| heard.elapsed() + Duration::from_secs(1) >= every);
        if self.watchdog.is_some_and(is_due) && self.attempt(&format!("{}\n", NotifyState::Watchdog)) {
            self.heard.set(Some(Instant::now()));
        }
    }

    /// Sends what waits, in its order; returns whether nothing is left.
    fn send(&self) -> bool {
        let mut unsent = self.unsent.borrow_mut();
        while let Some(first) = unsent.front() {
            if !self.attempt(first) {
                return false;
            }
            unsent.pop_front();
        }
        true
    }

    /// Whether there is no sense in sending this again.
    fn attempt(&self, message: &str) -> bool {
        let Some(socket) = &self.socket else { return true };
        match socket.send(message.as_bytes()) {
            Ok(_) => self.is_lost.set(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => self.lose(&error),
        }
        true
    }

    fn lose(&self, error: &io::Error) {
        if !self.is_lost.replace(true) {
            tracing::warn!(%error, "the service manager cannot be told");
        }
    }
}

impl Default for Manager {
    /// The manager that the environment names, if any.
    fn default() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").map(|name| connected(name.as_bytes()));
        // Half of the time is what sd_watchdog_enabled(3) recommends.
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Self::of(socket, watchdog)
    }
}

/// A socket that waits for nobody; a name that begins with `@` is one of the abstract ones.
fn connected(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(watchdog: Option<Duration>) -> (Manager, UnixDatagram) {
        let (ours, its) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        its.set_nonblocking(true).unwrap();
        (Manager::of(Some(Ok(ours)), watchdog), its)
    }

    fn hear(socket: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    #[test]
    fn a_manager_that_does_not_listen_keeps_nobody_waiting_and_hears_of_it_later() {
        let (manager, socket) = manager(Some(Duration::ZERO));
        // More than the socket holds.
        for _ in 0..10_000 {
            manager.alive();
        }
        manager.tell(Phase::Ready);
        manager.notify(&[NotifyState::Reloading, NotifyState::MonotonicUsec(7)]);
        assert_eq!(manager.unsent.borrow().len(), 2);
        let before = std::iter::from_fn(|| hear(&socket)).count();
        assert!(before > 0 && before < 10_000, "{before}");
        manager.alive();
        let then: Vec<_> = std::iter::from_fn(|| hear(&socket)).collect();
        assert_eq!(then, ["READY=1\n", "RELOADING=1\nMONOTONIC_USEC=7\n", "WATCHDOG=1\n"]);
    }

    #[test]
    fn a_manager_that_listens_to_nothing_at_all_costs_no_memory() {
        let (manager, _socket) = manager(None);
        for _ in 0..10_000 {
            manager.notify(&[NotifyState::Reloading]);
        }
        assert_eq!(manager.unsent.borrow().len(), MOST_UNSENT);
    }

    #[test]
    fn a_manager_is_told_that_all_is_well_as_often_as_it_wants() {
        let (manager, socket) = manager(Some(Duration::from_secs(3_600)));
        (0..5).for_each(|_| manager.alive());
        assert_eq!(std::iter::from_fn(|| hear(&socket)).collect::<Vec<_>>(), ["WATCHDOG=1\n"]);
        let nobody = Manager::of(None, Some(Duration::ZERO));
        nobody.tell(Phase::Ready);
        nobody.alive();
        assert_eq!(nobody.unsent.borrow().len(), 0);
    }
}
