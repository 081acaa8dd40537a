//! A guest in QEMU: a machine whose clock a test may set.
//!
//! The guest has a kernel, busybox and the program under test in memory, and no disk. QEMU interprets its instructions
//! (TCG), so neither KVM nor root is needed. Its network is QEMU's own (slirp) inside the agent's namespace: what it
//! sends to Amazon's addresses reaches the lab's servers, and there is no way further. The harness types commands into
//! a shell on the guest's second serial port; the first is the console. By QEMU's monitor it does what a hypervisor does:
//! puts the guest back into an earlier state, or moves it into another QEMU.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::cpio::Archive;
use crate::kernel::Kernel;
use crate::net::{Net, Side};
use crate::packages;
use crate::process::{Server, lab_dir, output, private_dir, tool, unpacked_libraries};
use crate::qmp::Monitor;
use crate::wait::wait_for;

const BOOT_DEADLINE: Duration = Duration::from_secs(90);
/// How long a command in the guest may take.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20);
/// The guest has 256 MiB of memory, and holds its files twice while it unpacks them. The kernel says nothing of those for
/// which there is no room.
const MOST_FILES: usize = 64 << 20;
/// What the guest needs of its kernel: the bus and the network card.
const MODULES: [&str; 2] = ["virtio_pci", "virtio_net"];
/// The first process. A line on the second serial port is a command; what it prints goes back the same way.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module.ko; done
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
exec </dev/ttyS1 >/dev/ttyS1
stty raw -echo
echo up
while read -r line; do
    eval \"$line\"
    echo \"=$?\"
done
";

/// The users of the guest.
const PASSWD: &str = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";

/// What a guest is made of.
struct Machine<'a> {
    /// Where packages are unpacked: the first that has something counts.
    roots: Vec<PathBuf>,
    /// What it needs of its kernel.
    modules: &'a [&'a str],
    /// What QEMU is told besides.
    arguments: Vec<String>,
    /// What it has in `/bin` beside the program under test.
    programs: &'a [&'a Path],
}

impl Machine<'_> {
    /// The kernel of the first root that has one.
    fn kernel(&self) -> Result<Kernel> {
        let mut kernels = self.roots.iter().map(|root| Kernel::unpacked(root));
        let first = kernels.next().context("a machine without a root")?;
        kernels.fold(first, Result::or)
    }

    /// What QEMU is told to run it.
    fn hardware(&self, kernel: &Kernel, initrd: &Path) -> Result<Hardware> {
        let root = self.root("usr/bin/qemu-system-x86_64")?;
        let mut arguments = Vec::new();
        let mut add = |few: &[&OsStr]| arguments.extend(few.iter().map(|one| one.to_os_string()));
        for folder in ["usr/share/qemu", "usr/share/seabios"] {
            add(&["-L".as_ref(), root.join(folder).as_os_str()]);
        }
        let fixed = [
            "-no-user-config -nodefaults -display none -no-reboot -accel tcg -cpu max -m 256",
            "-netdev user,id=net -device virtio-net-pci,netdev=net,romfile=",
        ];
        fixed.iter().flat_map(|line| line.split(' ')).for_each(|one| add(&[one.as_ref()]));
        self.arguments.iter().for_each(|one| add(&[one.as_ref()]));
        add(&["-kernel".as_ref(), kernel.image.as_os_str(), "-initrd".as_ref(), initrd.as_os_str()]);
        add(&["-append".as_ref(), "console=ttyS0 loglevel=4 panic=-1".as_ref()]);
        Ok(Hardware { program: root.join("usr/bin/qemu-system-x86_64"), arguments })
    }

    /// The first root that has this.
    fn root(&self, has: &str) -> Result<&Path> {
        let found = self.roots.iter().find(|root| root.join(has).exists());
        found.map(PathBuf::as_path).with_context(|| format!("{has} is nowhere: tests/run unpacks it"))
    }
}

