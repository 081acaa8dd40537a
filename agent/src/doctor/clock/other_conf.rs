//! The configuration of OpenNTPD and of ntpd-rs: whom they are told to follow.

use std::path::Path;

use super::reference::{Configured, Reference};
use super::toml;
use crate::foreign::Writers;

const OPENNTPD: [&str; 2] = ["/etc/openntpd/ntpd.conf", "/etc/ntpd.conf"];
const NTPD_RS: [&str; 1] = ["/etc/ntpd-rs/ntp.toml"];
/// The kinds of sources of ntpd-rs that are clocks of the host; what they follow is called their `path`.
const CLOCKS: [&str; 2] = ["sock", "pps"];

/// Whom OpenNTPD follows.
pub(super) fn openntpd(root: &Path, named: Option<&Path>, writers: &Writers) -> Configured {
    let mut configured = Configured::default();
    let text = text(&mut configured, root, named, &OPENNTPD, writers).unwrap_or_default();
    // A line goes on behind a backslash.
    let text = text.replace("\\\n", " ");
    for line in text.lines().filter_map(|line| line.split('#').next()) {
        let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches('"')).collect();
        match words.as_slice() {
            ["server" | "servers", host, ..] => configured.references.push(Reference::server(host)),
            ["sensor", device, ..] => {
                configured.references.push(Reference { is_clock: true, ..Reference::server(device) });
            }
            _ => {}
        }
    }
    configured
}

/// Whom ntpd-rs follows: its sources, which older versions call peers.
pub(super) fn ntpd_rs(root: &Path, named: Option<&Path>, writers: &Writers) -> Configured {
    let mut configured = Configured::default();
    let Some(text) = text(&mut configured, root, named, &NTPD_RS, writers) else { return configured };
    let table = match toml::parse(&text) {
        Ok(table) => table,
        Err(line) => {
            let file = configured.files.first().map_or_else(String::new, |file| file.display().to_string());
            configured.unread.push(format!("{file}: line {line} is no TOML"));
            return configured;
        }
    };
    for source in ["source", "peer", "peers"].iter().flat_map(|key| table.tables(key)) {
        let is_clock = source.text("mode").is_some_and(|mode| CLOCKS.contains(&mode));
        let name = source.text("address").map(without_port).or_else(|| source.text("path"));
        configured.references.extend(name.map(|name| Reference { is_clock, ..Reference::server(name) }));
    }
    configured
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

/// The file that is named, or the first that is there.
fn text(
    configured: &mut Configured,
    root: &Path,
    named: Option<&Path>,
    candidates: &[&str],
    writers: &Writers,
) -> Option<String> {
    let candidates = candidates.iter().map(Path::new).filter(|_| named.is_none());
    named.into_iter().chain(candidates).find_map(|path| configured.read(root, path, writers))
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
    fn openntpd_and_ntpd_rs_name_their_servers_in_their_own_way() {
        let root = plant(&[
            (
                "/etc/openntpd/ntpd.conf",
                "servers pool.ntp.org\nserver \\\n \"169.254.169.123\" weight 5 # x\nsensor nmea0\n#server a.example\n",
            ),
            (
                "/etc/ntpd-rs/ntp.toml",
                "[[source]]\nmode = \"server\"\naddress = \"169.254.169.123:123\"\n# address = \"x\"\n[[source]]\n\
                 mode=\"pps\"\npath=\"/dev/pps0\"\n[keyset]\naddress = \"no source\"\n[[server]]\nlisten=\"[::]:123\"\n",
            ),
            ("/etc/inline.toml", "source = [\n  { mode = \"pool\", address = \"a.example\", count = 4 }, # b\n]\n"),
            ("/etc/wrong.toml", "[[source]]\naddress = \n"),
        ]);
        let writers = Writers::with([]);
        assert_eq!(names(&openntpd(root.path(), None, &writers)), ["pool.ntp.org", "169.254.169.123", "nmea0"]);
        let configured = ntpd_rs(root.path(), None, &writers);
        assert_eq!(names(&configured), ["169.254.169.123", "/dev/pps0"]);
        assert!(configured.references[1].is_clock && configured.is_complete());
        assert_eq!(names(&ntpd_rs(root.path(), Some(Path::new("/etc/inline.toml")), &writers)), ["a.example"]);
        let wrong = ntpd_rs(root.path(), Some(Path::new("/etc/wrong.toml")), &writers);
        assert_eq!(wrong.unread, ["/etc/wrong.toml: line 2 is no TOML"]);
        assert_eq!(without_port("[fd00:ec2::123]:123"), "fd00:ec2::123");
        assert_eq!(without_port("fd00:ec2::123"), "fd00:ec2::123");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let text = text.strip_prefix("-> ").unwrap_or(&text);
            let root = plant(&["/etc/ntpd.conf", "/etc/ntpd-rs/ntp.toml"].map(|path| (path, text)));
            openntpd(root.path(), None, &Writers::with([]));
            ntpd_rs(root.path(), None, &Writers::with([]));
        }
    }
}
