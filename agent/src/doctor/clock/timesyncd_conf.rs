//! `timesyncd.conf`: whom systemd-timesyncd is told to follow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::reference::{Configured, Reference};
use super::tree;
use crate::foreign::Writers;

/// The main file; the first that is there counts.
const MAIN: [&str; 4] = [
    "/etc/systemd/timesyncd.conf",
    "/run/systemd/timesyncd.conf",
    "/usr/local/lib/systemd/timesyncd.conf",
    "/usr/lib/systemd/timesyncd.conf",
];
/// Where systemd-networkd says which servers DHCP gave.
const NETWORKD: &str = "/run/systemd/netif/state";

/// Whom systemd-timesyncd follows: `NTP=` and what DHCP gave, and `FallbackNTP=` where neither names any. Its built-in
/// fall-back servers are not told, and are never Amazon's.
pub(super) fn read(root: &Path, writers: &Writers) -> Configured {
    let mut configured = Configured::default();
    let mut servers = Vec::new();
    let mut fallback = Vec::new();
    let main = MAIN.iter().find_map(|path| configured.read(root, Path::new(path), writers));
    let drop_ins = drop_ins(root, &mut configured, writers);
    let drop_ins: Vec<String> = drop_ins.iter().filter_map(|path| configured.read(root, path, writers)).collect();
    for text in main.iter().chain(&drop_ins) {
        for (key, value) in settings(text, "Time") {
            match key.as_str() {
                "NTP" => add(&mut servers, &value),
                "FallbackNTP" => add(&mut fallback, &value),
                _ => {}
            }
        }
    }
    if let Some(state) = configured.read(root, Path::new(NETWORKD), writers) {
        let given = state.lines().filter_map(|line| line.trim().strip_prefix("NTP="));
        given.for_each(|value| add(&mut servers, value));
    }
    let servers = if servers.is_empty() { fallback } else { servers };
    configured.references = servers.iter().map(|name| Reference::server(name)).collect();
    configured
}

/// The drop-ins in the order in which they are read; of two with the same name that in the first folder counts.
fn drop_ins(root: &Path, configured: &mut Configured, writers: &Writers) -> Vec<PathBuf> {
    let mut found = BTreeMap::new();
    for folder in MAIN.map(|main| PathBuf::from(format!("{main}.d"))) {
        for name in configured.list(root, &folder, writers).into_iter().filter(|name| name.ends_with(".conf")) {
            let path = folder.join(&name);
            found.entry(name).or_insert(path);
        }
    }
    // A link to nothing hides the files of its name.
    found.into_values().filter(|path| !tree::is_nothing(root, path)).collect()
}

/// The settings in one section of a file of systemd (systemd.syntax(7)).
fn settings(text: &str, wanted: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in joined(text) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if section == wanted
            && let Some((key, value)) = line.split_once('=')
        {
            found.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}

/// The lines, of which one that ends with a backslash goes on in the next that is no comment.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun: Option<String> = None;
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        let whole = format!("{}{line}", begun.take().unwrap_or_default());
        match whole.strip_suffix('\\') {
            Some(part) => begun = Some(format!("{part} ")),
            None => lines.push(whole),
        }
    }
    lines.extend(begun);
    lines
}

/// An empty value forgets those before it. What can be no name of a server is skipped, as a list with commas is.
fn add(servers: &mut Vec<String>, value: &str) {
    if value.is_empty() {
        servers.clear();
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || ".-_:[]%".contains(c);
    for server in value.split_whitespace().filter(|server| server.chars().all(is_of_name)).map(str::to_owned) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::doctor::clock::tree::plant;

    fn read_of(files: &[(&str, &str)]) -> Configured {
        read(plant(files).path(), &Writers::with([]))
    }

    fn names(configured: &Configured) -> Vec<&str> {
        configured.references.iter().map(|reference| reference.name.as_str()).collect()
    }

    #[test]
    fn the_fallback_counts_only_where_nothing_else_is_named() {
        let main = "[Time]\n#NTP=\nFallbackNTP=ntp.ubuntu.com\n[Other]\nNTP=wrong.example\n";
        assert_eq!(names(&read_of(&[(MAIN[0], main)])), ["ntp.ubuntu.com"]);
        let configured = read_of(&[
            (MAIN[0], main),
            ("/etc/systemd/timesyncd.conf.d/aws.conf", "[Time]\nNTP=169.254.169.123 a.example\n"),
            ("/usr/lib/systemd/timesyncd.conf.d/aws.conf", "[Time]\nNTP=hidden.example\n"),
            ("/etc/systemd/timesyncd.d/other.conf", "[Time]\nNTP=elsewhere.example\n"),
            (NETWORKD, "OPER_STATE=routable\nNTP=10.0.0.2 a.example\n"),
        ]);
        assert_eq!(names(&configured), ["169.254.169.123", "a.example", "10.0.0.2"]);
        assert!(configured.is_complete());
    }

    #[test]
    fn an_empty_setting_forgets_the_servers_before_it() {
        let configured = read_of(&[
            (MAIN[0], "[Time]\nNTP=a.example\n"),
            ("/run/systemd/timesyncd.conf.d/z.conf", "[Time]\nNTP=\nNTP=b.example\n"),
        ]);
        assert_eq!(names(&configured), ["b.example"]);
        assert_eq!(names(&read_of(&[])), Vec::<&str>::new());
    }

    #[cfg(unix)]
    #[test]
    fn a_drop_in_is_hidden_by_a_link_to_nothing_or_an_empty_file_of_its_name() {
        for mask in ["-> /dev/null", ""] {
            let configured = read_of(&[
                (MAIN[0], "[Time]\nNTP=a.example\n"),
                ("/usr/lib/systemd/timesyncd.conf.d/50-vendor.conf", "[Time]\nNTP=b.example\n"),
                ("/etc/systemd/timesyncd.conf.d/50-vendor.conf", mask),
            ]);
            assert_eq!(names(&configured), ["a.example"]);
            assert!(configured.is_complete(), "{configured:?}");
        }
    }

    #[test]
    fn a_line_goes_on_behind_a_backslash_and_over_comments() {
        let configured =
            read_of(&[(MAIN[3], "[Time]\nNTP=a.example \\\n# c\n; d\n  b.example\\\nc.example\nFallbackNTP=x\n")]);
        assert_eq!(names(&configured), ["a.example", "b.example", "c.example"]);
        assert_eq!(names(&read_of(&[(MAIN[0], "NTP=a\n[Time]\nNTP=b,c d\n")])), ["d"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let text = text.strip_prefix("-> ").unwrap_or(&text);
            read_of(&[(MAIN[0], text), (NETWORKD, text)]);
        }
    }
}
