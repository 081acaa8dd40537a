//! What the instance is, for the resource attributes of telemetry.

use serde::{Deserialize, Serialize};

use super::client::ImdsClient;
use crate::credentials::lease::Unavailable;

const METADATA_PATH: &str = "/latest/meta-data/";
const IDENTITY_PATH: &str = "/latest/dynamic/instance-identity/document";

/// The longest word, in bytes.
const LONGEST: usize = 128;

/// What the instance is. Each text is a word of 128 characters at most, and `None` where the service does not
/// say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIdentity {
    /// Such as `i-0123456789abcdef0`.
    pub instance_id: Option<String>,
    /// Such as `m7g.large`.
    pub instance_type: Option<String>,
    /// Such as `eu-central-1`.
    pub region: Option<String>,
    /// Such as `eu-central-1a`.
    pub availability_zone: Option<String>,
    /// The twelve digits of the AWS account.
    pub account_id: Option<String>,
    /// Such as `ami-0123456789abcdef0`.
    pub image_id: Option<String>,
    /// The Auto Scaling group, where the instance's tags are in its metadata.
    #[serde(default)]
    pub auto_scaling_group: Option<String>,
    /// The EKS cluster, likewise.
    #[serde(default)]
    pub cluster: Option<String>,
}

/// The tags that AWS gives to what it has started by itself. They need no permission, and are there where somebody has allowed
/// tags in instance metadata.
const AUTO_SCALING_GROUP: &str = "tags/instance/aws:autoscaling:groupName";
const CLUSTER: &str = "tags/instance/aws:eks:cluster-name";

impl HostIdentity {
    /// What is known, under the names of the OpenTelemetry resource conventions.
    pub fn attributes(&self) -> Vec<(&'static str, &str)> {
        let known = [
            ("host.id", &self.instance_id),
            ("host.type", &self.instance_type),
            ("host.image.id", &self.image_id),
            ("cloud.region", &self.region),
            ("cloud.availability_zone", &self.availability_zone),
            ("cloud.account.id", &self.account_id),
            ("aws.autoscaling.group.name", &self.auto_scaling_group),
            ("k8s.cluster.name", &self.cluster),
        ];
        let known = known.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        known.chain([("cloud.provider", "aws"), ("cloud.platform", "aws_ec2")]).collect()
    }
}

/// The part of the instance identity document that is kept.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityDocument {
    account_id: Option<String>,
    image_id: Option<String>,
    region: Option<String>,
}

impl ImdsClient {
    /// Reads what the instance is.
    ///
    /// `None` where the service says nothing, or cannot be asked at the moment; then it is worth to ask again later,
    /// which a half-filled identity would hide.
    pub async fn host(&mut self) -> Option<HostIdentity> {
        let identity = self.identity().await.ok()?;
        (identity != HostIdentity::default()).then_some(identity)
    }

    async fn identity(&mut self) -> Result<HostIdentity, Unavailable> {
        let document = self.optional(IDENTITY_PATH).await?;
        let document: IdentityDocument =
            document.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let region = self.text("placement/region").await?;
        Ok(HostIdentity {
            instance_id: self.text("instance-id").await?,
            instance_type: self.text("instance-type").await?,
            region: region.or_else(|| document.region.and_then(word)),
            availability_zone: self.text("placement/availability-zone").await?,
            account_id: document.account_id.and_then(word),
            image_id: document.image_id.and_then(word),
            auto_scaling_group: self.text(AUTO_SCALING_GROUP).await?,
            cluster: self.text(CLUSTER).await?,
        })
    }

    async fn text(&mut self, path: &str) -> Result<Option<String>, Unavailable> {
        Ok(self.optional(&format!("{METADATA_PATH}{path}")).await?.and_then(word))
    }

    /// The body at `path`, `None` where the service will not give it. An error is one that concerns every path.
    async fn optional(&mut self, path: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        match self.get(path).await {
            Err(reason) if reason.is_transient() || reason == Unavailable::TokenRefused => Err(reason),
            result => Ok(result.unwrap_or_default()),
        }
    }
}

