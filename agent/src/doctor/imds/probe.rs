//! Asks the instance metadata service, gently and within eight seconds, what the doctor judges it by.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::place;
use crate::clock::local;
use crate::credentials::imds::client::{Answerer, ImdsClient, Request, twin};
use crate::credentials::imds::inspect::{Profile, Role};
use crate::credentials::imds::settings::Imds;
use crate::credentials::lease::Unavailable;
use crate::host::firmware;
use crate::time::{Offset, SystemTime};

/// All of it takes no longer.
const BUDGET: Duration = Duration::from_secs(8);
/// The longest that one request may take. SDKs wait for a second unless they are told otherwise.
const REQUEST: Duration = Duration::from_secs(1);
/// How often a request is made that is refused, late, cut off or throttled.
const ATTEMPTS: u32 = 3;

/// What came of a connection by TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Somebody accepts connections.
    Connected,
    /// Nobody listens there, or a firewall says so.
    Refused,
    /// The packets lead nowhere.
    NoRoute,
    /// A rule of this host's own firewall forbids it.
    Forbidden,
    /// There is no answer.
    Silent,
    /// The name of the endpoint is not resolved.
    Unresolved,
    /// The endpoint is not the `http://` URL of a host.
    NoEndpoint,
    /// It failed in another way.
    Failed,
}

/// What was found out of the metadata service. None of it is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whom it asked, as scheme, host and port.
    pub endpoint: String,
    /// The longest that one request was waited for.
    pub patience: Duration,
    /// What came of the connection; all that follows is `None` where there was none.
    pub reach: Reach,
    /// The answer to a request without a token: `Http(401)` where the service demands one.
    pub open: Option<Result<(), Unavailable>>,
    /// Whether there was a token; without one nothing else was asked.
    pub token: Option<Result<(), Unavailable>>,
    /// The role of the instance.
    pub role: Option<Result<Role, Unavailable>>,
    /// The instance profile, `Ok(None)` where the service names none.
    pub profile: Option<Result<Option<Profile>, Unavailable>>,
    /// The identifier of the instance, from the service or else from the firmware.
    pub instance_id: Option<String>,
    /// Who answered last.
    pub answerer: Option<Answerer>,
    /// How wrong the system clock is by the `Date` of the answer with the token, give or take a second.
    pub offset: Option<Offset>,
    /// Every request, repetitions included.
    pub requests: Vec<Request>,
    /// Whether this is an EC2 instance; `None` where nothing tells.
    pub is_ec2: Option<bool>,
    /// What speaks for a container.
    pub container: Vec<String>,
}

/// Asks the service at the configured endpoint. The host's files are looked up below `root`.
///
/// It makes six requests to a service that is well, and none for `identity-credentials`, which is AWS's own.
pub async fn probe(config: &Imds, root: &Path, env: &dyn Fn(&str) -> Option<String>) -> Facts {
    let deadline = Instant::now() + BUDGET;
    let patience = config.timeout.min(REQUEST);
    let mut url = Url::parse(&config.endpoint).ok().filter(Url::has_host);
    let mut config = config.clone();
    let mut reach = Reach::NoEndpoint;
    if let Some(configured) = &url {
        reach = connect(configured, patience).await;
        let twin = twin(&config.endpoint).filter(|_| reach != Reach::Connected);
        // The agent does the same: a subnet may have one family alone.
        if let Some(other) = twin.and_then(|twin| Url::parse(twin).ok())
            && connect(&other, patience).await == Reach::Connected
        {
            config.endpoint = other.to_string().trim_end_matches('/').to_owned();
            reach = Reach::Connected;
            url = Some(other);
        }
    }
    let mut facts = Facts {
        endpoint: url.as_ref().map_or_else(|| "an endpoint that is no url".to_owned(), shown),
        patience,
        reach: Reach::NoEndpoint,
        open: None,
        token: None,
        role: None,
        profile: None,
        instance_id: firmware::instance_id(root),
        answerer: None,
        offset: None,
        requests: Vec::new(),
        is_ec2: firmware::is_ec2(root),
        container: place::container_signs(root, env),
    };
    let client = ImdsClient::new(&Imds { timeout: patience, attempts: ATTEMPTS, ..config });
    let (Some(_), Ok(mut client)) = (url, client) else { return facts };
    facts.reach = reach;
    if facts.reach == Reach::Connected {
        // What was answered before the time is up stays.
        let _ = timeout_at(deadline, ask(&mut client, &mut facts)).await;
        facts.requests = client.take_requests();
        facts.answerer = client.answerer().cloned();
    }
    facts
}

