//! Where lines are written, by whoever may be kept waiting.

use std::fs::File;
use std::io::{self, Write};
use std::os::windows::io::{AsHandle, OwnedHandle};

use super::log_file::LogFile;
use super::standing;

/// A stream of bytes that is written without the lock of the standard library, which a panic would wait for.
pub enum Output {
    /// A stream.
    Stream(File),
    /// The log of a service, which has no standard error.
    Log(LogFile),
}

impl Output {
    /// Standard error, or what a service has in its place.
    ///
    /// # Errors
    /// There is none.
    pub fn stderr() -> io::Result<Self> {
        if standing::is_service() {
            return Ok(Self::Log(LogFile::usual()));
        }
        Ok(Self::Stream(File::from(io::stderr().as_handle().try_clone_to_owned()?)))
    }

    /// Writes all of it, however long that takes.
    ///
    /// # Errors
    /// Those of `WriteFile`.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stream(stream) => {
                let mut stream: &File = stream;
                stream.write_all(bytes)
            }
            Self::Log(log) => log.write_all(bytes),
        }
    }
}

impl From<io::PipeWriter> for Output {
    fn from(pipe: io::PipeWriter) -> Self {
        Self::Stream(File::from(OwnedHandle::from(pipe)))
    }
}
