//! The socket on which the running agent says what it knows: whoever connects gets one snapshot as JSON.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
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

/// Opens the socket for everybody on this host: a snapshot holds no secret.
///
/// # Errors
/// Another agent listens there, or the folder cannot be written to.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another agent listens there"));
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
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is not a socket")),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
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
            serde_json::from_slice(&answer).map_err(|source| AskError::Foreign { path: name(), source })
        }
        _ => Err(AskError::Silent { path: name() }),
    }
}
