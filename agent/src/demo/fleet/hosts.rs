//! All hosts of a drill, second by second.

use std::path::Path;
use std::sync::Arc;

use super::host::{Common, Host, TICK};
use super::seen::Seen;
use super::trouble::{CALM, Trouble};
use crate::config::checked::Config;
use crate::config::explain::ConfigError;
use crate::config::load::parse;
use crate::delivery::item::Item;
use crate::telemetry::resource::resource;
use crate::time::TrueTime;

/// The configuration of those hosts that ask an HTTPS server as well.
const WITNESSED: &str = "sources: [{ name: amazon-time-sync, ntp: 169.254.169.123 }, { name: aws, http_date: aws }]";
/// How often a host exports, in seconds, as agents do by default.
const EXPORT: u32 = 60;

/// What a host exports, and how many points that are.
pub(super) struct Due {
    pub(super) item: Item,
    pub(super) points: usize,
}

/// All hosts.
pub(super) struct Hosts {
    common: Common,
    hosts: Vec<Host>,
    /// Those that are yet to come, with the bad image.
    late: Vec<u32>,
    pub(super) seen: Seen,
}

impl Hosts {
    /// A fleet of `count`, which comes to be at `at` and is watched from then on; the drill `run` begins at `begin`.
    ///
    /// # Errors
    /// The configuration cannot be made.
    pub(super) fn new(
        (count, run): (u32, String),
        begin: TrueTime,
        at: i32,
        defaults: Config,
    ) -> Result<Self, ConfigError> {
        let witnessed = Arc::new(parse(WITNESSED, Path::new("drill"), &|_| None)?);
        let common = Common { run, begin, config: Arc::new(defaults), witnessed, resource: resource() };
        let mut hosts = Self { common, hosts: Vec::new(), late: Vec::new(), seen: Seen::new(count) };
        let troubles = Trouble::ALL.into_iter().flat_map(|one| (0..one.hosts(count)).map(move |_| Some(one)));
        let all = (0..count).zip(troubles.chain(std::iter::repeat(None)));
        for (number, trouble) in all {
            if trouble == Some(Trouble::Image) {
                hosts.late.push(number);
            } else {
                hosts.hosts.push(Host::new(number, trouble, f64::from(at), &hosts.common));
            }
        }
        Ok(hosts)
    }

    /// What tells this drill from others.
    pub(super) fn run(&self) -> &str {
        &self.common.run
    }

    /// Plays the second `at` of the drill, tells `news` of what is told for the first time, and returns what is exported in
    /// it; before the beginning nothing is.
    ///
    /// # Errors
    /// An export cannot be made.
    pub(super) fn second(&mut self, at: i32, news: &dyn Fn(&str)) -> std::io::Result<Vec<Due>> {
        let now = f64::from(at);
        if now >= CALM {
            for number in std::mem::take(&mut self.late) {
                self.hosts.push(Host::new(number, Some(Trouble::Image), now, &self.common));
            }
        }
        let turn = |every: u32| u32::try_from(at.rem_euclid(i32::try_from(every).unwrap_or(1))).unwrap_or_default();
        let (tick, export) = (turn(TICK), turn(EXPORT));
        let mut exported = Vec::new();
        for host in &mut self.hosts {
            if host.number % TICK == tick && !host.is_silent() {
                for transition in host.pass(now, &self.common) {
                    if let Some(line) = self.seen.note(host.number, host.trouble, &transition, now - CALM) {
                        news(&line);
                    }
                }
            }
            if at >= 0
                && host.number % EXPORT == export
                && !host.is_silent()
                && let Some((item, points)) = host.export(&self.common)?
            {
                exported.push(Due { item, points });
            }
        }
        Ok(exported)
    }
}
