//! The credentials of a container: the role of an ECS task, EKS Pod Identity, and whatever else hands them out at an address
//! in the environment.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Provider;
use super::document::{Keys, Want, printable, role_lease, select, text};
use super::file::{self, SMALL};
use super::http::{Http, HttpError};
use super::identity::role_of;
use super::lease::{Lease, Unavailable};
use super::provide::{Around, Provide, Renewal};
use super::round::{Read, Round};
use crate::setting::fault::{Environment, Fault, is_set};
use crate::setting::locate::Path;

/// The service of ECS, for the paths that it puts into the environment of its tasks.
const ECS: &str = "http://169.254.170.2";
/// The addresses that may be asked by plain HTTP beside loopback. Source: container credential provider in the AWS SDKs
/// and tools reference.
const ALLOWED: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// The addresses of EKS Pod Identity.
const POD_IDENTITY: [&str; 2] = ["169.254.170.23", "fd00:ec2::23"];

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The variables that say where to ask.
const WHERE: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// The address in the environment is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings;

/// The role of an ECS task or of an EKS pod.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
#[schemars(rename = "Container")]
pub struct Written {
    /// Whether it is asked where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI says.
    /// Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl Provide for Settings {
    const NAME: &'static str = "container";
    const RENEWAL: Renewal = Renewal::Platform;
    const IS_REFRESHED_BY_SDKS: bool = true;
    const RENEW: &'static str = "look at the agent that hands them out: `docker logs ecs-agent` on an ECS instance, `kubectl -n kube-system \
         logs ds/eks-pod-identity-agent` on EKS; a new task or pod gets new credentials";
    const READS: &'static str = "ECS task role, EKS Pod Identity: `AWS_CONTAINER_CREDENTIALS_*`";
    const EXPIRES_BY: &'static str = "AWS";
    const REFERENCE: &'static str = r"
  # The role of an ECS task or of an EKS pod, where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or
  # AWS_CONTAINER_CREDENTIALS_FULL_URI says where.
  container:
    #enabled: true
";

    type Written = Written;

    fn check(written: Option<&Written>, _: &Path, around: &Around<'_>) -> Result<Option<Self>, Fault> {
        let is_enabled = written.and_then(|written| written.enabled).unwrap_or(true);
        Ok((is_enabled && WHERE.iter().any(|name| is_set(around.env, name))).then_some(Self))
    }

    fn written(settings: Option<&Self>) -> Option<Written> {
        Some(Written { enabled: Some(settings.is_some()) })
    }

    fn remedy(reason: &Unavailable) -> &'static str {
        match reason {
            Unavailable::Refused
            | Unavailable::Timeout
            | Unavailable::Interrupted
            | Unavailable::Throttled(_)
            | Unavailable::Http(_) => {
                "look at the agent that hands out the credentials of containers: `docker logs ecs-agent` on an ECS \
                 instance, `kubectl -n kube-system get pods -l app.kubernetes.io/name=eks-pod-identity-agent` on EKS; \
                 check AWS_CONTAINER_CREDENTIALS_FULL_URI"
            }
            Unavailable::Forbidden | Unavailable::TokenRefused => {
                "check that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names the token of this very container, and that the \
                 pod identity association still exists: aws eks list-pod-identity-associations --cluster-name <cluster>"
            }
            Unavailable::NoRole | Unavailable::RoleGone | Unavailable::Rejected { .. } => {
                "check that the task or the pod has a role, and that its trust policy names ecs-tasks.amazonaws.com or \
                 pods.eks.amazonaws.com"
            }
            other => other.remedy_of_files(),
        }
    }

    fn reader(&self, env: Environment<'_>) -> Option<Box<dyn Read>> {
        Some(match Container::from_env(env, TIMEOUT)? {
            Ok(container) => Box::new(container),
            Err(error) => Box::new(Nowhere(error)),
        })
    }
}

