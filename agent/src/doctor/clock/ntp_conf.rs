//! `ntp.conf`: whom ntpd is told to follow, be it that of ntpsec, of the NTP reference implementation or of busybox.

use std::path::{Path, PathBuf};

use super::reference::{Configured, Reference};
use super::tree;
use crate::foreign::{Refusal, Writers};

const CANDIDATES: [&str; 2] = ["/etc/ntpsec/ntp.conf", "/etc/ntp.conf"];
/// Busybox knows one place.
const OF_BUSYBOX: &str = "/etc/ntp.conf";
/// ntpd follows no more levels of `includefile`.
const DEEPEST: u32 = 5;
const MOST_FILES: usize = 256;

/// Whom ntpd follows, by the file of its command line or the usual ones, what stands in the folder `ntp.d` beside it, and
/// the servers of the command line.
pub(super) fn ntpd(root: &Path, named: Option<&Path>, servers: &[String], writers: &Writers) -> Configured {
    let mut reader = Reader { root, writers, configured: Configured::default() };
    let candidates = CANDIDATES.iter().map(Path::new).filter(|_| named.is_none());
    let main = named.into_iter().chain(candidates).find(|path| reader.file(path, 0));
    if let Some(folder) = main.and_then(Path::parent) {
        reader.folder(&folder.join("ntp.d"), 0);
    }
    reader.configured.references.extend(servers.iter().map(|server| Reference::server(server)));
    reader.configured
}

/// Whom the ntpd of busybox follows: the servers of its command line, and those of the file where there are none.
pub(super) fn busybox(root: &Path, servers: &[String], writers: &Writers) -> Configured {
    let mut configured = Configured::default();
    if servers.is_empty() {
        let text = configured.read(root, Path::new(OF_BUSYBOX), writers).unwrap_or_default();
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        configured.references = lines
            .filter_map(|words| match words.as_slice() {
                ["server", host, ..] => Some(Reference::server(host)),
                _ => None,
            })
            .collect();
    } else {
        configured.is_on_command_line = true;
        // A key may stand before the server.
        let host = |server: &String| {
            server
                .rsplit_once(":")
                .filter(|(key, _)| key.starts_with("keyno:"))
                .map_or_else(|| server.clone(), |(_, host)| host.to_owned())
        };
        configured.references = servers.iter().map(|server| Reference::server(&host(server))).collect();
    }
    configured
}

struct Reader<'a> {
    root: &'a Path,
    writers: &'a Writers,
    configured: Configured,
}

impl Reader<'_> {
    /// Reads a file; whether it is there, or may be.
    fn file(&mut self, path: &Path, depth: u32) -> bool {
        if depth > DEEPEST || self.configured.files.len() >= MOST_FILES {
            self.configured.unread.push(format!("{}: too many files include one another", path.display()));
            return true;
        }
        let unread = self.configured.unread.len();
        let Some(text) = self.configured.read(self.root, path, self.writers) else {
            return self.configured.unread.len() > unread;
        };
        for line in text.lines() {
            let words = words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let ["includefile", more, ..] = words.as_slice() {
                self.include(Path::new(more), path, depth);
            } else if let Some(reference) = understand(&words) {
                self.configured.references.push(reference);
            }
        }
        true
    }

    /// A file, of which ntpsec takes the path from where the other one is, or all of a folder.
    fn include(&mut self, more: &Path, from: &Path, depth: u32) {
        let path = from.parent().map_or_else(|| PathBuf::from(more), |folder| folder.join(more));
        if !self.folder(&path, depth + 1) {
            self.file(&path, depth + 1);
        }
    }

    /// Reads what is in a folder; whether it is one.
    fn folder(&mut self, path: &Path, depth: u32) -> bool {
        let names = match tree::names_of(self.root, path, self.writers) {
            Ok(names) => names,
            Err(Refusal::NotFound | Refusal::NotAFolder | Refusal::NotAFile) => return false,
            Err(refusal) => {
                self.configured.unread.push(format!("{}: {refusal}", path.display()));
                return true;
            }
        };
        for name in names.iter().filter(|name| name.ends_with(".conf")) {
            self.file(&path.join(name), depth + 1);
        }
        true
    }
}

