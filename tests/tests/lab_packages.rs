//! The Debian package as `deploy/release` makes it, installed, upgraded, removed and purged where systemd runs, in the
//! lab's network.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::fs;

use tests::agent::Answer;
use tests::container::{Release, Root};
use tests::host::{Host, PATIENCE, STATE, UNIT, lines, small_offset};
use tests::packages::{FOLDER, Packages, told_offset};

/// The Debian package on a host.
trait Dpkg {
    /// Boots with the packages in it, none of which is installed.
    fn with(packages: &Packages, release: Release, offset: f64) -> Self;
    fn install(&self) -> Answer;
    fn upgrade(&self) -> Answer;
    fn remove(&self);
    fn purge(&self);
    fn dpkg(&self, arguments: &str) -> Answer;
}

impl Dpkg for Host {
    fn with(packages: &Packages, release: Release, offset: f64) -> Self {
        let host = boot(Root::new(release).unwrap(), offset);
        packages.put_into(host.root()).unwrap();
        host
    }

    fn install(&self) -> Answer {
        self.dpkg(&format!("--install {FOLDER}/present.deb"))
    }

    fn upgrade(&self) -> Answer {
        self.dpkg(&format!("--install {FOLDER}/next.deb"))
    }

    fn remove(&self) {
        self.dpkg("--remove skewguard");
    }

    fn purge(&self) {
        self.dpkg("--purge skewguard");
    }

    fn dpkg(&self, arguments: &str) -> Answer {
        self.container.run(&format!("dpkg {arguments}")).and_then(Answer::succeeded).unwrap()
    }
}

fn boot(root: Root, offset: f64) -> Host {
    Host::boot(root, offset).unwrap()
}

// The states that an administrator may put the service into, each from the installation to the purge

#[test]
fn an_installed_service_runs_is_restarted_once_and_leaves_nothing() {
    let packages = Packages::new().unwrap();
    for release in Release::ALL {
        let host = Host::with(&packages, release, small_offset());
        // What user data may have written before the package comes.
        let own = [
            ("/etc/skewguard/skewguard.yaml", "alerts: { boot_grace: 7s }\n"),
            ("/etc/systemd/system/skewguard.service.d/own.conf", "[Service]\nTasksMax=40\n"),
        ];
        for (path, text) in own {
            host.root().write(path, text).unwrap();
        }
        let stamps = || host.run(&format!("stat --format='%n %Y %Z %a %u' {} {}", own[0].0, own[1].0));
        let (before, written) = (host.root().paths().unwrap(), stamps());

        let installed = host.install();
        let [line] = lines(&installed)[..] else { panic!("{installed:?}") };
        let served = host.chrony.served_offset().unwrap();
        assert!((told_offset(line).unwrap() - served).abs() < 0.005, "{served}: {line}");
        assert!(line.starts_with("clock ") && line.ends_with(", credentials ok"), "{line}");
        host.expect("installed", "active", "enabled", 1);
        let seen = host.status()["clock"]["offset_seconds"].as_f64().unwrap();
        assert!((seen - served).abs() < 0.005, "{seen} {served}");
        host.assert_confined();
        assert_eq!(host.property("TasksMax"), "40");
        assert_eq!(host.run("skewguard config show | grep boot_grace").trim(), "boot_grace: 7s");

        host.run(&format!("systemctl reload {UNIT}"));

        let invocation = host.property("InvocationID");
        let upgraded = host.upgrade();
        assert_eq!(lines(&upgraded).len(), 1, "{upgraded:?}");
        host.expect("upgraded", "active", "enabled", 2);
        assert_ne!(host.property("InvocationID"), invocation);
        assert_eq!((host.stops(), host.property("NRestarts").as_str()), (1, "0"));
        assert_eq!(host.property("MemoryMax"), (80 << 20).to_string(), "the new default is not in force");
        assert_eq!(host.property("TasksMax"), "40");
        assert_eq!(host.run("dpkg --verify skewguard"), "");

        host.remove();
        assert_eq!((host.property("ActiveState").as_str(), host.stops()), ("inactive", 2));
        let programs = host.run("for program in /proc/[0-9]*/exe; do readlink $program || true; done");
        assert!(programs.contains("/systemd") && !programs.contains("skewguard"), "{programs}");
        assert_ne!(host.run(&format!("find {STATE} -type f")), "", "the state is gone");

        host.purge();
        assert_eq!(host.left_since(&before), [""; 0]);
        assert_eq!(stamps(), written);
        for (path, text) in own {
            assert_eq!(fs::read_to_string(host.root().path(path)).unwrap(), text);
        }
        println!("{}: booted in {:.1?}: {line}", release.name(), host.container.booted_in());
    }
}

