//! NTP servers: one connected socket a query.

pub(super) mod addresses;
#[cfg(test)]
mod faults;
pub mod query;
pub mod refusal;
mod remedy;
mod server;
pub mod socket;
pub mod timestamp;

pub use server::{Server, ServerError};

use std::sync::Arc;
use std::time::Duration;

use super::kind::{NITRO, SourceKind, Words};
use super::pace::{Cadence, SLOWEST};
use super::witness::Witness;
use crate::clock::true_clock::TrueClock;
use crate::setting::address::{is_of_vpc, is_on_link};
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::setting::period::Period;

impl SourceKind for Server {
    type Written = String;

    fn check(written: &String, at: &Path) -> Result<Self, Fault> {
        written.parse().map_err(|error: ServerError| Fault::at(at.clone(), error.to_string()))
    }

    fn written(&self) -> String {
        self.to_string()
    }

    /// On this host, on this link, or Amazon's inside the VPC.
    fn is_near(&self) -> bool {
        match self {
            Self::Name { .. } => false,
            Self::Address(address) => is_on_link(address.ip()) || is_of_vpc(address.ip()),
        }
    }

    fn check_poll(&self, poll: Duration) -> Result<(), String> {
        let complaint = if poll < self.cadence().shortest {
            let (near, far) = (Period(Cadence::NEAR.shortest), Period(Cadence::FAR.shortest));
            format!("is too short: a link-local source is asked at most every {near}, others every {far}")
        } else if poll > SLOWEST {
            format!(
                "is too long: a source is asked at least every {}s, although RFC 5905 allows more, so that a wrong clock is \
                 noticed",
                SLOWEST.as_secs()
            )
        } else {
            return Ok(());
        };
        Err(format!("{} {complaint}", Period(poll)))
    }

    fn is_trusted(&self, is_ec2: bool) -> bool {
        is_ec2 && self.is_time_sync()
    }

    fn smears_leaps(&self) -> bool {
        self.is_amazon()
    }

    fn group(&self) -> Option<&'static str> {
        self.is_time_sync().then_some(NITRO)
    }

    fn identity(&self) -> String {
        match self {
            Self::Address(_) if self.is_time_sync() => "Amazon Time Sync".to_owned(),
            Self::Address(address) => address.to_string(),
            Self::Name { host, port } => format!("{}:{port}", host.trim_end_matches('.').to_ascii_lowercase()),
        }
    }

    fn named_twice(&self, first: &Path) -> String {
        format!(
            "{self} is the same server as {first}: a server is one witness, however often it is named, and Amazon Time Sync \
             is asked at its address of the other family by itself where this one cannot be reached"
        )
    }

    fn witness(&self, _clock: &Arc<TrueClock>) -> Box<dyn Witness> {
        Box::new(addresses::Addresses::new(self.clone()))
    }

    fn remedy(&self, refusal: &str, is_ec2: bool) -> String {
        remedy::remedy(self, refusal, is_ec2)
    }

    fn words() -> Words {
        Words {
            what: "One NTP server.",
            value: "The NTP server: host, host:port, an IPv4 or IPv6 address, or `[IPv6]:port`. Default port: 123.",
            trusted: "true for Amazon Time Sync on EC2, else false",
            leap_smear: "true for Amazon's servers, else false",
            group: "nitro for Amazon Time Sync, else none",
            poll: "1s to 1024s for a link-local address, 16s to 1024s for all others. Default: 16s for a\nlink-local \
                   address, else 64s",
            reference: r"
  # A second witness: Amazon's public servers, where the subnet lets UDP 123 out to the internet.
  #- name: time-aws-com
    #ntp: time.aws.com
",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Server {
        text.parse().expect(text)
    }

    #[test]
    fn only_what_is_on_the_link_is_near() {
        for near in ["169.254.169.123", "fe80::1", "fd00:ec2::123", "127.0.0.2", "::1"] {
            assert!(server(near).is_near(), "{near}");
        }
        for far in ["time.aws.com", "10.0.0.1", "fd00:ec3::123", "8.8.8.8", "localhost"] {
            assert!(!server(far).is_near(), "{far}");
        }
    }

    #[test]
    fn one_server_under_two_addresses_is_the_same() {
        let is_same = |one: &str, other: &str| server(one).identity() == server(other).identity();
        assert!(is_same("169.254.169.123", "[fd00:ec2::123]:123"));
        assert!(is_same("Time.AWS.com.", "time.aws.com"));
        assert!(!is_same("127.0.0.1:1", "127.0.0.1:2"));
    }
}