/// The text where it is one word, as all identifiers of AWS are. Anything else, such as a whole document that a proxy hands
/// out in the wrong place, may hold a secret, and all of this goes into telemetry.
pub(super) fn word(text: impl AsRef<[u8]>) -> Option<String> {
    let text = std::str::from_utf8(text.as_ref()).ok()?.trim();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    ((1..=LONGEST).contains(&text.len()) && text.chars().all(is_part)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Reply, config};
    use super::*;

    const DOCUMENT: &str = r#"{"accountId": "123456789012", "imageId": "ami-1", "region": "eu-central-1",
        "instanceId": "i-1", "devpayProductCodes": null, "pendingTime": "2026-03-01T10:00:00Z"}"#;

    #[tokio::test]
    async fn an_instance_says_what_it_is() {
        let fake = Fake::start([
            ("GET /latest/dynamic/instance-identity/document", vec![Reply::ok(DOCUMENT)]),
            ("GET /latest/meta-data/instance-id", vec![Reply::ok("i-1\n")]),
            ("GET /latest/meta-data/instance-type", vec![Reply::ok("m7g.large")]),
            ("GET /latest/meta-data/placement/region", vec![Reply::ok("eu-central-1")]),
            ("GET /latest/meta-data/placement/availability-zone", vec![Reply::ok("eu-central-1a")]),
            ("GET /latest/meta-data/tags/instance/aws:autoscaling:groupName", vec![Reply::ok("web-blue")]),
            ("GET /latest/meta-data/tags/instance/aws:eks:cluster-name", vec![Reply::ok("prod-1")]),
        ])
        .await;
        let host = ImdsClient::new(&config(&fake.endpoint)).unwrap().host().await.unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            host,
            HostIdentity {
                instance_id: some("i-1"),
                instance_type: some("m7g.large"),
                region: some("eu-central-1"),
                availability_zone: some("eu-central-1a"),
                account_id: some("123456789012"),
                image_id: some("ami-1"),
                auto_scaling_group: some("web-blue"),
                cluster: some("prod-1"),
            }
        );
        assert_eq!(fake.count("PUT /latest/api/token"), 1);
        assert!(fake.seen().iter().all(|request| !request.line.contains("credentials")));
    }

    #[tokio::test]
    async fn what_is_missing_or_forbidden_is_left_out_and_the_region_comes_from_the_document() {
        let fake = Fake::start([
            ("GET /latest/dynamic/instance-identity/document", vec![Reply::ok(DOCUMENT)]),
            ("GET /latest/meta-data/instance-id", vec![Reply::status(403)]),
            ("GET /latest/meta-data/instance-type", vec![Reply::ok("\u{1b}[31m")]),
        ])
        .await;
        let host = ImdsClient::new(&config(&fake.endpoint)).unwrap().host().await.unwrap();
        assert_eq!(host.instance_id, None);
        assert_eq!(host.instance_type, None);
        assert_eq!(host.region.as_deref(), Some("eu-central-1"));
        assert_eq!(host.availability_zone, None);
        assert_eq!(host.auto_scaling_group, None);
    }

    #[tokio::test]
    async fn a_service_that_says_nothing_or_fails_on_the_way_gives_no_identity() {
        let silent = Fake::start([]).await;
        assert_eq!(ImdsClient::new(&config(&silent.endpoint)).unwrap().host().await, None);
        let failing = Fake::start([
            ("GET /latest/dynamic/instance-identity/document", vec![Reply::ok(DOCUMENT)]),
            ("GET /latest/meta-data/instance-id", vec![Reply::status(503)]),
        ])
        .await;
        assert_eq!(ImdsClient::new(&config(&failing.endpoint)).unwrap().host().await, None);
    }

    #[test]
    fn what_is_no_word_identifies_nothing() {
        for good in ["i-0123456789abcdef0", "eu-central-1a", "m7g.large", "ami_1"] {
            assert_eq!(word(good).as_deref(), Some(good));
        }
        for bad in ["", "two words", "{\"SecretAccessKey\":\"x\"}", "a\nb", &"x".repeat(129)] {
            assert_eq!(word(bad), None, "{bad}");
        }
    }
}
