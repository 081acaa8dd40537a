//! The configuration as the agent uses it: every value is valid, every default is filled in, and no two contradict.

use crate::assess::limit::Limit;
use crate::credentials::Credentials;
use crate::telemetry::settings::Telemetry;
use std::path::PathBuf;
use std::time::Duration;

use crate::assess::rule::Rules;
use crate::aws::sdk::Sdk;
use crate::host::vmclock;
use crate::notify::channel::Channel;
use crate::notify::runbooks::Runbooks;
use crate::sources::source::Source;

/// All that the agent was told.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// The witnesses of true time, 1 to 32, names unique.
    pub sources: Vec<Source>,
    /// The device by which the hypervisor tells disruptions.
    pub vmclock: vmclock::Choice,
    /// Who is asked for what expires.
    pub credentials: Credentials,
    /// The SDKs whose refresh margin is judged.
    pub sdks: Vec<Sdk>,
    /// Whether `sdks` give way to those that run on this host, where any can be told.
    pub sdks_auto: bool,
    /// The signature windows, the built-in ones first, names unique.
    pub limits: Vec<Limit>,
    /// When to speak.
    pub alerts: Alerts,
    /// Where to speak, beside standard error; names unique.
    pub channels: Vec<Channel>,
    /// Where telemetry goes.
    pub telemetry: Telemetry,
    /// The socket on which `status` asks.
    pub socket: PathBuf,
    /// Where alerts, the last estimate and undelivered items outlive a restart; `None` where nothing is to outlive it.
    pub state_dir: Option<StateDir>,
    /// What may wait for delivery.
    pub queue: Queue,
}

/// The folder of what outlives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    /// The folder.
    pub path: PathBuf,
    /// Whether somebody named it; where nobody did, it may be missing without a word.
    pub is_given: bool,
}

/// The bounds of all queues together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How many bytes may wait on disk.
    pub size: u64,
    /// How old an item may become.
    pub age: Duration,
}

/// All rules, and what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// How long after its start the agent is silent about all but a measured skew.
    pub boot_grace: Duration,
    /// How often a firing alert is repeated.
    pub repeat: Duration,
    /// Where it is written what is to be done.
    pub runbooks: Runbooks,
    /// What raises each alert.
    pub rules: Rules,
}
