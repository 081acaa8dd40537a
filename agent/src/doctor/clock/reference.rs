//! Whom a time daemon is told to follow, whichever daemon it is.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::tree;
use crate::foreign::{Refusal, Writers};

/// Amazon Time Sync inside a VPC.
pub const TIME_SYNC: [&str; 2] = ["169.254.169.123", "fd00:ec2::123"];
/// Amazon's public time servers.
const AMAZON_PUBLIC: [&str; 2] = ["time.aws.com", "time.amazonaws.cn"];
/// Further servers that smear leap seconds linearly from noon to noon, as Amazon's do.
const SMEARED: [&str; 6] = [
    "time.google.com",
    "time1.google.com",
    "time2.google.com",
    "time3.google.com",
    "time4.google.com",
    "metadata.google.internal",
];
/// Domains of servers that do not smear.
const UNSMEARED: [&str; 4] = ["pool.ntp.org", "ntp.ubuntu.com", "time.cloudflare.com", "nist.gov"];

/// How somebody tells a leap second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leap {
    /// Spread over a day, during which the time is off by half a second at most.
    Smeared,
    /// As a second.
    Whole,
}

/// Somebody whom a daemon follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The server as it is written, or the driver and the device of a clock such as `PHC /dev/ptp0`.
    pub name: String,
    /// Whether it is a clock in this host and no server.
    pub is_clock: bool,
    /// Whether the daemon is to prefer it to the others.
    pub is_preferred: bool,
}

impl Reference {
    /// A server.
    pub fn server(name: &str) -> Self {
        Self { name: name.to_owned(), is_clock: false, is_preferred: false }
    }

    /// Whether it is Amazon Time Sync on the link.
    pub fn is_time_sync(&self) -> bool {
        let address = self.name.trim_matches(['[', ']']).parse::<IpAddr>();
        !self.is_clock && address.is_ok_and(|address| TIME_SYNC.iter().any(|known| known.parse() == Ok(address)))
    }

    /// Whether it is a PTP hardware clock.
    pub fn is_hardware_clock(&self) -> bool {
        self.is_clock && self.name.to_ascii_uppercase().starts_with("PHC ")
    }

    /// Whether its time comes from Amazon.
    pub fn is_amazon(&self) -> bool {
        self.is_time_sync() || self.is_hardware_clock() || self.is_one_of(&AMAZON_PUBLIC)
    }

    /// How it tells a leap second; `None` where nobody knows.
    pub fn leap(&self) -> Option<Leap> {
        if self.is_hardware_clock() {
            return Some(Leap::Whole);
        }
        if self.is_clock {
            return None;
        }
        if self.is_time_sync() || self.is_one_of(&AMAZON_PUBLIC) || self.is_one_of(&SMEARED) {
            return Some(Leap::Smeared);
        }
        // The pool that Amazon's images name stands beside Amazon Time Sync by Amazon's own choice.
        let is_amazons_choice = self.is_below("amazon.pool.ntp.org");
        (!is_amazons_choice && UNSMEARED.iter().any(|domain| self.is_below(domain))).then_some(Leap::Whole)
    }

    fn host(&self) -> String {
        self.name.trim_end_matches('.').to_ascii_lowercase()
    }

    fn is_one_of(&self, hosts: &[&str]) -> bool {
        !self.is_clock && hosts.contains(&self.host().as_str())
    }

    fn is_below(&self, domain: &str) -> bool {
        let host = self.host();
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// What the configuration of a daemon says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// The files that were read, the main one first.
    pub files: Vec<PathBuf>,
    /// Whom the daemon is to follow.
    pub references: Vec<Reference>,
    /// What could not be read, and why: there may be more references.
    pub unread: Vec<String>,
}

impl Configured {
    /// Whether all of it is known.
    pub fn is_complete(&self) -> bool {
        !self.files.is_empty() && self.unread.is_empty()
    }

    /// The references for people.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.references.iter().map(|reference| reference.name.as_str()).collect();
        names.join(", ")
    }

    /// Reads one file below `root` that nobody but `writers` can have written, and remembers whether that worked. A file
    /// that is not there is nothing to remember.
    pub(super) fn read(&mut self, root: &Path, path: &Path, writers: &Writers) -> Option<String> {
        match tree::read_of(root, path, writers) {
            Ok(text) => {
                self.files.push(path.to_owned());
                Some(text)
            }
            Err(Refusal::NotFound | Refusal::NotAFolder) => None,
            Err(refusal) => {
                self.unread.push(format!("{}: {refusal}", path.display()));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazon_time_sync_is_known_in_every_spelling() {
        for name in ["169.254.169.123", "fd00:ec2::123", "FD00:EC2:0:0:0:0:0:123", "[fd00:ec2::123]"] {
            assert!(Reference::server(name).is_time_sync(), "{name}");
        }
        for name in ["169.254.169.254", "time.aws.com", "169.254.169.1233", ""] {
            assert!(!Reference::server(name).is_time_sync(), "{name}");
        }
    }

    #[test]
    fn who_smears_is_known_of_the_servers_that_people_use_and_of_no_others() {
        for (name, expected) in [
            ("169.254.169.123", Some(Leap::Smeared)),
            ("time.aws.com", Some(Leap::Smeared)),
            ("Time2.Google.com.", Some(Leap::Smeared)),
            ("2.debian.pool.ntp.org", Some(Leap::Whole)),
            ("pool.ntp.org", Some(Leap::Whole)),
            ("ntp.ubuntu.com", Some(Leap::Whole)),
            ("time-a-g.nist.gov", Some(Leap::Whole)),
            ("2.amazon.pool.ntp.org", None),
            ("ntp.example.com", None),
            ("notpool.ntp.org.example", None),
            ("xpool.ntp.org", None),
        ] {
            assert_eq!(Reference::server(name).leap(), expected, "{name}");
        }
        let clock = |name: &str| Reference { is_clock: true, ..Reference::server(name) };
        assert_eq!(clock("PHC /dev/ptp0").leap(), Some(Leap::Whole));
        assert_eq!(clock("SHM 0").leap(), None);
    }
}
