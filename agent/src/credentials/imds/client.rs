//! The client of the instance metadata service. It speaks IMDSv2: a token first, and no request without, but to what imitates
//! the service and knows no tokens. Such a one refuses them by a status by which SDKs know it, and answers without. Amazon's
//! own service refuses them to whoever comes through a proxy that forwards, which is not to be got around.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use tokio::time::Instant;

use super::document;
use super::token::{self, Token};
use crate::credentials::http::{Answer, Http, HttpError};
pub use crate::credentials::http::{Answerer, Request};
use crate::credentials::imds::settings::Imds;
use crate::credentials::lease::{Lease, Unavailable};

/// The endpoints of Amazon's service.
const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";
/// What Amazon's service calls itself in `Server`.
pub(crate) const EC2: &str = "EC2ws";
const TOKEN_PATH: &str = "/latest/api/token";
pub(super) const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials/";
/// The pause before the second attempt. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// For how long no token is asked for again where there was none to be had.
const WITHOUT_TOKEN: Duration = Duration::from_secs(20);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The endpoint is not the URL of a host by plain HTTP.
    #[error("the endpoint of the metadata service is not an http:// url")]
    Endpoint,
    /// There is no transport.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// What came of one reading of the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The lease, or why there is none.
    pub result: Result<Lease, Unavailable>,
    /// Every HTTP request that was made for it, in order: tokens, renewals and repetitions included.
    pub requests: Vec<Request>,
}

/// A client that keeps its token from one fetch to the next. It has no `Debug`, because it holds the token.
pub struct ImdsClient {
    pub(super) http: Http,
    base: Url,
    /// The address of the same service in the other family, which is asked where `base` cannot be reached.
    twin: Option<Url>,
    token: Option<Token>,
    /// Until when no token is asked for, and why there was none to be had.
    without_token: Option<(Instant, Unavailable)>,
    /// Whether anything is asked for without a token.
    version_1: bool,
    attempts: u32,
    random: fastrand::Rng,
}

impl ImdsClient {
    /// Makes a client; it asks nothing yet.
    ///
    /// # Errors
    /// `SetupError::Endpoint` where the endpoint is not an `http://` URL; the others do not happen with constant options.
    pub fn new(config: &Imds) -> Result<Self, SetupError> {
        let base = Url::parse(&config.endpoint).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let base = base.ok_or(SetupError::Endpoint)?;
        let http = Http::new(config.timeout, None)?;
        let twin = twin(&config.endpoint).and_then(|twin| Url::parse(twin).ok());
        Ok(Self {
            http,
            base,
            twin,
            token: None,
            without_token: None,
            version_1: config.version_1,
            attempts: config.attempts,
            random: fastrand::Rng::new(),
        })
    }

    /// Reads the role of the instance and the lease of its credentials.
    ///
    /// Each request is tried as often as configured while it is refused, late, cut off or throttled. Only Code,
    /// LastUpdated, Type and Expiration are read from the document; an Expiration in the past is a lease.
    ///
    /// The requests are all since the last call, those for the host's identity among them.
    pub async fn credentials(&mut self) -> Fetch {
        let result = self.lease().await;
        Fetch { result, requests: self.http.take_requests() }
    }

    async fn lease(&mut self) -> Result<Lease, Unavailable> {
        let (role, body) = self.document().await?;
        document::lease(&role, &body)
    }

    /// The role of the instance, and the document of its credentials with the secrets in it.
    pub(super) async fn document(&mut self) -> Result<(String, Vec<u8>), Unavailable> {
        let list = self.get(ROLES_PATH).await?.ok_or(Unavailable::NoRole)?;
        let role = document::role(&list)?;
        let body = self.get(&format!("{ROLES_PATH}{role}")).await?.ok_or(Unavailable::RoleGone)?;
        Ok((role.to_owned(), body))
    }

