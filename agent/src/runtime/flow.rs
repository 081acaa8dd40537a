//! The loop of the running agent: one event after the other, and what follows from it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::error::StartError;
use super::measuring::{self, Measuring};
use super::recorder::Recorder;
use super::reporters::Reporters;
use super::socket::Status;
use super::{DISK, Options, Reload, TICK};
use crate::alert::machine::Transition;
use crate::clock::local;
use crate::clock::true_clock::TrueClock;
use crate::config::checked::{Config, StateDir};
use crate::credentials::Provider;
use crate::credentials::round;
use crate::engine::{Engine, Event};
use crate::host::identity;
use crate::host::vmclock::Watch;
use crate::notify::message::message;
use crate::snapshot::Snapshot;
use crate::state::Untold;
use crate::sys;
use crate::time::{Reading, Span, SystemTime};
use crate::vitals::Ailment;

/// In ticks, how often the state is written although nothing has happened, the name of the host read, and what has waited for
/// too long is given up.
const KEEP_HOUSE: u32 = 60;

/// One event after the other, until the end.
pub(super) struct Flow {
    pub(super) mailbox: mpsc::Sender<Event>,
    pub(super) inbox: mpsc::Receiver<Event>,
    pub(super) engine: Engine,
    pub(super) published: Arc<ArcSwap<Snapshot>>,
    pub(super) clock: Arc<TrueClock>,
    pub(super) reporters: Reporters,
    pub(super) measuring: Measuring,
    pub(super) status: Status,
    pub(super) recorder: Recorder,
    pub(super) state_dir: Option<StateDir>,
    pub(super) vmclock: Watch,
    pub(super) ticks: u32,
    pub(super) last_ailment: Option<Ailment>,
}

impl Flow {
    /// Takes what comes until `shutdown` resolves, or one of the tasks has ended.
    pub(super) async fn run(
        &mut self,
        options: &mut Options<'_>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Ailment> {
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

    /// Before each event, so that nothing is judged by a clock that was another one's.
    fn ask_hypervisor(&mut self) {
        let now = local::read();
        let Some(page) = self.vmclock.read(now.boot) else { return };
        if self.engine.runs_on(page, now) {
            tracing::warn!(
                "the hypervisor has disrupted the clocks of this machine: all sources and credentials are asked again"
            );
            self.measuring.wake();
        }
    }

    async fn take(&mut self, event: Event) {
        self.ask_hypervisor();
        if let Event::Credential(round::Polled { provider: Provider::Imds, round }) = &event {
            for request in &round.requests {
                self.reporters.record_request(&request.outcome, request.duration);
            }
        }
        let now = read(&mut self.engine);
        let reaction = self.engine.handle(event, now);
        match self.engine.anchor() {
            Some(anchor) => self.clock.set(anchor, self.engine.is_vouched()),
            None => self.clock.forget(),
        }
        self.clock.settle(self.engine.is_settled());
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
            let message = message(&transition, system, self.engine.runbooks());
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
        let moved = !self.status.is_at(&config.socket);
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
        if config.vmclock != *self.vmclock.choice() {
            self.vmclock = Watch::new(config.vmclock.clone());
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
        let status = self.status.ailment(now);
        status.or_else(|| self.measuring.ailment(now)).or_else(|| self.reporters.ailment(now))
    }
}

/// Reads both clocks, and lets the engine know what the kernel has done to them.
pub(super) fn read(engine: &mut Engine) -> Reading {
    let now = local::read();
    if let Some(steered) = local::steered() {
        engine.steered(steered, now.boot);
    }
    now
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
    use std::path::Path;

    use super::*;
    use crate::config::load::parse;
    use crate::delivery::spool::Spool;
    use crate::delivery::spool::tests::{count, log};
    use crate::runtime::MAILBOX;
    use crate::runtime::reporters::{Sources, budget};
    use crate::snapshot::Delivery;

    fn config(rest: &str) -> Config {
        let text =
            format!("sources: [{{ name: a, ntp: 127.0.0.1 }}]\ncredentials: {{ imds: {{ enabled: false }} }}\n{rest}");
        parse(&text, Path::new("test.yaml"), &|_| None).unwrap()
    }

    async fn flow(config: &Arc<Config>) -> Flow {
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let engine = Engine::new(Arc::clone(config), local::read());
        let published = Arc::new(ArcSwap::from_pointee(engine.snapshot(local::read())));
        let clock = Arc::new(TrueClock::default());
        let sources = Sources { published: Arc::clone(&published), clock: Arc::clone(&clock) };
        let spool = Spool::start(None, budget(config), |_| true);
        let reporters = Reporters::start(config, spool, sources, &|_| None, None).await.unwrap();
        let prepared = measuring::Prepared::new(config, &|_| None).unwrap();
        let measuring = Measuring::start(config, &engine.source_ids(), prepared, &clock, &mailbox);
        let status = Status::open(&config.socket, &published, false).unwrap();
        let (recorder, _) = Recorder::open(None);
        let (state_dir, vmclock) = (config.state_dir.clone(), Watch::new(config.vmclock.clone()));
        let (ticks, last_ailment) = (0, None);
        #[rustfmt::skip]
        let flow = Flow {
            mailbox, inbox, engine, published, clock, reporters, measuring, status, recorder, state_dir, vmclock, ticks,
            last_ailment,
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
        let mut flow = flow(&before).await;
        let last_words = Delivery { destination: "old".to_owned(), ..Delivery::default() };
        flow.mailbox.send(Event::Delivery(last_words)).await.unwrap();
        reload(&mut flow, config("")).await;
        flow.tick().await;
        assert_eq!(flow.published.load().delivery, []);
    }

    #[tokio::test]
    async fn each_tick_tells_the_engine_what_the_kernel_says_of_its_clock() {
        assert!(sys::kernel_clock().is_ok(), "this test needs a kernel that may be asked with adjtimex(2)");
        let mut flow = flow(&Arc::new(config(""))).await;
        flow.tick().await;
        assert!(flow.published.load().clock.kernel.is_some());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn another_state_directory_takes_another_start_and_that_is_said() {
        let mut flow = flow(&Arc::new(config("state_dir: /nowhere/old"))).await;
        let (log, _guard) = log();
        reload(&mut flow, config("state_dir: /nowhere/old")).await;
        assert_eq!(count(&log, "state_dir"), 0);
        reload(&mut flow, config("state_dir: /nowhere/new")).await;
        assert_eq!(count(&log, "the old one stays in use until the agent is started anew"), 1);
    }
}
