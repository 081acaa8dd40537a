//! The session token of IMDSv2.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::credentials::http::Answer;
use crate::credentials::lease::Unavailable;

/// The header that carries a token.
pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
/// The header that carries the lifetime of a token in seconds.
pub(super) const TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// The longest lifetime that the service grants, in seconds, and the one that is asked for.
pub(super) const LONGEST: u64 = 21_600;
/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(60);

/// A session token. It has no `Debug`, and its header is marked as sensitive so that no HTTP layer logs it.
pub(super) struct Token {
    header: HeaderValue,
    usable_until: Instant,
}

impl Token {
    /// Takes the token from the answer to a request that was sent at `asked`, and its header for the request at hand,
    /// for which even a token of a short life will do.
    ///
    /// A service that does not name the lifetime is taken to have granted the one that was asked for.
    ///
    /// # Errors
    /// `Malformed` where the body cannot be the value of a header.
    pub(super) fn new(answer: &Answer, asked: Instant) -> Result<(Self, HeaderValue), Unavailable> {
        let text = answer.body.trim_ascii();
        if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
            return Err(Unavailable::Malformed("the token is not a token"));
        }
        let mut header =
            HeaderValue::from_bytes(text).map_err(|_| Unavailable::Malformed("the token is not a token"))?;
        header.set_sensitive(true);
        let ttl = answer.headers.get(TTL).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let ttl = Duration::from_secs(ttl.unwrap_or(LONGEST).min(LONGEST));
        Ok((Self { header: header.clone(), usable_until: asked + ttl.saturating_sub(MARGIN) }, header))
    }

    /// The value of the header, until 60 s before the end of the token's life.
    ///
    /// This clock stands still while the host sleeps. A token that died in the meantime earns a 401, which renews it.
    pub(super) fn header(&self, now: Instant) -> Option<HeaderValue> {
        (now < self.usable_until).then(|| self.header.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(body: &str, ttl: Option<u64>, asked: Instant) -> Result<Token, Unavailable> {
        let headers = ttl.map(|ttl| (TTL, HeaderValue::from(ttl))).into_iter().collect();
        Token::new(&Answer { headers, body: body.into() }, asked).map(|(token, _)| token)
    }

    #[tokio::test]
    async fn a_token_is_usable_until_a_minute_before_its_end() {
        let asked = Instant::now();
        let after = |seconds| asked + Duration::from_secs(seconds);
        for (ttl, usable) in [(Some(300), 240), (None, LONGEST - 60), (Some(u64::MAX), LONGEST - 60)] {
            let token = token("abc==", ttl, asked).ok().unwrap();
            assert!(token.header(after(usable - 1)).is_some());
            assert!(token.header(after(usable)).is_none());
        }
    }

    #[tokio::test]
    async fn a_token_that_lives_for_less_than_a_minute_is_never_usable_again() {
        let asked = Instant::now();
        assert!(token("abc==", Some(60), asked).ok().unwrap().header(asked).is_none());
    }

    #[tokio::test]
    async fn the_header_of_a_token_hides_its_value() {
        let asked = Instant::now();
        let header = token(" abc==\n", None, asked).ok().unwrap().header(asked).unwrap();
        assert_eq!(header.as_bytes(), b"abc==");
        assert_eq!(format!("{header:?}"), "Sensitive");
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_a_header_is_no_token() {
        for body in ["", " \n", "two words", "a\r\nX-Injected: 1", "<html>\n</html>", "gr\u{fc}n"] {
            assert!(matches!(token(body, None, Instant::now()), Err(Unavailable::Malformed(_))), "{body:?}");
        }
    }
}
