//! The agent as a service: how it starts, reloads and ends, what it tells its manager, and what it leaves on disk.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::agent::{FakeClock, Running, Skewguard};
use tests::http::Reply;
use tests::manager::Manager;
use tests::net::{IMDS, Net, SECOND_TIME_SERVER, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::private_dir;
use tests::receiver::{HOOK, LOGS, METRICS, Receiver, now};
use tests::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
const THIRD_TIME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 125));

/// One source, no credentials, and no grace.
const NEAR: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }]
credentials: { imds: { enabled: false } }
alerts: { boot_grace: 0s }
";

fn time_server(net: &Net, address: IpAddr) -> NtpServer {
    NtpServer::start(net, Side::Aws, SocketAddr::new(address, ntp::PORT), ahead_by(0.0)).unwrap()
}

fn is_synchronized(status: &Value) -> bool {
    status["clock"]["state"] == "synchronized"
}

fn delivery(status: &Value, destination: &str) -> Value {
    let all = status["delivery"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|one| one["destination"] == destination).unwrap_or_default()
}

fn reporting(telemetry: &str, hook: &str, state: &Path) -> String {
    format!(
        "{NEAR}state_dir: {}
telemetry: {{ otlp: {{ endpoint: \"{telemetry}\", interval: 1s, timeout: 60s }} }}
channels: [{{ name: ops, timeout: 60s, webhook: {{ url: \"{hook}/hook\" }} }}]
",
        state.display()
    )
}

fn items(state: &Path, lane: &str) -> usize {
    let Ok(files) = fs::read_dir(state.join("queue").join(lane)) else { return 0 };
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "item")).count()
}

// The end

#[test]
fn the_end_delivers_what_can_be_delivered_and_says_what_is_kept() {
    let net = Net::new().unwrap();
    let _server = time_server(&net, TIME_SYNC);
    let receiver = Receiver::start(&net, SocketAddr::new(IMDS, 4318)).unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    clock.set(400.0).unwrap();
    // Nobody takes alerts.
    let yaml = reporting(&receiver.url(), "http://169.254.169.254:9", state.path());
    let agent = Skewguard::new(&net, &yaml).unwrap().with_clock(&clock).unwrap();
    let mut running = agent.run().unwrap();
    let alert_waits = |status: &Value| {
        delivery(status, "ops")["queued"].as_u64() >= Some(1)
            && delivery(status, "otlp-metrics")["delivered"].as_u64() >= Some(1)
    };
    running.await_status("an alert that waits", PATIENCE, alert_waits).unwrap();
    // Straight after an export, the next would be due in a second: one that comes before is that of the end.
    let exports = || receiver.taken().exports.len();
    let made = exports();
    wait_until("another export", PATIENCE, || exports() > made).unwrap();
    let (made, asked) = (exports(), now());
    assert!(running.stop(Duration::from_secs(10)).unwrap().success());
    assert!(exports() > made, "nothing was exported at the end");
    let last = receiver.taken().exports.last().unwrap().clone();
    assert!(last.arrived >= asked, "the last export arrived {:.3} s before the end", asked - last.arrived);
    // It bears true time as the agent knows it, which is not to the millisecond.
    let late = last.seconds() - asked;
    assert!(late.abs() < 1.0, "the last export was made {late:.3} s after the end");
    assert_eq!(receiver.taken().faults, [""; 0]);
    assert_eq!((items(state.path(), "otlp-metrics"), items(state.path(), "otlp-logs")), (0, 0));
    let kept = items(state.path(), "ops");
    assert!(kept >= 1);
    let log = running.log();
    let line = log.lines().find(|line| line.contains("kept for the next start")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("\"ops\"") || line.contains("ops"), "{line}");
    assert!(line.contains(&format!("items={kept}")), "{line}");
    assert!(!log.contains("and lost"), "{log}");
}

#[test]
fn the_end_comes_within_ten_seconds_even_where_nobody_ever_answers() {
    let net = Net::new().unwrap();
    let _server = time_server(&net, TIME_SYNC);
    let receiver = Receiver::start(&net, SocketAddr::new(IMDS, 4318)).unwrap();
    for route in [METRICS, LOGS, HOOK] {
        receiver.answer(route, |_| Reply::ok("").delayed(Duration::from_secs(60)));
    }
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    clock.set(400.0).unwrap();
    let yaml = reporting(&receiver.url(), &receiver.url(), state.path());
    let agent = Skewguard::new(&net, &yaml).unwrap().with_clock(&clock).unwrap();
    let mut running = agent.run().unwrap();
    let all_wait = |status: &Value| {
        ["otlp-metrics", "otlp-logs", "ops"].iter().all(|lane| delivery(status, lane)["queued"].as_u64() >= Some(1))
    };
    // The state of a lane is published with its next change, so the requests are looked at as well.
    let wait = running.await_status("all that waits", Duration::from_secs(5), all_wait);
    if wait.is_err() {
        wait_until("all that waits", PATIENCE, || {
            let taken = receiver.taken();
            !taken.exports.is_empty() && !taken.records.is_empty() && !taken.told.is_empty()
        })
        .unwrap();
    }
    let asked = Instant::now();
    assert!(running.stop(Duration::from_secs(12)).unwrap().success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let log = running.log();
    for lane in ["otlp-metrics", "otlp-logs", "ops"] {
        let kept = items(state.path(), lane);
        assert!(kept >= 1, "{lane}: {log}");
        let is_said = |line: &str| {
            line.contains("kept for the next start") && line.contains(lane) && line.contains(&format!("items={kept}"))
        };
        assert!(log.lines().any(is_said), "{lane}, {kept}: {log}");
    }
    println!("the end took {took:.1?}");
}

// The start

#[test]
fn agents_that_are_started_together_do_not_export_together() {
    const AGENTS: u32 = 8;
    const INTERVAL: f64 = 10.0;
    let net = Net::new().unwrap();
    let _server = time_server(&net, TIME_SYNC);
    let receiver = Receiver::start(&net, SocketAddr::new(IMDS, 4318)).unwrap();
    let yaml = format!("{NEAR}telemetry: {{ otlp: {{ endpoint: \"{}\", interval: {INTERVAL}s }} }}\n", receiver.url());
    let agents: Vec<_> = (0..AGENTS)
        .map(|number| Skewguard::new(&net, &yaml).unwrap().env("OTEL_RESOURCE_ATTRIBUTES", format!("number={number}")))
        .collect();
    let started = now();
    let running: Vec<_> = agents.iter().map(|agent| agent.run().unwrap()).collect();
    let firsts = || {
        let mut firsts = BTreeMap::new();
        for export in receiver.taken().exports {
            firsts.entry(export.resource["number"].clone()).or_insert(export.arrived - started);
        }
        firsts
    };
    wait_until("the first exports", PATIENCE, || firsts().len() == AGENTS as usize)
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", firsts(), running[0].log()));
    let mut firsts: Vec<_> = firsts().into_values().collect();
    firsts.sort_by(f64::total_cmp);
    println!("first exports after {firsts:.2?} s");
    // By chance all of eight lie so close together once in five million times.
    assert!(firsts[firsts.len() - 1] - firsts[0] > 0.1 * INTERVAL, "{firsts:?}");
    assert!(firsts[firsts.len() - 1] < INTERVAL + 5.0, "{firsts:?}");
    assert_eq!(receiver.taken().faults, [""; 0]);
}

// The reload

#[test]
fn a_reload_asks_the_new_sources_alone_tells_the_new_channels_and_counts_on() {
    let net = Net::new().unwrap();
    net.add_address(SECOND_TIME_SERVER).unwrap();
    net.add_address(THIRD_TIME_SERVER).unwrap();
    let _kept = time_server(&net, TIME_SYNC);
    let (removed, new) = (time_server(&net, SECOND_TIME_SERVER), time_server(&net, THIRD_TIME_SERVER));
    let old_hook = Receiver::start(&net, SocketAddr::new(IMDS, 8080)).unwrap();
    let new_hook = Receiver::start(&net, SocketAddr::new(IMDS, 8081)).unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let yaml = |second: &str, channel: &str, url: &str| {
        format!(
            "
sources:
  - {{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}
  - {second}
credentials: {{ imds: {{ enabled: false }} }}
alerts: {{ boot_grace: 0s }}
state_dir: {}
channels: [{{ name: {channel}, webhook: {{ url: \"{url}/hook\" }} }}]
",
            state.path().display()
        )
    };
    let before = yaml("{ name: b, ntp: 169.254.169.124, poll: 1s }", "old", &old_hook.url());
    let agent = Skewguard::new(&net, &before).unwrap().with_clock(&clock).unwrap();
    let mut running = agent.run().unwrap();
    let polls = |status: &Value| status["sources"][0]["outcomes"]["ok"].as_u64().unwrap_or(0);
    let first = running.await_status("five polls", PATIENCE, |status| polls(status) >= 5).unwrap();
    assert!(removed.requests() >= 1 && new.requests() == 0);

    agent.configure(&yaml("{ name: c, ntp: 169.254.169.125, poll: 1s }", "new", &new_hook.url())).unwrap();
    running.signal(Signal::SIGHUP).unwrap();
    let of_new = |status: &Value| {
        status["sources"][1]["name"] == "c" && status["sources"][1]["outcomes"]["ok"].as_u64() >= Some(3)
    };
    let asked = removed.requests();
    let later = running.await_status("the new source", PATIENCE, of_new).unwrap();
    // One query may have been on its way.
    assert!(removed.requests() <= asked + 1, "{} after {asked}", removed.requests());
    assert!(polls(&later) > polls(&first), "{} after {}", polls(&later), polls(&first));
    assert!(is_synchronized(&later), "{later}");
    assert_eq!(later["sources"].as_array().unwrap().len(), 2);
    assert_eq!(delivery(&later, "old"), Value::Null, "{later}");

    clock.set(400.0).unwrap();
    wait_until("the new channel", PATIENCE, || !new_hook.taken().told.is_empty())
        .unwrap_or_else(|error| panic!("{error}: {}", running.log()));
    assert!(old_hook.taken().told.is_empty());
    assert_eq!(running.log().matches("the new configuration is in force").count(), 1, "{}", running.log());
}

#[test]
fn a_reload_of_a_wrong_configuration_changes_nothing_and_says_where_it_is_wrong() {
    let net = Net::new().unwrap();
    let _server = time_server(&net, TIME_SYNC);
    let agent = Skewguard::new(&net, NEAR).unwrap();
    let mut running = agent.run().unwrap();
    let polls = |status: &Value| status["sources"][0]["outcomes"]["ok"].as_u64().unwrap_or(0);
    let before = running.await_status("three polls", PATIENCE, |status| polls(status) >= 3).unwrap();
    agent.configure("sources:\n  - name: other\n    ntp: 169.254.169.123\n    pol: 1s\n").unwrap();
    running.signal(Signal::SIGHUP).unwrap();
    wait_until("the error", PATIENCE, || running.log().contains("stays in force")).unwrap();
    let log = running.log();
    let expected = "sources[0]: unknown key pol; did you mean poll?";
    let place = format!(" --> {}:4:5", agent.config().display());
    for part in [expected, &place, "4 |     pol: 1s", "\n  |     ^"] {
        assert!(log.contains(part), "{part:?}: {log}");
    }
    // Whoever asks reads the file as well, to find the socket.
    agent.configure(NEAR).unwrap();
    let more = running.await_status("two polls more", PATIENCE, |status| polls(status) >= polls(&before) + 2).unwrap();
    assert_eq!(more["sources"][0]["name"], "amazon-time-sync");
    assert!(is_synchronized(&more));
}

// The service manager

#[test]
fn the_service_manager_hears_of_the_start_of_reloads_and_of_the_end() {
    let net = Net::new().unwrap();
    let _server = time_server(&net, TIME_SYNC);
    let manager = Manager::new().unwrap();
    let agent = Skewguard::new(&net, NEAR).unwrap().env("NOTIFY_SOCKET", manager.path());
    let mut running = agent.run().unwrap();
    let hear = || manager.hear(Duration::from_secs(10)).unwrap();
    assert!(hear().says("READY=1"));
    for yaml in [NEAR, "nonsense: 1\n"] {
        agent.configure(yaml).unwrap();
        let asked = monotonic_usec();
        running.signal(Signal::SIGHUP).unwrap();
        let notice = hear();
        assert!(notice.says("RELOADING=1"), "{notice:?}");
        let said: u128 = notice.value("MONOTONIC_USEC").unwrap().parse().unwrap();
        assert!((asked..=monotonic_usec()).contains(&said), "{asked} {said}");
        assert_eq!(hear().lines, ["READY=1"]);
    }
    running.signal(Signal::SIGTERM).unwrap();
    assert_eq!(hear().lines, ["STOPPING=1"]);
    assert!(running.stop(PATIENCE).is_err() || running.status().is_err());
}

#[expect(clippy::disallowed_methods, reason = "what the agent says of this clock is compared with it")]
fn monotonic_usec() -> u128 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    Duration::from(now).as_micros()
}

#[test]
fn the_watchdog_is_fed_twice_in_its_time_and_not_by_an_agent_that_stands_still() {
    let net = Net::new().unwrap();
    let _server = time_server(&net, TIME_SYNC);
    let manager = Manager::new().unwrap();
    let agent = Skewguard::new(&net, NEAR).unwrap();
    let agent = agent.env("NOTIFY_SOCKET", manager.path()).env("WATCHDOG_USEC", "4000000");
    let running = agent.run().unwrap();
    let hear = || manager.hear(Duration::from_secs(10)).unwrap();
    assert!(hear().says("READY=1"));
    let fed: Vec<_> = (0..5).map(|_| hear()).collect();
    assert!(fed.iter().all(|notice| notice.says("WATCHDOG=1")), "{fed:?}");
    for pair in fed.windows(2) {
        let apart = (pair[1].arrived - pair[0].arrived).as_secs_f64();
        assert!((0.5..3.0).contains(&apart), "{apart} s of 4 s");
    }
    running.signal(Signal::SIGSTOP).unwrap();
    assert!(manager.hear(Duration::from_secs(5)).is_err(), "the watchdog is fed by nobody");
    running.signal(Signal::SIGCONT).unwrap();
    assert!(hear().says("WATCHDOG=1"));
}

// What is left on disk

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, found);
        }
        found.push(path);
    }
}

#[test]
fn nothing_that_is_left_on_disk_is_secret_and_nobody_else_may_read_it() {
    const SECRETS: [&str; 4] = ["hook-key-7e1f", "hook-token-9a2c", "otlp-token-4b8d", "otlp-env-5c3e"];
    let net = Net::new().unwrap();
    let _server = time_server(&net, TIME_SYNC);
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    clock.set(400.0).unwrap();
    let yaml = format!(
        "{NEAR}state_dir: {}
telemetry: {{ otlp: {{ endpoint: \"http://169.254.169.254:9\", interval: 1s, headers: {{ x-token: \"env:OTLP_TOKEN\" }} }} }}
channels:
  - name: ops
    webhook: {{ url: \"http://169.254.169.254:9/hook\", secret: \"env:HOOK_KEY\", headers: {{ authorization: \"env:HOOK_TOKEN\" }} }}
",
        state.path().display()
    );
    let agent = Skewguard::new(&net, &yaml).unwrap().with_clock(&clock).unwrap();
    let [key, token, otlp, by_env] = SECRETS;
    let agent = agent
        .env("HOOK_KEY", key)
        .env("HOOK_TOKEN", token)
        .env("OTLP_TOKEN", otlp)
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("x-env={by_env}"))
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "none");
    let mut running = agent.run().unwrap();
    wait_until("items of each kind", PATIENCE, || {
        ["otlp-metrics", "otlp-logs", "ops"].iter().all(|lane| items(state.path(), lane) >= 1)
    })
    .unwrap_or_else(|error| panic!("{error}: {}", running.log()));
    inspect(state.path(), &SECRETS, &mut running);
    assert!(running.stop(PATIENCE).unwrap().success());
    inspect(state.path(), &SECRETS, &mut running);
}

fn inspect(state: &Path, secrets: &[&str], running: &mut Running<'_>) {
    let mut found = Vec::new();
    below(state, &mut found);
    assert!(found.len() >= 6, "{found:?}");
    for path in &found {
        // What is being written, or was delivered, may be gone.
        let Ok(about) = fs::metadata(path) else { continue };
        let expected = if about.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(about.permissions().mode() & 0o777, expected, "{}", path.display());
        if let Ok(content) = fs::read(path) {
            for secret in secrets {
                let is_there = content.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!is_there, "{secret} is in {}", path.display());
            }
        }
    }
    for secret in secrets {
        assert!(!running.log().contains(secret), "{secret} is in the log");
    }
}
