//! Output for people: what is wrong first, then what was measured.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use super::args::Format;
use super::input::env;
use crate::snapshot::{Credential, Limit, Snapshot, Source, Status};
use crate::time::{Offset, Span, humane, humane_offset};

/// Writes the answer to standard output.
pub(super) fn answer(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes an error to standard error.
pub(super) fn complain(text: &str) {
    // Nobody is left to be told that nobody can be told.
    let _ = writeln!(io::stderr().lock(), "error: {text}");
}

/// Writes a snapshot to standard output.
pub(super) fn print(snapshot: &Snapshot, format: Format) -> anyhow::Result<()> {
    let text = if format.is_json() {
        let mut json = serde_json::to_string_pretty(snapshot)?;
        json.push('\n');
        json
    } else {
        render(snapshot, Paint::of_stdout())
    };
    Ok(answer(&text)?)
}

impl Format {
    pub(super) fn is_json(self) -> bool {
        self == Self::Json
    }
}

/// Colours, where they are wanted.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    pub(super) has_colour: bool,
}

impl Paint {
    /// In colour where a person reads it, and wants it.
    pub(super) fn of_stdout() -> Self {
        Self { has_colour: io::stdout().is_terminal() && env("NO_COLOR").is_none_or(|set| set.is_empty()) }
    }

