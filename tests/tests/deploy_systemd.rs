//! The systemd unit that the packages install, judged by systemd itself.

#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The greatest exposure of `systemd-analyze security`, of 10, that the unit may have.
const MOST_EXPOSURE: f64 = 2.0;

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/skewguard.service")
}

fn systemd_analyze(arguments: &[&str], unit: &Path) -> Output {
    match Command::new("systemd-analyze").args(arguments).arg(unit).env("LC_ALL", "C.UTF-8").output() {
        Ok(output) => output,
        Err(error) => panic!("systemd-analyze does not run ({error}): tests/run installs what the tests need"),
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

fn exposure(unit: &Path) -> f64 {
    let output = systemd_analyze(&["security", "--no-pager", "--offline=true"], unit);
    let report = text(&output.stdout);
    let figure = report.lines().find_map(|line| {
        let (_, figure) = line.split_once("Overall exposure level for ")?.1.split_once(": ")?;
        figure.split_whitespace().next()?.parse().ok()
    });
    figure.unwrap_or_else(|| panic!("no exposure in:\n{report}{}", text(&output.stderr)))
}

/// What `systemd-analyze verify` says of the unit. It insists that the program exists, which needs a package to be
/// installed: in a copy, this test takes the program's place.
fn complaints(unit: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let start = "ExecStart=/usr/bin/skewguard run\n";
    assert_eq!(unit.matches(start).count(), 1, "the unit starts something else");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("skewguard.service");
    fs::write(&copy, unit.replace(start, &format!("ExecStart={} run\n", program.display()))).unwrap();
    // The other units of this host are none of our business.
    let output = systemd_analyze(&["verify", "--man=no", "--recursive-errors=no"], &copy);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn the_unit_is_hardly_exposed() {
    let exposure = exposure(&unit());
    assert!(exposure <= MOST_EXPOSURE, "the exposure is {exposure}");
}

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    let unit = fs::read_to_string(unit()).unwrap();
    assert_eq!(complaints(&unit), "");
}

#[test]
fn an_exposed_and_a_misspelt_unit_are_noticed() {
    let unit = fs::read_to_string(unit()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let exposed = folder.path().join("skewguard.service");
    fs::write(&exposed, unit.replace("CapabilityBoundingSet=\n", "").replace("SystemCallFilter=", "#")).unwrap();
    assert!(exposure(&exposed) > MOST_EXPOSURE);
    assert_ne!(complaints(&unit.replace("TasksMax=", "TaskMax=")), "");
}

#[test]
fn the_discipline_of_the_clock_may_be_read_and_the_clock_not_set() {
    let unit = fs::read_to_string(unit()).unwrap();
    let values = |key: &str| -> Vec<String> {
        unit.lines().filter_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned())).collect()
    };
    assert_eq!(values("SystemCallFilter"), ["@system-service", "~@privileged @resources", "adjtimex clock_adjtime"]);
    assert_eq!(values("CapabilityBoundingSet"), [""]);
    assert_eq!(values("AmbientCapabilities"), [""]);
    assert_eq!(values("ProtectClock"), [""; 0]);
    assert_eq!(values("PrivateDevices"), ["yes"]);
}

#[test]
fn nothing_waits_for_a_clock_that_is_right() {
    let unit = fs::read_to_string(unit()).unwrap();
    let ordering = unit
        .lines()
        .filter(|line| ["After=", "Before=", "Requires=", "Wants="].iter().any(|key| line.starts_with(key)));
    assert_eq!(ordering.collect::<Vec<_>>(), ["After=network.target"]);
}
