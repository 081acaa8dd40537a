//! What the daemons of a host claim of its clock, set against Amazon Time Sync by the doctor: a real chronyd that follows
//! a server that lies, and what the writer of ClockBound leaves in its shared memory.

#![expect(clippy::disallowed_methods, reason = "the doctor's time is taken, and ClockBound's claim is one of a moment")]
#![expect(clippy::print_stdout, reason = "what is said is worth reading: --nocapture")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clock_bound_shm::{ClockErrorBound, ClockStatus, ShmWrite, ShmWriter};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::mkfifo;
use serde_json::Value;
use tempfile::TempDir;
use tests::chrony::{Chrony, Follower};
use tests::net::{Net, SECOND_TIME_SERVER, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::private_dir;

const NAME: &str = "clock-claims";
/// A user without any right, and the one of chronyd in the lab's own list of users.
const EVIL: u32 = 54_321;
const CHRONY: u32 = 54_322;
/// The doctor promises to be done by then.
const LONGEST: Duration = Duration::from_secs(30);

/// What the doctor says of the claims as root, in a process namespace of its own: `script` makes the host what it is.
fn examined(net: &Net, script: &str) -> Value {
    let home = private_dir().unwrap();
    let config = home.path().join("skewguard.yaml");
    let sources = "sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s, trusted: true }]";
    fs::write(&config, format!("{sources}\ncredentials: {{ imds: {{ enabled: false }} }}\nsdks: [botocore]\n"))
        .unwrap();
    let binary = env::var_os("SKEWGUARD_BIN").expect("SKEWGUARD_BIN is not set: start the lab with tests/run");
    let mut command = net.command(Side::Agent, "unshare").unwrap();
    command.args(["--pid", "--fork", "--mount-proc", "bash", "-ec", &format!("{script}\nexec env -i \"$@\""), "bash"]);
    command.arg(format!("HOME={}", home.path().display())).arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    command.arg(binary).args(["doctor", "--format", "json", "--config"]).arg(&config);
    let began = Instant::now();
    let output = command.output().unwrap();
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    let [text, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{stderr}"));
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == NAME).unwrap().clone();
    println!("{} {} {}", check["verdict"], check["summary"], check["evidence"]);
    check
}

fn replaced(file: &Path) {
    fs::remove_file(file).unwrap();
}

fn text<'a>(check: &'a Value, key: &str) -> &'a str {
    check[key].as_str().unwrap_or_default()
}

/// Amazon Time Sync, and another server, each ahead of this host by so many seconds, and a chronyd that follows one of them.
fn followed(truth: f64, other: f64, follows_other: bool) -> Value {
    let net = Net::new().unwrap();
    net.add_address(SECOND_TIME_SERVER).unwrap();
    let (time_sync, second) =
        (Chrony::start(&net, TIME_SYNC).unwrap(), Chrony::start(&net, SECOND_TIME_SERVER).unwrap());
    time_sync.set_offset(truth).unwrap();
    second.set_offset(other).unwrap();
    let server = if follows_other { SECOND_TIME_SERVER } else { TIME_SYNC };
    // Over UDP on loopback, as a container reaches the chronyd of the host whose network it shares.
    let lines = format!("server {server} iburst minpoll 4 maxpoll 4\nbindcmdaddress 127.0.0.1");
    let follower = Follower::start(&net, &lines).unwrap();
    follower.await_reference().unwrap();
    examined(&net, "")
}

#[test]
fn a_chronyd_that_follows_a_server_that_lies_is_told_with_what_it_says_and_what_is_so() {
    // It takes a clock that is right for one that is 30 s slow, which it would set if it were let.
    let check = followed(0.0, 30.0, true);
    assert_eq!(check["verdict"], "warning", "{check:#}");
    let (said, measured) = text(&check, "summary").split_once(", and it is ").unwrap();
    assert!(said.starts_with("chronyd says that the clock is 30.0 s slow (± "), "{check:#}");
    assert!(measured.contains(" ms ") || measured.contains(" µs "), "{check:#}");
    assert!(text(&check, "remedy").contains("have it follow 169.254.169.123"), "{check:#}");
    assert!(text(&check, "remedy").contains("chronyc sources"), "{check:#}");
}

#[test]
fn a_chronyd_that_takes_a_wrong_clock_for_right_is_told() {
    for truth in [40.0, -40.0] {
        let check = followed(truth, 0.0, true);
        assert_eq!(check["verdict"], "warning", "{check:#}");
        let (said, measured) = text(&check, "summary").split_once(", and it is ").unwrap();
        assert!(said.starts_with("chronyd says that the clock is "), "{check:#}");
        assert!(said.contains(" ms ") || said.contains(" µs "), "it says that all is well: {check:#}");
        let expected = if truth > 0.0 { "40.0 s slow" } else { "40.0 s fast" };
        assert_eq!(measured, expected, "{check:#}");
    }
}

#[test]
fn a_chronyd_that_follows_an_honest_server_is_believed_whatever_the_clock_is_like() {
    for truth in [0.0, 40.0] {
        let check = followed(truth, 70.0, false);
        assert_eq!(check["verdict"], "ok", "{check:#}");
        // It was heard: what it says is the evidence.
        assert!(text(&check["evidence"], "0").is_empty() && check["evidence"][0].to_string().contains("chronyd says"));
    }
}

