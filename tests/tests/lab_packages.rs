//! The Debian package as `deploy/release` makes it, installed, upgraded, removed and purged where systemd runs, in the
//! lab's network.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy takes what tests share for production code")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;
use tests::agent::Answer;
use tests::chrony::Chrony;
use tests::container::{Container, Release, Root};
use tests::http::HttpServer;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::process::{lab_dir, output, private_dir};
use tests::wait::wait_for;

const UNIT: &str = "skewguard.service";
const PATIENCE: Duration = Duration::from_secs(30);
/// The greatest exposure of `systemd-analyze security`, of 10.
const MOST_EXPOSURE: f64 = 2.0;
/// Where the packages are put.
const FOLDER: &str = "/mnt";
const STATE: &str = "/var/lib/private/skewguard";

// Packages

/// The package that was built, and the next version of it.
struct Packages {
    present: PathBuf,
    next: PathBuf,
    _dir: TempDir,
}

impl Packages {
    fn new() -> Self {
        let present = built();
        let dir = private_dir().unwrap();
        let tree = dir.path().join("tree");
        output(Command::new("dpkg-deb").arg("--raw-extract").arg(&present).arg(&tree)).unwrap();
        replace(&tree.join("DEBIAN/control"), "Version: ", "Version: 99.");
        // Its unit has another default.
        replace(&tree.join("usr/lib/systemd/system/skewguard.service"), "MemoryMax=64M", "MemoryMax=80M");
        let next = dir.path().join("next.deb");
        output(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "--build"]).arg(&tree).arg(&next)).unwrap();
        Self { present, next, _dir: dir }
    }

    fn put_into(&self, root: &Root) {
        fs::create_dir_all(root.path(FOLDER)).unwrap();
        fs::copy(&self.present, root.path(FOLDER).join("present.deb")).unwrap();
        fs::copy(&self.next, root.path(FOLDER).join("next.deb")).unwrap();
    }
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from} in {}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

fn built() -> PathBuf {
    let folder = lab_dir().unwrap().join("dist");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut packages: Vec<_> = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "deb")).collect();
    assert_eq!(packages.len(), 1, "{packages:?}");
    packages.pop().unwrap()
}

fn field(name: &str) -> String {
    output(Command::new("dpkg-deb").arg("--field").arg(built()).arg(name)).unwrap().trim().to_owned()
}

/// The least release of the C library that the package depends on, if it depends on any.
fn least_libc() -> Option<String> {
    let depends = field("Depends");
    let (_, rest) = depends.split_once("libc6 (>= ")?;
    Some(rest.split_once(')')?.0.to_owned())
}

/// Whether the program runs on a release, as its package says.
fn runs_on(release: Release) -> bool {
    let Some(least) = least_libc() else { return true };
    let there = match release {
        Release::Bullseye => "2.31",
        Release::Bookworm => "2.36",
        Release::Trixie => "2.41",
    };
    Command::new("dpkg").args(["--compare-versions", there, "ge", &least]).status().unwrap().success()
}

fn releases() -> Vec<Release> {
    let releases: Vec<_> = Release::ALL.into_iter().filter(|release| runs_on(*release)).collect();
    assert!(releases.contains(&Release::Bookworm) && releases.contains(&Release::Trixie), "{releases:?}");
    releases
}

// A host

/// A booted release in the lab's AWS, whose clock is right but for so many seconds.
struct Host {
    container: Container,
    chrony: Chrony,
    _imds: HttpServer,
    _net: Net,
}

impl Host {
    fn boot(release: Release, offset: f64) -> Self {
        Self::boot_root(Root::new(release).unwrap(), offset)
    }

    fn boot_root(root: Root, offset: f64) -> Self {
        let net = Net::new().unwrap();
        let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        chrony.set_offset(offset).unwrap();
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &document()).unwrap();
        let container = Container::boot_root(&net, root).unwrap();
        Self { container, chrony, _imds: imds, _net: net }
    }

    fn root(&self) -> &Root {
        self.container.root()
    }

    fn status(&self) -> Value {
        let synchronized = wait_for("a synchronized clock", PATIENCE, || {
            let status = self.container.run("skewguard status --format json").unwrap().json().ok()?;
            (status["clock"]["state"] == "synchronized").then_some(status)
        });
        synchronized.unwrap_or_else(|error| panic!("{error}: {}", self.journal()))
    }

    fn journal(&self) -> String {
        self.container.told("journalctl --unit skewguard --no-pager --output=cat").unwrap()
    }

    fn property(&self, name: &str) -> String {
        self.container.property(UNIT, name).unwrap()
    }

    /// How often systemd has started the service.
    fn starts(&self) -> usize {
        let started = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf";
        let lines = self.container.told(&format!("journalctl --sync; journalctl --quiet -o cat UNIT={UNIT} {started}"));
        lines.unwrap().lines().count()
    }

    /// Installs the present version, and returns the last line that dpkg has written.
    fn install(&self) -> String {
        last_line(&self.dpkg(&format!("--install {FOLDER}/present.deb")))
    }

    fn upgrade(&self) -> String {
        last_line(&self.dpkg(&format!("--install {FOLDER}/next.deb")))
    }

    fn remove(&self) {
        self.dpkg("--remove skewguard");
    }

    fn purge(&self) {
        self.dpkg("--purge skewguard");
    }

    fn dpkg(&self, arguments: &str) -> Answer {
        succeeded(self.container.run(&format!("dpkg {arguments}")).unwrap())
    }
}

fn succeeded(answer: Answer) -> Answer {
    assert_eq!(answer.code, Some(0), "{answer:?}");
    answer
}

fn last_line(answer: &Answer) -> String {
    answer.stdout.lines().last().unwrap_or_default().to_owned()
}

/// Credentials with hours to live.
fn document() -> String {
    let now = DateTime::<Utc>::from(SystemTime::now());
    let at = |hours| (now + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    format!(
        r#"{{"Code":"Success","LastUpdated":"{}","Type":"AWS-HMAC","AccessKeyId":"lab","SecretAccessKey":"lab",
"Token":"lab","Expiration":"{}"}}"#,
        at(0),
        at(6)
    )
}

/// Every path of a root but for what others write: logs, the lists of dpkg, and what systemd keeps of its timers.
fn paths(root: &Root) -> BTreeSet<String> {
    let script = "find / -xdev \\( -path /var/log -o -path /var/lib/dpkg -o -path /var/cache -o -path /tmp \\
        -o -path /var/tmp -o -path /proc -o -path /run -o -path /sys -o -path /dev -o -path /mnt \\) -prune -o -print";
    succeeded(root.run(script).unwrap()).stdout.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_package_is_installed_upgraded_removed_and_purged() {
    let packages = Packages::new();
    for release in releases() {
        let offset = 0.05 + 0.9 * fastrand::f64();
        let offset = if fastrand::bool() { offset } else { -offset };
        let host = Host::boot(release, offset);
        println!("{}: booted in {:.1?}", release.name(), host.container.booted_in());
        packages.put_into(host.root());
        let before = paths(host.root());
        let said = host.install();
        println!("{said}");
        host.container.await_state(UNIT, "active", PATIENCE).unwrap();
        let status = host.status();
        let seen = status["clock"]["offset_seconds"].as_f64().unwrap();
        let served = host.chrony.served_offset().unwrap();
        assert!((seen - served).abs() < 0.005, "{release:?}: {seen} {served}");
        host.purge();
        let left: Vec<_> = paths(host.root()).difference(&before).cloned().collect();
        assert_eq!(left, [""; 0]);
    }
}
