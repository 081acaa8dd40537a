//! What is delivered: at its true time, once, in order, and through outages, restarts, and disks that fail.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy takes what tests share for production code"
)]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::Value;
use skewguard::clock::true_clock::Stamp;
use skewguard::delivery::item::{Class, Content, Item};
use skewguard::time::TrueTime;
use tests::agent::{FakeClock, Running, Skewguard};
use tests::alertmanager::Alertmanager;
use tests::chrony::Chrony;
use tests::http::Reply;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::{command, output, private_dir};
use tests::receiver::{HOOK, METRICS, Receiver, Told, metrics, now, seconds_of};
use tests::victoria::Victoria;
use tests::wait::{wait_for, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// One source, no credentials, and no grace.
const NEAR: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }]
credentials: { imds: { enabled: false } }
alerts: { boot_grace: 0s, clock-unverified: { for: 1s } }
";

/// Where the receiver is.
fn receiving() -> SocketAddr {
    SocketAddr::new(IMDS, 4318)
}

/// Telemetry every second and every alert go to `receiver`; `state` outlives the agent.
fn reporting(receiver: &Receiver<'_>, state: &Path) -> String {
    let url = receiver.url();
    format!(
        "{NEAR}state_dir: {}
telemetry: {{ otlp: {{ endpoint: \"{url}\", interval: 1s, timeout: 2s }} }}
channels: [{{ name: ops, timeout: 2s, webhook: {{ url: \"{url}/hook\" }} }}]
",
        state.display()
    )
}

fn is_synchronized(status: &Value) -> bool {
    status["clock"]["state"] == "synchronized"
}

fn delivery(status: &Value, destination: &str) -> Value {
    let all = status["delivery"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|one| one["destination"] == destination).unwrap_or_default()
}

fn polls(status: &Value) -> u64 {
    status["sources"][0]["outcomes"]["ok"].as_u64().unwrap_or(0)
}

/// The transitions that an agent has written on standard error.
fn said(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == "skewguard.alert").collect()
}

fn key(message: &Value) -> String {
    ["id", "change", "severity", "true_time"].map(|member| message[member].as_str().unwrap_or_default()).join("/")
}

fn of<'a>(told: &'a [Told], alert: &str, change: &str) -> Vec<&'a Told> {
    told.iter().filter(|one| one.text("alert") == alert && one.text("change") == change).collect()
}

#[track_caller]
fn assert_near(what: &str, value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{what}: {value} instead of {expected} ± {tolerance}");
}

// True time

#[test]
fn however_wrong_the_clock_is_what_leaves_the_agent_bears_true_time() {
    const DAY: f64 = 86_400.0;
    scope(|scope| {
        for (fault, seconds) in [("+2d", 2.0 * DAY), ("-2d", -2.0 * DAY), ("+10y", 3_650.0 * DAY)] {
            scope.spawn(move || bears_true_time(fault, seconds));
        }
    });
}

fn bears_true_time(fault: &str, wrong_by: f64) {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let victoria = Victoria::start(&net, Side::Aws, SocketAddr::new(IMDS, 8428)).unwrap();
    let receiver = Receiver::start(&net, receiving()).unwrap();
    let hook = receiver.url();
    let near = NEAR.replace("boot_grace: 0s", "boot_grace: 0s, runbooks: \"https://wiki.example/ours/\"");
    let yaml = format!(
        "{near}telemetry: {{ otlp: {{ interval: 1s }} }}\nchannels: [{{ name: ops, webhook: {{ url: \"{hook}/hook\" }} }}]\n"
    );
    let agent = Skewguard::new(&net, &yaml).unwrap().with_faked_time(fault).unwrap();
    let agent = agent
        .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", victoria.otlp_url() + "/v1/metrics")
        .env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", receiver.url() + "/v1/logs");
    let started = now();
    let mut running = agent.run().unwrap();
    let is_off = |status: &Value| {
        is_synchronized(status)
            && delivery(status, "otlp-metrics")["delivered"].as_u64() >= Some(5)
            && delivery(status, "ops")["delivered"].as_u64() >= Some(1)
            && delivery(status, "otlp-logs")["delivered"].as_u64() >= Some(1)
    };
    running.await_status(fault, PATIENCE, is_off).unwrap();

    let taken = receiver.taken();
    assert_eq!(taken.faults, [""; 0]);
    let [told] = of(&taken.told, "clock-skew", "firing")[..] else { panic!("{fault}: {:?}", taken.told) };
    assert_near("the webhook's true time", told.time("true_time"), told.arrived, 1.0);
    assert_near("the webhook's system time", told.time("system_time"), told.time("true_time") + wrong_by, 1.0);
    assert_eq!(told.body["verified"], true);
    assert_eq!(told.body["runbook"], "https://wiki.example/ours/clock-skew.md");
    let record = taken.records.iter().find(|record| record.key == told.key).unwrap();
    assert_near("the record's time", record.time, record.arrived, 1.0);
    assert_eq!(record.attributes["time.verified"], "true");
    assert_eq!(record.attributes["alert.runbook"], "https://wiki.example/ours/clock-skew.md");
    let line = running.log().lines().find(|line| line.contains("\"alert\":\"clock-skew\"")).unwrap().to_owned();
    assert!(line.contains(r#""runbook":"https://wiki.example/ours/clock-skew.md""#), "{line}");

    let age = || victoria.query("time() - timestamp(clock_offset_seconds)").unwrap()[0].1;
    // The newest sample is as old as the last export: an interval at most, and the way.
    let ages: Vec<_> = (0..20).map(|_| age()).collect();
    assert!(ages.iter().all(|age| (-0.1..2.5).contains(age)), "{fault}: {ages:?}");
    wait_until("a sample of this second", PATIENCE, || age() <= 1.0).unwrap();
    let samples = victoria.samples("clock_offset_seconds").unwrap();
    assert!(samples.iter().all(|(at, _)| (started..now()).contains(at)), "{fault}: {samples:?}");
    assert!(samples.iter().all(|(_, offset)| (offset + wrong_by).abs() < 0.1), "{fault}: {samples:?}");
    println!("{fault}: {} samples, the newest {:.3} s old", samples.len(), age());
}

#[test]
fn what_nothing_vouches_for_is_marked_until_something_does() {
    let net = Net::new().unwrap();
    let receiver = Receiver::start(&net, receiving()).unwrap();
    let state = private_dir().unwrap();
    let agent = Skewguard::new(&net, &reporting(&receiver, state.path())).unwrap().with_faked_time("+2d").unwrap();
    let running = agent.run().unwrap();
    let is_marked = |taken: &tests::receiver::Taken| {
        !taken.exports.is_empty() && !taken.told.is_empty() && !taken.records.is_empty()
    };
    let taken = wait_for("what is marked", PATIENCE, || Some(receiver.taken()).filter(is_marked));
    let taken = taken.unwrap_or_else(|error| panic!("{error}: {}", running.log()));
    assert_eq!(taken.faults, [""; 0]);
    for told in &taken.told {
        assert_eq!((&told.body["verified"], told.text("true_time")), (&false.into(), told.text("system_time")));
        assert_near("the system's time", told.time("true_time"), told.arrived + 172_800.0, 1.0);
    }
    assert!(taken.records.iter().all(|record| record.attributes["time.verified"] == "false"), "{:?}", taken.records);
    for export in &taken.exports {
        assert_eq!(export.resource.get("time.verified").map(String::as_str), Some("false"));
        assert_near("the system's time", export.seconds(), export.arrived + 172_800.0, 1.0);
    }

    let _server = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(0.0)).unwrap();
    let vouched = |taken: &tests::receiver::Taken| {
        let all = taken.exports.iter().filter(|export| !export.resource.contains_key("time.verified"));
        let all: Vec<_> = all.cloned().collect();
        (all.len() >= 2 && taken.told.last().is_some_and(|told| told.body["verified"] == true)).then_some(all)
    };
    let vouched = wait_for("what is vouched for", PATIENCE, || vouched(&receiver.taken()));
    for export in vouched.unwrap_or_else(|error| panic!("{error}: {}", running.log())) {
        assert_near("true time", export.seconds(), export.arrived, 1.0);
    }
}

#[test]
fn points_go_forward_and_starts_stay_where_they_are_while_somebody_sets_the_clock() {
    const EXPORTS: usize = 24;
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let document = r#"{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Expiration":"2099-01-01T00:00:00Z"}"#;
    let _metadata = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), document).unwrap();
    let receiver = Receiver::start(&net, receiving()).unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let yaml = reporting(&receiver, state.path()).replace("imds: { enabled: false }", "imds: { poll: 10s }");
    // The histogram is for those who want everything.
    let yaml = yaml.replace("telemetry: {", "telemetry: { detail: full,");
    let agent = Skewguard::new(&net, &yaml).unwrap().with_clock(&clock).unwrap();
    let mut running = agent.run().unwrap();
    let exported = |count: usize| {
        let enough = wait_until("exports", PATIENCE, || receiver.taken().exports.len() >= count);
        enough.unwrap_or_else(|error| panic!("{error} ({count}): {}", running.log()));
    };
    // Steps of +400 s, −400 s and two days, each between two exports.
    for (round, seconds) in [400.0, 0.0, 172_800.0].into_iter().enumerate() {
        exported((round + 1) * EXPORTS / 4);
        clock.set(seconds).unwrap();
    }
    exported(EXPORTS);
    let stepped =
        |status: &Value| status["clock"]["steps"]["forward"] == 2 && status["clock"]["steps"]["backward"] == 1;
    running.await_status("all three steps", PATIENCE, stepped).unwrap();

    let taken = receiver.taken();
    assert_eq!(taken.faults, [""; 0]);
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut starts: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for export in &taken.exports {
        assert_near("the time of an export", export.seconds(), export.arrived, 1.0);
        assert!(!export.resource.contains_key("time.verified"));
        for point in &export.points {
            let before = last.insert(&point.series, point.time);
            assert!(before.is_none_or(|before| before < point.time), "{}: {before:?}, {}", point.series, point.time);
            if let Some(start) = point.start {
                starts.entry(&point.series).or_default().insert(start);
            }
        }
    }
    assert!(starts.keys().any(|series| series.starts_with("clock.steps")), "no sum: {starts:?}");
    assert!(starts.keys().any(|series| series.starts_with("aws.imds.duration")), "no histogram: {starts:?}");
    let all: BTreeSet<_> = starts.values().flatten().collect();
    assert_eq!(all.len(), 1, "{starts:?}");
    println!("{} exports of {} series, {} cumulative, one start", taken.exports.len(), last.len(), starts.len());
}

// Outages

/// An item that waits on disk, and when its file was written by the machine's own clock.
#[derive(Clone)]
struct Waiting {
    item: Item,
    written: f64,
}

impl Waiting {
    fn at(&self) -> f64 {
        self.item.at.time.nanos() as f64 / 1e9
    }
}

/// What waits below a state directory, by its destination and its key.
fn waiting(state: &Path) -> BTreeMap<(String, String), Waiting> {
    let mut found = BTreeMap::new();
    let Ok(lanes) = fs::read_dir(state.join("queue")) else { return found };
    for lane in lanes {
        let lane = lane.unwrap();
        for file in fs::read_dir(lane.path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "item") {
                continue;
            }
            // A running agent may just have delivered it.
            let (Ok(content), Ok(about)) = (fs::read(&path), fs::metadata(&path)) else { continue };
            let written = about.mtime() as f64 + about.mtime_nsec() as f64 / 1e9;
            let item = Item::decode(&content).unwrap();
            found.insert((lane.file_name().into_string().unwrap(), item.key.clone()), Waiting { item, written });
        }
    }
    found
}

/// How long the outage lasts: 40 s, or as many as `SKEWGUARD_OUTAGE_SECONDS` says.
fn outage() -> Duration {
    Duration::from_secs(env::var("SKEWGUARD_OUTAGE_SECONDS").map_or(40, |seconds| seconds.parse().unwrap()))
}

/// A part of the outage that is different in every run.
fn part(from: f64, to: f64) -> Duration {
    outage().mul_f64(from + (to - from) * (now() * 1e3).fract())
}

fn until(started: Instant, moment: Duration) {
    sleep(moment.saturating_sub(started.elapsed()));
}

/// The agent is killed twice during the outage, `between` is done in each part of it. Returns the agent that is left, all
/// that was written on standard error before, and all that was on disk.
fn through_the_outage<'agent>(
    agent: &'agent Skewguard<'_>,
    mut running: Running<'agent>,
    state: &Path,
    between: impl Fn(usize),
) -> (Running<'agent>, String, BTreeMap<(String, String), Waiting>) {
    let started = Instant::now();
    let mut log = String::new();
    let mut accepted = BTreeMap::new();
    for (index, killed) in [part(0.2, 0.45), part(0.6, 0.8)].into_iter().enumerate() {
        between(index);
        until(started, killed);
        log += &running.kill().unwrap();
        accepted.append(&mut waiting(state));
        println!("killed after {killed:.1?}, with {} items on disk", accepted.len());
        running = agent.run().unwrap();
        running.await_status("the time", PATIENCE, is_synchronized).unwrap();
    }
    between(2);
    until(started, outage());
    accepted.append(&mut waiting(state));
    (running, log, accepted)
}

/// How long an agent may take to deliver so many items after an outage: the longest pause, and then the pace. What has
/// waited is sent twice as often as something comes, which is every second, also during the pause.
fn time_for(items: usize) -> Duration {
    Duration::from_secs(240) + Duration::from_millis(1_500) * u32::try_from(items).unwrap()
}

fn is_drained(status: &Value) -> bool {
    let all = status["delivery"].as_array().unwrap();
    !all.is_empty() && all.iter().all(|one| one["queued"].as_u64() <= Some(1) && one["error"].is_null())
}

#[test]
fn an_outage_and_two_crashes_lose_nothing_and_change_neither_order_nor_time() {
    scope(|scope| {
        scope.spawn(everything_reaches_a_receiver_once);
        scope.spawn(everything_reaches_real_destinations_once);
    });
}

fn everything_reaches_a_receiver_once() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let mut receiver = Receiver::start(&net, receiving()).unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let agent = Skewguard::new(&net, &reporting(&receiver, state.path())).unwrap().with_clock(&clock).unwrap();
    let running = agent.run().unwrap();
    wait_until("exports", PATIENCE, || receiver.taken().exports.len() >= 3).unwrap();

    receiver.down();
    let before = receiver.taken();
    // The clock is wrong and right again in each part of the outage, and each time that is told.
    let step = |_| {
        clock.set(400.0).unwrap();
        sleep(outage().mul_f64(0.06).max(Duration::from_millis(2_500)));
        clock.set(0.0).unwrap();
    };
    let (mut running, mut log, accepted) = through_the_outage(&agent, running, state.path(), step);
    receiver.up().unwrap();
    running.await_status("all is delivered", time_for(accepted.len()), is_drained).unwrap();
    running.stop(PATIENCE).unwrap();
    log += &running.log();

    let taken = receiver.taken();
    assert_eq!(taken.faults, [""; 0]);
    let samples: Vec<_> = taken.exports.iter().map(|export| export.time).collect();
    let records: Vec<_> = taken.records.iter().map(|record| record.key.clone()).collect();
    let told: Vec<_> = taken.told.iter().map(|told| told.key.clone()).collect();
    let said: Vec<_> = said(&log).iter().map(key).collect();
    let twice = |keys: &[String]| keys.len() - keys.iter().collect::<BTreeSet<_>>().len();
    let again = samples.len() - samples.iter().collect::<BTreeSet<_>>().len();
    let gaps = samples.windows(2).map(|pair| (pair[1].saturating_sub(pair[0])) as f64 / 1e9);
    println!(
        "outage of {:?}: {} items on disk; {} exports ({} live before, {again} twice, largest gap {:.1} s), \
         {} transitions said, {} at the webhook ({} twice), {} log records ({} twice)",
        outage(),
        accepted.len(),
        samples.len(),
        before.exports.len(),
        gaps.fold(0.0, f64::max),
        said.len(),
        told.len(),
        twice(&told),
        records.len(),
        twice(&records),
    );

    for ((lane, key), waiting) in &accepted {
        assert_near(&format!("the time of {lane} {key}"), waiting.at(), waiting.written, 1.0);
        let arrived = match lane.as_str() {
            "otlp-metrics" => samples.iter().filter(|time| *key == format!("metrics/{time}")).count(),
            "otlp-logs" => records.iter().filter(|record| *record == key).count(),
            _ => told.iter().filter(|told| *told == key).count(),
        };
        assert_eq!(arrived, 1, "{lane} {key} arrived {arrived} times");
    }
    assert!(samples.is_sorted(), "{samples:?}");
    assert_eq!(told, said, "every transition, in its order");
    assert_eq!(records, said, "every transition, in its order");
    // Three times wrong and three times right.
    let skews = said.iter().filter(|key| key.contains("/clock-skew//")).count();
    assert!(skews >= 6, "{said:?}");
    for export in &before.exports {
        assert_near("the time of a live export", export.seconds(), export.arrived, 1.0);
    }
}

/// Every destination that the agent has.
struct Destinations<'net> {
    victoria: Victoria<'net>,
    alertmanager: Alertmanager<'net>,
    receiver: Receiver<'net>,
}

impl<'net> Destinations<'net> {
    fn start(net: &'net Net) -> Self {
        let alertmanager =
            Alertmanager::start(net, SocketAddr::new(IMDS, 9093), RESOLVE_TIMEOUT, "http://127.0.0.1:9/none");
        Self {
            victoria: Victoria::start(net, Side::Aws, SocketAddr::new(IMDS, 8428)).unwrap(),
            alertmanager: alertmanager.unwrap(),
            receiver: Receiver::start(net, receiving()).unwrap(),
        }
    }

    fn down(&mut self) {
        self.victoria.down().unwrap();
        self.alertmanager.down().unwrap();
        self.receiver.down();
    }

    fn up(&mut self) {
        self.victoria.up().unwrap();
        self.alertmanager.up().unwrap();
        self.receiver.up().unwrap();
    }

    /// Metrics go to VictoriaMetrics, log records to the receiver, and alerts to the receiver and Alertmanager.
    fn reporting(&self, state: &Path) -> String {
        format!(
            "{NEAR}state_dir: {}
telemetry: {{ otlp: {{ interval: 1s, timeout: 2s }} }}
channels:
  - {{ name: ops, timeout: 2s, webhook: {{ url: \"{}/hook\" }} }}
  - {{ name: am, timeout: 2s, alertmanager: {{ url: \"{}\", repost: 10s }} }}
",
            state.display(),
            self.receiver.url(),
            self.alertmanager.url(),
        )
    }

    /// The alerts that are active in Alertmanager: name, severity, and since when.
    fn active(&self) -> BTreeSet<(String, String, String)> {
        let of = |alert: &Value| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap().to_owned();
            (label("alertname"), label("severity"), milliseconds(alert["startsAt"].as_str().unwrap()))
        };
        self.alertmanager.all_active().unwrap().iter().map(of).collect()
    }
}

/// For how long Alertmanager keeps an alert that is not posted again, in seconds.
const RESOLVE_TIMEOUT: u32 = 60;

/// A time as Alertmanager tells it.
fn milliseconds(time: &str) -> String {
    format!("{:.3}", seconds_of(time).unwrap())
}

/// What fires by the status of the agent, as [`Destinations::active`] has it.
fn firing(status: &Value) -> BTreeSet<(String, String, String)> {
    let of = |alert: &Value| {
        let text = |member: &str| alert[member].as_str().unwrap().to_owned();
        (text("alert"), text("severity"), milliseconds(&text("since")))
    };
    status["alerts"].as_array().unwrap().iter().filter(|alert| alert["state"] == "firing").map(of).collect()
}

fn everything_reaches_real_destinations_once() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let mut destinations = Destinations::start(&net);
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let agent = Skewguard::new(&net, &destinations.reporting(state.path())).unwrap().with_clock(&clock).unwrap();
    let agent = agent
        .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", destinations.victoria.otlp_url() + "/v1/metrics")
        .env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", destinations.receiver.url() + "/v1/logs");
    let mut running = agent.run().unwrap();
    running.await_status("the time", PATIENCE, is_synchronized).unwrap();
    clock.set(400.0).unwrap();
    let began = now();
    wait_until("the alert", PATIENCE, || destinations.active().iter().any(|(name, ..)| name == "clock-skew")).unwrap();
    let all_delivered =
        |status: &Value| is_drained(status) && delivery(status, "otlp-metrics")["delivered"].as_u64() >= Some(3);
    running.await_status("exports", PATIENCE, all_delivered).unwrap();

    destinations.down();
    let live = destinations.receiver.taken().told.len();
    let last_step = Cell::new(began);
    // The alert ends and comes again in each part of the outage.
    let step = |_| {
        clock.set(0.0).unwrap();
        sleep(outage().mul_f64(0.06).max(Duration::from_millis(2_500)));
        clock.set(400.0).unwrap();
        last_step.set(now());
    };
    let (mut running, mut log, accepted) = through_the_outage(&agent, running, state.path(), step);
    destinations.up();
    running.await_status("all is delivered", time_for(accepted.len()), is_drained).unwrap();

    // What fires is active, and began when it did, although nobody could be told then.
    let status = running.status().unwrap();
    let fires = firing(&status);
    wait_until("the alerts", PATIENCE, || destinations.active() == fires)
        .unwrap_or_else(|error| panic!("{error}: {:?} instead of {fires:?}", destinations.active()));
    let since = |name: &str| fires.iter().find(|alert| alert.0 == name).map(|alert| alert.2.parse::<f64>().unwrap());
    assert_near("the beginning of the alert", since("clock-skew").unwrap(), last_step.get(), 2.5);
    let over = said(&(log.clone() + &running.log()));
    let over = over.iter().skip(live).filter(|one| one["change"] == "resolved" || !one["before"].is_null()).count();
    let ended = destinations.alertmanager.received("resolved").unwrap();
    assert_eq!(ended, over as u64, "each end was posted once");
    clock.set(0.0).unwrap();
    let is_over = || destinations.active().iter().all(|(name, ..)| name != "clock-skew");
    wait_until("the end of the alert", PATIENCE, is_over).unwrap();
    running.await_status("the end is told", PATIENCE, is_drained).unwrap();
    running.stop(PATIENCE).unwrap();
    log += &running.log();
    let left = waiting(state.path());
    assert!(left.is_empty(), "{:?}", left.keys());

    let said: Vec<_> = said(&log).iter().map(key).collect();
    let taken = destinations.receiver.taken();
    let told: Vec<_> = taken.told.iter().map(|told| told.key.clone()).collect();
    let records: Vec<_> = taken.records.iter().map(|record| record.key.clone()).collect();
    println!(
        "outage of {:?}: {} items on disk; {} transitions said ({live} before), {} at the webhook, {} log records, \
         {ended} ends and {} active alerts in Alertmanager, clock-skew since {:.3} s after the last step",
        outage(),
        accepted.len(),
        said.len(),
        told.len(),
        records.len(),
        fires.len(),
        since("clock-skew").unwrap() - last_step.get(),
    );
    assert_eq!(taken.faults, [""; 0]);
    assert_eq!(told, said, "every transition once, in its order");
    assert_eq!(records, said, "every transition once, in its order");
    // Once before, three times within, and each of them ended.
    let skews = said.iter().filter(|key| key.contains("/clock-skew//")).count();
    assert!(skews >= 8, "{said:?}");
    stores_every_sample_once(&destinations.victoria, &accepted);
}

/// VictoriaMetrics has each sample that waited, once and at its time, and no other sample twice either.
fn stores_every_sample_once(victoria: &Victoria<'_>, accepted: &BTreeMap<(String, String), Waiting>) {
    // VictoriaMetrics keeps milliseconds.
    let in_millis = |samples: &[(f64, f64)]| samples.iter().map(|(at, _)| (at * 1e3).round()).collect::<Vec<_>>();
    let stored = in_millis(&victoria.samples("clock_offset_seconds").unwrap());
    let all = victoria.export("{__name__!=\"\"}").unwrap();
    let exports: BTreeSet<_> = stored.iter().map(|at| *at as u64).collect();
    let (mut samples, mut twice, mut strays) = (0, 0, 0);
    for series in all.values() {
        let times = in_millis(series);
        samples += times.len();
        twice += times.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        strays += times.iter().filter(|at| !exports.contains(&(**at as u64))).count();
    }
    let gap = stored.windows(2).map(|pair| (pair[1] - pair[0]) / 1e3).fold(0.0, f64::max);
    println!(
        "VictoriaMetrics has {samples} samples of {} series, {twice} of them twice; {} of clock_offset_seconds, the \
         largest gap {gap:.1} s",
        all.len(),
        stored.len(),
    );
    let mut waited = 0;
    for ((_, key), waiting) in accepted.iter().filter(|((lane, _), _)| lane == "otlp-metrics") {
        assert_near("the time of an item", waiting.at(), waiting.written, 1.0);
        let export = metrics(&plain(&waiting.item), waiting.written).unwrap();
        if export.value("clock.offset").is_some() {
            waited += 1;
            let found = stored.iter().filter(|at| **at == (waiting.item.at.time.nanos() / 1_000_000) as f64).count();
            assert_eq!(found, 1, "the sample of {key} is there {found} times");
        }
    }
    println!("{waited} of these waited for the end of the outage");
    assert!(waited as f64 > 0.8 * outage().as_secs_f64(), "{waited} samples waited");
    assert_eq!((twice, strays), (0, 0), "samples that are there twice, and at the time of no export");
    // Measuring went on all the time, but for the restarts.
    assert!(gap < 5.0, "{stored:?}");
}

/// The body of an item without its compression.
fn plain(item: &Item) -> Vec<u8> {
    match item.content {
        Content::ProtobufGzip => {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(item.body.as_ref()), &mut plain).unwrap();
            plain
        }
        _ => item.body.to_vec(),
    }
}

// Restarts

#[test]
fn an_alert_that_fires_through_a_restart_is_told_once_and_resolved_once() {
    scope(|scope| {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            scope.spawn(move || fires_through_a_restart(signal));
        }
    });
}

fn fires_through_a_restart(signal: Signal) {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let receiver = Receiver::start(&net, receiving()).unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    clock.set(400.0).unwrap();
    let agent = Skewguard::new(&net, &reporting(&receiver, state.path())).unwrap().with_clock(&clock).unwrap();
    let running = agent.run().unwrap();
    // A process that is killed as it delivers cannot know that it did: then the next one sends the same again.
    let skews = |change| {
        let mut told: Vec<_> = of(&receiver.taken().told, "clock-skew", change).into_iter().cloned().collect();
        told.dedup_by(|one, other| signal == Signal::SIGKILL && one.key == other.key);
        told
    };
    let fired = wait_until("the alert", PATIENCE, || !skews("firing").is_empty());
    fired.unwrap_or_else(|error| panic!("{error}: {}", running.log()));
    let mut ended = running;
    match signal {
        Signal::SIGKILL => drop(ended.kill().unwrap()),
        _ => assert!(ended.stop(PATIENCE).unwrap().success()),
    }

    let mut running = agent.run().unwrap();
    let fires = |status: &Value| {
        let all = status["alerts"].as_array().unwrap();
        polls(status) >= 5 && all.iter().any(|alert| alert["alert"] == "clock-skew" && alert["state"] == "firing")
    };
    running.await_status("five polls", PATIENCE, fires).unwrap();
    assert_eq!(skews("firing").len(), 1, "{signal}: {:?}", skews("firing"));
    clock.set(0.0).unwrap();
    wait_until("the resolve", PATIENCE, || !skews("resolved").is_empty())
        .unwrap_or_else(|error| panic!("{signal}: {error}: {}", running.log()));
    let polled = polls(&running.status().unwrap());
    running.await_status("three polls more", PATIENCE, |status| polls(status) >= polled + 3).unwrap();
    let (firing, resolved) = (skews("firing"), skews("resolved"));
    assert_eq!((firing.len(), resolved.len()), (1, 1), "{signal}: {firing:?} {resolved:?}");
    assert_eq!(firing[0].text("id"), resolved[0].text("id"));
    assert_eq!(firing[0].text("since"), resolved[0].text("since"));
    assert_eq!(receiver.taken().faults, [""; 0]);
}

#[test]
fn a_state_that_cannot_be_read_is_set_aside_and_the_agent_runs() {
    let future = r#"{"format":"skewguard-state","version":2,"tomorrow":true}"#;
    scope(|scope| {
        for content in ["not a state at all", r#"{"format":"skewguard-state","version":1,"boot_id":""#, future] {
            scope.spawn(move || is_set_aside(content));
        }
    });
}

fn is_set_aside(content: &str) {
    let net = Net::new().unwrap();
    let _server = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(0.0)).unwrap();
    let state = private_dir().unwrap();
    let agent = Skewguard::new(&net, &format!("{NEAR}state_dir: {}\n", state.path().display())).unwrap();
    agent.mark_state(PATIENCE).unwrap();
    fs::write(state.path().join("state.json"), content).unwrap();
    let mut running = agent.run().unwrap();
    running.await_status("the time", PATIENCE, is_synchronized).unwrap();
    let log = running.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ") && line.contains("state.json")).collect();
    assert_eq!(warnings.len(), 1, "{content}: {log}");
    let aside = fs::read_dir(state.path()).unwrap().map(|file| file.unwrap().path());
    let aside = aside.filter(|path| fs::read_to_string(path).is_ok_and(|kept| kept == content)).collect::<Vec<_>>();
    assert_eq!(aside.len(), 1, "{content}: {log}");
    assert_ne!(aside[0].file_name().unwrap(), "state.json");
    assert!(running.stop(PATIENCE).unwrap().success());
    // The next start finds one that it can read.
    let mut running = agent.run().unwrap();
    running.await_status("the time", PATIENCE, is_synchronized).unwrap();
    assert!(!running.log().contains(" WARN "), "{}", running.log());
}

// Disks

/// A state directory on a disk of its own, in the agent's mount namespace alone.
struct Disk {
    what: &'static str,
    preparation: &'static str,
    /// What mends it, in that namespace.
    repair: &'static str,
}

const DISKS: [Disk; 3] = [
    Disk {
        what: "full",
        preparation: "mount -t tmpfs -o size=64k,mode=700 lab STATE; head -c 1M /dev/zero >STATE/filler || true",
        repair: "rm STATE/filler",
    },
    Disk {
        what: "read-only",
        preparation: "mount -t tmpfs -o size=1m,mode=700 lab STATE; mount -o remount,ro STATE",
        repair: "mount -o remount,rw STATE",
    },
    // As a disk becomes that the kernel has found an error on.
    Disk {
        what: "read-only with a queue",
        preparation: "mount -t tmpfs -o size=1m,mode=700 lab STATE; mkdir -p -m 700 STATE/queue/otlp-metrics STATE/queue/ops; mount -o remount,ro STATE",
        repair: "mount -o remount,rw STATE",
    },
];

#[test]
fn a_disk_that_keeps_nothing_is_told_once_and_takes_nothing_else_away() {
    scope(|scope| {
        for disk in &DISKS {
            scope.spawn(move || keeps_nothing(disk));
        }
    });
}

fn keeps_nothing(disk: &Disk) {
    let what = disk.what;
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let mut receiver = Receiver::start(&net, receiving()).unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let place = state.path().to_str().unwrap().to_owned();
    let agent = Skewguard::new(&net, &reporting(&receiver, state.path())).unwrap().with_clock(&clock).unwrap();
    let agent = agent.prepared_by(&disk.preparation.replace("STATE", &place));
    let mut running = agent.run().unwrap();
    let first = running.await_status("the time", PATIENCE, is_synchronized).unwrap();
    let started = Instant::now();
    clock.set(400.0).unwrap();
    let ten = running.await_status("ten polls", PATIENCE, |status| polls(status) >= polls(&first) + 10).unwrap();
    let took = started.elapsed().as_secs_f64();
    assert!((7.0..20.0).contains(&took), "{what}: ten polls took {took} s");
    let taken = receiver.taken();
    assert!(taken.exports.len() >= 7, "{what}: {} exports", taken.exports.len());
    assert_eq!(of(&taken.told, "clock-skew", "firing").len(), 1, "{what}: {:?}", taken.told);
    assert_eq!(delivery(&ten, "otlp-metrics")["on_disk"], false, "{what}: {ten}");
    let log = running.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ") && line.contains(&place)).collect();
    assert_eq!(warnings.len(), 1, "{what}: {warnings:#?}\n{log}");

    // What waits goes back to disk, what is delivered goes away from there.
    receiver.down();
    running
        .await_status("what waits", PATIENCE, |status| delivery(status, "otlp-metrics")["queued"].as_u64() >= Some(3))
        .unwrap();
    to_the_disk(&running, disk.repair, &place);
    running
        .await_status("the disk", PATIENCE, |status| delivery(status, "otlp-metrics")["on_disk"] == true)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let inside = format!("/proc/{}/root{place}", running.pid());
    wait_until("files", PATIENCE, || waiting(Path::new(&inside)).len() >= 3).unwrap();
    receiver.up().unwrap();
    running.await_status("all is delivered", time_for(10), is_drained).unwrap();
    wait_until("no files", PATIENCE, || waiting(Path::new(&inside)).len() <= 1).unwrap();
    assert_eq!(receiver.taken().faults, [""; 0]);
}

/// Runs a script in the mount namespace of an agent.
fn to_the_disk(running: &Running<'_>, script: &str, place: &str) {
    let mut shell = command("nsenter").unwrap();
    shell.args(["--mount", "--target", &running.pid().to_string(), "sh", "-ec"]);
    output(shell.arg(script.replace("STATE", place))).unwrap();
}

/// What befalls a disk on which something waits already.
struct Failure {
    what: &'static str,
    preparation: &'static str,
    failure: &'static str,
    repair: &'static str,
    /// Telemetry that was there before is given up for an alert, and for nothing else.
    makes_room: bool,
}

const FAILURES: [Failure; 2] = [
    Failure {
        what: "full",
        preparation: "mount -t tmpfs -o size=512k,mode=700 lab STATE",
        failure: "head -c 1M /dev/zero >STATE/filler || true",
        repair: "rm STATE/filler",
        makes_room: true,
    },
    // A second mount of the same, because the first cannot change while a lock is open there.
    Failure {
        what: "read-only",
        preparation: "mount -t tmpfs -o size=1m,mode=700 lab STATE",
        failure: "mount --bind STATE STATE; mount -o remount,bind,ro STATE",
        repair: "umount STATE",
        makes_room: false,
    },
];

#[test]
fn a_disk_that_fails_under_what_waits_there_stops_neither_measuring_nor_delivery() {
    scope(|scope| {
        for failure in &FAILURES {
            scope.spawn(move || fails_under_what_waits(failure));
        }
    });
}

fn fails_under_what_waits(Failure { what, preparation, failure, repair, makes_room }: &Failure) {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let mut collector = Receiver::start(&net, receiving()).unwrap();
    let hook = Receiver::start(&net, SocketAddr::new(IMDS, 8080)).unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let place = state.path().to_str().unwrap().to_owned();
    let yaml = reporting(&collector, state.path())
        .replace(&format!("{}/hook", collector.url()), &format!("{}/hook", hook.url()));
    let agent = Skewguard::new(&net, &yaml).unwrap().with_clock(&clock).unwrap();
    let agent = agent.prepared_by(&preparation.replace("STATE", &place));
    let mut running = agent.run().unwrap();
    running.await_status("the time", PATIENCE, is_synchronized).unwrap();
    wait_until("exports", PATIENCE, || collector.taken().exports.len() >= 2).unwrap();
    let inside = format!("/proc/{}/root{place}", running.pid());

    collector.down();
    wait_until("a backlog", PATIENCE, || waiting(Path::new(&inside)).len() >= 10).unwrap();
    to_the_disk(&running, failure, &place);
    let backlog = waiting(Path::new(&inside));
    let first = running.status().unwrap();
    let started = Instant::now();
    clock.set(400.0).unwrap();
    wait_until("the alert", PATIENCE, || !of(&hook.taken().told, "clock-skew", "firing").is_empty()).unwrap();
    let told = started.elapsed();
    assert!(told < Duration::from_secs(5), "{what}: told after {told:?}");
    let ten = running.await_status("ten polls", PATIENCE, |status| polls(status) >= polls(&first) + 10).unwrap();
    let took = started.elapsed().as_secs_f64();
    assert!((7.0..20.0).contains(&took), "{what}: ten polls took {took} s");
    // What is new waits in memory.
    assert_eq!(delivery(&ten, "otlp-metrics")["on_disk"], false, "{what}: {ten}");

    collector.up().unwrap();
    let is_told = |status: &Value| is_drained(status) && delivery(status, "otlp-logs")["queued"] == 0;
    let drained = running.await_status("all is delivered", time_for(30), is_told).unwrap();
    let (taken, told) = (collector.taken(), hook.taken().told);
    let dropped = delivery(&drained, "otlp-metrics")["dropped"].as_u64().unwrap();
    let is_missing = |(lane, key): &&(String, String)| match lane.as_str() {
        "otlp-metrics" => !taken.exports.iter().any(|export| *key == format!("metrics/{}", export.time)),
        _ => !taken.records.iter().any(|record| record.key == *key),
    };
    let missing: Vec<_> = backlog.keys().filter(is_missing).collect();
    let log = running.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ") && line.contains(&place)).collect();
    println!(
        "{what}: {} items waited on disk, {} exports arrived, {dropped} were given up, {} of what was on disk, {} warnings",
        backlog.len(),
        taken.exports.len(),
        missing.len(),
        warnings.len(),
    );
    // In order, and none twice.
    assert!(taken.exports.windows(2).all(|pair| pair[0].time < pair[1].time), "{what}: {:?}", taken.exports);
    assert!(missing.iter().all(|(lane, _)| lane == "otlp-metrics"), "{what}: {missing:?}");
    // An alert takes the room of two exports or three.
    let most = if *makes_room { 3 * told.len() as u64 } else { 0 };
    assert!(missing.len() as u64 <= dropped && dropped <= most, "{what}: {dropped} {missing:?}");
    let keys: Vec<_> = told.iter().map(|told| &told.key).collect();
    assert_eq!(taken.records.iter().map(|record| &record.key).collect::<Vec<_>>(), keys, "{what}");
    assert_eq!(warnings.len(), 1, "{what}: {warnings:#?}\n{log}");

    to_the_disk(&running, repair, &place);
    collector.down();
    running
        .await_status("the disk", PATIENCE, |status| delivery(status, "otlp-metrics")["on_disk"] == true)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    wait_until("files", PATIENCE, || waiting(Path::new(&inside)).len() >= 3).unwrap();
    collector.up().unwrap();
    running.await_status("all is delivered", time_for(10), is_drained).unwrap();
    // Not even what the disk would not let go.
    wait_until("no files", PATIENCE, || waiting(Path::new(&inside)).len() <= 1).unwrap();
    assert!(collector.taken().faults.is_empty() && hook.taken().faults.is_empty());
}

// What the other side says

#[test]
fn what_is_refused_for_good_is_given_up_with_a_reason_and_what_follows_is_delivered() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let receiver = Receiver::start(&net, receiving()).unwrap();
    let refused = std::sync::atomic::AtomicUsize::new(0);
    receiver.answer(METRICS, move |_| {
        let is_first = refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
        Reply::new(if is_first { 400 } else { 200 }, "")
    });
    let state = private_dir().unwrap();
    let agent = Skewguard::new(&net, &reporting(&receiver, state.path())).unwrap();
    let mut running = agent.run().unwrap();
    let goes_on = |status: &Value| delivery(status, "otlp-metrics")["delivered"].as_u64() >= Some(2);
    let status = running.await_status("what follows", PATIENCE, goes_on).unwrap();
    let metrics = delivery(&status, "otlp-metrics");
    assert_eq!((&metrics["dropped"], &metrics["failures"]), (&2.into(), &2.into()), "{metrics}");
    let log = running.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("delivery fails")).collect();
    assert_eq!(lines.len(), 1, "what follows the first is counted alone: {log}");
    assert!(lines[0].contains("status 400") && lines[0].contains("given_up=true"), "{lines:#?}");
    assert_eq!(receiver.taken().faults, [""; 0]);
}

#[test]
fn a_collector_that_asks_for_patience_is_given_it() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let receiver = Receiver::start(&net, receiving()).unwrap();
    let arrivals = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&arrivals);
    receiver.answer(METRICS, move |_| {
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        if seen.len() == 1 { Reply::new(429, "").header("Retry-After", "3") } else { Reply::ok("") }
    });
    let state = private_dir().unwrap();
    let agent = Skewguard::new(&net, &reporting(&receiver, state.path())).unwrap();
    let mut running = agent.run().unwrap();
    running
        .await_status("delivery", PATIENCE, |status| delivery(status, "otlp-metrics")["delivered"].as_u64() >= Some(2))
        .unwrap();
    let arrivals = arrivals.lock().unwrap().clone();
    let waited = arrivals[1] - arrivals[0];
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    assert_eq!(delivery(&running.status().unwrap(), "otlp-metrics")["dropped"], 0);
}

