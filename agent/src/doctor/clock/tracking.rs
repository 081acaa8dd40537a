//! The answer of chronyd to `tracking`, by its own command protocol of version 6 (chronyd 2.2 and later).
//!
//! All numbers are in network order. A request has a header of 20 bytes and is padded to the length of its reply, so that
//! nobody can use chronyd to amplify traffic; a reply has a header of 28 bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::foreign::Refusal;
use crate::time::{Span, SystemTime};

const VERSION: u8 = 6;
const PACKET_REQUEST: u8 = 1;
const PACKET_REPLY: u8 = 2;
const COMMAND_TRACKING: u16 = 33;
const REPLY_TRACKING: u16 = 5;
const LENGTH: usize = 104;
const NO_HIGH_HALF: u32 = 0x7fff_ffff;

/// The reference of a chronyd that serves its own clock (`local stratum`), 127.127.1.1.
const LOCAL_REFERENCE: u32 = 0x7f7f_0101;

/// Whether a leap second is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leap {
    /// None is.
    Normal,
    /// One is inserted at the end of the day.
    Insert,
    /// One is deleted at the end of the day.
    Delete,
    /// chronyd does not know the time.
    Unsynchronized,
}

/// What chronyd thinks of the clock. Seconds are `f64` as on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracking {
    /// Whom it follows: the IPv4 address, a hash of the IPv6 address, or the name of a reference clock.
    pub reference: u32,
    /// The address that it follows; `None` for a reference clock, for its own clock and for nobody.
    pub address: Option<IpAddr>,
    /// Its distance from a primary reference; 0 where it follows nobody.
    pub stratum: u16,
    /// Whether it knows the time, and whether a leap second is announced.
    pub leap: Leap,
    /// When it heard its reference last, by its own time.
    pub reference_time: SystemTime,
    /// What is still to be added to the system clock by slewing: positive where that is slow.
    pub correction: f64,
    /// The last measured offset.
    pub last_offset: f64,
    /// The long-term average of the offset.
    pub rms_offset: f64,
    /// How fast the system clock would be without correction, in millionths; positive where it would gain.
    pub frequency_ppm: f64,
    /// How far the last measurement moved the frequency, in millionths.
    pub residual_frequency_ppm: f64,
    /// How far the frequency can be wrong, in millionths.
    pub skew_ppm: f64,
    /// The round trip to the primary reference.
    pub root_delay: f64,
    /// How far the primary reference and all between can be wrong.
    pub root_dispersion: f64,
    /// The time between its last two updates.
    pub update_interval: f64,
}

/// Why chronyd says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// The port is closed, there is no socket, or this user may not use it.
    #[error("{0}")]
    Unreachable(String),
    /// Others than chronyd could have opened its socket.
    #[error("its socket is not to be trusted: {0}")]
    Untrusted(Refusal),
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
    /// It answered with another status than success; 2 is that this host may not ask.
    #[error("it refuses with status {0}")]
    Refused(u16),
    /// Another version of the protocol.
    #[error("it speaks version {0} of its protocol and not 6")]
    Version(u8),
    /// Not what chronyd would say.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// An answer to somebody else's request, or a forged one.
    #[error("the answer does not belong to the request")]
    Foreign,
}

impl Tracking {
    /// Whether it follows anything but its own clock.
    pub fn follows_somebody(&self) -> bool {
        self.leap != Leap::Unsynchronized && self.stratum > 0 && self.reference != 0 && !self.is_its_own()
    }

    /// Whether it serves its own clock as if it were right (`local stratum`).
    pub fn is_its_own(&self) -> bool {
        self.reference == LOCAL_REFERENCE
    }

    /// Whom it follows, for people.
    pub fn reference_name(&self) -> String {
        let bytes = self.reference.to_be_bytes();
        let name: String = bytes.iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_graphic).collect();
        match self.address {
            Some(address) => address.to_string(),
            None if name.len() > 1 && bytes.iter().skip(name.len()).all(|byte| *byte == 0) => name,
            None => format!("{:08X}", self.reference),
        }
    }
}

/// The request for `tracking`; its reply repeats `sequence`.
pub fn request(sequence: u32) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    let [high, low] = COMMAND_TRACKING.to_be_bytes();
    // Version, kind, two reserved bytes, command, attempt, sequence.
    let header = [VERSION, PACKET_REQUEST, 0, 0, high, low, 0, 0].into_iter().chain(sequence.to_be_bytes());
    for (byte, value) in packet.iter_mut().zip(header) {
        *byte = value;
    }
    packet
}

