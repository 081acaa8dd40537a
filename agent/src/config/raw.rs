//! The configuration exactly as it is written. The comments of the fields are the descriptions in the JSON schema.
//!
//! A key that is left out, or that has no value, takes its default.

use crate::setting::tls::WrittenTls;
use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::raw_alerts::Alerts;
use super::size::Size;
use crate::aws::sdk::Sdk;
use crate::credentials::WrittenCredentials;
use crate::notify::targets::WrittenChannel;
use crate::setting::headers::Headers;
use crate::setting::named::Named;
use crate::setting::period::Period;
use crate::setting::url::WebUrl;
use crate::sources::WrittenSource;
use crate::telemetry::detail::Detail;

/// The configuration of skewguard. Durations are a number and a unit: 250ms, 16s, 5m, 24h.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
#[schemars(title = "skewguard")]
pub struct Config {
    /// The witnesses of true time, 1 to 32. Default: Amazon Time Sync (169.254.169.123).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub sources: Option<Vec<WrittenSource>>,
    /// The device by which a hypervisor says that it has moved or restored this machine: auto (/dev/vmclock0, where it may
    /// be read), an absolute path, or off. Default: auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(auto|off|/.*)$"))]
    pub vmclock: Option<String>,
    /// The credentials whose expiry is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<WrittenCredentials>,
    /// The AWS SDKs whose refresh margin is judged, or `auto` for those that run on this host as far as can be told, and
    /// else every current SDK with a margin of a minute or more. Default: auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdks: Option<Sdks>,
    /// Time limits beside the built-in ones, which are sdk-correction (240s), sigv4 (300s) and s3-sts (900s).
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Limit>>,
    /// When to speak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Alerts>,
    /// Where to speak, beside standard error. Default: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<WrittenChannel>>,
    /// Where telemetry goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// The folder of what outlives a restart: alerts, the last estimate, and what waits for delivery. An absolute path.
    /// Default: the first folder in STATE_DIRECTORY, which systemd sets, or /var/lib/skewguard where it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/"))]
    pub state_dir: Option<String>,
    /// What may wait for delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// The socket on which `skewguard status` asks, an absolute path. Default: /run/skewguard/skewguard.sock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

/// Which SDKs are judged.
pub enum Sdks {
    /// `auto`: the default ones.
    Auto,
    /// A list of names.
    Names(Vec<Sdk>),
}

/// An AWS rule on the time of a request.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Limit {
    /// What people call it: unique, 1 to 64 letters, digits, dots, underscores and hyphens.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub name: String,
    /// The skew, in either direction, from which requests are rejected: 1s to 24h.
    pub window: Period,
}

/// Where telemetry goes.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct Telemetry {
    /// An OTLP collector (HTTP, protobuf). Default: none, unless OTEL_EXPORTER_OTLP_ENDPOINT,
    /// OTEL_EXPORTER_OTLP_METRICS_ENDPOINT or OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
    /// How much is exported: fleet is what dashboards, rules and pages need of each host, about 25 series; full is all that is
    /// measured. Default: fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Named<Detail>>,
    /// Where Prometheus scrapes the metrics. Default: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// A file for the textfile collector of node_exporter, an absolute path that ends with .prom; it is written every 15 s, and
    /// removed when the agent ends. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/.*\.prom$"))]
    pub textfile: Option<String>,
}

/// Where Prometheus scrapes the metrics.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct Prometheus {
    /// The address and the port of /metrics. Whoever reaches it may read it. Default: 127.0.0.1:9464.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
}

/// An OTLP collector.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct Otlp {
    /// Whether telemetry is exported. Default: true, unless OTEL_SDK_DISABLED is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The base URL, to which /v1/metrics and /v1/logs are added. Default: what the OTEL_EXPORTER_OTLP_* variables say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<WebUrl>,
    /// Further headers: a name, and env:NAME or file:/path for its value. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
    /// How often metrics are exported, 1s to 1h. Default: OTEL_METRIC_EXPORT_INTERVAL (in milliseconds), or 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
    /// How long one export may take, 50ms to 60s. Default: OTEL_METRIC_EXPORT_TIMEOUT or OTEL_EXPORTER_OTLP_TIMEOUT (in
    /// milliseconds), or 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Whom TLS trusts, and as whom it speaks. Default: the authorities of the system, and no client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<WrittenTls>,
    /// Signs requests for AWS (Signature Version 4) by true time, with the keys of the instance's role. Default: not signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigv4: Option<Sigv4>,
}

/// Signatures for a service of AWS that takes OTLP. Without `endpoint` that is CloudWatch in this region, whatever the
/// environment says; with one it is https://, but on this host and its link.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Sigv4 {
    /// The region of the service, such as eu-central-1.
    #[schemars(regex(pattern = r"^[a-z]+(-[a-z]+)+-[0-9]{1,2}$"))]
    pub region: String,
    /// The name of the service in signatures. Default: monitoring for metrics and logs for log records, which is CloudWatch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The log group of CloudWatch that takes log records, and which must be there. Default: none, and log records go to
    /// CloudWatch only with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    /// The log stream in it, which must be there. Default: skewguard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_stream: Option<String>,
}

/// What may wait for delivery, of telemetry and alerts together.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct Queue {
    /// How many bytes may wait on disk: a whole number of KiB, MiB or GiB, 256KiB to 1GiB. Default: 256MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// How old what waits may become, 1m to 720h. Default: 72h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Period>,
}

impl<'de> Deserialize<'de> for Sdks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AutoOrNames;
        impl<'de> Visitor<'de> for AutoOrNames {
            type Value = Sdks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("auto or a list of names")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Sdks, E> {
                if text == "auto" {
                    return Ok(Sdks::Auto);
                }
                Err(E::custom(format_args!("expected auto or a list of names, such as [botocore, java-v2]")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sdks, A::Error> {
                let mut names = Vec::new();
                while let Some(Named(sdk)) = seq.next_element()? {
                    names.push(sdk);
                }
                Ok(Sdks::Names(names))
            }
        }
        deserializer.deserialize_any(AutoOrNames)
    }
}

impl Serialize for Sdks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Names(names) => names.serialize(serializer),
        }
    }
}

impl JsonSchema for Sdks {
    fn schema_name() -> Cow<'static, str> {
        "Sdks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<Vec<Sdk>>();
        json_schema!({ "anyOf": [{ "const": "auto" }, names] })
    }
}