/// Metrics of one point, made at `seconds` since the Unix epoch.
fn stored(seconds: f64) -> Item {
    let at = TrueTime::from_seconds(seconds);
    let time_unix_nano = u64::try_from(at.nanos()).unwrap();
    let value = Some(number_data_point::Value::AsDouble(seconds));
    let data_points = vec![NumberDataPoint { time_unix_nano, value, ..NumberDataPoint::default() }];
    let metric = Metric { name: "stored".into(), data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() };
    let name = Some(AnyValue { value: Some(any_value::Value::StringValue("skewguard".into())) });
    let attributes = vec![KeyValue { key: "service.name".into(), value: name, ..KeyValue::default() }];
    let resource_metrics = vec![ResourceMetrics {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    }];
    Item {
        class: Class::Telemetry,
        key: format!("metrics/{time_unix_nano}"),
        at: Stamp { time: at, verified: true },
        content: Content::Protobuf,
        body: ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into(),
    }
}

#[test]
fn what_has_waited_is_sent_oldest_first_and_at_a_pace() {
    const ITEMS: usize = 40;
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let receiver = Receiver::start(&net, receiving()).unwrap();
    let state = private_dir().unwrap();
    let lane = state.path().join("queue/otlp-metrics");
    let agent = Skewguard::new(&net, &reporting(&receiver, state.path())).unwrap();
    agent.mark_state(PATIENCE).unwrap();
    fs::create_dir_all(&lane).unwrap();
    let first = now() - 3_600.0;
    for number in 1..=ITEMS {
        let item = stored(first + number as f64);
        fs::write(lane.join(format!("{number:020}.item")), item.encode()).unwrap();
    }
    let mut running = agent.run().unwrap();
    let all = |status: &Value| delivery(status, "otlp-metrics")["delivered"].as_u64() > Some(ITEMS as u64);
    running.await_status("all is delivered", PATIENCE, all).unwrap();
    let taken = receiver.taken();
    assert_eq!(taken.faults, [""; 0]);
    let old: Vec<_> = taken.exports.iter().filter(|export| export.value("stored").is_some()).collect();
    assert_eq!(old.len(), ITEMS);
    let began = taken.exports.iter().position(|export| export.value("stored").is_some()).unwrap();
    assert!(taken.exports[began..].is_sorted_by_key(|export| export.time));
    let took = old[ITEMS - 1].arrived - old[0].arrived;
    println!("{ITEMS} items were sent within {took:.1} s");
    // Twice as often as something comes, which is every second.
    assert!((15.0..30.0).contains(&took), "{took}");
    let in_two_seconds = old.iter().filter(|export| export.arrived < old[0].arrived + 2.0).count();
    assert!(in_two_seconds <= 5, "{in_two_seconds} items within the first two seconds");
}

