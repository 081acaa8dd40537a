//! A socket from which a daemon is asked that answers to a path. There are none on Windows.

use std::io;
use std::path::Path;

use super::foreign::Found;

/// A socket that is connected to another one. There is none.
pub enum ReplySocket {}

impl ReplySocket {
    /// Connects it.
    ///
    /// # Errors
    /// There is none.
    pub fn connect(_own: &Path, _found: &Found) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// None: there is no socket.
    pub async fn send(&self, _packet: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// None: there is no socket.
    pub async fn recv(&self, _buffer: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}
