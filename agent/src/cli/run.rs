//! `run`: the agent itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use super::args::ConfigFile;
use super::exit;
use super::input::{env, read};
use super::log;
use crate::config::checked::Config;
use crate::runtime::{self, Options, Reload};
use crate::stderr::{self, Lost, Stderr};
use crate::sys::{self, Ending, Event, EventLevel, Manager, Phase, Reloads};
use crate::vitals::Watch;

/// The agent gives a sign of life every second, and is looked after this often.
const LOOK: Duration = Duration::from_secs(5);
/// After so many looks without a sign, which is a minute, it is ended.
const MOST_LOOKS: u32 = 12;
/// How long the end of what hangs may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(super) async fn run(file: &ConfigFile) -> anyhow::Result<u8> {
    sys::keep_memory_small();
    let config = read(file)?;
    let stderr = Stderr::of_this_process(tell_of_loss).context("failed to start the writer of standard error")?;
    log::start(&stderr);
    warn_of_root();
    let watch = Watch::start(LOOK, MOST_LOOKS, end_what_hangs).context("failed to start the watch over the agent")?;
    let manager = Manager::default();
    let mut ending = Ending::new().context("failed to listen for what ends it")?;
    let reloads = Reloads::new().context("failed to listen for what has the configuration read again")?;
    let shutdown = async {
        ending.came().await;
        tracing::info!("ending");
        told(2, "skewguard is ending");
        manager.tell(Phase::Stopping);
    };
    let config = Arc::new(config);
    let ready = || {
        log_config("skewguard is watching", &config);
        told(1, "skewguard is watching");
        manager.tell(Phase::Ready);
    };
    let alive = || {
        watch.sign();
        manager.alive();
    };
    let (reload, asked) = mpsc::channel(1);
    let options =
        Options { env: &env, stderr: Some(stderr), is_service: true, ready: &ready, alive: &alive, reloads: asked };
    tokio::select! {
        ended = runtime::run(Arc::clone(&config), options, shutdown) => ended?,
        () = reload_on(reloads, file, reload, &manager) => {}
    }
    Ok(0)
}

/// Tells the event log of the platform, where it has one, what the agent has come to.
fn told(id: u16, text: &str) {
    sys::report(&Event { level: EventLevel::Information, id, text });
}

fn log_config(message: &str, config: &Config) {
    let sources: Vec<_> = config.sources.iter().map(|source| format!("{} ({})", source.name, source.kind)).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        sources = sources.join(", "),
        imds = config.credentials.imds.as_ref().map(|imds| imds.endpoint.as_str()),
        otlp = config.telemetry.otlp.is_some(),
        channels = config.channels.len(),
        "{message}"
    );
}

/// Reads the configuration again whenever somebody asks for it, for ever. A wrong one changes nothing.
async fn reload_on(mut reloads: Reloads, file: &ConfigFile, reload: mpsc::Sender<Reload>, manager: &Manager) {
    loop {
        reloads.next().await;
        manager.tell(Phase::Reloading);
        match try_reload(file, &reload).await {
            Ok(()) => {}
            Err(error) => {
                tracing::error!("the new configuration is wrong, and the old one stays in force: {error:#}");
            }
        }
        manager.tell(Phase::Ready);
    }
}

async fn try_reload(file: &ConfigFile, reload: &mpsc::Sender<Reload>) -> anyhow::Result<()> {
    let config = read(file)?;
    let summary = config.clone();
    let (done, is_done) = oneshot::channel();
    reload.send(Reload { config, done }).await.context("the agent is ending")?;
    is_done.await.context("the agent is ending")??;
    log_config("the new configuration is in force", &summary);
    told(3, "the new configuration is in force");
    Ok(())
}

/// Says what standard error lacks, once it takes lines again.
fn tell_of_loss(Lost { log, alerts }: Lost) {
    tracing::warn!(
        log,
        alerts,
        "lines of the log and alerts are missing here, because nobody read standard error for a while or it could not be \
         written; the channels were told of all alerts"
    );
}

/// Ends the process from outside of its loop, in which something hangs.
#[expect(clippy::exit, reason = "whoever could return is the one that hangs")]
fn end_what_hangs() {
    let say = || {
        tracing::error!(
            "a part of the agent has given no sign of life for a minute: ending, so that whoever started the agent starts \
             it anew"
        );
        stderr::end();
    };
    // Whoever hangs may hold what it takes to say so.
    let (done, is_done) = std::sync::mpsc::channel();
    let saying = std::thread::Builder::new().spawn(move || {
        say();
        // Nobody waits for it any more where that took too long.
        let _ = done.send(());
    });
    if saying.is_ok() {
        let _ = is_done.recv_timeout(LAST_WORDS);
    }
    std::process::exit(exit::AILING.into());
}

/// Nothing that the agent does needs a privilege, unless it reads files that are closed to all others. In a container, and
/// for somebody who tries it out, to be root is usual; a service that is root has most likely a unit that was not understood.
fn warn_of_root() {
    if sys::is_superuser() && Manager::is_there() {
        tracing::warn!("{}", sys::WORDS.service_is_superuser);
    }
}
