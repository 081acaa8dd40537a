//! What may be told of a proxy: its host and its port, and never the password that may stand before them.

/// Host and port of a proxy, such as `proxy.example:3128`.
pub(super) fn nameable(proxy: &str) -> String {
    let host = proxy.rsplit('@').next().unwrap_or_default();
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default().trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-_[]".contains(c);
    // A scheme that has lost its host, or what is left of a password, is none.
    let is_host = !host.is_empty() && host.len() <= 128 && host.chars().all(is_plain);
    let is_host = is_host && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    if is_host { host.to_owned() } else { "(a proxy)".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_and_port_are_told_and_nothing_else() {
        for (proxy, expected) in [
            ("proxy.example:3128", "proxy.example:3128"),
            ("http://proxy.example:3128/", "proxy.example:3128"),
            ("http://user:hunter2@proxy.example:3128", "proxy.example:3128"),
            ("user:hun/ter@2@proxy.example", "proxy.example"),
            ("http://user:hunter2@", "(a proxy)"),
            ("a proxy", "(a proxy)"),
            ("", "(a proxy)"),
        ] {
            assert_eq!(nameable(proxy), expected, "{proxy}");
        }
    }

    proptest! {
        #[test]
        fn a_password_is_never_told(password in "[a-zA-Z0-9@/:#? ]{0,12}") {
            let told = nameable(&format!("http://user:hunter2{password}@proxy.example:1"));
            prop_assert!(!told.contains("hunter2"), "{}", told);
        }
    }
}
