//! What is recognised, and what is not.

mod dotnet;

use proptest::prelude::*;

use super::*;
use crate::doctor::explain::answer::explain;
use crate::time::Offset;

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

/// What others than the services themselves say, and what wraps it.
const OF_OTHERS: &[(&str, Kind)] = &[
    (
        "mc: <ERROR> Unable to list. The difference between the request time and the server's time is too large.",
        Kind::RequestTimeTooSkewed,
    ),
    (
        "0 NOTICE: request time skew too big now=2026-03-01 12:00:00.000000 req_time=2026-03-01 11:00:00.000000",
        Kind::RequestTimeTooSkewed,
    ),
    (
        "NOTICE: Time may be set wrong - time from \"b.example\" is 9m55.3s different from this computer",
        Kind::RequestTimeTooSkewed,
    ),
    ("kinit: Clock skew too great while getting initial credentials", Kind::KerberosSkew),
    ("jwt.exceptions.ImmatureSignatureError: The token is not yet valid (nbf)", Kind::JwtNotYetValid),
    ("TokenExpiredError: jwt expired\n    at verify (/app/verify.js:1:2)", Kind::JwtExpired),
    ("curl: (60) SSL certificate problem: certificate is not yet valid", Kind::CertificateNotYetValid),
    (
        "java.security.cert.CertificateExpiredException: NotAfter: Sun Mar 01 12:00:00 UTC 2026",
        Kind::CertificateExpired,
    ),
    ("x509: certificate has expired or is not yet valid", Kind::CertificateOutsideValidity),
    ("error: You must be logged in to the server (Unauthorized)", Kind::EksUnauthorized),
    ("denied: Your authorization token has expired. Reauthenticate and try again.", Kind::EcrExpired),
    (
        "npm error 401 Unauthorized - GET https://d-111122223333.d.codeartifact.eu-west-1.amazonaws.com/npm/r/p",
        Kind::CodeArtifactExpired,
    ),
    ("NotAuthorizedException: Refresh Token has expired", Kind::CognitoExpired),
    ("Invalid login token. Token expired: 1772366598 >= 1772366400", Kind::CognitoExpired),
    (
        "(ExpiredTokenException) when calling the AssumeRoleWithSAML operation: Token must be redeemed within 5 minutes of issuance",
        Kind::SamlExpired,
    ),
    (
        "aws: [ERROR]: An error occurred (AccessDeniedException) when calling the CreateOAuth2Token operation: The refresh token has expired.",
        Kind::LoginExpired,
    ),
    (
        "Your session has expired or credentials have changed. Please reauthenticate using 'aws login'.",
        Kind::LoginExpired,
    ),
    ("The retrieved credentials have already expired: Now = 03/01/2026 12:00:00", Kind::StillExpired),
    ("parameter MetricData.member.1.Timestamp must specify a time within the past two weeks.", Kind::CloudWatchTime),
    (
        "WebIdentityErr: failed to retrieve credentials\ncaused by: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
        Kind::AssumeRoleDenied,
    ),
    (
        "get credentials: failed to refresh cached credentials, operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 400, api error Throttling: Rate exceeded",
        Kind::StsThrottled,
    ),
    (
        "failed to refresh cached credentials, failed to retrieve credentials\ncaused by: Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp: i/o timeout",
        Kind::ServiceUnreachable,
    ),
    (
        "refresh cached SSO token failed, operation error SSO OIDC: CreateToken, StatusCode: 0, request send failed, dial tcp: lookup oidc.eu-west-1.amazonaws.com: no such host",
        Kind::ServiceUnreachable,
    ),
    (
        "Unable to retrieve the requested metadata (/latest/meta-data/public-ipv4). The requested metadata is not found",
        Kind::Imds(Symptom::NoSuchPath),
    ),
    ("curl: (28) Failed to connect to 169.254.169.254 port 80: Connection timed out", Kind::Imds(Symptom::Timeout)),
    (
        "Get \"http://169.254.169.254/latest/api/token\": dial tcp 169.254.169.254:80: connect: host is down, it failed",
        Kind::Imds(Symptom::Refused),
    ),
    (
        "! java.net.SocketTimeoutException: connect timed out\n! at a.b(C.java:1)\n! Causing: com.amazonaws.SdkClientException: Failed to connect to service endpoint:",
        Kind::Imds(Symptom::Timeout),
    ),
    (
        "HTTP/1.1 403 Forbidden\nX-Amzn-Errortype: InvalidSignatureException\n\n{\"message\":\"Signature expired: 20260301T120000Z is now earlier than 20260301T121500Z (20260301T122000Z - 5 min.)\"}",
        Kind::SignatureExpired,
    ),
    (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260301' != '20260302'",
        Kind::SignatureMismatch,
    ),
];

#[test]
fn the_innermost_cause_is_told_and_not_what_wraps_it() {
    for (message, kind) in OF_OTHERS {
        assert_eq!(of(message), [*kind], "{message}");
    }
}

