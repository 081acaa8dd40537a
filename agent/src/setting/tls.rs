//! Whom TLS trusts, and as whom it speaks.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom TLS trusts, and as whom it speaks. For an https:// URL only.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
#[schemars(rename = "Tls")]
#[schemars(extend("dependentRequired" = { "cert": ["key"], "key": ["cert"] }))]
pub struct WrittenTls {
    /// The absolute path of a PEM file of the certification authorities that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/"))]
    pub ca: Option<String>,
    /// The absolute path of a PEM file of the client certificate and its chain, where `key` is named as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/"))]
    pub cert: Option<String>,
    /// The absolute path of a PEM file of the key of `cert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/"))]
    pub key: Option<String>,
}

/// Whom TLS trusts, and as whom it speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tls {
    /// A PEM file of the certification authorities that are trusted instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files of a client certificate with its chain, and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}
