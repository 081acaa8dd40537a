//! How much of what is played in invented time is played: a part of it, so that an edit is tested at once, or all, or the
//! one host whose story a failure has told.

use std::ops::Range;

/// The variable that asks for `all`, which `cargo schedules` is for, or for the host with this seed alone.
const VARIABLE: &str = "SKEWGUARD_SCHEDULES";

/// Whether all is asked for.
pub(crate) fn all() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|asked| asked == "all")
}

/// Whether one host alone is asked for, and its seed.
pub(crate) fn one() -> Option<u64> {
    std::env::var(VARIABLE).ok()?.parse().ok()
}

/// The seeds of a `fleet` of so many hosts, of which a `few` are played after every edit.
pub(crate) fn seeds(fleet: u64, few: u64) -> Range<u64> {
    match one() {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..if all() { fleet } else { few },
    }
}
