//! One attempt to tell a channel: nothing secret outlives it, and nothing secret comes back from it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::clock::true_clock::TrueClock;
use crate::credentials::imds::settings::Imds;
use crate::delivery::client::Client;
use crate::delivery::item::Class;
use crate::delivery::request::{self, Answer, Failure, Post};
use crate::setting::headers::Headers;
use crate::setting::masker::Masker;
use crate::setting::secret::SecretRef;
use crate::setting::url::WebUrl;

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

impl<'a> Attempt<'a> {
    /// One on this road, which has read nothing yet.
    pub(super) fn new(road: &'a Road) -> Self {
        Self { road, masker: Masker::default() }
    }

    /// What comes of it, without the secrets that it has read.
    ///
    /// # Errors
    /// The same failure, masked.
    pub(super) fn masked(&self, outcome: Result<Answer, Failure>) -> Result<Answer, Failure> {
        request::masked(outcome, &self.masker)
    }

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
        self.masked(outcome)
    }
}
