//! The program as its users meet it: commands, exit codes, configuration, signals, sockets and the service manager.

#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it measures how long a command takes")]
#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write as _, pipe};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::Value;
use skewguard::sources::AnyKind;
use tests::agent::{Answer, Running, Skewguard};
use tests::http::{HttpServer, Reply};
use tests::net::{Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::{private_dir, tool};
use tests::wait::wait_until;

const USAGE: i32 = 64;
const UNAVAILABLE: i32 = 69;
const SOFTWARE: i32 = 70;
const AILING: i32 = 75;
const CONFIG: i32 = 78;
/// What `timeout` says of a program that it had to end.
const TIMED_OUT: i32 = 124;

/// One source on the link, asked as often as is allowed, and no metadata service.
const NEAR: &str = "
sources:
  - { name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s }
credentials:
  imds: { enabled: false }
";

fn program() -> PathBuf {
    env::var_os("SKEWGUARD_BIN").expect("SKEWGUARD_BIN is set by tests/run").into()
}

/// Runs a command without a namespace, for what needs no network.
fn skewguard(arguments: &[&str]) -> Answer {
    answer(Command::new(program()).args(arguments))
}

/// Runs a command in a namespace, for so many seconds at most.
fn skewguard_within(net: &Net, seconds: u32, arguments: &[&str]) -> Answer {
    let mut command = net.command(Side::Agent, tool("timeout").unwrap()).unwrap();
    let answer = answer(command.arg(seconds.to_string()).arg(program()).args(arguments));
    assert_ne!(answer.code, Some(TIMED_OUT), "{arguments:?} did not end within {seconds} s: {answer:?}");
    answer
}

fn answer(command: &mut Command) -> Answer {
    let output = command.output().unwrap();
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn time_service(net: &Net) -> NtpServer {
    let server = SocketAddr::new(TIME_SYNC, ntp::PORT);
    NtpServer::start(net, Side::Aws, server, ahead_by(0.0)).unwrap()
}

fn is_synchronized(status: &Value) -> bool {
    status["clock"]["state"] == "synchronized"
}

/// Asks the agent to stop; how long it took.
#[track_caller]
fn stop(running: &mut Running<'_>, deadline: Duration) -> Duration {
    let asked = Instant::now();
    let status = running.stop(deadline).unwrap();
    assert_eq!(status.code(), Some(0), "{status}:\n{}", running.log());
    asked.elapsed()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `config check` of a file that is written for it.
fn check_text(text: &str) -> (Answer, String) {
    let dir = private_dir().unwrap();
    let path = dir.path().join("skewguard.yaml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (skewguard(&["config", "check", &path]), path)
}

#[track_caller]
fn assert_refused(text: &str, wanted: &str) {
    let (answer, path) = check_text(text);
    let wanted = wanted.replace("FILE", &path);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(CONFIG), ""), "{answer:?}");
    assert_eq!(answer.stderr.trim_end(), wanted.trim(), "\n{}", answer.stderr);
}

// The demo

#[test]
fn the_demo_shows_every_alert_come_and_go_within_a_minute() {
    let net = Net::new().unwrap();
    let started = Instant::now();
    let answer = skewguard_within(&net, 90, &["demo"]);
    assert!(started.elapsed() <= Duration::from_secs(60), "{:?}", started.elapsed());
    assert_eq!(answer.code, Some(0), "{}\n{}", answer.stdout, answer.stderr);
    let table = answer.stdout.split("told after  resolved").nth(1).unwrap();
    for alert in ["clock-skew-forecast", "clock-skew", "credential-refresh-margin", "credential-expiring"] {
        let row = table.lines().find(|line| line.split_whitespace().next() == Some(alert));
        assert_eq!(row.and_then(|row| row.split_whitespace().last()), Some("yes"), "{alert}:\n{}", answer.stdout);
    }
    assert!(!answer.stdout.contains("unexpected:"), "{}", answer.stdout);
}

// Configuration

#[test]
fn a_wrong_key_is_shown_in_its_line_with_a_caret_under_it() {
    let kinds = AnyKind::KEYS.join(", ");
    assert_refused(
        "sources:\n  - name: a\n    ntp: 127.0.0.1\n    pol: 16s\n",
        &format!(
            "
error: sources[0]: unknown key pol; did you mean poll? allowed here are name, {kinds}, trusted, leap_smear, group, poll
 --> FILE:4:5
  |
4 |     pol: 16s
  |     ^"
        ),
    );
}

#[test]
fn a_wrong_value_is_shown_with_what_is_allowed() {
    let (answer, path) = check_text("sources:\n  - { name: a, ntp: 169.254.169.123, poll: 100ms }\n");
    assert_eq!(answer.code, Some(CONFIG));
    let lines: Vec<_> = answer.stderr.lines().collect();
    assert!(lines[0].starts_with("error: sources[0].poll: 100ms is too short"), "{}", answer.stderr);
    assert_eq!(lines[1], format!(" --> {path}:2:44"));
    assert_eq!(lines[3], "2 |   - { name: a, ntp: 169.254.169.123, poll: 100ms }");
    assert_eq!(lines[4].find('^'), lines[3].find("100ms"), "{}", answer.stderr);
}

#[test]
fn a_tab_is_named_where_it_stands() {
    assert_refused(
        "sources:\n\t- name: a\n",
        "
error: a tab cannot indent YAML: use spaces
 --> FILE:2:1
  |
2 |     - name: a
  | ^",
    );
}

#[test]
fn an_empty_file_is_refused_with_what_to_do() {
    for text in ["", "\n\n", "# nothing but a comment\n"] {
        let (answer, path) = check_text(text);
        assert_eq!(answer.code, Some(CONFIG), "{text:?}");
        assert!(answer.stderr.starts_with("error: the file is empty: "), "{}", answer.stderr);
        assert!(answer.stderr.contains(&path), "{}", answer.stderr);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_by_every_command_that_reads_it() {
    let dir = private_dir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let missing = dir.path().join("missing.yaml");
    let missing = missing.to_str().unwrap();
    for path in [folder, missing] {
        for arguments in [
            ["config", "check", path].as_slice(),
            &["config", "show", "--config", path],
            &["check", "--config", path],
            &["run", "--config", path],
            &["status", "--config", path],
        ] {
            let answer = skewguard(arguments);
            assert_eq!((answer.code, answer.stdout.as_str()), (Some(CONFIG), ""), "{arguments:?}: {answer:?}");
            assert!(answer.stderr.starts_with("error: failed to read the configuration: "), "{}", answer.stderr);
            assert!(answer.stderr.contains(&format!(" --> {path}")), "{}", answer.stderr);
        }
    }
}

#[test]
fn every_configuration_that_is_shipped_is_right() {
    let mut checked = 0;
    for folder in ["config", "config/examples"] {
        for entry in fs::read_dir(repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let answer = skewguard(&["config", "check", path.to_str().unwrap()]);
            assert_eq!(answer.code, Some(0), "{}", answer.stderr);
            assert_eq!(answer.stdout, format!("{} is right\n", path.display()));
            checked += 1;
        }
    }
    assert!(checked >= 5, "only {checked} files were found");
}

#[test]
fn what_config_show_prints_is_a_configuration_with_the_same_effect() {
    let dir = private_dir().unwrap();
    let (first, second) = (dir.path().join("first.yaml"), dir.path().join("second.yaml"));
    fs::write(&first, "sources:\n  - { name: a, ntp: 127.0.0.1 }\nlimits:\n  - { name: kerberos, window: 5m }\n")
        .unwrap();
    let shown = skewguard(&["config", "show", "--config", first.to_str().unwrap()]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    fs::write(&second, &shown.stdout).unwrap();
    assert_eq!(skewguard(&["config", "show", "--config", second.to_str().unwrap()]).stdout, shown.stdout);
}

#[test]
fn config_show_masks_secrets_and_keeps_references() {
    let dir = private_dir().unwrap();
    let path = dir.path().join("skewguard.yaml");
    let yaml = "
channels:
  - name: ops
    webhook:
      url: https://user:PASSWORD@ops.example/hook?key=QUERYKEY
      secret: env:OPS_HOOK_SECRET
telemetry:
  otlp:
    endpoint: https://collector.example/?token=COLLECTORKEY
    headers:
      Authorization: env:OPS_HOOK_SECRET
";
    fs::write(&path, yaml).unwrap();
    let mut command = Command::new(program());
    let answer = answer(command.args(["config", "show", "--config"]).arg(&path).env("OPS_HOOK_SECRET", "VARIABLE"));
    assert_eq!(answer.code, Some(0), "{answer:?}");
    for shown in ["https://***@ops.example/hook?key=***", "collector.example/?token=***", "env:OPS_HOOK_SECRET"] {
        assert!(answer.stdout.contains(shown), "{shown}:\n{}", answer.stdout);
    }
    for secret in ["user", "PASSWORD", "QUERYKEY", "COLLECTORKEY", "VARIABLE"] {
        assert!(!answer.stdout.contains(secret), "{secret}:\n{}", answer.stdout);
    }
}

#[test]
fn a_secret_that_is_written_into_the_file_is_refused_and_not_repeated() {
    let yaml = "channels:\n  - name: ops\n    webhook:\n      url: https://ops.example\n      secret: hunter2\n";
    let (answer, _) = check_text(yaml);
    assert_eq!(answer.code, Some(CONFIG));
    assert!(answer.stderr.contains("env:NAME"), "{}", answer.stderr);
    assert!(!answer.stderr.contains("hunter2"), "{}", answer.stderr);
}

#[test]
fn the_schema_that_is_shipped_is_the_one_of_this_program() {
    let shipped = fs::read_to_string(repository().join("config/skewguard.schema.json")).unwrap();
    let answer = skewguard(&["config", "schema"]);
    assert_eq!(answer.code, Some(0));
    assert_eq!(answer.stdout, shipped);
}

#[test]
fn thirty_two_sources_work_and_thirty_three_are_refused() {
    let net = Net::new().unwrap();
    let ports = 10_001..=10_032;
    let servers: Vec<_> = ports
        .map(|port| {
            let script = ahead_by(0.0);
            NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, port), script).unwrap()
        })
        .collect();
    let mut yaml = "credentials:\n  imds: { enabled: false }\nsources:\n".to_owned();
    for (index, server) in servers.iter().enumerate() {
        writeln!(yaml, "  - {{ name: s{index}, ntp: \"{}\" }}", server.address()).unwrap();
    }
    let answer = Skewguard::new(&net, &yaml).unwrap().check().unwrap();
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let sources = answer.json().unwrap()["sources"].clone();
    let sources = sources.as_array().unwrap();
    assert_eq!(sources.len(), 32);
    assert!(sources.iter().all(|source| source["verdict"] == "truechimer"), "{sources:#?}");

    yaml += "  - { name: one-too-many, ntp: \"169.254.169.123:10033\" }\n";
    let asked: usize = servers.iter().map(NtpServer::requests).sum();
    let skewguard = Skewguard::new(&net, &yaml).unwrap();
    for arguments in [["check"], ["run"]] {
        let answer = skewguard.answer(&arguments).unwrap();
        assert_eq!(answer.code, Some(CONFIG), "{answer:?}");
        assert!(answer.stderr.contains("33 sources are too many: at most 32 are allowed"), "{}", answer.stderr);
    }
    assert_eq!(servers.iter().map(NtpServer::requests).sum::<usize>(), asked, "a refused configuration was used");
}

// The command line

#[test]
fn wrong_usage_exits_64_and_explains_itself_on_standard_error() {
    for arguments in [
        [].as_slice(),
        &["frobnicate"],
        &["config"],
        &["config", "check"],
        &["check", "--format", "xml"],
        &["check", "--samples", "9"],
        &["check", "--timeout", "soon"],
        &["check", "--timeout", "300000000000y"],
        &["run", "--no-such-option"],
        &["status", "extra"],
        &["demo", "--config", "/dev/null"],
        &["demo", "--minutes", "20"],
        &["demo", "--fleet", "49"],
        &["demo", "--fleet", "100001"],
        &["demo", "--fleet", "50", "--minutes", "4"],
        &["demo", "--fleet", "50", "--past"],
        &["demo", "--fleet", "50", "--otlp", "collector:4318"],
        &["doctor", "--no-host"],
        &["doctor", "--no-host", "--explain", "x", "--pid", "1"],
        &["doctor", "--no-host", "--explain", "x", "--config", "/dev/null"],
    ] {
        let answer = skewguard(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(USAGE), ""), "{arguments:?}: {answer:?}");
        assert!(answer.stderr.len() > 20, "{arguments:?}: {answer:?}");
    }
}

#[test]
fn a_text_is_explained_without_a_look_at_the_host() {
    let text = "Signature expired: 20260301T120000Z is now earlier than 20260301T120959Z (20260301T121459Z - 5 min.)";
    let answer = skewguard(&["doctor", "--no-host", "--format", "json", "--explain", text]);
    assert_eq!(answer.code, Some(3), "nothing is known of the host: {answer:?}");
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    let error = &report["errors"][0];
    assert_eq!((&error["kind"], &error["skew_seconds"]), (&"signature-expired".into(), &899.into()), "{report:#}");
    assert_eq!(error["this_host"]["state"], "not-asked", "{report:#}");
    assert_eq!(report["checks"].as_array().unwrap().len(), 1, "nothing else was looked at: {report:#}");
    let answer = skewguard(&["doctor", "--no-host", "--explain", "hello"]);
    assert!(answer.stdout.starts_with("UNKNOWN  this host was not looked at"), "{answer:?}");
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [
        ["--help"].as_slice(),
        &["-h"],
        &["help", "run"],
        &["check", "--help"],
        &["run", "--help"],
        &["status", "--help"],
        &["demo", "--help"],
        &["config", "--help"],
        &["config", "show", "--help"],
    ] {
        let answer = skewguard(arguments);
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{arguments:?}: {answer:?}");
        assert!(answer.stdout.contains("Usage: skewguard"), "{arguments:?}: {answer:?}");
    }
    let answer = skewguard(&["--version"]);
    assert_eq!((answer.code, answer.stdout), (Some(0), format!("skewguard {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_short_option_of_config_is_c() {
    let path = repository().join("config/skewguard.yaml");
    let path = path.to_str().unwrap();
    let shown = skewguard(&["config", "show", "--config", path]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let short = skewguard(&["config", "show", "-c", path]);
    assert_eq!((short.code, &short.stdout), (Some(0), &shown.stdout), "{}", short.stderr);
}

#[test]
fn status_without_an_agent_names_the_socket() {
    let dir = private_dir().unwrap();
    let socket = dir.path().join("nobody.sock");
    let answer = skewguard(&["status", "--socket", socket.to_str().unwrap()]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(UNAVAILABLE), ""), "{answer:?}");
    let sentence = format!("error: no agent answers on {}: ", socket.display());
    assert!(answer.stderr.starts_with(&sentence), "{}", answer.stderr);
    assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
}

#[test]
fn piped_output_has_no_colour() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let skewguard = Skewguard::new(&net, NEAR).unwrap().env("TERM", "xterm-256color").env("RUST_LOG", "debug");
    let mut running = skewguard.run().unwrap();
    running.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
    let answers = [["check"].as_slice(), &["status"], &["check", "--no-such-option"], &["config", "show"]];
    let mut text = answers
        .map(|arguments| skewguard.answer(arguments).unwrap())
        .map(|answer| answer.stdout + &answer.stderr)
        .concat();
    text += &running.log();
    for wanted in ["clock       synchronized", "source      amazon-time-sync", "Usage:", "skewguard is watching"] {
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

// A life of the agent

#[test]
fn an_agent_that_reaches_nothing_lives_and_says_that_it_does_not_know() {
    let net = Net::new().unwrap();
    // The default sources and the default metadata service.
    let skewguard = Skewguard::new(&net, "alerts:\n  boot_grace: 0s").unwrap();
    let mut running = skewguard.run().unwrap();
    let is_unknown = |status: &Value| status["clock"]["state"] == "unknown";
    let status = running.await_status("that nothing is known", Duration::from_secs(19), is_unknown).unwrap();
    assert_eq!(status["status"], "unknown");
    assert_eq!((&status["clock"]["offset_seconds"], &status["time"]["verified"]), (&Value::Null, &false.into()));
    for list in ["findings", "alerts"] {
        let kinds = status[list].as_array().unwrap().iter().map(|one| one["alert"].as_str().unwrap());
        assert!(!kinds.clone().any(|kind| kind.starts_with("clock-skew")), "{:?}", kinds.collect::<Vec<_>>());
    }
    assert_eq!(skewguard.answer(&["status"]).unwrap().code, Some(3));
    assert_eq!(skewguard.answer(&["status", "--alive"]).unwrap().code, Some(0), "a probe would end it");
    stop(&mut running, Duration::from_secs(5));
    assert!(!running.log().contains("clock-skew"), "{}", running.log());
}

#[test]
fn a_check_that_reaches_nothing_exits_3() {
    let net = Net::new().unwrap();
    let answer = Skewguard::new(&net, NEAR).unwrap().check().unwrap();
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert_eq!(answer.json().unwrap()["clock"]["state"], "unknown");
}

#[test]
fn a_check_names_a_source_that_does_not_answer_beside_one_that_does() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let yaml = NEAR.replace("credentials:", "  - { name: silent, ntp: \"169.254.169.123:10001\" }\ncredentials:");
    let answer = Skewguard::new(&net, &yaml).unwrap().check().unwrap();
    let snapshot = answer.json().unwrap();
    assert_eq!(snapshot["clock"]["state"], "synchronized", "{snapshot:#}");
    assert_eq!(snapshot["sources"][1]["verdict"], "unreachable", "{snapshot:#}");
    let finding = &snapshot["findings"][0];
    assert_eq!((&finding["alert"], &finding["subject"]), (&"source-unreachable".into(), &"silent".into()));
    assert_eq!(answer.code, Some(1));
}

/// Telemetry every second and an alert within seconds, both sent to one place.
fn reporting_to(place: &str) -> String {
    format!(
        "
sources:
  - {{ name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s }}
credentials:
  imds: {{ endpoint: \"http://127.0.0.1:9\", attempts: 1, poll: 10s }}
alerts:
  boot_grace: 0s
channels:
  - name: ops
    timeout: 60s
    webhook: {{ url: \"{place}/hook\" }}
telemetry:
  otlp: {{ endpoint: \"{place}\", interval: 1s, timeout: 60s }}
"
    )
}

fn delivery<'a>(status: &'a Value, destination: &str) -> &'a Value {
    let all = status["delivery"].as_array().unwrap();
    all.iter().find(|delivery| delivery["destination"] == destination).unwrap_or(&Value::Null)
}

#[test]
fn an_agent_whose_receivers_refuse_connections_ends_all_the_same() {
    let net = Net::new().unwrap();
    let skewguard = Skewguard::new(&net, &reporting_to("http://127.0.0.1:9")).unwrap();
    let mut running = skewguard.run().unwrap();
    let both_fail = |status: &Value| {
        ["ops", "otlp-metrics"].iter().all(|name| delivery(status, name)["failures"].as_u64() > Some(0))
    };
    let status = running.await_status("failed deliveries", Duration::from_secs(15), both_fail).unwrap();
    assert_ne!(delivery(&status, "ops")["error"], Value::Null, "{status:#}");
    let took = stop(&mut running, Duration::from_secs(12));
    assert!(took < Duration::from_secs(11), "{took:?}");
    assert!(running.log().contains("not delivered before the end"), "{}", running.log());
}

#[test]
fn an_agent_whose_receivers_never_answer_ends_all_the_same() {
    let net = Net::new().unwrap();
    let receiver = HttpServer::start(&net, Side::Agent, SocketAddr::from(([127, 0, 0, 1], 4318))).unwrap();
    for route in ["POST /hook", "POST /v1/metrics", "POST /v1/logs"] {
        receiver.on(route, Reply::ok("").delayed(Duration::from_secs(60)));
    }
    let skewguard = Skewguard::new(&net, &reporting_to(&receiver.url())).unwrap();
    let mut running = skewguard.run().unwrap();
    wait_until("a request of each kind", Duration::from_secs(15), || {
        receiver.count("POST /hook") > 0 && receiver.count("POST /v1/metrics") > 0
    })
    .unwrap_or_else(|error| panic!("{error:#}:\n{}", running.log()));
    let took = stop(&mut running, Duration::from_secs(12));
    assert!(took < Duration::from_secs(11), "{took:?}");
}

#[test]
fn an_agent_that_has_nothing_to_deliver_ends_at_once() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let skewguard = Skewguard::new(&net, NEAR).unwrap();
        let mut running = skewguard.run().unwrap();
        running.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
        let socket = skewguard.dir().join("skewguard.sock");
        assert!(socket.exists());
        running.signal(signal).unwrap();
        // The second signal finds the agent ending or ended, and changes nothing.
        let took = stop(&mut running, Duration::from_secs(5));
        assert!(took < Duration::from_secs(2), "{signal}: {took:?}");
        assert!(!socket.exists(), "the socket was left behind");
    }
}

#[test]
fn a_second_agent_on_the_same_socket_says_why_it_does_not_start() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let skewguard = Skewguard::new(&net, NEAR).unwrap();
    let mut running = skewguard.run().unwrap();
    running.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
    let config = skewguard.config();
    let second = skewguard_within(&net, 10, &["run", "--config", config.to_str().unwrap()]);
    assert_eq!(second.code, Some(SOFTWARE), "{second:?}");
    let socket = skewguard.dir().join("skewguard.sock");
    assert!(second.stderr.contains("another agent listens there"), "{}", second.stderr);
    assert!(second.stderr.contains(socket.to_str().unwrap()), "{}", second.stderr);
    assert!(is_synchronized(&running.status().unwrap()), "the first one must not suffer");
    stop(&mut running, Duration::from_secs(5));
}

#[test]
fn a_socket_that_a_killed_agent_left_is_replaced() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let skewguard = Skewguard::new(&net, NEAR).unwrap();
    let mut killed = skewguard.run().unwrap();
    killed.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
    killed.signal(Signal::SIGKILL).unwrap();
    drop(killed);
    assert!(skewguard.dir().join("skewguard.sock").exists(), "nothing was left behind");
    assert_eq!(skewguard.answer(&["status"]).unwrap().code, Some(UNAVAILABLE));
    let mut running = skewguard.run().unwrap();
    running.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
    stop(&mut running, Duration::from_secs(5));
}

#[test]
fn a_file_that_is_no_socket_is_not_replaced_by_one() {
    let net = Net::new().unwrap();
    let dir = private_dir().unwrap();
    let precious = dir.path().join("precious");
    fs::write(&precious, "not a socket").unwrap();
    let skewguard = Skewguard::new(&net, &format!("{NEAR}socket: {}\n", precious.display())).unwrap();
    let mut running = skewguard.run().unwrap();
    // It ends by itself, or else it answers on the socket that it put in the file's place.
    let answered = running.await_status("an answer", Duration::from_secs(10), |_| true);
    assert_eq!(fs::read_to_string(&precious).ok().as_deref(), Some("not a socket"), "{answered:?}");
    assert!(answered.is_err(), "{answered:?}");
}

#[test]
fn the_service_manager_hears_of_the_start_and_of_the_end() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let dir = private_dir().unwrap();
    let path = dir.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let hear = || {
        let mut buffer = [0; 512];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let skewguard = Skewguard::new(&net, NEAR).unwrap().env("NOTIFY_SOCKET", &path);
    let running = skewguard.run().unwrap();
    assert_eq!(hear(), "READY=1");
    running.status().expect("an agent that is ready answers");
    running.signal(Signal::SIGTERM).unwrap();
    assert_eq!(hear(), "STOPPING=1");
    wait_until("the end", Duration::from_secs(5), || running.status().is_err()).unwrap();
    manager.set_nonblocking(true).unwrap();
    assert!(manager.recv(&mut [0; 512]).is_err(), "each is said once");
}

#[test]
fn an_agent_lives_on_without_the_service_manager_that_it_was_told_of() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let skewguard = Skewguard::new(&net, NEAR).unwrap().env("NOTIFY_SOCKET", "/nonexistent/notify.sock");
    let mut running = skewguard.run().unwrap();
    running.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
    stop(&mut running, Duration::from_secs(5));
}

// The host around it

#[test]
fn an_agent_on_a_file_system_that_is_read_only_does_its_work_without_a_socket_and_says_so_once() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let receiver = HttpServer::start(&net, Side::Agent, SocketAddr::from(([127, 0, 0, 1], 4318))).unwrap();
    for route in ["POST /hook", "POST /v1/metrics", "POST /v1/logs"] {
        receiver.on(route, Reply::ok(""));
    }
    // The usual hardening of a container: nothing at all can be written to, the folder of the socket least of all.
    let read_only =
        "for mount in / /run /tmp /var; do mountpoint -q $mount || continue; mount -o remount,bind,ro $mount; done";
    let yaml = reporting_to(&receiver.url()) + "socket: /run/skewguard/skewguard.sock\n";
    let skewguard = Skewguard::new(&net, &yaml).unwrap().prepared_by(read_only);
    let mut running = skewguard.run().unwrap();
    wait_until("an export", Duration::from_secs(20), || receiver.count("POST /v1/metrics") > 1)
        .unwrap_or_else(|error| panic!("{error:#}:\n{}", running.log()));
    running.signal(Signal::SIGHUP).unwrap();
    wait_until("a reload", Duration::from_secs(10), || running.log().contains("the new configuration is in force"))
        .unwrap();
    stop(&mut running, Duration::from_secs(12));
    let log = running.log();
    let said: Vec<_> = log.lines().filter(|line| line.contains("there is no status socket")).collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains("Read-only file system") && said[0].contains("WARN"), "{log}");
}

/// A pipe that is full already, so that the first byte of whoever writes into it waits.
fn full_pipe() -> (PipeReader, PipeWriter) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, mut writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[b'.'; 4_096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

#[test]
fn a_standard_error_that_nobody_reads_keeps_the_agent_from_nothing() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let receiver = HttpServer::start(&net, Side::Agent, SocketAddr::from(([127, 0, 0, 1], 4318))).unwrap();
    for route in ["POST /hook", "POST /v1/metrics", "POST /v1/logs"] {
        receiver.on(route, Reply::ok(""));
    }
    let skewguard = Skewguard::new(&net, &reporting_to(&receiver.url())).unwrap().env("RUST_LOG", "trace");
    let (mut reader, writer) = full_pipe();
    let mut running = skewguard.run_with_stderr(writer).unwrap();
    running.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
    wait_until("an alert and two exports", Duration::from_secs(20), || {
        receiver.count("POST /hook") > 0 && receiver.count("POST /v1/metrics") > 1
    })
    .unwrap();
    let took = stop(&mut running, Duration::from_secs(12));
    assert!(took < Duration::from_secs(5), "{took:?}");
    // What had room is there, the alert among it.
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.trim_start_matches('.').is_empty(), "nobody read it, and the process has ended: {text}");
}

#[test]
fn a_standard_error_that_is_read_late_has_the_log_and_the_alerts_in_their_order() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let receiver = HttpServer::start(&net, Side::Agent, SocketAddr::from(([127, 0, 0, 1], 4318))).unwrap();
    for route in ["POST /hook", "POST /v1/metrics", "POST /v1/logs"] {
        receiver.on(route, Reply::ok(""));
    }
    let skewguard = Skewguard::new(&net, &reporting_to(&receiver.url())).unwrap();
    let (mut reader, writer) = full_pipe();
    let mut running = skewguard.run_with_stderr(writer).unwrap();
    wait_until("an alert", Duration::from_secs(20), || receiver.count("POST /hook") > 0).unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    stop(&mut running, Duration::from_secs(12));
    let text = reading.join().unwrap().unwrap();
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} is missing: {text}"));
    let places = [place("skewguard is watching"), place("\"event\":\"skewguard.alert\""), place("ending")];
    assert!(places.is_sorted(), "{text}");
    assert!(!text.contains("are missing here"), "{text}");
}

