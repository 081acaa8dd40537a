//! The libraries that sign requests for AWS, and their versions.

use crate::aws::proxy::Rule;
use crate::aws::sdk::Sdk;

/// Java 2.41.0 was released on 30 December 2025.
const JAVA_OF_2026: (u32, u32, u32) = (2, 41, 0);
/// Go v1.41.1 of the module `github.com/aws/aws-sdk-go-v2` was released on 9 January 2026.
const GO_OF_2026: (u32, u32, u32) = (1, 41, 1);

/// A library that signs requests for AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Library {
    /// One that is maintained.
    Sdk(Sdk),
    /// AWS SDK for Java 1.x.
    JavaV1,
    /// AWS SDK for Go v1.
    GoV1,
    /// AWS SDK for JavaScript v2.
    JsV2,
}

/// A library that was found in a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Which one.
    pub library: Library,
    /// Its version, where the evidence tells it.
    pub version: Option<String>,
    /// By what it was found: a path, the name of a jar or of a module.
    pub evidence: String,
}

impl Library {
    /// The AWS SDK for Java 2.x of this version, the current one where it is not known.
    pub(super) fn java_v2(version: Option<&str>) -> Self {
        let is_legacy = version.and_then(numbers).is_some_and(|version| version < JAVA_OF_2026);
        Self::Sdk(if is_legacy { Sdk::JavaV2Legacy } else { Sdk::JavaV2 })
    }

    /// The AWS SDK for Go v2 of this version, the current one where it is not known.
    pub(super) fn go_v2(version: Option<&str>) -> Self {
        let is_legacy = version.and_then(numbers).is_some_and(|version| version < GO_OF_2026);
        Self::Sdk(if is_legacy { Sdk::GoV2Legacy } else { Sdk::GoV2 })
    }

    /// The AWS SDK for .NET of this version, the current one where it is not known.
    pub(super) fn dotnet(version: Option<&str>) -> Self {
        let is_old = version.and_then(numbers).is_some_and(|version| version < (4, 0, 0));
        Self::Sdk(if is_old { Sdk::DotNetV3 } else { Sdk::DotNetV4 })
    }

    /// The AWS Tools for PowerShell of this version, the current ones where it is not known.
    pub(super) fn powershell(version: Option<&str>) -> Self {
        let is_old = version.and_then(numbers).is_some_and(|version| version < (5, 0, 0));
        Self::Sdk(if is_old { Sdk::PowerShellV4 } else { Sdk::PowerShellV5 })
    }

    /// The SDK, by the way it refreshes credentials; `None` for those of which that is not known.
    pub const fn sdk(self) -> Option<Sdk> {
        match self {
            Self::Sdk(sdk) => Some(sdk),
            Self::JavaV1 | Self::GoV1 | Self::JsV2 => None,
        }
    }

    /// How it finds out whether it asks the metadata service through a proxy. Those for Java and JavaScript never do.
    pub const fn proxy(self) -> Rule {
        match self {
            Self::Sdk(sdk) => sdk.row().proxy,
            Self::GoV1 => Rule::Go,
            Self::JavaV1 | Self::JsV2 => Rule::Direct,
        }
    }

    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sdk(sdk) => sdk.name(),
            Self::JavaV1 => "java-v1",
            Self::GoV1 => "go-v1",
            Self::JsV2 => "js-v2",
        }
    }
}

/// The three numbers of a version; what is missing is zero.
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next().flatten().unwrap_or(0), parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_proves_to_be_old_is_the_older_sdk_and_all_else_is_the_newer() {
        for (version, sdk) in [
            (Some("2.20.162"), Sdk::JavaV2Legacy),
            (Some("2.40.17"), Sdk::JavaV2Legacy),
            (Some("2.41.0"), Sdk::JavaV2),
            (Some("2.100.1"), Sdk::JavaV2),
            (Some("preview"), Sdk::JavaV2),
            (None, Sdk::JavaV2),
        ] {
            assert_eq!(Library::java_v2(version), Library::Sdk(sdk), "{version:?}");
        }
        for (version, sdk) in
            [(Some("1.30.3"), Sdk::GoV2Legacy), (Some("1.41.0"), Sdk::GoV2Legacy), (Some("1.41.1"), Sdk::GoV2)]
        {
            assert_eq!(Library::go_v2(version), Library::Sdk(sdk), "{version:?}");
        }
        for (version, sdk, tools) in [
            (Some("3.7.402.18"), Sdk::DotNetV3, Sdk::PowerShellV4),
            (Some("4.1.0"), Sdk::DotNetV4, Sdk::PowerShellV4),
            (Some("5.0.12"), Sdk::DotNetV4, Sdk::PowerShellV5),
            (None, Sdk::DotNetV4, Sdk::PowerShellV5),
        ] {
            assert_eq!(Library::dotnet(version), Library::Sdk(sdk), "{version:?}");
            assert_eq!(Library::powershell(version), Library::Sdk(tools), "{version:?}");
        }
    }
}
