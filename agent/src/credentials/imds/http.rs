//! One HTTP exchange with the metadata service: bounded in time and size, on a connection of its own.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, redirect, retry};
use tokio::time::{Instant, timeout};

use super::client::SetupError;
use super::token;
use crate::config::checked::Imds;
use crate::credentials::lease::Unavailable;

/// The largest body that is read, in bytes. A role document has about 1.5 KiB.
const MAX_BODY: usize = 64 * 1024;

/// One HTTP request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `ok` for status 200, or else what [`Unavailable::code`] says of this one exchange: `timeout`, `http-401`, ….
    pub outcome: Cow<'static, str>,
    /// From the first attempt to connect to the last byte of the body.
    pub duration: Duration,
}

/// An answer with status 200. It has no `Debug`: the body may hold secrets.
///
/// The process-wide allocator zeroes freed memory: the body and what it was gathered from need only be dropped.
pub(super) struct Answer {
    /// The lifetime of a token in seconds, where the header is there and is a number.
    pub(super) ttl: Option<u64>,
    /// At most 64 KiB.
    pub(super) body: Vec<u8>,
}

/// The transport. It has no `Debug`, nor has anything through which a secret passes.
pub(super) struct Http {
    client: Client,
    base: Url,
    timeout: Duration,
    requests: Vec<Request>,
}

impl Http {
    pub(super) fn new(config: &Imds) -> Result<Self, SetupError> {
        let base = Url::parse(&config.endpoint).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let base = base.ok_or(SetupError::Endpoint)?;
        let headers = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        let client = Client::builder()
            .tls_backend_preconfigured(no_tls()?)
            .default_headers(headers)
            .user_agent(concat!("skewguard/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .http1_only()
            .pool_max_idle_per_host(0) // an idle connection would keep its read buffer, secrets and all
            .build()
            .map_err(SetupError::Http)?;
        Ok(Self { client, base, timeout: config.timeout, requests: Vec::new() })
    }

    /// Sends a request with one header and without a body.
    ///
    /// # Errors
    /// All but a complete body with status 200. `Http(401)` and `Http(404)` are for the caller to interpret.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        header: (HeaderName, HeaderValue),
    ) -> Result<Answer, Unavailable> {
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(None);
        let mut request = self.client.request(method.clone(), url).header(header.0, header.1);
        if method == Method::PUT {
            request = request.header(CONTENT_LENGTH, 0); // RFC 9110 §8.6; hyper leaves it out
        }
        let began = Instant::now();
        let result = timeout(self.timeout, exchange(request)).await.unwrap_or(Err(Unavailable::Timeout));
        let outcome = result.as_ref().err().map_or(Cow::Borrowed("ok"), Unavailable::code);
        self.requests.push(Request { outcome, duration: began.elapsed() });
        result
    }

    /// The requests since the last call.
    pub(super) fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }
}

/// A TLS configuration that trusts nobody. reqwest demands one, and without this would read every root certificate of
/// the host for a service that speaks plain HTTP.
fn no_tls() -> Result<rustls::ClientConfig, SetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(SetupError::Tls)?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

async fn exchange(request: RequestBuilder) -> Result<Answer, Unavailable> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    verdict(response.status())?;
    let ttl = response.headers().get(token::TTL).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(Unavailable::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { ttl, body })
}

/// The kind of a failed exchange. The text of the error is dropped: it names the URL and with it the role.
fn broken(error: &reqwest::Error) -> Unavailable {
    if error.is_timeout() {
        Unavailable::Timeout
    } else if error.is_connect() {
        Unavailable::Refused
    } else {
        Unavailable::Interrupted
    }
}

