//! Any server of HTTP: one POST of the message for each transition, signed if it is wanted.

use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue};
use ring::hmac;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::delivery::item::Item;
use crate::delivery::request::{Answer, Failure};
use crate::notify::attempt::{Attempt, json};
use crate::setting::fault::Fault;
use crate::setting::headers::Headers;
use crate::setting::locate::Path;
use crate::setting::secret::SecretRef;
use crate::setting::url::WebUrl;
use crate::setting::web::check_headers;

/// An HTTP endpoint which takes one POST for each transition of an alert.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Webhook {
    /// http:// or https:// and a host.
    pub url: WebUrl,
    /// Further headers: a name, and env:NAME or file:/path for its value. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
    /// Where the key of the HMAC-SHA256 signature over the body is kept: env:NAME or file:/path. Default: no signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
}

#[async_trait]
impl Target for Webhook {
    fn check(&mut self, at: &Path) -> Result<(), Fault> {
        let url = self.url.parts();
        let is_slack = url.as_ref().and_then(|url| url.host_str()).is_some_and(|host| host.starts_with("hooks.slack"));
        // Slack's workflows, which are below another path, do take any JSON.
        if is_slack && url.is_some_and(|url| url.path().starts_with("/services/")) {
            let message = "Slack does not understand what a webhook is sent: write slack: { url: env:NAME } instead (the \
                           value is not shown)";
            return Err(Fault::at(at.key("url"), message));
        }
        check_headers(&mut self.headers, at)
    }

    fn url(&self) -> Option<&WebUrl> {
        Some(&self.url)
    }

    async fn send(&self, item: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure> {
        let mut headers = json();
        if let Ok(key) = HeaderValue::from_str(&item.key) {
            headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        attempt.add_secrets(&mut headers, self.headers.as_ref())?;
        if let Some(secret) = &self.secret {
            let key = hmac::Key::new(hmac::HMAC_SHA256, attempt.read(secret)?.as_bytes());
            let signature = hmac::sign(&key, &item.body);
            let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            if let Ok(value) = HeaderValue::from_str(&format!("sha256={hex}")) {
                headers.insert(HeaderName::from_static("x-skewguard-signature"), value);
            }
        }
        attempt.post(&self.url, headers, item.body.clone()).await
    }

    fn reference() -> &'static str {
        r#"
  # Any HTTP endpoint, which takes one POST for each transition of an alert.
  #- name: ops
    # The least severity that is told there: warning or critical.
    #severity: warning
    # The alerts that are told there, by the names of the section above. Default: all.
    #alerts: [clock-skew, clock-stepped]
    # How long one attempt may take, 50ms to 60s.
    #timeout: 10s
    # PEM files, each an absolute path. Default: the authorities of the system, and no client certificate.
    #tls:
      # The certification authorities that are trusted instead of the system's.
      #ca: /etc/skewguard/ca.pem
      # A client certificate with its chain, and its key: both or neither.
      #cert: /etc/skewguard/client.pem
      #key: /etc/skewguard/client.key
    #webhook:
      # http:// or https:// and a host.
      #url: https://ops.example/hook
      # Further headers. The value of each is kept elsewhere: env:NAME for an environment variable, file:/path for a file.
      #headers:
        #Authorization: file:/etc/skewguard/ops-authorization
      # The key of the HMAC-SHA256 signature over the body, kept elsewhere as well. Default: no signature.
      #secret: env:OPS_HOOK_SECRET
"#
    }

    fn example() -> &'static str {
        r#"
  # Anything that takes JSON over HTTP, and checks the HMAC-SHA256 of the body with the same key.
  - name: ops
    webhook:
      url: https://ops.example/hook
      secret: env:OPS_HOOK_SECRET
"#
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::alert::machine::Change;
    use crate::delivery::policy::Again;
    use crate::demo::http::{Response, start};
    use crate::notify::message::tests::{item, skew};
    use crate::notify::targets::target::tests::attempted;

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
        let url = WebUrl::unchecked(format!("http://{}/", address.await.unwrap()));
        attempted(&Webhook { url, ..webhook }, item).await?;
        Ok(seen.recv().await.unwrap())
    }

    /// RFC 4231 §4.3.
    #[tokio::test]
    async fn the_signature_is_an_hmac_with_the_key_that_is_in_the_file_at_the_moment_of_sending() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let secret = Some(SecretRef::File(path.clone()));
        let webhook = Webhook { url: "".into(), headers: None, secret };
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
        let headers = Some(Headers(vec![("authorization".to_owned(), SecretRef::File(path.clone()))]));
        let webhook = Webhook { url: "".into(), headers, secret: None };
        std::fs::write(&path, "Bearer 1\n").unwrap();
        let [signature, _, authorization] = sent(&item(&skew(Change::Firing)), webhook.clone()).await.unwrap();
        assert_eq!((signature, authorization.as_deref()), (None, Some("Bearer 1")));
        std::fs::write(&path, "Bearer\n1").unwrap();
        let unfit = sent(&item(&skew(Change::Firing)), webhook).await.unwrap_err();
        assert_eq!(unfit.reason, "the secret for the header authorization is not fit for one");
    }
}
