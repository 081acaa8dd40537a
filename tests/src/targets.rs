//! Scripted targets of channels, as strict as the documentation of the real ones, which are not available to a lab:
//! PagerDuty, Slack, SNS and EventBridge. What breaks a rule of theirs is refused, with the rule as the reason.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::{HttpServer, Reply, Request};
use crate::net::{Net, Side};
use crate::process::{output, tool};

/// The keys of the role, as a metadata service hands them out.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// `AccessKeyId`.
    pub access: &'static str,
    /// `SecretAccessKey`.
    pub secret: &'static str,
    /// `Token`.
    pub token: &'static str,
}

/// Starts a server that asks `rules` of each request to `route`; a request that keeps them is answered with `reply`,
/// another one with 400.
///
/// # Errors
/// When the address is not there or taken.
pub fn start(
    net: &Net,
    address: SocketAddr,
    route: &str,
    reply: Reply,
    rules: impl Fn(&Request) -> Result<()> + Send + Sync + 'static,
) -> Result<HttpServer> {
    let server = HttpServer::start(net, Side::Aws, address)?;
    server.on_each(route, move |request| match rules(request) {
        Ok(()) => reply.clone(),
        Err(broken) => Reply::new(400, format!("{broken:#}")),
    });
    Ok(server)
}

/// Events API v2: <https://developer.pagerduty.com/docs/send-alert-event>.
///
/// # Errors
/// The event breaks a rule.
pub fn pagerduty(request: &Request, routing_key: &str) -> Result<()> {
    ensure!(header(request, "content-type")? == "application/json", "content type");
    let event: Value = serde_json::from_slice(&request.body)?;
    ensure!(text(&event, "/routing_key")? == routing_key && routing_key.len() == 32, "routing_key");
    bounded(&event, "/dedup_key", 255)?;
    match text(&event, "/event_action")? {
        "resolve" | "acknowledge" => return Ok(()),
        "trigger" => {}
        other => bail!("event_action {other}"),
    }
    bounded(&event, "/payload/summary", 1024)?;
    bounded(&event, "/payload/source", 1024)?;
    for link in event.get("links").and_then(Value::as_array).into_iter().flatten() {
        ensure!(text(link, "/href")?.starts_with("http"), "a link leads nowhere");
    }
    let severities = ["critical", "error", "warning", "info"];
    ensure!(severities.contains(&text(&event, "/payload/severity")?), "payload.severity");
    if event.pointer("/payload/timestamp").is_some() {
        let time = text(&event, "/payload/timestamp")?;
        ensure!(time.ends_with('Z') && time.chars().nth(10) == Some('T'), "payload.timestamp {time}");
    }
    ensure!(request.body.len() <= 512 * 1024, "larger than 512 KB");
    Ok(())
}

/// Incoming webhooks and Block Kit: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>,
/// <https://docs.slack.dev/reference/block-kit/blocks>.
///
/// # Errors
/// The message breaks a rule.
pub fn slack(request: &Request) -> Result<()> {
    ensure!(header(request, "content-type")? == "application/json", "content type");
    let message: Value = serde_json::from_slice(&request.body)?;
    bounded(&message, "/text", 40_000)?;
    let blocks = message.get("blocks").and_then(Value::as_array).context("no blocks")?;
    ensure!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
    for block in blocks {
        match text(block, "/type")? {
            "header" => {
                ensure!(text(block, "/text/type")? == "plain_text", "a header is plain text");
                bounded(block, "/text/text", 150)?;
            }
            "section" => bounded(block, "/text/text", 3000)?,
            "context" => {
                let elements = block.get("elements").and_then(Value::as_array).context("no elements")?;
                ensure!((1..=10).contains(&elements.len()), "{} elements", elements.len());
                elements.iter().try_for_each(|element| bounded(element, "/text", 3000))?;
            }
            other => bail!("block of type {other}"),
        }
    }
    Ok(())
}

/// `Publish`: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.
///
/// # Errors
/// The request breaks a rule, or its signature is wrong.
pub fn sns(request: &Request, region: &str, topic: &str, keys: Keys) -> Result<()> {
    signed(request, region, "sns", keys)?;
    let parameters = form(request)?;
    let parameter = |name: &str| parameters.get(name).with_context(|| format!("no {name}"));
    ensure!(parameter("Action")? == "Publish" && parameter("Version")? == "2010-03-31", "another action");
    ensure!(parameter("TopicArn")? == topic, "another topic");
    let subject = parameter("Subject")?;
    let is_plain = subject.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !subject.starts_with(' ');
    ensure!((1..=100).contains(&subject.len()) && is_plain, "subject {subject:?}");
    ensure!((1..=262_144).contains(&parameter("Message")?.len()), "message");
    for number in 1..=3 {
        let part = |part: &str| parameter(&format!("MessageAttributes.entry.{number}.{part}"));
        ensure!(!part("Name")?.is_empty() && part("Value.DataType")? == "String", "message attribute");
        ensure!(!part("Value.StringValue")?.is_empty(), "message attribute");
    }
    for name in ["MessageGroupId", "MessageDeduplicationId"] {
        ensure!(parameters.contains_key(name) == topic.ends_with(".fifo"), "{name}");
        ensure!(parameters.get(name).is_none_or(|id| (1..=128).contains(&id.len())), "{name}");
    }
    Ok(())
}

