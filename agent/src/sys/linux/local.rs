//! A Unix socket on which everybody of this host may ask.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use tokio::net::{UnixListener, UnixStream};

use super::foreign::{Tree, Writers};
use crate::sys::{ListenError, Rule, Want};

/// A connection, to be read and written.
pub type Stream = UnixStream;

/// Who listens.
pub struct Listener(UnixListener);

impl Listener {
    /// Opens the socket for everybody on this host.
    ///
    /// # Errors
    /// Somebody listens there, something else is there, or there is no place for it.
    pub fn open(path: &Path) -> Result<Self, ListenError> {
        if has_listener(path)? {
            return Err(ListenError::Taken);
        }
        // A service manager makes the folder; for an agent that is started by hand it may be missing.
        if let Some(folder) = path.parent()
            && !folder.exists()
        {
            std::fs::create_dir(folder)?;
        }
        // A socket was left behind by an agent that was killed; anything else is not ours to remove.
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => remove(path),
            Ok(_) => return Err(ListenError::NoSocket),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        if let Err(error) = open_to_all(path) {
            tracing::warn!(socket = %path.display(), %error, "only the agent's own user and root can ask on the status socket");
        }
        Ok(Self(listener))
    }

    /// Waits for the next who connects.
    ///
    /// # Errors
    /// Those of `accept(2)`.
    pub async fn accept(&mut self) -> io::Result<Stream> {
        Ok(self.0.accept().await?.0)
    }
}

/// Removes the socket.
pub fn remove(path: &Path) {
    // What is not there need not be removed, and what cannot be removed makes `bind` fail with a reason.
    let _ = std::fs::remove_file(path);
}

/// Connects to whoever listens at `path`.
///
/// # Errors
/// Those of `connect(2)`.
pub async fn connect(path: &Path) -> io::Result<Stream> {
    UnixStream::connect(path).await
}

/// Who is at the other end, where its word does not count: neither root nor we ourselves have started it, nor has root made
/// the folder of its socket for it.
///
/// # Errors
/// Those of `getsockopt(2)`.
pub fn stranger(stream: &Stream, path: &Path) -> io::Result<Option<String>> {
    let user = stream.peer_cred()?.uid();
    Ok((!is_trusted(path, user)).then(|| format!("user {user}")))
}

fn is_trusted(path: &Path, user: u32) -> bool {
    let (root, its) = (Writers::with([]), Writers::with([user]));
    let is_of = |folder: Option<&Path>, writers: &Writers| {
        let find = |folder| Tree::at(Path::new("/"))?.find(folder, Want::Folder, &Rule::WrittenBy(writers));
        folder.is_some_and(|folder| find(folder).is_ok())
    };
    let folder = path.parent();
    root.include(user) || (is_of(folder.and_then(Path::parent), &root) && is_of(folder, &its))
}

/// Whether somebody listens at `path`, without waiting for whoever it is.
fn has_listener(path: &Path) -> io::Result<bool> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?) {
        // More wait to be accepted than it wants: it is there, and it hangs.
        Ok(()) | Err(Errno::EAGAIN) => Ok(true),
        Err(_) => Ok(false),
    }
}

/// Lets everybody connect to the socket that was just made at `path`: to that very one, whatever somebody who may write to
/// its folder has put into its place meanwhile.
fn open_to_all(path: &Path) -> io::Result<()> {
    // `OpenOptions` takes O_PATH away where the C library counts it among the modes of access, as musl does.
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let socket = File::from(fcntl::open(path, flags, Mode::empty())?);
    let found = socket.metadata()?;
    if !found.file_type().is_socket() || found.uid() != geteuid().as_raw() {
        return Err(io::Error::other("the socket is not there any more"));
    }
    // chmod(2) takes no descriptor of this kind, but the link to it.
    std::fs::set_permissions(format!("/proc/self/fd/{}", socket.as_raw_fd()), Permissions::from_mode(0o666))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net;

    use super::*;

    #[tokio::test]
    async fn the_socket_is_open_to_all_and_replaces_one_that_was_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/skewguard.sock");
        for _ in 0..2 {
            drop(Listener::open(&path).unwrap());
            assert_eq!(std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        }
    }

    #[tokio::test]
    async fn a_place_that_is_taken_is_told_apart_from_one_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken.sock");
        let other = Listener::open(&taken).unwrap();
        assert!(matches!(Listener::open(&taken), Err(ListenError::Taken)));
        drop(other);
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert!(matches!(Listener::open(&file), Err(ListenError::NoSocket)));
        // Below a file, in a folder whose folder is missing, under a name that is too long, in a file system that takes none.
        let long = folder.path().join("x".repeat(200));
        for none in [file.join("x.sock"), folder.path().join("no/folder/x.sock"), long, "/proc/x.sock".into()] {
            assert!(matches!(Listener::open(&none), Err(ListenError::Io(_))), "{}", none.display());
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_listener_that_accepts_nobody_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mute.sock");
        let mute = net::UnixListener::bind(&path).unwrap();
        let mut waiting = Vec::new();
        // Until as many wait as the kernel lets wait; one more would wait for them.
        loop {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let client = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
            match socket::connect(client.as_raw_fd(), &UnixAddr::new(&path).unwrap()) {
                Ok(()) => waiting.push(client),
                Err(Errno::EAGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(matches!(Listener::open(&path), Err(ListenError::Taken)));
        drop((mute, waiting));
    }

    #[tokio::test]
    async fn what_took_the_place_of_the_socket_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (path, secret) = (folder.path().join("a.sock"), folder.path().join("secret"));
        std::fs::write(&secret, "secret").unwrap();
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        open_to_all(&path).unwrap_err();
        open_to_all(&secret).unwrap_err();
        assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
