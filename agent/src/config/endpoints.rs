//! The checks of all that is reached over HTTP: the metadata service, webhooks and the OTLP collector.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderName;

use super::check::{Bounds, Fault, variable};
use super::checked::{Channel, Imds, Otlp, SecretRef, Target, Tls, Webhook};
use super::locate::Path;
use super::{default, raw};
use crate::assess::finding::Severity;

const TIMEOUT: Bounds = Bounds(Duration::from_millis(50), Duration::from_secs(60));
const IMDS_POLL: Bounds = Bounds(Duration::from_secs(10), Duration::from_secs(3_600));
const EXPORT_INTERVAL: Bounds = Bounds(Duration::from_secs(1), Duration::from_secs(3_600));

const IMDS_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const IMDS_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const IMDS_ENDPOINT_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
const IMDS_TIMEOUT: &str = "AWS_METADATA_SERVICE_TIMEOUT";
const IMDS_ATTEMPTS: &str = "AWS_METADATA_SERVICE_NUM_ATTEMPTS";
const OTEL_DISABLED: &str = "OTEL_SDK_DISABLED";
const OTEL_ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"];
const OTEL_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const OTEL_TIMEOUTS: [&str; 2] = ["OTEL_METRIC_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// Looks up an environment variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Checks the metadata service; `None` where it is disabled.
pub(super) fn imds(given: Option<&raw::Imds>, env: Environment<'_>) -> Result<Option<Imds>, Fault> {
    let none = raw::Imds::default();
    let given = given.unwrap_or(&none);
    let at = Path::root("credentials").key("imds");
    let imds = Imds {
        endpoint: match &given.endpoint {
            Some(endpoint) => imds_endpoint(endpoint).map_err(|message| Fault::at(at.key("endpoint"), message))?,
            None => String::new(),
        },
        timeout: TIMEOUT.or(given.timeout, default::IMDS_TIMEOUT, &at, "timeout")?,
        attempts: match given.attempts {
            Some(attempts) => imds_attempts(attempts).map_err(|message| Fault::at(at.key("attempts"), message))?,
            None => default::IMDS_ATTEMPTS,
        },
        poll: IMDS_POLL.or(given.poll, default::IMDS_POLL, &at, "poll")?,
    };
    // What the file says is checked even where it is not used; the environment only where it is.
    let enabled = match given.enabled {
        Some(enabled) => enabled,
        None => !from_variable(env, IMDS_DISABLED, switch)?.unwrap_or(false),
    };
    if !enabled {
        return Ok(None);
    }
    let endpoint = match (given.endpoint.is_some(), from_variable(env, IMDS_ENDPOINT, imds_endpoint)) {
        (true, _) => imds.endpoint,
        (false, endpoint) => match endpoint? {
            Some(endpoint) => endpoint,
            None => from_variable(env, IMDS_ENDPOINT_MODE, imds_mode)?.unwrap_or(default::IMDS_IPV4).to_owned(),
        },
    };
    let timeout = match given.timeout {
        Some(_) => None,
        None => from_variable(env, IMDS_TIMEOUT, seconds)?,
    };
    let attempts = match given.attempts {
        Some(_) => None,
        None => from_variable(env, IMDS_ATTEMPTS, |text| {
            imds_attempts(text.parse().map_err(|_| format!("{} is not a whole number: write 1 to 10", shown(text)))?)
        })?,
    };
    Ok(Some(Imds {
        endpoint,
        timeout: timeout.unwrap_or(imds.timeout),
        attempts: attempts.unwrap_or(imds.attempts),
        poll: imds.poll,
    }))
}

/// Checks a channel.
pub(super) fn channel(given: &raw::Channel, at: &Path) -> Result<Channel, Fault> {
    let (webhook, at) = (&given.webhook, at.key("webhook"));
    web_url(&webhook.url).map_err(|message| Fault::at(at.key("url"), message))?;
    Ok(Channel {
        name: given.name.clone(),
        severity: Severity::Warning,
        alerts: None,
        target: Target::Webhook(Webhook {
            url: webhook.url.clone(),
            headers: headers(webhook.headers.as_ref(), &at.key("headers"))?,
            secret: webhook.secret.as_ref().map(|secret| secret.0.clone()),
        }),
        timeout: TIMEOUT.or(webhook.timeout, default::WEBHOOK_TIMEOUT, &at, "timeout")?,
        tls: Tls::default(),
    })
}

/// Checks the collector; `None` where telemetry goes nowhere.
pub(super) fn otlp(given: Option<&raw::Otlp>, env: Environment<'_>) -> Result<Option<Otlp>, Fault> {
    let at = Path::root("telemetry").key("otlp");
    let none = raw::Otlp::default();
    let otlp = given.unwrap_or(&none);
    if let Some(endpoint) = &otlp.endpoint {
        web_url(endpoint).map_err(|message| Fault::at(at.key("endpoint"), message))?;
    }
    let checked = Otlp {
        endpoint: otlp.endpoint.clone(),
        headers: headers(otlp.headers.as_ref(), &at.key("headers"))?,
        interval: EXPORT_INTERVAL.or(otlp.interval, default::OTLP_INTERVAL, &at, "interval")?,
        timeout: TIMEOUT.or(otlp.timeout, default::OTLP_TIMEOUT, &at, "timeout")?,
        tls: Tls::default(),
    };
    let enabled = match otlp.enabled {
        Some(enabled) => enabled,
        None => !from_variable(env, OTEL_DISABLED, switch)?.unwrap_or(false),
    };
    if !enabled {
        return Ok(None);
    }
    if checked.endpoint.is_none() {
        let mut found = false;
        for name in OTEL_ENDPOINTS {
            found |= from_variable(env, name, web_url)?.is_some();
        }
        match (found, given) {
            (true, _) => {}
            (false, None) => return Ok(None),
            (false, Some(_)) => {
                let message = "the endpoint is missing: write one such as http://127.0.0.1:4318, or set \
                               OTEL_EXPORTER_OTLP_ENDPOINT";
                return Err(Fault::at(at.key("endpoint"), message));
            }
        }
    }
    let interval = match otlp.interval {
        Some(_) => None,
        None => from_variable(env, OTEL_INTERVAL, |text| milliseconds(text, EXPORT_INTERVAL))?,
    };
    let mut timeout = otlp.timeout.map(|_| checked.timeout);
    for name in OTEL_TIMEOUTS {
        if timeout.is_none() {
            timeout = from_variable(env, name, |text| milliseconds(text, TIMEOUT))?;
        }
    }
    Ok(Some(Otlp {
        interval: interval.unwrap_or(checked.interval),
        timeout: timeout.unwrap_or(checked.timeout),
        ..checked
    }))
}

fn headers(given: Option<&raw::Headers>, at: &Path) -> Result<Vec<(String, SecretRef)>, Fault> {
    let mut headers: Vec<(String, SecretRef)> = Vec::new();
    for (name, secret) in given.map(|headers| headers.0.as_slice()).unwrap_or_default() {
        let spelled = |(other, _): &&(String, SecretRef)| other == name;
        let place = at.name(name, headers.iter().filter(spelled).count());
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            // A name that is none may be a secret in the wrong place: the path ends before it.
            let message = "the name of a header is letters, digits and hyphens, such as Authorization";
            return Err(Fault::at(at.clone(), message));
        }
        if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(Fault::at(place, "the header is written twice: remove one"));
        }
        headers.push((name.clone(), secret.0.clone()));
    }
    Ok(headers)
}

