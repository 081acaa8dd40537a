//! Hosts as files, and what the doctor must and must not find on each.

pub(in crate::doctor) mod host;

use self::host::{
    CHRONY, DEBIAN, Files, Found, Heard, chronyd, config, facts, file, found, judge, of, timesyncd, tracking,
};
pub(super) use self::host::{snapshot, source};
use super::checks as clock;
use super::daemon::{host, process};
use super::sources;
use super::tracking::{Leap, Tracking, Unheard};
use super::tree::plant;
use crate::assess::finding::{Kind, Severity};
use crate::doctor::report::Verdict;
use crate::snapshot::Alert;
use crate::time::Span;

/// A host whose clock is wrong, what must be found, and a piece of the evidence and of the remedy.
type Row = (&'static str, Vec<Files>, Option<Tracking>, f64, Found<'static>, &'static str, &'static str);

#[cfg(unix)]
#[test]
fn nothing_is_found_on_hosts_that_are_in_order() {
    let amazon = [host(), chronyd(), file("/etc/chrony.conf", CHRONY)];
    let in_order = Some(Ok(tracking()));
    let clock = Tracking { reference: u32::from_be_bytes(*b"PHC0"), address: None, ..tracking() };
    let hosts: Vec<(&str, Vec<Files>, Heard, bool)> = vec![
        ("Amazon Linux", amazon.to_vec(), in_order.clone(), true),
        ("chronyd cannot be asked", amazon.to_vec(), Some(Err(Unheard::Timeout)), true),
        (
            "chronyd does not tell the kernel",
            vec![host(), chronyd(), file("/etc/chrony.conf", "server 169.254.169.123\ncmdport 0")],
            in_order.clone(),
            false,
        ),
        ("chronyd has not told the kernel yet", amazon.to_vec(), in_order.clone(), false),
        (
            "the images of Ubuntu and Amazon name a pool beside Amazon Time Sync",
            vec![
                host(),
                chronyd(),
                file("/etc/os-release", "ID=ubuntu\nID_LIKE=debian\n"),
                file(
                    "/etc/chrony/chrony.conf",
                    &format!("pool ntp.ubuntu.com iburst\npool 2.amazon.pool.ntp.org\n{CHRONY}"),
                ),
            ],
            in_order.clone(),
            true,
        ),
        (
            "chronyd follows the hardware clock",
            vec![
                host(),
                chronyd(),
                file("/etc/chrony.conf", "refclock PHC /dev/ptp0 poll 0 prefer\nserver 169.254.169.123\ncmdport 0"),
                file("/sys/class/ptp/ptp0/clock_name", "ena-ptp-05\n"),
            ],
            Some(Ok(clock)),
            false,
        ),
        (
            "timesyncd",
            vec![
                host(),
                timesyncd(),
                file("/run/systemd/timesync/synchronized", ""),
                file("/etc/systemd/timesyncd.conf.d/aws.conf", "[Time]\nNTP=169.254.169.123\n"),
            ],
            None,
            true,
        ),
        (
            "ntpd that slews never tells the kernel",
            vec![
                host(),
                process(500, "ntpd", "/usr/sbin/ntpd -x -g", true),
                file("/etc/ntp.conf", "server 169.254.169.123 iburst\n"),
            ],
            None,
            false,
        ),
        (
            "a second chronyd in a container, which may not set the clock",
            vec![amazon.concat(), process(900, "ntpd", "ntpd -n", false), process(901, "chronyd", "chronyd -x", true)],
            in_order.clone(),
            true,
        ),
        (
            "ptp4l beside chronyd keeps network cards",
            vec![amazon.concat(), process(900, "ptp4l", "ptp4l -i eth0", true)],
            in_order,
            true,
        ),
        (
            "a container",
            vec![
                file("/proc/1/comm", "sleep\n"),
                file("/proc/self/ns/pid", "-> pid:[4026532200]"),
                file("/etc/chrony.conf", "cmdport 0\n"),
            ],
            None,
            false,
        ),
        (
            "a daemon that was started a moment ago",
            vec![
                host(),
                timesyncd(),
                file("/etc/systemd/timesyncd.conf", "[Time]\nNTP=169.254.169.123\n"),
                file("/proc/uptime", "1030.00 2000.00\n"),
            ],
            None,
            false,
        ),
    ];
    for (name, files, tracking, is_kernel_synchronized) in hosts {
        let checks = judge(&facts(&files, tracking), &snapshot(-0.002, is_kernel_synchronized));
        assert_eq!(found(&checks), [], "{name}: {checks:#?}");
        assert!(of(&checks, "clock-offset").verdict == Verdict::Ok, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_wrong_clock_is_one_problem_and_comes_first_with_its_cause() {
    let unsynchronized = Tracking { leap: Leap::Unsynchronized, stratum: 0, reference: 0, address: None, ..tracking() };
    let sure = tracking();
    let slewing = Tracking { correction: 399.0, ..sure };
    let problem = ("clock-offset", Verdict::Problem);
    let nobody_keeps = vec![problem, ("clock-discipline", Verdict::Warning)];
    let rows: Vec<Row> = vec![
        (
            "no daemon",
            vec![host(), file("/etc/os-release", DEBIAN)],
            None,
            400.0,
            nobody_keeps.clone(),
            "nobody keeps this clock",
            "`sudo apt-get install chrony`, then `server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4` in \
             /etc/chrony/chrony.conf",
        ),
        (
            "chrony is installed and does not run",
            vec![host(), file("/etc/chrony.conf", CHRONY)],
            None,
            400.0,
            nobody_keeps.clone(),
            "nobody keeps this clock",
            "`sudo systemctl enable --now chronyd`",
        ),
        (
            "chronyd was told to leave the clock alone",
            vec![host(), process(812, "chronyd", "chronyd -x", true), file("/etc/chrony.conf", CHRONY)],
            None,
            400.0,
            nobody_keeps.clone(),
            "nobody keeps this clock",
            "`sudo chronyc makestep`",
        ),
        (
            "chronyd without a source",
            vec![host(), chronyd(), file("/etc/chrony.conf", "cmdport 0\nrtcsync\n")],
            Some(unsynchronized),
            400.0,
            nobody_keeps.clone(),
            "chronyd runs but follows nobody: its configuration names no source",
            "add `server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4` to /etc/chrony.conf, then `sudo systemctl restart \
             chronyd`, and `sudo chronyc makestep`",
        ),
        (
            "chronyd whose sources are silent",
            vec![host(), chronyd(), file("/etc/chrony.conf", "server 10.1.2.3\ncmdport 0\nrtcsync\n")],
            Some(unsynchronized),
            -400.0,
            nobody_keeps,
            "none of its sources is usable (10.1.2.3)",
            "to /etc/chrony.conf",
        ),
        (
            "chronyd slews",
            vec![host(), chronyd(), file("/etc/chrony.conf", CHRONY)],
            Some(slewing),
            400.0,
            vec![problem],
            "chronyd knows it",
            "set the clock: `sudo chronyc makestep`",
        ),
        (
            "chronyd follows a wrong server",
            vec![host(), chronyd(), file("/etc/chrony.conf", CHRONY)],
            Some(sure),
            400.0,
            vec![problem],
            "its sources contradict those of skewguard",
            "`chronyc -n sources -v`",
        ),
        (
            "a resume from snapshot that timesyncd has not noticed",
            vec![host(), timesyncd(), file("/etc/systemd/timesyncd.conf", "[Time]\nNTP=169.254.169.123\n")],
            None,
            400.0,
            vec![problem],
            "systemd-timesyncd keeps this clock",
            "`sudo systemctl restart systemd-timesyncd`",
        ),
        (
            "two daemons",
            vec![host(), chronyd(), timesyncd(), file("/etc/chrony.conf", CHRONY)],
            Some(slewing),
            400.0,
            vec![problem, ("clock-daemons", Verdict::Warning)],
            "chronyd knows it",
            "`sudo chronyc makestep`",
        ),
        (
            "local time in the hardware clock",
            vec![
                host(),
                chronyd(),
                file("/etc/chrony.conf", CHRONY),
                file("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n"),
                file("/etc/localtime", "-> ../usr/share/zoneinfo/Europe/Berlin"),
            ],
            Some(slewing),
            -7_203.0,
            vec![problem, ("clock-time-zone", Verdict::Warning), ("clock-rtc", Verdict::Warning)],
            "the local time of UTC+02:00",
            "`sudo timedatectl set-local-rtc 0`",
        ),
    ];
    for (name, files, tracking, offset, expected, evidence, remedy) in rows {
        let facts = facts(&files, tracking.map(Ok));
        // Without chronyd or timesyncd nobody has told the kernel.
        let is_kernel_sure = facts.seen.keeper().is_some() && expected.len() < 2;
        let checks = judge(&facts, &snapshot(offset, is_kernel_sure));
        let (claims, others): (Found<'_>, _) =
            found(&checks).into_iter().partition(|(name, _)| *name == "clock-claims");
        assert_eq!(others, expected, "{name}: {checks:#?}");
        // Who is sure of the clock is contradicted, and who knows that it is wrong is not.
        let is_lie = |tracking: Tracking| tracking.stratum > 0 && (tracking.correction - offset).abs() > 2.0;
        let is_contradicted = tracking.map_or(is_kernel_sure, is_lie);
        assert_eq!(claims.len(), usize::from(is_contradicted), "{name}: {checks:#?}");
        let first = &checks[0];
        assert_eq!(first.name, "clock-offset");
        assert!(first.evidence.iter().any(|line| line.contains(evidence)), "{name}: {first:#?}");
        assert!(first.remedy.as_ref().unwrap().contains(remedy), "{name}: {first:#?}");
    }
}

#[cfg(unix)]
#[test]
fn a_clock_that_is_right_and_that_nobody_keeps_is_a_warning() {
    let amazon = file("/etc/os-release", "ID=\"amzn\"\nVERSION_ID=\"2023\"\n");
    let checks = judge(&facts(&[host(), amazon], None), &snapshot(0.2, false));
    assert_eq!(found(&checks), [("clock-discipline", Verdict::Warning)], "{checks:#?}");
    assert!(of(&checks, "clock-discipline").remedy.as_ref().unwrap().contains("sudo dnf install chrony"));
    let silent =
        Tracking { reference_time: tracking().reference_time.minus(Span::from_seconds(86_400.0)), ..tracking() };
    let files = [host(), chronyd(), file("/etc/chrony.conf", CHRONY)];
    let checks = judge(&facts(&files, Some(Ok(silent))), &snapshot(0.2, true));
    assert_eq!(found(&checks), [("clock-discipline", Verdict::Warning)], "{checks:#?}");
    assert!(
        of(&checks, "clock-discipline").summary.contains("heard nothing from 169.254.169.123 for 1.0 days"),
        "{checks:#?}"
    );
    let its_own = Tracking { reference: 0x7f7f_0101, address: None, stratum: 10, ..tracking() };
    let checks = judge(&facts(&files, Some(Ok(its_own))), &snapshot(0.2, false));
    assert_eq!(found(&checks), [("clock-discipline", Verdict::Warning)], "{checks:#?}");
    assert!(of(&checks, "clock-discipline").summary.contains("`local`"), "{checks:#?}");
}

#[cfg(unix)]
#[test]
fn a_daemon_that_the_kernel_contradicts_follows_nobody() {
    let files = [host(), timesyncd(), file("/etc/systemd/timesyncd.conf", "[Time]\nNTP=10.1.2.3\n")];
    let checks = judge(&facts(&files, None), &snapshot(0.2, false));
    assert_eq!(found(&checks), [("clock-discipline", Verdict::Warning)], "{checks:#?}");
    assert!(of(&checks, "clock-discipline").remedy.as_ref().unwrap().contains("NTP=169.254.169.123"));
    let files = [host(), chronyd(), file("/etc/chrony.conf", CHRONY)];
    let checks = judge(&facts(&files, Some(Err(Unheard::Timeout))), &snapshot(0.2, false));
    assert_eq!(found(&checks), [("clock-kernel", Verdict::Warning)], "{checks:#?}");
}

#[cfg(unix)]
#[test]
fn the_kernel_tells_of_a_daemon_that_has_just_ended_or_is_not_known() {
    let checks = judge(&facts(&[host()], None), &snapshot(0.0, true));
    assert_eq!(found(&checks), [], "{checks:#?}");
    assert_eq!(of(&checks, "clock-discipline").verdict, Verdict::Skipped);
    let mut old = snapshot(0.0, true);
    old.clock.kernel.as_mut().unwrap().max_error_seconds = Some(3.0);
    assert_eq!(found(&judge(&facts(&[host()], None), &old)), [("clock-discipline", Verdict::Warning)]);
}

#[cfg(unix)]
#[test]
fn a_daemon_that_follows_strangers_on_ec2_is_told_of_amazon_time_sync() {
    let files = [host(), chronyd(), file("/etc/chrony.conf", "pool pool.ntp.org iburst\ncmdport 0\nrtcsync\n")];
    let facts = facts(&files, Some(Ok(Tracking { address: Some([192, 0, 2, 1].into()), ..tracking() })));
    let checks = judge(&facts, &snapshot(0.0, true));
    assert_eq!(found(&checks), [("sources-daemon", Verdict::Warning)], "{checks:#?}");
    let elsewhere = sources::check(&sources::Facts::default(), &facts, &snapshot(0.0, true), &config(), false);
    assert_eq!(found(&elsewhere), []);
}

#[cfg(unix)]
#[test]
fn smeared_and_unsmeared_sources_are_mixed_where_neither_is_preferred() {
    let mixed = "server 169.254.169.123\npool 2.debian.pool.ntp.org\ncmdport 0\nrtcsync\n";
    let files = [host(), chronyd(), file("/etc/chrony.conf", mixed)];
    let checks = judge(&facts(&files, Some(Ok(tracking()))), &snapshot(0.0, true));
    assert_eq!(found(&checks), [("sources-smear", Verdict::Warning)], "{checks:#?}");
    let preferred = mixed.replace("169.254.169.123", "169.254.169.123 prefer");
    let files = [host(), chronyd(), file("/etc/chrony.conf", &preferred)];
    let checks = judge(&facts(&files, Some(Ok(tracking()))), &snapshot(0.0, true));
    assert_eq!((found(&checks), of(&checks, "sources-smear").evidence.len()), (vec![], 2));
}

#[cfg(unix)]
#[test]
fn the_levels_of_the_configuration_decide_between_a_warning_and_a_problem() {
    let facts = facts(&[host(), chronyd(), file("/etc/chrony.conf", CHRONY)], Some(Err(Unheard::Timeout)));
    let mut quiet = config();
    quiet.alerts.rules.change(Kind::ClockSkew, |rule| rule.enabled = false);
    for (offset, expected, without_levels) in [
        (59.0, Verdict::Ok, Verdict::Ok),
        (60.0, Verdict::Warning, Verdict::Ok),
        (-149.9, Verdict::Warning, Verdict::Ok),
        (149.9995, Verdict::Problem, Verdict::Ok),
        (-240.0, Verdict::Problem, Verdict::Problem),
    ] {
        let verdict = |config| clock::check(&facts, &snapshot(offset, true), None, config)[0].verdict;
        assert_eq!((verdict(&config()), verdict(&quiet)), (expected, without_levels), "{offset}");
    }
    let far = &clock::check(&facts, &snapshot(-1_000.0, true), None, &config())[0];
    assert_eq!(
        far.summary,
        "the system clock is 17 min fast (± 1.0 ms): past sdk-correction (240 s), sigv4 (300 s), s3-sts (900 s)"
    );
    assert!(far.effect.as_ref().unwrap().contains("S3"), "{far:?}");
}

#[cfg(unix)]
#[test]
fn the_running_agent_knows_since_when() {
    let facts = facts(&[host()], None);
    let mut agent = snapshot(400.0, false);
    agent.alerts.push(Alert {
        alert: Kind::ClockSkew,
        severity: Severity::Critical,
        subject: String::new(),
        state: "firing".into(),
        since: Some("2026-03-01T16:00:00Z".into()),
    });
    let check = &clock::check(&facts, &snapshot(400.0, false), Some(&agent), &config())[0];
    assert!(check.evidence.iter().any(|line| line.starts_with("since 2026-03-01T16:00:00Z")), "{check:?}");
}

#[cfg(unix)]
#[test]
fn a_time_that_nobody_vouches_for_is_not_judged() {
    let facts = facts(&[host(), chronyd(), file("/etc/chrony.conf", CHRONY)], Some(Ok(tracking())));
    for state in ["unknown", "starting", "disagreement"] {
        let mut snapshot = snapshot(400.0, true);
        snapshot.clock.state = state.into();
        let checks = clock::check(&facts, &snapshot, None, &config());
        assert_eq!((found(&checks), checks[0].verdict), (vec![], Verdict::Skipped), "{state}");
    }
    let mut holdover = snapshot(400.0, true);
    (holdover.clock.state, holdover.clock.error_bound_seconds) = ("holdover".into(), Some(200.0));
    assert_eq!(clock::check(&facts, &holdover, None, &config())[0].verdict, Verdict::Problem, "200 s for certain");
    holdover.clock.error_bound_seconds = Some(390.0);
    assert_eq!(clock::check(&facts, &holdover, None, &config())[0].verdict, Verdict::Ok, "silence is not a skew");
}

#[cfg(unix)]
#[test]
fn chronyd_is_asked_through_its_socket_where_it_runs() {
    let files = [host(), chronyd(), file("/etc/chrony.conf", "cmdport 0\n")].concat();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    let root = plant(&files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let facts = runtime.block_on(clock::gather(root.path(), &|_| None));
    assert!(matches!(facts.tracking, Some(Err(Unheard::Unreachable(_)))), "{facts:?}");
    let without = [host(), timesyncd()].concat();
    let without: Vec<(&str, &str)> = without.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    assert_eq!(runtime.block_on(clock::gather(plant(&without).path(), &|_| None)).tracking, None);
}
