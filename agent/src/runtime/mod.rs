//! The running agent: tasks that measure send events, one loop feeds them to the engine, and what follows is told.

mod error;
mod folder;
mod measuring;
mod recorder;
mod reporters;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

pub use self::error::{RunError, StartError};
use self::folder::{Folder, QUEUE};
use self::measuring::Measuring;
use self::recorder::Recorder;
use self::reporters::{Reporters, Sources, budget};
use crate::alert::machine::Transition;
use crate::clock::local;
use crate::clock::true_clock::TrueClock;
use crate::config::checked::{Config, StateDir};
use crate::credentials::Provider;
use crate::credentials::round;
use crate::delivery::spool::Spool;
use crate::delivery::store::Store;
use crate::engine::{Engine, Event};
use crate::host::mark::Mark;
use crate::host::{firmware, identity};
use crate::notify::message::message;
use crate::snapshot::Snapshot;
use crate::state::{State, Untold};
use crate::status::{self, ListenError};
use crate::stderr::Stderr;
use crate::sys;
use crate::time::{Reading, Span, SystemTime};
use crate::vitals::{Ailment, Task};

/// The clocks are compared this often, which is how late a step can be noticed.
const TICK: Duration = Duration::from_secs(1);
/// More events than this wait only if the host is so loaded that measuring has to wait as well.
const MAILBOX: usize = 256;
/// How long the end of the agent waits for what is still queued.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the agent waits for its disk before it goes on.
const DISK: Duration = Duration::from_millis(250);
/// In ticks, how often the state is written although nothing has happened, the name of the host read, and what has waited for too long is given up.
const KEEP_HOUSE: u32 = 60;

/// How an agent differs from the one that a service manager starts.
pub struct Options<'a> {
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where transitions are written, one JSON object a line.
    pub stderr: Option<Stderr>,
    /// Whether a socket is opened for `status`.
    pub is_service: bool,
    /// Called once when measuring begins.
    pub ready: &'a dyn Fn(),
    /// Called every second while nothing is wrong with any task.
    pub alive: &'a dyn Fn(),
    /// New configurations.
    pub reloads: mpsc::Receiver<Reload>,
}

/// A new configuration for a running agent.
pub struct Reload {
    /// The configuration.
    pub config: Config,
    /// Told once it holds, or cannot.
    pub done: oneshot::Sender<Result<(), StartError>>,
}

/// Runs the agent until `shutdown` resolves; then what is queued is delivered, within a deadline.
///
/// # Errors
/// Something cannot be set up, or one of the agent's tasks has ended.
pub async fn run(
    config: Arc<Config>,
    mut options: Options<'_>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let (mailbox, inbox) = mpsc::channel(MAILBOX);
    let folder = Folder::open(config.state_dir.as_ref(), &Mark::of_this_host(Path::new("/")));
    let store = folder.as_ref().map(|folder| {
        let store = Store::new(folder.path.join(QUEUE)).by(Arc::clone(&folder.claim));
        (store, folder.health.share())
    });
    let (mut recorder, left) = Recorder::open(folder);
    let (mut engine, untold) = match left {
        Some(left) => {
            let is_same_boot = recorder.is_of_this_boot(&left);
            let State { image, untold, .. } = left;
            (Engine::restore(Arc::clone(&config), image, local::read(), is_same_boot), untold)
        }
        None => (Engine::new(Arc::clone(&config), local::read()), Vec::new()),
    };
    engine.name_host(identity::name());
    engine.stand_on(firmware::is_ec2(Path::new("/")));
    let now = read(&mut engine);
    let published = Arc::new(ArcSwap::from_pointee(engine.snapshot(now)));
    let clock = Arc::new(TrueClock::default());
    if let Some(time) = engine.last_vouched() {
        clock.not_before(time);
    }

    let told = mailbox.clone();
    // A mailbox that is full has other worries, and hears of it a second later.
    let tell = move |delivery| told.try_send(Event::Delivery(delivery)).is_ok();
    let spool = Spool::start(store, budget(&config), tell);
    let sources = Sources { published: Arc::clone(&published), clock: Arc::clone(&clock) };
    let mut reporters = Reporters::start(&config, spool, sources, options.env, options.stderr.clone())?;
    let status = Status::open(&config.socket, &published, options.is_service)?;
    let prepared = measuring::Prepared::new(&config, options.env)?;
    let measuring = Measuring::start(&config, &engine.source_ids(), prepared, &clock, &mailbox);
    // An earlier process decided to tell this, and ended before it was known to be on its way.
    recorder.add(&untold);
    recorder.keep_until(reporters.tell(&untold), DISK).await;
    (options.ready)();

    let mut flow = Flow {
        mailbox,
        inbox,
        engine,
        published,
        clock,
        reporters,
        measuring,
        status,
        recorder,
        state_dir: config.state_dir.clone(),
        ticks: 0,
        last_ailment: None,
    };
    let ended = flow.run(&mut options, shutdown).await;
    flow.measuring.end();
    flow.status.end();
    let image = flow.engine.image();
    flow.recorder.record(image.clone(), DISK).await;
    flow.reporters.end(DRAIN).await;
    // Some of what was still to be told may have been delivered.
    flow.recorder.record(image, DISK).await;
    ended.map_err(RunError::Ailing)
}

