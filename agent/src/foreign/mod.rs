//! The one way in which a file is opened that belongs to somebody else, or that somebody else has named. How that is done is
//! the platform's: [`crate::sys`] has it.

use std::path::Path;

pub use crate::sys::foreign::{Content, Found, Reader, Tree, Writers};
pub use crate::sys::{Refusal, Rule, Want};

/// Finds the file at `path` on this host. A link is followed where it leads to what whoever made it could read himself; on
/// Windows, where its maker's word counts.
///
/// # Errors
/// Why there is none, or why it is not followed.
pub fn file(path: &Path) -> Result<Found, Refusal> {
    crate::sys::foreign::on_host(path, Want::File)
}

/// Finds the folder at `path` on this host, as [`file()`] does.
///
/// # Errors
/// Those of [`file()`], and `NotAFolder`.
pub fn folder(path: &Path) -> Result<Found, Refusal> {
    crate::sys::foreign::on_host(path, Want::Folder)
}
