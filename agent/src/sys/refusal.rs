//! Why something is not opened.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::reason::reason;

/// Why something is not opened, or not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing at the path.
    #[error("there is no such file")]
    NotFound,
    /// This process may not read it, or whoever named it may not.
    #[error("permission denied")]
    Denied,
    /// It is something else, such as a folder, a pipe or a device.
    #[error("it is no regular file")]
    NotAFile,
    /// A part of the path is no folder.
    #[error("a part of its path is no folder")]
    NotAFolder,
    /// It is larger than what is read.
    #[error("it is too large")]
    TooLarge,
    /// A link leads out of the folder, in a circle, or to what whoever made it may not read.
    #[error("a link leads out of its folder, or to what whoever made it may not read")]
    Escapes,
    /// Somebody owns it whose word does not count here.
    #[error("{} belongs to user {owner}, whose word does not count", path.display())]
    Owner {
        /// What belongs to him.
        path: PathBuf,
        /// His number.
        owner: u32,
    },
    /// Others than its owner may write there.
    #[error("others may write to {}", path.display())]
    Writable {
        /// Where.
        path: PathBuf,
    },
    /// The system has another reason.
    #[error("{1}")]
    Io(ErrorKind, String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        super::foreign::refusal(&error).unwrap_or_else(|| match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::PermissionDenied => Self::Denied,
            kind => Self::Io(kind, reason(&error)),
        })
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::NotFound => ErrorKind::NotFound,
            Refusal::NotAFile => ErrorKind::InvalidInput,
            Refusal::NotAFolder => ErrorKind::NotADirectory,
            Refusal::TooLarge => ErrorKind::FileTooLarge,
            Refusal::Denied | Refusal::Escapes | Refusal::Owner { .. } | Refusal::Writable { .. } => {
                ErrorKind::PermissionDenied
            }
            Refusal::Io(kind, _) => kind,
        };
        Self::new(kind, refusal)
    }
}
