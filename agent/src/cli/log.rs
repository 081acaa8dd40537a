//! The log of a running agent.

use std::fmt;
use std::io::{IsTerminal, stderr};

use tracing::field::Field;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::input::env;
use crate::clock::local;
use crate::stderr::Stderr;
use crate::sys::{self, EventLevel};
use crate::time::rfc3339;

/// The variable that says what is logged.
const VARIABLE: &str = "RUST_LOG";
/// What is logged unless somebody asks for more. What libraries say about their connections is of no use to an operator, and
/// would speak of telemetry about telemetry.
const USUAL: [(&str, LevelFilter); 7] = [
    ("hyper", LevelFilter::WARN),
    ("hyper_util", LevelFilter::WARN),
    ("reqwest", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
    ("opentelemetry", LevelFilter::OFF),
    ("opentelemetry_sdk", LevelFilter::OFF),
    ("opentelemetry-otlp", LevelFilter::OFF),
];

/// Logs to standard error from now on.
pub(super) fn start(to: &Stderr) {
    let (filter, complaint) = match env(VARIABLE).filter(|text| !text.trim().is_empty()).map(|text| filter(&text)) {
        None => (usual(), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (usual(), Some(error)),
    };
    let to = to.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || to.log())
        .with_target(false)
        .with_ansi(IsTerminal::is_terminal(&stderr()) && env("NO_COLOR").is_none_or(|set| set.is_empty()));
    // Under a service manager the journal stamps every line itself.
    let under_journal = env("JOURNAL_STREAM").is_some();
    let layer = if under_journal { layer.without_time().boxed() } else { layer.with_timer(SystemClock).boxed() };
    // A second log, as in a test, is not needed.
    let _ = tracing_subscriber::registry().with(layer).with(Errors).with(filter).try_init();
    if let Some(error) = complaint {
        tracing::warn!(%error, "{VARIABLE} is not understood, so that the usual is logged: write a level, such as debug");
    }
}

fn usual() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_targets(USUAL)
}

/// What `text` asks for: levels, and targets with levels. Where none is for all, only errors are logged of all others.
fn filter(text: &str) -> Result<Targets, ParseError> {
    let targets: Targets = text.parse()?;
    Ok(if targets.default_level().is_none() { targets.with_default(LevelFilter::ERROR) } else { targets })
}

/// Tells the event log of the platform, where it has one, of errors.
struct Errors;

/// The number of these events.
const ERROR: u16 = 10;

impl<S: Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            let mut text = String::new();
            event.record(&mut |field: &Field, value: &dyn fmt::Debug| match field.name() {
                "message" => text.insert_str(0, &format!("{value:?}")),
                name => text += &format!("\n{name}: {value:?}"),
            });
            sys::report(&sys::Event { level: EventLevel::Error, id: ERROR, text: &text });
        }
    }
}

/// The log is stamped by the system clock, right or wrong, so that it can be compared with the other logs of the host.
struct SystemClock;

impl FormatTime for SystemClock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", rfc3339(local::read().system.nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_is_what_the_variable_asks_for() {
        let logs = |text: &str, target: &str, level| filter(text).unwrap().would_enable(target, &level);
        assert!(logs("debug", "skewguard::engine", Level::DEBUG) && logs("debug", "hyper", Level::DEBUG));
        assert!(!logs("debug", "skewguard", Level::TRACE));
        assert!(logs("skewguard=trace", "skewguard::engine", Level::TRACE));
        assert!(!logs("skewguard=trace", "hyper", Level::WARN) && logs("skewguard=trace", "hyper", Level::ERROR));
        assert!(logs("warn,skewguard::ntp=debug", "skewguard::ntp", Level::DEBUG));
        assert!(filter("debug=skewguard=x").is_err());
    }

    #[test]
    fn libraries_are_silent_about_their_connections_and_telemetry_about_telemetry() {
        let usual = usual();
        assert!(usual.would_enable("skewguard", &Level::INFO) && !usual.would_enable("skewguard", &Level::DEBUG));
        assert!(!usual.would_enable("hyper_util::client", &Level::INFO));
        assert!(usual.would_enable("rustls", &Level::WARN) && !usual.would_enable("opentelemetry_sdk", &Level::ERROR));
    }
}
