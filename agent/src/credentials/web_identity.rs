//! The token of a Kubernetes service account, for which STS hands out the credentials of a role (IRSA).

use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Provider;
use super::document::shape;
use super::file::{self, SMALL};
use super::identity::{file_name, role_of};
use super::lease::{Lease, Unavailable};
use super::provide::{Around, Provide, Renewal};
use super::round::{Read, Round};
use super::timestamp::Timestamp;
use crate::setting::fault::{Environment, Fault, from_variable};
use crate::setting::locate::Path;
use crate::setting::path::absolute;
use crate::time::TrueTime;

/// The variable that names the file of the token.
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
/// The variable that names the role.
const ROLE_ARN: &str = "AWS_ROLE_ARN";
/// The year 2262, where nanoseconds in 64 bits end.
const LATEST: f64 = 9.2e9;

/// The file of the token, and the role that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub token_file: PathBuf,
}

/// The token of a Kubernetes service account (IRSA).
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
#[schemars(rename = "WebIdentity")]
pub struct Written {
    /// Whether it is read. Default: true where there is a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The file, an absolute path. Default: AWS_WEB_IDENTITY_TOKEN_FILE.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/"))]
    pub token_file: Option<String>,
}

impl Provide for Settings {
    const NAME: &'static str = "web-identity";
    const RENEWAL: Renewal = Renewal::Kubelet;
    const RENEW: &'static str = "look at the kubelet of this node, which renews the token at four fifths of its life: `journalctl -u \
         kubelet`; a new pod gets a new token";
    const NOUN: &'static str = "token";
    const READS: &'static str = "the token of a service account (IRSA): `AWS_WEB_IDENTITY_TOKEN_FILE`";
    const EXPIRES_BY: &'static str = "the cluster";
    const REFERENCE: &'static str = r"
  # The token of a Kubernetes service account (IRSA).
  web_identity:
    # Default: true where there is a file.
    #enabled: true
    # An absolute path. Default: AWS_WEB_IDENTITY_TOKEN_FILE.
    #token_file: /var/run/secrets/eks.amazonaws.com/serviceaccount/token
";

    type Written = Written;

    fn check(written: Option<&Written>, at: &Path, around: &Around<'_>) -> Result<Option<Self>, Fault> {
        let (enabled, file) = written.map_or((None, None), |given| (given.enabled, given.token_file.as_deref()));
        let file = match file {
            Some(path) => Some(absolute(path, &at.key("token_file"))?),
            None => from_variable(around.env, TOKEN_FILE, |path| Ok(PathBuf::from(path)))?,
        };
        match (enabled, file) {
            (Some(false), _) => Ok(None),
            (Some(true), None) => {
                let message = "there is no file: write one, or set AWS_WEB_IDENTITY_TOKEN_FILE";
                Err(Fault::at(at.key("token_file"), message))
            }
            (_, file) => Ok(file.map(|token_file| Self { token_file })),
        }
    }

    fn written(settings: Option<&Self>) -> Option<Written> {
        let token_file = settings.map(|settings| settings.token_file.display().to_string());
        Some(Written { enabled: Some(settings.is_some()), token_file })
    }

    fn reader(&self, env: Environment<'_>) -> Option<Box<dyn Read>> {
        Some(Box::new(WebIdentity::at(self.token_file.clone(), env)))
    }
}

/// Reads when the token expires. The kubelet replaces the file, so that it is read anew each time.
pub struct WebIdentity {
    path: PathBuf,
    identity: String,
}

impl WebIdentity {
    /// The token at `path`, under the name of its role in the environment or else of its file.
    fn at(path: PathBuf, env: Environment<'_>) -> Self {
        let role = env(ROLE_ARN).and_then(|arn| role_of(&arn).map(str::to_owned));
        let identity = role.unwrap_or_else(|| file_name(path.file_name().unwrap_or(path.as_os_str())));
        Self { path, identity }
    }
}

#[async_trait]
impl Read for WebIdentity {
    fn provider(&self) -> Provider {
        Provider::WebIdentity
    }

    async fn read(&mut self) -> Round {
        let (path, identity) = (self.path.clone(), self.identity.clone());
        let lease = move || file::read(&path, SMALL).and_then(|content| lease(identity, &content.bytes));
        Round::one(file::apart(lease).await, Vec::new())
    }
}

/// The claims that are kept, in seconds since the epoch. Source: RFC 7519 §4.1.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    iat: Option<f64>,
    nbf: Option<f64>,
}

/// The lease of a token. Only its middle part is decoded; the signature is left alone.
fn lease(identity: String, token: &[u8]) -> Result<Lease, Unavailable> {
    let mut parts = token.trim_ascii().split(|byte| *byte == b'.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Unavailable::Malformed("the token is not a json web token"));
    };
    let payload = URL_SAFE_NO_PAD.decode(payload);
    let payload = payload.map_err(|_| Unavailable::Malformed("the payload of the token is not base64url"))?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|error| shape(&error))?;
    let expiration = claims.exp.ok_or(Unavailable::MissingExpiration)?;
    Ok(Lease {
        identity,
        code: None,
        kind: None,
        last_updated: claims.iat.or(claims.nbf).map(time).transpose()?,
        expiration: Some(time(expiration)?),
    })
}

