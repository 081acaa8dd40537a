//! A webhook: one POST of the message for each transition.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::config::checked::{Channel, Webhook};
use crate::delivery::outbox::Outbox;
use crate::delivery::request::{Destination, Item};
use crate::snapshot::AlertMessage;

/// A webhook and its queue.
pub struct WebhookChannel {
    url: String,
    outbox: Outbox,
}

/// Where the items of this channel go, and with which secrets.
pub fn destination(channel: &Channel) -> Destination {
    let Webhook { headers, secret, timeout, .. } = channel.webhook.clone();
    Destination { name: channel.name.clone(), secret_headers: headers, signing_key: secret, timeout }
}

impl WebhookChannel {
    /// A channel whose items go through `outbox`.
    pub fn new(channel: &Channel, outbox: Outbox) -> Self {
        Self { url: channel.webhook.url.clone(), outbox }
    }

    /// Queues the message.
    pub fn notify(&self, message: &AlertMessage, body: &str) {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        // The same transition delivered twice has the same key.
        let key = format!("{}/{}/{}", message.id, message.change.name(), message.true_time);
        if let Ok(key) = HeaderValue::from_str(&key) {
            headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        self.outbox.push(Item { url: self.url.clone(), headers, body: body.to_owned().into() });
    }
}
