//! What `deploy/release` makes, and where the package is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::container::{Release, Root};
use tests::packages::{self, FOLDER, Packages, built};
use tests::process::{lab_dir, output, private_dir};

/// The project's folder.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

// What is refused

#[test]
fn a_systemd_that_does_not_understand_the_unit_refuses_the_package() {
    let packages = Packages::new().unwrap();
    let root = Root::new(Release::Bookworm).unwrap();
    packages.put_into(&root).unwrap();
    let status = root.path("/var/lib/dpkg/status");
    let text = fs::read_to_string(&status).unwrap();
    let stanza = text.split("\n\n").find(|stanza| stanza.starts_with("Package: systemd\n")).unwrap();
    let version = stanza.lines().find(|line| line.starts_with("Version: ")).unwrap();
    fs::write(&status, text.replace(stanza, &stanza.replace(version, "Version: 234-1"))).unwrap();
    let answer = root.run(&format!("dpkg --install {FOLDER}/present.deb")).unwrap();
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("skewguard depends on systemd (>= 235)"), "{answer:?}");
}

// What it is made of

#[test]
fn the_package_has_what_an_administrator_looks_for_and_nothing_in_etc() {
    let listed = output(Command::new("dpkg-deb").arg("--contents").arg(built().unwrap())).unwrap();
    let listed: Vec<_> = listed.lines().map(|line| line.split_once(" ./").unwrap().1).collect();
    for path in [
        "usr/bin/skewguard",
        "usr/lib/systemd/system/skewguard.service",
        "usr/lib/systemd/system/skewguard-wait.service",
        "usr/share/man/man1/skewguard.1.gz",
        "usr/share/man/man1/skewguard-config-check.1.gz",
        "usr/share/bash-completion/completions/skewguard",
        "usr/share/zsh/vendor-completions/_skewguard",
        "usr/share/fish/vendor_completions.d/skewguard.fish",
        "usr/share/doc/skewguard/skewguard.yaml",
        "usr/share/doc/skewguard/examples/channels.yaml",
        "usr/share/doc/skewguard/changelog.gz",
        "usr/share/doc/skewguard/copyright",
        "usr/share/skewguard/skewguard.schema.json",
    ] {
        assert!(listed.contains(&path), "{path}: {listed:#?}");
    }
    assert!(listed.iter().all(|path| path.starts_with("usr/")), "{listed:#?}");
}

/// A program that needed one would be refused by the older releases, or break there.
#[test]
fn the_package_needs_no_library() {
    let depends = output(Command::new("dpkg-deb").arg("--field").arg(built().unwrap()).arg("Depends")).unwrap();
    assert_eq!(depends.trim(), "systemd (>= 235)");
}

#[test]
fn lintian_has_nothing_to_say_that_is_not_explained() {
    let packages = Packages::new().unwrap();
    let root = Root::new(Release::Trixie).unwrap();
    packages.put_into(&root).unwrap();
    let check = "lintian --allow-root --display-info --fail-on error,warning,info";
    let answer = root.run(&format!("mount -t proc none /proc && {check} {FOLDER}/present.deb")).unwrap();
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), ""), "{answer:?}");
}

#[test]
fn the_same_source_gives_the_same_bytes() {
    let folder = private_dir().unwrap();
    let again = folder.path().join("dist");
    // Where, when and by whom it is built must not matter.
    let mut release = Command::new(project().join("tests/workshop"));
    release.args(["sh", "-c", "umask 077 && exec deploy/release --trial --into \"$1\"", "sh"]).arg(&again);
    output(release.current_dir(project()).env("TZ", "Asia/Kathmandu").env("LC_ALL", "C")).unwrap();
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let packed = sums(&lab_dir().unwrap().join("dist"));
    assert_eq!(sums(&again), packed, "or tests/run has packed another commit");
    for end in [
        ".deb",
        ".rpm",
        "-manual.tar.gz",
        "-windows.zip",
        "-x86_64.msi",
        &format!("-linux-{}.tar.gz", std::env::consts::ARCH),
    ] {
        assert!(packed.lines().any(|line| line.ends_with(end)), "{end}: {packed}");
    }
    output(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&again)).unwrap();
}

#[test]
fn a_release_of_another_version_than_was_meant_is_refused_and_leaves_what_was_there() {
    let folder = private_dir().unwrap();
    fs::write(folder.path().join("former"), "").unwrap();
    let mut release = Command::new(project().join("deploy/release"));
    let refused = release.args(["--trial", "--into"]).arg(folder.path()).arg("99.0.0").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("and 99.0.0 was asked for"), "{refused:?}");
    assert!(folder.path().join("former").exists());
}

#[test]
fn a_release_that_is_to_be_complete_names_what_could_not_be_built_and_leaves_what_was_there() {
    let folder = private_dir().unwrap();
    let into = folder.path().join("dist");
    fs::create_dir(&into).unwrap();
    fs::write(into.join("former"), "").unwrap();
    // Where the workshop has it as well.
    let program = packages::program(&built().unwrap(), &folder.path().join("package")).unwrap();
    let windows = folder.path().join("skewguard.exe");
    fs::write(&windows, "MZ").unwrap();
    let mut release = Command::new(project().join("tests/workshop"));
    // Without the folder in which the lab has helm, and a package of the workshop, which has it again afterwards.
    let without = "PATH=$(echo \"$PATH\" | tr : '\\n' | grep -v '/lab/bin$' | paste -sd:) && ! command -v helm && \
                   rm /usr/bin/wixl && exec deploy/release --trial --complete --binary \"$1\" --windows-binary \"$2\" --into \"$3\"";
    release.args(["sh", "-c", without, "sh"]).arg(program).arg(windows).arg(&into).current_dir(project());
    let refused = release.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for missing in [
        "NOT built: the chart: helm is missing",
        "NOT built: everything for ",
        "NOT built: the package for Windows Installer: wixl is missing: install the package wixl",
        "what --complete asks for",
    ] {
        assert!(said.contains(missing), "{said}");
    }
    // A signature is not what is meant.
    assert!(!said.contains("signatures"), "{said}");
    assert!(into.join("former").exists());
}
