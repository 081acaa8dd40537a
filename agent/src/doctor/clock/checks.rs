//! The checks on the clock: how far it is off, who keeps it, and what could make it wrong.

use std::path::Path;

use super::chronyd::Place as Asked;
use super::facts::{Facts, now};
use super::program::Program;
use super::reference::Configured;
use super::users::Users;
use super::{
    chrony_conf, chronyd, claims, clockbound, daemon, discipline, mend, ntp_conf, offset, other_conf, phc,
    timesyncd_conf, tree,
};
use crate::config::checked::Config;

use crate::doctor::report::{Area, Check, Verdict};
use crate::host::distribution::{Distribution, Place};
use crate::snapshot::Snapshot;

const RTC: &str = "clock-rtc";

/// Looks at the host below `root`, which is `/` but in tests, and asks its chronyd where there is one. Takes some
/// milliseconds, and two seconds where chronyd does not answer.
pub async fn gather(root: &Path, env: &dyn Fn(&str) -> Option<String>) -> Facts {
    let (root, place) = (root.to_owned(), Place::of(root, env, false));
    let looking = tokio::task::spawn_blocking(move || look(&root, place));
    let (facts, places) = looking.await.expect("looking at files neither panics nor is cancelled");
    let tracking = if places.is_empty() { None } else { Some(chronyd::ask(&places).await) };
    Facts { tracking, ..facts }
}

/// All but chronyd's answer, and where it should be asked.
fn look(root: &Path, place: Place) -> (Facts, Vec<Asked>) {
    let seen = daemon::look(root);
    let keeper = seen.keeper().cloned();
    let named = keeper.as_ref().and_then(|keeper| keeper.config.as_deref());
    let is_chronyd = keeper.as_ref().is_some_and(|keeper| keeper.program == Program::Chronyd);
    let users = Users::read(root);
    let writers = |program| users.writers(program);
    let of_chronyd = writers(Program::Chronyd);
    // The files of a daemon in a container are not those of the host.
    let is_elsewhere = keeper.as_ref().is_some_and(|keeper| keeper.is_elsewhere);
    let is_own_chrony = !(is_chronyd && is_elsewhere);
    let told = keeper.as_ref().map(|keeper| keeper.told.as_slice()).unwrap_or_default();
    let directives = if is_chronyd { told } else { &[] };
    let chrony = chrony_conf::read(root, named.filter(|_| is_chronyd), directives, &of_chronyd);
    let chrony = chrony.filter(|_| is_own_chrony);
    // A container that shares the network of its host reaches the chronyd that it does not see.
    let may_answer = is_chronyd || (keeper.is_none() && seen.hidden.is_some());
    let places = if may_answer { chrony_conf::places(root, chrony.as_ref(), &of_chronyd) } else { Vec::new() };
    let unseen =
        || Configured { unread: vec!["its files are those of a container".to_owned()], ..Configured::default() };
    let followed = keeper.as_ref().map(|keeper| match keeper.program {
        _ if is_elsewhere => unseen(),
        Program::Chronyd => chrony.as_ref().map(|chrony| chrony.configured.clone()).unwrap_or_default(),
        Program::Timesyncd => timesyncd_conf::read(root, &writers(keeper.program)),
        Program::Ntpd => ntp_conf::ntpd(root, named, told, &writers(keeper.program)),
        Program::Busybox => ntp_conf::busybox(root, told, &writers(keeper.program)),
        Program::OpenNtpd => other_conf::openntpd(root, named, &writers(keeper.program)),
        Program::NtpdRs => other_conf::ntpd_rs(root, named, &writers(keeper.program)),
        Program::Phc2sys | Program::Ptp4l => Configured::default(),
    });
    let rtcsync = !is_chronyd || chrony.as_ref().is_some_and(|chrony| chrony.tells_kernel);
    let facts = Facts {
        tells_kernel: keeper.as_ref().is_some_and(|keeper| keeper.tells_kernel) && rtcsync,
        followed,
        tracking: None,
        has_chrony: chrony.is_some(),
        is_rtc_local: is_rtc_local(root),
        zone: zone(root),
        offered: phc::look(root),
        clockbound: clockbound::read(root, &users.of_clockbound()),
        distribution: Distribution::of(root),
        place: if place == Place::Host && seen.is_container { Place::Container } else { place },
        seen,
    };
    (facts, places)
}

/// What sets the clock of this host and keeps it, whether it is wrong or not.
pub fn remedy(facts: &Facts, snapshot: &Snapshot) -> String {
    let keeper = discipline::keeper(facts, snapshot.clock.kernel.as_ref(), now(snapshot));
    mend::set(facts, &keeper, None)
}

/// Judges the clock by what `check` has measured in this run. `agent` is what the running agent knows, which is asked for
/// since when. At most one check is a problem: `clock-offset`.
pub fn check(facts: &Facts, snapshot: &Snapshot, agent: Option<&Snapshot>, config: &Config) -> Vec<Check> {
    let kernel = snapshot.clock.kernel.as_ref();
    let keeper = discipline::keeper(facts, kernel, now(snapshot));
    let offset = offset::check(facts, &keeper, snapshot, agent, config);
    let is_wrong = offset.verdict > Verdict::Skipped;
    vec![
        offset,
        offset::check_zone(facts, snapshot),
        discipline::check(facts, &keeper, kernel),
        discipline::check_daemons(facts),
        discipline::check_kernel(facts, &keeper, kernel, is_wrong),
        claims::check(facts, snapshot),
        check_rtc(facts),
        phc::check(&facts.offered, facts.followed.as_ref()),
        phc::check_migration(&facts.offered),
    ]
}

fn check_rtc(facts: &Facts) -> Check {
    if !facts.is_rtc_local {
        return Check::ok(Area::Clock, RTC, "the hardware clock is kept in UTC");
    }
    Check::warning(
        Area::Clock,
        RTC,
        "the hardware clock is kept in local time (LOCAL in /etc/adjtime)",
        "after a boot the clock is hours off until a time daemon has corrected it, because the clock of an EC2 instance is UTC",
        mend::hardware_in_utc(facts),
    )
    .with_evidence(facts.zone.iter().map(|zone| format!("time zone: {zone}")))
}

/// The third line of `/etc/adjtime` (hwclock(8)); without the file it is UTC.
fn is_rtc_local(root: &Path) -> bool {
    let text = tree::read(&tree::under(root, "/etc/adjtime")).unwrap_or_default();
    text.lines().nth(2).is_some_and(|line| line.trim() == "LOCAL")
}

/// By the link that `timedatectl` makes, or the file of Debian.
fn zone(root: &Path) -> Option<String> {
    let link = std::fs::read_link(tree::under(root, "/etc/localtime")).ok();
    let path = link.as_deref().and_then(Path::to_str).and_then(|path| path.split_once("zoneinfo/"));
    path.map(|(_, zone)| zone.to_owned()).or_else(|| tree::line(&tree::under(root, "/etc/timezone")))
}
