//! PagerDuty, Events API v2.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::alert::machine::Change;
use crate::assess::alerts::Part;
use crate::assess::finding::Kind;
use crate::delivery::item::{Class, Item};
use crate::delivery::policy::{self, Again};
use crate::delivery::request::{Answer, Failure};
use crate::notify::attempt::{Attempt, json};
use crate::notify::message;
use crate::notify::text::{cut, short_name};
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::setting::secret::SecretRef;
use crate::setting::url::WebUrl;
use crate::snapshot::AlertMessage;

/// Where events are taken, outside Europe.
const URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// The longest summary, in characters.
const LONGEST_SUMMARY: usize = 1024;
/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;

/// PagerDuty, Events API v2.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct PagerDuty {
    /// Where the integration key is kept: env:NAME or file:/path.
    pub routing_key: SecretRef,
    /// Where events are taken. Default: `https://events.pagerduty.com/v2/enqueue`; in Europe it is
    /// `https://events.eu.pagerduty.com/v2/enqueue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<WebUrl>,
}

#[async_trait]
impl Target for PagerDuty {
    fn check(&mut self, at: &Path) -> Result<(), Fault> {
        let url = self.url.get_or_insert_with(|| URL.into()).parts();
        let is_of_pagerduty = |host: &str| host == "pagerduty.com" || host.ends_with(".pagerduty.com");
        let is_wrong = |url: reqwest::Url| url.host_str().is_some_and(is_of_pagerduty) && url.path() != "/v2/enqueue";
        if url.is_some_and(is_wrong) {
            let message = "PagerDuty takes events at https://events.pagerduty.com/v2/enqueue, in Europe at \
                           https://events.eu.pagerduty.com/v2/enqueue (the value is not shown)";
            return Err(Fault::at(at.key("url"), message));
        }
        Ok(())
    }

    fn url(&self) -> Option<&WebUrl> {
        self.url.as_ref()
    }

    async fn send(&self, item: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure> {
        let message = message::carried(item)?;
        let key = attempt.read(&self.routing_key)?;
        let body = serde_json::to_vec(&event(&message, &key)).map_err(|error| Failure::lasting(error.to_string()))?;
        let url = self.url.clone().unwrap_or_else(|| URL.into());
        attempt.post(&url, json(), body).await.map_err(judged)
    }

    fn reference() -> &'static str {
        r#"
  # PagerDuty, Events API v2.
  #- name: pager
    #pagerduty:
      # The integration key, kept elsewhere: env:NAME or file:/path.
      #routing_key: env:PAGERDUTY_KEY
      # In Europe: https://events.eu.pagerduty.com/v2/enqueue
      #url: https://events.pagerduty.com/v2/enqueue
"#
    }

    fn example() -> &'static str {
        r#"
  # Whoever is on call is woken by what is critical, and by nothing else.
  - name: pager
    severity: critical
    pagerduty:
      routing_key: env:PAGERDUTY_KEY
"#
    }
}

/// Judges a refusal by what PagerDuty says of it.
fn judged(failure: Failure) -> Failure {
    let Some(answer) = &failure.answer else { return failure };
    Failure { again: again(answer.status, &answer.body), ..failure }
}

/// An event. It has no `Debug`: the routing key is in it.
#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: String,
    client: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
}

/// What an incident shows beside it.
#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
    text: &'static str,
}

#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: &'a str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a str>,
    component: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    class: &'static str,
    custom_details: &'a AlertMessage,
}

/// A repeated alert triggers again with the same key, which PagerDuty counts to the same incident.
fn event<'a>(message: &'a AlertMessage, routing_key: &'a str) -> Event<'a> {
    let is_resolved = message.change == Change::Resolved;
    let runbook = message.runbook.as_deref().filter(|_| !is_resolved);
    Event {
        routing_key,
        event_action: if is_resolved { "resolve" } else { "trigger" },
        dedup_key: short_name(&message.id, LONGEST_KEY),
        client: "skewguard",
        links: runbook.map(|href| Link { href, text: "Runbook" }).into_iter().collect(),
        payload: (!is_resolved).then(|| Payload {
            summary: cut(&format!("{}: {}", message.host, message.summary), LONGEST_SUMMARY),
            source: &message.host,
            severity: message.severity.name(),
            timestamp: message.verified.then_some(message.true_time.as_str()),
            component: component(message.alert),
            group: message.attributes.get("cloud.region").map(String::as_str),
            class: message.alert.name(),
            custom_details: message,
        }),
    }
}

/// The part of the host that is to blame.
fn component(kind: Kind) -> &'static str {
    match kind.part() {
        Some(Part::Clock) => "clock",
        Some(Part::Source) => "time source",
        Some(Part::Credential) => "credentials",
        None => "skewguard",
    }
}

