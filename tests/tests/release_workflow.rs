//! What the release workflow may do, and whose code it runs.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows")
}

/// The text of each workflow, by its path.
fn workflows() -> Vec<(PathBuf, String)> {
    let paths = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    assert!(!found.is_empty());
    found
}

fn release() -> Value {
    serde_yaml::from_str(&fs::read_to_string(folder().join("release.yml")).unwrap()).unwrap()
}

fn jobs(workflow: &Value) -> Vec<(&str, &Value)> {
    workflow["jobs"].as_mapping().unwrap().iter().map(|(name, job)| (name.as_str().unwrap(), job)).collect()
}

fn steps(job: &Value) -> &Vec<Value> {
    job["steps"].as_sequence().unwrap()
}

/// All that the steps of a job run.
fn commands(job: &Value) -> String {
    steps(job).iter().filter_map(|step| step["run"].as_str()).collect()
}

/// The lines that name an action which is not pinned to a commit and the version that this is.
fn unpinned(text: &str) -> Vec<&str> {
    let uses = text.lines().filter_map(|line| Some((line, line.split_once("uses: ")?.1)));
    let is_pinned = |used: &str| {
        let Some((commit, version)) = used.split_once('@').and_then(|(_, rest)| rest.split_once(" # v")) else {
            return false;
        };
        commit.len() == 40
            && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
            && version.split('.').count() == 3
            && version.split('.').all(|part| part.parse::<u32>().is_ok())
    };
    uses.filter(|(_, used)| !is_pinned(used)).map(|(line, _)| line).collect()
}

#[test]
fn every_action_is_a_commit_and_says_which_version_that_is() {
    for (path, text) in workflows() {
        assert!(text.contains("uses: "), "{}", path.display());
        assert_eq!(unpinned(&text), Vec::<&str>::new(), "{}", path.display());
    }
    let commit = "08c6903cd8c0fde910a37f88322edcfb5dd907a8";
    assert_eq!(unpinned("uses: actions/checkout@v5").len(), 1);
    assert_eq!(unpinned(&format!("uses: actions/checkout@{commit}")).len(), 1);
    assert_eq!(unpinned(&format!("uses: actions/checkout@{commit} # v5.0.0")).len(), 0);
}

#[test]
fn nothing_is_permitted_but_to_draft_a_release_and_to_push_what_it_has() {
    let workflow = release();
    assert!(workflow["permissions"].as_mapping().unwrap().is_empty());
    for (name, job) in jobs(&workflow) {
        let permissions = job["permissions"].as_mapping().unwrap();
        let granted: Vec<_> =
            permissions.iter().map(|(scope, access)| (scope.as_str().unwrap(), access.as_str().unwrap())).collect();
        let wanted: &[_] =
            if name == "sign" { &[("contents", "write"), ("packages", "write")] } else { &[("contents", "read")] };
        assert_eq!(granted, wanted, "{name}");
    }
}

/// The project's own programs that a text calls.
fn called(text: &str) -> BTreeSet<&str> {
    let words = text.split(|at: char| !(at.is_ascii_alphanumeric() || "/._-".contains(at)));
    words.filter(|word| word.starts_with("deploy/")).collect()
}

#[test]
fn what_is_called_is_there_and_what_it_downloads_has_a_version_and_a_sum() {
    let workflow = release();
    let all: String = jobs(&workflow).into_iter().map(|(_, job)| commands(job)).collect();
    let called = called(&all);
    assert_eq!(called, BTreeSet::from(["deploy/artefacts/helm", "deploy/push", "deploy/release", "deploy/sign"]));
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in called {
        let mode = fs::metadata(project.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name}");
    }
    for name in ["helm.txt", "requirements.txt"] {
        let text = fs::read_to_string(project.join("deploy/artefacts").join(name)).unwrap();
        let pins: Vec<_> = text.lines().filter(|line| !line.starts_with(['#', ' '])).collect();
        assert!(!pins.is_empty() && pins.iter().all(|pin| pin.contains("==") && pin.ends_with('\\')), "{name}: {text}");
        let sums = text.lines().filter_map(|line| line.trim().strip_prefix("--hash=sha256:"));
        let sums: Vec<_> = sums.map(|sum| sum.trim_end_matches([' ', '\\'])).collect();
        assert!(sums.len() >= pins.len() && sums.iter().all(|sum| sum.len() == 64), "{name}: {text}");
    }
    // Nothing else is fetched by hand.
    assert!(!all.contains("curl ") && !all.contains("wget "));
}

#[test]
fn what_is_compiled_never_meets_a_key() {
    let workflow = release();
    let (mut building, mut with_secrets) = (BTreeSet::new(), BTreeSet::new());
    for (name, job) in jobs(&workflow) {
        if commands(job).contains("deploy/release") {
            building.insert(name);
        }
        if serde_yaml::to_string(job).unwrap().contains("secrets.") {
            with_secrets.insert(name);
            assert_eq!(job["environment"], "release", "{name} asks nobody");
        }
        for step in steps(job).iter().filter(|step| step["uses"].as_str().is_some_and(|uses| uses.contains("checkout")))
        {
            assert_eq!(step["with"]["persist-credentials"], false, "{name}");
        }
    }
    assert_eq!(building, BTreeSet::from(["build", "reproduce"]));
    assert_eq!(with_secrets, BTreeSet::from(["sign"]));
}

#[test]
fn a_release_is_what_deploy_makes_of_the_tag_and_what_was_built_twice_alike() {
    let workflow = release();
    assert_eq!(workflow["on"]["push"]["tags"][0], "v*");
    let job = |name: &str| &workflow["jobs"][name];
    for name in ["build", "reproduce"] {
        let commands = commands(job(name));
        assert!(commands.contains("deploy/release --complete \"${GITHUB_REF_NAME#v}\"\n"), "{name}");
        assert!(commands.contains("deploy/artefacts/helm "), "{name} builds no chart");
    }
    assert!(commands(job("reproduce")).contains("diff dist/SHA256SUMS ../../dist/SHA256SUMS\n"));
    let needs: Vec<_> = job("sign")["needs"].as_sequence().unwrap().iter().map(|need| need.as_str().unwrap()).collect();
    assert_eq!(needs, ["build", "reproduce"]);
    let signing = commands(job("sign"));
    assert!(signing.contains("deploy/sign --keys"));
    assert!(signing.contains("gh release create \"$GITHUB_REF_NAME\"") && signing.contains(" --draft "));
}
