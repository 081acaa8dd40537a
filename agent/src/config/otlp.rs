//! The checks of the OTLP collector, which the environment may describe as well.

use std::time::Duration;

use super::{default, raw};
use crate::setting::fault::{Bounds, Environment, Fault, from_variable};
use crate::setting::locate::Path;
use crate::setting::url::WebUrl;
use crate::setting::variable::{milliseconds, switch};
use crate::setting::web::{TIMEOUT, headers, tls};
use crate::telemetry::otlp::Otlp;

const EXPORT_INTERVAL: Bounds = Bounds(Duration::from_secs(1), Duration::from_secs(3_600));

const OTEL_DISABLED: &str = "OTEL_SDK_DISABLED";
const OTEL_ENDPOINTS: [&str; 3] =
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"];
const OTEL_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const OTEL_TIMEOUTS: [&str; 2] = ["OTEL_METRIC_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

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
