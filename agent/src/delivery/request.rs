//! One attempt to deliver one item.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use ring::hmac;

use crate::config::checked::SecretRef;

/// Where items go, and with which secrets. These are read at every attempt and dropped after it.
#[derive(Clone)]
pub struct Destination {
    /// What people call it.
    pub name: String,
    /// Headers whose values are secrets.
    pub secret_headers: Vec<(String, SecretRef)>,
    /// The key of an HMAC-SHA256 signature over the body.
    pub signing_key: Option<SecretRef>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// What is to be delivered. Headers may come from `OTEL_EXPORTER_OTLP_HEADERS`, hence no `Debug`.
#[derive(Clone)]
pub struct Item {
    /// Where to.
    pub url: String,
    /// Headers, the content type among them.
    pub headers: HeaderMap,
    /// The body.
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
}

impl Failure {
    fn transient(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: true, retry_after: None }
    }
}

/// Sends `item` once.
///
/// # Errors
/// Everything but a status of 2xx. 4xx are final, except 408 and 429.
pub async fn attempt(client: &reqwest::Client, destination: &Destination, item: &Item) -> Result<(), Failure> {
    let mut headers = item.headers.clone();
    for (name, secret) in &destination.secret_headers {
        let value = secret.read().map_err(|error| Failure::transient(error.to_string()))?;
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(&value);
        let (Ok(name), Ok(mut value)) = (name, value) else {
            return Err(Failure::transient(format!(
                "the secret for a header of {} is not fit for one",
                destination.name
            )));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if let Some(secret) = &destination.signing_key {
        let key = secret.read().map_err(|error| Failure::transient(error.to_string()))?;
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), &item.body);
        let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if let Ok(value) = HeaderValue::from_str(&format!("sha256={hex}")) {
            headers.insert("x-skewguard-signature", value);
        }
    }
    let request = client.post(&item.url).headers(headers).timeout(destination.timeout).body(item.body.clone());
    let response = request.send().await.map_err(|error| Failure::transient(in_words(&error)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Err(Failure {
        reason: format!("status {}", status.as_u16()),
        retry: !status.is_client_error() || matches!(status.as_u16(), 408 | 429),
        retry_after: retry_after.map(Duration::from_secs),
    })
}

/// Never the URL: it may hold a token.
fn in_words(error: &reqwest::Error) -> String {
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
    match cause.downcast_ref::<std::io::Error>() {
        Some(io) => format!("{what}: {io}"),
        None => what.to_owned(),
    }
}
