//! The metrics as a file for the textfile collector of node_exporter.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::page::Page;
use crate::files::publish;
use crate::vitals::Pulse;

/// As often as the usual scrape.
const PERIOD: Duration = Duration::from_secs(15);
/// A disk may take this long.
const WRITE: Duration = Duration::from_secs(10);
/// And this long where something waits for it.
const REMOVE: Duration = Duration::from_secs(1);

/// Writes the file until the end, and then removes it: node_exporter would show its last values for ever.
pub(super) async fn write(path: PathBuf, page: Page, end: CancellationToken, pulse: Pulse) {
    let mut is_told = false;
    loop {
        let (to, text) = (path.clone(), page.text());
        // Another user reads it, and there is nothing in it that is not for all.
        let work = tokio::task::spawn_blocking(move || publish(&to, text.as_bytes()));
        let hangs = || tracing::warn!(file = %path.display(), "a file of metrics cannot be written: the disk hangs");
        let written = tokio::select! {
            written = pulse.patiently(WRITE, work, hangs) => written,
            // A disk that hangs holds up no end.
            () = end.cancelled() => break,
        };
        match written {
            Ok(Ok(())) => is_told = false,
            Ok(Err(error)) if !is_told => {
                is_told = true;
                tracing::warn!(
                    file = %path.display(),
                    %error,
                    "a file of metrics cannot be written: let telemetry.textfile be in a folder that exists and that the \
                     agent's user may write to"
                );
            }
            Ok(Err(_)) | Err(_) => {}
        }
        pulse.expect(PERIOD);
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = end.cancelled() => break,
        }
    }
    pulse.end();
    let remove = tokio::task::spawn_blocking(move || fs::remove_file(path));
    let _ = timeout(REMOVE, remove).await;
}