/// Reads the reply to [`request`].
///
/// # Errors
/// [`Unheard::Foreign`] where it belongs to another request; else what is wrong with it, or chronyd's refusal.
pub fn decode(bytes: &[u8], sequence: u32) -> Result<Tracking, Unheard> {
    let mut reader = Reader(bytes);
    let [version, kind, _, _] = reader.take()?;
    let command = reader.u16()?;
    let reply = reader.u16()?;
    let status = reader.u16()?;
    reader.take::<6>()?;
    let echoed = reader.u32()?;
    reader.take::<8>()?;
    if kind != PACKET_REPLY {
        return Err(Unheard::Malformed("it is no reply"));
    }
    if version != VERSION {
        return Err(Unheard::Version(version));
    }
    if echoed != sequence || command != COMMAND_TRACKING {
        return Err(Unheard::Foreign);
    }
    if status != 0 {
        return Err(Unheard::Refused(status));
    }
    if reply != REPLY_TRACKING {
        return Err(Unheard::Malformed("it is no tracking"));
    }
    Ok(Tracking {
        reference: reader.u32()?,
        address: reader.address()?,
        stratum: reader.u16()?,
        leap: reader.leap()?,
        reference_time: reader.time()?,
        correction: reader.float()?,
        last_offset: reader.float()?,
        rms_offset: reader.float()?,
        frequency_ppm: reader.float()?,
        residual_frequency_ppm: reader.float()?,
        skew_ppm: reader.float()?,
        root_delay: reader.float()?,
        root_dispersion: reader.float()?,
        update_interval: reader.float()?,
    })
}

