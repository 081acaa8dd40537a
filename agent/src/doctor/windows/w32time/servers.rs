//! The list of servers that the Windows Time service is given.

/// The addresses of Amazon Time Sync on every instance.
pub const AMAZON: [&str; 2] = ["169.254.169.123", "fd00:ec2::123"];
/// The name of Amazon Time Sync in the internet.
const AMAZON_PUBLIC: &str = "time.aws.com";
/// More servers than this are not looked at.
const MOST: usize = 32;

/// Ask at the interval of `SpecialPollInterval`.
const SPECIAL_INTERVAL: u32 = 0x1;
/// Ask it only where all others fail.
const FALLBACK: u32 = 0x2;
/// Be a symmetric peer of it.
const SYMMETRIC: u32 = 0x4;
/// Be its client.
const CLIENT: u32 = 0x8;

/// A server with its flags.
///
/// Source: `NtpServer` in "Windows Time service tools and settings" of Microsoft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or address.
    pub name: String,
    /// What is written behind its comma; 0 where nothing is, or what is no number.
    pub flags: u32,
}

impl Server {
    /// Those of a list such as `169.254.169.123,0x9 time.windows.com,0x8`.
    pub fn list(text: &str) -> Vec<Self> {
        let entries = text.split_whitespace().map(|entry| entry.split_once(',').unwrap_or((entry, "")));
        let named = entries.filter(|(name, _)| !name.is_empty()).take(MOST);
        named.map(|(name, flags)| Self { name: name.to_owned(), flags: number(flags).unwrap_or(0) }).collect()
    }

    /// Whether it is Amazon Time Sync, which needs no way to the internet.
    pub fn is_amazon(&self) -> bool {
        AMAZON.contains(&self.name.as_str())
    }

    /// Whether it may be out of reach of a subnet without a way to the internet.
    pub fn is_public(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        let ends = ["windows.com", "pool.ntp.org", "nist.gov", "google.com", "cloudflare.com", "apple.com"];
        name == AMAZON_PUBLIC || ends.iter().any(|end| name == *end || name.ends_with(&format!(".{end}")))
    }

    /// Whether it is asked at the interval of `SpecialPollInterval`.
    pub const fn is_at_special_interval(&self) -> bool {
        self.flags & SPECIAL_INTERVAL != 0
    }

    /// Whether it is asked only where all others fail.
    pub const fn is_fallback(&self) -> bool {
        self.flags & FALLBACK != 0
    }

    /// Whether requests say that they come from a peer: many servers do not answer these. Without any flag they may as well,
    /// but AWS writes its address so, and that works.
    pub const fn is_symmetric(&self) -> bool {
        self.flags & SYMMETRIC != 0 && self.flags & CLIENT == 0
    }
}

fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn servers_stand_between_blanks_with_their_flags_behind_a_comma() {
        let list = Server::list("169.254.169.123,0x9  time.windows.com,8 ntp.example ,0x1 odd,zz");
        let list: Vec<_> = list.iter().map(|server| (server.name.as_str(), server.flags)).collect();
        assert_eq!(list, [("169.254.169.123", 9), ("time.windows.com", 8), ("ntp.example", 0), ("odd", 0)]);
    }

    #[test]
    fn the_flags_say_how_a_server_is_asked() {
        let server = |flags| Server { name: "a".to_owned(), flags };
        assert!(server(0x9).is_at_special_interval() && !server(0x8).is_at_special_interval());
        assert!(server(0xa).is_fallback());
        assert!(server(0x4).is_symmetric() && !server(0xc).is_symmetric() && !server(0).is_symmetric());
    }

    #[test]
    fn public_servers_are_known_by_their_names() {
        for (name, is_public) in [
            ("time.windows.com", true),
            ("0.pool.ntp.org", true),
            ("dc1.corp.example", false),
            ("notwindows.com", false),
        ] {
            assert_eq!(Server { name: name.to_owned(), flags: 0 }.is_public(), is_public, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_of_bounded_length(text in "\\PC*|([a-z,0x9 ]{0,9} ){0,80}") {
            prop_assert!(Server::list(&text).len() <= MOST);
        }
    }
}
