//! Requests to AWS: signed at the moment of sending, by true time, with keys that are fetched for this one request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_v4};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use tracing::subscriber::{NoSubscriber, with_default};

use super::attempt::Attempt;
use crate::credentials::imds::client::ImdsClient;
use crate::credentials::imds::keys::RoleKeys;
use crate::credentials::imds::settings::Imds;
use crate::delivery::item::Class;
use crate::delivery::policy::{self, Again};
use crate::delivery::request::{Answer, Failure};
use crate::setting::arn::{self, Place, place};
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::setting::url::WebUrl;
use crate::time::TrueTime;

/// The longest error code that is passed on, in bytes.
const LONGEST_CODE: usize = 80;

/// Which service of AWS, and where.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    /// The name in signatures, such as `sns`.
    pub name: &'a str,
    /// Such as `eu-central-1`.
    pub region: &'a str,
    /// Its URL; `None` where nobody has said it.
    pub endpoint: Option<&'a WebUrl>,
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

/// Checks the ARN that stands at `key` of a target, and the URL of its service: the given one is a scheme and a host, and
/// where none is given it is the one by the ARN. Returns the region.
pub(super) fn check_place(
    (key, arn): (&str, &str),
    service: arn::Service,
    given: &mut Option<WebUrl>,
    at: &Path,
) -> Result<String, Fault> {
    let found = place(arn, service);
    let Place { region, endpoint } = found.map_err(|error| Fault::at(at.key(key), error.to_string()))?;
    let checked = match given {
        None => WebUrl::unchecked(endpoint),
        Some(given) => given.origin().ok_or_else(|| {
            let message = format!("the endpoint is http:// or https:// and a host, without a path, such as {endpoint}");
            Fault::at(at.key("endpoint"), message)
        })?,
    };
    *given = Some(checked);
    Ok(region)
}

impl Attempt<'_> {
    /// Sends one POST to `service`, signed. All of it takes no longer than an attempt may.
    ///
    /// # Errors
    /// There are no keys, nobody answers, or AWS refuses; the reason has AWS's code of the error.
    pub async fn post_signed(
        &mut self,
        service: Service<'_>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        timeout(self.road.timeout, self.sign_and_post(service, headers, body))
            .await
            .unwrap_or_else(|_| Err(Failure::transient("no answer in time")))
    }

    async fn sign_and_post(
        &mut self,
        service: Service<'_>,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        // None of this is the message's fault, and each may be mended.
        let url = service.endpoint.and_then(WebUrl::parts);
        let url = url.ok_or_else(|| Failure::transient("the endpoint is no URL"))?.to_string();
        let keys = keys(self.road.imds.as_ref()).await?;
        let unsigned = Unsigned { method: "POST", url: &url, headers: &headers, body: &body };
        let signature = sign(&unsigned, service, keys, self.road.clock.now().time);
        headers.extend(signature.map_err(|error| Failure::transient(error.to_string()))?);
        self.post(&WebUrl::unchecked(url), headers, body).await.map_err(judged)
    }
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

/// Judges a refusal by its code. Of the answer nothing else is kept: with a signature that does not match, AWS says
/// what should have been signed, and the session token is a part of that.
fn judged(failure: Failure) -> Failure {
    let Some(answer) = &failure.answer else { return failure };
    let Some(code) = code(&answer.body) else {
        return Failure { answer: Some(Answer { body: Bytes::new(), ..answer.clone() }), ..failure };
    };
    Failure {
        reason: format!("{}: {code}", failure.reason),
        again: again(answer.status, &code),
        answer: Some(Answer { status: answer.status, body: code.into() }),
        ..failure
    }
}

/// The code of an error, from XML (`<Code>…`) or JSON (`"__type": "…#…"`).
fn code(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let code = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => {
            let kind = ["__type", "code", "Code"].iter().find_map(|name| json.get(name)?.as_str())?;
            let kind = kind.rsplit('#').next().unwrap_or(kind);
            kind.split(':').next().unwrap_or(kind).to_owned()
        }
        Err(_) => text.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned(),
    };
    named(&code)
}

/// `code` where it can be the code of an error, which is a word.
pub(super) fn named(code: &str) -> Option<String> {
    let is_word = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    ((1..=LONGEST_CODE).contains(&code.len()) && is_word).then(|| code.to_owned())
}

