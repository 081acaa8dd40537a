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
    const WITH_OFFSET: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
    const WITHOUT: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let text = text.trim();
    // botocore writes the names of the zone as well.
    let text = text.strip_suffix("UTC").map_or(text, str::trim_end);
    let rfc3339 = || DateTime::parse_from_rfc3339(text).ok();
    let offset = || WITH_OFFSET.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    let plain = || WITHOUT.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let time = rfc3339().or_else(offset).map(|time| time.to_utc()).or_else(|| plain().map(|time| time.and_utc()))?;
    time.timestamp_nanos_opt()
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

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            parse(&text);
        }
    }
}
