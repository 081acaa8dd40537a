//! What others on a host can make of a doctor that root runs there: each lie of theirs is told to it, and it neither
//! opens nor makes nor changes what they want it to.

#![expect(clippy::disallowed_methods, reason = "a race is run for some seconds of the machine's own clock")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::env;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use serde_json::Value;
use tempfile::TempDir;
use tests::net::{Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::{private_dir, tool};
use tests::watch::Watch;

/// A user without any right.
const EVIL: u32 = 54_321;
/// The user of chronyd in the lab's own list of users.
const CHRONY: u32 = 54_322;
/// For so long races are run.
const RACE: Duration = Duration::from_secs(6);

/// A host with a user who means no good.
struct Host {
    net: Net,
    folder: TempDir,
    _time: NtpServer,
}

impl Host {
    fn new() -> Self {
        let net = Net::new().unwrap();
        let time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(0.0)).unwrap();
        let folder = private_dir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let config = "sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s }]\n\
                      credentials: { imds: { enabled: false } }\nsdks: [botocore]\n";
        fs::write(folder.path().join("skewguard.yaml"), config).unwrap();
        let host = Self { net, folder, _time: time };
        host.make_folder("evil", EVIL);
        host.make_folder("root", 0);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make_folder(&self, name: &str, owner: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        path
    }

    fn file(&self, name: &str, owner: u32, mode: u32, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        path
    }

    /// A program of this name that does nothing, of the evil user.
    fn idler(&self, name: &str) -> PathBuf {
        let path = self.path("evil").join(name);
        fs::copy(tool("bash").unwrap(), &path).unwrap();
        path
    }

    /// What the doctor says as root, in a process namespace of its own and beside what a shell script starts.
    fn examine(&self, neighbours: &str, arguments: &[&str]) -> Value {
        let binary = env::var_os("SKEWGUARD_BIN").expect("SKEWGUARD_BIN is not set: start the lab with tests/run");
        let mut command = self.net.command(Side::Agent, "unshare").unwrap();
        command.args(["--pid", "--fork", "--mount-proc", "bash", "-c"]);
        command.arg(format!("{neighbours}\nenv -i \"$@\"")).arg("bash");
        command.arg(format!("HOME={}", self.path("root").display())).arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg(binary).args(["doctor", "--format", "json", "--config"]).arg(self.path("skewguard.yaml"));
        let output = command.args(arguments).output().unwrap();
        let [text, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{stderr}"))
    }
}

/// What is said of one check.
fn said(report: &Value, name: &str) -> String {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).map(ToString::to_string).unwrap_or_default()
}

/// Runs a command as the evil user.
fn as_evil(command: &str) -> String {
    format!("setpriv --reuid {EVIL} --regid {EVIL} --clear-groups {command} &")
}

/// Waits until a program of this name runs.
fn until_runs(name: &str) -> String {
    format!(
        "for _ in $(seq 3000); do grep -qsx {name} /proc/[0-9]*/comm && break; sleep 0.01; done
grep -qsx {name} /proc/[0-9]*/comm || {{ echo '{name} does not run: may this user make user namespaces?' >&2; exit 99; }}"
    )
}

/// What answers as chronyd would in the folder of a user, and who turns whatever another makes there into a link.
struct Trap {
    folder: PathBuf,
    socket: UnixDatagram,
}

impl Trap {
    fn set(folder: PathBuf, owner: u32) -> Self {
        let path = folder.join("chronyd.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        Self { folder, socket }
    }

    /// Renames a link to `target` over everything that is made in the folder, until `work` is done.
    fn race(&self, target: &Path, work: impl FnOnce()) {
        let is_over = AtomicBool::new(false);
        let link = self.folder.with_extension("link");
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for entry in fs::read_dir(&self.folder).unwrap().flatten() {
                        if entry.file_name() != "chronyd.sock" {
                            let _ = symlink(target, &link);
                            let _ = fs::rename(&link, entry.path());
                        }
                    }
                }
            });
            let _end = End(&is_over);
            work();
        });
    }
}

