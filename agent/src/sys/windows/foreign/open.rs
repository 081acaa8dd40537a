//! A file that is open for reading.

use std::fs::{File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_DISK, GetFileType, SECURITY_IDENTIFICATION};

use crate::sys::Refusal;

/// Opens a file for reading; what is no file of a disk, such as a pipe or a console, is none.
#[expect(unsafe_code, reason = "a call of Windows")]
pub(super) fn read(path: &Path) -> Result<File, Refusal> {
    // Whoever it turns out to be, a pipe of somebody else among them, may learn who asks, and may not act as him.
    let file = OpenOptions::new().read(true).security_qos_flags(SECURITY_IDENTIFICATION).open(path)?;
    // SAFETY: the handle is open.
    match unsafe { GetFileType(file.as_raw_handle()) } {
        FILE_TYPE_DISK => Ok(file),
        _ => Err(Refusal::NotAFile),
    }
}
