//! The size of a terminal.

use std::io;
use std::os::fd::AsRawFd;

/// The columns and lines of the terminal that standard output is; `None` where it is none, or does not say.
#[expect(unsafe_code, reason = "TIOCGWINSZ has no safe wrapper")]
pub fn terminal_size() -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`, which `size` is.
    let result = unsafe { libc::ioctl(io::stdout().as_raw_fd(), libc::TIOCGWINSZ as libc::Ioctl, &raw mut size) };
    let size = (usize::from(size.ws_col), usize::from(size.ws_row));
    (result == 0 && size.0 > 0 && size.1 > 0).then_some(size)
}
