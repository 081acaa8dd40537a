//! Amazon EventBridge: every message is an event on a bus.

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::delivery::aws_refusal::{again, named};
use crate::delivery::item::Class;
use crate::delivery::item::Item;
use crate::delivery::request::{Answer, Failure};
use crate::delivery::signature::Service;
use crate::notify::attempt::Attempt;
use crate::notify::aws::check_place;
use crate::notify::message;
use crate::setting::arn;
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::setting::url::WebUrl;
use crate::snapshot::AlertMessage;

/// The largest entry, in bytes.
const LARGEST: usize = 256 * 1024;

/// An event bus of Amazon EventBridge.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct EventBridge {
    /// The ARN of the bus, such as arn:aws:events:eu-west-1:123456789012:event-bus/default.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[A-Za-z0-9._/-]+$"))]
    pub bus: String,
    /// The URL of the service: http:// or https:// and a host. Default: by the ARN, such as
    /// `https://events.eu-west-1.amazonaws.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<WebUrl>,
    /// The region, from the ARN.
    #[serde(skip)]
    pub region: String,
}

#[async_trait]
impl Target for EventBridge {
    fn check(&mut self, at: &Path) -> Result<(), Fault> {
        self.region = check_place(("bus", &self.bus), arn::Service::Events, &mut self.endpoint, at)?;
        Ok(())
    }

    fn url(&self) -> Option<&WebUrl> {
        self.endpoint.as_ref()
    }

    fn is_signed(&self) -> bool {
        true
    }

    async fn send(&self, item: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure> {
        let entries = Entries { entries: [entry(&self.bus, &message::carried(item)?, item)] };
        let body = serde_json::to_vec(&entries).map_err(|error| Failure::lasting(error.to_string()))?;
        if body.len() > LARGEST {
            return Err(Failure::lasting("larger than an event may be (256 KiB)"));
        }
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1")),
            (HeaderName::from_static("x-amz-target"), HeaderValue::from_static("AWSEvents.PutEvents")),
        ]);
        let service = Service { name: "events", region: &self.region };
        taken(attempt.post_signed(service, self.endpoint.as_ref(), headers, body.into()).await?)
    }

    fn is_public(key: &str, value: &str) -> bool {
        key == "bus" && arn::is_arn(value)
    }

    fn reference() -> &'static str {
        r#"
  # An event bus of Amazon EventBridge.
  #- name: bus
    #eventbridge:
      #bus: arn:aws:events:eu-west-1:123456789012:event-bus/default
      # http:// or https:// and a host. Default: the service in the region of the ARN.
      #endpoint: https://events.eu-west-1.amazonaws.com
"#
    }

    fn example() -> &'static str {
        r#"
  # The role of the instance needs events:PutEvents on the bus. Credentials are no subject for this one.
  - name: bus
    alerts: [clock-skew, clock-skew-forecast, clock-stepped]
    timeout: 5s
    eventbridge:
      bus: arn:aws:events:eu-west-1:123456789012:event-bus/default
"#
    }
}

/// The body of `PutEvents`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entries<'a> {
    entries: [Entry<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    source: &'static str,
    detail_type: &'static str,
    detail: String,
    event_bus_name: &'a str,
    /// Seconds since the epoch. Without it EventBridge takes the time of its arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
}

fn entry<'a>(bus: &'a str, message: &AlertMessage, item: &Item) -> Entry<'a> {
    Entry {
        source: "skewguard",
        detail_type: "skewguard alert",
        detail: String::from_utf8_lossy(&item.body).into_owned(),
        event_bus_name: bus,
        time: item.at.verified.then(|| item.at.time.seconds()),
        resources: instance(bus, message).into_iter().collect(),
    }
}

/// The ARN of the instance, which lies in the partition of the bus.
fn instance(bus: &str, message: &AlertMessage) -> Option<String> {
    let attribute = |name: &str| message.attributes.get(name).filter(|value| !value.is_empty());
    let partition = bus.split(':').nth(1).unwrap_or("aws");
    let (region, account) = (attribute("cloud.region")?, attribute("cloud.account.id")?);
    Some(format!("arn:{partition}:ec2:{region}:{account}:instance/{}", attribute("host.id")?))
}

/// The answer of `PutEvents`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    failed_entry_count: u64,
    #[serde(default)]
    entries: Vec<PutEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEntry {
    error_code: Option<String>,
}

