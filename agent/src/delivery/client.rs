//! The HTTP clients of everything that leaves the agent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::clock::true_clock::TrueClock;
use crate::setting::tls::Tls;
use crate::setting::url::WebUrl;
use crate::web::client;
use crate::web::proxy::{Proxies, Scheme};
use crate::web::tls::{self, TlsError};

/// How long a connection may take to come about, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Load balancers close what is idle for a minute, and a request must not meet the closing.
const IDLE: Duration = Duration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(Box<TlsError>),
    /// The client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] reqwest::Error),
}

impl From<TlsError> for ClientError {
    fn from(error: TlsError) -> Self {
        Self::Tls(Box::new(error))
    }
}

/// A client, and the clock by which dates in answers are understood.
#[derive(Clone)]
pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) clock: Arc<TrueClock>,
}

/// Makes clients. Destinations with equal needs share one.
pub struct Clients {
    clock: Arc<TrueClock>,
    tls: tls::Setup,
    proxies: Proxies,
    /// How many idle connections to a host are kept, whatever is spoken over them.
    idle: Option<usize>,
    made: HashMap<Needs, reqwest::Client>,
}

/// What a destination needs of its client.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Needs {
    /// Whom TLS trusts; `None` where nothing is sent over TLS.
    tls: Option<Tls>,
    /// Whether the proxy variables are followed.
    is_proxied: bool,
}

impl Clients {
    /// Judges certificates by `clock`, and reads the proxy variables of the process.
    pub fn new(clock: Arc<TrueClock>) -> Self {
        let proxies = Proxies::new(&|name| std::env::var(name).ok());
        Self { tls: tls::Setup::new(Arc::clone(&clock)), clock, proxies, idle: None, made: HashMap::new() }
    }

    /// Keeps so many idle connections to a host, over TLS as well: for whoever sends much at once, and not for long. A new
    /// connection for each request would use up the ports.
    #[must_use]
    pub fn keeping(mut self, idle: usize) -> Self {
        self.idle = Some(idle);
        self
    }

    /// The client for `url`; `None` stands for a URL that is a secret, and is taken for an `https://` one. The files
    /// that `tls` names are read now, and only if something is sent over TLS.
    ///
    /// # Errors
    /// A file of `tls` is not there or not what it should be, or the system has no roots of trust.
    pub fn client(&mut self, url: Option<&WebUrl>, tls: &Tls) -> Result<Client, ClientError> {
        let needs = needs(self.proxies, url.map(WebUrl::parts), tls);
        let clock = Arc::clone(&self.clock);
        if let Some(http) = self.made.get(&needs) {
            return Ok(Client { http: http.clone(), clock });
        }
        let tls = match &needs.tls {
            Some(tls) => self.tls.config(tls)?,
            None => self.tls.nobody()?,
        };
        // Whoever exports often would never judge the certificate again, however wrong the time was by which it was judged.
        let idle = self.idle.unwrap_or_else(|| usize::from(needs.tls.is_none()));
        let builder = client::builder(tls, needs.is_proxied)
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(IDLE);
        let http = builder.build()?;
        self.made.insert(needs, http.clone());
        Ok(Client { http, clock })
    }
}

/// A URL that is none fails when it is used, and needs nothing.
fn needs(proxies: Proxies, url: Option<Option<Url>>, tls: &Tls) -> Needs {
    let url = match url {
        Some(None) => return Needs { tls: None, is_proxied: false },
        known => known.flatten(),
    };
    let proxy = proxies.to(url.as_ref());
    let is_https = url.is_none_or(|url| url.scheme() == "https");
    let needs_tls = is_https || proxy == Some(Scheme::Tls);
    Needs { tls: needs_tls.then(|| tls.clone()), is_proxied: proxy.is_some() }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::web::tls::tests::{DAY, authority, server_named, set_slow_by};

    /// A client for servers on loopback.
    pub(crate) fn plain() -> Client {
        Clients::new(Arc::default()).client(Some(&"http://127.0.0.1".into()), &Tls::default()).unwrap()
    }

    const HTTPS_PROXY: [(&str, &str); 2] = [("HTTP_PROXY", "https://p"), ("HTTPS_PROXY", "http://p")];

    fn need(variables: &[(&str, &str)], url: Option<&str>) -> (bool, bool) {
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let needs = needs(Proxies::new(&env), url.map(|url| Url::parse(url).ok()), &Tls::default());
        (needs.tls.is_some(), needs.is_proxied)
    }

    #[test]
    fn roots_are_needed_for_https_and_for_a_proxy_over_tls() {
        assert_eq!(need(&[], Some("http://c:4318")), (false, false));
        assert_eq!(need(&[], Some("HTTPS://c:4318")), (true, false));
        assert_eq!(need(&[], None), (true, false));
        assert_eq!(need(&[], Some("no url")), (false, false));
        assert_eq!(need(&HTTPS_PROXY, Some("http://c:4318")), (true, true));
        assert_eq!(need(&HTTPS_PROXY, Some("http://127.0.0.1:4318")), (false, false));
        assert_eq!(need(&HTTPS_PROXY, Some("https://127.0.0.1:4318")), (true, false));
        assert_eq!(need(&HTTPS_PROXY, None), (true, true));
    }

    /// A server that closes no connection.
    fn https(config: Arc<ServerConfig>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                std::thread::spawn(move || {
                    while stream.read(&mut [0; 4_096]).is_ok_and(|read| read > 0) {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn no_connection_outlives_the_time_by_which_its_certificate_was_judged() {
        let (dir, authority, clock) = (tempfile::tempdir().unwrap(), authority("one"), Arc::new(TrueClock::default()));
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let url = format!("https://{}/", https(server_named("127.0.0.1", &authority, -DAY, DAY)));
        let tls = Tls { ca: Some(ca), identity: None };
        let client = Clients::new(Arc::clone(&clock)).client(Some(&WebUrl::unchecked(url.clone())), &tls).unwrap();
        assert_eq!(client.http.get(&url).send().await.unwrap().status(), 200, "by the system clock");
        set_slow_by(&clock, 2 * DAY, true);
        assert!(client.http.get(&url).send().await.is_err(), "by true time it has expired");
    }

    #[test]
    fn destinations_with_equal_needs_share_a_client_and_tls_is_left_alone_without_https() {
        let tls = tls::Setup::new(Arc::default());
        let mut clients =
            Clients { clock: Arc::default(), tls, proxies: Proxies::default(), idle: None, made: HashMap::new() };
        let missing = Tls { ca: Some("/nowhere/ca.pem".into()), identity: None };
        clients.client(Some(&"http://a".into()), &Tls::default()).unwrap();
        clients.client(Some(&"http://b".into()), &missing).unwrap();
        assert_eq!(clients.made.len(), 1);
        let error = clients.client(Some(&"https://b".into()), &missing).err().unwrap().to_string();
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
    }
}
