//! Which time daemons run on this host, as far as it lets others see, and which of them may set its clock.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::command_line::CommandLine;
use super::program::{Program, is_engine};
use super::tree;
use super::users::Users;
use crate::aws::processes::view::View;
use crate::sys;
use crate::time::Span;

/// The inode of the first process namespace of every Linux (`PROC_PID_INIT_INO`).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";
/// The bit of `CAP_SYS_TIME` (capabilities(7)).
const SYS_TIME: u32 = 25;
/// The unit of times in `/proc/PID/stat` on all but historical machines.
const TICKS_PER_SECOND: f64 = 100.0;
/// No file of `/proc` that tells of a daemon is longer.
const LONGEST: usize = 128 * 1024;
/// The first number of a user who is a person (login.defs(5)), and that of nobody.
const FIRST_PERSON: u32 = 1_000;
const NOBODY: u32 = 65_534;
/// The field `starttime` of `/proc/PID/stat`, counted from the one behind the name (proc_pid_stat(5)).
const START_TIME: usize = 19;

/// The file by which systemd-timesyncd says that it has reached a server since the host was booted.
pub(super) const TIMESYNCD_SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// A time daemon that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Which.
    pub program: Program,
    /// Its process.
    pub pid: u32,
    /// Whether it has the capability to set the clock; one in a container, or in a laboratory, mostly has not.
    pub may_set_clock: bool,
    /// Whether it was told to leave the clock alone, such as `chronyd -x`.
    pub leaves_clock_alone: bool,
    /// Whether it keeps telling the kernel that the clock is synchronized; chronyd does so by its configuration alone.
    pub tells_kernel: bool,
    /// The configuration that its command line names.
    pub config: Option<PathBuf>,
    /// What its command line says beside that: servers of ntpd, and lines of configuration of chronyd.
    pub told: Vec<String>,
    /// For how long it runs; `None` where that cannot be told.
    pub age: Option<Span>,
    /// Whether it lives in a container, whose files and sockets are not those of the host.
    pub is_elsewhere: bool,
}

/// A process that calls itself a time daemon, and is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("process {pid} calls itself {} and is not believed: {doubt}", program.name())]
pub struct Disbelieved {
    /// What it calls itself.
    pub program: Program,
    /// The process.
    pub pid: u32,
    /// Why.
    pub doubt: Doubt,
}

/// Why a process is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Anybody may give himself all capabilities in a user namespace, and they count for nothing outside.
    #[error("it lives in a user namespace of its own, where its rights say nothing of this host")]
    Namespace,
    /// Neither root nor the user whom its packages make.
    #[error("user {0}, as which it runs, is neither root nor the user of that daemon in /etc/passwd")]
    User(u32),
    /// Its user cannot be told.
    #[error("as whom it runs cannot be told")]
    Unknown,
    /// Its name is that of a link by which somebody started it: `sudo`, say, runs as root for anybody.
    #[error("it was started by that name, and is another program")]
    Program,
}

impl Daemon {
    /// Whether it sets the clock of this host.
    pub const fn sets_clock(&self) -> bool {
        self.may_set_clock && !self.leaves_clock_alone
    }
}

/// What can be seen of the processes of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The time daemons, in the order of [`Program`].
    pub daemons: Vec<Daemon>,
    /// Processes that call themselves time daemons, and of which nothing else is believed.
    pub disbelieved: Vec<Disbelieved>,
    /// Why there may be others that cannot be seen; `None` where there cannot.
    pub hidden: Option<&'static str>,
    /// Whether this is a container, whose clock is that of its host.
    pub is_container: bool,
    /// Files that time daemons leave in `/run` while they run.
    pub traces: Vec<PathBuf>,
}

impl Seen {
    /// The daemon that sets the clock; the one to keep, where there are several.
    pub fn keeper(&self) -> Option<&Daemon> {
        self.daemons.iter().find(|daemon| daemon.sets_clock())
    }

    /// Whether a daemon has left this file.
    pub(super) fn has_trace(&self, path: &str) -> bool {
        self.traces.iter().any(|trace| trace == Path::new(path))
    }
}

