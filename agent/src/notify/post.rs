//! One POST of a channel: nothing secret outlives it, and nothing secret comes back from it.

use bytes::Bytes;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::delivery::client::Client;
use crate::delivery::item::Class;
use crate::delivery::request::{self, Answer, Failure, Post};

/// A secret shorter than this is not looked for in an answer: it would be found by chance.
const SHORTEST: usize = 6;

/// The headers of a JSON body.
pub(super) fn json() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// Sends one POST over a connection of its own, because an idle one would keep its buffers and the secrets in them.
/// Where the answer repeats one of `secrets`, or a header that is marked sensitive, it is masked.
///
/// # Errors
/// As [`request::send`].
pub(super) async fn send(client: &Client, mut post: Post, secrets: &[&str]) -> Result<Answer, Failure> {
    let sensitive = post.headers.values().filter(|value| value.is_sensitive());
    let hidden: Vec<Vec<u8>> = sensitive
        .map(HeaderValue::as_bytes)
        .chain(secrets.iter().map(|secret| secret.as_bytes()))
        .filter(|secret| secret.len() >= SHORTEST)
        .map(<[u8]>::to_vec)
        .collect();
    post.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    match request::send(client, post, Class::Alert).await {
        Ok(answer) => Ok(masked(&answer, &hidden)),
        Err(failure) => Err(Failure { answer: failure.answer.map(|answer| masked(&answer, &hidden)), ..failure }),
    }
}

fn masked(answer: &Answer, hidden: &[Vec<u8>]) -> Answer {
    let mut body = answer.body.to_vec();
    for secret in hidden {
        while let Some(at) = body.windows(secret.len()).position(|window| window == secret) {
            body.splice(at..at.saturating_add(secret.len()), *b"***");
        }
    }
    Answer { status: answer.status, body: Bytes::from(body) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::client::tests::plain;
    use crate::demo::http::{Response, start};

    #[tokio::test]
    async fn an_answer_that_repeats_a_secret_does_not_show_it() {
        for status in [200, 400] {
            let echo = start(move |request| {
                assert_eq!(request.header("connection"), Some("close"));
                let header = request.header("authorization").unwrap().to_owned();
                Response { status, ..Response::ok(format!("{} {header} {header}", request.path)) }
            });
            let url = format!("http://{}/services/hunter2", echo.await.unwrap());
            let mut headers = json();
            let mut value = HeaderValue::from_static("Bearer s3cr3t");
            value.set_sensitive(true);
            headers.insert("authorization", value);
            let post = Post { url, headers, body: Bytes::new(), timeout: Duration::from_secs(5) };
            let answer = match send(&plain(), post, &["/services/hunter2"]).await {
                Ok(answer) => answer,
                Err(failure) => failure.answer.unwrap(),
            };
            assert_eq!((answer.status, answer.body.as_ref()), (status, b"*** *** ***".as_slice()));
        }
    }
}
