//! Who says how this host is: the running agent, or where none answers, this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::input::env;
use crate::config::checked::Config;
use crate::credentials::imds::settings::Imds;
use crate::runtime::StartError;
use crate::runtime::observer::Lookout;
use crate::snapshot::Snapshot;
use crate::sources::source::Source;
use crate::status::{AskError, ask_trusted};

/// The agent is asked this long after its last answer, or after it was found not to answer.
const PAUSE: Duration = Duration::from_secs(1);
/// An agent that is there answers sooner. One that hangs is not waited for.
const FIRST_ANSWER: Duration = Duration::from_millis(500);
/// How often a source on this host or on its link is asked at least, and files are read.
const NEAR: Duration = Duration::from_secs(2);
/// How often the metadata service is asked at least; after a failure it is asked sooner.
const METADATA: Duration = Duration::from_secs(10);

/// Whoever says how this host is. As long as the agent answers, it is the agent.
pub(super) struct Informant {
    config: Arc<Config>,
    answers: mpsc::Receiver<Result<Snapshot, AskError>>,
    asking: JoinHandle<()>,
    /// Until then nothing is measured, because the agent may answer.
    first_answer: Option<Instant>,
    /// What the agent has said last.
    said: Option<Snapshot>,
    lookout: Option<Lookout>,
}

impl Informant {
    /// Begins to ask the agent on the socket of the configuration.
    pub(super) fn new(config: Config) -> Self {
        // One answer waits, so that none that is older than the pause is taken for the present.
        let (sender, answers) = mpsc::channel(1);
        let asking = tokio::spawn(ask_on(config.socket.clone(), sender));
        let first_answer = Some(Instant::now() + FIRST_ANSWER);
        Self { config: Arc::new(hurried(config)), answers, asking, first_answer, said: None, lookout: None }
    }

    /// Waits until more may be known. Whoever ends the waiting early misses nothing.
    ///
    /// # Errors
    /// The agent does not answer, and this process cannot measure.
    pub(super) async fn next(&mut self) -> Result<(), StartError> {
        tokio::select! {
            Some(answer) = self.answers.recv() => self.take(answer.ok()),
            () = elapsed(self.first_answer) => self.take(None),
            () = observed(self.lookout.as_mut()) => Ok(()),
        }
    }

    /// What is known now; `None` before anybody has said anything.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        self.said.clone().or_else(|| self.lookout.as_ref().map(Lookout::snapshot))
    }

    /// Whether the agent says it.
    pub(super) const fn is_agent(&self) -> bool {
        self.said.is_some()
    }

    fn take(&mut self, said: Option<Snapshot>) -> Result<(), StartError> {
        self.first_answer = None;
        self.said = said;
        if self.said.is_some() {
            self.lookout = None;
        } else if self.lookout.is_none() {
            self.lookout = Some(Lookout::start(&self.config, &env)?);
        }
        Ok(())
    }
}

impl Drop for Informant {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

/// Asks the agent until nobody wants to hear it any more.
async fn ask_on(socket: PathBuf, answers: mpsc::Sender<Result<Snapshot, AskError>>) {
    while answers.send(ask_trusted(&socket).await).await.is_ok() {
        sleep(PAUSE).await;
    }
}

async fn elapsed(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn observed(lookout: Option<&mut Lookout>) {
    match lookout {
        Some(lookout) => lookout.next().await,
        None => std::future::pending().await,
    }
}

/// The same configuration for somebody who waits: all are asked as often as they may be, and who runs here does not matter.
fn hurried(config: Config) -> Config {
    let mut config = Config { sdks_auto: false, ..config };
    for Source { kind, poll, .. } in &mut config.sources {
        *poll = kind.cadence().shortest.max(NEAR).min(*poll);
    }
    config.credentials.poll = config.credentials.poll.min(NEAR);
    if let Some(Imds { poll, .. }) = &mut config.credentials.imds {
        *poll = METADATA.min(*poll);
    }
    config
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::load::parse;

    #[test]
    fn whoever_waits_asks_as_often_as_he_may_and_no_oftener() {
        let text = "
sources: [{ name: near, ntp: 169.254.169.123 }, { name: eager, ntp: 127.0.0.1, poll: 1s }, { name: far, ntp: 192.0.2.1 }]
credentials: { imds: { poll: 5m }, poll: 10m }
";
        let config = hurried(parse(text, Path::new("wait.yaml"), &|_| None).unwrap());
        let polls: Vec<_> = config.sources.iter().map(|source| source.poll.as_secs()).collect();
        assert_eq!(polls, [2, 1, 16]);
        assert_eq!((config.credentials.poll, config.credentials.imds.unwrap().poll), (NEAR, METADATA));
        assert!(!config.sdks_auto);
    }
}
