//! TLS in true time: the real agent, real chronyd, and collectors whose certificates are valid for a day.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tests::agent::{Running, Skewguard};
use tests::chrony::Chrony;
use tests::net::{IMDS, Net, SECOND_TIME_SERVER, Side, TIME_SYNC};
use tests::tls::{Authority, Demands, HttpsServer, Identity};
use tests::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
const DAY: f64 = 86_400.0;
const TRUSTED: &str = "{ name: a, ntp: 169.254.169.123, trusted: true, poll: 1s }";
const UNTRUSTED: &str = "{ name: a, ntp: 169.254.169.123, trusted: false, poll: 1s }";
const SECOND: &str = "{ name: b, ntp: 169.254.169.124, trusted: false, poll: 1s }";

fn config(sources: &str, endpoint: &str) -> String {
    format!(
        "
sources: [{sources}]
credentials: {{ imds: {{ enabled: false }} }}
telemetry: {{ otlp: {{ endpoint: \"{endpoint}\", interval: 1s, timeout: 3s }} }}
"
    )
}

/// An agent that trusts `authority`.
fn agent<'net>(net: &'net Net, sources: &str, endpoint: &str, authority: &Authority) -> Skewguard<'net> {
    let agent = Skewguard::new(net, &config(sources, endpoint)).unwrap();
    let ca = agent.dir().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    agent.env("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
}

fn with_identity<'net>(agent: Skewguard<'net>, identity: &Identity) -> Skewguard<'net> {
    let (certificate, key) = (agent.dir().join("client.pem"), agent.dir().join("client.key"));
    fs::write(&certificate, &identity.certificate).unwrap();
    fs::write(&key, &identity.key).unwrap();
    // The variables of one signal and those of all are both honoured.
    agent
        .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate)
        .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key)
        .env("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", certificate)
        .env("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", key)
}

fn collector(net: &Net, port: u16, identity: &Identity, demands: Demands<'_>) -> HttpsServer {
    HttpsServer::start(net, Side::Aws, SocketAddr::new(IMDS, port), identity, demands).unwrap()
}

fn metrics(status: &Value) -> &Value {
    let all = status["delivery"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().find(|one| one["destination"] == "otlp-metrics").unwrap_or(&Value::Null)
}

fn is_delivered(status: &Value) -> bool {
    status["clock"]["state"] == "synchronized" && metrics(status)["delivered"].as_u64() > Some(2)
}

/// Awaits that delivery fails with all of `words`, and that nothing gets through from then on.
fn assert_refused(running: &mut Running<'_>, collector: &HttpsServer, words: &[&str]) {
    let is_said = |status: &Value| {
        let error = metrics(status)["error"].as_str().unwrap_or_default();
        status["clock"]["state"] == "synchronized" && words.iter().all(|word| error.contains(word))
    };
    running.await_status(&words.join(", "), PATIENCE, is_said).unwrap();
    let taken = collector.taken().len();
    let failures = |running: &Running<'_>| metrics(&running.status().unwrap())["failures"].as_u64();
    let before = failures(running);
    wait_until("further attempts", PATIENCE, || failures(running) > before.map(|count| count + 1)).unwrap();
    assert_eq!(collector.taken().len(), taken, "{}", running.log());
}

/// Days by which the truth of the lab is ahead of the machine's clock, what the agent alone believes of it, and what is
/// wrong with a certificate that seems valid.
const WRONG_CLOCKS: [(f64, Option<&str>, &str, &str); 4] = [
    (-2.0, None, "2.0 days fast", "is not valid yet"),
    (2.0, None, "2.0 days slow", "expired at"),
    (0.0, Some("+3652d"), "3652.0 days fast", "is not valid yet"),
    (3_652.0, None, "3652.0 days slow", "expired at"),
];

#[test]
fn certificates_are_judged_by_true_time_however_wrong_the_system_clock_is() {
    for (days, faked, clock, wrong) in WRONG_CLOCKS {
        let net = Net::new().unwrap();
        let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        chrony.set_offset(days * DAY).unwrap();
        let authority = Authority::new("lab").unwrap();
        let collector = |port, days: f64| {
            collector(&net, port, &authority.issue(&IMDS.to_string(), days * DAY).unwrap(), Demands::default())
        };
        let agent = |collector: &HttpsServer| {
            let agent = agent(&net, TRUSTED, &collector.url(), &authority);
            if let Some(offset) = faked { agent.with_faked_time(offset).unwrap() } else { agent }
        };

        let valid = collector(4318, days);
        let right = agent(&valid);
        let mut running = right.run().unwrap();
        running.await_status(&format!("metrics although the clock is {clock}"), PATIENCE, is_delivered).unwrap();
        assert!(valid.taken().iter().any(|request| request.route() == "POST /v1/metrics"));
        let told = format!("TLS certificates are judged by true time: the system clock is {clock}");
        assert_eq!(running.log().matches(&told).count(), 1, "{}", running.log());

        let seemingly_valid = collector(4319, if faked.is_some() { 3_652.0 } else { 0.0 });
        let refusing = agent(&seemingly_valid);
        let mut running = refusing.run().unwrap();
        assert_refused(&mut running, &seemingly_valid, &["TLS failed", wrong, "by true time", clock]);
    }
}

#[test]
fn one_source_that_is_not_trusted_does_not_move_the_time_of_tls_and_two_do() {
    let net = Net::new().unwrap();
    net.add_address(SECOND_TIME_SERVER).unwrap();
    let _chronies = [TIME_SYNC, SECOND_TIME_SERVER].map(|address| Chrony::start(&net, address).unwrap());
    let authority = Authority::new("lab").unwrap();
    let identity = authority.issue(&IMDS.to_string(), 0.0).unwrap();
    let collector = collector(&net, 4318, &identity, Demands::default());

    let agent = |sources: &str| agent(&net, sources, &collector.url(), &authority).with_faked_time("-2d").unwrap();
    let alone = agent(UNTRUSTED);
    let mut running = alone.run().unwrap();
    assert_refused(&mut running, &collector, &["is not valid yet", "Z now"]);
    assert!(collector.taken().is_empty());
    assert!(!running.log().contains("judged by true time"), "{}", running.log());
    drop(running);

    let both = agent(&format!("{UNTRUSTED}, {SECOND}"));
    let mut running = both.run().unwrap();
    running.await_status("metrics by the word of two sources", PATIENCE, is_delivered).unwrap();
    assert!(running.log().contains("judged by true time: the system clock is 2.0 days slow"), "{}", running.log());
}

#[test]
fn a_client_certificate_is_presented_where_the_collector_wants_one() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let (authority, stranger) = (Authority::new("lab").unwrap(), Authority::new("stranger").unwrap());
    let identity = authority.issue(&IMDS.to_string(), 0.0).unwrap();
    let demands = Demands { clients_of: Some(&authority), connect: false };
    let collector = collector(&net, 4318, &identity, demands);

    let nobody = agent(&net, TRUSTED, &collector.url(), &authority);
    assert_refused(&mut nobody.run().unwrap(), &collector, &["TLS failed", "the server wants a client certificate"]);

    let wrong = stranger.issue("client", 0.0).unwrap();
    let wrong = with_identity(agent(&net, TRUSTED, &collector.url(), &authority), &wrong);
    assert_refused(&mut wrong.run().unwrap(), &collector, &["TLS failed", "the server refuses the client certificate"]);
    assert!(collector.taken().is_empty());

    let known = authority.issue("client", 0.0).unwrap();
    let known = with_identity(agent(&net, TRUSTED, &collector.url(), &authority), &known);
    known.run().unwrap().await_status("metrics with a client certificate", PATIENCE, is_delivered).unwrap();
}

