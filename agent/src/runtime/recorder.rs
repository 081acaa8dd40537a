//! Keeps on disk what outlives the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::reporters::Told;
use crate::config::checked::StateDir;
use crate::delivery::store::Health;
use crate::engine::Image;
use crate::state::{self, FileError, State, Untold};
use crate::sys;

/// Shows which process a state directory belongs to.
const LOCK: &str = "lock";

/// A state directory that this process alone writes to.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) health: Health,
    _lock: Option<File>,
}

impl Folder {
    /// Takes possession of the directory; `None` where there is none, or where it is another agent's.
    pub(super) fn open(configured: Option<&StateDir>) -> Option<Self> {
        const EFFECT: &str = "a restart forgets what fires and what waits for delivery";
        let StateDir { path, is_given } = configured?;
        let folder = path.display();
        if !path.is_dir() {
            if *is_given {
                tracing::warn!(state_dir = %folder, "the state directory does not exist: create it for the agent's user, else {EFFECT}");
            } else {
                tracing::info!(state_dir = %folder, "there is no state directory: {EFFECT}");
            }
            return None;
        }
        let lock = match OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join(LOCK)) {
            Ok(lock) => lock,
            // What can be read may still be of use, and the disk may become writable again.
            Err(error) => {
                let health = Health::default();
                health.fails(path, &error);
                return Some(Self { path: path.clone(), health, _lock: None });
            }
        };
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                tracing::warn!(state_dir = %folder, "the state directory belongs to another agent that runs: give each its own, else {EFFECT}");
                None
            }
            // Some file systems know no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {
                Some(Self { path: path.clone(), health: Health::default(), _lock: Some(lock) })
            }
        }
    }
}

/// Writes the state of the engine, and what it has decided to tell until that is on its way.
pub(super) struct Recorder {
    folder: Option<Folder>,
    boot_id: String,
    writing: Option<JoinHandle<Result<(), FileError>>>,
    is_failing: bool,
    /// What is to be told, and is not known to wait in its queues.
    untold: Vec<Untold>,
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
        (Self { folder, boot_id, writing: None, is_failing: false, untold: Vec::new() }, left)
    }

    /// Whether `state` was written in the present boot of the host, so that its boot clock is ours.
    pub(super) fn is_of_this_boot(&self, state: &State) -> bool {
        !self.boot_id.is_empty() && state.boot_id == self.boot_id
    }

    /// From now on this is part of the state, because it is to be told.
    pub(super) fn add(&mut self, untold: &[Untold]) {
        self.untold.extend_from_slice(untold);
        let excess = self.untold.len().saturating_sub(MOST_UNTOLD);
        self.untold.drain(..excess);
    }

    /// Waits no longer than `patience` until all that was told waits in its queues. What does not get there in time stays
    /// part of the state until something later does: to tell it again would only repeat a key.
    pub(super) async fn keep_until(&mut self, told: Told, patience: Duration) {
        if timeout(patience, told.wait()).await.is_ok() {
            self.untold.clear();
        }
    }

    /// Writes the state, and waits for it no longer than `patience`. While an earlier write hangs, none is begun.
    pub(super) async fn record(&mut self, image: Image, patience: Duration) {
        if !self.settle(patience).await {
            return;
        }
        let Some(folder) = self.folder.as_ref().map(|folder| folder.path.clone()) else { return };
        let state = State { boot_id: self.boot_id.clone(), image, untold: self.untold.clone() };
        self.writing = Some(spawn_blocking(move || state::save(&folder, &state)));
        self.settle(patience).await;
    }

    /// Waits for the write that is under way; returns whether there is none any more.
    async fn settle(&mut self, patience: Duration) -> bool {
        let Some(writing) = &mut self.writing else { return true };
        let Ok(written) = timeout(patience, writing).await else { return false };
        self.writing = None;
        let Some(folder) = &self.folder else { return true };
        match written {
            Ok(Ok(())) if self.is_failing => {
                self.is_failing = false;
                folder.health.works();
            }
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.is_failing = true;
                folder.health.fails(&folder.path, &error);
            }
            Err(error) => folder.health.fails(&folder.path, &error),
        }
        true
    }
}
