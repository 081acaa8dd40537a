//! Whose process this is.

use super::security::is_administrator;

/// Users have no numbers here.
pub const fn user() -> u32 {
    0
}

/// Whether that is an administrator whose rights are in force, or the system itself.
pub fn is_superuser() -> bool {
    is_administrator()
}
