//! An OTLP collector (HTTP, protobuf).

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use percent_encoding::percent_decode_str;
use prost::Message;
use reqwest::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use super::gateway::Signal;
use crate::clock::true_clock::TrueClock;
use crate::delivery::aws_refusal::judged;
use crate::delivery::client::Client;
use crate::delivery::item::{Content, Item};
use crate::delivery::request::{Answer, Destination, Failure, Post, add_secrets, masked, send};
use crate::delivery::signature::{Service, Unsigned, signed};
use crate::setting::masker::Masker;
use crate::setting::secret::SecretRef;
use crate::setting::tls::Tls;
use crate::setting::url::WebUrl;
use crate::telemetry::otlp::{Otlp, Sigv4};

/// More of what a collector says is not repeated.
const LONGEST_MESSAGE: usize = 200;
/// So many log records are sent in one request, where more have waited.
const MOST_RECORDS: usize = 200;
/// No request of this agent is longer, in bytes.
const LONGEST_REQUEST: u64 = 1024 * 1024;

/// Where one signal goes.
pub struct OtlpDestination {
    client: Client,
    signal: Signal,
    url: WebUrl,
    headers: Vec<(String, SecretRef)>,
    /// Variables that hold headers.
    variables: Vec<String>,
    timeout: Duration,
    /// How requests are signed, and by what time.
    signer: Option<(Sigv4, Arc<TrueClock>)>,
}

/// Where a signal goes by the configuration, or else by the `OTEL_*` variables; `None` where nowhere.
pub fn url(signal: Signal, config: &Otlp, env: &dyn Fn(&str) -> Option<String>) -> Option<WebUrl> {
    let variable = |name: String| env(&name).filter(|endpoint| !endpoint.is_empty()).map(WebUrl::unchecked);
    let below = |base: &WebUrl| base.followed_by(signal.path());
    if let Some(base) = &config.endpoint {
        return Some(below(base));
    }
    // What is signed has the token of a session in it, and goes nowhere that the file does not name.
    if let Some(sigv4) = &config.sigv4 {
        return sigv4.url(signal);
    }
    variable(format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.variable()))
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()).as_ref().map(below))
}

/// A client certificate without its key, or a key without its certificate.
#[derive(Debug, thiserror::Error)]
#[error("{given} is set and {missing} is not: a client certificate needs its key, so set both or neither")]
pub struct HalfIdentity {
    given: &'static str,
    missing: &'static str,
}

/// Whom TLS trusts for a signal, and as whom it speaks, by the configuration, or else by the `OTEL_*` variables.
///
/// # Errors
/// The variables name a client certificate without a key, or a key without a certificate.
pub fn tls(signal: Signal, config: &Otlp, env: &dyn Fn(&str) -> Option<String>) -> Result<Tls, HalfIdentity> {
    if config.tls != Tls::default() {
        return Ok(config.tls.clone());
    }
    let file = |name: &str| {
        let of_signal = env(&format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.variable()));
        let path = of_signal.filter(|path| !path.is_empty()).or_else(|| env(&format!("OTEL_EXPORTER_OTLP_{name}")));
        path.filter(|path| !path.is_empty()).map(PathBuf::from)
    };
    let identity = match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (certificate, _) => {
            let (given, missing) = ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY");
            let (given, missing) = if certificate.is_some() { (given, missing) } else { (missing, given) };
            return Err(HalfIdentity { given, missing });
        }
    };
    Ok(Tls { ca: file("CERTIFICATE"), identity })
}

impl OtlpDestination {
    /// Where `signal` goes, at `url`; what is signed is signed by `clock`.
    pub fn new(
        client: Client,
        clock: &Arc<TrueClock>,
        signal: Signal,
        url: WebUrl,
        config: &Otlp,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let all =
            ["OTEL_EXPORTER_OTLP_HEADERS".to_owned(), format!("OTEL_EXPORTER_OTLP_{}_HEADERS", signal.variable())];
        let variables = all.into_iter().filter(|name| env(name).is_some()).collect();
        let signer = config.sigv4.clone().map(|sigv4| (sigv4, Arc::clone(clock)));
        Self { client, signal, url, headers: config.headers.clone(), variables, timeout: config.timeout, signer }
    }
}

