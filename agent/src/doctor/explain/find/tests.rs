//! What is recognised, and what is not.

use proptest::prelude::*;

use super::*;

fn of(text: &str) -> Vec<Kind> {
    find(&Paste::of(text.as_bytes())).findings.into_iter().map(|finding| finding.kind).collect()
}

/// Messages as SDKs and services write them, and what each is.
const MESSAGES: &[(&str, Kind)] = &[
    (
        "botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling the ListObjectsV2 operation: \
         The provided token has expired.",
        Kind::ExpiredToken,
    ),
    (
        "An error occurred (ExpiredTokenException) when calling the DescribeTable operation: The security token \
         included in the request is expired",
        Kind::ExpiredToken,
    ),
    (
        "software.amazon.awssdk.services.dynamodb.model.DynamoDbException: The security token included in the request \
         is expired (Service: DynamoDb, Status Code: 400, Request ID: 4FE3) (SDK Attempt Count: 1)",
        Kind::ExpiredToken,
    ),
    (
        "ExpiredToken: The security token included in the request is expired\n\tstatus code: 403, request id: 1f",
        Kind::ExpiredToken,
    ),
    (
        "unhandled error (ExpiredToken): Error { code: \"ExpiredToken\", message: \"The provided token has expired.\" }",
        Kind::ExpiredToken,
    ),
    (
        "An error occurred (ExpiredTokenException) when calling the AssumeRoleWithWebIdentity operation: Token expired: \
         current date/time 1624482533 must be before the expiration date/time1624482335",
        Kind::WebIdentityExpired,
    ),
    (
        "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 400, RequestID: 1, \
         ExpiredTokenException: Token too old",
        Kind::WebIdentityExpired,
    ),
    ("RuntimeError: Credentials were refreshed, but the refreshed credentials are still expired.", Kind::StillExpired),
    (
        "An error occurred (RequestExpired) when calling the DescribeInstances operation: Request has expired.",
        Kind::RequestExpired,
    ),
    (
        "com.amazonaws.services.s3.model.AmazonS3Exception: The difference between the request time and the current \
         time is too large. (Service: Amazon S3; Status Code: 403; Error Code: RequestTimeTooSkewed; Request ID: 1B)",
        Kind::RequestTimeTooSkewed,
    ),
    (
        "operation error S3: ListBuckets, https response error StatusCode: 403, RequestID: 1, HostID: 2, api error \
         RequestTimeTooSkewed: The difference between the request time and the current time is too large.",
        Kind::RequestTimeTooSkewed,
    ),
    (
        r##"{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired: 20260301T120000Z is now earlier than 20260301T120959Z (20260301T121459Z - 5 min.)"}"##,
        Kind::SignatureExpired,
    ),
    (
        "<Code>SignatureDoesNotMatch</Code><Message>Signature not yet current: 20260301T121000Z is still later than \
         20260301T120500Z (20260301T120000Z + 5 min.)</Message>",
        Kind::SignatureNotYetCurrent,
    ),
    (
        "InvalidSignatureException: The request signature we calculated does not match the signature you provided. \
         Check your AWS Secret Access Key and signing method.",
        Kind::SignatureMismatch,
    ),
    (
        "An error occurred (AuthFailure) when calling the DescribeInstances operation: AWS was not able to validate \
         the provided access credentials",
        Kind::AuthFailure,
    ),
    (
        "An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token \
         included in the request is invalid.",
        Kind::InvalidClientTokenId,
    ),
    ("UnrecognizedClientException: The security token included in the request is invalid.", Kind::UnrecognizedClient),
    ("<Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId>", Kind::InvalidAccessKeyId),
    (
        "<Code>InvalidToken</Code><Message>The provided token is malformed or otherwise invalid.</Message>",
        Kind::InvalidToken,
    ),
    (
        "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: No \
         OpenIDConnect provider found in your account for https://oidc.eks.eu-west-1.amazonaws.com/id/1",
        Kind::InvalidIdentityToken,
    ),
    (
        "<Error><Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>300</X-Amz-Expires>\
         <Expires>2026-03-01T12:05:00Z</Expires><ServerTime>2026-03-01T12:05:10Z</ServerTime></Error>",
        Kind::PresignedExpired,
    ),
    ("<Code>AccessDenied</Code><Message>Request is not yet valid</Message>", Kind::PresignedNotYetValid),
    ("IncompleteSignature: Authorization header requires 'Credential' parameter.", Kind::IncompleteSignature),
    (r#"{"message":"Missing Authentication Token"}"#, Kind::MissingAuthenticationToken),
    ("Unable to locate credentials. You can configure credentials by running \"aws configure\".", Kind::NoCredentials),
    ("NoCredentialProviders: no valid providers in chain. Deprecated.", Kind::NoCredentials),
    ("CredentialsProviderError: Could not load credentials from any providers", Kind::NoCredentials),
    (
        "Unable to load credentials from any of the providers in the chain AwsCredentialsProviderChain(...) : \
         [SystemPropertyCredentialsProvider(): Unable to load credentials from system settings., \
         ContainerCredentialsProvider(): Cannot fetch credentials from container, \
         InstanceProfileCredentialsProvider(): Failed to load credentials from IMDS.]",
        Kind::NoCredentials,
    ),
    (
        "failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, request \
         canceled, context deadline exceeded",
        Kind::Imds(Symptom::Timeout),
    ),
    (
        "get credentials: no EC2 IMDS role found, operation error ec2imds: GetMetadata, http response error \
         StatusCode: 404, request to EC2 IMDS failed",
        Kind::Imds(Symptom::NoRole),
    ),
    (
        "EC2RoleRequestError: no EC2 instance role found\ncaused by: EC2MetadataError: failed to make EC2Metadata \
         request\n\tstatus code: 401, request id: ",
        Kind::Imds(Symptom::Unauthorized),
    ),
    (
        "The requested metadata is not found at http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        Kind::Imds(Symptom::NoRole),
    ),
    (
        "EC2MetadataClient Http request to retrieve credentials failed with error code 403",
        Kind::Imds(Symptom::Forbidden),
    ),
    (
        "Get \"http://169.254.169.254/latest/api/token\": HTTP/1.1 503 Service Unavailable",
        Kind::Imds(Symptom::Throttled),
    ),
    (
        "Unable to load AWS credentials from any provider in the chain: [EC2: Failed to connect to service endpoint: ] \
         http://169.254.169.254",
        Kind::Imds(Symptom::Refused),
    ),
    (
        "Max number of attempts exceeded (1) when attempting to retrieve data from metadata service.",
        Kind::Imds(Symptom::Timeout),
    ),
    (
        "the credential provider was not enabled: could not communicate with IMDS: dispatch failure: timeout: HTTP \
         connect timeout occurred after 1s (CredentialsNotLoaded)",
        Kind::Imds(Symptom::Timeout),
    ),
    (
        "access disabled to EC2 IMDS via client option, or \"AWS_EC2_METADATA_DISABLED\" environment variable",
        Kind::Imds(Symptom::Disabled),
    ),
    (
        r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role."}"#,
        Kind::Imds(Symptom::Untrusted),
    ),
    ("AWS_AUTH_CREDENTIALS_PROVIDER_IMDS_SOURCE_FAILURE", Kind::Imds(Symptom::Unclear)),
    (
        "Error retrieving metadata: Received non 200 response 400 from container metadata: http://169.254.170.23/v1",
        Kind::Container,
    ),
    (
        "The SSO session associated with this profile has expired or is otherwise invalid. To refresh this SSO session \
         run aws sso login with the corresponding profile.",
        Kind::SsoExpired,
    ),
];

#[test]
fn every_sdk_is_understood() {
    for (message, kind) in MESSAGES {
        assert_eq!(of(message), [*kind], "{message}");
        assert_eq!(of(&format!("2026-03-01 12:00:00 ERROR app: {message}\n")), [*kind], "in a log: {message}");
    }
}

#[test]
fn what_is_no_error_of_time_or_credentials_is_none() {
    for text in ["", "hello", "AccessDenied: no identity-based policy allows it", "404 Not Found", "connection refused"]
    {
        assert_eq!(of(text), [], "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text: String) {
        find(&Paste::of(&bytes));
        find(&Paste::of(text.as_bytes()));
    }
}
