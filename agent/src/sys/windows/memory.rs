//! How the C library keeps what is freed.

/// The heap of Windows gives back what is freed by itself.
pub const fn keep_memory_small() {}
