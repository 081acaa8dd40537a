//! The socket on which the running agent says what it knows: whoever connects gets one snapshot as JSON.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::foreign::{Rule, Tree, Want, Writers};
use crate::snapshot::Snapshot;
use crate::vitals::Pulse;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(2);
/// No snapshot comes near this size.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Why the agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error(
        "no agent answers on {path}: {source}: is it running (`systemctl status skewguard`), and with the same `socket`?"
    )]
    Connect {
        /// The socket.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It listens and does not answer.
    #[error("the agent on {path} does not answer")]
    Silent {
        /// The socket.
        path: String,
    },
    /// Somebody else may listen in its place.
    #[error(
        "who listens on {path} runs as user {user} and is not believed: others can write to a folder above; /run/skewguard \
         is a place for the socket"
    )]
    Stranger {
        /// The socket.
        path: String,
        /// Who listens.
        user: u32,
    },
    /// It answers something else.
    #[error("the agent on {path} gives an answer that this version does not understand: {source}")]
    Foreign {
        /// The socket.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It has a listener already.
    #[error("another agent listens there")]
    Taken,
    /// Something else is in its place, which is not ours to remove.
    #[error("there is a file that is not a socket")]
    NoSocket,
    /// There is no place for it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens the socket for everybody on this host: a snapshot holds no secret.
///
/// # Errors
/// Another agent listens there, something else is there, or there is no place for it.
pub fn listen(path: &Path) -> Result<UnixListener, ListenError> {
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
    Ok(listener)
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

/// Removes the socket.
pub fn remove(path: &Path) {
    // What is not there need not be removed, and what cannot be removed makes `bind` fail with a reason.
    let _ = std::fs::remove_file(path);
}

/// Answers everybody who connects.
pub async fn serve(listener: UnixListener, published: Arc<ArcSwap<Snapshot>>, pulse: Pulse) {
    loop {
        pulse.rest();
        let accepted = listener.accept().await;
        pulse.expect(PATIENCE);
        match accepted {
            Ok((stream, _)) => {
                let answer = serde_json::to_vec(&**published.load()).unwrap_or_default();
                tokio::spawn(async move {
                    // Whoever asks and does not read gets nothing.
                    let _ = timeout(PATIENCE, write(stream, answer)).await;
                });
            }
            // Out of file descriptors, most likely: others must get theirs back first.
            Err(_) => tokio::time::sleep(PATIENCE).await,
        }
    }
}

async fn write(mut stream: UnixStream, answer: Vec<u8>) -> io::Result<()> {
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

/// Asks the running agent.
///
/// # Errors
/// It cannot be reached, does not answer, or answers something else.
pub async fn ask(path: &Path) -> Result<Snapshot, AskError> {
    hear(path, connect(path).await?).await
}

/// Asks the running agent, if its word counts: root or we ourselves have started it, or root has made the folder of its
/// socket for it.
///
/// # Errors
/// Those of [`ask`], and another user listens there.
pub async fn ask_trusted(path: &Path) -> Result<Snapshot, AskError> {
    let stream = connect(path).await?;
    let peer = stream.peer_cred().map_err(|source| AskError::Connect { path: path.display().to_string(), source })?;
    if !is_trusted(path, peer.uid()) {
        return Err(AskError::Stranger { path: path.display().to_string(), user: peer.uid() });
    }
    hear(path, stream).await
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

async fn connect(path: &Path) -> Result<UnixStream, AskError> {
    let failed = |source| AskError::Connect { path: path.display().to_string(), source };
    UnixStream::connect(path).await.map_err(failed)
}

async fn hear(path: &Path, stream: UnixStream) -> Result<Snapshot, AskError> {
    let name = || path.display().to_string();
    let mut answer = Vec::new();
    match timeout(PATIENCE, stream.take(MOST_BYTES).read_to_end(&mut answer)).await {
        Ok(Ok(_)) if !answer.is_empty() => {
            let understood = serde_json::from_slice(&answer).map(printable).and_then(serde_json::from_value);
            understood.map_err(|source| AskError::Foreign { path: name(), source })
        }
        _ => Err(AskError::Silent { path: name() }),
    }
}

/// The same without what a terminal would obey: it is root who reads this, and whoever listens there who has written it.
fn printable(mut answer: Value) -> Value {
    match &mut answer {
        Value::String(text) if text.contains(char::is_control) => {
            *text = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
        }
        Value::Array(list) => list.iter_mut().for_each(|one| *one = printable(one.take())),
        Value::Object(members) => {
            let all = std::mem::take(members).into_iter();
            *members = all
                .map(|(key, value)| {
                    let Value::String(key) = printable(Value::String(key)) else { return (String::new(), value) };
                    (key, printable(value))
                })
                .collect();
        }
        _ => {}
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::os::unix::net;

    use super::*;

    #[test]
    fn nothing_of_an_answer_is_a_command_to_a_terminal() {
        let bad = "\u{1b}]0;x\u{7}\u{9b}2J\r\n";
        let answer = serde_json::json!({ bad: [bad, { "a": bad, "b": 1 }], "c": "plain, \u{e4}" });
        let shown = printable(answer);
        let text = shown.to_string();
        // JSON has escapes of its own for what is below a blank.
        assert!(!text.contains("\\u00") && !text.contains(char::is_control), "{text}");
        assert_eq!((&shown["c"], text.matches('\u{fffd}').count()), (&"plain, \u{e4}".into(), 15));
    }

    #[tokio::test]
    async fn the_socket_is_open_to_all_and_replaces_one_that_was_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/skewguard.sock");
        for _ in 0..2 {
            drop(listen(&path).unwrap());
            assert_eq!(std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        }
    }

    #[tokio::test]
    async fn a_place_that_is_taken_is_told_apart_from_one_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken.sock");
        let other = listen(&taken).unwrap();
        assert!(matches!(listen(&taken), Err(ListenError::Taken)));
        drop(other);
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert!(matches!(listen(&file), Err(ListenError::NoSocket)));
        // Below a file, in a folder whose folder is missing, under a name that is too long, in a file system that takes none.
        let long = folder.path().join("x".repeat(200));
        for none in [file.join("x.sock"), folder.path().join("no/folder/x.sock"), long, "/proc/x.sock".into()] {
            assert!(matches!(listen(&none), Err(ListenError::Io(_))), "{}", none.display());
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
        assert!(matches!(listen(&path), Err(ListenError::Taken)));
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
