//! One attempt to deliver one item.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::client::Client;
use super::item::{Class, Item};
use super::policy::{Again, of_status};
use crate::setting::masker::Masker;
use crate::setting::secret::SecretRef;
use crate::setting::url::WebUrl;
use crate::time::{Span, TrueTime};
use crate::web::date;
use crate::web::words::in_words;

/// More of an answer is not read.
const LONGEST_ANSWER: usize = 4 * 1024;

/// Where the items of one queue go: a channel, or the collector of one signal. Secrets are read at every attempt and dropped after it.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Sends `item` once.
    ///
    /// # Errors
    /// It was not taken.
    async fn attempt(&self, item: &Item) -> Result<Answer, Failure>;

    /// How many items that have waited are sent as one.
    fn most_joined(&self) -> usize {
        1
    }

    /// One item that says what these say; `None` where they cannot be made one.
    fn join(&self, items: &[Item]) -> Option<Item> {
        let _ = items;
        None
    }
}

/// What came back from a destination that took an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body.
    pub body: Bytes,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, in words without any secret.
    pub reason: String,
    /// Whether another attempt is made.
    pub again: Again,
    /// How long the destination asks to wait.
    pub retry_after: Option<Duration>,
    /// What the destination answered, if it did.
    pub answer: Option<Answer>,
}

impl Failure {
    /// Another attempt may succeed.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: Again::Soon, retry_after: None, answer: None }
    }

    /// No other attempt will succeed.
    pub fn lasting(reason: impl Into<String>) -> Self {
        Self { again: Again::Never, ..Self::transient(reason) }
    }
}

/// One POST. What is in it may be secret, hence no `Debug`.
pub struct Post {
    /// Where to.
    pub url: WebUrl,
    /// Headers, the content type among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long it may take.
    pub timeout: Duration,
}

/// Sends one POST and judges the answer by its status, as [`of_status`] has it for what is of this `class`. Nobody follows
/// a redirection: a secret in a header is meant for this server alone. The answer may repeat secrets; those of the URL and the
/// headers that are marked sensitive are made known to `masker`, for [`masked`].
///
/// # Errors
/// Everything but success.
pub async fn send(client: &Client, post: Post, class: Class, masker: &mut Masker) -> Result<Answer, Failure> {
    let sensitive = post.headers.values().filter(|value| value.is_sensitive());
    sensitive.for_each(|value| masker.hide(value.as_bytes()));
    let url = post.url.reveal(masker);
    let request = client.http.post(url).headers(post.headers).timeout(post.timeout).body(post.body);
    let mut response = request.send().await.map_err(|error| Failure::transient(in_words(&error)))?;
    let status = response.status();
    let retry_after = wish(response.headers(), || client.clock.now().time);
    let mut body = Vec::new();
    while body.len() < LONGEST_ANSWER {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            // The status was read; what is missing of the rest changes nothing.
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(LONGEST_ANSWER);
    let answer = Answer { status: status.as_u16(), body: body.into() };
    if status.is_success() {
        return Ok(answer);
    }
    Err(Failure {
        reason: format!("status {}", answer.status),
        again: of_status(class, answer.status),
        retry_after,
        answer: Some(answer),
    })
}

/// How long a destination asks to wait: `Retry-After` in seconds, or until a date (RFC 9110 §10.2.3). A date is one of the
/// destination's clock, so it is compared with what that one says in the same answer, or else with true time.
fn wish(headers: &HeaderMap, now: impl FnOnce() -> TrueTime) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(RETRY_AFTER)?;
    if !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than there can be are very many.
        return Some(Duration::from_secs(after.parse().unwrap_or(u64::MAX)));
    }
    let until = date::parse(after)?;
    let now = text(DATE).and_then(date::parse).unwrap_or_else(now);
    Some(until.since(now).max(Span::ZERO).to_duration())
}

/// What comes of an attempt, without the secrets that it has read.
///
/// # Errors
/// The same failure, masked.
pub fn masked(outcome: Result<Answer, Failure>, masker: &Masker) -> Result<Answer, Failure> {
    let answer = |answer: Answer| Answer { body: masker.masked(&answer.body).into(), ..answer };
    outcome.map(answer).map_err(|failure| Failure {
        reason: masker.masked_text(&failure.reason),
        answer: failure.answer.map(answer),
        ..failure
    })
}

