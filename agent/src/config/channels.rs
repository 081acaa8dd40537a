//! The checks of the channels: exactly one target each, and a name that can be a folder's.

use super::default;
use crate::assess::finding::{Kind, Severity};
use crate::notify::channel::Channel;
use crate::notify::targets::{AnyTarget, WrittenChannel};
use crate::setting::fault::{Fault, unique};
use crate::setting::locate::Path;
use crate::setting::web::{TIMEOUT, tls};

/// The destinations that are no channels. Each has a folder in the queue, and so has each channel.
const RESERVED: [&str; 2] = ["otlp-metrics", "otlp-logs"];

/// What is wrong with whatever is signed where nobody hands out keys.
pub(super) const NO_ROLE: &str =
    "this is signed with the keys of the instance's role, but credentials.imds is disabled: enable it";

/// Checks all channels. Those of AWS are signed with the keys of the role, so they need the metadata service.
pub(super) fn channels(given: &[WrittenChannel], has_imds: bool) -> Result<Vec<Channel>, Fault> {
    let at = Path::root("channels");
    unique(&at, given.iter().map(|channel| channel.name.as_str()))?;
    let checked = |(index, given)| {
        let channel = channel(given, &at.index(index))?;
        if channel.target.is_signed() && !has_imds {
            return Err(Fault::at(at.index(index).key(channel.target.key()), NO_ROLE));
        }
        Ok(channel)
    };
    given.iter().enumerate().map(checked).collect()
}

fn channel(given: &WrittenChannel, at: &Path) -> Result<Channel, Fault> {
    name(&given.name).map_err(|message| Fault::at(at.key("name"), message))?;
    let target = target(given, at)?;
    Ok(Channel {
        name: given.name.clone(),
        severity: given.severity.as_ref().map_or(Severity::Warning, |severity| severity.0),
        timeout: TIMEOUT.or(given.timeout, default::CHANNEL_TIMEOUT, at, "timeout")?,
        tls: tls(given.tls.as_ref(), target.url(), &at.key("tls"))?,
        alerts: kinds(given, &at.key("alerts"))?,
        target,
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

fn kinds(given: &WrittenChannel, at: &Path) -> Result<Option<Vec<Kind>>, Fault> {
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

/// The one target that is written.
fn target(given: &WrittenChannel, at: &Path) -> Result<AnyTarget, Fault> {
    let allowed = AnyTarget::KEYS.join(", ");
    let mut written = given.targets().into_iter();
    let Some(mut target) = written.next() else {
        let message = format!("nobody takes the alerts of this channel: write one of {allowed}");
        return Err(Fault::at(at.clone(), message));
    };
    if let Some(other) = written.next() {
        let message = format!("{} and {} are two channels: write one of {allowed} in each", target.key(), other.key());
        return Err(Fault::at(at.clone(), message));
    }
    let at = at.key(target.key());
    target.check(&at)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::super::load::parse;
    use super::*;
    use crate::setting::tls::Tls;

    fn loaded(text: &str) -> Vec<Channel> {
        let config = parse(text, std::path::Path::new("a.yaml"), &|_| None);
        config.unwrap_or_else(|error| panic!("{error}")).channels
    }

    #[test]
    fn of_each_target_all_but_where_it_is_can_be_left_out() {
        let channels = loaded(
            "channels:\n\
             - { name: a, webhook: { url: 'http://a' } }\n\
             - { name: b, alertmanager: { url: 'http://a' } }\n\
             - { name: c, pagerduty: { routing_key: env:A } }\n\
             - { name: d, slack: { url: env:A } }\n\
             - { name: e, sns: { topic: 'arn:aws:sns:eu-west-1:123456789012:alerts' } }\n\
             - { name: f, eventbridge: { bus: 'arn:aws-cn:events:cn-north-1:123456789012:event-bus/x' } }\n",
        );
        for channel in &channels {
            assert_eq!((channel.severity, channel.alerts.is_none()), (Severity::Warning, true), "{}", channel.name);
            assert_eq!((channel.timeout.as_secs(), &channel.tls), (10, &Tls::default()), "{}", channel.name);
        }
        let urls: Vec<_> = channels.iter().map(|channel| channel.target.url().map(ToString::to_string)).collect();
        let targets: Vec<_> = channels.into_iter().map(|channel| channel.target).collect();
        let [
            AnyTarget::Webhook(webhook),
            alertmanager @ AnyTarget::Alertmanager(_),
            AnyTarget::PagerDuty(_),
            AnyTarget::Slack(slack),
            AnyTarget::Sns(sns),
            AnyTarget::EventBridge(bus),
        ] = targets.as_slice()
        else {
            panic!("{:?}", targets.iter().map(AnyTarget::key).collect::<Vec<_>>());
        };
        assert!(webhook.headers.is_none() && webhook.secret.is_none());
        assert_eq!(alertmanager.repost().unwrap().every.as_secs(), 60);
        assert_eq!(slack.url.to_string(), "env:A");
        assert_eq!((sns.region.as_str(), bus.region.as_str()), ("eu-west-1", "cn-north-1"));
        let expected = [
            Some("http://a"),
            Some("http://a"),
            Some("https://events.pagerduty.com/v2/enqueue"),
            None,
            Some("https://sns.eu-west-1.amazonaws.com"),
            Some("https://events.cn-north-1.amazonaws.com.cn"),
        ];
        assert_eq!(urls.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
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
