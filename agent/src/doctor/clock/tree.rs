//! Small text files below a root, which is `/` but in tests.

use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use crate::foreign::{self, Refusal, Rule, Tree, Want, Writers};
use crate::sys;

/// No configuration file or file of `/proc` that the doctor reads is longer.
const LONGEST: usize = 256 * 1024;
/// No folder that the doctor lists holds more; `/proc` of a busy host may.
const MOST_ENTRIES: usize = 65_536;

/// Where the absolute `path` is below `root`.
pub(super) fn under(root: &Path, path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Reads the beginning of a regular file. What is no UTF-8 is replaced.
///
/// # Errors
/// Those of `open(2)` and `read(2)`, and `InvalidInput` where it is no regular file.
pub(super) fn read(path: &Path) -> io::Result<String> {
    Ok(text(&foreign::file(path)?.beginning(LONGEST)?))
}

/// Reads the beginning of a file below `root` that nobody but `writers` can have written.
///
/// # Errors
/// Why it is not read, or not believed.
pub(super) fn read_of(root: &Path, path: &Path, writers: &Writers) -> Result<String, Refusal> {
    let found = Tree::at(root)?.find(path, Want::File, &Rule::WrittenBy(writers))?;
    Ok(text(&found.beginning(LONGEST)?))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether root has put a link to `/dev/null` at `path` below `root`, by which files are hidden.
pub(super) fn is_nothing(root: &Path, path: &Path) -> bool {
    let link = under(root, path);
    let is_of_root = || sys::user_of(&link).is_ok_and(|user| Writers::with([]).include(user));
    std::fs::read_link(&link).is_ok_and(|target| target == Path::new("/dev/null")) && is_of_root()
}

/// The first line of a file without blanks around it; `None` where it cannot be read.
pub(super) fn line(path: &Path) -> Option<String> {
    Some(read(path).ok()?.lines().next()?.trim().to_owned())
}

/// The names in a folder, sorted.
///
/// # Errors
/// Those of `opendir(3)`.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    Ok(sorted(foreign::folder(folder)?.into_tree().entries(MOST_ENTRIES)?))
}

/// The names in a folder below `root` into which nobody but `writers` can have put them, sorted.
///
/// # Errors
/// Why it is not read, or not believed.
pub(super) fn names_of(root: &Path, folder: &Path, writers: &Writers) -> Result<Vec<String>, Refusal> {
    let found = Tree::at(root)?.find(folder, Want::Folder, &Rule::WrittenBy(writers))?;
    Ok(sorted(found.into_tree().entries(MOST_ENTRIES)?))
}

fn sorted(entries: impl Iterator<Item = DirEntry>) -> Vec<String> {
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// A tree of files for a test: each path with its content.
#[cfg(test)]
pub(super) fn plant(files: &[(&str, &str)]) -> tempfile::TempDir {
    use std::fs;
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = under(root.path(), path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.strip_prefix("-> ") {
            #[cfg(unix)]
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            #[cfg(windows)]
            Some(target) => panic!("no link to {target}"),
            None => fs::write(path, content).unwrap(),
        }
    }
    root
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_path_stays_below_the_root() {
        assert_eq!(under(Path::new("/tmp/root"), "/etc/adjtime"), Path::new("/tmp/root/etc/adjtime"));
        assert_eq!(under(Path::new("/"), "/etc/adjtime"), Path::new("/etc/adjtime"));
    }

    #[test]
    fn nothing_but_the_beginning_of_a_regular_file_is_read() {
        let root = plant(&[("/long", &"x".repeat(300_000)), ("/folder/file", "a \nb")]);
        assert_eq!(read(&under(root.path(), "/long")).unwrap().len(), 256 * 1024);
        assert!(read(&under(root.path(), "/folder")).is_err());
        assert!(read(&under(root.path(), "/missing")).is_err());
        assert_eq!(line(&under(root.path(), "/folder/file")).as_deref(), Some("a"));
        assert_eq!(names(root.path()).unwrap(), ["folder", "long"]);
    }

    #[test]
    fn a_fifo_that_nobody_writes_into_keeps_nobody_waiting() {
        let root = plant(&[]);
        let path = under(root.path(), "/fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