/// After a refusal for which AWS names a code: one of a whole request, or with a status of success that of one entry.
pub(in crate::notify) fn again(status: u16, code: &str) -> Again {
    if passes(code) {
        return Again::Soon;
    }
    // AWS says 400 of nearly everything.
    match status {
        200..=299 | 400 if is_of_the_message(code) => Again::Never,
        200..=299 | 400 => Again::Slowly,
        _ => policy::of_status(Class::Alert, status),
    }
}

/// It was too much, the service was out of order, the keys had just expired, or the signature was off because of the time.
/// The next attempt has fresh keys and a fresh estimate of true time.
fn passes(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "SlowDown"
                | "InternalFailure"
                | "InternalError"
                | "InternalException"
                | "ServiceUnavailable"
                | "ServiceUnavailableException"
                | "ConcurrentModificationException"
                | "RequestTimeout"
                | "RequestTimeoutException"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | "RequestExpired"
                | "RequestInTheFuture"
                | "RequestTimeTooSkewed"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
        )
}

fn is_of_the_message(code: &str) -> bool {
    matches!(
        code,
        "InvalidParameter"
            | "InvalidParameterException"
            | "InvalidParameterValue"
            | "InvalidParameterValueException"
            | "ParameterValueInvalid"
            | "InvalidArgument"
            | "MalformedDetail"
            | "MalformedQueryString"
            | "SerializationException"
            | "ValidationError"
            | "ValidationException"
    )
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use std::sync::Arc;

    use crate::alert::machine::Change;
    use crate::clock::true_clock::TrueClock;
    use crate::credentials::imds::fake;
    use crate::delivery::client::tests::plain;
    use crate::demo::http::{Request, Response, start};
    use crate::notify::attempt::Road;
    use crate::notify::message::tests::{item, skew};
    use crate::notify::targets::sns::Sns;
    use crate::notify::targets::target::{Target, attempt};
    use crate::time::{Anchor, rfc3339};

    /// An AWS of which this host's clock knows nothing: its time is two days ahead.
    pub(in crate::notify) fn aws(imds: Option<&str>) -> Road {
        let clock = TrueClock::default();
        let system = clock.now().time.nanos();
        let boot = crate::clock::local::boot().nanos();
        clock.set(Anchor::from_nanos(system - boot + 2 * 86_400 * 1_000_000_000), true);
        let timeout = Duration::from_secs(20);
        Road { client: plain(), imds: imds.map(fake::config), clock: Arc::new(clock), timeout }
    }

    /// A service that gives one answer to everything, and what it was asked.
    pub(in crate::notify) async fn service(
        status: u16,
        body: &'static str,
    ) -> (String, mpsc::UnboundedReceiver<Request>) {
        let (sender, seen) = mpsc::unbounded_channel();
        let address = start(move |request| {
            let _ = sender.send(request);
            Response { status, ..Response::ok(body) }
        });
        (format!("http://{}", address.await.unwrap()), seen)
    }

    /// What a target makes of an answer.
    pub(in crate::notify) async fn judged_by(
        target: &dyn Target,
        imds: &fake::Fake,
        item: &crate::delivery::item::Item,
    ) -> (String, Again) {
        let failure = attempt(target, &aws(Some(&imds.endpoint)), item).await.unwrap_err();
        let shown = format!("{failure:?}");
        assert!(!fake::SECRETS.iter().any(|secret| shown.contains(secret)), "{shown}");
        (failure.reason, failure.again)
    }

    /// A topic whose service is at `url`.
    fn topic(url: &str) -> Sns {
        let endpoint = Some(WebUrl::unchecked(url.to_owned()));
        Sns { topic: String::new(), region: "eu-central-1".into(), endpoint }
    }

    fn example_keys() -> RoleKeys {
        let [access_key_id, secret_access_key, session_token] =
            ["AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "6e86291e8372ff2a2260956d9b8aae1d"]
                .map(str::to_owned);
        RoleKeys { access_key_id, secret_access_key, session_token }
    }

    const EXAMPLE: Service<'_> = Service { name: "service", region: "us-east-1", endpoint: None };

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

    #[test]
    fn the_code_of_an_error_is_found_in_xml_and_in_json() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>x</Message>";
        for (body, expected) in [
            (xml, Some("AuthorizationError")),
            (r#"{"__type":"com.amazonaws.events#ThrottlingException","message":"x"}"#, Some("ThrottlingException")),
            (r#"{"__type":"AccessDeniedException:http://x"}"#, Some("AccessDeniedException")),
            (r#"{"message":"x"}"#, None),
            ("<Code>not a word</Code>", None),
            ("<Code></Code>", None),
            ("<html>", None),
        ] {
            assert_eq!(code(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[tokio::test]
    async fn keys_are_fetched_for_every_request_and_the_date_is_true_time() {
        let imds = fake::Fake::healthy([]).await;
        let (endpoint, mut seen) = service(200, "").await;
        let aws = aws(Some(&imds.endpoint));
        for fetches in 1..=2 {
            attempt(&topic(&endpoint), &aws, &item(&skew(Change::Firing))).await.unwrap();
            assert_eq!(imds.count(fake::DOCUMENT_ROUTE), fetches);
            let request = seen.recv().await.unwrap();
            let [date, authorization] = ["x-amz-date", "authorization"].map(|name| request.header(name).unwrap());
            let truth = rfc3339(aws.clock.now().time.nanos()).replace('-', "");
            assert!(date.starts_with(&truth[..8]), "{date} at {truth}");
            let scope = format!("Credential={}/{}/eu-central-1/sns/aws4_request", fake::SECRETS[0], &truth[..8]);
            assert!(authorization.contains(&scope), "{authorization}");
            assert_eq!(request.header("x-amz-security-token"), Some(fake::SECRETS[2]));
        }
    }

    #[tokio::test]
    async fn without_keys_nothing_is_sent_and_the_reason_is_told() {
        let imds = fake::Fake::healthy([(fake::DOCUMENT_ROUTE, vec![fake::Reply::status(404)])]).await;
        let (endpoint, mut seen) = service(200, "").await;
        for (imds, reason) in [
            (Some(imds.endpoint.as_str()), "no keys to sign with: the listed role has no credentials"),
            (None, "no keys to sign with: credentials.imds is disabled in the configuration"),
        ] {
            let failure = attempt(&topic(&endpoint), &aws(imds), &item(&skew(Change::Firing))).await.unwrap_err();
            assert_eq!((failure.again, failure.reason.as_str()), (Again::Soon, reason));
        }
        assert!(seen.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_refusal_that_repeats_the_session_token_does_not_show_it() {
        let imds = fake::Fake::healthy([]).await;
        let body = "<Code>SignatureDoesNotMatch</Code><Message>should be x-amz-security-token:IQoJSessionExample";
        let (endpoint, _seen) = service(403, body).await;
        let road = aws(Some(&imds.endpoint));
        let failure = attempt(&topic(&endpoint), &road, &item(&skew(Change::Firing))).await.unwrap_err();
        assert_eq!((failure.again, failure.reason.as_str()), (Again::Soon, "status 403: SignatureDoesNotMatch"));
        assert_eq!(failure.answer.unwrap().body.as_ref(), b"SignatureDoesNotMatch");
    }

    #[test]
    fn a_code_of_aws_says_more_than_its_status() {
        for (status, code, again) in [
            (400, "Throttling", Again::Soon),
            (400, "ThrottlingException", Again::Soon),
            (400, "ExpiredTokenException", Again::Soon),
            (403, "ExpiredToken", Again::Soon),
            (403, "SignatureDoesNotMatch", Again::Soon),
            (400, "InvalidParameter", Again::Never),
            (200, "MalformedDetail", Again::Never),
            (400, "AccessDeniedException", Again::Slowly),
            (403, "AuthorizationError", Again::Slowly),
            (404, "NotFound", Again::Slowly),
            (200, "NotAuthorizedForSourceException", Again::Slowly),
            (400, "AWordOfNextYear", Again::Slowly),
            (413, "RequestEntityTooLarge", Again::Never),
            (500, "Unknown", Again::Soon),
        ] {
            assert_eq!(super::again(status, code), again, "{status} {code}");
        }
    }
}
