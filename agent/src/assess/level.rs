//! The levels by which an alert is judged: a number with a unit, which need not be a length of time.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use crate::setting::period::Period;

/// What a level is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A length of time.
    Time,
    /// Millionths of a rate.
    Ppm,
}

/// A level. Those of different units cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// A length of time.
    Time(Duration),
    /// Millionths of a rate, 0 or more.
    Ppm(f64),
}

/// On which side of a level it is bad to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// At the level or above it.
    Above,
    /// Below the level.
    Below,
}

/// The levels of an alert: what they may be, and what they are where the configuration says nothing. One for which there is
/// no default, there is not at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// What they may be at least and at most, both of one unit.
    pub bounds: (Level, Level),
    /// On which side of them it is bad to be.
    pub bad: Bad,
    /// The level of a warning.
    pub warning: Option<Level>,
    /// The level of a critical alert.
    pub critical: Option<Level>,
}

impl Unit {
    /// Reads a level of this unit.
    ///
    /// # Errors
    /// What is wrong with the text, and what is allowed.
    pub fn parse(self, text: &str) -> Result<Level, String> {
        match self {
            Self::Time => text.parse().map(|Period(time)| Level::Time(time)).map_err(|error| format!("{error}")),
            Self::Ppm => {
                let number = text.trim().strip_suffix("ppm").map(str::trim);
                let is_plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let number = number.filter(is_plain).and_then(|number| number.parse().ok());
                let shown = || text.escape_debug().take(40).collect::<String>();
                number
                    .map(Level::Ppm)
                    .ok_or_else(|| format!("{} is not a rate: write one such as {}", shown(), self.example()))
            }
        }
    }

    /// A level of this unit, as it is written.
    pub const fn example(self) -> &'static str {
        match self {
            Self::Time => "16s",
            Self::Ppm => "450ppm",
        }
    }

    /// What such a level is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "duration",
            Self::Ppm => "rate",
        }
    }
}

impl Level {
    /// What it is a number of.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Time(_) => Unit::Time,
            Self::Ppm(_) => Unit::Ppm,
        }
    }

    /// The number: seconds, or millionths.
    pub const fn value(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Ppm(ppm) => ppm,
        }
    }

    /// The length of time that it is; `None` for one of another unit.
    pub const fn time(self) -> Option<Duration> {
        match self {
            Self::Time(time) => Some(time),
            Self::Ppm(_) => None,
        }
    }

    /// The lower of the two.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Time(one), Self::Time(other)) => one.partial_cmp(other),
            (Self::Ppm(one), Self::Ppm(other)) => one.partial_cmp(other),
            (Self::Time(_), Self::Ppm(_)) | (Self::Ppm(_), Self::Time(_)) => None,
        }
    }
}

impl fmt::Display for Level {
    /// Writes it as it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => Period(*time).fmt(f),
            Self::Ppm(ppm) => write!(f, "{ppm}ppm"),
        }
    }
}

impl Levels {
    /// What they are numbers of.
    pub const fn unit(&self) -> Unit {
        self.bounds.0.unit()
    }

    /// Checks that a level is within the bounds.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed.
    pub fn check(&self, level: Level) -> Result<Level, String> {
        let (least, most) = self.bounds;
        if (least..=most).contains(&level) {
            return Ok(level);
        }
        let complaint = match (level < least, self.unit()) {
            (true, Unit::Time) => "short",
            (false, Unit::Time) => "long",
            (true, Unit::Ppm) => "low",
            (false, Unit::Ppm) => "high",
        };
        Err(format!("{level} is too {complaint}: allowed is {least} to {most}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Levels = Levels {
        bounds: (Level::Ppm(1.0), Level::Ppm(100_000.0)),
        bad: Bad::Above,
        warning: Some(Level::Ppm(450.0)),
        critical: None,
    };

    #[test]
    fn a_level_is_read_as_it_is_written() {
        for (unit, text) in [(Unit::Time, "150s"), (Unit::Time, "1ms"), (Unit::Ppm, "450ppm"), (Unit::Ppm, "0.5ppm")] {
            let level = unit.parse(text).unwrap();
            assert_eq!((level.to_string().as_str(), level.unit()), (text, unit));
        }
        assert_eq!(Unit::Ppm.parse(" 450 ppm"), Ok(Level::Ppm(450.0)));
    }

    #[test]
    fn a_level_of_another_unit_is_none() {
        for text in ["450", "16s", "ppm", "-1ppm", "NaNppm", "infppm", "1e3ppm", "1.2.3ppm", ""] {
            let error = format!("{text} is not a rate: write one such as 450ppm");
            assert_eq!(Unit::Ppm.parse(text), Err(error));
        }
        assert!(Unit::Time.parse("450ppm").is_err());
        assert!(RATE.check(Level::Time(Duration::from_secs(450))).is_err());
    }

    #[test]
    fn a_rate_has_bounds_as_a_time_has() {
        assert_eq!(RATE.check(Level::Ppm(1.0)), Ok(Level::Ppm(1.0)));
        let error = |level| RATE.check(Level::Ppm(level)).unwrap_err();
        assert_eq!(error(0.5), "0.5ppm is too low: allowed is 1ppm to 100000ppm");
        assert_eq!(error(100_001.0), "100001ppm is too high: allowed is 1ppm to 100000ppm");
    }
}