/// `PutEvents`: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.
///
/// # Errors
/// The request breaks a rule, or its signature is wrong.
pub fn eventbridge(request: &Request, region: &str, bus: &str, keys: Keys) -> Result<()> {
    signed(request, region, "events", keys)?;
    ensure!(header(request, "x-amz-target")? == "AWSEvents.PutEvents", "another action");
    ensure!(header(request, "content-type")? == "application/x-amz-json-1.1", "content type");
    ensure!(request.body.len() <= 262_144, "larger than 256 KB");
    let body: Value = serde_json::from_slice(&request.body)?;
    let entries = body.get("Entries").and_then(Value::as_array).context("no entries")?;
    ensure!((1..=10).contains(&entries.len()), "{} entries", entries.len());
    for entry in entries {
        ensure!(text(entry, "/Source")? == "skewguard" && !text(entry, "/DetailType")?.is_empty(), "source");
        ensure!(text(entry, "/EventBusName")? == bus, "another bus");
        let detail: Value = serde_json::from_str(text(entry, "/Detail")?)?;
        ensure!(detail.is_object(), "detail is no object");
        let is_time = entry.get("Time").is_none_or(Value::is_number);
        ensure!(is_time, "a time of JSON 1.1 is a number of seconds");
    }
    Ok(())
}

/// The parameters of a form.
///
/// # Errors
/// The body is none.
pub fn form(request: &Request) -> Result<BTreeMap<String, String>> {
    ensure!(header(request, "content-type")?.starts_with("application/x-www-form-urlencoded"), "content type");
    let body = std::str::from_utf8(&request.body)?;
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').context("no pair")?;
        Ok((decoded(name)?, decoded(value)?))
    };
    body.split('&').map(pair).collect()
}

fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().context("cut")?, rest.next().context("cut")?];
                u8::from_str_radix(std::str::from_utf8(&digits)?, 16)?
            }
            byte => byte,
        });
    }
    Ok(String::from_utf8(bytes)?)
}

/// Works a signature out anew with botocore, an implementation that has nothing in common with the agent's.
const BOTOCORE: &str = r#"
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
given = json.load(sys.stdin)
auth = SigV4Auth(Credentials(given["access"], given["secret"], given["token"]), given["service"], given["region"])
request = AWSRequest(method=given["method"], url=given["url"], headers=given["headers"], data=given["body"].encode())
request.context["timestamp"] = given["headers"]["x-amz-date"]
to_sign = auth.string_to_sign(request, auth.canonical_request(request))
signed = auth.signed_headers(auth.headers_to_sign(request))
print(f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={signed}, Signature={auth.signature(to_sign, request)}")
"#;

fn signed(request: &Request, region: &str, service: &str, keys: Keys) -> Result<()> {
    let authorization = header(request, "authorization")?;
    let (_, rest) = authorization.split_once("SignedHeaders=").context("no signed headers")?;
    let names: Vec<&str> = rest.split(',').next().unwrap_or_default().split(';').collect();
    for required in ["host", "content-type", "x-amz-date", "x-amz-security-token"] {
        ensure!(names.contains(&required), "{required} is not signed");
    }
    let is_amz = |name: &&String| name.starts_with("x-amz-");
    ensure!(
        request.headers.keys().filter(is_amz).all(|name| names.contains(&name.as_str())),
        "an x-amz- header is not signed"
    );
    ensure!(header(request, "x-amz-security-token")? == keys.token, "another token");
    let headers: BTreeMap<&str, &str> =
        names.iter().map(|name| Ok((*name, header(request, name)?))).collect::<Result<_>>()?;
    let given = json!({
        "access": keys.access, "secret": keys.secret, "token": keys.token, "service": service, "region": region,
        "method": request.method, "url": format!("http://{}{}", header(request, "host")?, request.target),
        "headers": headers, "body": std::str::from_utf8(&request.body)?,
    });
    let given = tempfile::NamedTempFile::new().and_then(|file| {
        std::fs::write(file.path(), given.to_string())?;
        Ok(file)
    })?;
    let mut python = Command::new(tool("python3")?);
    let expected = output(python.args(["-c", BOTOCORE]).stdin(std::fs::File::open(given.path())?))?;
    ensure!(authorization == expected.trim(), "the signature is {authorization}, but should be {expected}");
    Ok(())
}

fn header<'a>(request: &'a Request, name: &str) -> Result<&'a str> {
    request.headers.get(name).map(String::as_str).with_context(|| format!("no header {name}"))
}

fn text<'a>(json: &'a Value, pointer: &str) -> Result<&'a str> {
    json.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer}"))
}

fn bounded(json: &Value, pointer: &str, most: usize) -> Result<()> {
    let length = text(json, pointer)?.chars().count();
    ensure!((1..=most).contains(&length), "{pointer} has {length} characters");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], body: &str) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { method: "POST".into(), target: "/".into(), headers, body: body.into() }
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let json = [("content-type", "application/json")];
        let key = "0123456789abcdef0123456789abcdef";
        let event = |action: &str| format!(r#"{{"routing_key":"{key}","dedup_key":"a","event_action":"{action}"}}"#);
        assert!(pagerduty(&request(&json, &event("resolve")), key).is_ok());
        assert!(pagerduty(&request(&json, &event("trigger")), key).is_err(), "a trigger has a payload");
        assert!(pagerduty(&request(&json, &event("resolve")), "another").is_err());
        let message = |text: &str| {
            format!(r#"{{"text":"a","blocks":[{{"type":"header","text":{{"type":"plain_text","text":"{text}"}}}}]}}"#)
        };
        assert!(slack(&request(&json, &message(&"x".repeat(150)))).is_ok());
        assert!(slack(&request(&json, &message(&"x".repeat(151)))).is_err());
        assert!(slack(&request(&json, &message(""))).is_err());
    }

    #[test]
    fn a_form_is_decoded() {
        let form =
            form(&request(&[("content-type", "application/x-www-form-urlencoded")], "a=b%20c%C3%A9&d=")).unwrap();
        assert_eq!(form, [("a", "b cé"), ("d", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
