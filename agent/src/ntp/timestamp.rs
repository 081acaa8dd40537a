//! NTP time stamps on the wire (RFC 5905 §6).

use crate::clock::time::{NANOS_PER_SECOND, TrueTime};

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970).
const UNIX_EPOCH: i64 = 2_208_988_800;
/// 2024-01-01 in the first NTP era. Nothing that this agent measures lies before it, so that a lesser number belongs to
/// the second era, whatever the local clock believes. Good until 2160.
const PIVOT: i64 = 3_913_056_000;
const ERA: i64 = 1 << 32;

/// The time that 64 bits of an NTP packet stand for.
pub fn decode(wire: u64) -> TrueTime {
    let seconds = i64::try_from(wire >> 32).unwrap_or(i64::MAX);
    let fraction = i64::try_from(wire & u64::from(u32::MAX)).unwrap_or(0);
    let era = if seconds < PIVOT { ERA } else { 0 };
    // Rounded to the nearest, because the sender truncated as well.
    let nanos = (fraction * NANOS_PER_SECOND + (ERA / 2)) / ERA;
    TrueTime::from_nanos((seconds + era - UNIX_EPOCH) * NANOS_PER_SECOND + nanos)
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
        fn every_time_from_2024_to_2160_survives_the_wire(nanos in 1_704_067_200_000_000_000..5_990_000_000_000_000_000_i64) {
            let there = TrueTime::from_nanos(nanos);
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
        assert_eq!(first.since(last).nanos(), 0, "a fraction of 2^-32 s rounds up to the next second");
        assert_eq!(crate::clock::time::rfc3339(first.nanos()), "2036-02-07T06:28:16.000Z");
    }
}
