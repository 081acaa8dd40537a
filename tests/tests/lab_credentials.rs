//! Credentials: what the agent makes of a metadata service, healthy or broken, and what it keeps of it.

#![expect(clippy::disallowed_methods, reason = "an expiration is set against the machine's own clock")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tests::agent::{Answer, Running, Skewguard};
use tests::http::{self, HttpServer, Reply};
use tests::memory;
use tests::moto::{self, Moto};
use tests::net::{IMDS, IMDS_V6, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::{output, private_dir};
use tests::wait::wait_until;

const TOKEN: &str = "PUT /latest/api/token";
const ROLES: &str = "GET /latest/meta-data/iam/security-credentials/";
const ROLE: &str = "lab-role";
const DOCUMENT: &str = "GET /latest/meta-data/iam/security-credentials/lab-role";
const INSTANCE_ID: &str = "GET /latest/meta-data/instance-id";
/// The session token of IMDSv2, which the agent keeps for its lifetime.
const SESSION: &str = "lab-session-of-imdsv2";
/// What every piece of a secret begins with, so that a remnant of a few bytes is recognised.
const SECRETS: [&str; 3] = ["ASIALABKEYID", "SecretPiece", "TokenPiece"];
const HOUR: i64 = 3_600;
/// How far a time may be from the expected one on a loaded machine, in seconds.
const TOLERANCE: f64 = 5.0;
/// Fails fast, and asks as often as is allowed.
const CONFIGURATION: &str = "
sources:
  - { name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s }
credentials:
  imds: { timeout: 500ms, attempts: 1, poll: 10s }
alerts:
  boot_grace: 0s
";

/// A host whose time service is in order.
struct Host {
    net: Net,
    _time: NtpServer,
}

impl Host {
    fn new() -> Self {
        Self::slow_by(0.0)
    }

    /// A host whose clock is behind by so many seconds; negative is ahead.
    fn slow_by(offset: f64) -> Self {
        let net = Net::new().unwrap();
        let server = SocketAddr::new(TIME_SYNC, ntp::PORT);
        let time = NtpServer::start(&net, Side::Aws, server, ahead_by(offset));
        Self { net, _time: time.unwrap() }
    }

    /// A metadata service on one of its addresses that has a role and an hour left of it.
    fn imds(&self, address: IpAddr) -> HttpServer {
        let imds = HttpServer::start(&self.net, Side::Aws, SocketAddr::new(address, 80)).unwrap();
        imds.on(TOKEN, Reply::ok(SESSION).header("X-aws-ec2-metadata-token-ttl-seconds", "21600"));
        imds.on(ROLES, Reply::ok(ROLE));
        imds.on(DOCUMENT, Reply::ok(document(HOUR)));
        imds.on(INSTANCE_ID, Reply::ok("i-0123456789abcdef0"));
        imds
    }

    fn skewguard(&self) -> Skewguard<'_> {
        Skewguard::new(&self.net, CONFIGURATION).unwrap()
    }

    fn check(&self) -> Checked {
        Checked::new(&self.skewguard().check().unwrap())
    }
}

/// `check`, read.
#[derive(Debug)]
struct Checked {
    code: Option<i32>,
    snapshot: Value,
}

impl Checked {
    fn new(answer: &Answer) -> Self {
        Self { code: answer.code, snapshot: answer.json().unwrap() }
    }

    fn credential(&self) -> &Value {
        assert_eq!(self.snapshot["credentials"].as_array().map(Vec::len), Some(1), "{self:#?}");
        &self.snapshot["credentials"][0]
    }

    fn finding(&self, alert: &str) -> Option<&Value> {
        finding(&self.snapshot, alert)
    }

    /// Credentials say nothing about the clock.
    fn assert_the_clock_is_right(&self) {
        let clock = &self.snapshot["clock"];
        assert_eq!(clock["state"], "synchronized", "{self:#?}");
        assert!(clock["offset_seconds"].as_f64().unwrap().abs() < 0.1, "{self:#?}");
    }

