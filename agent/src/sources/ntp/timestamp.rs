//! NTP time stamps on the wire (RFC 5905 §6).

use crate::built::BUILT;
use crate::time::{NANOS_PER_SECOND, TrueTime};

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970).
const UNIX_EPOCH: i64 = 2_208_988_800;
const ERA: i64 = 1 << 32;
/// Half an era before this program was built, in seconds since the NTP epoch. The wire does not tell the eras apart: a
/// time is taken to lie within half an era, 68 years, of that day, on either side, whatever the local clock believes.
/// What comes out before it is a server that does not know the time, and no far future.
const EARLIEST: i64 = BUILT.nanos() / NANOS_PER_SECOND + UNIX_EPOCH - ERA / 2;

/// The time that 64 bits of an NTP packet stand for: the one within 68 years of the day on which this program was built.
pub fn decode(wire: u64) -> TrueTime {
    let seconds = i64::try_from(wire >> 32).unwrap_or(i64::MAX);
    let fraction = i64::try_from(wire & u64::from(u32::MAX)).unwrap_or(0);
    let seconds = EARLIEST + (seconds - EARLIEST).rem_euclid(ERA);
    // Rounded to the nearest, because the sender truncated as well.
    let nanos = (fraction * NANOS_PER_SECOND + (ERA / 2)) / ERA;
    TrueTime::from_nanos((seconds - UNIX_EPOCH) * NANOS_PER_SECOND + nanos)
}

/// The 64 bits of an NTP packet that stand for a time.
pub fn encode(time: TrueTime) -> u64 {
    let seconds = time.nanos().div_euclid(NANOS_PER_SECOND) + UNIX_EPOCH;
    let fraction = (time.nanos().rem_euclid(NANOS_PER_SECOND) * ERA + NANOS_PER_SECOND / 2) / NANOS_PER_SECOND;
    (seconds.rem_euclid(ERA).unsigned_abs() << 32) | fraction.clamp(0, ERA - 1).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_time_within_68_years_of_the_build_survives_the_wire(seconds in -2_147_400_000..2_147_400_000_i64, nanos in 0..NANOS_PER_SECOND) {
            let there = TrueTime::from_nanos(BUILT.nanos() + seconds * NANOS_PER_SECOND + nanos);
            prop_assert!(decode(encode(there)).since(there).abs().nanos() <= 1);
        }

        #[test]
        fn no_bits_make_it_panic(wire in any::<u64>()) {
            let _ = decode(wire);
        }
    }

    #[test]
    fn the_second_era_follows_the_first() {
        let last = decode(u64::MAX);
        let first = decode(0);
        assert!(first > BUILT && last > BUILT);
        assert_eq!(first.since(last).nanos(), 0, "a fraction of 2^-32 s rounds up to the next second");
        assert_eq!(crate::time::rfc3339(first.nanos()), "2036-02-07T06:28:16.000Z");
        // 2016-06-01, which is no 2152.
        assert_eq!(crate::time::rfc3339(decode(3_673_728_000 << 32).nanos()), "2016-06-01T00:00:00.000Z");
    }
}
