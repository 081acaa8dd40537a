//! A host as it is played, and what the doctor says of it.

use std::collections::BTreeMap;

use crate::config::checked::Config;
use crate::config::load::load;
use crate::doctor::clock::checks as clock;
use crate::doctor::clock::daemon::process;
use crate::doctor::clock::facts::Facts;
use crate::doctor::clock::tracking::{self, Tracking, Unheard};
use crate::doctor::clock::tree::plant;
use crate::doctor::clock::{link_local, sources};
use crate::doctor::report::{Check, Verdict};
use crate::snapshot::{Clock, Kernel, Limit, Snapshot, Source, Status, Steps, Time};

pub(in crate::doctor::clock) type Files = Vec<(String, String)>;
pub(in crate::doctor::clock) type Heard = Option<Result<Tracking, Unheard>>;
pub(super) type Found<'a> = Vec<(&'a str, Verdict)>;

/// A configuration of chronyd that is right for EC2; nobody is asked on a port of the machine that runs the tests.
pub(super) const CHRONY: &str = "server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4\nrtcsync\ncmdport 0\n";
pub(super) const DEBIAN: &str = "ID=debian\n";

pub(super) fn file(path: &str, content: &str) -> Files {
    vec![(path.to_owned(), content.to_owned())]
}

pub(super) fn chronyd() -> Files {
    process(812, "chronyd", "/usr/sbin/chronyd -F 1", true)
}

pub(super) fn timesyncd() -> Files {
    process(401, "systemd-timesyn", "/usr/lib/systemd/systemd-timesyncd", true)
}

/// What a host shows.
pub(in crate::doctor::clock) fn facts(files: &[Files], tracking: Heard) -> Facts {
    let files = files.concat();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    let root = plant(&files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Facts { tracking, ..runtime.block_on(clock::gather(root.path(), &|_| None)) }
}

pub(in crate::doctor::clock) fn config() -> Config {
    load(None, &|_| None).unwrap_or_else(|_| panic!("the built-in configuration is right"))
}

/// What `check` measured: an offset by one source that answered, ten seconds after chronyd heard its own.
pub(in crate::doctor) fn snapshot(offset: f64, is_kernel_synchronized: bool) -> Snapshot {
    let limits = [("sdk-correction", 240.0), ("sigv4", 300.0), ("s3-sts", 900.0)];
    Snapshot {
        status: Status::Ok,
        time: Time { system: "2023-11-14T22:13:30Z".into(), truth: "2023-11-14T22:13:30Z".into(), verified: true },
        since: String::new(),
        version: String::new(),
        clock: Clock {
            state: "synchronized".into(),
            offset_seconds: Some(offset),
            error_bound_seconds: Some(0.001),
            confirmed: true,
            vouched: true,
            drift_ppm: None,
            disruptions: None,
            steps: Steps::default(),
            history: Vec::new(),
            kernel: Some(Kernel {
                synchronized: is_kernel_synchronized,
                max_error_seconds: Some(if is_kernel_synchronized { 0.01 } else { 16.0 }),
                frequency_ppm: -12.5,
            }),
        },
        sources: vec![source()],
        limits: limits
            .map(|(name, window)| Limit {
                name: name.into(),
                window_seconds: window,
                masked: name == "sdk-correction",
                margin_seconds: Some(window - offset.abs() - 0.001),
                time_to_limit_seconds: None,
            })
            .into(),
        credentials: Vec::new(),
        awaited: Vec::new(),
        findings: Vec::new(),
        alerts: Vec::new(),
        imds_requests: BTreeMap::new(),
        delivery: Vec::new(),
        host: BTreeMap::new(),
    }
}

/// Amazon Time Sync, which answered.
pub(in crate::doctor::clock) fn source() -> Source {
    Source {
        kind: "ntp".to_owned(),
        name: "amazon-time-sync".into(),
        address: "169.254.169.123:123".into(),
        server: "169.254.169.123".into(),
        verdict: "truechimer".into(),
        offset_seconds: Some(0.0),
        delay_seconds: Some(0.000_2),
        root_distance_seconds: Some(0.001),
        stratum: Some(3),
        timestamps: Some("kernel".into()),
        reachability: Some(1.0),
        refusal: None,
        outcomes: BTreeMap::new(),
    }
}

/// What chronyd says where it is in order.
pub(super) fn tracking() -> Tracking {
    Tracking { correction: 0.000_1, root_delay: 0.000_5, root_dispersion: 0.000_2, ..tracking::tests::tracking() }
}

pub(super) fn judge(facts: &Facts, snapshot: &Snapshot) -> Vec<Check> {
    let mut checks = clock::check(facts, snapshot, None, &config());
    let nothing_dropped = link_local::Dropped::from([("eth0".to_owned(), Ok(Some(0)))]);
    let ways = sources::Facts { dropped: nothing_dropped, ..sources::Facts::default() };
    checks.extend(sources::check(&ways, facts, snapshot, &config(), true));
    checks
}

/// The checks that found something, in their order.
pub(super) fn found(checks: &[Check]) -> Found<'_> {
    let found = checks.iter().filter(|check| check.verdict > Verdict::Skipped);
    found.map(|check| (check.name.as_str(), check.verdict)).collect()
}

pub(super) fn of<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap()
}
