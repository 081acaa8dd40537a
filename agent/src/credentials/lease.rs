//! What is known of a credential without its secrets, and the reasons for which nothing is known.

use std::borrow::Cow;

use super::Provider;
use super::timestamp::Timestamp;
use crate::sys::WORDS;

/// The life of one set of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The name of the role, the profile or the file; never an access key id.
    pub identity: String,
    /// `Code` as the service gave it; `None` where it gave none.
    pub code: Option<String>,
    /// `Type` as the service gave it, such as `AWS-HMAC`.
    pub kind: Option<String>,
    /// When the credentials were issued, or last replaced.
    pub last_updated: Option<Timestamp>,
    /// When AWS stops to accept the credentials; `None` where nobody says. It may be in the past: during an outage the
    /// instance metadata service goes on handing out the last ones it has.
    pub expiration: Option<Timestamp>,
}

/// Why there is no lease. No variant holds text of an answer other than the `Code` of a rejection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Nothing accepts connections at the endpoint, or there is no route to it.
    #[error("connection refused")]
    Refused,
    /// The answer was not complete in time.
    #[error("no complete answer in time")]
    Timeout,
    /// The connection ended before the answer did, or what came back was not HTTP.
    #[error("connection closed before the answer was complete")]
    Interrupted,
    /// A status for which there is no variant of its own.
    #[error("unexpected http status {0}")]
    Http(u16),
    /// 401, and again 401 with a new token.
    #[error("a fresh session token was refused")]
    TokenRefused,
    /// 403: the service is turned off or an address is not allowed to use it.
    #[error("access forbidden (http status 403)")]
    Forbidden,
    /// 404 on the list of roles, or an empty list.
    #[error("no role is attached to the instance")]
    NoRole,
    /// 404 on the document of a role that was listed a moment before.
    #[error("the listed role has no credentials")]
    RoleGone,
    /// 429 or 5xx. AWS does not document the status by which IMDS throttles; 503 was seen.
    #[error("throttled or out of order (http status {0})")]
    Throttled(u16),
    /// 3xx, which is never followed.
    #[error("redirected (http status {0})")]
    Redirect(u16),
    /// More than 64 KiB.
    #[error("answer larger than 64 KiB")]
    TooLarge,
    /// An answer that is not what the service would say. The reason is constant text, so that it cannot quote a secret.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// Status 200 with a `Code` other than `Success`.
    #[error("credentials were not issued: {code}")]
    Rejected {
        /// `Code` as the service gave it, in printable ASCII, 128 characters at most.
        code: String,
    },
    /// A document without `Expiration`.
    #[error("the credentials carry no expiration")]
    MissingExpiration,
    /// A file or its folder may not be read by the agent's user.
    #[error("permission denied")]
    Denied,
    /// A file that is named in the configuration or in the environment is not there.
    #[error("there is no such file")]
    NotFound,
    /// A link leads out of the folder in which the file was to be.
    #[error("a symbolic link leads out of its folder, or to what whoever made it may not read")]
    Escapes,
    /// It is a folder, a socket or a device.
    #[error("it is no regular file")]
    NotAFile,
    /// The operating system fails to read the file.
    #[error("input/output error")]
    Io,
    /// A time without an offset, of a tool that is not known.
    #[error("the time has no offset, and may be one of UTC or of this host's zone")]
    Ambiguous,
    /// More than the agent watches.
    #[error("there are more of them than are watched")]
    TooMany,
    /// An `https://` address in the environment of a container, which the agent does not ask.
    #[error("services of https are not asked")]
    Https,
}

