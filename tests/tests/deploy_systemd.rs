//! The systemd units that the packages install, judged by systemd itself.

#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The greatest exposure of `systemd-analyze security`, of 10, that the unit may have.
const MOST_EXPOSURE: f64 = 2.0;

fn unit() -> PathBuf {
    unit_named("skewguard.service")
}

fn unit_named(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd").join(name)
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
    let start = "ExecStart=/usr/bin/skewguard ";
    assert_eq!(unit.matches(start).count(), 1, "the unit starts something else");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("skewguard.service");
    fs::write(&copy, unit.replace(start, &format!("ExecStart={} ", program.display()))).unwrap();
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
fn with_the_drop_in_for_clocks_the_service_can_open_those_alone_and_is_hardly_more_exposed() {
    let unit = fs::read_to_string(unit()).unwrap() + &fs::read_to_string(unit_named("examples/devices.conf")).unwrap();
    assert_eq!(complaints(&unit), "");
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("skewguard.service");
    fs::write(&whole, &unit).unwrap();
    let exposure = exposure(&whole);
    assert!(exposure <= MOST_EXPOSURE, "the exposure is {exposure}");
    let devices: Vec<_> = unit.lines().filter_map(|line| line.strip_prefix("DeviceAllow=")).collect();
    assert_eq!(devices, ["char-ptp r", "/dev/vmclock0 r"]);
    assert_eq!(unit.lines().rfind(|line| line.starts_with("DevicePolicy=")), Some("DevicePolicy=closed"));
}

#[test]
fn nothing_waits_for_a_clock_that_is_right() {
    let unit = fs::read_to_string(unit()).unwrap();
    let ordering = unit
        .lines()
        .filter(|line| ["After=", "Before=", "Requires=", "Wants="].iter().any(|key| line.starts_with(key)));
    assert_eq!(ordering.collect::<Vec<_>>(), ["After=network.target"]);
}

// The unit that waits

/// What a unit of ours says, but for comments: section, key and value.
fn settings(name: &str) -> Vec<(String, String, String)> {
    let (mut section, mut settings) = (String::new(), Vec::new());
    for line in fs::read_to_string(unit_named(name)).unwrap().lines() {
        match line.split_once('=') {
            _ if line.starts_with('#') => {}
            Some((key, value)) => settings.push((section.clone(), key.to_owned(), value.to_owned())),
            None if line.starts_with('[') => section = line.trim_matches(['[', ']']).to_owned(),
            None => {}
        }
    }
    settings
}

#[test]
fn the_unit_that_waits_is_hardly_exposed_and_systemd_has_nothing_to_say_about_it() {
    let unit = unit_named("skewguard-wait.service");
    let exposure = exposure(&unit);
    assert!(exposure <= MOST_EXPOSURE, "the exposure is {exposure}");
    let text = fs::read_to_string(unit).unwrap();
    assert_eq!(complaints(&text), "");
    assert_ne!(complaints(&text.replace("RemainAfterExit=", "RemainAfterEnd=")), "");
}

#[test]
fn the_unit_that_waits_is_confined_as_the_service_is_and_takes_away_none_of_its_folders() {
    let (service, wait) = (settings("skewguard.service"), settings("skewguard-wait.service"));
    // What belongs to a service that goes on, and to the folders that are its own.
    let own = [
        "Type",
        "NotifyAccess",
        "ExecStart",
        "ExecReload",
        "WatchdogSec",
        "Restart",
        "RestartSec",
        "RestartPreventExitStatus",
        "TimeoutStopSec",
        "RuntimeDirectory",
        "RuntimeDirectoryMode",
        "StateDirectory",
        "StateDirectoryMode",
    ];
    // It looks for no SDKs.
    let stricter = ("Service".to_owned(), "ProtectProc".to_owned(), "invisible".to_owned());
    for setting in service.iter().filter(|(section, key, _)| section == "Service" && !own.contains(&key.as_str())) {
        assert!(wait.contains(setting) || setting.1 == stricter.1, "{setting:?}");
    }
    assert!(wait.contains(&stricter));
    assert!(!wait.iter().any(|(_, key, _)| key.ends_with("Directory")), "{wait:?}");
}

#[test]
fn what_needs_the_time_waits_for_the_unit_and_the_unit_for_nobody_who_needs_it() {
    let wait = settings("skewguard-wait.service");
    let unit: Vec<_> = wait
        .iter()
        .filter(|(section, ..)| section == "Unit")
        .map(|(_, key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        unit[2..],
        [("After", "network.target skewguard.service"), ("Wants", "time-sync.target"), ("Before", "time-sync.target")]
    );
    // It ends by itself, and says how, before systemd ends it.
    let value = |key: &str| wait.iter().find(|(_, own, _)| own == key).map(|(.., value)| value.as_str());
    assert_eq!(value("ExecStart"), Some("/usr/bin/skewguard wait --timeout 170s"));
    assert_eq!(value("TimeoutStartSec"), Some("180s"));
}

#[test]
fn no_package_enables_the_unit_that_waits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for script in
        ["packages/deb/postinst", "packages/rpm/post", "packages/rpm/80-skewguard.preset", "tarball/install.sh"]
    {
        let text = fs::read_to_string(folder.join(script)).unwrap();
        let enables = text.lines().filter(|line| line.contains("enable") && line.contains("skewguard-wait")).count();
        assert_eq!(enables, 0, "{script}");
    }
    // And who removes it leaves no link to it.
    for script in ["packages/deb/postrm", "packages/rpm/preun", "tarball/uninstall.sh"] {
        let text = fs::read_to_string(folder.join(script)).unwrap();
        assert!(text.contains("/etc/systemd/system/*.wants/\"$wait\""), "{script}");
    }
}

// The service managers that are too old for the unit

/// What systemd 219 knows of what is in our units and their like: `src/core/load-fragment-gperf.gperf.m4` of v219, and of
/// what systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.resource-control(5) of that version describe.
const KNOWN_TO_219: [&str; 36] = [
    "Unit.Description",
    "Unit.Documentation",
    "Unit.After",
    "Service.Type",
    "Service.NotifyAccess",
    "Service.ExecStart",
    "Service.ExecReload",
    "Service.EnvironmentFile",
    "Service.WatchdogSec",
    "Service.Restart",
    "Service.RestartSec",
    "Service.StartLimitInterval",
    "Service.RestartPreventExitStatus",
    "Service.TimeoutStopSec",
    "Service.User",
    "Service.Group",
    "Service.RuntimeDirectory",
    "Service.RuntimeDirectoryMode",
    "Service.UMask",
    "Service.LimitCORE",
    "Service.MemoryLimit",
    "Service.CapabilityBoundingSet",
    "Service.NoNewPrivileges",
    "Service.ProtectSystem",
    "Service.ProtectHome",
    "Service.PrivateTmp",
    "Service.PrivateDevices",
    "Service.PrivateNetwork",
    "Service.DevicePolicy",
    "Service.ReadOnlyDirectories",
    "Service.ReadWriteDirectories",
    "Service.RestrictAddressFamilies",
    "Service.SystemCallArchitectures",
    "Service.SystemCallFilter",
    "Service.SystemCallErrorNumber",
    "Install.WantedBy",
];

/// A unit as systemd 219 reads it: what it takes, in its order, and what it ignores.
struct As219 {
    taken: Vec<(String, String)>,
    ignored: Vec<String>,
}

impl As219 {
    fn read(unit: &str) -> Self {
        let (mut section, mut taken, mut ignored) = ("", Vec::new(), Vec::new());
        for line in unit.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
                continue;
            }
            let (key, value) = line.split_once('=').unwrap();
            let key = format!("{section}.{key}");
            if KNOWN_TO_219.contains(&key.as_str()) && is_value_of_219(&key, value) {
                taken.push((key, value.to_owned()));
            } else {
                ignored.push(line.to_owned());
            }
        }
        Self { taken, ignored }
    }

    /// What holds of a key that has one value.
    fn value(&self, key: &str) -> Option<&str> {
        self.taken.iter().rev().find(|(taken, _)| taken == key).map(|(_, value)| value.as_str())
    }

    /// The user that the service runs as.
    fn user(&self) -> &str {
        self.value("Service.User").unwrap_or("root")
    }

    /// Whether the filter of system calls, if there is one, lets a program be loaded. 219 knows no groups (`@…`, since
    /// 231) and ignores each of them, but a list that allows something refuses all that is not in it.
    fn may_be_loaded(&self) -> bool {
        let mut lists = self.taken.iter().filter(|(key, _)| key == "Service.SystemCallFilter").map(|(_, value)| value);
        let Some(first) = lists.next() else { return true };
        first.starts_with('~')
            || std::iter::once(first).chain(lists).any(|list| list.split(' ').any(|call| call == "mmap"))
    }
}

