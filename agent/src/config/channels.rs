//! The checks of the channels: exactly one taker of alerts each, and a name that can be a folder's.

use std::time::Duration;

use super::arn::{Place, Service, place};
use super::check::{Bounds, Fault, unique};
use super::checked::{Alertmanager, Channel, EventBridge, PagerDuty, Slack, Sns, Target, Tls, Webhook};
use super::default;
use super::locate::Path;
use super::period::Period;
use super::raw::Tls as WrittenTls;
use super::raw_channel as raw;
use super::web::{TIMEOUT, headers, origin, tls, web_url};
use crate::assess::finding::{Kind, Severity};

/// The destinations that are no channels. Each has a folder in the queue, and so has each channel.
const RESERVED: [&str; 2] = ["otlp-metrics", "otlp-logs"];
/// How often Alertmanager may be told again.
const REPOST: Bounds = Bounds(Duration::from_secs(10), Duration::from_secs(3_600));
/// What Alertmanager's base URL is followed by.
const ALERTMANAGER_PATH: &str = "/api/v2/alerts";

/// Checks all channels. Those of AWS are signed with the keys of the role, so they need the metadata service.
pub(super) fn channels(given: &[raw::Channel], has_imds: bool) -> Result<Vec<Channel>, Fault> {
    let at = Path::root("channels");
    unique(&at, given.iter().map(|channel| channel.name.as_str()))?;
    let checked = |(index, given)| {
        let channel = channel(given, &at.index(index))?;
        let key = match channel.target {
            Target::Sns(_) => "sns",
            Target::EventBridge(_) => "eventbridge",
            _ => return Ok(channel),
        };
        let message =
            "this is signed with the keys of the instance's role, but credentials.imds is disabled: enable it";
        if has_imds { Ok(channel) } else { Err(Fault::at(at.index(index).key(key), message)) }
    };
    given.iter().enumerate().map(checked).collect()
}

/// Who takes the alerts of a channel, and how.
struct Taker {
    target: Target,
    timeout: Duration,
    tls: Tls,
}

impl Taker {
    /// With what every taker may say; `url` is where it is, if the file says so.
    fn new(
        target: Target,
        url: Option<&str>,
        timeout: Option<Period>,
        given: Option<&WrittenTls>,
        at: &Path,
    ) -> Result<Self, Fault> {
        Ok(Self {
            target,
            timeout: TIMEOUT.or(timeout, default::CHANNEL_TIMEOUT, at, "timeout")?,
            tls: tls(given, url, &at.key("tls"))?,
        })
    }
}

fn channel(given: &raw::Channel, at: &Path) -> Result<Channel, Fault> {
    name(&given.name).map_err(|message| Fault::at(at.key("name"), message))?;
    let Taker { target, timeout, tls } = taker(given, at)?;
    Ok(Channel {
        name: given.name.clone(),
        severity: given.severity.as_ref().map_or(Severity::Warning, |severity| severity.0),
        alerts: kinds(given, &at.key("alerts"))?,
        target,
        timeout,
        tls,
    })
}

fn name(name: &str) -> Result<(), String> {
    if name.starts_with('.') {
        return Err("a channel's name is the one of a folder as well: choose one that begins with no dot".to_owned());
    }
    match RESERVED.iter().find(|reserved| reserved.eq_ignore_ascii_case(name)) {
        Some(reserved) => Err(format!("{reserved} is the name of the queue of telemetry: choose another")),
        None => Ok(()),
    }
}

fn kinds(given: &raw::Channel, at: &Path) -> Result<Option<Vec<Kind>>, Fault> {
    let Some(given) = &given.alerts else { return Ok(None) };
    if given.is_empty() {
        return Err(Fault::at(at.clone(), "there is no alert: name at least one, or remove the key to be told of all"));
    }
    let kinds: Vec<Kind> = given.iter().map(|kind| kind.0).collect();
    for (index, kind) in kinds.iter().enumerate() {
        if kinds.iter().take(index).any(|other| other == kind) {
            return Err(Fault::at(at.index(index), format!("{} is named twice: remove one", kind.name())));
        }
    }
    Ok(Some(kinds))
}