/// Why the address in the environment cannot be asked. No variant repeats it.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The path for ECS is no path.
    #[error("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path that begins with /")]
    Path,
    /// The URL is none.
    #[error("AWS_CONTAINER_CREDENTIALS_FULL_URI is not a url of http or https")]
    Url,
    /// A host that SDKs would not ask either, because the keys would travel unencrypted.
    #[error(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI names a host to which sdks do not speak plain http: only loopback, \
         169.254.170.2, 169.254.170.23 and fd00:ec2::23 are allowed"
    )]
    Host,
    /// There is no transport.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// How the agent proves who it is.
enum Authorization {
    None,
    /// The file that holds the token, which is read for each request because the kubelet replaces it.
    File(PathBuf),
    /// The value itself, marked as sensitive.
    Value(HeaderValue),
    /// A value that no request can carry.
    Invalid,
}

/// Asks the service that hands out the container's credentials. It has no `Debug`, because it may hold a token.
pub struct Container {
    http: Http,
    url: Url,
    authorization: Authorization,
}

impl Container {
    /// The service that the environment names; `None` where it names none. Each request may take `timeout`.
    ///
    /// As in the SDKs, the path for ECS comes before the URL, and the file of a token before a token. An https URL is
    /// accepted, but not asked: its readings are [`Unavailable::Https`].
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>, timeout: Duration) -> Option<Result<Self, SetupError>> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let url = match set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => ecs(&path),
            None => full(&set("AWS_CONTAINER_CREDENTIALS_FULL_URI")?),
        };
        let authorization = match set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(path) => Authorization::File(path.into()),
            None => set("AWS_CONTAINER_AUTHORIZATION_TOKEN").map_or(Authorization::None, |token| {
                header(token.as_bytes()).map_or(Authorization::Invalid, Authorization::Value)
            }),
        };
        Some(url.and_then(|url| Ok(Self { http: Http::new(timeout, Some(rejection))?, url, authorization })))
    }

    async fn lease(&mut self) -> Result<Lease, Unavailable> {
        if self.url.scheme() == "https" {
            return Err(Unavailable::Https);
        }
        let authorization = self.authorization().await?;
        let answer = self.http.send(Method::GET, self.url.clone(), authorization).await?;
        role_lease(&answer.body, |arn| arn.and_then(role_of).unwrap_or(self.name()).to_owned())
    }

    async fn authorization(&self) -> Result<Option<(HeaderName, HeaderValue)>, Unavailable> {
        let value = match &self.authorization {
            Authorization::None => return Ok(None),
            Authorization::Value(value) => Some(value.clone()),
            Authorization::File(path) => {
                let path = path.clone();
                let content = file::apart(move || file::read(&path, SMALL)).await?;
                header(content.bytes.trim_ascii())
            }
            Authorization::Invalid => None,
        };
        let value = value.ok_or(Unavailable::Malformed("the authorization token cannot be sent"))?;
        Ok(Some((AUTHORIZATION, value)))
    }

    /// What to call credentials whose document names no role.
    fn name(&self) -> &'static str {
        let host = address(&self.url);
        if is_one_of(host, &POD_IDENTITY) {
            "pod-identity"
        } else if is_one_of(host, &ALLOWED) {
            "task-role"
        } else {
            "container"
        }
    }
}

#[async_trait]
impl Read for Container {
    fn provider(&self) -> Provider {
        Provider::Container
    }

    async fn read(&mut self) -> Round {
        let result = self.lease().await;
        Round::one(result, self.http.take_requests())
    }
}

/// An endpoint that cannot be asked, which is a finding as any other: SDKs do not ask it either.
struct Nowhere(SetupError);

#[async_trait]
impl Read for Nowhere {
    fn provider(&self) -> Provider {
        Provider::Container
    }

    async fn read(&mut self) -> Round {
        let reason = match self.0 {
            SetupError::Path => "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path",
            SetupError::Url => "AWS_CONTAINER_CREDENTIALS_FULL_URI is not a url",
            SetupError::Host => {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI names a host to which no keys may travel by plain http"
            }
            SetupError::Http(_) => "no http client can be made",
        };
        Round::one(Err(Unavailable::Malformed(reason)), Vec::new())
    }
}

/// The URL of `path` at the service of ECS.
fn ecs(path: &str) -> Result<Url, SetupError> {
    let path = Some(path).filter(|path| path.starts_with('/')).ok_or(SetupError::Path)?;
    Url::parse(&format!("{ECS}{path}")).map_err(|_| SetupError::Path)
}