/// The words of a line before a comment; quotes hold one together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            '#' if !is_quoted => break,
            c if c.is_whitespace() && !is_quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn understand(words: &[&str]) -> Option<Reference> {
    // It is only watched.
    if words.contains(&"noselect") {
        return None;
    }
    let name = match words {
        // 127.127.0.0/16 are drivers; 127.127.1.0 is ntpd's own clock, which is nobody to follow.
        ["server" | "refclock", "local", ..] => return None,
        ["server", clock, ..] if clock.starts_with("127.127.1.") => return None,
        ["server", clock, ..] if clock.starts_with("127.127.") => return Some(clock_of(clock, words)),
        ["refclock", driver, ..] => return Some(clock_of(driver, words)),
        ["server" | "pool" | "peer" | "manycastclient", "-4" | "-6", host, ..]
        | ["server" | "pool" | "peer" | "manycastclient", host, ..] => *host,
        ["broadcastclient" | "multicastclient", ..] => "whoever broadcasts",
        _ => return None,
    };
    Some(Reference { is_preferred: words.contains(&"prefer"), ..Reference::server(name) })
}

fn clock_of(name: &str, words: &[&str]) -> Reference {
    Reference { is_clock: true, is_preferred: words.contains(&"prefer"), ..Reference::server(name) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::doctor::clock::tree::plant;

    fn names(configured: &Configured) -> Vec<&str> {
        configured.references.iter().map(|reference| reference.name.as_str()).collect()
    }

    fn read(files: &[(&str, &str)], named: Option<&str>) -> Configured {
        ntpd(plant(files).path(), named.map(Path::new), &[], &Writers::with([]))
    }

    #[test]
    fn the_servers_of_ntpd_are_read_and_its_own_clock_is_none() {
        let configured = read(
            &[(
                "/etc/ntp.conf",
                "# server old.example\nserver 169.254.169.123 prefer iburst # aws\npool -4 2.pool.ntp.org\n\
                 server 127.127.1.0\nserver 127.127.20.0 mode 1\nrestrict default\nserver \"b.example\"\n\
                 server watched.example noselect\nrefclock shm unit 0 noselect\n",
            )],
            None,
        );
        assert_eq!(names(&configured), ["169.254.169.123", "2.pool.ntp.org", "127.127.20.0", "b.example"]);
        assert!(configured.references[0].is_preferred && configured.references[2].is_clock);
    }

    #[test]
    fn what_is_included_and_what_stands_beside_is_read() {
        let files = [
            ("/etc/ntpsec/ntp.conf", "server a.example\nincludefile /etc/ntp/crypto/pw\nincludefile more.conf\n"),
            ("/etc/ntp/crypto/pw", "crypto pw changeit\n"),
            ("/etc/ntpsec/more.conf", "server b.example\nincludefile /etc/ntpsec/d\n"),
            ("/etc/ntpsec/d/c.conf", "server c.example\n"),
            ("/etc/ntpsec/d/c.bak", "server old.example\n"),
            ("/etc/ntpsec/ntp.d/d.conf", "server d.example\n"),
        ];
        let configured = read(&files, Some("/etc/ntpsec/ntp.conf"));
        assert_eq!(names(&configured), ["a.example", "b.example", "c.example", "d.example"]);
        assert!(configured.is_complete(), "{configured:?}");
        let missing = read(&[("/etc/ntp.conf", "server a.example\nincludefile /etc/none.conf")], None);
        assert!(missing.is_complete(), "ntpd goes on without it");
        let endless = read(&[("/etc/ntp.conf", "server a.example\nincludefile /etc/ntp.conf")], None);
        assert!(!endless.is_complete() && endless.files.len() <= MOST_FILES);
    }

    #[test]
    fn servers_of_the_command_line_are_followed() {
        let root = plant(&[("/etc/ntp.conf", "server a.example\n")]);
        let told = ["b.example".to_owned()];
        assert_eq!(names(&ntpd(root.path(), None, &told, &Writers::with([]))), ["a.example", "b.example"]);
        assert_eq!(names(&busybox(root.path(), &told, &Writers::with([]))), ["b.example"]);
        assert_eq!(names(&busybox(root.path(), &[], &Writers::with([]))), ["a.example"]);
        let keyed = ["keyno:1:169.254.169.123".to_owned()];
        assert_eq!(names(&busybox(root.path(), &keyed, &Writers::with([]))), ["169.254.169.123"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let text = text.strip_prefix("-> ").unwrap_or(&text);
            read(&[("/etc/ntp.conf", text)], None);
        }
    }
}
