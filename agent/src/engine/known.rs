//! What is known of one thing that expires.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::assess::credential_findings::{CredentialFacts, Outage};
use crate::assess::lifetime::Lifetime;
use crate::assess::limit::Skew;
use crate::assess::rotation::{PROMISE, Rotation};
use crate::assess::sdk::Sdk;
use crate::clock::time::{BootTime, Reading, Span, TrueTime, rfc3339};
use crate::config::checked::Levels;
use crate::credentials::lease::{Lease, Unavailable};
use crate::credentials::provider::{Provider, Renewal};
use crate::credentials::timestamp::{Basis, Timestamp};
use crate::snapshot;

/// What had expired for longer than this when it was first seen is not in use any more.
const ABANDONED: Span = Span::from_nanos(-86_400 * 1_000_000_000);

/// What is known of one thing that a provider hands out.
pub(super) struct Known {
    provider: Provider,
    slot: String,
    lease: Option<Lease>,
    /// When the expiration of the lease was first seen.
    seen: BootTime,
    /// Whether it had expired so long ago by then that nobody uses it any more.
    is_abandoned: bool,
    /// Whether the host slept since the lease was read, so that it may well have been rotated.
    is_stale: bool,
    failure: Option<Failure>,
    /// What was known before a restart, until the first read that says otherwise.
    before: Before,
    rotation: Rotation,
}

struct Failure {
    since: BootTime,
    count: u32,
    reason: Unavailable,
}

/// What outlives the process of one thing that expires. Its lifetime is read again at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    /// Whether there was a role, so that it is an outage where there is none.
    had_role: bool,
    /// Since when they could not be read, and how many times in a row.
    outage: Option<(BootTime, u32)>,
    /// How often it was replaced.
    #[serde(default)]
    rotation: Rotation,
    /// The expiration that it had while somebody used it, in nanoseconds since the Unix epoch.
    #[serde(default)]
    used_until: Option<i64>,
}

impl Before {
    /// Takes note that nobody looked for `away`, at the end of which it is `now`: that time does not count for an outage.
    #[must_use]
    pub(super) fn after(self, last: BootTime, now: BootTime) -> Self {
        let since = |since: BootTime| now.minus(last.since(since).max(Span::ZERO));
        Self { outage: self.outage.map(|(at, count)| (since(at), count)), ..self }
    }

    /// Takes note that the host slept for `by`.
    pub(super) fn slept(&mut self, by: Span, now: BootTime) {
        if let Some((since, _)) = &mut self.outage {
            *since = since.plus(by).min(now);
        }
    }

    /// The same without an outage: another boot of the host, or nobody was told of it.
    #[must_use]
    pub(super) fn without_outage(self) -> Self {
        Self { had_role: false, outage: None, ..self }
    }
}

/// Who hands it out, what it is called, and how long it lives or why nobody knows.
pub type Holding = (Provider, String, Result<Lifetime, Unavailable>);

/// The lifetime of what is known, at one moment.
pub(super) struct Assessed {
    pub(super) lifetime: Option<Lifetime>,
    offset: Option<Span>,
    is_overdue: bool,
    age: Option<Span>,
    /// What passed since it was replaced, as far as anybody knows.
    unchanged: Option<Span>,
}

impl Known {
    pub(super) fn new(provider: Provider, slot: String) -> Self {
        Self {
            provider,
            slot,
            lease: None,
            seen: BootTime::ZERO,
            is_abandoned: false,
            is_stale: false,
            failure: None,
            before: Before::default(),
            rotation: Rotation::default(),
        }
    }

    pub(super) const fn provider(&self) -> Provider {
        self.provider
    }

    pub(super) fn slot(&self) -> &str {
        &self.slot
    }

    pub(super) fn key(&self) -> (Provider, &str) {
        (self.provider, &self.slot)
    }

    pub(super) fn is(&self, provider: Provider, slot: &str) -> bool {
        self.key() == (provider, slot)
    }

    /// What findings about it are about.
    pub(super) fn subject(&self) -> String {
        match self.slot.as_str() {
            "" => self.provider.name().to_owned(),
            slot => format!("{}/{slot}", self.provider.name()),
        }
    }

    /// What is to outlive the process.
    pub(super) fn memory(&self) -> Before {
        let outage = self.failure.as_ref().filter(|_| !self.has_no_role());
        Before {
            had_role: self.had_role(),
            outage: outage.map(|failure| (failure.since, failure.count)).or(self.before.outage),
            rotation: self.rotation.clone(),
            used_until: self.expiration().filter(|_| !self.is_abandoned).or(self.before.used_until),
        }
    }

    /// Goes on with what was known before a restart.
    pub(super) fn resume(&mut self, before: Before) {
        self.rotation = before.rotation.clone();
        self.before = before;
    }

