//! Real collectors between the agent and a real backend: what arrives is what arrives without one, under the same names and as of
//! the same moments, although the clock of the host is days off.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tests::agent::Skewguard;
use tests::chrony::Chrony;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::rotel::Rotel;
use tests::victoria::{Labels, Victoria};
use tests::vmagent::Vmagent;
use tests::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
/// By so much the clock of the host is fast, in seconds.
const FAST: f64 = 172_800.0;

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(IMDS, port)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn config(otlp: &str) -> String {
    format!(
        "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}]
credentials: {{ imds: {{ poll: 10s }} }}
alerts: {{ boot_grace: 0s }}
telemetry: {{ detail: full, otlp: {{ endpoint: \"{otlp}\", interval: 1s, timeout: 1s }} }}
"
    )
}

/// The series that a backend has of the agent, each by its name and its labels. Whoever exports is another process each time.
fn series(victoria: &Victoria<'_>) -> BTreeSet<Labels> {
    let of_agent = "{service_name=\"skewguard\"}";
    let own = |mut labels: Labels| {
        labels.remove("service_instance_id");
        labels
    };
    victoria.export(of_agent).unwrap().into_keys().map(own).collect()
}

#[test]
fn what_passes_through_a_collector_arrives_as_it_does_without_one() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let _metadata = metadata::start(&net, Side::Aws, at(80), &metadata::valid_document()).unwrap();
    let backends = [8428, 8429, 8430].map(|port| Victoria::start(&net, Side::Aws, at(port)).unwrap());
    let core = format!("{}/api/v1/write", backends[1].url());
    let vmagent = Vmagent::start(&net, at(8480), "edge", ("CORE_URLS", &core)).unwrap();
    let rotel = Rotel::start(&net, at(4318), &backends[2].otlp_url()).unwrap();
    let ways = [("without one", backends[0].otlp_url()), ("vmagent", vmagent.otlp_url()), ("rotel", rotel.otlp_url())];
    let began = now();
    let agents =
        ways.each_ref().map(|(_, otlp)| Skewguard::new(&net, &config(otlp)).unwrap().with_faked_time("+2d").unwrap());
    let _running = agents.each_ref().map(|agent| agent.run().unwrap());

    for ((way, _), victoria) in ways.iter().zip(&backends) {
        let is_there = || victoria.samples("clock_offset_seconds").is_ok_and(|samples| samples.len() >= 10);
        wait_until(way, PATIENCE, is_there)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", vmagent.log(), rotel.log()));
        let samples = victoria.samples("clock_offset_seconds").unwrap();
        assert!(samples.iter().all(|(at, _)| (began - 1.0..now() + 1.0).contains(at)), "{way}: {samples:?}");
        assert!(samples.iter().all(|(_, offset)| (offset + FAST).abs() < 1.0), "{way}: {samples:?}");
        // One a second, as they were measured, however they were collected and however busy the machine is.
        let mut gaps: Vec<f64> = samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        gaps.sort_by(f64::total_cmp);
        assert!((0.5..2.0).contains(&gaps[gaps.len() / 2]) && gaps[0] > 0.0, "{way}: {gaps:?}");
    }
    for ((way, _), victoria) in ways.iter().zip(&backends).skip(1) {
        let differ =
            || -> Vec<Labels> { series(victoria).symmetric_difference(&series(&backends[0])).cloned().collect() };
        wait_until(way, PATIENCE, || differ().is_empty()).unwrap_or_else(|error| {
            let all = victoria.export("{__name__=~\".+\"}").unwrap();
            panic!("{error}: {:#?} in one alone, of {:#?} and {}", differ(), all.keys(), series(&backends[0]).len())
        });
        assert!(series(victoria).len() > 40, "{way}");
    }
}
