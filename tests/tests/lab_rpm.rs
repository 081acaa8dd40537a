//! The rpm as `deploy/release` makes it, installed, upgraded and erased by a real rpm where systemd runs, in the lab's
//! network. The distribution is Debian's: none with packages of this form can be had.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tests::agent::Answer;
use tests::container::{Release, Root};
use tests::host::{Host, PATIENCE, STATE, UNIT, WAIT, lines, small_offset};
use tests::packages::{self, told_offset};
use tests::process::output;
use tests::rpms::{FOLDER, Rpms, built};

/// What rpm 4.11 of Amazon Linux 2 and RHEL 7 can do of what a package may ask of rpm (`rpm --showrc` there).
const KNOWN_TO_4_11: [&str; 6] = [
    "rpmlib(CompressedFileNames)",
    "rpmlib(FileDigests)",
    "rpmlib(PayloadFilesHavePrefix)",
    "rpmlib(ScriptletInterpreterArgs)",
    "rpmlib(TildeInVersions)",
    "rpmlib(VersionedDependencies)",
];

/// The rpm on a host.
trait Rpm {
    fn install(&self) -> Answer;
    fn upgrade(&self) -> Answer;
    fn erase(&self) -> Answer;
}

impl Rpm for Host {
    fn install(&self) -> Answer {
        // dpkg has installed what it needs, of which rpm knows nothing.
        self.answer(&format!("rpm --install --nodeps {FOLDER}/present.rpm"))
    }

    fn upgrade(&self) -> Answer {
        self.answer(&format!("rpm --upgrade --nodeps {FOLDER}/next.rpm"))
    }

    fn erase(&self) -> Answer {
        self.answer("rpm --erase skewguard")
    }
}

fn boot(rpms: &Rpms, offset: f64) -> Host {
    Host::boot(rpms.root().unwrap(), offset).unwrap()
}

/// All paths but those of rpm's own database.
fn paths(root: &Root) -> BTreeSet<String> {
    root.paths().unwrap().into_iter().filter(|path| !path.starts_with("/var/lib/rpm")).collect()
}

fn left_since(root: &Root, before: &BTreeSet<String>) -> Vec<String> {
    paths(root).difference(before).cloned().collect()
}

/// What an erasure leaves of a service that has run.
const KEPT: [&str; 2] = ["/var/lib/private/skewguard", "/var/lib/skewguard"];

/// Fails unless nothing is left but the state.
fn assert_erased(host: &Host, before: &BTreeSet<String>) {
    let left = left_since(host.root(), before);
    let foreign: Vec<_> = left.iter().filter(|path| !KEPT.iter().any(|kept| path.starts_with(kept))).collect();
    assert_eq!(foreign, Vec::<&String>::new());
}

// The states that an administrator may put the service into

#[test]
fn an_installed_service_runs_is_restarted_once_and_leaves_its_state_alone() {
    let rpms = Rpms::new().unwrap();
    let host = boot(&rpms, small_offset());
    // What user data may have written before the package comes.
    let own = [
        ("/etc/skewguard/skewguard.yaml", "alerts: { boot_grace: 7s }\n"),
        ("/etc/systemd/system/skewguard.service.d/own.conf", "[Service]\nTasksMax=40\n"),
    ];
    for (path, text) in own {
        host.root().write(path, text).unwrap();
    }
    let stamps = || host.run(&format!("stat --format='%n %Y %Z %a %u' {} {}", own[0].0, own[1].0));
    let (before, written) = (paths(host.root()), stamps());

    let installed = host.install();
    let [line] = lines(&installed)[..] else { panic!("{installed:?}") };
    let served = host.chrony.served_offset().unwrap();
    assert!((told_offset(line).unwrap() - served).abs() < 0.005, "{served}: {line}");
    assert!(line.ends_with(", credentials ok"), "{line}");
    host.expect("installed", "active", "enabled", 1);
    let seen = host.status()["clock"]["offset_seconds"].as_f64().unwrap();
    assert!((seen - served).abs() < 0.005, "{seen} {served}");
    host.assert_confined();
    assert_eq!(host.property("TasksMax"), "40");
    assert_eq!(host.run("rpm --verify --nodeps skewguard"), "");

    let upgraded = host.upgrade();
    assert_eq!(lines(&upgraded).len(), 1, "{upgraded:?}");
    host.expect("upgraded", "active", "enabled", 2);
    assert_eq!((host.stops(), host.property("NRestarts").as_str()), (1, "0"));
    assert_eq!(host.property("MemoryMax"), (80 << 20).to_string(), "the new default is not in force");
    assert_eq!(host.property("TasksMax"), "40");
    assert_eq!(host.run("rpm --query --queryformat '%{VERSION}' skewguard").split_once('.').unwrap().0, "99");

    // No package enables it, and it goes all the same where somebody has.
    assert_eq!(host.run(&format!("systemctl is-enabled {WAIT} || true")).trim(), "disabled");
    host.run(&format!("systemctl enable --now {WAIT}"));
    let erased = host.erase();
    assert_eq!(lines(&erased).len(), 1, "{erased:?}");
    assert!(lines(&erased)[0].starts_with("the state is kept: rm -r "), "{erased:?}");
    assert_eq!((host.property("ActiveState").as_str(), host.stops()), ("inactive", 2));
    assert_eq!(host.property("LoadState"), "not-found");
    assert_ne!(host.run(&format!("find {STATE} -type f")), "", "the state is gone");
    assert_erased(&host, &before);
    assert_eq!(stamps(), written);
    // As that line says it.
    host.run(lines(&erased)[0].strip_prefix("the state is kept: ").unwrap());
    assert_eq!(left_since(host.root(), &before), [""; 0]);
    println!("booted in {:.1?}: {line}", host.container.booted_in());
}