/// What QEMU is told whenever a machine is to run, at first and after a move.
struct Hardware {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// A QEMU, and the ways to talk to it and to its guest.
struct Running {
    qemu: Server,
    shell: BufReader<UnixStream>,
    monitor: Monitor,
}

impl Hardware {
    /// Starts QEMU, with what is its own below `dir`: either the machine boots, or it is awaited at a socket.
    fn start(&self, net: &Net, dir: &Path, incoming: Option<&Path>) -> Result<Running> {
        fs::create_dir(dir)?;
        let (shell, monitor) = (dir.join("shell.sock"), dir.join("monitor.sock"));
        let mut command = net.command(Side::Agent, &self.program)?;
        command.args(&self.arguments);
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        command.args(["-chardev", &format!("socket,id=shell,path={},server=on,wait=off", shell.display())]);
        command.args(["-serial", "chardev:shell"]);
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", monitor.display())]);
        if let Some(socket) = incoming {
            command.args(["-incoming", &format!("unix:{}", socket.display())]);
        }
        let mut qemu = Server::start(&mut command, &dir.join("console"))?;
        let mut connect = |socket: &Path| {
            wait_for("QEMU's socket", BOOT_DEADLINE, || {
                qemu.still_runs().map_or_else(|error| Some(Err(error)), |()| UnixStream::connect(socket).ok().map(Ok))
            })?
        };
        let (shell, monitor) = (connect(&shell)?, Monitor::new(connect(&monitor)?)?);
        Ok(Running { qemu, shell: BufReader::new(shell), monitor })
    }
}

/// A running guest, switched off when it is dropped.
pub struct Vm {
    running: Running,
    hardware: Hardware,
    /// What the consoles said where the guest has been before.
    earlier: String,
    moves: u32,
    dir: TempDir,
}

impl Vm {
    /// Boots a guest on the agent's side that has the program under test as `/bin/skewguard` and `yaml` as
    /// `/etc/skewguard.yaml`. Its clock starts with the machine's, to the second. Returns once it takes commands.
    ///
    /// # Errors
    /// When QEMU or the guest does not start; the text has the guest's console.
    pub fn boot(net: &Net, yaml: &str) -> Result<Self> {
        Self::boot_as(net, yaml, None)
    }

    /// The same as the instance of this id, which the firmware tells as that of EC2 does.
    ///
    /// # Errors
    /// As [`Vm::boot`].
    pub fn boot_as(net: &Net, yaml: &str, instance: Option<&str>) -> Result<Self> {
        let firmware = instance.map(|instance| format!("type=2,manufacturer=Amazon EC2,asset={instance}"));
        let arguments = firmware.into_iter().flat_map(|firmware| ["-smbios".to_owned(), firmware]).collect();
        let lab = lab_dir()?.join("root");
        Self::boot_on(net, yaml, &Machine { roots: vec![lab], modules: &MODULES, arguments, programs: &[] })
    }

    /// The same with a second network card whose driver, `igb`, has a PTP hardware clock, and with these programs beside the
    /// one under test.
    ///
    /// # Errors
    /// As [`Vm::boot`].
    pub fn boot_with_clock(net: &Net, yaml: &str, programs: &[&Path]) -> Result<Self> {
        let lab = lab_dir()?;
        // The kernel of the others has no such driver, and the QEMU of some releases no such card.
        let roots = vec![lab.join("guests/root"), lab.join("root")];
        let arguments = ["-netdev", "user,id=clock,restrict=on", "-device", "igb,netdev=clock,romfile="];
        let arguments = arguments.map(str::to_owned).to_vec();
        Self::boot_on(net, yaml, &Machine { roots, modules: &[MODULES[0], MODULES[1], "igb"], arguments, programs })
    }

    /// The same with VMClock, by which QEMU says that it has disrupted the clocks of the guest, and with these programs
    /// beside the one under test.
    ///
    /// # Errors
    /// As [`Vm::boot`].
    pub fn boot_with_vmclock(net: &Net, yaml: &str, programs: &[&Path]) -> Result<Self> {
        let lab = lab_dir()?;
        let roots = vec![lab.join("guests/root"), lab.join("root")];
        let arguments = ["-device", "vmclock"].map(str::to_owned).to_vec();
        Self::boot_on(
            net,
            yaml,
            &Machine { roots, modules: &[MODULES[0], MODULES[1], "ptp_vmclock"], arguments, programs },
        )
    }

    fn boot_on(net: &Net, yaml: &str, machine: &Machine<'_>) -> Result<Self> {
        let dir = private_dir()?;
        let initrd = dir.path().join("initrd");
        let kernel = machine.kernel()?;
        let files = initramfs(&kernel, machine, yaml)?;
        ensure!(
            files.len() <= MOST_FILES,
            "the files of the guest have {} MiB, for which its memory has no room: give it a program without what a \
             debugger needs, such as that of tests/run",
            files.len() >> 20
        );
        fs::write(&initrd, files)?;
        let hardware = machine.hardware(&kernel, &initrd)?;
        let running = hardware.start(net, &dir.path().join("0"), None)?;
        let mut vm = Self { running, hardware, earlier: String::new(), moves: 0, dir };
        vm.read_until("up", BOOT_DEADLINE)?;
        Ok(vm)
    }