/// Looks at the processes below `root`.
pub fn look(root: &Path) -> Seen {
    let proc = tree::under(root, "/proc");
    let uptime = tree::line(&proc.join("uptime")).and_then(|line| line.split(' ').next()?.parse::<f64>().ok());
    let names = tree::names(&proc).unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.parse::<u32>().ok());
    let users = Users::read(root);
    let (mut daemons, mut disbelieved) = (Vec::new(), Vec::new());
    let pids: Vec<u32> = pids.collect();
    let engines = engines(root, &pids, &users);
    for found in pids.into_iter().filter_map(|pid| daemon(root, pid, uptime, &users, &engines)) {
        match found {
            Ok(daemon) => daemons.push(daemon),
            Err(other) => disbelieved.push(other),
        }
    }
    daemons.sort_by_key(|daemon| (daemon.program, daemon.pid));
    let traces = ["/run/chrony/chronyd.pid", "/run/chronyd.pid", "/run/ntpd.pid", TIMESYNCD_SYNCHRONIZED]
        .map(PathBuf::from)
        .into_iter()
        .filter(|path| tree::under(root, path).exists())
        .collect();
    let is_container = is_container(root, &proc);
    Seen { daemons, disbelieved, hidden: hidden(&proc, is_container), is_container, traces }
}

/// The pid namespace tells for certain; where it cannot be read, files tell that container runtimes leave.
fn is_container(root: &Path, proc: &Path) -> bool {
    match fs::read_link(proc.join("self/ns/pid")) {
        Ok(namespace) => namespace != Path::new(FIRST_NAMESPACE),
        Err(_) => {
            let marks = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];
            let groups = tree::read(&proc.join("1/cgroup")).unwrap_or_default();
            marks.iter().any(|mark| tree::under(root, mark).exists())
                || ["docker", "kubepods", "containerd", "libpod", "lxc"].iter().any(|word| groups.contains(word))
        }
    }
}

fn hidden(proc: &Path, is_container: bool) -> Option<&'static str> {
    const CONTAINER: &str =
        "this is a container: the time daemon of its host, which keeps the clock of both, cannot be seen from here";
    const HIDDEN: &str = "/proc hides the processes of other users (hidepid): run the doctor as root";
    const HIDDEN_FROM_ROOT: &str = "/proc hides the processes of others (hidepid), even from root";
    if is_container {
        return Some(CONTAINER);
    }
    let words = if sys::is_superuser() { HIDDEN_FROM_ROOT } else { HIDDEN };
    tree::line(&proc.join("1/comm")).is_none().then_some(words)
}

/// The files that parts of OpenNTPD run on the host itself, which say by their titles what they are. Anybody may give a
/// process any title: one counts that runs as the user of that daemon, or as another of the system. Users of a directory and
/// those of containers have numbers beyond, and within a user namespace anybody is whoever he likes.
fn engines(root: &Path, pids: &[u32], users: &Users) -> BTreeSet<PathBuf> {
    let engine = |pid: &u32| {
        let folder = tree::under(root, "/proc").join(pid.to_string());
        tree::line(&folder.join("comm")).filter(|comm| comm == "ntpd")?;
        let view = View::new(root, *pid);
        if view.is_elsewhere() || !view.shares_users(root) {
            return None;
        }
        let status = text(&view, "status")?;
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.to_owned();
        let is_of_system = |user| user < FIRST_PERSON || user == NOBODY || users.run(Program::OpenNtpd, user);
        let are_of_system = ids.split_whitespace().all(|id| id.parse().is_ok_and(is_of_system));
        (are_of_system && is_engine(&arguments(&view))).then(|| view.link("exe").unwrap_or_default())
    };
    pids.iter().filter_map(engine).collect()
}