    /// The credential cannot be read, for which `code` stands in JSON and `reason` in the text.
    fn assert_unavailable(&self, code: &str, reason: &str) {
        self.assert_the_clock_is_right();
        let credential = self.credential();
        assert_eq!((&credential["state"], &credential["code"]), (&"unavailable".into(), &code.into()), "{self:#?}");
        assert_eq!(credential["remaining_seconds"], Value::Null, "{self:#?}");
        let finding = self.finding("credential-unavailable").unwrap_or_else(|| panic!("no finding: {self:#?}"));
        assert_eq!((&finding["severity"], &finding["subject"]), (&"warning".into(), &"imds".into()), "{finding:#}");
        assert!(finding["summary"].as_str().unwrap().contains(reason), "{finding:#}");
        assert!(finding["remedy"].as_str().unwrap().len() > 20, "{finding:#}");
        assert_eq!((self.code, &self.snapshot["status"]), (Some(1), &"warning".into()), "{self:#?}");
    }

    fn assert_healthy(&self) {
        self.assert_the_clock_is_right();
        let credential = self.credential();
        assert_eq!((&credential["state"], &credential["code"]), (&"valid".into(), &"Success".into()), "{self:#?}");
        assert_eq!(self.snapshot["findings"], Value::Array(Vec::new()), "{self:#?}");
        assert_eq!(self.code, Some(0), "{self:#?}");
    }
}

fn finding<'a>(snapshot: &'a Value, alert: &str) -> Option<&'a Value> {
    snapshot["findings"].as_array().unwrap().iter().find(|finding| finding["alert"] == alert)
}

fn firing<'a>(snapshot: &'a Value, alert: &str) -> Option<&'a Value> {
    let mut alerts = snapshot["alerts"].as_array().unwrap().iter();
    alerts.find(|one| one["alert"] == alert && one["state"] == "firing")
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// RFC 3339, so many seconds from now by the system clock.
fn time_in(seconds: i64) -> String {
    let moment = format!("@{}", unix_now() + seconds);
    output(Command::new("date").args(["--utc", "--date", &moment, "+%Y-%m-%dT%H:%M:%SZ"])).unwrap().trim().to_owned()
}

fn unix_seconds(rfc3339: &str) -> f64 {
    output(Command::new("date").args(["--utc", "--date", rfc3339, "+%s"])).unwrap().trim().parse().unwrap()
}

fn pieces(name: &str, count: usize) -> String {
    (0..count).map(|piece| format!("{name}{piece:04}")).collect()
}

/// A role's document as AWS writes it, with a life of so many seconds left.
fn document(life: i64) -> String {
    document_with("Success", &format!(r#""Expiration" : "{}""#, time_in(life)))
}

/// The secrets stand before, between and behind what is read.
fn document_with(code: &str, expiration: &str) -> String {
    let (updated, [id, ..]) = (time_in(-60), SECRETS);
    let (secret, token) = (pieces("SecretPiece", 3), pieces("TokenPiece", 80));
    format!(
        r#"{{
  "Code" : "{code}",
  "LastUpdated" : "{updated}",
  "Type" : "AWS-HMAC",
  "AccessKeyId" : "{id}0123",
  "SecretAccessKey" : "{secret}",
  "Token" : "{token}",
  {expiration}
}}"#
    )
}

#[track_caller]
fn assert_near(seconds: &Value, wanted: f64) {
    let seconds = seconds.as_f64().unwrap();
    assert!((seconds - wanted).abs() < TOLERANCE, "{seconds} is not about {wanted}");
}

// A service in order

#[test]
fn the_role_of_a_real_metadata_service_is_read_on_its_own_address() {
    let host = Host::new();
    let server = SocketAddr::new(IMDS, 80);
    let _moto = Moto::start(&host.net, server).unwrap();
    let expiration = || {
        let path = format!("/latest/meta-data/iam/security-credentials/{}", moto::ROLE);
        let document = host.net.within(Side::Agent, || http::get(server, &path).unwrap()).unwrap();
        let document: Value = serde_json::from_str(&document).unwrap();
        assert!(document["Code"].is_null(), "moto has learnt to serve a Code: {document}");
        unix_seconds(document["Expiration"].as_str().unwrap())
    };
    // Each request moves moto's expiration on.
    let earliest = expiration();
    let checked = host.check();
    let latest = expiration();
    checked.assert_healthy();
    let credential = checked.credential();
    assert_eq!((&credential["provider"], &credential["identity"]), (&"imds".into(), &moto::ROLE.into()));
    let read = credential["expiration_seconds"].as_f64().unwrap();
    assert!((earliest..=latest).contains(&read), "{read} is not in {earliest}..={latest}");
    assert!((unix_seconds(credential["expiration"].as_str().unwrap()) - read).abs() < 1.0, "{credential:#}");
}

