//! Asking an HTTP server for its date.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CACHE_CONTROL, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::answer::{Answer as Told, LONGEST, Refusal};
use crate::clock::local;
use crate::clock::sample::Sample;
use crate::clock::true_clock::TrueClock;
use crate::sources::witness::{Answer, Witness};
use crate::time::BootTime;
use crate::web::bootstrap::Bootstrap;
use crate::web::client;
use crate::web::proxy::Proxies;
use crate::web::tls::Setup;
use crate::web::words::{in_words, is_for_want_of_credentials};

/// Long enough for the two requests of one question, and too short to outlive it.
const IDLE: Duration = Duration::from_secs(10);

/// One server, and how it is asked.
pub(super) struct Exchange {
    url: String,
    is_aws: bool,
    clock: Arc<TrueClock>,
    /// Once it was asked.
    client: Option<Ready>,
}

#[derive(Clone)]
struct Ready {
    http: Client,
    /// Where there is TLS.
    bootstrap: Option<Arc<Bootstrap>>,
}

impl Exchange {
    pub(super) const fn new(url: String, is_aws: bool, clock: Arc<TrueClock>) -> Self {
        Self { url, is_aws, clock, client: None }
    }

    async fn sample(&mut self) -> Result<Sample, Refusal> {
        let ready = self.ready()?;
        // The first request pays for the name, the connection and TLS, so that the way of the second one is short.
        let first = self.request(&ready, Method::HEAD).await?.0;
        let method = if first.status() == StatusCode::METHOD_NOT_ALLOWED { Method::GET } else { Method::HEAD };
        drop(first);
        let (answer, sent, arrived) = self.request(&ready, method).await?;
        let validity = ready.bootstrap.and_then(|bootstrap| bootstrap.validity());
        let (status, headers) = (answer.status(), answer.headers());
        Told { status, headers, sent, arrived, is_aws: self.is_aws, validity }.sample()
    }

    /// Asks once; with the answer comes when it was asked for and when its headers had come.
    async fn request(&self, ready: &Ready, method: Method) -> Result<(Response, BootTime, BootTime), Refusal> {
        let request = ready.http.request(method, &self.url);
        let request = request.header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let sent = local::read().boot;
        let answer = request.send().await;
        let arrived = local::read().boot;
        match answer {
            Ok(answer) => Ok((answer, sent, arrived)),
            Err(error) if error.is_timeout() => Err(Refusal::Timeout),
            Err(error) if is_for_want_of_credentials(&error) => Err(Refusal::Proxy),
            Err(error) => Err(Refusal::Unreachable(in_words(&error))),
        }
    }

    fn ready(&mut self) -> Result<Ready, Refusal> {
        if let Some(ready) = &self.client {
            return Ok(ready.clone());
        }
        let mut setup = Setup::new(Arc::clone(&self.clock));
        let proxies = Proxies::new(&|name| std::env::var(name).ok());
        let is_proxied = proxies.to(Url::parse(&self.url).ok().as_ref()).is_some();
        let (tls, bootstrap) = if self.url.starts_with("https:") {
            let (tls, bootstrap) = setup.bootstrap().map_err(|error| Refusal::Unreachable(error.to_string()))?;
            (tls, Some(bootstrap))
        } else {
            (setup.nobody().map_err(|error| Refusal::Unreachable(error.to_string()))?, None)
        };
        let builder =
            client::builder(tls, is_proxied).timeout(LONGEST).pool_max_idle_per_host(1).pool_idle_timeout(IDLE);
        let http = builder.build().map_err(|error| Refusal::Unreachable(in_words(&error)))?;
        let ready = Ready { http, bootstrap };
        self.client = Some(ready.clone());
        Ok(ready)
    }
}

#[async_trait]
impl Witness for Exchange {
    async fn ask(&mut self) -> Answer {
        Answer { address: None, result: self.sample().await.map_err(Into::into) }
    }

    fn patience(&self) -> Duration {
        3 * LONGEST
    }
}
