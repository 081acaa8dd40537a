//! Each way in which a metadata service goes wrong, set up on loopback and asked for real: the doctor names the cause
//! once, with its remedy, and finds nothing else.

mod host;
mod other;

use std::time::Duration;

use tokio::net::TcpListener;

use self::host::{
    INFO, MODIFY, NEVER, OPEN, PROFILE, facts, facts_of, judged, judged_with, named, only_problem, remedy, service,
};
use super::checks::{Surroundings, check};
use super::probe::{Facts, Reach};
use crate::aws::sdk::Sdk;
use crate::credentials::imds::fake::{DOCUMENT_ROUTE, ROLES_ROUTE, Reply, TOKEN_ROUTE};
use crate::doctor::report::Verdict;

#[tokio::test]
async fn a_healthy_instance_has_nothing_but_checks_that_are_ok() {
    let fake = service([]).await;
    let facts = facts(&fake).await;
    let checks = judged(&facts);
    assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:#?}");
    assert_eq!(named(&checks, "imds-version").summary, "version 2 works, and it is required");
    assert_eq!(named(&checks, "imds-role").summary, "role web has credentials");
    assert_eq!(facts.requests.len(), 6);
    assert!(fake.seen().iter().all(|request| !request.line.contains("identity-credentials")));
}