    /// The body at `path`, `None` where there is nothing (404). A 401 renews the token once.
    pub(super) async fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        for _ in 0..2 {
            let header = match self.token().await {
                Ok(token) => Some((token::TOKEN, token)),
                Err(reason) if self.goes_on_without_token() => return self.get_without_token(path, reason).await,
                Err(reason) => return Err(reason),
            };
            match self.send(Method::GET, path, header).await {
                Err(Unavailable::Http(401)) => self.token = None,
                Err(Unavailable::Http(404)) => return Ok(None),
                result => return result.map(|answer| Some(answer.body)),
            }
        }
        Err(Unavailable::TokenRefused)
    }

    /// The body at `path` as version 1 has it; `refused` is why there is no token, which is the reason of all else.
    async fn get_without_token(&mut self, path: &str, refused: Unavailable) -> Result<Option<Vec<u8>>, Unavailable> {
        match self.send(Method::GET, path, None).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(Unavailable::Http(404)) if refused != Unavailable::Http(404) => Ok(None),
            Err(Unavailable::Http(_) | Unavailable::Forbidden) => Err(refused),
            Err(reason) => Err(reason),
        }
    }

    /// Whether the last token was refused in the way of a service that knows none.
    pub fn goes_on_without_token(&self) -> bool {
        self.without_token.is_some()
    }

    /// The token, a new one where there is none or it is about to end.
    pub(super) async fn token(&mut self) -> Result<HeaderValue, Unavailable> {
        let asked = Instant::now();
        if let Some((_, reason)) = self.without_token.as_ref().filter(|(until, _)| asked < *until) {
            return Err(reason.clone());
        }
        self.without_token = None;
        if let Some(header) = self.token.as_ref().and_then(|token| token.header(asked)) {
            return Ok(header);
        }
        let lifetime = (token::TTL, HeaderValue::from(token::LONGEST));
        let answer = match self.send(Method::PUT, TOKEN_PATH, Some(lifetime.clone())).await {
            Err(reason) if is_out_of_reach(&reason) => self.token_of_twin(lifetime).await.unwrap_or(Err(reason)),
            result => result,
        };
        if let Err(reason @ (Unavailable::Forbidden | Unavailable::Http(404 | 405))) = &answer
            && self.may_do_without_token()
        {
            self.without_token = Some((asked + WITHOUT_TOKEN, reason.clone()));
        }
        let answer = answer?;
        let (token, header) = Token::new(&answer, asked)?;
        self.token = Some(token);
        Ok(header)
    }

    /// Whether version 1 is allowed, and somebody else than Amazon's service answered last.
    fn may_do_without_token(&self) -> bool {
        let server = self.http.answerer().and_then(|answerer| answerer.server.as_deref());
        self.version_1 && server != Some(EC2)
    }

    /// Asks at the other address, once, and stays there if anybody answers; `None` where nobody does. A family that this
    /// subnet does not have is no failure to count.
    async fn token_of_twin(&mut self, lifetime: (HeaderName, HeaderValue)) -> Option<Result<Answer, Unavailable>> {
        let mut url = self.twin.clone()?;
        url.set_path(TOKEN_PATH);
        let result = self.http.send(Method::PUT, url, Some(lifetime)).await;
        if result.as_ref().err().is_some_and(is_out_of_reach) {
            self.http.forget_last_request();
            return None;
        }
        if let Some(twin) = &mut self.twin {
            std::mem::swap(&mut self.base, twin);
        }
        Some(result)
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Answer, Unavailable> {
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(None);
        let mut pause = FIRST_PAUSE;
        for _ in 1..self.attempts {
            match self.http.send(method.clone(), url.clone(), header.clone()).await {
                Err(reason) if reason.is_transient() => {}
                result => return result,
            }
            tokio::time::sleep(pause.mul_f64(0.5 + self.random.f64() / 2.0)).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        self.http.send(method, url, header).await
    }
}

/// The other endpoint of Amazon's service, if this is one of the two: a subnet may have one family alone.
pub(crate) fn twin(endpoint: &str) -> Option<&'static str> {
    match endpoint.trim_end_matches('/') {
        IPV4 => Some(IPV6),
        IPV6 => Some(IPV4),
        _ => None,
    }
}

