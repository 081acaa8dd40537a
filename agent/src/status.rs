//! The socket on which the running agent says what it knows: whoever connects gets one snapshot as JSON.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::snapshot::Snapshot;
use crate::sys::{self, Listener, Stream, WORDS};
use crate::vitals::Pulse;

pub use crate::sys::{ListenError, remove};

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(2);
/// No snapshot comes near this size.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Why the agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error(
        "no agent answers on {path}: {source}: is it running (`{}`), and with the same `socket`?", WORDS.ask_for_service
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
        "who listens on {path} runs as {user} and is not believed: {}", WORDS.place_of_socket
    )]
    Stranger {
        /// The socket.
        path: String,
        /// Who listens.
        user: String,
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
/// Another agent listens there, something else is there, or there is no place for it.
pub fn listen(path: &Path) -> Result<Listener, ListenError> {
    Listener::open(path)
}

/// Answers everybody who connects.
pub async fn serve(mut listener: Listener, published: Arc<ArcSwap<Snapshot>>, pulse: Pulse) {
    loop {
        pulse.rest();
        let accepted = listener.accept().await;
        pulse.expect(PATIENCE);
        match accepted {
            Ok(stream) => {
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

async fn write(mut stream: Stream, answer: Vec<u8>) -> io::Result<()> {
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
    let failed = |source| AskError::Connect { path: path.display().to_string(), source };
    if let Some(user) = sys::stranger(&stream, path).map_err(failed)? {
        return Err(AskError::Stranger { path: path.display().to_string(), user });
    }
    hear(path, stream).await
}

async fn connect(path: &Path) -> Result<Stream, AskError> {
    let failed = |source| AskError::Connect { path: path.display().to_string(), source };
    sys::connect(path).await.map_err(failed)
}

async fn hear(path: &Path, stream: Stream) -> Result<Snapshot, AskError> {
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
}
