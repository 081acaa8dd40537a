//! Debian, as where a package is installed: a root file system of its own, and a container of it that systemd runs.
//!
//! [`Root`] is a layer in memory on one of the roots that `tests/run` has made, in namespaces of mounts and processes of
//! its own. What runs in there and what is mounted ends with their first process, also when the test is killed.
//! Commands run in it as in a chroot, where no service manager runs. [`Container::boot`] starts its systemd within a
//! second, on the agent's side of the lab's network, where Amazon's addresses are the lab's.
//!
//! systemd-nspawn says when systemd has started all that it starts. It needs the unified hierarchy of control groups,
//! which is mounted in there; limits of memory and tasks are shown, and where the machine has the controllers elsewhere
//! they are not enforced.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::agent::Answer;
use crate::manager::Manager;
use crate::net::{Net, Side};
use crate::process::{Server, assignment, lab_dir, output, private_dir, tool, unpacked_libraries};
use crate::wait::wait_for;

/// Where a root is in its namespace of mounts.
pub(crate) const ROOT: &str = "/run/lab/root";
const SETUP_DEADLINE: Duration = Duration::from_secs(20);
const BOOT_DEADLINE: Duration = Duration::from_secs(60);
/// In seconds; dpkg on a busy machine is slow.
const COMMAND_DEADLINE: &str = "120";
const CLEANING_DEADLINE: Duration = Duration::from_secs(10);

/// The first process of the namespaces: `$1` is the root below the layer. /run is in memory so that systemd-nspawn
/// leaves nothing in the machine's, and the layer is in there.
const HOLD: &str = "mount -t tmpfs none /run
mkdir /run/lab /run/lab/upper /run/lab/work /run/lab/root
mount -t overlay overlay -o \"lowerdir=$1,upperdir=/run/lab/upper,workdir=/run/lab/work\" /run/lab/root
mount -t cgroup2 none /sys/fs/cgroup
echo ready
exec sleep infinity";
/// Runs `$2…` in the control group `$1`.
const ENTER_GROUP: &str = "mkdir \"/sys/fs/cgroup/$1\"
echo $$ >\"/sys/fs/cgroup/$1/cgroup.procs\"
shift
exec \"$@\"";
/// Removes the control group `$2`, by way of the folder `$1`.
const REMOVE_GROUP: &str = "mount -t cgroup2 none \"$1\"
[ ! -d \"$1/$2\" ] || find \"$1/$2\" -depth -type d -exec rmdir {} +";

/// A release of Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 11 with systemd 247 and glibc 2.31.
    Bullseye,
    /// Debian 12 with systemd 252 and glibc 2.36.
    Bookworm,
    /// Debian 13 with systemd 257 and glibc 2.41.
    Trixie,
    /// The same with the tools of a release, rpm among them.
    Workshop,
}

impl Release {
    /// Those that packages of Debian are installed on, oldest first.
    pub const ALL: [Self; 3] = [Self::Bullseye, Self::Bookworm, Self::Trixie];

    /// The name of its root.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Workshop => "workshop",
        }
    }
}

/// A root file system that may be written to, gone once it is dropped.
pub struct Root {
    holder: Server,
    /// The first process of the namespaces, as the machine counts it.
    init: u32,
    _dir: TempDir,
}

impl Root {
    /// A fresh one of this release.
    ///
    /// # Errors
    /// When `tests/run` has made no such root, or this user may not mount.
    pub fn new(release: Release) -> Result<Self> {
        let base = lab_dir()?.join("roots").join(release.name());
        let base = base
            .canonicalize()
            .with_context(|| format!("{} is missing: start the lab with tests/run", base.display()))?;
        let dir = private_dir()?;
        let mut unshare = Command::new(tool("setpriv")?);
        unshare.args(["--pdeathsig", "KILL", "--bounding-set", "-sys_time", "unshare", "--mount", "--propagation"]);
        unshare.args(["private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", HOLD, "sh"]).arg(base);
        let mut holder = Server::start(&mut unshare, &dir.path().join("log"))?;
        wait_for("a root file system", SETUP_DEADLINE, || match holder.still_runs() {
            Ok(()) => holder.log().contains("ready").then_some(Ok(())),
            Err(error) => Some(Err(error)),
        })
        .with_context(|| holder.log())??;
        let init = child_of(holder.pid())?;
        Ok(Self { holder, init, _dir: dir })
    }

