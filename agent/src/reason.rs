//! Why the system refuses something, in words.

use std::io;

/// What the system says. Where Rust has a name for it that name, which is the same wherever it is read; else the system's
/// own text with its number: "uncategorized error" would tell nobody anything.
pub fn reason(error: &io::Error) -> String {
    let kind = error.kind().to_string();
    match kind.as_str() {
        "uncategorized error" | "other error" => error.to_string(),
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn every_refusal_of_the_system_is_worded() {
        assert_eq!(reason(&io::Error::from_raw_os_error(libc::EACCES)), "permission denied");
        assert_eq!(reason(&io::Error::from_raw_os_error(libc::ENODEV)), "No such device (os error 19)");
        assert_eq!(reason(&io::Error::other("too odd")), "too odd");
        for errno in 1..134 {
            let told = reason(&io::Error::from_raw_os_error(errno));
            assert!(!told.contains("uncategorized") && !told.contains("other error"), "{errno}: {told}");
        }
    }
}
