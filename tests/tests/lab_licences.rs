//! The licences of what is linked into the program, which all packages have in them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::packages;
use tests::process::{output, private_dir};
use tests::tarball;

/// What is released. The crates of other platforms may never have been fetched.
const TARGETS: [&str; 3] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-pc-windows-gnu"];

/// Every crate of the lock file that these platforms need, by name and version, with its licence.
fn locked() -> BTreeMap<String, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--locked", "--offline", "--format-version=1", "--manifest-path"]).arg(manifest);
    cargo.args(TARGETS.iter().flat_map(|target| ["--filter-platform", target]));
    let graph: Value = serde_json::from_str(&output(&mut cargo).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = graph["packages"].as_array().unwrap().iter().filter(|package| !package["source"].is_null());
    packages
        .map(|package| (format!("{} {}", text(&package["name"]), text(&package["version"])), text(&package["license"])))
        .collect()
}

/// Those whose source the program names where it may panic: proof that they are in it. Not all of them can.
fn proven<'a>(program: &[u8], locked: &'a BTreeMap<String, String>) -> BTreeSet<&'a str> {
    let text = String::from_utf8_lossy(program);
    let is_named = |name: &&str| text.contains(&format!("/{}/src/", name.replace(' ', "-")));
    locked.keys().map(String::as_str).filter(is_named).collect()
}

/// The list, and the program.
fn of_tarball() -> (String, Vec<u8>) {
    let folder = private_dir().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--strip-components=1", "--file"]).arg(tarball::built().unwrap());
    output(tar.arg("--directory").arg(folder.path())).unwrap();
    let list = std::fs::read_to_string(folder.path().join("licences/THIRD-PARTY-LICENSES")).unwrap();
    (list, std::fs::read(folder.path().join("skewguard")).unwrap())
}

#[test]
fn every_crate_that_can_be_seen_in_the_program_is_named_and_each_has_its_licence_and_its_text() {
    let (list, program) = of_tarball();
    let (head, texts) = list.split_once("\n====").unwrap();
    let named: BTreeMap<_, _> =
        head.lines().filter_map(|line| line.strip_prefix("  ")).map(|line| line.split_once(": ").unwrap()).collect();
    // Each text is below the crates that bring it; a long list of them is broken.
    let users: BTreeSet<String> = texts
        .split("\n====")
        .filter_map(|part| part.split("\n\n").nth(1))
        .flat_map(|users| users.split(',').map(|user| user.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    let locked = locked();
    assert!(named.len() > 100, "{}", named.len());
    for (name, told) in &named {
        let elsewhere = told.split_once(" (its text is in https://");
        assert_eq!(elsewhere.is_none(), users.contains(*name), "{name}: {told}");
        assert_eq!(Some(elsewhere.map_or(*told, |(told, _)| told)), locked.get(*name).map(String::as_str), "{name}");
    }
    let proven = proven(&program, &locked);
    assert!(proven.len() > 20, "{proven:?}");
    let missing: Vec<_> = proven.iter().filter(|name| !named.contains_key(*name)).collect();
    assert_eq!(missing, Vec::<&&str>::new());
    assert!(texts.contains("Apache License") && texts.contains("Permission is hereby granted"));
}

#[test]
fn the_package_of_debian_has_the_same_list() {
    let folder = private_dir().unwrap();
    output(Command::new("dpkg-deb").arg("--extract").arg(packages::built().unwrap()).arg(folder.path())).unwrap();
    let packed = std::fs::File::open(folder.path().join("usr/share/doc/skewguard/THIRD-PARTY-LICENSES.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    assert_eq!(text, of_tarball().0);
}
