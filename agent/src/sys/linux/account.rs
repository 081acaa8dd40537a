//! Whose process this is.

use nix::unistd::geteuid;

/// The number of the user whose rights this process has.
pub fn user() -> u32 {
    geteuid().as_raw()
}

/// Whether that is root.
pub fn is_superuser() -> bool {
    geteuid().is_root()
}
