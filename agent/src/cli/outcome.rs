//! How a command is run, and what comes of it.

use anyhow::Context;

use super::alert::UnknownChannel;
use super::exit;
use crate::aws::processes::scan::ProcessError;
use crate::config::explain::ConfigError;
use crate::runtime::RunError;

/// What is said of an error, and the exit code.
pub(super) fn failure(error: &anyhow::Error) -> (String, u8) {
    match error.downcast_ref::<ConfigError>() {
        Some(wrong) => (wrong.to_string(), exit::CONFIG),
        None if error.is::<UnknownChannel>() || error.is::<ProcessError>() => (format!("error: {error}"), exit::USAGE),
        None if matches!(error.downcast_ref(), Some(RunError::Ailing(_))) => (format!("error: {error}"), exit::AILING),
        None => (format!("error: {error:#}"), exit::SOFTWARE),
    }
}

/// Threads that read and write files: one for each provider of files that may hang, and some for the others. Names are
/// resolved on threads of their own. The systemd unit allows more.
const MOST_THREADS: usize = 12;

/// One thread serves all: the agent waits far more than it works.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_THREADS)
        .build()
        .context("no runtime")?;
    let result = runtime.block_on(future);
    // A resolver that hangs must not keep the process alive.
    runtime.shutdown_background();
    Ok(result)
}
