//! Finding, starting and stopping programs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::{Builder, TempDir};

use crate::wait::wait_for;

/// The directory that `tests/run` has filled: `root` with unpacked packages, `venv` with Python servers.
///
/// # Errors
/// When `SKEWGUARD_LAB` is not set.
pub fn lab_dir() -> Result<PathBuf> {
    env::var_os("SKEWGUARD_LAB").map(PathBuf::from).context("SKEWGUARD_LAB is not set: start the lab with tests/run")
}

/// The path of a program: the lab's own first, then the machine's.
///
/// # Errors
/// When it is in neither.
pub fn tool(name: &str) -> Result<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(lab) = lab_dir() {
        folders.extend(
            ["root/usr/sbin", "root/usr/bin", "root/sbin", "root/bin", "venv/bin", "bin"].map(|dir| lab.join(dir)),
        );
    }
    if let Some(path) = env::var_os("PATH") {
        folders.extend(env::split_paths(&path));
    }
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
        .into_iter()
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} not found: tests/run installs what the lab needs"))
}

/// A command for [`tool`] that also finds the shared libraries unpacked beside it.
///
/// # Errors
/// When the program is missing.
pub fn command(name: &str) -> Result<Command> {
    let program = tool(name)?;
    let mut command = Command::new(&program);
    if let Some(libraries) = unpacked_libraries(&program) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    Ok(command)
}

/// The library that fakes the time of the program that preloads it.
///
/// # Errors
/// When the lab has no libfaketime.
pub fn libfaketime() -> Result<PathBuf> {
    let library = format!("root/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", env::consts::ARCH);
    let library = lab_dir()?.join(library);
    library.canonicalize().with_context(|| format!("{} is missing", library.display()))
}

/// Where the unpacked packages keep their shared libraries, as a search path, if `program` is one of theirs.
pub(crate) fn unpacked_libraries(program: &Path) -> Option<OsString> {
    let lab = lab_dir().ok()?;
    let root = lab.join("root");
    let triple = format!("{}-linux-gnu", env::consts::ARCH);
    // The last is where systemd keeps what its programs share.
    let folders = [format!("usr/lib/{triple}"), format!("lib/{triple}"), format!("usr/lib/{triple}/systemd")];
    let folders = folders.map(|dir| root.join(dir));
    // A newer QEMU lies in a folder of its own, without libraries.
    let is_unpacked = program.starts_with(&root) || program.starts_with(lab.join("guests"));
    is_unpacked.then(|| env::join_paths(folders).ok()).flatten()
}

/// A variable as `env` takes it: `NAME=value`.
pub(crate) fn assignment(name: impl Into<OsString>, value: impl AsRef<OsStr>) -> OsString {
    let mut assignment = name.into();
    assignment.push("=");
    assignment.push(value);
    assignment
}

/// A temporary directory for this user alone; chronyd puts its command socket into no other.
///
/// # Errors
/// When it cannot be created.
pub fn private_dir() -> Result<TempDir> {
    let mode = Permissions::from_mode(0o700);
    Builder::new().prefix("sg-").permissions(mode).tempdir().context("failed to create a temporary directory")
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// When it cannot start or fails; the text has the command and its standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program that runs until it is dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a command; both its output streams go to the file `log`.
    ///
    /// # Errors
    /// When the program or the file cannot be opened.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        File::create(log).with_context(|| format!("failed to create {}", log.display()))?;
        let file = File::options().append(true).open(log)?;
        Self::start_with_stderr(command, log, file.into())
    }

    /// The same with standard error somewhere else.
    ///
    /// # Errors
    /// When the program or the file cannot be opened.
    pub fn start_with_stderr(command: &mut Command, log: &Path, stderr: Stdio) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("failed to open {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("failed to start {command:?}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// What the program has written so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The process id, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// The exit status, or `None` while the program runs.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks the program to stop, as a service manager does, and awaits its exit.
    ///
    /// # Errors
    /// When it has not stopped by `deadline`.
    pub fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        wait_for("the exit of a server", deadline, || self.exited().transpose())?
    }

    /// Fails with the log when the program has ended: there is nothing left to wait for.
    ///
    /// # Errors
    /// When the program has ended.
    pub fn still_runs(&mut self) -> Result<()> {
        if let Some(status) = self.exited()? {
            bail!("the server ended early ({status}):\n{}", self.log());
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_shows_its_standard_error() {
        let error = output(Command::new("sh").args(["-c", "echo out of luck >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("out of luck"), "{error}");
    }

    #[test]
    fn a_server_is_gone_once_dropped() {
        let dir = private_dir().unwrap();
        let server = Server::start(Command::new("sleep").arg("1000"), &dir.path().join("log")).unwrap();
        let process = PathBuf::from(format!("/proc/{}", server.pid()));
        assert!(process.exists());
        drop(server);
        assert!(!process.exists());
    }
}
