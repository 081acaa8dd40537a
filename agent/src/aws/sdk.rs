//! How long before the expiration of a credential each AWS SDK refreshes it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An AWS SDK, by the way it refreshes credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sdk {
    /// boto3, botocore and the AWS CLI.
    Botocore,
    /// AWS SDK for Java 2.x of 2026 and later.
    JavaV2,
    /// AWS SDK for Java 2.x up to 2025.
    #[serde(rename = "java-v2-2025")]
    JavaV2Legacy,
    /// AWS SDK for Go v2 of 2026 and later.
    GoV2,
    /// AWS SDK for Go v2 before 2026.
    #[serde(rename = "go-v2-2025")]
    GoV2Legacy,
    /// AWS SDK for JavaScript v3.
    JsV3,
    /// AWS SDK for C++ and all that is built on the Common Runtime.
    Cpp,
    /// AWS SDK for Rust.
    Rust,
}

impl Sdk {
    /// Those that are judged where the configuration names none: every current SDK whose margin is a minute or more.
    pub const DEFAULT: [Self; 5] = [Self::Botocore, Self::JavaV2, Self::GoV2, Self::JsV3, Self::Cpp];

    /// M: the SDK refreshes once local time is within M of the expiration, so that `M − lag` is left in true time.
    ///
    /// Source: the SDKs' code of 2026. Where an SDK picks M at random from a range, this is its lower end.
    pub const fn refresh_margin(self) -> Duration {
        Duration::from_secs(match self {
            Self::Botocore => 600,
            Self::JsV3 | Self::Cpp => 300,
            Self::JavaV2 | Self::GoV2 => 60,
            Self::Rust => 5,
            Self::JavaV2Legacy => 1,
            Self::GoV2Legacy => 0,
        })
    }

    /// The name in configuration, attributes and text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Botocore => "botocore",
            Self::JavaV2 => "java-v2",
            Self::JavaV2Legacy => "java-v2-2025",
            Self::GoV2 => "go-v2",
            Self::GoV2Legacy => "go-v2-2025",
            Self::JsV3 => "js-v3",
            Self::Cpp => "cpp",
            Self::Rust => "rust",
        }
    }
}
