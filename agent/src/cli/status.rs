//! `status`: asks the running agent.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::args::{Status, Subject};
use super::exit::UNAVAILABLE;
use super::watch::watch;
use super::{brief, text};
use crate::snapshot::Snapshot;
use crate::status::{AskError, ask};

/// Between two looks at an agent that knows nothing yet.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn status(socket: &Path, arguments: &Status) -> anyhow::Result<u8> {
    if arguments.watch {
        return watch(socket).await;
    }
    match ask_until_known(socket, Instant::now() + arguments.wait).await {
        Ok(snapshot) => {
            if arguments.brief {
                text::answer(&format!("{}\n", brief::line(&snapshot, Subject::All)))?;
            } else {
                text::print(&snapshot, arguments.format)?;
            }
            Ok(if arguments.alive { 0 } else { snapshot.status.exit_code() })
        }
        Err(error) => {
            text::complain(&error.to_string());
            Ok(UNAVAILABLE)
        }
    }
}

/// What the agent says once it has looked, or what it says at the deadline.
async fn ask_until_known(socket: &Path, deadline: Instant) -> Result<Snapshot, AskError> {
    loop {
        let answer = ask(socket).await;
        if answer.as_ref().is_ok_and(brief::is_known) || Instant::now() + PAUSE > deadline {
            return answer;
        }
        sleep(PAUSE).await;
    }
}
