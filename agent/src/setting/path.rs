//! Paths of files and folders.

use std::path::PathBuf;

use super::fault::Fault;
use super::locate::Path;
use crate::sys;

/// The absolute path that is written at `at`.
///
/// # Errors
/// It is not absolute, or has a control character.
pub(crate) fn absolute(text: &str, at: &Path) -> Result<PathBuf, Fault> {
    if !sys::is_absolute(text) || text.contains(char::is_control) {
        return Err(Fault::at(at.clone(), format!("the path is absolute: it begins with {}", sys::ROOT)));
    }
    Ok(text.into())
}
