//! `run`: the agent itself.

use std::sync::Arc;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::input::env;
use crate::config::checked::Config;
use crate::runtime::{self, Options};

pub(super) async fn run(config: Config) -> anyhow::Result<u8> {
    start_log();
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending");
        tell_service_manager(&[NotifyState::Stopping]);
    };
    let config = Arc::new(config);
    let sources: Vec<_> = config.sources.iter().map(|source| format!("{} ({})", source.name, source.server)).collect();
    let ready = || {
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            sources = sources.join(", "),
            imds = config.imds.as_ref().map(|imds| imds.endpoint.as_str()),
            otlp = config.otlp.is_some(),
            channels = config.channels.len(),
            "skewguard is watching"
        );
        tell_service_manager(&[NotifyState::Ready]);
    };
    runtime::run(Arc::clone(&config), Options { env: &env, is_service: true, ready: &ready }, shutdown).await?;
    Ok(0)
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
