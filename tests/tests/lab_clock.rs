//! The agent against real time servers at Amazon's real addresses, in namespaces of its own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::Value;
use tests::agent::{Answer, Skewguard};
use tests::chrony::Chrony;
use tests::http::{HttpServer, Reply};
use tests::net::{IMDS, Net, SECOND_TIME_SERVER, Side, TIME_SYNC};
use tests::ntpsec::Ntpsec;
use tests::wait::wait_for;

const THIRD_TIME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 125));

/// Only Amazon Time Sync; no credentials, no patience.
const TIME_SYNC_ALONE: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }]
credentials: { imds: { enabled: false } }
";

fn offset(status: &Value) -> f64 {
    status["clock"]["offset_seconds"].as_f64().unwrap_or(f64::NAN)
}

fn findings(status: &Value) -> Vec<(&str, &str)> {
    let all = status["findings"].as_array().expect("findings are a list").iter();
    all.map(|one| (one["alert"].as_str().unwrap_or(""), one["severity"].as_str().unwrap_or(""))).collect()
}

fn check(net: &Net, yaml: &str) -> (Answer, Value) {
    let answer = Skewguard::new(net, yaml).unwrap().check().unwrap();
    let json = answer.json().unwrap();
    (answer, json)
}

/// Alerts as the agent writes them on standard error: `(alert, change, severity)`.
fn told(log: &str) -> Vec<(String, String, String)> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    lines.map(|alert| (text(&alert["alert"]), text(&alert["change"]), text(&alert["severity"]))).collect()
}

fn was_told(log: &str, alert: &str, change: &str) -> bool {
    told(log).iter().any(|one| one.0 == alert && one.1 == change)
}

#[test]
fn a_right_clock_is_ok() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let (answer, json) = check(&net, TIME_SYNC_ALONE);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!((&json["status"], &json["clock"]["state"]), (&"ok".into(), &"synchronized".into()));
    assert!((offset(&json) - chrony.served_offset().unwrap()).abs() < 1e-3, "{json}");
    let source = &json["sources"][0];
    assert_eq!((&source["verdict"], &source["timestamps"]), (&"truechimer".into(), &"kernel".into()), "{json}");
    assert_eq!(source["address"], "169.254.169.123:123");
    assert_eq!(findings(&json), []);
    let bound = json["clock"]["error_bound_seconds"].as_f64().unwrap();
    assert!(offset(&json).abs() <= bound && bound < 1e-3, "{json}");
}

#[test]
fn the_ipv6_address_of_time_sync_is_asked_as_well() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, tests::net::TIME_SYNC_V6).unwrap();
    let (answer, json) = check(
        &net,
        "sources: [{ name: v6, ntp: \"fd00:ec2::123\", poll: 1s }]\ncredentials: { imds: { enabled: false } }\n",
    );
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(json["sources"][0]["address"], "[fd00:ec2::123]:123");
}

#[test]
fn a_clock_that_is_400_s_off_is_critical_in_either_direction() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    for (shift, direction, other) in [(400.0, "slow", "fast"), (-400.0, "fast", "slow")] {
        chrony.set_offset(shift).unwrap();
        let (answer, json) = check(&net, TIME_SYNC_ALONE);
        let served = chrony.served_offset().unwrap();
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!((offset(&json) - served).abs() < 1e-3, "served {served}, measured {}", offset(&json));
        assert_eq!(findings(&json), [("clock-skew", "critical")]);
        let summary = json["findings"][0]["summary"].as_str().unwrap();
        assert!(summary.contains(&format!("400 s {direction}")) && !summary.contains(other), "{summary}");
        for named in ["past sdk-correction", "past sigv4", "to s3-sts"] {
            assert!(summary.contains(named), "{named}: {summary}");
        }
        let text = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap().answer(&["check"]).unwrap();
        assert!(text.stdout.starts_with("CRITICAL") && text.stdout.contains(direction), "{}", text.stdout);
    }
}

#[test]
fn a_faked_clock_is_measured_and_the_fallback_is_named() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap().with_faked_time("+10m").unwrap();
    let answer = agent.check().unwrap();
    let json = answer.json().unwrap();
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!((offset(&json) + 600.0).abs() < 0.05, "{json}");
    assert!(json["findings"][0]["summary"].as_str().unwrap().contains("10 min fast"), "{json}");
    let timestamps = json["sources"][0]["timestamps"].as_str().unwrap();
    assert!(timestamps.starts_with("user-space (kernel stamps contradict"), "{timestamps}");
}

#[test]
fn a_drift_is_measured_and_its_end_foretold_after_a_minute() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::with_drift(&net, TIME_SYNC, 500.0).unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    let mut running = agent.run().unwrap();
    let is_a_minute = |status: &Value| status["sources"][0]["outcomes"]["ok"].as_u64() >= Some(60);
    let status = running.await_status("a minute of answers", Duration::from_secs(90), is_a_minute).unwrap();
    let drift = status["clock"]["drift_ppm"].as_f64().unwrap();
    assert!((drift - 500.0).abs() < 5.0, "{status}");
    for limit in status["limits"].as_array().unwrap() {
        let window = limit["window_seconds"].as_f64().unwrap();
        let foretold = limit["time_to_limit_seconds"].as_f64().unwrap();
        let arithmetic = (window - offset(&status).abs()) / 500e-6;
        assert!((foretold / arithmetic - 1.0).abs() < 0.1, "{window}: {foretold} against {arithmetic}");
    }
    assert_eq!(told(&running.log()), [], "the first limit is days away");
}