    /// Whether what it hands out was read, or is known not to be there.
    pub(super) fn is_read(&self) -> bool {
        (self.lease.is_some() && !self.is_stale) || self.has_no_role()
    }

    /// Takes note that the host slept for `by`, in which nobody could read anything.
    pub(super) fn slept(&mut self, by: Span, now: BootTime) {
        self.is_stale = true;
        if let Some(failure) = &mut self.failure {
            failure.since = failure.since.plus(by).min(now);
        }
        self.before.slept(by, now);
    }

    /// Takes what was read at `now`, which in truth is `truth` as far as anybody knows.
    pub(super) fn take(&mut self, result: Result<Lease, Unavailable>, now: BootTime, truth: TrueTime) {
        match result {
            Ok(lease) => {
                // Where nobody says when it was issued, a later end tells that it was replaced.
                if let Some(updated) = lease.last_updated.filter(|at| at.basis() == Basis::Server).or(lease.expiration)
                {
                    self.rotation.observe(updated.nanos());
                }
                if self.lease.as_ref().is_none_or(|known| known.expiration != lease.expiration) {
                    self.seen = now;
                    let end = lease.expiration.map(Timestamp::nanos).filter(|end| self.before.used_until != Some(*end));
                    let is_long_past = |end: i64| TrueTime::from_nanos(end).since(truth) < ABANDONED;
                    self.is_abandoned = self.provider == Provider::SharedFile && end.is_some_and(is_long_past);
                }
                self.lease = Some(lease);
                self.is_stale = false;
                self.failure = None;
                self.before = Before::default();
            }
            Err(reason) => {
                let (since, count) = match &self.failure {
                    // A host without a role had nothing to lose until now.
                    Some(_) if self.has_no_role() => (now, 0),
                    Some(failure) => (failure.since, failure.count),
                    None => self.before.outage.unwrap_or((now, 0)),
                };
                self.failure = Some(Failure { since, count: count.saturating_add(1), reason });
            }
        }
    }

    pub(super) fn assess(
        &self,
        now: Reading,
        true_now: Option<TrueTime>,
        skew: Option<&Skew>,
        sdks: &[Sdk],
    ) -> Assessed {
        let expiration = self.lease.as_ref().and_then(|lease| lease.expiration);
        let issued = self.lease.as_ref().and_then(|lease| lease.last_updated);
        let sdks = if self.provider.is_refreshed_by_sdks() { sdks } else { &[] };
        let lifetime = expiration.map(|end| Lifetime::of((issued, end), now, true_now, skew, sdks));
        let age = issued.and_then(|issued| issued.remaining(now, true_now)).map(|left| Span::ZERO.minus(left));
        let whole = lifetime.as_ref().and_then(|lifetime| lifetime.whole);
        let unchanged = age.or_else(|| self.lease.as_ref().map(|_| now.boot.since(self.seen)));
        let is_overdue = |unchanged| self.rotation.is_overdue(unchanged, whole);
        Assessed {
            offset: skew.map(|skew| skew.offset.span()),
            // What cannot be read may well have been rotated.
            is_overdue: self.provider.renewal() == Renewal::Platform
                && self.failure.is_none()
                && unchanged.is_some_and(is_overdue),
            lifetime,
            age,
            unchanged,
        }
    }

    /// What findings rest on. `levels` are those that the configuration has for this one alone.
    pub(super) fn facts<'a>(&'a self, assessed: &'a Assessed, levels: Levels, now: BootTime) -> CredentialFacts<'a> {
        let is_renewed_at_use = self.provider.renewal() == Renewal::OnUse;
        let is_watched = !self.is_abandoned && !is_renewed_at_use;
        // What its tool writes there is its own business, as long as the agent may look.
        let is_told =
            |failure: &&Failure| !self.has_no_role() && (!is_renewed_at_use || failure.reason.concerns_reader_alone());
        CredentialFacts {
            provider: self.provider,
            subject: self.subject(),
            identity: self.identity(),
            lifetime: assessed.lifetime.as_ref().filter(|_| !self.is_stale && is_watched),
            levels,
            offset: assessed.offset.unwrap_or(Span::ZERO),
            overdue: assessed.unchanged.filter(|_| assessed.is_overdue && !self.is_stale).zip(self.rotation.habit()),
            failure: self.failure.as_ref().filter(is_told).map(|failure| Outage {
                failures: failure.count,
                lasting: now.since(failure.since),
                reason: &failure.reason,
            }),
        }
    }