/// Reads both clocks, and lets the engine know what the kernel has done to them.
fn read(engine: &mut Engine) -> Reading {
    let now = local::read();
    if let Some(steered) = local::steered() {
        engine.steered(steered, now.boot);
    }
    now
}

/// The socket for `status`.
struct Status {
    task: Option<Task>,
    path: PathBuf,
}

impl Status {
    /// Opens the socket. Where there is no place for it, as on a root file system that is read-only or for a user who tries
    /// the agent out, the agent does its work without, and says so. A place that is taken is another matter: two agents
    /// would tell everything twice.
    fn open(path: &Path, published: &Arc<ArcSwap<Snapshot>>, is_wanted: bool) -> Result<Self, StartError> {
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

    fn end(&self) {
        if let Some(task) = &self.task {
            task.abort();
            status::remove(&self.path);
        }
    }
}

/// One event after the other, until the end.
struct Flow {
    mailbox: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
    engine: Engine,
    published: Arc<ArcSwap<Snapshot>>,
    clock: Arc<TrueClock>,
    reporters: Reporters,
    measuring: Measuring,
    status: Status,
    recorder: Recorder,
    state_dir: Option<StateDir>,
    ticks: u32,
    last_ailment: Option<Ailment>,
}

impl Flow {
    async fn run(&mut self, options: &mut Options<'_>, shutdown: impl Future<Output = ()>) -> Result<(), Ailment> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut steps = sys::StepWatch::start();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                Some(event) = self.inbox.recv() => self.take(event).await,
                _ = tick.tick() => {
                    self.tick().await;
                    self.look_around(options).await?;
                }
                () = changed(&mut steps) => self.tick().await,
                Some(Reload { config, done }) = options.reloads.recv() => {
                    // Whoever asked may have gone.
                    let _ = done.send(self.reload(config, options).await);
                }
            }
        }
    }

    async fn tick(&mut self) {
        self.take(Event::Tick { kernel: sys::kernel_clock().ok(), asleep: local::asleep() }).await;
    }

    async fn take(&mut self, event: Event) {
        if let Event::Credential(round::Polled { provider: Provider::Imds, round }) = &event {
            for request in &round.requests {
                self.reporters.record_request(&request.outcome, request.duration);
            }
        }
        let now = read(&mut self.engine);
        let reaction = self.engine.handle(event, now);
        if let Some(anchor) = self.engine.anchor() {
            self.clock.set(anchor, self.engine.is_vouched());
        }
        let snapshot = Arc::new(self.engine.snapshot(now));
        let before = self.published.swap(Arc::clone(&snapshot));
        log_changes(&before, &snapshot);
        if reaction.burst {
            self.measuring.burst();
        }
        if let Some(slept) = reaction.slept {
            tracing::info!(seconds = slept.seconds(), "the host slept: all sources are asked again");
            self.measuring.wake();
        }
        if !reaction.transitions.is_empty() {
            self.tell(reaction.transitions, now.system).await;
        }
    }

    /// Tells transitions so that a crash at any moment neither loses one nor tells it under another key: they are part of
    /// the state until each of them waits in its queues, which the disk keeps as well.
    async fn tell(&mut self, transitions: Vec<Transition>, system: SystemTime) {
        let untold = transitions.into_iter().map(|transition| {
            let message = message(&transition, system);
            Untold { transition, message }
        });
        let untold: Vec<_> = untold.collect();
        self.recorder.add(&untold);
        self.recorder.record(self.engine.image(), DISK).await;
        let told = self.reporters.tell(&untold);
        // A disk that hangs must not hold up what comes next; all is on its way.
        self.recorder.keep_until(told, DISK).await;
        self.recorder.record(self.engine.image(), Duration::ZERO).await;
    }

    /// Goes on with another configuration. What cannot be set up changes nothing.
    async fn reload(&mut self, config: Config, options: &Options<'_>) -> Result<(), StartError> {
        let config = Arc::new(config);
        let prepared = measuring::Prepared::new(&config, options.env)?;
        let moved = self.status.path != config.socket;
        let status = moved.then(|| Status::open(&config.socket, &self.published, options.is_service)).transpose()?;
        let gone = match self.reporters.reload(&config, options.env).await {
            Ok(gone) => gone,
            Err(error) => {
                status.iter().for_each(Status::end);
                return Err(error);
            }
        };
        if let Some(status) = status {
            std::mem::replace(&mut self.status, status).end();
        }
        self.measuring.end();
        // What the old tasks have said still belongs to the old sources.
        while let Ok(event) = self.inbox.try_recv() {
            self.take(event).await;
        }
        gone.iter().for_each(|destination| self.engine.forget_destination(destination));
        if config.state_dir != self.state_dir {
            tracing::warn!("state_dir has changed: the old one stays in use until the agent is started anew");
        }
        self.engine.reload(Arc::clone(&config), local::read());
        self.measuring = Measuring::start(&config, &self.engine.source_ids(), prepared, &self.clock, &self.mailbox);
        Ok(())
    }

    /// What is done once a second beside measuring.
    async fn look_around(&mut self, options: &Options<'_>) -> Result<(), Ailment> {
        self.ticks = self.ticks.wrapping_add(1);
        self.reporters.catch_up();
        if self.ticks.is_multiple_of(KEEP_HOUSE) {
            self.engine.name_host(identity::name());
            self.reporters.keep_house();
            self.recorder.record(self.engine.image(), Duration::ZERO).await;
        }
        self.reporters.repost(&self.engine, local::read());
        let ailment = self.ailment(local::awake());
        if ailment != self.last_ailment
            && let Some(ailment) = &ailment
        {
            tracing::error!("{ailment}");
        }
        self.last_ailment = ailment;
        match &self.last_ailment {
            None => (options.alive)(),
            Some(dead @ Ailment::Dead(_)) => return Err(dead.clone()),
            // The service manager notices the silence; it may also be a host that is barely alive itself.
            Some(Ailment::Hangs(_)) => {}
        }
        Ok(())
    }

    fn ailment(&self, now: Span) -> Option<Ailment> {
        let status = self.status.task.as_ref().and_then(|task| task.ailment(now));
        status.or_else(|| self.measuring.ailment(now)).or_else(|| self.reporters.ailment(now))
    }
}

