//! That a stranger can check a release: each command of `deploy/VERIFY.md` is run on the release of the lab, and on one that
//! was damaged; and what the documents beside the artefacts say of these.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy takes what tests share for production code"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::agent::Answer;
use tests::container::{Release, Root};
use tests::elf::Program;
use tests::net::Net;
use tests::podman::Podman;
use tests::process::{lab_dir, output, private_dir};
use tests::repositories::{copy, damage, keys, workshop};

fn dist() -> PathBuf {
    lab_dir().unwrap().join("dist")
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The names of the files of a release that end so.
fn names(end: &str) -> Vec<String> {
    let files = fs::read_dir(dist()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = files.filter(|name| name.ends_with(end)).collect();
    names.sort();
    names
}

fn sums() -> Vec<String> {
    let sums = fs::read_to_string(dist().join("SHA256SUMS")).unwrap();
    sums.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect()
}

// What a stranger does

/// The blocks of the page that are commands, by the names behind `sh`, in its order.
fn blocks() -> Vec<(String, String)> {
    let page = fs::read_to_string(project().join("deploy/VERIFY.md")).unwrap();
    let blocks = page.split("\n```sh ").skip(1).map(|rest| {
        let (name, rest) = rest.split_once('\n').unwrap();
        (name.to_owned(), rest.split_once("\n```").unwrap().0.to_owned())
    });
    blocks.collect()
}

/// What is damaged to see a block fail. A name that ends with `*` is the first that begins so.
fn damages(block: &str) -> Vec<String> {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match block {
        "minisign" => own(&["SHA256SUMS", "SHA256SUMS.minisig"]),
        "cosign" => own(&["SHA256SUMS", "SHA256SUMS.sigstore.json"]),
        // Every artefact, the documents beside them included.
        "checksums" => sums(),
        "sbom" => names(".cdx.json").iter().map(|name| name.trim_end_matches(".cdx.json").to_owned()).collect(),
        "authenticode" => own(&["windows/*.signed.msi", "windows/*.signed.zip"]),
        "apt" => own(&[
            "repositories/apt/dists/stable/InRelease",
            "repositories/apt/dists/stable/main/binary-amd64/Packages",
            "repositories/apt/dists/stable/main/binary-arm64/Packages.gz",
            "repositories/apt/pool/main/skewguard_*",
            "repositories/apt/pool/main/skewguard-archive-keyring_*",
        ]),
        "dnf" => own(&["repositories/rpm/repodata/repomd.xml", "repositories/rpm/packages/*", "skewguard-*.rpm"]),
        "keyring" => own(&[
            "keys/skewguard-archive-keyring.asc",
            "repositories/RPM-GPG-KEY-skewguard",
            "repositories/RPM-GPG-KEY-skewguard-next",
        ]),
        _ => panic!("nobody knows what makes the block {block} fail"),
    }
}

/// The one file of this name, where `*` stands for any part of the last name.
fn find(folder: &Path, name: &str) -> PathBuf {
    let Some((before, end)) = name.split_once('*') else { return folder.join(name) };
    let (parent, start) = before.rsplit_once('/').unwrap_or((".", before));
    let files = fs::read_dir(folder.join(parent)).unwrap().map(|entry| entry.unwrap().path());
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(start) && name.ends_with(end)
    };
    let mut found: Vec<_> = files.filter(is_it).collect();
    found.sort();
    found.into_iter().next().unwrap_or_else(|| panic!("there is no {name}"))
}

/// Runs a block in a copy of the release, of which a file may be damaged.
fn follow(root: &Root, block: &str, damaged: Option<&str>) -> Answer {
    root.run("rm -rf /srv/case && cp -r /srv/release /srv/case").and_then(Answer::succeeded).unwrap();
    if let Some(name) = damaged {
        damage(&find(&root.path("/srv/case"), name)).unwrap();
    }
    root.write("/srv/block", block).unwrap();
    root.run("cd /srv/case && bash -euo pipefail /srv/block").unwrap()
}

#[test]
fn each_command_of_the_page_accepts_the_release_and_refuses_a_damaged_one() {
    let root = Root::new(Release::Workshop).unwrap();
    copy(&dist(), &root.path("/srv/release")).unwrap();
    let blocks = blocks();
    let mut wanted = BTreeMap::<&str, Vec<&str>>::new();
    for (name, block) in &blocks {
        follow(&root, block, None).succeeded().map_err(|error| format!("{name}: {error}")).unwrap();
        wanted.entry(name).or_default().push(block);
    }
    let expected = BTreeSet::from(["apt", "authenticode", "checksums", "cosign", "dnf", "keyring", "minisign", "sbom"]);
    assert_eq!(wanted.keys().copied().collect::<BTreeSet<_>>(), expected);
    for (name, blocks) in wanted {
        for damaged in damages(name) {
            // The first judges; a further one of that name shows what was judged.
            let answer = follow(&root, blocks[0], Some(&damaged));
            assert_ne!(answer.code, Some(0), "{name} accepts a damaged {damaged}: {answer:?}");
            assert!(!answer.stderr.contains("not found"), "{name}: {answer:?}");
        }
    }
}

// In a registry

#[test]
fn what_is_pushed_of_a_release_is_pulled_and_its_signatures_are_verified() {
    let net = Net::new().unwrap();
    let podman = Podman::new(&net).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    copy(&dist(), &podman.root().path("/mnt/dist")).unwrap();
    copy(&keys().unwrap(), &podman.root().path("/mnt/keys")).unwrap();
    copy(&project().join("deploy"), &podman.root().path("/mnt/deploy")).unwrap();
    copy(&lab_dir().unwrap().join("bin/helm"), &podman.root().path("/usr/bin/helm")).unwrap();
    let into = format!("{}/somebody", podman.registry());
    let push = format!("/mnt/deploy/push --plain-http --keys /mnt/keys --into {into} /mnt/dist");
    // Twice, as where what came after it has failed.
    let pushed = [podman.told(&push).unwrap(), podman.told(&push).unwrap()];
    let names: Vec<_> = pushed[0].lines().collect();
    assert_eq!(names, pushed[1].lines().collect::<Vec<_>>());
    let [image, chart] = names.as_slice() else { panic!("{names:?}") };
    let tagged = [format!("{into}/skewguard:{version}"), format!("{into}/charts/skewguard:{version}")];
    for (name, tag) in [image, chart].into_iter().zip(&tagged) {
        let digest = podman.told(&format!("skopeo inspect --raw docker://{tag} | sha256sum | cut -d' ' -f1")).unwrap();
        assert_eq!(*name, format!("{}@sha256:{digest}", tag.rsplit_once(':').unwrap().0));
        let verify = format!(
            "cosign verify --key /mnt/keys/cosign.pub --private-infrastructure --allow-insecure-registry {tag}"
        );
        let verified = podman.told(&verify).unwrap();
        assert!(verified.contains(&digest), "{verified}");
    }
    podman.told(&format!("podman pull --quiet {}", tagged[0])).unwrap();
    // What is no release is not pushed.
    damage(&podman.root().path(&format!("/mnt/dist/skewguard-chart-{version}.tgz"))).unwrap();
    let refused = podman.run(&push).unwrap();
    assert!(refused.code == Some(1) && refused.stderr.contains("is not what was built"), "{refused:?}");
}

// What is in it

/// The crates that a program was compiled of, and whether each is in it or has only helped.
fn crates(program: &Program) -> BTreeMap<(String, String), bool> {
    let list = program.dependencies().unwrap();
    let crates = list["packages"].as_array().unwrap().iter().filter(|package| package["root"] != true);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    crates.map(|one| ((text(&one["name"]), text(&one["version"])), one["kind"] != "build")).collect()
}

#[test]
fn the_document_beside_a_package_names_what_its_program_says_and_the_licence_of_each() {
    let folder = private_dir().unwrap();
    let packages: Vec<_> = names(".deb");
    assert!(!packages.is_empty());
    for package in packages {
        let unpacked = folder.path().join(&package);
        output(Command::new("dpkg-deb").arg("--extract").arg(dist().join(&package)).arg(&unpacked)).unwrap();
        let program = unpacked.join("usr/bin/skewguard");
        let crates = crates(&Program::read(&program).unwrap());
        assert!(crates.len() > 100, "{package}: {}", crates.len());
        let document = fs::read(dist().join(format!("{package}.cdx.json"))).unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        let components = document["components"].as_array().unwrap();
        let licensed = |component: &Value| {
            let licence = &component["licenses"][0];
            licence["expression"]
                .as_str()
                .or(licence["license"]["id"].as_str())
                .is_some_and(|licence| !licence.is_empty())
        };
        assert!(components.iter().all(licensed), "{package}");
        let listed: BTreeMap<_, _> = components
            .iter()
            .filter(|component| component["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/")))
            .map(|component| {
                let text = |key: &str| component[key].as_str().unwrap().to_owned();
                ((text("name"), text("version")), component["scope"] == "required")
            })
            .collect();
        assert_eq!(listed, crates, "{package}");
        let sum = output(Command::new("sha256sum").arg(&program)).unwrap();
        let told = components[0]["hashes"][0]["content"].as_str().unwrap();
        assert!(sum.starts_with(told), "{package}: {told} and not {sum}");
        // Every reference leads to something.
        let known: BTreeSet<_> = components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
        for dependency in document["dependencies"].as_array().unwrap() {
            for reference in dependency["dependsOn"].as_array().unwrap() {
                assert!(known.contains(reference.as_str().unwrap()), "{package}: {reference}");
            }
        }
    }
}