    pub(super) fn publish(&self, assessed: &Assessed) -> Option<snapshot::Credential> {
        if self.lease.is_none() && self.failure.is_none() {
            return None;
        }
        let lease = self.lease.as_ref();
        let lifetime = assessed.lifetime.as_ref();
        let code = match &self.failure {
            Some(Failure { reason: Unavailable::Rejected { code }, .. }) => code.clone(),
            Some(failure) => failure.reason.code().into_owned(),
            None => lease.and_then(|lease| lease.code.clone()).unwrap_or_else(|| "Success".to_owned()),
        };
        let text = |time: Timestamp| rfc3339(time.nanos());
        let expiration = lease.and_then(|lease| lease.expiration);
        Some(snapshot::Credential {
            provider: self.provider.name().to_owned(),
            identity: self.identity().to_owned(),
            state: self.state(assessed).to_owned(),
            code,
            basis: expiration.map(|time| time.basis().name().to_owned()),
            expiration: expiration.map(text),
            expiration_seconds: expiration.map(|time| Span::from_nanos(time.nanos()).seconds()),
            last_updated: lease.and_then(|lease| lease.last_updated).map(text),
            remaining_seconds: lifetime.and_then(|lifetime| lifetime.remaining).map(Span::seconds),
            remaining_local_seconds: lifetime.map(|lifetime| lifetime.remaining_local.seconds()),
            age_seconds: assessed.age.map(Span::seconds),
            refresh_margins_seconds: lifetime.map_or_else(BTreeMap::new, |lifetime| {
                lifetime.refresh_margins.iter().map(|(sdk, margin)| (sdk.name().to_owned(), margin.seconds())).collect()
            }),
        })
    }

    /// What is known of its life; `None` where it is not said when it ends.
    pub(super) fn holding(&self, assessed: &Assessed) -> Option<Holding> {
        let life = match (&self.failure, &assessed.lifetime) {
            (Some(failure), _) => Err(failure.reason.clone()),
            (None, Some(lifetime)) => Ok(lifetime.clone()),
            (None, None) => return None,
        };
        if self.is_abandoned {
            return None;
        }
        Some((self.provider, self.identity().to_owned(), life))
    }

