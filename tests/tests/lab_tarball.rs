//! The tarball as `deploy/release` makes it, installed, upgraded and uninstalled by its own scripts where systemd runs, in
//! the lab's network.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::agent::Answer;
use tests::container::{Release, Root};
use tests::host::{Host, PATIENCE, STATE, UNIT, WAIT, lines, small_offset};
use tests::packages::{self, Packages, told_offset};
use tests::tarball::{FOLDER, built, listed, put_into};

const UNINSTALL: &str = "/usr/local/share/skewguard/uninstall.sh";
const LIST: &str = "/usr/local/share/skewguard/installed";

/// The tarball on a host.
trait Tarball {
    fn install(&self) -> Answer;
    fn upgrade(&self) -> Answer;
    fn uninstall(&self, options: &str) -> Answer;
}

impl Tarball for Host {
    fn install(&self) -> Answer {
        self.answer(&format!("{FOLDER}/present/install.sh"))
    }

    fn upgrade(&self) -> Answer {
        self.answer(&format!("{FOLDER}/next/install.sh"))
    }

    fn uninstall(&self, options: &str) -> Answer {
        self.answer(&format!("{UNINSTALL} {options}"))
    }
}

fn root(release: Release) -> Root {
    let root = Root::new(release).unwrap();
    put_into(&root).unwrap();
    root
}

fn boot(release: Release, offset: f64) -> Host {
    Host::boot(root(release), offset).unwrap()
}

fn left_since(root: &Root, before: &BTreeSet<String>) -> Vec<String> {
    root.paths().unwrap().difference(before).cloned().collect()
}

/// The oldest and the newest systemd.
const RELEASES: [Release; 2] = [Release::Bullseye, Release::Trixie];

// On a host

#[test]
fn it_is_installed_twice_with_one_start_upgraded_with_one_more_and_leaves_nothing() {
    for release in RELEASES {
        let host = boot(release, small_offset());
        let own = ("/etc/skewguard/skewguard.yaml", "alerts: { boot_grace: 7s }\n");
        host.root().write(own.0, own.1).unwrap();
        let stamp = || host.run(&format!("stat --format='%n %Y %Z %a %u' {}", own.0));
        let (before, written) = (host.root().paths().unwrap(), stamp());

        let installed = host.install();
        let [place, line] = lines(&installed)[..] else { panic!("{installed:?}") };
        assert_eq!(place, format!("installed {} below /usr/local", env!("CARGO_PKG_VERSION")));
        let served = host.chrony.served_offset().unwrap();
        assert!((told_offset(line).unwrap() - served).abs() < 0.005, "{served}: {line}");
        assert!(line.ends_with(", credentials ok"), "{line}");
        host.expect("installed", "active", "enabled", 1);
        host.status();
        host.assert_confined();
        assert_eq!(host.run("skewguard config show | grep boot_grace").trim(), "boot_grace: 7s");

        let again = host.install();
        assert_eq!(lines(&again)[1], "the service has this version already, and runs on");
        host.expect("installed again", "active", "enabled", 1);

        // A file that the next version does not have.
        host.run(&format!(
            "touch /usr/local/share/skewguard/former && echo /usr/local/share/skewguard/former >>{LIST}"
        ));
        let upgraded = host.upgrade();
        assert_eq!(lines(&upgraded)[0], "installed 99.0.0 below /usr/local");
        assert!(lines(&upgraded)[1].starts_with("clock "), "{upgraded:?}");
        host.expect("upgraded", "active", "enabled", 2);
        assert_eq!((host.stops(), host.property("NRestarts").as_str()), (1, "0"));
        assert_eq!(host.property("MemoryMax"), (80 << 20).to_string(), "the new default is not in force");
        assert!(!host.root().path("/usr/local/share/skewguard/former").exists());

        assert_eq!(lines(&host.uninstall("--keep-state")), ["removed"]);
        assert_ne!(host.run(&format!("find {STATE} -type f")), "", "the state is gone");
        host.install();
        host.expect("installed after it was removed", "active", "enabled", 3);
        // Nothing enables it, and it goes all the same where somebody has.
        assert_eq!(host.run(&format!("systemctl is-enabled {WAIT} || true")).trim(), "disabled");
        host.run(&format!("systemctl enable --now {WAIT}"));
        host.uninstall("");
        assert_eq!(
            (host.property("ActiveState").as_str(), host.property("LoadState").as_str()),
            ("inactive", "not-found")
        );
        assert_eq!(host.left_since(&before), [""; 0]);
        assert_eq!(stamp(), written);
        println!("{}: {line}", release.name());
    }
}

