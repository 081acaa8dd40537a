//! What the doctor says of Windows together with what it says of every host.

use super::host::{Host, ZONE, ec2, facts, printed, routes};
use crate::doctor::clock::scenes::host::snapshot as measured;
use crate::doctor::report::{Area, Check, Verdict};
use crate::doctor::windows::adopt::{adopt, remedy};
use crate::snapshot::Snapshot;
use crate::sys::system::{Start, State};

/// What was measured, of which Windows has no word of a kernel.
fn snapshot(offset: f64) -> Snapshot {
    let mut snapshot = measured(offset, false);
    snapshot.clock.kernel = None;
    snapshot
}

/// As they are made on a host where no file of Linux is.
fn others() -> Vec<Check> {
    let nobody = "nobody keeps this clock: no time daemon runs that may set it";
    vec![
        Check::problem(
            Area::Clock,
            "clock-offset",
            "the system clock is 400 s slow",
            "refused",
            "sudo chronyc makestep",
        )
        .with_evidence([nobody, "since yesterday"]),
        Check::warning(Area::Clock, "clock-discipline", nobody, "it drifts", "sudo apt-get install chrony"),
        Check::ok(Area::Clock, "clock-rtc", "the hardware clock is kept in UTC"),
        Check::ok(Area::Clock, "clock-time-zone", "the offset is not that of a time zone"),
        Check::problem(Area::Imds, "imds-reachable", "no route to 169.254.169.254", "no credentials", "ip route get x"),
    ]
}

fn adopted(host: &Host) -> Vec<Check> {
    let mut checks = others();
    adopt(&mut checks, &facts(host), &snapshot(400.0), true);
    checks
}

fn named<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let mut found = checks.iter().filter(|check| check.name == name);
    let first = found.next().unwrap();
    assert!(found.next().is_none(), "{name} is told twice");
    first
}

#[test]
fn a_wrong_clock_is_mended_by_what_windows_needs() {
    let host = ec2().service("W32Time", Start::Manual, State::Stopped);
    let checks = adopted(&host);
    let offset = named(&checks, "clock-offset");
    let start = "sc.exe triggerinfo w32time delete; Set-Service w32time -StartupType Automatic; Start-Service w32time; w32tm \
                 /resync /rediscover";
    assert_eq!(offset.remedy.as_deref(), Some(start));
    let kept = "nobody keeps this clock: the Windows Time service waits for a trigger and is stopped";
    assert_eq!(offset.evidence, [kept, "since yesterday"]);
    assert_eq!(remedy(&facts(&host), &checks, &snapshot(400.0), true), start);
}

#[test]
fn a_wrong_clock_of_a_service_that_is_well_is_set_at_once() {
    let checks = adopted(&ec2());
    assert_eq!(named(&checks, "clock-offset").remedy.as_deref(), Some("w32tm /resync /rediscover"));
}

#[test]
fn what_is_judged_by_files_of_linux_is_not_told() {
    let checks = adopted(&ec2());
    assert!(!checks.iter().any(|check| check.name == "clock-discipline"), "{}", printed(&checks));
    assert_eq!(named(&checks, "clock-rtc").summary, "the hardware clock is taken to be in UTC");
    named(&checks, "clock-time-zone");
    let text = printed(&checks);
    for word in ["chrony", "sudo", "ip route", "iptables", "apt-get"] {
        assert!(!text.contains(word), "{word}:\n{text}");
    }
}

#[test]
fn an_offset_of_a_zone_is_mended_where_windows_takes_the_hardware_clock_for_local() {
    let host = ec2().number(ZONE, "RealTimeIsUniversal", 0).number(ZONE, "ActiveTimeBias", 300);
    let zone =
        Check::warning(Area::Clock, "clock-time-zone", "5 h fast", "it does so again", "let it use UTC; `timedatectl`");
    let mut checks: Vec<Check> =
        others().into_iter().filter(|check| check.name != "clock-time-zone").chain([zone]).collect();
    adopt(&mut checks, &facts(&host), &snapshot(-18_000.0), true);
    let universal = r"reg add HKLM\SYSTEM\CurrentControlSet\Control\TimeZoneInformation /v RealTimeIsUniversal /t REG_DWORD /d 1 /f";
    assert_eq!(named(&checks, "clock-time-zone").remedy.as_deref(), Some(universal));
    let set = format!("w32tm /resync /rediscover; {universal}");
    assert_eq!(named(&checks, "clock-offset").remedy.as_ref(), Some(&set));
}

#[test]
fn commands_of_a_shell_of_unix_are_those_of_powershell() {
    let unset = Check::problem(Area::Credentials, "credentials-shadow", "keys", "refused", "unset AWS_ACCESS_KEY_ID");
    let mut checks = vec![unset];
    adopt(&mut checks, &facts(&ec2()), &snapshot(0.0), true);
    let remedy = "Remove-Item Env:AWS_ACCESS_KEY_ID -ErrorAction SilentlyContinue";
    assert_eq!(named(&checks, "credentials-shadow").remedy.as_deref(), Some(remedy));
}

#[test]
fn a_lost_way_is_told_once() {
    let checks = adopted(&ec2().routed(routes([10, 0, 1, 1], true)));
    assert_eq!(named(&checks, "imds-route").verdict, Verdict::Problem);
    let reachable = named(&checks, "imds-reachable");
    assert_eq!(reachable.verdict, Verdict::Skipped);
    assert_eq!(reachable.summary, "no route to 169.254.169.254: see imds-route");
}