fn text(view: &View, name: &str) -> Option<String> {
    let (bytes, _) = view.read(name, LONGEST).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn arguments(view: &View) -> Vec<String> {
    text(view, "cmdline").unwrap_or_default().split('\0').map(str::to_owned).collect()
}

fn daemon(
    root: &Path,
    pid: u32,
    uptime: Option<f64>,
    users: &Users,
    engines: &BTreeSet<PathBuf>,
) -> Option<Result<Daemon, Disbelieved>> {
    let view = View::new(root, pid);
    let text = |name: &str| text(&view, name);
    let comm = text("comm")?;
    let arguments = arguments(&view);
    let exe = view.link("exe").ok();
    let file = exe.as_deref().and_then(|file| file.file_name()?.to_str());
    let has_engines = engines.contains(exe.as_deref().unwrap_or(Path::new("")));
    let program = Program::of(comm.trim(), &arguments, file, has_engines)?;
    let status = text("status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // It has ended, and nobody has taken note yet.
    if field("State:").is_some_and(|state| state.starts_with(['Z', 'X'])) {
        return None;
    }
    // Whoever may not see what it is has nothing but its name.
    let is_another = exe.is_some() && !file.is_some_and(|name| program.files().contains(&name));
    let doubt = doubt(field("Uid:"), program, users, view.shares_users(root));
    if let Some(doubt) = doubt.or(is_another.then_some(Doubt::Program)) {
        return Some(Err(Disbelieved { program, pid, doubt }));
    }
    let capabilities = field("CapEff:").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let line = CommandLine::read(&arguments, program.options_with_value(), &["config", "configfile"]);
    let config = match program {
        Program::Chronyd | Program::OpenNtpd => line.value("f"),
        Program::Ntpd => line.value("c").or_else(|| line.value("configfile")),
        Program::NtpdRs => line.value("c").or_else(|| line.value("config")),
        Program::Busybox | Program::Phc2sys | Program::Ptp4l | Program::Timesyncd => None,
    };
    let told = match program {
        Program::Chronyd | Program::Ntpd => line.operands().to_vec(),
        Program::Busybox => line.values("p").map(str::to_owned).collect(),
        Program::NtpdRs | Program::OpenNtpd | Program::Phc2sys | Program::Ptp4l | Program::Timesyncd => Vec::new(),
    };
    Some(Ok(Daemon {
        program,
        pid,
        may_set_clock: capabilities.is_none_or(|capabilities| capabilities >> SYS_TIME & 1 == 1),
        leaves_clock_alone: leaves_clock_alone(program, &line),
        tells_kernel: tells_kernel(program, &line),
        config: config.map(PathBuf::from),
        told,
        age: text("stat").and_then(|stat| age(&stat, uptime)),
        is_elsewhere: view.is_elsewhere(),
    }))
}

/// Why a process is not believed; `None` where it is. `ids` are its real, effective, saved and file system user.
fn doubt(ids: Option<&str>, program: Program, users: &Users, shares_users: bool) -> Option<Doubt> {
    let ids: Option<Vec<u32>> = ids.unwrap_or_default().split_whitespace().map(|id| id.parse().ok()).collect();
    match ids.filter(|ids| !ids.is_empty()) {
        _ if !shares_users => Some(Doubt::Namespace),
        None => Some(Doubt::Unknown),
        Some(ids) => ids.into_iter().find(|id| !users.run(program, *id)).map(Doubt::User),
    }
}

fn leaves_clock_alone(program: Program, line: &CommandLine) -> bool {
    match program {
        Program::Chronyd => line.has("x") || line.has("Q"),
        // It hands its measurements to another daemon, keeps only network cards, or keeps another clock.
        Program::Phc2sys => {
            line.value("E").is_some_and(|servo| servo.starts_with("ntpshm") || servo.starts_with("refclock"))
                || (line.has("a") && !line.has("r"))
                || line.value("c").is_some_and(|clock| clock != "CLOCK_REALTIME")
        }
        Program::Ptp4l => !line.has("S"),
        // It only looks.
        Program::Busybox => line.has("w"),
        Program::NtpdRs | Program::Ntpd | Program::OpenNtpd | Program::Timesyncd => false,
    }
}

/// ntpd does without the kernel where it may only slew, and that of busybox tells it no bound, which soon is too wide.
fn tells_kernel(program: Program, line: &CommandLine) -> bool {
    match program {
        Program::Chronyd | Program::NtpdRs | Program::Timesyncd => true,
        Program::Ntpd => !line.has("x"),
        Program::Busybox | Program::OpenNtpd | Program::Phc2sys | Program::Ptp4l => false,
    }
}

fn age(stat: &str, uptime: Option<f64>) -> Option<Span> {
    // The name is in parentheses, and may contain some.
    let (_, fields) = stat.rsplit_once(')')?;
    let started: f64 = fields.split_whitespace().nth(START_TIME)?.parse().ok()?;
    Some(Span::from_seconds((uptime? - started / TICKS_PER_SECOND).max(0.0)))
}

/// What a test plants below `/proc`: a process with its name, its command line and whether it may set the clock.
#[cfg(test)]
pub(super) fn process(pid: u32, comm: &str, command_line: &str, may_set_clock: bool) -> Vec<(String, String)> {
    let capabilities = if may_set_clock { "0000000002000400" } else { "0000000000000400" };
    let folder = format!("/proc/{pid}");
    vec![
        (format!("{folder}/comm"), format!("{comm}\n")),
        (format!("{folder}/cmdline"), command_line.replace(' ', "\0") + "\0"),
        (
            format!("{folder}/status"),
            format!("Name:\t{comm}\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\nCapEff:\t{capabilities}\n"),
        ),
        // Started 1,000 s after the host.
        (format!("{folder}/stat"), format!("{pid} ({comm}) S 1 {} 100000 0 0", "0 ".repeat(17))),
        (format!("{folder}/ns/user"), "-> user:[4026531837]".to_owned()),
        (
            format!("{folder}/exe"),
            format!("-> /usr/sbin/{}", if comm == "systemd-timesyn" { "systemd-timesyncd" } else { comm }),
        ),
    ]
}

/// What a test plants for a host whose processes can be seen, 10,000 s after it was booted.
#[cfg(test)]
pub(super) fn host() -> Vec<(String, String)> {
    let files = [
        ("/proc/self/ns/pid", "-> pid:[4026531836]"),
        ("/proc/self/ns/user", "-> user:[4026531837]"),
        ("/proc/uptime", "10000.00 9000.00\n"),
        ("/proc/1/comm", "systemd\n"),
        ("/proc/1/cmdline", "/sbin/init"),
    ];
    files.map(|(path, content)| (path.to_owned(), content.to_owned())).to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(files: &[Vec<(String, String)>]) -> Seen {
        let files = files.concat();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
        look(tree::plant(&files).path())
    }

    #[cfg(unix)]
    #[test]
    fn every_time_daemon_is_known_by_its_process() {
        for (comm, line, expected) in [
            ("chronyd", "/usr/sbin/chronyd -F 1", Program::Chronyd),
            ("systemd-timesyn", "/lib/systemd/systemd-timesyncd", Program::Timesyncd),
            ("ntpd", "/usr/sbin/ntpd -p /run/ntpd.pid -g -u ntpsec:ntpsec", Program::Ntpd),
            ("ntp-daemon", "/usr/bin/ntp-daemon", Program::NtpdRs),
            ("phc2sys", "phc2sys -a -r", Program::Phc2sys),
            ("ptp4l", "ptp4l -i eth0 -S", Program::Ptp4l),
        ] {
            let seen = seen(&[host(), process(77, comm, line, true), process(78, "sleep", "chronyd", true)]);
            let [daemon] = &seen.daemons[..] else { panic!("{comm}: {seen:?}") };
            assert_eq!((daemon.program, daemon.pid, daemon.sets_clock()), (expected, 77, true), "{comm}");
            assert_eq!(daemon.age, Some(Span::from_seconds(9_000.0)));
            assert_eq!(seen.hidden, None);
        }
        let named = seen(&[host(), process(77, "ntpd", "/usr/sbin/ntpd -f /etc/openntpd/ntpd.conf", true)]);
        assert_eq!(named.daemons[0].program, Program::OpenNtpd);
        let mut engine = process(78, "ntpd", "", false);
        engine[1].1 = "ntpd: ntp engine\0".into();
        let parent = || process(77, "ntpd", "/usr/sbin/ntpd -s", true);
        let in_place = |user: &str, place: &[(&str, &str)]| {
            let mut engine = engine.clone();
            for (path, content) in place {
                engine.retain(|(known, _)| known != path);
                engine.push(((*path).to_owned(), (*content).to_owned()));
            }
            engine[2].1 = engine[2].1.replace("Uid:\t0\t0\t0\t0", &format!("Uid:\t{user}\t{user}\t{user}\t{user}"));
            seen(&[host(), parent(), engine]).daemons[0].program
        };
        for (user, expected) in [
            ("0", Program::OpenNtpd),
            ("105", Program::OpenNtpd),
            ("65534", Program::OpenNtpd),
            ("1000", Program::Ntpd),
            ("65535", Program::Ntpd),
            ("100123", Program::Ntpd),
            ("1840200105", Program::Ntpd),
        ] {
            assert_eq!(in_place(user, &[]), expected, "{user}");
        }
        let passwd = [("/etc/passwd", "root:x:0:0\n_openntpd:x:61234:1\n")];
        assert_eq!(in_place("61234", &passwd), Program::OpenNtpd);
        assert_eq!(in_place("105", &[("/proc/78/ns/user", "-> user:[4026532200]")]), Program::Ntpd);
        let container = [("/proc/78/root", "-> ../../srv/container"), ("/srv/container/etc/hostname", "x\n")];
        assert_eq!(in_place("105", &container), Program::Ntpd);
        for line in ["ntpd -N -p 169.254.169.123 -n", "ntpd -p pool.ntp.org"] {
            let busybox = seen(&[host(), process(77, "ntpd", line, true)]);
            assert_eq!((busybox.daemons[0].program, busybox.daemons[0].told.len()), (Program::Busybox, 1), "{line}");
        }
        let told = seen(&[host(), process(77, "chronyd", "chronyd -U -F 1 rtcsync", true)]);
        assert_eq!(told.daemons[0].told, ["rtcsync"]);
        let mut openntpd = process(77, "ntpd", "", true);
        openntpd[1].1 = "ntpd: [priv]\0".into();
        assert_eq!(seen(&[host(), openntpd]).daemons[0].program, Program::OpenNtpd);
    }

    #[cfg(unix)]
    #[test]
    fn who_may_not_or_shall_not_set_the_clock_does_not() {
        for (comm, line, may, expected) in [
            ("chronyd", "chronyd -d -f /etc/x.conf", true, true),
            ("chronyd", "chronyd -d", false, false),
            ("chronyd", "chronyd -dx", true, false),
            ("chronyd", "chronyd -f x -u x", true, true),
            ("phc2sys", "phc2sys -s eth0 -E ntpshm", true, false),
            ("phc2sys", "phc2sys -a", true, false),
            ("phc2sys", "phc2sys -s eth0 -c /dev/ptp1", true, false),
            ("phc2sys", "phc2sys -s eth0 -w", true, true),
            ("ptp4l", "ptp4l -i eth0 -f /etc/S.conf", true, false),
        ] {
            let seen = seen(&[host(), process(77, comm, line, may)]);
            assert_eq!(seen.daemons[0].sets_clock(), expected, "{line} {may}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_configuration_of_the_command_line_is_found() {
        for line in ["chronyd -F 1 -f /opt/c.conf", "chronyd -df/opt/c.conf", "chronyd -u _chrony -f /opt/c.conf -x"] {
            let seen = seen(&[host(), process(77, "chronyd", line, true)]);
            assert_eq!(seen.daemons[0].config.as_deref(), Some(Path::new("/opt/c.conf")), "{line}");
        }
        let slewing = seen(&[host(), process(77, "ntpd", "ntpd -x", true)]);
        assert!(!slewing.daemons[0].tells_kernel);
    }

    #[cfg(unix)]
    #[test]
    fn a_process_is_believed_in_our_user_namespace_alone_and_as_root_or_the_user_of_its_daemon() {
        let passwd = vec![("/etc/passwd".to_owned(), "root:x:0:0\n_chrony:x:105:112\nalice:x:1000:1000\n".to_owned())];
        let ids = |ids: &str| format!("State:\tS\nUid:\t{ids}\nCapEff:\t000001ffffffffff\n");
        let ours = "-> user:[4026531837]";
        for (status, namespace, expected) in [
            (ids("105\t105\t105\t105"), ours, None),
            (ids("0\t0\t0\t0"), ours, None),
            (ids("1000\t1000\t1000\t1000"), ours, Some(Doubt::User(1000))),
            (ids("0\t0\t1000\t0"), ours, Some(Doubt::User(1000))),
            (ids("0\t0\t0\t0"), "-> user:[4026532200]", Some(Doubt::Namespace)),
            ("State:\tS\n".to_owned(), ours, Some(Doubt::Unknown)),
        ] {
            let mut process = process(77, "chronyd", "chronyd -f /home/alice/x.conf", true);
            process[2].1.clone_from(&status);
            process[4].1 = namespace.to_owned();
            let seen = seen(&[host(), process, passwd.clone()]);
            let doubts: Vec<Doubt> = seen.disbelieved.iter().map(|other| other.doubt).collect();
            assert_eq!(
                (doubts, seen.keeper().is_none()),
                (expected.into_iter().collect(), expected.is_some()),
                "{status}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_was_only_started_by_the_name_of_a_daemon_is_not_believed() {
        for (comm, exe, expected) in [
            ("chronyd", Some("-> /opt/chrony/sbin/chronyd"), None),
            // It was replaced by an upgrade, and runs on.
            ("chronyd", Some("-> /usr/sbin/chronyd (deleted)"), None),
            ("ntpd", Some("-> /bin/busybox"), None),
            ("chronyd", None, None),
            ("chronyd", Some("-> /usr/bin/sudo"), Some(Doubt::Program)),
            ("chronyd", Some("-> /bin/busybox"), Some(Doubt::Program)),
            ("systemd-timesyn", Some("-> /usr/bin/systemd-timesyn"), Some(Doubt::Program)),
        ] {
            let mut process = process(77, comm, comm, true);
            match exe {
                Some(exe) => process[5].1 = exe.to_owned(),
                None => process.truncate(5),
            }
            let seen = seen(&[host(), process]);
            assert_eq!(seen.disbelieved.first().map(|other| other.doubt), expected, "{comm} {exe:?}");
            assert_eq!(seen.keeper().is_none(), expected.is_some(), "{comm} {exe:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn where_the_namespace_may_not_be_seen_every_user_must_be_mapped_to_itself() {
        for (map, expected) in [("         0          0 4294967295\n", 1), ("         0       1000          1\n", 0)] {
            let mut process = process(77, "chronyd", "chronyd", true);
            process[4] = ("/proc/77/uid_map".to_owned(), map.to_owned());
            assert_eq!(seen(&[host(), process]).daemons.len(), expected, "{map}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_daemon_that_has_ended_is_none() {
        let mut ended = process(77, "chronyd", "chronyd", true);
        ended[2].1 = "State:\tZ (zombie)\n".into();
        assert_eq!(seen(&[host(), ended]).daemons, []);
    }

    #[cfg(unix)]
    #[test]
    fn a_container_and_hidden_processes_are_told_from_a_host_without_a_daemon() {
        let file = |path: &str, content: &str| (path.to_owned(), content.to_owned());
        let first = file("/proc/1/comm", "sleep");
        let namespace = file("/proc/self/ns/pid", "-> pid:[4026532200]");
        assert!(seen(&[vec![first.clone(), namespace]]).hidden.unwrap().contains("container"));
        for mark in [file("/.dockerenv", ""), file("/run/.containerenv", ""), file("/proc/1/cgroup", "0::/kubepods/x")]
        {
            assert!(seen(&[vec![first.clone(), mark]]).hidden.unwrap().contains("container"));
        }
        assert!(seen(&[vec![file("/proc/self/ns/pid", "-> pid:[4026531836]")]]).hidden.unwrap().contains("hidepid"));
        // One that shares the processes of its host sees them all.
        assert_eq!(seen(&[host(), vec![file("/.dockerenv", "")]]).hidden, None);
    }

    proptest! {
        #[test]
        fn no_command_line_makes_it_panic(arguments: Vec<String>) {
            for program in [Program::Chronyd, Program::Phc2sys, Program::Ntpd, Program::Timesyncd] {
                leaves_clock_alone(program, &CommandLine::read(&arguments, program.options_with_value(), &["config"]));
            }
        }
    }
}
