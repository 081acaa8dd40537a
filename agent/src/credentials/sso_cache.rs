//! The tokens of IAM Identity Center that `aws sso login` keeps in `~/.aws/sso/cache`.

use reqwest::Url;

use super::Provider;
use super::cache::Cached;
use super::document::{Keys, Want, select, text, time};
use super::identity::name;
use super::lease::{Lease, Unavailable};
use super::timestamp::{Basis, Timestamp};
use crate::time::SystemTime;

/// The tokens of IAM Identity Center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsoCache;

impl Cached for SsoCache {
    const PROVIDER: Provider = Provider::SsoCache;
    const NAME: &'static str = "sso-cache";
    const RENEW: &'static str = "run `aws sso login`";
    const READS: &'static str = "`aws sso login`; never an alert, for it is renewed at its use";
    const EXPIRES_BY: &'static str = "this host";
    const PLACE: &'static str = ".aws/sso/cache";

    fn lease(file: &str, body: &[u8], modified: SystemTime) -> Option<Result<Lease, Unavailable>> {
        lease(file, body, modified)
    }
}

/// The lease of the token in the document `file`; `None` where it registers a client, which is no credential. Tools write
/// `expiresAt` as their own clock plus the life of the token.
fn lease(file: &str, body: &[u8], modified: SystemTime) -> Option<Result<Lease, Unavailable>> {
    let wants = [
        Want::presence(&["accessToken"]),
        Want::value(&["expiresAt"]),
        Want::value(&["sessionName"]),
        Want::value(&["startUrl"]),
    ];
    let (expiration, session, url) = match select(body, Keys::AnyCase, wants) {
        Ok([token, expiration, session, url]) => {
            token?;
            (expiration, session, url)
        }
        Err(reason) => return Some(Err(reason)),
    };
    let lease = || {
        let expiration = text(expiration)?.ok_or(Unavailable::MissingExpiration)?;
        let session = text(session)?.and_then(name);
        let host = text(url)?.and_then(|url| name(Url::parse(&url).ok()?.host_str()?));
        Ok(Lease {
            identity: session.or(host).unwrap_or_else(|| file.to_owned()),
            code: None,
            kind: None,
            last_updated: Some(Timestamp::Local(modified)),
            expiration: Some(time(&expiration, Basis::Local)?),
        })
    };
    Some(lease())
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

    const TOKEN: &str = r#"{"startUrl": "https://d-9067example.awsapps.com/start#/", "region": "eu-central-1",
        "accessToken": "MARKERaccessToken", "expiresAt": "2026-03-01T16:00:00Z", "clientId": "MARKERclient",
        "clientSecret": "MARKERclientSecret", "registrationExpiresAt": "2026-05-01T16:00:00Z",
        "refreshToken": "MARKERrefreshToken"}"#;
    const REGISTRATION: &str = r#"{"clientId": "MARKERclient", "clientSecret": "MARKERclientSecret",
        "expiresAt": "2026-05-01T16:00:00Z", "scopes": ["sso:account:access"]}"#;
    const WRITTEN: SystemTime = SystemTime::from_nanos(7);

    fn read(body: &str) -> Option<Result<Lease, Unavailable>> {
        let result = lease("0a1b.json", body.as_bytes(), WRITTEN);
        if let Some(result) = &result {
            assert_unmarked(&Round::of(vec![Reading { slot: String::new(), result: result.clone() }]));
        }
        result
    }

    fn without(key: &str) -> String {
        TOKEN.replace(&format!("\"{key}\""), "\"other\"")
    }

    #[test]
    fn a_token_expires_by_the_clock_of_this_host() {
        let lease = read(TOKEN).unwrap().unwrap();
        assert_eq!(lease.identity, "d-9067example.awsapps.com");
        let expiration = lease.expiration.unwrap();
        assert_eq!(
            (rfc3339(expiration.nanos()).as_str(), expiration.basis().name()),
            ("2026-03-01T16:00:00.000Z", "local")
        );
        assert_eq!(lease.last_updated, Some(Timestamp::Local(WRITTEN)));
        let older = TOKEN.replace("16:00:00Z", "16:00:00UTC");
        assert_eq!(read(&older).unwrap().unwrap().expiration, lease.expiration);
    }

    #[test]
    fn a_token_is_named_after_its_session_or_its_portal_or_its_file() {
        let identity = |body: &str| read(body).unwrap().unwrap().identity;
        assert_eq!(identity(&TOKEN.replace("\"region\"", "\"sessionName\"")), "eu-central-1");
        assert_eq!(identity(&without("startUrl")), "0a1b.json");
        assert_eq!(identity(&TOKEN.replace("https://d-9067example.awsapps.com", "MARKER")), "0a1b.json");
        let key_id = TOKEN.replace("\"region\": \"eu-central-1\"", "\"sessionName\": \"ASIAMARKER0KEY000000\"");
        assert_eq!(identity(&key_id), "d-9067example.awsapps.com");
    }

    #[test]
    fn the_registration_of_a_client_is_no_credential() {
        for body in [REGISTRATION, "{}", &without("accessToken")] {
            assert_eq!(read(body), None);
        }
    }

    #[test]
    fn what_is_no_token_says_why() {
        assert_eq!(read(&without("expiresAt")), Some(Err(Unavailable::MissingExpiration)));
        for body in ["", "[]", "MARKER", &TOKEN[..150], &TOKEN.replace("2026-03-01T16:00:00Z", "MARKERtime")] {
            assert!(matches!(read(body), Some(Err(Unavailable::Malformed(_)))), "{body}");
        }
        let misplaced = TOKEN.replace("\"2026-03-01T16:00:00Z\"", "{\"x\": \"MARKER\"}");
        assert!(matches!(read(&misplaced), Some(Err(Unavailable::Malformed(_)))));
    }

    #[tokio::test]
    async fn the_tokens_of_a_home_are_read() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(SsoCache::PLACE);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0a1b.json"), TOKEN).unwrap();
        fs::write(folder.join("botocore-client-id-eu-central-1.json"), REGISTRATION).unwrap();
        let mut cache = Caches::<SsoCache>::of(vec![home.path().to_owned()]).reader(&|_| None).unwrap();
        let round = cache.read().await;
        assert_unmarked(&round);
        assert_eq!(cache.provider(), Provider::SsoCache);
        let slots: Vec<_> = round.readings.iter().map(|reading| reading.slot.as_str()).collect();
        assert_eq!(slots, ["0a1b.json"]);
        assert!(round.readings[0].result.is_ok());
    }

    proptest! {
        #[test]
        fn no_result_of_a_damaged_document_shows_a_secret(
            cut in 0..=TOKEN.len(), at in 0..TOKEN.len(), byte in 0_u8..128,
        ) {
            let mut body = TOKEN.as_bytes().to_vec();
            body[at] = byte;
            body.truncate(cut);
            read(std::str::from_utf8(&body).unwrap());
        }

        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = lease("x", &body, WRITTEN);
        }
    }
}