fn verdict(status: StatusCode) -> Result<(), Unavailable> {
    match status.as_u16() {
        200 => Ok(()),
        403 => Err(Unavailable::Forbidden),
        code @ (429 | 500..) => Err(Unavailable::Throttled(code)),
        code @ 300..400 => Err(Unavailable::Redirect(code)),
        code => Err(Unavailable::Http(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Reply, config};
    use super::*;

    const PATH: &str = "/latest/meta-data/instance-id";

    async fn get(fake: &Fake, timeout: Duration) -> (Result<Vec<u8>, Unavailable>, Vec<Request>) {
        let mut http = Http::new(&Imds { timeout, ..config(&fake.endpoint) }).unwrap();
        let header = (token::TOKEN, HeaderValue::from_static("any"));
        let result = http.send(Method::GET, PATH, header).await;
        (result.map(|answer| answer.body), http.take_requests())
    }

    async fn answer_to(reply: Reply) -> Result<Vec<u8>, Unavailable> {
        let fake = Fake::start([("GET /latest/meta-data/instance-id", vec![reply])]).await;
        get(&fake, Duration::from_secs(10)).await.0
    }

    #[tokio::test]
    async fn each_request_uses_a_connection_of_its_own_and_asks_the_server_to_close_it() {
        let fake = Fake::start([("GET /latest/meta-data/instance-id", vec![Reply::ok("i-1")])]).await;
        let mut http = Http::new(&config(&fake.endpoint)).unwrap();
        for _ in 0..3 {
            let header = (token::TOKEN, HeaderValue::from_static("any"));
            assert_eq!(http.send(Method::GET, PATH, header).await.map(|answer| answer.body), Ok(b"i-1".to_vec()));
        }
        let seen = fake.seen();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|request| request.header("connection") == Some("close")));
        assert_eq!(seen.iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[tokio::test]
    async fn a_body_that_drips_beyond_the_timeout_is_a_timeout() {
        let drip = Reply::ok("x".repeat(100)).dripping(Duration::from_millis(20));
        let fake = Fake::start([("GET /latest/meta-data/instance-id", vec![drip])]).await;
        let (result, requests) = get(&fake, Duration::from_millis(300)).await;
        assert_eq!(result, Err(Unavailable::Timeout));
        assert_eq!(requests[0].outcome, "timeout");
        assert!(requests[0].duration >= Duration::from_millis(300));
        assert!(requests[0].duration < Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_body_that_drips_within_the_timeout_is_read_to_its_end() {
        let drip = Reply::ok("slowly").dripping(Duration::from_millis(5));
        assert_eq!(answer_to(drip).await, Ok(b"slowly".to_vec()));
    }

    #[tokio::test]
    async fn a_body_of_64_kib_is_read_and_one_byte_more_is_not() {
        assert_eq!(answer_to(Reply::ok("x".repeat(MAX_BODY))).await.map(|body| body.len()), Ok(MAX_BODY));
        assert_eq!(answer_to(Reply::ok("x".repeat(MAX_BODY + 1))).await, Err(Unavailable::TooLarge));
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_counted_as_it_arrives() {
        let body = || Reply::ok("x".repeat(MAX_BODY + 1));
        assert_eq!(answer_to(body().until_close()).await, Err(Unavailable::TooLarge));
        assert_eq!(answer_to(body().chunked()).await, Err(Unavailable::TooLarge));
        assert_eq!(answer_to(Reply::ok("short").until_close()).await, Ok(b"short".to_vec()));
        assert_eq!(answer_to(Reply::ok("short").chunked()).await, Ok(b"short".to_vec()));
    }

    #[tokio::test]
    async fn an_endless_body_is_given_up_at_the_cap_and_not_at_the_timeout() {
        let endless = Reply::ok("x".repeat(4 * MAX_BODY)).claiming(usize::MAX / 2);
        assert_eq!(answer_to(endless).await, Err(Unavailable::TooLarge));
    }

    #[tokio::test]
    async fn a_body_shorter_than_its_length_is_an_interruption() {
        assert_eq!(answer_to(Reply::ok("{\"Code\":").claiming(500)).await, Err(Unavailable::Interrupted));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_http_is_an_interruption() {
        assert_eq!(answer_to(Reply::raw("SSH-2.0-OpenSSH_9.6\r\n\r\n")).await, Err(Unavailable::Interrupted));
        assert_eq!(answer_to(Reply::raw("")).await, Err(Unavailable::Interrupted));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let target = Fake::start([]).await;
        for status in [301, 302, 307, 308] {
            let reply = Reply::status(status).with("location", &format!("{}{PATH}", target.endpoint));
            assert_eq!(answer_to(reply).await, Err(Unavailable::Redirect(status)));
        }
        assert_eq!(target.seen().len(), 0);
    }

    #[test]
    fn an_endpoint_that_is_not_plain_http_is_an_error() {
        for endpoint in ["https://127.0.0.1", "127.0.0.1:80", "", "unix:/run/imds", "http://"] {
            assert!(matches!(Http::new(&config(endpoint)), Err(SetupError::Endpoint)), "{endpoint}");
        }
    }
}
