//! What each error means, what can cause it, and what mends it, wherever it happened.

use super::complaint::Complaint;
use super::symptom::Symptom;
use crate::assess::clock_findings::SET_THE_CLOCK;

/// An error in words.
pub struct Words {
    /// What AWS or the SDK calls it.
    pub title: &'static str,
    /// What it means, as the end of a sentence.
    pub meaning: &'static str,
    /// What can cause it, the most likely first.
    pub causes: &'static [&'static str],
    /// What follows from it.
    pub effect: &'static str,
    /// What mends its most likely cause.
    pub remedy: &'static str,
}

const EXPIRED_EFFECT: &str =
    "every request with these credentials is refused, whatever its policy, until others are used";
const CLOCK_EFFECT: &str =
    "requests that this clock signs are refused; a retry helps only where the SDK corrects the skew";
const KEY_EFFECT: &str = "every request with this key is refused; neither a retry nor setting the clock helps";
const NONE_EFFECT: &str = "the SDK sends nothing at all, or tries again and again";
const PRESIGNED_EFFECT: &str = "who holds the URL is refused; it needs a new one, and no SDK corrects the clock in it";

const FIND_THE_KEYS: &str = "see which keys are used: `aws configure list` and `aws sts get-caller-identity`; remove those that \
    nobody renews from the environment, from Java's -D options or from ~/.aws/credentials, so that the role is used";
const RENEW: &str = "restart the process, so that it reads its credentials anew, or let it use a provider that renews them; \
    `skewguard doctor` names what shadows the role of the instance";
const CHECK_THE_ROLE: &str = "look at the role: curl -s -X PUT http://169.254.169.254/latest/api/token -H \
    'X-aws-ec2-metadata-token-ttl-seconds: 60' must answer, and `skewguard doctor` says why it does not";

impl Complaint {
    /// It in words.
    pub fn words(self) -> Words {
        match self {
            Self::ExpiredToken | Self::WebIdentityExpired | Self::SsoExpired | Self::StillExpired => expired(self),
            Self::RequestTimeTooSkewed | Self::SignatureExpired | Self::SignatureNotYetCurrent => skewed(self),
            Self::PresignedExpired | Self::PresignedNotYetValid => presigned(self),
            Self::RequestExpired | Self::AuthFailure | Self::SignatureMismatch => ambiguous(self),
            Self::NoCredentials | Self::Imds(_) | Self::Container => nothing_to_sign_with(self),
            _ => refused(self),
        }
    }
}

fn expired(complaint: Complaint) -> Words {
    let words = Words {
        title: "ExpiredToken",
        meaning: "the temporary credentials had run out when AWS saw them",
        causes: &[
            "temporary keys in the environment, in Java's -D options or in ~/.aws/credentials, which nobody renews",
            "a slow clock: the SDK believes in a longer life and refreshes too late",
            "a process that read its credentials once and keeps them",
            "a role whose credentials were not rotated",
        ],
        effect: EXPIRED_EFFECT,
        remedy: RENEW,
    };
    match complaint {
        Complaint::WebIdentityExpired => Words {
            title: "ExpiredTokenException of STS",
            meaning: "the web identity token had run out when STS saw it: no clock of this host is part of that",
            causes: &[
                "a process that read the token once; the kubelet writes a new one at four fifths of its life",
                "a kubelet that does not renew it, or a token that was copied from elsewhere",
            ],
            remedy: "let the SDK read AWS_WEB_IDENTITY_TOKEN_FILE at every use: update it or restart the process; \
                `kubectl describe pod POD` shows whether the token is a projected volume",
            ..words
        },
        Complaint::SsoExpired => Words {
            title: "SSO session expired",
            meaning: "the session of IAM Identity Center has run out, which somebody has to renew in a browser",
            causes: &[
                "nobody has signed in for as long as a session lives",
                "a clock that was set since the sign-in: the end is kept by this host's own clock",
            ],
            remedy: "aws sso login --profile PROFILE",
            ..words
        },
        Complaint::StillExpired => Words {
            title: "refreshed credentials are still expired",
            meaning: "botocore got new credentials, and by its own clock they had run out already",
            causes: &[
                "a fast clock: it is ahead by more than the credentials live",
                "a provider that hands out old credentials: a cache, a file or a credential_process",
                "the metadata service in an outage, which then extends the last credentials it has",
            ],
            effect: "botocore refuses to send anything, although AWS might accept the credentials",
            remedy: SET_THE_CLOCK,
        },
        _ => words,
    }
}

fn skewed(complaint: Complaint) -> Words {
    let words = Words {
        title: "RequestTimeTooSkewed",
        meaning: "the clock that signed was too far from the one of S3",
        causes: &[
            "the system clock of the host that signed is off",
            "a request that waited after it was signed: a slow upload, a paused container, a queue",
        ],
        effect: CLOCK_EFFECT,
        remedy: SET_THE_CLOCK,
    };
    match complaint {
        Complaint::SignatureExpired => Words {
            title: "signature expired",
            meaning: "by the time in the signature the request came too late",
            causes: &[
                "the system clock of the host that signed is slow",
                "a request that waited after it was signed, or one that was sent again without signing it anew",
            ],
            ..words
        },
        Complaint::SignatureNotYetCurrent => Words {
            title: "signature not yet current",
            meaning: "by the time in the signature the request is of the future",
            causes: &["the system clock of the host that signed is fast"],
            ..words
        },
        _ => words,
    }
}

