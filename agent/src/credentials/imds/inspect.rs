//! What the doctor asks beyond the credentials: whether the service answers without a token, with one, and what it says
//! of the instance profile.

use reqwest::Method;
use serde::Deserialize;

use super::client::{Answerer, ImdsClient, ROLES_PATH, Request};
use super::document;
use super::host::word;
use crate::credentials::document::{printable, shape};
use crate::credentials::lease::{Lease, Unavailable};

/// What is asked without a token: a list of names, in which nothing is secret.
const OPEN_PATH: &str = "/latest/meta-data/";
const INFO_PATH: &str = "/latest/meta-data/iam/info";
const INSTANCE_ID_PATH: &str = "/latest/meta-data/instance-id";

/// The role of the instance as the service shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name; where several are listed, the first, as SDKs take it.
    pub name: String,
    /// How many roles are listed.
    pub listed: usize,
    /// The lease of its credentials, or why there is none.
    pub lease: Result<Lease, Unavailable>,
}

/// The instance profile in `iam/info`. Each text is printable ASCII, 128 characters at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `Success`, or why the profile yields no credentials.
    pub code: Option<String>,
    /// When it was last looked at, as the service wrote it.
    pub last_updated: Option<String>,
    /// The ARN of the instance profile.
    pub arn: Option<String>,
}

impl Profile {
    /// The name of the profile, which is the last part of its ARN.
    pub fn name(&self) -> Option<&str> {
        let (_, path) = self.arn.as_deref()?.split_once(":instance-profile/")?;
        path.rsplit('/').next().filter(|name| !name.is_empty())
    }
}

/// The part of `iam/info` that is kept.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    code: Option<String>,
    last_updated: Option<String>,
    instance_profile_arn: Option<String>,
}

impl ImdsClient {
    /// Asks as IMDSv1 does, without a token. `Http(401)` means that the service demands one.
    ///
    /// # Errors
    /// All but status 200.
    pub async fn open(&mut self) -> Result<(), Unavailable> {
        self.send(Method::GET, OPEN_PATH, None).await.map(drop)
    }

    /// Asks for a token and keeps it.
    ///
    /// # Errors
    /// There is none.
    pub async fn session(&mut self) -> Result<(), Unavailable> {
        self.token().await.map(drop)
    }

    /// Reads the list of roles and the lease of the first.
    ///
    /// # Errors
    /// The list cannot be had, is empty, or does not begin with a role.
    pub async fn role(&mut self) -> Result<Role, Unavailable> {
        let list = self.get(ROLES_PATH).await?.ok_or(Unavailable::NoRole)?;
        let name = document::role(&list)?.to_owned();
        let lease = match self.get(&format!("{ROLES_PATH}{name}")).await {
            Ok(Some(body)) => document::lease(&name, &body),
            Ok(None) => Err(Unavailable::RoleGone),
            Err(reason) => Err(reason),
        };
        Ok(Role { name, listed: document::roles(&list), lease })
    }

    /// Reads the instance profile; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be had, or is no such document.
    pub async fn profile(&mut self) -> Result<Option<Profile>, Unavailable> {
        let Some(body) = self.get(INFO_PATH).await? else { return Ok(None) };
        let info: Info = serde_json::from_slice(&body).map_err(|error| shape(&error))?;
        let plain = |text: Option<String>| text.and_then(printable);
        Ok(Some(Profile {
            code: plain(info.code),
            last_updated: plain(info.last_updated),
            arn: plain(info.instance_profile_arn),
        }))
    }

    /// Reads the identifier of the instance, such as `i-0123456789abcdef0`; `None` where the service does not say it.
    pub async fn instance_id(&mut self) -> Option<String> {
        self.get(INSTANCE_ID_PATH).await.ok().flatten().and_then(word)
    }

    /// What the last answer said of the one who answered; `None` before the first.
    pub fn answerer(&self) -> Option<&Answerer> {
        self.http.answerer()
    }

    /// Every HTTP request since the last call, repetitions included.
    pub fn take_requests(&mut self) -> Vec<Request> {
        self.http.take_requests()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, ROLES_ROUTE, Reply, SECRETS, TOKEN, config};
    use super::*;

    const OPEN_ROUTE: &str = "GET /latest/meta-data/";
    const INFO_ROUTE: &str = "GET /latest/meta-data/iam/info";

    fn client(fake: &Fake) -> ImdsClient {
        ImdsClient::new(&config(&fake.endpoint)).unwrap()
    }

    #[tokio::test]
    async fn a_request_without_a_token_carries_none_even_after_one_was_handed_out() {
        let fake = Fake::healthy([(OPEN_ROUTE, vec![Reply::status(401), Reply::ok("ami-id")])]).await;
        let mut client = client(&fake);
        client.session().await.unwrap();
        assert_eq!(client.open().await, Err(Unavailable::Http(401)));
        assert_eq!(client.open().await, Ok(()));
        for request in fake.seen().iter().filter(|request| request.line == OPEN_ROUTE) {
            assert_eq!(request.header("x-aws-ec2-metadata-token"), None);
        }
        assert_eq!(client.take_requests().len(), 3);
    }

    #[tokio::test]
    async fn the_first_of_several_roles_is_read_and_all_are_counted() {
        let fake = Fake::healthy([(ROLES_ROUTE, vec![Reply::ok("web\n\nother\n")])]).await;
        let role = client(&fake).role().await.unwrap();
        assert_eq!((role.name.as_str(), role.listed), ("web", 2));
        assert_eq!(role.lease.unwrap().identity, "web");
    }

    #[tokio::test]
    async fn the_profile_is_told_without_what_could_steer_a_terminal() {
        let info = r#"{"Code": "Success", "LastUpdated": "2026-03-01T10:00:00Z", "InstanceProfileId": "AIPAEXAMPLE",
            "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/team/\u001bweb-profile"}"#;
        let fake = Fake::healthy([(INFO_ROUTE, vec![Reply::ok(info)])]).await;
        let profile = client(&fake).profile().await.unwrap().unwrap();
        assert_eq!((profile.code.as_deref(), profile.name()), (Some("Success"), Some("web-profile")));
        assert!(!format!("{profile:?}").contains("AIPAEXAMPLE"));
        let none = Fake::healthy([]).await;
        assert_eq!(client(&none).profile().await, Ok(None));
        for body in ["[]", "{\"Code\":", "wJalrSecretExample"] {
            let fake = Fake::healthy([(INFO_ROUTE, vec![Reply::ok(body)])]).await;
            assert!(matches!(client(&fake).profile().await, Err(Unavailable::Malformed(_))), "{body}");
        }
    }

    #[tokio::test]
    async fn nothing_that_is_read_shows_a_secret_or_the_token() {
        let fake = Fake::healthy([(INFO_ROUTE, vec![Reply::ok(super::super::fake::DOCUMENT)])]).await;
        let mut client = client(&fake);
        let shown = format!("{:?} {:?} {:?}", client.role().await, client.profile().await, client.take_requests());
        for secret in SECRETS.into_iter().chain([TOKEN]) {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
