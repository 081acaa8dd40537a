//! The signed repositories as hosts use them, over HTTP in the lab's network: what is installed from them, what is refused,
//! and how the keys are replaced.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::agent::Answer;
use tests::chrony::Chrony;
use tests::container::{Container, Release, Root};
use tests::http::HttpServer;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::packages::{FOLDER, Packages, built};
use tests::process::output;
use tests::repositories::{Mirror, Rotations, URL, damage, keys, workshop};

const UNIT: &str = "skewguard.service";
const PATIENCE: Duration = Duration::from_secs(30);
const KEYRING: &str = "/usr/share/keyrings/skewguard-archive-keyring.asc";
/// What a host needs, fetched by the program that every apt has for that.
const ADD: &str = "/usr/lib/apt/apt-helper download-file";

/// The lab's AWS, where the installed agent finds all in order.
struct Aws {
    net: Net,
    mirror: Mirror,
    _chrony: Chrony,
    _imds: HttpServer,
}

impl Aws {
    fn new() -> Self {
        let net = Net::new().unwrap();
        let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
        let mirror = Mirror::start(&net).unwrap();
        Self { net, mirror, _chrony: chrony, _imds: imds }
    }
}

// apt

struct Host {
    container: Container,
}

impl Host {
    /// A booted release that knows no repository but that of the lab.
    fn with_apt(net: &Net, release: Release) -> Self {
        let root = Root::new(release).unwrap();
        root.run("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*").and_then(Answer::succeeded).unwrap();
        let host = Self { container: Container::boot_root(net, root).unwrap() };
        host.run(&format!(
            "{ADD} {URL}/skewguard-archive-keyring.asc {KEYRING} && \
             {ADD} {URL}/skewguard.sources /etc/apt/sources.list.d/skewguard.sources"
        ));
        host
    }

    fn run(&self, script: &str) -> String {
        self.container.told(script).unwrap()
    }

    fn apt(&self, arguments: &str) -> Answer {
        let script = format!("DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet {arguments}");
        self.container.run(&script).unwrap()
    }

    /// Reads the lists as a host does that has read none before.
    fn update(&self) -> Answer {
        self.run("rm -rf /var/lib/apt/lists/*");
        self.apt("update")
    }

    fn version(&self, package: &str) -> String {
        self.run(&format!("dpkg-query --show --showformat '${{Version}}' {package}"))
    }

    /// Whether the repository has a package, as far as this host knows.
    fn is_offered(&self, package: &str) -> bool {
        self.run(&format!("apt-cache policy {package}")).contains(URL)
    }

    fn expect_active(&self) {
        self.container.await_state(UNIT, "active", PATIENCE).unwrap();
    }

    /// That apt reads nothing of what is handed out, and why.
    fn expect_refused(&self, why: &[&str]) {
        let answer = self.update();
        assert_eq!(answer.code, Some(100), "{answer:?}");
        assert!(why.iter().any(|why| answer.stderr.contains(why)), "{answer:?}");
        assert!(!self.is_offered("skewguard"), "{answer:?}");
    }
}

#[test]
fn apt_installs_and_upgrades_from_the_repository_and_a_new_key_takes_over_without_a_hand() {
    let (aws, packages, rotations) = (Aws::new(), Packages::new().unwrap(), Rotations::new().unwrap());
    let mirror = &aws.mirror;
    // The next version is in a root until here.
    let shelf = Root::new(Release::Trixie).unwrap();
    packages.put_into(&shelf).unwrap();
    let next = shelf.path(&format!("{FOLDER}/next.deb"));
    for name in ["first", "second", "third"] {
        mirror.make(name, &rotations.keys(name), &[&next]).unwrap();
    }
    let version = output(Command::new("dpkg-deb").arg("--field").arg(built().unwrap()).arg("Version")).unwrap();
    let version = version.trim();
    for release in Release::ALL {
        mirror.serve("first").unwrap();
        let host = Host::with_apt(&aws.net, release);
        host.update().succeeded().unwrap();
        host.apt(&format!("install skewguard={version} skewguard-archive-keyring")).succeeded().unwrap();
        host.expect_active();
        let keyring = host.version("skewguard-archive-keyring");

        host.apt("upgrade").succeeded().unwrap();
        assert_eq!(host.version("skewguard"), format!("99.{version}"));
        host.expect_active();

        // Nobody knows the key after the next yet.
        mirror.serve("third").unwrap();
        host.expect_refused(&["NO_PUBKEY", "Missing key"]);
        // The next key signs, and brings the one after it.
        mirror.serve("second").unwrap();
        host.update().succeeded().unwrap();
        host.apt("upgrade").succeeded().unwrap();
        assert!(host.version("skewguard-archive-keyring") > keyring, "{keyring}");
        mirror.serve("third").unwrap();
        host.update().succeeded().unwrap();
        // A host can go back.
        let back = host.apt(&format!("install --allow-downgrades skewguard={version}"));
        back.succeeded().unwrap();
        host.expect_active();
        assert_eq!(host.version("skewguard"), version);
        println!("{}: {version} to 99.{version} and back, keys of {keyring} and later", release.name());
    }
}

