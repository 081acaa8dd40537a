//! A service manager's notification socket (`sd_notify(3)`).

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::private_dir;

/// The socket that `NOTIFY_SOCKET` names.
pub struct Manager {
    socket: UnixDatagram,
    dir: TempDir,
}

/// One notification.
#[derive(Clone, Debug)]
pub struct Notice {
    /// When it arrived.
    pub arrived: Instant,
    /// Its assignments, such as `READY=1`.
    pub lines: Vec<String>,
}

impl Notice {
    /// Whether it has this line.
    pub fn says(&self, line: &str) -> bool {
        self.lines.iter().any(|own| own == line)
    }

    /// The value of an assignment.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Manager {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn new() -> Result<Self> {
        let dir = private_dir()?;
        let socket = UnixDatagram::bind(dir.path().join("notify.sock"))?;
        Ok(Self { socket, dir })
    }

    /// Where it listens.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("notify.sock")
    }

    /// The next notification.
    ///
    /// # Errors
    /// When there is none within `patience`.
    pub fn hear(&self, patience: Duration) -> Result<Notice> {
        self.socket.set_read_timeout(Some(patience))?;
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).context("the service manager hears nothing")?;
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        Ok(Notice { arrived: Instant::now(), lines: text.lines().map(ToOwned::to_owned).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_in_its_parts() {
        let manager = Manager::new().unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"RELOADING=1\nMONOTONIC_USEC=7\n", manager.path()).unwrap();
        let notice = manager.hear(Duration::from_secs(1)).unwrap();
        assert!(notice.says("RELOADING=1") && !notice.says("READY=1"));
        assert_eq!((notice.value("MONOTONIC_USEC"), notice.value("MONOTONIC")), (Some("7"), None));
        assert!(manager.hear(Duration::from_millis(1)).is_err());
    }
}
