//! The fire drill (`skewguard demo --fleet`): what it sends is what an agent sends, its troubles fire the shipped rules and no
//! others, all of it is marked and can be deleted, and nothing of it is lost behind the collectors of `deploy/collectors`.

#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::agent::{Skewguard, WITH_IMDS};
use tests::chrony::Chrony;
use tests::http::{self, HttpServer, Reply};
use tests::metadata;
use tests::net::{IMDS, Net, SECOND_TIME_SERVER, Side, TIME_SYNC};
use tests::observability::asked;
use tests::observability::committed::root;
use tests::observability::scheme::Scheme;
use tests::process::{Server, private_dir};
use tests::victoria::Victoria;
use tests::vmagent::Vmagent;
use tests::vmalert::Vmalert;
use tests::wait::{wait_for, wait_until};

const PATIENCE: Duration = Duration::from_secs(40);
/// The account of every host of a drill.
const ACCOUNT: &str = "000000000000";
/// The hosts of the drill that rules judge, of which this many are in trouble.
const HOSTS: usize = 150;
const ILL: usize = 18;

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(IMDS, port)
}

/// Sends the last so many minutes of a fleet, and returns how many points that were.
fn drill(net: &Net, hosts: usize, minutes: u32, otlp: &str) -> u64 {
    let mut command = net.command(Side::Agent, std::env::var_os("SKEWGUARD_BIN").unwrap()).unwrap();
    command.args(["demo", "--past", "--otlp", otlp]);
    let output = command.args(["--fleet", &hosts.to_string(), "--minutes", &minutes.to_string()]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let words: Vec<&str> = stdout.split_whitespace().collect();
    let points = words.windows(3).find(|words| words[1] == "points" && words[2] == "were").unwrap()[0];
    points.parse().unwrap()
}

/// Which labels the series of each metric have.
fn labels(victoria: &Victoria<'_>, selector: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (mut labels, _) in victoria.query(&format!("last_over_time({selector}[1h])")).unwrap() {
        let name = labels.remove("__name__").unwrap_or_default();
        found.entry(name).or_default().extend(labels.into_keys());
    }
    found
}

#[test]
fn a_host_of_a_drill_exports_the_series_that_a_host_exports_and_each_is_marked() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let document = metadata::valid_document();
    let service = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &document).unwrap();
    let identity = r#"{"accountId":"123456789012","imageId":"ami-1"}"#;
    service.on("GET /latest/dynamic/instance-identity/document", Reply::ok(identity));
    let victoria = Victoria::start(&net, Side::Aws, at(8428)).unwrap();
    let otlp = format!("telemetry: {{ otlp: {{ endpoint: \"{}\", interval: 1s }} }}", victoria.otlp_url());
    let agent = Skewguard::new(&net, &format!("{WITH_IMDS}alerts: {{ boot_grace: 0s }}\n{otlp}\n")).unwrap();
    let mut running = agent.run().unwrap();
    let is_told = |status: &Value| {
        let delivered = status.pointer("/delivery/1/delivered").and_then(Value::as_u64);
        status["clock"]["state"] == "synchronized" && !status["credentials"][0].is_null() && delivered > Some(6)
    };
    running.await_status("exports of a host that is well", PATIENCE, is_told).unwrap();
    let points = drill(&net, 50, 5, &victoria.otlp_url());
    drop(running);

    let real = labels(&victoria, "{__name__=~\".+\",skewguard_demo=\"\"}");
    let drilled = labels(&victoria, "{__name__=~\".+\",skewguard_demo=\"true\",skewguard_demo_run=~\"......\"}");
    assert!(real.len() >= 14, "{real:#?}");
    for (name, labels) in &real {
        let mut expected = labels.clone();
        expected.extend(["skewguard_demo".to_owned(), "skewguard_demo_run".to_owned()]);
        assert_eq!(drilled.get(name), Some(&expected), "{name}");
    }
    // What else hosts in trouble export is in the table of metrics, among what a fleet needs.
    let known = tests::observability::scheme::metrics();
    let known: BTreeSet<String> = known
        .iter()
        .filter(|(_, metric)| metric.is_in_fleet)
        .map(|(name, _)| Scheme::Prometheus.expression(&format!("`{name}`")))
        .collect();
    let names: BTreeSet<String> = drilled.into_keys().collect();
    assert!(names.is_subset(&known), "{:?}", names.difference(&known));
    let samples = victoria.export("{skewguard_demo=\"true\"}").unwrap().into_values().map(|all| all.len() as u64);
    assert_eq!(samples.sum::<u64>(), points, "each point is a sample");
}

