//! What takes telemetry and alerts, and refuses whatever is not as the OpenTelemetry specification and the project's own
//! documents have it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, number_data_point};
use prost::Message as _;
use serde_json::Value;

use crate::http::{HttpServer, Reply, Request};
use crate::net::{Net, Side};

/// Where metrics arrive.
pub const METRICS: &str = "POST /v1/metrics";
/// Where log records arrive.
pub const LOGS: &str = "POST /v1/logs";
/// Where a webhook's messages arrive.
pub const HOOK: &str = "POST /hook";

/// Attributes by their names, values as text.
pub type Attributes = BTreeMap<String, String>;

/// One point of a metric. Times are nanoseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The metric with its attributes.
    pub series: String,
    /// Since when it counts; `None` where it does not count.
    pub start: Option<u64>,
    /// When it was so.
    pub time: u64,
    /// The value; the number of observations of a histogram.
    pub value: f64,
}

/// The metrics of one request.
#[derive(Clone, Debug)]
pub struct Export {
    /// When it arrived, by the machine's clock.
    pub arrived: f64,
    /// The time of all its points, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// Who speaks.
    pub resource: Attributes,
    /// The points, all of different series.
    pub points: Vec<Point>,
}

impl Export {
    /// The point of a metric that has but one.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.points.iter().find(|point| point.series.starts_with(&format!("{metric}{{"))).map(|point| point.value)
    }

    /// When it was collected, in seconds since the Unix epoch.
    pub fn seconds(&self) -> f64 {
        seconds(self.time)
    }
}

/// One log record.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it arrived, by the machine's clock.
    pub arrived: f64,
    /// Its time in seconds since the Unix epoch.
    pub time: f64,
    /// Its idempotency key.
    pub key: String,
    /// All its attributes.
    pub attributes: Attributes,
}

/// One message of a webhook.
#[derive(Clone, Debug)]
pub struct Told {
    /// When it arrived, by the machine's clock.
    pub arrived: f64,
    /// Its idempotency key.
    pub key: String,
    /// The body.
    pub body: Value,
}

impl Told {
    /// A member of the body that is text.
    pub fn text(&self, member: &str) -> &str {
        self.body.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// A time in the body, in seconds since the Unix epoch; NaN where it is none.
    pub fn time(&self, member: &str) -> f64 {
        seconds_of(self.text(member)).unwrap_or(f64::NAN)
    }
}

/// All that was taken, in the order of its arrival, and what was wrong.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Requests with metrics.
    pub exports: Vec<Export>,
    /// Log records.
    pub records: Vec<Record>,
    /// Messages of the webhook.
    pub told: Vec<Told>,
    /// Why a request was refused.
    pub faults: Vec<String>,
}

/// A collector and a webhook in one, which a test takes down and brings up again.
pub struct Receiver<'net> {
    net: &'net Net,
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
    server: Option<HttpServer>,
}

impl<'net> Receiver<'net> {
    /// One that is up, on AWS's side.
    ///
    /// # Errors
    /// When the address is not there or taken.
    pub fn start(net: &'net Net, address: SocketAddr) -> Result<Self> {
        let mut receiver = Self { net, address, taken: Arc::default(), server: None };
        receiver.up()?;
        Ok(receiver)
    }

    /// Refuses connections from now on.
    pub fn down(&mut self) {
        self.server = None;
    }

    /// Takes everything from now on.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn up(&mut self) -> Result<()> {
        let server = HttpServer::start(self.net, Side::Aws, self.address)?;
        self.server = Some(server);
        for route in [METRICS, LOGS, HOOK] {
            self.answer(route, |_| Reply::ok(""));
        }
        Ok(())
    }

    /// Answers what is right with what `reply` makes of it; it counts as taken where that is a 2xx. What is wrong is
    /// answered with 400. Does nothing while it is down.
    pub fn answer(&self, route: &str, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        let taken = Arc::clone(&self.taken);
        let answer = move |request: &Request| {
            let arrived = now();
            let mut seen = Taken::default();
            if let Err(error) = judge(request, arrived, &mut seen) {
                lock(&taken).faults.push(format!("{}: {error:#}", request.route()));
                return Reply::new(400, "");
            }
            let reply = reply(request);
            if (200..300).contains(&reply.status) {
                let mut taken = lock(&taken);
                taken.exports.append(&mut seen.exports);
                taken.records.append(&mut seen.records);
                taken.told.append(&mut seen.told);
            }
            reply
        };
        if let Some(server) = &self.server {
            server.on_each(route, answer);
        }
    }

    /// What was taken so far.
    pub fn taken(&self) -> Taken {
        lock(&self.taken).clone()
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine's clock, in seconds since the Unix epoch.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(f64::NAN, |since| since.as_secs_f64())
}

