//! Fits what the doctor says by the files and the daemons of Linux to a host with Windows, where there are none of these.

use super::around::Around;
use super::checks::check;
use super::facts::Facts;
use super::w32time::{checks as w32time, kept, limits, seeding};
use super::{mend, routes, shell, vmic, zone};
use crate::clock::estimate::ClockState;
use crate::doctor::report::{CLOCK_OFFSET, Check, Verdict};
use crate::snapshot::Snapshot;
use crate::time::{Offset, Span};

/// What is judged by files, daemons and devices that Windows does not have. It has a `clock-rtc` of its own.
const FOREIGN: [&str; 10] = [
    "clock-discipline",
    "clock-daemons",
    "clock-kernel",
    "clock-claims",
    "clock-rtc",
    "clock-phc",
    "clock-migration",
    "sources-daemon",
    "sources-smear",
    "sources-dropped",
];
const REACHABLE: &str = "imds-reachable";
const TIME_ZONE: &str = "clock-time-zone";
/// What may keep the clock from being right, the cause before what follows from it.
const CAUSES: [&str; 7] =
    [kept::NAME, w32time::SERVERS, limits::NAME, w32time::SYNC, routes::TIME, seeding::NAME, vmic::NAME];

/// Takes the checks of Linux away, puts those of Windows in their place, and has the others name commands of Windows.
pub fn adopt(checks: &mut Vec<Check>, facts: &Facts, snapshot: &Snapshot, is_ec2: bool) {
    let around = around(checks, snapshot, is_ec2 || facts.is_ec2);
    let ours = check(facts, &around);
    checks.retain(|check| !FOREIGN.contains(&check.name.as_str()));
    let cause = cause(&ours);
    let is_way_lost = ours.iter().any(|check| check.name == routes::IMDS && check.verdict == Verdict::Problem);
    let is_of_zone = checks.iter().any(|check| check.name == TIME_ZONE && check.verdict >= Verdict::Warning);
    for check in checks.iter_mut() {
        match check.name.as_str() {
            CLOCK_OFFSET => of_clock(check, cause, &ours, is_of_zone),
            TIME_ZONE if is_of_zone => check.remedy = Some(keep_utc(&ours)),
            REACHABLE if check.verdict >= Verdict::Warning => of_imds(check, is_way_lost),
            _ => {}
        }
        if let Some(remedy) = check.remedy.as_deref().and_then(shell::powershell) {
            check.remedy = Some(remedy);
        }
    }
    checks.extend(ours);
}

/// What sets the clock of this host, and keeps it.
pub fn remedy(facts: &Facts, checks: &[Check], snapshot: &Snapshot, is_ec2: bool) -> String {
    let ours = check(facts, &around(checks, snapshot, is_ec2 || facts.is_ec2));
    cause(&ours).and_then(|cause| cause.remedy.clone()).unwrap_or_else(|| mend::RESYNC.to_owned())
}

fn around(checks: &[Check], snapshot: &Snapshot, is_ec2: bool) -> Around {
    let verdict = |name: &str| checks.iter().find(|check| check.name == name).map(|check| check.verdict);
    let is_known =
        [ClockState::Synchronized, ClockState::Holdover].iter().any(|one| one.name() == snapshot.clock.state);
    let offset = snapshot.clock.offset_seconds.filter(|_| is_known);
    Around {
        is_ec2,
        offset: offset.map(|seconds| Offset::new(Span::from_seconds(seconds))),
        is_clock_wrong: verdict(CLOCK_OFFSET).is_some_and(|verdict| verdict >= Verdict::Warning),
        is_imds_reached: match verdict(REACHABLE) {
            Some(Verdict::Ok) => Some(true),
            Some(Verdict::Warning | Verdict::Problem) => Some(false),
            Some(Verdict::Skipped) | None => None,
        },
    }
}

fn cause(ours: &[Check]) -> Option<&Check> {
    let named = |name: &str| ours.iter().find(|check| check.name == name && check.verdict >= Verdict::Warning);
    CAUSES.iter().find_map(|name| named(name))
}

/// The clock is told to be wrong by what was measured; who should have kept it right is told by Windows.
fn of_clock(check: &mut Check, cause: Option<&Check>, ours: &[Check], is_of_zone: bool) {
    let kept = ours.iter().find(|check| check.name == kept::NAME);
    let keeper = cause.or(kept).map(|check| check.summary.clone());
    check.evidence.retain(|line| !line.contains("keeps this clock"));
    check.evidence.splice(0..0, keeper);
    if check.verdict >= Verdict::Warning {
        let remedy = cause.and_then(|cause| cause.remedy.clone());
        let remedy = remedy.unwrap_or_else(|| mend::RESYNC.to_owned());
        check.remedy = Some(if is_of_zone { format!("{remedy}; {}", keep_utc(ours)) } else { remedy });
    }
}

/// Keeps whoever has set the clock by the wrong zone from doing so again.
fn keep_utc(ours: &[Check]) -> String {
    let of_zone = ours.iter().find(|check| check.name == zone::NAME).and_then(|check| check.remedy.clone());
    of_zone.unwrap_or_else(|| {
        "find what sets the clock from local time (a script with Set-Date, an image, a hypervisor) and let it use UTC"
            .to_owned()
    })
}

fn of_imds(check: &mut Check, is_way_lost: bool) {
    if is_way_lost {
        let summary = format!("{}: see {}", check.summary, routes::IMDS);
        *check = Check::skipped(check.area, &check.name, summary).with_evidence(check.evidence.clone());
        return;
    }
    let is_of_linux = |remedy: &String| ["iptables", "ip route"].iter().any(|word| remedy.contains(word));
    if check.remedy.as_ref().is_some_and(is_of_linux) {
        check.remedy = Some(
            "`Test-NetConnection 169.254.169.254 -Port 80` tells whether it answers, and `Get-NetFirewallRule -Direction \
             Outbound -Action Block -Enabled True` what may keep it from that"
                .to_owned(),
        );
    }
}
