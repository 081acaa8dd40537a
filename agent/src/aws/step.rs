//! What a chain is made of: where credentials come from, how long they live, and why what is there is not taken.

use std::fmt;

/// An SDK, by the order in which it looks for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// boto3, botocore and the AWS CLI.
    Botocore,
    /// AWS SDK for Java 1.x.
    JavaV1,
    /// AWS SDK for Java 2.x.
    JavaV2,
    /// AWS SDK for Rust.
    Rust,
    /// AWS SDK for Go v2.
    Go,
    /// AWS SDK for JavaScript v3.
    JsV3,
    /// AWS SDK for .NET v3.
    DotNetV3,
    /// AWS SDK for .NET v4.
    DotNetV4,
    /// AWS Tools for PowerShell up to v4, which are built on v3 for .NET.
    PowerShellV4,
    /// AWS Tools for PowerShell v5, which are built on v4 for .NET.
    PowerShellV5,
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Keys in environment variables.
    Environment,
    /// Keys in Java system properties.
    SystemProperties,
    /// A role for a web identity token, both named by environment variables (IRSA).
    WebIdentity,
    /// A profile of the shared files.
    Profile {
        /// The profile's name.
        name: String,
        /// What it says.
        how: How,
    },
    /// A profile of the encrypted store that .NET, PowerShell and Visual Studio have on Windows.
    SdkStore {
        /// The profile's name.
        name: String,
        /// What it says.
        how: How,
    },
    /// The role of an ECS task, or EKS Pod Identity.
    Container,
    /// The role of the instance.
    InstanceRole,
}

/// How a profile gives credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Keys that stand in it.
    Static,
    /// A role that is assumed with the credentials of another profile.
    AssumeRole,
    /// A role that is assumed with credentials from outside the files, by `credential_source`.
    CredentialSource,
    /// A role for a web identity token.
    WebIdentity,
    /// IAM Identity Center.
    Sso,
    /// A program, by `credential_process`.
    Process,
    /// `aws login`.
    Login,
    /// A role by SAML, for whoever is signed in to Windows. The encrypted store alone has it.
    Saml,
}

/// How long credentials stay valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// For ever: keys of a user.
    LongLived,
    /// For some hours, and the SDK neither knows how many nor can get others: a session token that was put there.
    Unrenewed,
    /// The SDK replaces them before they expire.
    Refreshed,
}

/// Credentials that an SDK could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where they come from.
    pub step: Step,
    /// Where the credentials come from by which a role is assumed first.
    pub base: Option<Step>,
    /// How long they stay valid.
    pub life: Life,
    /// What shows it: the variables, the file and the profile. Never a secret.
    pub evidence: String,
}

/// Why an SDK that came upon something did not take it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// One of two keys.
    #[error("{there} is set in {place}, and {missing} is not")]
    PartialKeys {
        /// Where they stand.
        place: String,
        /// The key that is there.
        there: String,
        /// The key that is not.
        missing: String,
    },
    /// A profile was asked for that no file has.
    #[error("there is no profile {name:?}, which {by} asks for")]
    ProfileMissing {
        /// The profile's name.
        name: String,
        /// The variable that names it, or `the program`.
        by: String,
    },
    /// A file that the SDK refuses as a whole.
    #[error("{path} is refused: {reason}")]
    File {
        /// The file's path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A profile contradicts itself or lacks something.
    #[error("the profile {name:?} {reason}")]
    Profile {
        /// The profile's name.
        name: String,
        /// What is wrong with it, as the rest of a sentence.
        reason: String,
    },
    /// A web identity token without a role.
    #[error("AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not")]
    NoRoleArn,
    /// A web identity token by a path that means another file in another folder.
    #[error("AWS_WEB_IDENTITY_TOKEN_FILE is no absolute path")]
    RelativeToken,
    /// The endpoint for containers is not one that an SDK trusts.
    #[error("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of this host, of ECS or of EKS")]
    ContainerRefused,
    /// The endpoint for containers does not hand out credentials.
    #[error("{variable} is set, and its endpoint does not answer")]
    ContainerSilent {
        /// The variable that names the endpoint.
        variable: String,
    },
}

impl Chain {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Botocore,
        Self::JavaV1,
        Self::JavaV2,
        Self::Rust,
        Self::Go,
        Self::JsV3,
        Self::DotNetV3,
        Self::DotNetV4,
        Self::PowerShellV4,
        Self::PowerShellV5,
    ];

    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Botocore => "botocore",
            Self::JavaV1 => "java-v1",
            Self::JavaV2 => "java-v2",
            Self::Rust => "rust",
            Self::Go => "go-v2",
            Self::JsV3 => "js-v3",
            Self::DotNetV3 => "dotnet-v3",
            Self::DotNetV4 => "dotnet-v4",
            Self::PowerShellV4 => "powershell-v4",
            Self::PowerShellV5 => "powershell-v5",
        }
    }
}

impl Chain {
    /// Whether it looks into the encrypted store of .NET.
    pub(super) const fn has_store(self) -> bool {
        matches!(self, Self::DotNetV3 | Self::DotNetV4 | Self::PowerShellV4 | Self::PowerShellV5)
    }
}

impl Life {
    /// In words, as the rest of a sentence about credentials.
    pub const fn words(self) -> &'static str {
        match self {
            Self::LongLived => "never expire",
            Self::Unrenewed => "are temporary, and nothing renews them",
            Self::Refreshed => "are refreshed by the SDK",
        }
    }
}

impl How {
    /// What it is, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Static => "keys",
            Self::AssumeRole => "a role by source_profile",
            Self::CredentialSource => "a role by credential_source",
            Self::WebIdentity => "a role by web_identity_token_file",
            Self::Sso => "IAM Identity Center",
            Self::Process => "credential_process",
            Self::Login => "aws login",
            Self::Saml => "a role by SAML",
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("keys in the environment"),
            Self::SystemProperties => f.write_str("keys in Java system properties"),
            Self::WebIdentity => f.write_str("the web identity of the environment"),
            Self::Profile { name, how } => write!(f, "{} in the profile {name:?}", how.words()),
            Self::SdkStore { name, how } => write!(f, "{} in the profile {name:?} of the SDK store", how.words()),
            Self::Container => f.write_str("the role of the container"),
            Self::InstanceRole => f.write_str("the role of the instance"),
        }
    }
}
