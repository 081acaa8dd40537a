//! A new configuration: whatever is still in it goes on.

use std::sync::Arc;

use super::machine::{Engine, SourceLog, traits};
use crate::config::checked::Config;
use crate::sources::source::Source;
use crate::time::Reading;

impl Engine {
    /// The numbers under which the sources of the configuration are to send what they say, in its order. A source keeps
    /// its number for as long as it is configured, and nobody else ever gets it.
    pub fn source_ids(&self) -> Vec<usize> {
        self.sources.iter().map(|log| log.id).collect()
    }

    /// Goes on with another configuration. The estimate holds, sources and credentials that are still there keep all that
    /// is known of them, and alerts that have lost their rule or their subject resolve with the next event.
    pub fn reload(&mut self, config: Arc<Config>, now: Reading) {
        let before = std::mem::replace(&mut self.config, config);
        let kept: Vec<Option<usize>> = self
            .config
            .sources
            .iter()
            .map(|source| before.sources.iter().position(|earlier| is_same(earlier, source)))
            .collect();
        self.estimator.reload(traits(&self.config.sources).zip(kept.iter().copied()), now.boot);

        let mut logs: Vec<Option<SourceLog>> = std::mem::take(&mut self.sources).into_iter().map(Some).collect();
        for kept in kept {
            let log = kept.and_then(|index| logs.get_mut(index)).and_then(Option::take).unwrap_or_else(|| {
                let id = self.next_source;
                self.next_source = id.saturating_add(1);
                SourceLog::new(id)
            });
            self.sources.push(log);
        }
        let (earlier, now) = (&before.credentials, &self.config.credentials);
        let is_kept = |provider| now.goes_on_from(earlier, provider);
        self.credentials.reload(&self.config, is_kept);
        self.sdks.reload(&self.config);
        self.alerts.repeat_every(self.config.alerts.repeat);
    }

    /// Forgets a destination to which nothing is delivered any more.
    pub fn forget_destination(&mut self, name: &str) {
        self.delivery.remove(name);
        self.arrivals.remove(name);
    }
}

/// Whether what is known of the one holds for the other.
fn is_same(one: &Source, other: &Source) -> bool {
    (&one.name, &one.kind, one.trusted, one.leap_smear) == (&other.name, &other.kind, other.trusted, other.leap_smear)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::alert::machine::Change;
    use crate::assess::finding::Kind;
    use crate::config::load::parse;
    use crate::credentials::Provider;
    use crate::credentials::lease::{Lease, Unavailable};
    use crate::credentials::round::{self, Round};
    use crate::engine::{Event, Reaction};
    use crate::sources::poller::Polled;
    use crate::sources::refusal::Refusal;
    use crate::time::{BootTime, Span, SystemTime};

    fn config(text: &str) -> Arc<Config> {
        Arc::new(parse(text, std::path::Path::new("reload.yaml"), &|_| None).unwrap())
    }

    fn now(seconds: f64) -> Reading {
        Reading { boot: BootTime::from_seconds(seconds), system: SystemTime::from_seconds(1e9 + seconds) }
    }

    fn tick(engine: &mut Engine, seconds: f64) -> Reaction {
        engine.handle(Event::Tick { kernel: None, asleep: Span::ZERO }, now(seconds))
    }

    fn silence(engine: &mut Engine, source: usize, seconds: f64) -> Reaction {
        engine.handle(Event::Source(Polled { source, address: None, result: Err(Refusal::TIMEOUT) }), now(seconds))
    }

    fn outcomes(engine: &Engine) -> Vec<(String, BTreeMap<String, u64>)> {
        engine.snapshot(now(0.0)).sources.into_iter().map(|source| (source.name, source.outcomes)).collect()
    }

    #[test]
    fn sources_keep_their_number_and_their_counts_and_late_answers_of_others_count_for_nobody() {
        let mut engine = Engine::new(config("sources: [{name: a, ntp: 10.0.0.1}, {name: b, ntp: 10.0.0.2}]"), now(0.0));
        assert_eq!(engine.source_ids(), [0, 1]);
        for source in [0, 1, 1] {
            silence(&mut engine, source, 1.0);
        }
        engine.reload(config("sources: [{name: b, ntp: 10.0.0.2, poll: 20s}, {name: a, ntp: 10.0.0.3}]"), now(2.0));
        assert_eq!(engine.source_ids(), [1, 2]);
        silence(&mut engine, 0, 3.0);
        let counted = |count| BTreeMap::from([("timeout".to_owned(), count)]);
        assert_eq!(outcomes(&engine), [("b".to_owned(), counted(2)), ("a".to_owned(), BTreeMap::new())]);
        silence(&mut engine, 2, 4.0);
        assert_eq!(outcomes(&engine), [("b".to_owned(), counted(2)), ("a".to_owned(), counted(1))]);
        engine.reload(config("sources: [{name: a, ntp: 10.0.0.1}]"), now(5.0));
        assert_eq!(engine.source_ids(), [3], "one that comes back is another");
    }

    #[test]
    fn alerts_resolve_with_their_rule_their_subject_or_their_provider_and_not_before() {
        let all = "sources: [{name: a, ntp: 10.0.0.1}, {name: b, ntp: 10.0.0.2}]";
        let mut engine = Engine::new(config(all), now(0.0));
        let read = |result| round::Polled { provider: Provider::Imds, round: Round::one(result, Vec::new()) };
        let outage = || read(Err(Unavailable::Timeout));
        // Only what was there can be lost.
        let lease = Lease { identity: "web".to_owned(), code: None, kind: None, last_updated: None, expiration: None };
        let mut fired = engine.handle(Event::Credential(read(Ok(lease))), now(0.0)).transitions;
        for second in 0..1_000 {
            let seconds = f64::from(second);
            for source in [0, 1] {
                fired.extend(silence(&mut engine, source, seconds).transitions);
            }
            fired.extend(engine.handle(Event::Credential(outage()), now(seconds)).transitions);
        }
        let kinds: Vec<Kind> = fired.iter().map(|one| one.kind).collect();
        let expected = [
            Kind::CredentialUnavailable,
            Kind::CredentialUnavailable,
            Kind::SourceUnreachable,
            Kind::SourceUnreachable,
            Kind::ClockUnverified,
        ];
        assert_eq!(kinds, expected, "{fired:?}");
        let mut reload = |text: &str, seconds| {
            engine.reload(config(text), now(seconds));
            let told = tick(&mut engine, seconds).transitions;
            assert!(told.iter().all(|one| one.change == Change::Resolved), "{told:?}");
            told.into_iter().map(|one| (one.kind, one.subject)).collect::<Vec<_>>()
        };
        assert_eq!(reload(all, 1_001.0), []);
        // The server of b is another one, of which nothing is known yet.
        let other = "sources: [{name: b, ntp: 10.0.0.3}]\n";
        assert_eq!(reload(other, 1_002.0), [(Kind::SourceUnreachable, "a".to_owned())]);
        let quiet = format!("{other}alerts: {{clock-unverified: {{enabled: false}}}}\n");
        assert_eq!(reload(&quiet, 1_003.0), [(Kind::ClockUnverified, String::new())]);
        let disabled = format!("{quiet}credentials: {{imds: {{enabled: false}}}}\n");
        assert_eq!(reload(&disabled, 1_004.0), [(Kind::CredentialUnavailable, "imds".to_owned())]);
    }
}
