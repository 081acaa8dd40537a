//! The AWS SDKs: a row for each, which says how it deals with expiring credentials, with a wrong clock and with the
//! metadata service.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::proxy::Rule;

use crate::sys;

/// What is known of an SDK. Source: the SDKs' code of 2026, where nothing else is said; of .NET `RefreshingAWSCredentials.cs` and
/// what derives from it, and `RetryPolicy.cs`. The margins of botocore, Java 2.x of 2025, JavaScript v3 and Rust are measured as
/// well.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// M: the SDK refreshes once local time is within M of the expiration, so that `M − lag` is left in true time. Where an
    /// SDK picks M at random from a range, this is its lower end.
    pub refresh_margin: Duration,
    /// Where its margin is judged.
    pub judged: Judged,
    /// What it does when the clock is off. Those for Java signed again after a refusal before 2026; for the others that is
    /// not known.
    pub correction: Correction,
    /// How it finds out whether it asks the metadata service through a proxy.
    pub proxy: Rule,
    /// In which order it looks for credentials; `None` where that is not known.
    pub chain: Option<Chain>,
}

/// Where the margin of an SDK is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Everywhere, unless the configuration names others.
    Usually,
    /// Where the configuration names it, or it is seen to run: its margin is next to nothing and a page about an SDK that
    /// nobody uses would be wrong, or hardly any host has it.
    WhereUsed,
    /// As before, and it has a successor.
    Outdated,
}

/// What an SDK does when the clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Correction {
    /// Nothing: requests are refused.
    Never,
    /// It signs again with the time of the answer, once a request was refused or the clock is off by 240 s.
    BySelf,
}

/// Makes all that depends on which SDKs there are.
macro_rules! sdks {
    ($($(#[doc = $doc:literal])+ $Sdk:ident $name:literal: $row:expr;)+) => {
        /// An AWS SDK, by the way it refreshes credentials.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Sdk {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $Sdk,)+
        }

        impl Sdk {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$Sdk),+];

            /// The name in configuration, attributes and text.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Sdk => $name,)+
                }
            }

            /// What is known of it.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$Sdk => $row,)+
                }
            }
        }
    };
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

sdks! {
    /// boto3, botocore and the AWS CLI.
    Botocore "botocore": Row {
        refresh_margin: seconds(600),
        judged: Judged::Usually,
        correction: Correction::Never,
        proxy: Rule::Urllib,
        chain: Some(Chain::Botocore),
    };
    /// AWS SDK for Java 2.x of 2026 and later.
    JavaV2 "java-v2": Row {
        refresh_margin: seconds(60),
        judged: Judged::Usually,
        correction: Correction::BySelf,
        proxy: Rule::Direct,
        chain: Some(Chain::JavaV2),
    };
    /// AWS SDK for Java 2.x up to 2025.
    JavaV2Legacy "java-v2-2025": Row { refresh_margin: seconds(1), judged: Judged::Outdated, ..Sdk::JavaV2.row() };
    /// AWS SDK for Go v2 of 2026 and later.
    GoV2 "go-v2": Row {
        refresh_margin: seconds(60),
        judged: Judged::Usually,
        correction: Correction::BySelf,
        proxy: Rule::Go,
        chain: Some(Chain::Go),
    };
    /// AWS SDK for Go v2 before 2026.
    GoV2Legacy "go-v2-2025": Row {
        refresh_margin: seconds(0),
        judged: Judged::Outdated,
        correction: Correction::Never,
        ..Sdk::GoV2.row()
    };
    /// AWS SDK for JavaScript v3.
    JsV3 "js-v3": Row {
        refresh_margin: seconds(300),
        judged: Judged::Usually,
        correction: Correction::BySelf,
        proxy: Rule::Node,
        chain: Some(Chain::JsV3),
    };
    /// AWS SDK for C++ and all that is built on the Common Runtime.
    Cpp "cpp": Row {
        refresh_margin: seconds(300),
        judged: Judged::Usually,
        correction: Correction::BySelf,
        proxy: Rule::Direct,
        chain: None,
    };
    /// AWS SDK for Rust.
    Rust "rust": Row {
        refresh_margin: seconds(5),
        judged: Judged::WhereUsed,
        correction: Correction::BySelf,
        proxy: Rule::Hyper,
        chain: Some(Chain::Rust),
    };
    /// AWS SDK for .NET v4.
    // `PreemptExpiryTime` of the credentials that a container, a web identity, a role or a program gives. Those of an instance
    // are asked for every two minutes by a timer, whatever the clock says.
    DotNetV4 "dotnet-v4": Row {
        refresh_margin: seconds(900),
        judged: ON_WINDOWS,
        correction: Correction::BySelf,
        proxy: Rule::DotNet,
        chain: Some(Chain::DotNetV4),
    };
    /// AWS SDK for .NET v3.
    DotNetV3 "dotnet-v3": Row { judged: Judged::Outdated, chain: Some(Chain::DotNetV3), ..Sdk::DotNetV4.row() };
    /// AWS Tools for PowerShell v5.
    // A script begins with fresh credentials, and has ended before they do: its margin matters to few.
    PowerShellV5 "powershell-v5": Row {
        judged: Judged::WhereUsed,
        chain: Some(Chain::PowerShellV5),
        ..Sdk::DotNetV4.row()
    };
    /// AWS Tools for PowerShell up to v4.
    PowerShellV4 "powershell-v4": Row { judged: Judged::Outdated, chain: Some(Chain::PowerShellV4), ..Sdk::DotNetV4.row() };
}

/// On a host without Windows few programs are written in it, and one that is, is seen to run: its margin is larger than that of
/// any other, so that it would add a name to what is told of each host and never a page.
const ON_WINDOWS: Judged = if sys::IS_DOTNET_USUAL { Judged::Usually } else { Judged::WhereUsed };

impl Sdk {
    /// Those that are judged where the configuration names none.
    pub fn usual() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|sdk| sdk.row().judged == Judged::Usually).collect()
    }

    /// Those that are not succeeded by another.
    pub fn current() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|sdk| sdk.row().judged != Judged::Outdated)
    }

    /// M: the SDK refreshes once local time is within M of the expiration.
    pub const fn refresh_margin(self) -> Duration {
        self.row().refresh_margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::documented::{assert_documented, comment};

    #[test]
    fn each_sdk_is_documented_in_the_installed_file() {
        let names: Vec<&str> = Sdk::ALL.iter().map(|sdk| sdk.name()).collect();
        let (last, others) = names.split_last().unwrap();
        let text = format!(
            "The AWS SDKs whose refresh margin is judged: auto, or a list of {} and {last}. auto is those that run on this \
             host as far as can be told, and else every current SDK with a margin of a minute or more, but dotnet-v4 on \
             Windows alone and powershell-v5 nowhere.",
            others.join(", ")
        );
        let between = ("\n  #poll: 1m\n\n", "#sdks: auto\n");
        assert_documented("config/skewguard.yaml", Some(between), &comment("", &text));
    }
}
