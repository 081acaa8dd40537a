//! What holds on the way to a file.

use super::foreign::{Reader, Writers};

/// What holds on the way to a file.
#[derive(Clone, Copy)]
pub enum Rule<'a> {
    /// No link leads out of the folder at the top; on Windows none is followed.
    Beneath,
    /// All of the way is open to this reader, and from each link on to whoever made that. The top is what `/` means.
    ReadableBy(&'a Reader),
    /// Nobody but these can have written it, or put it there: they own it and every folder above it, and nobody else may
    /// write to any of them. Links are followed where root made them. Windows has no numbers of users, and no such files.
    WrittenBy(&'a Writers),
}
