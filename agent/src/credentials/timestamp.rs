//! A point of time together with the clock by which it was written.

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::time::{Reading, Span, SystemTime, TrueTime};

/// By whose clock a point of time was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The clock of the service that issued the credential: true time.
    Server,
    /// The system clock of this host at the moment of writing: it already contains the skew of that moment.
    Local,
}

impl Basis {
    /// The name in configuration and output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Local => "local",
        }
    }

    /// The point of time that is `nanos` nanoseconds since the Unix epoch by this clock.
    pub const fn at(self, nanos: i64) -> Timestamp {
        match self {
            Self::Server => Timestamp::Server(TrueTime::from_nanos(nanos)),
            Self::Local => Timestamp::Local(SystemTime::from_nanos(nanos)),
        }
    }
}

/// A point of time by the clock of whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// By the clock of the service that issued the credential: true time.
    Server(TrueTime),
    /// By the system clock of this host at the moment of writing: it already contains the skew of that moment.
    Local(SystemTime),
}

impl Timestamp {
    /// Nanoseconds since the Unix epoch, by the clock that it was written by.
    pub const fn nanos(self) -> i64 {
        match self {
            Self::Server(time) => time.nanos(),
            Self::Local(time) => time.nanos(),
        }
    }

    /// By whose clock it was written.
    pub const fn basis(self) -> Basis {
        match self {
            Self::Server(_) => Basis::Server,
            Self::Local(_) => Basis::Local,
        }
    }

    /// What is left until then in true time, negative once it is past; `None` while true time is not known.
    ///
    /// Where both ends are read on the system clock its error cancels out, as long as nobody has set it in between.
    pub fn remaining(self, now: Reading, true_now: Option<TrueTime>) -> Option<Span> {
        match self {
            Self::Server(time) => true_now.map(|now| time.since(now)),
            Self::Local(time) => Some(time.since(now.system)),
        }
    }

    /// What is left until then as this host believes, negative once it is past.
    pub const fn remaining_local(self, now: Reading) -> Span {
        SystemTime::from_nanos(self.nanos()).since(now.system)
    }

    /// This on the same clock, later by `span`.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        match self {
            Self::Server(time) => Self::Server(time.plus(span)),
            Self::Local(time) => Self::Local(time.plus(span)),
        }
    }
}

/// The nanoseconds since the Unix epoch that a text says: RFC 3339 with any number of decimals, or the same with an
/// offset without its colon or without the offset, which is UTC then; `T` may be a blank. `None` for all else.
pub fn parse(text: &str) -> Option<i64> {
    zoned(text).or_else(|| unzoned(text))
}

/// The same for a text that says its offset, or that it is UTC. Of two offsets one behind the other, as programs write that
/// add one to what has one, the first is that of the time.
pub fn zoned(text: &str) -> Option<i64> {
    const FORMATS: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
    let text = text.trim();
    let rfc3339 = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let offset = |text: &str| FORMATS.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    let read = |text: &str| rfc3339(text).or_else(|| offset(text));
    if let Some(time) = read(text).or_else(|| read(without_offset(text)?.trim_end())) {
        return time.to_utc().timestamp_nanos_opt();
    }
    // Some write the name of the zone.
    ["UTC", "GMT"].iter().find_map(|name| unzoned(text.strip_suffix(name)?))
}

/// The same for a text that says no offset, as if it were UTC.
pub fn unzoned(text: &str) -> Option<i64> {
    const FORMATS: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let text = text.trim();
    let time = FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    time.and_utc().timestamp_nanos_opt()
}

/// A text without the offset at its end.
fn without_offset(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_suffix(['Z', 'z']) {
        return Some(rest);
    }
    let at = text.rfind(['+', '-'])?;
    let (rest, offset) = text.split_at_checked(at)?;
    let digits = offset.get(1..)?.replace(':', "");
    (digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

/// The nanoseconds since the Unix epoch that a whole number says, which counts seconds, or a thousandth, a millionth or a
/// thousand-millionth of them, whichever is a time of this age; `None` for all else.
pub fn epoch(text: &str) -> Option<i64> {
    let text = text.trim();
    let number: i64 = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let unit = match text.len() {
        9 | 10 => 1_000_000_000,
        12 | 13 => 1_000_000,
        15 | 16 => 1_000,
        18 | 19 => 1,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::BootTime;

    #[test]
    fn every_way_of_writing_the_same_moment_is_read() {
        let moment = Some(1_772_380_800_000_000_000);
        for text in [
            "2026-03-01T16:00:00Z",
            "2026-03-01T16:00:00+00:00",
            "2026-03-01T16:00:00+0000",
            "2026-03-01T18:00:00+0200",
            "2026-03-01T16:00:00.000000Z",
            "2026-03-01T16:00:00",
            "2026-03-01T16:00:00UTC",
            "2026-03-01 16:00:00+00:00",
            " 2026-03-01 16:00:00 \n",
            "2026-03-01T16:00:00+00:00+0000",
            "2026-03-01T18:00:00+02:00Z",
            "2026-03-01 18:00:00+02:00 +0000",
            "2026-03-01 16:00:00 GMT",
        ] {
            assert_eq!(parse(text), moment, "{text:?}");
        }
        assert_eq!(parse("2026-03-01T16:00:00.5Z"), moment.map(|nanos| nanos + 500_000_000));
        for text in ["", "tomorrow", "2026-03-01", "1772380800", "2026-13-01T16:00:00Z", "9999-03-01T16:00:00Z"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_error_of_a_clock_cancels_out_where_it_wrote_both_ends() {
        let now = Reading { boot: BootTime::ZERO, system: SystemTime::from_seconds(1_000.0) };
        let truth = Some(TrueTime::from_seconds(1_400.0));
        let at = 2_000_000_000_000;
        let server = Timestamp::Server(TrueTime::from_nanos(at));
        let local = Timestamp::Local(SystemTime::from_nanos(at));
        assert_eq!(server.remaining(now, truth), Some(Span::from_seconds(600.0)));
        assert_eq!(server.remaining(now, None), None);
        for truth in [truth, None] {
            assert_eq!(local.remaining(now, truth), Some(Span::from_seconds(1_000.0)));
        }
        assert_eq!(server.remaining_local(now), local.remaining_local(now));
    }

    #[test]
    fn a_number_counts_what_makes_it_a_time_of_this_age() {
        let moment = Some(1_772_380_800_000_000_000);
        for text in ["1772380800", " 1772380800000 ", "1772380800000000", "1772380800000000000"] {
            assert_eq!(epoch(text), moment, "{text}");
        }
        for text in ["", "-1772380800", "17723808001", "1772380800.5", "20260301", "99999999999999999999"] {
            assert_eq!(epoch(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, end in "2026-03-01T16:00:00[+Z:0-9-]{0,14}") {
            let _ = (parse(&end), epoch(&text));
            parse(&text);
        }
    }
}
