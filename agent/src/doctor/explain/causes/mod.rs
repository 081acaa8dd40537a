//! What can cause each kind of error, and what mends it, the most likely first.

mod imds;

use crate::doctor::explain::explained::Standing::{self, Likely, Proven, ToCheck};
use crate::doctor::explain::kind::Kind;

/// How it stands with a cause, the cause, and what mends it.
pub(in crate::doctor::explain) type Cause = (Standing, &'static str, &'static str);

/// What sets a clock on the host that signed, which may be another one.
pub(in crate::doctor::explain) const SET_THAT_CLOCK: &str = "on the host that signed: `skewguard check`, and where its clock is off `sudo chronyc \
    makestep`, then keep it with a time daemon";
const SIGN_ANEW: &str = "let every attempt be signed anew; make it shorter between signing and sending: smaller parts, fewer \
    requests at once";
const RENEW: &str =
    "restart the process, so that it reads its credentials anew, or let it use a provider that renews them";
const REMOVE_KEYS: &str = "`aws configure list` names the keys that are used; remove those that nobody renews from the \
    environment, from Java's -D options or from ~/.aws/credentials, so that the role is used";
const WHICH_KEYS: &str = "`aws configure list` and `aws sts get-caller-identity` name the keys that are used";
const PROXY: &str = "export NO_PROXY=169.254.169.254,169.254.170.2,169.254.170.23,[fd00:ec2::254],[fd00:ec2::23] where the proxy is \
    set, and restart the process";
const HOP_LIMIT: &str =
    "aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2 --http-endpoint enabled";
const NETWORK: &str = "look at DNS and the way out from where it runs: `getent hosts sts.REGION.amazonaws.com`, `curl -sI \
    https://sts.REGION.amazonaws.com`; in a private subnet it needs a NAT gateway or an interface endpoint";

const SLOW: &str = "the system clock of the host that signed was slow";
const FAST: &str = "the system clock of the host that signed was fast";
const WAITED: &str = "the request waited after it was signed, or was sent again without signing it anew: a slow upload, a queue, a \
    process that was paused";

/// Where neither of two clocks is known to be right.
pub(in crate::doctor::explain) const TWO_CLOCKS: Cause = (
    Likely,
    "the clocks of the two hosts differ: which of them is off is not told",
    "on both: `skewguard check` or `chronyc tracking`, and set the one that is off",
);

const UNKNOWN_KEY: &[Cause] = &[
    (Likely, "the key was deleted or deactivated, or is one of another partition or of another service", WHICH_KEYS),
    (
        ToCheck,
        "temporary keys without their session token, or with the token of others",
        "set AWS_SESSION_TOKEN together with the keys",
    ),
    (
        ToCheck,
        "a key in the environment, in Java's -D options or in ~/.aws/credentials that hides the role",
        REMOVE_KEYS,
    ),
    (
        ToCheck,
        "a region that has to be enabled for the account first",
        "`aws account list-regions`, or `aws sts` with a regional endpoint",
    ),
];
const NOT_SIGNED: &[Cause] = &[
    (
        Likely,
        "a request that no SDK signed: a wrong URL, or a path or method that the service does not know",
        "compare with what the AWS CLI sends: `aws --debug …`",
    ),
    (ToCheck, "a proxy or a load balancer that drops the Authorization header", "send it past the proxy once"),
];
const CERTIFICATE_OVER: Cause = (
    Likely,
    "the certificate has run out",
    "renew the certificate of the server, or the client's own in its kubeconfig",
);
const READER_SLOW: &str = "the clock of the host that read it is slow";
const READER_FAST: &str = "the clock of the host that read it is fast";
const SET_READER: &str =
    "on the host that read it: `skewguard check`, and where its clock is off `sudo chronyc makestep`";

