//! One attempt to tell a channel: nothing secret outlives it, and nothing secret comes back from it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::targets::target::Target;
use crate::clock::true_clock::TrueClock;
use crate::config::checked::Imds;
use crate::config::masker::Masker;
use crate::config::secret::SecretRef;
use crate::config::url::WebUrl;
use crate::config::value::Headers;
use crate::delivery::client::Client;
use crate::delivery::item::{Class, Item};
use crate::delivery::request::{self, Answer, Failure, Post};

/// How a channel is reached.
pub struct Road {
    /// The HTTP client.
    pub client: Client,
    /// Who hands out the keys of the role, for what is signed; `None` where it is disabled.
    pub imds: Option<Imds>,
    /// By what time requests are signed.
    pub clock: Arc<TrueClock>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// One attempt. Secrets are read and URLs are used through it alone, so that it masks them in whatever comes of it.
pub struct Attempt<'a> {
    pub(super) road: &'a Road,
    masker: Masker,
}

/// The headers of a JSON body.
pub(super) fn json() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// Sends `item` to `target` once.
///
/// # Errors
/// It was not taken.
pub(super) async fn attempt(target: &dyn Target, road: &Road, item: &Item) -> Result<Answer, Failure> {
    let mut attempt = Attempt { road, masker: Masker::default() };
    let outcome = target.send(item, &mut attempt).await;
    request::masked(outcome, &attempt.masker)
}

impl Attempt<'_> {
    /// Reads a secret.
    ///
    /// # Errors
    /// It cannot be read; it may be there at the next attempt.
    pub fn read(&mut self, secret: &SecretRef) -> Result<String, Failure> {
        request::read(secret, &mut self.masker)
    }

    /// Reads a URL that is a secret.
    ///
    /// # Errors
    /// As those of [`Attempt::read`].
    pub fn read_url(&mut self, secret: &SecretRef) -> Result<WebUrl, Failure> {
        secret.read_url(&mut self.masker).map_err(|error| Failure::transient(error.to_string()))
    }

    /// Adds headers whose values are secrets.
    ///
    /// # Errors
    /// A secret cannot be read, or is not fit for a header.
    pub fn add_secrets(&mut self, headers: &mut HeaderMap, secrets: Option<&Headers>) -> Result<(), Failure> {
        let secrets = secrets.map(|Headers(secrets)| secrets.as_slice()).unwrap_or_default();
        request::add_secrets(headers, secrets, &mut self.masker)
    }

    /// Sends one POST over a connection of its own, because an idle one would keep its buffers and the secrets in them.
    ///
    /// # Errors
    /// As [`request::send`].
    pub async fn post(
        &mut self,
        url: &WebUrl,
        mut headers: HeaderMap,
        body: impl Into<Bytes> + Send,
    ) -> Result<Answer, Failure> {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let post = Post { url: url.clone(), headers, body: body.into(), timeout: self.road.timeout };
        let outcome = request::send(&self.road.client, post, Class::Alert, &mut self.masker).await;
        request::masked(outcome, &self.masker)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::alert::machine::Change;
    use crate::config::check::Fault;
    use crate::config::locate::Path;
    use crate::delivery::client::tests::plain;
    use crate::demo::http::{Response, start};
    use crate::notify::message::tests::{item, skew};

    /// What a target makes of one attempt, without any keys.
    pub(in crate::notify) async fn attempted(target: &dyn Target, item: &Item) -> Result<Answer, Failure> {
        let road = Road { client: plain(), imds: None, clock: Arc::default(), timeout: Duration::from_secs(5) };
        attempt(target, &road, item).await
    }

    /// Sends a secret in a header and in the URL, and repeats what comes back.
    struct Careless(WebUrl);

    #[async_trait]
    impl Target for Careless {
        fn check(&mut self, _: &Path) -> Result<(), Fault> {
            Ok(())
        }

        fn url(&self) -> Option<&WebUrl> {
            Some(&self.0)
        }

        async fn send(&self, _: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure> {
            let mut headers = json();
            let mut value = HeaderValue::from_static("Bearer s3cr3t");
            value.set_sensitive(true);
            headers.insert("x-token", value);
            let own = attempt.read(&SecretRef::Environment("CARGO_PKG_NAME".into()))?;
            let answer = match attempt.post(&self.0, headers, Bytes::new()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure.answer.unwrap(),
            };
            let reason = format!("{own}: {}", String::from_utf8_lossy(&answer.body));
            Err(Failure { answer: Some(answer), ..Failure::transient(reason) })
        }

        fn reference() -> &'static str {
            ""
        }

        fn example() -> &'static str {
            ""
        }
    }

    #[tokio::test]
    async fn an_answer_that_repeats_a_secret_does_not_show_it() {
        for status in [200, 400] {
            let echo = start(move |request| {
                assert_eq!(request.header("connection"), Some("close"));
                let [token, user] = ["x-token", "authorization"].map(|name| request.header(name).unwrap().to_owned());
                let path = request.path.rsplit('/').next().unwrap().to_owned();
                Response { status, ..Response::ok(format!("{path} {token} {token} {user} hunter2 skewguard")) }
            });
            let address = echo.await.unwrap();
            let url = format!("http://user:hunter2@{address}/services/hunter3hunter3hunter3");
            let careless = Careless(WebUrl::parse(&url).unwrap());
            let (answer, reason) = match attempted(&careless, &item(&skew(Change::Firing))).await {
                Ok(answer) => (answer, None),
                Err(failure) => (failure.answer.unwrap(), Some(failure.reason)),
            };
            let shown = "*** *** *** Basic *** *** ***";
            assert_eq!((answer.status, answer.body.as_ref()), (status, shown.as_bytes()));
            let reason = reason.unwrap_or_else(|| format!("***: {shown}"));
            assert_eq!(reason, format!("***: {shown}"));
        }
    }
}
