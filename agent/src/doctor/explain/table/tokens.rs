//! A token or a session that has run out.

use super::{Rank, Row, code, words};
use crate::doctor::explain::folded::Needle::{Code, Words};
use crate::doctor::explain::kind::Kind;

const COGNITO: &[super::Needle] =
    &[Code("NotAuthorizedException"), Words("cognito"), Words("amplify"), Words("login token"), Words("userpool")];
const CODEARTIFACT: &[super::Needle] = &[Words("codeartifact"), Words(".d.codeartifact.")];
/// What a service says that wants another token.
const UNAUTHORIZED: &[super::Needle] = &[
    Words("401"),
    Words("unauthorized"),
    Words("unauthenticated"),
    Words("authorization token"),
    Code("E401"),
    Words("token has expired"),
    Words("token expired"),
    Words("not authorized"),
];

pub(in crate::doctor::explain) const ROWS: &[Row] = &[
    code("all services", "ExpiredToken", Kind::ExpiredToken).shared().without(&[Code("AssumeRoleWithSAML")]),
    words("query and JSON services", "security token included in the request is expired", Kind::ExpiredToken)
        .rank(Rank::Code),
    words("S3", "provided token has expired", Kind::ExpiredToken).rank(Rank::Code),
    code("S3", "TokenRefreshRequired", Kind::ExpiredToken),
    words("S3", "the provided token must be refreshed", Kind::ExpiredToken),
    words("all services", "security token has expired", Kind::ExpiredToken).shared().with(super::OF_AWS).rank(Rank::Code),
    words("botocore", "refreshed credentials are still expired", Kind::StillExpired),
    words("SDK for .NET", "retrieved credentials have already expired", Kind::StillExpired),
    words("STS", "token expired: current date/time", Kind::WebIdentityExpired),
    words("STS", "must be before the expiration date/time", Kind::WebIdentityExpired),
    words("STS", "token too old", Kind::WebIdentityExpired).shared().with(&[
        Code("ExpiredTokenException"),
        Code("ExpiredToken"),
        Words("sts"),
    ]),
    code("STS", "ExpiredIdentityToken", Kind::WebIdentityExpired),
    words("STS", "web identity token that was passed is expired", Kind::WebIdentityExpired),
    code("STS", "ExpiredToken", Kind::WebIdentityExpired).rank(Rank::Words).with(&[
        Words("calling the assumerolewithwebidentity operation"),
        Words("sts: assumerolewithwebidentity"),
        Code("WebIdentityErr"),
    ]),
    code("STS", "InvalidIdentityToken", Kind::InvalidIdentityToken),
    words("STS", "couldn't retrieve verification key from your identity provider", Kind::InvalidIdentityToken).because(
        "STS could not fetch the keys of the issuer in time",
        "try again; where it lasts, look whether the issuer's /.well-known/openid-configuration and its keys can be fetched \
         from the internet, and quickly",
    ),
    words("STS", "no openidconnect provider found in your account", Kind::InvalidIdentityToken).because(
        "the account has no identity provider for the issuer of the token",
        "`eksctl utils associate-iam-oidc-provider --cluster CLUSTER --approve`, or `aws iam create-open-id-connect-provider`",
    ),
    words("STS", "incorrect token audience", Kind::InvalidIdentityToken).because(
        "the audience of the token is none of those that the identity provider of the account has",
        "let the token have the audience sts.amazonaws.com, or add its audience to the identity provider",
    ),
    words("STS", "https certificate doesn't match configured thumbprint", Kind::InvalidIdentityToken).because(
        "the certificate of the issuer has changed since its thumbprint was entered",
        "`aws iam update-open-id-connect-provider-thumbprint` with the thumbprint of the new one",
    ),
    code("STS", "IDPCommunicationError", Kind::InvalidIdentityToken).because(
        "STS could not reach the issuer of the token",
        "try again; where it lasts, look whether the issuer's keys can be fetched from the internet",
    ),
    words("STS, SAML", "token must be redeemed within 5 minutes of issuance", Kind::SamlExpired),
    code("STS, SAML", "ExpiredTokenException", Kind::SamlExpired)
        .rank(Rank::Words)
        .with(&[Code("AssumeRoleWithSAML"), Words("saml assertion"), Words("saml response")]),
    code("STS, SAML", "ExpiredToken", Kind::SamlExpired)
        .rank(Rank::Words)
        .with(&[Code("AssumeRoleWithSAML"), Words("saml assertion"), Words("saml response")]),
    words("SAML", "saml assertion has expired", Kind::SamlExpired).shared().with(super::OF_AWS),
    words("SAML", "saml assertion is expired", Kind::SamlExpired).shared().with(super::OF_AWS),
    // IAM Identity Center.
    words("SDKs", "sso session has expired", Kind::SsoExpired).shared().with(super::OF_AWS),
    words("SDKs", "sso session associated with this profile", Kind::SsoExpired),
    words("SDK for JavaScript", "sso session token associated with profile", Kind::SsoExpired),
    words("SDKs", "to refresh this sso session run", Kind::SsoExpired),
    words("SDKs", "sso token has expired", Kind::SsoExpired).shared().with(super::OF_AWS),
    words("SDKs", "sso access token has expired", Kind::SsoExpired).shared().with(super::OF_AWS),
    words("SDKs", "sso token is expired", Kind::SsoExpired).shared().with(super::OF_AWS),
    words("SDK for Go", "cached sso token is expired", Kind::SsoExpired),
    words("SDK for Go", "refresh cached sso token failed", Kind::SsoExpired).rank(Rank::Code),
    words("SDK for Go", "failed to read cached sso token", Kind::SsoExpired),
    words("SDK for Go", "unable to refresh sso token", Kind::SsoExpired).rank(Rank::Code),
    words("SDK for Go", "cached sso token", Kind::SsoExpired).rank(Rank::Code),
    code("SDK for Go v1", "SSOProviderInvalidToken", Kind::SsoExpired),
    words("SDK for Go v1", "the sso session has expired or is invalid", Kind::SsoExpired),
    words("AWS CLI", "error loading sso token", Kind::SsoExpired),
    words("AWS CLI", "error when retrieving token from sso", Kind::SsoExpired),
    words("AWS CLI", "token has expired and refresh failed", Kind::SsoExpired),
    code("botocore", "UnauthorizedSSOTokenError", Kind::SsoExpired),
    code("botocore", "SSOTokenLoadError", Kind::SsoExpired),
    code("botocore", "TokenRetrievalError", Kind::SsoExpired).with(&[Words("sso")]),
    words("SSO", "session token not found or invalid", Kind::SsoExpired).with(&[
        Words("getrolecredentials"),
        Words("sso"),
        Code("UnauthorizedException"),
    ]),
    code("SSO OIDC", "InvalidGrantException", Kind::SsoExpired).with(&[Words("sso"), Words("createtoken"), Words("oidc")]),
    code("SSO", "UnauthorizedException", Kind::SsoExpired)
        .with(&[Words("getrolecredentials"), Words("sso: "), Words("listaccounts")]),
    code("SSO OIDC", "ExpiredTokenException", Kind::SsoExpired).rank(Rank::Words).with(&[Words("sso oidc: "), Words("ssooidc")]),
    words("all", "aws sso login", Kind::SsoExpired)
        .rank(Rank::Mention)
        .with(&[Words("expired"), Words("invalid"), Words("not found"), Words("does not exist")]),
    words("SDK for Java, .NET", "sso oidc token", Kind::SsoExpired).with(&[Words("expired"), Words("not found"), Words("invalid")]),
    words("SDK for .NET", "no valid sso token could be found", Kind::SsoExpired),
    words("SDK for .NET", "is an sso profile. this type of profile is not allowed here", Kind::SsoExpired),
    words("SDK for Rust", "token not found for sso", Kind::SsoExpired).shared(),
    words("SDK for Java v2", "token is expired", Kind::SsoExpired).shared().with(&[
        Words("sso"),
        Words("ssocredentialsprovider"),
        Words("ssotokenprovider"),
        Words("ondisktokenmanager"),
    ]),
    // `aws login`.
    code("botocore", "LoginRefreshRequired", Kind::LoginExpired),
    code("botocore", "LoginTokenLoadError", Kind::LoginExpired),
    words("botocore", "your session has expired or credentials have changed", Kind::LoginExpired),
    words("AWS CLI", "error loading login session token", Kind::LoginExpired),
    words("AWS CLI", "calling the createoauth2token operation", Kind::LoginExpired)
        .with(&[Words("expired"), Words("authorization grant is invalid")]),
    words("SDK for Go v2", "createoauth2token", Kind::LoginExpired)
        .with(&[Words("refresh token has expired"), Words("authorization grant is invalid")]),
    words("AWS CLI", "reauthenticate using aws login", Kind::LoginExpired),
    words("AWS CLI", "your session has expired. please reauthenticate", Kind::LoginExpired).shared().with(super::OF_AWS),
    words("SDKs", "aws login", Kind::LoginExpired).rank(Rank::Mention).with(&[
        Words("session has expired"),
        Words("session expired"),
        Words("session is expired"),
        Words("token has expired"),
        Words("token is expired"),
        Words("token expired"),
        Words("reauthenticate"),
        Words("re-authenticate"),
        Words("login session"),
    ]),
    // Cognito.
    words("Cognito identity pools", "invalid login token. token expired", Kind::CognitoExpired),
    words("Cognito user pools", "access token has expired", Kind::CognitoExpired).shared().with(COGNITO),
    words("Cognito user pools", "refresh token has expired", Kind::CognitoExpired).shared().with(COGNITO),
    words("Cognito user pools", "identity token has expired", Kind::CognitoExpired).shared().with(COGNITO),
    words("Cognito user pools", "id token has expired", Kind::CognitoExpired).shared().with(COGNITO),
    words("Cognito user pools", "the incoming token has expired", Kind::CognitoExpired),
    words("Cognito user pools", "token is expired", Kind::CognitoExpired).shared().with(&[Words("cognito")]),
    words("Cognito user pools", "token expired at", Kind::CognitoExpired).shared().with(&[Words("cognito")]),
    // ECR and CodeArtifact.
    words("ECR", "your authorization token has expired", Kind::EcrExpired).without(CODEARTIFACT),
    words("ECR", "authorization token has expired. reauthenticate", Kind::EcrExpired).without(CODEARTIFACT),
    words("CodeArtifact", "codeartifact", Kind::CodeArtifactExpired)
        .with(UNAUTHORIZED)
        .without(&[Words("accessdenied"), Code("AccessDeniedException"), Words("is not authorized to perform")]),
];
