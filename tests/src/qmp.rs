//! The monitor of QEMU: what a hypervisor does to its guest (docs/interop/qmp-spec.rst of QEMU).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::wait::wait_for;

/// A busy machine takes some seconds to write the memory of a guest.
const DEADLINE: Duration = Duration::from_secs(60);
/// The disk that holds the memory of snapshots; the guest does not see it.
const DISK: &str = "snapshots";
/// Room for the memory of a guest, of which the file takes what is used.
const DISK_BYTES: u64 = 1 << 30;

/// A connection to the monitor.
#[derive(Debug)]
pub struct Monitor {
    stream: BufReader<UnixStream>,
    resumed: Option<SystemTime>,
    has_disk: bool,
}

impl Monitor {
    /// Speaks to the QEMU at the other end.
    ///
    /// # Errors
    /// When it does not answer as QEMU does.
    pub fn new(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(DEADLINE))?;
        let mut monitor = Self { stream: BufReader::new(stream), resumed: None, has_disk: false };
        let greeting = monitor.read()?;
        ensure!(greeting.get("QMP").is_some(), "this is no QEMU: {greeting}");
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Runs a command and returns what it answers.
    ///
    /// # Errors
    /// When QEMU refuses it.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes())?;
        loop {
            let mut answer = self.read()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            ensure!(answer.get("event").is_some(), "{line}: {answer}");
            // What QEMU tells unasked comes between.
            if text(&answer, "/event") == Some("RESUME") {
                let at = |unit: &str| {
                    let number = answer.pointer(&format!("/timestamp/{unit}")).and_then(Value::as_u64);
                    number.context("an event without a time")
                };
                let since = Duration::from_secs(at("seconds")?) + Duration::from_micros(at("microseconds")?);
                self.resumed = Some(UNIX_EPOCH + since);
            }
        }
    }

    /// Lets the machine stand still for so long.
    ///
    /// # Errors
    /// When QEMU cannot.
    pub fn pause(&mut self, time: Duration) -> Result<()> {
        self.execute("stop", &json!({}))?;
        thread::sleep(time);
        self.execute("cont", &json!({}))?;
        Ok(())
    }

    /// Stops the machine, keeps its whole state under this name in a disk that is this file, and lets it go on.
    ///
    /// # Errors
    /// When QEMU cannot.
    pub fn save(&mut self, disk: &Path, name: &str) -> Result<()> {
        if !self.has_disk {
            self.add_disk(disk)?;
        }
        self.command_line(&format!("savevm {name}"))
    }

    /// Puts the machine back into the state of that name, and lets it go on.
    ///
    /// # Errors
    /// When there is no such state.
    pub fn load(&mut self, name: &str) -> Result<()> {
        self.command_line(&format!("loadvm {name}"))
    }

    /// Moves the machine into the QEMU that waits for it at `socket`, and returns once it runs there.
    ///
    /// # Errors
    /// When it stays here.
    pub fn migrate(&mut self, socket: &Path) -> Result<()> {
        self.execute("migrate", &json!({ "uri": format!("unix:{}", socket.display()) }))?;
        wait_for("the end of a migration", DEADLINE, || {
            let told = self.execute("query-migrate", &json!({}));
            match told.as_ref().map(|told| text(told, "/status")) {
                Ok(Some("completed")) => Some(Ok(())),
                Ok(Some("failed" | "cancelled")) | Err(_) => {
                    Some(Err(anyhow::anyhow!("the migration failed: {told:?}")))
                }
                Ok(_) => None,
            }
        })?
    }

    /// When the machine began to run the last time after it stood still, by the clock of this host.
    ///
    /// # Errors
    /// When it has not, within a minute.
    pub fn resumed(&mut self) -> Result<SystemTime> {
        wait_for("a guest that runs", DEADLINE, || {
            // What QEMU tells is heard before what it answers.
            let asked = self.execute("query-status", &json!({}));
            asked.map(|_| self.resumed).transpose()
        })?
    }

    fn add_disk(&mut self, file: &Path) -> Result<()> {
        std::fs::write(file, "")?;
        self.execute("blockdev-add", &json!({ "driver": "file", "node-name": "file", "filename": file }))?;
        let disk = json!({ "driver": "qcow2", "file": "file", "size": DISK_BYTES });
        self.execute("blockdev-create", &json!({ "job-id": DISK, "options": disk }))?;
        wait_for("a disk", DEADLINE, || {
            let jobs = self.execute("query-jobs", &json!({}));
            match jobs.as_ref().map(|jobs| (text(jobs, "/0/status"), jobs.pointer("/0/error"))) {
                Ok((Some("concluded"), None)) => Some(Ok(())),
                Ok((_, Some(_))) | Err(_) => Some(Err(anyhow::anyhow!("there is no disk: {jobs:?}"))),
                Ok(_) => None,
            }
        })??;
        self.execute("job-dismiss", &json!({ "id": DISK }))?;
        self.execute("blockdev-add", &json!({ "driver": "qcow2", "node-name": DISK, "file": "file" }))?;
        self.has_disk = true;
        Ok(())
    }

    /// A line as a person types it, who is told nothing where it succeeds.
    fn command_line(&mut self, line: &str) -> Result<()> {
        let told = self.execute("human-monitor-command", &json!({ "command-line": line }))?;
        ensure!(told == "", "{line}: {told}");
        Ok(())
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.stream.read_line(&mut line).context("QEMU is silent")?;
        serde_json::from_str(&line).with_context(|| format!("QEMU said {line:?}"))
    }
}

fn text<'a>(answer: &'a Value, pointer: &str) -> Option<&'a str> {
    answer.pointer(pointer).and_then(Value::as_str)
}
