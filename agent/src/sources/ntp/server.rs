//! The address of an NTP server as it is written: a host or an address, with or without a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The port of NTP (RFC 5905 §7.2).
const NTP_PORT: u16 = 123;

/// Amazon Time Sync inside a VPC. Both addresses lead to the same server, so they are one witness.
const TIME_SYNC: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 123)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x123)),
];

/// Amazon's public servers, which smear leap seconds as Amazon Time Sync does.
const AMAZON_PUBLIC: [&str; 2] = ["time.aws.com", "time.amazonaws.cn"];

/// The host and the port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// An address that needs no resolution.
    Address(SocketAddr),
    /// A name, resolved by the host.
    Name {
        /// The host's name.
        host: String,
        /// The UDP port.
        port: u16,
    },
}

/// The text names no NTP server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Nothing is written.
    #[error("the server is missing: write a host or an address, such as 169.254.169.123")]
    Empty,
    /// A URL.
    #[error("a server is a host or an address without a scheme or a path, such as time.aws.com or time.aws.com:123")]
    Url,
    /// No port number.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// A scoped address.
    #[error("an IPv6 address with a zone (%) is not supported")]
    Zone,
    /// Numbers that are no IPv4 address.
    #[error("this is not an IPv4 address: it has four numbers from 0 to 255")]
    Ipv4,
    /// Colons or brackets, but no IPv6 address.
    #[error("this is not an IPv6 address: with a port it is written [address]:port")]
    Ipv6,
    /// An address of many hosts, or of none.
    #[error("no single server has this address: write the address of one host")]
    NotUnicast,
    /// No host name.
    #[error("a host name is made of letters, digits, dots and hyphens, and at most 253 of them")]
    Host,
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        if text.is_empty() {
            return Err(ServerError::Empty);
        }
        if text.contains('/') {
            return Err(ServerError::Url);
        }
        if text.contains('%') {
            return Err(ServerError::Zone);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(ServerError::Ipv6)?;
            let port = if rest.is_empty() { NTP_PORT } else { port(rest.strip_prefix(':').ok_or(ServerError::Port)?)? };
            return at(IpAddr::V6(address.parse().map_err(|_| ServerError::Ipv6)?), port);
        }
        if text.matches(':').count() > 1 {
            return at(IpAddr::V6(text.parse().map_err(|_| ServerError::Ipv6)?), NTP_PORT);
        }
        let (host, port) = match text.split_once(':') {
            Some((host, digits)) => (host, port(digits)?),
            None => (text, NTP_PORT),
        };
        if let Ok(address) = host.parse() {
            return at(IpAddr::V4(address), port);
        }
        name(host)?;
        Ok(Self::Name { host: host.to_owned(), port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) if address.port() == NTP_PORT => write!(f, "{}", address.ip()),
            Self::Address(address) => write!(f, "{address}"),
            Self::Name { host, port: NTP_PORT } => f.write_str(host),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Server {
    /// Whether it is Amazon Time Sync, reached inside a VPC.
    pub(super) fn is_time_sync(&self) -> bool {
        matches!(self, Self::Address(address) if address.port() == NTP_PORT && TIME_SYNC.contains(&address.ip()))
    }

    /// The other address of the same server, in the other family, if it is Amazon Time Sync: a subnet may have one of
    /// them alone.
    pub(super) fn twin(&self) -> Option<SocketAddr> {
        let Self::Address(address) = self else { return None };
        let other = TIME_SYNC.into_iter().find(|other| *other != address.ip()).filter(|_| self.is_time_sync());
        other.map(|other| SocketAddr::new(other, NTP_PORT))
    }

    /// Whether it is one of Amazon's, which smear leap seconds.
    pub(super) fn is_amazon(&self) -> bool {
        let public = |host: &str| AMAZON_PUBLIC.iter().any(|name| name.eq_ignore_ascii_case(host));
        self.is_time_sync() || matches!(self, Self::Name { host, .. } if public(host.trim_end_matches('.')))
    }
}

fn port(digits: &str) -> Result<u16, ServerError> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&port| plain && port > 0).ok_or(ServerError::Port)
}

fn at(address: IpAddr, port: u16) -> Result<Server, ServerError> {
    let address = address.to_canonical();
    let broadcast = matches!(address, IpAddr::V4(ip) if ip.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || broadcast {
        return Err(ServerError::NotUnicast);
    }
    Ok(Server::Address(SocketAddr::new(address, port)))
}

/// RFC 1123 §2.1, with the underscore that private zones are fond of.
fn name(host: &str) -> Result<(), ServerError> {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    if labels.len() > 253 || !labels.split('.').all(label) {
        return Err(ServerError::Host);
    }
    // No top-level domain is a number, but resolvers take `10.1` for 10.0.0.1.
    let last = labels.rsplit('.').next().unwrap_or(labels);
    if last.bytes().all(|byte| byte.is_ascii_digit()) { Err(ServerError::Ipv4) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(text: &str) -> Server {
        text.parse().expect(text)
    }

    #[test]
    fn a_server_is_written_in_every_usual_way() {
        for (text, shown) in [
            ("169.254.169.123", "169.254.169.123"),
            ("169.254.169.123:123", "169.254.169.123"),
            ("127.0.0.1:11123", "127.0.0.1:11123"),
            ("fd00:ec2::123", "fd00:ec2::123"),
            ("[fd00:ec2::123]", "fd00:ec2::123"),
            ("[::1]:11123", "[::1]:11123"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("time.aws.com", "time.aws.com"),
            ("time.aws.com:1123", "time.aws.com:1123"),
            ("ntp_1.corp.", "ntp_1.corp."),
        ] {
            assert_eq!(server(text).to_string(), shown);
            assert_eq!(server(shown), server(text));
        }
    }

    #[test]
    fn what_is_no_server_is_told_why() {
        for (text, error) in [
            ("", ServerError::Empty),
            ("ntp://time.aws.com", ServerError::Url),
            ("time.aws.com:0", ServerError::Port),
            ("time.aws.com:65536", ServerError::Port),
            ("time.aws.com:+5", ServerError::Port),
            ("[::1]123", ServerError::Port),
            ("[::1", ServerError::Ipv6),
            ("1:2:3", ServerError::Ipv6),
            ("fe80::1%eth0", ServerError::Zone),
            ("169.254.169.256", ServerError::Ipv4),
            ("10.1", ServerError::Ipv4),
            ("0.0.0.0", ServerError::NotUnicast),
            ("ff02::101", ServerError::NotUnicast),
            ("time aws com", ServerError::Host),
            ("-a.com", ServerError::Host),
            ("a..b", ServerError::Host),
        ] {
            assert_eq!(text.parse::<Server>(), Err(error), "{text}");
        }
    }

    #[test]
    fn only_amazon_time_sync_has_a_second_address() {
        let twin = |text: &str| server(text).twin().map(|twin| twin.to_string());
        assert_eq!(twin("169.254.169.123").as_deref(), Some("[fd00:ec2::123]:123"));
        assert_eq!(twin("fd00:ec2::123").as_deref(), Some("169.254.169.123:123"));
        for other in ["169.254.169.123:1123", "169.254.169.124", "time.aws.com", "::1"] {
            assert_eq!(twin(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[0-9a-f:.%\\[\\]/-]{0,40}|.*") {
            if let Ok(server) = text.parse::<Server>() {
                prop_assert_eq!(server.to_string().parse(), Ok(server));
            }
        }
    }
}
