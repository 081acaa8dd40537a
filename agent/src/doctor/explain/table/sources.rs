//! An SDK that gets no credentials: of its whole chain, of the metadata service, of a container, of STS.

use super::{Rank, Row, code, words};
use crate::doctor::explain::folded::Needle::{self, Code, Words};
use crate::doctor::explain::kind::Kind;
use crate::doctor::explain::symptom::Symptom;

const IMDS: Kind = Kind::Imds(Symptom::Unclear);
/// The credential service of AWS that a request goes to.
const SERVICE: &[Needle] = &[
    Words("https://sts."),
    Words("lookup sts."),
    Words("//sts."),
    Words("sts.amazonaws.com"),
    Words("operation error sts"),
    Words("operation error sso"),
    Words("portal.sso."),
    Words("oidc."),
    Code("WebIdentityErr"),
    Words("calling sts"),
    Words("stsclient"),
    Words("host='sts."),
    Words("getaddrinfo enotfound sts."),
    Words("getaddrinfo eai_again sts."),
];
/// The metadata service or the endpoint of a container, whose faults are their own.
const LOCAL: &[Needle] = &[
    Words("169.254.169.254"),
    Words("169.254.170.2"),
    Words("169.254.170.23"),
    Words("fd00:ec2::254"),
    Words("ec2imds"),
    Words("ec2metadata"),
];
const NEWER_FOR_POD_IDENTITY: &str = "update the SDK to one that knows EKS Pod Identity: Go v1 1.47.11, Go v2 release-2023-11-14, \
    Java v2 2.21.30, boto3 and botocore 1.34.41, AWS CLI 1.30.0 or 2.15.0, JavaScript v2 2.1550.0 or v3 3.458.0, Ruby 3.188.0, PHP \
    3.289.0, .NET 3.7.734.0, C++ 1.11.263, Rust release-2024-03-13, Kotlin 1.0.1; until then use IAM roles for service accounts";

const fn unreachable(says: &'static str) -> Row {
    words("SDKs", says, Kind::ServiceUnreachable).shared().with(SERVICE).without(LOCAL)
}

const fn denied(says: &'static str) -> Row {
    words("STS", says, Kind::AssumeRoleDenied)
}

const fn throttled(says: &'static str) -> Row {
    words("STS", says, Kind::StsThrottled).shared().with(&[
        Code("WebIdentityErr"),
        Words("assumerolewithwebidentity"),
        Words("operation error sts"),
        Words("calling the assumerole operation"),
        Words("sts:"),
        Words("awssecuritytokenservice"),
    ])
}

