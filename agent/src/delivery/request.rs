//! One attempt to deliver one item.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::item::Item;
use super::tls;
use crate::config::checked::SecretRef;

/// More of an answer is not read.
const LONGEST_ANSWER: usize = 4 * 1024;

/// Where items go. Secrets are read at every attempt and dropped after it.
#[async_trait]
pub trait Endpoint: Send + Sync {
    /// Sends `item` once.
    ///
    /// # Errors
    /// It was not taken.
    async fn attempt(&self, item: &Item) -> Result<Answer, Failure>;
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
    /// Whether another attempt may succeed.
    pub retry: bool,
    /// How long the destination asks to wait.
    pub retry_after: Option<Duration>,
    /// What the destination answered, if it did.
    pub answer: Option<Answer>,
}

impl Failure {
    /// Another attempt may succeed.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: true, retry_after: None, answer: None }
    }

    /// No other attempt will succeed.
    pub fn lasting(reason: impl Into<String>) -> Self {
        Self { retry: false, ..Self::transient(reason) }
    }
}

/// One POST. What is in it may be secret, hence no `Debug`.
pub struct Post {
    /// Where to.
    pub url: String,
    /// Headers, the content type among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long it may take.
    pub timeout: Duration,
}

/// Sends one POST and judges the answer by its status: 2xx is success; 4xx is final, except 408 and 429; and so is 3xx,
/// because nobody follows it: a secret in a header is meant for this server alone.
///
/// # Errors
/// Everything but success.
pub async fn send(client: &reqwest::Client, post: Post) -> Result<Answer, Failure> {
    let request = client.post(&post.url).headers(post.headers).timeout(post.timeout).body(post.body);
    let mut response = request.send().await.map_err(|error| Failure::transient(in_words(&error)))?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
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
        retry: !(status.is_client_error() || status.is_redirection())
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS),
        retry_after: retry_after.map(Duration::from_secs),
        answer: Some(answer),
    })
}

/// Reads a secret at the moment of use.
///
/// # Errors
/// It cannot be read; it may be there at the next attempt.
pub fn read(secret: &SecretRef) -> Result<String, Failure> {
    secret.read().map_err(|error| Failure::transient(error.to_string()))
}

/// Adds headers whose values are secrets.
///
/// # Errors
/// A secret cannot be read, or is not fit for a header.
pub fn add_secrets(headers: &mut HeaderMap, secrets: &[(String, SecretRef)]) -> Result<(), Failure> {
    for (name, secret) in secrets {
        let value = HeaderValue::from_str(&read(secret)?);
        let (Ok(header), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), value) else {
            return Err(Failure::transient(format!("the secret for the header {name} is not fit for one")));
        };
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(())
}

/// Never the URL: it may hold a token.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_builder() {
        return "the URL is none (it is not shown)".to_owned();
    }
    if let Some(tls) = tls_error(error) {
        return format!("TLS failed: {}", tls::in_words(tls));
    }
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the exchange broke off"
    };
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<io::Error>() {
        Some(io) => format!("{what}: {io}"),
        None => what.to_owned(),
    }
}

/// What TLS says, however deep it is wrapped: an `io::Error` passes over what it wraps when it is asked for its source.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::client::tests::plain;
    use crate::demo::http::{Response, start};

    #[tokio::test]
    async fn what_another_attempt_cannot_change_is_final_and_a_redirection_is() {
        for (status, retry) in [(302, false), (308, false), (400, false), (408, true), (429, true), (503, true)] {
            let url = format!("http://{}/", start(move |_| Response::status(status)).await.unwrap());
            let (headers, timeout) = (HeaderMap::new(), Duration::from_secs(5));
            let failure = send(&plain(), Post { url, headers, body: Bytes::new(), timeout }).await.unwrap_err();
            assert_eq!((failure.reason, failure.retry), (format!("status {status}"), retry));
        }
    }

    #[test]
    fn what_tls_says_is_found_under_any_number_of_io_errors() {
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError));
        assert_eq!(tls_error(&wrapped), Some(&rustls::Error::DecryptError));
        assert_eq!(tls_error(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }
}
