//! How the C library keeps what is freed.

/// So much that is free at the end of the heap goes back to the system, in bytes.
#[cfg(target_env = "gnu")]
const MOST_FREE: libc::c_int = 64 * 1024;
/// The heap grows by so much more than what is asked for, in bytes.
#[cfg(target_env = "gnu")]
const SPARE: libc::c_int = 16 * 1024;

/// Lets all threads share one heap, and what is freed go back to the system soon. To be called before there is a second
/// thread. By default glibc gives each thread that reads a file a heap of its own, and raises what it keeps by the largest
/// piece that was ever freed: some hundred kilobytes that are never used again. Other C libraries do neither.
#[cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "mallopt has no safe wrapper"))]
pub fn keep_memory_small() {
    #[cfg(target_env = "gnu")]
    for (setting, value) in [(libc::M_ARENA_MAX, 1), (libc::M_TRIM_THRESHOLD, MOST_FREE), (libc::M_TOP_PAD, SPARE)] {
        // SAFETY: it takes numbers alone, and the lock of the heap. What it refuses stays as it is.
        let _ = unsafe { libc::mallopt(setting, value) };
    }
}
