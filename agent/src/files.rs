//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::sys;

/// What the name of a file ends with while it is written beside its place.
pub const UNFINISHED: &str = ".unfinished";

/// Puts a file in the place of the one that may be there: whoever reads it, now or after a crash, finds the old one or the
/// new one, whole. When this returns, the new one outlives the process and the host. Only the owner may read it.
///
/// # Errors
/// It cannot be written; then the old one is still there, and nothing is left of the new one.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, File::sync_all)?;
    match path.parent() {
        Some(folder) => sys::sync_folder(folder),
        None => Ok(()),
    }
}

/// The same for a file that everybody may read, and which is written anew so soon that it need not outlive the host.
///
/// # Errors
/// As [`replace`].
pub fn publish(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, sys::set_readable)
}

fn write(path: &Path, content: &[u8], finish: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    // What a crash has left may have another mode, or be a link to another place.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let write = || {
        let mut file = sys::open_private(OpenOptions::new().write(true).create_new(true), &unfinished)?;
        file.write_all(content)?;
        finish(&file)?;
        fs::rename(&unfinished, path)
    };
    // What could not be written may still be there in part.
    write().inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_and_what_a_crash_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("a"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "untouched").unwrap();
        symlink(&elsewhere, folder.path().join("a.unfinished")).unwrap();
        for content in ["one", "two"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "untouched");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        replace(&path, b"new").unwrap_err();
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
