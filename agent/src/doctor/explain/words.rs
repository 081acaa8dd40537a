//! What each kind of error means, wherever it happened.

use super::kind::Kind;
use super::symptom::Symptom;

/// An error in words.
pub(super) struct Words {
    /// What AWS or the SDK calls it.
    pub(super) title: &'static str,
    /// What it means, as the end of a sentence.
    pub(super) meaning: &'static str,
    /// What follows from it.
    pub(super) effect: &'static str,
}

const EXPIRED: &str = "requests with these credentials are refused until others are used";
const CLOCK: &str = "the request is refused; where the clock is off, so is all that it signs";
const KEY: &str = "requests with this key are refused";
const NONE: &str = "the SDK sends nothing at all, or tries again and again";
const URL: &str = "who holds the URL is refused, and needs a new one";
const NO_TRUST: &str = "the connection is not made, or the token is not taken";
const SIGN_IN: &str = "nothing is signed until somebody has signed in again";

impl Kind {
    /// It in words.
    pub(super) const fn words(self) -> Words {
        let (title, meaning, effect) = match self {
            Self::ExpiredToken => ("ExpiredToken", "the temporary credentials had run out when AWS saw them", EXPIRED),
            Self::WebIdentityExpired => {
                ("ExpiredTokenException of STS", "the web identity token had run out when STS saw it", EXPIRED)
            }
            Self::SamlExpired => ("SAML assertion expired", "the assertion was too old when STS saw it", SIGN_IN),
            Self::SsoExpired => (
                "SSO session expired",
                "the session of IAM Identity Center has run out or is not there, and somebody has to sign in in a browser",
                SIGN_IN,
            ),
            Self::LoginExpired => {
                ("login session expired", "the session of `aws login` has run out or is not there", SIGN_IN)
            }
            Self::CognitoExpired => ("Cognito token expired", "the token had run out when Cognito saw it", EXPIRED),
            Self::EcrExpired => {
                ("ECR token expired", "the login to the registry has run out", "nothing can be pulled or pushed")
            }
            Self::CodeArtifactExpired => (
                "CodeArtifact: not authorized",
                "the repository does not take the token, or got none",
                "packages cannot be fetched",
            ),
            Self::StillExpired => (
                "refreshed credentials are still expired",
                "the SDK got new credentials, and by its own clock they had run out already",
                "the SDK refuses to send anything, although AWS might accept the credentials",
            ),
            Self::RequestExpired => (
                "RequestExpired",
                "the time in the request was too long ago, or the temporary credentials had run out",
                EXPIRED,
            ),
            Self::RequestInTheFuture => ("RequestInTheFuture", "the time in the request is of the future", CLOCK),
            Self::RequestTimeTooSkewed => {
                ("RequestTimeTooSkewed", "the time in the request was too far from the server's clock", CLOCK)
            }
            Self::SignatureExpired => {
                ("signature expired", "by the time in the signature the request came too late", CLOCK)
            }
            Self::SignatureNotYetCurrent => {
                ("signature not yet current", "by the time in the signature the request is of the future", CLOCK)
            }
            Self::SignatureMismatch => ("SignatureDoesNotMatch", "AWS calculated another signature", KEY),
            Self::AuthFailure => {
                ("AuthFailure", "EC2 refuses the credentials, the signature or its time, and does not say which", KEY)
            }
            Self::InvalidClientTokenId => ("InvalidClientTokenId", "AWS does not know the access key", KEY),
            Self::UnrecognizedClient => (
                "UnrecognizedClientException",
                "AWS does not know the access key, or the session token is not its own",
                KEY,
            ),
            Self::InvalidAccessKeyId => ("InvalidAccessKeyId", "S3 does not know the access key", KEY),
            Self::InvalidToken => ("InvalidToken", "AWS cannot read the session token, or it is not of this key", KEY),
            Self::InvalidIdentityToken => (
                "InvalidIdentityToken",
                "STS does not accept the web identity token",
                "there are no credentials of the role",
            ),
            Self::PresignedExpired => ("pre-signed URL expired", "the URL was used after its end", URL),
            Self::PresignedNotYetValid => {
                ("pre-signed URL not yet valid", "the URL was signed by a clock that is fast", URL)
            }
            Self::IncompleteSignature => ("IncompleteSignature", "the signature lacks a part that AWS needs", KEY),
            Self::MissingAuthenticationToken => ("MissingAuthenticationToken", "the request was not signed", KEY),
            Self::NoCredentials => {
                ("no credentials", "the SDK looked in its whole chain and found nothing to sign with", NONE)
            }
            Self::Container => (
                "no credentials of the container",
                "the endpoint of ECS or of EKS Pod Identity gave the SDK no credentials",
                NONE,
            ),
            Self::ServiceUnreachable => (
                "credential service unreachable",
                "STS or IAM Identity Center could not be reached over the network, or did not answer",
                NONE,
            ),
            Self::AssumeRoleDenied => ("AssumeRole denied", "STS does not let the caller have the role", NONE),
            Self::StsThrottled => ("STS throttled", "STS was asked too often", NONE),
            Self::CertificateNotYetValid => {
                ("certificate not yet valid", "by the clock of who read it the certificate is of the future", NO_TRUST)
            }
            Self::CertificateExpired => {
                ("certificate expired", "by the clock of who read it the certificate has run out", NO_TRUST)
            }
            Self::CertificateOutsideValidity => (
                "certificate expired or not yet valid",
                "by the clock of who read it the certificate is not valid now, and the text does not tell which end is missed",
                NO_TRUST,
            ),
            Self::JwtNotYetValid => {
                ("token not yet valid", "by the clock of who read it the token is of the future", NO_TRUST)
            }
            Self::JwtExpired => ("token expired", "by the clock of who read it the token has run out", NO_TRUST),
            Self::KerberosSkew => ("Kerberos: clock skew", "the clocks of two parties differ too much", NO_TRUST),
            Self::CloudWatchTime => (
                "CloudWatch: time out of range",
                "the data are older than two weeks or more than two hours in the future, by CloudWatch's clock",
                "the data are lost, and alarms do not see them",
            ),
            Self::EksUnauthorized => {
                ("Kubernetes: unauthorized", "the API server does not know the caller", "kubectl can do nothing")
            }
            Self::Imds(symptom) => return imds(symptom),
        };
        Words { title, meaning, effect }
    }
}

