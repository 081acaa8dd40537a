//! Measures once, for all that look at a host for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::input::env;
use crate::config::checked::Config;
use crate::credentials::Provider;
use crate::credentials::imds;
use crate::credentials::lease::Unavailable;
use crate::credentials::poller as poller_of_all;
use crate::credentials::round::{Polled, Round};
use crate::engine::{Engine, Event};
use crate::runtime::observer::Observer;
use crate::snapshot::{Snapshot, Status};
use crate::sources::poller;
use crate::sources::refusal::Refusal;
use crate::sources::source::Source;

/// What is not well is measured this often before it is reported, because one bad answer proves nothing.
const CONFIRMATIONS: u32 = 3;
/// Servers of others are not asked again sooner, as with `iburst` of time daemons.
const REMOTE_PAUSE: Duration = Duration::from_secs(2);
/// Credentials that cannot be read are read this often; each read has its own attempts at a request.
const CREDENTIAL_READS: u32 = 2;

/// Asks each source `samples` times at least, and again while not all is well and it may be asked, within `timeout`.
pub(super) async fn measure(config: Arc<Config>, samples: u32, timeout: Duration) -> anyhow::Result<Engine> {
    let deadline = Instant::now() + timeout;
    let mut observer = Observer::new(Arc::clone(&config));
    let mut credential_reads = 0;
    let mut refused: BTreeMap<usize, poller::Polled> = BTreeMap::new();
    let mut answered = BTreeSet::new();
    for round in 1..=CONFIRMATIONS.max(samples) {
        let (asked, spared): (Vec<_>, Vec<_>) =
            config.sources.iter().cloned().enumerate().partition(|(_, source)| is_asked(source, round, samples));
        let mut open: BTreeSet<Asked> = asked.iter().map(|(index, _)| Asked::Source(*index)).collect();
        // Who refused each time he was asked is taken to refuse again.
        for polled in spared.iter().filter_map(|(index, _)| refused.get(index)) {
            observer.take(Event::Source(polled.clone()));
        }
        // Two failures in a row are a finding, and a third would only take time.
        let is_read =
            credential_reads > 0 && (is_readable(&observer.snapshot()) || credential_reads >= CREDENTIAL_READS);
        let mut tasks = JoinSet::new();
        for (index, source) in asked {
            let asked = async move { Event::from(poller::once(index, source, &Arc::default()).await) };
            tasks.spawn(async move { anyhow::Ok((Asked::Source(index), asked.await)) });
        }
        if !is_read {
            credential_reads += 1;
            if let Some(imds) = config.credentials.imds.clone() {
                let asked = Asked::Credentials(Provider::Imds);
                open.insert(asked);
                tasks.spawn(async move { anyhow::Ok((asked, Event::from(imds::poller::once(&imds).await?))) });
            }
            for mut reader in config.credentials.readers(&env) {
                let asked = Asked::Credentials(reader.provider());
                open.insert(asked);
                let read = async move { anyhow::Ok((asked, Event::from(poller_of_all::once(reader.as_mut()).await))) };
                tasks.spawn(read);
            }
        }
        while let Ok(Some(ended)) = timeout_at(deadline, tasks.join_next()).await {
            let (asked, event) = ended??;
            open.remove(&asked);
            if let Event::Source(polled) = &event {
                if polled.result.is_ok() {
                    answered.insert(polled.source);
                    refused.remove(&polled.source);
                } else if !answered.contains(&polled.source) {
                    refused.insert(polled.source, polled.clone());
                }
            }
            observer.take(event);
        }
        if Instant::now() >= deadline {
            give_up(&mut observer, &open);
            break;
        }
        if round >= samples && is_settled(&observer.snapshot()) {
            break;
        }
        if config.sources.iter().any(|source| !source.kind.is_near() && is_asked(source, round + 1, samples)) {
            tokio::time::sleep_until(deadline.min(Instant::now() + REMOTE_PAUSE)).await;
        }
    }
    Ok(observer.into_engine())
}

/// Whether this one is asked in this round.
fn is_asked(source: &Source, round: u32, samples: u32) -> bool {
    source.kind.most_at_once().is_none_or(|most| round <= most.max(samples))
}

/// Somebody who was asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Source(usize),
    Credentials(Provider),
}

/// Whether there is nothing that a second look might change.
fn is_settled(snapshot: &Snapshot) -> bool {
    let is_heard = snapshot.sources.iter().all(|source| source.refusal.is_none());
    snapshot.status == Status::Ok && is_heard && is_readable(snapshot)
}

fn is_readable(snapshot: &Snapshot) -> bool {
    snapshot.credentials.iter().all(|credential| credential.state != "unavailable")
}

/// Whoever has not answered by the end of the time is as good as silent, and silent for good.
fn give_up(observer: &mut Observer, open: &BTreeSet<Asked>) {
    for asked in open {
        for _ in 0..CONFIRMATIONS {
            let event = match *asked {
                Asked::Source(source) => {
                    Event::Source(poller::Polled { source, address: None, result: Err(Refusal::TIMEOUT) })
                }
                Asked::Credentials(provider) => {
                    let round = Round::one(Err(Unavailable::Timeout), Vec::new());
                    Event::from(Polled { provider, round })
                }
            };
            observer.take(event);
        }
    }
}