async fn ask(client: &mut ImdsClient, facts: &mut Facts) {
    facts.open = Some(client.open().await);
    let token = client.session().await;
    // The client goes on without a token where the service knows none and answers all the same.
    let goes_on = token.is_ok() || (matches!(facts.open, Some(Ok(()))) && client.goes_on_without_token());
    facts.token = Some(token);
    if goes_on {
        let date = client.answerer().and_then(|answerer| answerer.date);
        facts.offset = date.map(|date| Offset::new(SystemTime::from_nanos(date).since(local::read().system)));
        facts.role = Some(client.role().await);
        facts.profile = Some(client.profile().await);
        facts.instance_id = client.instance_id().await.or_else(|| facts.instance_id.take());
    }
}

async fn connect(url: &Url, patience: Duration) -> Reach {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(80);
    match timeout(patience, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Reach::Connected,
        Ok(Err(error)) => failed(&error),
        Err(_) => Reach::Silent,
    }
}

fn failed(error: &io::Error) -> Reach {
    match error.kind() {
        ErrorKind::ConnectionRefused => Reach::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => Reach::NoRoute,
        ErrorKind::PermissionDenied => Reach::Forbidden,
        ErrorKind::TimedOut => Reach::Silent,
        // Errors of the resolver are none of the operating system.
        _ if error.raw_os_error().is_none() => Reach::Unresolved,
        _ => Reach::Failed,
    }
}

/// Scheme, host and port of a URL; what else may stand in it could be a password.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::imds::fake::{Fake, Reply, TOKEN_ROUTE, config};

    async fn facts(config: &Imds) -> Facts {
        probe(config, tempfile::tempdir().unwrap().path(), &|_| None).await
    }

    #[tokio::test]
    async fn an_endpoint_that_cannot_be_asked_is_told_without_what_may_be_a_password() {
        for (endpoint, shown, reach) in [
            ("hunter2", "an endpoint that is no url", Reach::NoEndpoint),
            ("https://user:hunter2@127.0.0.1:1", "https://127.0.0.1:1", Reach::NoEndpoint),
            ("http://user:hunter2@127.0.0.1:1/hunter2", "http://127.0.0.1:1", Reach::Refused),
        ] {
            let facts = facts(&config(endpoint)).await;
            assert_eq!((facts.endpoint.as_str(), facts.reach), (shown, reach));
            assert!(!format!("{facts:?}").contains("hunter2"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn each_way_to_fail_is_told_apart() {
        for (error, reach) in [
            (io::Error::from_raw_os_error(libc::ECONNREFUSED), Reach::Refused),
            (io::Error::from_raw_os_error(libc::ENETUNREACH), Reach::NoRoute),
            (io::Error::from_raw_os_error(libc::EHOSTUNREACH), Reach::NoRoute),
            (io::Error::from_raw_os_error(libc::EADDRNOTAVAIL), Reach::NoRoute),
            (io::Error::from_raw_os_error(libc::EPERM), Reach::Forbidden),
            (io::Error::from_raw_os_error(libc::ETIMEDOUT), Reach::Silent),
            (io::Error::other("failed to lookup address information"), Reach::Unresolved),
            (io::Error::from_raw_os_error(libc::EMFILE), Reach::Failed),
        ] {
            assert_eq!(failed(&error), reach, "{error}");
        }
    }

    #[tokio::test]
    async fn without_a_token_nothing_but_the_list_of_names_is_asked_for() {
        let fake = Fake::healthy([(TOKEN_ROUTE, vec![Reply::status(400)])]).await;
        let facts = facts(&config(&fake.endpoint)).await;
        assert_eq!(facts.token, Some(Err(Unavailable::Http(400))));
        assert_eq!((facts.role, facts.profile, facts.instance_id), (None, None, None));
        assert_eq!(fake.seen().len(), 2);
    }

    #[tokio::test]
    async fn the_date_of_the_token_tells_how_wrong_the_system_clock_is() {
        let date = chrono::DateTime::from_timestamp_nanos(local::read().system.nanos() + 600_000_000_000);
        let token = Reply::token(21_600).with("Date", &date.to_rfc2822().replace("+0000", "GMT"));
        let fake = Fake::healthy([(TOKEN_ROUTE, vec![token])]).await;
        let slow = facts(&config(&fake.endpoint)).await.offset.unwrap().seconds();
        assert!((590.0..=600.0).contains(&slow), "{slow}");
    }
}
