//! What is looked for.

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Anything but a folder.
    File,
    /// A folder.
    Folder,
}
