//! A host with a metadata service on loopback, and what the doctor says of both.

use std::fs;
use std::time::Duration;

use crate::aws::processes::library::Library;
use crate::aws::sdk::Sdk;
use crate::credentials::imds::fake::{
    DOCUMENT, DOCUMENT_ROUTE, Fake, ROLES_ROUTE, Reply, SECRETS, TOKEN, TOKEN_ROUTE, config,
};
use crate::credentials::imds::settings::Imds;
use crate::doctor::imds::checks::{Surroundings, check};
use crate::doctor::imds::probe::{Facts, probe};
use crate::doctor::report::{Check, Verdict};

pub(super) const OPEN: &str = "GET /latest/meta-data/";
pub(super) const INFO: &str = "GET /latest/meta-data/iam/info";
pub(super) const ID: &str = "GET /latest/meta-data/instance-id";
pub(super) const PROFILE: &str = r#"{"Code": "Success", "LastUpdated": "2026-03-01T10:00:00Z",
    "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/web-profile"}"#;
pub(super) const NEVER: Duration = Duration::from_secs(60);
pub(super) const MODIFY: &str = "aws ec2 modify-instance-metadata-options --instance-id i-0123456789abcdef0";

/// A service that is well, in which `routes` take the place of what is usual.
pub(super) async fn service<const N: usize>(routes: [(&str, Vec<Reply>); N]) -> Fake {
    let usual = [
        (TOKEN_ROUTE, vec![Reply::token(21_600)]),
        (OPEN, vec![Reply::status(401)]),
        (ROLES_ROUTE, vec![Reply::ok("web")]),
        (DOCUMENT_ROUTE, vec![Reply::ok(DOCUMENT)]),
        (INFO, vec![Reply::ok(PROFILE)]),
        (ID, vec![Reply::ok("i-0123456789abcdef0")]),
    ];
    Fake::start_with(usual.into_iter().chain(routes)).await
}

/// The files of a host: an EC2 instance, a machine of somebody else, or one that does not tell.
pub(super) fn host(is_ec2: Option<bool>) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let firmware = root.path().join("sys/class/dmi/id");
    fs::create_dir_all(&firmware).unwrap();
    if let Some(is_ec2) = is_ec2 {
        fs::write(firmware.join("sys_vendor"), if is_ec2 { "Amazon EC2" } else { "QEMU" }).unwrap();
    }
    if is_ec2 == Some(true) {
        fs::write(firmware.join("board_asset_tag"), "i-0123456789abcdef0").unwrap();
    }
    root
}

pub(super) async fn facts_of(endpoint: &str, is_ec2: Option<bool>, timeout: Duration) -> Facts {
    let root = host(is_ec2);
    let mut facts = probe(&Imds { timeout, ..config(endpoint) }, root.path(), &|_| None).await;
    // What SDKs are judged by is the address that the service has on every instance.
    facts.endpoint = "http://169.254.169.254".to_owned();
    facts
}

pub(super) async fn facts(fake: &Fake) -> Facts {
    facts_of(&fake.endpoint, Some(true), Duration::from_secs(20)).await
}

pub(super) fn judged_with(
    facts: &Facts,
    variables: &[(&str, &str)],
    sdks: &[Sdk],
    elsewhere: Option<&str>,
) -> Vec<Check> {
    let env = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let libraries: Vec<Library> = sdks.iter().copied().map(Library::Sdk).collect();
    let around = Surroundings { whose: "this shell", env: &env, profile: None, libraries: &libraries, elsewhere };
    let checks = check(facts, &around);
    let shown = format!("{facts:?} {}", serde_json::to_string(&checks).unwrap());
    for secret in SECRETS.into_iter().chain([TOKEN, "hunter2"]) {
        assert!(!shown.contains(secret), "{shown}");
    }
    let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "imds-enabled",
            "imds-endpoint",
            "imds-proxy",
            "imds-reachable",
            "imds-version",
            "imds-hop-limit",
            "imds-throttling",
            "imds-role",
            "imds-server"
        ]
    );
    checks
}

pub(super) fn judged(facts: &Facts) -> Vec<Check> {
    judged_with(facts, &[], &[], None)
}

pub(super) fn named<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap()
}

/// The one problem among the checks, with no warning beside it.
pub(super) fn only_problem<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let bad: Vec<_> = checks.iter().filter(|check| check.verdict >= Verdict::Warning).collect();
    assert_eq!(bad.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), [name], "{bad:#?}");
    assert_eq!(bad[0].verdict, Verdict::Problem);
    bad[0]
}

pub(super) fn remedy(check: &Check) -> &str {
    check.remedy.as_deref().unwrap()
}
