//! ntpd of NTPsec: a second, independent implementation, which serves the system's own time.
//!
//! It leaves the clock alone because it lacks `CAP_SYS_TIME`, as every program in a [`Net`]. `disable ntp` would do so
//! too, but then ntpd 1.2 never leaves LI = 3. With the local clock polled every 8 s as the only, preferred source,
//! `minsane 1` and `orphanwait 1` it is synchronized within 2 s. It insists on listening on loopback, so there can be
//! but one in a [`Net`], and it does not answer itself: ask it from the agent's side.
//! By default it drops the requests of a client that asks more than about once a second; `unrestrict` ends that.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::net::{Net, Side};
use crate::ntp;
use crate::process::{Server, private_dir};
use crate::wait::wait_until;

const SYNCHRONIZED_DEADLINE: Duration = Duration::from_secs(60);

/// A running ntpd at stratum 4.
pub struct Ntpsec {
    // Before the directory: the process must be gone when its files go.
    server: Server,
    _dir: TempDir,
}

impl Ntpsec {
    /// Starts one on AWS's side and returns once it serves synchronized time.
    ///
    /// # Errors
    /// When it does not within a minute, with its log.
    pub fn start(net: &Net, address: IpAddr) -> Result<Self> {
        let dir = private_dir()?;
        let home = dir.path().display();
        let config = dir.path().join("ntp.conf");
        fs::write(
            &config,
            format!(
                "disable kernel\ndriftfile {home}/drift\ninterface ignore wildcard\ninterface listen {address}\n\
                 refclock local unit 0 stratum 3 minpoll 3 maxpoll 3 prefer\ntos minclock 1 minsane 1 orphan 5 orphanwait 1\nrestrict default\nunrestrict default limited kod\n"
            ),
        )?;
        let server =
            Server::start(net.command(Side::Aws, "ntpd")?.args(["-n", "-c"]).arg(config), &dir.path().join("log"))?;
        let mut ntpsec = Self { server, _dir: dir };
        ntpsec.await_synchronization(net, SocketAddr::new(address, ntp::PORT))?;
        Ok(ntpsec)
    }

    fn await_synchronization(&mut self, net: &Net, address: SocketAddr) -> Result<()> {
        let synchronized = net.within(Side::Agent, || {
            wait_until("ntpd's synchronization", SYNCHRONIZED_DEADLINE, || {
                self.server.still_runs().is_err()
                    || ntp::query(address).is_ok_and(|reply| reply.packet.leap != 3 && reply.packet.stratum < 16)
            })
        })?;
        self.server.still_runs()?;
        synchronized.with_context(|| self.server.log())
    }

    /// What ntpd has written so far.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