#[test]
fn what_is_of_others_is_not_ours() {
    for text in [
        "ManagedIdentityCredential authentication failed: IMDSv2 probe failed. (169.254.169.254:80) timed out",
        "DefaultAzureCredential failed to retrieve a token.\nIt tried several.\nConnection to 169.254.169.254 timed out.",
        "google.auth.exceptions: Compute Engine Metadata server unavailable: host='169.254.169.254': timed out",
        "ElasticsearchSecurityException: missing authentication token for REST request [/_sql]",
        "org.apache.hadoop.security.token.SecretManager$InvalidToken: token (HDFS_DELEGATION_TOKEN 1) is expired",
        "Your password reset request has expired. Please request a new link.",
        "Your SSO session has expired. Please sign in again.",
        "authlib.jose.errors.ExpiredTokenError: expired_token: The token is expired",
        "make: warning:  Clock skew detected.  Your build may be incomplete.",
        "Could not connect to the endpoint URL: \"https://dynamodb.eu-west-1.amazonaws.com/\"",
        "caused by: Post https://sts.amazonaws.com/: remote error: tls: access denied",
        "An error occurred (ThrottlingException) when calling the DescribeStacks operation: Rate exceeded",
        "2026-03-01T12:00:00Z [debug] [imds] using IMDSv2",
    ] {
        assert_eq!(of(text), [], "{text}");
    }
}

#[test]
fn wordings_of_two_errors_are_not_put_together() {
    let text = "AccessDenied: not authorized to perform: s3:ListBucket\nAn error occurred (RequestExpired): Request has expired.";
    assert_eq!(of(text), [Kind::RequestExpired]);
    let text = "2026-03-01 worker 7 timed out, restarting\nno EC2 IMDS role found, operation error ec2imds: GetMetadata, http \
                response error StatusCode: 404";
    assert_eq!(of(text), [Kind::Imds(Symptom::NoRole)]);
}

#[test]
fn what_is_no_error_of_time_or_credentials_is_none() {
    for text in ["", "hello", "AccessDenied: no identity-based policy allows it", "404 Not Found", "connection refused"]
    {
        assert_eq!(of(text), [], "{text}");
    }
}

#[test]
fn a_list_of_what_gave_no_credentials_is_one_error() {
    let list = "NoCredentialProviders: none\nEnvAccessKeyNotFound: x\nSharedCredsLoad: y\nEC2RoleRequestError: no EC2 instance role found";
    assert_eq!(of(list), [Kind::Imds(Symptom::NoRole)]);
    assert_eq!(of(&format!("Something else: none\n\n{list}\nSharedConfig")).len(), 1);
}

#[test]
fn of_a_wording_that_stands_in_one_error_too_often_the_newest_are_looked_at_and_the_others_counted() {
    let signature = |minute: usize| {
        format!(
            "Signature expired: 20260301T12{minute:02}00Z is now earlier than 20260301T140000Z (20260301T140500Z - 5 min.) "
        )
    };
    let mut text: String = (0..60).map(signature).collect();
    text += &(0..10).map(|minute| signature(minute).replace("20260301T12", "20260301T13")).collect::<String>();
    let found = find(&Paste::of(text.as_bytes()));
    let skews: Vec<f64> =
        found.findings.iter().filter_map(|finding| finding.times.offset()).map(Offset::seconds).collect();
    assert_eq!(skews.len(), MOST_OF_ONE);
    assert!(skews.contains(&(56.0 * 60.0)), "the newest: {skews:?}");
    assert!(!skews.contains(&(125.0 * 60.0)), "the oldest: {skews:?}");
    let said = explain(&Paste::of(text.as_bytes()), None).0.remove(0).evidence;
    assert!(said.iter().any(|line| line.contains("6 more")), "{said:?}");
}

#[test]
fn the_newest_errors_are_looked_at_and_the_others_counted() {
    let text = format!("ExpiredToken\n{}", "AuthFailure\n".repeat(MOST + 6));
    let found = find(&Paste::of(text.as_bytes()));
    assert_eq!((found.findings.len(), found.skipped), (MOST, 7));
    assert!(found.findings.iter().all(|finding| finding.kind == Kind::AuthFailure));
}

#[test]
fn the_packages_of_a_stack_make_no_error_that_of_another_cloud() {
    for (text, kind) in [
        (
            "Amazon.Runtime.AmazonServiceException: Unable to find credentials\n   at \
             Microsoft.Extensions.DependencyInjection.ServiceProvider.GetService(Type t)",
            Kind::NoCredentials,
        ),
        (
            "java.net.SocketTimeoutException: Connect to 169.254.169.254:80 failed: connect timed out\n\tat \
             com.google.common.cache.LocalCache.get(LocalCache.java:1)",
            Kind::Imds(Symptom::Timeout),
        ),
        (
            "Connect to 169.254.169.254:80 failed: connect timed out (com.google.common.util.Futures)",
            Kind::Imds(Symptom::Timeout),
        ),
    ] {
        assert_eq!(of(text), [kind], "{text}");
    }
    for text in [
        "Connect to 169.254.169.254:80 failed: connect timed out while asking Google.",
        "Azure: Connect to 169.254.169.254:80 failed: connect timed out",
        "accounts.google.com: Connect to 169.254.169.254:80 failed: connect timed out",
        "x\n  at a.b(c)\nMicrosoft: Connect to 169.254.169.254:80 failed: connect timed out",
    ] {
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
