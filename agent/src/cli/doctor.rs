//! `doctor`: looks at this host once, and says why requests fail and what mends it.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::args::Doctor;
use super::input::{env, read, read_in};
use super::measure::measure;
use super::text::{self, Paint};
use crate::config::checked::Config;
use crate::config::load::load;
use crate::doctor::examine::{Order, examine};
use crate::doctor::explain::answer::explain;
use crate::doctor::explain::paste::Paste;
use crate::doctor::report::Report;
use crate::doctor::text::render;
use crate::telemetry::settings::Telemetry;

/// How long the measuring of the clock and of credentials may take; all else takes ten seconds, at the same time.
const MEASURING: Duration = Duration::from_secs(12);

/// Examines this host. The result is the exit code.
pub(super) async fn doctor(arguments: &Doctor) -> anyhow::Result<u8> {
    let error = arguments.explain.as_deref().map(paste).transpose()?;
    if let Some(paste) = error.as_ref().filter(|_| arguments.no_host) {
        let (checks, errors) = explain(paste, None);
        return print(&Report::of_text(checks, errors), arguments);
    }
    let progress = Progress::new();
    // A wrong configuration is a finding, and no reason to look at nothing.
    let (config, wrong_config) = match read(&arguments.config) {
        Ok(config) => (config, None),
        Err(wrong) => (built_in()?, Some(wrong)),
    };
    // Whether SDKs may ask the service, and how, is one of the questions.
    let unhindered = |name: &str| {
        env(name).filter(|_| !["AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_V1_DISABLED"].contains(&name))
    };
    let imds = read_in(&arguments.config, &unhindered)
        .map_or_else(|_| config.credentials.imds.clone(), |config| config.credentials.imds);
    let config = Arc::new(config);
    progress.say("measuring the clock and the credentials");
    let engine = measure(Arc::new(alone(&config)), 1, MEASURING).await?;
    let say = |text: &str| progress.say(text);
    let order = Order {
        config,
        imds,
        wrong_config,
        env: &env,
        pid: arguments.pid,
        profile: arguments.profile.clone(),
        error,
        progress: &say,
    };
    let report = examine(&order, &engine).await;
    progress.end();
    print(&report?, arguments)
}

/// The same without those who are told.
fn alone(config: &Config) -> Config {
    Config { telemetry: Telemetry::default(), channels: Vec::new(), ..config.clone() }
}

fn built_in() -> anyhow::Result<Config> {
    load(None, &|_| None).context("the built-in configuration is wrong")
}

/// The text itself, or the end of what standard input has.
fn paste(text: &OsStr) -> anyhow::Result<Paste> {
    if text != "-" {
        return Ok(Paste::of(text.as_encoded_bytes()));
    }
    Paste::read(io::stdin().lock()).context("failed to read standard input")
}

fn print(report: &Report, arguments: &Doctor) -> anyhow::Result<u8> {
    let text = if arguments.format.is_json() {
        let mut json = serde_json::to_string_pretty(report)?;
        json.push('\n');
        json
    } else {
        let paint = Paint::of_stdout();
        render(report, &|status, text| paint.status(status, text))
    };
    text::answer(&text)?;
    Ok(report.status.exit_code())
}

/// One line on a terminal that says what is being done, and is gone afterwards.
struct Progress {
    is_shown: bool,
}

impl Progress {
    fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    fn say(&self, text: &str) {
        if self.is_shown {
            // Whoever cannot be shown it gets the answer all the same.
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K{text} …");
        }
    }

    fn end(&self) {
        if self.is_shown {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
