//! The clock of Hyper-V, which Windows asks as well where there is one.
//!
//! Source: "Time accuracy improvements for Windows Server 2016" of Microsoft on `VMICTimeProvider`. No such clock is on EC2, so
//! that the provider, which is enabled on every Windows, has nobody to ask there.

use super::around::Around;
use super::mend;
use super::w32time::kept::W32Time;
use super::w32time::status::Status;
use crate::doctor::report::{Area, Check};

/// The check of it.
pub const NAME: &str = "clock-hypervisor";
/// Where it is told whether it is enabled.
pub const KEY: &str = r"SYSTEM\CurrentControlSet\Services\W32Time\TimeProviders\VMICTimeProvider";

/// Whether the hypervisor competes with what the service is told to follow.
pub fn check(is_enabled: Option<bool>, time: &W32Time, around: &Around) -> Check {
    let enabled = match is_enabled {
        Some(true) => "VMICTimeProvider is enabled",
        Some(false) => "VMICTimeProvider is disabled",
        None => "VMICTimeProvider is not there",
    };
    if !time.said().is_some_and(Status::is_of_hypervisor) {
        return Check::ok(Area::Clock, NAME, "no hypervisor sets this clock").with_evidence([enabled]);
    }
    let has_others = !time.settings.asked().is_empty() || time.is_of_domain();
    if !(around.is_clock_wrong && has_others) {
        return Check::ok(Area::Clock, NAME, "the clock of Hyper-V is followed").with_evidence([enabled]);
    }
    let summary = "Windows Time follows the clock of Hyper-V and not the servers that it is told";
    let effect = "this clock is as wrong as that of the host";
    let remedy = mend::write(r"TimeProviders\VMICTimeProvider", "Enabled", "0");
    Check::warning(Area::Clock, NAME, summary, effect, remedy).with_evidence([enabled])
}