#[test]
fn the_metadata_service_is_asked_over_ipv6_where_the_environment_says_so() {
    let host = Host::new();
    assert!(host.net.has_ipv6(), "this kernel has no IPv6, so that half of the product cannot be tested here");
    let (v4, v6) = (host.imds(IMDS), host.imds(IMDS_V6));
    let skewguard = host.skewguard().env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    let checked = Checked::new(&skewguard.check().unwrap());
    checked.assert_healthy();
    assert_eq!(checked.credential()["identity"], ROLE);
    assert_eq!((v4.requests().len(), v6.count(DOCUMENT)), (0, 1));
    let request = &v6.requests()[0];
    assert_eq!(request.headers["host"], "[fd00:ec2::254]");
}

#[test]
fn a_check_says_the_role_and_the_life_of_its_credential_to_people() {
    let host = Host::new();
    let _imds = host.imds(IMDS);
    let answer = host.skewguard().answer(&["check"]).unwrap();
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let line = answer.stdout.lines().find(|line| line.starts_with("credential")).unwrap();
    assert!(line.contains("imds lab-role: valid, expires in "), "{line}");
    assert_eq!(answer.stderr, "");
}

#[test]
fn a_healthy_service_is_asked_for_one_token_and_for_the_host_once() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    let skewguard = host.skewguard();
    let mut running = skewguard.run().unwrap();
    await_fetches(&mut running, &imds, 2);
    assert_eq!(
        [TOKEN, ROLES, DOCUMENT, INSTANCE_ID].map(|route| imds.count(route)),
        [1, 2, 2, 1],
        "{:?}",
        imds.requests().iter().map(http::Request::route).collect::<Vec<_>>()
    );
    for request in imds.requests() {
        let is_token = request.route() == TOKEN;
        assert_eq!(request.headers.get("x-aws-ec2-metadata-token").map(String::as_str), (!is_token).then_some(SESSION));
    }
}

/// Awaits that so many documents were read and what was made of them is known.
fn await_fetches(running: &mut Running<'_>, imds: &HttpServer, count: usize) -> Value {
    wait_until("the documents", Duration::from_secs(20), || imds.count(DOCUMENT) >= count).unwrap();
    // The first reading takes a token, a list and a document; each further one does without the token.
    let requests = 1 + 2 * u64::try_from(count).unwrap();
    let taken = |status: &Value| {
        let outcomes = status["imds_requests"].as_object();
        outcomes.is_some_and(|all| all.values().filter_map(Value::as_u64).sum::<u64>() >= requests)
    };
    running.await_status("the last document", Duration::from_secs(5), taken).unwrap()
}

// Faults, one by one

#[test]
fn a_metadata_service_that_refuses_connections_is_unavailable() {
    let host = Host::new();
    host.check().assert_unavailable("refused", "connection refused");
}

#[test]
fn a_metadata_service_that_never_answered_is_missed_on_an_instance_and_by_no_other_machine() {
    let host = Host::new();
    let check = |vendor: &str| Checked::new(&host.skewguard().on_machine_of(vendor).check().unwrap());
    check("Amazon EC2").assert_unavailable("refused", "connection refused");
    let elsewhere = check("Example Machines");
    elsewhere.assert_the_clock_is_right();
    assert_eq!((&elsewhere.credential()["state"], elsewhere.code), (&"absent".into(), Some(0)), "{elsewhere:#?}");
    assert_eq!(elsewhere.snapshot["findings"], Value::Array(Vec::new()));
    // One that answers there is watched as any other.
    let _imds = host.imds(IMDS);
    check("Example Machines").assert_healthy();
}

