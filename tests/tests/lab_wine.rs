//! The agent on Windows, as far as Wine is one: against a real chronyd, a metadata service and a collector. What Wine cannot
//! show is in `deploy/windows/verify.ps1`, for a real host.

#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it measures when an alert arrives")]
#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::agent::Answer;
use tests::chrony::Chrony;
use tests::http::HttpServer;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::receiver::{Receiver, Told};
use tests::wait::wait_for;
use tests::wine::{Session, Wine, program};

/// What the configuration of a test says beside the defaults.
const CONFIG: &str = "
state_dir: 'C:\\state'
credentials: { imds: { timeout: 500ms, attempts: 1 } }
alerts: { boot_grace: 0s }
telemetry: { otlp: { endpoint: 'http://169.254.169.254:4318', interval: 1s } }
channels: [{ name: ops, webhook: { url: 'http://169.254.169.254:4318/hook' } }]
";
/// How long what takes a second on Windows may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host on AWS that runs Windows.
struct Host<'net> {
    chrony: Chrony,
    receiver: Receiver<'net>,
    session: Session,
    program: String,
    wine: Wine,
    _imds: HttpServer,
}

impl<'net> Host<'net> {
    fn new(net: &'net Net) -> Self {
        let chrony = Chrony::start(net, TIME_SYNC).unwrap();
        let imds = metadata::start(net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::document(6 * 3_600)).unwrap();
        let receiver = Receiver::start(net, SocketAddr::new(IMDS, 4_318)).unwrap();
        let wine = Wine::new().unwrap();
        for folder in ["state", "ProgramData/skewguard"] {
            fs::create_dir_all(wine.path(folder)).unwrap();
        }
        fs::write(wine.path("config.yaml"), CONFIG).unwrap();
        let session = wine.on_host(net).unwrap();
        let program = format!("wine '{}'", program("skewguard.exe").unwrap().display());
        Self { chrony, receiver, session, program, wine, _imds: imds }
    }

    /// Writes a file of `C:`, while Windows is up.
    fn write(&mut self, name: &str, text: &str) {
        let new = self.wine.folder().join("new");
        fs::write(&new, text).unwrap();
        let line = format!("cp '{}' \"$WINEPREFIX/drive_c/{name}\"", new.display());
        assert_eq!(self.session.run(&line).unwrap().code, Some(0));
    }

    fn skewguard(&mut self, arguments: &str) -> Answer {
        self.session.run(&format!("{} {arguments}", self.program)).unwrap()
    }

    /// The agent, in the background.
    fn start(&mut self) {
        let line = format!("{} run --config 'C:\\config.yaml' >>log 2>&1 &", self.program);
        assert_eq!(self.session.run(&line).unwrap().code, Some(0));
    }

    /// What the agent says of itself, once it is as it is wanted.
    fn await_status(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let answer = self.skewguard("status --format json --config 'C:\\config.yaml'");
            match serde_json::from_str::<Value>(&answer.stdout) {
                Ok(status) if is_wanted(&status) => return status,
                _ => last = Some(answer),
            }
        }
        unreachable!("{last:?}\n{}", self.log());
    }

    fn log(&mut self) -> String {
        let service = "$WINEPREFIX/drive_c/ProgramData/skewguard/state/skewguard.log";
        self.session.run(&format!("cat log \"{service}\" 2>/dev/null")).unwrap().stdout
    }

    fn await_end(&mut self) {
        let begun = Instant::now();
        while self.skewguard("service status").stdout.trim() != "stopped" {
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.log());
        }
    }

    fn await_told(&mut self, alert: &str, change: &str) -> Told {
        let is_it = |told: &Told| told.text("alert") == alert && told.text("change") == change;
        let receiver = &self.receiver;
        let told = wait_for(alert, PATIENCE, || receiver.taken().told.into_iter().find(is_it));
        told.unwrap_or_else(|error| unreachable!("{error:#}\n{}", self.log()))
    }
}