/// Whether nobody answered.
const fn is_out_of_reach(reason: &Unavailable) -> bool {
    matches!(reason, Unavailable::Refused | Unavailable::Timeout)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::super::fake::{DOCUMENT, DOCUMENT_ROUTE, Fake, ROLES_ROUTE, Reply, SECRETS, TOKEN, TOKEN_ROUTE, config};
    use super::*;
    use crate::credentials::Provider;

    fn client(fake: &Fake) -> ImdsClient {
        ImdsClient::new(&config(&fake.endpoint)).unwrap()
    }

    /// An answer of what imitates the service.
    fn imitation(status: u16) -> Reply {
        Reply::status(status).with("Server", "imitation")
    }

    async fn fetch(fake: &Fake) -> Fetch {
        client(fake).credentials().await
    }

    async fn fetch_trying(fake: &Fake, attempts: u32) -> Fetch {
        ImdsClient::new(&Imds { attempts, ..config(&fake.endpoint) }).unwrap().credentials().await
    }

    fn outcomes(fetch: &Fetch) -> Vec<&str> {
        fetch.requests.iter().map(|request| request.outcome.as_ref()).collect()
    }

    #[tokio::test]
    async fn a_fetch_asks_for_a_token_then_the_role_then_its_document() {
        let fake = Fake::healthy([]).await;
        let fetch = fetch(&fake).await;
        assert_eq!(fetch.result.as_ref().unwrap().identity, "web");
        assert_eq!(outcomes(&fetch), ["ok", "ok", "ok"]);
        let seen = fake.seen();
        let lines: Vec<_> = seen.iter().map(|request| request.line.as_str()).collect();
        assert_eq!(lines, [TOKEN_ROUTE, ROLES_ROUTE, DOCUMENT_ROUTE]);
        assert_eq!(seen[0].header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
        assert_eq!(seen[0].header("content-length"), Some("0"));
        assert_eq!(seen[0].header("x-aws-ec2-metadata-token"), None);
        for request in &seen[1..] {
            assert_eq!(request.header("x-aws-ec2-metadata-token"), Some(TOKEN));
        }
    }

    async fn closed() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    #[test]
    fn only_the_service_of_amazon_has_a_second_address() {
        assert_eq!(twin("http://169.254.169.254"), Some("http://[fd00:ec2::254]"));
        assert_eq!(twin("http://[fd00:ec2::254]/"), Some("http://169.254.169.254"));
        assert_eq!((twin("http://127.0.0.1:1338"), twin("http://169.254.169.254:8080")), (None, None));
    }

    #[tokio::test]
    async fn a_subnet_that_has_one_family_alone_is_served_at_the_address_that_answers() {
        let fake = Fake::healthy([]).await;
        let mut client = ImdsClient::new(&config(&closed().await)).unwrap();
        client.twin = Url::parse(&fake.endpoint).ok();
        let first = client.credentials().await;
        assert_eq!((first.result.unwrap().identity.as_str(), first.requests[0].outcome.as_ref()), ("web", "refused"));
        let second = client.credentials().await;
        assert!(second.result.is_ok());
        assert_eq!(
            outcomes(&Fetch { result: Err(Unavailable::NoRole), ..second }),
            ["ok", "ok"],
            "it is asked there first"
        );
    }

    #[tokio::test]
    async fn a_family_that_the_subnet_lacks_is_not_complained_of() {
        let (silent, absent) = (closed().await, closed().await);
        let mut client = ImdsClient::new(&config(&silent)).unwrap();
        client.twin = Url::parse(&absent).ok();
        let fetch = client.credentials().await;
        assert_eq!(fetch.result, Err(Unavailable::Refused));
        assert_eq!(outcomes(&fetch), ["refused"], "the one that is configured alone");
        assert_eq!(client.base, Url::parse(&silent).unwrap());
    }

    #[tokio::test]
    async fn an_endpoint_where_nobody_listens_is_refused() {
        let endpoint = closed().await;
        let fetch = ImdsClient::new(&config(&endpoint)).unwrap().credentials().await;
        assert_eq!(fetch.result, Err(Unavailable::Refused));
        assert_eq!(outcomes(&fetch), ["refused"]);
    }

    #[tokio::test]
    async fn a_token_request_that_is_not_answered_is_a_timeout_and_imdsv1_is_not_tried() {
        let fake = Fake::healthy([(TOKEN_ROUTE, vec![Reply::token(21_600).after(Duration::from_secs(30))])]).await;
        let timeout = Duration::from_millis(200);
        let mut client = ImdsClient::new(&Imds { timeout, ..config(&fake.endpoint) }).unwrap();
        let fetch = client.credentials().await;
        assert_eq!(fetch.result, Err(Unavailable::Timeout));
        assert!(fetch.requests[0].duration >= timeout && fetch.requests[0].duration < Duration::from_secs(5));
        assert!(fake.seen().iter().all(|request| request.line == TOKEN_ROUTE));
    }

    #[tokio::test]
    async fn a_401_renews_the_token_once() {
        let fake = Fake::healthy([(DOCUMENT_ROUTE, vec![Reply::status(401), Reply::ok(DOCUMENT)])]).await;
        let fetch = fetch(&fake).await;
        assert!(fetch.result.is_ok());
        assert_eq!(outcomes(&fetch), ["ok", "ok", "http-401", "ok", "ok"]);
        assert_eq!(fake.count(TOKEN_ROUTE), 2);
    }

    #[tokio::test]
    async fn a_401_with_a_new_token_is_given_up_and_the_token_is_not_kept() {
        let fake = Fake::healthy([(ROLES_ROUTE, vec![Reply::status(401)])]).await;
        let mut client = client(&fake);
        let fetch = client.credentials().await;
        assert_eq!(fetch.result, Err(Unavailable::TokenRefused));
        assert_eq!(outcomes(&fetch), ["ok", "http-401", "ok", "http-401"]);
        client.credentials().await;
        assert_eq!(fake.count(TOKEN_ROUTE), 4);
    }

    #[tokio::test]
    async fn a_status_other_than_200_on_the_token_has_a_reason_of_its_own() {
        for (status, reason) in [
            (400, Unavailable::Http(400)),
            (401, Unavailable::Http(401)),
            (403, Unavailable::Forbidden),
            (404, Unavailable::Http(404)),
            (405, Unavailable::Http(405)),
            (204, Unavailable::Http(204)),
        ] {
            let routes = [(TOKEN_ROUTE, vec![Reply::status(status)]), (ROLES_ROUTE, vec![Reply::status(401)])];
            let fake = Fake::healthy(routes).await;
            assert_eq!(fetch(&fake).await.result, Err(reason.clone()));
            assert_eq!(fake.seen().len(), 1, "after {status} of Amazon's service nothing else is asked for");
            let routes = [(TOKEN_ROUTE, vec![imitation(status)]), (ROLES_ROUTE, vec![Reply::status(401)])];
            let fake = Fake::healthy(routes).await;
            assert_eq!(fetch(&fake).await.result, Err(reason));
            let asked = if matches!(status, 403..=405) { 2 } else { 1 };
            assert_eq!(fake.seen().len(), asked, "after {status} SDKs ask for nothing else, or without a token");
        }
    }

    #[tokio::test]
    async fn what_knows_no_tokens_is_read_without_one_and_not_asked_for_one_each_time() {
        for status in [403, 404, 405] {
            let fake = Fake::healthy([(TOKEN_ROUTE, vec![imitation(status)])]).await;
            let mut client = client(&fake);
            for _ in 0..2 {
                assert!(client.credentials().await.result.is_ok(), "{status}");
            }
            assert_eq!(fake.count(TOKEN_ROUTE), 1, "{status}");
        }
    }

    #[tokio::test]
    async fn without_a_token_nothing_is_read_of_amazon_s_service_or_where_version_1_is_disabled() {
        for status in [403, 404, 405] {
            for (reply, version_1) in [(Reply::status(status), true), (imitation(status), false)] {
                let fake = Fake::healthy([(TOKEN_ROUTE, vec![reply])]).await;
                let config = Imds { version_1, ..config(&fake.endpoint) };
                let mut client = ImdsClient::new(&config).unwrap();
                assert!(client.credentials().await.result.is_err(), "{status} {version_1}");
                assert!(!client.goes_on_without_token());
                assert!(fake.seen().iter().all(|request| request.line == TOKEN_ROUTE), "{status} {version_1}");
            }
        }
    }

    #[tokio::test]
    async fn a_403_on_the_role_or_on_its_document_is_forbidden() {
        for route in [ROLES_ROUTE, DOCUMENT_ROUTE] {
            let fake = Fake::healthy([(route, vec![Reply::status(403)])]).await;
            assert_eq!(fetch(&fake).await.result, Err(Unavailable::Forbidden));
        }
    }

    #[tokio::test]
    async fn a_404_on_the_list_of_roles_is_no_role() {
        let fake = Fake::healthy([(ROLES_ROUTE, vec![Reply::status(404)])]).await;
        let fetch = fetch(&fake).await;
        assert_eq!(fetch.result, Err(Unavailable::NoRole));
        assert_eq!(outcomes(&fetch), ["ok", "http-404"]);
    }

    #[tokio::test]
    async fn a_404_on_the_document_of_a_listed_role_is_a_role_that_is_gone() {
        let fake = Fake::healthy([(DOCUMENT_ROUTE, vec![Reply::status(404)])]).await;
        assert_eq!(fetch(&fake).await.result, Err(Unavailable::RoleGone));
    }

    #[tokio::test]
    async fn a_429_and_a_5xx_are_throttling_and_are_tried_as_often_as_configured() {
        for status in [429, 500, 503] {
            let fake = Fake::healthy([(ROLES_ROUTE, vec![Reply::status(status)])]).await;
            assert_eq!(fetch_trying(&fake, 3).await.result, Err(Unavailable::Throttled(status)));
            assert_eq!(fake.count(ROLES_ROUTE), 3);
            assert_eq!(fake.count(TOKEN_ROUTE), 1);
        }
    }

    #[tokio::test]
    async fn a_503_that_passes_is_overcome() {
        let fake = Fake::healthy([
            (TOKEN_ROUTE, vec![Reply::status(503), Reply::token(21_600)]),
            (DOCUMENT_ROUTE, vec![Reply::raw(""), Reply::ok(DOCUMENT)]),
        ])
        .await;
        let fetch = fetch_trying(&fake, 2).await;
        assert!(fetch.result.is_ok());
        assert_eq!(outcomes(&fetch), ["http-503", "ok", "ok", "interrupted", "ok"]);
    }

    #[tokio::test]
    async fn a_final_answer_is_not_asked_for_again() {
        let fake = Fake::healthy([(ROLES_ROUTE, vec![Reply::status(404)])]).await;
        fetch_trying(&fake, 5).await;
        assert_eq!(fake.count(ROLES_ROUTE), 1);
    }

    #[tokio::test]
    async fn a_token_is_kept_from_one_fetch_to_the_next_even_if_its_lifetime_is_not_named() {
        for token in [Reply::token(21_600), Reply::ok(TOKEN)] {
            let fake = Fake::healthy([(TOKEN_ROUTE, vec![token])]).await;
            let mut client = client(&fake);
            for _ in 0..3 {
                assert!(client.credentials().await.result.is_ok());
            }
            assert_eq!((fake.count(TOKEN_ROUTE), fake.count(DOCUMENT_ROUTE)), (1, 3));
        }
    }

    #[tokio::test]
    async fn a_token_is_renewed_a_minute_before_its_end() {
        let fake = Fake::healthy([(TOKEN_ROUTE, vec![Reply::token(62), Reply::token(21_600)])]).await;
        let mut client = client(&fake);
        client.credentials().await;
        assert_eq!(fake.count(TOKEN_ROUTE), 1);
        tokio::time::sleep(Duration::from_millis(2_050)).await;
        assert_eq!(outcomes(&client.credentials().await), ["ok", "ok", "ok"]);
        assert_eq!(fake.count(TOKEN_ROUTE), 2);
    }

    #[tokio::test]
    async fn a_role_that_would_lead_to_another_path_is_never_asked_for() {
        for list in ["..", "a/../../user-data", "web?x=1"] {
            let fake = Fake::healthy([(ROLES_ROUTE, vec![Reply::ok(list)])]).await;
            assert!(matches!(fetch(&fake).await.result, Err(Unavailable::Malformed(_))));
            assert_eq!(fake.seen().len(), 2);
        }
    }

    #[tokio::test]
    async fn an_ipv6_endpoint_is_asked_as_well() {
        let fake = Fake::healthy_on(IpAddr::V6(Ipv6Addr::LOCALHOST), []).await;
        assert!(fake.endpoint.starts_with("http://[::1]:"));
        assert!(fetch(&fake).await.result.is_ok());
    }

    #[test]
    fn an_endpoint_that_is_not_plain_http_is_an_error() {
        for endpoint in ["https://127.0.0.1", "127.0.0.1:80", "", "unix:/run/imds", "http://"] {
            assert!(matches!(ImdsClient::new(&config(endpoint)), Err(SetupError::Endpoint)), "{endpoint}");
        }
    }

    /// The variables are set in a process of their own, where this test runs again and only fetches.
    #[tokio::test]
    async fn proxy_variables_are_ignored() {
        const CHILD: &str = "SKEWGUARD_TEST_IMDS";
        if let Ok(endpoint) = std::env::var(CHILD) {
            assert!(ImdsClient::new(&config(&endpoint)).unwrap().credentials().await.result.is_ok());
            return;
        }
        let (fake, proxy) = (Fake::healthy([]).await, Fake::start([]).await);
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(
            ["--exact", concat!(module_path!(), "::proxy_variables_are_ignored")]
                .map(|argument| argument.trim_start_matches("skewguard::")),
        );
        child.env(CHILD, &fake.endpoint).env_remove("NO_PROXY").env_remove("no_proxy");
        for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            child.env(variable, &proxy.endpoint);
        }
        let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!((fake.count(DOCUMENT_ROUTE), proxy.seen().len()), (1, 0));
    }

    #[tokio::test]
    async fn nothing_that_is_returned_shows_a_secret_or_the_token() {
        let mistyped = DOCUMENT.replace("\"Success\"", "{\"x\": \"wJalrSecretExample\"}");
        let misplaced = DOCUMENT.replace("2026-03-01T16:00:00Z", "IQoJSessionExample");
        let rejected = DOCUMENT.replace("Success", "InternalError");
        for document in [DOCUMENT, &mistyped, &misplaced, &rejected, &DOCUMENT[..200], &format!("{DOCUMENT}}}")] {
            let fake = Fake::healthy([(DOCUMENT_ROUTE, vec![Reply::ok(document)])]).await;
            let fetch = fetch(&fake).await;
            let shown = match &fetch.result {
                Ok(_) => format!("{fetch:?}"),
                Err(reason) => format!("{fetch:?} {reason} {} {}", reason.code(), reason.remedy(Provider::Imds)),
            };
            for secret in SECRETS.into_iter().chain([TOKEN]) {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }

    /// Does not compile once one of the types can be shown: then both implementations apply, and the call is ambiguous.
    #[test]
    fn neither_the_client_nor_the_token_can_be_shown() {
        trait Shown<Marker> {
            fn is_ambiguous() {}
        }
        struct WithDebug;
        impl<T> Shown<()> for T {}
        impl<T: std::fmt::Debug> Shown<WithDebug> for T {}
        <ImdsClient as Shown<_>>::is_ambiguous();
        <Http as Shown<_>>::is_ambiguous();
        <Answer as Shown<_>>::is_ambiguous();
        <Token as Shown<_>>::is_ambiguous();
    }
}
