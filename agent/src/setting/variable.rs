//! What environment variables say, as AWS and OpenTelemetry have it.

use std::time::Duration;

use super::fault::Bounds;

/// `true` or `false`, in any case.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(format!("{} is neither true nor false", shown(text))),
    }
}

/// A number of seconds.
pub(crate) fn seconds(text: &str, bounds: Bounds) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| format!("{} is not a number of seconds, such as 1 or 0.5", shown(text)))?;
    let duration = Duration::try_from_secs_f64(seconds)
        .map_err(|_| format!("{} s is out of range: allowed is {bounds}", shown(text)))?;
    bounds.check(duration)
}

/// A whole number of milliseconds.
pub(crate) fn milliseconds(text: &str, bounds: Bounds) -> Result<Duration, String> {
    let millis = text.parse().map_err(|_| format!("{} is not a number of milliseconds, such as 10000", shown(text)))?;
    bounds.check(Duration::from_millis(millis))
}

/// What a variable says, short and harmless enough for a terminal.
pub(crate) fn shown(text: &str) -> String {
    text.escape_debug().take(40).collect()
}