#[test]
fn what_an_administrator_disables_stops_or_masks_stays_so() {
    let rpms = Rpms::new().unwrap();
    let host = boot(&rpms, 0.0);
    let before = paths(host.root());

    host.root().write("/etc/systemd/system-preset/10-own.preset", &format!("disable {UNIT}\n")).unwrap();
    assert_eq!(lines(&host.install()), [""; 0]);
    host.expect("installed where a preset disables it", "inactive", "disabled", 0);
    host.upgrade();
    host.expect("upgraded where a preset disables it", "inactive", "disabled", 0);
    host.erase();
    host.run("rm -r /etc/systemd/system-preset");
    assert_erased(&host, &before);

    host.install();
    host.expect("installed", "active", "enabled", 1);
    // One that was disabled and goes on running is still to run the new version.
    host.run(&format!("systemctl disable {UNIT}"));
    host.upgrade();
    host.expect("upgraded while disabled and running", "active", "disabled", 2);
    host.erase();

    host.install();
    host.run(&format!("systemctl stop {UNIT}"));
    let upgraded = host.upgrade();
    assert_eq!(lines(&upgraded), ["the service did not run before, and is not started now"]);
    host.expect("upgraded while stopped", "inactive", "enabled", 3);
    host.erase();

    host.run(&format!("systemctl mask {UNIT}"));
    assert_eq!(lines(&host.install()), [""; 0]);
    host.expect("installed while masked", "inactive", "masked", 3);
    host.upgrade();
    host.expect("upgraded while masked", "inactive", "masked", 3);
    host.erase();
    host.expect("erased while masked", "inactive", "masked", 3);
    host.run(&format!("systemctl unmask {UNIT}"));

    host.install();
    host.run(&format!("systemctl mask {UNIT}"));
    host.erase();
    host.expect("erased, masked while it ran", "inactive", "masked", 4);
    host.run(&format!("systemctl unmask {UNIT}"));
    assert_erased(&host, &before);
}

#[test]
fn a_wrong_configuration_is_told_and_an_upgrade_after_it_was_mended_starts_the_service() {
    let rpms = Rpms::new().unwrap();
    let host = boot(&rpms, 400.0);
    host.root().write("/etc/skewguard/skewguard.yaml", "sources:\n  - nmae: a\n").unwrap();
    let installed = host.install();
    for part in ["the configuration is wrong", "skewguard.yaml:2:5", "the service does not start"] {
        assert!(installed.stderr.contains(part), "{part}: {installed:?}");
    }
    host.container.await_state(UNIT, "failed", PATIENCE).unwrap();
    host.run("rm -r /etc/skewguard");
    let upgraded = host.upgrade();
    let said = lines(&upgraded);
    assert_eq!(said.len(), 1, "{upgraded:?}");
    assert!(said[0].starts_with("critical clock-skew: the system clock is 400 s slow"), "{said:?}");
    host.root().write("/etc/skewguard/skewguard.yaml", "nonsense: 1\n").unwrap();
    host.container.run(&format!("systemctl restart {UNIT}")).unwrap();
    host.container.await_state(UNIT, "failed", PATIENCE).unwrap();
    host.erase();
    assert_eq!(host.run("systemctl --failed --quiet --no-legend"), "");
}

#[test]
fn an_image_that_is_built_in_a_chroot_is_enabled_has_no_state_and_runs_at_its_first_boot() {
    let rpms = Rpms::new().unwrap();
    let image = rpms.root().unwrap();
    let rpm = |arguments: &str| image.run(&format!("rpm {arguments}")).and_then(Answer::succeeded).unwrap();
    let wanted = image.path(&format!("/etc/systemd/system/multi-user.target.wants/{UNIT}"));
    let before = paths(&image);
    for command in ["--install --nodeps /mnt/present.rpm", "--upgrade --nodeps /mnt/next.rpm"] {
        let said = rpm(command);
        assert_eq!((lines(&said), said.stderr.as_str()), (vec![], ""), "{said:?}");
        assert!(fs::symlink_metadata(&wanted).is_ok(), "it is not enabled");
    }
    let listed = rpm("--query --list skewguard").stdout;
    let is_listed = |path: &&String| listed.lines().any(|line| line == path.as_str());
    let left = left_since(&image, &before).into_iter();
    let foreign: Vec<_> = left.filter(|path| !is_listed(&path) && !image.path(path).is_dir()).collect();
    assert_eq!(foreign, [format!("/etc/systemd/system/multi-user.target.wants/{UNIT}")]);

    let host = Host::boot(image, 0.0).unwrap();
    host.container.await_state(UNIT, "active", PATIENCE).unwrap();
    host.status();
    host.expect("booted", "active", "enabled", 1);
}

