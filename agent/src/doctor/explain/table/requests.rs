//! A request that AWS, or what speaks like S3, refuses for its time, its key or its signature.

use super::{Rank, Row, code, words};
use crate::doctor::explain::folded::Needle::{Code, Words};
use crate::doctor::explain::kind::Kind;

const OF_A_URL: &[super::Needle] = &[
    Code("AccessDenied"),
    Words("<expires>"),
    Words("x-amz-expires"),
    Words("<x-amz-expires>"),
    Words("access denied"),
];

/// How SDKs and S3 write a code.
const OF_A_SERVICE: &[super::Needle] = &[
    Words("an error occurred ("),
    Words("error code:"),
    Words("<code>"),
    Words("api error"),
    Words("status code:"),
    Words("amazonaws"),
    Words("awssdk"),
    Words("provided token"),
    Words("s3error"),
    Words("s3 error"),
];

const RCLONE: &str = "time may be set wrong - time from";

pub(in crate::doctor::explain) const ROWS: &[Row] = &[
    words("SigV4 services", "signature expired:", Kind::SignatureExpired).with(&[
        Words("is now earlier than"),
        Code("InvalidSignatureException"),
        Code("SignatureDoesNotMatch"),
    ]),
    words("SigV4 services", "signature not yet current:", Kind::SignatureNotYetCurrent),
    words("SigV4 services", "signature not yet current", Kind::SignatureNotYetCurrent),
    code("S3 and what speaks like it", "RequestTimeTooSkewed", Kind::RequestTimeTooSkewed),
    words(
        "S3, Ceph",
        "difference between the request time and the current time is too large",
        Kind::RequestTimeTooSkewed,
    ),
    words(
        "MinIO",
        "difference between the request time and the server's time is too large",
        Kind::RequestTimeTooSkewed,
    )
    .between_hosts(),
    words("MinIO, between its nodes", "is too apart with server time", Kind::RequestTimeTooSkewed).between_hosts(),
    words("Ceph's radosgw", "request time skew too big", Kind::RequestTimeTooSkewed).between_hosts(),
    words("rclone", RCLONE, Kind::RequestTimeTooSkewed).with(&[Words("amazonaws.com")]),
    words("rclone", RCLONE, Kind::RequestTimeTooSkewed).without(&[Words("amazonaws.com")]).between_hosts(),
    code("SDKs", "RequestInTheFuture", Kind::RequestInTheFuture),
    words("MWS, Product Advertising API", "too far in the future", Kind::RequestInTheFuture)
        .with(&[Words("timestamp date"), Words("request signature is")]),
    code("EC2, SQS, Route 53, SES, MWS", "RequestExpired", Kind::RequestExpired),
    words("SES, Route 53", "it must be within 300 secs", Kind::RequestExpired),
    words("MWS", "is too far in the past and has expired", Kind::RequestExpired),
    words("query services", "request has expired. timestamp date", Kind::RequestExpired),
    words("EC2", "request has expired", Kind::RequestExpired).shared().rank(Rank::Code).with(&[
        Words("an error occurred ("),
        Words("amazonec2"),
        Words("service: ec2"),
        Words("amazonaws"),
        Words("awssdk"),
        Words("ec2"),
    ]),
    words("S3, pre-signed URL", "request has expired", Kind::PresignedExpired)
        .shared()
        .with(OF_A_URL)
        .without(&[Code("RequestExpired"), Words("timestamp date")]),
    words("S3, pre-signed URL", "request is not yet valid", Kind::PresignedNotYetValid).shared().with(&[
        Code("AccessDenied"),
        Words("x-amz-date"),
        Words("<x-amz-date>"),
        Words("<servertime>"),
        Words("access denied"),
    ]),
    code("query services", "SignatureDoesNotMatch", Kind::SignatureMismatch),
    code("JSON services", "InvalidSignatureException", Kind::SignatureMismatch),
    words("SigV4 services", "the request signature we calculated does not match", Kind::SignatureMismatch)
        .rank(Rank::Code),
    words(
        "SigV4 services",
        "date in credential scope does not match yyyymmdd from iso-8601 version of date from http",
        Kind::SignatureMismatch,
    )
    .because(
        "the date in the credential's scope is another day than that of X-Amz-Date: a signer of one's own that reads the \
         clock twice, or keeps its key for signing over midnight",
        "let the signer take both from one reading of the clock, in UTC",
    ),
    words("SigV4 services", "credential should be scoped to a valid region", Kind::SignatureMismatch).because(
        "the signature names another region than the endpoint is in",
        "set the region of the client to that of its endpoint: AWS_REGION, or `region` of the profile",
    ),
    words("SigV4 services", "credential should be scoped to correct service", Kind::SignatureMismatch).because(
        "the signature names another service than the endpoint is of",
        "let the signer name the service that the endpoint belongs to",
    ),
    words("EC2", "aws was not able to validate the provided access credentials", Kind::AuthFailure),
    code("EC2", "AuthFailure", Kind::AuthFailure).shared(),
    code("query services", "InvalidClientTokenId", Kind::InvalidClientTokenId),
    code("JSON services", "UnrecognizedClientException", Kind::UnrecognizedClient),
    words("query and JSON services", "security token included in the request is invalid", Kind::UnrecognizedClient)
        .rank(Rank::Code)
        .without(&[Code("InvalidClientTokenId")]),
    code("S3", "InvalidAccessKeyId", Kind::InvalidAccessKeyId),
    words("S3", "access key id you provided does not exist", Kind::InvalidAccessKeyId),
    code("S3", "InvalidToken", Kind::InvalidToken).shared().with(OF_A_SERVICE).without(&[
        Words("provided token has expired"),
        Words("cognito"),
    ]),
    words("S3", "provided token is malformed or otherwise invalid", Kind::InvalidToken),
    code("SigV4 services", "IncompleteSignature", Kind::IncompleteSignature),
    words("S3", "aws authentication requires a valid date or x-amz-date header", Kind::IncompleteSignature).because(
        "the request has no date, or one that AWS cannot read",
        "let the signer send X-Amz-Date as 20260301T120000Z, in UTC",
    ),
    code("query services", "MissingAuthenticationToken", Kind::MissingAuthenticationToken),
    words("API Gateway, query services", "missing authentication token", Kind::MissingAuthenticationToken)
        .shared()
        .without(&[Words("missing authentication token for")]),
    words("query services", "request is missing authentication token", Kind::MissingAuthenticationToken),
];
