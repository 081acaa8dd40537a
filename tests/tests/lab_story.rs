//! "The security token included in the request is expired", as programs in Java tell it: real virtual machines with the real
//! SDKs, keys that end, and an STS that refuses them. The agent warns before the first refusal; the doctor, who is shown the
//! exception and the program, names the cause; and when its remedy is carried out, requests are accepted.

#![expect(clippy::print_stdout, reason = "what is measured is worth reading: --nocapture")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it measures when an alert arrives")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::agent::{FakeClock, Skewguard};
use tests::dialogue::Dialogue;
use tests::http::{HttpServer, Reply};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::private_dir;
use tests::sdks::{Java, Jvm};
use tests::sts::{Keys, Sts};

const DOCUMENT: &str = "GET /latest/meta-data/iam/security-credentials/web";
/// What is left of the keys that a program begins with.
const SHORT: Duration = Duration::from_secs(25);
/// What is left of those that it has to be started with, which takes long on a busy machine.
const SHORT_BEFORE: Duration = Duration::from_secs(40);
const LONG: Duration = Duration::from_secs(6 * 3_600);
/// From one request to the next.
const PAUSE: Duration = Duration::from_millis(500);
/// After so long all short keys are over.
const LONGEST: Duration = Duration::from_secs(120);

/// When each alert was first told of.
type Told = Arc<Mutex<BTreeMap<String, Instant>>>;

/// A host on AWS with an agent.
struct Host {
    net: Net,
    /// The clock that it has in the place of the machine's. It makes virtual machines slow, which read it very often.
    clock: Option<FakeClock>,
    imds: HttpServer,
    sts: Sts,
    home: TempDir,
    hook: HttpServer,
    told: Told,
    _time: NtpServer,
}

impl Host {
    fn new() -> Self {
        Self::on(Net::new().unwrap())
    }

