//! How files of credentials are read: bounded in size and never waiting for anybody, with the reasons that readings have.
//! How they are opened is [`crate::foreign`]'s.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::path::Path;

use super::lease::Unavailable;
use crate::foreign::{self, Content, Refusal, Rule, Tree, Want};
use crate::time::SystemTime;

/// The largest token or entry of a cache that is read, in bytes.
pub(super) const SMALL: usize = 64 * 1024;
/// The largest file of profiles or certificates that is read, in bytes.
pub(super) const LARGE: usize = 1024 * 1024;
/// So many files of a folder are read, the newest first.
pub(super) const MOST_FILES: usize = 64;
/// So many entries of a folder are looked at.
const MOST_ENTRIES: usize = 4_096;

/// Runs `work`, which reads files, where it delays nothing else.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("nothing panics while it reads files")
}

/// Reads the file at `path`. At most `cap` bytes. Links are followed where they lead to what whoever made them could read
/// himself: those of root wherever they lead, and those of another user to his own files and to what everybody may read.
///
/// # Errors
/// `NotFound`, `Denied`, `Escapes`, `NotAFile`, `TooLarge`, `Io`.
pub(super) fn read(path: &Path, cap: usize) -> Result<Content, Unavailable> {
    Ok(foreign::file(path)?.read(cap)?)
}

/// A folder whose files are read.
pub(super) struct Folder(Tree);