    fn state(&self, assessed: &Assessed) -> &'static str {
        let remaining = assessed.lifetime.as_ref().and_then(|lifetime| lifetime.remaining);
        match (&self.failure, remaining) {
            (Some(_), _) if self.has_no_role() => "no-role",
            (Some(_), _) => "unavailable",
            // It is handed out all the same: AWS may have extended its life (static stability).
            (None, Some(left)) if left <= Span::ZERO && self.provider.renewal() == Renewal::Platform => {
                "expired-extended"
            }
            (None, Some(left)) if left <= Span::ZERO => "expired",
            (None, Some(left)) if left < PROMISE && self.provider.renewal() == Renewal::Platform => "rotation-overdue",
            (None, Some(left)) if self.is_expiring(left, assessed) => "expiring",
            (None, _) if assessed.is_overdue => "rotation-overdue",
            (None, _) => "valid",
        }
    }

    /// Whether another one should have taken its place by now, as whoever renews it has promised.
    fn is_expiring(&self, left: Span, assessed: &Assessed) -> bool {
        const SHORTLY: Span = Span::from_nanos(900 * 1_000_000_000);
        let whole = assessed.lifetime.as_ref().and_then(|lifetime| lifetime.whole);
        match (self.provider.renewal(), whole) {
            (Renewal::Kubelet, Some(whole)) => left < SHORTLY.min(whole.scaled(0.15)),
            _ => left < SHORTLY,
        }
    }

    fn expiration(&self) -> Option<i64> {
        self.lease.as_ref()?.expiration.map(Timestamp::nanos)
    }

    fn identity(&self) -> &str {
        self.lease.as_ref().map_or(&self.slot, |lease| &lease.identity)
    }

    const fn had_role(&self) -> bool {
        self.lease.is_some() || self.before.had_role
    }

    /// A host that never had a role has no credentials to lose.
    fn has_no_role(&self) -> bool {
        !self.had_role() && matches!(self.failure.as_ref().map(|failure| &failure.reason), Some(Unavailable::NoRole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::time::SystemTime;

    const HOUR: f64 = 3_600.0;

    /// A moment so many seconds after boot; the clock is right.
    fn now(seconds: f64) -> Reading {
        Reading { boot: BootTime::from_seconds(seconds), system: SystemTime::from_seconds(1e9 + seconds) }
    }

    fn truth(seconds: f64) -> TrueTime {
        TrueTime::from_seconds(1e9 + seconds)
    }

    fn lease(issued: Option<f64>, expires: f64) -> Lease {
        let at = |seconds: f64| Timestamp::Server(truth(seconds));
        let (last_updated, expiration) = (issued.map(at), Some(at(expires)));
        Lease { identity: "web".to_owned(), code: None, kind: None, last_updated, expiration }
    }

    fn state(known: &Known, seconds: f64) -> String {
        let assessed = known.assess(now(seconds), Some(truth(seconds)), None, &[]);
        known.publish(&assessed).unwrap().state
    }

    fn read(provider: Provider, lease: Lease, seconds: f64) -> Known {
        let mut known = Known::new(provider, String::new());
        known.take(Ok(lease), now(seconds).boot, truth(seconds));
        known
    }

    fn is_judged(known: &Known, seconds: f64) -> bool {
        let assessed = known.assess(now(seconds), Some(truth(seconds)), None, &[]);
        known.facts(&assessed, Levels::default(), now(seconds).boot).lifetime.is_some()
    }

    #[test]
    fn every_state_has_its_name() {
        let imds = |expires| read(Provider::Imds, lease(Some(0.0), expires), 10.0);
        assert_eq!(state(&imds(6.0 * HOUR), 10.0), "valid");
        assert_eq!(state(&imds(800.0), 10.0), "expiring");
        assert_eq!(state(&imds(300.0), 10.0), "rotation-overdue", "AWS promises five minutes");
        assert_eq!(state(&imds(5.0), 10.0), "expired-extended");
        assert_eq!(state(&read(Provider::SharedFile, lease(None, 5.0), 10.0), 10.0), "expired");
        let mut gone = imds(6.0 * HOUR);
        gone.take(Err(Unavailable::NoRole), now(20.0).boot, truth(20.0));
        assert_eq!(state(&gone, 20.0), "unavailable");
        let mut never = Known::new(Provider::Imds, String::new());
        for day in 0..3 {
            never.take(Err(Unavailable::NoRole), now(20.0 + f64::from(day) * 86_400.0).boot, truth(20.0));
        }
        assert_eq!(state(&never, 20.0), "no-role");
        // Days without a role are no outage of days.
        let later = 3.0 * 86_400.0;
        never.take(Err(Unavailable::Timeout), now(later).boot, truth(later));
        let assessed = never.assess(now(later), None, None, &[]);
        let outage = never.facts(&assessed, Levels::default(), now(later).boot).failure.unwrap();
        assert_eq!((outage.failures, outage.lasting), (1, Span::ZERO));
    }

    #[test]
    fn what_was_rotated_every_hour_is_overdue_after_two_and_a_restart_does_not_forget_it() {
        let mut known = Known::new(Provider::Imds, String::new());
        for hour in 0..5 {
            let at = f64::from(hour) * HOUR;
            known.take(Ok(lease(Some(at), at + 6.0 * HOUR)), now(at + 10.0).boot, truth(at + 10.0));
        }
        assert_eq!(state(&known, 5.0 * HOUR), "valid");
        assert_eq!(state(&known, 6.5 * HOUR), "valid", "half of its life is not over");
        assert_eq!(state(&known, 7.5 * HOUR), "rotation-overdue");
        let mut next = Known::new(Provider::Imds, String::new());
        next.resume(known.memory());
        next.take(Ok(lease(Some(4.0 * HOUR), 10.0 * HOUR)), now(7.5 * HOUR).boot, truth(7.5 * HOUR));
        assert_eq!(state(&next, 7.5 * HOUR), "rotation-overdue");
    }

    #[test]
    fn a_profile_that_had_long_expired_when_it_was_first_seen_is_nobodys() {
        let day = 24.0 * HOUR;
        assert!(!is_judged(&read(Provider::SharedFile, lease(None, -2.0 * day), 0.0), 0.0));
        assert!(is_judged(&read(Provider::SharedFile, lease(None, -0.5 * day), 0.0), 0.0));
        // One that expired while it was watched stays somebody's.
        assert!(is_judged(&read(Provider::SharedFile, lease(None, HOUR), 0.0), 3.0 * day));
        assert!(is_judged(&read(Provider::File, lease(None, -2.0 * day), 0.0), 0.0), "the configuration names it");
        // So does one that another process watches from then on.
        let mut next = Known::new(Provider::SharedFile, String::new());
        next.resume(read(Provider::SharedFile, lease(None, HOUR), 0.0).memory());
        next.take(Ok(lease(None, HOUR)), now(3.0 * day).boot, truth(3.0 * day));
        assert!(is_judged(&next, 3.0 * day));
    }

    #[test]
    fn a_cache_that_is_renewed_at_its_use_is_shown_and_not_judged() {
        let cache = read(Provider::SsoCache, lease(None, -HOUR), 0.0);
        assert_eq!(state(&cache, 0.0), "expired");
        assert!(!is_judged(&cache, 0.0));
    }

    #[test]
    fn things_of_one_provider_are_told_apart_by_their_slot() {
        let subject = |slot: &str| Known::new(Provider::SharedFile, slot.to_owned()).subject();
        assert_eq!((subject("").as_str(), subject("old").as_str()), ("shared-file", "shared-file/old"));
    }
}
