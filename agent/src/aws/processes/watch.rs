//! The task that looks which SDKs run on this host, for as long as the agent runs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::cache::Cache;
use super::process::sdks_in_use;
use super::scan::scan;
use crate::assess::sdk::Sdk;
use crate::vitals::Pulse;

/// Services come and go, but which SDKs they are written with hardly changes.
const EVERY: Duration = Duration::from_secs(600);
/// The first look may read many executables, from a disk that is slow.
const LOOK: Duration = Duration::from_secs(300);

/// The SDKs that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse(pub BTreeSet<Sdk>);

/// Looks every ten minutes, until the mailbox closes.
pub async fn run<E: From<InUse>>(mailbox: mpsc::Sender<E>, pulse: Pulse) {
    let mut cache = Cache::default();
    loop {
        pulse.expect(LOOK);
        let look = move || {
            let processes = scan(Path::new("/"), &mut cache);
            (InUse(sdks_in_use(&processes)), cache)
        };
        // A look that broke off is made again, from the beginning.
        let (in_use, kept) =
            tokio::task::spawn_blocking(look).await.unwrap_or((InUse(BTreeSet::new()), Cache::default()));
        cache = kept;
        if mailbox.send(in_use.into()).await.is_err() {
            return;
        }
        pulse.expect(EVERY);
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = mailbox.closed() => return,
        }
    }
}
