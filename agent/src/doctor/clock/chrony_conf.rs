//! `chrony.conf`: whom chronyd is told to follow, and where it takes commands.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use super::chronyd::Place;
use super::glob::matches;
use super::reference::{Configured, Reference};
use crate::foreign::Writers;

/// Debian's place, and that of all others.
const CANDIDATES: [&str; 2] = ["/etc/chrony/chrony.conf", "/etc/chrony.conf"];
/// chronyd follows no more levels of `include`.
const DEEPEST: u32 = 10;
/// No host has more files of configuration; a folder that includes itself would.
const MOST_FILES: usize = 256;

const PORT: u16 = 323;
const SOCKET: &str = "/run/chrony/chronyd.sock";

/// What `chrony.conf` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChronyConf {
    /// Whom chronyd is to follow.
    pub configured: Configured,
    /// Whether chronyd tells the kernel that the clock is synchronized (`rtcsync`); without it the kernel never knows.
    pub tells_kernel: bool,
    /// Where chronyd takes commands, in the order in which it should be asked.
    pub places: Vec<Place>,
}

/// Reads chronyd's configuration below `root`: the directives of its command line, the file that this names, or the first
/// that is there. `None` where there is none. What others than `writers` can have written is not followed.
pub fn read(root: &Path, named: Option<&Path>, directives: &[String], writers: &Writers) -> Option<ChronyConf> {
    let mut reader = Reader::new(root, writers);
    // Where its command line has any, chronyd reads no file.
    if !directives.is_empty() {
        reader.configured.is_on_command_line = true;
        directives.iter().for_each(|directive| reader.line(directive, 0));
        return Some(reader.end());
    }
    match named {
        Some(path) => reader.file(path, 0),
        None => {
            for path in CANDIDATES {
                reader.file(Path::new(path), 0);
                if !reader.is_empty() {
                    break;
                }
            }
        }
    }
    (!reader.is_empty()).then(|| reader.end())
}

/// Where chronyd takes commands by its configuration, or where it does without any.
pub(super) fn places(root: &Path, conf: Option<&ChronyConf>, writers: &Writers) -> Vec<Place> {
    conf.map_or_else(|| Reader::new(root, writers).end().places, |conf| conf.places.clone())
}