    pub(super) fn status(self, status: Status, text: &str) -> String {
        self.with(
            match status {
                Status::Ok => "32",
                Status::Warning => "33",
                Status::Critical => "31",
                Status::Unknown => "35",
            },
            text,
        )
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.has_colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A snapshot as text.
pub(super) fn render(snapshot: &Snapshot, paint: Paint) -> String {
    let (headline, rest) = render_parts(snapshot, paint);
    let mut text = String::new();
    for line in [headline].iter().chain(&rest) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The same as its first line, and all others.
pub(super) fn render_parts(snapshot: &Snapshot, paint: Paint) -> (String, Vec<String>) {
    let headline = match snapshot.status {
        Status::Ok => "the clock is right and nothing is about to expire",
        Status::Warning => "somebody should look at this host",
        Status::Critical => "AWS rejects requests of this host, or will soon",
        Status::Unknown => "true time is not known",
    };
    let headline = format!("{}  {headline}", paint.status(snapshot.status, &snapshot.status.name().to_uppercase()));
    let mut lines = Vec::new();
    for finding in &snapshot.findings {
        let name = match finding.subject.as_str() {
            "" => finding.alert.name().to_owned(),
            subject => format!("{} {subject}", finding.alert.name()),
        };
        let status = match finding.severity {
            crate::assess::finding::Severity::Warning => Status::Warning,
            crate::assess::finding::Severity::Critical => Status::Critical,
        };
        lines.push(String::new());
        lines.push(format!("{} {name}: {}", paint.status(status, finding.severity.name()), finding.summary));
        lines.push(format!("  remedy: {}", finding.remedy));
    }
    lines.push(String::new());
    lines.push(format!("clock       {}", clock(snapshot)));
    push_all(&mut lines, "source", snapshot.sources.iter().map(source));
    push_all(&mut lines, "limit", snapshot.limits.iter().map(limit));
    push_all(&mut lines, "credential", snapshot.credentials.iter().map(credential));
    push_all(
        &mut lines,
        "alert",
        snapshot.alerts.iter().map(|alert| {
            let since = alert.since.as_ref().map_or_else(String::new, |since| format!(" since {since}"));
            format!("{} {} {}{since} {}", alert.alert.name(), alert.severity.name(), alert.state, alert.subject)
        }),
    );
    push_all(
        &mut lines,
        "delivery",
        snapshot.delivery.iter().map(|delivery| {
            let error = delivery.error.as_ref().map_or_else(String::new, |error| format!(", failing: {error}"));
            format!(
                "{}: {} delivered, {} queued, {} dropped{error}",
                delivery.destination, delivery.delivered, delivery.queued, delivery.dropped
            )
        }),
    );
    let doubt = if snapshot.time.verified { "" } else { " (by the system clock, unverified)" };
    lines.push(paint.faint(&format!("true time   {}{doubt}", snapshot.time.truth)));
    (headline, lines)
}

fn push_all(lines: &mut Vec<String>, label: &str, items: impl Iterator<Item = String>) {
    for (index, item) in items.enumerate() {
        lines.push(format!("{:<12}{item}", if index == 0 { label } else { "" }));
    }
}

pub(super) fn seconds(seconds: f64) -> String {
    humane(Span::from_seconds(seconds))
}

pub(super) fn offset(seconds: f64) -> String {
    humane_offset(Offset::new(Span::from_seconds(seconds)))
}

fn clock(snapshot: &Snapshot) -> String {
    let clock = &snapshot.clock;
    let mut text = clock.state.clone();
    if let (Some(value), Some(bound)) = (clock.offset_seconds, clock.error_bound_seconds) {
        let _ = write!(text, ", {} ± {}", offset(value), seconds(bound));
    }
    if let Some(ppm) = clock.drift_ppm {
        let direction = if ppm > 0.0 { "losing" } else { "gaining" };
        let _ = write!(text, ", {direction} {:.3} ppm", ppm.abs());
    }
    if let Some(within) = clock.disruptions.and_then(|disruptions| disruptions.expected_within_seconds) {
        let _ = write!(text, ", a migration of this machine is announced for the next {}", seconds(within));
    }
    if let Some(kernel) = &clock.kernel {
        let _ = write!(text, ", kernel says {}", if kernel.synchronized { "synchronized" } else { "unsynchronized" });
    }
    text
}

fn source(source: &Source) -> String {
    let mut text = format!("{} ({}): {}", source.name, source.address, source.verdict);
    if let Some(value) = source.offset_seconds {
        let _ = write!(text, ", {}", offset(value));
    }
    if let Some(delay) = source.delay_seconds {
        let _ = write!(text, ", delay {}", seconds(delay));
    }
    if let Some(stratum) = source.stratum {
        let _ = write!(text, ", stratum {stratum}");
    }
    if let Some(timestamps) = &source.timestamps {
        let _ = write!(text, ", {timestamps} time stamps");
    }
    if let Some(refusal) = &source.refusal {
        let _ = write!(text, ", last poll: {refusal}");
    }
    text
}

fn limit(limit: &Limit) -> String {
    let standing = match limit.margin_seconds {
        None => "not known".to_owned(),
        Some(margin) if margin > 0.0 => format!("{} left", seconds(margin)),
        Some(margin) => format!("passed by {}", seconds(margin)),
    };
    let when = limit.time_to_limit_seconds.map_or_else(String::new, |time| format!(", reached in {}", seconds(time)));
    let masked = if limit.masked { " (hidden by new SDKs)" } else { "" };
    format!("{} ± {} s{masked}: {standing}{when}", limit.name, limit.window_seconds)
}

fn credential(credential: &Credential) -> String {
    let mut text = format!("{} {}", credential.provider, credential.identity).trim_end().to_owned();
    let _ = write!(text, ": {}", credential.state);
    if credential.code != "Success" {
        let _ = write!(text, " ({})", credential.code);
    }
    if let Some(remaining) = credential.remaining_seconds {
        let _ = match remaining > 0.0 {
            true => write!(text, ", expires in {}", seconds(remaining)),
            false => write!(text, ", expired {} ago", seconds(remaining)),
        };
    }
    if let (Some(local), None) = (credential.remaining_local_seconds, credential.remaining_seconds) {
        let _ = match local > 0.0 {
            true => write!(text, ", by the system clock it expires in {}", seconds(local)),
            false => write!(text, ", by the system clock it expired {} ago", seconds(local)),
        };
    }
    if let (Some(local), Some(remaining)) = (credential.remaining_local_seconds, credential.remaining_seconds)
        && (local - remaining).abs() >= 1.0
    {
        let believed = if local > 0.0 { format!("{} are left", seconds(local)) } else { "it has expired".to_owned() };
        let _ = write!(text, " (this host believes {believed})");
    }
    text
}