// What it is made of

#[test]
fn rpm_4_11_can_read_it_and_an_older_systemd_refuses_it() {
    let rpms = Rpms::new().unwrap();
    let root = rpms.root().unwrap();
    let ask = |question: &str| root.run(&format!("rpm {question} {FOLDER}/present.rpm")).unwrap();
    let told = |question: &str| ask(question).succeeded().unwrap().stdout;
    let format = "--query --queryformat '%{PAYLOADCOMPRESSOR} %{PAYLOADFORMAT} %{ARCH} %{LICENSE}' --package";
    assert_eq!(told(format), format!("gzip cpio {} MIT OR Apache-2.0", std::env::consts::ARCH));
    let requires = told("--query --requires --package");
    assert!(requires.lines().any(|line| line == "systemd >= 235"), "{requires}");
    let unknown: Vec<_> = requires
        .lines()
        .filter(|line| line.starts_with("rpmlib("))
        .filter(|line| !KNOWN_TO_4_11.contains(&line.split(' ').next().unwrap()))
        .collect();
    assert_eq!(unknown, [""; 0]);
    let checked = told("--checksig --verbose");
    assert!(checked.contains("SHA256 digest: OK") && !checked.contains("BAD"), "{checked}");
    let refused = ask("--install --test");
    assert!(refused.code != Some(0) && refused.stderr.contains("systemd >= 235 is needed by"), "{refused:?}");
}

#[test]
fn it_has_what_the_package_of_debian_has_and_nothing_in_etc() {
    let rpms = Rpms::new().unwrap();
    let root = rpms.root().unwrap();
    let rpm =
        format!("rpm --query --queryformat '[%{{FILEMODES:perms}} %{{FILENAMES}}\\n]' --package {FOLDER}/present.rpm");
    let listed = root.run(&rpm).and_then(Answer::succeeded).unwrap().stdout;
    let listed: BTreeSet<_> = listed.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert!(listed.iter().all(|(_, path)| path.starts_with("/usr/")), "{listed:?}");
    for (mode, path) in &listed {
        let wanted = if *path == "/usr/bin/skewguard" { "-rwxr-xr-x" } else { "-rw-r--r--" };
        assert!(*mode == wanted || *mode == "drwxr-xr-x", "{mode} {path}");
    }
    let files: BTreeSet<_> = listed.iter().filter(|(mode, _)| !mode.starts_with('d')).map(|(_, path)| *path).collect();
    let deb = output(Command::new("dpkg-deb").arg("--contents").arg(packages::built().unwrap())).unwrap();
    let deb: BTreeSet<_> =
        deb.lines().map(|line| line.split_once(" .").unwrap().1).filter(|path| !path.ends_with('/')).collect();
    // Each has these where its distributions look for them.
    let of_rpm: BTreeSet<_> = files.difference(&deb).copied().collect();
    let expected = [
        "/usr/lib/systemd/system-preset/80-skewguard.preset",
        "/usr/share/licenses/skewguard/LICENSE-APACHE",
        "/usr/share/licenses/skewguard/LICENSE-MIT",
        "/usr/share/licenses/skewguard/THIRD-PARTY-LICENSES",
        "/usr/share/zsh/site-functions/_skewguard",
    ];
    assert_eq!(of_rpm, BTreeSet::from(expected));
    let of_deb: BTreeSet<_> = deb.difference(&files).copied().collect();
    let expected = [
        "/usr/share/doc/skewguard/THIRD-PARTY-LICENSES.gz",
        "/usr/share/doc/skewguard/changelog.Debian.gz",
        "/usr/share/doc/skewguard/copyright",
        "/usr/share/lintian/overrides/skewguard",
        "/usr/share/zsh/vendor-completions/_skewguard",
    ];
    assert_eq!(of_deb, BTreeSet::from(expected));
}

#[test]
fn rpmlint_has_nothing_to_say_that_is_not_explained() {
    let root = Root::new(Release::Workshop).unwrap();
    let explained = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/packages/rpm/rpmlint.toml");
    let rpm = built().unwrap();
    // It judges the name as well.
    let name = rpm.file_name().unwrap().to_str().unwrap();
    root.copy_in(&rpm, &format!("{FOLDER}/{name}")).unwrap();
    root.copy_in(&explained, &format!("{FOLDER}/rpmlint.toml")).unwrap();
    root.run("mount -t proc none /proc").and_then(Answer::succeeded).unwrap();
    let lint = |options: &str| root.run(&format!("cd {FOLDER} && rpmlint {options} {name}"));
    let answer = lint("--config rpmlint.toml --strict").unwrap();
    assert!(answer.stdout.contains(" 0 errors, 0 warnings"), "{}", answer.stdout);
    // It does judge it.
    assert!(!lint("").unwrap().stdout.contains(" 0 errors, 0 warnings"));
}
