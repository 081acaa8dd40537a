//! A card that tells the time twice, over NTP and as a clock of hardware, beside witnesses that are others.

use std::path::Path;
use std::sync::Arc;

use super::{Engine, Event};
use crate::assess::finding::Kind;
use crate::clock::sample::{Sample, Timestamps};
use crate::config::load::parse;
use crate::snapshot::Snapshot;
use crate::sources::poller::Polled;
use crate::time::{Anchor, BootTime, Reading, Span, SystemTime};

/// 2026-11-01, the true time at which every scene begins.
const BEGIN: f64 = 1_793_491_200.0;
const CONFIGURATION: &str = "
sources:
- { name: time-sync, ntp: 169.254.169.123, trusted: TRUSTED }
- { name: card, phc: auto, trusted: TRUSTED }
- { name: one, ntp: 192.0.2.1 }
- { name: other, ntp: 192.0.2.2 }
alerts: { boot_grace: 0s, source-falseticker: { for: 0s } }
";

/// What is known after some minutes in which the card is off by `lie` seconds, and the host is right.
fn heard(lie: f64, trusted: bool) -> Snapshot {
    let text = CONFIGURATION.replace("TRUSTED", &trusted.to_string());
    let config = Arc::new(parse(&text, Path::new("card.yaml"), &|_| None).unwrap());
    let reading = |at: f64| Reading { boot: BootTime::from_seconds(at), system: SystemTime::from_seconds(BEGIN + at) };
    let mut engine = Engine::new(config, reading(0.0));
    for poll in 1..20 {
        let at = f64::from(poll) * 16.0;
        // The card's clock is the most exact of all, and so is what it says over NTP among the servers.
        for (source, lie, delay, bound) in
            [(0, lie, 1e-4, 1e-4), (1, lie, 3e-6, 14e-6), (2, 0.0, 0.03, 0.01), (3, 0.0, 0.05, 0.02)]
        {
            let is_card = source == 1;
            let sample = Sample {
                at: BootTime::from_seconds(at),
                anchor: Anchor::from_seconds(BEGIN + lie),
                delay: Span::from_seconds(delay),
                root_delay: Span::ZERO,
                root_dispersion: Span::from_seconds(bound),
                precision: Span::ZERO,
                stratum: (!is_card).then_some(1),
                timestamps: if is_card { Timestamps::Device } else { Timestamps::Kernel },
            };
            engine.handle(Event::Source(Polled { source, address: None, result: Ok(sample) }), reading(at));
        }
    }
    engine.snapshot(reading(20.0 * 16.0))
}

fn verdicts(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.sources.iter().map(|source| source.verdict.as_str()).collect()
}

#[test]
fn a_card_that_tells_the_time_in_two_ways_never_outvotes_two_others() {
    for lie in [-400.0, -0.5, 37.0, 86_400.0] {
        for trusted in [false, true] {
            let snapshot = heard(lie, trusted);
            assert_eq!(
                verdicts(&snapshot),
                ["falseticker", "falseticker", "truechimer", "truechimer"],
                "{lie} {trusted}"
            );
            assert_eq!(snapshot.clock.state, "synchronized", "{lie} {trusted}");
            assert!(snapshot.clock.offset_seconds.unwrap().abs() < 0.05, "{lie} {trusted}");
            assert!(snapshot.findings.iter().all(|finding| finding.alert != Kind::ClockSkew), "{lie} {trusted}");
        }
    }
}

#[test]
fn a_card_that_is_right_is_the_most_exact_witness() {
    let snapshot = heard(0.0, true);
    assert_eq!(verdicts(&snapshot), ["truechimer"; 4]);
    assert!(snapshot.clock.error_bound_seconds.unwrap() < 1e-3, "{:?}", snapshot.clock.error_bound_seconds);
}

#[test]
fn a_card_that_tells_tai_is_told_as_that() {
    let told: Vec<String> = heard(37.0, true).findings.into_iter().map(|finding| finding.summary).collect();
    let tai = told.iter().filter(|summary| summary.contains("this clock tells TAI"));
    assert_eq!(tai.count(), 2, "{told:?}");
}
