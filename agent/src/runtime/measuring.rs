//! The tasks that measure.

use std::sync::Arc;

use tokio::sync::{Notify, broadcast, mpsc};

use super::error::StartError;
use crate::aws::processes::watch;
use crate::clock::true_clock::TrueClock;
use crate::config::checked::Config;
use crate::credentials;
use crate::credentials::imds::settings::Imds;
use crate::credentials::imds::{self, client::ImdsClient};
use crate::credentials::round::Read;
use crate::engine::Event;
use crate::sources::poller;
use crate::time::Span;
use crate::vitals::{Ailment, Task};

/// The tasks that measure, and the way to make all of them measure at once.
pub(super) struct Measuring {
    tasks: Vec<Task>,
    burst: broadcast::Sender<()>,
    wake: Vec<Arc<Notify>>,
}

/// What can fail about the tasks that measure.
pub(super) struct Prepared {
    imds: Option<ImdsClient>,
    readers: Vec<Box<dyn Read>>,
}

impl Prepared {
    pub(super) fn new(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        Ok(Self {
            imds: config.credentials.imds.as_ref().map(ImdsClient::new).transpose()?,
            readers: config.credentials.readers(env),
        })
    }
}

impl Measuring {
    /// Begins to measure; each source speaks under its number. Until [`Measuring::end`] every answer goes into the mailbox.
    pub(super) fn start(
        config: &Config,
        source_ids: &[usize],
        Prepared { imds, readers }: Prepared,
        clock: &Arc<TrueClock>,
        mailbox: &mpsc::Sender<Event>,
    ) -> Self {
        let (burst, _) = broadcast::channel(1);
        let mut wake = Vec::new();
        let mut awaken = || {
            let notify = Arc::new(Notify::new());
            wake.push(Arc::clone(&notify));
            notify
        };
        let mut tasks = Vec::new();
        for (&id, source) in source_ids.iter().zip(config.sources.iter().cloned()) {
            let name = format!("source {}", source.name);
            let (mailbox, burst, clock) = (mailbox.clone(), burst.subscribe(), Arc::clone(clock));
            tasks.push(Task::spawn(name, |pulse| poller::run(id, source, mailbox, burst, clock, pulse)));
        }
        if let (Some(client), Some(Imds { poll, .. })) = (imds, config.credentials.imds.clone()) {
            let (mailbox, clock, wake) = (mailbox.clone(), Arc::clone(clock), awaken());
            tasks.push(Task::spawn("imds", |pulse| imds::poller::run(client, poll, clock, mailbox, wake, pulse)));
        }
        for reader in readers {
            let (mailbox, wake, poll) = (mailbox.clone(), awaken(), config.credentials.poll);
            let name = format!("credentials of {}", reader.provider().name());
            tasks.push(Task::spawn(name, |pulse| credentials::poller::run(reader, poll, mailbox, wake, pulse)));
        }
        if config.sdks_auto {
            let mailbox = mailbox.clone();
            tasks.push(Task::spawn("processes", |pulse| watch::run(mailbox, pulse)));
        }
        Self { tasks, burst, wake }
    }

    /// Lets every source be asked at once.
    pub(super) fn burst(&self) {
        // Without a source nobody listens, and that is as well.
        let _ = self.burst.send(());
    }

    /// Lets the credentials be read at once.
    pub(super) fn wake(&self) {
        self.wake.iter().for_each(|wake| wake.notify_one());
    }

    /// What is wrong with the tasks at `now`.
    pub(super) fn ailment(&self, now: Span) -> Option<Ailment> {
        self.tasks.iter().find_map(|task| task.ailment(now))
    }

    /// Stops measuring.
    pub(super) fn end(&self) {
        self.tasks.iter().for_each(Task::abort);
    }
}