/// The shipped rules, in which time passes faster.
fn hurried(scheme: Scheme) -> String {
    let name = if scheme == Scheme::Prometheus { "skewguard.rules.yaml" } else { "skewguard.dotted.rules.yaml" };
    let text = fs::read_to_string(root().join("deploy/rules").join(name)).unwrap();
    let hurried = ["interval: 30s", "for: 1m\n", "for: 5m\n", "for: 10m\n", "for: 15m\n", "for: 1d\n"];
    let into = ["interval: 2s", "for: 6s\n", "for: 6s\n", "for: 6s\n", "for: 6s\n", "for: 6s\n"];
    hurried.iter().zip(into).fold(text, |text, (from, into)| text.replace(from, into))
}

/// Records who was there in the last hour, as the rules would have done meanwhile.
fn remember(net: &Net, victoria: &Victoria<'_>, rules: &str) {
    let (before, rest) = rules.split_once("  - record: skewguard:address:present").unwrap();
    assert!(before.contains("record: skewguard:host:present") && !rest.is_empty());
    let dir = private_dir().unwrap();
    let path = dir.path().join("present.yaml");
    fs::write(&path, before).unwrap();
    let begin = DateTime::<Utc>::from(SystemTime::now() - Duration::from_secs(1_500));
    let begin = begin.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut command = net.command(Side::Aws, "vmalert").unwrap();
    command.arg(format!("-rule={}", path.display())).arg(format!("-replay.timeFrom={begin}"));
    command.args(["datasource", "remoteWrite"].map(|url| format!("-{url}.url={}", victoria.url())));
    command.args(["-replay.rulesDelay=0s", "-replay.disableProgressBar", "-remoteWrite.flushInterval=100ms"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What fires: the alert, what it is of, and by what it is shared.
fn firing(victoria: &Victoria<'_>) -> BTreeSet<(String, String)> {
    let all = victoria.query("ALERTS{alertstate=\"firing\"}").unwrap();
    let of = |labels: &BTreeMap<String, String>| {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        // A host is told by its number.
        let host = label("host").rsplit('-').next().unwrap_or_default().to_owned();
        let kind = if label("kind").is_empty() { host } else { format!("{} {}", label("kind"), label("value")) };
        (label("alertname"), if kind.is_empty() { label("destination") } else { kind })
    };
    all.iter().map(|(labels, _)| of(labels)).collect()
}

/// What the rules must say of the end of a drill: nothing of those that are well.
fn expected() -> BTreeSet<(String, String)> {
    let mut expected = BTreeSet::new();
    let mut tell = |alert: &str, of: &str| {
        expected.insert((alert.to_owned(), of.to_owned()));
    };
    let mut of_hosts = |hosts: std::ops::Range<usize>, alerts: &[&str]| {
        hosts.for_each(|host| alerts.iter().for_each(|alert| tell(alert, &format!("{host:05}"))));
    };
    of_hosts(0..1, &["clock-skew-forecast"]);
    of_hosts(1..2, &["clock-skew", "clock-undisciplined"]);
    of_hosts(2..7, &["clock-skew", "credential-refresh-margin", "clock-undisciplined"]);
    of_hosts(7..14, &["source-unreachable", "credential-unavailable", "clock-unverified"]);
    of_hosts(14..15, &["credential-expiring"]);
    of_hosts(15..16, &["host-silent"]);
    for kind in ["clock-skew", "credential-refresh-margin", "clock-undisciplined"] {
        tell("fleet-cause", &format!("{kind} ami-drill-bad"));
    }
    for kind in ["source-unreachable", "credential-unavailable", "clock-unverified"] {
        tell("fleet-cause", &format!("{kind} eu-central-1d"));
    }
    for alert in ["fleet-delivery-lost", "fleet-delivery-refused"] {
        tell(alert, "drill-channel");
    }
    expected
}

/// What dashboards ask, of every host of a drill.
fn queries(scheme: Scheme) -> BTreeSet<String> {
    // A panel that shows 0 where there is nothing would hide that it asks for nothing.
    let of_any = |query: &String| {
        let query = query.replace(" or vector(0)", "").replace("$region", ".*");
        query.replace("=\"$host\"", "=~\"drill-.*\"").replace("$host", "drill-.*")
    };
    asked::by_grafana(scheme).unwrap().iter().map(of_any).collect()
}

fn judged(scheme: Scheme) {
    let net = Net::new().unwrap();
    let victoria = Victoria::with_names(&net, Side::Aws, at(8428), scheme).unwrap();
    drill(&net, HOSTS, 20, &victoria.otlp_url());
    let marked = if scheme == Scheme::Prometheus { "skewguard_demo" } else { "skewguard\\.demo" };
    let count = |selector: &str| {
        let count = victoria.query(&format!("count(last_over_time({{{selector}}}[1h]))")).unwrap();
        count.first().map_or(0.0, |(_, count)| *count)
    };
    let all = count("__name__!=\"\"");
    assert!(all > 20.0 * HOSTS as f64, "{all}");
    assert_eq!(count(&format!("{marked}=\"true\"")), all);

    let rules = hurried(scheme);
    remember(&net, &victoria, &rules);
    let vmalert = Vmalert::start(&net, at(8880), &rules, &victoria.url(), "http://127.0.0.1:9").unwrap();
    let (expected, mut told) = (expected(), BTreeSet::new());
    let all = wait_until("all that is expected of the rules", PATIENCE, || {
        thread::sleep(Duration::from_millis(500));
        told = firing(&victoria);
        told.is_superset(&expected)
    });
    assert!(all.is_ok(), "missing: {:#?}\n{}", expected.difference(&told), vmalert.log());
    // No drill has these: hosts without an agent, and a rotation whose habit takes longer to learn.
    let is_never = |query: &String| {
        query.contains("\"credential-rotation-overdue\"")
            || query.starts_with("count(max by (host) (skewguard:host:seen unless")
    };
    let nothing = |query: &String| victoria.query(query).unwrap().is_empty();
    let missing: Vec<String> = queries(scheme).into_iter().filter(|query| !is_never(query) && nothing(query)).collect();
    assert_eq!(missing, [""; 0], "dashboards");
    told = firing(&victoria);
    assert_eq!(told, expected);
    let healthy = told.iter().filter(|(_, host)| host.parse::<usize>().is_ok_and(|host| host >= ILL)).count();
    assert_eq!(healthy, 0);

    // As the end of the drill says.
    drop(vmalert);
    let form = [format!("{marked}=\"true\""), format!("account_id=\"{ACCOUNT}\"")];
    let form: Vec<_> =
        form.iter().map(|one| format!("match[]={}", http::encode_query(&format!("{{{one}}}")))).collect();
    let target = format!("/api/v1/admin/tsdb/delete_series?{}", form.join("&"));
    let deleted = net.within(Side::Aws, || http::request(at(8428), "POST", &target, &[], "")).unwrap().unwrap();
    assert!(deleted.status < 300, "{deleted:?}");
    let gone = wait_until("the end of all series", PATIENCE, || count("__name__!~\"ALERTS.*\"") == 0.0);
    assert!(gone.is_ok(), "{:#?}", victoria.query("last_over_time({__name__!=\"\"}[1h])").unwrap());
}

#[test]
fn troubles_fire_the_rules_that_they_should_and_are_deleted_under_the_names_of_prometheus() {
    judged(Scheme::Prometheus);
}

#[test]
fn troubles_fire_the_rules_that_they_should_and_are_deleted_under_the_names_of_opentelemetry() {
    judged(Scheme::Opentelemetry);
}

#[test]
fn a_drill_sends_second_for_second_until_somebody_ends_it() {
    let net = Net::new().unwrap();
    let victoria = Victoria::start(&net, Side::Aws, at(8428)).unwrap();
    let dir = private_dir().unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut command = net.command(Side::Agent, std::env::var_os("SKEWGUARD_BIN").unwrap()).unwrap();
        command.args(["demo", "--fleet", "50", "--minutes", "5", "--otlp", &victoria.otlp_url()]);
        let began = seconds();
        let mut drill = Server::start(&mut command, &dir.path().join(signal.as_str())).unwrap();
        let marked = format!("clock_offset_seconds{{skewguard_demo=\"true\",host_name=~\"{}.*\"}}", run(&drill));
        let samples = || victoria.samples(&marked).unwrap();
        wait_until("three hosts, each in a second of its own", PATIENCE, || {
            let times: BTreeSet<u64> = samples().iter().map(|(at, _)| *at as u64).collect();
            drill.still_runs().unwrap();
            times.len() >= 3
        })
        .unwrap();
        // What comes while it is asked for is no later than this.
        let (samples, now) = (samples(), seconds());
        assert!(samples.iter().all(|(at, _)| (began - 1.0..now + 1.0).contains(at)), "{began} {now}: {samples:?}");
        drill.signal(signal).unwrap();
        let ended = wait_for("its end", PATIENCE, || drill.exited().unwrap()).unwrap();
        let told = drill.log();
        assert_eq!(ended.code(), Some(1), "{told}");
        for expected in ["when it happens, for 5 minutes", "Ended before its time.", "delete_series"] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        let sent = told.lines().find_map(|line| line.split_once(" exports with ")?.0.parse::<usize>().ok());
        assert!(sent >= Some(3), "{told}");
    }
}

/// The beginning of the names of a drill's hosts.
fn run(drill: &Server) -> String {
    let name = || Some(drill.log().split_once("hosts are ")?.1.split_once("...")?.0.to_owned());
    wait_for("the name of the drill", PATIENCE, name).unwrap()
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn a_collector_that_takes_no_metrics_ends_a_drill_before_it_has_begun() {
    let net = Net::new().unwrap();
    let server = HttpServer::start(&net, Side::Aws, at(4318)).unwrap();
    server.on("POST /v1/metrics", Reply::new(404, "no such path"));
    for (url, why) in [(server.url(), "404"), (format!("http://{}", at(9)), "refused")] {
        let mut command = net.command(Side::Agent, std::env::var_os("SKEWGUARD_BIN").unwrap()).unwrap();
        let output = command.args(["demo", "--fleet", "50", "--otlp", &url]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{url}: {told}");
        assert!(told.contains("does not take metrics") && told.contains(why), "{url}: {told}");
        assert!(told.contains("--otlp is the base URL"), "{told}");
    }
}

#[test]
fn a_backend_that_is_down_for_a_while_misses_nothing_behind_two_tiers_of_collectors() {
    let net = Net::new().unwrap();
    net.add_address(SECOND_TIME_SERVER).unwrap();
    let victoria = Victoria::start(&net, Side::Aws, at(8428)).unwrap();
    let mut other = Victoria::start(&net, Side::Aws, SocketAddr::new(SECOND_TIME_SERVER, 8428)).unwrap();
    let backends = [victoria.url(), other.url()].map(|url| format!("{url}/api/v1/write")).join(",");
    let cores: Vec<Vmagent> =
        [8430, 8431].map(|port| Vmagent::start(&net, at(port), "core", ("BACKEND_URLS", &backends)).unwrap()).into();
    let urls = [cores[0].write_url(), cores[1].write_url()].join(",");
    let edge = Vmagent::start(&net, at(8429), "edge", ("CORE_URLS", &urls)).unwrap();
    other.down().unwrap();
    let points = drill(&net, 60, 5, &edge.otlp_url());
    let all = |victoria: &Victoria<'_>| victoria.export("{skewguard_demo=\"true\"}").unwrap();
    let count = |victoria: &Victoria<'_>| all(victoria).values().map(|samples| samples.len() as u64).sum::<u64>();
    // The one that is up has all, though the other takes nothing.
    wait_until("all samples", PATIENCE, || count(&victoria) >= points).unwrap();
    other.up().unwrap();
    let whole = wait_for("all samples at the other", PATIENCE, || {
        let whole = all(&other);
        (whole == all(&victoria)).then_some(whole)
    });
    let whole = whole.unwrap_or_else(|error| panic!("{error}: {} of {points}\n{}", count(&other), cores[0].log()));
    assert_eq!(whole.values().map(|samples| samples.len() as u64).sum::<u64>(), points, "nothing twice");
    assert!(whole.keys().all(|labels| labels["skewguard_demo"] == "true"));
}
