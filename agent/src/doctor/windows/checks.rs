//! All that is to be said of a host because it has Windows.

use super::around::Around;
use super::facts::Facts;
use super::proxy::checks as proxy;
use super::w32time::{checks as w32time, kept, limits, seeding};
use super::{credentials, routes, vmic, zone};
use crate::doctor::report::{Area, Check};

const UNREAD: &str = "windows-read";

/// Judges what was found. Of the clock nothing is a problem: that is what `clock-offset` says.
pub fn check(facts: &Facts, around: &Around) -> Vec<Check> {
    let time = &facts.time;
    let mut checks = vec![
        kept::check(time, around),
        w32time::servers(time, around),
        w32time::sync(time, around),
        limits::check(time, around),
        seeding::check(time, around),
        w32time::policy(time),
        vmic::check(facts.is_vmic_enabled, time, around),
        zone::check(&facts.zone, around),
        routes::time(&facts.network, time, around),
        routes::imds(&facts.network, around),
        proxy::check(&facts.proxies, around),
        credentials::environments(&facts.credentials, around),
        credentials::stores(&facts.credentials),
    ];
    if !facts.unread.is_empty() {
        let summary = "not all of Windows could be looked at: call the doctor as administrator";
        checks.push(Check::skipped(Area::Agent, UNREAD, summary).with_evidence(facts.unread.iter().take(16)));
    }
    checks
}
