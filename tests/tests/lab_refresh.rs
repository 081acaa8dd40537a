//! The arithmetic of refresh margins against the real thing: what is left of a role's credentials, in true time, when an
//! SDK on a slow host replaces them, and what the agent on the same host has said of it before.

#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use tests::agent::{FakeClock, Skewguard};
use tests::botocore;
use tests::dialogue::Dialogue;
use tests::http::{HttpServer, Reply};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, Packet, scripted};

const TOKEN: &str = "PUT /latest/api/token";
const DOCUMENT: &str = "GET /latest/meta-data/iam/security-credentials/web";
/// How far the measured may be from the predicted, in seconds; the steps of a walk are one second.
const TOLERANCE: f64 = 2.0;
/// botocore replaces credentials from 900 s before their end on where it can, and insists on it from 600 s on.
const ADVISORY_LEAD: f64 = 300.0;
/// The Rust SDK takes up to so much off its 10 s, anew for each credential.
const RUST_JITTER: f64 = 5.0;
/// The answer of an STS that takes any signature.
const IDENTITY: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
    <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

/// A host whose clock is slow, and an AWS around it, in a time that a test lets pass.
struct Host {
    net: Net,
    lag: f64,
    /// How long credentials live from the moment at which they are handed out, in seconds.
    life: u32,
    /// True time minus the machine's, in whole seconds.
    passed: Arc<AtomicU32>,
    /// What all programs on the host take for the time.
    clock: FakeClock,
    imds: HttpServer,
    /// When the credentials expire that were handed out last, in true seconds since the epoch.
    expiration: Arc<AtomicI64>,
    _time: NtpServer,
}

impl Host {
    fn new(lag: f64, life: u32) -> Self {
        let net = Net::new().unwrap();
        let passed = Arc::new(AtomicU32::new(0));
        let truth = Arc::clone(&passed);
        let time = scripted(move |request| Packet::answer(request, f64::from(truth.load(Ordering::SeqCst))));
        let time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), time).unwrap();
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), "").unwrap();
        let expiration = Arc::new(AtomicI64::new(0));
        imds.on_each(DOCUMENT, {
            let (passed, expiration) = (Arc::clone(&passed), Arc::clone(&expiration));
            move |_| Reply::ok(document(now() + f64::from(passed.load(Ordering::SeqCst)), life, &expiration))
        });
        let clock = FakeClock::new().unwrap();
        clock.set(-lag).unwrap();
        Self { net, lag, life, passed, clock, imds, expiration, _time: time }
    }

    /// What the agent says on this host: the margin of an SDK in seconds, and how bad that is.
    fn predicted(&self, sdk: &str) -> (f64, Option<String>) {
        let yaml = format!(
            "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}]
sdks: [{sdk}]
"
        );
        let agent = Skewguard::new(&self.net, &yaml).unwrap().with_clock(&self.clock).unwrap();
        let checked = agent.check().unwrap().json().unwrap();
        let mut credentials = checked["credentials"].as_array().unwrap().iter();
        let role = credentials.find(|credential| credential["provider"] == "imds").unwrap();
        let margin = role["refresh_margins_seconds"][sdk].as_f64();
        let findings = checked["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["alert"] == "credential-refresh-margin");
        let severity = finding.map(|finding| finding["severity"].as_str().unwrap().to_owned());
        (margin.unwrap_or_else(|| panic!("no margin of {sdk}: {checked:#}")), severity)
    }

    /// Lets second after second pass until `happens`, and returns what is left then, in true time, of the credentials that
    /// were handed out before.
    fn left_when(&self, what: &str, mut happens: impl FnMut() -> bool) -> f64 {
        for _ in 0..2 * self.life {
            let passed = f64::from(self.passed.fetch_add(1, Ordering::SeqCst) + 1);
            self.clock.set(passed - self.lag).unwrap();
            #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch")]
            let left = self.expiration.load(Ordering::SeqCst) as f64 - (now() + passed);
            if happens() {
                return left;
            }
        }
        panic!("in two lifetimes {what} has not happened with a lag of {} s", self.lag)
    }
}

