//! The log of a service, which has no standard error: a file that is no larger than it may be, and the one before it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::place::places;

/// So large it may become, in bytes: some weeks.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// A log that is begun anew before it is too large.
pub struct LogFile {
    path: PathBuf,
    open: Mutex<Option<(File, u64)>>,
}

impl LogFile {
    /// That of the service.
    pub(super) fn usual() -> Self {
        Self::at(places().state_dir.join("skewguard.log"))
    }

    fn at(path: PathBuf) -> Self {
        Self { path, open: Mutex::new(None) }
    }

    /// Writes to its end.
    ///
    /// # Errors
    /// Those of opening, renaming and writing it.
    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let length = bytes.len() as u64;
        if open.as_ref().is_some_and(|(_, written)| written.saturating_add(length) > MOST_BYTES) {
            *open = None;
            // Whoever reads it may keep it from being renamed: then it begins anew at its place.
            if fs::rename(&self.path, self.path.with_extension("1.log")).is_err() {
                File::create(&self.path)?;
            }
        }
        let (file, written) = match &mut *open {
            Some(known) => known,
            closed => closed.insert(self.begin()?),
        };
        file.write_all(bytes)?;
        *written += length;
        Ok(())
    }

    fn begin(&self) -> io::Result<(File, u64)> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.is_dir()) {
            super::files::create_private_folder(folder, true)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let written = file.metadata()?.len();
        Ok((file, written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_where_it_was_and_is_begun_anew_before_it_is_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(r"log\a.log");
        for _ in 0..2 {
            LogFile::at(path.clone()).write_all(b"line\n").unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"line\nline\n");
        let log = LogFile::at(path.clone());
        let large = vec![b'x'; MOST_BYTES as usize / 2];
        (0..5).for_each(|_| log.write_all(&large).unwrap());
        let length = |path: PathBuf| fs::metadata(path).unwrap().len();
        assert!(length(path.clone()) <= MOST_BYTES && length(path.with_extension("1.log")) <= MOST_BYTES);
    }
}
