//! Linux: the clock behind an open device.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::time::{ClockId, clock_gettime};

use super::linux::nanos;

/// Reads the clock of an open `/dev/ptpN`: nanoseconds since 1970 on a time scale that the kernel does not tell. Changes
/// nothing, and a device that is open for reading is enough.
///
/// # Errors
/// Those of `clock_gettime(2)`: `EINVAL` for what has no clock, `EBUSY` where the hardware is not ready, `ENODEV` where it is
/// gone.
#[expect(clippy::disallowed_methods, reason = "called by clock::local alone")]
pub fn device_time(device: BorrowedFd<'_>) -> io::Result<i64> {
    // FD_TO_CLOCKID of clock_getres(2), "Dynamic clocks".
    let clock = ClockId::from_raw((!device.as_raw_fd() << 3) | 3);
    Ok(nanos(clock_gettime(clock)?))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_has_no_clock_tells_no_time() {
        let device = File::open("/dev/null").unwrap();
        assert_eq!(device_time(device.as_fd()).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
