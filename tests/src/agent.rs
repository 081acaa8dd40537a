//! The program under test, run in a namespace as a user would run it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::net::{Net, Side};
use crate::process::{Server, assignment, libfaketime, private_dir};
use crate::wait::wait_for;

/// A host that asks Amazon Time Sync and nobody for credentials.
pub const TIME_SYNC_ALONE: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true }]
credentials: { imds: { enabled: false } }
";
/// A host that asks Amazon Time Sync, and the metadata service without patience.
pub const WITH_IMDS: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true }]
credentials: { imds: { timeout: 500ms, attempts: 1 } }
";
/// How long the kernel may take to end a process.
const KILLED: Duration = Duration::from_secs(5);

/// What a short command such as `check` answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// Standard output as JSON.
    ///
    /// # Errors
    /// When it is no JSON; the text has all that was written.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON: {self:?}"))
    }

    /// The same where it succeeded.
    ///
    /// # Errors
    /// When it did not; the text has all that was written.
    pub fn succeeded(self) -> Result<Self> {
        ensure!(self.code == Some(0), "it failed: {self:?}");
        Ok(self)
    }
}

/// skewguard with a configuration and a socket of its own.
pub struct Skewguard<'net> {
    net: &'net Net,
    dir: TempDir,
    environment: Vec<(OsString, OsString)>,
    program: Option<Vec<OsString>>,
    preparation: Option<String>,
    firmware: String,
}

/// Lets the firmware and the hypervisor of whoever runs the lab say nothing. The mounts are those of one command alone.
const NO_FIRMWARE: &str = "for place in /sys/class/dmi /sys/hypervisor; do\n\
                           [ ! -d $place ] || mount -t tmpfs none $place || exit 9\ndone";

/// A system clock that only the programs of a test read, and that the test sets while they run (libfaketime).
pub struct FakeClock {
    dir: TempDir,
}

impl FakeClock {
    /// A clock that is right.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn new() -> Result<Self> {
        let clock = Self { dir: private_dir()? };
        clock.set(0.0)?;
        Ok(clock)
    }

    /// Sets the clock so many seconds ahead of the machine's, or behind it if negative, as a step.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn set(&self, seconds: f64) -> Result<()> {
        let next = self.dir.path().join("next");
        fs::write(&next, format!("{seconds:+}\n"))?;
        // A reader must never see half of it.
        Ok(fs::rename(next, self.file())?)
    }

    /// The variables with which a program reads this clock and no other.
    ///
    /// # Errors
    /// When the lab has no libfaketime.
    pub fn environment(&self) -> Result<[(&'static str, OsString); 4]> {
        Ok([
            ("LD_PRELOAD", libfaketime()?.into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
        ])
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("clock")
    }
}

impl<'net> Skewguard<'net> {
    /// Writes the configuration. `socket` is added unless it names one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(net: &'net Net, yaml: &str) -> Result<Self> {
        let skewguard = Self {
            net,
            dir: private_dir()?,
            environment: Vec::new(),
            program: None,
            preparation: None,
            firmware: NO_FIRMWARE.to_owned(),
        };
        skewguard.configure(yaml)?;
        Ok(skewguard)
    }

    /// Writes the configuration anew, for a reload.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, yaml: &str) -> Result<()> {
        let mut text = yaml.to_owned();
        if !yaml.lines().any(|line| line.starts_with("socket:")) {
            text += &format!("\nsocket: {}", self.dir.path().join("skewguard.sock").display());
        }
        Ok(fs::write(self.config(), text + "\n")?)
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Another program than the one of all tests, as a command: it may begin with what emulates a processor.
    #[must_use]
    pub fn made_of(mut self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.program = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// Lets the program alone believe another time, such as `+10m` or `-1h` (libfaketime). Only user space is fooled:
    /// the kernel's receive timestamps stay true, and so does the monotonic clock.
    ///
    /// # Errors
    /// When the lab has no libfaketime.
    pub fn with_faked_time(self, offset: &str) -> Result<Self> {
        let alone = self.env("LD_PRELOAD", libfaketime()?).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Ok(alone.env("FAKETIME", offset))
    }

    /// Lets all clocks and timers of the program, the monotonic ones included, run so many times as fast, from its start
    /// on.
    ///
    /// # Errors
    /// When the lab has no libfaketime.
    pub fn with_hurried_time(self, factor: u32) -> Result<Self> {
        Ok(self.env("LD_PRELOAD", libfaketime()?).env("FAKETIME", format!("+0 x{factor}")))
    }

    /// Lets the program alone believe a clock that can be set while it runs.
    ///
    /// # Errors
    /// When the lab has no libfaketime.
    pub fn with_clock(self, clock: &FakeClock) -> Result<Self> {
        Ok(clock.environment()?.into_iter().fold(self, |agent, (name, value)| agent.env(name, value)))
    }

    /// A shell script that goes before `run`, in a mount namespace that is the agent's own.
    #[must_use]
    pub fn prepared_by(mut self, script: &str) -> Self {
        self.preparation = Some(script.to_owned());
        self
    }

    /// Lets the firmware name the vendor of the machine, such as `Amazon EC2`. Otherwise it says nothing.
    #[must_use]
    pub fn on_machine_of(mut self, vendor: &str) -> Self {
        self.firmware = format!(
            "{NO_FIRMWARE}\nmount -t tmpfs none /sys/class\nmkdir -p /sys/class/dmi/id\n\
             echo '{vendor}' > /sys/class/dmi/id/sys_vendor"
        );
        self
    }

    /// The directory that holds the configuration and the socket.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("skewguard.yaml")
    }

    /// Runs a subcommand to its end, with `--config` added.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn answer(&self, arguments: &[&str]) -> Result<Answer> {
        let output = self.command(arguments, None)?.output().context("failed to start skewguard")?;
        Ok(Answer {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The same, and how long it took.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn timed(&self, arguments: &[&str]) -> Result<(Answer, Duration)> {
        let begun = Instant::now();
        Ok((self.answer(arguments)?, begun.elapsed()))
    }

    /// `check --format json`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn check(&self) -> Result<Answer> {
        self.answer(&["check", "--format", "json"])
    }

    /// `run`, until the result is dropped.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn run(&self) -> Result<Running<'_>> {
        let log = self.dir.path().join("run.log");
        let preparation = self.preparation.as_deref();
        Ok(Running { skewguard: self, server: Server::start(&mut self.command(&["run"], preparation)?, &log)? })
    }

    /// A subcommand that takes its time, until the result is dropped. What it writes, on either stream, is in its log.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn begin(&self, arguments: &[&str]) -> Result<Running<'_>> {
        let log = self.dir.path().join("begun.log");
        Ok(Running { skewguard: self, server: Server::start(&mut self.command(arguments, None)?, &log)? })
    }

    /// `run`, for so long that its state directory has the mark of this host: what is planted in one that has none would
    /// be taken for another's.
    ///
    /// # Errors
    /// When the program cannot be started, or does not end well.
    pub fn mark_state(&self, deadline: Duration) -> Result<()> {
        let mut running = self.run()?;
        running.await_status("a status", deadline, Value::is_object)?;
        let status = running.stop(deadline)?;
        ensure!(status.success(), "{status}: {}", running.log());
        Ok(())
    }

    /// The same with its standard error somewhere else; then its log is empty.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn run_with_stderr(&self, stderr: impl Into<Stdio>) -> Result<Running<'_>> {
        let log = self.dir.path().join("run.log");
        let server = Server::start_with_stderr(&mut self.command(&["run"], None)?, &log, stderr.into())?;
        Ok(Running { skewguard: self, server })
    }

    fn command(&self, arguments: &[&str], preparation: Option<&str>) -> Result<Command> {
        let tested = env::var_os("SKEWGUARD_BIN").context("SKEWGUARD_BIN is not set: start the lab with tests/run")?;
        let program = self.program.clone().unwrap_or_else(|| vec![tested]);
        // Only the program itself gets the environment, not the tools that put it into the namespace.
        let script = format!("{}\n{}\nexec \"$@\"", self.firmware, preparation.unwrap_or_default());
        let mut command = self.net.command(Side::Agent, "sh")?;
        command.args(["-ec", &script, "sh", "env"]);
        // The home of whoever runs the lab is no part of it.
        command.arg("HOME=/");
        command.args(self.environment.iter().map(|(name, value)| assignment(name, value)));
        command.args(program).args(arguments).arg("--config").arg(self.config());
        Ok(command)
    }
}