#[test]
fn what_an_administrator_disables_stops_or_masks_stays_so() {
    let host = boot(Release::Trixie, 0.0);
    let before = host.root().paths().unwrap();
    host.run(&format!("systemctl mask {UNIT}"));
    assert_eq!(lines(&host.install())[0], "the service is masked, and is not enabled");
    host.expect("installed while masked", "inactive", "masked", 0);
    host.upgrade();
    host.expect("upgraded while masked", "inactive", "masked", 0);
    host.run(&format!("systemctl unmask {UNIT} && systemctl start {UNIT}"));
    host.install();
    host.expect("upgraded while disabled and running", "active", "disabled", 2);
    host.run(&format!("systemctl stop {UNIT}"));
    assert_eq!(lines(&host.upgrade())[1], "the service did not run before, and is not started now");
    host.expect("upgraded while disabled and stopped", "inactive", "disabled", 2);
    host.uninstall("");
    host.install();
    host.run(&format!("systemctl mask {UNIT}"));
    host.uninstall("");
    host.expect("removed, masked while it ran", "inactive", "masked", 3);
    host.run(&format!("systemctl unmask {UNIT}"));
    assert_eq!(host.left_since(&before), [""; 0]);
}

#[test]
fn an_image_is_enabled_has_no_state_and_runs_at_its_first_boot() {
    for way in ["beside it", "in a chroot"] {
        let image = root(Release::Bookworm);
        let before = image.paths().unwrap();
        let said = if way == "beside it" {
            image.run_beside(&format!("/run/lab/root{FOLDER}/present/install.sh --root /run/lab/root"))
        } else {
            image.run(&format!("{FOLDER}/present/install.sh"))
        };
        let said = said.and_then(Answer::succeeded).unwrap();
        assert_eq!((lines(&said).len(), said.stderr.as_str()), (1, ""), "{way}: {said:?}");
        let listed = fs::read_to_string(image.path(LIST)).unwrap();
        let is_listed = |path: &&String| listed.lines().any(|line| line == path.as_str());
        let foreign: Vec<_> = left_since(&image, &before)
            .into_iter()
            .filter(|path| !is_listed(&path) && !image.path(path).is_dir())
            .collect();
        let wanted = format!("/etc/systemd/system/multi-user.target.wants/{UNIT}");
        assert_eq!(foreign, [wanted, "/usr/local/share/skewguard/folders".into(), LIST.into()], "{way}");

        let host = Host::boot(image, 0.0).unwrap();
        host.container.await_state(UNIT, "active", PATIENCE).unwrap();
        host.status();
        host.expect(way, "active", "enabled", 1);
    }
}

#[test]
fn an_image_from_which_it_is_removed_is_as_it_was() {
    let image = root(Release::Trixie);
    let before = image.paths().unwrap();
    let beside = |script: &str| image.run_beside(script).and_then(Answer::succeeded).unwrap();
    beside(&format!("/run/lab/root{FOLDER}/present/install.sh --root /run/lab/root"));
    beside(&format!("/run/lab/root{UNINSTALL} --root /run/lab/root"));
    assert_eq!(left_since(&image, &before), [""; 0]);
}

// What it refuses, and where it does something else

#[test]
fn who_is_not_root_and_a_host_that_has_the_package_are_refused_and_nothing_is_changed() {
    let host = root(Release::Bookworm);
    Packages::new().unwrap().put_into(&host).unwrap();
    let before = host.paths().unwrap();
    let refused = host.run(&format!("setpriv --reuid=65534 --clear-groups {FOLDER}/present/install.sh")).unwrap();
    assert_eq!((refused.code, refused.stderr.contains("this takes root")), (Some(1), true), "{refused:?}");
    assert_eq!(left_since(&host, &before), [""; 0]);

    host.run(&format!("dpkg --install {}/present.deb", packages::FOLDER)).and_then(Answer::succeeded).unwrap();
    let before = host.paths().unwrap();
    let refused = host.run(&format!("{FOLDER}/present/install.sh")).unwrap();
    let reason = "/usr/bin/skewguard is of the package skewguard";
    assert_eq!((refused.code, refused.stderr.contains(reason)), (Some(1), true), "{refused:?}");
    assert_eq!(left_since(&host, &before), [""; 0]);
}

