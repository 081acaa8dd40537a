//! A named pipe on which everybody of this host may ask.

use std::ffi::OsString;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, PipeMode, ServerOptions};
use tokio::time::sleep;
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_PIPE_BUSY};

use super::security::{Descriptor, READABLE, is_trusted, owner_of_pipe};
use crate::sys::ListenError;

/// All instances of the pipe are taken for a moment: then it is asked again after this time.
const PAUSE: Duration = Duration::from_millis(20);
const ATTEMPTS: u32 = 50;
/// So many may ask at once. What one of them does not read is kept for as long as he pleases.
const MOST: usize = 32;

/// A connection: a server writes, and a client reads.
pub enum Stream {
    /// To whoever asks.
    Server(NamedPipeServer),
    /// To whoever answers.
    Client(NamedPipeClient),
}

/// Who listens.
pub struct Listener {
    name: OsString,
    next: NamedPipeServer,
}

impl Listener {
    /// Makes the pipe, which all who are logged on to this host may read, and nobody from elsewhere.
    ///
    /// # Errors
    /// Somebody listens there, or there is no place for it.
    pub fn open(path: &Path) -> Result<Self, ListenError> {
        let name = path.as_os_str().to_owned();
        // Not every Windows refuses a second first instance. Every user may make a pipe of this name, or keep one open that
        // an earlier agent has made: whoever is none of ours keeps the agent from being asked, and from nothing else.
        match ClientOptions::new().write(false).open(&name) {
            Ok(other) if is_trusted(&owner_of_pipe(&other)?) => return Err(ListenError::Taken),
            Ok(_) => return Err(io::Error::from(io::ErrorKind::AddrInUse).into()),
            Err(error) if is(&error, ERROR_PIPE_BUSY) || is(&error, ERROR_ACCESS_DENIED) => return Err(error.into()),
            Err(_) => {}
        }
        Ok(Self { next: instance(&name, true)?, name })
    }

    /// Waits for the next who connects.
    ///
    /// # Errors
    /// Those of `ConnectNamedPipe` and `CreateNamedPipeW`.
    pub async fn accept(&mut self) -> io::Result<Stream> {
        self.next.connect().await?;
        // The next instance is there before this one is handed over, so that the pipe is never gone.
        let next = instance(&self.name, false)?;
        Ok(Stream::Server(std::mem::replace(&mut self.next, next)))
    }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}

#[expect(unsafe_code, reason = "the security attributes are a raw pointer")]
fn instance(name: &OsString, is_first: bool) -> io::Result<NamedPipeServer> {
    let descriptor = Descriptor::of(READABLE)?;
    let mut attributes = descriptor.attributes();
    let mut options = ServerOptions::new();
    options.first_pipe_instance(is_first).reject_remote_clients(true).pipe_mode(PipeMode::Byte).access_inbound(false);
    options.max_instances(MOST);
    // SAFETY: they are valid, and so is the descriptor to which they point, until the call returns.
    unsafe { options.create_with_security_attributes_raw(name, (&raw mut attributes).cast()) }
}

/// A pipe is gone with whoever made it.
pub const fn remove(_path: &Path) {}

/// Connects to whoever listens at `path`.
///
/// # Errors
/// Those of `CreateFileW`.
pub async fn connect(path: &Path) -> io::Result<Stream> {
    let mut attempts = 0;
    loop {
        // Whoever listens may learn who we are, and may not act as us: that is what the options of tokio say by themselves.
        match ClientOptions::new().write(false).open(path) {
            Err(error) if is(&error, ERROR_PIPE_BUSY) && attempts < ATTEMPTS => {
                attempts += 1;
                sleep(PAUSE).await;
            }
            client => return Ok(Stream::Client(client?)),
        }
    }
}

/// Who is at the other end, where its word does not count: it is neither one who can do everything, nor the service, nor we
/// ourselves.
///
/// # Errors
/// Those of `GetSecurityInfo`.
pub fn stranger(stream: &Stream, _path: &Path) -> io::Result<Option<String>> {
    let owner = owner_of_pipe(stream)?;
    Ok((!is_trusted(&owner)).then_some(owner))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_read(context, buffer),
            Self::Client(pipe) => Pin::new(pipe).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_write(context, bytes),
            Self::Client(pipe) => Pin::new(pipe).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_flush(context),
            Self::Client(pipe) => Pin::new(pipe).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server(pipe) => Pin::new(pipe).poll_shutdown(context),
            Self::Client(pipe) => Pin::new(pipe).poll_shutdown(context),
        }
    }
}

impl AsRawHandle for Stream {
    fn as_raw_handle(&self) -> std::os::windows::io::RawHandle {
        match self {
            Self::Server(pipe) => pipe.as_raw_handle(),
            Self::Client(pipe) => pipe.as_raw_handle(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn name() -> std::path::PathBuf {
        format!(r"\\.\pipe\skewguard-test-{:016x}", fastrand::u64(..)).into()
    }

    #[tokio::test]
    async fn whoever_connects_reads_all_that_is_written_before_it_is_closed() {
        let name = name();
        let mut listener = Listener::open(&name).unwrap();
        let answer = vec![b'x'; 300_000];
        let serve = async {
            for _ in 0..3 {
                let mut stream = listener.accept().await.unwrap();
                stream.write_all(&answer).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        };
        let ask = async {
            for _ in 0..3 {
                let (mut stream, mut read) = (connect(&name).await.unwrap(), Vec::new());
                assert_eq!(stranger(&stream, &name).unwrap(), None);
                stream.read_to_end(&mut read).await.unwrap();
                assert!(read == answer, "{} bytes", read.len());
            }
        };
        tokio::join!(serve, ask);
    }

    #[tokio::test]
    async fn a_pipe_has_one_listener() {
        let name = name();
        assert!(connect(&name).await.is_err());
        let first = Listener::open(&name).unwrap();
        assert!(matches!(Listener::open(&name), Err(ListenError::Taken)));
        drop(first);
        // It is closed once what it was waiting for was taken back.
        while Listener::open(&name).is_err() {
            sleep(PAUSE).await;
        }
    }
}