impl Unavailable {
    /// A short and stable word in kebab-case, for the `outcome` attribute of metrics.
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Http(status) | Self::Throttled(status) | Self::Redirect(status) => {
                return Cow::Owned(format!("http-{status}"));
            }
            Self::TokenRefused => "token-refused",
            Self::Forbidden => "http-403",
            Self::NoRole => "no-role",
            Self::RoleGone => "role-gone",
            Self::TooLarge => "too-large",
            Self::Malformed(_) => "malformed",
            Self::Rejected { .. } => "not-success",
            Self::MissingExpiration => "missing-expiration",
            Self::Denied => "permission-denied",
            Self::NotFound => "not-found",
            Self::Escapes => "link-escapes",
            Self::NotAFile => "not-a-file",
            Self::Io => "io-error",
            Self::Ambiguous => "ambiguous",
            Self::TooMany => "too-many",
            Self::Https => "https-unsupported",
        })
    }

    /// Whether only the agent is kept from reading: those for whom the file is read it all the same.
    pub const fn concerns_reader_alone(&self) -> bool {
        matches!(self, Self::Denied | Self::Escapes | Self::NotAFile | Self::Ambiguous | Self::TooMany)
    }

    /// What an operator can do about it where `provider` is out of order.
    pub fn remedy(&self, provider: Provider) -> &'static str {
        provider.remedy(self)
    }

    /// The same where it is read from a file, or where nothing else is known.
    pub(super) const fn remedy_of_files(&self) -> &'static str {
        match self {
            Self::Denied => WORDS.let_agent_read,
            Self::NotFound => {
                "check the path in the configuration or in the variable that names the file, and whether the tool that \
                 writes it still runs"
            }
            Self::Escapes => {
                "put the file itself there, or name the place at which it really is: no link is followed out of the folder \
                 of a cache, nor from anywhere to what whoever made it may not read; links of root are"
            }
            Self::Ambiguous => WORDS.write_offset,
            Self::TooMany => {
                "take the profiles that nobody uses from the file, or let each user have a file of his own"
            }
            Self::NotAFile => "name a regular file: folders, sockets and devices are not read",
            Self::Io => "look at the file system that holds the file: dmesg names its errors",
            Self::Https => {
                "the agent asks AWS_CONTAINER_CREDENTIALS_FULL_URI by plain http alone, at loopback, 169.254.170.2, \
                 169.254.170.23 or fd00:ec2::23: these credentials are not watched"
            }
            Self::TooLarge => "name the right file: those that hold credentials are far smaller",
            _ => "look at what is written there, and at the tool that writes it: its last run may have failed half-way",
        }
    }

    /// The same of the metadata service.
    pub(super) const fn remedy_of_imds(&self) -> &'static str {
        match self {
            Self::Refused => {
                "check that this host is an EC2 instance, that no firewall rule rejects 169.254.169.254, and that the \
                 configured endpoint is right; during the first seconds after boot this is normal"
            }
            Self::Timeout => {
                "in a container the answer needs a second hop: aws ec2 modify-instance-metadata-options --instance-id \
                 <id> --http-put-response-hop-limit 2; otherwise look for a firewall that drops 169.254.169.254 and \
                 for linklocal_allowance_exceeded in ethtool -S <interface>"
            }
            Self::Interrupted => {
                "look for a proxy or an agent in front of the metadata service that closes connections, and check the \
                 configured endpoint"
            }
            Self::Http(_) => {
                "check the configured endpoint: something other than the metadata service, or a proxy in front of it, \
                 may be answering"
            }
            Self::TokenRefused => {
                "look for a proxy in front of the metadata service that drops the X-aws-ec2-metadata-token header or \
                 mixes instances; during the first seconds after boot this is normal"
            }
            Self::Forbidden => {
                "turn the metadata service on: aws ec2 modify-instance-metadata-options --instance-id <id> \
                 --http-endpoint enabled; where it is on, look for a proxy that forbids the path"
            }
            Self::NoRole => {
                "attach an instance profile: aws ec2 associate-iam-instance-profile --instance-id <id> \
                 --iam-instance-profile Name=<profile>; without a role there is nothing to watch, and credentials.imds \
                 can be disabled"
            }
            Self::RoleGone => {
                "check that the instance profile still holds its role: aws iam get-instance-profile \
                 --instance-profile-name <profile>"
            }
            Self::Throttled(_) => {
                "find the process that asks the metadata service too often and let it cache; 1024 packets a second are \
                 shared with DNS and NTP, see linklocal_allowance_exceeded in ethtool -S <interface>"
            }
            Self::Redirect(_) => {
                "the metadata service never redirects: look for a proxy or a captive portal in front of it, and check \
                 the configured endpoint"
            }
            Self::TooLarge | Self::Malformed(_) | Self::MissingExpiration => {
                "something other than the metadata service may be answering: check the configured endpoint and any \
                 metadata proxy on this host"
            }
            Self::Rejected { .. } => {
                "let EC2 assume the role: it must exist, and its trust policy must allow sts:AssumeRole to the service \
                 principal ec2.amazonaws.com (AssumeRoleUnauthorizedAccess says that it does not); iam/info of the \
                 metadata service shows the same code"
            }
            Self::Ambiguous
            | Self::TooMany
            | Self::Denied
            | Self::NotFound
            | Self::Escapes
            | Self::NotAFile
            | Self::Io
            | Self::Https => self.remedy_of_files(),
        }
    }

    /// Whether the same request may well succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Refused | Self::Timeout | Self::Interrupted | Self::Throttled(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_reason() -> Vec<Unavailable> {
        vec![
            Unavailable::Refused,
            Unavailable::Timeout,
            Unavailable::Interrupted,
            Unavailable::Http(405),
            Unavailable::TokenRefused,
            Unavailable::Forbidden,
            Unavailable::NoRole,
            Unavailable::RoleGone,
            Unavailable::Throttled(503),
            Unavailable::Redirect(302),
            Unavailable::TooLarge,
            Unavailable::Malformed("not json"),
            Unavailable::Rejected { code: "AssumeRoleUnauthorizedAccess".into() },
            Unavailable::MissingExpiration,
            Unavailable::Denied,
            Unavailable::NotFound,
            Unavailable::Escapes,
            Unavailable::NotAFile,
            Unavailable::Io,
            Unavailable::Https,
        ]
    }

    #[test]
    fn every_code_is_short_kebab_case_and_no_two_are_the_same() {
        let codes: Vec<_> = every_reason().iter().map(Unavailable::code).collect();
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len());
        for code in codes {
            assert!(code.len() <= 20, "{code}");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{code}");
        }
    }

    #[test]
    fn every_reason_is_a_lower_case_fragment_and_has_a_remedy() {
        for reason in every_reason() {
            let text = reason.to_string();
            assert!(text.starts_with(|c: char| c.is_ascii_lowercase()), "{text}");
            assert!(!text.ends_with('.'), "{text}");
            assert!(reason.remedy(Provider::Imds).len() > 40, "{text}");
        }
    }

    #[test]
    fn a_timeout_names_the_hop_limit_and_a_forbidden_service_the_option_that_turns_it_on() {
        assert!(Unavailable::Timeout.remedy(Provider::Imds).contains("--http-put-response-hop-limit 2"));
        assert!(Unavailable::Forbidden.remedy(Provider::Imds).contains("--http-endpoint enabled"));
        let rejected = Unavailable::Rejected { code: "AssumeRoleUnauthorizedAccess".into() };
        assert!(rejected.remedy(Provider::Imds).contains("ec2.amazonaws.com"));
    }
}
