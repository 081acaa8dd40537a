//! The credentials of console sessions that `aws login` keeps in `~/.aws/login/cache`.

use super::Provider;
use super::cache::Cached;
use super::document::{Keys, Want, select, text, time};
use super::lease::{Lease, Unavailable};
use super::timestamp::{Basis, Timestamp};
use crate::time::SystemTime;

/// The variable that names another folder.
const FOLDER: &str = "AWS_LOGIN_CACHE_DIRECTORY";

/// The credentials of console sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginCache;

impl Cached for LoginCache {
    const PROVIDER: Provider = Provider::LoginCache;
    const NAME: &'static str = "login-cache";
    const RENEW: &'static str = "run `aws login`";
    const READS: &'static str = "`aws login`; never an alert, for it is renewed at its use";
    const EXPIRES_BY: &'static str = "this host";
    const PLACE: &'static str = ".aws/login/cache";
    const FOLDER: Option<&'static str> = Some(FOLDER);

    fn lease(file: &str, body: &[u8], modified: SystemTime) -> Option<Result<Lease, Unavailable>> {
        Some(lease(file, body, modified))
    }
}

/// The lease of the credentials in the document `file`, named after their account where it says it. Tools write
/// `expiresAt` as their own clock plus the life of the credentials.
fn lease(file: &str, body: &[u8], modified: SystemTime) -> Result<Lease, Unavailable> {
    let wants = [Want::value(&["accessToken", "expiresAt"]), Want::value(&["accessToken", "accountId"])];
    let [expiration, account] = select(body, Keys::AnyCase, wants)?;
    let expiration = text(expiration)?.ok_or(Unavailable::MissingExpiration)?;
    let account = text(account)?.filter(|text| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(Lease {
        identity: account.unwrap_or_else(|| file.to_owned()),
        code: None,
        kind: None,
        last_updated: Some(Timestamp::Local(modified)),
        expiration: Some(time(&expiration, Basis::Local)?),
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

    const SESSION: &str = r#"{"accessToken": {"accessKeyId": "ASIAMARKER0KEY000000",
        "secretAccessKey": "MARKERsecretAccessKey", "sessionToken": "MARKERsessionToken", "accountId": "123456789012",
        "expiresAt": "2026-03-01T16:00:00Z"}, "tokenType": "aws_sigv4", "clientId": "arn:aws:signin:::devtools/same-device",
        "refreshToken": "MARKERrefreshToken", "idToken": "MARKERidToken",
        "dpopKey": "-----BEGIN EC PRIVATE KEY-----\nMARKERkey\n-----END EC PRIVATE KEY-----\n"}"#;
    const WRITTEN: SystemTime = SystemTime::from_nanos(7);

    fn read(body: &str) -> Result<Lease, Unavailable> {
        let result = lease("0a1b.json", body.as_bytes(), WRITTEN);
        assert_unmarked(&Round::of(vec![Reading { slot: String::new(), result: result.clone() }]));
        result
    }

    #[test]
    fn the_credentials_of_a_session_expire_by_the_clock_of_this_host() {
        let lease = read(SESSION).unwrap();
        assert_eq!(lease.identity, "123456789012");
        let expiration = lease.expiration.unwrap();
        assert_eq!(
            (rfc3339(expiration.nanos()).as_str(), expiration.basis().name()),
            ("2026-03-01T16:00:00.000Z", "local")
        );
        assert_eq!(lease.last_updated, Some(Timestamp::Local(WRITTEN)));
        assert_eq!(read(&SESSION.replace("123456789012", "MARKER")).unwrap().identity, "0a1b.json");
    }

    #[test]
    fn what_holds_no_credentials_says_why() {
        for body in ["{}", r#"{"accessToken": {}}"#, r#"{"expiresAt": "2026-03-01T16:00:00Z"}"#] {
            assert_eq!(read(body), Err(Unavailable::MissingExpiration), "{body}");
        }
        let misplaced = SESSION.replace("2026-03-01T16:00:00Z", "MARKERsessionToken");
        for body in ["", "MARKER", r#"{"accessToken": "MARKER"}"#, &SESSION[..150], &misplaced] {
            assert!(matches!(read(body), Err(Unavailable::Malformed(_))), "{body}");
        }
    }

    #[tokio::test]
    async fn the_credentials_of_a_home_are_read_unless_the_environment_names_another_folder() {
        let home = tempfile::tempdir().unwrap();
        let elsewhere = home.path().join("elsewhere");
        for (folder, file) in [(home.path().join(LoginCache::PLACE), "0a1b.json"), (elsewhere.clone(), "2c3d.json")] {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), SESSION).unwrap();
        }
        for (variable, slot) in [("", "0a1b.json"), (elsewhere.to_str().unwrap(), "2c3d.json")] {
            let env = |name: &str| (name == FOLDER).then(|| variable.to_owned());
            let mut cache = Caches::<LoginCache>::of(vec![home.path().to_owned()]).reader(&env).unwrap();
            let round = cache.read().await;
            assert_unmarked(&round);
            assert_eq!(cache.provider(), Provider::LoginCache);
            let slots: Vec<_> = round.readings.iter().map(|reading| reading.slot.as_str()).collect();
            assert_eq!(slots, [slot]);
        }
    }

    proptest! {
        #[test]
        fn no_result_of_a_damaged_document_shows_a_secret(
            cut in 0..=SESSION.len(), at in 0..SESSION.len(), byte in 0_u8..128,
        ) {
            let mut body = SESSION.as_bytes().to_vec();
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
