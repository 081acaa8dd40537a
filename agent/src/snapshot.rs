//! What the agent knows at one moment: the engine publishes it, everything that reports reads it, and its JSON is the
//! stable output of `check` and `status`.
//!
//! Seconds are `f64`; an offset is positive where the system clock is slow; points of time are RFC 3339 in UTC.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::machine::Change;
use crate::assess::finding::{Kind, Severity, told_kind};

/// The state of this host in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is wrong.
    Ok,
    /// Somebody should look at it by day.
    Warning,
    /// Requests are rejected, or will be soon.
    Critical,
    /// True time is not known.
    Unknown,
}

impl Status {
    /// The exit code by the convention of the Monitoring Plugins.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// What the worst finding makes of a host, and whether true time is known there. What is certainly bad outweighs what is
    /// not known, and that outweighs what is merely worth a look.
    pub const fn of(worst: Option<Severity>, is_time_known: bool) -> Self {
        match worst {
            Some(Severity::Critical) => Self::Critical,
            _ if !is_time_known => Self::Unknown,
            Some(Severity::Warning) => Self::Warning,
            None => Self::Ok,
        }
    }
}

/// What the agent knows at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The state in one word.
    pub status: Status,
    /// When this was.
    pub time: Time,
    /// Since when this agent measures, in true time; by the system clock while `time` is not verified.
    #[serde(default)]
    pub since: String,
    /// The version of the agent.
    #[serde(default)]
    pub version: String,
    /// The system clock.
    pub clock: Clock,
    /// The witnesses of true time, in the order of the configuration.
    pub sources: Vec<Source>,
    /// The signature windows.
    pub limits: Vec<Limit>,
    /// What expires.
    pub credentials: Vec<Credential>,
    /// The providers of credentials that are asked, and were not heard since the start of the agent.
    #[serde(default)]
    pub awaited: Vec<String>,
    /// What is wrong now.
    pub findings: Vec<Finding>,
    /// Findings with a life; empty in `check`.
    pub alerts: Vec<Alert>,
    /// Outcomes of requests to the instance metadata service.
    pub imds_requests: BTreeMap<String, u64>,
    /// What leaves the agent, by destination.
    pub delivery: Vec<Delivery>,
    /// What the instance metadata service says of this host.
    pub host: BTreeMap<String, String>,
}

/// One moment on two clocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Time {
    /// By the system clock.
    pub system: String,
    /// In truth; by the system clock as well while `verified` is false.
    #[serde(rename = "true")]
    pub truth: String,
    /// Whether anything but the system clock vouches for it.
    pub verified: bool,
}

/// The system clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// `starting`, `synchronized`, `holdover`, `disagreement` or `unknown`.
    pub state: String,
    /// True minus system time.
    pub offset_seconds: Option<f64>,
    /// Half the width of the interval that holds the true offset.
    pub error_bound_seconds: Option<f64>,
    /// Whether the offset rests on more than a single answer of a single source.
    #[serde(default)]
    pub confirmed: bool,
    /// Whether two sources that agree or more, or a trusted one, vouch for it.
    #[serde(default)]
    pub vouched: bool,
    /// The trend of the offset in millionths; absent without one.
    pub drift_ppm: Option<f64>,
    /// Steps seen since the start of the agent.
    pub steps: Steps,
    /// What the hypervisor did to the clocks of this machine; absent where it does not tell.
    #[serde(default)]
    pub disruptions: Option<Disruptions>,
    /// What the kernel says of its clock; absent where it may not be asked.
    pub kernel: Option<Kernel>,
    /// How it was in the last hour, a point a minute, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Past>,
}

/// How the clock was at a moment, as it was measured then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// How long ago.
    pub ago_seconds: f64,
    /// True minus system time.
    pub offset_seconds: f64,
    /// Half the width of the interval that holds the true offset.
    pub error_bound_seconds: f64,
}

impl Clock {
    /// Whether its state tells that its offset is known.
    pub fn is_known(&self) -> bool {
        matches!(self.state.as_str(), "synchronized" | "holdover")
    }
}

/// Disruptions by the hypervisor: a migration to another host, or a restoration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disruptions {
    /// How often since the start of the agent.
    pub seen: u64,
    /// Within which time the next one is announced; absent where none is.
    pub expected_within_seconds: Option<f64>,
}

/// Steps of the system clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// How often it was set forward.
    pub forward: u64,
    /// How often it was set back.
    pub backward: u64,
}

/// `adjtimex(2)`, or the adjustment of Windows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// Whether a time daemon says that the clock is synchronized.
    pub synchronized: bool,
    /// The kernel's bound on its error; absent where it has none, as on Windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_error_seconds: Option<f64>,
    /// The correction of the clock's frequency, in millionths.
    pub frequency_ppm: f64,
}