#[test]
fn an_alert_that_is_refused_for_what_somebody_will_mend_is_kept_and_told() {
    scope(|scope| {
        for status in [302, 401, 403, 404, 407] {
            scope.spawn(move || is_kept_through(status));
        }
    });
}

fn is_kept_through(status: u16) {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let receiver = Receiver::start(&net, receiving()).unwrap();
    let refused = std::sync::atomic::AtomicUsize::new(0);
    receiver.answer(HOOK, move |_| {
        let is_first = refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        Reply::new(if is_first { status } else { 200 }, "")
    });
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    clock.set(400.0).unwrap();
    let agent = Skewguard::new(&net, &reporting(&receiver, state.path())).unwrap().with_clock(&clock).unwrap();
    let mut running = agent.run().unwrap();
    let taken = |status: &Value| delivery(status, "ops")["delivered"].as_u64() >= Some(1);
    let after = running.await_status("the alert", PATIENCE, taken).unwrap();
    let ops = delivery(&after, "ops");
    assert_eq!((&ops["dropped"], &ops["refusals"]), (&0.into(), &1.into()), "{status}: {ops}");
    let log = running.log();
    let told = log.lines().filter(|line| line.contains("the destination refuses what it is sent")).count();
    assert_eq!(told, 1, "{status}: {log}");
    assert!(log.contains(&format!("status {status}")), "{log}");
    let is_counted = |export: &tests::receiver::Export| {
        let mut points = export.points.iter();
        points.any(|point| point.series == "skewguard.delivery.refusals{destination=ops}" && point.value == 1.0)
    };
    wait_until("the metric", PATIENCE, || receiver.taken().exports.iter().any(is_counted))
        .unwrap_or_else(|error| panic!("{status}: {error}: {:?}", receiver.taken().exports.last()));
}
