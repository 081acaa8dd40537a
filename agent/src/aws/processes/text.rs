//! Text that is foreign, for output.

use std::path::Path;

/// The longest text that is kept of a process, in characters.
const LONGEST: usize = 256;
/// The longest path in bytes that the kernel takes, `PATH_MAX`: at a longer one there is nothing.
const LONGEST_PATH: usize = 4_096;

/// More arguments of a process are not looked at.
pub(super) const MOST_ARGUMENTS: usize = 4_096;

/// A text of a process or of a file of a user, for output: no control characters, and no longer than 256 characters.
pub(in crate::aws) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(LONGEST).collect()
}

/// Whether the kernel takes a path of this length.
pub(in crate::aws) fn is_path(path: &Path) -> bool {
    path.as_os_str().len() < LONGEST_PATH
}

/// The name of a file at the end of its path; empty where there is none that could be read.
pub(super) fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_chose_cannot_write_to_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(printable(&"x".repeat(1_000)).len(), LONGEST);
    }
}
