//! The one way in which files of credentials are read: bounded in size, regular files alone, never waiting for another
//! process, and in the folder of a cache no link that leads out of it.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::lease::Unavailable;
use crate::clock::time::{NANOS_PER_SECOND, SystemTime};
use crate::sys;

/// The largest token or entry of a cache that is read, in bytes.
pub(super) const SMALL: usize = 64 * 1024;
/// The largest file of profiles or certificates that is read, in bytes.
pub(super) const LARGE: usize = 1024 * 1024;
/// So many files of a folder are read, the newest first.
pub(super) const MOST_FILES: usize = 64;
/// So many entries of a folder are looked at.
const MOST_ENTRIES: usize = 4_096;

/// What is in a file. It has no `Debug`: secrets are among it. The process-wide allocator wipes it when it is dropped.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// When the file was written last, by the clock of this host.
    pub(super) modified: SystemTime,
}

/// Runs `work`, which reads files, where it delays nothing else.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("nothing panics while it reads files")
}

/// Reads the file at `path`, wherever links lead to. At most `cap` bytes.
///
/// # Errors
/// `NotFound`, `Denied`, `NotAFile`, `TooLarge`, `Io`.
pub(super) fn read(path: &Path, cap: usize) -> Result<Content, Unavailable> {
    content(options().open(path).map_err(|error| broken(&error))?, cap)
}

/// A folder whose files are read.
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `NotAFile` where it is no folder, `Io`.
    pub(super) fn open(path: PathBuf) -> Result<Self, Unavailable> {
        let handle = options().custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK).open(&path);
        Ok(Self { handle: handle.map_err(|error| broken(&error))?, path })
    }

    /// The names that end with `.json`, in their order: the newest 64 where there are more.
    ///
    /// # Errors
    /// `Denied`, `Io`.
    pub(super) fn documents(&self) -> Result<Vec<OsString>, Unavailable> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|error| broken(&error))?.take(MOST_ENTRIES).flatten() {
            if Path::new(&entry.file_name()).extension().is_some_and(|extension| extension == "json") {
                // A file that is gone in between is no news: its place is empty then.
                let modified = entry.metadata().map_or(SystemTime::ZERO, |metadata| modified(&metadata));
                found.push((Reverse(modified), entry.file_name()));
            }
        }
        found.sort_unstable();
        let mut names: Vec<_> = found.into_iter().take(MOST_FILES).map(|(_, name)| name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Reads the file `name` of this folder. At most `cap` bytes.
    ///
    /// # Errors
    /// Those of [`read`], and `Escapes`.
    pub(super) fn read(&self, name: &Path, cap: usize) -> Result<Content, Unavailable> {
        let opened = match sys::open_beneath(self.handle.as_fd(), name) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                return content(self.open_compared(name)?, cap);
            }
            opened => opened.map_err(|error| broken(&error))?,
        };
        content(opened.into(), cap)
    }

    /// Opens the file `name` without `openat2`: by comparing where it really is.
    fn open_compared(&self, name: &Path) -> Result<File, Unavailable> {
        let canonical = |path: &Path| path.canonicalize().map_err(|error| broken(&error));
        let (folder, file) = (canonical(&self.path)?, canonical(&self.path.join(name))?);
        if !file.starts_with(folder) {
            return Err(Unavailable::Escapes);
        }
        // What was put in its place since is no link that is followed.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
        options().custom_flags(flags).open(file).map_err(|error| broken(&error))
    }
}

/// For reading, without waiting for the writer of a pipe.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

