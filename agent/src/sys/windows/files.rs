//! What files and folders are beside their content.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::MetadataExt;
use std::path::Path;

use super::security::{Descriptor, PRIVATE};

/// Opens a file. Who may read or write it is inherited from its folder ([`create_private_folder`]).
///
/// # Errors
/// Those of `CreateFileW`.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

/// Lets everybody read the file whom its folder lets.
///
/// # Errors
/// None.
pub const fn set_readable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Makes a folder into which nobody but its owner, the system and administrators may look, and those above it where
/// `is_deep`.
///
/// # Errors
/// Those of `CreateDirectoryW`.
pub fn create_private_folder(path: &Path, is_deep: bool) -> io::Result<()> {
    if is_deep && let Some(above) = path.parent().filter(|above| !above.is_dir()) {
        create_private_folder(above, true)?;
    }
    match Descriptor::of(PRIVATE)?.create_folder(path) {
        Err(error) if is_deep && error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Names in a folder of NTFS outlive the host by its journal; there is nothing to wait for that a program could ask for.
///
/// # Errors
/// There is no such folder.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    fs::metadata(path).map(drop)
}

/// What tells a file from others, together with its length and when it was written: Windows tells the number of a file to
/// those alone who open it, and a copy has another time of creation.
pub fn file_identity(file: &Metadata) -> (u64, u64) {
    (file.creation_time(), 0)
}

/// Whether everybody may read what is at the path. Nothing asks this of a file of Windows.
///
/// # Errors
/// Always.
pub fn is_open_to_all(_path: &Path) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Users have no numbers.
///
/// # Errors
/// Always.
pub fn user_of(_path: &Path) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
}