#[test]
fn without_a_time_source_no_credential_is_called_valid() {
    let net = Net::new().unwrap();
    let home = private_dir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    let profile = format!(
        "[night]\naws_access_key_id = a\naws_secret_access_key = b\nx_security_token_expires = {}\n",
        time_in(-21 * 24 * HOUR)
    );
    fs::write(home.path().join(".aws/credentials"), profile).unwrap();
    let yaml = format!(
        "sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s }}]\ncredentials:\n  \
         imds: {{ enabled: false }}\n  homes: ['{}']\n",
        home.path().display()
    );
    let skewguard = Skewguard::new(&net, &yaml).unwrap();
    let checked = Checked::new(&skewguard.answer(&["check", "--format", "json", "--timeout", "3s"]).unwrap());
    assert_eq!((&checked.credential()["state"], checked.code), (&"unverified".into(), Some(3)), "{checked:#?}");
    let text = skewguard.answer(&["check", "--timeout", "3s"]).unwrap().stdout;
    assert!(text.contains("night: unverified, by the system clock it expired 21.0 days ago"), "{text}");
}

#[test]
fn a_metadata_service_that_does_not_answer_is_unavailable() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(TOKEN, Reply::ok(SESSION).delayed(Duration::from_secs(10)));
    let checked = host.check();
    checked.assert_unavailable("timeout", "no complete answer in time");
    let remedy = checked.finding("credential-unavailable").unwrap()["remedy"].as_str().unwrap();
    assert!(remedy.contains("http-put-response-hop-limit"), "{remedy}");
    assert_eq!(imds.count(ROLES), 0, "IMDSv1 was tried");
}

#[test]
fn a_check_that_runs_out_of_time_before_the_metadata_service_answers_is_not_ok() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(TOKEN, Reply::ok(SESSION).delayed(Duration::from_secs(10)));
    let yaml = CONFIGURATION.replace("timeout: 500ms", "timeout: 5s");
    let skewguard = Skewguard::new(&host.net, &yaml).unwrap();
    let checked = Checked::new(&skewguard.answer(&["check", "--format", "json", "--timeout", "1s"]).unwrap());
    checked.assert_the_clock_is_right();
    assert_ne!(checked.code, Some(0), "nothing is known of the credential: {checked:#?}");
}

#[test]
fn a_401_renews_the_token_once_and_is_then_given_up() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(ROLES, Reply::new(401, "Unauthorized"));
    host.check().assert_unavailable("token-refused", "a fresh session token was refused");
    let routes: Vec<_> = imds.requests().iter().map(http::Request::route).collect();
    assert!(routes.chunks(4).all(|fetch| fetch == [TOKEN, ROLES, TOKEN, ROLES]), "{routes:?}");
}

#[test]
fn a_401_is_overcome_by_a_new_token() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    let tokens = AtomicUsize::new(0);
    imds.on_each(TOKEN, move |_| Reply::ok(format!("session-{}", tokens.fetch_add(1, Ordering::SeqCst))));
    imds.on_each(DOCUMENT, |request| match request.headers["x-aws-ec2-metadata-token"].as_str() {
        "session-0" => Reply::new(401, "Unauthorized"),
        _ => Reply::ok(document(HOUR)),
    });
    host.check().assert_healthy();
    assert_eq!((imds.count(TOKEN), imds.count(DOCUMENT)), (2, 2));
}

#[test]
fn a_403_says_how_to_turn_the_metadata_service_on() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    // One that is turned off refuses whatever it is asked.
    for route in [TOKEN, ROLES, DOCUMENT] {
        imds.on(route, Reply::new(403, "Forbidden"));
    }
    let checked = host.check();
    checked.assert_unavailable("http-403", "403");
    let remedy = checked.finding("credential-unavailable").unwrap()["remedy"].as_str().unwrap();
    assert!(remedy.contains("--http-endpoint enabled"), "{remedy}");
}

#[test]
fn a_host_without_a_role_has_nothing_to_lose() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.off(ROLES);
    let checked = host.check();
    checked.assert_the_clock_is_right();
    let credential = checked.credential();
    assert_eq!((&credential["state"], &credential["code"]), (&"no-role".into(), &"no-role".into()));
    assert_eq!(checked.snapshot["findings"], Value::Array(Vec::new()));
    assert_eq!(checked.code, Some(0));
}

