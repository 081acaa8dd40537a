//! A Unix socket from which somebody is asked who answers to its path.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;

use super::foreign::{Found, Writers};

/// A socket that is connected to another one. It is gone, with its folder, once this is dropped.
pub struct ReplySocket {
    socket: UnixDatagram,
    _folder: OwnFolder,
}

impl ReplySocket {
    /// A socket in a new folder below `own` that is ours alone, which everybody may answer, connected to that which was
    /// `found`, whatever is at its path by now.
    ///
    /// # Errors
    /// Others may write to `own`, or nobody listens there.
    pub fn connect(own: &Path, found: &Found) -> io::Result<Self> {
        let folder = OwnFolder::make(own)?;
        let name = folder.0.join("doctor.sock");
        let socket = UnixDatagram::bind(&name)?;
        // Who listens may have given up the privileges with which it could write to a socket of root's.
        fs::set_permissions(&name, Permissions::from_mode(0o666))?;
        socket.connect(found.path())?;
        Ok(Self { socket, _folder: folder })
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// Those of `send(2)`.
    pub async fn send(&self, packet: &[u8]) -> io::Result<usize> {
        self.socket.send(packet).await
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// Those of `recv(2)`.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer).await
    }
}

/// A folder in which nobody else may write, and of which nothing is left in the end.
struct OwnFolder(PathBuf);

impl OwnFolder {
    fn make(within: &Path) -> io::Result<Self> {
        // Where somebody else may rename what is there, a name is not ours for as long as it takes to use it.
        let folder = fs::symlink_metadata(within)?;
        let is_shared = folder.mode() & 0o022 != 0 && folder.mode() & 0o1000 == 0;
        if !folder.is_dir() || is_shared || !Writers::with([]).include(folder.uid()) {
            return Err(io::Error::other(format!("others may write to {}", within.display())));
        }
        let path = within.join(format!("skewguard-doctor.{:016x}", fastrand::u64(..)));
        // Making one fails where there is something already, even a link.
        DirBuilder::new().mode(0o711).create(&path)?;
        let folder = Self(path);
        // chronyd has to get in, whatever the umask says.
        fs::set_permissions(&folder.0, Permissions::from_mode(0o711))?;
        Ok(folder)
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        // What cannot be removed is empty, and of nobody's interest.
        let _ = fs::remove_dir_all(&self.0);
    }
}