/// A document with a life of `life` from `now` on; its expiration is noted.
fn document(now: f64, life: u32, noted: &AtomicI64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch")]
    let expiration = now as i64 + i64::from(life);
    noted.store(expiration, Ordering::SeqCst);
    let rfc3339 = |seconds| DateTime::from_timestamp(seconds, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    format!(
        r#"{{"Code":"Success","LastUpdated":"{}","Type":"AWS-HMAC","AccessKeyId":"ASIALABKEYID","SecretAccessKey":"secret","Token":"token","Expiration":"{}"}}"#,
        rfc3339(expiration - i64::from(life)),
        rfc3339(expiration)
    )
}

/// Seconds since the epoch by the machine's clock.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What became of one lag; all but the lag is what is left in true time, in seconds.
#[derive(Debug)]
struct Row {
    lag: f64,
    predicted: f64,
    severity: Option<String>,
    /// When new credentials were fetched from a service that is in order.
    refreshed: f64,
    /// When the first of them was asked for from a service that fails.
    tried: f64,
    /// When its failure became the program's.
    insisted: f64,
}

fn botocore_on_a_host_slow_by(lag: f64) -> Row {
    let host = Host::new(lag, 3_600);
    let (predicted, severity) = host.predicted("botocore");
    let mut program = botocore::role(&host.net, &host.clock).unwrap();
    let mut uses = || program.ask("use").unwrap();
    assert_eq!(uses(), "used");

    let documents = host.imds.count(DOCUMENT);
    let refreshed = host.left_when("a refresh", || {
        assert_eq!(uses(), "used");
        host.imds.count(DOCUMENT) > documents
    });

    // From here on no credentials can be had.
    host.imds.on(TOKEN, Reply::new(503, "Service Unavailable"));
    let tokens = host.imds.count(TOKEN);
    let tried = host.left_when("an attempt to refresh", || {
        assert_eq!(uses(), "used");
        host.imds.count(TOKEN) > tokens
    });
    let mut answer = String::new();
    let insisted = host.left_when("a refresh that must not fail", || {
        answer = uses();
        answer != "used"
    });
    assert_eq!(answer, "MetadataRetrievalError", "{}", program.log());
    Row { lag, predicted, severity, refreshed, tried, insisted }
}

#[track_caller]
fn assert_near(measured: f64, predicted: f64, row: &Row) {
    assert!((measured - predicted).abs() <= TOLERANCE, "{measured} is not about {predicted}: {row:?}");
}

#[test]
fn botocore_replaces_credentials_when_the_agent_says_and_tries_five_minutes_before() {
    let rows = thread::scope(|scope| {
        let lags = [0.0, 300.0, 590.0, 610.0, 890.0, 910.0, 1_200.0];
        let threads = lags.map(|lag| scope.spawn(move || botocore_on_a_host_slow_by(lag)));
        threads.map(|thread| thread.join().unwrap())
    });
    println!("botocore: seconds of true time left of its credentials");
    println!("   lag | predicted | insists | predicted + 300 | tries | refreshes | the agent's word");
    for Row { lag, predicted, severity, refreshed, tried, insisted } in &rows {
        let (advisory, word) = (predicted + ADVISORY_LEAD, severity.as_deref().unwrap_or("none"));
        println!(
            "{lag:6.0} | {predicted:9.1} | {insisted:7.1} | {advisory:15.1} | {tried:5.1} | {refreshed:9.1} | {word}"
        );
    }
    for row in &rows {
        assert_near(row.predicted, 600.0 - row.lag, row);
        assert_near(row.insisted, row.predicted, row);
        assert_near(row.tried, row.predicted + ADVISORY_LEAD, row);
        assert_near(row.refreshed, row.predicted + ADVISORY_LEAD, row);
        // What botocore really comes to is what the agent warns of.
        let word = match row.insisted {
            ..0.0 => Some("critical"),
            0.0..60.0 => Some("warning"),
            _ => None,
        };
        assert_eq!(row.severity.as_deref(), word, "{row:?}");
    }
}

/// What the agent says of the Rust SDK, how bad that is, and what is left at each of some refreshes.
fn rust_on_a_host_slow_by(lag: f64) -> (f64, Option<String>, [f64; 5]) {
    let host = Host::new(lag, 120);
    let (predicted, severity) = host.predicted("rust");
    let sts = HttpServer::start(&host.net, Side::Aws, SocketAddr::new(IMDS, 8_080)).unwrap();
    sts.on("POST /", Reply::ok(IDENTITY).header("Content-Type", "text/xml"));
    let (program, clock) = (env!("CARGO_BIN_EXE_rust-sdk"), host.clock.environment().unwrap());
    let mut program = Dialogue::on_host(&host.net, &clock, program, &[&sts.url()]).unwrap();
    assert_eq!(program.ask("who?").unwrap(), "used");
    let refreshed = std::array::from_fn(|_| {
        let documents = host.imds.count(DOCUMENT);
        host.left_when("a refresh", || {
            assert_eq!(program.ask("who?").unwrap(), "used");
            host.imds.count(DOCUMENT) > documents
        })
    });
    (predicted, severity, refreshed)
}

#[test]
fn the_rust_sdk_replaces_credentials_when_the_agent_says_or_as_much_earlier_as_its_jitter_has_it() {
    let lags = [0.0, 5.0, 15.0];
    let rows = thread::scope(|scope| {
        let threads = lags.map(|lag| scope.spawn(move || rust_on_a_host_slow_by(lag)));
        threads.map(|thread| thread.join().unwrap())
    });
    println!("aws-config: seconds of true time left of its credentials");
    for (lag, (predicted, severity, refreshed)) in lags.iter().zip(&rows) {
        let word = severity.as_deref().unwrap_or("none");
        println!(
            "lag {lag:4.0}: predicted {predicted:5.1} or more, the agent's word {word}; refreshes {refreshed:5.1?}"
        );
    }
    for (lag, (predicted, severity, refreshed)) in lags.iter().zip(&rows) {
        assert!((predicted - (5.0 - lag)).abs() <= 0.1, "{predicted} with a lag of {lag}");
        for left in refreshed {
            let wanted = predicted - TOLERANCE..=predicted + RUST_JITTER + TOLERANCE;
            assert!(wanted.contains(left), "{left} is not in {wanted:?}");
        }
        // With a lag of 5 s it is a matter of milliseconds how bad that is.
        match severity.as_deref() {
            None => assert!(refreshed.iter().all(|left| *left > 0.0), "{refreshed:?}"),
            Some("critical") => assert!(refreshed.iter().any(|left| *left < TOLERANCE), "{refreshed:?}"),
            Some(_) => assert_eq!(*lag, 5.0),
        }
    }
}