/// A witness of true time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// What people call it.
    pub name: String,
    /// What kind of source it is: its key in the configuration, such as `ntp`.
    pub kind: String,
    /// The address that was asked last, or the configured one.
    pub address: String,
    /// The configured server; unlike the address it never changes.
    pub server: String,
    /// `truechimer`, `falseticker`, `undecided`, `unreachable`, `unsynchronized`, `denied` or `warming-up`.
    pub verdict: String,
    /// What it says of the system clock.
    pub offset_seconds: Option<f64>,
    /// The round trip.
    pub delay_seconds: Option<f64>,
    /// How far it can be wrong.
    pub root_distance_seconds: Option<f64>,
    /// Hops from its primary reference, where it has told any.
    pub stratum: Option<u8>,
    /// Who timed the exchange.
    pub timestamps: Option<String>,
    /// The answered share of the last eight polls.
    pub reachability: Option<f64>,
    /// Why the last poll failed; absent where it did not.
    pub refusal: Option<String>,
    /// Outcomes of polls.
    pub outcomes: BTreeMap<String, u64>,
}

/// A signature window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// What people call it.
    pub name: String,
    /// The skew from which requests are rejected.
    pub window_seconds: f64,
    /// Whether SDKs hide it from here on.
    pub masked: bool,
    /// What is left; negative where it is passed.
    pub margin_seconds: Option<f64>,
    /// When it is passed; absent without a trend towards it.
    pub time_to_limit_seconds: Option<f64>,
}

/// Something that expires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// Who hands it out.
    pub provider: String,
    /// The role, the profile or the file; before it the user whose home it is in, if that is not the first one.
    pub identity: String,
    /// What findings about it are about, which no other has.
    #[serde(default)]
    pub subject: String,
    /// `valid`, `expiring`, `rotation-overdue`, `expired`, `expired-extended` (past its end, and handed out all the same),
    /// `unverified` (true time is not known), `no-role`, `unavailable`, or `absent` (never there, and not missed).
    pub state: String,
    /// Whether its end is anybody's concern: not where it is renewed at its use, had expired long before it was first seen, or
    /// is missed by nobody.
    #[serde(default = "is_judged")]
    pub judged: bool,
    /// `Success`, another code of the provider, or why it could not be read.
    pub code: String,
    /// By whose clock it expires: `server`, or `local` where this host wrote down the end, whose skew it contains then.
    #[serde(default)]
    pub basis: Option<String>,
    /// When it expires.
    pub expiration: Option<String>,
    /// The same in seconds since the Unix epoch.
    pub expiration_seconds: Option<f64>,
    /// When it was rotated last.
    pub last_updated: Option<String>,
    /// Expiration minus true time.
    pub remaining_seconds: Option<f64>,
    /// Expiration minus system time: what the host believes.
    pub remaining_local_seconds: Option<f64>,
    /// True time minus `last_updated`.
    pub age_seconds: Option<f64>,
    /// What is left when each SDK refreshes, by SDK.
    pub refresh_margins_seconds: BTreeMap<String, f64>,
}

const fn is_judged() -> bool {
    true
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The alert that it is, or becomes.
    pub alert: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about; may be empty.
    pub subject: String,
    /// Cause and effect.
    pub summary: String,
    /// What mends it.
    pub remedy: String,
}

/// An alert that is not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its kind.
    pub alert: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about; may be empty.
    pub subject: String,
    /// `pending` or `firing`.
    pub state: String,
    /// Since when it fires.
    pub since: Option<String>,
}

/// What leaves the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where to.
    pub destination: String,
    /// Items that wait.
    pub queued: u64,
    /// What they take on disk, or will.
    pub bytes: u64,
    /// Items that arrived.
    pub delivered: u64,
    /// Items that were given up.
    pub dropped: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Attempts among these that the destination refused: for the item's sake, or because its address, its credentials or
    /// a proxy are wrong.
    #[serde(default)]
    pub refusals: u64,
    /// Why the last attempt failed; absent where it did not.
    pub error: Option<String>,
    /// When an item arrived last, since the agent was started.
    #[serde(default)]
    pub last_delivered: Option<String>,
    /// Whether what waits outlives the process.
    #[serde(default)]
    pub on_disk: bool,
}

/// The JSON body of one transition of an alert, as channels send it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertMessage {
    /// Always `skewguard.alert`.
    pub event: String,
    /// The version of this body: 1.
    pub version: u8,
    /// The same for every message of one alert from its firing to its resolve.
    pub id: String,
    /// Its kind.
    #[serde(deserialize_with = "told_kind")]
    pub alert: Kind,
    /// What it is about; may be empty.
    pub subject: String,
    /// How bad it is, or was.
    pub severity: Severity,
    /// How bad it was when it was told before; absent where it was not, or just as bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Severity>,
    /// What happened.
    pub change: Change,
    /// Cause and effect.
    pub summary: String,
    /// What mends it.
    pub remedy: String,
    /// The URL of what is written about this kind of alert; absent where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Whose alert it is: the name that the host had when the alert began to fire.
    pub host: String,
    /// What the instance metadata service had said of the host when the alert began to fire.
    pub attributes: BTreeMap<String, String>,
    /// When it began to fire, in true time.
    pub since: String,
    /// Whether anything but the system clock vouches for `since`.
    #[serde(default)]
    pub since_verified: bool,
    /// When this happened, in true time.
    pub true_time: String,
    /// When this happened by the system clock.
    pub system_time: String,
    /// Whether anything but the system clock vouches for `true_time`.
    pub verified: bool,
}

impl AlertMessage {
    /// The same for every delivery of this message, and for no other.
    pub fn key(&self) -> String {
        format!("{}/{}/{}/{}", self.id, self.change.name(), self.severity.name(), self.true_time)
    }
}
