//! The one way in which a file is opened that belongs to somebody else, or that somebody else has named.
//!
//! A path is walked folder by folder, and each is held open so that nobody can rename or replace it until the end is reached.
//! What leads elsewhere (a symbolic link, a junction, a mount point) is followed where one made it who can do everything, or
//! we ourselves; an administrator must not read through his eyes what another user points to. What is found at the end is
//! looked at before it is read: regular files alone are, and no more of them than was asked for.

mod found;
mod open;
mod rule;
mod walk;

use std::io;
use std::path::{self, Component, Path, Prefix};

use windows_sys::Win32::Foundation::{
    ERROR_BAD_PATHNAME, ERROR_DIRECTORY, ERROR_INVALID_NAME, ERROR_SHARING_VIOLATION,
};

use crate::sys::{Refusal, Want};

pub use found::{Content, Found};
pub use rule::{Reader, Writers};
pub use walk::Tree;

/// Finds what is at `path` on this host, as [`crate::foreign`] says.
pub fn on_host(path: &Path, want: Want) -> Result<Found, Refusal> {
    if path.as_os_str().is_empty() {
        return Err(Refusal::NotFound);
    }
    let path = path::absolute(path)?;
    // A pipe or another device, by any of its names.
    if let Some(Component::Prefix(prefix)) = path.components().next()
        && matches!(prefix.kind(), Prefix::DeviceNS(_) | Prefix::Verbatim(_))
    {
        return Err(Refusal::NotAFile);
    }
    walk::walk(&path, want, false)
}

/// What a number of the system means on the way to a file, where the kind of the error does not say it.
pub(in crate::sys) fn refusal(error: &io::Error) -> Option<Refusal> {
    match error.raw_os_error()?.cast_unsigned() {
        ERROR_DIRECTORY => Some(Refusal::NotAFolder),
        ERROR_INVALID_NAME | ERROR_BAD_PATHNAME => Some(Refusal::NotFound),
        ERROR_SHARING_VIOLATION => Some(Refusal::Denied),
        _ => None,
    }
}