/// The one taker that is written.
fn taker(given: &raw::Channel, at: &Path) -> Result<Taker, Fault> {
    let all = [
        ("webhook", given.webhook.as_ref().map(|given| webhook(given, &at.key("webhook")))),
        ("alertmanager", given.alertmanager.as_ref().map(|given| alertmanager(given, &at.key("alertmanager")))),
        ("pagerduty", given.pagerduty.as_ref().map(|given| pagerduty(given, &at.key("pagerduty")))),
        ("slack", given.slack.as_ref().map(|given| slack(given, &at.key("slack")))),
        ("sns", given.sns.as_ref().map(|given| sns(given, &at.key("sns")))),
        ("eventbridge", given.eventbridge.as_ref().map(|given| eventbridge(given, &at.key("eventbridge")))),
    ];
    let allowed = all.each_ref().map(|(key, _)| *key).join(", ");
    let mut written = all.into_iter().filter_map(|(key, taker)| Some((key, taker?)));
    let Some((key, taker)) = written.next() else {
        let message = format!("nobody takes the alerts of this channel: write one of {allowed}");
        return Err(Fault::at(at.clone(), message));
    };
    if let Some((other, _)) = written.next() {
        let message = format!("{key} and {other} are two channels: write one of {allowed} in each");
        return Err(Fault::at(at.clone(), message));
    }
    taker
}

fn webhook(given: &raw::Webhook, at: &Path) -> Result<Taker, Fault> {
    let fault = |message: String| Fault::at(at.key("url"), message);
    let url = web_url(&given.url).map_err(fault)?;
    let is_slack = url.host_str().is_some_and(|host| host.starts_with("hooks.slack"));
    // Slack's workflows, which are below another path, do take any JSON.
    if is_slack && url.path().starts_with("/services/") {
        let message = "Slack does not understand what a webhook is sent: write slack: { url: env:NAME } instead (the \
                       value is not shown)";
        return Err(fault(message.to_owned()));
    }
    let target = Target::Webhook(Webhook {
        url: given.url.clone(),
        headers: headers(given.headers.as_ref(), &at.key("headers"))?,
        secret: given.secret.as_ref().map(|secret| secret.0.clone()),
    });
    Taker::new(target, Some(&given.url), given.timeout, given.tls.as_ref(), at)
}

fn alertmanager(given: &raw::Alertmanager, at: &Path) -> Result<Taker, Fault> {
    let fault = |message: String| Fault::at(at.key("url"), message);
    let url = web_url(&given.url).map_err(fault)?;
    if url.query().is_some()
        || url.fragment().is_some()
        || url.path().trim_end_matches('/').ends_with(ALERTMANAGER_PATH)
    {
        let message = format!(
            "{ALERTMANAGER_PATH} is added to the URL: write it without that, and without ? and # (the value is not shown)"
        );
        return Err(fault(message));
    }
    let target = Target::Alertmanager(Alertmanager {
        url: given.url.clone(),
        headers: headers(given.headers.as_ref(), &at.key("headers"))?,
        repost: REPOST.or(given.repost, default::REPOST, at, "repost")?,
    });
    Taker::new(target, Some(&given.url), given.timeout, given.tls.as_ref(), at)
}

fn pagerduty(given: &raw::PagerDuty, at: &Path) -> Result<Taker, Fault> {
    let fault = |message: String| Fault::at(at.key("url"), message);
    let written = given.url.as_deref().unwrap_or(default::PAGERDUTY_URL);
    let url = web_url(written).map_err(fault)?;
    let is_of_pagerduty =
        url.host_str().is_some_and(|host| host == "pagerduty.com" || host.ends_with(".pagerduty.com"));
    if is_of_pagerduty && url.path() != "/v2/enqueue" {
        let message = "PagerDuty takes events at https://events.pagerduty.com/v2/enqueue, in Europe at \
                       https://events.eu.pagerduty.com/v2/enqueue (the value is not shown)";
        return Err(fault(message.to_owned()));
    }
    let target = Target::PagerDuty(PagerDuty { routing_key: given.routing_key.0.clone(), url: written.to_owned() });
    Taker::new(target, Some(written), given.timeout, given.tls.as_ref(), at)
}

fn slack(given: &raw::Slack, at: &Path) -> Result<Taker, Fault> {
    let target = Target::Slack(Slack { url: given.url.0.clone() });
    Taker::new(target, None, given.timeout, given.tls.as_ref(), at)
}

fn sns(given: &raw::Sns, at: &Path) -> Result<Taker, Fault> {
    let found = place(&given.topic, Service::Sns);
    let Place { region, endpoint } = found.map_err(|error| Fault::at(at.key("topic"), error.to_string()))?;
    let endpoint = service(given.endpoint.as_deref(), endpoint, at)?;
    let target = Target::Sns(Sns { topic: given.topic.clone(), region, endpoint: endpoint.clone() });
    Taker::new(target, Some(&endpoint), given.timeout, given.tls.as_ref(), at)
}

