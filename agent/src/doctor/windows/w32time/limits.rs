//! What the Windows Time service refuses to correct.

use super::kept::{NAME as KEPT, W32Time};
use super::settings::{Setting, Settings, UNLIMITED};
use crate::doctor::report::{Area, Check};
use crate::doctor::windows::around::Around;
use crate::doctor::windows::mend;
use crate::time::{Offset, Span, humane, humane_offset};

/// The check of the limits.
pub const NAME: &str = "clock-w32time-limits";
/// From here AWS refuses all requests; a smaller limit lets a clock fail for good that could be mended.
const SMALLEST: u32 = 900;
const FORWARD: &str = "MaxPosPhaseCorrection";
const BACK: &str = "MaxNegPhaseCorrection";

/// Whether it would correct this clock, and any other that is off by little.
pub fn check(time: &W32Time, around: &Around) -> Check {
    if time.cause().is_some() {
        return Check::skipped(Area::Clock, NAME, format!("the Windows Time service corrects nothing: see {KEPT}"));
    }
    if time.is_other_running {
        return Check::skipped(Area::Clock, NAME, "another service keeps this clock");
    }
    let settings = &time.settings;
    let limits = [(FORWARD, &settings.largest_forward), (BACK, &settings.largest_back)];
    let limits = limits.into_iter().filter_map(|(name, limit)| Some((name, limit.as_ref()?)));
    let evidence: Vec<String> = limits.map(|(name, limit)| format!("{name} is {}", describe(limit.value))).collect();
    let slewed = settings.largest_slewed.as_ref();
    let slewed =
        slewed.map(|limit| format!("up to {} s it slews and does not set (MaxAllowedPhaseOffset)", limit.value));
    let refused = around.offset.filter(|_| around.is_clock_wrong).filter(|offset| is_refused(settings, *offset));
    let check = if let Some(offset) = refused {
        let summary = format!("the Windows Time service refuses to correct a clock that is {}", humane_offset(offset));
        let effect = "it logs an event instead, and the clock stays as it is";
        Check::warning(Area::Clock, NAME, summary, effect, remedy(settings, around))
    } else if let Some(limit) = smallest(settings).filter(|limit| *limit < SMALLEST) {
        let summary = format!("the Windows Time service corrects no clock that is off by more than {limit} s");
        let effect = "after a pause of the machine or a manual change the clock stays wrong, and AWS rejects requests";
        Check::warning(Area::Clock, NAME, summary, effect, remedy(settings, around))
    } else {
        Check::ok(Area::Clock, NAME, "the Windows Time service corrects a clock that is off by hours")
    };
    check.with_evidence(evidence).with_evidence(slewed)
}

/// A clock that is slow is corrected forward.
fn is_refused(settings: &Settings, offset: Offset) -> bool {
    let limit = if offset.span() >= Span::ZERO { &settings.largest_forward } else { &settings.largest_back };
    let limit = limit.as_ref().map(|limit| limit.value).filter(|limit| *limit != UNLIMITED);
    limit.is_some_and(|limit| offset.span().abs().seconds() > f64::from(limit))
}

fn smallest(settings: &Settings) -> Option<u32> {
    [&settings.largest_forward, &settings.largest_back].into_iter().flatten().map(|limit| limit.value).min()
}

fn describe(limit: u32) -> String {
    match limit {
        UNLIMITED => "0xFFFFFFFF, which is no limit".to_owned(),
        limit => format!("{limit} s ({})", humane(Span::from_seconds(f64::from(limit)))),
    }
}

/// Takes the limits away.
pub(super) fn remedy(settings: &Settings, around: &Around) -> String {
    let is_policy = |limit: &Option<Setting<u32>>| limit.as_ref().is_some_and(|limit| limit.is_policy);
    if is_policy(&settings.largest_forward) || is_policy(&settings.largest_back) {
        return mend::policy(
            "Global Configuration Settings",
            "MaxPosPhaseCorrection and MaxNegPhaseCorrection are 4294967295",
        );
    }
    let name = match around.offset {
        Some(offset) if offset.span() < Span::ZERO => BACK,
        Some(_) | None => FORWARD,
    };
    let other = if name == BACK { FORWARD } else { BACK };
    // The service has to be started again once, after both.
    let first = mend::write("Config", other, "0xFFFFFFFF");
    let first = first.split("; ").next().unwrap_or_default();
    format!("{first}; {}", mend::write("Config", name, "0xFFFFFFFF"))
}
