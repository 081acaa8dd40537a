//! The metrics of a host that is not this one, as a request of OTLP: the same rows, and the same messages as those that
//! the exporter of a host makes of its own snapshot, without an SDK for each host.

use std::collections::BTreeMap;

use opentelemetry::{KeyValue, Value};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{self as common, AnyValue, InstrumentationScope, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric as Encoded, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::catalogue::{COUNTERS, GAUGES};
use super::detail::Detail;
use super::gateway::{compress, unix_nanos};
use super::metric::{InFleet, Metric, Number};
use super::resource::{complete, mark_unverified};
use crate::clock::true_clock::Stamp;
use crate::delivery::item::{Class, Content, Item};
use crate::snapshot::Snapshot;
use crate::time::TrueTime;

/// The attribute that names a host.
const NAME: &str = "host.name";

/// What a host has told of its states so far.
#[derive(Default)]
pub struct Told(BTreeMap<&'static str, Vec<Vec<KeyValue>>>);

/// A host as its telemetry names it.
pub struct Origin<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it says of itself but for its name, as [`resource`](super::resource::resource) has it.
    pub resource: &'a opentelemetry_sdk::Resource,
    /// What else is said of it, beside what its snapshot says.
    pub attributes: &'a [(&'a str, &'a str)],
    /// When its counters began.
    pub start: TrueTime,
}

/// What `origin` exports at `stamp` for a fleet, and how many points that are.
///
/// # Errors
/// It cannot be compressed.
pub fn export(
    origin: &Origin<'_>,
    snapshot: &Snapshot,
    stamp: Stamp,
    told: &mut Told,
) -> std::io::Result<(Item, usize)> {
    let request = request(origin, snapshot, stamp, told);
    let points = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let points = points.flat_map(|scope| &scope.metrics).map(|metric| match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        _ => 0,
    });
    let points = points.sum();
    let item = Item {
        class: Class::Telemetry,
        key: format!("metrics/{}", stamp.time.nanos()),
        at: stamp,
        content: Content::ProtobufGzip,
        body: compress(&request.encode_to_vec())?.into(),
    };
    Ok((item, points))
}

fn request(origin: &Origin<'_>, snapshot: &Snapshot, stamp: Stamp, told: &mut Told) -> ExportMetricsServiceRequest {
    let text = |value: &str| any_value::Value::StringValue(value.to_owned());
    // What the origin says of itself counts, whatever the variables of this process say of it.
    let is_of_origin = |key: &str| {
        key == NAME
            || key.starts_with("cloud.")
            || key.starts_with("host.")
            || key.starts_with("k8s.")
            || origin.attributes.iter().any(|(name, _)| *name == key)
    };
    let said = origin.resource.iter().filter(|(key, _)| !is_of_origin(key.as_str()));
    let mut attributes: Vec<_> = said.map(|(key, value)| attribute(key.as_str(), any(value))).collect();
    attributes.push(attribute(NAME, text(origin.name)));
    attributes.extend(origin.attributes.iter().map(|(key, value)| attribute(key, text(value))));
    let mut resource = Resource { attributes, ..Resource::default() };
    complete(&mut resource, &snapshot.host);
    if !stamp.verified {
        mark_unverified(&mut resource);
    }
    let times = Times { start: unix_nanos(origin.start.min(stamp.time)), now: unix_nanos(stamp.time) };
    let mut metrics = Vec::new();
    for metric in GAUGES {
        let value = number_data_point::Value::AsDouble;
        let data_points = points(metric, snapshot, told, Times { start: 0, ..times }, value);
        metrics.push(encoded(metric, Data::Gauge(Gauge { data_points })));
    }
    for metric in COUNTERS {
        let value = |value: u64| number_data_point::Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX));
        let data_points = points(metric, snapshot, told, times, value);
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        metrics.push(encoded(metric, Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })));
    }
    metrics.retain(|metric| match &metric.data {
        Some(Data::Gauge(gauge)) => !gauge.data_points.is_empty(),
        Some(Data::Sum(sum)) => !sum.data_points.is_empty(),
        _ => false,
    });
    let scope = InstrumentationScope { name: "skewguard".to_owned(), ..InstrumentationScope::default() };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    let of_host = ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_host] }
}

/// In nanoseconds since the Unix epoch.
#[derive(Clone, Copy)]
struct Times {
    start: u64,
    now: u64,
}

fn points<T: Number>(
    metric: &Metric<T>,
    snapshot: &Snapshot,
    told: &mut Told,
    times: Times,
    value: impl Fn(T) -> number_data_point::Value,
) -> Vec<NumberDataPoint> {
    let is_of_states = matches!(metric.in_fleet, InFleet::States);
    let been = is_of_states.then(|| told.0.entry(metric.name).or_default());
    let exported = metric.exported(snapshot, Detail::Fleet, been).into_iter();
    exported
        .map(|(number, attributes)| NumberDataPoint {
            attributes: attributes.iter().map(|one| attribute(one.key.as_str(), any(&one.value))).collect(),
            start_time_unix_nano: times.start,
            time_unix_nano: times.now,
            value: Some(value(number)),
            ..NumberDataPoint::default()
        })
        .collect()
}

fn encoded<T>(metric: &Metric<T>, data: Data) -> Encoded {
    Encoded {
        name: metric.name.to_owned(),
        description: metric.about.to_owned(),
        unit: metric.unit.to_owned(),
        data: Some(data),
        ..Encoded::default()
    }
}