#[test]
fn a_package_says_that_a_tarball_goes_before_it_and_how_that_is_ended() {
    let root = root(Release::Trixie);
    Packages::new().unwrap().put_into(&root).unwrap();
    let host = Host::boot(root, small_offset()).unwrap();
    host.install();
    let both = host.answer(&format!("dpkg --install {}/present.deb", packages::FOLDER));
    assert!(both.stderr.contains("a tarball is installed as well"), "{both:?}");
    assert!(host.property("FragmentPath").starts_with("/usr/local/"));
    let remedy = both.stderr.lines().find(|line| line.trim().starts_with(UNINSTALL)).unwrap();
    host.answer(remedy);
    assert_eq!(host.property("FragmentPath"), "/usr/lib/systemd/system/skewguard.service");
    assert_eq!(host.property("ActiveState"), "active");
}

/// What says that systemd is of this version, and is the real one for all else.
fn pretend(root: &Root, version: u32) {
    let path = "/usr/local/sbin/systemctl";
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'systemd {version}'; else exec /bin/systemctl \"$@\"; fi\n"
    );
    root.write(path, &script).unwrap();
    fs::set_permissions(root.path(path), fs::Permissions::from_mode(0o755)).unwrap();
}

/// The scripts believe `systemctl --version`, which is simulated here; the systemd that runs the unit for 219 is today's.
#[test]
fn a_host_that_says_that_its_systemd_is_219_gets_the_unit_for_it_with_a_user_of_its_own() {
    let host = boot(Release::Trixie, 0.0);
    pretend(host.root(), 219);
    let before = host.root().paths().unwrap();
    let installed = host.install();
    assert_eq!(lines(&installed)[0], "systemd 219 is older than 235: the service gets the user skewguard");
    assert!(lines(&installed)[2].starts_with("clock "), "{installed:?}");
    host.expect("installed", "active", "enabled", 1);
    assert_eq!((host.property("DynamicUser").as_str(), host.property("User").as_str()), ("no", "skewguard"));
    let user: u32 = host.run("id -u skewguard").parse().unwrap();
    assert!(user > 0, "it is root");
    assert_eq!(host.user(), user);
    host.status();
    assert_eq!(host.run("stat --format='%U %a' /var/lib/skewguard"), "skewguard 700");
    assert_ne!(host.run("ls -A /var/lib/skewguard"), "", "it has no state");
    host.install();
    host.expect("installed again", "active", "enabled", 1);

    host.uninstall("");
    assert_eq!(host.left_since(&before), [""; 0]);
    assert_eq!(host.container.run("id skewguard").unwrap().code, Some(1), "the user is left");

    // A user of that name who is root.
    host.run("echo skewguard:x:0:0::/:/bin/sh >>/etc/passwd");
    let refused = host.container.run(&format!("{FOLDER}/present/install.sh")).unwrap();
    assert_eq!((refused.code, refused.stderr.contains("must not run as root")), (Some(1), true), "{refused:?}");
    assert_eq!(host.property("LoadState"), "not-found");
}

#[test]
fn systemd_235_is_not_too_old_and_a_host_without_systemd_gets_no_unit() {
    let new = root(Release::Trixie);
    pretend(&new, 235);
    new.run(&format!("{FOLDER}/present/install.sh")).and_then(Answer::succeeded).unwrap();
    let unit = fs::read_to_string(new.path("/usr/local/lib/systemd/system/skewguard.service")).unwrap();
    assert!(
        unit.contains("\nDynamicUser=yes\n") && unit.contains("\nExecStart=/usr/local/bin/skewguard run\n"),
        "{unit}"
    );

    let none = root(Release::Trixie);
    let said = none.run(&format!("mv /usr/bin/systemctl /usr/bin/gone; {FOLDER}/present/install.sh")).unwrap();
    let said = said.succeeded().unwrap();
    assert!(lines(&said)[0].starts_with("there is no systemd: "), "{said:?}");
    assert!(none.path("/usr/local/bin/skewguard").exists() && !none.path("/usr/local/lib/systemd").exists());
}

// What it is made of

#[test]
fn it_has_what_an_administrator_looks_for() {
    let listed = listed(&built().unwrap()).unwrap();
    for path in [
        "skewguard",
        "install.sh",
        "uninstall.sh",
        "README",
        "VERSION",
        "CHANGELOG.md",
        "systemd/skewguard.service",
        "systemd/skewguard-219.service",
        "systemd/skewguard-wait.service",
        "systemd/examples/homes.conf",
        "systemd/examples/devices.conf",
        "udev/70-skewguard.rules",
        "man/skewguard.1.gz",
        "completions/_skewguard",
        "config/skewguard.yaml",
        "config/skewguard.schema.json",
        "config/examples/channels.yaml",
        "licences/LICENSE-MIT",
        "licences/THIRD-PARTY-LICENSES",
    ] {
        assert!(listed.iter().any(|listed| listed == path), "{path}: {listed:#?}");
    }
}
