//! The configuration as the agent uses it: every value is valid, every default is filled in, and no two contradict.

use crate::assess::limit::Limit;
use crate::credentials::imds::settings::Imds;
use crate::credentials::named::Levels;
use crate::credentials::named::NamedFile;
use crate::telemetry::otlp::Otlp;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::assess::rule::Rules;
use crate::aws::sdk::Sdk;
use crate::credentials::provider::Provider;
use crate::notify::channel::Channel;

/// All that the agent was told.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// The witnesses of true time, 1 to 32, names unique.
    pub sources: Vec<Source>,
    /// The instance metadata service; `None` where it is disabled.
    pub imds: Option<Imds>,
    /// What expires beside the role of the instance.
    pub other_credentials: OtherCredentials,
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
    /// Where telemetry goes; `None` where nowhere.
    pub otlp: Option<Otlp>,
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

/// One NTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub server: Server,
    /// Whether it wins a tie, because AWS judges by AWS's clock.
    pub trusted: bool,
    /// Whether it smears leap seconds.
    pub leap_smear: bool,
    /// How often it is asked.
    pub poll: Duration,
}

/// The host and the port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// An address that needs no resolution.
    Address(SocketAddr),
    /// A name, resolved by the host.
    Name {
        /// The host's name.
        host: String,
        /// The UDP port.
        port: u16,
    },
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) if address.port() == 123 => write!(f, "{}", address.ip()),
            Self::Address(address) => write!(f, "{address}"),
            Self::Name { host, port: 123 } => f.write_str(host),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// What expires beside the role of the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherCredentials {
    /// Whether the environment names an endpoint for the role of an ECS task or an EKS pod, and it is to be asked.
    pub container: bool,
    /// The file with the token of a Kubernetes service account.
    pub web_identity: Option<PathBuf>,
    /// Whether the environment says when its credentials expire.
    pub environment: bool,
    /// The shared credentials file, where it is not that of each home.
    pub shared_file: Option<PathBuf>,
    /// The homes of users whose `.aws` folders are looked at.
    pub homes: Vec<PathBuf>,
    /// Further files, names unique.
    pub files: Vec<NamedFile>,
    /// How often all of these are read.
    pub poll: Duration,
}

impl Config {
    /// Who is asked for what expires.
    pub fn providers(&self) -> BTreeSet<Provider> {
        let OtherCredentials { container, web_identity, environment, shared_file, homes, files, poll: _ } =
            &self.other_credentials;
        let has_home = !homes.is_empty();
        [
            (Provider::Imds, self.imds.is_some()),
            (Provider::Container, *container),
            (Provider::WebIdentity, web_identity.is_some()),
            (Provider::Environment, *environment),
            (Provider::SharedFile, has_home || shared_file.is_some()),
            (Provider::SsoCache, has_home),
            (Provider::CliCache, has_home),
            (Provider::LoginCache, has_home),
            (Provider::File, !files.is_empty()),
        ]
        .into_iter()
        .filter_map(|(provider, is_asked)| is_asked.then_some(provider))
        .collect()
    }

    /// The levels of what `provider` hands out in `slot` alone.
    pub fn levels(&self, provider: Provider, slot: &str) -> Levels {
        let file = |file: &&NamedFile| provider == Provider::File && file.name == slot;
        self.other_credentials.files.iter().find(file).map(|file| file.levels).unwrap_or_default()
    }
}

/// All rules, and what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// How long after its start the agent is silent about all but a measured skew.
    pub boot_grace: Duration,
    /// How often a firing alert is repeated.
    pub repeat: Duration,
    /// What raises each alert.
    pub rules: Rules,
}