fn presigned(complaint: Complaint) -> Words {
    match complaint {
        Complaint::PresignedNotYetValid => Words {
            title: "pre-signed URL not yet valid",
            meaning: "the URL was signed by a clock that is fast",
            causes: &["the system clock of the host that signed is fast"],
            effect: PRESIGNED_EFFECT,
            remedy: SET_THE_CLOCK,
        },
        _ => Words {
            title: "pre-signed URL expired",
            meaning: "the URL was used later than its X-Amz-Expires allows",
            causes: &[
                "it was used too late",
                "it was signed by a slow clock, which takes its lag from the life of every URL",
                "it was signed with temporary credentials, with which it ends",
            ],
            effect: PRESIGNED_EFFECT,
            remedy: "make a new URL with a longer life: `aws s3 presign s3://BUCKET/KEY --expires-in SECONDS`",
        },
    }
}

fn ambiguous(complaint: Complaint) -> Words {
    let words = Words {
        title: "RequestExpired",
        meaning: "the time in the signature was too far from AWS's, or the temporary credentials had run out",
        causes: &[
            "temporary credentials that have run out: EC2 calls it the same",
            "a system clock that is off by more than fifteen minutes",
            "a request that waited after it was signed",
        ],
        effect: EXPIRED_EFFECT,
        remedy: RENEW,
    };
    match complaint {
        Complaint::AuthFailure => Words {
            title: "AuthFailure",
            meaning: "EC2 refuses the credentials, the signature or its time, and does not say which",
            causes: &[
                "a system clock that is off by more than five minutes: EC2 does not say so",
                "a key that does not exist any more, or a secret key that does not belong to it",
                "a region that is not enabled for the account, or a partition that the key is not of",
            ],
            effect: KEY_EFFECT,
            remedy: FIND_THE_KEYS,
        },
        Complaint::SignatureMismatch => Words {
            title: "SignatureDoesNotMatch",
            meaning: "AWS calculated another signature, and found its time in order",
            causes: &[
                "a secret key that does not belong to the access key, often with a blank or a line break too many",
                "a proxy that changes the path or the headers that were signed",
                "a signer of one's own that escapes otherwise, or another region or service in the scope",
            ],
            effect: KEY_EFFECT,
            remedy: FIND_THE_KEYS,
        },
        _ => words,
    }
}

fn nothing_to_sign_with(complaint: Complaint) -> Words {
    let words = Words {
        title: "no credentials",
        meaning: "the SDK looked in its whole chain and found nothing to sign with",
        causes: &[
            "no role is attached to the instance, or the metadata service cannot be reached",
            "in a container: the hop limit of the metadata service is 1",
            "a proxy variable without 169.254.169.254 in NO_PROXY",
            "AWS_PROFILE names a profile that does not exist, or the process runs as a user with another home",
        ],
        effect: NONE_EFFECT,
        remedy: CHECK_THE_ROLE,
    };
    match complaint {
        Complaint::Container => Words {
            title: "no credentials of the container",
            meaning: "the endpoint of ECS or of EKS Pod Identity gave the SDK no credentials",
            causes: &[
                "the agent of ECS or of Pod Identity does not run, or has no association for this service account",
                "a proxy variable without 169.254.170.2 and 169.254.170.23 in NO_PROXY",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read, or its token has run out",
            ],
            remedy: "for Pod Identity: `kubectl -n kube-system get pods -l app.kubernetes.io/name=eks-pod-identity-agent` and \
                `aws eks list-pod-identity-associations --cluster-name CLUSTER`; for ECS: look whether the task has a taskRoleArn",
            ..words
        },
        Complaint::Imds(symptom) => Words { title: symptom_title(symptom), ..imds(symptom, &words) },
        _ => words,
    }
}

fn symptom_title(symptom: Symptom) -> &'static str {
    match symptom {
        Symptom::Refused => "metadata service refused",
        Symptom::Timeout => "metadata service timed out",
        Symptom::Unauthorized => "metadata service: 401",
        Symptom::Forbidden => "metadata service: 403",
        Symptom::NoRole => "metadata service: no role",
        Symptom::Throttled => "metadata service throttled",
        Symptom::Disabled => "metadata service disabled",
        Symptom::Untrusted => "AssumeRoleUnauthorizedAccess",
        Symptom::Unclear => "metadata service failed",
    }
}

