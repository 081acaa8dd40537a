//! Every channel of alerts, through the real agent: to a real Alertmanager, to scripted targets that are as strict as the
//! services for which they stand, and to an S3 server that refuses what is not signed by true time.

#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use skewguard::clock::true_clock::TrueClock;
use skewguard::credentials::imds::client::ImdsClient;
use skewguard::credentials::imds::settings::Imds;
use skewguard::delivery::signature::{Service, Unsigned, sign};
use skewguard::sources::ntp::Server;
use skewguard::sources::poller;
use skewguard::sources::source::Source;
use skewguard::time::TrueTime;
use tests::agent::{FakeClock, Running, Skewguard};
use tests::alertmanager::Alertmanager;
use tests::chrony::Chrony;
use tests::http::{self, HttpServer, Reply, Request};
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::observability::alert::RUNBOOKS;
use tests::process::output;
use tests::s3::{self, S3};
use tests::targets::{self, Keys};
use tests::wait::wait_for;
use tests::{memory, metadata};

const PATIENCE: Duration = Duration::from_secs(30);
/// An alert is repeated after a minute, which is the least that can be configured.
const REPEATED: Duration = Duration::from_secs(90);
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
const SLACK_PATH: &str = "/services/T0LAB/B0LAB/SlackPiece0001SlackPiece0002";
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:ops";
const FIFO: &str = "arn:aws:sns:eu-central-1:123456789012:ops.fifo";
const BUS: &str = "arn:aws:events:eu-central-1:123456789012:event-bus/ops";
const REGION: &str = "eu-central-1";
/// Made of pieces, so that a remnant of a few bytes is recognised in memory.
const KEYS: Keys =
    Keys { access: s3::ACCESS_KEY, secret: s3::SECRET_KEY, token: "TokenPiece0001TokenPiece0002TokenPiece0003" };
const TWO_DAYS: f64 = 2.0 * 86_400.0;
const TEN_YEARS: f64 = 3_652.0 * 86_400.0;

/// Only the skew is told, and by true time alone.
fn config(channels: &str) -> String {
    format!(
        "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}]
credentials: {{ imds: {{ poll: 5m }} }}
alerts: {{ repeat: 1m }}
channels:
{channels}
"
    )
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(IMDS, port)
}

/// A metadata service whose role has [`KEYS`].
fn role(net: &Net) -> HttpServer {
    let hour = output(Command::new("date").args(["-u", "-d", "+4 days", "+%Y-%m-%dT%H:%M:%SZ"])).unwrap();
    let Keys { access, secret, token } = KEYS;
    let document = format!(
        r#"{{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"{access}","SecretAccessKey":"{secret}","Token":"{token}","Expiration":"{}"}}"#,
        hour.trim()
    );
    metadata::start(net, Side::Aws, at(80), &document).unwrap()
}

