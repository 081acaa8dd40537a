//! `run`: the agent itself.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::args::ConfigFile;
use super::input::{env, read};
use crate::config::checked::Config;
use crate::runtime::{self, Options, Reload};

pub(super) async fn run(file: &ConfigFile) -> anyhow::Result<u8> {
    let config = read(file)?;
    start_log();
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let hangup = signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?;
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending");
        tell_service_manager(&[NotifyState::Stopping]);
    };
    let config = Arc::new(config);
    let ready = || {
        log_config("skewguard is watching", &config);
        tell_service_manager(&[NotifyState::Ready]);
    };
    let watchdog = Watchdog::new();
    let alive = || watchdog.alive();
    let (reload, reloads) = mpsc::channel(1);
    let options = Options { env: &env, is_service: true, ready: &ready, alive: &alive, reloads };
    tokio::select! {
        ended = runtime::run(Arc::clone(&config), options, shutdown) => ended?,
        () = reload_on(hangup, file, reload) => {}
    }
    Ok(0)
}

fn log_config(message: &str, config: &Config) {
    let sources: Vec<_> = config.sources.iter().map(|source| format!("{} ({})", source.name, source.server)).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        sources = sources.join(", "),
        imds = config.imds.as_ref().map(|imds| imds.endpoint.as_str()),
        otlp = config.otlp.is_some(),
        channels = config.channels.len(),
        "{message}"
    );
}

/// Reads the configuration again at each signal, for ever. A wrong one changes nothing.
async fn reload_on(mut hangup: Signal, file: &ConfigFile, reload: mpsc::Sender<Reload>) {
    while hangup.recv().await.is_some() {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell_service_manager(&[NotifyState::Reloading, now]),
            Err(_) => tell_service_manager(&[NotifyState::Reloading]),
        }
        match try_reload(file, &reload).await {
            Ok(()) => {}
            Err(error) => {
                tracing::error!("the new configuration is wrong, and the old one stays in force: {error:#}");
            }
        }
        tell_service_manager(&[NotifyState::Ready]);
    }
    std::future::pending::<()>().await;
}

async fn try_reload(file: &ConfigFile, reload: &mpsc::Sender<Reload>) -> anyhow::Result<()> {
    let config = read(file)?;
    let summary = config.clone();
    let (done, is_done) = oneshot::channel();
    reload.send(Reload { config, done }).await.context("the agent is ending")?;
    is_done.await.context("the agent is ending")??;
    log_config("the new configuration is in force", &summary);
    Ok(())
}

/// Tells the service manager that nothing hangs, as often as it wants to hear it.
struct Watchdog {
    every: Option<Duration>,
    last: Cell<Option<Instant>>,
}

impl Watchdog {
    fn new() -> Self {
        // Half of the time is what sd_watchdog_enabled(3) recommends.
        Self { every: sd_notify::watchdog_enabled().map(|limit| limit / 2), last: Cell::new(None) }
    }

    fn alive(&self) {
        let is_due =
            |every: Duration| self.last.get().is_none_or(|last| last.elapsed() + Duration::from_secs(1) >= every);
        if self.every.is_some_and(is_due) {
            self.last.set(Some(Instant::now()));
            tell_service_manager(&[NotifyState::Watchdog]);
        }
    }
}

fn tell_service_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// What libraries say about their connections is of no use to an operator, and would speak of telemetry about telemetry.
fn start_log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off"));
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).with_ansi(
            std::io::IsTerminal::is_terminal(&std::io::stderr()) && env("NO_COLOR").is_none_or(|set| set.is_empty()),
        );
    // Under a service manager the journal stamps every line itself.
    let under_journal = env("JOURNAL_STREAM").is_some();
    // A second log, as in a test, is not needed.
    let _ = if under_journal { log.without_time().try_init() } else { log.with_timer(SystemClock).try_init() };
}

/// The log is stamped by the system clock, right or wrong, so that it can be compared with the other logs of the host.
struct SystemClock;

impl tracing_subscriber::fmt::time::FormatTime for SystemClock {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        let reading = crate::clock::local::read();
        write!(writer, "{}", crate::clock::time::rfc3339(reading.system.nanos()))
    }
}
