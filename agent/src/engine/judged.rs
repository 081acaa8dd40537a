//! Which SDKs are judged by the margin with which they refresh.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::aws::sdk::Sdk;
use crate::config::checked::Config;
use crate::time::{BootTime, Span};

/// A job that runs once a day is in use all day.
const REMEMBERED: Span = Span::from_nanos(25 * 3_600 * 1_000_000_000);
/// SDKs with less of a margin than this are at their limit on every host. They are judged where somebody names them.
const LEAST_MARGIN: Duration = Duration::from_secs(5);

/// The SDKs that are judged: those that the configuration names, or else those that run here. Where not all of what runs can
/// be seen, the usual ones as well.
pub(super) struct Judged {
    usual: Vec<Sdk>,
    is_auto: bool,
    found: BTreeMap<Sdk, BootTime>,
    judged: Vec<Sdk>,
}

impl Judged {
    pub(super) fn new(config: &Config) -> Self {
        let (usual, judged) = (config.sdks.clone(), config.sdks.clone());
        Self { usual, is_auto: config.sdks_auto, found: BTreeMap::new(), judged }
    }

    /// Goes on with another configuration.
    pub(super) fn reload(&mut self, config: &Config) {
        *self = Self { found: std::mem::take(&mut self.found), ..Self::new(config) };
    }

    pub(super) fn all(&self) -> &[Sdk] {
        &self.judged
    }

    /// Takes what was found to run at `now`; `is_whole` says that nothing else can.
    pub(super) fn found(&mut self, sdks: BTreeSet<Sdk>, is_whole: bool, now: BootTime) {
        let known = sdks.into_iter().filter(|sdk| sdk.refresh_margin() >= LEAST_MARGIN);
        self.found.extend(known.map(|sdk| (sdk, now)));
        self.found.retain(|_, seen| now.since(*seen) < REMEMBERED);
        if !self.is_auto {
            return;
        }
        let mut judged: BTreeSet<Sdk> = self.found.keys().copied().collect();
        if !is_whole || judged.is_empty() {
            judged.extend(self.usual.iter().copied());
        }
        self.judged = judged.into_iter().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    fn judged(text: &str) -> Judged {
        Judged::new(&parse(text, std::path::Path::new("sdks.yaml"), &|_| None).unwrap())
    }

    fn found(judged: &mut Judged, sdks: &[Sdk], is_whole: bool, hours: f64) -> Vec<Sdk> {
        judged.found(sdks.iter().copied().collect(), is_whole, BootTime::from_seconds(hours * 3_600.0));
        judged.all().to_vec()
    }

    #[test]
    fn what_runs_is_judged_alone_only_where_all_of_it_can_be_seen() {
        let mut judged = judged("sdks: auto");
        assert_eq!(judged.all(), Sdk::usual());
        assert_eq!(found(&mut judged, &[Sdk::Rust], true, 0.0), [Sdk::Rust]);
        let all = found(&mut judged, &[Sdk::Rust], false, 1.0);
        assert!(all.contains(&Sdk::Rust) && Sdk::usual().iter().all(|usual| all.contains(usual)));
        // A job that has just ended runs again tomorrow, and one of the day before yesterday does not.
        assert_eq!(found(&mut judged, &[Sdk::GoV2], true, 20.0), [Sdk::GoV2, Sdk::Rust]);
        assert_eq!(found(&mut judged, &[], true, 30.0), [Sdk::GoV2]);
        assert_eq!(found(&mut judged, &[], true, 60.0), Sdk::usual());
    }

    #[test]
    fn an_sdk_without_a_margin_is_judged_where_it_is_named_and_what_is_named_is_all() {
        assert_eq!(found(&mut judged("{}"), &[Sdk::GoV2Legacy, Sdk::JavaV2], true, 0.0), [Sdk::JavaV2]);
        assert_eq!(found(&mut judged("sdks: [go-v2-2025]"), &[Sdk::JavaV2], true, 0.0), [Sdk::GoV2Legacy]);
    }
}
