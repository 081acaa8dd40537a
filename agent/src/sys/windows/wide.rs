//! Texts as Windows takes and gives them.

use std::ffi::OsStr;
use std::os::windows::ffi::OsStrExt;

/// UTF-16 with a zero at its end.
pub(super) fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}

/// The text at a pointer; empty where there is none.
///
/// # Safety
/// It points to a text that ends with a zero, or is null.
#[expect(unsafe_code, reason = "a text of Windows is a pointer")]
pub(super) unsafe fn from_wide(text: *const u16) -> String {
    let mut characters = Vec::new();
    // SAFETY: nothing is read beyond the zero.
    unsafe {
        let mut at = text;
        while !at.is_null() && *at != 0 {
            characters.push(*at);
            at = at.add(1);
        }
    }
    String::from_utf16_lossy(&characters)
}