/// A time of RFC 3339 in seconds since the Unix epoch.
///
/// # Errors
/// When it is none.
pub fn seconds_of(text: &str) -> Result<f64> {
    let time = DateTime::parse_from_rfc3339(text).with_context(|| format!("no time: {text:?}"))?;
    seconds_from(time.timestamp_nanos_opt().context("the time is out of range")?)
}

fn seconds_from(nanos: i64) -> Result<f64> {
    Ok(seconds(u64::try_from(nanos).context("the time is before 1970")?))
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn judge(request: &Request, arrived: f64, seen: &mut Taken) -> Result<()> {
    match request.route().as_str() {
        METRICS => seen.exports.push(metrics(&otlp_body(request)?, arrived)?),
        LOGS => seen.records = records(&otlp_body(request)?, arrived)?,
        _ => seen.told.push(message(request, arrived)?),
    }
    Ok(())
}

fn otlp_body(request: &Request) -> Result<Vec<u8>> {
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    ensure!(header("content-type") == Some("application/x-protobuf"), "content type {:?}", header("content-type"));
    match header("content-encoding") {
        None => Ok(request.body.clone()),
        Some("gzip") => {
            let mut plain = Vec::new();
            GzDecoder::new(request.body.as_slice()).read_to_end(&mut plain)?;
            Ok(plain)
        }
        Some(other) => anyhow::bail!("content encoding {other:?}"),
    }
}

/// Reads a request with metrics.
///
/// # Errors
/// When it is none, or not as it should be.
pub fn metrics(body: &[u8], arrived: f64) -> Result<Export> {
    let request = ExportMetricsServiceRequest::decode(body)?;
    let [resource_metrics] = request.resource_metrics.as_slice() else {
        anyhow::bail!("{} resources", request.resource_metrics.len());
    };
    let resource = attributes(&resource_metrics.resource.as_ref().context("no resource")?.attributes)?;
    ensure!(resource.contains_key("service.name"), "nobody speaks");
    let mut points = Vec::new();
    for metric in resource_metrics.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
        add_points(metric, &mut points).with_context(|| metric.name.clone())?;
    }
    let time = points.first().context("no points")?.time;
    for Point { series, start, time: own, .. } in &points {
        ensure!(*own == time && time > 0, "{series}: its time is {own}, and another's {time}");
        ensure!(start.is_none_or(|start| 0 < start && start <= time), "{series}: it starts at {start:?} of {time}");
    }
    let all: BTreeSet<_> = points.iter().map(|point| &point.series).collect();
    ensure!(all.len() == points.len(), "a series is there twice");
    Ok(Export { arrived, time, resource, points })
}

fn add_points(metric: &Metric, points: &mut Vec<Point>) -> Result<()> {
    let mut add = |own: &[KeyValue], start, time, value| -> Result<()> {
        let attributes = attributes(own)?;
        let list: Vec<_> = attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        points.push(Point { series: format!("{}{{{}}}", metric.name, list.join(",")), start, time, value });
        Ok(())
    };
    let number = |value: &Option<number_data_point::Value>| match value {
        Some(number_data_point::Value::AsDouble(value)) => Ok(*value),
        Some(number_data_point::Value::AsInt(value)) => Ok(*value as f64),
        None => anyhow::bail!("a point without a value"),
    };
    let cumulative = |temporality: i32| {
        ensure!(temporality == i32::from(AggregationTemporality::Cumulative as u8), "it is not cumulative");
        Ok(())
    };
    match metric.data.as_ref().context("no data")? {
        Data::Gauge(gauge) => {
            for point in &gauge.data_points {
                add(&point.attributes, None, point.time_unix_nano, number(&point.value)?)?;
            }
        }
        Data::Sum(sum) => {
            cumulative(sum.aggregation_temporality)?;
            for point in &sum.data_points {
                let start = Some(point.start_time_unix_nano);
                add(&point.attributes, start, point.time_unix_nano, number(&point.value)?)?;
            }
        }
        Data::Histogram(histogram) => {
            cumulative(histogram.aggregation_temporality)?;
            for point in &histogram.data_points {
                ensure!(point.bucket_counts.iter().sum::<u64>() == point.count, "its buckets do not add up");
                let start = Some(point.start_time_unix_nano);
                add(&point.attributes, start, point.time_unix_nano, point.count as f64)?;
            }
        }
        Data::ExponentialHistogram(_) | Data::Summary(_) => anyhow::bail!("an instrument that nobody documented"),
    }
    Ok(())
}