#[test]
fn a_role_that_is_taken_away_is_unavailable() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    let skewguard = host.skewguard();
    let mut running = skewguard.run().unwrap();
    let is_valid = |status: &Value| status["credentials"][0]["state"] == "valid";
    running.await_status("the role", Duration::from_secs(10), is_valid).unwrap();
    imds.off(ROLES);
    imds.off(DOCUMENT);
    // Two readings must miss it, and a 404 does not shorten the 10 s between two.
    let status = running.await_status("the alert", Duration::from_secs(25), |status| {
        firing(status, "credential-unavailable").is_some()
    });
    let status = status.unwrap();
    let credential = &status["credentials"][0];
    assert_eq!((&credential["state"], &credential["code"]), (&"unavailable".into(), &"no-role".into()));
    assert_eq!(credential["identity"], ROLE, "the role that was there is still named");
    let finding = finding(&status, "credential-unavailable").unwrap();
    assert!(finding["summary"].as_str().unwrap().contains("no role is attached"), "{finding:#}");
    assert_eq!((&status["clock"]["state"], &status["status"]), (&"synchronized".into(), &"warning".into()));
    assert_eq!(running.stop(Duration::from_secs(5)).unwrap().code(), Some(0));
}

#[test]
fn an_outage_fires_in_the_running_agent_and_resolves_with_it() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::new(503, "Service Unavailable"));
    let skewguard = host.skewguard();
    let mut running = skewguard.run().unwrap();
    let fires = |status: &Value| firing(status, "credential-unavailable").is_some();
    let status = running.await_status("the alert", Duration::from_secs(15), fires).unwrap();
    assert_eq!(status["credentials"][0]["code"], "http-503");
    imds.on(DOCUMENT, Reply::ok(document(HOUR)));
    let is_over = |status: &Value| status["status"] == "ok" && status["alerts"] == Value::Array(Vec::new());
    let status = running.await_status("the end of the alert", Duration::from_secs(15), is_over).unwrap();
    assert_eq!(status["credentials"][0]["state"], "valid");
    assert_eq!(imds.count(TOKEN), 1, "a token that is accepted is kept");
    let log = running.log();
    for change in ["firing", "resolved"] {
        let told = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let count = told.filter(|alert| alert["alert"] == "credential-unavailable" && alert["change"] == change);
        assert_eq!(count.count(), 1, "{change}:\n{log}");
    }
}

#[test]
fn a_listed_role_without_a_document_is_unavailable() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.off(DOCUMENT);
    host.check().assert_unavailable("role-gone", "the listed role has no credentials");
}

#[test]
fn throttling_with_429_is_unavailable() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(ROLES, Reply::new(429, "Too Many Requests"));
    host.check().assert_unavailable("http-429", "429");
}

#[test]
fn an_internal_error_is_unavailable() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::new(500, "Internal Server Error"));
    host.check().assert_unavailable("http-500", "500");
}

#[test]
fn an_internal_error_that_passes_is_overcome_by_a_repetition() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    let answers = AtomicUsize::new(0);
    imds.on_each(DOCUMENT, move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(500, "Internal Server Error"),
        _ => Reply::ok(document(HOUR)),
    });
    let skewguard = Skewguard::new(&host.net, &CONFIGURATION.replace("attempts: 1", "attempts: 2")).unwrap();
    Checked::new(&skewguard.check().unwrap()).assert_healthy();
    assert_eq!((imds.count(TOKEN), imds.count(DOCUMENT)), (1, 2));
}

#[test]
fn a_body_that_drips_is_given_up() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(document(HOUR)).dripping(Duration::from_millis(50)));
    host.check().assert_unavailable("timeout", "no complete answer in time");
}

#[test]
fn a_body_of_more_than_64_kib_is_given_up() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(document(HOUR) + &" ".repeat(64 * 1024)));
    host.check().assert_unavailable("too-large", "64 KiB");
}

#[test]
fn a_connection_that_ends_amid_the_document_is_an_interruption() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply { cut_after: Some(200), ..Reply::ok(document(HOUR)) });
    host.check().assert_unavailable("interrupted", "connection closed before the answer was complete");
}

#[test]
fn a_document_that_is_cut_short_is_malformed() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(&document(HOUR).as_bytes()[..200]));
    host.check().assert_unavailable("malformed", "cut short");
}