#[test]
fn a_collector_of_another_authority_or_of_another_name_is_refused() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let (authority, stranger) = (Authority::new("lab").unwrap(), Authority::new("stranger").unwrap());
    let strange = stranger.issue(&IMDS.to_string(), 0.0).unwrap();
    let strange = collector(&net, 4318, &strange, Demands::default());
    let misnamed = authority.issue("collector.test", 0.0).unwrap();
    let misnamed = collector(&net, 4319, &misnamed, Demands::default());
    for (collector, words) in [(&strange, "unknown issuer"), (&misnamed, "is not for this name, but for")] {
        let agent = agent(&net, TRUSTED, &collector.url(), &authority);
        assert_refused(&mut agent.run().unwrap(), collector, &["TLS failed", words]);
        assert!(collector.taken().is_empty());
    }
}

#[test]
fn a_proxy_is_used_for_what_is_far_and_never_for_what_is_near() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    chrony.set_offset(2.0 * DAY).unwrap();
    let authority = Authority::new("lab").unwrap();
    let (far, near) = (authority.issue("collector.test", 2.0 * DAY), authority.issue(&IMDS.to_string(), 2.0 * DAY));
    let proxy = collector(&net, 3128, &far.unwrap(), Demands { clients_of: None, connect: true });
    let linked = collector(&net, 4318, &near.unwrap(), Demands::default());
    let local = authority.issue("localhost", 2.0 * DAY).unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], 4318));
    let local = HttpsServer::start(&net, Side::Agent, here, &local, Demands::default()).unwrap();

    for (endpoint, taking) in [(linked.url(), &linked), ("https://localhost:4318".to_owned(), &local)] {
        let agent = agent(&net, TRUSTED, &endpoint, &authority).env("HTTPS_PROXY", "http://169.254.169.254:3128");
        agent.run().unwrap().await_status("metrics without the proxy", PATIENCE, is_delivered).unwrap();
        assert!(!taking.taken().is_empty());
        assert_eq!(proxy.connects(), [""; 0]);
    }
    let agent = agent(&net, TRUSTED, "https://collector.test:4317", &authority);
    let agent = agent.env("https_proxy", "http://169.254.169.254:3128");
    agent.run().unwrap().await_status("metrics through the proxy", PATIENCE, is_delivered).unwrap();
    assert!(proxy.taken().iter().any(|request| request.route() == "POST /v1/metrics"));
    assert!(proxy.connects().iter().all(|target| target == "collector.test:4317"), "{:?}", proxy.connects());
}

#[test]
fn a_file_that_is_missing_ends_the_start_with_its_name() {
    let net = Net::new().unwrap();
    let agent = Skewguard::new(&net, &config(TRUSTED, "https://collector.test:4317")).unwrap();
    let answer = agent.env("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem").answer(&["run"]).unwrap();
    assert_ne!(answer.code, Some(0));
    let said = "otlp-metrics: failed to read the CA file /nowhere/ca.pem";
    assert!(answer.stderr.contains(said), "{answer:?}");
    assert_eq!(answer.stderr.matches("/nowhere/ca.pem").count(), 1, "{answer:?}");
}
