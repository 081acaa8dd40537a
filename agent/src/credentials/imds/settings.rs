//! Where the instance metadata service is, and how it is asked.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::credentials::lease::Unavailable;
use crate::credentials::provide::{Around, Provide, Renewal};
use crate::credentials::round::Read;
use crate::setting::fault::{Bounds, Environment, Fault, from_variable};
use crate::setting::locate::Path;
use crate::setting::period::Period;
use crate::setting::url::origin;
use crate::setting::variable::{seconds, shown, switch};
use crate::setting::web::TIMEOUT;

/// The address over IPv4.
const IPV4: &str = "http://169.254.169.254";
/// The address over IPv6, on Nitro instances where it is enabled.
const IPV6: &str = "http://[fd00:ec2::254]";
/// How long one request may take by default.
const USUAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How often one request is tried by default.
const USUAL_ATTEMPTS: u32 = 3;
const POLL: Bounds = Bounds(Duration::from_secs(10), Duration::from_secs(3_600));
const USUAL_POLL: Duration = Duration::from_secs(300);

const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const V1_DISABLED: &str = "AWS_EC2_METADATA_V1_DISABLED";
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const ENDPOINT_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
const REQUEST_TIMEOUT: &str = "AWS_METADATA_SERVICE_TIMEOUT";
const ATTEMPTS: &str = "AWS_METADATA_SERVICE_NUM_ATTEMPTS";

/// The instance metadata service (IMDSv2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imds {
    /// `http://` host and port, without a path.
    pub endpoint: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often one request is tried, at least once.
    pub attempts: u32,
    /// How often the credentials are read while they are far from expiry.
    pub poll: Duration,
    /// Whether a service that knows no tokens is read without one (IMDSv1), which AWS_EC2_METADATA_V1_DISABLED forbids.
    pub version_1: bool,
}

/// The role of the instance, from the instance metadata service (IMDSv2).
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
#[schemars(rename = "Imds")]
pub struct Written {
    /// Whether it is asked. Default: true, unless AWS_EC2_METADATA_DISABLED is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// http:// and a host, without a path. Default: AWS_EC2_METADATA_SERVICE_ENDPOINT, or the address for
    /// AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE, or http://169.254.169.254.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How long one request may take, 50ms to 60s. Default: AWS_METADATA_SERVICE_TIMEOUT (in seconds), or 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// How often one request is tried, 1 to 10. Default: AWS_METADATA_SERVICE_NUM_ATTEMPTS, or 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: Option<i64>,
    /// How often the credentials are read while they are far from expiry, 10s to 1h. Default: 5m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<Period>,
}

impl Provide for Imds {
    const NAME: &'static str = "imds";
    const RENEWAL: Renewal = Renewal::Platform;
    const IS_REFRESHED_BY_SDKS: bool = true;
    const RENEW: &'static str = "look whether the instance metadata service still rotates: `LastUpdated` of \
         `iam/security-credentials/ROLE` must change at least five minutes before the expiration; detach and attach \
         the instance profile, or stop and start the instance";
    const READS: &'static str = "the role of the instance";
    const EXPIRES_BY: &'static str = "AWS";
    const REFERENCE: &'static str = r"
  # The role of the instance, from the instance metadata service (IMDSv2).
  imds:
    # Default: true, unless AWS_EC2_METADATA_DISABLED is true.
    #enabled: true
    # Default: what AWS_EC2_METADATA_SERVICE_ENDPOINT or AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE says, else this.
    #endpoint: http://169.254.169.254
    # How long one request may take, 50ms to 60s. Default: AWS_METADATA_SERVICE_TIMEOUT (in seconds), else this.
    #timeout: 1s
    # How often one request is tried, 1 to 10. Default: AWS_METADATA_SERVICE_NUM_ATTEMPTS, else this.
    #attempts: 3
    # How often the credentials are read while they are far from expiry, 10s to 1h.
    #poll: 5m
";

    type Written = Written;