#[test]
fn one_of_three_that_lies_by_30_s_is_named_and_does_no_harm() {
    let net = Net::new().unwrap();
    net.add_address(SECOND_TIME_SERVER).unwrap();
    net.add_address(THIRD_TIME_SERVER).unwrap();
    let _honest = Chrony::start(&net, TIME_SYNC).unwrap();
    let _other = Ntpsec::start(&net, SECOND_TIME_SERVER).unwrap();
    let liar = Chrony::start(&net, THIRD_TIME_SERVER).unwrap();
    liar.set_offset(30.0).unwrap();
    let (answer, json) = check(
        &net,
        "
sources:
  - { name: chronyd, ntp: 169.254.169.123, trusted: false, poll: 1s }
  - { name: ntpsec, ntp: 169.254.169.124, poll: 1s }
  - { name: liar, ntp: 169.254.169.125, poll: 1s }
credentials: { imds: { enabled: false } }
",
    );
    let verdicts: Vec<_> = json["sources"].as_array().unwrap().iter().map(|source| &source["verdict"]).collect();
    assert_eq!(verdicts, ["truechimer", "truechimer", "falseticker"], "{json}");
    assert!(offset(&json).abs() < 1e-3, "{json}");
    assert_eq!((answer.code, findings(&json)), (Some(1), vec![("source-falseticker", "warning")]));
    assert!(json["findings"][0]["summary"].as_str().unwrap().contains("30.0 s slow"), "{json}");
}

#[test]
fn sources_that_stop_leave_a_holdover_and_never_a_skew_alarm() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let yaml = format!("{TIME_SYNC_ALONE}alerts: {{ boot_grace: 0s, clock-unverified: {{ for: 3s }} }}\n");
    let agent = Skewguard::new(&net, &yaml).unwrap();
    let mut running = agent.run().unwrap();
    let is = |state: &'static str| move |status: &Value| status["clock"]["state"] == state;
    let patience = Duration::from_secs(30);
    running.await_status("the first estimate", patience, is("synchronized")).unwrap();
    drop(chrony);
    let first = running.await_status("holdover", patience, is("holdover")).unwrap();
    let bound = |status: &Value| status["clock"]["error_bound_seconds"].as_f64().unwrap();
    let grown = running.await_status("a larger bound", patience, |later| bound(later) > bound(&first)).unwrap();
    assert!(bound(&grown) - bound(&first) < 1e-3, "15 ppm are not more: {first} {grown}");
    let fires = |status: &Value| {
        status["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|alert| alert["alert"] == "clock-unverified" && alert["state"] == "firing")
    };
    running.await_status("clock-unverified", patience, fires).unwrap();
    assert!(!told(&running.log()).iter().any(|one| one.0 == "clock-skew"), "{}", running.log());

    let answer = agent.check().unwrap();
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert_eq!(answer.json().unwrap()["clock"]["state"], "unknown");
}

#[test]
fn a_jump_of_true_time_is_told_within_seconds_and_resolved_after_the_repair() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let hook = HttpServer::start(&net, Side::Aws, (IMDS, 8080).into()).unwrap();
    hook.on("POST /hook", Reply::ok(""));
    let yaml = format!("{TIME_SYNC_ALONE}channels: [{{ name: ops, webhook: {{ url: \"{}/hook\" }} }}]\n", hook.url());
    let agent = Skewguard::new(&net, &yaml).unwrap();
    let mut running = agent.run().unwrap();
    let patience = Duration::from_secs(20);
    running.await_status("the first estimate", patience, |status| status["clock"]["state"] == "synchronized").unwrap();

    chrony.set_offset(400.0).unwrap();
    let was_hooked = |change: &'static str| {
        let of = |request: &tests::http::Request| serde_json::from_slice::<Value>(&request.body).unwrap();
        wait_for("the webhook", patience, || {
            hook.requests().iter().map(of).find(|alert| alert["alert"] == "clock-skew" && alert["change"] == change)
        })
        .unwrap_or_else(|error| panic!("{error}: {}", running.log()))
    };
    let alert = was_hooked("firing");
    assert_eq!(
        (&alert["severity"], &alert["verified"], &alert["version"]),
        (&"critical".into(), &true.into(), &1.into())
    );
    assert!(alert["summary"].as_str().unwrap().contains("400 s slow"), "{alert}");
    // Both times are told, 400 s apart.
    let second = |field: &str| alert[field].as_str().unwrap().chars().skip(17).take(2).collect::<String>();
    assert_ne!(alert["true_time"], alert["system_time"]);
    assert!(second("true_time") != second("system_time"), "400 s are not whole minutes: {alert}");

    chrony.set_offset(0.0).unwrap();
    let resolved = was_hooked("resolved");
    assert_eq!(resolved["id"], alert["id"]);
    assert!(was_told(&running.log(), "clock-skew", "firing") && was_told(&running.log(), "clock-skew", "resolved"));
    assert!(running.stop(patience).unwrap().success());
}