    fn on(net: Net) -> Self {
        let time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(0.0)).unwrap();
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), "").unwrap();
        let sts = Sts::start(&net, SocketAddr::new(IMDS, 8_443)).unwrap();
        let hook = HttpServer::start(&net, Side::Aws, SocketAddr::new(IMDS, 8_080)).unwrap();
        let told = Told::default();
        hook.on_each("POST /hook", {
            let told = Arc::clone(&told);
            move |request| {
                let alert: Value = serde_json::from_slice(&request.body).unwrap();
                if alert["change"] == "firing" {
                    let name = alert["alert"].as_str().unwrap().to_owned();
                    told.lock().unwrap().entry(name).or_insert_with(Instant::now);
                }
                Reply::ok("")
            }
        });
        let home = private_dir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        Self { net, clock: None, imds, sts, home, hook, told, _time: time }
    }

    /// Lets the role have these keys.
    fn hand_out(&self, keys: &Keys) {
        self.imds.on(DOCUMENT, Reply::ok(keys.document()));
    }

    fn credentials(&self, text: &str) {
        fs::write(self.home.path().join(".aws/credentials"), text).unwrap();
    }

    fn agent(&self) -> Skewguard<'_> {
        let yaml = format!(
            "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}]
credentials: {{ poll: 10s, imds: {{ poll: 10s, timeout: 500ms, attempts: 1 }} }}
sdks: [java-v2-2025]
alerts: {{ boot_grace: 0s }}
channels: [{{ name: hook, webhook: {{ url: {}/hook }} }}]
",
            self.hook.url()
        );
        let agent = Skewguard::new(&self.net, &yaml).unwrap().env("HOME", self.home.path());
        match &self.clock {
            Some(clock) => agent.with_clock(clock).unwrap(),
            None => agent,
        }
    }

    fn environment(&self, more: &[(&'static str, String)]) -> Vec<(&'static str, OsString)> {
        let clock = self.clock.as_ref().map(|clock| clock.environment().unwrap().to_vec());
        let mut environment = clock.unwrap_or_default();
        environment.push(("HOME", self.home.path().into()));
        environment.push(("AWS_SHARED_CREDENTIALS_FILE", self.home.path().join(".aws/credentials").into()));
        environment.extend(more.iter().map(|(name, value)| (*name, OsString::from(value))));
        environment
    }

    fn program(&self, sdk: Java, provider: &str, options: &[&str], more: &[(&'static str, String)]) -> Dialogue {
        let (environment, sts) = (self.environment(more), self.sts.url());
        Jvm { environment: &environment, options, provider, sts: Some(&sts) }.start(&self.net, sdk).unwrap()
    }

    /// When the agent first told of an alert.
    fn told(&self, alert: &str) -> Option<Instant> {
        self.told.lock().unwrap().get(alert).copied()
    }

    /// Whether the agent has told of this alert before STS refused anything.
    #[track_caller]
    fn assert_warned(&self, alert: &str) {
        let refused = self.sts.first_refusal().unwrap();
        let told = self.told(alert).unwrap_or_else(|| panic!("no {alert}: {:?}", self.told.lock().unwrap().keys()));
        println!("{alert} was told {:.1} s before the first refusal", refused.duration_since(told).as_secs_f64());
        assert!(told < refused);
    }
}

/// Uses the program until it is refused, and returns the exception.
#[track_caller]
fn until_refused(program: &mut Dialogue) -> String {
    let began = Instant::now();
    loop {
        let answer = program.ask("who?").unwrap();
        if answer != "accepted" {
            return answer;
        }
        assert!(began.elapsed() < LONGEST, "nothing was refused");
        thread::sleep(PAUSE);
    }
}

/// What the doctor says of the exception, as the program has logged it.
fn explained(host: &Host, program: &Dialogue) -> Value {
    let log = program.log();
    let exception = log.find("software.amazon").or_else(|| log.find("com.simba")).map_or(log.as_str(), |at| &log[at..]);
    report(host, &["doctor", "--format", "json", "--explain", exception])
}

/// What the doctor says of the program.
fn examined(host: &Host, program: &Dialogue) -> Value {
    report(host, &["doctor", "--format", "json", "--pid", &program.pid().to_string()])
}

fn report(host: &Host, arguments: &[&str]) -> Value {
    let answer = host.agent().answer(arguments).unwrap();
    answer.json().unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// The checks with a problem, with all that is said of them.
fn problems(report: &Value) -> BTreeMap<String, String> {
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("no checks: {report:#}"));
    let problems = checks.iter().filter(|check| check["verdict"] == "problem");
    problems.map(|check| (check["name"].as_str().unwrap().to_owned(), check.to_string())).collect()
}

#[test]
fn a_slow_clock_keeps_expired_keys_until_it_is_set() {
    let clock = FakeClock::new().unwrap();
    clock.set(-400.0).unwrap();
    let host = Host { clock: Some(clock), ..Host::new() };
    let mut program = host.program(Java::V2, "default", &[], &[]);
    host.hand_out(&host.sts.issue(SHORT));
    let agent = host.agent();
    let _running = agent.run().unwrap();
    assert_eq!(program.ask("who?").unwrap(), "accepted", "{}", program.log());
    // The role has new ones long before, but the program does not believe that it needs them.
    host.hand_out(&host.sts.issue(LONG));
    let refused = until_refused(&mut program);
    assert!(refused.contains("The security token included in the request is expired"), "{refused}");
    host.assert_warned("clock-skew");

    let explained = explained(&host, &program);
    let error = &explained["errors"][0];
    assert_eq!(
        (&error["kind"], &error["this_host"]["state"]),
        (&"expired-token".into(), &"present".into()),
        "{error:#}"
    );
    assert!(error["this_host"]["remedy"].as_str().unwrap().contains("makestep"), "{error:#}");
    let examined = problems(&examined(&host, &program));
    assert!(examined["clock-offset"].contains("makestep"), "{examined:?}");
    host.clock.as_ref().unwrap().set(0.0).unwrap();
    assert_eq!(program.ask("who?").unwrap(), "accepted", "{}", program.log());
}

#[test]
fn a_profile_that_nobody_renews_is_refused_until_somebody_does() {
    let host = Host::new();
    host.hand_out(&host.sts.issue(LONG));
    host.credentials(&host.sts.issue(SHORT_BEFORE).profile("default"));
    let agent = host.agent();
    let _running = agent.run().unwrap();
    let mut program = host.program(Java::V2, "profile", &[], &[]);
    let refused = until_refused(&mut program);
    assert!(refused.contains("The security token included in the request is expired"), "{refused}");
    host.assert_warned("credential-expiring");
    assert_eq!(explained(&host, &program)["errors"][0]["kind"], "expired-token");

    let examined = problems(&examined(&host, &program));
    let said = examined.values().find(|said| said.contains(".aws/credentials"));
    assert!(said.is_some(), "{examined:?}");
    host.credentials(&host.sts.issue(LONG).profile("default"));
    drop(program);
    let mut program = host.program(Java::V2, "profile", &[], &[]);
    assert_eq!(program.ask("who?").unwrap(), "accepted", "{}", program.log());
}

#[test]
fn keys_in_properties_stand_before_the_role_until_they_are_taken_away() {
    let host = Host::new();
    host.hand_out(&host.sts.issue(LONG));
    let keys = host.sts.issue(SHORT_BEFORE);
    let options = [
        format!("-Daws.accessKeyId={}", keys.access),
        format!("-Daws.secretKey={}", keys.secret),
        format!("-Daws.sessionToken={}", keys.token),
    ];
    let mut program = host.program(Java::V1, "default", &options.each_ref().map(String::as_str), &[]);
    let refused = until_refused(&mut program);
    assert!(refused.contains("The security token included in the request is expired"), "{refused}");

    let report = examined(&host, &program);
    let examined = problems(&report);
    assert!(examined["credentials-shadow"].contains("-Daws.accessKeyId"), "{examined:?}");
    for secret in [&keys.secret, &keys.token] {
        assert!(!report.to_string().contains(secret.as_str()));
    }
    drop(program);
    let mut program = host.program(Java::V1, "default", &[], &[]);
    assert_eq!(program.ask("who?").unwrap(), "accepted", "{}", program.log());
}

#[test]
fn keys_in_variables_stand_before_the_role_until_they_are_taken_away() {
    let host = Host::new();
    host.hand_out(&host.sts.issue(LONG));
    let keys = host.sts.issue(SHORT_BEFORE);
    let variables = [
        ("AWS_ACCESS_KEY_ID", keys.access.clone()),
        ("AWS_SECRET_ACCESS_KEY", keys.secret.clone()),
        ("AWS_SESSION_TOKEN", keys.token.clone()),
    ];
    let mut program = host.program(Java::V2, "default", &[], &variables);
    let refused = until_refused(&mut program);
    assert!(refused.contains("The security token included in the request is expired"), "{refused}");

    let report = examined(&host, &program);
    let examined = problems(&report);
    assert!(examined["credentials-shadow"].contains("AWS_ACCESS_KEY_ID"), "{examined:?}");
    for secret in [&keys.secret, &keys.token] {
        assert!(!report.to_string().contains(secret.as_str()));
    }
    drop(program);
    let mut program = host.program(Java::V2, "default", &[], &[]);
    assert_eq!(program.ask("who?").unwrap(), "accepted", "{}", program.log());
}

#[test]
fn a_role_that_is_asked_too_often_hands_out_nothing_until_it_is_left_in_peace() {
    let host = Host::new();
    let mut program = host.program(Java::V2, "default", &[], &[]);
    host.hand_out(&host.sts.issue(SHORT));
    let agent = host.agent();
    let mut running = agent.run().unwrap();
    let knows = |status: &Value| status["credentials"][0]["remaining_seconds"].is_number();
    running.await_status("the credential of the role", SHORT, knows).unwrap();
    assert_eq!(program.ask("who?").unwrap(), "accepted", "{}", program.log());
    host.imds.on(DOCUMENT, Reply::new(503, ""));
    let refused = until_refused(&mut program);
    assert!(refused.contains("The security token included in the request is expired"), "{refused}");
    host.assert_warned("credential-expiring");
    let examined = problems(&examined(&host, &program));
    assert!(examined.keys().any(|name| name.starts_with("imds-")), "{examined:?}");
    host.hand_out(&host.sts.issue(LONG));
    drop(program);
    let mut program = host.program(Java::V2, "default", &[], &[]);
    assert_eq!(program.ask("who?").unwrap(), "accepted", "{}", program.log());
}

#[test]
fn a_container_gets_no_answer_until_it_may_take_another_hop() {
    let host = Host::on(Net::with_container().unwrap());
    host.hand_out(&host.sts.issue(LONG));
    let token = Reply::ok("token").header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    host.imds.on("PUT /latest/api/token", token.clone().within_hops(1));
    let version_2 = [("AWS_EC2_METADATA_V1_DISABLED", "true".to_owned())];
    let mut program = host.program(Java::V2, "default", &[], &version_2);
    let refused = program.ask("who?").unwrap();
    assert!(refused.contains("Unable to load credentials"), "{refused}");
    let kind = explained(&host, &program)["errors"][0]["kind"].to_string();
    assert!(kind.contains("imds") || kind.contains("no-credentials"), "{kind}");
    let examined = problems(&examined(&host, &program));
    assert!(examined["imds-hop-limit"].contains("--http-put-response-hop-limit 2"), "{examined:?}");
    host.imds.on("PUT /latest/api/token", token);
    assert_eq!(program.ask("who?").unwrap(), "accepted", "{}", program.log());
}

#[test]
fn the_sdk_for_java_asks_the_metadata_service_past_a_proxy_and_the_doctor_knows_that() {
    let host = Host::new();
    host.hand_out(&host.sts.issue(LONG));
    let proxy =
        [("HTTP_PROXY", "http://127.0.0.1:3128".to_owned()), ("http_proxy", "http://127.0.0.1:3128".to_owned())];
    let environment = host.environment(&proxy);
    let options = ["-Dhttp.proxyHost=127.0.0.1", "-Dhttp.proxyPort=3128"];
    let jvm = Jvm { environment: &environment, options: &options, provider: "default", sts: None };
    for sdk in [Java::V2, Java::V1] {
        let mut program = jvm.start(&host.net, sdk).unwrap();
        assert_eq!(program.ask("which?").unwrap(), "used", "{}", program.log());
        let examined = problems(&examined(&host, &program));
        assert!(!examined.contains_key("imds-proxy"), "{examined:?}");
    }
}