fn time(seconds: f64) -> Result<Timestamp, Unavailable> {
    let seconds = Some(seconds).filter(|seconds| (0.0..LATEST).contains(seconds));
    let seconds = seconds.ok_or(Unavailable::Malformed("a time of the token is out of range"))?;
    Ok(Timestamp::Server(TrueTime::from_seconds(seconds)))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::super::marked::assert_unmarked;
    use super::*;
    use crate::time::rfc3339;

    const CLAIMS: &str = r#"{"aud":["sts.amazonaws.com"],"exp":1772380800,"iat":1772294400,
        "iss":"https://oidc.eks.eu-central-1.amazonaws.com/id/MARKERissuer","jti":"MARKERid",
        "kubernetes.io":{"namespace":"MARKERnamespace","exp":1,"pod":{"name":"MARKERpod","uid":"MARKERuid"}},
        "nbf":1772294401,"sub":"system:serviceaccount:MARKERnamespace:default"}"#;

    fn token(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.MARKERsignature", part(r#"{"alg":"RS256","kid":"MARKERkid"}"#), part(claims))
    }

    fn read(token: &str) -> Result<Lease, Unavailable> {
        let result = lease("web".into(), token.as_bytes());
        assert_unmarked(&Round::one(result.clone(), Vec::new()));
        result
    }

    fn from(variables: &[(&str, &str)]) -> Option<WebIdentity> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings::check(None, &Path::root("credentials"), &Around { env: &find, homes: &[] });
        let Settings { token_file } = settings.unwrap_or_else(|_| panic!("refused"))?;
        Some(WebIdentity::at(token_file, &find))
    }

    #[test]
    fn a_token_expires_by_the_clock_of_its_issuer() {
        let lease = read(&token(CLAIMS)).unwrap();
        let [expiration, updated] = [lease.expiration, lease.last_updated].map(Option::unwrap);
        assert_eq!(
            (rfc3339(expiration.nanos()).as_str(), expiration.basis().name()),
            ("2026-03-01T16:00:00.000Z", "server")
        );
        assert_eq!((rfc3339(updated.nanos()).as_str(), updated.basis().name()), ("2026-02-28T16:00:00.000Z", "server"));
        let without = read(&token(&CLAIMS.replace("\"iat\"", "\"tai\""))).unwrap();
        assert_eq!(rfc3339(without.last_updated.unwrap().nanos()), "2026-02-28T16:00:01.000Z");
        assert_eq!(read(&token(r#"{"exp":1772380800}"#)).unwrap().last_updated, None);
        let fraction = read(&token(r#"{"exp":1772380800.5}"#)).unwrap();
        assert_eq!(rfc3339(fraction.expiration.unwrap().nanos()), "2026-03-01T16:00:00.500Z");
    }

    #[test]
    fn what_is_no_token_says_why() {
        let valid = token(CLAIMS);
        let malformed = [
            String::new(),
            "MARKERsecret".into(),
            valid.replace('.', ""),
            format!("{valid}.MARKER"),
            "MARKER.MARKER+/==.MARKER".into(),
            token("MARKER"),
            token("[]"),
            token(&CLAIMS[..60]),
            token(r#"{"exp":"MARKER"}"#),
            token(r#"{"exp":-1}"#),
            token(r#"{"exp":1e300}"#),
            token(r#"{"exp":1772380800000}"#),
        ];
        for token in malformed {
            assert!(matches!(read(&token), Err(Unavailable::Malformed(_))), "{token}");
        }
        for claims in ["{}", r#"{"exp":null,"iat":1}"#, r#"{"EXP":1772380800}"#] {
            assert_eq!(read(&token(claims)), Err(Unavailable::MissingExpiration));
        }
    }

    #[test]
    fn the_environment_names_the_file_and_the_role() {
        let file = (TOKEN_FILE, "/var/run/secrets/eks.amazonaws.com/serviceaccount/token");
        assert_eq!(from(&[file, (ROLE_ARN, "arn:aws:iam::123456789012:role/a/web")]).unwrap().identity, "web");
        for role in ["", "MARKER"] {
            assert_eq!(from(&[file, (ROLE_ARN, role)]).unwrap().identity, "token");
        }
        assert!(from(&[(TOKEN_FILE, ""), (ROLE_ARN, "arn:aws:iam::123456789012:role/web")]).is_none());
    }

    /// The kubelet puts another link in the place of the one to the folder of the token.
    #[tokio::test]
    async fn a_token_that_was_replaced_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, data) = (folder.path().join("token"), folder.path().join("data"));
        symlink("data/token", &path).unwrap();
        let mut provider = WebIdentity { path, identity: "web".into() };
        assert_eq!(provider.provider(), Provider::WebIdentity);
        assert_eq!(provider.read().await.readings[0].result, Err(Unavailable::NotFound));
        for (name, exp) in [("1", 1_772_380_800_i64), ("2", 1_772_384_400)] {
            let version = folder.path().join(name);
            fs::create_dir(&version).unwrap();
            fs::write(version.join("token"), token(&format!("{{\"exp\":{exp}}}"))).unwrap();
            let _ = fs::remove_file(&data);
            symlink(name, &data).unwrap();
            let round = provider.read().await;
            assert_unmarked(&round);
            let lease = round.readings[0].result.clone().unwrap();
            assert_eq!(lease.expiration.unwrap().nanos(), exp * 1_000_000_000);
        }
    }

    proptest! {
        #[test]
        fn no_token_makes_it_panic(token: Vec<u8>) {
            let _ = lease("web".into(), &token);
        }

        #[test]
        fn no_result_of_damaged_claims_shows_a_secret(
            cut in 0..=CLAIMS.len(), at in 0..CLAIMS.len(), byte in 0_u8..128,
        ) {
            let mut claims = CLAIMS.as_bytes().to_vec();
            claims[at] = byte;
            claims.truncate(cut);
            let _ = read(&token(std::str::from_utf8(&claims).unwrap()));
        }
    }
}
