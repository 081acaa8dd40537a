//! What files and folders are beside their content.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Opens a file that nobody but its owner may read or write, where `options` make it.
///
/// # Errors
/// Those of `open(2)`.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).open(path)
}

/// Lets everybody read the file.
///
/// # Errors
/// Those of `fchmod(2)`.
pub fn set_readable(file: &File) -> io::Result<()> {
    // The mode of what is made is less what the process has masked.
    file.set_permissions(Permissions::from_mode(0o644))
}

/// Makes a folder into which nobody but its owner may look, and those above it where `is_deep`.
///
/// # Errors
/// Those of `mkdir(2)`.
pub fn create_private_folder(path: &Path, is_deep: bool) -> io::Result<()> {
    DirBuilder::new().recursive(is_deep).mode(0o700).create(path)
}

/// Waits until the names in a folder outlive the host.
///
/// # Errors
/// Those of `open(2)` and `fsync(2)`.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// What tells a file from every other one: its file system, and its number there.
pub fn file_identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Whether everybody may read what is at the path.
///
/// # Errors
/// Those of `stat(2)`.
pub fn is_open_to_all(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.mode() & 0o004 != 0)
}

/// Who owns what is at the path itself, be it a link.
///
/// # Errors
/// Those of `lstat(2)`.
pub fn user_of(path: &Path) -> io::Result<u32> {
    Ok(fs::symlink_metadata(path)?.uid())
}
