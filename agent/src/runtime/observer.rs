//! What one process learns of its host that tells nobody: the engine as the agent has it, without all that reports.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::error::StartError;
use super::flow::read;
use super::measuring::{Measuring, Prepared};
use super::{MAILBOX, TICK};
use crate::clock::local;
use crate::clock::true_clock::TrueClock;
use crate::config::checked::Config;
use crate::engine::{Engine, Event, Reaction};
use crate::host::firmware;
use crate::snapshot::Snapshot;
use crate::sys;

/// An engine that is handed what this process measures.
pub struct Observer {
    engine: Engine,
}

impl Observer {
    /// Begins without knowing more than what the kernel and the firmware say.
    pub fn new(config: Arc<Config>) -> Self {
        let mut engine = Engine::new(config, local::read());
        engine.stand_on(firmware::is_ec2(sys::root()));
        let mut observer = Self { engine };
        observer.tick();
        observer
    }

    /// Takes what happened, with both clocks and what the kernel makes of them.
    pub fn take(&mut self, event: Event) -> Reaction {
        let now = read(&mut self.engine);
        self.engine.handle(event, now)
    }

    /// Takes note that time has passed.
    pub fn tick(&mut self) -> Reaction {
        self.take(Event::Tick { kernel: sys::kernel_clock().ok(), asleep: local::asleep() })
    }

    /// What is known now, without what exists only over time.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot_of_one_look(local::read())
    }

    /// The engine, for those who ask it for more than a snapshot.
    pub fn into_engine(self) -> Engine {
        self.engine
    }
}

/// An observer whose tasks measure for as long as it is there, as those of the agent do.
pub struct Lookout {
    observer: Observer,
    inbox: mpsc::Receiver<Event>,
    measuring: Measuring,
    clock: Arc<TrueClock>,
    tick: Interval,
}

impl Lookout {
    /// Begins to measure, each source and each provider as often as the configuration says.
    ///
    /// # Errors
    /// Something cannot be set up.
    pub fn start(config: &Arc<Config>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let prepared = Prepared::new(config, env)?;
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let clock = Arc::new(TrueClock::default());
        let observer = Observer::new(Arc::clone(config));
        let measuring = Measuring::start(config, &observer.engine.source_ids(), prepared, &clock, &mailbox);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { observer, inbox, measuring, clock, tick })
    }

    /// Waits for the next thing that happens, a second at most. Whoever ends the waiting early misses nothing.
    pub async fn next(&mut self) {
        let reaction = tokio::select! {
            Some(event) = self.inbox.recv() => self.observer.take(event),
            _ = self.tick.tick() => self.observer.tick(),
        };
        if let Some(anchor) = self.observer.engine.anchor() {
            self.clock.set(anchor, self.observer.engine.is_vouched());
        }
        if reaction.burst {
            self.measuring.burst();
        }
        if reaction.slept.is_some() {
            self.measuring.wake();
        }
    }

    /// What is known now.
    pub fn snapshot(&self) -> Snapshot {
        self.observer.snapshot()
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.measuring.end();
    }
}