/// Reads a secret at the moment of use. `masker` masks it from now on.
///
/// # Errors
/// It cannot be read; it may be there at the next attempt.
pub fn read(secret: &SecretRef, masker: &mut Masker) -> Result<String, Failure> {
    secret.read(masker).map_err(|error| Failure::transient(error.to_string()))
}

/// Adds headers whose values are secrets.
///
/// # Errors
/// A secret cannot be read, or is not fit for a header.
pub fn add_secrets(
    headers: &mut HeaderMap,
    secrets: &[(String, SecretRef)],
    masker: &mut Masker,
) -> Result<(), Failure> {
    for (name, secret) in secrets {
        let value = HeaderValue::from_str(&read(secret, masker)?);
        let (Ok(header), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), value) else {
            return Err(Failure::transient(format!("the secret for the header {name} is not fit for one")));
        };
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::client::tests::plain;
    use crate::demo::http::{Response, start};

    async fn answered(response: impl Fn() -> Response + Send + Sync + 'static, class: Class) -> Failure {
        let url = WebUrl::unchecked(format!("http://{}/", start(move |_| response()).await.unwrap()));
        let (headers, timeout) = (HeaderMap::new(), Duration::from_secs(5));
        let post = Post { url, headers, body: Bytes::new(), timeout };
        send(&plain(), post, class, &mut Masker::default()).await.unwrap_err()
    }

    #[tokio::test]
    async fn an_alert_is_final_only_with_400_413_and_422_and_telemetry_as_its_protocol_has_it() {
        for status in [301, 302, 308, 400, 401, 403, 404, 407, 408, 409, 410, 413, 422, 429, 500, 502, 503, 504] {
            let of = async |class| {
                let failure = answered(move || Response::status(status), class).await;
                assert_eq!(failure.reason, format!("status {status}"));
                failure.again != Again::Never
            };
            let expected = (![400, 413, 422].contains(&status), [429, 502, 503, 504].contains(&status));
            assert_eq!((of(Class::Alert).await, of(Class::Telemetry).await), expected, "{status}");
        }
    }

    #[tokio::test]
    async fn a_date_is_a_wish_as_seconds_are() {
        for (after, date, wish) in [
            ("120", "", Some(120)),
            (" 7 ", "", Some(7)),
            ("99999999999999999999999", "", Some(u64::MAX)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:58:59 GMT", Some(60)),
            ("Friday, 31-Dec-99 23:59:59 GMT", "Fri, 31 Dec 1999 23:58:59 GMT", Some(60)),
            ("Fri Dec 31 23:59:59 1999", "Fri, 31 Dec 1999 23:58:59 GMT", Some(60)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", "Sat, 01 Jan 2000 00:00:09 GMT", Some(0)),
            ("soon", "", None),
            ("-1", "", None),
            ("1.5", "", None),
            ("", "", None),
        ] {
            let headers = vec![("retry-after", after.to_owned()), ("date", date.to_owned())];
            let failure =
                answered(move || Response { headers: headers.clone(), ..Response::status(503) }, Class::Alert).await;
            assert_eq!(failure.retry_after, wish.map(Duration::from_secs), "{after} at {date}");
        }
    }

    #[test]
    fn a_date_without_the_time_of_the_server_is_compared_with_true_time() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"))]);
        for (now, seconds) in [(784_111_747.0, 30), (784_111_777.0, 0), (784_111_999.0, 0)] {
            let wish = wish(&headers, || TrueTime::from_seconds(now));
            assert_eq!(wish, Some(Duration::from_secs(seconds)));
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(after in "[ -~]{0,40}", date in "[ -~]{0,40}", number in any::<u128>(), now in any::<i64>()) {
            for after in [after, number.to_string()] {
                let headers = HeaderMap::from_iter([
                    (RETRY_AFTER, HeaderValue::from_str(&after).unwrap()),
                    (DATE, HeaderValue::from_str(&date).unwrap()),
                ]);
                wish(&headers, || TrueTime::from_nanos(now));
            }
        }
    }
}
