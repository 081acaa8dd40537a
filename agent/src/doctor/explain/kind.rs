//! What went wrong, as AWS, an SDK or a tool names it.

use super::symptom::Symptom;

/// Makes all that depends on which kinds there are.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $Kind:ident $name:literal;)+) => {
        /// What went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[doc = $doc])+ $Kind,)+
            /// The instance metadata service gave an SDK no credentials.
            Imds(Symptom),
        }

        impl Kind {
            /// The name in output, in kebab-case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Kind => $name,)+
                    Self::Imds(symptom) => symptom.name(),
                }
            }

            /// All of them.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$Kind),+].into_iter().chain(Symptom::ALL.into_iter().map(Self::Imds))
            }
        }
    };
}

kinds! {
    /// The temporary credentials had run out when AWS saw them.
    ExpiredToken "expired-token";
    /// The token of a Kubernetes service account, or of another identity provider, had run out.
    WebIdentityExpired "web-identity-token-expired";
    /// The assertion of SAML was too old.
    SamlExpired "saml-assertion-expired";
    /// The session of IAM Identity Center had run out, or there was none.
    SsoExpired "sso-session-expired";
    /// The session of `aws login` had run out, or there was none.
    LoginExpired "login-session-expired";
    /// A token of Cognito had run out.
    CognitoExpired "cognito-token-expired";
    /// A token of ECR had run out.
    EcrExpired "ecr-token-expired";
    /// A token of CodeArtifact had run out, or there was none.
    CodeArtifactExpired "codeartifact-token-expired";
    /// botocore refreshed credentials, and by its clock they had run out already.
    StillExpired "refreshed-credentials-expired";
    /// The request was too old for AWS, or its credentials had run out: EC2 says the same for both.
    RequestExpired "request-expired";
    /// The request was of the future.
    RequestInTheFuture "request-in-the-future";
    /// S3, or what speaks like it: the request was signed by a clock too far from its own.
    RequestTimeTooSkewed "request-time-too-skewed";
    /// The signature was too old.
    SignatureExpired "signature-expired";
    /// The signature was of the future.
    SignatureNotYetCurrent "signature-not-yet-current";
    /// AWS calculated another signature.
    SignatureMismatch "signature-does-not-match";
    /// EC2 refuses the credentials, the signature or its time, and does not say which.
    AuthFailure "auth-failure";
    /// Query services do not know the access key.
    InvalidClientTokenId "invalid-client-token-id";
    /// JSON services do not know the access key, or its token belongs to another.
    UnrecognizedClient "unrecognized-client";
    /// S3 does not know the access key.
    InvalidAccessKeyId "invalid-access-key-id";
    /// S3 cannot read the session token.
    InvalidToken "invalid-token";
    /// STS does not accept a web identity token.
    InvalidIdentityToken "invalid-identity-token";
    /// A pre-signed URL had run out.
    PresignedExpired "presigned-url-expired";
    /// A pre-signed URL was of the future.
    PresignedNotYetValid "presigned-url-not-yet-valid";
    /// The signature lacks a part.
    IncompleteSignature "incomplete-signature";
    /// There was no signature.
    MissingAuthenticationToken "missing-authentication-token";
    /// The SDK found nothing to sign with.
    NoCredentials "no-credentials";
    /// The endpoint of ECS or EKS Pod Identity gave an SDK no credentials.
    Container "container-credentials";
    /// STS or IAM Identity Center could not be reached.
    ServiceUnreachable "credential-service-unreachable";
    /// STS does not let the caller have the role.
    AssumeRoleDenied "assume-role-denied";
    /// STS was asked too often.
    StsThrottled "sts-throttled";
    /// By the clock of the reader a certificate is of the future.
    CertificateNotYetValid "certificate-not-yet-valid";
    /// By the clock of the reader a certificate has run out.
    CertificateExpired "certificate-expired";
    /// One of the two, and it is not said which.
    CertificateOutsideValidity "certificate-outside-validity";
    /// By the clock of the reader a JSON Web Token is of the future.
    JwtNotYetValid "jwt-not-yet-valid";
    /// By the clock of the reader a JSON Web Token has run out.
    JwtExpired "jwt-expired";
    /// The clocks of two parties of Kerberos differ too much.
    KerberosSkew "kerberos-clock-skew";
    /// CloudWatch does not take data of such a time.
    CloudWatchTime "cloudwatch-timestamp-rejected";
    /// A Kubernetes API server does not know the caller.
    EksUnauthorized "eks-unauthorized";
}

impl Kind {
    /// Whether it says why a source of credentials gave none.
    pub(super) const fn is_of_a_source(self) -> bool {
        matches!(
            self,
            Self::Imds(_)
                | Self::Container
                | Self::ServiceUnreachable
                | Self::AssumeRoleDenied
                | Self::StsThrottled
                | Self::SsoExpired
                | Self::LoginExpired
                | Self::WebIdentityExpired
                | Self::InvalidIdentityToken
        )
    }

    /// Whether it says less than another that stands next to it, of which it is a part.
    pub(super) fn is_part_of(self, other: Self) -> bool {
        match self {
            Self::NoCredentials => other.is_of_a_source(),
            Self::Imds(Symptom::Unclear) => matches!(other, Self::Imds(symptom) if symptom != Symptom::Unclear),
            Self::SignatureMismatch => matches!(other, Self::SignatureExpired | Self::SignatureNotYetCurrent),
            Self::ExpiredToken => matches!(other, Self::WebIdentityExpired | Self::SamlExpired),
            _ => false,
        }
    }

    /// Whether it is about the time in a request, of which each may tell another.
    pub(super) const fn is_of_time(self) -> bool {
        matches!(
            self,
            Self::RequestTimeTooSkewed
                | Self::SignatureExpired
                | Self::SignatureNotYetCurrent
                | Self::RequestExpired
                | Self::RequestInTheFuture
                | Self::PresignedExpired
                | Self::PresignedNotYetValid
                | Self::CertificateNotYetValid
                | Self::CertificateExpired
                | Self::CertificateOutsideValidity
                | Self::WebIdentityExpired
                | Self::CognitoExpired
                | Self::JwtExpired
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Kind::all().map(Kind::name).collect();
        assert_eq!(names.len(), Kind::all().count());
        assert!(
            names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')),
            "{names:?}"
        );
    }
}
