//! Whose process this is.

use std::io;
use std::path::Path;

use super::security::{is_administrator, is_trusted, owner_at};

/// Users have no numbers here.
pub const fn user() -> u32 {
    0
}

/// Whether that is an administrator whose rights are in force, or the system itself.
pub fn is_superuser() -> bool {
    is_administrator()
}

/// Who owns a file at a usual place, or its folder, where that is somebody who has no say there: every user may make a folder
/// below `%ProgramData%`, before an administrator does.
///
/// # Errors
/// Those of `GetSecurityInfo`.
pub fn owner_without_say(path: &Path) -> io::Result<Option<String>> {
    for place in [Some(path), path.parent()].into_iter().flatten() {
        let owner = owner_at(place)?;
        if !is_trusted(&owner) {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}
