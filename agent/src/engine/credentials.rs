//! What is known of all that expires.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Before, Known};
use crate::config::checked::Config;
use crate::credentials::Provider;
use crate::credentials::lease::Unavailable;
use crate::credentials::provide::Renewal;
use crate::credentials::round::{Polled, Reading};
use crate::time::{BootTime, Span, TrueTime};

/// All that expires, by provider and slot.
pub(super) struct Credentials {
    known: Vec<Known>,
    /// The providers that are asked.
    asked: BTreeSet<Provider>,
    /// Those of them that were heard since the start of the agent.
    heard: BTreeSet<Provider>,
    /// What an earlier process knew of what was not read since.
    remembered: BTreeMap<String, Before>,
    /// Whether this is an EC2 instance; `None` where nothing tells.
    is_ec2: Option<bool>,
    /// Outcomes of requests to the instance metadata service.
    imds_requests: BTreeMap<String, u64>,
}

impl Credentials {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            known: Vec::new(),
            asked: config.credentials.providers(),
            heard: BTreeSet::new(),
            remembered: BTreeMap::new(),
            is_ec2: None,
            imds_requests: BTreeMap::new(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.iter()
    }

    /// The providers that are asked, and were not heard yet.
    pub(super) fn awaited(&self) -> impl Iterator<Item = Provider> {
        self.asked.difference(&self.heard).copied()
    }

    pub(super) const fn imds_requests(&self) -> &BTreeMap<String, u64> {
        &self.imds_requests
    }

    /// Takes a round that was read at `now`. What a provider does not hand out any more is forgotten: whoever took it away
    /// knows. What stands in a file or a folder that cannot be read is not gone, and cannot be read either.
    pub(super) fn take(&mut self, Polled { provider, mut round }: Polled, now: BootTime) {
        if !self.asked.contains(&provider) {
            return;
        }
        if provider == Provider::Imds {
            for request in round.requests {
                let count: &mut u64 = self.imds_requests.entry(request.outcome.into_owned()).or_default();
                *count = count.saturating_add(1);
            }
        }
        let mut within = Vec::new();
        round.readings.retain(|reading| {
            let Err(reason) = &reading.result else { return true };
            let inside = |known: &&Known| known.provider() == provider && is_within(known.slot(), &reading.slot);
            let before = within.len();
            within.extend(self.known.iter().filter(inside).map(|known| (known.slot().to_owned(), reason.clone())));
            before == within.len()
        });
        let lost = |(slot, reason): (String, Unavailable)| Reading { slot, result: Err(reason) };
        let read: BTreeSet<String> = round.readings.iter().map(|reading| reading.slot.clone()).collect();
        round.readings.extend(within.into_iter().filter(|(slot, _)| !read.contains(slot)).map(lost));
        let slots: BTreeSet<String> = round.readings.iter().map(|reading| reading.slot.clone()).collect();
        self.known.retain(|known| known.provider() != provider || slots.contains(known.slot()));
        for reading in round.readings {
            let found = self.known.iter().position(|known| known.is(provider, &reading.slot));
            let index = found.unwrap_or_else(|| {
                let mut known = Known::new(provider, reading.slot);
                if let Some(before) = self.remembered.remove(&known.subject()) {
                    known.resume(before);
                }
                self.known.push(known);
                self.known.len().saturating_sub(1)
            });
            if let Some(known) = self.known.get_mut(index) {
                known.take(reading.result, now);
            }
        }
        self.known.sort_by(|one, other| one.key().cmp(&other.key()));
        self.remembered.retain(|subject, _| !is_about(subject, provider));
        self.heard.insert(provider);
    }

    /// Takes note that the host slept for `by`, in which nobody could read anything.
    pub(super) fn slept(&mut self, by: Span, now: BootTime) {
        self.known.iter_mut().for_each(|known| known.slept(by, now));
        self.remembered.values_mut().for_each(|before| before.slept(by, now));
    }

    /// Goes on with another configuration, in which `is_kept` says whether what is known of a provider holds.
    pub(super) fn reload(&mut self, config: &Config, is_kept: impl Fn(Provider) -> bool) {
        self.asked = config.credentials.providers();
        let asked = &self.asked;
        let holds = |provider: Provider| asked.contains(&provider) && is_kept(provider);
        self.known.retain(|known| holds(known.provider()));
        self.heard.retain(|provider| holds(*provider));
    }