/// The URL where SDKs would ask it. One with a user in it would send another proof than the token.
fn full(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text).map_err(|_| SetupError::Url)?;
    if !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        return Err(SetupError::Url);
    }
    let address = address(&url);
    let is_loopback = address.map_or(url.host_str() == Some("localhost"), |address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback || is_one_of(address, &ALLOWED) => Ok(url),
        "http" => Err(SetupError::Host),
        _ => Err(SetupError::Url),
    }
}

/// The address in the URL; `None` where it has a name.
fn address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

fn is_one_of(address: Option<IpAddr>, addresses: &[&str]) -> bool {
    address.is_some_and(|address| addresses.contains(&address.to_string().as_str()))
}

/// The token as the value of a header, which no HTTP layer logs; `None` where it cannot be one.
fn header(token: &[u8]) -> Option<HeaderValue> {
    let token =
        Some(token).filter(|token| !token.is_empty() && token.iter().all(|byte| (b' '..=b'~').contains(byte)))?;
    let mut value = HeaderValue::from_bytes(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The code in the body of a refusal, `{"code": …, "message": …}`. The message is for nobody: it may quote the request.
fn rejection(body: &[u8]) -> Option<Unavailable> {
    let [code] = select(body, Keys::AnyCase, [Want::value(&["code"])]).ok()?;
    let code = text(code).ok()?.and_then(printable)?;
    // A code is a word. Whatever has blanks is a sentence, of which nobody knows what it quotes.
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_word.then_some(Unavailable::Rejected { code })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::imds::fake::{Fake, Reply};
    use super::super::marked::{MARKERS, assert_unmarked};
    use super::*;
    use crate::time::rfc3339;

    const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    const ROUTE: &str = "GET /v1/credentials";
    const ECS_DOCUMENT: &str = r#"{"RoleArn":"arn:aws:iam::123456789012:role/teams/web","AccessKeyId":"ASIAMARKER0KEY000000",
        "SecretAccessKey":"MARKERsecretAccessKey","Token":"MARKERsessionToken","Expiration":"2026-03-01T16:00:00Z"}"#;
    const POD_DOCUMENT: &str = r#"{"AccessKeyId":"ASIAMARKER0KEY000000","SecretAccessKey":"MARKERsecretAccessKey",
        "Token":"MARKERsessionToken","AccountId":"123456789012","Expiration":"2026-03-01T16:00:00.123456Z",
        "LastUpdated":"2026-03-01T10:00:00.5Z"}"#;

    fn from(variables: &[(&str, &str)]) -> Option<Result<Container, SetupError>> {
        let env = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Container::from_env(&env, Duration::from_secs(20))
    }

    fn container(fake: &Fake, variables: &[(&str, &str)]) -> Container {
        let url = format!("{}/v1/credentials", fake.endpoint);
        from(&[&[(FULL, url.as_str())], variables].concat()).unwrap().unwrap()
    }

    async fn read(container: &mut Container) -> Result<Lease, Unavailable> {
        let round = container.read().await;
        assert_unmarked(&round);
        assert_eq!((round.readings.len(), round.readings[0].slot.as_str()), (1, ""));
        round.readings.into_iter().next().unwrap().result
    }

    async fn read_of(reply: Reply) -> Result<Lease, Unavailable> {
        let fake = Fake::start([(ROUTE, vec![reply])]).await;
        read(&mut container(&fake, &[])).await
    }

    fn url(variables: &[(&str, &str)]) -> String {
        match from(variables) {
            None => "none".into(),
            Some(Ok(container)) => container.url.to_string(),
            Some(Err(reason)) => format!("{reason:?}"),
        }
    }

    #[test]
    fn the_environment_names_the_service() {
        let ecs = "/v2/credentials/0a1b";
        for (variables, expected) in [
            (&[][..], "none"),
            (&[(RELATIVE, ""), (FULL, "")], "none"),
            (&[(RELATIVE, ecs)], "http://169.254.170.2/v2/credentials/0a1b"),
            (&[(RELATIVE, ecs), (FULL, "http://127.0.0.1/x")], "http://169.254.170.2/v2/credentials/0a1b"),
            (&[(RELATIVE, "/get?id=1")], "http://169.254.170.2/get?id=1"),
            (&[(RELATIVE, "//evil.example/x")], "http://169.254.170.2//evil.example/x"),
            (&[(RELATIVE, "@evil.example/x")], "Path"),
            (&[(RELATIVE, ".evil.example/x")], "Path"),
            (&[(FULL, "http://169.254.170.23/v1/credentials")], "http://169.254.170.23/v1/credentials"),
            (&[(FULL, "http://[fd00:ec2::23]/v1/credentials")], "http://[fd00:ec2::23]/v1/credentials"),
            (&[(FULL, "http://169.254.170.2/x")], "http://169.254.170.2/x"),
            (&[(FULL, "http://127.1.2.3:8080/x?a=b")], "http://127.1.2.3:8080/x?a=b"),
            (&[(FULL, "http://[::1]:8080/x")], "http://[::1]:8080/x"),
            (&[(FULL, "http://localhost/x")], "http://localhost/x"),
            (&[(FULL, "https://credentials.example/x")], "https://credentials.example/x"),
            (&[(FULL, "http://credentials.example/x")], "Host"),
            (&[(FULL, "http://localhost.evil.example/x")], "Host"),
            (&[(FULL, "http://169.254.169.254/x")], "Host"),
            (&[(FULL, "http://10.0.0.1/x")], "Host"),
            (&[(FULL, "http://169.254.170.2@evil.example/x")], "Url"),
            (&[(FULL, "http://user:MARKERpass@127.0.0.1/x")], "Url"),
            (&[(FULL, "ftp://127.0.0.1/x")], "Url"),
            (&[(FULL, "file:///etc/passwd")], "Url"),
            (&[(FULL, "credentials")], "Url"),
        ] {
            assert_eq!(url(variables), expected, "{variables:?}");
        }
    }

    #[tokio::test]
    async fn the_document_of_a_task_becomes_a_lease_of_its_role() {
        let lease = read_of(Reply::ok(ECS_DOCUMENT)).await.unwrap();
        assert_eq!((lease.identity.as_str(), lease.last_updated), ("web", None));
        let expiration = lease.expiration.unwrap();
        assert_eq!(
            (rfc3339(expiration.nanos()).as_str(), expiration.basis().name()),
            ("2026-03-01T16:00:00.000Z", "server")
        );
    }

    #[tokio::test]
    async fn a_document_without_a_role_is_named_after_who_hands_it_out() {
        let lease = read_of(Reply::ok(POD_DOCUMENT)).await.unwrap();
        assert_eq!(lease.identity, "container");
        assert_eq!(lease.expiration.unwrap().nanos() % 1_000_000_000, 123_456_000);
        assert_eq!(rfc3339(lease.last_updated.unwrap().nanos()), "2026-03-01T10:00:00.500Z");
        for (address, name) in [
            ("http://169.254.170.23/v1/credentials", "pod-identity"),
            ("http://[fd00:ec2::23]/v1/credentials", "pod-identity"),
            ("http://169.254.170.2/v2/credentials", "task-role"),
            ("http://127.0.0.1:1/", "container"),
        ] {
            assert_eq!(from(&[(FULL, address)]).unwrap().ok().unwrap().name(), name);
        }
    }

    #[tokio::test]
    async fn the_token_is_read_from_its_file_before_each_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let fake = Fake::start([(ROUTE, vec![Reply::ok(POD_DOCUMENT)])]).await;
        let mut container =
            container(&fake, &[(TOKEN_FILE, path.to_str().unwrap()), (TOKEN, "MARKERtokenOfTheEnvironment")]);
        assert_eq!(read(&mut container).await, Err(Unavailable::NotFound));
        assert_eq!(fake.seen().len(), 0);
        for token in ["MARKERtoken1", "MARKERtoken2\n"] {
            std::fs::write(&path, token).unwrap();
            assert!(read(&mut container).await.is_ok());
            assert_eq!(fake.seen().last().unwrap().header("authorization"), Some(token.trim()));
        }
        for token in ["", "two\nlines", "x\u{7f}", &"x".repeat(SMALL + 1)] {
            std::fs::write(&path, token).unwrap();
            assert!(matches!(read(&mut container).await, Err(Unavailable::Malformed(_) | Unavailable::TooLarge)));
        }
        assert_eq!(fake.seen().len(), 2);
    }

    #[tokio::test]
    async fn the_token_of_the_environment_is_sent_and_none_where_there_is_none() {
        for (token, sent) in [("Basic MARKERtoken", Some("Basic MARKERtoken")), ("", None)] {
            let fake = Fake::start([(ROUTE, vec![Reply::ok(POD_DOCUMENT)])]).await;
            assert!(read(&mut container(&fake, &[(TOKEN, token)])).await.is_ok());
            assert_eq!(fake.seen()[0].header("authorization"), sent);
        }
        let fake = Fake::start([]).await;
        assert!(matches!(read(&mut container(&fake, &[(TOKEN, "a\r\nb")])).await, Err(Unavailable::Malformed(_))));
        assert_eq!(fake.seen().len(), 0);
    }

    #[tokio::test]
    async fn a_refusal_is_told_by_its_code_and_never_by_its_message() {
        let refused = |status, body: &str| read_of(Reply::new(status, body));
        let message = r#"{"code":"InvalidIdInRequest","message":"no MARKERsecretAccessKey","HTTPErrorCode":400}"#;
        let rejected = |code: &str| Err(Unavailable::Rejected { code: code.into() });
        assert_eq!(refused(400, message).await, rejected("InvalidIdInRequest"));
        assert_eq!(refused(403, r#"{"Code":"AccessDeniedException"}"#).await, rejected("AccessDeniedException"));
        assert_eq!(refused(400, r#"{"code":"no MARKERsecretAccessKey"}"#).await, Err(Unavailable::Http(400)));
        assert_eq!(refused(404, "404 page not found MARKERsecretAccessKey").await, Err(Unavailable::Http(404)));
        assert_eq!(refused(401, "").await, Err(Unavailable::Http(401)));
        assert_eq!(refused(403, "no").await, Err(Unavailable::Forbidden));
        assert_eq!(refused(503, message).await, Err(Unavailable::Throttled(503)));
        assert_eq!(refused(302, message).await, Err(Unavailable::Redirect(302)));
        assert_eq!(refused(200, r#"{"Code":"NotYet"}"#).await, rejected("NotYet"));
        assert_eq!(refused(200, "{}").await, Err(Unavailable::MissingExpiration));
        assert!(matches!(refused(200, &ECS_DOCUMENT[..200]).await, Err(Unavailable::Malformed(_))));
    }

    #[tokio::test]
    async fn an_https_service_is_not_asked_and_said_so() {
        let mut container = from(&[(FULL, "https://127.0.0.1:1/x"), (TOKEN, MARKERS[0])]).unwrap().ok().unwrap();
        assert_eq!(read(&mut container).await, Err(Unavailable::Https));
        assert_eq!(container.read().await.requests, []);
    }

    #[tokio::test]
    async fn each_request_is_told() {
        let fake = Fake::start([(ROUTE, vec![Reply::ok(POD_DOCUMENT), Reply::status(500)])]).await;
        let mut container = container(&fake, &[]);
        for outcome in ["ok", "http-500"] {
            assert_eq!(container.read().await.requests[0].outcome, outcome);
        }
    }

    proptest! {
        #[test]
        fn no_address_makes_it_panic(relative: String, full: String, token: String) {
            for variables in [[(RELATIVE, relative.as_str()), (TOKEN, &token)], [(FULL, &full), (TOKEN, &token)]] {
                if let Some(Ok(container)) = from(&variables) {
                    prop_assert!(container.url.has_host());
                    if variables[0].0 == RELATIVE {
                        prop_assert_eq!(container.url.host_str(), Some("169.254.170.2"));
                    }
                }
            }
        }

        #[test]
        fn no_body_of_a_refusal_makes_it_panic(body: Vec<u8>) {
            let _ = rejection(&body);
        }
    }
}