impl Folder {
    /// Opens the folder at `path`, to which links lead as to a file in [`read`].
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Escapes`, `NotAFile` where it is no folder, `Io`.
    pub(super) fn open(path: &Path) -> Result<Self, Unavailable> {
        Ok(Self(foreign::folder(path)?.into_tree()))
    }

    /// The names that end with `.json`, in their order: the newest 64 where there are more.
    ///
    /// # Errors
    /// `Denied`, `Io`.
    pub(super) fn documents(&self) -> Result<Vec<OsString>, Unavailable> {
        let mut found = Vec::new();
        for entry in self.0.entries(MOST_ENTRIES)? {
            if Path::new(&entry.file_name()).extension().is_some_and(|extension| extension == "json") {
                // A file that is gone in between is no news: its place is empty then.
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                let modified = modified.map_or(SystemTime::ZERO, SystemTime::of);
                found.push((Reverse(modified), entry.file_name()));
            }
        }
        found.sort_unstable();
        let mut names: Vec<_> = found.into_iter().take(MOST_FILES).map(|(_, name)| name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Reads the file `name` of this folder. At most `cap` bytes. No link leads out of the folder.
    ///
    /// # Errors
    /// Those of [`read`].
    pub(super) fn read(&self, name: &Path, cap: usize) -> Result<Content, Unavailable> {
        Ok(self.0.find(name, Want::File, &Rule::Beneath)?.read(cap)?)
    }
}

impl From<Refusal> for Unavailable {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::NotAFile | Refusal::NotAFolder => Self::NotAFile,
            Refusal::TooLarge => Self::TooLarge,
            Refusal::Escapes => Self::Escapes,
            Refusal::Denied | Refusal::Owner { .. } | Refusal::Writable { .. } => Self::Denied,
            Refusal::Io(..) => Self::Io,
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn within(folder: &Path, name: &str) -> Result<Content, Unavailable> {
        Folder::open(folder)?.read(Path::new(name), SMALL)
    }

    #[test]
    fn a_file_is_read_with_the_time_at_which_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "content").unwrap();
        let written = Duration::from_nanos(1_772_380_800_500_000_000);
        File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH + written).unwrap();
        for content in [within(folder.path(), "a.json"), read(&path, SMALL)] {
            let content = content.ok().unwrap();
            assert_eq!(content.bytes, b"content");
            assert_eq!(content.modified, SystemTime::from_nanos(1_772_380_800_500_000_000));
        }
    }

    #[test]
    fn a_link_out_of_the_folder_is_not_followed_and_one_within_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cache");
        fs::create_dir_all(folder.join("below")).unwrap();
        fs::write(root.path().join("secret"), "secret").unwrap();
        fs::write(folder.join("real.json"), "real").unwrap();
        symlink(root.path().join("secret"), folder.join("absolute.json")).unwrap();
        symlink("../secret", folder.join("relative.json")).unwrap();
        symlink("relative.json", folder.join("twice.json")).unwrap();
        symlink(root.path(), folder.join("out")).unwrap();
        symlink("real.json", folder.join("within.json")).unwrap();
        symlink("below/../real.json", folder.join("around.json")).unwrap();
        for name in ["absolute.json", "relative.json", "twice.json", "out/secret", "../secret"] {
            assert_eq!(within(&folder, name).err(), Some(Unavailable::Escapes), "{name}");
        }
        for name in ["real.json", "within.json", "around.json"] {
            assert_eq!(within(&folder, name).ok().unwrap().bytes, b"real");
        }
    }

    #[test]
    fn a_loop_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b.json", folder.path().join("a.json")).unwrap();
        symlink("a.json", folder.path().join("b.json")).unwrap();
        assert_eq!(within(folder.path(), "a.json").err(), Some(Unavailable::Escapes));
    }

    #[test]
    fn what_is_no_regular_file_is_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        mkfifo(&path.join("pipe"), Mode::S_IRWXU).unwrap();
        fs::create_dir(path.join("folder")).unwrap();
        let _socket = UnixListener::bind(path.join("socket")).unwrap();
        for name in ["pipe", "folder", "socket"] {
            assert_eq!(within(path, name).err(), Some(Unavailable::NotAFile), "{name}");
            assert_eq!(read(&path.join(name), SMALL).err(), Some(Unavailable::NotAFile), "{name}");
        }
        assert_eq!(read(Path::new("/dev/zero"), SMALL).err(), Some(Unavailable::NotAFile));
        assert_eq!(Folder::open(&path.join("pipe")).err(), Some(Unavailable::NotAFile));
    }

    #[test]
    fn a_file_of_the_cap_is_read_and_one_byte_more_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for (length, reason) in [(SMALL, None), (SMALL + 1, Some(Unavailable::TooLarge))] {
            fs::write(&path, "x".repeat(length)).unwrap();
            assert_eq!(read(&path, SMALL).err(), reason);
        }
        // A file of no length that has some content all the same.
        assert!(!read(Path::new("/proc/self/status"), SMALL).ok().unwrap().bytes.is_empty());
        assert_eq!(read(Path::new("/proc/self/status"), 10).err(), Some(Unavailable::TooLarge));
    }

    #[test]
    fn what_is_missing_or_forbidden_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert_eq!(read(&path, SMALL).err(), Some(Unavailable::NotFound));
        assert_eq!(within(folder.path(), "a").err(), Some(Unavailable::NotFound));
        assert_eq!(Folder::open(&path).err(), Some(Unavailable::NotFound));
        let broken = |number| Unavailable::from(Refusal::from(io::Error::from_raw_os_error(number)));
        assert_eq!((broken(libc::EACCES), broken(libc::EIO)), (Unavailable::Denied, Unavailable::Io));
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        // Nothing is forbidden to root, who owns what root has written.
        let is_root = fs::metadata(&path).unwrap().uid() == 0;
        let reason = (!is_root).then_some(Unavailable::Denied);
        assert_eq!(read(&path, SMALL).err(), reason);
    }

    #[test]
    fn of_many_documents_the_newest_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MOST_FILES + 10 {
            let file = File::create(folder.path().join(format!("{number:03}.json"))).unwrap();
            let age = Duration::from_secs(u64::try_from(number).unwrap());
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000) - age).unwrap();
        }
        fs::write(folder.path().join("other.txt"), "").unwrap();
        let names = Folder::open(folder.path()).ok().unwrap().documents().unwrap();
        assert_eq!(names.len(), MOST_FILES);
        assert_eq!(
            (names.first().unwrap().as_os_str(), names.last().unwrap().as_os_str()),
            ("000.json".as_ref(), "063.json".as_ref())
        );
    }

    #[tokio::test]
    async fn what_reads_files_runs_apart() {
        let here = std::thread::current().id();
        assert_ne!(apart(|| std::thread::current().id()).await, here);
    }
}
