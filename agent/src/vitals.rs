//! Whether every task that should be at work still is: one that has ended or hangs must not be silently missing.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::local;
use crate::time::Span;

/// Nothing is expected of the task.
const RESTING: i64 = i64::MAX;
/// The task has ended for a good reason.
const DONE: i64 = i64::MIN;
/// What a busy host may add to the time that anything takes.
const GRACE: Span = Span::from_nanos(60 * 1_000_000_000);

/// The sign of life of one task.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<AtomicI64>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(RESTING)))
    }
}

impl Pulse {
    /// The task will give another sign within `time`, and a minute of grace.
    pub fn expect(&self, time: Duration) {
        let due = local::awake().plus(Span::from_duration(time)).plus(GRACE);
        self.0.store(due.nanos().min(RESTING - 1), Ordering::Relaxed);
    }

    /// Waits for `work` for as long as it takes, with a sign of life at every `patience`, and says once, by `tell`, that it
    /// hangs. To begin another would only hang as well, and keep one more thread from its work.
    pub async fn patiently<T>(&self, patience: Duration, work: impl Future<Output = T>, tell: impl FnOnce()) -> T {
        let mut tell = Some(tell);
        tokio::pin!(work);
        loop {
            self.expect(patience);
            if let Ok(done) = timeout(patience, &mut work).await {
                return done;
            }
            if let Some(tell) = tell.take() {
                tell();
            }
        }
    }

    /// The task waits for something that may never come.
    pub fn rest(&self) {
        self.0.store(RESTING, Ordering::Relaxed);
    }

    /// The task is about to end, and nothing is wrong with that.
    pub fn end(&self) {
        self.0.store(DONE, Ordering::Relaxed);
    }
}

/// What is wrong with a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// It has ended.
    Dead(String),
    /// It gives no sign of life.
    Hangs(String),
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dead(task) => write!(f, "the task {task} has ended"),
            Self::Hangs(task) => write!(f, "the task {task} gives no sign of life"),
        }
    }
}

/// A task that is watched.
pub struct Task {
    name: String,
    pulse: Pulse,
    handle: JoinHandle<()>,
}

impl Task {
    /// Starts a task that gives its signs through the pulse.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(
        name: impl Into<String>,
        start: impl FnOnce(Pulse) -> F,
    ) -> Self {
        let pulse = Pulse::default();
        Self { name: name.into(), handle: tokio::spawn(start(pulse.clone())), pulse }
    }

    /// What is wrong with it at `now`, by [`local::awake`]: a host that sleeps expects nothing.
    pub fn ailment(&self, now: Span) -> Option<Ailment> {
        match self.pulse.0.load(Ordering::Relaxed) {
            DONE => None,
            _ if self.handle.is_finished() => Some(Ailment::Dead(self.name.clone())),
            due if due < now.nanos() => Some(Ailment::Hangs(self.name.clone())),
            _ => None,
        }
    }

    /// Ends it.
    pub fn abort(&self) {
        self.pulse.end();
        self.handle.abort();
    }

    /// Waits for its end.
    pub async fn join(self) {
        self.pulse.end();
        // One that was aborted is as good as one that has ended.
        let _ = self.handle.await;
    }
}

/// Watches the loop from a thread of its own, because whatever keeps the loop from its work keeps all on its thread from
/// theirs. Where no service manager watches, as in a container, nobody else would end what hangs.
pub struct Watch {
    sign: Arc<AtomicBool>,
    _end: mpsc::Sender<()>,
}

impl Watch {
    /// Looks after every `interval` whether there was a sign since the last look, until it is dropped. Once there was none
    /// for `most` looks in a row, `hangs` is called.
    ///
    /// Looks are counted, not seconds: a process that was stopped, or starved, has not looked either.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(interval: Duration, most: u32, hangs: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let sign = Arc::new(AtomicBool::new(true));
        let (end, ended) = mpsc::channel::<()>();
        let seen = Arc::clone(&sign);
        let watch = move || {
            let mut missed = 0;
            while missed < most {
                match ended.recv_timeout(interval) {
                    Err(RecvTimeoutError::Disconnected) => return,
                    Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                }
                missed = if seen.swap(false, Ordering::Relaxed) { 0 } else { missed + 1 };
            }
            hangs();
        };
        thread::Builder::new().name("watch".to_owned()).spawn(watch)?;
        Ok(Self { sign, _end: end })
    }

    /// All is well.
    pub fn sign(&self) {
        self.sign.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LOOK: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_loop_that_gives_no_sign_for_some_looks_is_noticed_by_another_thread() {
        let (tell, told) = channel();
        let watch = Watch::start(LOOK, 3, move || tell.send(()).unwrap_or_default()).unwrap();
        told.recv_timeout(PATIENCE).unwrap();
        drop(watch);
    }

    #[test]
    fn a_loop_that_gives_its_signs_is_let_alone_and_so_is_one_that_has_ended() {
        let (tell, told) = channel::<()>();
        let watch = Watch::start(LOOK, 1_000, move || tell.send(()).unwrap_or_default()).unwrap();
        for _ in 0..10 {
            watch.sign();
            assert_eq!(told.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout));
        }
        drop(watch);
        assert_eq!(told.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected), "its thread has ended");
    }

    fn after(seconds: f64) -> Span {
        local::awake().plus(Span::from_seconds(seconds))
    }

    #[tokio::test]
    async fn a_task_that_misses_its_sign_hangs_and_one_that_rests_does_not() {
        let task = Task::spawn("poller", |pulse| async move {
            pulse.expect(Duration::from_secs(10));
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        assert_eq!(task.ailment(after(69.0)), None);
        assert_eq!(task.ailment(after(71.0)), Some(Ailment::Hangs("poller".into())));
        task.pulse.rest();
        assert_eq!(task.ailment(after(1e9)), None);
    }

    #[tokio::test]
    async fn a_task_that_ended_is_dead_unless_it_said_so_or_was_told_to() {
        let ended = Task::spawn("a", |_| async {});
        let done = Task::spawn("b", |pulse| async move { pulse.end() });
        let told = Task::spawn("c", |_| std::future::pending());
        told.abort();
        while !(ended.handle.is_finished() && done.handle.is_finished() && told.handle.is_finished()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(ended.ailment(after(0.0)), Some(Ailment::Dead("a".into())));
        assert_eq!((done.ailment(after(0.0)), told.ailment(after(0.0))), (None, None));
    }
}