#[test]
fn a_host_whose_policy_starts_nothing_has_it_enabled_and_not_running() {
    let packages = Packages::new().unwrap();
    for release in Release::ALL {
        let host = Host::with(&packages, release, 0.0);
        host.run("printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d");
        let before = host.root().paths().unwrap();
        let installed = host.install();
        assert_eq!(lines(&installed), [""; 0], "{installed:?}");
        host.expect("installed", "inactive", "enabled", 0);
        host.upgrade();
        host.expect("upgraded", "inactive", "enabled", 0);
        host.remove();
        host.purge();
        assert_eq!(host.left_since(&before), [""; 0]);
    }
}

#[test]
fn a_service_that_was_disabled_stays_so() {
    let packages = Packages::new().unwrap();
    for release in Release::ALL {
        let host = Host::with(&packages, release, 0.0);
        let before = host.root().paths().unwrap();
        host.install();
        // One that was disabled and goes on running is still to run the new version.
        host.run(&format!("systemctl disable {UNIT}"));
        host.upgrade();
        host.expect("upgraded while it ran", "active", "disabled", 2);
        host.run(&format!("systemctl stop {UNIT}"));
        host.upgrade();
        host.expect("upgraded", "inactive", "disabled", 2);
        host.remove();
        let installed = host.install();
        assert_eq!(lines(&installed), [""; 0], "{installed:?}");
        host.expect("installed again", "inactive", "disabled", 2);
        host.purge();
        assert_eq!(host.left_since(&before), [""; 0]);
    }
}

#[test]
fn a_preset_that_disables_it_is_heeded_from_the_first_installation_on() {
    let packages = Packages::new().unwrap();
    // The helper of Debian 11 does not ask for presets.
    for release in Release::ALL.into_iter().filter(|release| *release != Release::Bullseye) {
        let host = Host::with(&packages, release, 0.0);
        host.root().write("/etc/systemd/system-preset/10-own.preset", &format!("disable {UNIT}\n")).unwrap();
        let before = host.root().paths().unwrap();
        host.install();
        host.expect("installed", "inactive", "disabled", 0);
        host.upgrade();
        host.expect("upgraded", "inactive", "disabled", 0);
        host.purge();
        assert_eq!(host.left_since(&before), [""; 0]);
    }
}

#[test]
fn a_masked_service_is_left_masked() {
    let packages = Packages::new().unwrap();
    for release in Release::ALL {
        let host = Host::with(&packages, release, 0.0);
        host.run(&format!("systemctl mask {UNIT}"));
        let before = host.root().paths().unwrap();
        let installed = host.install();
        assert_eq!(lines(&installed), [""; 0], "{installed:?}");
        host.expect("installed", "inactive", "masked", 0);
        host.upgrade();
        host.expect("upgraded", "inactive", "masked", 0);
        host.remove();
        host.purge();
        assert_eq!(host.left_since(&before), [""; 0]);
        host.expect("purged", "inactive", "masked", 0);

        host.run(&format!("systemctl unmask {UNIT}"));
        host.install();
        host.run(&format!("systemctl mask --now {UNIT}"));
        host.upgrade();
        host.expect("masked while it ran", "inactive", "masked", 1);
        host.purge();
        host.run(&format!("systemctl unmask {UNIT}"));
        assert_eq!(host.left_since(&before), [""; 0]);
    }
}

