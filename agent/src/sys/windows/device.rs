//! Devices with a clock, and what network cards count, of which Windows offers none to a program.

use std::fs::File;
use std::io;
use std::path::Path;

/// A device or a file that is open for reading.
pub struct Opened {
    /// It.
    pub file: File,
    /// Which device it is.
    pub number: Option<DeviceNumber>,
}

/// The number of a device. There is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceNumber {}

impl DeviceNumber {
    /// As the kernel writes it.
    pub const fn text(self) -> String {
        match self {}
    }
}

fn none() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "Windows has no such device")
}

/// Which device is at the path.
///
/// # Errors
/// There is none.
pub fn device_number(_path: &Path) -> io::Result<Option<DeviceNumber>> {
    Err(none())
}

/// Opens a device for reading.
///
/// # Errors
/// There is none.
pub fn open_device(_path: &Path) -> io::Result<Option<Opened>> {
    Err(none())
}

/// Fills `page` with the beginning of a device.
///
/// # Errors
/// There is none.
pub fn read_at_start(_device: &File, _page: &mut [u8]) -> io::Result<()> {
    Err(none())
}

/// Reads the clock of a device.
///
/// # Errors
/// There is none.
pub fn device_time(_device: &File) -> io::Result<i64> {
    Err(none())
}

/// What the driver of an interface counts.
///
/// # Errors
/// Windows does not tell.
pub fn interface_statistics(_name: &str) -> io::Result<Vec<(String, u64)>> {
    Err(io::ErrorKind::Unsupported.into())
}
