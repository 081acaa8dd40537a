//! Keeps on disk what outlives the process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::folder::Folder;
use crate::delivery::fate::Told;
use crate::delivery::store::{HANGS, Hangs};
use crate::engine::Image;
use crate::host::mark;
use crate::state::{self, FileError, LeftOut, State, Untold};
use crate::sys;

/// Writes the state of the engine, and what it has decided to tell until that is on its way.
pub(super) struct Recorder {
    folder: Option<Folder>,
    boot_id: String,
    writing: Option<Writing>,
    /// What is to be told, until it is [safe](crate::delivery::fate), and its copies once they are made.
    untold: Vec<(Untold, Option<Told>)>,
    /// Whether the last state was too large to be written whole.
    is_too_large: bool,
}

/// A write of the state that is under way.
struct Writing {
    write: JoinHandle<Result<LeftOut, FileError>>,
    since: Instant,
}

/// A disk that hangs is no reason to remember more than this.
const MOST_UNTOLD: usize = 1_000;

impl Recorder {
    /// Reads what an earlier process left in the directory.
    pub(super) fn open(folder: Option<Folder>) -> (Self, Option<State>) {
        let boot_id = sys::boot_id().unwrap_or_default();
        let left = folder.as_ref().and_then(|folder| {
            state::load(&folder.path).unwrap_or_else(|error| {
                tracing::warn!("{error}");
                None
            })
        });
        (Self { folder, boot_id, writing: None, untold: Vec::new(), is_too_large: false }, left)
    }

    /// Whether `state` was written in the present boot of the host, so that its boot clock is ours.
    pub(super) fn is_of_this_boot(&self, state: &State) -> bool {
        !self.boot_id.is_empty() && state.boot_id == self.boot_id
    }

    /// From now on this is part of the state, because it is to be told.
    pub(super) fn add(&mut self, untold: &[Untold]) {
        self.untold.extend(untold.iter().map(|untold| (untold.clone(), None)));
        let excess = self.untold.len().saturating_sub(MOST_UNTOLD);
        if excess > 0 {
            tracing::warn!(
                alerts = excess,
                "more is to be told than the state file holds: should this process be killed before all of it is on disk or \
                 delivered, the oldest is not told again"
            );
        }
        self.untold.drain(..excess);
    }

    /// Takes note that what was added last has been told, and waits no longer than `patience` until its copies are on disk.
    /// What does not get there stays part of the state until it is safe: to tell it again would only repeat a key.
    pub(super) async fn keep_until(&mut self, mut told: Vec<Told>, patience: Duration) {
        let wait = async {
            for one in &mut told {
                one.wait().await;
            }
        };
        // Some may be on disk even if others are not.
        let _ = timeout(patience, wait).await;
        for ((_, copies), told) in self.untold.iter_mut().rev().zip(told.into_iter().rev()) {
            *copies = Some(told);
        }
        self.cross_off();
    }

    /// Forgets what is safe. What was lost on its way is not, unless the same alert has told something since that is.
    fn cross_off(&mut self) {
        let mut heard = BTreeSet::new();
        let mut keep = Vec::with_capacity(self.untold.len());
        for (untold, mut told) in std::mem::take(&mut self.untold).into_iter().rev() {
            let is_safe = told.as_mut().is_some_and(Told::is_safe);
            let is_pointless = heard.contains(&untold.message.id) && told.as_mut().is_some_and(Told::is_lost);
            if is_safe {
                heard.insert(untold.message.id);
            } else if !is_pointless {
                keep.push((untold, told));
            }
        }
        keep.reverse();
        self.untold = keep;
    }

    /// Writes the state, and waits for it no longer than `patience`. While an earlier write hangs, none is begun.
    pub(super) async fn record(&mut self, image: Image, patience: Duration) {
        if !self.settle(patience).await {
            return;
        }
        self.cross_off();
        let Some(Folder { path, claim, .. }) = &self.folder else { return };
        let (folder, claim) = (path.clone(), Arc::clone(claim));
        let untold = self.untold.iter().map(|(untold, _)| untold.clone()).collect();
        let state = State { boot_id: self.boot_id.clone(), image, untold };
        let write = spawn_blocking(move || {
            claim.make().map_err(|error| FileError::unwritable(&folder.join(mark::FILE), error))?;
            state::save(&folder, &state)
        });
        self.writing = Some(Writing { write, since: Instant::now() });
        self.settle(patience).await;
    }

