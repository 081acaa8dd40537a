//! What is known of the credentials of one provider.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::assess::credential_findings::{CredentialFacts, Outage};
use crate::assess::lifetime::Lifetime;
use crate::assess::limit::Skew;
use crate::assess::sdk::Sdk;
use crate::clock::time::{BootTime, Reading, Span, TrueTime, rfc3339};
use crate::credentials::imds;
use crate::credentials::imds::client::Request;
use crate::credentials::lease::{Lease, Unavailable};
use crate::snapshot;

/// A read of a provider's credentials.
pub struct CredentialEvent {
    /// Who hands them out.
    pub provider: &'static str,
    /// What came of it.
    pub result: Result<Lease, Unavailable>,
    /// The requests that it took.
    pub requests: Vec<Request>,
}

impl From<imds::poller::Polled> for CredentialEvent {
    fn from(polled: imds::poller::Polled) -> Self {
        Self { provider: imds::poller::PROVIDER, result: polled.result, requests: polled.requests }
    }
}

/// What is known of the credentials of one provider.
pub(super) struct Known {
    provider: &'static str,
    lease: Option<Lease>,
    /// Whether the host slept since the lease was read, so that it may well have been rotated.
    is_stale: bool,
    failure: Option<Failure>,
    /// What was known before a restart, until the first read that says otherwise.
    before: Before,
    requests: BTreeMap<String, u64>,
}

struct Failure {
    since: BootTime,
    count: u32,
    reason: Unavailable,
}

/// What outlives the process of the credentials of one provider. Their lifetime is read again at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    /// Whether there was a role, so that it is an outage where there is none.
    had_role: bool,
    /// Since when they could not be read, and how many times in a row.
    outage: Option<(BootTime, u32)>,
}

/// The lifetime of what is known, at one moment.
pub(super) struct Assessed {
    pub(super) lifetime: Option<Lifetime>,
    lag: Span,
}

impl Known {
    pub(super) fn new(provider: &'static str) -> Self {
        Self {
            provider,
            lease: None,
            is_stale: false,
            failure: None,
            before: Before::default(),
            requests: BTreeMap::new(),
        }
    }

    /// What is to outlive the process.
    pub(super) fn memory(&self) -> Before {
        let outage = self.failure.as_ref().filter(|_| !self.has_no_role());
        Before {
            had_role: self.had_role(),
            outage: outage.map(|failure| (failure.since, failure.count)).or(self.before.outage),
        }
    }

    /// Goes on with what was known before a restart, which nobody looked after since `last`.
    pub(super) fn resume(&mut self, before: Before, last: BootTime, now: BootTime) {
        // The time that an outage had lasted goes on; the time in which nobody looked does not count.
        let since = |since: BootTime| now.minus(last.since(since).max(Span::ZERO));
        self.before = Before { outage: before.outage.map(|(at, count)| (since(at), count)), ..before };
    }

    /// Whether what it hands out was read, or is known not to be there.
    pub(super) fn is_read(&self) -> bool {
        (self.lease.is_some() && !self.is_stale) || self.has_no_role()
    }

    /// Takes note that the host slept for `by`, in which nobody could read anything.
    pub(super) fn slept(&mut self, by: Span) {
        self.is_stale = true;
        if let Some(failure) = &mut self.failure {
            failure.since = failure.since.plus(by);
        }
        if let Some((since, _)) = &mut self.before.outage {
            *since = since.plus(by);
        }
    }

    pub(super) fn provider(&self) -> &'static str {
        self.provider
    }

    pub(super) const fn requests(&self) -> &BTreeMap<String, u64> {
        &self.requests
    }

    pub(super) fn take(&mut self, event: CredentialEvent, now: BootTime) {
        for request in event.requests {
            let count: &mut u64 = self.requests.entry(request.outcome.into_owned()).or_default();
            *count = count.saturating_add(1);
        }
        match event.result {
            Ok(lease) => {
                self.lease = Some(lease);
                self.is_stale = false;
                self.failure = None;
                self.before = Before::default();
            }
            Err(reason) => {
                let (since, count) = match &self.failure {
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
        Assessed {
            lifetime: expiration.map(|expiration| Lifetime::of(expiration, now, true_now, skew, sdks)),
            lag: skew.map_or(Span::ZERO, |skew| skew.offset.lag()),
        }
    }

    pub(super) fn facts<'a>(&'a self, assessed: &'a Assessed, now: BootTime) -> CredentialFacts<'a> {
        CredentialFacts {
            provider: self.provider,
            identity: self.identity(),
            lifetime: assessed.lifetime.as_ref().filter(|_| !self.is_stale),
            lag: assessed.lag,
            failure: self.failure.as_ref().filter(|_| !self.has_no_role()).map(|failure| Outage {
                failures: failure.count,
                lasting: now.since(failure.since),
                reason: failure.reason.to_string(),
                remedy: failure.reason.remedy(),
            }),
        }
    }

    pub(super) fn publish(&self, assessed: &Assessed, true_now: Option<TrueTime>) -> Option<snapshot::Credential> {
        if self.lease.is_none() && self.failure.is_none() {
            return None;
        }
        let lease = self.lease.as_ref();
        let lifetime = assessed.lifetime.as_ref();
        let remaining = lifetime.and_then(|lifetime| lifetime.remaining);
        let state = match &self.failure {
            Some(_) if self.has_no_role() => "no-role",
            Some(_) => "unavailable",
            None if remaining.is_some_and(|remaining| remaining <= Span::ZERO) => "expired",
            None => "valid",
        };
        let code = match &self.failure {
            Some(Failure { reason: Unavailable::Rejected { code }, .. }) => code.clone(),
            Some(failure) => failure.reason.code().into_owned(),
            None => lease.and_then(|lease| lease.code.clone()).unwrap_or_else(|| "Success".to_owned()),
        };
        let text = |time: TrueTime| rfc3339(time.nanos());
        let expiration = lease.and_then(|lease| lease.expiration);
        let last_updated = lease.and_then(|lease| lease.last_updated);
        Some(snapshot::Credential {
            provider: self.provider.to_owned(),
            identity: self.identity().to_owned(),
            state: state.to_owned(),
            code,
            expiration: expiration.map(text),
            expiration_seconds: expiration.map(TrueTime::seconds),
            last_updated: last_updated.map(text),
            remaining_seconds: remaining.map(Span::seconds),
            remaining_local_seconds: lifetime.map(|lifetime| lifetime.remaining_local.seconds()),
            age_seconds: last_updated.zip(true_now).map(|(updated, now)| now.since(updated).seconds()),
            refresh_margins_seconds: lifetime.map_or_else(BTreeMap::new, |lifetime| {
                lifetime.refresh_margins.iter().map(|(sdk, margin)| (sdk.name().to_owned(), margin.seconds())).collect()
            }),
        })
    }

    fn identity(&self) -> &str {
        self.lease.as_ref().map_or("", |lease| &lease.identity)
    }

    const fn had_role(&self) -> bool {
        self.lease.is_some() || self.before.had_role
    }

    /// A host that never had a role has no credentials to lose.
    fn has_no_role(&self) -> bool {
        !self.had_role() && matches!(self.failure.as_ref().map(|failure| &failure.reason), Some(Unavailable::NoRole))
    }
}
