//! A Slack incoming webhook, whose URL is the secret.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::target::Target;
use crate::alert::machine::Change;
use crate::delivery::item::{Class, Item};
use crate::delivery::policy::{self, Again};
use crate::delivery::request::{Answer, Failure};
use crate::notify::attempt::{self, Attempt};
use crate::notify::message;
use crate::setting::fault::Fault;
use crate::setting::locate::Path;
use crate::setting::secret::SecretRef;
use crate::setting::url::WebUrl;
use crate::snapshot::AlertMessage;

/// The longest header, in characters.
const LONGEST_HEADER: usize = 150;
/// The longest section, in characters.
const LONGEST_SECTION: usize = 3000;
/// The longest line of the context: what it says fits easily, but for the names of others in it.
const LONGEST_CONTEXT: usize = 1000;

/// A Slack incoming webhook.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Slack {
    /// Where its URL is kept, which is a secret: env:NAME or file:/path.
    pub url: SecretRef,
}

#[async_trait]
impl Target for Slack {
    fn check(&mut self, _: &Path) -> Result<(), Fault> {
        Ok(())
    }

    fn url(&self) -> Option<&WebUrl> {
        None
    }

    async fn send(&self, item: &Item, attempt: &mut Attempt<'_>) -> Result<Answer, Failure> {
        let body = said(&message::carried(item)?).to_string();
        let url = attempt.read_url(&self.url)?;
        match attempt.post(&url, attempt::json(), body).await {
            Ok(answer) if answer.body.trim_ascii() == b"ok" => Ok(answer),
            // Who says anything else with 200 is a proxy, or a portal that wants a log-in.
            Ok(answer) => {
                let reason = format!("status {}, but the answer is not Slack's \"ok\"", answer.status);
                Err(Failure { answer: Some(answer), ..Failure::transient(reason) })
            }
            Err(failure) => Err(named(failure)),
        }
    }

    fn reference() -> &'static str {
        r#"
  # A Slack incoming webhook.
  #- name: chat
    #slack:
      # Its URL is a secret and kept elsewhere: env:NAME or file:/path.
      #url: env:SLACK_URL
"#
    }

    fn example() -> &'static str {
        r#"
  # The team reads everything by day.
  - name: chat
    slack:
      # Whoever knows the URL can write there, so it is a secret as a whole.
      url: file:/etc/skewguard/slack-url
"#
    }
}

/// Adds Slack's own word for an error, such as `channel_is_archived`, and judges by it.
fn named(failure: Failure) -> Failure {
    let body = failure.answer.as_ref().and_then(|answer| std::str::from_utf8(&answer.body).ok()).unwrap_or_default();
    let word = body.trim();
    let is_word = (1..=40).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let Some(answer) = failure.answer.as_ref().filter(|_| is_word) else { return failure };
    let (reason, again) = (format!("{}: {word}", failure.reason), again(answer.status, word));
    Failure { reason, again, ..failure }
}

/// What Slack shows.
fn said(message: &AlertMessage) -> Value {
    let word = match message.change {
        Change::Firing => message.severity.name().to_uppercase(),
        Change::Repeated => format!("still {}", message.severity.name().to_uppercase()),
        Change::Resolved => "RESOLVED".to_owned(),
    };
    let subject = if message.subject.is_empty() { String::new() } else { format!(" {}", message.subject) };
    let title = format!("{word}: {}{subject} on {}", message.alert.name(), message.host);
    let body = match message.change {
        Change::Resolved => message.summary.clone(),
        _ => format!("{}\n\n{}", message.summary, message.remedy),
    };
    // Slack takes no empty section.
    let body = if body.trim().is_empty() { title.as_str() } else { body.as_str() };
    let doubt = if message.verified { "" } else { " (by the system clock, unverified)" };
    let place = ["host.id", "cloud.account.id", "cloud.region"]
        .iter()
        .filter_map(|name| message.attributes.get(*name))
        .fold(String::new(), |place, value| format!("{place} · {value}"));
    let context =
        format!("true time {}{doubt} · system time {}{place} · skewguard", message.true_time, message.system_time);
    let said = |text: String| json!({ "type": "mrkdwn", "text": text });
    let mut elements = vec![said(escaped(&context, LONGEST_CONTEXT))];
    // It is shorter than any limit, so that no link is cut in two.
    let link = |url: &str| said(format!("<{}|Runbook>", url.replace('&', "&amp;")));
    elements.extend(message.runbook.as_deref().map(link));
    json!({
        "text": escaped(&format!("{title}: {}", message.summary), LONGEST_SECTION),
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": escaped(&title, LONGEST_HEADER) } },
            { "type": "section", "text": { "type": "mrkdwn", "text": escaped(body, LONGEST_SECTION) } },
            { "type": "context", "elements": elements },
        ],
    })
}