/// Reads a request with log records.
///
/// # Errors
/// When it is none, or not as it should be.
pub fn records(body: &[u8], arrived: f64) -> Result<Vec<Record>> {
    let request = ExportLogsServiceRequest::decode(body)?;
    let all = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    let records: Vec<_> =
        all.flat_map(|scope| &scope.log_records).map(|one| record(one, arrived)).collect::<Result<_>>()?;
    ensure!(!records.is_empty(), "no records");
    Ok(records)
}

fn record(record: &LogRecord, arrived: f64) -> Result<Record> {
    ensure!(record.event_name == "skewguard.alert", "the event is {:?}", record.event_name);
    ensure!(record.time_unix_nano > 0 && record.observed_time_unix_nano > 0, "it has no time");
    let attributes = attributes(&record.attributes)?;
    for name in ["alert", "alert.id", "alert.change", "severity", "time.verified"] {
        ensure!(attributes.contains_key(name), "{name} is missing");
    }
    let key = attributes.get("alert.key").context("it has no key")?.clone();
    Ok(Record { arrived, time: seconds(record.time_unix_nano), key, attributes })
}

fn message(request: &Request, arrived: f64) -> Result<Told> {
    let key = request.headers.get("idempotency-key").context("it has no idempotency key")?.clone();
    let told = Told { arrived, key, body: serde_json::from_slice(&request.body)? };
    ensure!(told.text("event") == "skewguard.alert", "the event is {:?}", told.text("event"));
    for time in ["since", "true_time", "system_time"] {
        seconds_of(told.text(time)).context(time)?;
    }
    let expected = [told.text("id"), told.text("change"), told.text("severity"), told.text("true_time")].join("/");
    ensure!(told.key == expected, "its key is {}, and its body says {expected}", told.key);
    Ok(told)
}

fn attributes(all: &[KeyValue]) -> Result<Attributes> {
    let mut read = Attributes::new();
    for KeyValue { key, value, .. } in all {
        let text = match value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => text.clone(),
            Some(any_value::Value::BoolValue(value)) => value.to_string(),
            Some(any_value::Value::IntValue(value)) => value.to_string(),
            Some(any_value::Value::DoubleValue(value)) => value.to_string(),
            other => anyhow::bail!("{key} is {other:?}"),
        };
        ensure!(!key.is_empty() && read.insert(key.clone(), text).is_none(), "{key:?} is there twice");
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, NumberDataPoint, ResourceMetrics, ScopeMetrics};
    use opentelemetry_proto::tonic::resource::v1::Resource;

    use super::*;

    fn request(times: &[u64]) -> Vec<u8> {
        let value = Some(AnyValue { value: Some(any_value::Value::StringValue("skewguard".into())) });
        let name = KeyValue { key: "service.name".into(), value, ..KeyValue::default() };
        let metric = |(index, time): (usize, &u64)| {
            let value = Some(number_data_point::Value::AsDouble(1.5));
            let point = NumberDataPoint { time_unix_nano: *time, value, ..NumberDataPoint::default() };
            let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
            Metric { name: format!("m{index}"), data, ..Metric::default() }
        };
        let metrics = times.iter().enumerate().map(metric).collect();
        let resource = Some(Resource { attributes: vec![name], ..Resource::default() });
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    }

    #[test]
    fn points_of_one_time_are_taken_and_of_two_or_none_refused() {
        let export = metrics(&request(&[7, 7]), 0.0).unwrap();
        assert_eq!((export.time, export.value("m1"), export.value("m")), (7, Some(1.5), None));
        for times in [&[7, 8][..], &[0], &[]] {
            assert!(metrics(&request(times), 0.0).is_err(), "{times:?}");
        }
        assert!(metrics(b"\xff", 0.0).is_err());
    }

    #[test]
    fn a_time_of_rfc_3339_is_seconds() {
        assert!((seconds_of("1970-01-01T00:01:00.250Z").unwrap() - 60.25).abs() < 1e-9);
        assert!(seconds_of("noon").is_err());
    }
}
