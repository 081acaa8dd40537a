//! Signatures of AWS (Signature Version 4): made at the moment of sending, by true time, with keys that are fetched for this
//! one request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_v4};
use aws_sigv4::sign::v4::SigningParams;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tracing::subscriber::{NoSubscriber, with_default};

use super::request::Failure;
use crate::clock::true_clock::TrueClock;
use crate::credentials::imds::client::ImdsClient;
use crate::credentials::imds::keys::RoleKeys;
use crate::credentials::imds::settings::Imds;
use crate::time::TrueTime;

/// Which service of AWS, and where.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    /// The name in signatures, such as `sns`.
    pub name: &'a str,
    /// Such as `eu-central-1`.
    pub region: &'a str,
}

/// What is to be signed.
pub struct Unsigned<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// Where to, without a user and a fragment.
    pub url: &'a str,
    /// What is signed along with host and date.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

/// A request cannot be signed. Says nothing of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request cannot be signed: its URL or a header is malformed")]
pub struct Unsignable;

/// The headers that sign a request as of now in true time, with the keys of the role that `imds` hands out; they are gone when
/// this returns.
///
/// # Errors
/// There are no keys, or this cannot be signed. None of it is the request's fault, and each may be mended.
pub async fn signed(
    request: &Unsigned<'_>,
    service: Service<'_>,
    imds: Option<&Imds>,
    clock: &TrueClock,
) -> Result<HeaderMap, Failure> {
    let keys = keys(imds).await?;
    sign(request, service, keys, clock.now().time).map_err(|error| Failure::transient(error.to_string()))
}

async fn keys(imds: Option<&Imds>) -> Result<RoleKeys, Failure> {
    let Some(imds) = imds else {
        return Err(Failure::transient("no keys to sign with: credentials.imds is disabled in the configuration"));
    };
    let mut client = ImdsClient::new(imds).map_err(|error| Failure::transient(error.to_string()))?;
    client.role_keys().await.map_err(|reason| Failure::transient(format!("no keys to sign with: {reason}")))
}

/// The headers that sign a request (Signature Version 4) as of `at`. The keys are dropped with it.
///
/// # Errors
/// The URL has no host, or a header is not text.
pub fn sign(
    request: &Unsigned<'_>,
    service: Service<'_>,
    keys: RoleKeys,
    at: TrueTime,
) -> Result<HeaderMap, Unsignable> {
    let keys = Credentials::new(keys.access_key_id, keys.secret_access_key, Some(keys.session_token), None, "imds");
    let keys = keys.into();
    let params = SigningParams::builder()
        .identity(&keys)
        .region(service.region)
        .name(service.name)
        .time(moment(at))
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Unsignable)?
        .into();
    let headers: Result<Vec<_>, _> =
        request.headers.iter().map(|(name, value)| Ok((name.as_str(), value.to_str()?))).collect();
    let headers = headers.map_err(|_: reqwest::header::ToStrError| Unsignable)?.into_iter();
    let has_host = reqwest::Url::parse(request.url).is_ok_and(|url| url.has_host());
    if !has_host {
        return Err(Unsignable);
    }
    let signable = SignableRequest::new(request.method, request.url, headers, SignableBody::Bytes(request.body));
    let signable = signable.map_err(|_| Unsignable)?;
    // The library writes what it signs into the log of the most talkative level, with the session token in it.
    let signed = with_default(NoSubscriber::default(), || sign_v4(signable, &params)).map_err(|_| Unsignable)?;
    let (instructions, _) = signed.into_parts();
    let (headers, _) = instructions.into_parts();
    headers.into_iter().map(|header| secret(header.name(), header.value()).ok_or(Unsignable)).collect()
}

fn secret(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(name != "x-amz-date");
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
}

fn moment(at: TrueTime) -> SystemTime {
    let nanos = at.nanos();
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let moment = if nanos < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    moment.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::rfc3339;

    fn example_keys() -> RoleKeys {
        let [access_key_id, secret_access_key, session_token] =
            ["AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "6e86291e8372ff2a2260956d9b8aae1d"]
                .map(str::to_owned);
        RoleKeys { access_key_id, secret_access_key, session_token }
    }

    const EXAMPLE: Service<'_> = Service { name: "service", region: "us-east-1" };

    /// The case `post-sts-header-before` of AWS's test suite for Signature Version 4.
    #[test]
    fn a_signature_is_the_one_of_the_test_suite_of_aws() {
        let headers = HeaderMap::new();
        let url = "https://example.amazonaws.com/";
        let unsigned = Unsigned { method: "POST", url, headers: &headers, body: b"" };
        let at = TrueTime::from_seconds(1_440_938_160.0);
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let keys = RoleKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.into(),
        };
        let signed = sign(&unsigned, EXAMPLE, keys, at).unwrap();
        assert_eq!(signed["x-amz-date"], "20150830T123600Z");
        assert_eq!(signed["x-amz-security-token"], token);
        assert_eq!(
            signed["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-security-token, \
             Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
        );
        assert!(signed["authorization"].is_sensitive() && signed["x-amz-security-token"].is_sensitive());
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_signed_is_an_error_whatever_the_time() {
        let headers = HeaderMap::new();
        for url in ["", "/path", "mailto:a@b", "http://"] {
            let unsigned = Unsigned { method: "POST", url, headers: &headers, body: b"" };
            assert_eq!(sign(&unsigned, EXAMPLE, example_keys(), TrueTime::ZERO).err(), Some(Unsignable), "{url}");
        }
        for nanos in [i64::MIN, -1, 0, i64::MAX] {
            let unsigned = Unsigned { method: "POST", url: "http://a/", headers: &headers, body: b"" };
            let signed = sign(&unsigned, EXAMPLE, example_keys(), TrueTime::from_nanos(nanos)).unwrap();
            let year = rfc3339(nanos)[..4].to_owned();
            assert!(signed["x-amz-date"].to_str().unwrap().starts_with(&year));
        }
    }
}
