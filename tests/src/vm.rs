//! A guest in QEMU: a machine whose clock a test may set.
//!
//! The guest has a kernel, busybox and the program under test in memory, and no disk. QEMU interprets its instructions
//! (TCG), so neither KVM nor root is needed. Its network is QEMU's own (slirp) inside the agent's namespace: what it
//! sends to Amazon's addresses reaches the lab's servers, and there is no way further. The harness types commands into
//! a shell on the guest's second serial port; the first is the console.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::kernel::Kernel;
use crate::net::{Net, Side};
use crate::process::{Server, lab_dir, output, private_dir, tool, unpacked_libraries};
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

    /// The first root that has this.
    fn root(&self, has: &str) -> Result<&Path> {
        let found = self.roots.iter().find(|root| root.join(has).exists());
        found.map(PathBuf::as_path).with_context(|| format!("{has} is nowhere: tests/run unpacks it"))
    }
}

/// A running guest, switched off when it is dropped.
pub struct Vm {
    qemu: Server,
    shell: BufReader<UnixStream>,
    _dir: TempDir,
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
        let socket = dir.path().join("shell.sock");
        let qemu = machine.root("usr/bin/qemu-system-x86_64")?;
        let mut command = net.command(Side::Agent, qemu.join("usr/bin/qemu-system-x86_64"))?;
        command.args(["-L".as_ref(), qemu.join("usr/share/qemu").as_os_str()]);
        command.args(["-L".as_ref(), qemu.join("usr/share/seabios").as_os_str()]);
        command.args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"]);
        command.args(&machine.arguments);
        command.args(["-accel", "tcg", "-cpu", "max", "-m", "256"]);
        command.args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]);
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        command.args(["-chardev", &format!("socket,id=shell,path={},server=on,wait=off", socket.display())]);
        command.args(["-serial", "chardev:shell", "-append", "console=ttyS0 loglevel=4 panic=-1"]);
        command.args(["-kernel".as_ref(), kernel.image.as_os_str(), "-initrd".as_ref(), initrd.as_os_str()]);
        let mut qemu = Server::start(&mut command, &dir.path().join("console"))?;
        let shell = wait_for("QEMU's socket", BOOT_DEADLINE, || {
            qemu.still_runs().map_or_else(|error| Some(Err(error)), |()| UnixStream::connect(&socket).ok().map(Ok))
        })??;
        let mut vm = Self { qemu, shell: BufReader::new(shell), _dir: dir };
        vm.read_until("up", BOOT_DEADLINE)?;
        Ok(vm)
    }

    /// Runs a line of shell in the guest and returns what it writes to standard output.
    ///
    /// # Errors
    /// When it fails or does not end within 20 s; the text has the guest's console.
    pub fn run(&mut self, line: &str) -> Result<String> {
        self.shell.get_mut().write_all(format!("{line}\n").as_bytes())?;
        let (printed, status) = self.read_until("=", COMMAND_DEADLINE).with_context(|| line.to_owned())?;
        ensure!(status == "0", "{line}: exit code {status}: {printed}\n{}", self.console());
        Ok(printed)
    }

    /// What the guest has written to its console so far.
    pub fn console(&self) -> String {
        self.qemu.log()
    }

    /// The lines before the first that starts with `mark`, and what follows the mark.
    fn read_until(&mut self, mark: &str, deadline: Duration) -> Result<(String, String)> {
        let started = Instant::now();
        let mut printed = String::new();
        loop {
            let left = deadline.saturating_sub(started.elapsed()).max(Duration::from_millis(1));
            self.shell.get_ref().set_read_timeout(Some(left))?;
            let mut line = String::new();
            match self.shell.read_line(&mut line) {
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
    let program =
        PathBuf::from(env::var_os("SKEWGUARD_BIN").context("SKEWGUARD_BIN is not set: start the lab with tests/run")?);
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

/// A cpio archive in the "newc" format, which the kernel unpacks as its first file system
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    folders: Vec<String>,
    entries: u32,
}

impl Archive {
    const FOLDER: u32 = 0o040_000;
    const FILE: u32 = 0o100_000;
    const TRAILER: &str = "TRAILER!!!";

    fn copy(&mut self, name: &str, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
        self.file(name, 0o755, &content);
        Ok(())
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        if let Some((folder, _)) = name.rsplit_once('/') {
            self.folder(folder);
        }
        self.entry(name, Self::FILE | mode, content);
    }

    fn folder(&mut self, name: &str) {
        if self.folders.iter().any(|known| known == name) {
            return;
        }
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.folder(parent);
        }
        self.entry(name, Self::FOLDER | 0o755, &[]);
        self.folders.push(name.to_owned());
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        // Inode, mode, user, group, links, time, size, four device numbers, length of the name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size(content), 0, 0, 0, 0, size(name.as_bytes()) + 1, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.entry(Self::TRAILER, 0, &[]);
        self.bytes
    }
}

fn size(content: &[u8]) -> u32 {
    u32::try_from(content.len()).expect("no file of the guest has 4 GiB")
}
