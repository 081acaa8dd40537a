//! chronyd as a time server whose truth the test chooses, and as the daemon of a host, while the machine's clock is never
//! touched.
//!
//! How chronyd 4.3 behaves with `-x`, measured against the lab's own SNTP query:
//! - `chronyc settime` moves the time that it **serves**, at once and whole; nothing is slewed. `makestep` must not be
//!   configured: it tries to step the system clock, fails, and the shift is lost.
//! - settime takes whole seconds, so an arbitrary shift comes from the moment at which it is sent.
//!   Each `settime` after the first also fits a frequency, unless `manual reset` comes before it.
//! - The "System time" of `chronyc -c tracking` is the served time minus the system time; it agrees with what a client
//!   measures within 0.02 ms, drift included.
//! - The frequency in the drift file is how fast the system clock is taken to be: `500.0` makes the served time lose
//!   500 ppm. It is in effect from the first reply on. On exit chronyd writes the file anew, with a useless skew.
//! - The command socket is refused unless its directory belongs to the user alone (mode 0700).

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::net::{Net, Side};
use crate::ntp;
use crate::process::{Server, command, output, private_dir};
use crate::wait::wait_until;

const START_DEADLINE: Duration = Duration::from_secs(10);
/// A server is followed after a few answers, two seconds apart.
const FOLLOW_DEADLINE: Duration = Duration::from_secs(30);
/// From the start of `chronyc` to chronyd's reading of its clock; a first guess, corrected by each attempt.
const COMMAND_LATENCY: f64 = 0.003;
/// How near the served offset must come to the wanted one.
const SET_TOLERANCE: f64 = 0.005;
const SET_ATTEMPTS: usize = 20;

/// A running chronyd at stratum 1.
pub struct Chrony {
    // Before the directory: the process must be gone when its files go.
    server: Server,
    dir: TempDir,
}

impl Chrony {
    /// Starts one on AWS's side that serves the system's own time, and returns once it answers.
    ///
    /// # Errors
    /// When it does not answer, with its log.
    pub fn start(net: &Net, address: IpAddr) -> Result<Self> {
        Self::with(net, address, 0.0, "")
    }

    /// One whose time gains `drift_ppm` microseconds a second on the system's; negative loses.
    ///
    /// # Errors
    /// As [`Chrony::start`].
    pub fn with_drift(net: &Net, address: IpAddr, drift_ppm: f64) -> Result<Self> {
        Self::with(net, address, drift_ppm, "")
    }

    /// One with a drift and with lines of `chrony.conf` of its own.
    ///
    /// # Errors
    /// As [`Chrony::start`].
    pub fn with(net: &Net, address: IpAddr, drift_ppm: f64, extra_lines: &str) -> Result<Self> {
        let dir = private_dir()?;
        let home = dir.path().display();
        fs::write(dir.path().join("drift"), format!("{:.3} 0.1\n", 0.0 - drift_ppm))?;
        let config = dir.path().join("chrony.conf");
        fs::write(
            &config,
            format!(
                "bindaddress {address}\nbindcmdaddress {home}/command.sock\ncmdport 0\npidfile {home}/pid\n\
                 driftfile {home}/drift\nlocal stratum 1\nmanual\nallow all\n{extra_lines}\n"
            ),
        )?;
        // One family only: the other's wildcard socket would clash with a second chronyd's.
        let family = if address.is_ipv4() { "-4" } else { "-6" };
        let server = Server::start(
            net.command(Side::Aws, "chronyd")?.args(["-x", "-d", "-u", "root", family, "-f"]).arg(config),
            &dir.path().join("log"),
        )?;
        let mut chrony = Self { server, dir };
        chrony.await_answer(net, address)?;
        Ok(chrony)
    }

    fn await_answer(&mut self, net: &Net, address: IpAddr) -> Result<()> {
        let answered = net.within(Side::Agent, || {
            wait_until("chronyd's first answer", START_DEADLINE, || {
                let answers = || ntp::query(SocketAddr::new(address, ntp::PORT)).is_ok();
                // The command socket opens a moment after the NTP port.
                self.server.still_runs().is_err() || (answers() && self.served_offset().is_ok())
            })
        })?;
        self.server.still_runs()?;
        answered.with_context(|| self.server.log())
    }