    /// What is to outlive the process at `now`, which in truth is `truth`, by subject.
    pub(super) fn memory(&self, now: BootTime, truth: Option<TrueTime>) -> Vec<(String, Before)> {
        let known = self.known.iter().map(|known| (known.subject(), known.memory(now, truth)));
        let remembered = self.remembered.iter().map(|(subject, before)| (subject.clone(), before.clone()));
        known.chain(remembered).collect()
    }

    /// Goes on with what an earlier process knew.
    pub(super) fn remember(&mut self, subject: String, before: Before) {
        self.remembered.insert(subject, before);
    }

    /// Whether this host is an EC2 instance, as far as is known.
    pub(super) fn may_be_ec2(&self) -> bool {
        self.is_ec2 != Some(false)
    }

    /// Takes what the firmware says: whether this is an EC2 instance.
    pub(super) const fn stand_on(&mut self, is_ec2: Option<bool>) {
        self.is_ec2 = is_ec2;
    }

    /// Whether anybody counts on `known`. A metadata service that never answered is missed by nobody where there can be none,
    /// nor where SDKs find a role before they would ask it.
    pub(super) fn is_missed(&self, known: &Known) -> bool {
        let is_role = |one: &&Known| matches!(one.provider().renewal(), Renewal::Platform | Renewal::Kubelet);
        known.provider() != Provider::Imds
            || !known.was_never_had()
            || (self.may_be_ec2() && !self.known.iter().filter(is_role).any(Known::is_held))
    }

    /// Whether `subject`, of which nothing is known, is gone: its provider was heard and did not speak of it, or nobody asks
    /// that provider any more.
    pub(super) fn is_gone(&self, subject: &str) -> bool {
        let mut asked = self.asked.iter();
        asked.find(|provider| is_about(subject, **provider)).is_none_or(|provider| self.heard.contains(provider))
    }
}

/// Whether a slot is something in the file or the folder of another: the only home's has no name, and those of further homes
/// stand before a colon.
fn is_within(slot: &str, container: &str) -> bool {
    slot != container
        && (container.is_empty() || slot.strip_prefix(container).is_some_and(|rest| rest.starts_with(':')))
}

/// Whether `subject` is something that `provider` hands out.
fn is_about(subject: &str, provider: Provider) -> bool {
    subject.split('/').next() == Some(provider.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;
    use crate::credentials::lease::Lease;
    use crate::credentials::round::Round;
    use crate::credentials::timestamp::Timestamp;
    use crate::time::SystemTime;

    fn credentials() -> Credentials {
        let text = "credentials: { homes: [/home/a, /home/b] }";
        Credentials::new(&parse(text, std::path::Path::new("credentials.yaml"), &|_| None).unwrap())
    }

    fn reading(slot: &str) -> Reading {
        let expiration = Some(Timestamp::Local(SystemTime::from_seconds(1e9)));
        let lease = Lease { identity: slot.to_owned(), code: None, kind: None, last_updated: None, expiration };
        Reading { slot: slot.to_owned(), result: Ok(lease) }
    }

    fn round(credentials: &mut Credentials, readings: Vec<Reading>) -> Vec<(String, bool)> {
        let polled = Polled { provider: Provider::SharedFile, round: Round::of(readings) };
        credentials.take(polled, BootTime::ZERO);
        credentials.iter().map(|known| (known.subject(), known.is_read())).collect()
    }

    fn told(slots: &[(&str, bool)]) -> Vec<(String, bool)> {
        slots.iter().map(|(slot, is_read)| ((*slot).to_owned(), *is_read)).collect()
    }

    #[cfg(unix)]
    #[test]
    fn what_stands_in_a_file_that_cannot_be_read_is_not_gone() {
        let mut credentials = credentials();
        let denied = |slot: &str| Reading { slot: slot.to_owned(), result: Err(Unavailable::Denied) };
        let all = [("shared-file/b:night", true), ("shared-file/day", true)];
        assert_eq!(round(&mut credentials, vec![reading("day"), reading("b:night")]), told(&all));
        assert_eq!(round(&mut credentials, vec![denied(""), reading("b:night")]), told(&all), "the lease holds");
        assert_eq!(round(&mut credentials, vec![reading("day"), denied("b")]), told(&all));
        assert_eq!(round(&mut credentials, vec![reading("day")]), told(&all[1..]), "somebody took it away");
        assert_eq!(round(&mut credentials, vec![]), []);
        assert_eq!(round(&mut credentials, vec![denied("")]), told(&[("shared-file", false)]));
    }
}
