//! The configuration of the other time daemons: whom systemd-timesyncd, ntpd, OpenNTPD and ntpd-rs are told to follow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::reference::{Configured, Reference};
use super::tree;
use crate::foreign::Writers;

const TIMESYNCD: &str = "/etc/systemd/timesyncd.conf";
/// Drop-ins; of two with the same name that in the first folder counts.
const TIMESYNCD_FOLDERS: [&str; 4] = [
    "/etc/systemd/timesyncd.conf.d",
    "/run/systemd/timesyncd.conf.d",
    "/usr/local/lib/systemd/timesyncd.conf.d",
    "/usr/lib/systemd/timesyncd.conf.d",
];
/// Where systemd-networkd says which servers DHCP gave.
const NETWORKD: &str = "/run/systemd/netif/state";

const NTPD: [&str; 2] = ["/etc/ntpsec/ntp.conf", "/etc/ntp.conf"];
const OPENNTPD: [&str; 2] = ["/etc/openntpd/ntpd.conf", "/etc/ntpd.conf"];
const NTPD_RS: [&str; 1] = ["/etc/ntpd-rs/ntp.toml"];

/// Whom systemd-timesyncd follows: `NTP=` and what DHCP gave, and `FallbackNTP=` where neither names any. Its built-in
/// fall-back servers are not told, and are never Amazon's.
pub(super) fn timesyncd(root: &Path, writers: &Writers) -> Configured {
    let mut configured = Configured::default();
    let mut servers = Vec::new();
    let mut fallback = Vec::new();
    for path in timesyncd_files(root, writers) {
        let text = configured.read(root, &path, writers).unwrap_or_default();
        for (key, value) in settings(&text, "Time") {
            match key {
                "NTP" => add(&mut servers, value),
                "FallbackNTP" => add(&mut fallback, value),
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

/// The main file and the drop-ins, in the order in which they are read.
fn timesyncd_files(root: &Path, writers: &Writers) -> Vec<PathBuf> {
    let mut drop_ins = BTreeMap::new();
    for folder in TIMESYNCD_FOLDERS.map(Path::new) {
        let names = tree::names_of(root, folder, writers).unwrap_or_default();
        for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
            let path = folder.join(&name);
            drop_ins.entry(name).or_insert(path);
        }
    }
    std::iter::once(PathBuf::from(TIMESYNCD)).chain(drop_ins.into_values()).collect()
}

/// The settings in one section of a file of systemd.
fn settings<'a>(text: &'a str, wanted: &str) -> Vec<(&'a str, &'a str)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if section == wanted
            && let Some((key, value)) = line.split_once('=')
        {
            found.push((key.trim(), value.trim()));
        }
    }
    found
}

/// An empty value forgets those before it.
fn add(servers: &mut Vec<String>, value: &str) {
    if value.is_empty() {
        servers.clear();
    }
    for server in value.split_whitespace().map(str::to_owned) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
}

/// Whom ntpd follows, by the file of its command line or the usual ones.
pub(super) fn ntpd(root: &Path, named: Option<&Path>, writers: &Writers) -> Configured {
    of_lines(root, named, writers, &NTPD, |words| {
        let name = match words {
            // 127.127.0.0/16 are drivers; 127.127.1.0 is ntpd's own clock, which is nobody to follow.
            ["server" | "refclock", "127.127.1.0" | "local", ..] => return None,
            ["server", clock, ..] if clock.starts_with("127.127.") => return Some(clock_of(clock, words)),
            ["refclock", driver, ..] => return Some(clock_of(driver, words)),
            ["server" | "pool" | "peer", "-4" | "-6", host, ..] | ["server" | "pool" | "peer", host, ..] => *host,
            _ => return None,
        };
        Some(Reference { is_preferred: words.contains(&"prefer"), ..Reference::server(name) })
    })
}

fn clock_of(name: &str, words: &[&str]) -> Reference {
    Reference { is_clock: true, is_preferred: words.contains(&"prefer"), ..Reference::server(name) }
}

/// Whom OpenNTPD follows.
pub(super) fn openntpd(root: &Path, named: Option<&Path>, writers: &Writers) -> Configured {
    of_lines(root, named, writers, &OPENNTPD, |words| match words {
        ["server" | "servers", host, ..] => Some(Reference::server(host)),
        ["sensor", device, ..] => Some(Reference { is_clock: true, ..Reference::server(device) }),
        _ => None,
    })
}

/// Whom ntpd-rs follows: the addresses of its sources, each on a line of its own as its documentation writes them.
pub(super) fn ntpd_rs(root: &Path, named: Option<&Path>, writers: &Writers) -> Configured {
    of_lines(root, named, writers, &NTPD_RS, |words| match words {
        ["address", "=", value, ..] => Some(Reference::server(without_port(value.trim_matches(['"', '\''])))),
        _ => None,
    })
}

/// `host:port` without the port; an IPv6 address has more colons.
fn without_port(server: &str) -> &str {
    match server.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host.trim_matches(['[', ']'])
        }
        _ => server,
    }
}