fn eventbridge(given: &raw::EventBridge, at: &Path) -> Result<Taker, Fault> {
    let found = place(&given.bus, Service::Events);
    let Place { region, endpoint } = found.map_err(|error| Fault::at(at.key("bus"), error.to_string()))?;
    let endpoint = service(given.endpoint.as_deref(), endpoint, at)?;
    let target = Target::EventBridge(EventBridge { bus: given.bus.clone(), region, endpoint: endpoint.clone() });
    Taker::new(target, Some(&endpoint), given.timeout, given.tls.as_ref(), at)
}

/// The URL of a service of AWS: the given one, or else the one by its ARN.
fn service(given: Option<&str>, by_arn: String, at: &Path) -> Result<String, Fault> {
    let Some(given) = given else { return Ok(by_arn) };
    origin(given, &["http", "https"]).ok_or_else(|| {
        let message = format!("the endpoint is http:// or https:// and a host, without a path, such as {by_arn}");
        Fault::at(at.key("endpoint"), message)
    })
}

#[cfg(test)]
mod tests {
    use super::super::load::parse;
    use super::*;

    fn loaded(text: &str) -> Vec<Channel> {
        let config = parse(text, std::path::Path::new("a.yaml"), &|_| None);
        config.unwrap_or_else(|error| panic!("{error}")).channels
    }

    #[test]
    fn of_each_taker_all_but_where_it_is_can_be_left_out() {
        let channels = loaded(
            "channels:\n\
             - { name: a, webhook: { url: 'http://a' } }\n\
             - { name: b, alertmanager: { url: 'http://a' } }\n\
             - { name: c, pagerduty: { routing_key: env:A } }\n\
             - { name: d, slack: { url: env:A } }\n\
             - { name: e, sns: { topic: 'arn:aws:sns:eu-west-1:123456789012:alerts' } }\n\
             - { name: f, eventbridge: { bus: 'arn:aws-cn:events:cn-north-1:123456789012:event-bus/x' } }\n",
        );
        assert_eq!(channels.len(), 6);
        for channel in &channels {
            assert_eq!((channel.severity, channel.alerts.is_none()), (Severity::Warning, true), "{}", channel.name);
            assert_eq!((channel.timeout.as_secs(), &channel.tls), (10, &Tls::default()), "{}", channel.name);
            match &channel.target {
                Target::Webhook(webhook) => assert!(webhook.headers.is_empty() && webhook.secret.is_none()),
                Target::Alertmanager(alertmanager) => assert_eq!(alertmanager.repost.as_secs(), 60),
                Target::PagerDuty(pagerduty) => assert_eq!(pagerduty.url, "https://events.pagerduty.com/v2/enqueue"),
                Target::Slack(slack) => assert_eq!(slack.url.to_string(), "env:A"),
                Target::Sns(Sns { region, endpoint, .. }) => {
                    assert_eq!(
                        (region.as_str(), endpoint.as_str()),
                        ("eu-west-1", "https://sns.eu-west-1.amazonaws.com")
                    );
                }
                Target::EventBridge(EventBridge { region, endpoint, .. }) => assert_eq!(
                    (region.as_str(), endpoint.as_str()),
                    ("cn-north-1", "https://events.cn-north-1.amazonaws.com.cn")
                ),
            }
        }
    }

    #[test]
    fn a_channel_can_be_told_of_some_alerts_of_one_severity() {
        let channels = loaded(
            "channels: [{ name: a, severity: critical, alerts: [credential-expiring, clock-skew], slack: { url: env:A } }]",
        );
        let [channel] = channels.as_slice() else { panic!("{}", channels.len()) };
        assert_eq!(channel.severity, Severity::Critical);
        assert_eq!(channel.alerts.as_deref(), Some([Kind::CredentialExpiring, Kind::ClockSkew].as_slice()));
    }

    #[test]
    fn a_url_that_others_answer_is_left_alone() {
        for (key, url) in [
            ("webhook", "https://hooks.slack.com/triggers/A/B"),
            ("webhook", "https://events.pagerduty.com/integration/a/enqueue"),
            ("alertmanager", "http://alertmanager:9093/prefix/"),
            ("pagerduty", "https://proxy.corp/pagerduty"),
        ] {
            let more = if key == "pagerduty" { ", routing_key: env:A" } else { "" };
            assert_eq!(loaded(&format!("channels: [{{ name: a, {key}: {{ url: '{url}'{more} }} }}]")).len(), 1);
        }
    }

    #[test]
    fn a_name_like_a_reserved_one_is_free() {
        for free in ["otlp", "otlp-metrics-2", "a.", "a..b", "-", "_"] {
            assert_eq!(name(free), Ok(()), "{free}");
        }
        for taken in [".", "..", ".a", "otlp-logs", "OTLP-Metrics"] {
            assert!(name(taken).is_err(), "{taken}");
        }
    }
}
