//! Others who judge a time: TLS, JSON Web Tokens, Kerberos, CloudWatch, Kubernetes.

use super::{Rank, Row, code, words};
use crate::doctor::explain::folded::Needle::{self, Words};
use crate::doctor::explain::kind::Kind;

const OF_A_CERTIFICATE: &[Needle] = &[
    Words("x509"),
    Words("certificate"),
    Words("tls"),
    Words("ssl"),
    Words("certpathvalidatorexception"),
    Words("rustls"),
];
const OF_A_JWT: &[Needle] = &[
    Words("jwt"),
    Words("json web token"),
    Words("jsonwebtoken"),
    Words("id token"),
    Words("id_token"),
    Words("idtoken"),
    Words("oidc"),
    Words("openid"),
    Words("bearer"),
    Words("claim"),
    Words("claims"),
    Words("iat"),
    Words("nbf"),
    Words("jose"),
    Words("oic"),
];

pub(in crate::doctor::explain) const ROWS: &[Row] = &[
    words("Go", "is before", Kind::CertificateNotYetValid)
        .with(&[Words("certificate has expired or is not yet valid: current time")])
        .shared(),
    words("Go", "is after", Kind::CertificateExpired)
        .with(&[Words("certificate has expired or is not yet valid: current time")])
        .shared(),
    words("Go", "certificate has expired or is not yet valid", Kind::CertificateOutsideValidity)
        .shared()
        .rank(Rank::Code),
    words("OpenSSL", "certificate is not yet valid", Kind::CertificateNotYetValid).shared(),
    words("OpenSSL", "certificate has expired", Kind::CertificateExpired)
        .shared()
        .with(OF_A_CERTIFICATE)
        .without(&[Words("certificate has expired or is not yet valid")]),
    words("OpenSSL", "certificate is expired", Kind::CertificateExpired).shared().with(OF_A_CERTIFICATE),
    code("Node.js", "CERT_HAS_EXPIRED", Kind::CertificateExpired).shared(),
    code("Node.js", "CERT_NOT_YET_VALID", Kind::CertificateNotYetValid).shared(),
    code("Java", "CertificateExpiredException", Kind::CertificateExpired).shared(),
    code("Java", "CertificateNotYetValidException", Kind::CertificateNotYetValid).shared(),
    code("rustls", "NotValidYet", Kind::CertificateNotYetValid).shared().with(OF_A_CERTIFICATE),
    words("rustls", "invalid peer certificate: expired", Kind::CertificateExpired).shared(),
    words("rustls", "certificate not valid yet", Kind::CertificateNotYetValid).shared(),
    words("GnuTLS", "the certificate is not yet activated", Kind::CertificateNotYetValid).shared(),
    words("GnuTLS", "the certificate chain uses not yet valid certificate", Kind::CertificateNotYetValid).shared(),
    words("GnuTLS", "the certificate chain uses expired certificate", Kind::CertificateExpired).shared(),
    // JSON Web Tokens.
    code("pyoidc", "IATError", Kind::JwtNotYetValid).shared(),
    words("pyoidc", "issued in the future", Kind::JwtNotYetValid).shared().with(OF_A_JWT),
    words("golang-jwt, google-auth", "token used before issued", Kind::JwtNotYetValid).shared(),
    words("google-auth", "token used too early", Kind::JwtNotYetValid).shared(),
    words("golang-jwt", "token is not valid yet", Kind::JwtNotYetValid).shared(),
    code("PyJWT", "ImmatureSignatureError", Kind::JwtNotYetValid).shared(),
    words("PyJWT", "the token is not yet valid (", Kind::JwtNotYetValid).shared(),
    words("jsonwebtoken", "jwt not active", Kind::JwtNotYetValid).shared(),
    code("jsonwebtoken", "NotBeforeError", Kind::JwtNotYetValid).shared(),
    words("jjwt", "jwt must not be accepted before", Kind::JwtNotYetValid).shared(),
    words("jose", "\"nbf\" claim timestamp check failed", Kind::JwtNotYetValid).shared(),
    words("jose", "\"iat\" claim timestamp check failed", Kind::JwtNotYetValid).shared(),
    words("java-jwt", "the token can't be used before", Kind::JwtNotYetValid).shared(),
    words("go-oidc", "current time", Kind::JwtNotYetValid)
        .shared()
        .with(&[Words("before the nbf (not before) time"), Words("before nbf")]),
    words("OpenID Connect", "iat is in the future", Kind::JwtNotYetValid).shared(),
    words("firebase/php-jwt", "cannot handle token prior to", Kind::JwtNotYetValid).shared(),
    words("firebase/php-jwt", "cannot handle token with iat prior to", Kind::JwtNotYetValid).shared(),
    words("Microsoft.IdentityModel", "the token is not yet valid. validfrom", Kind::JwtNotYetValid).shared(),
    words("jsonwebtoken", "jwt expired", Kind::JwtExpired).shared(),
    words("jjwt", "jwt expired at", Kind::JwtExpired).shared(),
    code("jjwt", "ExpiredJwtException", Kind::JwtExpired).shared(),
    code("PyJWT", "ExpiredSignatureError", Kind::JwtExpired).shared(),
    words("PyJWT", "signature has expired", Kind::JwtExpired).shared().with(OF_A_JWT),
    words("jose", "\"exp\" claim timestamp check failed", Kind::JwtExpired).shared(),
    words("golang-jwt", "token is expired by", Kind::JwtExpired).shared(),
    words("golang-jwt", "token has invalid claims: token is expired", Kind::JwtExpired).shared(),
    words("go-oidc", "oidc: token is expired", Kind::JwtExpired).shared(),
    words("java-jwt", "the token has expired on", Kind::JwtExpired).shared(),
    words("firebase/php-jwt", "firebase\\jwt\\expiredexception", Kind::JwtExpired).shared(),
    // Kerberos.
    words("MIT Kerberos", "clock skew too great", Kind::KerberosSkew).shared(),
    code("Kerberos", "KRB_AP_ERR_SKEW", Kind::KerberosSkew).shared(),
    code("Kerberos", "KRB5KRB_AP_ERR_SKEW", Kind::KerberosSkew).shared(),
    words("Kerberos", "ticket not yet valid", Kind::KerberosSkew).shared(),
    code("Kerberos", "KRB_AP_ERR_TKT_NYV", Kind::KerberosSkew).shared(),
    words("Samba", "failed to find cifs", Kind::KerberosSkew).shared().with(&[Words("clock skew")]),
    // CloudWatch.
    words("CloudWatch", "must specify a time within the past two weeks", Kind::CloudWatchTime).slow(),
    words("CloudWatch", "must specify a time no more than two hours in the future", Kind::CloudWatchTime).fast(),
    words("CloudWatch", "no more than two hours in the future", Kind::CloudWatchTime)
        .fast()
        .shared()
        .with(super::OF_AWS),
    words("CloudWatch Logs", "toonewlogeventstartindex", Kind::CloudWatchTime).fast(),
    words("CloudWatch Logs", "toooldlogeventendindex", Kind::CloudWatchTime).slow(),
    words("CloudWatch Logs", "expiredlogeventendindex", Kind::CloudWatchTime).slow(),
    words("CloudWatch Logs", "log event too old", Kind::CloudWatchTime).slow(),
    words("CloudWatch Logs", "log event too new", Kind::CloudWatchTime).fast(),
    words("CloudWatch Logs agent", "more than 14 days in the past", Kind::CloudWatchTime).slow().shared(),
    words("CloudWatch Logs agent", "more than 2 hours in the future", Kind::CloudWatchTime).fast().shared(),
    // Kubernetes.
    words("kubectl", "you must be logged in to the server", Kind::EksUnauthorized).shared(),
    words("aws-iam-authenticator", "x-amz-date parameter is expired", Kind::EksUnauthorized),
    words("kubectl", "the server has asked for the client to provide credentials", Kind::EksUnauthorized).shared(),
];