    /// Waits for the write that is under way; returns whether there is none any more.
    async fn settle(&mut self, patience: Duration) -> bool {
        let (Some(Writing { write, since }), Some(Folder { path, health, .. })) = (&mut self.writing, &mut self.folder)
        else {
            return true;
        };
        let Ok(written) = timeout(patience, write).await else {
            if since.elapsed() > HANGS {
                health.fails(path, &Hangs);
            }
            return false;
        };
        self.writing = None;
        match written {
            Ok(Ok(left_out)) => {
                health.works();
                let was_too_large = std::mem::replace(&mut self.is_too_large, left_out != LeftOut::default());
                if self.is_too_large && !was_too_large {
                    let LeftOut { alerts, untold, credentials } = left_out;
                    tracing::warn!(
                        alerts,
                        untold,
                        credentials,
                        "the state is too large to be kept whole: after a restart the alerts that were left out are told anew, \
                         and what was learnt of these credentials is learnt again: fewer credentials that fail at once make it \
                         smaller"
                    );
                }
            }
            Ok(Err(error)) => health.fails(path, &error),
            Err(error) => health.fails(path, &error),
        }
        true
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use async_trait::async_trait;

    use super::*;
    use crate::clock::local;
    use crate::config::checked::StateDir;
    use crate::config::load::parse;
    use crate::delivery::fate::Parcel;
    use crate::delivery::item::Item;
    use crate::delivery::queue::{Budget, Rhythm};
    use crate::delivery::request::{Answer, Destination, Failure};
    use crate::delivery::spool::Spool;
    use crate::delivery::store::{Health, Store};
    use crate::engine::{Engine, Event};
    use crate::host::mark::Mark;
    use crate::notify::message::{item, message};
    use crate::notify::runbooks::Runbooks;
    use crate::time::{Reading, Span};

    struct Down;

    #[async_trait]
    impl Destination for Down {
        async fn attempt(&self, _: &Item) -> Result<Answer, Failure> {
            Err(Failure::transient("it is down"))
        }
    }

    /// An engine that has something to tell: it has no source that answers.
    pub(in crate::runtime) fn untold() -> (Image, Untold) {
        let text = "sources: [{name: a, ntp: 127.0.0.1}]\nalerts: { boot_grace: 0s, clock-unverified: { for: 1s } }";
        let config = Arc::new(parse(text, Path::new("test.yaml"), &|_| None).unwrap());
        let start = local::read();
        let mut engine = Engine::new(config, start);
        let mut transitions = (0..600).flat_map(|second| {
            let passed = Span::from_seconds(f64::from(second));
            let now = Reading { boot: start.boot.plus(passed), system: start.system.plus(passed) };
            engine.handle(Event::Tick { kernel: None, asleep: Span::ZERO }, now).transitions
        });
        let transition = transitions.next().unwrap();
        drop(transitions);
        let message = message(&transition, start.system, &Runbooks::default());
        (engine.image(), Untold { transition, message })
    }

    #[tokio::test]
    async fn what_is_neither_on_disk_nor_delivered_stays_part_of_the_state() {
        const PATIENCE: Duration = Duration::from_secs(10);
        let dir = tempfile::tempdir().unwrap();
        let folder =
            Folder::open(Some(&StateDir { path: dir.path().to_owned(), is_given: true }), &Mark::default()).unwrap();
        let (path, health) = (dir.path().join("queue"), Health::default());
        std::fs::write(&path, b"a file is in the way").unwrap();
        let budget = Budget { size: 1_000_000, age: PATIENCE };
        let spool = Spool::start(Some((Store::new(path.clone()), health)), budget, |_| true);
        let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::new(Down));
        let (image, untold) = untold();
        let left = || state::load(dir.path()).unwrap().unwrap().untold;

        let (mut recorder, _) = Recorder::open(Some(folder));
        recorder.add(std::slice::from_ref(&untold));
        let push = || outbox.push(item(&untold.message, untold.transition.at).unwrap());
        recorder.keep_until(vec![told([push()])], PATIENCE).await;
        recorder.record(image.clone(), PATIENCE).await;
        assert_eq!(left(), std::slice::from_ref(&untold));

        std::fs::remove_file(&path).unwrap();
        spool.keep_house(untold.transition.at);
        push().wait().await;
        recorder.record(image, PATIENCE).await;
        assert_eq!(left(), []);
    }

    #[tokio::test]
    async fn no_state_is_kept_before_the_mark_of_the_host_is() {
        let dir = tempfile::tempdir().unwrap();
        // A file cannot take the place of a folder.
        std::fs::create_dir(dir.path().join(mark::FILE)).unwrap();
        let folder =
            Folder::open(Some(&StateDir { path: dir.path().to_owned(), is_given: true }), &Mark::default()).unwrap();
        let (mut recorder, _) = Recorder::open(Some(folder));
        let image = untold().0;
        recorder.record(image.clone(), Duration::from_secs(10)).await;
        assert!(!dir.path().join(state::FILE).exists());
        std::fs::remove_dir(dir.path().join(mark::FILE)).unwrap();
        recorder.record(image, Duration::from_secs(10)).await;
        assert!(dir.path().join(state::FILE).exists() && dir.path().join(mark::FILE).is_file());
    }

    fn told(parcels: impl IntoIterator<Item = Parcel>) -> Told {
        let mut told = Told::default();
        parcels.into_iter().for_each(|parcel| told.add(parcel));
        told
    }

    #[tokio::test]
    async fn what_was_given_up_for_want_of_room_stays_part_of_the_state_until_the_alert_has_told_more() {
        const PATIENCE: Duration = Duration::from_secs(10);
        let dir = tempfile::tempdir().unwrap();
        let folder =
            Folder::open(Some(&StateDir { path: dir.path().to_owned(), is_given: true }), &Mark::default()).unwrap();
        // Room for one block, and so for one alert.
        let budget = |size| Budget { size, age: PATIENCE };
        let spool = Spool::start(None, budget(4_096), |_| true);
        let outbox = spool.lane("ops", Rhythm::AsItComes, Arc::new(Down));
        let (image, first) = untold();
        let left = || state::load(dir.path()).unwrap().unwrap().untold;
        let at = |seconds| {
            let mut untold = first.clone();
            untold.message.true_time = format!("2026-03-01T10:00:{seconds:02}.000Z");
            untold
        };
        let (mut recorder, _) = Recorder::open(Some(folder));
        for seconds in [1, 2] {
            let one = at(seconds);
            recorder.add(std::slice::from_ref(&one));
            let parcel = outbox.push(item(&one.message, one.transition.at).unwrap());
            recorder.keep_until(vec![told([parcel])], PATIENCE).await;
        }
        recorder.record(image.clone(), PATIENCE).await;
        assert_eq!(left(), [at(1), at(2)], "the first is lost, and the second waits in memory alone");

        // The destination goes away, so that nobody waits for the second any more.
        spool.retain(&BTreeSet::new());
        recorder.record(image, PATIENCE).await;
        assert_eq!(left(), []);
    }
}