struct Reader<'a> {
    root: &'a Path,
    writers: &'a Writers,
    configured: Configured,
    tells_kernel: bool,
    port: u16,
    addresses: Vec<IpAddr>,
    socket: Option<PathBuf>,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Path, writers: &'a Writers) -> Self {
        Self {
            root,
            writers,
            configured: Configured::default(),
            tells_kernel: false,
            port: PORT,
            addresses: Vec::new(),
            socket: Some(PathBuf::from(SOCKET)),
        }
    }

    fn is_empty(&self) -> bool {
        self.configured.files.is_empty() && self.configured.unread.is_empty()
    }

    fn end(self) -> ChronyConf {
        let mut places = Vec::new();
        if self.port != 0 {
            let address = self.addresses.first().copied().filter(|address| !address.is_unspecified());
            let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            places.push(Place::Udp(SocketAddr::new(address, self.port)));
        }
        let (root, writers) = (self.root.to_owned(), self.writers.clone());
        places.extend(self.socket.map(|path| Place::Socket { root, path, writers }));
        ChronyConf { configured: self.configured, tells_kernel: self.tells_kernel, places }
    }

    fn file(&mut self, path: &Path, depth: u32) {
        if depth > DEEPEST || self.configured.files.len() >= MOST_FILES {
            self.configured.unread.push(format!("{}: too many files include one another", path.display()));
            return;
        }
        let Some(text) = self.configured.read(self.root, path, self.writers) else {
            return;
        };
        for line in text.lines() {
            self.line(line, depth);
        }
    }

    fn line(&mut self, line: &str, depth: u32) {
        let mut words = line.split_whitespace();
        let Some(directive) = words.next().filter(|word| !word.starts_with(['!', ';', '#', '%'])) else {
            return;
        };
        let words: Vec<&str> = words.collect();
        let first = words.first().copied();
        match (directive.to_ascii_lowercase().as_str(), first) {
            ("server" | "pool" | "peer", Some(host)) => self.reference(host.to_owned(), false, &words),
            ("refclock", Some(driver)) => {
                // Options of a driver follow the device after colons.
                let device = words.get(1).and_then(|device| device.split(':').next()).unwrap_or_default();
                self.reference(format!("{driver} {device}").trim_end().to_owned(), true, &words);
            }
            ("rtcsync", _) => self.tells_kernel = true,
            ("cmdport", Some(port)) => self.port = port.parse().unwrap_or(PORT),
            ("bindcmdaddress", Some("/")) => self.socket = None,
            ("bindcmdaddress", Some(path)) if path.starts_with('/') => self.socket = Some(PathBuf::from(path)),
            ("bindcmdaddress", Some(address)) => self.addresses.extend(address.parse::<IpAddr>()),
            ("include", Some(pattern)) => self.include(Path::new(pattern), depth),
            ("confdir", _) => self.folders(&words, ".conf", depth),
            ("sourcedir", _) => self.folders(&words, ".sources", depth),
            _ => {}
        }
    }

    fn reference(&mut self, name: String, is_clock: bool, words: &[&str]) {
        let has = |option: &str| words.iter().any(|word| word.eq_ignore_ascii_case(option));
        // It is only watched.
        if !has("noselect") {
            self.configured.references.push(Reference { name, is_clock, is_preferred: has("prefer") || has("trust") });
        }
    }

    /// `include` takes a pattern of file names.
    fn include(&mut self, pattern: &Path, depth: u32) {
        let mut found = vec![PathBuf::from("/")];
        for part in pattern.components() {
            let Component::Normal(part) = part else { continue };
            let Some(part) = part.to_str() else { return };
            found = found.iter().flat_map(|folder| self.matching(folder, part)).take(MOST_FILES).collect();
        }
        for path in found {
            self.file(&path, depth + 1);
        }
    }

    /// What a part of a pattern means in a folder. Without a sign that means others it is a name, be it there or not.
    fn matching(&mut self, folder: &Path, part: &str) -> Vec<PathBuf> {
        if !part.contains(['*', '?', '[']) {
            return vec![folder.join(part)];
        }
        let names = self.configured.list(self.root, folder, self.writers);
        names.iter().filter(|name| matches(part, name)).map(|name| folder.join(name)).collect()
    }

    /// All files of these folders in the order of their names; of two with the same name that in the first folder counts.
    fn folders(&mut self, folders: &[&str], suffix: &str, depth: u32) {
        let mut files = BTreeMap::new();
        for folder in folders.iter().map(Path::new) {
            for name in
                self.configured.list(self.root, folder, self.writers).into_iter().filter(|name| name.ends_with(suffix))
            {
                let path = folder.join(&name);
                files.entry(name).or_insert(path);
            }
        }
        for path in files.values() {
            self.file(path, depth + 1);
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;
    use crate::doctor::clock::tree::plant;

    fn read(root: &Path, named: Option<&Path>) -> Option<ChronyConf> {
        super::read(root, named, &[], &Writers::with([]))
    }

    fn names(conf: &ChronyConf) -> Vec<&str> {
        conf.configured.references.iter().map(|reference| reference.name.as_str()).collect()
    }

    fn one(text: &str) -> ChronyConf {
        read(plant(&[("/etc/chrony.conf", text)]).path(), None).unwrap()
    }

    #[test]
    fn the_configuration_of_a_debian_on_ec2_is_read_whole() {
        let root = plant(&[
            (
                "/etc/chrony/chrony.conf",
                "# Include configuration files found in /etc/chrony/conf.d.\nconfdir /etc/chrony/conf.d\n\
                 sourcedir /run/chrony-dhcp\nsourcedir /etc/chrony/sources.d\nkeyfile /etc/chrony/chrony.keys\n\
                 rtcsync\nmakestep 1 3\n",
            ),
            ("/etc/chrony/conf.d/aws.conf", "server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4\n"),
            ("/etc/chrony/conf.d/notes.txt", "server wrong.example\n"),
            ("/etc/chrony/sources.d/pool.sources", "  POOL 2.debian.pool.ntp.org iburst\n! server old.example\n"),
        ]);
        let conf = read(root.path(), None).unwrap();
        assert_eq!(names(&conf), ["169.254.169.123", "2.debian.pool.ntp.org"]);
        assert!(conf.configured.references[0].is_preferred && !conf.configured.references[1].is_preferred);
        assert!(conf.tells_kernel && conf.configured.is_complete(), "{conf:?}");
        let socket = Place::Socket {
            root: root.path().to_owned(),
            path: "/run/chrony/chronyd.sock".into(),
            writers: Writers::with([]),
        };
        assert_eq!(conf.places, [Place::Udp(([127, 0, 0, 1], 323).into()), socket]);
    }

    #[test]
    fn the_file_of_the_command_line_counts_where_there_is_one() {
        let root = plant(&[("/etc/chrony.conf", "server a.example"), ("/opt/chrony.conf", "server b.example")]);
        assert_eq!(names(&read(root.path(), Some(Path::new("/opt/chrony.conf"))).unwrap()), ["b.example"]);
        assert_eq!(names(&read(root.path(), None).unwrap()), ["a.example"]);
        assert_eq!(read(plant(&[]).path(), None), None);
    }

    #[test]
    fn clocks_are_references_and_what_is_only_watched_is_none() {
        let conf = one("refclock PHC /dev/ptp_ena:nocrossts poll 0 prefer\nrefclock PPS /dev/pps0\n\
             server a.example noselect\npeer b.example\nserver\nlocal stratum 10\n");
        assert_eq!(names(&conf), ["PHC /dev/ptp_ena", "PPS /dev/pps0", "b.example"]);
        assert!(conf.configured.references[0].is_hardware_clock());
        assert!(!conf.tells_kernel);
    }

    #[test]
    fn chronyd_is_asked_where_it_listens() {
        let udp = |text| one(text).places.first().cloned();
        assert_eq!(udp("cmdport 3323"), Some(Place::Udp(([127, 0, 0, 1], 3323).into())));
        assert_eq!(udp("bindcmdaddress 10.0.0.1"), Some(Place::Udp(([10, 0, 0, 1], 323).into())));
        assert_eq!(udp("bindcmdaddress 0.0.0.0"), Some(Place::Udp(([127, 0, 0, 1], 323).into())));
        assert_eq!(one("cmdport 0\nbindcmdaddress /").places, []);
        assert!(
            matches!(&one("cmdport 0\nbindcmdaddress /a/b").places[..], [Place::Socket { path, .. }] if path.ends_with("a/b"))
        );
    }

    #[test]
    fn the_first_folder_wins_and_patterns_are_followed() {
        let root = plant(&[
            (
                "/etc/chrony.conf",
                "confdir /a /b\ninclude /c/*.conf\ninclude /c/x?.conf\ninclude /[d]/*/y.conf\ninclude /none/*.conf",
            ),
            ("/a/1.conf", "server a1.example"),
            ("/b/1.conf", "server b1.example"),
            ("/b/0.conf", "server b0.example"),
            ("/c/2.conf", "server c2.example"),
            ("/c/2.conf~", "server backup.example"),
            ("/c/x1.conf", "server x1.example"),
            ("/d/z/y.conf", "server y.example"),
        ]);
        let conf = read(root.path(), None).unwrap();
        assert_eq!(names(&conf), ["b0.example", "a1.example", "c2.example", "x1.example", "x1.example", "y.example"]);
        assert!(conf.configured.is_complete(), "{conf:?}");
    }

    #[test]
    fn files_that_include_one_another_end() {
        let root = plant(&[("/etc/chrony.conf", "server a.example\ninclude /etc/chrony.conf")]);
        let conf = read(root.path(), None).unwrap();
        assert!(!conf.configured.is_complete() && conf.configured.files.len() <= MOST_FILES, "{conf:?}");
        let root = plant(&[("/etc/chrony.conf", "confdir /etc/d"), ("/etc/d/a.conf", "confdir /etc/d")]);
        std::os::unix::fs::symlink("loop.conf", root.path().join("etc/d/loop.conf")).unwrap();
        let conf = read(root.path(), None).unwrap();
        assert!(!conf.configured.is_complete() && conf.configured.files.len() <= MOST_FILES);
    }

    #[test]
    fn what_may_not_be_read_is_remembered() {
        // A folder where a file should be cannot be read, even by root.
        let root = plant(&[("/etc/chrony.conf", "server a.example\ninclude /etc/more"), ("/etc/more/file", "")]);
        let conf = read(root.path(), None).unwrap();
        assert_eq!(names(&conf), ["a.example"]);
        assert!(!conf.configured.is_complete());
    }

    #[test]
    fn what_others_can_write_is_not_followed_and_is_told() {
        let root = plant(&[
            ("/etc/chrony.conf", "server a.example\ninclude /etc/open.conf\nconfdir /srv/open\nconfdir /srv/good"),
            ("/etc/open.conf", "server b.example"),
            ("/srv/open/c.conf", "server c.example"),
            ("/srv/good/d.conf", "server d.example"),
        ]);
        for (path, mode) in [("etc/open.conf", 0o664), ("srv/open", 0o777)] {
            fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        let conf = read(root.path(), None).unwrap();
        assert_eq!(names(&conf), ["a.example", "d.example"]);
        let told = conf.configured.unread.join("\n");
        assert!(told.contains("others may write to /etc/open.conf") && told.contains("write to /srv/open"), "{told}");
    }

    proptest! {
        #[test]
        fn no_configuration_makes_it_panic(text: String, line in "(?s)(server|pool|refclock|include|confdir|cmdport) .*") {
            let writers = Writers::with([]);
            let mut reader = Reader::new(Path::new("/nowhere"), &writers);
            for line in text.lines().chain(line.lines()) {
                reader.line(line, 0);
            }
            reader.end();
        }
    }
}