/// Reads a file of which each line that matters stands for itself.
fn of_lines(
    root: &Path,
    named: Option<&Path>,
    writers: &Writers,
    candidates: &[&str],
    understand: impl Fn(&[&str]) -> Option<Reference>,
) -> Configured {
    let mut configured = Configured::default();
    let candidates = candidates.iter().map(Path::new).filter(|_| named.is_none());
    for path in named.into_iter().chain(candidates) {
        let Some(text) = configured.read(root, path, writers) else {
            continue;
        };
        for line in text.lines().filter_map(|line| line.split('#').next()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["includefile" | "include", more, ..] = words.as_slice() {
                configured.unread.push(format!("{more}: files that are included are not followed"));
            }
            configured.references.extend(understand(&words));
        }
        break;
    }
    configured
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::doctor::clock::tree::plant;

    fn names(configured: &Configured) -> Vec<&str> {
        configured.references.iter().map(|reference| reference.name.as_str()).collect()
    }

    #[test]
    fn the_fallback_of_timesyncd_counts_only_where_nothing_else_is_named() {
        let main = "[Time]\n#NTP=\nFallbackNTP=ntp.ubuntu.com\n[Other]\nNTP=wrong.example\n";
        let root = plant(&[(TIMESYNCD, main)]);
        assert_eq!(names(&timesyncd(root.path(), &Writers::with([]))), ["ntp.ubuntu.com"]);
        let root = plant(&[
            (TIMESYNCD, main),
            ("/etc/systemd/timesyncd.conf.d/aws.conf", "[Time]\nNTP=169.254.169.123 a.example\n"),
            ("/usr/lib/systemd/timesyncd.conf.d/aws.conf", "[Time]\nNTP=hidden.example\n"),
            (NETWORKD, "OPER_STATE=routable\nNTP=10.0.0.2 a.example\n"),
        ]);
        let configured = timesyncd(root.path(), &Writers::with([]));
        assert_eq!(names(&configured), ["169.254.169.123", "a.example", "10.0.0.2"]);
        assert!(configured.is_complete());
    }

    #[test]
    fn an_empty_setting_forgets_the_servers_before_it() {
        let root = plant(&[
            (TIMESYNCD, "[Time]\nNTP=a.example\n"),
            ("/run/systemd/timesyncd.conf.d/z.conf", "[Time]\nNTP=\nNTP=b.example\n"),
        ]);
        assert_eq!(names(&timesyncd(root.path(), &Writers::with([]))), ["b.example"]);
        assert_eq!(names(&timesyncd(plant(&[]).path(), &Writers::with([]))), Vec::<&str>::new());
    }

    #[test]
    fn the_servers_of_ntpd_are_read_and_its_own_clock_is_none() {
        let root = plant(&[(
            "/etc/ntp.conf",
            "# server old.example\nserver 169.254.169.123 prefer iburst # aws\npool -4 2.pool.ntp.org\n\
             server 127.127.1.0\nserver 127.127.20.0 mode 1\nrestrict default\n",
        )]);
        let configured = ntpd(root.path(), None, &Writers::with([]));
        assert_eq!(names(&configured), ["169.254.169.123", "2.pool.ntp.org", "127.127.20.0"]);
        assert!(configured.references[0].is_preferred && configured.references[2].is_clock);
        let root = plant(&[("/etc/ntp.conf", "server a.example\nincludefile /etc/more.conf")]);
        assert!(!ntpd(root.path(), None, &Writers::with([])).is_complete());
    }

    #[test]
    fn openntpd_and_ntpd_rs_name_their_servers_in_their_own_way() {
        let root = plant(&[
            ("/etc/openntpd/ntpd.conf", "servers pool.ntp.org\nserver 169.254.169.123\nsensor nmea0\n"),
            (
                "/etc/ntpd-rs/ntp.toml",
                "[[source]]\nmode = \"server\"\naddress = \"169.254.169.123:123\"\n# address = \"x\"\n",
            ),
        ]);
        assert_eq!(
            names(&openntpd(root.path(), None, &Writers::with([]))),
            ["pool.ntp.org", "169.254.169.123", "nmea0"]
        );
        assert_eq!(names(&ntpd_rs(root.path(), None, &Writers::with([]))), ["169.254.169.123"]);
        assert_eq!(without_port("[fd00:ec2::123]:123"), "fd00:ec2::123");
        assert_eq!(without_port("fd00:ec2::123"), "fd00:ec2::123");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let files = [TIMESYNCD, NETWORKD, "/etc/ntp.conf", "/etc/ntpd.conf", "/etc/ntpd-rs/ntp.toml"];
            let root = plant(&files.map(|path| (path, text.strip_prefix("-> ").unwrap_or(&text))));
            timesyncd(root.path(), &Writers::with([]));
            ntpd(root.path(), None, &Writers::with([]));
            openntpd(root.path(), None, &Writers::with([]));
            ntpd_rs(root.path(), None, &Writers::with([]));
        }
    }
}