fn imds(symptom: Symptom, words: &Words) -> Words {
    let (meaning, causes): (_, &[&str]) = match symptom {
        Symptom::Refused => (
            "nothing accepts connections where the SDK looks for the metadata service",
            &[
                "this is no EC2 instance",
                "a firewall or a network policy rejects 169.254.169.254",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT is wrong",
            ],
        ),
        Symptom::Timeout => (
            "the metadata service did not answer in time",
            &[
                "in a container: the hop limit is 1, so that the answer with the token never arrives",
                "a firewall, a network policy or a proxy swallows 169.254.169.254",
                "this is no EC2 instance",
                "packets are dropped: more than 1024 a second go to link-local addresses",
            ],
        ),
        Symptom::Unauthorized => (
            "the metadata service wants a session token (IMDSv2) and got none, or an old one",
            &[
                "the SDK is too old for IMDSv2, and the instance requires it",
                "a proxy in between drops the header with the token",
                "a host that was resumed: its tokens are over",
            ],
        ),
        Symptom::Forbidden => (
            "the metadata service is turned off for this instance, or something in between forbids the request",
            &["the metadata service is turned off (HttpEndpoint=disabled)", "a proxy answers instead of it"],
        ),
        Symptom::NoRole => (
            "the metadata service works, and no role is attached to the instance",
            &["no instance profile is attached", "the role was removed from the instance profile or deleted"],
        ),
        Symptom::Throttled => (
            "the metadata service was asked too often, or is out of order",
            &[
                "many processes that ask for credentials at once, or one that does not cache them",
                "an SDK that asks once (AWS_METADATA_SERVICE_NUM_ATTEMPTS=1) and gives up",
            ],
        ),
        Symptom::Disabled => (
            "a variable or a setting forbids the SDK to ask the metadata service",
            &["AWS_EC2_METADATA_DISABLED=true", "a setting of the SDK's client or of Java (aws.disableEc2Metadata)"],
        ),
        Symptom::Untrusted => (
            "EC2 may not assume the role of the instance profile",
            &["the trust policy of the role does not name ec2.amazonaws.com", "the role was deleted and made anew"],
        ),
        Symptom::Unclear => ("the metadata service gave the SDK no credentials", words.causes),
    };
    let remedy = match symptom {
        Symptom::Disabled => "unset AWS_EC2_METADATA_DISABLED where the process gets its environment, and restart it",
        Symptom::Unauthorized => {
            "update the SDK to one that speaks IMDSv2; until then: aws ec2 modify-instance-metadata-options --instance-id \
             <id> --http-tokens optional"
        }
        Symptom::Throttled => {
            "let the SDK try again: AWS_METADATA_SERVICE_NUM_ATTEMPTS=5 and AWS_METADATA_SERVICE_TIMEOUT=5 in the environment of \
             the process; find the one that asks too often, and look for linklocal_allowance_exceeded in ethtool -S <interface>"
        }
        _ => words.remedy,
    };
    Words { meaning, causes, remedy, ..*words }
}

fn refused(complaint: Complaint) -> Words {
    let unknown = |title, meaning| Words {
        title,
        meaning,
        causes: &[
            "a key that was deleted or deactivated, or one of another partition",
            "temporary keys without their session token, or with the token of others",
            "a key in the environment, in Java's -D options or in ~/.aws/credentials that hides the role",
            "a region that has to be enabled for the account first",
        ],
        effect: KEY_EFFECT,
        remedy: FIND_THE_KEYS,
    };
    let incomplete = |title, meaning| Words {
        title,
        meaning,
        causes: &[
            "a request that no SDK signed: a wrong URL, or a path that the service does not know",
            "a proxy or a load balancer that drops the Authorization header",
            "a signer of one's own",
        ],
        effect: KEY_EFFECT,
        remedy: "compare with what the AWS CLI sends: `aws --debug …` shows the request that it signs",
    };
    match complaint {
        Complaint::InvalidIdentityToken => Words {
            title: "InvalidIdentityToken",
            meaning: "STS does not accept the web identity token, whatever its time",
            causes: &[
                "the account has no identity provider for the issuer of the token",
                "STS cannot fetch the keys of the issuer, or its certificate has changed",
                "the token is of another cluster, or its audience is not sts.amazonaws.com",
            ],
            effect: "the pod gets no credentials of its role",
            remedy: "compare `aws eks describe-cluster --name CLUSTER --query cluster.identity.oidc.issuer` with \
                `aws iam list-open-id-connect-providers`; `eksctl utils associate-iam-oidc-provider --cluster CLUSTER \
                --approve` adds what is missing",
        },
        Complaint::InvalidClientTokenId => unknown("InvalidClientTokenId", "AWS does not know the access key"),
        Complaint::UnrecognizedClient => unknown(
            "UnrecognizedClientException",
            "AWS does not know the access key, or the session token is not its own",
        ),
        Complaint::InvalidAccessKeyId => unknown("InvalidAccessKeyId", "S3 does not know the access key"),
        Complaint::InvalidToken => {
            unknown("InvalidToken", "AWS cannot read the session token, or it is not of this key")
        }
        Complaint::IncompleteSignature => {
            incomplete("IncompleteSignature", "the signature lacks a part that AWS needs")
        }
        _ => incomplete("MissingAuthenticationToken", "the request was not signed"),
    }
}
