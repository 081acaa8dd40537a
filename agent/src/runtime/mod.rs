//! The running agent: tasks that measure send events, one loop feeds them to the engine, and what follows is told.

mod error;
mod flow;
mod folder;
mod measuring;
pub mod observer;
mod recorder;
mod reporters;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

pub use self::error::{RunError, StartError};
use self::flow::{Flow, read};
use self::folder::{Folder, QUEUE};
use self::measuring::Measuring;
use self::recorder::Recorder;
use self::reporters::{Reporters, Sources, budget};
use self::socket::Status;
use crate::clock::local;
use crate::clock::true_clock::TrueClock;
use crate::config::checked::Config;
use crate::delivery::spool::Spool;
use crate::delivery::store::Store;
use crate::engine::{Engine, Event};
use crate::host::mark::Mark;
use crate::host::vmclock::Watch;
use crate::host::{firmware, identity};
use crate::state::State;
use crate::stderr::Stderr;
use crate::sys;

/// More events than this wait only if the host is so loaded that measuring has to wait as well.
const MAILBOX: usize = 256;
/// The clocks are compared this often, which is how late a step can be noticed.
const TICK: Duration = Duration::from_secs(1);
/// How long the end of the agent waits for what is still queued.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the agent waits for its disk before it goes on.
const DISK: Duration = Duration::from_millis(250);

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
    let folder = Folder::open(config.state_dir.as_ref(), &Mark::of_this_host(sys::root()));
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
    engine.stand_on(firmware::is_ec2(sys::root()));
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
    let mut reporters = Reporters::start(&config, spool, sources, options.env, options.stderr.clone()).await?;
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
        vmclock: Watch::new(config.vmclock.clone()),
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
