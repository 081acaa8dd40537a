//! The mark in a folder that says which host writes there, so that no other takes what it finds for its own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::identity::HostId;
use crate::files::replace;
use crate::sys;

/// The file's name in the folder.
pub const FILE: &str = "host";
/// No mark is longer, in bytes.
const MOST_BYTES: u64 = 4_096;

/// Which host writes in a folder, and in which boot it last began to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The boot, by which a host is known that has nothing else to be known by; empty where even that cannot be read.
    pub boot_id: String,
    /// The host; `None` where it could not be told.
    pub host: Option<HostId>,
}

impl Mark {
    /// That of the host whose files are below `root`, in its present boot.
    pub fn of_this_host(root: &Path) -> Self {
        Self { boot_id: sys::boot_id().unwrap_or_default(), host: HostId::read(root) }
    }

    /// The one in `folder`; `None` where nobody has left any. One that cannot be understood is nobody's.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(FILE);
        match fs::symlink_metadata(&path) {
            Ok(kind) if kind.is_file() => {}
            Ok(_) => return Ok(Some(Self::default())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut text = Vec::new();
        File::open(&path)?.take(MOST_BYTES).read_to_end(&mut text)?;
        Ok(Some(serde_json::from_slice(&text).unwrap_or_default()))
    }

    /// Puts it into `folder`, in the place of another one.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        replace(&folder.join(FILE), &text)
    }

    /// Whether both are of one host. Where one of them does not say which, or neither does, only the boot can tell: images
    /// are cloned where nothing tells the clones apart, too.
    pub fn is_of(&self, other: &Self) -> bool {
        match (&self.host, &other.host) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => !self.boot_id.is_empty() && self.boot_id == other.boot_id,
        }
    }
}

/// The right to keep something in a folder, which all have who write there: nothing may be there before the mark is, for
/// what has no mark is nobody's.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    mark: Mark,
    is_made: Mutex<bool>,
}

impl Claim {
    /// That of the host of this mark to `folder`; `is_made` where its mark is there already.
    pub const fn new(folder: PathBuf, mark: Mark, is_made: bool) -> Self {
        Self { folder, mark, is_made: Mutex::new(is_made) }
    }

    /// Makes sure that the mark is there. It is to be called before anything is written.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn make(&self) -> io::Result<()> {
        // Whoever comes second waits for the first.
        let mut is_made = self.is_made.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_made {
            self.mark.write(&self.folder)?;
            *is_made = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::small_file::tests::host;

    fn mark(boot_id: &str, machine: &str) -> Mark {
        let root = host(&[("etc/machine-id", machine)]);
        Mark { boot_id: boot_id.to_owned(), ..Mark::of_this_host(root.path()) }
    }

    #[cfg(unix)]
    #[test]
    fn a_host_is_another_where_both_say_who_they_are_or_one_of_them_does_after_another_boot() {
        let (one, other, nobody) = (["1"; 32].concat(), ["2"; 32].concat(), String::new());
        for (left, found, is_same) in [
            (mark("a", &one), mark("a", &one), true),
            (mark("a", &one), mark("b", &one), true),
            (mark("a", &one), mark("b", &other), false),
            // Whoever restores the memory of a machine restores its boot as well.
            (mark("a", &one), mark("a", &other), false),
            (mark("a", &one), mark("a", &nobody), true),
            (mark("a", &one), mark("b", &nobody), false),
            (mark("", &one), mark("", &nobody), false),
            (mark("a", &nobody), mark("a", &nobody), true),
            (mark("a", &nobody), mark("b", &nobody), false),
            (mark("", &nobody), mark("", &nobody), false),
        ] {
            assert_eq!((left.is_of(&found), found.is_of(&left)), (is_same, is_same), "{left:?} {found:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_no_mark_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Mark::read(folder.path()).unwrap(), None);
        for mark in [mark("a", &["1"; 32].concat()), mark("a", "")] {
            mark.write(folder.path()).unwrap();
            assert_eq!(Mark::read(folder.path()).unwrap(), Some(mark));
        }
        fs::write(folder.path().join(FILE), "i-0123456789abcdef0").unwrap();
        assert_eq!(Mark::read(folder.path()).unwrap(), Some(Mark::default()));
        fs::remove_file(folder.path().join(FILE)).unwrap();
        fs::create_dir(folder.path().join(FILE)).unwrap();
        assert_eq!(Mark::read(folder.path()).unwrap(), Some(Mark::default()));
        mark("a", "").write(folder.path()).unwrap_err();
    }
}