/// A folder with the shared memory of ClockBound, as its own writer leaves it.
struct Memory(TempDir);

impl Memory {
    /// One that was written at this moment and holds for a quarter of an hour: the clock is right to `bound`.
    fn claiming(bound: Duration) -> Self {
        let memory = Self(private_dir().unwrap());
        fs::set_permissions(memory.folder(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let now: Duration = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).unwrap().into();
        let (end, bound) = (now + Duration::from_secs(900), bound.as_nanos().try_into().unwrap());
        let claim = ClockErrorBound::new(now.into(), end.into(), bound, 0, 50_000, ClockStatus::Synchronized, true);
        ShmWriter::new(&memory.file()).unwrap().write(&claim);
        memory
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn file(&self) -> PathBuf {
        self.folder().join("shm0")
    }

    fn owned_by(self, user: u32) -> Self {
        chown(self.file(), Some(user), Some(user)).unwrap();
        self
    }

    fn changed(self, change: impl FnOnce(&Path)) -> Self {
        change(&self.file());
        self
    }

    /// What the doctor says on a host that is slow by so many seconds, with this in its place.
    fn examined(&self, slow_by: f64) -> Value {
        let net = Net::new().unwrap();
        let time_sync = SocketAddr::new(TIME_SYNC, ntp::PORT);
        let _time = NtpServer::start(&net, Side::Aws, time_sync, ahead_by(slow_by)).unwrap();
        let users = self.folder().join("passwd");
        fs::write(&users, format!("root:x:0:0::/root:/bin/sh\n_chrony:x:{CHRONY}:{CHRONY}::/:/x\n")).unwrap();
        let script = format!(
            "mount --bind {} /etc/passwd\nmount -t tmpfs -o mode=755 none /run\nmkdir /run/clockbound\n\
             mount --bind {} /run/clockbound",
            users.display(),
            self.folder().display()
        );
        examined(&net, &script)
    }
}

#[test]
fn clockbound_that_claims_too_little_is_told_and_an_honest_one_is_not() {
    for (owner, who) in [(0, "root"), (CHRONY, "the user of chronyd, as its documents have it")] {
        let memory = Memory::claiming(Duration::from_millis(2)).owned_by(owner);
        let check = memory.examined(20.0);
        assert_eq!(check["verdict"], "warning", "{who}: {check:#}");
        let summary = text(&check, "summary");
        assert!(summary.starts_with("ClockBound says that the clock is right to 2."), "{check:#}");
        assert!(summary.ends_with(" ms, and it is 20.0 s slow"), "{check:#}");
        assert!(text(&check, "remedy").contains("169.254.169.123"), "{check:#}");
    }
    // The lab's server is the machine's own clock, over a cable of half a millisecond.
    for (bound, slow_by) in [(Duration::from_millis(2), 0.0), (Duration::from_secs(25), 20.0)] {
        let check = Memory::claiming(bound).examined(slow_by);
        assert_eq!(check["verdict"], "ok", "{check:#}");
        assert!(check["evidence"].to_string().contains("ClockBound says"), "{check:#}");
    }
}

#[test]
fn a_memory_that_is_damaged_or_somebody_elses_is_told_as_such_and_claims_nothing() {
    let spoilt = |change: fn(&mut Vec<u8>)| {
        move |file: &Path| {
            let mut page = fs::read(file).unwrap();
            change(&mut page);
            fs::write(file, page).unwrap();
        }
    };
    let claim = || Memory::claiming(Duration::from_millis(2));
    let rows: Vec<(&str, Memory, &str)> = vec![
        ("another user's", claim().owned_by(EVIL), "whose word does not count"),
        ("truncated", claim().changed(spoilt(|page| page.truncate(50))), "not the memory of ClockBound"),
        ("empty", claim().changed(spoilt(Vec::clear)), "not the memory of ClockBound"),
        ("of another version", claim().changed(spoilt(|page| page[12] = 3)), "not the memory of ClockBound"),
        ("less than nothing", claim().changed(spoilt(|page| page[55] = 0xff)), "not the memory of ClockBound"),
        ("never done being written", claim().changed(spoilt(|page| page[14] |= 1)), "it is written all the time"),
        (
            "a pipe",
            claim().changed(|file| {
                replaced(file);
                mkfifo(file, Mode::from_bits_truncate(0o666)).unwrap();
            }),
            "it is no regular file",
        ),
        (
            "a folder",
            claim().changed(|file| {
                replaced(file);
                fs::create_dir(file).unwrap();
            }),
            "",
        ),
        (
            "an endless file",
            claim().changed(|file| {
                replaced(file);
                symlink("/dev/zero", file).unwrap();
            }),
            "it is no regular file",
        ),
    ];
    for (what, memory, told) in rows {
        let check = memory.examined(20.0);
        assert_eq!(check["verdict"], "ok", "{what}: {check:#}");
        let evidence = check["evidence"].to_string();
        assert!(!evidence.contains("ClockBound says that"), "{what}: {check:#}");
        assert!(
            evidence.contains("what ClockBound says could not be read: ") && evidence.contains(told),
            "{what}: {check:#}"
        );
    }
    // Where there is none, nothing is told.
    let none = claim().changed(replaced).examined(20.0);
    assert_eq!(
        (&none["verdict"], none["evidence"].to_string().contains("ClockBound")),
        (&"ok".into(), false),
        "{none:#}"
    );
}