/// What can cause it.
pub(in crate::doctor::explain) fn causes(kind: Kind) -> &'static [Cause] {
    match kind {
        Kind::Imds(symptom) => imds::causes(symptom),
        Kind::ExpiredToken => &[
            (
                Likely,
                "temporary keys in the environment, in Java's -D options or in ~/.aws/credentials, which nobody renews",
                REMOVE_KEYS,
            ),
            (ToCheck, "a process that read its credentials once and keeps them", RENEW),
            (
                ToCheck,
                "a slow clock: the SDK believes in a longer life and refreshes too late, the one for Rust from 5 s on, those for Java and Go from 60 s, those for JavaScript and C++ from 300 s",
                "on the host where it runs: `skewguard check`",
            ),
            (ToCheck, "a role whose credentials were not rotated", "`skewguard doctor` on the host where it runs"),
        ],
        Kind::WebIdentityExpired => &[
            (
                Likely,
                "a process that read the token once; the kubelet writes a new one at four fifths of its life",
                "let the SDK read AWS_WEB_IDENTITY_TOKEN_FILE at every use: update it or restart the process",
            ),
            (
                ToCheck,
                "a token that nobody renews: no projected volume, or one that was copied from elsewhere",
                "`kubectl describe pod POD` shows whether the token is a projected volume",
            ),
        ],
        Kind::SamlExpired => &[
            (
                Likely,
                "the assertion was used more than five minutes after it was issued",
                "sign in again, and use the assertion at once",
            ),
            (
                ToCheck,
                "the clock of the identity provider is slow",
                "set the clock of the identity provider: STS compares the assertion's time with its own",
            ),
        ],
        Kind::SsoExpired => &[
            (Likely, "the session has run out, or nobody has signed in here", "aws sso login --profile PROFILE"),
            (
                ToCheck,
                "the process runs as another user, or with another AWS_PROFILE or start URL",
                "`aws configure list`, and look for ~/.aws/sso/cache of that user",
            ),
            (
                ToCheck,
                "the clock was set since the sign-in: the end of the session is kept by the host's own clock",
                "`skewguard check`",
            ),
        ],
        Kind::LoginExpired => &[
            (
                Likely,
                "the session of `aws login` has run out, or nobody has signed in here",
                "aws login --profile PROFILE",
            ),
            (
                ToCheck,
                "the clock was set since the sign-in: the end of the session is kept by the host's own clock",
                "`skewguard check`",
            ),
        ],
        Kind::CognitoExpired => &[
            (
                Likely,
                "the application used a token of the user pool after its end",
                "get a new token with the refresh token before its end; sign in anew where that has run out too",
            ),
            (
                ToCheck,
                "the clock of the device is slow, so that the application took the token for good",
                "set the clock of the device",
            ),
        ],
        Kind::EcrExpired => &[(
            Proven,
            "the login is older than the twelve hours that a token of ECR lives",
            "aws ecr get-login-password --region REGION | docker login --username AWS --password-stdin ACCOUNT.dkr.ecr.REGION.amazonaws.com; on hosts the credential helper amazon-ecr-credential-helper renews it",
        )],
        Kind::CodeArtifactExpired => &[
            (
                Likely,
                "the token has run out: it lives for twelve hours at most, or as long as the role that asked for it",
                "aws codeartifact login --tool TOOL --domain DOMAIN --repository REPOSITORY",
            ),
            (
                ToCheck,
                "the tool was given no token, or that of another domain",
                "look at the settings of the tool: .npmrc, pip.conf, settings.xml, CODEARTIFACT_AUTH_TOKEN",
            ),
        ],
        Kind::StillExpired => &[
            (
                Likely,
                "a provider that hands out old credentials: a cache, a file or a credential_process",
                "renew what the provider hands out",
            ),
            (
                ToCheck,
                "a fast clock: it is ahead by more than the credentials live",
                "on the host where it runs: `skewguard check`",
            ),
            (
                ToCheck,
                "the metadata service in an outage, which then extends the last credentials it has",
                "wait, or update the SDK: new ones go on with such credentials",
            ),
        ],
        Kind::RequestExpired => &[
            (Likely, "temporary credentials that have run out: EC2 calls it the same", RENEW),
            (ToCheck, "a system clock that is slow, or in another zone than the signer takes it for", SET_THAT_CLOCK),
            (ToCheck, WAITED, SIGN_ANEW),
        ],
        Kind::RequestInTheFuture | Kind::SignatureNotYetCurrent | Kind::PresignedNotYetValid => {
            &[(Proven, FAST, SET_THAT_CLOCK)]
        }
        Kind::RequestTimeTooSkewed => &[
            (Likely, "the system clock of the host that signed was off", SET_THAT_CLOCK),
            (ToCheck, WAITED, SIGN_ANEW),
        ],
        Kind::SignatureExpired => &[(Likely, SLOW, SET_THAT_CLOCK), (ToCheck, WAITED, SIGN_ANEW)],
        Kind::SignatureMismatch => &[
            (
                Likely,
                "a secret key that does not belong to the access key, often with a blank or a line break too many",
                WHICH_KEYS,
            ),
            (ToCheck, "a proxy that changes the path or the headers that were signed", "send it past the proxy once"),
            (
                ToCheck,
                "a signer of one's own that escapes otherwise, or another region or service in the scope",
                "compare its canonical request with what `aws --debug …` shows",
            ),
        ],
        Kind::AuthFailure => &[
            (ToCheck, "a system clock that is off by more than five minutes: EC2 does not say so", SET_THAT_CLOCK),
            (ToCheck, "a key that does not exist any more, or a secret key that does not belong to it", WHICH_KEYS),
            (
                ToCheck,
                "a region that is not enabled for the account, or a partition that the key is not of",
                "`aws account list-regions`",
            ),
        ],
        Kind::InvalidClientTokenId | Kind::UnrecognizedClient | Kind::InvalidAccessKeyId | Kind::InvalidToken => {
            UNKNOWN_KEY
        }
        Kind::InvalidIdentityToken => &[
            (
                ToCheck,
                "the account has no identity provider for the issuer of the token, or STS cannot fetch its keys",
                "compare `aws eks describe-cluster --name CLUSTER --query cluster.identity.oidc.issuer` with `aws iam list-open-id-connect-providers`",
            ),
            (
                ToCheck,
                "the token is of another cluster, or its audience is not sts.amazonaws.com",
                "`kubectl describe pod POD`: the projected token names its audience",
            ),
        ],
        Kind::PresignedExpired => &[
            (
                Likely,
                "the URL was used after its end",
                "make a new URL with a longer life: `aws s3 presign s3://BUCKET/KEY --expires-in SECONDS`",
            ),
            (ToCheck, "it was signed by a slow clock, which takes its lag from the life of every URL", SET_THAT_CLOCK),
        ],
        Kind::IncompleteSignature | Kind::MissingAuthenticationToken => NOT_SIGNED,
        Kind::NoCredentials => &[
            (
                ToCheck,
                "no role is attached to the instance, or the metadata service cannot be reached",
                "`skewguard doctor` on the host where it runs",
            ),
            (
                ToCheck,
                "AWS_PROFILE names a profile that does not exist, or the process runs as a user with another home",
                "`aws configure list-profiles` as that user",
            ),
            (ToCheck, "in a container: the hop limit of the metadata service is 1", HOP_LIMIT),
            (ToCheck, "a proxy variable without 169.254.169.254 in NO_PROXY", PROXY),
        ],
        Kind::Container => &[
            (
                ToCheck,
                "the agent of ECS or of Pod Identity does not run, or has no association for this service account",
                "for Pod Identity: `kubectl -n kube-system get pods -l app.kubernetes.io/name=eks-pod-identity-agent` and `aws eks list-pod-identity-associations --cluster-name CLUSTER`; for ECS: look whether the task has a taskRoleArn",
            ),
            (ToCheck, "a proxy variable without 169.254.170.2 and 169.254.170.23 in NO_PROXY", PROXY),
            (
                ToCheck,
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read, or its token has run out",
                "look at the file in the container, and restart the pod",
            ),
        ],
        Kind::ServiceUnreachable => &[(
            Likely,
            "STS or IAM Identity Center could not be reached or did not answer: DNS, the network, a firewall or a proxy",
            NETWORK,
        )],
        Kind::AssumeRoleDenied => &[
            (
                Likely,
                "the trust policy of the role does not name the caller: the account, the user, or the service account by issuer and `sub`",
                "`aws iam get-role --role-name ROLE --query Role.AssumeRolePolicyDocument`; for a pod compare its `sub` with system:serviceaccount:NAMESPACE:NAME",
            ),
            (
                ToCheck,
                "the role does not exist, or the caller's own policy does not allow sts:AssumeRole",
                "`aws sts get-caller-identity` as the caller, and its policies",
            ),
        ],
        Kind::StsThrottled => &[(
            Likely,
            "many processes asked STS at once, or one asks for every request",
            "let processes keep their credentials; use the regional endpoint: AWS_STS_REGIONAL_ENDPOINTS=regional; let the SDK try again: AWS_RETRY_MODE=standard, AWS_MAX_ATTEMPTS=10",
        )],
        Kind::CertificateNotYetValid => &[
            (Likely, READER_SLOW, SET_READER),
            (
                ToCheck,
                "the certificate was issued by a host whose clock is fast",
                "look at the clock of whoever issued it",
            ),
        ],
        Kind::CertificateExpired => &[CERTIFICATE_OVER, (ToCheck, READER_FAST, SET_READER)],
        Kind::CertificateOutsideValidity => &[
            (ToCheck, CERTIFICATE_OVER.1, CERTIFICATE_OVER.2),
            (ToCheck, "the clock of the host that read it is off", SET_READER),
        ],
        Kind::JwtNotYetValid => &[
            (Likely, READER_SLOW, SET_READER),
            (
                ToCheck,
                "the clock of the issuer is fast",
                "look at the clock of the issuer; allow a leeway of some seconds where the token is checked",
            ),
        ],
        Kind::JwtExpired => {
            &[(Likely, "the token was used after its end", "get a new token"), (ToCheck, READER_FAST, SET_READER)]
        }
        Kind::KerberosSkew => &[(
            Proven,
            "the clocks of the client and of the KDC or server differ by more than is allowed, five minutes by default",
            "on both: `skewguard check` or `chronyc tracking`, and let them ask the same time servers",
        )],
        Kind::CloudWatchTime => &[
            (
                ToCheck,
                "the clock of the host that wrote the data is off",
                "on the host that wrote it: `skewguard check`",
            ),
            (
                ToCheck,
                "old data that are sent late, or a simulated time",
                "send data with the time at which they were measured, within two weeks",
            ),
        ],
        Kind::EksUnauthorized => &[
            (
                ToCheck,
                "the caller is not in the access entries or in aws-auth of the cluster, or another profile is used",
                "`aws sts get-caller-identity`, `aws eks list-access-entries --cluster-name CLUSTER`, `aws eks update-kubeconfig --name CLUSTER`",
            ),
            (
                ToCheck,
                "the credentials behind the token have run out",
                "aws sso login --profile PROFILE, or renew the keys",
            ),
            (
                ToCheck,
                "the clock of the caller is off: the token of EKS is a pre-signed URL of fifteen minutes, which no SDK corrects",
                "on the host of the caller: `skewguard check`",
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_causes_and_the_surest_stands_first() {
        for kind in Kind::all() {
            let causes = causes(kind);
            assert!(!causes.is_empty(), "{kind:?}");
            assert!(causes.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{kind:?}");
            assert!(causes.iter().all(|(_, cause, remedy)| !cause.is_empty() && !remedy.is_empty()), "{kind:?}");
        }
    }
}
