//! Prometheus Alertmanager, API v2.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::{Repost, Target};
use crate::alert::machine::Change;
use crate::assess::finding::Severity;
use crate::clock::true_clock::Stamp;
use crate::delivery::item::{Class, Content, Item};
use crate::delivery::request::{Answer, Failure};
use crate::notify::attempt::{Attempt, json};
use crate::notify::message;
use crate::setting::fault::{Bounds, Fault};
use crate::setting::headers::Headers;
use crate::setting::locate::Path;
use crate::setting::period::{Period, is_like_one};
use crate::setting::url::WebUrl;
use crate::setting::web::check_headers;
use crate::snapshot::AlertMessage;

/// What the base URL is followed by.
const ALERTS: &str = "/api/v2/alerts";
/// How often it may be told again.
const REPOST: Bounds = Bounds(Duration::from_secs(10), Duration::from_secs(3_600));
/// How often it is told again; it forgets after five minutes by default.
const USUAL_REPOST: Duration = Duration::from_secs(60);
/// What of the host's identity becomes a label. It does not change while the instance lives.
const IDENTITY: [(&str, &str); 3] =
    [("host.id", "instance_id"), ("cloud.account.id", "account_id"), ("cloud.region", "region")];

/// Prometheus Alertmanager, API v2.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Alertmanager {
    /// The base URL, to which /api/v2/alerts is added.
    pub url: WebUrl,
    /// Further headers: a name, and env:NAME or file:/path for its value. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
    /// How often an alert that still fires is posted again, so that it does not time out there: 10s to 1h. Default: 1m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repost: Option<Period>,
}

#[async_trait]
impl Target for Alertmanager {
    fn check(&mut self, at: &Path) -> Result<(), Fault> {
        let is_more = |url: reqwest::Url| {
            url.query().is_some() || url.fragment().is_some() || url.path().trim_end_matches('/').ends_with(ALERTS)
        };
        if self.url.parts().is_some_and(is_more) {
            let message = format!(
                "{ALERTS} is added to the URL: write it without that, and without ? and # (the value is not shown)"
            );
            return Err(Fault::at(at.key("url"), message));
        }
        self.repost = Some(Period(REPOST.or(self.repost, USUAL_REPOST, at, "repost")?));
        check_headers(&mut self.headers, at)
    }

    fn url(&self) -> Option<&WebUrl> {
        Some(&self.url)
    }

    fn repost(&self) -> Option<Repost> {
        self.repost.map(|Period(every)| Repost { every, item: repost })
    }

    async fn send(&self, item: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure> {
        let messages = match item.body.first() {
            Some(b'[') => serde_json::from_slice(&item.body)
                .map_err(|_| Failure::lasting("what was queued is no list of alerts"))?,
            _ => vec![message::carried(item)?],
        };
        let alerts: Vec<Posted> = messages.iter().flat_map(posted).collect();
        let body = serde_json::to_vec(&alerts).map_err(|error| Failure::lasting(error.to_string()))?;
        let mut headers = json();
        attempt.add_secrets(&mut headers, self.headers.as_ref())?;
        attempt.post(&self.url.followed_by(ALERTS), headers, body).await
    }

    fn is_public(key: &str, value: &str) -> bool {
        key == "repost" && is_like_one(value)
    }

    fn reference() -> &'static str {
        r#"
  # Prometheus Alertmanager.
  #- name: alertmanager
    #alertmanager:
      # The base URL, to which /api/v2/alerts is added.
      #url: http://alertmanager:9093
      # Further headers, as those of a webhook.
      #headers:
        #Authorization: env:ALERTMANAGER_AUTHORIZATION
      # How often an alert that still fires is posted again, 10s to 1h: more often than Alertmanager's resolve_timeout,
      # after which it takes an alert for resolved.
      #repost: 1m
"#
    }

    fn example() -> &'static str {
        r#"
  # Alertmanager groups, silences and routes. It takes an alert that it no longer hears of for resolved.
  - name: alertmanager
    tls:
      ca: /etc/skewguard/ca.pem
      cert: /etc/skewguard/client.pem
      key: /etc/skewguard/client.key
    alertmanager:
      url: https://alertmanager.example:9093
      headers:
        # The whole value of the header, such as "Basic …".
        Authorization: env:ALERTMANAGER_AUTHORIZATION
      repost: 1m
"#
    }
}

