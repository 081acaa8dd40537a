//! An amount of storage as it is written in the configuration: a whole number and a unit.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::setting::text::{self, inline_schema};

/// The units, the largest first, and their bytes.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes such as `256KiB`, `16MiB` or `1GiB`: whole, and never without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The text is not an amount of storage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Nothing is written.
    #[error("the size is missing: write a whole number and a unit, such as 256KiB, 16MiB or 1GiB")]
    Empty,
    /// A number alone.
    #[error("{0} has no unit: write {0}KiB, {0}MiB or {0}GiB")]
    NoUnit(String),
    /// Less than nothing.
    #[error("{0} is negative: a size is 1KiB or more")]
    Negative(String),
    /// A part of a unit.
    #[error("{0} is not a whole number: write it in a smaller unit, such as 1536MiB for one and a half GiB")]
    Fraction(String),
    /// A unit that means a thousand to some and 1024 to others, or bits, or bytes.
    #[error("{0} has another unit than KiB, MiB and GiB: write one of them, such as 16MiB")]
    Unit(String),
    /// Anything else.
    #[error("{0} is not a size: write a whole number and a unit, such as 256KiB, 16MiB or 1GiB")]
    Malformed(String),
    /// More than can be counted.
    #[error("{0} is too large to be counted")]
    TooLarge(String),
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        let shown = || text.escape_debug().take(40).collect();
        let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
        let number = number.trim_end();
        let is_whole = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let fault = match unit {
            "" if number.is_empty() => SizeError::Empty,
            _ if number.starts_with(['-', '−']) => SizeError::Negative(shown()),
            _ if !is_whole && number.parse::<f64>().is_ok() => SizeError::Fraction(shown()),
            _ if !is_whole => SizeError::Malformed(shown()),
            "" => SizeError::NoUnit(shown()),
            _ => match UNITS.iter().find(|(name, _)| *name == unit) {
                None => SizeError::Unit(shown()),
                Some((_, bytes)) => {
                    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*bytes));
                    return bytes.map(Self).ok_or_else(|| SizeError::TooLarge(shown()));
                }
            },
        };
        Err(fault)
    }
}

impl fmt::Display for Size {
    /// Writes the largest unit in which the number is whole. A part of a KiB, which cannot be written, is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        let (unit, bytes) = whole.copied().unwrap_or(("KiB", 1 << 10));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, "a size such as 16MiB", str::parse)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

inline_schema!(Size, "Size", { "type": "string", "pattern": "^\\s*[0-9]+\\s*[KMG]iB\\s*$" });

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_whole_number_and_a_unit_are_a_size() {
        for (text, bytes) in
            [("256KiB", 262_144), ("16 MiB", 16_777_216), ("1GiB", 1_073_741_824), (" 007KiB ", 7_168), ("0MiB", 0)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_why() {
        for (text, error) in [
            ("", "the size is missing: write a whole number and a unit, such as 256KiB, 16MiB or 1GiB"),
            ("16", "16 has no unit: write 16KiB, 16MiB or 16GiB"),
            ("-1MiB", "-1MiB is negative: a size is 1KiB or more"),
            (
                "1.5GiB",
                "1.5GiB is not a whole number: write it in a smaller unit, such as 1536MiB for one and a half GiB",
            ),
            ("16MB", "16MB has another unit than KiB, MiB and GiB: write one of them, such as 16MiB"),
            ("16M", "16M has another unit than KiB, MiB and GiB: write one of them, such as 16MiB"),
            ("16mib", "16mib has another unit than KiB, MiB and GiB: write one of them, such as 16MiB"),
            ("much", "much is not a size: write a whole number and a unit, such as 256KiB, 16MiB or 1GiB"),
            ("1,5 GiB", "1,5 GiB is not a size: write a whole number and a unit, such as 256KiB, 16MiB or 1GiB"),
            ("99999999999GiB", "99999999999GiB is too large to be counted"),
            ("99999999999999999999KiB", "99999999999999999999KiB is too large to be counted"),
        ] {
            assert_eq!(text.parse::<Size>().expect_err(text).to_string(), error);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read_again(kibibytes in 0..u64::MAX >> 10, shift in 0..40_u32) {
            let size = Size(kibibytes >> shift << 10);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn what_is_read_is_the_number_times_the_unit(number in 0..1_u64 << 34, unit in 0..3_usize) {
            let (name, bytes) = UNITS[unit];
            prop_assert_eq!(format!("{number}{name}").parse(), Ok(Size(number * bytes)));
        }

        #[test]
        fn no_text_is_a_panic(text in "[-0-9. KMGiBe]{0,24}|.*") {
            if let Ok(size) = text.parse::<Size>() {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }
    }
}
