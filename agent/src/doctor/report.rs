//! What the doctor says: a list of checks, each with its evidence, its effect and its remedy.

use serde::{Deserialize, Serialize};

use super::explain::explained::Explained;
use crate::snapshot::Status;

/// How a check ended, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It could not be looked at, or there is nothing to look at; the summary says why.
    Skipped,
    /// Somebody should look at it by day.
    Warning,
    /// Requests fail because of it, or will soon.
    Problem,
}

impl Verdict {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }

    /// What it means for the host as a whole.
    pub const fn status(self) -> Status {
        match self {
            Self::Ok => Status::Ok,
            Self::Skipped => Status::Unknown,
            Self::Warning => Status::Warning,
            Self::Problem => Status::Critical,
        }
    }
}

/// The check that says how far the clock is off.
pub const CLOCK_OFFSET: &str = "clock-offset";

/// What a check is about, in the order in which the doctor tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// An error message that was handed in.
    Error,
    /// The system clock and who keeps it.
    Clock,
    /// The witnesses of true time.
    Sources,
    /// The instance metadata service.
    Imds,
    /// What SDKs sign with.
    Credentials,
    /// The SDKs on this host.
    Sdks,
    /// skewguard itself.
    Agent,
}

/// All checks of one examination, the worst first; those of the same verdict in the order of their areas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How it stands with the host. It is the first word of the text and decides the exit code. An error that was handed in
    /// counts where its cause is here now.
    pub status: Status,
    /// How the worst of them ended.
    pub verdict: Verdict,
    /// The checks.
    pub checks: Vec<Check>,
    /// The errors of a text that was handed in, the newest first: the same as the checks of [`Area::Error`], for programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Explained>,
}

impl Report {
    /// Sorts what was found.
    pub fn new(mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| (std::cmp::Reverse(check.verdict.max(Verdict::Skipped)), check.area));
        let counted = checks.iter().filter(|check| check.is_of_host());
        let verdict = counted.map(|check| check.verdict).filter(|verdict| *verdict >= Verdict::Warning).max();
        let verdict = verdict.unwrap_or(Verdict::Ok);
        Self { status: status(verdict, &checks), verdict, checks, errors: Vec::new() }
    }

    /// What a text says, without a look at any host.
    pub fn of_text(checks: Vec<Check>, errors: Vec<Explained>) -> Self {
        Self { status: Status::Unknown, verdict: Verdict::Skipped, checks, errors }
    }

    /// The same with the errors that a text has.
    #[must_use]
    pub fn with_errors(self, errors: Vec<Explained>) -> Self {
        Self { errors, ..self }
    }
}

/// As with `check`: what is certainly wrong outweighs what is not known, and that outweighs what is merely worth a look.
fn status(worst: Verdict, checks: &[Check]) -> Status {
    let is_offset_unknown = checks.iter().any(|check| check.name == CLOCK_OFFSET && check.verdict == Verdict::Skipped);
    match worst {
        Verdict::Ok | Verdict::Skipped | Verdict::Warning if is_offset_unknown => Status::Unknown,
        worst => worst.status(),
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, unique and stable: kebab-case, such as `imds-hop-limit`.
    pub name: String,
    /// What it is about.
    pub area: Area,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found, in one line; where it was skipped, why.
    pub summary: String,
    /// The facts on which the verdict rests, a line each. Never a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What follows from it, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// The command or the configuration that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    fn new(area: Area, name: &str, verdict: Verdict, summary: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            area,
            verdict,
            summary: summary.into(),
            evidence: Vec::new(),
            effect: None,
            remedy: None,
        }
    }

    /// A check that found nothing wrong.
    pub fn ok(area: Area, name: &str, summary: impl Into<String>) -> Self {
        Self::new(area, name, Verdict::Ok, summary)
    }

    /// A check that could not be made, and why.
    pub fn skipped(area: Area, name: &str, why: impl Into<String>) -> Self {
        Self::new(area, name, Verdict::Skipped, why)
    }

    /// Something that somebody should look at by day.
    pub fn warning(
        area: Area,
        name: &str,
        summary: impl Into<String>,
        effect: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let check = Self::new(area, name, Verdict::Warning, summary);
        Self { effect: Some(effect.into()), remedy: Some(remedy.into()), ..check }
    }

    /// Something because of which requests fail, or will soon.
    pub fn problem(
        area: Area,
        name: &str,
        summary: impl Into<String>,
        effect: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warning(area, name, summary, effect, remedy) }
    }

    /// Whether it says how it stands with this host. An error whose cause is not here does not.
    pub fn is_of_host(&self) -> bool {
        self.area != Area::Error || self.verdict == Verdict::Problem
    }

    /// The same with the facts on which it rests.
    #[must_use]
    pub fn with_evidence(mut self, evidence: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.evidence.extend(evidence.into_iter().map(Into::into));
        self
    }
}
