//! Any HTTP endpoint: one POST of the message for each transition, signed if it is wanted.

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use std::time::Duration;

use crate::config::checked::Webhook;
use crate::delivery::item::Item;
use crate::delivery::request::{Answer, Endpoint, Failure, Post, add_secrets, read, send};

/// A webhook.
pub struct WebhookEndpoint {
    /// How it is reached.
    pub client: reqwest::Client,
    /// Where it is.
    pub webhook: Webhook,
    /// How long one attempt may take.
    pub timeout: Duration,
}

#[async_trait]
impl Endpoint for WebhookEndpoint {
    async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Ok(key) = HeaderValue::from_str(&item.key) {
            headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        add_secrets(&mut headers, &self.webhook.headers)?;
        if let Some(secret) = &self.webhook.secret {
            let key = hmac::Key::new(hmac::HMAC_SHA256, read(secret)?.as_bytes());
            let signature = hmac::sign(&key, &item.body);
            let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            if let Ok(value) = HeaderValue::from_str(&format!("sha256={hex}")) {
                headers.insert(HeaderName::from_static("x-skewguard-signature"), value);
            }
        }
        let (url, body, timeout) = (self.webhook.url.clone(), item.body.clone(), self.timeout);
        send(&self.client, Post { url, headers, body, timeout }).await
    }
}
