//! One HTTP exchange with a service that hands out credentials: bounded in time and size, on a connection of its own.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, SERVER, VIA};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect, retry};
use tokio::time::{Instant, timeout};

use super::document;
use super::lease::Unavailable;
use crate::resolver::Names;

/// The largest body that is read, in bytes. A role document has about 1.5 KiB.
const MAX_BODY: usize = 64 * 1024;

/// Why there is no transport. With its constant options neither happens.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The HTTP library refused its options.
    #[error("failed to build the http client")]
    Http(#[source] reqwest::Error),
    /// The TLS library refused its options.
    #[error("failed to build the http client")]
    Tls(#[source] rustls::Error),
}

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
    /// As the service sent them.
    pub(super) headers: HeaderMap,
    /// At most 64 KiB.
    pub(super) body: Vec<u8>,
}

/// What an answer of any status says of the one who answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answerer {
    /// `Server` in printable ASCII, 128 characters at most.
    pub server: Option<String>,
    /// Whether there is a `Via`, which proxies write.
    pub is_relayed: bool,
    /// `Date` in nanoseconds since the Unix epoch.
    pub date: Option<i64>,
}

impl Answerer {
    fn of(headers: &HeaderMap) -> Self {
        let date = headers.get(DATE).and_then(|value| DateTime::parse_from_rfc2822(value.to_str().ok()?).ok());
        Self {
            server: headers.get(SERVER).and_then(document::printable),
            is_relayed: headers.contains_key(VIA),
            date: date.and_then(|date| date.timestamp_nanos_opt()),
        }
    }
}
/// What the body of a refusal, a status of 400 to 499, says of its reason; `None` where it says nothing.
pub(super) type Explain = fn(&[u8]) -> Option<Unavailable>;

/// The transport. It has no `Debug`, nor has anything through which a secret passes.
pub(super) struct Http {
    client: Client,
    timeout: Duration,
    explain: Option<Explain>,
    requests: Vec<Request>,
    answerer: Option<Answerer>,
}

