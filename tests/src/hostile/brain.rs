//! The engine on top of hostile measurements, and what it promises to all who read its snapshot.

use std::path::Path;
use std::sync::Arc;

use skewguard::config::checked::Config;
use skewguard::config::load;
use skewguard::engine::{Engine, Event, Image};
use skewguard::snapshot::Snapshot;
use skewguard::time::Reading;

/// Everything on which the path of a measurement depends: trust, smears, drift, and no grace.
const CONFIG: &str = "
sources:
  - { name: near, ntp: 169.254.169.123 }
  - { name: far, ntp: 192.0.2.1, leap_smear: false }
  - { name: third, ntp: ntp.example, leap_smear: true }
alerts: { boot_grace: 0s }
sdks: [rust, cpp, go-v2-2025]
";

/// An engine with three sources and one provider of credentials.
pub(super) struct Brain(Engine);

impl Brain {
    pub(super) fn new(now: Reading) -> Self {
        Self(Engine::new(config(), now))
    }

    /// The same, with the memory of an earlier one.
    pub(super) fn resumed(image: Image, now: Reading, same_boot: bool) -> Self {
        Self(Engine::restore(config(), image, now, same_boot))
    }

    pub(super) fn take(&mut self, event: impl Into<Event>, now: Reading) {
        let reaction = self.0.handle(event.into(), now);
        for transition in &reaction.transitions {
            assert_readable(&format!("{transition:?}"));
        }
    }

    /// The snapshot at `now`, which is as good as it promises.
    pub(super) fn snapshot(&self, now: Reading) -> Snapshot {
        let snapshot = self.0.snapshot(now);
        let json = serde_json::to_value(&snapshot).expect("a snapshot is JSON");
        // JSON has neither NaN nor infinity: such a number would be missing from what is read back.
        let again: Snapshot = serde_json::from_value(json).expect("the JSON is a snapshot");
        assert_eq!(again, snapshot);
        for finding in &snapshot.findings {
            assert_readable(&finding.summary);
            assert_readable(&finding.remedy);
        }
        let clock = &snapshot.clock;
        assert_eq!(clock.offset_seconds.is_some(), clock.error_bound_seconds.is_some());
        assert!(clock.error_bound_seconds.is_none_or(|bound| bound >= 0.0), "{clock:?}");
        for source in &snapshot.sources {
            assert!(source.reachability.is_none_or(|share| (0.0..=1.0).contains(&share)), "{source:?}");
            assert!(source.delay_seconds.is_none_or(|delay| delay >= 0.0), "{source:?}");
            assert!(source.root_distance_seconds.is_none_or(|distance| distance >= 0.0), "{source:?}");
        }
        snapshot
    }
}

fn config() -> Arc<Config> {
    let config = load::parse(CONFIG, Path::new("brain.yaml"), &|_| None);
    Arc::new(config.expect("the configuration above is right"))
}

/// No number in a text for people is none, and no character of it is one that a terminal obeys.
fn assert_readable(text: &str) {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    assert!(!words.any(|word| word == "NaN" || word == "inf"), "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
