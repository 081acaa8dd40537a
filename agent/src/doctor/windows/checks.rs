//! All that is to be said of a host because it has Windows.

use super::around::Around;
use super::facts::Facts;
use super::proxy::checks as proxy;
use super::w32time::servers::Server;
use super::w32time::{checks as w32time, kept, limits, seeding};
use super::{credentials, routes, vmic, zone};
use crate::doctor::report::{Area, Check, Verdict};

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
    tell_once(&mut checks, facts);
    if !facts.unread.is_empty() {
        let summary = "not all of Windows could be looked at: call the doctor as administrator";
        checks.push(Check::skipped(Area::Agent, UNREAD, summary).with_evidence(facts.unread.iter().take(16)));
    }
    checks
}

/// That nobody is followed is no cause of its own where another check has found why.
fn tell_once(checks: &mut [Check], facts: &Facts) {
    // Who follows a domain needs no way to Amazon Time Sync.
    let asks_amazon = facts.time.settings.asked().iter().any(Server::is_amazon);
    let causes = [Some(w32time::SERVERS), Some(limits::NAME), asks_amazon.then_some(routes::TIME)];
    let is_found = |name: &str| checks.iter().any(|check| check.name == name && check.verdict >= Verdict::Warning);
    let Some(cause) = causes.into_iter().flatten().find(|name| is_found(name)) else { return };
    for check in checks.iter_mut().filter(|check| check.name == w32time::SYNC && check.verdict >= Verdict::Warning) {
        let summary = format!("{}: see {cause}", check.summary);
        *check = Check::skipped(check.area, w32time::SYNC, summary).with_evidence(check.evidence.clone());
    }
}
