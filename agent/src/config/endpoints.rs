//! The checks of the metadata service and of the OTLP collector, which the environment may describe as well.

use std::time::Duration;

use super::{default, raw};
use crate::credentials::imds::settings::Imds;
use crate::setting::fault::{Bounds, Environment, Fault, from_variable};
use crate::setting::locate::Path;
use crate::setting::url::{WebUrl, origin};
use crate::setting::web::{TIMEOUT, headers, tls};
use crate::telemetry::otlp::Otlp;

const IMDS_POLL: Bounds = Bounds(Duration::from_secs(10), Duration::from_secs(3_600));
const EXPORT_INTERVAL: Bounds = Bounds(Duration::from_secs(1), Duration::from_secs(3_600));

const IMDS_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const IMDS_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const IMDS_ENDPOINT_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
const IMDS_TIMEOUT: &str = "AWS_METADATA_SERVICE_TIMEOUT";
const IMDS_ATTEMPTS: &str = "AWS_METADATA_SERVICE_NUM_ATTEMPTS";
const OTEL_DISABLED: &str = "OTEL_SDK_DISABLED";
const OTEL_ENDPOINTS: [&str; 3] =
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"];
const OTEL_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const OTEL_TIMEOUTS: [&str; 2] = ["OTEL_METRIC_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

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

/// Checks the collector; `None` where telemetry goes nowhere.
pub(super) fn otlp(given: Option<&raw::Otlp>, env: Environment<'_>) -> Result<Option<Otlp>, Fault> {
    let at = Path::root("telemetry").key("otlp");
    let none = raw::Otlp::default();
    let otlp = given.unwrap_or(&none);
    let checked = Otlp {
        endpoint: otlp.endpoint.clone(),
        headers: headers(otlp.headers.as_ref(), &at.key("headers"))?,
        interval: EXPORT_INTERVAL.or(otlp.interval, default::OTLP_INTERVAL, &at, "interval")?,
        timeout: TIMEOUT.or(otlp.timeout, default::OTLP_TIMEOUT, &at, "timeout")?,
        tls: tls(otlp.tls.as_ref(), otlp.endpoint.as_ref(), &at.key("tls"))?,
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
            found |= from_variable(env, name, |text| WebUrl::parse(text).map_err(|error| error.to_string()))?.is_some();
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
    origin(text, &["http"]).ok_or_else(|| wrong.to_owned())
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
}
