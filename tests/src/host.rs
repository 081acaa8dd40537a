//! A host in the lab's AWS, booted, on which the agent is installed: what is asked of its service, whatever has installed
//! it. What cannot be asked fails the test.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::agent::Answer;
use crate::chrony::Chrony;
use crate::container::{Container, Root};
use crate::http::HttpServer;
use crate::metadata;
use crate::net::{IMDS, Net, Side, TIME_SYNC};
use crate::wait::wait_for;

/// The service.
pub const UNIT: &str = "skewguard.service";
/// The unit that holds back what needs the time, which no package enables.
pub const WAIT: &str = "skewguard-wait.service";
/// How long the service may take for what takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Where it keeps its state.
pub const STATE: &str = "/var/lib/private/skewguard";
/// The greatest exposure of `systemd-analyze security`, of 10.
const MOST_EXPOSURE: f64 = 2.0;
/// The journal's names for a unit that was started, and for one that was stopped (systemd.journal-catalog).
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
const STOPPED: &str = "9d1aaa27d60140bd96365438aad20286";

/// A booted release in the lab's AWS, whose clock is right but for so many seconds.
pub struct Host {
    /// Where its systemd runs.
    pub container: Container,
    /// Amazon Time Sync.
    pub chrony: Chrony,
    _imds: HttpServer,
    net: Net,
}

impl Host {
    /// Boots a root.
    ///
    /// # Errors
    /// When the lab is not there.
    pub fn boot(root: Root, offset: f64) -> Result<Self> {
        let net = Net::new()?;
        let chrony = Chrony::start(&net, TIME_SYNC)?;
        chrony.set_offset(offset)?;
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document())?;
        let container = Container::boot_root(&net, root)?;
        Ok(Self { container, chrony, _imds: imds, net })
    }

    /// Its network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Its files.
    pub fn root(&self) -> &Root {
        self.container.root()
    }

    /// Runs a script that must succeed.
    pub fn run(&self, script: &str) -> String {
        self.container.told(script).unwrap()
    }

    /// The same with all that it says.
    pub fn answer(&self, script: &str) -> Answer {
        self.container.run(script).and_then(Answer::succeeded).unwrap()
    }

    /// What the service says once it knows the time.
    pub fn status(&self) -> Value {
        let synchronized = wait_for("a synchronized clock", PATIENCE, || {
            let status = self.container.run("skewguard status --format json").unwrap().json().ok()?;
            (status["clock"]["state"] == "synchronized").then_some(status)
        });
        synchronized.map_err(|error| format!("{error}: {}", self.journal())).unwrap()
    }

    /// What the service has written.
    pub fn journal(&self) -> String {
        self.run("journalctl --unit skewguard --no-pager --output=cat")
    }

    /// A property of the service.
    pub fn property(&self, name: &str) -> String {
        self.container.property(UNIT, name).unwrap()
    }

    /// How often the service was stopped.
    pub fn stops(&self) -> usize {
        self.messages(STOPPED)
    }

    /// How often systemd has logged such a message of the service.
    fn messages(&self, id: &str) -> usize {
        self.run(&format!("journalctl --sync; journalctl --quiet --output=cat UNIT={UNIT} MESSAGE_ID={id}"))
            .lines()
            .count()
    }

    /// Fails unless the service is in these states, and was started so often.
    pub fn expect(&self, step: &str, active: &str, enabled: &str, starts: usize) {
        let is_enabled = self.container.run(&format!("systemctl is-enabled {UNIT} 2>/dev/null")).unwrap().stdout;
        let seen = (self.property("ActiveState"), is_enabled.trim().to_owned(), self.messages(STARTED));
        assert_eq!(seen, (active.to_owned(), enabled.to_owned(), starts), "{step}: {}", self.journal());
    }

    /// The paths that were not there before.
    pub fn left_since(&self, before: &BTreeSet<String>) -> Vec<String> {
        self.root().paths().unwrap().difference(before).cloned().collect()
    }

    /// Fails unless the service is a user of its own, and no more exposed than it should be.
    pub fn assert_confined(&self) {
        let report = self.run(&format!("systemd-analyze security --no-pager {UNIT}"));
        let figure = report.lines().find_map(|line| {
            let (_, figure) = line.split_once("Overall exposure level for ")?.1.split_once(": ")?;
            figure.split_whitespace().next()?.parse::<f64>().ok()
        });
        assert!(figure.unwrap() <= MOST_EXPOSURE, "{report}");
        let user = self.user();
        // The range of DynamicUser=.
        assert!((61_184..=65_519).contains(&user), "{user}");
    }

    /// Whose process the service is.
    pub fn user(&self) -> u32 {
        self.run(&format!("stat --format=%u /proc/{}", self.property("MainPID"))).parse().unwrap()
    }
}

/// What the scripts of a package said.
pub fn lines(answer: &Answer) -> Vec<&str> {
    let all = answer.stdout.lines().chain(answer.stderr.lines());
    all.filter_map(|line| line.strip_prefix("skewguard: ")).collect()
}

/// An offset that is no finding, in either direction.
pub fn small_offset() -> f64 {
    let size = 0.05 + 0.9 * fastrand::f64();
    if fastrand::bool() { size } else { -size }
}
