//! The proxy of WinINET, which every user has for himself.

use super::name::nameable;
use crate::doctor::windows::reader::Reader;

const SETTINGS: &str = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings";
/// Where it is told whether these settings are the machine's (`ProxySettingsPerUser` is 0).
const POLICY: &str = r"SOFTWARE\Policies\Microsoft\Windows\CurrentVersion\Internet Settings";
/// The metadata service.
const HOST: &str = "169.254.169.254";

/// Whose settings may be looked at, and by which key of the registry.
const USERS: [(&str, &str); 4] = [
    ("this user", r"HKCU\"),
    ("LocalSystem", r"HKU\S-1-5-18\"),
    ("LocalService", r"HKU\S-1-5-19\"),
    ("NetworkService", r"HKU\S-1-5-20\"),
];

/// What one user's settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WinInet {
    /// Whose they are.
    pub whose: &'static str,
    /// Where they stand, as PowerShell names it.
    pub path: String,
    /// Host and port for plain HTTP; `None` where no proxy is used.
    pub proxy: Option<String>,
    /// What is asked without it (`ProxyOverride`).
    pub bypass: String,
    /// Whether a script decides (`AutoConfigURL`).
    pub has_script: bool,
}

impl WinInet {
    /// Those of all of whom something is known.
    pub fn read(reader: &Reader<'_>) -> Vec<Self> {
        let is_of_machine = reader.number(POLICY, "ProxySettingsPerUser") == Some(0);
        let machine = is_of_machine.then_some(("the machine", ""));
        machine.into_iter().chain(USERS).filter_map(|(whose, hive)| Self::of(reader, whose, hive)).collect()
    }

    fn of(reader: &Reader<'_>, whose: &'static str, hive: &str) -> Option<Self> {
        let key = format!("{hive}{SETTINGS}");
        let is_enabled = reader.number(&key, "ProxyEnable").is_some_and(|number| number != 0);
        let proxy = if is_enabled { reader.text(&key, "ProxyServer") } else { None };
        let proxy = proxy.as_deref().and_then(of_http).map(nameable);
        let has_script = reader.has(&key, "AutoConfigURL");
        if proxy.is_none() && !has_script {
            return None;
        }
        let path = match hive.split_once('\\') {
            Some(("HKU", user)) => format!(r"Registry::HKEY_USERS\{user}{SETTINGS}"),
            Some(_) => format!(r"HKCU:\{SETTINGS}"),
            None => format!(r"HKLM:\{SETTINGS}"),
        };
        let bypass = reader.text(&key, "ProxyOverride").unwrap_or_default();
        Some(Self { whose, path, proxy, bypass, has_script })
    }

    /// Whether .NET sends requests for the metadata service through the proxy.
    pub fn swallows(&self) -> bool {
        self.proxy.is_some() && !excepts(&self.bypass, &[';', ' ', '\t', '\n', '\r'])
    }

    /// Whether botocore does, where no variable names a proxy: it knows one separator alone.
    pub fn swallows_botocore(&self) -> bool {
        self.proxy.is_some() && !excepts(&self.bypass, &[';'])
    }

    /// Excepts the metadata service.
    pub fn remedy(&self) -> String {
        let path = &self.path;
        match self.bypass.trim().is_empty() {
            true => format!("Set-ItemProperty '{path}' ProxyOverride '{HOST}'"),
            false => format!(
                "Set-ItemProperty '{path}' ProxyOverride ('{HOST};' + (Get-ItemProperty '{path}').ProxyOverride)"
            ),
        }
    }
}

/// The proxy for plain HTTP, of a text such as `proxy:3128` or `http=proxy:3128;https=other:3128`.
fn of_http(text: &str) -> Option<&str> {
    if text.trim().is_empty() {
        return None;
    }
    if !text.contains('=') {
        return Some(text.trim());
    }
    let mut entries = text.split([';', ' ']).filter_map(|entry| entry.split_once('='));
    entries.find(|(scheme, _)| scheme.trim().eq_ignore_ascii_case("http")).map(|(_, proxy)| proxy.trim())
}

fn excepts(list: &str, separators: &[char]) -> bool {
    list.split(separators).any(|pattern| is_like(pattern.trim(), HOST))
}

/// Whether a pattern, in which `*` is anything, is of this host.
fn is_like(pattern: &str, host: &str) -> bool {
    let pattern = pattern.strip_prefix("http://").unwrap_or(pattern);
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = host.strip_prefix(first) else { return false };
    let mut last = None;
    for piece in pieces {
        if let Some(before) = last.replace(piece) {
            let Some(at) = rest.find(before) else { return false };
            rest = rest.get(at + before.len()..).unwrap_or_default();
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_excepts_what_it_is_like() {
        for (list, expected) in [
            ("169.254.169.254", true),
            ("<local>", false),
            ("<local>;169.254.*", true),
            ("*.example;169.254.169.25", false),
            ("*", true),
            ("*.169.254", true),
            ("169.*.254", true),
            ("169.*9.254.169.254", false),
            ("http://169.254.169.254", true),
            ("", false),
        ] {
            assert_eq!(excepts(list, &[';']), expected, "{list}");
        }
        assert!(excepts("a 169.254.*", &[';', ' ']) && !excepts("a 169.254.*", &[';']));
    }

    #[test]
    fn the_proxy_of_plain_http_is_found_among_those_of_others() {
        assert_eq!(of_http("proxy.example:3128"), Some("proxy.example:3128"));
        assert_eq!(of_http("https=b:2;http=a:1"), Some("a:1"));
        assert_eq!(of_http("https=b:2;ftp=a:1"), None);
        assert_eq!(of_http(" "), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC*|[a-z0-9.*;= ]{0,40}") {
            let _ = (excepts(&text, &[';', ' ']), of_http(&text).map(nameable));
        }

        #[test]
        fn a_pattern_of_pieces_of_the_host_is_like_it(from in 0..15_usize, to in 0..15_usize) {
            let (from, to) = (from.min(to), from.max(to));
            let pattern = format!("{}*{}", &HOST[..from], &HOST[to..]);
            prop_assert!(is_like(&pattern, HOST), "{}", pattern);
        }
    }
}
