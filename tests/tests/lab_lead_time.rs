//! The warning comes before the rejection: an S3 server that really refuses, a client that really signs, a clock that drifts
//! away, and the agent beside it.
//!
//! The machine's clock stays where it is and AWS's drifts, that of the time server and that of S3 alike: by 8 to 40 s a
//! second, ten thousand times as fast as any oscillator can, so that a run takes less than a minute. The agent asks every
//! second, which is the most that it may, and sixteen times as often as by default.

#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it measures when an alert arrives")]
#![expect(clippy::print_stdout, reason = "what is measured is worth reading: --nocapture")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::agent::{FakeClock, Skewguard};
use tests::botocore;
use tests::http::{HttpServer, Reply};
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, Packet, scripted};
use tests::s3::S3;
use tests::wait::wait_for;

/// How many there are for each window, all at once.
const RUNS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a run may take from the beginning of the drift.
const LONGEST: Duration = Duration::from_secs(120);
/// From one request of the client to the next.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the clock of S3 is set.
const STEP: Duration = Duration::from_millis(50);
/// From so many seconds on a skew is critical by default.
const CRITICAL: f64 = 150.0;

/// The time of AWS minus the machine's: a start, and a drift from a moment on.
struct Drift {
    start: f64,
    /// Seconds a second; negative where the host becomes fast.
    rate: f64,
    began: OnceLock<Instant>,
}

impl Drift {
    /// At random, and never at its critical level already.
    fn random(rates: Range<f64>) -> Self {
        let between = |range: Range<f64>| range.start + fastrand::f64() * (range.end - range.start);
        let rate = between(rates) * if fastrand::bool() { 1.0 } else { -1.0 };
        Self { start: between(-100.0..100.0), rate, began: OnceLock::new() }
    }

    fn at(&self, moment: Instant) -> f64 {
        let lasting = self.began.get().map_or(0.0, |began| moment.duration_since(*began).as_secs_f64());
        self.start + self.rate * lasting
    }
}

/// How a run went.
struct Outcome {
    window: f64,
    drift: Arc<Drift>,
    /// When the webhook had been told of a critical skew; `None` where that took too long.
    alerted: Option<Instant>,
    /// When the client began with the first request that was refused.
    refused: Instant,
    log: String,
}

impl Outcome {
    /// Seconds from the alert to the refusal.
    fn lead(&self) -> Option<f64> {
        let refused = self.refused.duration_since(self.began());
        self.alerted.map(|alerted| refused.as_secs_f64() - alerted.duration_since(self.began()).as_secs_f64())
    }

    fn began(&self) -> Instant {
        *self.drift.began.get().unwrap()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Drift { start, rate, .. } = *self.drift;
        let refused = self.drift.at(self.refused);
        write!(to, "{:4.0} s: from {start:+7.1} s by {rate:+6.1} s/s; ", self.window)?;
        match (self.alerted.map(|moment| self.drift.at(moment)), self.lead()) {
            (Some(alerted), Some(lead)) => write!(
                to,
                "alerted at {alerted:+7.1} s, refused at {refused:+7.1} s: {:6.1} s of skew and {lead:5.2} s before",
                refused.abs() - alerted.abs()
            ),
            _ => write!(to, "refused at {refused:+7.1} s, and never alerted"),
        }
    }
}

/// A webhook, and when it was first told of a critical skew.
fn webhook(net: &Net, address: SocketAddr) -> (HttpServer, Arc<OnceLock<Instant>>) {
    let hook = HttpServer::start(net, Side::Aws, address).unwrap();
    let first = Arc::new(OnceLock::new());
    let told = Arc::clone(&first);
    hook.on_each("POST /hook", move |request| {
        let alert: Value = serde_json::from_slice(&request.body).unwrap();
        if alert["alert"] == "clock-skew" && alert["change"] == "firing" && alert["severity"] == "critical" {
            told.get_or_init(Instant::now);
        }
        Reply::ok("")
    });
    (hook, first)
}