#[test]
fn apt_refuses_what_was_tampered_with() {
    let aws = Aws::new();
    let mirror = &aws.mirror;
    mirror.make("good", &keys().unwrap(), &[]).unwrap();
    let tamper = |name: &str, file: &str| damage(&mirror.serve_copy("good", name).unwrap().join(file)).unwrap();
    for release in Release::ALL {
        mirror.serve("good").unwrap();
        let host = Host::with_apt(&aws.net, release);
        host.update().succeeded().unwrap();
        assert!(host.is_offered("skewguard"));
        tamper(&format!("{}-release", release.name()), "apt/dists/stable/InRelease");
        host.expect_refused(&["BADSIG", "not signed", "invalid", "Clearsigned file", "Malformed", "Bad"]);
        let unsigned = mirror.serve_copy("good", &format!("{}-unsigned", release.name())).unwrap();
        for name in ["InRelease", "Release.gpg"] {
            fs::remove_file(unsigned.join("apt/dists/stable").join(name)).unwrap();
        }
        host.expect_refused(&["is not signed"]);
        mirror.serve("good").unwrap();
        host.update().succeeded().unwrap();
        let package = first_deb(&mirror.serve_copy("good", &format!("{}-package", release.name())).unwrap());
        damage(&package).unwrap();
        let answer = host.apt("install skewguard");
        assert_eq!(answer.code, Some(100), "{answer:?}");
        assert!(answer.stderr.contains("Hash Sum mismatch"), "{answer:?}");
        assert_eq!(host.container.run("test -e /usr/bin/skewguard").unwrap().code, Some(1));
    }
}

/// The package of the agent in a set of repositories.
fn first_deb(repositories: &Path) -> PathBuf {
    let mut found: Vec<_> =
        fs::read_dir(repositories.join("apt/pool/main")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("skewguard_"));
    found.sort();
    found.into_iter().find(|path| path.to_str().unwrap().ends_with("_amd64.deb")).unwrap()
}

// dnf

/// What the packages of a distribution provide, in a package without a file: there is no rpm on Debian that has it.
const DISTRIBUTION: &str = "set -e
cd /srv
printf 'Name: distribution\\nVersion: 1\\nRelease: 1\\nSummary: s\\nLicense: MIT\\nBuildArch: noarch\\nProvides: /bin/sh\\n\
Provides: systemd = 257\\n%%description\\nd\\n%%files\\n' >distribution.spec
rpmbuild --quiet -bb --define '_rpmdir /srv' --define '_build_name_fmt distribution.rpm' distribution.spec
rpm --install distribution.rpm
mkdir -p /etc/yum.repos.d";

/// What a host has of the repository before it knows a package of it.
const FILES: [(&str, &str); 3] = [
    ("RPM-GPG-KEY-skewguard", "/etc/pki/rpm-gpg"),
    ("RPM-GPG-KEY-skewguard-next", "/etc/pki/rpm-gpg"),
    ("skewguard.repo", "/etc/yum.repos.d"),
];

/// A booted host with dnf that knows no repository but that of the lab.
fn with_dnf(net: &Net) -> Container {
    let root = Root::new(Release::Workshop).unwrap();
    root.write("/etc/cloud/cloud-init.disabled", "").unwrap();
    root.run("systemctl --quiet disable docker-registry netavark-dhcp-proxy.socket")
        .and_then(Answer::succeeded)
        .unwrap();
    let container = Container::boot_root(net, root).unwrap();
    container.told(DISTRIBUTION).unwrap();
    for (name, folder) in FILES {
        let fetch = format!("curl --fail --silent --show-error --output {folder}/{name} {URL}/{name}");
        container.told(&format!("mkdir -p {folder} && {fetch}")).unwrap();
    }
    container
}

fn dnf(container: &Container, arguments: &str) -> Answer {
    container.run(&format!("dnf --assumeyes --refresh --setopt=reposdir=/etc/yum.repos.d {arguments}")).unwrap()
}

/// That dnf takes nothing from what is handed out, and why.
fn expect_dnf_refuses(container: &Container, why: &str) {
    let refused = dnf(container, "install skewguard");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!((refused.stdout.clone() + &refused.stderr).contains(why), "{refused:?}");
    assert_ne!(container.run("rpm --query skewguard").unwrap().code, Some(0));
}

