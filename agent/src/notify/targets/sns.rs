//! Amazon SNS: every message is published to a topic.

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::alert::machine::Change;
use crate::delivery::item::Item;
use crate::delivery::request::{Answer, Failure};
use crate::delivery::signature::Service;
use crate::notify::attempt::Attempt;
use crate::notify::aws::check_place;
use crate::notify::message;
use crate::notify::text::hash;
use crate::setting::arn;
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::setting::url::WebUrl;
use crate::snapshot::AlertMessage;

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 100;
/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A topic of Amazon SNS.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Sns {
    /// The ARN of the topic, such as arn:aws:sns:eu-west-1:123456789012:alerts.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+(\.fifo)?$"))]
    pub topic: String,
    /// The URL of the service: http:// or https:// and a host. Default: by the ARN, such as
    /// `https://sns.eu-west-1.amazonaws.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<WebUrl>,
    /// The region, from the ARN.
    #[serde(skip)]
    pub region: String,
}

#[async_trait]
impl Target for Sns {
    fn check(&mut self, at: &Path) -> Result<(), Fault> {
        self.region = check_place(("topic", &self.topic), arn::Service::Sns, &mut self.endpoint, at)?;
        Ok(())
    }

    fn url(&self) -> Option<&WebUrl> {
        self.endpoint.as_ref()
    }

    fn is_signed(&self) -> bool {
        true
    }

    async fn send(&self, item: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure> {
        let body = publish(&self.topic, &message::carried(item)?, item);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        let service = Service { name: "sns", region: &self.region };
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, form)]);
        attempt.post_signed(service, self.endpoint.as_ref(), headers, encoded(&body).into()).await
    }

    fn is_public(key: &str, value: &str) -> bool {
        key == "topic" && arn::is_arn(value)
    }

    fn reference() -> &'static str {
        r#"
  # A topic of Amazon SNS.
  #- name: topic
    #sns:
      #topic: arn:aws:sns:eu-west-1:123456789012:alerts
      # http:// or https:// and a host. Default: the service in the region of the ARN.
      #endpoint: https://sns.eu-west-1.amazonaws.com
"#
    }

    fn example() -> &'static str {
        r#"
  # The role of the instance needs sns:Publish on the topic.
  - name: topic
    sns:
      topic: arn:aws:sns:eu-west-1:123456789012:alerts
"#
    }
}