/// All attributes of this agent's metrics are texts.
fn any(value: &Value) -> any_value::Value {
    any_value::Value::StringValue(value.as_str().into_owned())
}

fn attribute(key: &str, value: any_value::Value) -> common::KeyValue {
    common::KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use arc_swap::ArcSwap;
    use async_trait::async_trait;

    use super::*;
    use crate::clock::local;
    use crate::clock::true_clock::TrueClock;
    use crate::config::load::parse;
    use crate::delivery::queue::{Budget, Rhythm};
    use crate::delivery::request::{Answer, Destination, Failure};
    use crate::delivery::spool::Spool;
    use crate::engine::{Engine, Event};
    use crate::host::identity::name;
    use crate::snapshot::Delivery;
    use crate::telemetry::export::{Instruments, Outboxes, Telemetry};
    use crate::telemetry::resource::resource;

    /// Keeps the last request.
    #[derive(Default)]
    struct Collector(Mutex<Option<ExportMetricsServiceRequest>>);

    fn decode(item: &Item) -> ExportMetricsServiceRequest {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(item.body.as_ref()).read_to_end(&mut plain).unwrap();
        ExportMetricsServiceRequest::decode(plain.as_slice()).unwrap()
    }

    #[async_trait]
    impl Destination for Collector {
        async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
            *self.0.lock().unwrap() = Some(decode(item));
            Ok(Answer { status: 200, body: bytes::Bytes::new() })
        }
    }

    /// The same in one order, and without when it was.
    fn comparable(mut request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
        for of_host in &mut request.resource_metrics {
            of_host.resource.as_mut().unwrap().attributes.sort_by(|one, other| one.key.cmp(&other.key));
            for scope in &mut of_host.scope_metrics {
                scope.metrics.sort_by(|one, other| one.name.cmp(&other.name));
                for metric in &mut scope.metrics {
                    let points = match metric.data.as_mut().unwrap() {
                        Data::Gauge(gauge) => &mut gauge.data_points,
                        Data::Sum(sum) => &mut sum.data_points,
                        other => panic!("{other:?}"),
                    };
                    for point in points.iter_mut() {
                        point.time_unix_nano = point.time_unix_nano.min(1);
                        point.start_time_unix_nano = point.start_time_unix_nano.min(1);
                        point.attributes.sort_by(|one, other| one.key.cmp(&other.key));
                    }
                    points.sort_by_key(|point| format!("{:?}", point.attributes));
                }
            }
        }
        request
    }

    #[tokio::test]
    async fn a_host_of_a_fleet_says_what_the_exporter_of_this_host_says_of_the_same() {
        let yaml = "sources: [{ name: a, ntp: 127.0.0.1 }, { name: b, ntp: 127.0.0.2 }]\n\
                    telemetry: { otlp: { endpoint: \"http://127.0.0.1:9\" } }";
        let config = Arc::new(parse(yaml, Path::new("test.yaml"), &|_| None).unwrap());
        let now = local::read();
        let mut engine = Engine::new(Arc::clone(&config), now);
        let sent = Delivery {
            destination: "otlp-metrics".to_owned(),
            queued: 1,
            bytes: 2,
            delivered: 3,
            dropped: 4,
            failures: 5,
            refusals: 6,
            error: None,
            last_delivered: None,
            on_disk: false,
        };
        engine.handle(Event::Delivery(sent), now);
        let mut before = engine.snapshot(now);
        before.clock.state = "unknown".to_owned();
        let mut snapshot = engine.snapshot(now);
        snapshot.clock.state = "synchronized".to_owned();
        snapshot.clock.offset_seconds = Some(0.25);
        snapshot.clock.drift_ppm = Some(500.0);
        snapshot.limits.iter_mut().for_each(|limit| limit.margin_seconds = Some(7.0));
        snapshot.host.insert("cloud.region".to_owned(), "eu-central-1".to_owned());

        let clock = Arc::new(TrueClock::default());
        clock.set(TrueTime::from_seconds(2e9).anchored(now.boot), true);
        let published = Arc::new(ArcSwap::from_pointee(before.clone()));
        let collector = Arc::new(Collector::default());
        let spool = Spool::start(None, Budget { size: 1_000_000, age: Duration::from_secs(1) }, |_| true);
        let lane = spool.lane("otlp", Rhythm::AsItComes, Arc::clone(&collector) as _);
        let outboxes = Outboxes { metrics: Some(lane), logs: None };
        let instruments = Instruments::new(Arc::clone(&published), clock);
        let otlp = config.telemetry.otlp.as_ref().unwrap();
        // What is over is told once more.
        for told in [before.clone(), snapshot.clone()] {
            published.store(Arc::new(told));
            Telemetry::start(otlp, &|_| None, &instruments, &outboxes).unwrap().end().await;
        }
        spool.close().await;
        let exported = collector.0.lock().unwrap().take().unwrap();

        let mut told = Told::default();
        let name = name();
        let (resource, start) = (resource(), TrueTime::from_seconds(1e9));
        let origin = Origin { name: &name, resource: &resource, attributes: &[], start };
        let stamp = Stamp { time: TrueTime::from_seconds(2e9), verified: true };
        export(&origin, &before, stamp, &mut told).unwrap();
        let (item, points) = export(&origin, &snapshot, stamp, &mut told).unwrap();
        assert!(points > 10, "{points}");
        assert_eq!(comparable(decode(&item)), comparable(exported));
    }
}
