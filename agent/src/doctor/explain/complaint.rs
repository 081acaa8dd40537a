//! What a message complains of, in the words of any SDK.

use super::symptom::Symptom;

/// What went wrong, as AWS or an SDK names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// The temporary credentials had run out when AWS saw them.
    ExpiredToken,
    /// The token of a Kubernetes service account, or of another identity provider, had run out.
    WebIdentityExpired,
    /// The session of IAM Identity Center had run out.
    SsoExpired,
    /// botocore refreshed credentials, and by its clock they had run out already.
    StillExpired,
    /// The request was too old for AWS, or too new, or its credentials had run out: EC2 says the same for all.
    RequestExpired,
    /// S3: the request was signed by a clock too far from its own.
    RequestTimeTooSkewed,
    /// The signature was too old.
    SignatureExpired,
    /// The signature was of the future.
    SignatureNotYetCurrent,
    /// AWS calculated another signature.
    SignatureMismatch,
    /// EC2 refuses the credentials, the signature or its time, and does not say which.
    AuthFailure,
    /// Query services do not know the access key.
    InvalidClientTokenId,
    /// JSON services do not know the access key, or its token belongs to another.
    UnrecognizedClient,
    /// S3 does not know the access key.
    InvalidAccessKeyId,
    /// S3 cannot read the session token.
    InvalidToken,
    /// STS does not accept a web identity token.
    InvalidIdentityToken,
    /// A pre-signed URL had run out.
    PresignedExpired,
    /// A pre-signed URL was of the future.
    PresignedNotYetValid,
    /// The signature lacks a part.
    IncompleteSignature,
    /// There was no signature.
    MissingAuthenticationToken,
    /// The SDK found nothing to sign with.
    NoCredentials,
    /// The instance metadata service gave an SDK no credentials.
    Imds(Symptom),
    /// The endpoint of ECS or EKS Pod Identity gave an SDK no credentials.
    Container,
}

/// What all must stand in a message in lower case, for each complaint; the first row that fits wins, so that the more
/// telling stand above.
const REFUSED_BY_AWS: &[(&[&str], Complaint)] = &[
    (&["signature expired:"], Complaint::SignatureExpired),
    (&["signature not yet current:"], Complaint::SignatureNotYetCurrent),
    (&["token expired: current date/time"], Complaint::WebIdentityExpired),
    (&["expiredidentitytoken"], Complaint::WebIdentityExpired),
    (&["web identity token that was passed is expired"], Complaint::WebIdentityExpired),
    (&["expiredtoken", "assumerolewithwebidentity operation"], Complaint::WebIdentityExpired),
    (&["expiredtoken", "sts: assumerolewithwebidentity"], Complaint::WebIdentityExpired),
    (&["refreshed credentials are still expired"], Complaint::StillExpired),
    (&["requesttimetooskewed"], Complaint::RequestTimeTooSkewed),
    (&["difference between the request time and the current time is too large"], Complaint::RequestTimeTooSkewed),
    (&["sso session", "expired"], Complaint::SsoExpired),
    (&["error loading sso token"], Complaint::SsoExpired),
    (&["token has expired and refresh failed"], Complaint::SsoExpired),
    (&["request is not yet valid"], Complaint::PresignedNotYetValid),
    (&["request has expired", "accessdenied"], Complaint::PresignedExpired),
    (&["request has expired", "x-amz-expires"], Complaint::PresignedExpired),
    (&["request has expired", "<expires>"], Complaint::PresignedExpired),
    (&["requestexpired"], Complaint::RequestExpired),
    (&["request has expired"], Complaint::RequestExpired),
    (&["expiredtoken"], Complaint::ExpiredToken),
    (&["security token included in the request is expired"], Complaint::ExpiredToken),
    (&["provided token has expired"], Complaint::ExpiredToken),
    (&["invalididentitytoken"], Complaint::InvalidIdentityToken),
    (&["signaturedoesnotmatch"], Complaint::SignatureMismatch),
    (&["invalidsignatureexception"], Complaint::SignatureMismatch),
    (&["request signature we calculated does not match"], Complaint::SignatureMismatch),
    (&["invalidclienttokenid"], Complaint::InvalidClientTokenId),
    (&["unrecognizedclientexception"], Complaint::UnrecognizedClient),
    (&["security token included in the request is invalid"], Complaint::UnrecognizedClient),
    (&["invalidaccesskeyid"], Complaint::InvalidAccessKeyId),
    (&["access key id you provided does not exist"], Complaint::InvalidAccessKeyId),
    (&["invalidtoken"], Complaint::InvalidToken),
    (&["provided token is malformed or otherwise invalid"], Complaint::InvalidToken),
    (&["authfailure"], Complaint::AuthFailure),
    (&["aws was not able to validate the provided access credentials"], Complaint::AuthFailure),
    (&["incompletesignature"], Complaint::IncompleteSignature),
    (&["missingauthenticationtoken"], Complaint::MissingAuthenticationToken),
    (&["missing authentication token"], Complaint::MissingAuthenticationToken),
];