    /// Runs a script of the shell in there, as in a chroot.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, script: &str) -> Result<Answer> {
        let mut command = self.command()?;
        command.args(["chroot", ROOT]);
        answer(command, script)
    }

    /// Runs a script of the shell beside it, where it is mounted as /run/lab/root, with the machine's own programs: as where
    /// an image is built.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run_beside(&self, script: &str) -> Result<Answer> {
        answer(self.command()?, script)
    }

    /// Where a file of it is for this process.
    pub fn path(&self, inside: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root/run/lab/root", self.init));
        root.join(inside.trim_start_matches('/'))
    }

    /// Writes a file, with the folders that it needs.
    ///
    /// # Errors
    /// When that fails.
    pub fn write(&self, inside: &str, text: &str) -> Result<()> {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().context("the root is no file")?)?;
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    }

    /// Every path in there but for what others write: logs, the lists of dpkg, caches, and what is mounted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn paths(&self) -> Result<BTreeSet<String>> {
        let others = ["var/log", "var/lib/dpkg", "var/cache", "var/tmp", "tmp", "proc", "run", "sys", "dev", "mnt"];
        let others = others.map(|folder| format!("-path /{folder}")).join(" -o ");
        let found = self.run(&format!("find / -xdev \\( {others} \\) -prune -o -print"))?.succeeded()?;
        Ok(found.stdout.lines().map(ToOwned::to_owned).collect())
    }

    /// Puts a file of the machine into it, with the folders that it needs.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn copy_in(&self, file: &Path, inside: &str) -> Result<()> {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().context("the root is no file")?)?;
        fs::copy(file, path).with_context(|| format!("failed to copy {}", file.display()))?;
        Ok(())
    }

    /// A command in its namespaces and in a network, with the machine's own files but for /run.
    pub(crate) fn enter(&self, net: &Net, side: Side) -> Result<Command> {
        let mut command = net.command(side, "nsenter")?;
        command.args(self.entrance().into_iter().skip(1));
        Ok(command)
    }

    /// A command in its namespaces, with the machine's own files but for /run.
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(tool("setpriv")?);
        command.args(["--pdeathsig", "KILL", "--bounding-set", "-sys_time"]);
        command.args(self.entrance());
        Ok(command)
    }

    fn entrance(&self) -> [String; 6] {
        ["nsenter", "--target", &self.init.to_string(), "--mount", "--pid", "--"].map(ToOwned::to_owned)
    }

    fn log(&self) -> String {
        self.holder.log()
    }
}

/// A booted one, switched off when it is dropped.
pub struct Container {
    // Before the root: what runs in the namespaces ends first.
    nspawn: Server,
    root: Root,
    /// The process id of its systemd, as the namespace of its root counts it.
    leader: String,
    group: Group,
    booted_in: Duration,
    _dir: TempDir,
}

impl Container {
    /// Boots a fresh root of this release on the agent's side.
    ///
    /// # Errors
    /// When it does not start; the text has its console.
    pub fn boot(net: &Net, release: Release) -> Result<Self> {
        Self::boot_root(net, Root::new(release)?)
    }

    /// Boots a root in which something was done before. Returns once all is started that the boot starts.
    ///
    /// # Errors
    /// As [`Container::boot`].
    pub fn boot_root(net: &Net, root: Root) -> Result<Self> {
        let (dir, manager, group) = (private_dir()?, Manager::new()?, Group::new());
        let nspawn = tool("systemd-nspawn")?;
        let mut command = root.enter(net, Side::Agent)?;
        command.args(["sh", "-ec", ENTER_GROUP, "sh", &group.name, "env"]);
        command.arg(assignment("NOTIFY_SOCKET", manager.path()));
        if let Some(libraries) = unpacked_libraries(&nspawn) {
            command.arg(assignment("LD_LIBRARY_PATH", libraries));
        }
        // Without a machined and a systemd on the machine, and with a clock that nobody in there can set.
        command.arg(nspawn).args(["--quiet", "--register=no", "--keep-unit", "--notify-ready=yes", "--console=pipe"]);
        command.args(["--drop-capability=CAP_SYS_TIME", "--directory=/run/lab/root", "--boot"]);
        command.arg(format!("--machine={}", group.name));
        let started = Instant::now();
        let mut nspawn = Server::start(&mut command, &dir.path().join("console"))?;
        let leader = await_boot(&mut nspawn, &manager, started).with_context(|| root.log())?;
        Ok(Self { nspawn, root, leader, group, booted_in: started.elapsed(), _dir: dir })
    }