#[test]
fn a_service_that_was_stopped_is_not_started_by_an_upgrade_and_one_that_failed_is() {
    let packages = Packages::new().unwrap();
    for release in Release::ALL {
        let host = Host::with(&packages, release, 0.0);
        let before = host.root().paths().unwrap();
        host.install();
        host.run(&format!("systemctl stop {UNIT}"));
        let upgraded = host.upgrade();
        assert_eq!(lines(&upgraded), ["the service did not run before, and is not started now"]);
        host.expect("upgraded", "inactive", "enabled", 1);
        host.remove();
        host.install();
        host.expect("installed again", "active", "enabled", 2);

        host.root().write("/etc/skewguard/skewguard.yaml", "nonsense: 1\n").unwrap();
        host.container.run(&format!("systemctl restart {UNIT}")).unwrap();
        host.container.await_state(UNIT, "failed", PATIENCE).unwrap();
        host.run("rm -r /etc/skewguard");
        host.upgrade();
        host.expect("upgraded after a failure", "active", "enabled", 3);
        host.remove();
        host.purge();
        assert_eq!(host.left_since(&before), [""; 0]);
    }
}

#[test]
fn an_image_that_is_built_in_a_chroot_has_no_state_and_each_of_its_clones_is_a_host_of_its_own() {
    let packages = Packages::new().unwrap();
    for release in Release::ALL {
        let image = Root::new(release).unwrap();
        packages.put_into(&image).unwrap();
        let dpkg = |image: &Root, arguments: &str| {
            image.run(&format!("dpkg {arguments}")).and_then(Answer::succeeded).unwrap()
        };
        let before = image.paths().unwrap();
        let wanted = image.path(&format!("/etc/systemd/system/multi-user.target.wants/{UNIT}"));
        for version in ["present", "next"] {
            let said = dpkg(&image, &format!("--install {FOLDER}/{version}.deb"));
            assert_eq!(lines(&said), [""; 0], "{said:?}");
            assert!(fs::symlink_metadata(&wanted).is_ok(), "{version}: it is not enabled");
        }
        let listed = image.run("dpkg --listfiles skewguard").and_then(Answer::succeeded).unwrap().stdout;
        let foreign: Vec<_> = image
            .paths()
            .unwrap()
            .difference(&before)
            .filter(|path| !listed.lines().any(|line| line == path.as_str()))
            .filter(|path| !path.starts_with("/etc/systemd/system/") && !path.starts_with("/var/lib/systemd/deb-"))
            .cloned()
            .collect();
        assert_eq!(foreign, [""; 0], "an image has more than its files");

        let marks: BTreeSet<_> = (0..2)
            .map(|_| {
                let clone = Root::new(release).unwrap();
                packages.put_into(&clone).unwrap();
                dpkg(&clone, &format!("--install {FOLDER}/present.deb"));
                let host = boot(clone, 0.0);
                host.container.await_state(UNIT, "active", PATIENCE).unwrap();
                host.status();
                host.expect("booted", "active", "enabled", 1);
                host.run(&format!("cat {STATE}/host"))
            })
            .collect();
        assert_eq!(marks.len(), 2, "{marks:?}");

        dpkg(&image, "--remove skewguard");
        dpkg(&image, "--purge skewguard");
        let left: Vec<_> = image.paths().unwrap().difference(&before).cloned().collect();
        assert_eq!(left, [""; 0]);
    }
}

// What is said

#[test]
fn the_installation_tells_the_first_finding() {
    let packages = Packages::new().unwrap();
    let host = Host::with(&packages, Release::Bookworm, 400.0);
    // As the README says it, and whatever asks gets no answer.
    let installed = host.container.run(&format!("apt-get install {FOLDER}/present.deb")).unwrap().succeeded().unwrap();
    let said = lines(&installed);
    assert_eq!(said.len(), 1, "{installed:?}");
    assert!(said[0].starts_with("critical clock-skew: the system clock is 400 s slow"), "{said:?}");
    host.expect("installed", "active", "enabled", 1);
}

#[test]
fn a_wrong_configuration_is_told_and_does_not_keep_the_package_from_being_installed() {
    let packages = Packages::new().unwrap();
    let host = Host::with(&packages, Release::Trixie, 0.0);
    host.root().write("/etc/skewguard/skewguard.yaml", "sources:\n  - nmae: a\n").unwrap();
    let installed = host.install();
    for part in ["the configuration is wrong", "skewguard.yaml:2:5", "the service does not start"] {
        assert!(installed.stderr.contains(part), "{part}: {installed:?}");
    }
    assert_eq!(host.run("dpkg-query --show --showformat='${db:Status-Abbrev}' skewguard"), "ii");
    host.container.await_state(UNIT, "failed", PATIENCE).unwrap();
    host.remove();
    assert_eq!(host.run("systemctl --failed --quiet --no-legend"), "");
}
