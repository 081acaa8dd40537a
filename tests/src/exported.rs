//! What hosts export that there are not, in the form in which an agent sends it: for tests of backends, and of what is asked
//! of these.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::observability::scheme::metrics;

/// One value.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The metric, as OpenTelemetry calls it.
    pub metric: &'static str,
    /// Its attributes.
    pub attributes: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// A value with its attributes.
pub fn sample(metric: &'static str, attributes: &[(&'static str, &str)], value: f64) -> Sample {
    let attributes = attributes.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Sample { metric, attributes, value }
}

/// One host, and all that it exports at a moment.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its resource.
    pub resource: Vec<(&'static str, String)>,
    /// Its values.
    pub samples: Vec<Sample>,
}

/// A request with what these hosts export now.
///
/// # Panics
/// A metric is none of the agent's, or the clock stands before 1970.
pub fn request(hosts: &[Exported]) -> ExportMetricsServiceRequest {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_nanos();
    let now = u64::try_from(now).expect("it is earlier than 2554");
    let known = metrics();
    let metric = |sample: &Sample| {
        let about = known.get(sample.metric).expect("it is a metric of the agent");
        let point = NumberDataPoint {
            attributes: attributes(&sample.attributes),
            time_unix_nano: now,
            value: Some(number_data_point::Value::AsDouble(sample.value)),
            ..NumberDataPoint::default()
        };
        let data = if about.kind == "counter" {
            let aggregation_temporality = AggregationTemporality::Cumulative.into();
            Data::Sum(Sum { data_points: vec![point], aggregation_temporality, is_monotonic: true })
        } else {
            Data::Gauge(Gauge { data_points: vec![point] })
        };
        Metric { name: sample.metric.to_owned(), unit: about.unit.clone(), data: Some(data), ..Metric::default() }
    };
    let of_host = |host: &Exported| ResourceMetrics {
        resource: Some(Resource { attributes: attributes(&host.resource), ..Resource::default() }),
        scope_metrics: vec![ScopeMetrics {
            metrics: host.samples.iter().map(metric).collect(),
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: hosts.iter().map(of_host).collect() }
}

fn attributes(pairs: &[(&'static str, String)]) -> Vec<KeyValue> {
    let attribute = |(key, value): &(&'static str, String)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.clone())) }),
        ..KeyValue::default()
    };
    pairs.iter().map(attribute).collect()
}
