//! The time scales of this agent, as types that cannot be mistaken for one another.
//!
//! All are whole nanoseconds in an `i64`, which spans 292 years on either side of its zero. Arithmetic saturates: a
//! hostile time stamp yields an absurd value, never a panic.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

macro_rules! nanoseconds {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(i64);

        impl $name {
            /// Zero of this scale.
            pub const ZERO: Self = Self(0);

            /// Makes one from nanoseconds.
            pub const fn from_nanos(nanos: i64) -> Self {
                Self(nanos)
            }

            /// Makes one from seconds; out of range saturates and NaN becomes zero.
            #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
            pub fn from_seconds(seconds: f64) -> Self {
                Self((seconds * NANOS_PER_SECOND as f64).round() as i64)
            }

            /// Nanoseconds.
            pub const fn nanos(self) -> i64 {
                self.0
            }

            /// Seconds, for the edge of the program.
            pub fn seconds(self) -> f64 {
                self.0 as f64 / NANOS_PER_SECOND as f64
            }

            /// This moved by `span`.
            #[must_use]
            pub const fn plus(self, span: Span) -> Self {
                Self(self.0.saturating_add(span.nanos()))
            }

            /// This moved back by `span`.
            #[must_use]
            pub const fn minus(self, span: Span) -> Self {
                Self(self.0.saturating_sub(span.nanos()))
            }

            /// What must be added to `earlier` to get this.
            pub const fn since(self, earlier: Self) -> Span {
                Span(self.0.saturating_sub(earlier.0))
            }
        }
    };
}

nanoseconds! {
    /// A signed length of time.
    Span
}
nanoseconds! {
    /// True time: nanoseconds since the Unix epoch (UTC without leap seconds), as estimated by this agent.
    TrueTime
}
nanoseconds! {
    /// What the host believes: nanoseconds since the Unix epoch by the system clock (`CLOCK_REALTIME`).
    SystemTime
}
nanoseconds! {
    /// Nanoseconds since boot (`CLOCK_BOOTTIME`): never set by anybody, and it counts while the host sleeps.
    BootTime
}
nanoseconds! {
    /// True time minus boot time. It does not change when somebody sets the system clock, which makes it the scale in
    /// which measurements are kept.
    Anchor
}

impl SystemTime {
    /// A time of the standard library, such as the one at which a file was written; what lies beyond the ends of this scale is
    /// its end.
    pub fn of(time: std::time::SystemTime) -> Self {
        match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Self::ZERO.plus(Span::from_duration(since)),
            Err(before) => Self::ZERO.minus(Span::from_duration(before.duration())),
        }
    }
}

impl Span {
    /// A length of time that is known not to be negative.
    pub fn from_duration(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// The length without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// The length as a [`Duration`], zero where it is negative.
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Half of it.
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }

    /// What a clock that is wrong by `rate` (seconds a second) gains over this length.
    pub fn scaled(self, rate: f64) -> Self {
        Self::from_seconds(self.seconds() * rate)
    }
}

/// True time minus system time, θ of RFC 5905 §8. Positive: the system clock is **slow**.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(Span);

impl Offset {
    /// An offset of `span`: positive where the system clock is slow.
    pub const fn new(span: Span) -> Self {
        Self(span)
    }

    /// The offset as a signed length.
    pub const fn span(self) -> Span {
        self.0
    }

    /// Seconds, positive where the system clock is slow.
    pub fn seconds(self) -> f64 {
        self.0.seconds()
    }

    /// By how much the system clock is behind; zero where it is ahead.
    pub fn lag(self) -> Span {
        self.0.max(Span::ZERO)
    }
}

/// Half the width of the interval that holds the true value. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorBound(Span);

impl ErrorBound {
    /// A bound of `span`, without its sign.
    pub const fn new(span: Span) -> Self {
        Self(span.abs())
    }

    /// The bound as a length.
    pub const fn span(self) -> Span {
        self.0
    }

    /// Seconds.
    pub fn seconds(self) -> f64 {
        self.0.seconds()
    }
}

impl Anchor {
    /// True time at `boot`.
    pub const fn at(self, boot: BootTime) -> TrueTime {
        TrueTime::from_nanos(self.0.saturating_add(boot.0))
    }
}

impl TrueTime {
    /// The anchor which puts this true time at `boot`.
    pub const fn anchored(self, boot: BootTime) -> Anchor {
        Anchor::from_nanos(self.0.saturating_sub(boot.0))
    }
}

/// The two clocks of this host, read at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The clock that nobody sets.
    pub boot: BootTime,
    /// The clock that everybody believes.
    pub system: SystemTime,
}

impl Reading {
    /// System time minus boot time: it jumps when, and only when, somebody sets the system clock.
    pub const fn system_minus_boot(self) -> Span {
        Span(self.system.0.saturating_sub(self.boot.0))
    }

    /// The offset of the system clock, if `anchor` holds.
    pub const fn offset(self, anchor: Anchor) -> Offset {
        Offset(Span(anchor.0.saturating_sub(self.system_minus_boot().0)))
    }
}

/// A length of time for people: two significant parts at most, never a bare sign.
pub fn humane(span: Span) -> String {
    let seconds = span.abs().seconds();
    if seconds >= 86_400.0 {
        format!("{:.1} days", seconds / 86_400.0)
    } else if seconds >= 3_600.0 {
        format!("{:.1} h", seconds / 3_600.0)
    } else if seconds >= 600.0 {
        format!("{:.0} min", seconds / 60.0)
    } else if seconds >= 100.0 {
        format!("{seconds:.0} s")
    } else if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else if seconds >= 1e-3 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.1} µs", seconds * 1e6)
    }
}

/// An offset for people: `3.2 s slow`, `3.2 s fast`.
pub fn humane_offset(offset: Offset) -> String {
    let direction = if offset.span() >= Span::ZERO { "slow" } else { "fast" };
    format!("{} {direction}", humane(offset.span()))
}

/// A point of time for people and for JSON: RFC 3339 in UTC with milliseconds.
pub fn rfc3339(nanos_since_epoch: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(nanos_since_epoch).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_positive_offset_is_a_slow_clock() {
        let reading = Reading { boot: BootTime::from_nanos(5), system: SystemTime::from_seconds(1_000.0) };
        let anchor = TrueTime::from_seconds(1_003.2).anchored(reading.boot);
        assert_eq!(humane_offset(reading.offset(anchor)), "3.2 s slow");
        let anchor = TrueTime::from_seconds(600.0).anchored(reading.boot);
        assert_eq!(humane_offset(reading.offset(anchor)), "400 s fast");
    }

    #[test]
    fn arithmetic_at_the_ends_of_the_range_saturates() {
        let far = TrueTime::from_nanos(i64::MAX);
        assert_eq!(far.plus(Span::from_nanos(1)), far);
        assert_eq!(far.since(TrueTime::from_nanos(i64::MIN)).nanos(), i64::MAX);
        assert_eq!(Span::from_nanos(i64::MIN).abs().nanos(), i64::MAX);
        assert_eq!(Span::from_seconds(f64::INFINITY).nanos(), i64::MAX);
    }
}
