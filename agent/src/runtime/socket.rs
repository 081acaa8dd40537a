//! The socket for `status`, for as long as the agent runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::error::StartError;
use crate::snapshot::Snapshot;
use crate::status::{self, ListenError};
use crate::time::Span;
use crate::vitals::{Ailment, Task};

/// The socket for `status`.
pub(super) struct Status {
    task: Option<Task>,
    path: PathBuf,
}

impl Status {
    /// Opens the socket. Where there is no place for it, as on a root file system that is read-only or for a user who tries
    /// the agent out, the agent does its work without, and says so. A place that is taken is another matter: two agents
    /// would tell everything twice.
    pub(super) fn open(path: &Path, published: &Arc<ArcSwap<Snapshot>>, is_wanted: bool) -> Result<Self, StartError> {
        let none = Self { task: None, path: path.to_owned() };
        if !is_wanted {
            return Ok(none);
        }
        match status::listen(path) {
            Ok(listener) => {
                let published = Arc::clone(published);
                Ok(Self {
                    task: Some(Task::spawn("status", |pulse| status::serve(listener, published, pulse))),
                    ..none
                })
            }
            Err(ListenError::Io(error)) => {
                tracing::warn!(
                    socket = %path.display(),
                    %error,
                    "there is no status socket, so `skewguard status` cannot ask this agent, and all else goes on: let \
                     `socket` be in a folder that exists and that the agent's user may write to, and start it anew"
                );
                Ok(none)
            }
            Err(source) => Err(StartError::Socket { path: path.display().to_string(), source }),
        }
    }

    /// Whether it is, or would be, at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.path == path
    }

    /// What is wrong with it at `now`.
    pub(super) fn ailment(&self, now: Span) -> Option<Ailment> {
        self.task.as_ref().and_then(|task| task.ailment(now))
    }

    /// Closes it, and takes it away.
    pub(super) fn end(&self) {
        if let Some(task) = &self.task {
            task.abort();
            status::remove(&self.path);
        }
    }
}
