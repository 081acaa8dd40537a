//! Where lines are written, by whoever may be kept waiting.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

/// A stream of bytes that is written without the lock of the standard library, which a panic would wait for.
pub struct Output(OwnedFd);

impl Output {
    /// Standard error.
    ///
    /// # Errors
    /// Those of `dup(2)`.
    pub fn stderr() -> io::Result<Self> {
        Ok(Self(io::stderr().as_fd().try_clone_to_owned()?))
    }

    /// Writes all of it, however long that takes.
    ///
    /// # Errors
    /// Those of `write(2)`.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match write(&self.0, bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                // Whoever else has it open made it one that does not wait.
                Err(Errno::EAGAIN) => {
                    match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE) {
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl From<io::PipeWriter> for Output {
    fn from(pipe: io::PipeWriter) -> Self {
        Self(pipe.into())
    }
}