    fn check(written: Option<&Written>, at: &Path, around: &Around<'_>) -> Result<Option<Self>, Fault> {
        let none = Written::default();
        let (given, env) = (written.unwrap_or(&none), around.env);
        let imds = Self {
            endpoint: match &given.endpoint {
                Some(text) => endpoint(text).map_err(|message| Fault::at(at.key("endpoint"), message))?,
                None => String::new(),
            },
            timeout: TIMEOUT.or(given.timeout, USUAL_TIMEOUT, at, "timeout")?,
            attempts: match given.attempts {
                Some(number) => attempts(number).map_err(|message| Fault::at(at.key("attempts"), message))?,
                None => USUAL_ATTEMPTS,
            },
            poll: POLL.or(given.poll, USUAL_POLL, at, "poll")?,
            version_1: true,
        };
        // What the file says is checked even where it is not used; the environment only where it is.
        let enabled = match given.enabled {
            Some(enabled) => enabled,
            None => !from_variable(env, DISABLED, switch)?.unwrap_or(false),
        };
        if !enabled {
            return Ok(None);
        }
        let endpoint = match (given.endpoint.is_some(), from_variable(env, ENDPOINT, endpoint)) {
            (true, _) => imds.endpoint,
            (false, endpoint) => match endpoint? {
                Some(endpoint) => endpoint,
                None => from_variable(env, ENDPOINT_MODE, mode)?.unwrap_or(IPV4).to_owned(),
            },
        };
        let timeout = match given.timeout {
            Some(_) => None,
            None => from_variable(env, REQUEST_TIMEOUT, |text| seconds(text, TIMEOUT))?,
        };
        let attempts = match given.attempts {
            Some(_) => None,
            None => from_variable(env, ATTEMPTS, |text| {
                attempts(text.parse().map_err(|_| format!("{} is not a whole number: write 1 to 10", shown(text)))?)
            })?,
        };
        Ok(Some(Self {
            endpoint,
            timeout: timeout.unwrap_or(imds.timeout),
            attempts: attempts.unwrap_or(imds.attempts),
            poll: imds.poll,
            // As for SDKs, whatever is not true is not.
            version_1: !env(V1_DISABLED).is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
        }))
    }

    fn written(settings: Option<&Self>) -> Option<Written> {
        Some(match settings {
            None => Written { enabled: Some(false), ..Written::default() },
            Some(imds) => Written {
                enabled: Some(true),
                endpoint: Some(imds.endpoint.clone()),
                timeout: Some(Period(imds.timeout)),
                attempts: Some(imds.attempts.into()),
                poll: Some(Period(imds.poll)),
            },
        })
    }

    /// The task that asks it asks for more than credentials, and at a pace of its own.
    fn reader(&self, _: Environment<'_>) -> Option<Box<dyn Read>> {
        None
    }

    fn remedy(reason: &Unavailable) -> &'static str {
        reason.remedy_of_imds()
    }

    fn goes_on_from(&self, earlier: &Self) -> bool {
        self.endpoint == earlier.endpoint
    }
}

fn mode(text: &str) -> Result<&'static str, String> {
    match text {
        _ if text.eq_ignore_ascii_case("ipv4") => Ok(IPV4),
        _ if text.eq_ignore_ascii_case("ipv6") => Ok(IPV6),
        _ => Err(format!("{} is neither IPv4 nor IPv6", shown(text))),
    }
}

fn attempts(attempts: i64) -> Result<u32, String> {
    match u32::try_from(attempts) {
        Ok(number @ 1..=10) => Ok(number),
        _ => Err(format!("{attempts} is out of range: allowed is 1 to 10")),
    }
}

/// The endpoint without the slash that some write at its end.
fn endpoint(text: &str) -> Result<String, String> {
    let wrong = "the endpoint is http:// and a host, without a path, such as http://169.254.169.254";
    origin(text, &["http"]).ok_or_else(|| wrong.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_a_scheme_and_a_host() {
        for text in ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://127.0.0.1:1338", "http://imds/"] {
            assert_eq!(endpoint(text).as_deref(), Ok(text.trim_end_matches('/')));
        }
        for text in [
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
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
