//! Any HTTP endpoint: one POST of the message for each transition, signed if it is wanted.

use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue};
use ring::hmac;
use std::time::Duration;

use super::post;
use crate::config::checked::Webhook;
use crate::delivery::client::Client;
use crate::delivery::item::Item;
use crate::delivery::request::{Answer, Endpoint, Failure, Post, add_secrets, read};

/// A webhook.
pub struct WebhookEndpoint {
    /// How it is reached.
    pub client: Client,
    /// Where it is.
    pub webhook: Webhook,
    /// How long one attempt may take.
    pub timeout: Duration,
}

#[async_trait]
impl Endpoint for WebhookEndpoint {
    async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
        let mut headers = post::json();
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
        post::send(&self.client, Post { url, headers, body, timeout }, &[]).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::alert::machine::Change;
    use crate::config::checked::SecretRef;
    use crate::delivery::client::tests::plain;
    use crate::delivery::policy::Again;
    use crate::demo::http::{Response, start};
    use crate::notify::message::tests::{item, skew};

    /// Sends `item` and returns the headers of interest: signature, key, authorization.
    async fn sent(item: &Item, webhook: Webhook) -> Result<[Option<String>; 3], Failure> {
        let (sender, mut seen) = mpsc::unbounded_channel();
        let address = start(move |request| {
            let names = ["x-skewguard-signature", "idempotency-key", "authorization"];
            let headers = names.map(|name| request.header(name).map(str::to_owned));
            assert_eq!(request.header("content-type"), Some("application/json"));
            sender.send(headers).unwrap();
            Response::ok("")
        });
        let webhook = Webhook { url: format!("http://{}/", address.await.unwrap()), ..webhook };
        let endpoint = WebhookEndpoint { client: plain(), webhook, timeout: Duration::from_secs(5) };
        endpoint.attempt(item).await?;
        Ok(seen.recv().await.unwrap())
    }

    /// RFC 4231 §4.3.
    #[tokio::test]
    async fn the_signature_is_an_hmac_with_the_key_that_is_in_the_file_at_the_moment_of_sending() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let secret = Some(SecretRef::File(path.clone()));
        let webhook = Webhook { url: String::new(), headers: Vec::new(), secret };
        let item = Item { body: "what do ya want for nothing?".into(), ..item(&skew(Change::Firing)) };
        let missing = sent(&item, webhook.clone()).await.unwrap_err();
        assert!(missing.again == Again::Soon && missing.reason.contains("failed to read the secret"), "{missing:?}");
        std::fs::write(&path, "Jefe\n").unwrap();
        let [signature, key, authorization] = sent(&item, webhook.clone()).await.unwrap();
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature.as_deref(), Some(expected));
        assert_eq!((key.as_deref(), authorization), (Some(item.key.as_str()), None));
        std::fs::write(&path, "another key").unwrap();
        assert_ne!(sent(&item, webhook).await.unwrap()[0], signature);
    }

    #[tokio::test]
    async fn a_header_is_a_secret_that_is_read_at_the_moment_of_sending() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let headers = vec![("authorization".to_owned(), SecretRef::File(path.clone()))];
        let webhook = Webhook { url: String::new(), headers, secret: None };
        std::fs::write(&path, "Bearer 1\n").unwrap();
        let [signature, _, authorization] = sent(&item(&skew(Change::Firing)), webhook.clone()).await.unwrap();
        assert_eq!((signature, authorization.as_deref()), (None, Some("Bearer 1")));
        std::fs::write(&path, "Bearer\n1").unwrap();
        let unfit = sent(&item(&skew(Change::Firing)), webhook).await.unwrap_err();
        assert_eq!(unfit.reason, "the secret for the header authorization is not fit for one");
    }
}
