//! A length of time as it is written in the configuration: a number and a unit.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::text::{self, inline_schema};

/// A length of time such as `250ms`, `16s`, `5m` or `24h`; never negative, and never without a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// The text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Nothing is written.
    #[error("the duration is missing: write a number and a unit, such as 250ms, 16s, 5m or 24h")]
    Empty,
    /// A number alone.
    #[error("{0} has no unit: write {0}s for seconds, {0}m for minutes or {0}h for hours")]
    NoUnit(String),
    /// Less than nothing.
    #[error("{0} is negative: a duration is 0s or more")]
    Negative(String),
    /// Anything else.
    #[error("{0} is not a duration: write a number and a unit, such as 250ms, 16s, 5m or 24h")]
    Malformed(String),
}

/// Whether a text is of numbers and the letters of units, as a duration is, be it right or not: then it is hardly a secret
/// in the wrong place.
pub(crate) fn is_like_one(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || ".+- dhimnsuµ".contains(c))
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let text = text.trim();
        let shown = || text.escape_debug().take(40).collect();
        if text.is_empty() {
            Err(PeriodError::Empty)
        } else if text.starts_with(['-', '−']) {
            Err(PeriodError::Negative(shown()))
        } else if text.parse::<f64>().is_ok() {
            Err(PeriodError::NoUnit(shown()))
        } else {
            humantime::parse_duration(text).map(Self).map_err(|_| PeriodError::Malformed(shown()))
        }
    }
}

impl fmt::Display for Period {
    /// Writes the largest unit which loses nothing: what is written can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        match (seconds, nanos) {
            (0, 0) => f.write_str("0s"),
            (_, 0) if seconds % 3_600 == 0 => write!(f, "{}h", seconds / 3_600),
            (_, 0) if seconds % 60 == 0 => write!(f, "{}m", seconds / 60),
            (_, 0) => write!(f, "{seconds}s"),
            (0, _) if nanos % 1_000_000 == 0 => write!(f, "{}ms", nanos / 1_000_000),
            (0, _) if nanos % 1_000 == 0 => write!(f, "{}us", nanos / 1_000),
            (0, _) => write!(f, "{nanos}ns"),
            _ => write!(f, "{seconds}s {}", Self(Duration::from_nanos(nanos.into()))),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, "a duration such as 16s", str::parse)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

inline_schema!(Period, "Period", { "type": "string", "pattern": "^\\s*([0-9]+(\\.[0-9]+)?\\s*[a-zµ]+\\s*)+$" });

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_and_a_unit_are_a_period() {
        for (text, millis) in [("250ms", 250), ("16s", 16_000), ("5m", 300_000), ("1h 30m", 5_400_000), ("1.5s", 1_500)]
        {
            assert_eq!(text.parse(), Ok(Period(Duration::from_millis(millis))), "{text}");
        }
    }

    #[test]
    fn what_is_no_period_is_told_why() {
        for (text, error) in [
            ("", "the duration is missing: write a number and a unit, such as 250ms, 16s, 5m or 24h"),
            ("16", "16 has no unit: write 16s for seconds, 16m for minutes or 16h for hours"),
            ("0", "0 has no unit: write 0s for seconds, 0m for minutes or 0h for hours"),
            ("-5s", "-5s is negative: a duration is 0s or more"),
            ("soon", "soon is not a duration: write a number and a unit, such as 250ms, 16s, 5m or 24h"),
            (
                "99999999999999999999h",
                "99999999999999999999h is not a duration: write a number and a unit, such as 250ms, 16s, 5m or 24h",
            ),
        ] {
            assert_eq!(text.parse::<Period>().expect_err(text).to_string(), error);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read_again(seconds in 0..1_000_000_000_u64, nanos in 0..1_000_000_000_u32) {
            for period in [Duration::new(seconds, nanos), Duration::new(seconds, 0), Duration::new(0, nanos)] {
                prop_assert_eq!(Period(period).to_string().parse(), Ok(Period(period)));
            }
        }

        #[test]
        fn no_text_is_a_panic(text in "[0-9.smhdyunM µ-]{0,40}|.*") {
            let _ = text.parse::<Period>();
        }
    }
}
