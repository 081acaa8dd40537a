//! The terminal that somebody looks at.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What is pressed on the terminal that standard input is.
pub struct Keys(AsyncFd<OwnedFd>);

impl Keys {
    /// Begins to listen.
    ///
    /// # Errors
    /// It is a file, which nobody can wait for.
    #[expect(unsafe_code, reason = "tokio wants the promise that the descriptor stays open")]
    pub fn listen() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor is owned by what is returned, which closes it last.
        Ok(Self(unsafe { AsyncFd::register_with_interest(input, Interest::READABLE)? }))
    }

    /// What was pressed next; nothing where the terminal is gone.
    ///
    /// # Errors
    /// Those of `read(2)`.
    pub async fn pressed(&mut self) -> io::Result<Vec<u8>> {
        self.0.readable().await?.clear_ready();
        let mut bytes = [0; 16];
        let count = read(self.0.get_ref(), &mut bytes)?;
        Ok(bytes.get(..count).unwrap_or_default().to_vec())
    }
}

/// The terminal that standard input is without lines, echo and signals, until this is dropped.
pub struct RawTerminal(Termios);

impl RawTerminal {
    /// Makes it so.
    ///
    /// # Errors
    /// It is no terminal.
    pub fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        // Whoever reads does not wait.
        for (index, value) in [(SpecialCharacterIndices::VMIN, 0), (SpecialCharacterIndices::VTIME, 0)] {
            if let Some(character) = raw.control_chars.get_mut(index as usize) {
                *character = value;
            }
        }
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// The columns and lines of the terminal that standard output is; `None` where it is none, or does not say.
#[expect(unsafe_code, reason = "TIOCGWINSZ has no safe wrapper")]
pub fn terminal_size() -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`, which `size` is.
    let result = unsafe { libc::ioctl(io::stdout().as_raw_fd(), libc::TIOCGWINSZ as libc::Ioctl, &raw mut size) };
    let size = (usize::from(size.ws_col), usize::from(size.ws_row));
    (result == 0 && size.0 > 0 && size.1 > 0).then_some(size)
}
