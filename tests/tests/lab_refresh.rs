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
use tests::sdks::{self, Java, Jvm};

const TOKEN: &str = "PUT /latest/api/token";
const DOCUMENT: &str = "GET /latest/meta-data/iam/security-credentials/web";
/// How far the measured may be from the predicted, in seconds; the steps of a walk are one second.
const TOLERANCE: f64 = 2.0;
/// botocore replaces credentials from 900 s before their end on where it can, and insists on it from 600 s on.
const ADVISORY_LEAD: f64 = 300.0;
/// The Rust SDK takes up to so much off its 10 s, anew for each credential.
const RUST_JITTER: f64 = 5.0;
/// New credentials of a role are there at least so many seconds before the end of those before them, as AWS has it.
const ROTATED: i64 = 300;
/// A virtual machine of Java is slow where its clock is not the system's: so many seconds pass at once, which are what is
/// measured too little.
const STRIDE: u32 = 15;
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

/// When a metadata service hands out new credentials.
#[derive(Clone, Copy, PartialEq)]
enum New {
    /// To whoever asks.
    Always,
    /// When [`ROTATED`] is left of the former.
    Late,
}

impl Host {
    fn new(lag: f64, life: u32) -> Self {
        Self::with(lag, life, New::Always)
    }

    fn with(lag: f64, life: u32, new: New) -> Self {
        let net = Net::new().unwrap();
        let passed = Arc::new(AtomicU32::new(0));
        let truth = Arc::clone(&passed);
        let time = scripted(move |request| Packet::answer(request, f64::from(truth.load(Ordering::SeqCst))));
        let time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), time).unwrap();
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), "").unwrap();
        let expiration = Arc::new(AtomicI64::new(0));
        imds.on_each(DOCUMENT, {
            let (passed, expiration) = (Arc::clone(&passed), Arc::clone(&expiration));
            move |_| {
                let at = whole(now() + f64::from(passed.load(Ordering::SeqCst)));
                if new == New::Always || expiration.load(Ordering::SeqCst) - at < ROTATED {
                    expiration.store(at + i64::from(life), Ordering::SeqCst);
                }
                Reply::ok(document(expiration.load(Ordering::SeqCst), life))
            }
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
    fn left_when(&self, what: &str, happens: impl FnMut() -> bool) -> f64 {
        self.left_in_strides_of(1, what, happens)
    }

    /// The same with so many seconds at once.
    fn left_in_strides_of(&self, stride: u32, what: &str, mut happens: impl FnMut() -> bool) -> f64 {
        for _ in 0..2 * self.life / stride {
            let passed = f64::from(self.passed.fetch_add(stride, Ordering::SeqCst) + stride);
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

/// A document with a life of `life` that ends at `expiration`.
fn document(expiration: i64, life: u32) -> String {
    let rfc3339 = |seconds| DateTime::from_timestamp(seconds, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    format!(
        r#"{{"Code":"Success","LastUpdated":"{}","Type":"AWS-HMAC","AccessKeyId":"ASIALABKEYID","SecretAccessKey":"secret","Token":"token","Expiration":"{}"}}"#,
        rfc3339(expiration - i64::from(life)),
        rfc3339(expiration)
    )
}

#[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch")]
fn whole(seconds: f64) -> i64 {
    seconds as i64
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

/// What the agent says of the SDK for JavaScript, how bad that is, and what is left at a refresh.
fn javascript_on_a_host_slow_by(lag: f64) -> (f64, Option<String>, f64) {
    let host = Host::new(lag, 3_600);
    let (predicted, severity) = host.predicted("js-v3");
    let mut environment = host.clock.environment().unwrap().to_vec();
    environment.push(("AWS_EC2_METADATA_V1_DISABLED", "true".into()));
    let mut program = sdks::javascript(&host.net, &environment).unwrap();
    let mut uses = || program.ask("use").unwrap();
    assert_eq!(uses(), "used");
    let documents = host.imds.count(DOCUMENT);
    let refreshed = host.left_when("a refresh", || {
        assert_eq!(uses(), "used");
        host.imds.count(DOCUMENT) > documents
    });
    (predicted, severity, refreshed)
}

#[test]
fn the_sdk_for_javascript_replaces_credentials_when_the_agent_says() {
    let lags = [0.0, 200.0, 400.0];
    let rows = thread::scope(|scope| {
        let threads = lags.map(|lag| scope.spawn(move || javascript_on_a_host_slow_by(lag)));
        threads.map(|thread| thread.join().unwrap())
    });
    println!("JavaScript v3: seconds of true time left of its credentials");
    for (lag, (predicted, severity, refreshed)) in lags.iter().zip(&rows) {
        println!("lag {lag:4.0}: predicted {predicted:6.1}, refreshes {refreshed:6.1}, the agent's word {severity:?}");
    }
    for (lag, (predicted, severity, refreshed)) in lags.iter().zip(&rows) {
        assert!((predicted - (300.0 - lag)).abs() <= 0.5, "{predicted} with a lag of {lag}");
        assert!((refreshed - predicted).abs() <= TOLERANCE, "{refreshed} is not about {predicted}");
        assert_eq!(severity.as_deref(), (*refreshed < 0.0).then_some("critical"), "{lag}");
    }
}

/// What the agent says of an SDK for Java of 2025, and what is left of each credential when it has the next, of a service
/// that has new ones as late as AWS allows.
fn java_on_a_host_slow_by(lag: f64, life: u32) -> (f64, [f64; 2]) {
    let host = Host::with(lag, life, New::Late);
    let (predicted, _) = host.predicted("java-v2-2025");
    let environment = host.clock.environment().unwrap();
    let jvm = Jvm { environment: &environment, options: &[], provider: "default", sts: None };
    let mut program = jvm.start(&host.net, Java::V2).unwrap();
    assert_eq!(program.ask("use").unwrap(), "used");
    let replaced = std::array::from_fn(|_| {
        let former = host.expiration.load(Ordering::SeqCst);
        host.left_in_strides_of(STRIDE, "a new credential", || {
            assert_eq!(program.ask("use").unwrap(), "used", "{}", program.log());
            host.expiration.load(Ordering::SeqCst) != former
        })
    });
    (predicted, replaced)
}

#[test]
fn the_sdk_for_java_replaces_credentials_no_later_than_the_agent_says() {
    // It halves what is left until it asks again, so that the life decides how late it is.
    let hosts = [(0.0, 3_600), (400.0, 3_600)];
    let rows: Vec<_> = thread::scope(|scope| {
        let threads = hosts.map(|(lag, life)| scope.spawn(move || java_on_a_host_slow_by(lag, life)));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    println!("Java 2.33: seconds of true time left of its credentials when it has new ones");
    for ((lag, life), (predicted, replaced)) in hosts.iter().zip(&rows) {
        println!("lag {lag:4.0}, life {life}: predicted {predicted:6.1} or more, and it is {replaced:6.1?}");
    }
    for ((lag, life), (predicted, replaced)) in hosts.iter().zip(&rows) {
        assert!((predicted - (1.0 - lag)).abs() <= 0.5, "{predicted} with a lag of {lag}");
        let least = predicted - f64::from(STRIDE) - TOLERANCE;
        assert!(replaced.iter().all(|left| *left >= least), "{lag} {life}: {replaced:?}");
    }
}