// Keys

/// The same as `deploy/sign` in the workshop.
fn sign(keys: &Path, dist: &Path) -> Answer {
    let mut sign = workshop().unwrap();
    let output = sign.args(["deploy/sign", "--keys"]).arg(keys).arg(dist).output().unwrap();
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn nothing_is_signed_but_what_was_built_and_a_refusal_changes_nothing() {
    let folder = private_dir().unwrap();
    let path = |name: &str| folder.path().join(name);
    copy(&dist(), &path("dist")).unwrap();
    let before = fs::read(path("dist/SHA256SUMS.minisig")).unwrap();
    let refused = |keys: &Path, why: &str| {
        let answer = sign(keys, &path("dist"));
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.stderr.contains(why), "{answer:?}");
        assert_eq!(fs::read(path("dist/SHA256SUMS.minisig")).unwrap(), before);
    };
    fs::write(path("dist/further"), "").unwrap();
    refused(&keys().unwrap(), "has other files than its SHA256SUMS says");
    fs::remove_file(path("dist/further")).unwrap();
    damage(&path("dist").join(&names(".deb")[0])).unwrap();
    refused(&keys().unwrap(), "is not what was built");
    copy(&keys().unwrap(), &path("keys")).unwrap();
    fs::remove_file(path("keys/cosign.key")).unwrap();
    refused(&path("keys"), "has no cosign.key");
}

#[test]
fn no_private_key_is_in_a_release() {
    let search = "! grep --recursive --text --files-with-matches --extended-regexp \
                  'PRIVATE KEY|minisign (encrypted )?secret key' \"$1\"";
    let find = |folder: &Path| Command::new("sh").args(["-c", search, "sh"]).arg(folder).output().unwrap();
    let found = find(&dist());
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
    let found = find(&keys().unwrap());
    assert_eq!(
        String::from_utf8_lossy(&found.stdout).lines().count(),
        5,
        "a key of each kind is not found where it is"
    );
}