#[test]
fn an_agent_whose_thread_hangs_is_ended_where_no_service_manager_does_it() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let skewguard = Skewguard::new(&net, NEAR).unwrap();
    let mut running = skewguard.run().unwrap();
    running.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
    // The one thread that does all the work, and no other, is stopped.
    let thread = Pid::from_raw(i32::try_from(running.pid()).unwrap());
    ptrace::seize(thread, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(thread).unwrap();
    assert!(matches!(waitpid(thread, None).unwrap(), WaitStatus::PtraceEvent(..)));
    assert!(running.status().is_err(), "it hangs");
    let status = running.end(Duration::from_secs(90)).unwrap();
    assert_eq!(status.code(), Some(AILING), "{status}:\n{}", running.log());
    assert!(running.log().contains("has given no sign of life for a minute"), "{}", running.log());
}

#[test]
fn a_service_manager_that_does_not_listen_keeps_the_agent_from_nothing() {
    let net = Net::new().unwrap();
    let _time = time_service(&net);
    let dir = private_dir().unwrap();
    let path = dir.path().join("notify.sock");
    let _mute = UnixDatagram::bind(&path).unwrap();
    let stuffing = UnixDatagram::unbound().unwrap();
    stuffing.set_nonblocking(true).unwrap();
    while stuffing.send_to(b"STATUS=full\n", &path).is_ok() {}
    let skewguard = Skewguard::new(&net, NEAR).unwrap().env("NOTIFY_SOCKET", &path);
    let mut running = skewguard.run().unwrap();
    running.await_status("the time", Duration::from_secs(10), is_synchronized).unwrap();
    stop(&mut running, Duration::from_secs(5));
}

