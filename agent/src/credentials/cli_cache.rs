//! The credentials of assumed roles that the AWS CLI keeps in `~/.aws/cli/cache`.

use super::Provider;
use super::cache::Cached;
use super::document::{Keys, Want, select, text, time};
use super::identity::session_of;
use super::lease::{Lease, Unavailable};
use super::timestamp::{Basis, Timestamp};
use crate::time::SystemTime;

/// The credentials of assumed roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliCache;

impl Cached for CliCache {
    const PROVIDER: Provider = Provider::CliCache;
    const NAME: &'static str = "cli-cache";
    const RENEW: &'static str = "the next call of the AWS CLI renews it";
    const READS: &'static str = "roles that the AWS CLI has assumed; never an alert";
    const EXPIRES_BY: &'static str = "AWS";
    const PLACE: &'static str = ".aws/cli/cache";

    fn lease(file: &str, body: &[u8], modified: SystemTime) -> Option<Result<Lease, Unavailable>> {
        Some(lease(file, body, modified))
    }
}

/// The lease of the credentials in the document `file`, named after their role and session where it says them.
fn lease(file: &str, body: &[u8], modified: SystemTime) -> Result<Lease, Unavailable> {
    let wants = [Want::value(&["Credentials", "Expiration"]), Want::value(&["AssumedRoleUser", "Arn"])];
    let [expiration, arn] = select(body, Keys::AnyCase, wants)?;
    let expiration = text(expiration)?.ok_or(Unavailable::MissingExpiration)?;
    Ok(Lease {
        identity: text(arn)?.as_deref().and_then(session_of).unwrap_or_else(|| file.to_owned()),
        code: None,
        kind: None,
        last_updated: Some(Timestamp::Local(modified)),
        expiration: Some(time(&expiration, Basis::Server)?),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::super::cache::Caches;
    use super::super::marked::assert_unmarked;
    use super::super::provide::Provide;
    use super::super::round::{Reading, Round};
    use super::*;
    use crate::time::rfc3339;

    const ASSUMED: &str = r#"{"Credentials": {"AccessKeyId": "ASIAMARKER0KEY000000",
        "SecretAccessKey": "MARKERsecretAccessKey", "SessionToken": "MARKERsessionToken",
        "Expiration": "2026-03-01T16:00:00+00:00"}, "AssumedRoleUser": {"AssumedRoleId": "AROAMARKER:alice",
        "Arn": "arn:aws:sts::123456789012:assumed-role/web/alice"}, "ResponseMetadata": {"RequestId": "MARKERrequest",
        "HTTPStatusCode": 200, "HTTPHeaders": {"x-amzn-requestid": "MARKERrequest"}, "RetryAttempts": 0}}"#;
    const SSO: &str = r#"{"ProviderType": "sso", "Credentials": {"AccessKeyId": "ASIAMARKER0KEY000000",
        "SecretAccessKey": "MARKERsecretAccessKey", "SessionToken": "MARKERsessionToken",
        "Expiration": "2026-03-01T16:00:00Z", "AccountId": "123456789012"}}"#;
    const WRITTEN: SystemTime = SystemTime::from_nanos(7);

    fn read(body: &str) -> Result<Lease, Unavailable> {
        let result = lease("0a1b.json", body.as_bytes(), WRITTEN);
        assert_unmarked(&Round::of(vec![Reading { slot: String::new(), result: result.clone() }]));
        result
    }

    #[test]
    fn the_credentials_of_an_assumed_role_expire_by_the_clock_of_aws() {
        let lease = read(ASSUMED).unwrap();
        assert_eq!(lease.identity, "web/alice");
        let expiration = lease.expiration.unwrap();
        assert_eq!(
            (rfc3339(expiration.nanos()).as_str(), expiration.basis().name()),
            ("2026-03-01T16:00:00.000Z", "server")
        );
        assert_eq!(lease.last_updated, Some(Timestamp::Local(WRITTEN)));
        assert_eq!(read(SSO).unwrap().identity, "0a1b.json");
        assert_eq!(read(&ASSUMED.replace("16:00:00+00:00", "16:00:00UTC")).unwrap().expiration, lease.expiration);
    }

    #[test]
    fn what_holds_no_credentials_says_why() {
        for body in ["{}", r#"{"Credentials": {}}"#, r#"{"Credentials": null}"#, r#"{"Expiration": "MARKER"}"#] {
            assert_eq!(read(body), Err(Unavailable::MissingExpiration), "{body}");
        }
        let mistyped = SSO.replace("\"2026-03-01T16:00:00Z\"", "[\"MARKER\"]");
        let misplaced = SSO.replace("2026-03-01T16:00:00Z", "MARKERsessionToken");
        for body in ["", "MARKER", r#"{"Credentials": "MARKER"}"#, &SSO[..150], &mistyped, &misplaced] {
            assert!(matches!(read(body), Err(Unavailable::Malformed(_))), "{body}");
        }
    }

    #[tokio::test]
    async fn the_credentials_of_a_home_are_read() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(CliCache::PLACE);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0a1b.json"), ASSUMED).unwrap();
        fs::write(folder.join("2c3d.json"), &SSO[..100]).unwrap();
        let mut cache = Caches::<CliCache>::of(vec![home.path().to_owned()]).reader(&|_| None).unwrap();
        let round = cache.read().await;
        assert_unmarked(&round);
        assert_eq!(cache.provider(), Provider::CliCache);
        let slots: Vec<_> =
            round.readings.iter().map(|reading| (reading.slot.as_str(), reading.result.is_ok())).collect();
        assert_eq!(slots, [("0a1b.json", true), ("2c3d.json", false)]);
    }

    proptest! {
        #[test]
        fn no_result_of_a_damaged_document_shows_a_secret(
            cut in 0..=ASSUMED.len(), at in 0..ASSUMED.len(), byte in 0_u8..128,
        ) {
            let mut body = ASSUMED.as_bytes().to_vec();
            body[at] = byte;
            body.truncate(cut);
            let _ = read(std::str::from_utf8(&body).unwrap());
        }

        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = lease("x", &body, WRITTEN);
        }
    }
}
