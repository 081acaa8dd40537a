//! The one way in which a file is opened that belongs to somebody else, or that somebody else has named.
//!
//! A path is walked folder by folder (`walk`) with handles that open nothing (`O_PATH`): a device does not notice, and
//! nobody waits for the other end of a pipe. Each link on the way is followed by its text, and only as far as the `rule`
//! lets it, and whatever is renamed meanwhile, the handles stay where they are. What is `found` at the end is looked at
//! before it is opened: regular files alone are, and no more of them is read than was asked for.

mod found;
mod rule;
mod walk;

use std::io;
use std::path::{self, Path};

use crate::sys::{Refusal, Rule, Want};

pub use found::{Content, Found};
pub use rule::{Reader, Writers};
pub use walk::Tree;

/// Finds what is at `path` on this host, as [`crate::foreign`] says.
pub fn on_host(path: &Path, want: Want) -> Result<Found, Refusal> {
    if path.as_os_str().is_empty() {
        return Err(Refusal::NotFound);
    }
    let path = path::absolute(path)?;
    Tree::at(Path::new("/"))?.find(&path, want, &Rule::ReadableBy(&Reader::ourselves()))
}

/// What a number of the system means on the way to a file, where the kind of the error does not say it.
pub(in crate::sys) fn refusal(error: &io::Error) -> Option<Refusal> {
    match error.raw_os_error()? {
        // What lies in a file system that is gone, or is a socket, cannot be opened.
        libc::ENXIO | libc::ENODEV => Some(Refusal::NotAFile),
        libc::ENOTDIR => Some(Refusal::NotAFolder),
        libc::ELOOP => Some(Refusal::Escapes),
        // A process has ended.
        libc::ESRCH => Some(Refusal::NotFound),
        _ => None,
    }
}

impl From<nix::errno::Errno> for Refusal {
    fn from(error: nix::errno::Errno) -> Self {
        io::Error::from(error).into()
    }
}
