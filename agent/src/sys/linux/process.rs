//! Other processes, of which `/proc` tells.

use std::io;
use std::path::Path;

use crate::sys::ProcessFacts;

/// Whether processes are told by `/proc`, and not here.
pub const HAS_PROC: bool = true;

/// The numbers of all processes.
///
/// # Errors
/// Always: `/proc` has them.
pub fn processes() -> io::Result<Vec<u32>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What can be asked of a process.
///
/// # Errors
/// Always: `/proc` tells it.
pub fn process(_pid: u32) -> io::Result<ProcessFacts> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a path lies on a disk of this host by its drive. There are no drives.
pub const fn is_on_own_disk(_path: &Path) -> bool {
    false
}
