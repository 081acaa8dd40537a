//! What is known of one thing that expires.

mod before;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(super) use self::before::Before;
use super::possession::Possession;
use crate::assess::credential_findings::{CredentialFacts, Life, Outage, Overdue, Reads, may_be_extended};
use crate::assess::lifetime::Lifetime;
use crate::assess::limit::Skew;
use crate::assess::rotation::{PROMISE, Rotation};
use crate::aws::sdk::Sdk;
use crate::credentials::Provider;
use crate::credentials::lease::{Lease, Unavailable};
use crate::credentials::levels::Levels;
use crate::credentials::provide::Renewal;
use crate::credentials::timestamp::{Basis, Timestamp};
use crate::snapshot;
use crate::time::{BootTime, Reading, Span, TrueTime, rfc3339};

/// What had expired for longer than this when it was first seen is not in use any more.
const ABANDONED: Span = Span::from_nanos(-86_400 * 1_000_000_000);

/// What is known of one thing that a provider hands out.
pub(super) struct Known {
    provider: Provider,
    slot: String,
    lease: Option<Lease>,
    /// When the expiration of the lease was first seen, within this boot of the host.
    seen: Option<Sighting>,
    /// The expiration that it had in an earlier boot of the host while somebody used it.
    used_until: Option<i64>,
    /// Whether the host slept since the lease was read, so that it may well have been rotated.
    is_stale: bool,
    possession: Possession,
    /// Why the last read failed; `None` where it did not.
    reason: Option<Unavailable>,
    /// Whether it was read in an earlier boot of the host alone.
    is_of_earlier_boot: bool,
    rotation: Rotation,
}

/// The first look at an expiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sighting {
    /// In nanoseconds since the Unix epoch; `None` where nobody says when it ends.
    end: Option<i64>,
    at: BootTime,
}

/// Who hands it out, what it is called, and how long it lives or why nobody knows.
pub type Holding = (Provider, String, Result<Lifetime, Unavailable>);

/// The lifetime of what is known, at one moment.
pub(super) struct Assessed {
    pub(super) lifetime: Option<Lifetime>,
    /// Whether it had expired so long before it was first seen that nobody uses it any more.
    is_abandoned: bool,
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
            seen: None,
            used_until: None,
            is_stale: false,
            possession: Possession::NONE,
            reason: None,
            is_of_earlier_boot: false,
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

    /// Whether what it hands out was read, or is known not to be there.
    pub(super) fn is_read(&self) -> bool {
        (self.lease.is_some() && !self.is_stale) || self.has_no_role()
    }

    /// Takes note that the host slept for `by`, in which nobody could read anything.
    pub(super) fn slept(&mut self, by: Span, now: BootTime) {
        self.is_stale = true;
        self.possession = self.possession.without(by, now);
    }

    /// Takes what was read at `now`.
    pub(super) fn take(&mut self, result: Result<Lease, Unavailable>, now: BootTime) {
        match result {
            Ok(lease) => {
                // Where nobody says when it was issued, a later end tells that it was replaced.
                if let Some(updated) = lease.last_updated.filter(|at| at.basis() == Basis::Server).or(lease.expiration)
                {
                    self.rotation.observe(updated.nanos());
                }
                let end = lease.expiration.map(Timestamp::nanos);
                // No look lies ahead of the boot clock.
                let seen = self.seen.filter(|seen| seen.end == end && seen.at <= now);
                self.seen = Some(seen.unwrap_or(Sighting { end, at: now }));
                self.lease = Some(lease);
                self.is_stale = false;
                self.possession = Possession::Held;
                self.reason = None;
            }
            Err(reason) => {
                // A host without a role has nothing to lose; one that was booted since may be without for that reason.
                let has_no_role = reason == Unavailable::NoRole
                    && (self.is_of_earlier_boot || matches!(self.possession, Possession::NeverHad { .. }));
                self.possession = if has_no_role { Possession::NONE } else { self.possession.failed(now) };
                self.reason = Some(reason);
            }
        }
        self.is_of_earlier_boot = false;
    }

    /// Whether it had expired for a day when it was first seen, so that nobody uses it. Nothing is known of that before true
    /// time is, and another true time tells another story.
    fn is_abandoned(&self, now: BootTime, truth: Option<TrueTime>) -> bool {
        let (Some(end), Some(seen), Some(truth)) = (self.expiration(), self.seen, truth) else { return false };
        let then = truth.minus(now.since(seen.at));
        self.provider == Provider::SharedFile
            && self.used_until != Some(end)
            && TrueTime::from_nanos(end).since(then) < ABANDONED
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
        let unchanged = age.or_else(|| self.seen.filter(|_| self.lease.is_some()).map(|seen| now.boot.since(seen.at)));
        let is_overdue = |unchanged| self.rotation.is_overdue(unchanged, whole);
        Assessed {
            offset: skew.map(|skew| skew.offset.span()),
            // What cannot be read may well have been rotated.
            is_overdue: self.provider.renewal() == Renewal::Platform
                && self.reason.is_none()
                && unchanged.is_some_and(is_overdue),
            is_abandoned: self.is_abandoned(now.boot, true_now),
            lifetime,
            age,
            unchanged,
        }
    }