#[test]
fn dnf_installs_from_the_repository_and_refuses_what_was_tampered_with() {
    let aws = Aws::new();
    let mirror = &aws.mirror;
    let good = mirror.make("good", &keys().unwrap(), &[]).unwrap();
    mirror.serve("good").unwrap();
    let container = with_dnf(&aws.net);

    // Metadata that nobody signed so.
    damage(&mirror.serve_copy("good", "metadata").unwrap().join("rpm/repodata/repomd.xml")).unwrap();
    expect_dnf_refuses(&container, "GPG signature verification error");

    // A package without a signature, in a repository that is properly signed.
    let unsigned = mirror.serve_copy("good", "unsigned").unwrap();
    let mut strip = workshop().unwrap();
    strip.args(["bash", "-ec", STRIP, "bash"]).arg(&unsigned).arg(keys().unwrap());
    output(&mut strip).unwrap();
    expect_dnf_refuses(&container, "is not signed");

    mirror.serve("good").unwrap();
    dnf(&container, "install skewguard").succeeded().unwrap();
    container.await_state(UNIT, "active", PATIENCE).unwrap();
    let signature = container.told("rpm --query --queryformat '%{RSAHEADER:pgpsig}' skewguard").unwrap();
    let key = output(
        workshop().unwrap().args(["gpg", "--show-keys", "--with-colons"]).arg(good.join("RPM-GPG-KEY-skewguard")),
    );
    let id = key
        .unwrap()
        .lines()
        .find_map(|line| Some(line.strip_prefix("fpr:")?.trim_matches(':').to_lowercase()))
        .unwrap();
    let told = signature.rsplit(' ').next().unwrap();
    assert!(id.ends_with(told), "{signature} is not of {id}");
    dnf(&container, "remove skewguard").succeeded().unwrap();
}

#[test]
fn dnf_goes_on_without_a_hand_when_a_new_key_takes_over() {
    let (aws, rotations) = (Aws::new(), Rotations::new().unwrap());
    let mirror = &aws.mirror;
    for name in ["first", "second", "third"] {
        mirror.make(name, &rotations.keys(name), &[]).unwrap();
    }
    mirror.serve("first").unwrap();
    let container = with_dnf(&aws.net);
    let keyring = || container.told("rpm --query --queryformat '%{VERSION}' skewguard-archive-keyring").unwrap();

    // Nobody knows the key after the next yet.
    mirror.serve("third").unwrap();
    expect_dnf_refuses(&container, "GPG signature verification error");
    mirror.serve("first").unwrap();
    dnf(&container, "install skewguard skewguard-archive-keyring").succeeded().unwrap();
    container.await_state(UNIT, "active", PATIENCE).unwrap();
    let first = keyring();
    mirror.serve("third").unwrap();
    // dnf passes over a repository that it cannot trust.
    let refused = dnf(&container, "upgrade");
    assert!((refused.stdout.clone() + &refused.stderr).contains("GPG signature verification error"), "{refused:?}");
    assert_eq!(keyring(), first);

    // The next key signs, and brings the one after it.
    mirror.serve("second").unwrap();
    dnf(&container, "upgrade").succeeded().unwrap();
    let second = keyring();
    assert!(second > first, "{second}");
    container.told("rpm --verify skewguard-archive-keyring").unwrap();
    mirror.serve("third").unwrap();
    dnf(&container, "reinstall skewguard").succeeded().unwrap();
    let signed_by = |file: &str| {
        let show = format!("gpg --show-keys --with-colons {file} | sed -n 's/^fpr:*\\([^:]*\\):$/\\1/p'");
        container.told(&show).unwrap().to_lowercase()
    };
    let signature = container.told("rpm --query --queryformat '%{RSAHEADER:pgpsig}' skewguard").unwrap();
    let next = signed_by("/etc/pki/rpm-gpg/RPM-GPG-KEY-skewguard-next");
    assert!(next.ends_with(signature.rsplit(' ').next().unwrap()), "{signature} is not of {next}");
    println!("dnf: keys of {first}, {second} and a third release");
}

/// Takes the signatures off the packages in the repository `$1`, and signs the metadata anew with the keys `$2`.
const STRIP: &str = "export GNUPGHOME=$(mktemp -d)
trap 'gpgconf --kill all; rm -rf \"$GNUPGHOME\"' EXIT
gpg --quiet --batch --import \"$2/archive.asc\"
rpmsign --delsign \"$1\"/rpm/packages/*.rpm
createrepo_c --quiet --general-compress-type=gz \"$1/rpm\"
gpg --quiet --batch --yes --armor --detach-sign --output \"$1/rpm/repodata/repomd.xml.asc\" \"$1/rpm/repodata/repomd.xml\"";