/// `text` in at most `limit` characters, the three that Slack reads as its own escaped, and none of these cut in two.
fn escaped(text: &str, limit: usize) -> String {
    let (mut escaped, mut length) = (String::new(), 0_usize);
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        let piece = match char {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let needed = piece.len().max(1);
        // One place is kept for the sign of what is missing.
        let room = limit.saturating_sub(length).saturating_sub(usize::from(rest.peek().is_some()));
        if needed > room {
            escaped.push('…');
            break;
        }
        length = length.saturating_add(needed);
        if piece.is_empty() { escaped.push(char) } else { escaped.push_str(piece) }
    }
    escaped
}

/// Whether a message is sent again after an answer of Slack's, which is a word: some of them speak of the webhook or its workspace.
fn again(status: u16, word: &str) -> Again {
    let is_of_the_webhook = matches!(
        word,
        "invalid_token"
            | "token_revoked"
            | "no_active_hooks"
            | "no_service"
            | "no_service_id"
            | "no_team"
            | "team_disabled"
            | "user_not_found"
            | "channel_not_found"
            | "channel_is_archived"
            | "action_prohibited"
            | "posting_to_general_channel_denied"
    );
    if status == 400 && is_of_the_webhook { Again::Slowly } else { policy::of_status(Class::Alert, status) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::demo::http::{Response, start};
    use crate::notify::message::tests::{any_message, item, skew};
    use crate::notify::targets::target::tests::attempted;

    #[test]
    fn a_firing_alert_is_a_header_a_section_and_a_context() {
        let told = said(&AlertMessage { remedy: "a < b & c > d".into(), ..skew(Change::Firing) });
        assert_eq!(
            told,
            json!({
                "text": "CRITICAL: clock-skew on ip-10-0-0-1: The system clock is 24.0 h fast",
                "blocks": [
                    { "type": "header", "text": { "type": "plain_text", "text": "CRITICAL: clock-skew on ip-10-0-0-1" } },
                    { "type": "section", "text": { "type": "mrkdwn", "text":
                        "The system clock is 24.0 h fast\n\na &lt; b &amp; c &gt; d" } },
                    { "type": "context", "elements": [
                        { "type": "mrkdwn", "text":
                            "true time 2026-03-01T10:05:00.000Z · system time 2026-03-02T10:05:00.000Z · i-1 · 123456789012 \
                             · eu-central-1 · skewguard" },
                        { "type": "mrkdwn", "text": "<https://wiki.example/a&amp;b/clock-skew.md|Runbook>" },
                    ] },
                ],
            })
        );
        let silent = said(&AlertMessage { runbook: None, ..skew(Change::Firing) });
        assert_eq!(silent["blocks"][2]["elements"].as_array().map(Vec::len), Some(1));
        let resolved = said(&skew(Change::Resolved));
        assert_eq!(resolved["blocks"][0]["text"]["text"], "RESOLVED: clock-skew on ip-10-0-0-1");
        assert_eq!(resolved["blocks"][1]["text"]["text"], "The system clock is 24.0 h fast");
        let doubtful = said(&AlertMessage { verified: false, ..skew(Change::Repeated) }).to_string();
        assert!(doubtful.contains("still CRITICAL") && doubtful.contains("unverified"), "{doubtful}");
    }

    /// Sends one alert to a server that answers with a status and a body.
    async fn sent(status: u16, body: &'static str) -> Result<Answer, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("url");
        let address = start(move |request| {
            assert_eq!(request.path, "/services/T00/B00/hunter2hunter2");
            Response { status, ..Response::ok(body) }
        });
        std::fs::write(&path, format!("http://{}/services/T00/B00/hunter2hunter2\n", address.await.unwrap())).unwrap();
        attempted(&Slack { url: SecretRef::File(path) }, &item(&skew(Change::Firing))).await
    }

    #[tokio::test]
    async fn only_ok_is_taken_for_an_answer_of_slack() {
        assert_eq!(sent(200, "ok").await.unwrap().body.as_ref(), b"ok");
        let portal = sent(200, "<html>log in</html>").await.unwrap_err();
        assert_eq!(
            (portal.again, portal.reason.as_str()),
            (Again::Soon, "status 200, but the answer is not Slack's \"ok\"")
        );
        let archived = sent(410, "channel_is_archived").await.unwrap_err();
        assert_eq!((archived.again, archived.reason.as_str()), (Again::Slowly, "status 410: channel_is_archived"));
        assert_eq!(sent(400, "invalid_payload").await.unwrap_err().again, Again::Never);
        assert_eq!(sent(400, "user_not_found").await.unwrap_err().again, Again::Slowly);
        assert_eq!(sent(429, "rate_limited").await.unwrap_err().again, Again::Soon);
    }

    #[tokio::test]
    async fn an_answer_that_repeats_the_url_does_not_show_it() {
        let repeated = "no /services/T00/B00/hunter2hunter2 nor hunter2hunter2 here";
        let failure = sent(404, repeated).await.unwrap_err();
        let shown = format!("{failure:?}");
        assert!(!shown.contains("hunter2") && shown.contains("nor *** here"), "{shown}");
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_read_or_is_none_may_be_there_at_the_next_attempt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("url");
        let slack = Slack { url: SecretRef::File(path.clone()) };
        assert_eq!(attempted(&slack, &item(&skew(Change::Firing))).await.unwrap_err().again, Again::Soon);
        std::fs::write(&path, "hunter2hunter2").unwrap();
        let failure = attempted(&slack, &item(&skew(Change::Firing))).await.unwrap_err();
        assert!(failure.again == Again::Soon && !failure.reason.contains("hunter2"), "{failure:?}");
    }

    proptest! {
        #[test]
        fn what_is_said_is_within_the_bounds_of_the_service(message in any_message()) {
            let told = said(&message);
            let length = |pointer: &str| told.pointer(pointer).unwrap().as_str().unwrap().chars().count();
            prop_assert!((1..=150).contains(&length("/blocks/0/text/text")));
            prop_assert!((1..=3000).contains(&length("/blocks/1/text/text")));
            for element in told["blocks"][2]["elements"].as_array().unwrap() {
                prop_assert!((1..=3000).contains(&element["text"].as_str().unwrap().chars().count()));
            }
            let link = told.pointer("/blocks/2/elements/1/text").map(|link| link.as_str().unwrap().replace("&amp;", "&"));
            prop_assert_eq!(link, message.runbook.map(|url| format!("<{url}|Runbook>")));
            prop_assert!((1..=4000).contains(&length("/text")));
        }

        #[test]
        fn escaping_loses_nothing_that_fits_and_cuts_no_escape_in_two(text in "[a&<>é ]{0,60}", limit in 6..40_usize) {
            let escaped = escaped(&text, limit);
            prop_assert!(escaped.chars().count() <= limit);
            let plain = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let kept = plain.strip_suffix('…').unwrap_or(&plain);
            prop_assert!(text.starts_with(kept), "{} of {}", kept, text);
            prop_assert!(!escaped.contains(['<', '>']));
            prop_assert_eq!(escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").matches('&').count(), 0);
        }
    }

    #[test]
    fn a_wrong_webhook_is_not_a_wrong_message() {
        assert_eq!(again(400, "user_not_found"), Again::Slowly);
        assert_eq!(again(400, "invalid_payload"), Again::Never);
        assert_eq!(again(410, "channel_is_archived"), Again::Slowly);
        assert_eq!(again(500, "rollup_error"), Again::Soon);
    }
}