/// What SDKs say when they found nothing to sign with.
const NO_CREDENTIALS: &[&str] = &[
    "unable to locate credentials",
    "nocredentialserror",
    "nocredentialproviders",
    "credentialsnotloaded",
    "credentialsprovidererror",
    "could not load credentials from any providers",
    "unable to load credentials from any",
    "unable to load aws credentials from any",
    "no providers in chain provided credentials",
    "no valid credential sources",
    "failed to retrieve credentials",
    "failed to refresh cached credentials",
    "missing credentials in config",
    "partial credentials found",
];

/// What tells that a message speaks of the instance metadata service.
const IMDS: &[&str] = &[
    "169.254.169.254",
    "fd00:ec2::254",
    "/latest/meta-data",
    "/latest/api/token",
    "ec2metadata",
    "ec2_metadata",
    "ec2rolerequesterror",
    "imds",
    "from metadata service",
    "instance metadata",
    "assumeroleunauthorizedaccess",
];

/// What tells that a message speaks of the credentials of a container.
const CONTAINER: &[&str] = &["169.254.170.2", "fd00:ec2::23", "container metadata"];

impl Complaint {
    /// Finds the complaint in a message; `None` where there is none that is known.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let has_any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
        let refused = REFUSED_BY_AWS.iter().find(|(needles, _)| needles.iter().all(|needle| text.contains(needle)));
        if let Some((_, complaint)) = refused {
            return Some(*complaint);
        }
        let (speaks_of_imds, found_nothing) = (has_any(IMDS), has_any(NO_CREDENTIALS));
        let symptom = speaks_of_imds.then(|| Symptom::of(&text)).flatten();
        match symptom {
            Some(symptom) => Some(Self::Imds(symptom)),
            None if has_any(CONTAINER) => Some(Self::Container),
            None if found_nothing => Some(Self::NoCredentials),
            None => speaks_of_imds.then_some(Self::Imds(Symptom::Unclear)),
        }
    }

    /// The name in output, in kebab-case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExpiredToken => "expired-token",
            Self::WebIdentityExpired => "web-identity-token-expired",
            Self::SsoExpired => "sso-session-expired",
            Self::StillExpired => "refreshed-credentials-expired",
            Self::RequestExpired => "request-expired",
            Self::RequestTimeTooSkewed => "request-time-too-skewed",
            Self::SignatureExpired => "signature-expired",
            Self::SignatureNotYetCurrent => "signature-not-yet-current",
            Self::SignatureMismatch => "signature-does-not-match",
            Self::AuthFailure => "auth-failure",
            Self::InvalidClientTokenId => "invalid-client-token-id",
            Self::UnrecognizedClient => "unrecognized-client",
            Self::InvalidAccessKeyId => "invalid-access-key-id",
            Self::InvalidToken => "invalid-token",
            Self::InvalidIdentityToken => "invalid-identity-token",
            Self::PresignedExpired => "presigned-url-expired",
            Self::PresignedNotYetValid => "presigned-url-not-yet-valid",
            Self::IncompleteSignature => "incomplete-signature",
            Self::MissingAuthenticationToken => "missing-authentication-token",
            Self::NoCredentials => "no-credentials",
            Self::Imds(symptom) => symptom.name(),
            Self::Container => "container-credentials",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Messages as SDKs and services write them, and what each is.
    const MESSAGES: &[(&str, Complaint)] = &[
        (
            "botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling the ListObjectsV2 operation: \
             The provided token has expired.",
            Complaint::ExpiredToken,
        ),
        (
            "An error occurred (ExpiredTokenException) when calling the DescribeTable operation: The security token \
             included in the request is expired",
            Complaint::ExpiredToken,
        ),
        (
            "software.amazon.awssdk.services.dynamodb.model.DynamoDbException: The security token included in the request \
             is expired (Service: DynamoDb, Status Code: 400, Request ID: 4FE3) (SDK Attempt Count: 1)",
            Complaint::ExpiredToken,
        ),
        (
            "ExpiredToken: The security token included in the request is expired\n\tstatus code: 403, request id: 1f",
            Complaint::ExpiredToken,
        ),
        (
            "unhandled error (ExpiredToken): Error { code: \"ExpiredToken\", message: \"The provided token has expired.\" }",
            Complaint::ExpiredToken,
        ),
        (
            "An error occurred (ExpiredTokenException) when calling the AssumeRoleWithWebIdentity operation: Token expired: \
             current date/time 1624482533 must be before the expiration date/time1624482335",
            Complaint::WebIdentityExpired,
        ),
        (
            "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 400, RequestID: 1, \
             ExpiredTokenException: Token too old",
            Complaint::WebIdentityExpired,
        ),
        (
            "RuntimeError: Credentials were refreshed, but the refreshed credentials are still expired.",
            Complaint::StillExpired,
        ),
        (
            "An error occurred (RequestExpired) when calling the DescribeInstances operation: Request has expired.",
            Complaint::RequestExpired,
        ),
        (
            "com.amazonaws.services.s3.model.AmazonS3Exception: The difference between the request time and the current \
             time is too large. (Service: Amazon S3; Status Code: 403; Error Code: RequestTimeTooSkewed; Request ID: 1B)",
            Complaint::RequestTimeTooSkewed,
        ),
        (
            "operation error S3: ListBuckets, https response error StatusCode: 403, RequestID: 1, HostID: 2, api error \
             RequestTimeTooSkewed: The difference between the request time and the current time is too large.",
            Complaint::RequestTimeTooSkewed,
        ),
        (
            r##"{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired: 20260301T120000Z is now earlier than 20260301T120959Z (20260301T121459Z - 5 min.)"}"##,
            Complaint::SignatureExpired,
        ),
        (
            "<Code>SignatureDoesNotMatch</Code><Message>Signature not yet current: 20260301T121000Z is still later than \
             20260301T120500Z (20260301T120000Z + 5 min.)</Message>",
            Complaint::SignatureNotYetCurrent,
        ),
        (
            "InvalidSignatureException: The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method.",
            Complaint::SignatureMismatch,
        ),
        (
            "An error occurred (AuthFailure) when calling the DescribeInstances operation: AWS was not able to validate \
             the provided access credentials",
            Complaint::AuthFailure,
        ),
        (
            "An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token \
             included in the request is invalid.",
            Complaint::InvalidClientTokenId,
        ),
        (
            "UnrecognizedClientException: The security token included in the request is invalid.",
            Complaint::UnrecognizedClient,
        ),
        ("<Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId>", Complaint::InvalidAccessKeyId),
        (
            "<Code>InvalidToken</Code><Message>The provided token is malformed or otherwise invalid.</Message>",
            Complaint::InvalidToken,
        ),
        (
            "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: No \
             OpenIDConnect provider found in your account for https://oidc.eks.eu-west-1.amazonaws.com/id/1",
            Complaint::InvalidIdentityToken,
        ),
        (
            "<Error><Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>300</X-Amz-Expires>\
             <Expires>2026-03-01T12:05:00Z</Expires><ServerTime>2026-03-01T12:05:10Z</ServerTime></Error>",
            Complaint::PresignedExpired,
        ),
        ("<Code>AccessDenied</Code><Message>Request is not yet valid</Message>", Complaint::PresignedNotYetValid),
        ("IncompleteSignature: Authorization header requires 'Credential' parameter.", Complaint::IncompleteSignature),
        (r#"{"message":"Missing Authentication Token"}"#, Complaint::MissingAuthenticationToken),
        (
            "Unable to locate credentials. You can configure credentials by running \"aws configure\".",
            Complaint::NoCredentials,
        ),
        ("NoCredentialProviders: no valid providers in chain. Deprecated.", Complaint::NoCredentials),
        ("CredentialsProviderError: Could not load credentials from any providers", Complaint::NoCredentials),
        (
            "Unable to load credentials from any of the providers in the chain AwsCredentialsProviderChain(...) : \
             [SystemPropertyCredentialsProvider(): Unable to load credentials from system settings., \
             ContainerCredentialsProvider(): Cannot fetch credentials from container, \
             InstanceProfileCredentialsProvider(): Failed to load credentials from IMDS.]",
            Complaint::NoCredentials,
        ),
        (
            "failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, request \
             canceled, context deadline exceeded",
            Complaint::Imds(Symptom::Timeout),
        ),
        (
            "get credentials: no EC2 IMDS role found, operation error ec2imds: GetMetadata, http response error \
             StatusCode: 404, request to EC2 IMDS failed",
            Complaint::Imds(Symptom::NoRole),
        ),
        (
            "EC2RoleRequestError: no EC2 instance role found\ncaused by: EC2MetadataError: failed to make EC2Metadata \
             request\n\tstatus code: 401, request id: ",
            Complaint::Imds(Symptom::Unauthorized),
        ),
        (
            "The requested metadata is not found at http://169.254.169.254/latest/meta-data/iam/security-credentials/",
            Complaint::Imds(Symptom::NoRole),
        ),
        (
            "EC2MetadataClient Http request to retrieve credentials failed with error code 403",
            Complaint::Imds(Symptom::Forbidden),
        ),
        (
            "Get \"http://169.254.169.254/latest/api/token\": HTTP/1.1 503 Service Unavailable",
            Complaint::Imds(Symptom::Throttled),
        ),
        (
            "Unable to load AWS credentials from any provider in the chain: [EC2: Failed to connect to service endpoint: ] \
             http://169.254.169.254",
            Complaint::Imds(Symptom::Refused),
        ),
        (
            "Max number of attempts exceeded (1) when attempting to retrieve data from metadata service.",
            Complaint::Imds(Symptom::Timeout),
        ),
        (
            "the credential provider was not enabled: could not communicate with IMDS: dispatch failure: timeout: HTTP \
             connect timeout occurred after 1s (CredentialsNotLoaded)",
            Complaint::Imds(Symptom::Timeout),
        ),
        (
            "access disabled to EC2 IMDS via client option, or \"AWS_EC2_METADATA_DISABLED\" environment variable",
            Complaint::Imds(Symptom::Disabled),
        ),
        (
            r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role."}"#,
            Complaint::Imds(Symptom::Untrusted),
        ),
        ("AWS_AUTH_CREDENTIALS_PROVIDER_IMDS_SOURCE_FAILURE", Complaint::Imds(Symptom::Unclear)),
        (
            "Error retrieving metadata: Received non 200 response 400 from container metadata: http://169.254.170.23/v1",
            Complaint::Container,
        ),
        (
            "The SSO session associated with this profile has expired or is otherwise invalid. To refresh this SSO session \
             run aws sso login with the corresponding profile.",
            Complaint::SsoExpired,
        ),
    ];

    #[test]
    fn every_sdk_is_understood() {
        for (message, complaint) in MESSAGES {
            assert_eq!(Complaint::of(message), Some(*complaint), "{message}");
            assert_eq!(
                Complaint::of(&format!("2026-03-01 ERROR app: {message}\n")),
                Some(*complaint),
                "in a log: {message}"
            );
        }
    }

    #[test]
    fn what_is_no_error_of_time_or_credentials_is_none() {
        for text in
            ["", "hello", "AccessDenied: no identity-based policy allows it", "404 Not Found", "connection refused"]
        {
            assert_eq!(Complaint::of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            Complaint::of(&text);
        }
    }
}
