//! The task that looks which SDKs run on this host, for as long as the agent runs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::cache::Cache;
use super::scan::each;
use crate::aws::sdk::Sdk;
use crate::sys;
use crate::vitals::Pulse;

/// Services come and go, but which SDKs they are written with hardly changes.
const EVERY: Duration = Duration::from_secs(600);
/// The first look may read many executables, from a disk that is slow. What takes longer hangs: the jar of a process may
/// lie on a server that is gone.
const PATIENCE: Duration = Duration::from_secs(300);

/// The SDKs that run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Those that were found.
    pub sdks: BTreeSet<Sdk>,
    /// Whether there are no others: every process could be looked at in full.
    pub is_whole: bool,
}

/// Looks every ten minutes, until the mailbox closes.
pub async fn run<E: From<InUse>>(mailbox: mpsc::Sender<E>, pulse: Pulse) {
    let look = |mut cache: Cache| (in_use(sys::root(), &mut cache), cache);
    run_within(PATIENCE, EVERY, look, mailbox, pulse).await;
}

/// Looks once. `root` is `/` but in tests.
pub(super) fn in_use(root: &Path, cache: &mut Cache) -> InUse {
    let mut sdks = BTreeSet::new();
    let mut is_partial = false;
    let are_all = each(root, cache, |process| {
        is_partial |= process.is_partial && process.pid != std::process::id();
        sdks.extend(process.found.iter().filter_map(|found| found.library.sdk()));
    });
    InUse { sdks, is_whole: are_all && !is_partial }
}

async fn run_within<E: From<InUse>>(
    patience: Duration,
    every: Duration,
    look: impl Fn(Cache) -> (InUse, Cache) + Clone + Send + 'static,
    mailbox: mpsc::Sender<E>,
    pulse: Pulse,
) {
    let mut cache = Cache::default();
    loop {
        let look = look.clone();
        let looking = tokio::task::spawn_blocking(move || look(cache));
        // A look that broke off is made again, from the beginning.
        let tell =
            || tracing::warn!("the SDKs of running processes cannot be looked for: the file system of one hangs");
        let (in_use, kept) = pulse.patiently(patience, looking, tell).await.unwrap_or_default();
        cache = kept;
        if mailbox.send(in_use.into()).await.is_err() {
            return;
        }
        pulse.expect(every);
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = mailbox.closed() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, mpsc as blocking};

    use super::*;
    use crate::clock::local;
    use crate::time::Span;
    use crate::vitals::Task;

    #[tokio::test]
    async fn a_look_that_hangs_is_waited_for_and_neither_another_is_begun_nor_the_task_given_up() {
        let (go, gate) = blocking::channel::<()>();
        let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(gate)));
        let counted = Arc::clone(&calls);
        let look = move |cache| {
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                gate.lock().unwrap().recv().unwrap();
            }
            (InUse::default(), cache)
        };
        let (mailbox, mut inbox) = mpsc::channel::<InUse>(8);
        let millis = Duration::from_millis;
        let task = Task::spawn("test", |pulse| run_within(millis(5), millis(1), look, mailbox, pulse));
        let begins = async {
            while calls.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), begins).await.expect("nobody looks");
        let begun = local::awake();
        // Many times its patience.
        tokio::time::sleep(millis(200)).await;
        assert_eq!((calls.load(Ordering::Relaxed), inbox.len()), (1, 0));
        // Its patience and the grace would have ended by then, had it given one sign alone.
        let then = begun.plus(Span::from_duration(Duration::from_secs(60) + millis(100)));
        assert!(task.ailment(then).is_none());
        go.send(()).unwrap();
        for _ in 0..2 {
            assert_eq!(inbox.recv().await, Some(InUse::default()));
        }
        task.abort();
    }
}
