//! The keys of the instance's role, for the signature of one request and no longer.

use serde::Deserialize;

use super::client::ImdsClient;
use crate::credentials::document::{printable, shape};
use crate::credentials::lease::Unavailable;

/// What a request is signed with. It has neither `Debug` nor `Clone`: it is dropped after the one signature for which
/// it was fetched, and the process-wide allocator wipes what is dropped.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RoleKeys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    #[serde(rename = "Token")]
    pub(crate) session_token: String,
}

/// Says whether there are keys at all.
#[derive(Deserialize)]
struct Outcome {
    #[serde(rename = "Code")]
    code: Option<String>,
}

impl ImdsClient {
    /// Reads the keys of the instance's role, within the limits of every other reading.
    ///
    /// # Errors
    /// The service cannot be asked, or has no keys to give. No error shows a part of them.
    pub async fn role_keys(&mut self) -> Result<RoleKeys, Unavailable> {
        let (_, body) = self.document().await?;
        keys(&body)
    }
}

fn keys(document: &[u8]) -> Result<RoleKeys, Unavailable> {
    let outcome: Outcome = serde_json::from_slice(document).map_err(|error| shape(&error))?;
    if let Some(code) = outcome.code.and_then(printable).filter(|code| !code.eq_ignore_ascii_case("success")) {
        return Err(Unavailable::Rejected { code });
    }
    let keys: RoleKeys = serde_json::from_slice(document).map_err(|error| shape(&error))?;
    if [&keys.access_key_id, &keys.secret_access_key, &keys.session_token].iter().any(|text| text.is_empty()) {
        return Err(Unavailable::Malformed("a key of the role is empty"));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::super::fake::{DOCUMENT, DOCUMENT_ROUTE, Fake, Reply, SECRETS, config};
    use super::*;

    fn reason(document: &str) -> Unavailable {
        keys(document.as_bytes()).err().unwrap()
    }

    #[tokio::test]
    async fn the_keys_of_the_role_are_read_with_a_token() {
        let fake = Fake::healthy([]).await;
        let keys = ImdsClient::new(&config(&fake.endpoint)).unwrap().role_keys().await.ok().unwrap();
        assert_eq!([keys.access_key_id, keys.secret_access_key, keys.session_token], SECRETS);
        let seen = fake.seen();
        assert!(seen.last().unwrap().header("x-aws-ec2-metadata-token").is_some());
        assert_eq!(fake.count(DOCUMENT_ROUTE), 1);
    }

    #[tokio::test]
    async fn a_service_that_gives_none_is_told_by_its_reason() {
        let fake = Fake::healthy([(DOCUMENT_ROUTE, vec![Reply::status(404)])]).await;
        let result = ImdsClient::new(&config(&fake.endpoint)).unwrap().role_keys().await;
        assert_eq!(result.err(), Some(Unavailable::RoleGone));
    }

    #[test]
    fn a_document_without_keys_says_why_and_shows_none() {
        let code = "AssumeRoleUnauthorizedAccess";
        assert_eq!(reason(&DOCUMENT.replace("Success", code)), Unavailable::Rejected { code: code.into() });
        assert_eq!(reason(r#"{"Code": "InternalError"}"#), Unavailable::Rejected { code: "InternalError".into() });
        for document in [
            DOCUMENT.replace("\"Token\"", "\"Tok\""),
            DOCUMENT.replace("wJalrSecretExample", ""),
            DOCUMENT.replace("\"wJalrSecretExample\"", "{\"x\": \"wJalrSecretExample\"}"),
            DOCUMENT[..200].to_owned(),
            String::new(),
        ] {
            let shown = format!("{:?}", reason(&document));
            assert!(shown.starts_with("Malformed"), "{shown}");
            assert!(!SECRETS.iter().any(|secret| shown.contains(secret)), "{shown}");
        }
    }
}