#[test]
fn a_document_that_is_not_json_is_malformed() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok("<html>It works!</html>"));
    host.check().assert_unavailable("malformed", "not json");
}

#[test]
fn a_refusal_by_the_provider_is_named_by_its_code() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    let code = "AssumeRoleUnauthorizedAccess";
    imds.on(DOCUMENT, Reply::ok(document_with(code, r#""Expiration" : """#)));
    let checked = host.check();
    // `snapshot::Credential::code`: "`Success`, another code of the provider, or why it could not be read".
    checked.assert_unavailable(code, code);
    let remedy = checked.finding("credential-unavailable").unwrap()["remedy"].as_str().unwrap();
    assert!(remedy.contains("trust policy"), "{remedy}");
}

#[test]
fn a_document_without_an_expiration_is_unavailable() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(document_with("Success", r#""Other" : 1"#)));
    host.check().assert_unavailable("missing-expiration", "no expiration");
}

#[test]
fn an_expiration_in_the_past_is_critical() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(document(-100)));
    let checked = host.check();
    checked.assert_the_clock_is_right();
    let credential = checked.credential();
    // It is handed out all the same, as AWS does during an outage.
    assert_eq!((&credential["state"], &credential["code"]), (&"expired-extended".into(), &"Success".into()));
    assert_near(&credential["remaining_seconds"], -100.0);
    let finding = checked.finding("credential-expiring").unwrap();
    assert_eq!(finding["severity"], "critical");
    assert!(finding["summary"].as_str().unwrap().contains("expired"), "{finding:#}");
    assert_eq!((checked.code, &checked.snapshot["status"]), (Some(2), &"critical".into()));
}

#[test]
fn a_credential_that_is_not_rotated_in_its_last_quarter_of_an_hour_is_a_warning() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(document(800)));
    let checked = host.check();
    checked.assert_the_clock_is_right();
    assert_eq!(checked.credential()["state"], "expiring");
    assert_eq!(checked.finding("credential-expiring").unwrap()["severity"], "warning");
    assert_eq!(checked.code, Some(1));
}

#[test]
fn a_redirect_is_not_followed() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    let elsewhere = HttpServer::start(&host.net, Side::Aws, SocketAddr::new(IMDS, 8080)).unwrap();
    imds.on(ROLES, Reply::new(302, "").header("Location", &format!("{}/role", elsewhere.url())));
    elsewhere.on("GET /role", Reply::ok(ROLE));
    host.check().assert_unavailable("http-302", "redirected");
    assert_eq!(elsewhere.requests().len(), 0);
}

// Whose clock

#[test]
fn on_a_slow_host_a_credential_lives_shorter_than_the_host_believes() {
    let host = Host::slow_by(400.0);
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(document(1_000)));
    let checked = host.check();
    let credential = checked.credential();
    assert_near(&checked.snapshot["clock"]["offset_seconds"], 400.0);
    assert_near(&credential["remaining_seconds"], 600.0);
    assert_near(&credential["remaining_local_seconds"], 1_000.0);
    assert_near(&credential["age_seconds"], 460.0);
    let margins = &credential["refresh_margins_seconds"];
    for (sdk, margin) in [("botocore", 600.0), ("js-v3", 300.0), ("cpp", 300.0), ("java-v2", 60.0), ("go-v2", 60.0)] {
        assert_near(&margins[sdk], margin - 400.0);
    }
    assert_eq!(credential["state"], "expiring");
    let severity = |alert| checked.finding(alert).map(|finding| &finding["severity"]);
    assert_eq!(severity("clock-skew"), Some(&"critical".into()));
    assert_eq!(severity("credential-refresh-margin"), Some(&"critical".into()));
    assert_eq!(severity("credential-expiring"), Some(&"warning".into()));
    assert_eq!(checked.code, Some(2));
}