    /// How long the boot has taken.
    pub fn booted_in(&self) -> Duration {
        self.booted_in
    }

    /// Its root file system.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Runs a script of the shell in there, as root.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, script: &str) -> Result<Answer> {
        let mut command = self.root.command()?;
        command.args(["nsenter", "--target", &self.leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]);
        command.arg("--");
        answer(command, script)
    }

    /// The standard output of a script that must succeed, without the end of its last line.
    ///
    /// # Errors
    /// When it fails; the text has all that it has written.
    pub fn told(&self, script: &str) -> Result<String> {
        let answer = self.run(script)?.succeeded().with_context(|| script.to_owned())?;
        Ok(answer.stdout.trim_end().to_owned())
    }

    /// A property of a unit.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        self.told(&format!("systemctl show --property={name} --value {unit}"))
    }

    /// Returns once a unit is in a state such as `active` or `failed`.
    ///
    /// # Errors
    /// When it is not by `deadline`; the text has what systemd says of it.
    pub fn await_state(&self, unit: &str, state: &str, deadline: Duration) -> Result<()> {
        let reached = wait_for(&format!("{unit} to be {state}"), deadline, || {
            self.property(unit, "ActiveState").map(|is| (is == state).then_some(())).transpose()
        });
        let said = || self.told(&format!("systemctl status --no-pager --lines=30 {unit} 2>&1 || true"));
        reached.with_context(|| said().unwrap_or_default())?
    }

    /// What has been written to the console.
    pub fn console(&self) -> String {
        self.nspawn.log()
    }

    /// Shuts it down as a machine is.
    ///
    /// # Errors
    /// When it does not end by `deadline`.
    pub fn power_off(mut self, deadline: Duration) -> Result<()> {
        self.run("systemctl poweroff --no-block")?;
        let ended = wait_for("the end of a container", deadline, || self.nspawn.exited().transpose());
        ended.with_context(|| self.console())??;
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The first process of the namespaces takes all others with it, and they leave the group empty.
        let _ = self.root.holder.signal(nix::sys::signal::Signal::SIGKILL);
        let _ = wait_for("the end of a container", CLEANING_DEADLINE, || self.nspawn.exited().transpose());
        self.group.remove();
    }
}

/// A control group, named as network namespaces are, so that `tests/run` can remove what a killed test left.
struct Group {
    name: String,
}

impl Group {
    fn new() -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let process = process::id();
        let run = env::var("SKEWGUARD_LAB_RUN").unwrap_or_else(|_| process.to_string());
        Self { name: format!("sg-{run}-{process}-box{}", SERIAL.fetch_add(1, Ordering::Relaxed)) }
    }

    fn remove(&self) {
        let Ok(dir) = private_dir() else { return };
        let _ = wait_for("an empty control group", CLEANING_DEADLINE, || {
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "--propagation", "private", "sh", "-ec", REMOVE_GROUP, "sh"]);
            output(unshare.arg(dir.path()).arg(&self.name)).ok()
        });
    }
}

/// Returns the process id of systemd as it is told, once its boot is over.
fn await_boot(nspawn: &mut Server, manager: &Manager, started: Instant) -> Result<String> {
    let mut leader = None;
    loop {
        nspawn.still_runs()?;
        if let Ok(notice) = manager.hear(Duration::from_millis(200)) {
            leader = notice.value("X_NSPAWN_LEADER_PID").map(ToOwned::to_owned).or(leader);
            if notice.says("READY=1") {
                return leader.context("systemd-nspawn does not say who leads");
            }
        }
        if started.elapsed() > BOOT_DEADLINE {
            bail!("no boot within {BOOT_DEADLINE:?}:\n{}", nspawn.log());
        }
    }
}

/// The only child of a process.
pub(crate) fn child_of(process: u32) -> Result<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    children.trim().parse().with_context(|| format!("{path} has no child, or several: {children:?}"))
}

/// Appends a script to a command, in an environment as `su -` makes it.
pub(crate) fn answer(mut command: Command, script: &str) -> Result<Answer> {
    command.args([
        "env",
        "-i",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "LC_ALL=C.UTF-8",
    ]);
    command.args(["timeout", COMMAND_DEADLINE, "sh", "-c", script]);
    let output =
        command.stdin(process::Stdio::null()).output().with_context(|| format!("failed to start {command:?}"))?;
    Ok(Answer {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