    /// What findings rest on. `levels` are those that the configuration has for this one alone, and `is_missed` says whether
    /// anybody counts on it.
    pub(super) fn facts<'a>(
        &'a self,
        assessed: &'a Assessed,
        levels: Levels,
        is_missed: bool,
        now: BootTime,
    ) -> CredentialFacts<'a> {
        let is_renewed_at_use = self.provider.renewal() == Renewal::OnUse;
        let life = match &assessed.lifetime {
            _ if self.has_no_role() || assessed.is_abandoned || is_renewed_at_use => Life::Untold,
            // What nobody counts on has no end that anybody waits for.
            _ if !is_missed => Life::Untold,
            _ if !self.is_read() => Life::Unknown,
            lifetime => lifetime.as_ref().map_or(Life::Untold, Life::Known),
        };
        let is_rotated = self.provider.renewal() == Renewal::Platform && !self.has_no_role() && is_missed;
        let overdue = match assessed.unchanged.filter(|_| assessed.is_overdue).zip(self.rotation.habit()) {
            _ if !is_rotated => Overdue::No,
            _ if !self.is_read() || self.reason.is_some() => Overdue::Unknown,
            Some((age, habit)) => Overdue::Since { age, habit },
            // Its age is not known without the time.
            None if assessed.offset.is_none() => Overdue::Unknown,
            None => Overdue::No,
        };
        let reads = match &self.reason {
            _ if self.has_no_role() || !is_missed => Reads::Fine,
            // What its tool writes there is its own business, as long as the agent may look.
            Some(reason) if is_renewed_at_use && !reason.concerns_reader_alone() => Reads::Fine,
            Some(reason) => Reads::Failing(Outage {
                failures: self.possession.failures(),
                lasting: self.possession.lost_for(now),
                reason,
            }),
            None if self.is_read() => Reads::Fine,
            None => Reads::Unknown,
        };
        CredentialFacts {
            provider: self.provider,
            subject: self.subject(),
            identity: self.identity(),
            life,
            levels,
            offset: assessed.offset,
            overdue,
            reads,
        }
    }

    pub(super) fn publish(&self, assessed: &Assessed, is_missed: bool) -> Option<snapshot::Credential> {
        if self.lease.is_none() && self.reason.is_none() {
            return None;
        }
        let lease = self.lease.as_ref();
        let lifetime = assessed.lifetime.as_ref();
        let code = match &self.reason {
            Some(Unavailable::Rejected { code }) => code.clone(),
            Some(reason) => reason.code().into_owned(),
            None => lease.and_then(|lease| lease.code.clone()).unwrap_or_else(|| "Success".to_owned()),
        };
        let text = |time: Timestamp| rfc3339(time.nanos());
        let expiration = lease.and_then(|lease| lease.expiration);
        Some(snapshot::Credential {
            provider: self.provider.name().to_owned(),
            identity: self.identity().to_owned(),
            subject: self.subject(),
            state: self.state(assessed, is_missed).to_owned(),
            judged: is_missed && !assessed.is_abandoned && self.provider.renewal() != Renewal::OnUse,
            code,
            basis: expiration.map(|time| time.basis().name().to_owned()),
            expiration: expiration.map(text),
            expiration_seconds: expiration.map(|time| Span::from_nanos(time.nanos()).seconds()),
            last_updated: lease.and_then(|lease| lease.last_updated).map(text),
            remaining_seconds: lifetime.and_then(|lifetime| lifetime.remaining).map(Span::seconds),
            remaining_local_seconds: lifetime.map(|lifetime| lifetime.remaining_local.seconds()),
            // Whoever issued it by a clock that is fast says nothing of its age.
            age_seconds: assessed.age.filter(|age| *age >= Span::ZERO).map(Span::seconds),
            refresh_margins_seconds: lifetime.map_or_else(BTreeMap::new, |lifetime| {
                lifetime.refresh_margins.iter().map(|(sdk, margin)| (sdk.name().to_owned(), margin.seconds())).collect()
            }),
        })
    }

    /// What is known of its life; `None` where it is not said when it ends.
    pub(super) fn holding(&self, assessed: &Assessed) -> Option<Holding> {
        let life = match (&self.reason, &assessed.lifetime) {
            (Some(reason), _) => Err(reason.clone()),
            (None, Some(lifetime)) => Ok(lifetime.clone()),
            (None, None) => return None,
        };
        if assessed.is_abandoned {
            return None;
        }
        Some((self.provider, self.identity().to_owned(), life))
    }

    fn state(&self, assessed: &Assessed, is_missed: bool) -> &'static str {
        let remaining = assessed.lifetime.as_ref().and_then(|lifetime| lifetime.remaining);
        match (&self.reason, remaining) {
            (Some(_), _) if self.has_no_role() => "no-role",
            (Some(_), _) if !is_missed => "absent",
            (Some(_), _) => "unavailable",
            // It says when it ends, and nobody knows what time it is.
            (None, None) if assessed.lifetime.is_some() => "unverified",
            // It is handed out all the same: AWS may have extended its life (static stability).
            (None, Some(left)) if may_be_extended(left) && self.provider.renewal() == Renewal::Platform => {
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

    /// Whether nobody ever had it.
    pub(super) const fn was_never_had(&self) -> bool {
        matches!(self.possession, Possession::NeverHad { .. })
    }

    /// Whether it was read the last time that somebody looked.
    pub(super) fn is_held(&self) -> bool {
        self.possession == Possession::Held
    }

    /// A host that never had a role has no credentials to lose.
    fn has_no_role(&self) -> bool {
        self.was_never_had() && self.reason == Some(Unavailable::NoRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemTime;

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
        known.publish(&assessed, true).unwrap().state
    }

    fn read(provider: Provider, lease: Lease, seconds: f64) -> Known {
        let mut known = Known::new(provider, String::new());
        known.take(Ok(lease), now(seconds).boot);
        known
    }

    fn is_judged(known: &Known, seconds: f64) -> bool {
        let assessed = known.assess(now(seconds), Some(truth(seconds)), None, &[]);
        matches!(known.facts(&assessed, Levels::default(), true, now(seconds).boot).life, Life::Known(_))
    }

    #[test]
    fn every_state_has_its_name() {
        let imds = |expires| read(Provider::Imds, lease(Some(0.0), expires), 10.0);
        assert_eq!(state(&imds(6.0 * HOUR), 10.0), "valid");
        assert_eq!(state(&imds(800.0), 10.0), "expiring");
        assert_eq!(state(&imds(300.0), 10.0), "rotation-overdue", "AWS promises five minutes");
        assert_eq!(state(&imds(5.0), 10.0), "expired-extended");
        assert_eq!(state(&imds(5.0), 8.0 * 86_400.0), "expired", "no outage lasts a week");
        assert_eq!(state(&read(Provider::SharedFile, lease(None, 5.0), 10.0), 10.0), "expired");
        let mut gone = imds(6.0 * HOUR);
        gone.take(Err(Unavailable::NoRole), now(20.0).boot);
        assert_eq!(state(&gone, 20.0), "unavailable");
        let mut never = Known::new(Provider::Imds, String::new());
        for day in 0..3 {
            never.take(Err(Unavailable::NoRole), now(20.0 + f64::from(day) * 86_400.0).boot);
        }
        assert_eq!(state(&never, 20.0), "no-role");
        // Days without a role are no outage of days.
        let later = 3.0 * 86_400.0;
        never.take(Err(Unavailable::Timeout), now(later).boot);
        let assessed = never.assess(now(later), None, None, &[]);
        let Reads::Failing(outage) = never.facts(&assessed, Levels::default(), true, now(later).boot).reads else {
            panic!("it cannot be read")
        };
        assert_eq!((outage.failures, outage.lasting), (1, None));
    }

    #[test]
    fn what_was_rotated_every_hour_is_overdue_after_two_and_a_restart_does_not_forget_it() {
        let mut known = Known::new(Provider::Imds, String::new());
        for hour in 0..5 {
            let at = f64::from(hour) * HOUR;
            known.take(Ok(lease(Some(at), at + 6.0 * HOUR)), now(at + 10.0).boot);
        }
        assert_eq!(state(&known, 5.0 * HOUR), "valid");
        assert_eq!(state(&known, 6.5 * HOUR), "valid", "half of its life is not over");
        assert_eq!(state(&known, 7.5 * HOUR), "rotation-overdue");
        let mut next = Known::new(Provider::Imds, String::new());
        next.resume(known.memory(now(7.0 * HOUR).boot, Some(truth(7.0 * HOUR))));
        next.take(Ok(lease(Some(4.0 * HOUR), 10.0 * HOUR)), now(7.5 * HOUR).boot);
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
        // So does one that another process watches from then on, in the same boot of the host or another.
        let mut next = Known::new(Provider::SharedFile, String::new());
        next.resume(
            read(Provider::SharedFile, lease(None, HOUR), 0.0).memory(now(3.0 * day).boot, Some(truth(3.0 * day))),
        );
        next.take(Ok(lease(None, HOUR)), now(3.0 * day).boot);
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
