//! One destination's part of the queue, and the books on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fate::{Fate, Mark};
use super::item::{Class, Item};
use super::pace::Pace;
use super::policy::Again;
use super::request::{Answer, Failure};
use super::room::{Place, Weight};
use crate::clock::true_clock::Stamp;
use crate::snapshot::Delivery;
use crate::time::BootTime;

/// What waits.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) class: Class,
    /// The idempotency key of an alert, by which a second push of the same is known.
    pub(super) key: Option<Arc<str>>,
    pub(super) at: Stamp,
    /// Since when this process has had it; `None` for what was found on disk, until the first look at its age.
    pub(super) since: Option<BootTime>,
    pub(super) place: Place,
    pub(super) weight: Weight,
    /// The item itself, until it is on disk.
    pub(super) item: Option<Item>,
    /// How often it could not be read from disk.
    pub(super) failed_reads: u32,
    /// Where somebody who remembers it reads what becomes of it.
    pub(super) mark: Option<Mark>,
}

impl Entry {
    /// Says what has become of it.
    pub(super) fn become_of(&self, fate: Fate) {
        self.mark.iter().for_each(|mark| mark.set(fate));
    }
}

/// One destination.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: Arc<str>,
    /// What waits, by its number.
    pub(super) entries: BTreeMap<u64, Entry>,
    /// The alerts among these, by their keys.
    pub(super) keys: BTreeMap<Arc<str>, u64>,
    /// What is worth sending only while nothing newer is there: it neither waits in line nor outlives the process.
    pub(super) latest: Option<Item>,
    pub(super) pace: Pace,
    /// All that attempts came to since the destination last took something.
    trouble: BTreeSet<Again>,
    /// The configuration does not name it any more.
    pub(super) is_abandoned: bool,
    pub(super) state: Delivery,
}

impl Lane {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            entries: BTreeMap::new(),
            keys: BTreeMap::new(),
            latest: None,
            pace: Pace::default(),
            trouble: BTreeSet::new(),
            is_abandoned: false,
            state: Delivery { destination: name.to_owned(), ..Delivery::default() },
        }
    }

    /// Puts an entry in; returns whether none had this number.
    pub(super) fn insert(&mut self, number: u64, entry: Entry) -> bool {
        if self.entries.contains_key(&number) {
            return false;
        }
        if let Some(key) = &entry.key {
            self.keys.insert(Arc::clone(key), number);
        }
        self.state.queued = self.state.queued.saturating_add(1);
        self.state.bytes = self.state.bytes.saturating_add(entry.weight.disk);
        self.entries.insert(number, entry);
        true
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        if let Some(key) = entry.key.as_ref().filter(|key| self.keys.get(*key) == Some(&number)) {
            self.keys.remove(key);
        }
        self.state.queued = self.state.queued.saturating_sub(1);
        self.state.bytes = self.state.bytes.saturating_sub(entry.weight.disk);
        Some(entry)
    }

    /// Notes how an attempt ended; returns whether that is news: the destination recovered, or fails in a way in which it
    /// has not since it last took something.
    pub(super) fn note(&mut self, result: &Result<Answer, Failure>) -> bool {
        match result {
            Ok(_) => {
                self.state.error = None;
                !std::mem::take(&mut self.trouble).is_empty()
            }
            Err(failure) => {
                self.state.failures = self.state.failures.saturating_add(1);
                self.state.refusals = self.state.refusals.saturating_add(u64::from(failure.again != Again::Soon));
                self.state.error = Some(failure.reason.clone());
                self.trouble.insert(failure.again)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_fail_is_news_once_until_something_is_taken() {
        let mut lane = Lane::new("ops");
        let mut is_news = |again| match again {
            Some(again) => lane.note(&Err(Failure { again, ..Failure::transient("") })),
            None => lane.note(&Ok(Answer { status: 200, body: bytes::Bytes::new() })),
        };
        let (soon, slowly, never) = (Some(Again::Soon), Some(Again::Slowly), Some(Again::Never));
        assert!(!is_news(None), "nothing was wrong");
        for again in [never, slowly, soon] {
            assert!(is_news(again) && !is_news(again), "{again:?}");
        }
        assert!(is_news(None) && !is_news(None));
        assert!(is_news(slowly));
    }
}