/// Ends whoever looks at it, however this scope ends.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_program_that_calls_itself_chronyd_in_a_user_namespace_of_its_own_is_not_believed_and_gains_nothing() {
    let host = Host::new();
    let trap = Trap::set(host.make_folder("evil/run", EVIL), EVIL);
    let lines = format!("cmdport 0\nbindcmdaddress {}/chronyd.sock\nserver evil.example\n", trap.folder.display());
    let config = host.file("evil/chrony.conf", EVIL, 0o644, &lines);
    let target = host.file("root/secret", 0, 0o600, "secret");
    let idler = host.idler("chronyd");
    let start = as_evil(&format!(
        "unshare --user --map-root-user {} -c 'sleep 600; :' chronyd -f {}",
        idler.display(),
        config.display()
    ));
    let neighbours = format!("{start}\n{}", until_runs("chronyd"));
    let watch = Watch::new().unwrap().opening(&config).unwrap().making(&trap.folder).unwrap();
    let mut report = Value::Null;
    trap.race(&target, || {
        let began = Instant::now();
        while began.elapsed() < RACE {
            report = host.examine(&neighbours, &[]);
        }
    });
    let mode = fs::metadata(&target).unwrap().permissions().mode() & 0o777;
    let touched = watch.touched().unwrap();
    assert!(
        mode == 0o600 && touched.is_empty(),
        "the mode of root's file is {mode:o}, and these were touched: {touched:?}"
    );
    let discipline = said(&report, "clock-discipline");
    assert!(discipline.contains("calls itself chronyd and is not believed"), "{report:#}");
    assert!(!discipline.contains("sets the clock"), "{report:#}");
}

#[test]
fn a_configuration_that_another_user_can_write_is_not_followed_and_neither_is_the_socket_that_it_names() {
    let host = Host::new();
    let trap = Trap::set(host.make_folder("evil/run", EVIL), EVIL);
    let lines = format!("cmdport 0\nbindcmdaddress {}/chronyd.sock\n", trap.folder.display());
    let target = host.file("root/secret", 0, 0o600, "secret");
    // What root reads names a folder of somebody else, who writes what he likes into it.
    let included = host.file("evil/more.conf", EVIL, 0o644, &lines);
    let main =
        host.file("root/chrony.conf", 0, 0o644, &format!("confdir {}\ncmdport 0\n", host.path("evil").display()));
    let neighbours = format!(
        "mkdir -p /etc/chrony && mount -t tmpfs -o mode=755 none /etc/chrony && cp {} /etc/chrony/chrony.conf || exit 9",
        main.display()
    );
    let watch = Watch::new().unwrap().opening(&included).unwrap().making(&trap.folder).unwrap();
    let mut report = Value::Null;
    trap.race(&target, || report = host.examine(&neighbours, &[]));
    let mode = fs::metadata(&target).unwrap().permissions().mode() & 0o777;
    let touched = watch.touched().unwrap();
    assert!(
        mode == 0o600 && touched.is_empty(),
        "the mode of root's file is {mode:o}, and these were touched: {touched:?}"
    );
    assert!(report["checks"].is_array(), "{report:#}");
}

#[test]
fn the_user_of_chronyd_cannot_turn_the_doctor_against_root() {
    let host = Host::new();
    let users =
        host.file("root/passwd", 0, 0o644, &format!("root:x:0:0::/root:/bin/sh\n_chrony:x:{CHRONY}:{CHRONY}::/:/x\n"));
    let main = host.file("root/chrony.conf", 0, 0o644, "cmdport 0\nbindcmdaddress /run/chrony/chronyd.sock\n");
    let target = host.file("root/secret", 0, 0o600, "secret");
    let trap = Trap::set(host.make_folder("chrony", CHRONY), CHRONY);
    let neighbours = format!(
        "mkdir -p /etc/chrony && mount -t tmpfs -o mode=755 none /etc/chrony && cp {} /etc/chrony/chrony.conf || exit 9\n\
         mount --bind {} /etc/passwd || exit 9\n\
         mount -t tmpfs -o mode=755 none /run && mkdir /run/chrony && mount --bind {} /run/chrony || exit 9",
        main.display(),
        users.display(),
        trap.folder.display(),
    );
    let watch = Watch::new().unwrap().making(&trap.folder).unwrap();
    trap.race(&target, || {
        let began = Instant::now();
        while began.elapsed() < RACE {
            host.examine(&neighbours, &[]);
        }
    });
    let mode = fs::metadata(&target).unwrap().permissions().mode() & 0o777;
    let touched = watch.touched().unwrap();
    assert!(
        mode == 0o600 && touched.is_empty(),
        "the mode of root's file is {mode:o}, and these were touched: {touched:?}"
    );
    // He was asked all the same, over a socket in a folder that is root's alone.
    trap.socket.set_nonblocking(true).unwrap();
    assert!(trap.socket.recv(&mut [0; 200]).is_ok(), "nobody asked");
}

