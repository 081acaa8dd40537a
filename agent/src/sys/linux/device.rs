//! Devices: which they are, opened so that nobody waits, and the clock behind one.

use std::fs::{File, OpenOptions, metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::time::{ClockId, clock_gettime};

use super::clock::nanos;

/// A device or a file that is open for reading.
pub struct Opened {
    /// It.
    pub file: File,
    /// Which device it is; `None` for a regular file.
    pub number: Option<DeviceNumber>,
}

/// The number of a character device, which no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceNumber(u64);

impl DeviceNumber {
    /// As the kernel writes it: `MAJOR:MINOR`.
    pub fn text(self) -> String {
        format!("{}:{}", libc::major(self.0), libc::minor(self.0))
    }
}

/// Which device is at the path; `None` where it is something else. It is looked at and not opened: whatever it is does not
/// notice.
///
/// # Errors
/// Those of `stat(2)`.
pub fn device_number(path: &Path) -> io::Result<Option<DeviceNumber>> {
    let found = metadata(path)?;
    Ok(found.file_type().is_char_device().then(|| DeviceNumber(found.rdev())))
}

/// Opens a device or a regular file for reading, and waits for nobody. `None` for all else.
///
/// # Errors
/// Those of `open(2)`.
pub fn open_device(path: &Path) -> io::Result<Option<Opened>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let found = file.metadata()?;
    let number = found.file_type().is_char_device().then(|| DeviceNumber(found.rdev()));
    Ok((number.is_some() || found.is_file()).then_some(Opened { file, number }))
}

/// Fills `page` with the beginning of a device, whatever was read of it before.
///
/// # Errors
/// Those of `pread(2)`, and `UnexpectedEof` where it is shorter.
pub fn read_at_start(device: &File, page: &mut [u8]) -> io::Result<()> {
    device.read_exact_at(page, 0)
}

/// Reads the clock of an open `/dev/ptpN`: nanoseconds since 1970 on a time scale that the kernel does not tell. Changes
/// nothing, and a device that is open for reading is enough.
///
/// # Errors
/// Those of `clock_gettime(2)`: `EINVAL` for what has no clock, `EBUSY` where the hardware is not ready, `ENODEV` where it is
/// gone.
#[expect(clippy::disallowed_methods, reason = "called by clock::local alone")]
pub fn device_time(device: &File) -> io::Result<i64> {
    // FD_TO_CLOCKID of clock_getres(2), "Dynamic clocks".
    let clock = ClockId::from_raw((!device.as_raw_fd() << 3) | 3);
    Ok(nanos(clock_gettime(clock)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_clock_tells_no_time() {
        let device = File::open("/dev/null").unwrap();
        assert_eq!(device_time(&device).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
