//! Why nobody can be listened to.

use std::io;

/// Why there is no place to listen at.
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