#[async_trait]
impl Destination for OtlpDestination {
    async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
        let mut masker = Masker::default();
        let outcome = self.sent(item, &mut masker).await;
        masked(outcome, &masker)
    }

    fn most_joined(&self) -> usize {
        match self.signal {
            Signal::Metrics => 1,
            Signal::Logs => MOST_RECORDS,
        }
    }

    fn join(&self, items: &[Item]) -> Option<Item> {
        joined(items)
    }
}

impl OtlpDestination {
    /// What comes of one attempt, with what `masker` has to mask in it.
    async fn sent(&self, item: &Item, masker: &mut Masker) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        for variable in &self.variables {
            add_listed(&mut headers, &std::env::var(variable).unwrap_or_default());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if item.content == Content::ProtobufGzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        add_secrets(&mut headers, &self.headers, masker)?;
        let answer = match &self.signer {
            None => self.post(self.url.clone(), headers, item, masker).await?,
            Some((sigv4, clock)) => {
                let signed = async {
                    let url = self.sign(sigv4, clock, &mut headers, &item.body, masker).await?;
                    let answer = self.post(url, headers, item, masker).await;
                    answer.map_err(|failure| judged(failure, item.class))
                };
                // The keys as well have to be there by then.
                timeout(self.timeout, signed).await.unwrap_or_else(|_| Err(Failure::transient("no answer in time")))?
            }
        };
        match rejection(self.signal, &answer.body) {
            Some(reason) => Err(Failure { answer: Some(answer), ..Failure::lasting(reason) }),
            None => Ok(answer),
        }
    }
}

impl OtlpDestination {
    async fn post(&self, url: WebUrl, headers: HeaderMap, item: &Item, masker: &mut Masker) -> Result<Answer, Failure> {
        let post = Post { url, headers, body: item.body.clone(), timeout: self.timeout };
        send(&self.client, post, item.class, masker).await
    }

    /// Adds all that makes a request one of the role's, and tells where it goes to the letter.
    async fn sign(
        &self,
        sigv4: &Sigv4,
        clock: &TrueClock,
        headers: &mut HeaderMap,
        body: &[u8],
        masker: &mut Masker,
    ) -> Result<WebUrl, Failure> {
        if let Some((group, stream)) = sigv4.log.as_ref().filter(|_| self.signal == Signal::Logs) {
            for (name, value) in [("x-aws-log-group", group), ("x-aws-log-stream", stream)] {
                let unfit = |_| Failure::transient(format!("the {name} is not fit for a header"));
                headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).map_err(unfit)?);
            }
        }
        let url = self.url.parts().ok_or_else(|| Failure::transient("the endpoint is no URL"))?.to_string();
        let service = Service { name: sigv4.service(self.signal), region: &sigv4.region };
        let unsigned = Unsigned { method: "POST", url: &url, headers, body };
        let signature = signed(&unsigned, service, Some(&sigv4.imds), clock).await?;
        signature.values().filter(|value| value.is_sensitive()).for_each(|value| masker.hide(value.as_bytes()));
        headers.extend(signature);
        // An idle connection would keep its buffers, and the token of the session in them.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(WebUrl::unchecked(url))
    }
}

/// One request with what is in several: requests of OTLP are lists, which Protocol Buffers join where they stand one
/// behind the other. `None` where one of them is none.
fn joined(items: &[Item]) -> Option<Item> {
    let first = items.first()?;
    let mut body = Vec::new();
    for item in items {
        match item.content {
            Content::Protobuf => body.extend_from_slice(&item.body),
            Content::ProtobufGzip => {
                GzDecoder::new(item.body.as_ref()).take(LONGEST_REQUEST).read_to_end(&mut body).ok()?;
            }
            Content::Json => return None,
        }
    }
    if first.content == Content::ProtobufGzip {
        let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
        compressed.write_all(&body).ok()?;
        body = compressed.finish().ok()?;
    }
    Some(Item { body: body.into(), ..first.clone() })
}

/// What a collector says that it threw away of what it took: the partial success of OTLP, which is not to be sent again.
fn rejection(signal: Signal, body: &[u8]) -> Option<String> {
    let (rejected, what, message) = match signal {
        Signal::Metrics => {
            let partial = ExportMetricsServiceResponse::decode(body).ok()?.partial_success?;
            (partial.rejected_data_points, "points", partial.error_message)
        }
        Signal::Logs => {
            let partial = ExportLogsServiceResponse::decode(body).ok()?.partial_success?;
            (partial.rejected_log_records, "records", partial.error_message)
        }
    };
    let message: String = message.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect();
    (rejected > 0).then(|| format!("the collector rejected {rejected} {what}: {message}"))
}

