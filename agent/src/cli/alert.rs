//! `alert test`: sends a test to the channels, and says what came back.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::measure::measure;
use super::text;
use crate::alert::machine::{Change, Transition};
use crate::assess::finding::{Kind, Severity};
use crate::clock::local;
use crate::clock::true_clock::{Stamp, TrueClock};
use crate::config::checked::Config;
use crate::credentials::Credentials;
use crate::delivery::client::Clients;
use crate::delivery::request::{Answer, Destination, Failure};
use crate::host::identity::{Speaker, name};
use crate::notify::channel::{Channel, destination};
use crate::notify::message::{item, message};
use crate::notify::runbooks::Runbooks;
use crate::telemetry::settings::Telemetry;

/// How long the measuring of true time may take.
const MEASURING: Duration = Duration::from_secs(5);
/// So much of an answer is shown, in characters.
const SHOWN: usize = 200;

/// There is no channel to send a test to.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnknownChannel {
    /// There is no channel at all.
    #[error("there is no channel: write one into `channels` of the configuration")]
    None,
    /// None is called so.
    #[error("there is no channel {name:?}: the configuration has {known}")]
    Name {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// Sends a test to the channel of this name, or to all. The result is the exit code.
pub(super) async fn test(config: Config, name: Option<&str>) -> anyhow::Result<u8> {
    let channels = chosen(&config, name)?;
    let clock = Arc::new(true_clock(&config).await?);
    let mut clients = Clients::new(Arc::clone(&clock));
    let mut all_taken = true;
    for channel in channels {
        let client = clients.client(channel.target.url(), &channel.tls).with_context(|| channel.name.clone())?;
        let destination = destination(channel, client, &clock, config.credentials.imds.as_ref());
        all_taken &= tell(&channel.name, destination.as_ref(), &clock).await?;
    }
    Ok(u8::from(!all_taken))
}

fn chosen<'a>(config: &'a Config, name: Option<&str>) -> Result<Vec<&'a Channel>, UnknownChannel> {
    if config.channels.is_empty() {
        return Err(UnknownChannel::None);
    }
    let Some(name) = name else { return Ok(config.channels.iter().collect()) };
    let Some(channel) = config.channels.iter().find(|channel| channel.name == name) else {
        let known: Vec<&str> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
        return Err(UnknownChannel::Name { name: name.to_owned(), known: known.join(", ") });
    };
    Ok(vec![channel])
}

/// A clock that shows true time, or the system's where nobody vouches for another.
async fn true_clock(config: &Config) -> anyhow::Result<TrueClock> {
    let clock = TrueClock::default();
    let sources_alone = Config {
        credentials: Credentials::none(),
        telemetry: Telemetry::default(),
        channels: Vec::new(),
        ..config.clone()
    };
    let engine = measure(Arc::new(sources_alone), 1, MEASURING).await?;
    match engine.anchor() {
        Some(anchor) => clock.set(anchor, engine.is_vouched()),
        None => tell_operator("warning: true time is not known; the test carries the time of the system clock"),
    }
    Ok(clock)
}

/// Sends the alert as one that fires and then as one that is over; says what came back, and whether both were taken.
async fn tell(name: &str, destination: &dyn Destination, clock: &TrueClock) -> anyhow::Result<bool> {
    let since = clock.now();
    for change in [Change::Firing, Change::Resolved] {
        let item = item(&test_message(since, change, clock), clock.now())?;
        let result = destination.attempt(&item).await;
        text::answer(&format!("{name}: {}\n", outcome(change, &result)))?;
        if result.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn test_message(since: Stamp, change: Change, clock: &TrueClock) -> crate::snapshot::AlertMessage {
    let (speaker, reading) = (Speaker { host: name(), ..Speaker::default() }, local::read());
    let transition = Transition {
        kind: Kind::Test,
        subject: String::new(),
        severity: Severity::Warning,
        before: (change == Change::Resolved).then_some(Severity::Warning),
        change,
        since,
        at: clock.at(reading),
        summary: format!("This is a test of skewguard on {}: nothing is wrong", speaker.host),
        remedy: "Nothing is to be done".to_owned(),
        speaker,
    };
    // About a test nothing is to be done.
    message(&transition, reading.system, &Runbooks::default())
}

fn outcome(change: Change, result: &Result<Answer, Failure>) -> String {
    let (word, answer) = match result {
        Ok(answer) => (format!("taken, status {}", answer.status), Some(answer)),
        Err(failure) => (format!("NOT taken, {}", failure.reason), failure.answer.as_ref()),
    };
    let mut line = format!("{} {word}", change.name());
    let body = answer.map(|answer| shown(&answer.body)).filter(|body| !body.is_empty());
    if let Some(body) = body {
        // Writing to a string cannot fail.
        let _ = write!(line, ": {body}");
    }
    line
}

/// The beginning of a body in one line, without anything that a terminal would act upon.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let plain: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let line = words.join(" ");
    let mut beginning: String = line.chars().take(SHOWN).collect();
    if beginning.len() < line.len() {
        beginning.push('…');
    }
    beginning
}

fn tell_operator(line: &str) {
    use std::io::Write;
    // Nobody is left to be told that nobody can be told.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_one_line_that_no_terminal_acts_upon() {
        let taken = Ok(Answer { status: 202, body: "{\"status\":\n \"success\"}\u{1b}[31m".into() });
        assert_eq!(outcome(Change::Firing, &taken), "firing taken, status 202: {\"status\": \"success\"} [31m");
        let silent = Ok(Answer { status: 200, body: "".into() });
        assert_eq!(outcome(Change::Resolved, &silent), "resolved taken, status 200");
        let refused = Err(Failure::transient("no connection"));
        assert_eq!(outcome(Change::Firing, &refused), "firing NOT taken, no connection");
        let long = shown("é".repeat(300).as_bytes());
        assert_eq!(long.chars().count(), SHOWN + 1);
    }

    #[test]
    fn a_test_says_that_it_is_one_and_ends_what_it_began() {
        let clock = TrueClock::default();
        let since = clock.now();
        let [fires, ends] = [Change::Firing, Change::Resolved].map(|change| test_message(since, change, &clock));
        assert_eq!((fires.id.as_str(), fires.alert), (ends.id.as_str(), Kind::Test));
        assert_ne!(fires.key(), ends.key());
        assert!(
            fires.summary.starts_with("This is a test of skewguard on ") && fires.summary.ends_with("nothing is wrong")
        );
        assert!(!fires.verified);
    }
}