/// The parameters of `Publish`.
fn publish(topic: &str, message: &AlertMessage, item: &Item) -> Vec<(String, String)> {
    let mut parameters: Vec<(String, String)> = [
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("TopicArn", topic),
        ("Subject", &subject(message)),
        ("Message", &String::from_utf8_lossy(&item.body)),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let attributes =
        [("severity", message.severity.name()), ("alert", message.alert.name()), ("change", message.change.name())];
    for (number, (name, value)) in (1..).zip(attributes) {
        for (part, value) in [("Name", name), ("Value.DataType", "String"), ("Value.StringValue", value)] {
            parameters.push((format!("MessageAttributes.entry.{number}.{part}"), value.to_owned()));
        }
    }
    if topic.ends_with(".fifo") {
        // What happens to one alert arrives in its order, and what is sent twice arrives once.
        parameters.push(("MessageGroupId".to_owned(), hash(&message.id)));
        parameters.push(("MessageDeduplicationId".to_owned(), hash(&item.key)));
    }
    parameters
}

/// The subject of a mail: ASCII in one line, that begins with a letter.
fn subject(message: &AlertMessage) -> String {
    let state = if message.change == Change::Resolved { "resolved" } else { message.severity.name() };
    let text = format!("skewguard {state}: {} {} on {}", message.alert.name(), message.subject, message.host);
    let plain: String = text.chars().map(|char| if matches!(char, ' '..='~') { char } else { '?' }).collect();
    let words: Vec<&str> = plain.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(LONGEST_SUBJECT).collect()
}

fn encoded(parameters: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::credentials::imds::fake::Fake;
    use crate::delivery::policy::Again;
    use crate::notify::aws::tests::{aws, judged_by, service};
    use crate::notify::message::tests::{any_message, item, skew};
    use crate::notify::targets::target::attempt;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:ops";

    fn sns(url: &str) -> Sns {
        let endpoint = Some(WebUrl::unchecked(url.to_owned()));
        Sns { topic: TOPIC.into(), region: "eu-central-1".into(), endpoint }
    }

    #[tokio::test]
    async fn an_alert_is_published_with_its_json_and_its_attributes() {
        let imds = Fake::healthy([]).await;
        let (url, mut seen) = service(200, "<PublishResponse/>").await;
        let item = item(&skew(Change::Firing));
        attempt(&sns(&url), &aws(Some(&imds.endpoint)), &item).await.unwrap();
        let request = seen.recv().await.unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/"));
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded; charset=utf-8"));
        let body = String::from_utf8(request.body).unwrap();
        let parameters: BTreeMap<&str, String> = body
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| {
                (name, percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned())
            })
            .collect();
        let expected = [
            ("Action", "Publish"),
            ("Message", std::str::from_utf8(&item.body).unwrap()),
            ("MessageAttributes.entry.1.Name", "severity"),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", "critical"),
            ("MessageAttributes.entry.2.Name", "alert"),
            ("MessageAttributes.entry.2.Value.DataType", "String"),
            ("MessageAttributes.entry.2.Value.StringValue", "clock-skew"),
            ("MessageAttributes.entry.3.Name", "change"),
            ("MessageAttributes.entry.3.Value.DataType", "String"),
            ("MessageAttributes.entry.3.Value.StringValue", "firing"),
            ("Subject", "skewguard critical: clock-skew on ip-10-0-0-1"),
            ("TopicArn", TOPIC),
            ("Version", "2010-03-31"),
        ];
        assert_eq!(parameters, expected.map(|(name, value)| (name, value.to_owned())).into());
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_message_is_final_and_all_else_is_tried_again() {
        let imds = Fake::healthy([]).await;
        for (status, body, reason, again) in [
            (403, "<Code>AuthorizationError</Code>", "status 403: AuthorizationError", Again::Slowly),
            (404, "<Code>NotFound</Code>", "status 404: NotFound", Again::Slowly),
            (400, "<Code>InvalidParameter</Code>", "status 400: InvalidParameter", Again::Never),
            (400, "<Code>Throttling</Code>", "status 400: Throttling", Again::Soon),
            (403, "<Code>ExpiredToken</Code>", "status 403: ExpiredToken", Again::Soon),
            (403, "<Code>SignatureDoesNotMatch</Code>", "status 403: SignatureDoesNotMatch", Again::Soon),
            (400, "<Code>RequestExpired</Code>", "status 400: RequestExpired", Again::Soon),
            (429, "", "status 429", Again::Soon),
            (503, "<html>", "status 503", Again::Soon),
        ] {
            let (url, _seen) = service(status, body).await;
            let judged = judged_by(&sns(&url), &imds, &item(&skew(Change::Firing))).await;
            assert_eq!(judged, (reason.to_owned(), again));
        }
    }

    proptest! {
        #[test]
        fn a_message_is_within_the_bounds_of_the_service(message in any_message(), is_fifo: bool) {
            let item = item(&message);
            let topic = if is_fifo { format!("{TOPIC}.fifo") } else { TOPIC.to_owned() };
            let parameters: BTreeMap<_, _> = publish(&topic, &message, &item).into_iter().collect();
            let subject = &parameters["Subject"];
            prop_assert!(subject.len() <= 100 && subject.starts_with("skewguard"));
            prop_assert!(subject.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert!(!parameters["Message"].is_empty());
            for name in ["MessageGroupId", "MessageDeduplicationId"] {
                let id = parameters.get(name);
                prop_assert_eq!(id.is_some(), is_fifo);
                prop_assert!(id.is_none_or(|id| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())));
            }
        }

        #[test]
        fn a_message_that_is_sent_twice_has_one_key_in_its_alerts_group(message in any_message(), other in any_message()) {
            let topic = format!("{TOPIC}.fifo");
            let ids = |message: &AlertMessage| {
                let parameters: BTreeMap<_, _> = publish(&topic, message, &item(message)).into_iter().collect();
                (parameters["MessageGroupId"].clone(), parameters["MessageDeduplicationId"].clone())
            };
            prop_assert_eq!(ids(&message), ids(&message));
            let later = AlertMessage { true_time: "later".into(), ..message.clone() };
            prop_assert_eq!(ids(&message).0, ids(&later).0);
            prop_assert_ne!(ids(&message).1, ids(&later).1);
            prop_assert_eq!(ids(&message).0 == ids(&other).0, message.id == other.id);
        }
    }
}