/// Status 200 says only that the request was understood.
fn taken(answer: Answer) -> Result<Answer, Failure> {
    let Ok(put) = serde_json::from_slice::<Put>(&answer.body) else {
        let reason = format!("status {}, but the answer is not one of PutEvents", answer.status);
        return Err(Failure { answer: Some(answer), ..Failure::transient(reason) });
    };
    if put.failed_entry_count == 0 {
        return Ok(answer);
    }
    let code = put.entries.iter().find_map(|entry| named(entry.error_code.as_deref()?));
    let code = code.unwrap_or_else(|| "no reason given".to_owned());
    let again = again(Class::Alert, answer.status, &code);
    Err(Failure { again, answer: Some(answer), ..Failure::transient(format!("the event was not taken: {code}")) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::alert::machine::Change;
    use crate::credentials::imds::fake::Fake;
    use crate::delivery::policy::Again;
    use crate::notify::aws::tests::{aws, judged_by, service};
    use crate::notify::message::tests::{any_message, item, skew};
    use crate::notify::targets::target::attempt;

    const BUS: &str = "arn:aws-cn:events:cn-north-1:123456789012:event-bus/ops";
    const TAKEN: &str = r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#;

    fn eventbridge(url: &str) -> EventBridge {
        let endpoint = Some(WebUrl::unchecked(url.to_owned()));
        EventBridge { bus: BUS.into(), region: "cn-north-1".into(), endpoint }
    }

    #[tokio::test]
    async fn an_alert_is_an_event_at_its_true_time_about_its_instance() {
        let imds = Fake::healthy([]).await;
        let (url, mut seen) = service(200, TAKEN).await;
        let message = skew(Change::Firing);
        attempt(&eventbridge(&url), &aws(Some(&imds.endpoint)), &item(&message)).await.unwrap();
        let request = seen.recv().await.unwrap();
        assert_eq!(request.header("x-amz-target"), Some("AWSEvents.PutEvents"));
        assert_eq!(request.header("content-type"), Some("application/x-amz-json-1.1"));
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.contains("/cn-north-1/events/aws4_request"), "{authorization}");
        assert!(authorization.contains("content-type;host;x-amz-date;x-amz-security-token;x-amz-target"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            body,
            json!({ "Entries": [{
                "Source": "skewguard",
                "DetailType": "skewguard alert",
                "Detail": serde_json::to_string(&message).unwrap(),
                "EventBusName": BUS,
                "Time": 1_772_359_500.0,
                "Resources": ["arn:aws-cn:ec2:eu-central-1:123456789012:instance/i-1"],
            }] })
        );
    }

    #[tokio::test]
    async fn an_answer_of_200_with_a_failed_entry_is_a_failure() {
        let imds = Fake::healthy([]).await;
        for (status, body, reason, again) in [
            (
                200,
                r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"ThrottlingException","ErrorMessage":"x"}]}"#,
                "the event was not taken: ThrottlingException",
                Again::Soon,
            ),
            (
                200,
                r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"NotAuthorizedForSourceException"}]}"#,
                "the event was not taken: NotAuthorizedForSourceException",
                Again::Slowly,
            ),
            (
                200,
                r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"MalformedDetail"}]}"#,
                "the event was not taken: MalformedDetail",
                Again::Never,
            ),
            (200, "<html>log in</html>", "status 200, but the answer is not one of PutEvents", Again::Soon),
            (400, r#"{"__type":"AccessDeniedException"}"#, "status 400: AccessDeniedException", Again::Slowly),
            (400, r#"{"__type":"ExpiredTokenException"}"#, "status 400: ExpiredTokenException", Again::Soon),
            (
                400,
                r#"{"__type":"com.amazon.coral.service#InvalidSignatureException"}"#,
                "status 400: InvalidSignatureException",
                Again::Soon,
            ),
            (400, r#"{"__type":"ThrottlingException"}"#, "status 400: ThrottlingException", Again::Soon),
            (500, r#"{"__type":"InternalException"}"#, "status 500: InternalException", Again::Soon),
        ] {
            let (url, _seen) = service(status, body).await;
            let judged = judged_by(&eventbridge(&url), &imds, &item(&skew(Change::Firing))).await;
            assert_eq!(judged, (reason.to_owned(), again));
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_given_up() {
        let imds = Fake::healthy([]).await;
        let message = AlertMessage { summary: "x".repeat(LARGEST), ..skew(Change::Firing) };
        let (reason, again) = judged_by(&eventbridge("http://127.0.0.1:9"), &imds, &item(&message)).await;
        assert_eq!((reason.as_str(), again), ("larger than an event may be (256 KiB)", Again::Never));
    }

    proptest! {
        #[test]
        fn an_event_holds_the_message_and_a_time_only_if_it_is_verified(message in any_message()) {
            let item = item(&message);
            let entry = serde_json::to_value(entry(BUS, &message, &item)).unwrap();
            let detail: AlertMessage = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            prop_assert_eq!(entry.get("Time").is_some(), message.verified);
            prop_assert_eq!(detail, message);
        }
    }
}
