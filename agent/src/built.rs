//! When this program was made: no time before that can be right.

use crate::time::{NANOS_PER_SECOND, TrueTime};

/// The version of the program, and a day on which its source was as it is, in seconds since the Unix epoch (2026-11-01).
/// Both change together.
const SOURCE: (&str, i64) = ("0.1.0", 1_793_491_200);
/// A packager's date of the source, in seconds since the Unix epoch
/// (<https://reproducible-builds.org/specs/source-date-epoch/>). The moment of the build itself would make each build a
/// program of its own, and would be wrong where the builder's clock is.
const PACKAGED: Option<&str> = option_env!("SOURCE_DATE_EPOCH");
/// Whoever dates a source has a clock as well.
const ALLOWANCE: i64 = 86_400;

/// A time before this program was built, by a day at most where its packager says when that was. Every true time is
/// later.
pub const BUILT: TrueTime = TrueTime::from_nanos(built(SOURCE.1, PACKAGED) * NANOS_PER_SECOND);

/// In seconds since the Unix epoch. One after this century is not believed.
const fn built(source: i64, packaged: Option<&str>) -> i64 {
    let Some(text) = packaged else { return source };
    match i64::from_str_radix(text, 10) {
        Ok(seconds) if seconds > source + ALLOWANCE && seconds < 4_102_444_800 => seconds - ALLOWANCE,
        Ok(_) | Err(_) => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::local;

    #[test]
    fn the_date_of_the_source_is_of_this_version_and_past() {
        assert_eq!(SOURCE.0, env!("CARGO_PKG_VERSION"), "a new version has a new date");
        assert!(BUILT.nanos() < local::read().system.nanos());
    }

    #[test]
    fn the_date_of_a_packager_counts_where_it_is_later_and_one() {
        let source = SOURCE.1;
        assert_eq!(built(source, None), source);
        assert_eq!(built(source, Some("1800000000")), 1_800_000_000 - ALLOWANCE);
        for nonsense in ["1000000000", "", "soon", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(built(source, Some(nonsense)), source, "{nonsense}");
        }
    }
}