/// Values that later versions have added to a key which 219 knows.
fn is_value_of_219(key: &str, value: &str) -> bool {
    match key {
        "Service.ProtectSystem" => ["yes", "no", "full"].contains(&value),
        "Service.ProtectHome" => ["yes", "no", "read-only"].contains(&value),
        _ => true,
    }
}

#[test]
fn a_service_manager_that_is_too_old_for_the_unit_does_not_run_it_as_root() {
    let text = fs::read_to_string(unit()).unwrap();
    let read = As219::read(&text);
    for unknown in ["DynamicUser=yes", "StateDirectory=skewguard", "ProtectSystem=strict"] {
        assert!(read.ignored.iter().any(|line| line == unknown), "{unknown} is known");
    }
    assert_eq!(read.user(), "skewguard");
    assert!(!read.may_be_loaded(), "the filter of the unit is not for this version");
    let without = As219::read(&text.replace("User=skewguard\n", ""));
    assert_eq!(without.user(), "root", "a unit without a user would be noticed");
}

#[test]
fn systemd_219_understands_all_that_is_in_the_unit_for_it() {
    let read = As219::read(&fs::read_to_string(unit_named("skewguard-219.service")).unwrap());
    assert_eq!(read.ignored, [""; 0]);
    assert_eq!((read.user(), read.value("Service.Group")), ("skewguard", Some("skewguard")));
    assert!(read.may_be_loaded());
    for (key, value) in [
        ("CapabilityBoundingSet", ""),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "full"),
        ("ProtectHome", "yes"),
        ("PrivateDevices", "yes"),
        ("LimitCORE", "0"),
        ("StartLimitInterval", "0"),
        ("Restart", "always"),
    ] {
        assert_eq!(read.value(&format!("Service.{key}")), Some(value), "{key}");
    }
}