/// Every alert that still fires as one item, to be posted again before Alertmanager takes them for resolved; `None`
/// where nothing fires.
fn repost(firing: &[AlertMessage], at: Stamp) -> Option<Item> {
    let first = firing.first()?;
    let body = serde_json::to_vec(firing).ok()?.into();
    let key = format!("{}/repost/{}", first.host, first.true_time);
    Some(Item { class: Class::Alert, key, at, content: Content::Json, body })
}

/// An alert as Alertmanager takes it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
}

/// What Alertmanager is told.
///
/// Its alerts are told apart by their labels, so nothing that changes may be one. The severity is one all the same,
/// because people route by it: where it changes, the alert of the former severity ends as the other one begins.
///
/// A time is told only where it is verified: one in the future would be refused, or keep an alert open. An end without
/// one cannot be told at all: such an alert is posted no more, and ends there after `resolve_timeout`.
fn posted(message: &AlertMessage) -> Vec<Posted> {
    let of = |severity: Severity, has_ended: bool| {
        let ends_at = (has_ended && message.verified).then(|| message.true_time.clone());
        // Without this one Alertmanager takes the moment at which it hears of the alert first.
        let starts_at = (message.since_verified && message.verified).then(|| message.since.clone());
        Posted { labels: labels(message, severity), annotations: annotations(message), starts_at, ends_at }
    };
    let mut alerts = Vec::new();
    if message.change != Change::Resolved {
        alerts.push(of(message.severity, false));
        let former = message.before.filter(|before| *before != message.severity && message.verified);
        alerts.extend(former.map(|before| of(before, true)));
    } else if message.verified {
        alerts.push(of(message.severity, true));
    }
    alerts
}

fn labels(message: &AlertMessage, severity: Severity) -> BTreeMap<&'static str, String> {
    let mut labels = BTreeMap::from([
        ("alertname", message.alert.name().to_owned()),
        ("severity", severity.name().to_owned()),
        ("host", message.host.clone()),
        ("source", "skewguard".to_owned()),
        // An empty label is none, for Alertmanager.
        ("subject", message.subject.clone()),
    ]);
    let identity = IDENTITY.iter().filter_map(|(name, label)| Some((*label, message.attributes.get(*name)?.clone())));
    labels.extend(identity);
    labels.retain(|_, value| !value.is_empty());
    labels
}