#[test]
fn no_variable_of_a_process_makes_the_doctor_open_a_device_or_a_pipe() {
    let host = Host::new();
    let (device, pipe) = (host.path("evil/device"), host.path("evil/pipe"));
    mknod(&device, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
    mkfifo(&pipe, Mode::from_bits_truncate(0o666)).unwrap();
    let watch = Watch::new().unwrap().opening(&device).unwrap().opening(&pipe).unwrap();
    let start = as_evil(&format!(
        "env AWS_CONFIG_FILE={} AWS_SHARED_CREDENTIALS_FILE={} {} -c 'sleep 600; :'",
        device.display(),
        pipe.display(),
        host.idler("victim").display()
    ));
    let report = host.examine(&format!("{start}\n{}", until_runs("victim")), &["--pid", "2"]);
    assert_eq!(watch.touched().unwrap(), Vec::<PathBuf>::new(), "{report:#}");
    assert!(said(&report, "credentials-pick").contains("process 2 (victim)"), "{report:#}");
}

#[test]
fn a_process_cannot_borrow_the_eyes_of_root_by_a_path_or_by_a_link_that_it_swaps_all_the_time() {
    let host = Host::new();
    let secret = host.file("root/secret", 0, 0o600, "[profile marker-of-root]\nregion = x\n");
    let (device, pipe) = (host.path("evil/device"), host.path("evil/pipe"));
    mknod(&device, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
    mkfifo(&pipe, Mode::from_bits_truncate(0o666)).unwrap();
    let config = host.path("evil/config");
    let watch =
        [&secret, &device, &pipe].into_iter().fold(Watch::new().unwrap(), |watch, path| watch.opening(path).unwrap());
    let start = as_evil(&format!(
        "env AWS_CONFIG_FILE={} AWS_SHARED_CREDENTIALS_FILE={} {} -c 'sleep 600; :'",
        config.display(),
        secret.display(),
        host.idler("victim").display()
    ));
    let neighbours = format!("{start}\n{}", until_runs("victim"));
    let is_over = AtomicBool::new(false);
    let mut reports = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let own = host.file("evil/own", EVIL, 0o600, "[default]\nregion = x\n");
            let next = host.path("evil/next");
            for target in [&own, &secret, &device, &pipe, &own].into_iter().cycle() {
                symlink(target, &next).unwrap();
                // std has no chown of the link itself.
                std::os::unix::fs::lchown(&next, Some(EVIL), Some(EVIL)).unwrap();
                fs::rename(&next, &config).unwrap();
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let _end = End(&is_over);
        let began = Instant::now();
        while began.elapsed() < RACE {
            reports.push(host.examine(&neighbours, &["--pid", "2"]));
        }
    });
    assert_eq!(watch.touched().unwrap(), Vec::<PathBuf>::new(), "{reports:#?}");
    assert!(reports.iter().all(|report| said(report, "credentials-pick").contains("process 2")), "{reports:#?}");
}

#[test]
fn processes_that_end_while_they_are_looked_at_spoil_nothing() {
    let host = Host::new();
    // Some hundred a second, each with what the doctor looks at.
    let start =
        "(while :; do for _ in 1 2 3 4; do AWS_PROFILE=x AWS_CONFIG_FILE=/nowhere sleep 0.003 & done; wait; done) &";
    let began = Instant::now();
    while began.elapsed() < RACE {
        let report = host.examine(start, &[]);
        assert!(report["checks"].as_array().unwrap().iter().any(|check| check["name"] == "clock-offset"), "{report:#}");
        assert!(report["checks"].as_array().unwrap().iter().all(|check| check["verdict"] != "problem"), "{report:#}");
    }
}

#[test]
fn whoever_answers_in_the_place_of_the_agent_is_not_believed() {
    let host = Host::new();
    let socket = host.path("evil/agent.sock");
    let config = fs::read_to_string(host.path("skewguard.yaml")).unwrap();
    fs::write(host.path("skewguard.yaml"), format!("{config}socket: {}\n", socket.display())).unwrap();
    let listen = format!(
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(\"{}\"); s.listen()\nwhile True: s.accept()[0].sendall(b\"lie\")",
        socket.display()
    );
    let start = as_evil(&format!("/usr/bin/python3 -c '{listen}'"));
    let report = host.examine(&format!("{start}\nuntil [ -S {} ]; do sleep 0.01; done", socket.display()), &[]);
    let running = said(&report, "agent-running");
    assert!(running.contains(&format!("user {EVIL}")) && running.contains("not believed"), "{report:#}");
}
