//! What Kubernetes is told to run: the plugin of node-problem-detector by its contract, and the container that waits.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::agent::{Skewguard, TIME_SYNC_ALONE, WITH_IMDS};
use tests::chart;
use tests::chrony::Chrony;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};

const PATIENCE: Duration = Duration::from_secs(30);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Its contract: an exit code of 0, 1 or 2, one line of 80 bytes at most, within 5 s; and what of it is wanted.
fn assert_plugin(agent: &Skewguard<'_>, arguments: &[&str], code: i32, begin: &str) {
    let (answer, took) = agent.timed(&[&["check", "--format", "npd"], arguments].concat()).unwrap();
    assert_eq!(answer.code, Some(code), "{answer:?}");
    assert!(took < seconds(4.5), "{took:?}");
    assert!(answer.stdout.len() <= 80 && answer.stdout.lines().count() == 1, "{answer:?}");
    assert!(answer.stdout.starts_with(begin), "{answer:?}");
    assert_eq!(answer.stderr, "");
}

#[test]
fn a_plugin_tells_a_node_that_is_well_from_one_that_is_not_and_one_that_is_not_known() {
    let net = Net::new().unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    assert_plugin(&agent, &[], 2, "warning source-unreachable amazon-time-sync: ");
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    assert_plugin(&agent, &["--for", "clock"], 0, "clock ");
    chrony.set_offset(100.0).unwrap();
    assert_plugin(&agent, &[], 0, "warning clock-skew: ");
    chrony.set_offset(400.0).unwrap();
    assert_plugin(&agent, &[], 1, "critical clock-skew: the system clock is 400 s slow");
    assert_plugin(&agent, &["--for", "credentials"], 0, "no credentials found");

    // The agent's word is taken, and one that hangs is not waited for.
    let mut running = agent.run().unwrap();
    running.await_status("the skew", PATIENCE, |status| status["status"] == "critical").unwrap();
    chrony.set_offset(0.0).unwrap();
    running.await_status("the repair", PATIENCE, |status| status["status"] == "ok").unwrap();
    assert_plugin(&agent, &[], 0, "clock ");
    drop(chrony);
    assert_plugin(&agent, &[], 0, "clock ");
    running.signal(Signal::SIGSTOP).unwrap();
    assert_plugin(&agent, &[], 2, "warning source-unreachable amazon-time-sync: ");
    running.signal(Signal::SIGCONT).unwrap();
}

/// Answers once, and is silent from then on.
fn once(mut script: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send {
    let mut has_answered = false;
    move |request| if std::mem::replace(&mut has_answered, true) { Vec::new() } else { script(request) }
}

#[test]
fn one_answer_of_a_source_that_nobody_has_to_believe_keeps_no_pod_away() {
    let net = Net::new().unwrap();
    let time_sync = SocketAddr::new(TIME_SYNC, ntp::PORT);
    let server = NtpServer::start(&net, Side::Aws, time_sync, once(ahead_by(400.0))).unwrap();
    let agent = |trusted| Skewguard::new(&net, &TIME_SYNC_ALONE.replace("true", trusted)).unwrap();
    let (doubted, trusted) = (agent("false"), agent("true"));
    assert_plugin(&doubted, &[], 2, "not confirmed: critical clock-skew: the system clock is 400 s");
    // Where it is trusted its word is enough, and so is a second answer of one that is not.
    server.set_script(once(ahead_by(400.0)));
    assert_plugin(&trusted, &[], 1, "critical clock-skew: the system clock is 400 s slow");
    server.set_script(ahead_by(400.0));
    assert_plugin(&doubted, &[], 1, "critical clock-skew: the system clock is 400 s slow");
    server.set_script(ahead_by(0.0));
    assert_plugin(&doubted, &[], 0, "clock ");
}

#[test]
fn a_plugin_that_looks_at_the_clock_is_not_concerned_by_credentials() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let role = metadata::document(120);
    let _imds = metadata::start(&net, Side::Aws, (IMDS, 80).into(), &role).unwrap();
    let agent = Skewguard::new(&net, WITH_IMDS).unwrap();
    assert_plugin(&agent, &[], 1, "critical credential-expiring ");
    assert_plugin(&agent, &["--for", "credentials"], 1, "critical credential-expiring ");
    assert_plugin(&agent, &["--for", "clock"], 0, "clock ");
}

/// A file of `deploy/kubernetes`, as JSON.
fn manifest(name: &str) -> Value {
    let text = fs::read_to_string(chart::folder().join(name)).unwrap();
    // JSON is YAML.
    chart::objects(&text).unwrap().remove(0)
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn what_kubernetes_is_told_to_run_does_what_it_waits_for() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    let init = &manifest("init-container.yaml")["spec"]["initContainers"][0];
    let answer = agent.answer(&words(&init["args"])).unwrap();
    assert_eq!(answer.code, Some(0), "{answer:?}");

    let (plugin, rule) = (manifest("node-problem-detector.json"), manifest("node-readiness-rule.yaml"));
    let [condition] = &plugin["conditions"].as_array().unwrap()[..] else { panic!("{plugin}") };
    let [run] = &plugin["rules"].as_array().unwrap()[..] else { panic!("{plugin}") };
    let [wanted] = &rule["spec"]["conditions"].as_array().unwrap()[..] else { panic!("{rule}") };
    assert_eq!((&run["condition"], &wanted["type"]), (&condition["type"], &condition["type"]));
    // Exit code 0 is False, and that opens the gate.
    assert_eq!(wanted["requiredStatus"], "False");
    assert_eq!(plugin["pluginConfig"]["max_output_length"], 80);
    for (offset, code) in [(0.0, 0), (400.0, 1)] {
        chrony.set_offset(offset).unwrap();
        let answer = agent.answer(&words(&run["args"])).unwrap();
        assert_eq!(answer.code, Some(code), "{answer:?}");
    }
}