impl Http {
    /// A transport whose exchanges may each take `timeout`. The body of a refusal is read only where `explain` is there.
    ///
    /// # Errors
    /// They do not happen with constant options.
    pub(super) fn new(timeout: Duration, explain: Option<Explain>) -> Result<Self, HttpError> {
        let headers = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        let client = Client::builder()
            .tls_backend_preconfigured(no_tls()?)
            .default_headers(headers)
            .user_agent(concat!("skewguard/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Names)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .http1_only()
            .pool_max_idle_per_host(0) // an idle connection would keep its read buffer, secrets and all
            .build()
            .map_err(HttpError::Http)?;
        Ok(Self { client, timeout, explain, requests: Vec::new(), answerer: None })
    }

    /// Sends a request with at most one header and without a body.
    ///
    /// # Errors
    /// All but a complete body with status 200. `Http(401)` and `Http(404)` are for the caller to interpret.
    pub(super) async fn send(
        &mut self,
        method: Method,
        url: Url,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Answer, Unavailable> {
        let mut request = self.client.request(method.clone(), url);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if method == Method::PUT {
            request = request.header(CONTENT_LENGTH, 0); // RFC 9110 §8.6; hyper leaves it out
        }
        let began = Instant::now();
        let exchange = exchange(request, self.explain, &mut self.answerer);
        let result = timeout(self.timeout, exchange).await.unwrap_or(Err(Unavailable::Timeout));
        let outcome = result.as_ref().err().map_or(Cow::Borrowed("ok"), Unavailable::code);
        self.requests.push(Request { outcome, duration: began.elapsed() });
        result
    }

    /// What the last answer said of the one who answered; `None` before the first.
    pub(super) fn answerer(&self) -> Option<&Answerer> {
        self.answerer.as_ref()
    }

    /// Lets the last request be as if it had not been made.
    pub(super) fn forget_last_request(&mut self) {
        self.requests.pop();
    }

    /// The requests since the last call.
    pub(super) fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }
}

/// A TLS configuration that trusts nobody. reqwest demands one, and without this would read every root certificate of
/// the host for services that speak plain HTTP.
fn no_tls() -> Result<rustls::ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(HttpError::Tls)?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

async fn exchange(
    request: RequestBuilder,
    explain: Option<Explain>,
    answerer: &mut Option<Answerer>,
) -> Result<Answer, Unavailable> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    *answerer = Some(Answerer::of(response.headers()));
    if let Err(reason) = verdict(response.status()) {
        let explain = explain.filter(|_| matches!(reason, Unavailable::Http(400..500) | Unavailable::Forbidden));
        let Some(explain) = explain else { return Err(reason) };
        let explained = body(&mut response).await.ok().and_then(|body| explain(&body));
        return Err(explained.unwrap_or(reason));
    }
    let body = body(&mut response).await?;
    Ok(Answer { headers: std::mem::take(response.headers_mut()), body })
}

async fn body(response: &mut Response) -> Result<Vec<u8>, Unavailable> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(Unavailable::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
    use super::super::imds::fake::{Fake, Reply};
    use super::*;

    const PATH: &str = "/latest/meta-data/instance-id";
    /// A timeout that a loaded machine does not reach by accident.
    const LONG: Duration = Duration::from_secs(20);

    async fn send(http: &mut Http, fake: &Fake) -> Result<Vec<u8>, Unavailable> {
        let url = Url::parse(&format!("{}{PATH}", fake.endpoint)).unwrap();
        let header = (HeaderName::from_static("x-any"), HeaderValue::from_static("any"));
        http.send(Method::GET, url, Some(header)).await.map(|answer| answer.body)
    }

    async fn get(fake: &Fake, timeout: Duration) -> (Result<Vec<u8>, Unavailable>, Vec<Request>) {
        let mut http = Http::new(timeout, None).unwrap();
        (send(&mut http, fake).await, http.take_requests())
    }

    async fn answer_to(reply: Reply) -> Result<Vec<u8>, Unavailable> {
        let fake = Fake::start([("GET /latest/meta-data/instance-id", vec![reply])]).await;
        get(&fake, Duration::from_secs(10)).await.0
    }

    #[tokio::test]
    async fn each_request_uses_a_connection_of_its_own_and_asks_the_server_to_close_it() {
        let fake = Fake::start([("GET /latest/meta-data/instance-id", vec![Reply::ok("i-1")])]).await;
        let mut http = Http::new(LONG, None).unwrap();
        for _ in 0..3 {
            assert_eq!(send(&mut http, &fake).await, Ok(b"i-1".to_vec()));
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

    #[tokio::test]
    async fn an_answer_of_any_status_tells_who_answered() {
        let date = "Sun, 01 Mar 2026 16:00:00 GMT";
        for status in [200, 401, 503] {
            let reply = Reply::status(status).with("Via", "1.1 squid").with("Date", date);
            let fake = Fake::start([("GET /latest/meta-data/instance-id", vec![reply])]).await;
            let mut http = Http::new(LONG, None).unwrap();
            assert_eq!(http.answerer(), None);
            let _ = send(&mut http, &fake).await;
            let answerer = http.answerer().unwrap();
            assert_eq!((answerer.server.as_deref(), answerer.is_relayed), (Some("EC2ws"), true));
            assert_eq!(answerer.date, Some(1_772_380_800_000_000_000));
        }
    }

    #[tokio::test]
    async fn the_body_of_a_refusal_is_read_where_somebody_can_explain_it() {
        fn explain(body: &[u8]) -> Option<Unavailable> {
            (body == b"role is gone").then_some(Unavailable::RoleGone)
        }
        for (status, body, reason) in [
            (400, "role is gone", Unavailable::RoleGone),
            (403, "role is gone", Unavailable::RoleGone),
            (403, "something else", Unavailable::Forbidden),
            (404, "", Unavailable::Http(404)),
            (429, "role is gone", Unavailable::Throttled(429)),
            (500, "role is gone", Unavailable::Throttled(500)),
            (302, "role is gone", Unavailable::Redirect(302)),
            (400, &"x".repeat(MAX_BODY + 1), Unavailable::Http(400)),
        ] {
            let fake = Fake::start([("GET /latest/meta-data/instance-id", vec![Reply::new(status, body)])]).await;
            let mut http = Http::new(LONG, Some(explain)).unwrap();
            assert_eq!(send(&mut http, &fake).await, Err(reason), "{status}");
        }
    }
}
