//! What the agent costs the instance metadata service: requests, and packets on the wire.

#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]
#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use tests::agent::Skewguard;
use tests::http::{HttpServer, Reply, Request};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, Packet, scripted};
use tests::wire::Wire;

/// By how much all of the lab's time is hurried, the agent's timers included: an hour takes half a minute.
const FACTOR: u32 = 120;
const HOURS: usize = 2;
/// The most requests that an hour may take.
const MOST_REQUESTS: usize = 40;
/// The default, but for what hurries with the clock: 60 s of it are half a second.
const DEFAULT: &str = "credentials: { imds: { timeout: 60s } }\n";
/// Amazon Time Sync is asked every 16 s.
const POLLS_AN_HOUR: usize = 225;
const DOCUMENT: &str = "GET /latest/meta-data/iam/security-credentials/web";

/// Time that passes [`FACTOR`] times as fast as the machine's.
#[derive(Clone, Copy)]
struct Hurried {
    began: Instant,
}

impl Hurried {
    /// How far it is ahead of the machine's time, in seconds.
    fn ahead(self) -> f64 {
        self.began.elapsed().as_secs_f64() * f64::from(FACTOR - 1)
    }

    /// Seconds since the epoch.
    fn now(self) -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() + self.ahead()
    }

    fn sleep_until(self, hour: usize) {
        let end = self.began + Duration::from_secs(3_600) * u32::try_from(hour).unwrap() / FACTOR;
        thread::sleep(end.saturating_duration_since(Instant::now()));
    }
}

/// A role as AWS has them: its credentials live for six hours and are replaced every hour.
fn healthy_role(net: &Net, time: Hurried) -> HttpServer {
    let imds = metadata::start(net, Side::Aws, SocketAddr::new(IMDS, 80), "").unwrap();
    imds.on_each(DOCUMENT, move |_| {
        #[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch")]
        let updated = time.now() as i64 / 3_600 * 3_600;
        let rfc3339 = |seconds| DateTime::from_timestamp(seconds, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (secret, token) = ("secret".repeat(7), "token".repeat(200));
        Reply::ok(format!(
            r#"{{"Code":"Success","LastUpdated":"{}","Type":"AWS-HMAC","AccessKeyId":"ASIALABKEYID","SecretAccessKey":"{secret}","Token":"{token}","Expiration":"{}"}}"#,
            rfc3339(updated),
            rfc3339(updated + 6 * 3_600)
        ))
    });
    imds
}

#[test]
fn the_default_agent_asks_the_metadata_service_for_less_than_40_things_an_hour() {
    let net = Net::new().unwrap();
    let agent = Skewguard::new(&net, DEFAULT).unwrap().with_hurried_time(FACTOR).unwrap();
    let time = Hurried { began: Instant::now() };
    let server = scripted(move |request| Packet::answer(request, time.ahead()));
    let server = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), server).unwrap();
    let imds = healthy_role(&net, time);
    let wire = Wire::listen(&net, Side::Agent, IMDS).unwrap();
    let running = agent.run().unwrap();

    let (mut requests, mut packets, mut polls) = (vec![0], vec![0], vec![0]);
    for hour in 1..=HOURS {
        time.sleep_until(hour);
        requests.push(imds.requests().len());
        packets.push(wire.packets());
        polls.push(server.requests());
    }
    let status = running.status().unwrap();

    let all = imds.requests();
    for hour in 1..=HOURS {
        println!(
            "hour {hour}: {} requests to IMDS in {} packets; {} polls of Amazon Time Sync",
            requests[hour] - requests[hour - 1],
            packets[hour] - packets[hour - 1],
            polls[hour] - polls[hour - 1]
        );
        let mut routes: BTreeMap<String, usize> = BTreeMap::new();
        for route in all[requests[hour - 1]..requests[hour]].iter().map(Request::route) {
            *routes.entry(route).or_default() += 1;
        }
        for (route, count) in routes {
            println!("  {count:3} {route}");
        }
    }
    for hour in 1..=HOURS {
        let (asked, carried) = (requests[hour] - requests[hour - 1], packets[hour] - packets[hour - 1]);
        // An hour has passed for the agent's timers. Each poll is as late as this machine is, and 10 ms are more than 1 s.
        let polled = polls[hour] - polls[hour - 1];
        let paced = POLLS_AN_HOUR * 3 / 4..=POLLS_AN_HOUR * 11 / 10;
        assert!(paced.contains(&polled), "{polled} polls: {status:#}");
        assert!((20..=MOST_REQUESTS).contains(&asked), "{asked} requests in hour {hour}: {}", running.log());
        // A connection takes at least three packets to open, two with the request and the answer, and two to close.
        assert!(carried >= 7 * u64::try_from(asked).unwrap(), "{carried} packets for {asked} requests");
    }
    // All of it was the traffic of a host that is in order. It started a moment after the lab's time did, which is a second
    // or so of this time.
    let answers = status["imds_requests"].as_object().unwrap();
    // The tags of the instance are asked for once, and are not in its metadata, as by default.
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["http-404", "ok"], "{status:#}");
    assert_eq!(answers["http-404"], 2, "{status:#}");
    let mut credentials = status["credentials"].as_array().unwrap().iter();
    let role = credentials.find(|credential| credential["provider"] == "imds").unwrap();
    let clock = &status["clock"];
    assert_eq!((&clock["state"], &role["state"]), (&"synchronized".into(), &"valid".into()), "{status:#}");
    assert!(clock["offset_seconds"].as_f64().unwrap().abs() < 30.0, "{status:#}");
}