/// Whether an event is sent again after an answer of PagerDuty's, which calls an event invalid whose routing key it does not know.
fn again(status: u16, body: &[u8]) -> Again {
    let said = String::from_utf8_lossy(body).to_ascii_lowercase();
    let names_the_key = said.contains("routing_key") || said.contains("routing key");
    if status == 400 && names_the_key { Again::Slowly } else { policy::of_status(Class::Alert, status) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::demo::http::{Response, start};
    use crate::notify::message::tests::{RUNBOOK, TRUE_TIME, any_message, item, skew};
    use crate::notify::targets::target::tests::attempted;

    fn json_of(message: &AlertMessage) -> Value {
        serde_json::to_value(event(message, "key")).unwrap()
    }

    #[test]
    fn a_firing_alert_triggers_and_the_same_key_resolves_it() {
        let (fired, repeated, resolved) =
            (skew(Change::Firing), json_of(&skew(Change::Repeated)), json_of(&skew(Change::Resolved)));
        assert_eq!(
            json_of(&fired),
            json!({
                "routing_key": "key",
                "event_action": "trigger",
                "dedup_key": "ip-10-0-0-1/clock-skew//2026-03-01T10:00:00.000Z",
                "client": "skewguard",
                "links": [{ "href": RUNBOOK, "text": "Runbook" }],
                "payload": {
                    "summary": "ip-10-0-0-1: The system clock is 24.0 h fast",
                    "source": "ip-10-0-0-1",
                    "severity": "critical",
                    "timestamp": TRUE_TIME,
                    "component": "clock",
                    "group": "eu-central-1",
                    "class": "clock-skew",
                    "custom_details": fired,
                },
            })
        );
        assert_eq!((&repeated["event_action"], &resolved["event_action"]), (&"trigger".into(), &"resolve".into()));
        assert_eq!((&repeated["dedup_key"], &resolved["payload"]), (&resolved["dedup_key"], &Value::Null));
    }

    #[tokio::test]
    async fn the_key_is_read_at_the_moment_of_sending_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let address = start(|request| {
            let event: Value = serde_json::from_slice(&request.body).unwrap();
            Response { status: 202, ..Response::ok(format!("{} of {}", request.path, event["routing_key"])) }
        });
        let url = Some(WebUrl::unchecked(format!("http://{}/v2/enqueue", address.await.unwrap())));
        let pagerduty = PagerDuty { routing_key: SecretRef::File(path.clone()), url };
        let item = item(&skew(Change::Firing));
        assert_eq!(attempted(&pagerduty, &item).await.unwrap_err().again, Again::Soon);
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        let answer = attempted(&pagerduty, &item).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (202, b"/v2/enqueue of \"***\"".as_slice()));
    }

    #[tokio::test]
    async fn a_routing_key_that_pagerduty_does_not_know_costs_no_alert() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        for (body, again) in [
            (r#"{"status":"invalid event","errors":["Invalid routing key"]}"#, Again::Slowly),
            (r#"{"status":"invalid event","errors":["'payload.summary' is missing"]}"#, Again::Never),
        ] {
            let address = start(move |_| Response { status: 400, ..Response::ok(body) });
            let url = Some(WebUrl::unchecked(format!("http://{}/v2/enqueue", address.await.unwrap())));
            let pagerduty = PagerDuty { routing_key: SecretRef::File(path.clone()), url };
            let refused = attempted(&pagerduty, &item(&skew(Change::Firing))).await.unwrap_err();
            assert_eq!(refused.again, again, "{body}");
        }
    }

    proptest! {
        #[test]
        fn an_event_is_within_the_bounds_of_the_service(message in any_message()) {
            let event = json_of(&message);
            prop_assert!(event["dedup_key"].as_str().unwrap().len() <= 255);
            let is_resolved = message.change == Change::Resolved;
            prop_assert_eq!(event["payload"].is_null(), is_resolved);
            let has_link = message.runbook.is_some() && !is_resolved;
            prop_assert_eq!(event.get("links").is_some(), has_link);
            if !is_resolved {
                prop_assert!(event["payload"]["summary"].as_str().unwrap().chars().count() <= 1024);
                prop_assert_eq!(event["payload"].get("timestamp").is_some(), message.verified);
            }
        }

        #[test]
        fn the_key_is_one_for_the_life_of_an_alert_and_another_for_every_other(message in any_message(), other in any_message()) {
            let resolved = AlertMessage { change: Change::Resolved, true_time: "later".into(), ..message.clone() };
            prop_assert_eq!(&json_of(&resolved)["dedup_key"], &json_of(&message)["dedup_key"]);
            prop_assert_eq!(json_of(&other)["dedup_key"] == json_of(&message)["dedup_key"], other.id == message.id);
        }
    }

    #[test]
    fn a_wrong_key_is_not_a_wrong_message() {
        let key = br#"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect (should be 32)"]}"#;
        assert_eq!(again(400, key), Again::Slowly);
        assert_eq!(again(400, br#"{"errors":["Invalid routing key"]}"#), Again::Slowly);
        assert_eq!(again(400, br#"{"errors":["'payload.summary' is missing"]}"#), Again::Never);
        assert_eq!(again(403, b""), Again::Slowly);
    }
}