const fn imds(symptom: Symptom) -> Words {
    let (title, meaning) = match symptom {
        Symptom::Refused => (
            "metadata service refused",
            "nothing accepts connections where the SDK looks for the metadata service, or it breaks them off",
        ),
        Symptom::Timeout => ("metadata service timed out", "the metadata service did not answer in time"),
        Symptom::Unauthorized => {
            ("metadata service: 401", "the metadata service wants a session token (IMDSv2) and got none, or an old one")
        }
        Symptom::Forbidden => (
            "metadata service: 403",
            "the metadata service is turned off for this instance, or something in between forbids the request",
        ),
        Symptom::NoRole => ("metadata service: no role", "no role is attached to the instance"),
        Symptom::NoSuchPath => (
            "metadata service: no such data",
            "the metadata service has not what was asked for, which is no credential",
        ),
        Symptom::Throttled => {
            ("metadata service throttled", "the metadata service was asked too often, or is out of order")
        }
        Symptom::Disabled => {
            ("metadata service disabled", "a variable or a setting forbids the SDK to ask the metadata service")
        }
        Symptom::Untrusted => ("AssumeRoleUnauthorizedAccess", "EC2 may not assume the role of the instance profile"),
        Symptom::Unclear => ("metadata service failed", "the metadata service gave the SDK no credentials"),
    };
    let effect = match symptom {
        Symptom::NoSuchPath => "the program does not learn what it asked for",
        _ => NONE,
    };
    Words { title, meaning, effect }
}
