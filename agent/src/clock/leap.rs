//! Leap seconds: the one step of the system clock that is in order.

use chrono::{DateTime, Datelike};

use crate::time::{NANOS_PER_SECOND, Span, SystemTime, TrueTime};

const DAY: i64 = 86_400 * NANOS_PER_SECOND;
const SECOND: Span = Span::from_nanos(NANOS_PER_SECOND);
/// TAI minus UTC since 2017. The IERS tells of another leap second half a year ahead (Bulletin C).
pub const TAI_MINUS_UTC: Span = Span::from_nanos(37 * NANOS_PER_SECOND);
/// How far two readings of two clocks may be from a whole second.
const NOISE: Span = Span::from_nanos(10_000_000);

/// Whether the system clock went by `by` because of a leap second, somewhere between a reading of `before` and one of `after`.
///
/// The kernel repeats the last second of the day by UTC, or leaves it out, and does so by the system clock, right or wrong
/// (`adjtimex(2)`, `STA_INS` and `STA_DEL`). That may be at the end of June or December; so far it was at no other (ITU-R
/// TF.460-6, annex 1, allows others as a last resort).
pub fn is_leap_second(before: SystemTime, after: SystemTime, by: Span) -> bool {
    let distance = Span::from_nanos(by.abs().nanos().saturating_sub(SECOND.nanos())).abs();
    let midnight = SystemTime::from_nanos(after.plus(SECOND).nanos().div_euclid(DAY).saturating_mul(DAY));
    // An inserted second begins at midnight and goes back to the second before; a deleted one is the last of the day.
    distance <= NOISE && before <= midnight && midnight.since(after) <= SECOND && begins_half_a_year(midnight)
}

/// Whether one who smears a leap second and one who does not may differ at this time: a day before the end of June or
/// December to a day after it. Who smears announces none, and a clock of hardware cannot; so this goes by the date alone.
pub fn is_leap_night(time: TrueTime) -> bool {
    let nanos = time.nanos();
    [nanos, nanos.saturating_add(DAY)].into_iter().any(|near| {
        let midnight = near.div_euclid(DAY).saturating_mul(DAY);
        begins_half_a_year(SystemTime::from_nanos(midnight))
    })
}

/// What is amiss with a clock that is off by so much, where that is what TAI and UTC differ by, or twice that: one was taken
/// for the other. A second more or less may be how far the clock is wrong besides, or a leap second since.
pub fn taken_for_utc(apart: Span) -> Option<&'static str> {
    let seconds = apart.seconds();
    let is_near = |difference: f64| (seconds - difference).abs() <= 1.0;
    let difference = TAI_MINUS_UTC.seconds();
    if is_near(difference) {
        Some("this clock tells TAI")
    } else if [-difference, 2.0 * difference, -2.0 * difference].into_iter().any(is_near) {
        Some("whoever set or reads this clock takes TAI for UTC, or UTC for TAI")
    } else {
        None
    }
}

/// Whether this midnight begins a January or a July.
fn begins_half_a_year(midnight: SystemTime) -> bool {
    let date = DateTime::from_timestamp_nanos(midnight.nanos());
    date.day() == 1 && (date.month() == 1 || date.month() == 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2027-01-01.
    const NEW_YEAR: f64 = 1_798_761_600.0;

    fn is_leap(before: f64, after: f64, by: f64) -> bool {
        let at = |seconds| SystemTime::from_seconds(NEW_YEAR + seconds);
        is_leap_second(at(before), at(after), Span::from_seconds(by))
    }

    #[test]
    fn a_clock_that_is_off_by_the_difference_to_tai_is_known_by_it() {
        let told = |seconds| taken_for_utc(Span::from_seconds(seconds));
        for tai in [37.0, 36.2, 38.0] {
            assert_eq!(told(tai), Some("this clock tells TAI"), "{tai}");
        }
        for taken in [-37.0, 74.5, -73.1] {
            assert!(told(taken).is_some_and(|words| words.contains("UTC for TAI")), "{taken}");
        }
        for other in [0.0, 35.9, 38.1, -35.0, 60.0, 400.0] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn a_second_is_inserted_or_left_out_at_midnight_alone() {
        assert!(is_leap(-2.0, -0.5, -1.0) && is_leap(-0.1, 7.0, -1.000_4) && is_leap(-2.0, 0.5, 1.0));
        assert!(!is_leap(-30.0, -29.0, -1.0), "half a minute before");
        assert!(!is_leap(0.5, 0.6, -1.0), "after it");
        assert!(!is_leap(-2.0, -0.5, -1.5), "not a second");
    }

    proptest! {
        #[test]
        fn on_no_other_day_is_a_step_a_leap_second(day in 1_i32..181, before in -60.0_f64..0.0, after in -1.0_f64..60.0) {
            let day = f64::from(day) * 86_400.0;
            prop_assert!(!is_leap(day + before, day + after, -1.0));
        }
    }
}
