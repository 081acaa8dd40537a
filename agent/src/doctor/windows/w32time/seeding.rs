//! Secure Time Seeding, by which the Windows Time service takes the time from TLS of whoever is talked to.
//!
//! Source: `UtilizeSslTimeData` in "Windows Time service tools and settings" of Microsoft: it is on by itself but in Windows Server
//! 2025. Many servers write a random number where TLS once had the time, so that it may set a clock hours or years off.

use super::kept::W32Time;
use crate::doctor::report::{Area, Check};
use crate::doctor::windows::around::Around;
use crate::doctor::windows::mend;
use crate::time::Span;

/// The check of it.
pub const NAME: &str = "clock-w32time-seeding";
/// It leaves a clock alone that is off by less.
const FAR: Span = Span::from_nanos(3_600 * 1_000_000_000);

/// Whether it may have set this clock.
pub fn check(time: &W32Time, around: &Around) -> Check {
    let setting = time.settings.uses_tls.as_ref();
    let Some(setting) = setting.filter(|setting| setting.value && !time.is_other_running) else {
        return Check::ok(Area::Clock, NAME, "no time is taken from TLS (Secure Time Seeding)");
    };
    let is_far = around.offset.is_some_and(|offset| offset.span().abs() >= FAR);
    if !(around.is_clock_wrong && is_far) {
        return Check::ok(
            Area::Clock,
            NAME,
            "a clock that is far off may be set by times from TLS (Secure Time Seeding)",
        );
    }
    let summary = "Windows may have set this clock by times from TLS (Secure Time Seeding: UtilizeSslTimeData is 1)";
    let effect = "servers that write no time there set the clock hours or years off, again and again";
    let remedy = match setting.is_policy {
        true => mend::policy("Global Configuration Settings", "UtilizeSslTimeData is 0"),
        false => mend::write("Config", "UtilizeSslTimeData", "0"),
    };
    Check::warning(Area::Clock, NAME, summary, effect, remedy)
}
