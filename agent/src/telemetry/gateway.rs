//! Between the OTLP exporters and the network: what they encoded is stamped with true time, completed with what is known
//! of the host, compressed, and put into a queue.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, HeaderValue};

use super::logs::KEY;
use super::resource::{complete, mark_unverified};
use crate::clock::true_clock::{Stamp, TrueClock};
use crate::delivery::fate::Parcel;
use crate::delivery::item::{Class, Content, Item};
use crate::delivery::spool::Outbox;
use crate::snapshot::Snapshot;
use crate::time::{Reading, TrueTime};

/// Nothing that this agent encodes comes near it; it bounds what is decompressed.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// How long an alert waits for the disk before the next one is encoded.
const DISK: Duration = Duration::from_secs(1);

/// Which service of OTLP a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// Its name in the `OTEL_*` variables.
    pub(super) const fn variable(self) -> &'static str {
        match self {
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

/// The HTTP client of an exporter, which never waits for the network.
pub(super) struct Gateway {
    pub(super) signal: Signal,
    pub(super) outbox: Outbox,
    pub(super) clock: Arc<TrueClock>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) started: Reading,
    /// The start of all cumulative series; fixed once it is known in true time, because it must not move.
    pub(super) start: Arc<OnceLock<TrueTime>>,
    pub(super) pushed: Pushed,
}

/// What the exporter of log records has put into the queue last: whoever exports one takes it from here.
#[derive(Clone, Default)]
pub(super) struct Pushed(Arc<Mutex<Option<Parcel>>>);

impl Pushed {
    pub(super) fn take(&self) -> Option<Parcel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, parcel: Parcel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(parcel);
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gateway({:?})", self.signal)
    }
}

#[async_trait]
impl HttpClient for Gateway {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let is_compressed = parts.headers.get(CONTENT_ENCODING) == Some(&HeaderValue::from_static("gzip"));
        let body = if is_compressed { decompress(&body)? } else { body };
        let at = self.clock.now();
        let (class, key, body) = match self.signal {
            Signal::Metrics => (Class::Telemetry, format!("metrics/{}", at.time.nanos()), self.metrics(&body, at)?),
            Signal::Logs => {
                let (key, body) = self.logs(&body)?;
                (Class::Alert, key, body)
            }
        };
        let (content, body) =
            if is_compressed { (Content::ProtobufGzip, compress(&body)?) } else { (Content::Protobuf, body) };
        let mut parcel = self.outbox.push(Item { class, key, at, content, body: body.into() });
        if class == Class::Alert {
            // A disk that hangs must not hold up the next alert.
            let _ = tokio::time::timeout(DISK, parcel.wait()).await;
            self.pushed.set(parcel);
        }
        Ok(Response::new(Bytes::new()))
    }
}

impl Gateway {
    fn metrics(&self, body: &[u8], stamp: Stamp) -> Result<Vec<u8>, HttpError> {
        let mut request = ExportMetricsServiceRequest::decode(body)?;
        let start = self.start.get().copied().unwrap_or_else(|| {
            let start = self.clock.at(self.started);
            if start.verified { *self.start.get_or_init(|| start.time) } else { start.time }
        });
        // A start that was fixed by an estimate which turned out to be wrong must not lie in the future.
        let (now, start) = (unix_nanos(stamp.time), unix_nanos(start.min(stamp.time)));
        for resource in &mut request.resource_metrics {
            let named = resource.resource.get_or_insert_default();
            complete(named, &self.snapshot.load().host);
            if !stamp.verified {
                mark_unverified(named);
            }
            for metric in resource.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics) {
                match &mut metric.data {
                    Some(Data::Gauge(gauge)) => {
                        for point in &mut gauge.data_points {
                            (point.start_time_unix_nano, point.time_unix_nano) = (0, now);
                        }
                    }
                    Some(Data::Sum(sum)) => {
                        for point in &mut sum.data_points {
                            (point.start_time_unix_nano, point.time_unix_nano) = (start, now);
                        }
                    }
                    Some(Data::Histogram(histogram)) => {
                        for point in &mut histogram.data_points {
                            (point.start_time_unix_nano, point.time_unix_nano) = (start, now);
                        }
                    }
                    // This agent has no other instruments.
                    Some(Data::ExponentialHistogram(_) | Data::Summary(_)) | None => {}
                }
            }
        }
        Ok(request.encode_to_vec())
    }

    /// Log records carry their own true time, and what makes them different from one another.
    fn logs(&self, body: &[u8]) -> Result<(String, Vec<u8>), HttpError> {
        let mut request = ExportLogsServiceRequest::decode(body)?;
        for resource in &mut request.resource_logs {
            complete(resource.resource.get_or_insert_default(), &self.snapshot.load().host);
        }
        let records = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        let keys = records.flat_map(|scope| &scope.log_records).map(key);
        Ok((keys.collect::<Vec<_>>().join(" "), request.encode_to_vec()))
    }
}

/// The key of a log record: that of the message which it tells.
fn key(record: &LogRecord) -> String {
    let text = |wanted: &str| {
        let value = record.attributes.iter().find(|attribute| attribute.key == wanted)?.value.as_ref()?;
        match value.value.as_ref()? {
            any_value::Value::StringValue(text) => Some(text.clone()),
            _ => None,
        }
    };
    text(KEY).unwrap_or_else(|| record.time_unix_nano.to_string())
}

pub(super) fn unix_nanos(time: TrueTime) -> u64 {
    u64::try_from(time.nanos()).unwrap_or(0)
}

pub(super) fn compress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

fn decompress(body: &[u8]) -> std::io::Result<Bytes> {
    let mut plain = Vec::new();
    GzDecoder::new(body).take(MOST_BYTES).read_to_end(&mut plain)?;
    Ok(plain.into())
}
