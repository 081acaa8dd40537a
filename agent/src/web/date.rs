//! Dates as HTTP has them.

use chrono::NaiveDateTime;

use crate::time::TrueTime;

/// Reads a date in the form of today or in one of the two that have to be understood (RFC 9110 §5.6.7).
pub fn parse(text: &str) -> Option<TrueTime> {
    const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let date = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    Some(TrueTime::from_nanos(date.and_utc().timestamp_nanos_opt()?))
}
