//! Files that the configuration names.

use std::path::PathBuf;
use std::time::Duration;

use super::timestamp::Basis;

/// A file that says when something expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// What people call it.
    pub name: String,
    /// What is in it.
    pub kind: NamedKind,
    /// When its expiring is told.
    pub levels: Levels,
}

/// What is in a file that says when something expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedKind {
    /// JSON.
    Json {
        /// The file.
        path: PathBuf,
        /// Where the expiration stands (RFC 6901).
        pointer: String,
        /// By whose clock it was written.
        basis: Basis,
    },
    /// PEM, whose first certificate counts.
    Certificate {
        /// The file.
        path: PathBuf,
    },
}

/// The levels of one thing that expires; where there is none, that of the rule holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// The remaining life from which its expiring is a warning.
    pub warning: Option<Duration>,
    /// The remaining life from which its expiring is critical.
    pub critical: Option<Duration>,
}