#[test]
fn names_that_nobody_resolves_keep_no_alert_from_the_disk() {
    const NAMES: usize = 13;
    let net = Net::new().unwrap();
    // A resolver that hears everything and says nothing.
    let mute = net.within(Side::Agent, || UdpSocket::bind("127.0.0.1:53")).unwrap().unwrap();
    let state = private_dir().unwrap();
    let resolv = state.path().join("resolv.conf");
    fs::write(&resolv, "nameserver 127.0.0.1\noptions timeout:30 attempts:2\n").unwrap();
    let mut yaml = "credentials: { imds: { enabled: false } }\n".to_owned();
    yaml += "alerts: { boot_grace: 0s, clock-unverified: { for: 3s } }\n";
    yaml += "channels: [{ name: ops, webhook: { url: \"http://127.0.0.1:9/hook\" } }]\n";
    writeln!(yaml, "state_dir: {}\nsources:", state.path().display()).unwrap();
    for number in 0..NAMES {
        writeln!(yaml, "  - {{ name: s{number}, ntp: time-{number}.example }}").unwrap();
    }
    let mount = format!("mount --bind {} /etc/resolv.conf", resolv.display());
    let skewguard = Skewguard::new(&net, &yaml).unwrap().prepared_by(&mount);
    let mut running = skewguard.run().unwrap();
    let fires = |status: &Value| !status["alerts"].as_array().unwrap().is_empty();
    running.await_status("an alert", Duration::from_secs(40), fires).unwrap();
    let is_item = |file: &Path| file.extension().is_some_and(|end| end == "item");
    let items = || {
        let files = fs::read_dir(state.path().join("queue/ops")).into_iter().flatten();
        files.filter(|file| file.as_ref().is_ok_and(|file| is_item(&file.path()))).count()
    };
    wait_until("the alert on disk", Duration::from_secs(10), || {
        items() > 0 && state.path().join("state.json").exists()
    })
    .unwrap_or_else(|error| panic!("{error:#}:\n{}", running.log()));
    mute.set_nonblocking(true).unwrap();
    assert!(mute.recv(&mut [0; 512]).is_ok(), "the resolver was not asked");
    let threads = fs::read_dir(format!("/proc/{}/task", running.pid())).unwrap().count();
    assert!(threads <= 8 + 12 + 3, "{threads} threads");
    stop(&mut running, Duration::from_secs(12));
}
