//! What all targets have in common.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::true_clock::Stamp;
use crate::delivery::item::Item;
use crate::delivery::request::{Answer, Failure};
use crate::notify::attempt::{Attempt, Road};
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::setting::url::WebUrl;
use crate::snapshot::AlertMessage;

/// Who takes the alerts of a channel.
///
/// The struct is what is written below its key, so its comments are the descriptions in the JSON schema. A secret in it is
/// a `SecretRef` and a URL a `WebUrl`: these are shown masked, and sent through an [`Attempt`] alone, which masks them in
/// whatever comes of it.
#[async_trait]
pub trait Target: Send + Sync {
    /// Checks what is written at `at`, and fills in what is not.
    ///
    /// # Errors
    /// What is wrong, where, and what is allowed.
    fn check(&mut self, at: &Path) -> Result<(), Fault>;

    /// Where it is, once it is checked; `None` where that is a secret.
    fn url(&self) -> Option<&WebUrl>;

    /// Whether its requests are signed with the keys of the instance's role.
    fn is_signed(&self) -> bool {
        false
    }

    /// How it is told again what fires, where it would take that for over otherwise.
    fn repost(&self) -> Option<Repost> {
        None
    }

    /// Sends `item` once.
    ///
    /// # Errors
    /// It was not taken.
    async fn send(&self, item: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure>;

    /// Whether an error may show the value that is written at one of its keys. Most may be a secret in the wrong place.
    fn is_public(_key: &str, _value: &str) -> bool
    where
        Self: Sized,
    {
        false
    }

    /// A channel of it with every key, commented, for `config/skewguard.yaml`.
    fn reference() -> &'static str
    where
        Self: Sized;

    /// A channel of it as somebody would have it, for `config/examples/channels.yaml`.
    fn example() -> &'static str
    where
        Self: Sized;
}

/// The telling again of what fires.
#[derive(Clone, Copy)]
pub struct Repost {
    /// How often.
    pub every: Duration,
    /// All that fires as one item; `None` where nothing does.
    pub item: fn(&[AlertMessage], Stamp) -> Option<Item>,
}

/// Sends `item` to `target` once, by this road.
///
/// # Errors
/// It was not taken. Neither this nor an answer repeats a secret.
pub async fn attempt(target: &dyn Target, road: &Road, item: &Item) -> Result<Answer, Failure> {
    let mut attempt = Attempt::new(road);
    let outcome = target.send(item, &mut attempt).await;
    attempt.masked(outcome)
}

#[cfg(test)]
pub(in crate::notify) mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::alert::machine::Change;
    use crate::delivery::client::tests::plain;
    use crate::demo::http::{Response, start};
    use crate::notify::attempt::json;
    use crate::notify::message::tests::{item, skew};
    use crate::setting::secret::SecretRef;

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

    #[cfg(unix)]
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