/// The bodies that a route was sent, as JSON.
fn bodies(server: &HttpServer) -> Vec<Value> {
    server.requests().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

/// Waits until a server has had so many requests.
#[track_caller]
fn await_requests(server: &HttpServer, count: usize, patience: Duration, running: &Running<'_>) -> Vec<Request> {
    wait_for("a request", patience, || Some(server.requests()).filter(|requests| requests.len() >= count))
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", server.requests(), running.log()))
}

fn synchronized(running: &mut Running<'_>) {
    running.await_status("an estimate", PATIENCE, |status| status["clock"]["state"] == "synchronized").unwrap();
}

/// Seconds since the epoch of a time in RFC 3339 or as in `X-Amz-Date`.
fn seconds(time: &str) -> f64 {
    let basic = regular(time);
    output(Command::new("date").args(["-u", "-d", &basic, "+%s.%N"])).unwrap().trim().parse().unwrap()
}

fn regular(time: &str) -> String {
    match time.split_once('T') {
        Some((day, clock)) if day.len() == 8 => {
            format!("{}-{}-{}T{}:{}:{}Z", &day[..4], &day[4..6], &day[6..], &clock[..2], &clock[2..4], &clock[4..6])
        }
        _ => time.to_owned(),
    }
}

/// The runbook of the alert that most are told of here.
fn runbook() -> String {
    format!("{RUNBOOKS}/clock-skew.md")
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

// What each service is told

#[test]
fn pagerduty_is_triggered_triggered_again_with_the_same_key_and_resolved() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let taken = Reply::new(202, r#"{"status":"success","message":"Event processed"}"#);
    let rules = |request: &Request| targets::pagerduty(request, ROUTING_KEY);
    let pagerduty = targets::start(&net, at(8080), "POST /v2/enqueue", taken, rules).unwrap();
    let yaml = config(&format!(
        "  - {{ name: pager, alerts: [clock-skew], pagerduty: {{ routing_key: env:LAB_ROUTING_KEY, url: \"{}/v2/enqueue\" }} }}",
        pagerduty.url()
    ));
    let agent = Skewguard::new(&net, &yaml).unwrap().env("LAB_ROUTING_KEY", ROUTING_KEY);
    let mut running = agent.run().unwrap();
    synchronized(&mut running);
    chrony.set_offset(400.0).unwrap();
    await_requests(&pagerduty, 1, PATIENCE, &running);
    await_requests(&pagerduty, 2, REPEATED, &running);
    chrony.set_offset(0.0).unwrap();
    await_requests(&pagerduty, 3, PATIENCE, &running);
    let delivered = |status: &Value| status["delivery"][0]["delivered"] == 3;
    let status = running.await_status("three deliveries", PATIENCE, delivered).unwrap();
    assert_eq!(status["delivery"][0]["failures"], 0, "every rule was kept: {status}");
    let events = bodies(&pagerduty);
    let actions: Vec<_> = events.iter().map(|event| &event["event_action"]).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert!(events.iter().all(|event| event["dedup_key"] == events[0]["dedup_key"]), "{events:?}");
    assert!(events[..2].iter().all(|event| event["links"][0]["href"] == runbook()), "{events:?}");
    let (first, second) = (&events[0]["payload"], &events[1]["payload"]);
    assert_eq!((&first["severity"], &first["class"]), (&"critical".into(), &"clock-skew".into()));
    assert_eq!(
        (&first["custom_details"]["change"], &second["custom_details"]["change"]),
        (&"firing".into(), &"repeated".into())
    );
    // 400 s is what the clock was off by: the event has true time, not the system's.
    let ahead = seconds(first["timestamp"].as_str().unwrap())
        - seconds(first["custom_details"]["system_time"].as_str().unwrap());
    assert!((ahead - 400.0).abs() < 1.0, "{ahead}");
    assert!(!running.log().contains(ROUTING_KEY));
}

#[test]
fn slack_is_told_of_an_alert_again_and_of_its_end() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let route = format!("POST {SLACK_PATH}");
    let slack = targets::start(&net, at(8080), &route, Reply::ok("ok"), targets::slack).unwrap();
    let yaml = config("  - { name: chat, alerts: [clock-skew], slack: { url: env:LAB_SLACK } }");
    let agent = Skewguard::new(&net, &yaml).unwrap().env("LAB_SLACK", format!("{}{SLACK_PATH}", slack.url()));
    let agent = agent.env("RUST_LOG", "trace");
    let mut running = agent.run().unwrap();
    synchronized(&mut running);
    chrony.set_offset(-400.0).unwrap();
    await_requests(&slack, 1, PATIENCE, &running);
    await_requests(&slack, 2, REPEATED, &running);
    chrony.set_offset(0.0).unwrap();
    await_requests(&slack, 3, PATIENCE, &running);
    let delivered = |status: &Value| status["delivery"][0]["delivered"] == 3;
    let status = running.await_status("three deliveries", PATIENCE, delivered).unwrap();
    assert_eq!(status["delivery"][0]["failures"], 0, "every rule was kept: {status}");
    let headers: Vec<_> =
        bodies(&slack).iter().map(|body| body["blocks"][0]["text"]["text"].as_str().unwrap().to_owned()).collect();
    assert!(headers[0].starts_with("CRITICAL: clock-skew on "), "{headers:?}");
    assert!(headers[1].starts_with("still CRITICAL: clock-skew on "), "{headers:?}");
    assert!(headers[2].starts_with("RESOLVED: clock-skew on "), "{headers:?}");
    assert!(bodies(&slack)[0]["blocks"][1]["text"]["text"].as_str().unwrap().contains("400 s fast"));
    let link = format!("<{}|Runbook>", runbook());
    assert!(bodies(&slack).iter().all(|body| body["blocks"][2]["elements"][1]["text"] == *link));
    let log = running.log();
    assert!(log.contains("TRACE") && !log.contains("SlackPiece"), "the URL is a secret");
}

#[test]
fn sns_and_eventbridge_take_what_a_host_signs_whose_clock_is_two_days_off_and_the_keys_do_not_stay() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let _role = role(&net);
    let published =
        || Reply::ok("<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>");
    let sns_rules = |topic| move |request: &Request| targets::sns(request, REGION, topic, KEYS);
    let sns = targets::start(&net, at(8081), "POST /", published(), sns_rules(TOPIC)).unwrap();
    let fifo = targets::start(&net, at(8082), "POST /", published(), sns_rules(FIFO)).unwrap();
    let put = Reply::ok(r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#);
    let bus_rules = |request: &Request| targets::eventbridge(request, REGION, BUS, KEYS);
    let bus = targets::start(&net, at(8083), "POST /", put, bus_rules).unwrap();
    let yaml = config(&format!(
        "  - {{ name: topic, alerts: [clock-skew], sns: {{ topic: \"{TOPIC}\", endpoint: \"{}\" }} }}
  - {{ name: fifo, alerts: [clock-skew], sns: {{ topic: \"{FIFO}\", endpoint: \"{}\" }} }}
  - {{ name: bus, alerts: [clock-skew], eventbridge: {{ bus: \"{BUS}\", endpoint: \"{}\" }} }}",
        sns.url(),
        fifo.url(),
        bus.url()
    ));
    let agent = Skewguard::new(&net, &yaml).unwrap().env("RUST_LOG", "trace");
    let mut running = agent.run().unwrap();
    synchronized(&mut running);
    let is_known = |status: &Value| status["host"]["host.id"] == metadata::INSTANCE_ID;
    running.await_status("the host's identity", PATIENCE, is_known).unwrap();
    let began = now();
    chrony.set_offset(TWO_DAYS).unwrap();
    for server in [&sns, &fifo, &bus] {
        let request = await_requests(server, 1, PATIENCE, &running).remove(0);
        let signed = seconds(&request.headers["x-amz-date"]) - TWO_DAYS;
        assert!((began - 1.0..now() + 1.0).contains(&signed), "signed at {signed}, which is not true time");
    }
    for server in [&sns, &fifo, &bus] {
        await_requests(server, 2, REPEATED, &running);
    }
    chrony.set_offset(0.0).unwrap();
    for server in [&sns, &fifo, &bus] {
        await_requests(server, 3, PATIENCE, &running);
    }
    let delivered = |status: &Value| (0..3).all(|channel| status["delivery"][channel]["delivered"] == 3);
    let status = running.await_status("three deliveries each", PATIENCE, delivered).unwrap();
    for channel in 0..3 {
        assert_eq!(status["delivery"][channel]["failures"], 0, "every rule was kept: {status}");
    }

    // One alert, told three times, none of which is taken for a repetition of another.
    for server in [&sns, &fifo] {
        let forms: Vec<_> = server.requests().iter().map(|request| targets::form(request).unwrap()).collect();
        let changes: Vec<_> =
            forms.iter().map(|form| form["MessageAttributes.entry.3.Value.StringValue"].as_str()).collect();
        assert_eq!(changes, ["firing", "repeated", "resolved"]);
        let said = |form: &BTreeMap<_, String>| serde_json::from_str::<Value>(&form["Message"]).unwrap();
        assert!(forms.iter().all(|form| said(form)["runbook"] == runbook()), "{forms:?}");
        let distinct = |name: &str| forms.iter().filter_map(|form| form.get(name)).collect::<BTreeSet<_>>().len();
        let expected = if forms[0]["TopicArn"] == FIFO { (1, 3) } else { (0, 0) };
        assert_eq!((distinct("MessageGroupId"), distinct("MessageDeduplicationId")), expected);
    }
    let details: Vec<Value> = bodies(&bus)
        .iter()
        .map(|body| serde_json::from_str(body["Entries"][0]["Detail"].as_str().unwrap()).unwrap())
        .collect();
    let changes: Vec<_> = details.iter().map(|detail| &detail["change"]).collect();
    assert_eq!(changes, ["firing", "repeated", "resolved"]);
    assert!(details.iter().all(|detail| detail["id"] == details[0]["id"]), "{details:?}");
    assert!(details.iter().all(|detail| detail["runbook"] == runbook()), "{details:?}");
    let entry = &bodies(&bus)[0]["Entries"][0];
    let expected = format!("arn:aws:ec2:{REGION}:123456789012:instance/{}", metadata::INSTANCE_ID);
    assert_eq!(entry["Resources"], Value::from(vec![expected]));
    assert!((entry["Time"].as_f64().unwrap() - TWO_DAYS - began).abs() < 60.0, "{entry}");

    // The name of the role shows that the search finds what is there.
    let needles = [metadata::INSTANCE_ID, "SecretPiece", "TokenPiece"];
    assert_eq!(memory::found(running.pid(), &needles).unwrap(), [metadata::INSTANCE_ID]);
    let log = running.log();
    assert!(log.contains("TRACE"), "{log}");
    for secret in ["SecretPiece", "TokenPiece", KEYS.access] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

// Alertmanager

/// A host whose clock a test sets, and an Alertmanager whose clock is right.
struct Watched<'net> {
    agent: Skewguard<'net>,
    clock: FakeClock,
}

const RESOLVE_TIMEOUT: u32 = 15;

impl<'net> Watched<'net> {
    fn new(net: &'net Net, alertmanager: &Alertmanager<'_>, offset: f64) -> Self {
        let clock = FakeClock::new().unwrap();
        clock.set(offset).unwrap();
        let yaml = config(&format!(
            "  - {{ name: am, alerts: [clock-skew], alertmanager: {{ url: \"{}\", repost: 10s }} }}",
            alertmanager.url()
        ))
        .replace("imds: { poll: 5m }", "imds: { enabled: false }");
        let agent = Skewguard::new(net, &yaml).unwrap().with_clock(&clock).unwrap();
        Self { agent, clock }
    }

    /// Sets the clock of the host so many seconds ahead of right time.
    fn set_clock(&self, offset: f64) {
        self.clock.set(offset).unwrap();
    }
}

#[track_caller]
fn await_active(
    alertmanager: &Alertmanager<'_>,
    what: &str,
    running: &Running<'_>,
    is_so: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let active = || alertmanager.active("clock-skew").unwrap();
    wait_for(what, PATIENCE, || Some(active()).filter(|alerts| is_so(alerts)))
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}\n{}", active(), running.log(), alertmanager.log()))
}

fn severity(alert: &Value) -> &str {
    alert["labels"]["severity"].as_str().unwrap()
}

#[test]
fn a_real_alertmanager_has_the_alert_at_true_time_however_wrong_the_clock_is() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    for offset in [TWO_DAYS, -TWO_DAYS, TEN_YEARS] {
        let hook = HttpServer::start(&net, Side::Aws, at(8080)).unwrap();
        hook.on("POST /hook", Reply::ok(""));
        let alertmanager =
            Alertmanager::start(&net, at(9093), RESOLVE_TIMEOUT, &format!("{}/hook", hook.url())).unwrap();
        let began = now();
        let watched = Watched::new(&net, &alertmanager, offset);
        let running = watched.agent.run().unwrap();
        let alert = await_active(&alertmanager, "the alert", &running, |alerts| !alerts.is_empty()).remove(0);
        assert_eq!((severity(&alert), &alert["status"]["state"]), ("critical", &"active".into()), "{offset}");
        assert_eq!(alert["labels"]["source"], "skewguard");
        let starts = seconds(alert["startsAt"].as_str().unwrap());
        assert!((began - 1.0..=now() + 1.0).contains(&starts), "{offset}: {alert}");
        assert_eq!(alert["annotations"]["verified"], "true");
        assert_eq!(alert["annotations"]["runbook_url"], runbook());
        let system = seconds(alert["annotations"]["system_time"].as_str().unwrap());
        assert!((system - now()).abs() > 86_400.0, "the clock of the host is wrong by {offset}: {alert}");

        watched.set_clock(0.0);
        await_active(&alertmanager, "the end of the alert", &running, <[Value]>::is_empty);
        let resolved = wait_for("the notification", PATIENCE, || {
            bodies(&hook).into_iter().find(|notification| notification["status"] == "resolved")
        });
        let resolved = resolved.unwrap_or_else(|error| panic!("{error}: {:?}\n{}", bodies(&hook), alertmanager.log()));
        let ends = seconds(resolved["alerts"][0]["endsAt"].as_str().unwrap());
        assert!((starts..=now() + 1.0).contains(&ends), "{offset}: {resolved}");
        let firing = bodies(&hook).iter().filter(|notification| notification["status"] == "firing").count();
        assert_eq!(firing, 1, "one alert from its beginning to its end");
    }
}

#[test]
fn a_real_alertmanager_keeps_an_alert_as_long_as_it_is_posted_again() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let alertmanager = Alertmanager::start(&net, at(9093), RESOLVE_TIMEOUT, "http://127.0.0.1:9/none").unwrap();
    let watched = Watched::new(&net, &alertmanager, 400.0);
    let mut running = watched.agent.run().unwrap();
    let first = await_active(&alertmanager, "the alert", &running, |alerts| !alerts.is_empty()).remove(0);
    let fired = Instant::now();
    // It would be over after 15 s without a repost.
    while fired.elapsed() < Duration::from_secs(40) {
        let active = alertmanager.active("clock-skew").unwrap();
        assert_eq!(active.len(), 1, "after {:?}: {active:?}\n{}", fired.elapsed(), running.log());
        assert_eq!(active[0]["startsAt"], first["startsAt"]);
        thread::sleep(Duration::from_millis(500));
    }
    assert!(running.stop(PATIENCE).unwrap().success());
    drop(running);
    // Nobody posts it any more, and nobody said that it was over.
    thread::sleep(Duration::from_secs(2));
    assert_eq!(alertmanager.active("clock-skew").unwrap().len(), 1);
    wait_for("the end", PATIENCE, || alertmanager.active("clock-skew").unwrap().is_empty().then_some(())).unwrap();
}

#[test]
fn a_real_alertmanager_has_one_severity_at_a_time() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    // A timeout that does not come: whatever ends was told to end.
    let alertmanager = Alertmanager::start(&net, at(9093), 3_600, "http://127.0.0.1:9/none").unwrap();
    let watched = Watched::new(&net, &alertmanager, 100.0);
    let running = watched.agent.run().unwrap();
    for (offset, expected) in [(100.0, "warning"), (400.0, "critical"), (100.0, "warning")] {
        watched.set_clock(offset);
        await_active(&alertmanager, expected, &running, |alerts| alerts.len() == 1 && severity(&alerts[0]) == expected);
    }
    watched.set_clock(0.0);
    await_active(&alertmanager, "the end", &running, <[Value]>::is_empty);
}

// `alert test`

#[test]
fn a_test_opens_and_closes_on_every_channel_though_the_clock_is_wrong() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    chrony.set_offset(TWO_DAYS).unwrap();
    let _role = role(&net);
    let hook = HttpServer::start(&net, Side::Aws, at(8080)).unwrap();
    hook.on("POST /hook", Reply::ok("thanks"));
    let sns = targets::start(&net, at(8081), "POST /", Reply::ok("<PublishResponse/>"), |request| {
        targets::sns(request, REGION, TOPIC, KEYS)
    })
    .unwrap();
    let yaml = config(&format!(
        "  - {{ name: ops, webhook: {{ url: \"{}/hook\" }} }}
  - {{ name: topic, severity: critical, sns: {{ topic: \"{TOPIC}\", endpoint: \"{}\" }} }}",
        hook.url(),
        sns.url()
    ));
    let agent = Skewguard::new(&net, &yaml).unwrap();
    let answer = agent.answer(&["alert", "test"]).unwrap();
    let lines: Vec<&str> = answer.stdout.lines().collect();
    let expected = [
        "ops: firing taken, status 200: thanks",
        "ops: resolved taken, status 200: thanks",
        "topic: firing taken, status 200: <PublishResponse/>",
        "topic: resolved taken, status 200: <PublishResponse/>",
    ];
    assert_eq!((answer.code, lines.as_slice(), answer.stderr.as_str()), (Some(0), expected.as_slice(), ""));
    let [fires, ends] = bodies(&hook).try_into().unwrap();
    assert_eq!(
        (&fires["alert"], &fires["change"], &ends["change"]),
        (&"test".into(), &"firing".into(), &"resolved".into())
    );
    assert_eq!(fires["id"], ends["id"]);
    assert!(fires["summary"].as_str().unwrap().contains("nothing is wrong"), "{fires}");
    assert_eq!((&fires["verified"], &fires["runbook"]), (&true.into(), &Value::Null), "a test needs no runbook");
    let ahead = seconds(fires["true_time"].as_str().unwrap()) - now();
    assert!((ahead - TWO_DAYS).abs() < 60.0, "{ahead}");

    hook.on("POST /hook", Reply::new(403, "not you"));
    let refused = agent.answer(&["alert", "test"]).unwrap();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stdout.starts_with("ops: firing NOT taken, status 403: not you\ntopic: firing taken"),
        "{refused:?}"
    );
    let one = agent.answer(&["alert", "test", "topic"]).unwrap();
    assert_eq!((one.code, one.stdout.lines().count()), (Some(0), 2), "{one:?}");
    let unknown = agent.answer(&["alert", "test", "nobody"]).unwrap();
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (Some(64), "error: there is no channel \"nobody\": the configuration has ops, topic\n")
    );

    drop(chrony);
    let unverified = agent.answer(&["alert", "test", "ops"]).unwrap();
    assert_eq!(unverified.code, Some(1));
    assert!(unverified.stderr.starts_with("warning: true time is not known"), "{unverified:?}");
    assert_eq!(bodies(&hook).last().unwrap()["verified"], false);

    agent.configure("sources: [{ name: a, ntp: 169.254.169.123 }]\n").unwrap();
    let none = agent.answer(&["alert", "test"]).unwrap();
    assert_eq!(none.code, Some(64));
    assert!(none.stderr.starts_with("error: there is no channel: write one"), "{none:?}");
}

// Signatures

/// Asks S3 for the list of the bucket, signed as of `at` with the keys of the role; the status and the body.
fn list_bucket(net: &Net, s3: SocketAddr, imds: &Imds, at: TrueTime) -> (u16, String) {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let target = format!("/{}", s3::BUCKET);
    let mut headers =
        HeaderMap::from_iter([(HeaderName::from_static("x-amz-content-sha256"), HeaderValue::from_static(empty))]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let keys = net.within(Side::Agent, || {
        runtime.block_on(async { ImdsClient::new(imds).unwrap().role_keys().await.ok().unwrap() })
    });
    let url = format!("http://{s3}{target}");
    let unsigned = Unsigned { method: "GET", url: &url, headers: &headers, body: b"" };
    let signature = sign(&unsigned, Service { name: "s3", region: "us-east-1" }, keys.unwrap(), at).unwrap();
    headers.extend(signature);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let response = net.within(Side::Agent, || http::request(s3, "GET", &target, &headers, "")).unwrap().unwrap();
    (response.status, response.body)
}

#[test]
fn an_s3_server_refuses_what_is_signed_by_the_wrong_clock_and_takes_what_the_agent_signs() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    chrony.set_offset(TWO_DAYS).unwrap();
    let _role = role(&net);
    // The server has true time, which is two days ahead of the clock of this host.
    let s3 = S3::start(&net, at(9000), "+2d").unwrap();
    let imds = Imds {
        endpoint: "http://169.254.169.254".into(),
        timeout: Duration::from_secs(5),
        attempts: 1,
        poll: Duration::from_secs(300),
        version_1: false,
    };

    let by_system_clock = list_bucket(&net, at(9000), &imds, TrueClock::default().now().time);
    assert_eq!(by_system_clock.0, 403, "{by_system_clock:?}\n{}", s3.log());
    assert!(by_system_clock.1.contains("<Code>RequestTimeTooSkewed</Code>"), "{by_system_clock:?}");

    let source = Source {
        name: "amazon-time-sync".into(),
        kind: Server::Address(SocketAddr::new(TIME_SYNC, 123)).into(),
        trusted: true,
        leap_smear: true,
        group: None,
        poll: Duration::from_secs(1),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let polled = net.within(Side::Agent, || runtime.block_on(poller::once(0, source, &Arc::default()))).unwrap();
    let clock = TrueClock::default();
    clock.set(polled.result.unwrap().anchor, true);
    assert!(clock.now().verified && clock.now().time.since(TrueTime::from_nanos(0)).seconds() > now() + TWO_DAYS - 1.0);
    let by_true_time = list_bucket(&net, at(9000), &imds, clock.now().time);
    assert_eq!(by_true_time.0, 200, "{by_true_time:?}\n{}", s3.log());
    assert!(by_true_time.1.contains("<ListBucketResult"), "{by_true_time:?}");

    // Its window is the one of S3: 15 minutes.
    let stale = TrueTime::from_seconds(clock.now().time.seconds() - 901.0);
    assert_eq!(list_bucket(&net, at(9000), &imds, stale).0, 403);
}
