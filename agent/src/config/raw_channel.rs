//! The channels exactly as they are written. The comments of the fields are the descriptions in the JSON schema.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period::Period;
use super::raw::Tls;
use super::value::{Headers, Named, Secret};
use crate::assess::finding::{Kind, Severity};

/// Where alerts go: exactly one of webhook, alertmanager, pagerduty, slack, sns and eventbridge.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
#[schemars(extend("oneOf" = [
    { "required": ["webhook"] },
    { "required": ["alertmanager"] },
    { "required": ["pagerduty"] },
    { "required": ["slack"] },
    { "required": ["sns"] },
    { "required": ["eventbridge"] },
]))]
pub struct Channel {
    /// What people call it: unique, 1 to 64 letters, digits, dots, underscores and hyphens, no dot first, and neither
    /// otlp-metrics nor otlp-logs.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"))]
    pub name: String,
    /// The least severity that is told there: warning or critical. Default: warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Named<Severity>>,
    /// The alerts that are told there. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub alerts: Option<Vec<Named<Kind>>>,
    /// An HTTP endpoint which takes one POST for each transition of an alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Prometheus Alertmanager, API v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Alertmanager>,
    /// PagerDuty, Events API v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagerduty: Option<PagerDuty>,
    /// A Slack incoming webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack: Option<Slack>,
    /// A topic of Amazon SNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sns: Option<Sns>,
    /// An event bus of Amazon EventBridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eventbridge: Option<EventBridge>,
}

/// An HTTP endpoint which takes one POST for each transition of an alert.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Webhook {
    /// http:// or https:// and a host.
    pub url: String,
    /// Further headers: a name, and env:NAME or file:/path for its value. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
    /// Where the key of the HMAC-SHA256 signature over the body is kept: env:NAME or file:/path. Default: no signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// How long one attempt may take, 50ms to 60s. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Whom TLS trusts, and as whom it speaks. Default: the authorities of the system, and no client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Prometheus Alertmanager, API v2.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Alertmanager {
    /// The base URL, to which /api/v2/alerts is added.
    pub url: String,
    /// Further headers: a name, and env:NAME or file:/path for its value. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
    /// How often an alert that still fires is posted again, so that it does not time out there: 10s to 1h. Default: 1m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repost: Option<Period>,
    /// How long one attempt may take, 50ms to 60s. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Whom TLS trusts, and as whom it speaks. Default: the authorities of the system, and no client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// PagerDuty, Events API v2.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct PagerDuty {
    /// Where the integration key is kept: env:NAME or file:/path.
    pub routing_key: Secret,
    /// Where events are taken. Default: `https://events.pagerduty.com/v2/enqueue`; in Europe it is
    /// `https://events.eu.pagerduty.com/v2/enqueue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How long one attempt may take, 50ms to 60s. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Whom TLS trusts, and as whom it speaks. Default: the authorities of the system, and no client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// A Slack incoming webhook.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Slack {
    /// Where its URL is kept, which is a secret: env:NAME or file:/path.
    pub url: Secret,
    /// How long one attempt may take, 50ms to 60s. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Whom TLS trusts, and as whom it speaks. Default: the authorities of the system, and no client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// A topic of Amazon SNS.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Sns {
    /// The ARN of the topic, such as arn:aws:sns:eu-west-1:123456789012:alerts.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+(\.fifo)?$"))]
    pub topic: String,
    /// The URL of the service: http:// or https:// and a host. Default: by the ARN, such as
    /// `https://sns.eu-west-1.amazonaws.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How long one attempt may take, 50ms to 60s. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Whom TLS trusts, and as whom it speaks. Default: the authorities of the system, and no client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// An event bus of Amazon EventBridge.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct EventBridge {
    /// The ARN of the bus, such as arn:aws:events:eu-west-1:123456789012:event-bus/default.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[A-Za-z0-9._/-]+$"))]
    pub bus: String,
    /// The URL of the service: http:// or https:// and a host. Default: by the ARN, such as
    /// `https://events.eu-west-1.amazonaws.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How long one attempt may take, 50ms to 60s. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Whom TLS trusts, and as whom it speaks. Default: the authorities of the system, and no client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}
