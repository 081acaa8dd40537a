//! What is said of one error, for programs.

use serde::{Deserialize, Serialize};

/// One error of a paste, with all its occurrences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// What went wrong: a stable name in kebab-case, or `unknown`.
    pub kind: String,
    /// The same in one sentence.
    pub summary: String,
    /// How sure it is that the text speaks of this.
    pub confidence: Confidence,
    /// How often it stands in the text.
    pub count: usize,
    /// Which way the clock was off, where the text tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How far the time in the request was from that of who judged it, in seconds: positive where it was behind, negative
    /// where it was ahead. Of several the one nearest to zero, of those on the side of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_seconds: Option<i64>,
    /// The least and the greatest, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_range: Option<[i64; 2]>,
    /// What that says of the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_bound: Option<Bound>,
    /// The times of the newest occurrence, and what follows from them, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<String>,
    /// What can cause it, the surest first.
    pub causes: Vec<Cause>,
    /// What this host has to do with it.
    pub this_host: ThisHost,
}

/// How sure it is that the text speaks of a kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// By a wording that nobody else uses.
    High,
    /// By one that others use as well.
    Medium,
    /// By one that only says that something inside of it went wrong; or nothing was recognised.
    Low,
}

/// Which way a clock was off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Behind, or the request waited: the text does not tell which.
    Slow,
    /// Ahead.
    Fast,
    /// By the time of the log the clock was right, and the request waited after it was signed.
    Waited,
}

/// What a distance of two times says of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The clock was off by this.
    Exact,
    /// By no more: some of it may be the time that the request waited.
    AtMost,
    /// By no less.
    AtLeast,
}

/// Something that can cause an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// How it stands with it.
    pub standing: Standing,
    /// What it is.
    pub cause: String,
    /// What mends it.
    pub remedy: String,
}

/// How it stands with a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The text proves it.
    Proven,
    /// Most errors of this kind come from it.
    Likely,
    /// It has to be looked at.
    ToCheck,
}

impl Standing {
    /// The name for people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Likely => "likely",
            Self::ToCheck => "to be checked",
        }
    }
}

/// What this host has to do with an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThisHost {
    /// Whether a cause of it is here now.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What mends it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Whether a cause is here now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is.
    Present,
    /// Nothing of it was found.
    Absent,
    /// This host was not looked at.
    NotAsked,
}