/// Drifts until the client is refused by an S3 server with this window.
fn run(window: Duration, drift: Drift) -> Outcome {
    let drift = Arc::new(drift);
    let net = Net::new().unwrap();
    let served = Arc::clone(&drift);
    let time = scripted(move |request| Packet::answer(request, served.at(Instant::now())));
    let _time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), time).unwrap();
    let clock = FakeClock::new().unwrap();
    clock.set(drift.start).unwrap();
    let store = SocketAddr::new(IMDS, 9_000);
    let _store = S3::with_clock(&net, store, &clock, window).unwrap();
    let (hook, alerted) = webhook(&net, SocketAddr::new(IMDS, 8_080));
    let mut client = botocore::s3_client(&net, store).unwrap();
    assert_eq!(client.ask("list").unwrap(), "accepted", "{}", client.log());
    let yaml = format!(
        "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}]
credentials: {{ imds: {{ enabled: false }} }}
alerts: {{ boot_grace: 0s }}
channels: [{{ name: ops, webhook: {{ url: \"{}/hook\" }} }}]
",
        hook.url()
    );
    let agent = Skewguard::new(&net, &yaml).unwrap();
    let mut running = agent.run().unwrap();
    running.await_status("an estimate", PATIENCE, |status| status["clock"]["state"] == "synchronized").unwrap();
    assert_eq!(alerted.get(), None, "{}", running.log());

    drift.began.get_or_init(Instant::now);
    let refused = thread::scope(|scope| {
        let refusal = scope.spawn(|| first_refusal(|| client.ask("list").unwrap()));
        while !refusal.is_finished() {
            // Where it is when it is set next: it is early rather than late, and so are the refusals.
            clock.set(drift.at(Instant::now() + STEP)).unwrap();
            thread::sleep(STEP);
        }
        refusal.join().unwrap()
    });
    // One that comes too late is worth knowing.
    let alerted = wait_for("the alert", Duration::from_secs(10), || alerted.get().copied()).ok();
    Outcome { window: window.as_secs_f64(), drift, alerted, refused, log: running.log() }
}

/// Makes requests until one is refused for its time, and returns when that one began.
fn first_refusal(mut request: impl FnMut() -> String) -> Instant {
    let began = Instant::now();
    while began.elapsed() < LONGEST {
        let asked = Instant::now();
        match request().as_str() {
            "accepted" => thread::sleep(PAUSE),
            "RequestTimeTooSkewed" => return asked,
            other => panic!("refused for another reason: {other}"),
        }
    }
    panic!("in {LONGEST:?} no request was refused")
}

/// Plays all runs at once.
fn assert_warned_before_refused(window: Duration, rates: &Range<f64>) {
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let start = || scope.spawn(|| run(window, Drift::random(rates.clone())));
        let runs: Vec<_> = (0..RUNS).map(|_| start()).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for outcome in &outcomes {
        println!("{outcome}");
    }
    for outcome in &outcomes {
        // The window is what ended the run, give or take the time of a request on a busy machine.
        let beyond = outcome.drift.at(outcome.refused).abs() - outcome.window;
        let slack = 2.0 + 2.0 * outcome.drift.rate.abs();
        assert!(beyond.abs() < slack, "refused {beyond} s beyond the window: {outcome}");
        assert!(outcome.lead().is_some_and(|lead| lead > 0.0), "{outcome}\n{}", outcome.log);
        // And it was no alarm for nothing.
        let alerted = outcome.drift.at(outcome.alerted.unwrap()).abs();
        assert!(alerted > CRITICAL - 1.0, "{outcome}\n{}", outcome.log);
    }
}

#[test]
fn a_critical_alert_comes_before_the_first_request_that_a_window_of_300_s_refuses() {
    assert_warned_before_refused(Duration::from_secs(300), &(8.0..20.0));
}

#[test]
fn a_critical_alert_comes_before_the_first_request_that_a_window_of_900_s_refuses() {
    assert_warned_before_refused(Duration::from_secs(900), &(20.0..40.0));
}