/// What a variable says; `None` where it is not set.
fn from_variable<T>(
    env: Environment<'_>,
    name: &'static str,
    understand: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Fault> {
    variable(env, name).map(|text| understand(&text).map_err(|message| Fault::Variable { name, message })).transpose()
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(format!("{} is neither true nor false", shown(text))),
    }
}

fn imds_mode(text: &str) -> Result<&'static str, String> {
    match text {
        _ if text.eq_ignore_ascii_case("ipv4") => Ok(default::IMDS_IPV4),
        _ if text.eq_ignore_ascii_case("ipv6") => Ok(default::IMDS_IPV6),
        _ => Err(format!("{} is neither IPv4 nor IPv6", shown(text))),
    }
}

fn imds_attempts(attempts: i64) -> Result<u32, String> {
    match u32::try_from(attempts) {
        Ok(number @ 1..=10) => Ok(number),
        _ => Err(format!("{attempts} is out of range: allowed is 1 to 10")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| format!("{} is not a number of seconds, such as 1 or 0.5", shown(text)))?;
    let duration = Duration::try_from_secs_f64(seconds)
        .map_err(|_| format!("{} s is out of range: allowed is 50ms to 1m", shown(text)))?;
    TIMEOUT.check(duration)
}

fn milliseconds(text: &str, bounds: Bounds) -> Result<Duration, String> {
    let millis = text.parse().map_err(|_| format!("{} is not a number of milliseconds, such as 10000", shown(text)))?;
    bounds.check(Duration::from_millis(millis))
}

/// What a variable says, short and harmless enough for a terminal.
fn shown(text: &str) -> String {
    text.escape_debug().take(40).collect()
}

/// The endpoint without the slash that some write at its end.
fn imds_endpoint(text: &str) -> Result<String, String> {
    let wrong = "the endpoint is http:// and a host, without a path, such as http://169.254.169.254";
    let url = plain_url(text).filter(|url| url.scheme() == "http").ok_or(wrong)?;
    let user = !url.username().is_empty() || url.password().is_some();
    if user || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong.to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Nothing of the URL is repeated: it may hold a password or a token.
fn web_url(text: &str) -> Result<(), String> {
    let url = plain_url(text).filter(|url| matches!(url.scheme(), "http" | "https"));
    if url.is_some_and(|url| url.has_host()) {
        return Ok(());
    }
    Err("a URL begins with http:// or https:// and a host (the value is not shown)".to_owned())
}

/// A URL as it is written: the parser forgives spaces and missing slashes, which others would not.
fn plain_url(text: &str) -> Option<Url> {
    let exact = text.contains("://") && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\');
    let slashes = !text.contains(":///");
    if exact && slashes { Url::parse(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_of_imds_is_a_scheme_and_a_host() {
        for endpoint in ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://127.0.0.1:1338", "http://imds/"] {
            assert_eq!(imds_endpoint(endpoint).as_deref(), Ok(endpoint.trim_end_matches('/')));
        }
        for endpoint in [
            "",
            "169.254.169.254",
            "https://a",
            "http://",
            "http:///a",
            "http://a/latest",
            "http://u@a",
            "http://a?b",
            "http://a b",
        ] {
            assert!(imds_endpoint(endpoint).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn a_web_url_has_a_host() {
        for url in ["http://a", "https://a:1/b?c=d", "HTTPS://[::1]/"] {
            assert_eq!(web_url(url), Ok(()), "{url}");
        }
        for url in ["", "a", "ftp://a", "http:a", "http:///a", "http://a b", "http://a\n", "http://a:99999"] {
            assert!(web_url(url).is_err(), "{url}");
        }
    }
}