#[tokio::test]
async fn an_instance_on_which_version_1_is_possible_is_healthy_and_told_of() {
    let fake = service([(OPEN, vec![Reply::ok("ami-id")])]).await;
    let checks = judged(&facts(&fake).await);
    assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:#?}");
    let version = named(&checks, "imds-version");
    assert_eq!(version.summary, "version 2 works, and version 1 is possible");
    assert_eq!(version.evidence[0], format!("to demand version 2: {MODIFY} --http-tokens required"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_token_that_never_arrives_while_other_answers_do_is_the_hop_limit() {
    for open in [Reply::status(401), Reply::ok("ami-id")] {
        let fake = service([(TOKEN_ROUTE, vec![Reply::token(21_600).after(NEVER)]), (OPEN, vec![open])]).await;
        let mut facts = facts_of(&fake.endpoint, Some(true), Duration::from_millis(200)).await;
        facts.container = vec!["/.dockerenv exists".to_owned()];
        let checks = judged(&facts);
        let problem = only_problem(&checks, "imds-hop-limit");
        assert_eq!(remedy(problem), format!("{MODIFY} --http-put-response-hop-limit 2 --http-endpoint enabled"));
        assert!(problem.summary.contains("in this container"), "{}", problem.summary);
        assert!(problem.evidence.contains(&"/.dockerenv exists".to_owned()), "{:?}", problem.evidence);
        assert_eq!(named(&checks, "imds-role").summary, "the metadata service hands nothing out: see imds-hop-limit");
        assert!(fake.seen().iter().all(|request| [TOKEN_ROUTE, OPEN].contains(&request.line.as_str())));
    }
}

#[tokio::test]
async fn one_token_that_is_late_is_no_hop_limit() {
    let late = vec![Reply::token(21_600).after(NEVER), Reply::token(21_600)];
    let fake = service([(TOKEN_ROUTE, late)]).await;
    let checks = judged(&facts_of(&fake.endpoint, Some(true), Duration::from_millis(300)).await);
    assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:#?}");
}

#[tokio::test]
async fn an_instance_without_a_role_is_told_how_to_attach_one() {
    for list in [Reply::status(404), Reply::ok(" \n")] {
        let fake = service([(ROLES_ROUTE, vec![list]), (INFO, vec![Reply::status(404)])]).await;
        let checks = judged(&facts(&fake).await);
        let problem = only_problem(&checks, "imds-role");
        assert_eq!(problem.summary, "no role is attached to this instance");
        assert_eq!(
            remedy(problem),
            "aws ec2 associate-iam-instance-profile --instance-id i-0123456789abcdef0 --iam-instance-profile \
             Name=<profile>"
        );
    }
}

#[tokio::test]
async fn a_profile_without_a_role_is_told_how_to_get_one() {
    let fake = service([(ROLES_ROUTE, vec![Reply::status(404)])]).await;
    let checks = judged(&facts(&fake).await);
    let problem = only_problem(&checks, "imds-role");
    assert!(remedy(problem).starts_with("aws iam add-role-to-instance-profile --instance-profile-name web-profile"));
}

#[tokio::test]
async fn a_role_that_ec2_may_not_assume_is_told_its_trust_policy() {
    let document = r#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role web."}"#;
    let info = PROFILE.replace("Success", "AssumeRoleUnauthorizedAccess");
    let fake = service([(DOCUMENT_ROUTE, vec![Reply::ok(document)]), (INFO, vec![Reply::ok(info)])]).await;
    let checks = judged(&facts(&fake).await);
    let problem = only_problem(&checks, "imds-role");
    assert_eq!(problem.summary, "EC2 may not assume role web: AssumeRoleUnauthorizedAccess");
    assert!(remedy(problem).starts_with("aws iam update-assume-role-policy --role-name web"));
    let policy = remedy(problem).split('\'').nth(1).unwrap();
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com");
}

#[tokio::test]
async fn a_listed_role_without_credentials_is_a_stale_profile() {
    let fake = service([(DOCUMENT_ROUTE, vec![Reply::status(404)])]).await;
    let checks = judged(&facts(&fake).await);
    let problem = only_problem(&checks, "imds-role");
    assert!(problem.summary.contains("instance profile web-profile is stale"), "{}", problem.summary);
    assert!(remedy(problem).contains("--instance-profile-name web-profile --role-name web"), "{}", remedy(problem));
}

#[tokio::test]
async fn a_profile_that_was_deleted_is_told_of_while_its_last_credentials_still_work_and_after() {
    let info = PROFILE.replace("Success", "InstanceProfileNotFound");
    let fake = service([(INFO, vec![Reply::ok(info.as_str())])]).await;
    let checks = judged(&facts(&fake).await);
    let role = named(&checks, "imds-role");
    assert_eq!(role.verdict, Verdict::Warning);
    assert!(remedy(role).starts_with("aws ec2 replace-iam-instance-profile-association"), "{}", remedy(role));
    let gone = r#"{"Code": "InstanceProfileNotFound"}"#;
    let fake = service([(INFO, vec![Reply::ok(info)]), (DOCUMENT_ROUTE, vec![Reply::ok(gone)])]).await;
    let checks = judged(&facts(&fake).await);
    assert!(only_problem(&checks, "imds-role").summary.contains("is gone"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_service_that_forbids_everything_is_turned_off() {
    let fake = service([(TOKEN_ROUTE, vec![Reply::status(403)]), (OPEN, vec![Reply::status(403)])]).await;
    let checks = judged(&facts(&fake).await);
    let problem = only_problem(&checks, "imds-enabled");
    assert_eq!(remedy(problem), format!("{MODIFY} --http-endpoint enabled"));
}

#[tokio::test]
async fn a_service_that_forbids_the_token_alone_has_a_proxy_before_it() {
    let fake = service([(TOKEN_ROUTE, vec![Reply::status(403)])]).await;
    let checks = judged(&facts(&fake).await);
    assert!(remedy(only_problem(&checks, "imds-server")).contains("X-Forwarded-For"));
}

#[tokio::test]
async fn a_service_that_throttles_at_times_is_told_of_with_what_sdks_do_about_it() {
    let fake = service([(ROLES_ROUTE, vec![Reply::status(503), Reply::status(429), Reply::ok("web")])]).await;
    let facts = facts(&fake).await;
    let checks = judged(&facts);
    let problem = only_problem(&checks, "imds-throttling");
    assert_eq!(problem.summary, "2 of 8 requests to the metadata service were throttled (http 503)");
    assert_eq!(
        problem.evidence,
        [
            "AWS_METADATA_SERVICE_NUM_ATTEMPTS is not set: SDKs try once",
            "AWS_METADATA_SERVICE_TIMEOUT is not set: SDKs wait for one second"
        ]
    );
    assert!(remedy(problem).contains("AWS_METADATA_SERVICE_NUM_ATTEMPTS=5 AWS_METADATA_SERVICE_TIMEOUT=5"));
    let patient = [("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "5"), ("AWS_METADATA_SERVICE_TIMEOUT", "5")];
    let checks = judged_with(&facts, &patient, &[], None);
    let throttling = named(&checks, "imds-throttling");
    assert_eq!(throttling.verdict, Verdict::Warning);
    assert_eq!(throttling.evidence[0], "AWS_METADATA_SERVICE_NUM_ATTEMPTS=5");
}

#[tokio::test]
async fn a_service_that_throttles_always_is_one_problem() {
    for route in [TOKEN_ROUTE, DOCUMENT_ROUTE] {
        let fake = service([(route, vec![Reply::status(503)])]).await;
        let checks = judged(&facts(&fake).await);
        only_problem(&checks, "imds-throttling");
        assert_eq!(named(&checks, "imds-role").verdict, Verdict::Skipped);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn where_nobody_listens_an_instance_has_a_problem_and_another_machine_has_none() {
    let endpoint = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let refused = |is_ec2| facts_of(&endpoint, is_ec2, Duration::from_secs(20));
    let checks = judged(&refused(Some(true)).await);
    let problem = only_problem(&checks, "imds-reachable");
    assert!(remedy(problem).contains("iptables-save | grep 169.254.169.254"), "{}", remedy(problem));
    assert_eq!(named(&checks, "imds-role").summary, "the metadata service hands nothing out: see imds-reachable");
    let checks = judged(&refused(Some(false)).await);
    assert!(checks.iter().all(|check| check.verdict <= Verdict::Skipped), "{checks:#?}");
    assert_eq!(named(&checks, "imds-role").summary, "this is no EC2 instance");
    let checks = judged(&refused(None).await);
    assert_eq!(named(&checks, "imds-reachable").verdict, Verdict::Warning);
    assert!(checks.iter().all(|check| check.verdict <= Verdict::Warning), "{checks:#?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_service_that_never_answers_is_one_problem_within_eight_seconds() {
    let routes = [(TOKEN_ROUTE, vec![Reply::ok("").after(NEVER)]), (OPEN, vec![Reply::ok("").after(NEVER)])];
    let fake = service(routes).await;
    let began = tokio::time::Instant::now();
    let mut facts = facts(&fake).await;
    assert!(began.elapsed() < Duration::from_secs(9));
    let checks = judged(&facts);
    assert!(only_problem(&checks, "imds-reachable").summary.ends_with("accepts connections and answers no request"));
    facts.container = vec!["/.dockerenv exists".to_owned()];
    let checks = judged(&facts);
    assert!(remedy(only_problem(&checks, "imds-reachable")).contains("--http-put-response-hop-limit 2"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_connection_that_does_not_come_about_has_a_remedy_of_its_own_for_each_reason() {
    let fake = service([]).await;
    let well = facts(&fake).await;
    for (reach, endpoint, expected) in [
        (Reach::NoRoute, "http://169.254.169.254", "ip route get 169.254.169.254"),
        (Reach::NoRoute, "http://[fd00:ec2::254]", "--http-protocol-ipv6 enabled"),
        (Reach::Forbidden, "http://169.254.169.254", "nft list ruleset"),
        (Reach::Silent, "http://169.254.169.254", "linklocal_allowance_exceeded"),
    ] {
        let facts =
            Facts { reach, endpoint: endpoint.to_owned(), answerer: None, requests: Vec::new(), ..well.clone() };
        let mode = [("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", if endpoint.contains('[') { "IPv6" } else { "IPv4" })];
        let checks = judged_with(&facts, &mode, &[], None);
        let problem = only_problem(&checks, "imds-reachable");
        assert!(remedy(problem).contains(expected), "{reach:?}: {}", remedy(problem));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn another_service_at_the_address_is_told_of_on_an_instance_and_no_matter_elsewhere() {
    let other = || Reply::status(405);
    let fake = service([(TOKEN_ROUTE, vec![other()]), (OPEN, vec![other()])]).await;
    let checks = judged(&facts(&fake).await);
    let problem = only_problem(&checks, "imds-reachable");
    assert!(problem.summary.contains("is not the metadata service of EC2"), "{}", problem.summary);
    let checks = judged(&facts_of(&fake.endpoint, Some(false), Duration::from_secs(20)).await);
    assert!(checks.iter().all(|check| check.verdict <= Verdict::Skipped), "{checks:#?}");
}

#[tokio::test]
async fn what_answers_in_the_place_of_the_service_is_told_of() {
    let fake = service([]).await;
    let mut facts = facts(&fake).await;
    facts.answerer.as_mut().unwrap().server = Some("squid".to_owned());
    let checks = judged(&facts);
    let server = named(&checks, "imds-server");
    assert_eq!((server.verdict, checks.iter().filter(|c| c.verdict > Verdict::Skipped).count()), (Verdict::Warning, 1));
    assert!(server.summary.contains("Server: squid"), "{}", server.summary);
    facts.answerer.as_mut().unwrap().server = None;
    assert_eq!(named(&judged(&facts), "imds-server").verdict, Verdict::Skipped);
}

#[cfg(unix)]
#[tokio::test]
async fn a_proxy_that_swallows_the_service_is_told_of_for_the_sdks_that_use_it() {
    let fake = service([]).await;
    let facts = facts(&fake).await;
    let proxy = ("HTTP_PROXY", "http://user:hunter2@proxy.example:3128");
    let variables = [proxy, ("NO_PROXY", "localhost,169.254.0.0/16")];
    let checks = judged_with(&facts, &variables, &[], None);
    let problem = only_problem(&checks, "imds-proxy");
    assert_eq!(
        problem.summary,
        "the proxy variables of this shell send the requests of botocore for http://169.254.169.254 through a proxy"
    );
    assert_eq!(
        remedy(problem),
        "export NO_PROXY=localhost,169.254.0.0/16,169.254.169.254,fd00:ec2::254,[fd00:ec2::254]"
    );
    assert_eq!(problem.evidence[0], "HTTP_PROXY=http://proxy.example:3128");
    let all = judged_with(&facts, &[proxy], &[Sdk::GoV2, Sdk::JavaV2, Sdk::Rust], None);
    assert!(only_problem(&all, "imds-proxy").summary.contains("of go-v2, rust (from behavior version 2025-08-07) for"));
    for (variables, sdks) in [
        (vec![proxy], vec![Sdk::JavaV2]),
        (vec![proxy, ("NO_PROXY", "169.254.169.254")], vec![]),
        (vec![proxy, ("no_proxy", ".169.254")], vec![]),
        (vec![("HTTPS_PROXY", proxy.1)], vec![]),
    ] {
        let checks = judged_with(&facts, &variables, &sdks, None);
        assert_eq!(named(&checks, "imds-proxy").verdict, Verdict::Ok, "{variables:?}");
    }
}

#[tokio::test]
async fn a_variable_that_turns_the_service_off_for_sdks_is_told_of_where_there_is_one() {
    let fake = service([]).await;
    let facts = facts(&fake).await;
    for (value, is_problem) in [("true", true), ("TRUE", true), ("false", false), ("1", false), ("", false)] {
        let checks = judged_with(&facts, &[("AWS_EC2_METADATA_DISABLED", value)], &[], None);
        if is_problem {
            assert_eq!(remedy(only_problem(&checks, "imds-enabled")), "unset AWS_EC2_METADATA_DISABLED");
        } else {
            assert_eq!(named(&checks, "imds-enabled").verdict, Verdict::Ok, "{value}");
        }
    }
    for is_ec2 in [Some(false), None] {
        let away = Facts { reach: Reach::Refused, is_ec2, ..facts.clone() };
        let checks = judged_with(&away, &[("AWS_EC2_METADATA_DISABLED", "true")], &[], None);
        assert!(checks.iter().all(|check| check.verdict <= Verdict::Skipped), "{checks:#?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_endpoint_elsewhere_is_told_of_once_and_only_where_it_is_wrong() {
    const VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let fake = service([]).await;
    let facts = facts(&fake).await;
    let there = Facts { endpoint: "http://10.0.0.1:1338".to_owned(), ..facts.clone() };
    let named_there = [(VARIABLE, "http://user:hunter2@10.0.0.1:1338/")];
    let checks = judged_with(&there, &named_there, &[], None);
    assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:#?}");
    let silent = Facts { reach: Reach::Silent, ..there };
    let checks = judged_with(&silent, &named_there, &[], None);
    assert_eq!(remedy(only_problem(&checks, "imds-endpoint")), format!("unset {VARIABLE}"));
    assert_eq!(named(&checks, "imds-role").summary, "the metadata service hands nothing out: see imds-endpoint");
    let checks = judged_with(&facts, &named_there, &[], None);
    assert_eq!(named(&checks, "imds-endpoint").verdict, Verdict::Warning);
    // What skewguard asks is not where the variable leads, so that the variable does not explain it.
    let checks = judged_with(&Facts { reach: Reach::Silent, ..facts.clone() }, &named_there, &[], None);
    assert_eq!(named(&checks, "imds-endpoint").verdict, Verdict::Warning);
    assert_eq!(named(&checks, "imds-reachable").verdict, Verdict::Problem);
    for (variable, value) in [(VARIABLE, "169.254.169.254"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "both")] {
        let checks = judged_with(&facts, &[(variable, value)], &[], None);
        assert_eq!(remedy(only_problem(&checks, "imds-endpoint")), format!("unset {variable}"));
    }
}

#[tokio::test]
async fn the_keys_of_the_profile_count_where_no_variable_is_set() {
    let fake = service([(ROLES_ROUTE, vec![Reply::status(503), Reply::ok("web")])]).await;
    let facts = facts(&fake).await;
    let keys = |key: &str| (key == "metadata_service_num_attempts").then(|| "4".to_owned());
    for (variable, expected) in
        [(None, "metadata_service_num_attempts=4"), (Some("2"), "AWS_METADATA_SERVICE_NUM_ATTEMPTS=2")]
    {
        let env = |name: &str| variable.filter(|_| name == "AWS_METADATA_SERVICE_NUM_ATTEMPTS").map(str::to_owned);
        let around =
            Surroundings { whose: "this shell", env: &env, profile: Some(&keys), libraries: &[], elsewhere: None };
        assert_eq!(named(&check(&facts, &around), "imds-throttling").evidence[0], expected);
    }
    let keys = |key: &str| (key == "ec2_metadata_service_endpoint").then(|| "nowhere".to_owned());
    let around =
        Surroundings { whose: "this shell", env: &|_| None, profile: Some(&keys), libraries: &[], elsewhere: None };
    let checks = check(&facts, &around);
    let endpoint = named(&checks, "imds-endpoint");
    assert_eq!(remedy(endpoint), "remove ec2_metadata_service_endpoint from ~/.aws/config");
}

#[tokio::test]
async fn what_nobody_needs_is_no_problem() {
    let fake = service([(TOKEN_ROUTE, vec![Reply::token(21_600).after(NEVER)])]).await;
    let facts = facts_of(&fake.endpoint, Some(true), Duration::from_millis(200)).await;
    let checks = judged_with(&facts, &[("HTTP_PROXY", "http://proxy:1")], &[], Some("the web identity token"));
    assert!(checks.iter().all(|check| check.verdict <= Verdict::Skipped), "{checks:#?}");
    assert!(named(&checks, "imds-hop-limit").summary.ends_with("credentials before that: the web identity token"));
}

#[tokio::test]
async fn what_nobody_needs_is_no_warning_either() {
    let info = PROFILE.replace("Success", "InstanceProfileNotFound");
    let fake = service([(INFO, vec![Reply::ok(info)])]).await;
    let held = facts(&fake).await;
    let away = Facts { reach: Reach::NoRoute, is_ec2: None, answerer: None, requests: Vec::new(), ..held.clone() };
    let mut relayed = held.clone();
    relayed.answerer.as_mut().unwrap().server = Some("squid".to_owned());
    for (name, facts) in [("imds-reachable", away), ("imds-role", held), ("imds-server", relayed)] {
        assert_eq!(named(&judged(&facts), name).verdict, Verdict::Warning, "{name}");
        let checks = judged_with(&facts, &[], &[], Some("the role of the container"));
        assert!(checks.iter().all(|check| check.verdict <= Verdict::Skipped), "{checks:#?}");
        let excused = named(&checks, name);
        assert!(excused.summary.ends_with("before that: the role of the container"), "{excused:?}");
        assert_eq!((&excused.effect, &excused.remedy), (&None, &None), "{name}");
    }
}