fn annotations(message: &AlertMessage) -> BTreeMap<&'static str, String> {
    let annotations = BTreeMap::from([
        ("summary", message.summary.clone()),
        ("remedy", message.remedy.clone()),
        ("true_time", message.true_time.clone()),
        ("system_time", message.system_time.clone()),
        ("verified", message.verified.to_string()),
    ]);
    // By the name that rules have for it, and templates know.
    let runbook = message.runbook.clone().map(|runbook| ("runbook_url", runbook));
    annotations.into_iter().chain(runbook).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::mpsc;

    use super::*;
    use crate::demo::http::{Response, start};
    use crate::notify::message::tests::{RUNBOOK, TRUE_TIME, any_message, item, skew};
    use crate::notify::targets::target::tests::attempted;

    /// The path and the body of what is posted.
    async fn sent(item: &Item) -> (String, serde_json::Value) {
        let (sender, mut seen) = mpsc::unbounded_channel();
        let address = start(move |request| {
            sender.send((request.path, serde_json::from_slice(&request.body).unwrap())).unwrap();
            Response::ok("")
        });
        let url = WebUrl::unchecked(format!("http://{}/prefix/", address.await.unwrap()));
        attempted(&Alertmanager { url, headers: None, repost: None }, item).await.unwrap();
        seen.recv().await.unwrap()
    }

    #[tokio::test]
    async fn a_firing_alert_is_posted_with_its_beginning_and_without_an_end() {
        let (path, body) = sent(&item(&skew(Change::Firing))).await;
        assert_eq!(path, "/prefix/api/v2/alerts");
        assert_eq!(
            body,
            serde_json::json!([{
                "labels": {
                    "alertname": "clock-skew", "severity": "critical", "host": "ip-10-0-0-1", "source": "skewguard",
                    "instance_id": "i-1", "account_id": "123456789012", "region": "eu-central-1",
                },
                "annotations": {
                    "summary": "The system clock is 24.0 h fast", "remedy": "Start chronyd",
                    "runbook_url": RUNBOOK, "true_time": TRUE_TIME, "system_time": "2026-03-02T10:05:00.000Z", "verified": "true",
                },
                "startsAt": "2026-03-01T10:00:00.000Z",
            }])
        );
    }

    #[test]
    fn without_a_runbook_there_is_no_annotation_of_one() {
        let [alert] = &posted(&AlertMessage { runbook: None, ..skew(Change::Firing) })[..] else { panic!() };
        assert!(!alert.annotations.contains_key("runbook_url"));
    }

    #[tokio::test]
    async fn all_that_fires_is_posted_again_at_once() {
        let other = AlertMessage { subject: "imds".into(), ..skew(Change::Repeated) };
        let again = repost(&[skew(Change::Repeated), other], item(&skew(Change::Repeated)).at).unwrap();
        let (_, body) = sent(&again).await;
        let subjects: Vec<_> = body.as_array().unwrap().iter().map(|alert| &alert["labels"]["subject"]).collect();
        assert_eq!(subjects, [&serde_json::Value::Null, &"imds".into()]);
        assert_eq!(repost(&[], again.at), None);
    }

    #[test]
    fn another_severity_begins_one_alert_and_ends_the_other() {
        let worse = AlertMessage { before: Some(Severity::Warning), ..skew(Change::Firing) };
        let alerts = posted(&worse);
        let told = |alert: &Posted| (alert.labels["severity"].clone(), alert.ends_at.clone());
        let expected = [("critical".to_owned(), None), ("warning".to_owned(), Some(TRUE_TIME.to_owned()))];
        assert_eq!(alerts.iter().map(told).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn an_end_whose_time_nobody_vouches_for_is_left_to_the_timeout() {
        let resolved = AlertMessage { verified: false, ..skew(Change::Resolved) };
        assert_eq!(sent(&item(&resolved)).await.1, serde_json::json!([]));
        let worse = AlertMessage { verified: false, before: Some(Severity::Warning), ..skew(Change::Firing) };
        assert_eq!(posted(&worse).len(), 1);
    }

    proptest! {
        #[test]
        fn an_alert_has_the_same_labels_from_its_firing_to_its_resolve(
            message in any_message(), summary in ".*", time in "[0-9]{4}", verified: bool,
        ) {
            let fired = AlertMessage { change: Change::Firing, before: None, ..message };
            let resolved = AlertMessage {
                change: Change::Resolved, summary, system_time: time.clone(), true_time: time, verified, ..fired.clone()
            };
            let (firing, resolved) = (posted(&fired), posted(&resolved));
            prop_assert_eq!(firing.len(), 1);
            prop_assert_eq!(resolved.len(), usize::from(verified));
            prop_assert!(resolved.iter().all(|alert| alert.labels == firing[0].labels));
            prop_assert!(firing[0].labels.values().all(|value| !value.is_empty()));
        }

        #[test]
        fn no_time_is_told_that_nobody_vouches_for(message in any_message()) {
            for alert in posted(&message) {
                prop_assert!(alert.starts_at.is_none() || message.since_verified && message.verified);
                prop_assert!(alert.ends_at.is_none() || message.verified);
            }
        }

        #[test]
        fn exactly_what_fires_stays_open(message in any_message()) {
            let open = |alert: &&Posted| alert.ends_at.is_none();
            let alerts = posted(&message);
            prop_assert_eq!(alerts.iter().filter(open).count(), usize::from(message.change != Change::Resolved));
            let severities: std::collections::BTreeSet<_> =
                alerts.iter().map(|alert| &alert.labels["severity"]).collect();
            prop_assert_eq!(severities.len(), alerts.len());
        }
    }
}