    /// Serves time that is `seconds` ahead of the system's, or behind if negative, within 5 ms.
    /// Returns the offset that it has become, to 0.1 ms. Takes up to a second or two, because of settime's resolution.
    ///
    /// # Errors
    /// When chronyd refuses, or the machine is too busy to send a command within 5 ms of the intended moment.
    pub fn set_offset(&self, seconds: f64) -> Result<f64> {
        let mut latency = COMMAND_LATENCY;
        for _ in 0..SET_ATTEMPTS {
            self.chronyc(&["manual", "reset"])?;
            self.set_time_at_the_right_moment(seconds, latency)?;
            let served = self.served_offset()?;
            if (served - seconds).abs() <= SET_TOLERANCE {
                return Ok(served);
            }
            // What one command was late by on a busy machine, the next one need not be.
            latency += (seconds - served) / 2.0;
        }
        bail!("chronyd could not be brought within {SET_TOLERANCE} s of {seconds} s in {SET_ATTEMPTS} attempts")
    }

    /// Names a whole second to chronyd at the moment when that second is `offset` seconds ahead.
    fn set_time_at_the_right_moment(&self, offset: f64, latency: f64) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let second = (now + offset + latency).ceil();
        thread::sleep(Duration::try_from_secs_f64(second - offset - latency - now)?);
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds since the epoch")]
        self.chronyc(&["settime", &calendar(second as i64)])?;
        Ok(())
    }

    /// The time that chronyd serves minus the system's, in seconds.
    ///
    /// # Errors
    /// When `chronyc tracking` fails.
    pub fn served_offset(&self) -> Result<f64> {
        let tracking = self.chronyc(&["-c", "tracking"])?;
        // Reference id, its name, stratum, reference time, system time, …
        let field = tracking.split(',').nth(4).with_context(|| format!("no system time in {tracking:?}"))?;
        field.parse().with_context(|| format!("no number: {field:?}"))
    }

    /// What chronyd has written so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    fn chronyc(&self, arguments: &[&str]) -> Result<String> {
        // A Unix socket is reached from any network namespace.
        output(command("chronyc")?.env("TZ", "UTC").arg("-h").arg(self.socket()).args(arguments))
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("command.sock")
    }
}

/// A chronyd on the agent's side that follows others, takes commands over a socket, and leaves the machine's clock alone.
pub struct Follower {
    // Before the directory: the process must be gone when its files go.
    server: Server,
    dir: TempDir,
}

impl Follower {
    /// Starts one with these lines of `chrony.conf`, and returns once it takes commands.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub fn start(net: &Net, lines: &str) -> Result<Self> {
        let dir = private_dir()?;
        let home = dir.path().display();
        let config = dir.path().join("chrony.conf");
        fs::write(&config, format!("bindcmdaddress {home}/chronyd.sock\npidfile {home}/pid\nport 0\n{lines}\n"))?;
        let mut chronyd = net.command(Side::Agent, "chronyd")?;
        let chronyd = chronyd.args(["-x", "-d", "-u", "root", "-4", "-f"]).arg(config);
        let follower = Self { server: Server::start(chronyd, &dir.path().join("log"))?, dir };
        wait_until("chronyd's command socket", START_DEADLINE, || follower.tracking().is_ok())
            .with_context(|| follower.server.log())?;
        Ok(follower)
    }

    /// Waits until it follows one of its servers.
    ///
    /// # Errors
    /// When it does not within half a minute.
    pub fn await_reference(&self) -> Result<()> {
        let follows = || self.tracking().is_ok_and(|fields| fields.get(2).is_some_and(|stratum| stratum != "0"));
        wait_until("chronyd to follow its server", FOLLOW_DEADLINE, follows).with_context(|| self.server.log())
    }

    /// The folder of its socket, `chronyd.sock`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The fields of `chronyc -c tracking`.
    ///
    /// # Errors
    /// When chronyd does not answer.
    pub fn tracking(&self) -> Result<Vec<String>> {
        let socket = self.dir.path().join("chronyd.sock");
        let printed = output(command("chronyc")?.arg("-h").arg(socket).args(["-c", "tracking"]))?;
        Ok(printed.trim().split(',').map(str::to_owned).collect())
    }
}

/// UTC in the form that settime reads (Howard Hinnant's `civil_from_days`).
fn calendar(epoch_seconds: i64) -> String {
    let (days, second) = (epoch_seconds.div_euclid(86_400), epoch_seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_knows_leap_days_and_year_ends() {
        assert_eq!(calendar(0), "1970-01-01 00:00:00");
        assert_eq!(calendar(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(calendar(1_798_761_599), "2026-12-31 23:59:59");
    }
}