    /// What a hypervisor can do to the guest.
    pub const fn monitor(&mut self) -> &mut Monitor {
        &mut self.running.monitor
    }

    /// Keeps the whole state of the guest under this name, for [`Monitor::load`].
    ///
    /// # Errors
    /// When QEMU cannot.
    pub fn save(&mut self, name: &str) -> Result<()> {
        let disk = self.dir.path().join("snapshots");
        self.running.monitor.save(&disk, name)
    }

    /// Moves the guest into another QEMU, while it runs, and ends the one where it was.
    ///
    /// # Errors
    /// When it stays where it is.
    pub fn migrate(&mut self, net: &Net) -> Result<()> {
        self.moves += 1;
        let folder = self.dir.path().join(self.moves.to_string());
        let socket = self.dir.path().join(format!("migration-{}", self.moves));
        let there = self.hardware.start(net, &folder, Some(&socket))?;
        self.running.monitor.migrate(&socket)?;
        let here = std::mem::replace(&mut self.running, there);
        self.earlier += &here.qemu.log();
        Ok(())
    }

    /// Runs a line of shell in the guest and returns what it writes to standard output.
    ///
    /// # Errors
    /// When it fails or does not end within 20 s; the text has the guest's console.
    pub fn run(&mut self, line: &str) -> Result<String> {
        self.running.shell.get_mut().write_all(format!("{line}\n").as_bytes())?;
        let (printed, status) = self.read_until("=", COMMAND_DEADLINE).with_context(|| line.to_owned())?;
        ensure!(status == "0", "{line}: exit code {status}: {printed}\n{}", self.console());
        Ok(printed)
    }

    /// What the guest has written to its console so far.
    pub fn console(&self) -> String {
        format!("{}{}", self.earlier, self.running.qemu.log())
    }

    /// The lines before the first that starts with `mark`, and what follows the mark.
    fn read_until(&mut self, mark: &str, deadline: Duration) -> Result<(String, String)> {
        let started = Instant::now();
        let mut printed = String::new();
        loop {
            let left = deadline.saturating_sub(started.elapsed()).max(Duration::from_millis(1));
            self.running.shell.get_ref().set_read_timeout(Some(left))?;
            let mut line = String::new();
            match self.running.shell.read_line(&mut line) {
                Ok(length) if length > 0 => {}
                Ok(_) => bail!("the guest ended: {printed}\n{}", self.console()),
                Err(error) => bail!("the guest is silent ({error}): {printed}{line}\n{}", self.console()),
            }
            if let Some(rest) = line.strip_prefix(mark) {
                return Ok((printed, rest.trim_end().to_owned()));
            }
            printed += &line;
        }
    }
}

/// The guest's whole file system.
fn initramfs(kernel: &Kernel, machine: &Machine<'_>, yaml: &str) -> Result<Vec<u8>> {
    // The one that is shipped: a guest has no room for one that can be debugged.
    let package = private_dir()?;
    let program = packages::program(&packages::built()?, package.path())?;
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "run", "tmp"] {
        archive.folder(folder);
    }
    archive.file("init", 0o755, INIT.as_bytes());
    archive.file("etc/passwd", 0o644, PASSWD.as_bytes());
    archive.file("etc/skewguard.yaml", 0o600, yaml.as_bytes());
    archive.copy("bin/busybox", &tool("busybox")?)?;
    archive.copy("bin/skewguard", &program)?;
    let mut libraries = BTreeSet::from_iter(shared_libraries(&program)?);
    for program in machine.programs {
        let name = program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
        archive.copy(&format!("bin/{name}"), program)?;
        libraries.extend(shared_libraries(program)?);
    }
    for library in libraries {
        // One that was unpacked lies in the guest where its package would have put it.
        let unpacked = machine.roots.iter().find_map(|root| Path::new(&library).strip_prefix(root).ok()?.to_str());
        archive.copy(unpacked.unwrap_or(&library).trim_start_matches('/'), Path::new(&library))?;
    }
    let mut order = String::new();
    for (name, content) in kernel.in_order(machine.modules)? {
        archive.file(&format!("modules/{name}.ko"), 0o644, &content);
        writeln!(order, "{name}")?;
    }
    archive.file("modules/order", 0o644, order.as_bytes());
    Ok(archive.end())
}

/// The shared libraries of a program and its loader, as `ldd` tells them.
fn shared_libraries(program: &Path) -> Result<Vec<String>> {
    let libraries = unpacked_libraries(program).map(|libraries| ("LD_LIBRARY_PATH", libraries));
    let told = output(Command::new("ldd").arg(program).envs(libraries))?;
    let paths = told.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(ToOwned::to_owned).collect())
}