/// An agent that runs.
pub struct Running<'agent> {
    skewguard: &'agent Skewguard<'agent>,
    server: Server,
}

impl Running<'_> {
    /// `status --format json`.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn status(&self) -> Result<Value> {
        self.skewguard.answer(&["status", "--format", "json"])?.json()
    }

    /// The first status that `is_wanted` accepts.
    ///
    /// # Errors
    /// When the agent ends or `deadline` passes first; the text has the last status and the log.
    pub fn await_status(
        &mut self,
        what: &str,
        deadline: Duration,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = None;
        let found = wait_for(what, deadline, || {
            if let Err(error) = self.server.still_runs() {
                return Some(Err(error));
            }
            let status = self.status().ok()?;
            let wanted = is_wanted(&status);
            last = Some(status.clone());
            wanted.then_some(Ok(status))
        });
        found
            .with_context(|| format!("last status: {}\nlog:\n{}", last.unwrap_or_default(), self.log()))
            .and_then(|result| result)
    }

    /// What the agent has written so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// The process id, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Sends a signal, such as `SIGHUP` for a reload.
    ///
    /// # Errors
    /// When the agent is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.server.signal(signal)
    }

    /// Ends the agent as a crash would, and returns all that it has written.
    ///
    /// # Errors
    /// When it has ended before, or does not end.
    pub fn kill(mut self) -> Result<String> {
        self.signal(Signal::SIGKILL)?;
        wait_for("the end of skewguard", KILLED, || self.server.exited().transpose())??;
        Ok(self.log())
    }

    /// The exit status of an agent that ends by itself.
    ///
    /// # Errors
    /// When it has not ended by `deadline`.
    pub fn end(&mut self, deadline: Duration) -> Result<ExitStatus> {
        wait_for("the end of skewguard", deadline, || self.server.exited().transpose())?
    }

    /// Asks the agent to stop and awaits its exit.
    ///
    /// # Errors
    /// When it has not stopped by `deadline`.
    pub fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.server.stop(deadline)
    }
}
