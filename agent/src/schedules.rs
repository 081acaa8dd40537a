//! How much of what is played in invented time is played: a part of it, so that an edit is tested at once, or all.

/// The variable that asks for all, which `cargo schedules` is for.
const VARIABLE: &str = "SKEWGUARD_SCHEDULES";

/// Whether all is asked for.
pub(crate) fn all() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|asked| asked == "all")
}