pub(in crate::doctor::explain) const ROWS: &[Row] = &[
    // Nothing in the whole chain.
    words("botocore", "unable to locate credentials", Kind::NoCredentials).rank(Rank::Code),
    words("botocore", "unable to locate authorization token", Kind::NoCredentials).rank(Rank::Code),
    code("botocore", "NoCredentialsError", Kind::NoCredentials),
    code("botocore", "PartialCredentialsError", Kind::NoCredentials),
    words("botocore", "partial credentials found", Kind::NoCredentials).rank(Rank::Code),
    words("botocore", "no handler was ready to authenticate", Kind::NoCredentials).rank(Rank::Code),
    code("boto", "NoAuthHandlerFound", Kind::NoCredentials),
    code("SDK for Go v1", "NoCredentialProviders", Kind::NoCredentials),
    code("SDK for Go v1", "EnvAccessKeyNotFound", Kind::NoCredentials).rank(Rank::Mention),
    words("SDK for Go v1", "no valid providers in chain", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Go v2", "failed to refresh cached credentials", Kind::NoCredentials).rank(Rank::Wrapper),
    words("SDK for Go v2", "failed to retrieve credentials", Kind::NoCredentials).rank(Rank::Wrapper),
    words("SDK for Go v2", "static credentials are empty", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Go v2", "get identity: get credentials", Kind::NoCredentials).rank(Rank::Wrapper),
    code("SDK for Go v1", "EmptyStaticCreds", Kind::NoCredentials),
    code("SDK for Go v1", "CredentialRequiresARNError", Kind::NoCredentials),
    words("SDK for Go", "failed to get shared config profile", Kind::NoCredentials).because(
        "the profile that is asked for stands in no shared file that this process reads",
        "`aws configure list-profiles`; set AWS_PROFILE to one of them, and AWS_SDK_LOAD_CONFIG=1 for an SDK for Go v1",
    ),
    words("AWS CLI", "the config profile (", Kind::NoCredentials).with(&[Words("could not be found")]).because(
        "the profile that is asked for stands in no shared file that this process reads",
        "`aws configure list-profiles`; set AWS_PROFILE to one of them",
    ),
    words("Terraform", "no valid credential sources", Kind::NoCredentials).rank(Rank::Wrapper),
    words("Terraform", "no valid credential sources found for aws provider", Kind::NoCredentials).rank(Rank::Wrapper),
    code("SDK for Rust", "CredentialsNotLoaded", Kind::NoCredentials).rank(Rank::Wrapper),
    words("SDK for Rust", "no providers in chain provided credentials", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Rust", "the credential provider was not enabled", Kind::NoCredentials).rank(Rank::Wrapper),
    words("SDK for Rust", "failed to load credentials", Kind::NoCredentials)
        .rank(Rank::Wrapper)
        .shared()
        .with(super::OF_AWS),
    code("SDK for JavaScript v3", "CredentialsProviderError", Kind::NoCredentials).rank(Rank::Wrapper),
    words("SDK for JavaScript v3", "could not load credentials from any providers", Kind::NoCredentials)
        .rank(Rank::Code),
    words("SDK for JavaScript v3", "credential is missing", Kind::NoCredentials)
        .shared()
        .with(super::OF_AWS)
        .rank(Rank::Code),
    words("SDK for JavaScript v3", "resolved credential object is not valid", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for JavaScript v2", "missing credentials in config", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for JavaScript v2", "could not load credentials from", Kind::NoCredentials)
        .shared()
        .with(super::OF_AWS)
        .rank(Rank::Wrapper),
    code("Amplify", "NoCredentials", Kind::NoCredentials).shared().with(super::OF_AWS),
    words("SDK for Java v2", "unable to load credentials from any", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Java v2", "unable to load credentials from system settings", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Java v1", "unable to load aws credentials from any", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Java v1", "unable to load aws credentials from", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Java v1", "unable to load credentials from service endpoint", IMDS).rank(Rank::Mention),
    words("Hadoop's S3A", "no aws credentials provided by", Kind::NoCredentials).rank(Rank::Code),
    code("Hadoop's S3A", "NoAwsCredentialsException", Kind::NoCredentials),
    code("Hadoop's S3A", "NoAuthWithAWSException", Kind::NoCredentials).rank(Rank::Wrapper),
    words("Hadoop", "aws access key id and secret access key must be specified", Kind::NoCredentials).rank(Rank::Code),
    words("Ruby", "unable to sign request without credentials set", Kind::NoCredentials).rank(Rank::Code),
    code("SDK for Ruby", "MissingCredentialsError", Kind::NoCredentials),
    code("Ruby's SigV4", "MissingCredentialsError", Kind::NoCredentials),
    words(
        "Ruby's SigV4",
        "missing credentials, provide credentials with one of the following options",
        Kind::NoCredentials,
    )
    .rank(Rank::Code),
    words("SDK for PHP", "could not find credentials", Kind::NoCredentials)
        .shared()
        .with(super::OF_AWS)
        .rank(Rank::Code),
    words("SDK for PHP", "could not find environment variable credentials", Kind::NoCredentials)
        .shared()
        .with(super::OF_AWS)
        .rank(Rank::Wrapper),
    words("SDK for PHP", "cannot read credentials from", Kind::NoCredentials)
        .shared()
        .with(super::OF_AWS)
        .rank(Rank::Code),
    words("SDK for .NET", "unable to find credentials", Kind::NoCredentials)
        .shared()
        .with(&[Words("amazon"), Words("aws"), Words("exception 1 of")])
        .rank(Rank::Code),
    words("SDK for Ruby v1", "unable to find aws credentials", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for .NET", "failed to resolve aws credentials", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for .NET", "were not set with aws credentials", Kind::NoCredentials).rank(Rank::Mention),
    code("SDK for .NET", "ProfileNotFoundException", Kind::NoCredentials).because(
        "the profile that AWS_PROFILE asks for stands in no shared file that this process reads",
        "set AWS_PROFILE to one of those that `aws configure list-profiles` tells",
    ),
    words("SDK for .NET", "ensure the profile contains a valid combination of properties", Kind::NoCredentials).because(
        "the profile has too few keys, or those of several kinds: .NET takes exact sets alone",
        "leave in it keys alone, or a role_arn with its source alone, or a credential_process alone",
    ),
    words("SDK for .NET", "does not contain a section, property or comment", Kind::NoCredentials).because(
        "a line is neither a section nor a key, such as a section with a comment behind it: .NET reads nothing of that file",
        "mend the line that the error names",
    ),
    words("SDK for .NET", "assembly awssdk.securitytoken could not be found", Kind::NoCredentials).because(
        "the program lacks the library by which .NET gets the credentials of a role",
        "add the package AWSSDK.SecurityToken to the program, of the version that the other packages have",
    ),
    words("Tools for PowerShell", "no credentials specified or obtained from persisted", Kind::NoCredentials)
        .rank(Rank::Code),
    code("Common Runtime", "AWS_AUTH_SIGNING_NO_CREDENTIALS", Kind::NoCredentials),
    words("Common Runtime", "attempt to sign an http request without credentials", Kind::NoCredentials)
        .rank(Rank::Code),
    code("Common Runtime", "AWS_AUTH_CREDENTIALS_PROVIDER_INVALID_ENVIRONMENT", Kind::NoCredentials)
        .rank(Rank::Mention),
    words("Common Runtime", "valid credentials could not be sourced", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Kotlin", "no credentials could be loaded from the chain", Kind::NoCredentials).rank(Rank::Code),
    words("SDK for Swift", "failed to resolve credentials", Kind::NoCredentials)
        .shared()
        .with(super::OF_AWS)
        .rank(Rank::Code),
    words("s3fs", "could not determine how to establish security credentials", Kind::NoCredentials).rank(Rank::Code),
    words("Serverless Framework", "aws provider credentials not found", Kind::NoCredentials).rank(Rank::Code),
    words("CDK", "but no credentials have been configured", Kind::NoCredentials)
        .shared()
        .with(super::OF_AWS)
        .rank(Rank::Code),
    words("CDK", "unable to resolve aws account to use", Kind::NoCredentials).rank(Rank::Code),
    words("tools", "no aws credentials found", Kind::NoCredentials).rank(Rank::Code),
    words("tools", "aws credentials not found", Kind::NoCredentials).rank(Rank::Code),
    words("tools", "could not find aws credentials", Kind::NoCredentials).rank(Rank::Code),
    words("tools", "no credentials found", Kind::NoCredentials).shared().with(super::OF_AWS).rank(Rank::Code),
    words("tools", "missing aws credentials", Kind::NoCredentials).rank(Rank::Code),
    // The instance metadata service: why it gave nothing stands behind these.
    words("all", "169.254.169.254", IMDS).rank(Rank::Mention).shared(),
    words("all", "fd00:ec2::254", IMDS).rank(Rank::Mention),
    words("all", "/latest/meta-data", IMDS).rank(Rank::Mention).shared(),
    words("all", "/latest/api/token", IMDS).rank(Rank::Mention),
    words("SDK for Go v2", "ec2imds", IMDS).rank(Rank::Mention),
    words("SDK for Go v2", "no ec2 imds role found", IMDS).rank(Rank::Mention),
    words("SDK for Go v1", "no ec2 instance role found", IMDS).rank(Rank::Mention),
    code("SDK for Go v1", "EC2MetadataError", IMDS).rank(Rank::Mention),
    code("SDK for Go v1", "EC2MetadataRequestError", IMDS).rank(Rank::Mention),
    words("SDK for Go v1", "failed to make ec2metadata request", IMDS).rank(Rank::Mention),
    code("SDK for Go v1", "EC2RoleRequestError", IMDS).rank(Rank::Mention),
    words("SDK for C++", "ec2metadataclient", IMDS).rank(Rank::Mention),
    words("SDKs", "ec2 metadata", IMDS).rank(Rank::Mention),
    words("SDKs", "ec2 instance metadata", IMDS).rank(Rank::Mention),
    words("SDK for Rust", "communicate with imds", IMDS).rank(Rank::Mention),
    words("SDKs", "imds", IMDS).rank(Rank::Mention).shared(),
    words("Common Runtime", "imds_source_failure", IMDS).rank(Rank::Mention),
    words("Common Runtime", "aws_auth_credentials_provider_imds_source_failure", IMDS).rank(Rank::Mention),
    words("botocore", "from metadata service", IMDS).rank(Rank::Mention),
    words("botocore", "metadata service request", IMDS).rank(Rank::Mention),
    code("botocore", "MetadataRetrievalError", IMDS).rank(Rank::Mention),
    words("SDK for PHP", "instance profile metadata server", IMDS).rank(Rank::Mention),
    words("SDK for PHP", "instance profile metadata service", IMDS).rank(Rank::Mention),
    words("SDKs", "instance metadata service", IMDS).rank(Rank::Mention).shared(),
    words("SDKs", "instance metadata", IMDS).rank(Rank::Mention).shared(),
    words("SDK for Java v1", "failed to connect to service endpoint", IMDS).rank(Rank::Mention),
    words("SDK for Ruby", "instanceprofilecredentials", IMDS).rank(Rank::Mention).with(&[
        Words("timed out"),
        Words("execution expired"),
        Words("timeout"),
        Words("refused"),
    ]),
    code("EC2", "AssumeRoleUnauthorizedAccess", Kind::Imds(Symptom::Untrusted)),
    // The endpoint of a container.
    words("all", "169.254.170.2", Kind::Container).rank(Rank::Code),
    words("all", "169.254.170.23", Kind::Container).rank(Rank::Code),
    words("all", "fd00:ec2::23", Kind::Container).rank(Rank::Code),
    words("botocore", "from container metadata", Kind::Container),
    words("botocore", "container metadata", Kind::Container).rank(Rank::Code).with(super::OF_AWS),
    words("SDK for PHP", "container metadata", Kind::Container).rank(Rank::Code),
    words("SDK for PHP", "error retrieving credentials from container", Kind::Container),
    words("SDK for .NET", "unable to retrieve credentials. message =", Kind::Container).with(&[
        Words("unable to reach credentials server"),
        Words("ecstaskcredentials"),
        Words("genericcontainercredentials"),
    ]),
    words("SDK for .NET", "the full uri contains an invalid host", Kind::Container),
    code("SDK for Go v1", "CredentialsEndpointError", Kind::Container),
    words("SDK for Go", "http credential provider invalid endpoint host", Kind::Container)
        .because("the SDK is older than EKS Pod Identity, and takes no endpoint but loopback", NEWER_FOR_POD_IDENTITY),
    words("SDKs", "only loopback hosts are allowed", Kind::Container)
        .because("the SDK is older than EKS Pod Identity, and takes no endpoint but loopback", NEWER_FOR_POD_IDENTITY),
    words("SDK for JavaScript", "169.254.170.23 is not a valid container metadata service hostname", Kind::Container)
        .because("the SDK is older than EKS Pod Identity", NEWER_FOR_POD_IDENTITY),
    words("botocore", "unsupported host 169.254.170.23", Kind::Container)
        .because("the SDK is older than EKS Pod Identity", NEWER_FOR_POD_IDENTITY),
    words("EKS", "assumeroleforpodidentity", Kind::Container),
    words("EKS", "eks-pod-identity", Kind::Container)
        .with(&[Words("error"), Words("failed"), Words("denied")])
        .rank(Rank::Code),
    // STS and IAM Identity Center, on the way.
    unreachable("i/o timeout"),
    unreachable("no such host"),
    unreachable("connection refused"),
    unreachable("connection reset by peer"),
    unreachable("network is unreachable"),
    unreachable("no route to host"),
    unreachable("tls handshake timeout"),
    unreachable("context deadline exceeded"),
    unreachable("client.timeout exceeded"),
    unreachable("server misbehaving"),
    unreachable("temporary failure in name resolution"),
    unreachable("name or service not known"),
    unreachable("nodename nor servname provided"),
    unreachable("could not resolve host"),
    unreachable("unknownhostexception"),
    unreachable("connect timed out"),
    unreachable("connection timed out"),
    unreachable("read timed out"),
    unreachable("connecttimeouterror"),
    unreachable("getaddrinfo enotfound"),
    unreachable("getaddrinfo eai_again"),
    unreachable("dns error"),
    unreachable("dispatch failure"),
    words("SDK for Go v2", "statuscode: 0, requestid: , request send failed", Kind::ServiceUnreachable)
        .rank(Rank::Mention)
        .with(SERVICE)
        .without(LOCAL),
    words("botocore", "could not connect to the endpoint url: \"https://sts.", Kind::ServiceUnreachable),
    words("botocore", "connect timeout on endpoint url: \"https://sts.", Kind::ServiceUnreachable),
    words("botocore", "read timeout on endpoint url: \"https://sts.", Kind::ServiceUnreachable),
    words("botocore", "could not connect to the endpoint url: \"https://portal.sso.", Kind::ServiceUnreachable),
    words("botocore", "could not connect to the endpoint url: \"https://oidc.", Kind::ServiceUnreachable),
    // STS says no.
    denied("not authorized to perform sts:assumerolewithwebidentity"),
    denied("not authorized to perform: sts:assumerolewithwebidentity"),
    denied("not authorized to perform sts:assumerole"),
    denied("not authorized to perform: sts:assumerole"),
    denied("not authorized to perform: sts:tagsession"),
    denied("not authorized to perform sts:assumerolewithsaml"),
    denied("not authorized to perform: sts:assumerolewithsaml"),
    denied("when calling the assumerole operation").with(&[Code("AccessDenied")]),
    denied("when calling the assumerolewithwebidentity operation").with(&[Code("AccessDenied")]),
    throttled("rate exceeded"),
    throttled("throttling"),
    throttled("throttlingexception"),
    throttled("toomanyrequestsexception"),
    throttled("request limit exceeded"),
    throttled("requestlimitexceeded"),
    throttled("exceeded maximum number of attempts, 3, https response error statuscode: 503"),
];

/// What tells why the metadata service gave nothing, wherever it stands; the address is a part of it.
pub(in crate::doctor::explain) const AT_IMDS: &[(&str, Symptom)] = &[
    ("could not connect to the endpoint url: \"http://169.254.169.254", Symptom::Refused),
    ("connect econnrefused 169.254.169.254", Symptom::Refused),
    ("connect ehostunreach 169.254.169.254", Symptom::Refused),
    ("connect enetunreach 169.254.169.254", Symptom::Refused),
    ("connect ehostdown 169.254.169.254", Symptom::Refused),
    ("connect etimedout 169.254.169.254", Symptom::Timeout),
    ("connect timeout on endpoint url: \"http://169.254.169.254", Symptom::Timeout),
    ("read timeout on endpoint url: \"http://169.254.169.254", Symptom::Timeout),
    ("no ec2 metadata service access", Symptom::Disabled),
    ("access disabled to ec2 imds", Symptom::Disabled),
    ("imds credentials have been disabled", Symptom::Disabled),
    ("metadata service is disabled", Symptom::Disabled),
    ("ec2 metadata service access disabled", Symptom::Disabled),
    ("ec2 instance metadata service access is disabled", Symptom::Disabled),
    ("imds is disabled", Symptom::Disabled),
    ("imds credentials provider is disabled", Symptom::Disabled),
    ("imds has been disabled", Symptom::Disabled),
];

/// What tells the same behind a mention of the metadata service; the last counts.
pub(in crate::doctor::explain) const BEHIND_IMDS: &[(&str, Symptom)] = &[
    ("timed out", Symptom::Timeout),
    ("timeout after", Symptom::Timeout),
    ("timedout", Symptom::Timeout),
    ("i/o timeout", Symptom::Timeout),
    ("read timeout", Symptom::Timeout),
    ("connect timeout", Symptom::Timeout),
    ("timeout occurred", Symptom::Timeout),
    ("timeouterror", Symptom::Timeout),
    ("timeoutexception", Symptom::Timeout),
    ("sockettimeoutexception", Symptom::Timeout),
    ("connecttimeoutexception", Symptom::Timeout),
    ("connecttimeouterror", Symptom::Timeout),
    ("readtimeouterror", Symptom::Timeout),
    ("etimedout", Symptom::Timeout),
    ("execution expired", Symptom::Timeout),
    ("deadline exceeded", Symptom::Timeout),
    ("client.timeout exceeded", Symptom::Timeout),
    ("curl error 28", Symptom::Timeout),
    ("max number of attempts exceeded", Symptom::Timeout),
    ("a task was canceled", Symptom::Timeout),
    ("connection refused", Symptom::Refused),
    ("actively refused", Symptom::Refused),
    ("econnrefused", Symptom::Refused),
    ("connection reset", Symptom::Refused),
    ("econnreset", Symptom::Refused),
    ("host is down", Symptom::Refused),
    ("ehostdown", Symptom::Refused),
    ("no route to host", Symptom::Refused),
    ("ehostunreach", Symptom::Refused),
    ("host is unreachable", Symptom::Refused),
    ("network is unreachable", Symptom::Refused),
    ("unreachable network", Symptom::Refused),
    ("unreachable host", Symptom::Refused),
    ("enetunreach", Symptom::Refused),
    ("curl error 7", Symptom::Refused),
    ("assumeroleunauthorizedaccess", Symptom::Untrusted),
];

/// The same, where nothing tells better.
pub(in crate::doctor::explain) const PERHAPS_IMDS: &[(&str, Symptom)] = &[
    ("max number of attempts exceeded", Symptom::Timeout),
    ("failed to connect", Symptom::Refused),
    ("could not connect", Symptom::Refused),
    ("unable to connect", Symptom::Refused),
    // .NET says so of every failure; it has to stand behind the shorter wording that begins it.
    ("failed to connect to ec2 instance metadata to retrieve credentials", Symptom::Unclear),
    ("requested metadata is not found", Symptom::NoRole),
    ("no ec2 instance role found", Symptom::NoRole),
    ("no ec2 imds role found", Symptom::NoRole),
    ("no role attached", Symptom::NoRole),
];

/// Without one of these a mention of the metadata service is no error.
pub(in crate::doctor::explain) const FAILED: &[Needle] = &[
    Words("error"),
    Words("errors"),
    Words("failed"),
    Words("failure"),
    Words("fatal"),
    Words("unable"),
    Words("could not"),
    Words("couldn't"),
    Words("cannot"),
    Words("can't"),
    Words("exception"),
    Words("not found"),
    Words("no ec2"),
    Words("denied"),
    Words("source_failure"),
    Code("EC2MetadataError"),
    Code("EC2MetadataRequestError"),
    Code("EC2RoleRequestError"),
    Code("MetadataRetrievalError"),
    Code("AWS_AUTH_CREDENTIALS_PROVIDER_IMDS_SOURCE_FAILURE"),
];