/// What is left of a packet.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unheard> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unheard::Malformed("it is too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, Unheard> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Unheard> {
        self.take().map(u32::from_be_bytes)
    }

    /// Sixteen bytes, the family, and two bytes of padding.
    fn address(&mut self) -> Result<Option<IpAddr>, Unheard> {
        let address = self.take::<16>()?;
        let family = self.u16()?;
        self.take::<2>()?;
        let [a, b, c, d, ..] = address;
        Ok(match family {
            1 => Some(Ipv4Addr::new(a, b, c, d).into()),
            2 => Some(Ipv6Addr::from(address).into()),
            // None, or the number of a server whose name does not resolve.
            _ => None,
        })
    }

    fn leap(&mut self) -> Result<Leap, Unheard> {
        Ok(match self.u16()? {
            0 => Leap::Normal,
            1 => Leap::Insert,
            2 => Leap::Delete,
            3 => Leap::Unsynchronized,
            _ => return Err(Unheard::Malformed("there is no such leap status")),
        })
    }

    /// The high and the low half of the seconds since 1970, and nanoseconds.
    fn time(&mut self) -> Result<SystemTime, Unheard> {
        let (high, low) = (self.u32()?, self.u32()?);
        // A chronyd whose seconds have 32 bits says so in the high half.
        let high = if high == NO_HIGH_HALF { 0 } else { high };
        let seconds = (i64::from(high) << 32) | i64::from(low);
        let nanos = self.u32()?;
        if nanos >= 1_000_000_000 {
            return Err(Unheard::Malformed("a second has no more than 999999999 nanoseconds"));
        }
        let whole = SystemTime::from_nanos(seconds.saturating_mul(1_000_000_000));
        Ok(whole.plus(Span::from_nanos(nanos.into())))
    }

    /// Seven bits of exponent and 25 of coefficient, both signed: coefficient × 2^(exponent − 25).
    fn float(&mut self) -> Result<f64, Unheard> {
        let bits = self.take().map(i32::from_be_bytes)?;
        let (exponent, coefficient) = (bits >> 25, bits << 7 >> 7);
        Ok(f64::from(coefficient) * f64::from(exponent - 25).exp2())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a chronyd would reply that heard 169.254.169.123 at 1,700,000,000.5 s and is to make the clock a second faster.
    pub(crate) fn reply(sequence: u32) -> Vec<u8> {
        let mut packet = vec![6, 2, 0, 0, 0, 33, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0; 8]);
        packet.extend([169, 254, 169, 123]);
        packet.extend([169, 254, 169, 123, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
        packet.extend([0, 4, 0, 0]);
        packet.extend([0, 1_700_000_000_u32, 500_000_000].map(u32::to_be_bytes).concat());
        let half = 1 << 23;
        for (exponent, coefficient) in [
            (2, half),
            (1, -half),
            (0, 0),
            (-18, half),
            (6, -half),
            (3, half + 1),
            (-64, 1),
            (63, -2 * half),
            (6, half),
        ] {
            let bits: i32 = (exponent << 25) | (coefficient & 0x01ff_ffff);
            packet.extend(bits.to_be_bytes());
        }
        packet
    }

    /// What `tracking` says on a host that is in order.
    pub(crate) fn tracking() -> Tracking {
        decode(&reply(7), 7).unwrap()
    }

    #[test]
    fn a_request_is_as_long_as_its_reply() {
        let request = request(0x0102_0304);
        assert_eq!(request.len(), reply(0).len());
        assert_eq!(request[..12], [6, 1, 0, 0, 0, 33, 0, 0, 1, 2, 3, 4]);
        assert!(request[12..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn every_field_of_a_reply_is_read() {
        let tracking = tracking();
        let expected = Tracking {
            reference: 0xa9fe_a97b,
            address: Some([169, 254, 169, 123].into()),
            stratum: 4,
            leap: Leap::Normal,
            reference_time: SystemTime::from_nanos(1_700_000_000_500_000_000),
            correction: 1.0,
            last_offset: -0.5,
            rms_offset: 0.0,
            frequency_ppm: (-20.0_f64).exp2(),
            residual_frequency_ppm: -16.0,
            skew_ppm: 2.0 + (-22.0_f64).exp2(),
            root_delay: (-89.0_f64).exp2(),
            root_dispersion: -(62.0_f64.exp2()),
            update_interval: 16.0,
        };
        assert_eq!(tracking, expected);
        assert!(tracking.follows_somebody());
        assert_eq!(tracking.reference_name(), "169.254.169.123");
    }

    #[test]
    fn whoever_is_unsynchronized_or_serves_its_own_clock_follows_nobody() {
        let good = tracking();
        for (tracking, why) in [
            (Tracking { leap: Leap::Unsynchronized, ..good }, "not synchronized"),
            (Tracking { stratum: 0, ..good }, "no stratum"),
            (Tracking { reference: 0, address: None, ..good }, "no reference"),
            (Tracking { reference: 0x7f7f_0101, address: None, ..good }, "its own clock"),
        ] {
            assert!(!tracking.follows_somebody(), "{why}");
        }
        let clock = Tracking { reference: u32::from_be_bytes(*b"PHC0"), address: None, ..good };
        assert!(clock.follows_somebody());
        assert_eq!(clock.reference_name(), "PHC0");
        assert_eq!(Tracking { reference: u32::from_be_bytes(*b"PPS\0"), ..clock }.reference_name(), "PPS");
        assert_eq!(Tracking { reference: 0x7f7f_0101, ..clock }.reference_name(), "7F7F0101");
    }

    #[test]
    fn a_reply_that_is_not_what_was_asked_for_is_refused() {
        let changed = |index: usize, value: u8| {
            let mut packet = reply(7);
            packet[index] = value;
            decode(&packet, 7).unwrap_err()
        };
        assert_eq!(changed(0, 5), Unheard::Version(5));
        assert_eq!(changed(1, 1), Unheard::Malformed("it is no reply"));
        assert_eq!(changed(5, 14), Unheard::Foreign);
        assert_eq!(changed(7, 2), Unheard::Malformed("it is no tracking"));
        assert_eq!(changed(9, 2), Unheard::Refused(2));
        assert_eq!(changed(19, 8), Unheard::Foreign);
        assert_eq!(changed(55, 4), Unheard::Malformed("there is no such leap status"));
        assert!(matches!(changed(64, 0xff), Unheard::Malformed(_)));
        assert_eq!(decode(&reply(7)[..LENGTH - 1], 7), Err(Unheard::Malformed("it is too short")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, sequence: u32) {
            let _ = decode(&bytes, sequence);
        }

        #[test]
        fn whatever_a_well_formed_reply_says_is_read_without_panic(body in proptest::collection::vec(any::<u8>(), 76)) {
            let mut packet = reply(7);
            packet.splice(28.., body);
            if let Ok(tracking) = decode(&packet, 7) {
                prop_assert!(tracking.correction.is_finite() && tracking.root_dispersion.is_finite());
                tracking.reference_name();
            }
        }
    }
}
