//! `check`: measures once.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::args::{Check, Format};
use super::text;
use crate::clock::local;
use crate::config::checked::Config;
use crate::credentials::imds;
use crate::engine::{Engine, Event};
use crate::ntp::poller;
use crate::snapshot::{Snapshot, Status};
use crate::sys;

/// What is not well is measured this often before it is reported, because one bad answer proves nothing.
const CONFIRMATIONS: u32 = 3;

pub(super) async fn check(config: Config, arguments: &Check) -> anyhow::Result<u8> {
    let snapshot = measure(Arc::new(config), arguments).await?;
    text::print(&snapshot, arguments.format)?;
    Ok(snapshot.status.exit_code())
}

async fn measure(config: Arc<Config>, arguments: &Check) -> anyhow::Result<Snapshot> {
    let deadline = Instant::now() + arguments.timeout;
    let mut engine = Engine::new(Arc::clone(&config), local::read());
    engine.handle(Event::Tick(sys::kernel_clock().ok()), local::read());
    for round in 1..=CONFIRMATIONS.max(arguments.samples) {
        let mut tasks = JoinSet::new();
        for (index, source) in config.sources.iter().cloned().enumerate() {
            tasks.spawn(async move { Ok(Event::from(poller::once(index, source).await)) });
        }
        if let Some(imds) = config.imds.clone() {
            tasks.spawn(async move { imds::poller::once(&imds).await.map(Event::from) });
        }
        while let Ok(Some(ended)) = timeout_at(deadline, tasks.join_next()).await {
            engine.handle(ended??, local::read());
        }
        let is_well = engine.snapshot_of_one_look(local::read()).status == Status::Ok;
        if (is_well && round >= arguments.samples) || Instant::now() >= deadline {
            break;
        }
    }
    Ok(engine.snapshot_of_one_look(local::read()))
}

impl Format {
    pub(super) fn is_json(self) -> bool {
        self == Self::Json
    }
}