#[test]
fn the_unit_for_219_and_the_other_start_stop_and_watch_alike() {
    let read = |name| fs::read_to_string(unit_named(name)).unwrap();
    let (new, old) = (As219::read(&read("skewguard.service")), As219::read(&read("skewguard-219.service")));
    for key in [
        "Type",
        "NotifyAccess",
        "ExecStart",
        "ExecReload",
        "EnvironmentFile",
        "WatchdogSec",
        "Restart",
        "RestartSec",
        "RestartPreventExitStatus",
        "TimeoutStopSec",
        "RuntimeDirectory",
        "RuntimeDirectoryMode",
        "UMask",
        "RestrictAddressFamilies",
    ] {
        let key = format!("Service.{key}");
        assert!(new.value(&key).is_some(), "{key}");
        assert_eq!(new.value(&key), old.value(&key), "{key}");
    }
}

#[test]
fn systemd_of_today_has_nothing_to_say_about_the_unit_for_219_but_its_age() {
    let unit = fs::read_to_string(unit_named("skewguard-219.service")).unwrap();
    // Newer versions take these under other names.
    let young = unit.replace("MemoryLimit=", "MemoryMax=").replace("StartLimitInterval=0\n", "");
    assert_ne!(young, unit);
    assert_eq!(complaints(&young), "");
}
