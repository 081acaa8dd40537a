//! The terminal that somebody looks at.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Standard input, to be awaited.
///
/// # Errors
/// It is a file, which nobody can wait for.
#[expect(unsafe_code, reason = "tokio wants the promise that the descriptor stays open")]
pub fn keys() -> io::Result<AsyncFd<OwnedFd>> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    // SAFETY: the descriptor is owned by what is returned, which closes it last.
    Ok(unsafe { AsyncFd::register_with_interest(input, Interest::READABLE)? })
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
