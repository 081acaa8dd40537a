//! Who hands out what expires.

/// Who hands out credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// The role of the instance.
    Imds,
    /// The role of an ECS task, or EKS Pod Identity.
    Container,
    /// The token of a Kubernetes service account, for which STS hands out credentials (IRSA).
    WebIdentity,
    /// The environment of the agent itself.
    Environment,
    /// `~/.aws/credentials`.
    SharedFile,
    /// `~/.aws/sso/cache`.
    SsoCache,
    /// `~/.aws/cli/cache`.
    CliCache,
    /// `~/.aws/login/cache`.
    LoginCache,
    /// A file that the configuration names.
    File,
}

/// Who puts another credential in the place of one that runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// AWS does, long before the end.
    Platform,
    /// The kubelet does, at four fifths of the life.
    Kubelet,
    /// Some tool on this host has to.
    Tool,
    /// Whoever uses it does, at the next use. Until then an expired one is in order.
    OnUse,
}

impl Provider {
    /// The name in output and attributes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imds => "imds",
            Self::Container => "container",
            Self::WebIdentity => "web-identity",
            Self::Environment => "environment",
            Self::SharedFile => "shared-file",
            Self::SsoCache => "sso-cache",
            Self::CliCache => "cli-cache",
            Self::LoginCache => "login-cache",
            Self::File => "file",
        }
    }

    /// Who renews what it hands out.
    pub const fn renewal(self) -> Renewal {
        match self {
            Self::Imds | Self::Container => Renewal::Platform,
            Self::WebIdentity => Renewal::Kubelet,
            Self::Environment | Self::SharedFile | Self::File => Renewal::Tool,
            Self::SsoCache | Self::CliCache | Self::LoginCache => Renewal::OnUse,
        }
    }

    /// Whether SDKs refresh by the expiration that this provider tells, so that their margin can be judged by it.
    pub const fn is_refreshed_by_sdks(self) -> bool {
        matches!(self, Self::Imds | Self::Container)
    }
}
