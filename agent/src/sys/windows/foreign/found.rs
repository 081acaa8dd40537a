//! What is at the end of a path.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::PathBuf;

use crate::sys::Refusal;
use crate::time::SystemTime;

/// What is at the end of a path. A file is open for reading.
pub struct Found {
    file: File,
    metadata: Metadata,
    path: PathBuf,
    /// The folders above, so that the path means what it meant.
    held: Vec<File>,
}

/// What is in a file. It has no `Debug`: secrets may be among it. The process-wide allocator wipes it when it is dropped.
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// When the file was written last, by the clock of this host.
    pub modified: SystemTime,
}

impl Found {
    pub(super) const fn new(file: File, metadata: Metadata, path: PathBuf, held: Vec<File>) -> Self {
        Self { file, metadata, path, held }
    }

    /// Users have no numbers here.
    pub const fn owner(&self) -> u32 {
        0
    }

    /// Whether it is a socket.
    pub const fn is_socket(&self) -> bool {
        false
    }

    /// The path that leads here.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(super) fn into_parts(self) -> (PathBuf, Vec<File>) {
        let Self { file, path, mut held, .. } = self;
        held.push(file);
        (path, held)
    }

    /// The open file.
    ///
    /// # Errors
    /// `NotAFile` for all but regular files.
    pub fn open(&self) -> Result<File, Refusal> {
        if !self.metadata.is_file() {
            return Err(Refusal::NotAFile);
        }
        // It is the file that was looked at: what leads there is held. Each reading begins at its beginning.
        super::open::read(&self.path)
    }

    /// Reads all of it, of at most `cap` bytes.
    ///
    /// # Errors
    /// Those of [`Self::open`], `TooLarge`, and those of reading.
    pub fn read(&self, cap: usize) -> Result<Content, Refusal> {
        let file = self.open()?;
        let limit = u64::try_from(cap).unwrap_or(u64::MAX);
        if self.metadata.len() > limit {
            return Err(Refusal::TooLarge);
        }
        let mut bytes = Vec::new();
        // It may grow while it is read.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > cap {
            return Err(Refusal::TooLarge);
        }
        Ok(Content { bytes, modified: SystemTime::of(self.metadata.modified()?) })
    }

    /// Reads the first `most` bytes of it.
    ///
    /// # Errors
    /// Those of [`Self::open`], and those of reading.
    pub fn beginning(&self, most: usize) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        self.open()?.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
