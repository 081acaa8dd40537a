//! What is at the end of a path, before it is opened.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::sys::stat::{FileStat, SFlag};

use crate::sys::Refusal;
use crate::time::{NANOS_PER_SECOND, SystemTime};

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileType {
    File,
    Folder,
    Link,
    Socket,
    /// A pipe or a device.
    Other,
}

impl FileType {
    pub(super) fn of(stat: &FileStat) -> Self {
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => Self::File,
            SFlag::S_IFDIR => Self::Folder,
            SFlag::S_IFLNK => Self::Link,
            SFlag::S_IFSOCK => Self::Socket,
            _ => Self::Other,
        }
    }
}

/// What is at the end of a path. It is not open as yet.
pub struct Found {
    handle: OwnedFd,
    stat: FileStat,
}

/// What is in a file. It has no `Debug`: secrets may be among it. The process-wide allocator wipes it when it is dropped.
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// When the file was written last, by the clock of this host.
    pub modified: SystemTime,
}

impl Found {
    pub(super) const fn new(handle: OwnedFd, stat: FileStat) -> Self {
        Self { handle, stat }
    }

    /// Who owns it.
    pub const fn owner(&self) -> u32 {
        self.stat.st_uid
    }

    /// Whether it is a socket.
    pub fn is_socket(&self) -> bool {
        FileType::of(&self.stat) == FileType::Socket
    }

    /// A path that leads here, whatever is renamed meanwhile, for as long as this lives.
    pub fn path(&self) -> PathBuf {
        here(self.handle.as_fd())
    }

    pub(super) fn into_handle(self) -> OwnedFd {
        self.handle
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// `NotAFile` for all but regular files, which are not touched; else those of `open(2)`.
    pub fn open(&self) -> Result<File, Refusal> {
        if FileType::of(&self.stat) != FileType::File {
            return Err(Refusal::NotAFile);
        }
        // It is the same file that was looked at: no path is walked again. Whoever has a lease on it is not waited for.
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        Ok(options.open(self.path())?)
    }

    /// Reads all of it, of at most `cap` bytes.
    ///
    /// # Errors
    /// Those of [`Self::open`], `TooLarge`, and those of `read(2)`.
    pub fn read(&self, cap: usize) -> Result<Content, Refusal> {
        let file = self.open()?;
        let limit = u64::try_from(cap).unwrap_or(u64::MAX);
        if u64::try_from(self.stat.st_size).is_ok_and(|size| size > limit) {
            return Err(Refusal::TooLarge);
        }
        let mut bytes = Vec::new();
        // It may grow while it is read, and a file of /proc has no length at all.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > cap {
            return Err(Refusal::TooLarge);
        }
        let seconds = self.stat.st_mtime.saturating_mul(NANOS_PER_SECOND);
        Ok(Content { bytes, modified: SystemTime::from_nanos(seconds.saturating_add(self.stat.st_mtime_nsec)) })
    }

    /// Reads the first `most` bytes of it.
    ///
    /// # Errors
    /// Those of [`Self::open`], and those of `read(2)`.
    pub fn beginning(&self, most: usize) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        self.open()?.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// What leads to the file behind a handle by the kernel's own word.
pub(super) fn here(handle: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}