fn offset(status: &Value) -> f64 {
    status["clock"]["offset_seconds"].as_f64().unwrap_or(f64::NAN)
}

#[test]
fn one_look_tells_the_offset_and_the_credentials_of_the_instance() {
    let net = Net::new().unwrap();
    let mut host = Host::new(&net);
    let served = host.chrony.set_offset(-17.25).unwrap();
    let answer = host.skewguard("check --format json --timeout 10s");
    let found = answer.json().unwrap();
    println!("served {served}, found {}", offset(&found));
    assert!((offset(&found) - served).abs() < 0.05, "{found:#}");
    assert_eq!(found["credentials"][0]["provider"], "imds", "{found:#}");
    // The kernel of Windows stamps nothing, and the sample says so.
    assert_eq!(found["sources"][0]["timestamps"], "user-space (no kernel stamps)", "{found:#}");
    let text = host.skewguard("check --timeout 10s").stdout;
    for foreign in ["systemctl", "chronyc", "sudo", "/etc/", "timedatectl"] {
        assert!(!text.contains(foreign), "{foreign}: {text}");
    }
}

#[test]
fn an_alert_arrives_and_is_asked_for_through_the_pipe_and_one_that_could_not_be_sent_outlives_a_kill() {
    let net = Net::new().unwrap();
    let mut host = Host::new(&net);
    host.start();
    let status = host.await_status(|status| status["clock"]["state"] == "synchronized");
    assert!(offset(&status).abs() < 0.05, "{status:#}");

    let begun = Instant::now();
    let served = host.chrony.set_offset(400.0).unwrap();
    let told = host.await_told("clock-skew", "firing");
    println!("told after {:?}", begun.elapsed());
    assert_eq!(told.text("severity"), "critical");
    let status = host.await_status(|status| (offset(status) - served).abs() < 0.05);
    assert!(status["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty()), "{status:#}");
    let exports = host.receiver.taken();
    assert!(exports.exports.iter().any(|export| export.value("clock.offset").is_some()), "{exports:?}");
    assert_eq!(exports.faults, Vec::<String>::new());

    // Nobody takes it, and the process that holds it is killed.
    host.receiver.down();
    host.chrony.set_offset(0.0).unwrap();
    host.await_status(|status| status["alerts"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(host.session.run("wine taskkill /f /im skewguard.exe").unwrap().code, Some(0));
    host.receiver.up().unwrap();
    let before = host.receiver.taken().told.len();
    host.start();
    host.await_told("clock-skew", "resolved");
    let told = host.receiver.taken().told;
    let keys: Vec<_> =
        told[before..].iter().filter(|told| told.text("alert") == "clock-skew").map(|told| &told.key).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[test]
fn the_service_manager_starts_it_has_it_read_its_configuration_again_and_stops_it() {
    let net = Net::new().unwrap();
    let mut host = Host::new(&net);
    // Wine knows no actions after a failure, which are set last.
    let installed = host.skewguard("service install --config 'C:\\config.yaml'");
    assert!(installed.code == Some(0) || installed.stderr.contains("what follows a failure"), "{installed:?}");
    let key = r"wine reg query 'HKLM\SYSTEM\CurrentControlSet\Services\skewguard'";
    let registered = host.session.run(key).unwrap().stdout;
    assert!(registered.contains(r"NT SERVICE\skewguard") && registered.contains("service run"), "{registered}");
    assert_eq!(host.skewguard("service status").stdout.trim(), "stopped");
    assert_eq!(host.skewguard("service start").code, Some(0));
    host.await_status(|status| status["clock"]["state"] == "synchronized");
    assert_eq!(host.skewguard("service status").stdout.trim(), "running");

    // A wrong configuration changes nothing, and a right one is in force.
    for (yaml, said) in
        [("sources: 7", "the new configuration is wrong"), (CONFIG, "the new configuration is in force")]
    {
        host.write("config.yaml", yaml);
        assert_eq!(host.skewguard("service reload").code, Some(0));
        let begun = Instant::now();
        while !host.log().contains(said) {
            assert!(begun.elapsed() < PATIENCE, "{}", host.log());
        }
    }

    // It ends in order: what could not be delivered is kept for the next start.
    host.receiver.down();
    host.chrony.set_offset(-400.0).unwrap();
    host.await_status(|status| status["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty()));
    let begun = Instant::now();
    assert_eq!(host.skewguard("service stop").code, Some(0));
    host.await_end();
    println!("ended within {:?}", begun.elapsed());
    let log = host.log();
    host.receiver.up().unwrap();
    assert!(log.contains("ending") && log.contains("kept for the next start"), "{log}");
    assert_eq!(host.skewguard("service start").code, Some(0));
    host.await_told("clock-skew", "firing");
    assert_eq!(host.skewguard("service stop").code, Some(0));
    host.await_end();
    // Nobody answers any more, and nobody has to.
    assert_eq!(host.skewguard("status --config 'C:\\config.yaml'").code, Some(69));
    assert_eq!(host.skewguard("service uninstall").code, Some(0));
    assert_ne!(host.session.run(key).unwrap().code, Some(0));
}

#[test]
fn the_doctor_speaks_of_windows() {
    let net = Net::new().unwrap();
    let mut host = Host::new(&net);
    let answer = host.skewguard("doctor --format json");
    let report = answer.json().unwrap();
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().filter_map(|check| check["name"].as_str()).collect();
    assert!(names.contains(&"clock-w32time") && names.contains(&"imds-route"), "{names:?}");
    let text = host.skewguard("doctor").stdout;
    println!("{text}");
    for foreign in ["systemctl", "chronyc", "chronyd", "sudo", "/proc", "/etc/", "timedatectl", "export "] {
        assert!(!text.contains(foreign), "{foreign}: {text}");
    }
}

#[test]
fn a_process_with_an_sdk_is_named() {
    let net = Net::new().unwrap();
    let mut host = Host::new(&net);
    // A python that has botocore, as far as a look at its files and its name tells: it is a copy of the agent that waits.
    let python = host.wine.folder().join("py");
    fs::create_dir_all(python.join("Lib/site-packages/botocore")).unwrap();
    fs::write(python.join("Lib/site-packages/botocore/__init__.py"), "__version__ = '1.44.0'\n").unwrap();
    fs::copy(program("skewguard.exe").unwrap(), python.join("python.exe")).unwrap();
    // A source that never answers keeps it waiting.
    fs::write(host.wine.folder().join("mute.yaml"), "sources: [{ name: mute, ntp: 169.254.169.124 }]\n").unwrap();
    let line = "wine py/python.exe wait --config mute.yaml --timeout 5m >/dev/null 2>&1 &";
    assert_eq!(host.session.run(line).unwrap().code, Some(0));
    let begun = Instant::now();
    loop {
        let report = host.skewguard("doctor --format json").json().unwrap();
        let checks = report["checks"].as_array().unwrap();
        let sdks = checks.iter().find(|check| check["name"] == "sdk-clock-correction").unwrap().to_string();
        if sdks.contains("botocore") && sdks.contains("python.exe") {
            assert!(!sdks.contains("skewguard.exe"), "it is no SDK: {sdks}");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{sdks}");
    }
}

#[test]
fn the_unit_tests_pass() {
    let wine = Wine::new().unwrap();
    let tests = program("unit-tests.exe").unwrap();
    // They read what is shipped beside them.
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("agent");
    let line = format!(
        "cd '{}' && CARGO_PKG_NAME=skewguard timeout 900 wine '{}' --test-threads 2",
        agent.display(),
        tests.display()
    );
    let answer = wine.run(&line).unwrap();
    let result = answer.stdout.lines().find(|line| line.starts_with("test result: ")).unwrap_or_default().to_owned();
    println!("{result}");
    let passed = result.split(' ').nth(3).and_then(|count| count.parse::<u32>().ok()).unwrap_or(0);
    assert!(answer.code == Some(0) && passed > 900 && result.contains(" 0 failed"), "{}", answer.stdout);
}
