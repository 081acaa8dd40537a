//! What answers as the service does and is another, and the service behind a proxy.

use std::time::Duration;

use super::host::{OPEN, facts, facts_of, judged, judged_with, named, only_problem, remedy, service};
use crate::aws::sdk::Sdk;
use crate::credentials::imds::fake::{ROLES_ROUTE, Reply, TOKEN_ROUTE};
use crate::doctor::report::Verdict;

#[tokio::test]
async fn what_knows_no_tokens_serves_the_sdks_that_go_on_without_and_names_the_others() {
    for status in [403, 404, 405] {
        let refusal = Reply::status(status).with("Server", "imitation");
        let fake = service([(TOKEN_ROUTE, vec![refusal]), (OPEN, vec![Reply::ok("ami-id")])]).await;
        let facts = facts(&fake).await;
        assert!(named(&judged(&facts), "imds-hop-limit").summary.starts_with("no answer brings a token"));
        let version = |sdks: &[Sdk], variables: &[(&str, &str)]| {
            let checks = judged_with(&facts, variables, sdks, None);
            assert!(
                checks.iter().all(|check| check.name == "imds-version" || check.verdict < Verdict::Problem),
                "{checks:#?}"
            );
            let version = named(&checks, "imds-version");
            (version.verdict, version.summary.clone())
        };
        assert_eq!(version(&[], &[]).0, Verdict::Ok, "{status}");
        assert!(version(&[Sdk::Botocore], &[]).1.contains("but for that of Rust"));
        assert_eq!(version(&[Sdk::Botocore, Sdk::Rust], &[]).0, Verdict::Problem);
        assert_eq!(version(&[], &[("AWS_EC2_METADATA_V1_DISABLED", "true")]).0, Verdict::Problem);
    }
}

#[tokio::test]
async fn a_token_that_the_service_of_ec2_itself_forbids_is_asked_for_through_a_proxy() {
    for open in [Reply::ok("ami-id"), Reply::status(401)] {
        let fake = service([(TOKEN_ROUTE, vec![Reply::status(403)]), (OPEN, vec![open])]).await;
        let checks = judged(&facts(&fake).await);
        assert!(remedy(only_problem(&checks, "imds-server")).contains("X-Forwarded-For"));
        assert_eq!(named(&checks, "imds-version").verdict, Verdict::Skipped);
        assert_eq!(fake.count(ROLES_ROUTE), 0);
    }
}

#[tokio::test]
async fn the_service_of_another_cloud_that_answers_as_ec2_did_once_and_has_no_roles_is_none_of_ec2() {
    for status in [403, 404, 405] {
        let other = |status: u16| Reply::status(status).with("Server", "other");
        let open = Reply::ok("ami-id").with("Server", "other");
        let routes = [(TOKEN_ROUTE, vec![other(status)]), (OPEN, vec![open]), (ROLES_ROUTE, vec![other(404)])];
        let fake = service(routes).await;
        let mut facts = facts_of(&fake.endpoint, Some(false), Duration::from_secs(20)).await;
        facts.answerer.as_mut().unwrap().server = None;
        let checks = judged(&facts);
        assert!(checks.iter().all(|check| check.verdict <= Verdict::Skipped), "{status}: {checks:#?}");
        assert_eq!(named(&checks, "imds-role").summary, "this is no EC2 instance");
    }
}

#[tokio::test]
async fn the_service_of_another_cloud_that_forbids_all_is_none_of_ec2() {
    let routes = [(TOKEN_ROUTE, vec![Reply::status(403)]), (OPEN, vec![Reply::status(403)])];
    let fake = service(routes).await;
    let mut facts = facts_of(&fake.endpoint, Some(false), Duration::from_secs(20)).await;
    facts.answerer.as_mut().unwrap().server = Some("Metadata Server for VM".to_owned());
    let checks = judged(&facts);
    assert!(checks.iter().all(|check| check.verdict <= Verdict::Skipped), "{checks:#?}");
}