fn content(file: File, cap: usize) -> Result<Content, Unavailable> {
    let metadata = file.metadata().map_err(|error| broken(&error))?;
    if !metadata.is_file() {
        return Err(Unavailable::NotAFile);
    }
    let limit = u64::try_from(cap).unwrap_or(u64::MAX);
    if metadata.len() > limit {
        return Err(Unavailable::TooLarge);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read, and a file of /proc has no length at all.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
    if bytes.len() > cap {
        return Err(Unavailable::TooLarge);
    }
    Ok(Content { bytes, modified: modified(&metadata) })
}

fn modified(metadata: &fs::Metadata) -> SystemTime {
    SystemTime::from_nanos(metadata.mtime().saturating_mul(NANOS_PER_SECOND).saturating_add(metadata.mtime_nsec()))
}

fn broken(error: &io::Error) -> Unavailable {
    match (error.raw_os_error(), error.kind()) {
        (Some(libc::EXDEV | libc::ELOOP), _) => Unavailable::Escapes,
        // A socket cannot be opened, and what lies beneath a file or in place of a folder is not what was meant.
        (Some(libc::ENXIO | libc::ENODEV | libc::EISDIR | libc::ENOTDIR), _) => Unavailable::NotAFile,
        (_, io::ErrorKind::NotFound) => Unavailable::NotFound,
        (_, io::ErrorKind::PermissionDenied) => Unavailable::Denied,
        _ => Unavailable::Io,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    /// The ways in which a file of a folder is read.
    fn ways(folder: &Path, name: &str) -> [Result<Content, Unavailable>; 2] {
        let opened = Folder::open(folder.to_owned()).ok().unwrap();
        let name = Path::new(name);
        [opened.read(name, SMALL), opened.open_compared(name).and_then(|file| content(file, SMALL))]
    }

    fn reasons(folder: &Path, name: &str) -> [Option<Unavailable>; 2] {
        ways(folder, name).map(Result::err)
    }

    #[test]
    fn a_file_is_read_with_the_time_at_which_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "content").unwrap();
        let written = Duration::from_nanos(1_772_380_800_500_000_000);
        File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH + written).unwrap();
        for content in ways(folder.path(), "a.json").into_iter().chain([read(&path, SMALL)]) {
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
            assert_eq!(reasons(&folder, name), [Some(Unavailable::Escapes), Some(Unavailable::Escapes)], "{name}");
        }
        for name in ["real.json", "within.json", "around.json"] {
            assert_eq!(ways(&folder, name).map(|content| content.ok().unwrap().bytes), ["real", "real"].map(Vec::from));
        }
    }

    #[test]
    fn a_loop_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b.json", folder.path().join("a.json")).unwrap();
        symlink("a.json", folder.path().join("b.json")).unwrap();
        assert_eq!(reasons(folder.path(), "a.json"), [Some(Unavailable::Escapes), Some(Unavailable::Escapes)]);
    }

    #[test]
    fn what_is_no_regular_file_is_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        mkfifo(&path.join("pipe"), Mode::S_IRWXU).unwrap();
        fs::create_dir(path.join("folder")).unwrap();
        let _socket = UnixListener::bind(path.join("socket")).unwrap();
        for name in ["pipe", "folder", "socket"] {
            assert_eq!(reasons(path, name), [Some(Unavailable::NotAFile), Some(Unavailable::NotAFile)], "{name}");
            assert_eq!(read(&path.join(name), SMALL).err(), Some(Unavailable::NotAFile), "{name}");
        }
        assert_eq!(read(Path::new("/dev/zero"), SMALL).err(), Some(Unavailable::NotAFile));
        assert_eq!(Folder::open(path.join("pipe")).err(), Some(Unavailable::NotAFile));
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
        assert_eq!(reasons(folder.path(), "a"), [Some(Unavailable::NotFound), Some(Unavailable::NotFound)]);
        assert_eq!(Folder::open(path.clone()).err(), Some(Unavailable::NotFound));
        assert_eq!(broken(&io::Error::from_raw_os_error(libc::EACCES)), Unavailable::Denied);
        assert_eq!(broken(&io::Error::from_raw_os_error(libc::EIO)), Unavailable::Io);
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
        let names = Folder::open(folder.path().to_owned()).ok().unwrap().documents().unwrap();
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
