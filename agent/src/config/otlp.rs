//! The checks of the OTLP collector, which the environment may describe as well.

use std::time::Duration;

use super::channels::NO_ROLE;
use super::{default, raw};
use crate::credentials::imds::settings::Imds;
use crate::setting::address::is_host_on_link;
use crate::setting::arn::domain;
use crate::setting::fault::{Bounds, Environment, Fault, from_variable};
use crate::setting::locate::Path;
use crate::setting::url::WebUrl;
use crate::setting::variable::{milliseconds, switch};
use crate::setting::web::{TIMEOUT, headers, tls};
use crate::telemetry::otlp::{Otlp, Sigv4};

const EXPORT_INTERVAL: Bounds = Bounds(Duration::from_secs(1), Duration::from_secs(3_600));

const OTEL_DISABLED: &str = "OTEL_SDK_DISABLED";
const OTEL_ENDPOINTS: [&str; 3] =
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"];
const OTEL_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const OTEL_TIMEOUTS: [&str; 2] = ["OTEL_METRIC_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// Checks the collector; `None` where telemetry goes nowhere.
pub(super) fn otlp(
    given: Option<&raw::Otlp>,
    imds: Option<&Imds>,
    env: Environment<'_>,
) -> Result<Option<Otlp>, Fault> {
    let at = Path::root("telemetry").key("otlp");
    let none = raw::Otlp::default();
    let otlp = given.unwrap_or(&none);
    let checked = Otlp {
        endpoint: otlp.endpoint.clone(),
        headers: headers(otlp.headers.as_ref(), &at.key("headers"))?,
        interval: EXPORT_INTERVAL.or(otlp.interval, default::OTLP_INTERVAL, &at, "interval")?,
        timeout: TIMEOUT.or(otlp.timeout, default::OTLP_TIMEOUT, &at, "timeout")?,
        tls: tls(otlp.tls.as_ref(), otlp.endpoint.as_ref(), &at.key("tls"))?,
        sigv4: otlp
            .sigv4
            .as_ref()
            .map(|given| sigv4(given, otlp.endpoint.as_ref(), imds, &at.key("sigv4")))
            .transpose()?,
    };
    let enabled = match otlp.enabled {
        Some(enabled) => enabled,
        None => !from_variable(env, OTEL_DISABLED, switch)?.unwrap_or(false),
    };
    if !enabled {
        return Ok(None);
    }
    if checked.endpoint.is_none() && checked.sigv4.is_none() {
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

/// The longest name of a service, a log group and a log stream, in bytes.
const LONGEST_NAME: usize = 512;

fn sigv4(given: &raw::Sigv4, endpoint: Option<&WebUrl>, imds: Option<&Imds>, at: &Path) -> Result<Sigv4, Fault> {
    let Some(imds) = imds else {
        return Err(Fault::at(at.clone(), NO_ROLE));
    };
    if domain(&given.region).is_none() {
        return Err(Fault::at(at.key("region"), "this is no region of AWS: write one such as eu-central-1"));
    }
    let is_name = |text: &str, more: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
        (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(fits)
    };
    if given.service.as_deref().is_some_and(|service| !is_name(service, b"-")) {
        return Err(Fault::at(
            at.key("service"),
            "the name of a service is letters, digits and hyphens, such as monitoring",
        ));
    }
    // Whoever sees such a request has the token of the session.
    let is_in_clear = endpoint.and_then(WebUrl::parts).is_some_and(|url| {
        let host = url.host_str().unwrap_or_default();
        url.scheme() == "http" && host != "localhost" && !is_host_on_link(host)
    });
    if is_in_clear {
        let message =
            "a request that is signed has the token of the role's session in it: write an endpoint with https://";
        return Err(Fault::at(at.clone(), message));
    }
    // The letters that CloudWatch Logs takes for each.
    if given.log_group.as_deref().is_some_and(|group| !is_name(group, b"_-/.#")) {
        let message = "the name of a log group is 1 to 512 letters, digits and _-/.#, such as /skewguard/alerts";
        return Err(Fault::at(at.key("log_group"), message));
    }
    let is_stream = |text: &str| is_name(text, b" !\"#$%&'()+,-./;<=>?@[\\]^_`{|}~");
    let log = match (&given.log_group, &given.log_stream) {
        (_, Some(stream)) if !is_stream(stream) => {
            let message = "the name of a log stream is 1 to 512 characters of ASCII, without : and *";
            return Err(Fault::at(at.key("log_stream"), message));
        }
        (None, Some(_)) => {
            return Err(Fault::at(at.key("log_group"), "a log stream is in a log group: name that as well"));
        }
        (Some(group), stream) => {
            Some((group.clone(), stream.clone().unwrap_or_else(|| default::LOG_STREAM.to_owned())))
        }
        (None, None) => None,
    };
    Ok(Sigv4 { region: given.region.clone(), service: given.service.clone(), log, imds: imds.clone() })
}