/// Adds the headers of a list such as `a=1,b=%20`, as the OpenTelemetry specification has it. What is no header is left
/// out.
fn add_listed(headers: &mut HeaderMap, list: &str) {
    for (name, value) in list.split(',').filter_map(|pair| pair.split_once('=')) {
        let value = percent_decode_str(value.trim()).decode_utf8_lossy();
        if let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.trim().as_bytes()), HeaderValue::from_str(&value))
        {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

    use super::*;
    use crate::delivery::client::tests::plain;
    use crate::delivery::item::Class;
    use crate::delivery::item::tests::item;
    use crate::demo::http::{Response, start};

    fn config(endpoint: Option<&str>) -> Otlp {
        let timeout = Duration::from_secs(1);
        let endpoint = endpoint.map(|url| WebUrl::unchecked(url.to_owned()));
        Otlp { endpoint, headers: Vec::new(), interval: timeout, timeout, tls: Default::default(), sigv4: None }
    }

    #[test]
    fn the_configuration_wins_over_the_variable_of_the_signal_and_that_over_the_general_one() {
        let env = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://general/".to_owned()),
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT" => Some("http://logs/as/it/is".to_owned()),
            _ => None,
        };
        assert!(url(Signal::Logs, &config(Some("http://c/x/")), &env).unwrap() == WebUrl::from("http://c/x/v1/logs"));
        assert!(url(Signal::Logs, &config(None), &env).unwrap() == WebUrl::from("http://logs/as/it/is"));
        assert!(url(Signal::Metrics, &config(None), &env).unwrap() == WebUrl::from("http://general/v1/metrics"));
        assert!(url(Signal::Metrics, &config(None), &|_| None).is_none());
    }

    #[test]
    fn what_is_signed_goes_to_whom_the_file_names_and_never_to_whom_the_environment_does() {
        let env = |name: &str| name.starts_with("OTEL_EXPORTER_OTLP_").then(|| "http://sidecar:4318".to_owned());
        let sigv4 = |log| Sigv4 {
            region: "cn-north-1".into(),
            service: None,
            log,
            imds: crate::credentials::imds::fake::config("http://127.0.0.1:1"),
        };
        let with = |endpoint, log| Otlp { sigv4: Some(sigv4(log)), ..config(endpoint) };
        let logs = || Some(("/g".to_owned(), "s".to_owned()));
        let at =
            |signal, config: &Otlp| url(signal, config, &env).map(|url| url.reveal(&mut Masker::default()).to_owned());
        let metrics = at(Signal::Metrics, &with(None, None));
        assert_eq!(metrics.as_deref(), Some("https://monitoring.cn-north-1.amazonaws.com.cn/v1/metrics"));
        let told = at(Signal::Logs, &with(None, logs()));
        assert_eq!(told.as_deref(), Some("https://logs.cn-north-1.amazonaws.com.cn/v1/logs"));
        assert_eq!(at(Signal::Logs, &with(None, None)), None);
        let own = at(Signal::Logs, &with(Some("https://own"), None));
        assert_eq!(own.as_deref(), Some("https://own/v1/logs"));
    }

    #[test]
    fn requests_are_joined_to_one_that_says_what_they_say_in_their_order() {
        let record = |text: &str, content| {
            let body = AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) };
            let log_records = vec![LogRecord { body: Some(body), ..LogRecord::default() }];
            let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
            let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
            let plain = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
            let mut item = item(Class::Alert, text, &plain);
            item.content = content;
            if content == Content::ProtobufGzip {
                let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
                compressed.write_all(&plain).unwrap();
                item.body = compressed.finish().unwrap().into();
            }
            item
        };
        let (plain, gzip) = (Content::Protobuf, Content::ProtobufGzip);
        for contents in [[plain, plain, plain], [gzip, gzip, gzip], [gzip, plain, gzip], [plain, gzip, plain]] {
            let items: Vec<_> =
                ["a", "b", "c"].iter().zip(contents).map(|(text, content)| record(text, content)).collect();
            let whole = joined(&items).unwrap();
            assert_eq!((&whole.key, whole.content), (&items[0].key, contents[0]));
            let mut body = whole.body.to_vec();
            if whole.content == gzip {
                body = Vec::new();
                GzDecoder::new(whole.body.as_ref()).read_to_end(&mut body).unwrap();
            }
            let request = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
            let records = request.resource_logs.iter().flat_map(|one| &one.scope_logs).flat_map(|one| &one.log_records);
            let texts = records.map(|record| match &record.body.as_ref().unwrap().value {
                Some(any_value::Value::StringValue(text)) => text.as_str(),
                other => panic!("{other:?}"),
            });
            let texts: Vec<_> = texts.collect();
            assert_eq!(texts, ["a", "b", "c"]);
        }
        let damaged = Item { content: gzip, ..record("a", plain) };
        assert_eq!(joined(&[record("a", plain), damaged]), None);
        assert_eq!(joined(&[]), None);
    }

    #[test]
    fn tls_follows_the_configuration_or_else_the_variables_each_for_the_signal_or_for_both() {
        let env = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_CERTIFICATE" => Some("/ca".to_owned()),
            "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE" => Some("/logs-ca".to_owned()),
            "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE" => Some("/cert".to_owned()),
            "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY" => Some("/key".to_owned()),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY" => Some(String::new()),
            _ => None,
        };
        let metrics = tls(Signal::Metrics, &config(None), &env).unwrap();
        assert_eq!(metrics, Tls { ca: Some("/ca".into()), identity: Some(("/cert".into(), "/key".into())) });
        let logs = tls(Signal::Logs, &config(None), &env).unwrap();
        assert_eq!(logs, Tls { ca: Some("/logs-ca".into()), identity: None });
        let own = Tls { ca: Some("/own".into()), identity: None };
        let configured = Otlp { tls: own.clone(), ..config(None) };
        assert_eq!(tls(Signal::Metrics, &configured, &env).unwrap(), own);
    }

    #[test]
    fn half_an_identity_is_an_error_that_names_the_other_half() {
        let with = |given: &str| {
            tls(Signal::Logs, &config(None), &|name| (name == given).then(|| "/f".into())).err().unwrap().to_string()
        };
        assert!(with("OTEL_EXPORTER_OTLP_CLIENT_KEY").contains("and OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is not"));
        assert!(
            with("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE").contains("and OTEL_EXPORTER_OTLP_CLIENT_KEY is not")
        );
    }

    #[test]
    fn what_a_collector_threw_away_is_told_and_an_empty_answer_is_not() {
        use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
        let answer = |rejected_data_points| {
            let error_message = "too\nold".to_owned();
            let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
            ExportMetricsServiceResponse { partial_success }.encode_to_vec()
        };
        let told = rejection(Signal::Metrics, &answer(3)).unwrap();
        assert_eq!(told, "the collector rejected 3 points: tooold");
        for harmless in [answer(0), Vec::new(), b"{}".to_vec()] {
            assert_eq!(rejection(Signal::Metrics, &harmless), None);
        }
    }

    #[tokio::test]
    async fn what_a_collector_repeats_of_a_secret_is_understood_first_and_then_masked() {
        use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
        let echo = start(|request| {
            let error_message = format!("{} is odd", request.header("x-token").unwrap());
            let partial_success = Some(ExportLogsPartialSuccess { rejected_log_records: 1, error_message });
            let body = ExportLogsServiceResponse { partial_success }.encode_to_vec();
            Response { body, ..Response::ok("") }
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hunter2hunter2").unwrap();
        let headers = vec![("x-token".to_owned(), SecretRef::File(folder.path().join("token")))];
        let config = Otlp { headers, ..config(None) };
        let url = WebUrl::unchecked(format!("http://{}/v1/logs", echo.await.unwrap()));
        let destination = OtlpDestination::new(plain(), &Arc::default(), Signal::Logs, url, &config, &|_| None);
        let (content, at) = (Content::Protobuf, TrueClock::default().now());
        let item = Item { class: Class::Telemetry, key: "a".into(), at, content, body: "".into() };
        let failure = destination.attempt(&item).await.unwrap_err();
        assert_eq!(failure.reason, "the collector rejected 1 records: *** is odd");
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }

    #[test]
    fn headers_of_a_variable_are_decoded_and_nonsense_is_left_out() {
        let mut headers = HeaderMap::new();
        add_listed(&mut headers, "authorization=Bearer%20a=b, x-tenant = 7 ,nonsense,=1,a b=2");
        assert_eq!(headers.get("authorization").unwrap(), "Bearer a=b");
        assert_eq!(headers.get("x-tenant").unwrap(), "7");
        assert_eq!(headers.len(), 2);
    }
}