/// Resolves when somebody has set the clock, where that can be known.
async fn changed(steps: &mut Option<sys::StepWatch>) {
    match steps {
        Some(steps) => steps.changed().await,
        None => std::future::pending().await,
    }
}

fn log_changes(before: &Snapshot, now: &Snapshot) {
    if before.clock.state != now.clock.state {
        tracing::info!(
            from = before.clock.state,
            to = now.clock.state,
            offset_seconds = now.clock.offset_seconds,
            error_bound_seconds = now.clock.error_bound_seconds,
            "the state of the clock changed"
        );
    }
    if before.clock.steps != now.clock.steps {
        tracing::warn!(offset_seconds = now.clock.offset_seconds, "somebody set the system clock");
    }
    for (earlier, source) in before.sources.iter().zip(&now.sources) {
        if earlier.name == source.name && earlier.verdict != source.verdict {
            tracing::info!(
                source = source.name,
                address = source.address,
                verdict = source.verdict,
                refusal = source.refusal,
                "verdict"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;
    use crate::delivery::spool::tests::{count, log};
    use crate::snapshot::Delivery;

    fn config(rest: &str) -> Config {
        let text =
            format!("sources: [{{ name: a, ntp: 127.0.0.1 }}]\ncredentials: {{ imds: {{ enabled: false }} }}\n{rest}");
        parse(&text, Path::new("test.yaml"), &|_| None).unwrap()
    }

    fn flow(config: &Arc<Config>) -> Flow {
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let engine = Engine::new(Arc::clone(config), local::read());
        let published = Arc::new(ArcSwap::from_pointee(engine.snapshot(local::read())));
        let clock = Arc::new(TrueClock::default());
        let sources = Sources { published: Arc::clone(&published), clock: Arc::clone(&clock) };
        let spool = Spool::start(None, budget(config), |_| true);
        let reporters = Reporters::start(config, spool, sources, &|_| None, None).unwrap();
        let prepared = measuring::Prepared::new(config, &|_| None).unwrap();
        let measuring = Measuring::start(config, &engine.source_ids(), prepared, &clock, &mailbox);
        let status = Status::open(&config.socket, &published, false).unwrap();
        let (recorder, _) = Recorder::open(None);
        let state_dir = config.state_dir.clone();
        let (ticks, last_ailment) = (0, None);
        #[rustfmt::skip]
        let flow = Flow {
            mailbox, inbox, engine, published, clock, reporters, measuring, status, recorder, state_dir, ticks, last_ailment,
        };
        flow
    }

    async fn reload(flow: &mut Flow, config: Config) {
        let reloads = mpsc::channel(1).1;
        let options =
            Options { env: &|_| None, stderr: None, is_service: false, ready: &|| {}, alive: &|| {}, reloads };
        flow.reload(config, &options).await.unwrap();
    }

    #[tokio::test]
    async fn a_destination_that_is_gone_is_not_heard_of_again() {
        let before = Arc::new(config("channels: [{ name: old, webhook: { url: \"http://127.0.0.1:9\" } }]"));
        let mut flow = flow(&before);
        let last_words = Delivery { destination: "old".to_owned(), ..Delivery::default() };
        flow.mailbox.send(Event::Delivery(last_words)).await.unwrap();
        reload(&mut flow, config("")).await;
        flow.tick().await;
        assert_eq!(flow.published.load().delivery, []);
    }

    #[tokio::test]
    async fn each_tick_tells_the_engine_what_the_kernel_says_of_its_clock() {
        assert!(sys::kernel_clock().is_ok(), "this test needs a kernel that may be asked with adjtimex(2)");
        let mut flow = flow(&Arc::new(config("")));
        flow.tick().await;
        assert!(flow.published.load().clock.kernel.is_some());
    }

    #[tokio::test]
    async fn another_state_directory_takes_another_start_and_that_is_said() {
        let mut flow = flow(&Arc::new(config("state_dir: /nowhere/old")));
        let (log, _guard) = log();
        reload(&mut flow, config("state_dir: /nowhere/old")).await;
        assert_eq!(count(&log, "state_dir"), 0);
        reload(&mut flow, config("state_dir: /nowhere/new")).await;
        assert_eq!(count(&log, "the old one stays in use until the agent is started anew"), 1);
    }
}