#[test]
fn on_a_fast_host_a_credential_lives_longer_than_the_host_believes() {
    let host = Host::slow_by(-400.0);
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(document(1_000)));
    let checked = host.check();
    let credential = checked.credential();
    assert_near(&credential["remaining_seconds"], 1_400.0);
    assert_near(&credential["remaining_local_seconds"], 1_000.0);
    assert_near(&credential["refresh_margins_seconds"]["java-v2"], 60.0);
    assert!(checked.finding("credential-refresh-margin").is_none(), "{checked:#?}");
    assert!(checked.finding("credential-expiring").is_none(), "1400 s are left: {checked:#?}");
    assert_eq!(checked.code, Some(2), "the skew itself is critical");
}

#[test]
fn a_credential_that_has_expired_in_truth_is_expired_though_the_host_believes_otherwise() {
    let host = Host::slow_by(400.0);
    let imds = host.imds(IMDS);
    imds.on(DOCUMENT, Reply::ok(document(300)));
    let checked = host.check();
    let credential = checked.credential();
    assert_near(&credential["remaining_seconds"], -100.0);
    assert_near(&credential["remaining_local_seconds"], 300.0);
    assert_eq!(credential["state"], "expired-extended");
    assert_eq!(checked.finding("credential-expiring").unwrap()["severity"], "critical");
}

// Secrets

/// The scan finds what must be there, and none of the role's secrets.
#[track_caller]
fn assert_no_secret_in_memory(running: &Running<'_>) {
    let mut needles = vec![ROLE];
    needles.extend(SECRETS);
    assert_eq!(memory::found(running.pid(), &needles).unwrap(), [ROLE]);
}

#[track_caller]
fn assert_no_secret_in(text: &str) {
    for secret in SECRETS.into_iter().chain([SESSION]) {
        assert!(!text.contains(secret), "{secret} in:\n{text}");
    }
}

#[test]
fn the_scan_of_memory_finds_a_secret_that_is_kept() {
    let kept = document(HOUR);
    let found = memory::found(std::process::id(), &["SecretPiece0001"]).unwrap();
    assert_eq!(found, ["SecretPiece0001"], "{}", kept.len());
}

#[test]
fn no_secret_stays_in_memory_after_a_fetch() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    let skewguard = host.skewguard();
    let mut running = skewguard.run().unwrap();
    for fetches in 1..=2 {
        let status = await_fetches(&mut running, &imds, fetches);
        assert_eq!(status["credentials"][0]["state"], "valid");
        assert_no_secret_in_memory(&running);
        assert_no_secret_in(&status.to_string());
    }
    assert_no_secret_in(&running.log());
}

#[test]
fn no_secret_stays_in_memory_nor_in_the_log_at_the_most_talkative_level() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    let skewguard = host.skewguard().env("RUST_LOG", "trace");
    let mut running = skewguard.run().unwrap();
    for fetches in 1..=2 {
        await_fetches(&mut running, &imds, fetches);
        assert_no_secret_in_memory(&running);
    }
    let log = running.log();
    assert!(log.contains("TRACE"), "{log}");
    assert_no_secret_in(&log);
}

#[test]
fn no_secret_of_a_document_that_is_refused_stays_in_memory_or_in_the_log() {
    let host = Host::new();
    let imds = host.imds(IMDS);
    // Each answer is given until it has been judged.
    let judged = Arc::new(AtomicUsize::new(0));
    let answers = Arc::clone(&judged);
    imds.on_each(DOCUMENT, move |_| match answers.load(Ordering::SeqCst) {
        // A secret in the place of a time, then a body that is too long, then one that is cut off.
        0 => Reply::ok(document_with("Success", r#""Expiration" : "TokenPiece""#)),
        1 => Reply::ok(document(HOUR) + &pieces("TokenPiece", 8 * 1024)),
        _ => Reply { cut_after: Some(1_000), ..Reply::ok(document(HOUR)) },
    });
    let skewguard = host.skewguard().env("RUST_LOG", "trace");
    let mut running = skewguard.run().unwrap();
    for code in ["malformed", "too-large", "interrupted"] {
        let is_judged = |status: &Value| status["credentials"][0]["code"] == code;
        let status = running.await_status(code, Duration::from_secs(25), is_judged).unwrap();
        judged.fetch_add(1, Ordering::SeqCst);
        let found = memory::found(running.pid(), &SECRETS).unwrap();
        assert!(found.is_empty(), "{found:?} after {code}");
        assert_no_secret_in(&status.to_string());
    }
    assert_no_secret_in(&running.log());
}
