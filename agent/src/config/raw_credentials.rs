//! What expires beside the role of the instance, exactly as it is written. The comments of the fields are the descriptions
//! in the JSON schema.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::credentials::timestamp::Basis;
use crate::setting::named::Named;
use crate::setting::period::Period;

/// The role of an ECS task or of an EKS pod.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct Container {
    /// Whether it is asked where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI says.
    /// Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// The token of a Kubernetes service account (IRSA).
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct WebIdentity {
    /// Whether it is read. Default: true where there is a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The file, an absolute path. Default: AWS_WEB_IDENTITY_TOKEN_FILE.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/"))]
    pub token_file: Option<String>,
}

/// A file that says when something expires: exactly one of json and certificate.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
#[schemars(extend("oneOf" = [{ "required": ["json"] }, { "required": ["certificate"] }]))]
pub struct File {
    /// What people call it: unique, 1 to 64 letters, digits, dots, underscores and hyphens.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub name: String,
    /// A JSON file with an expiration in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Json>,
    /// A PEM file whose first certificate expires, as for IAM Roles Anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// The remaining life from which its expiring is a warning. Default: that of credential-expiring, for a certificate
    /// 168h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Period>,
    /// The remaining life from which its expiring is critical. Default: that of credential-expiring, for a certificate 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<Period>,
}

/// A JSON file with an expiration in it.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Json {
    /// The file, an absolute path.
    #[schemars(regex(pattern = r"^/"))]
    pub path: String,
    /// Where the expiration stands (RFC 6901), such as /Credentials/Expiration: a text in RFC 3339, or a number of seconds
    /// or milliseconds since the Unix epoch.
    #[schemars(regex(pattern = r"^/"))]
    pub pointer: String,
    /// By whose clock it was written: server, or local where a program of this host added a lifetime to its own time.
    /// Default: server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Named<Basis>>,
}

/// A PEM file whose first certificate expires.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Certificate {
    /// The file, an absolute path.
    #[schemars(regex(pattern = r"^/"))]
    pub path: String,
}
