//! The collector of the demo: it takes OTLP metrics and log records and the webhook of the alerts.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value};
use prost::Message;
use tokio::sync::mpsc;

use super::http::{self, Request, Response};
use super::world::World;
use crate::snapshot::AlertMessage;
use crate::time::{Span, TrueTime};

/// Where alerts are posted.
pub(super) const ALERTS: &str = "/alerts";

/// What has arrived.
#[derive(Clone, Default)]
pub(super) struct Received {
    pub(super) exports: u64,
    pub(super) points: u64,
    pub(super) log_records: u64,
    /// The last value of `clock.offset`.
    pub(super) offset: Option<f64>,
    /// Exports all of whose points were stamped within a second of the box's time.
    pub(super) exports_in_time: u64,
    /// Whether the last export was one of them.
    pub(super) last_in_time: bool,
}

/// A running collector.
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    /// Alerts, in the order of their arrival.
    pub(super) alerts: mpsc::UnboundedReceiver<AlertMessage>,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    /// Starts it on a port that the kernel chooses.
    pub(super) async fn start(world: Arc<World>) -> std::io::Result<Self> {
        let received = Arc::new(Mutex::new(Received::default()));
        let (told, alerts) = mpsc::unbounded_channel();
        let shared = Arc::clone(&received);
        let address = http::start(move |request| {
            let taken = match request.path.as_str() {
                "/v1/metrics" => take_metrics(&request, &world, &mut lock(&shared)),
                "/v1/logs" => take_logs(&request, &mut lock(&shared)),
                ALERTS => serde_json::from_slice(&request.body).ok().and_then(|alert| told.send(alert).ok()),
                _ => None,
            };
            if taken.is_some() { Response::ok("") } else { Response::status(400) }
        })
        .await?;
        Ok(Self { address, alerts, received })
    }

    /// What has arrived so far.
    pub(super) fn received(&self) -> Received {
        lock(&self.received).clone()
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

fn plain(request: &Request) -> Option<Vec<u8>> {
    if request.header("content-encoding") != Some("gzip") {
        return Some(request.body.clone());
    }
    let mut plain = Vec::new();
    GzDecoder::new(request.body.as_slice()).read_to_end(&mut plain).ok()?;
    Some(plain)
}

fn take_metrics(request: &Request, world: &World, received: &mut Received) -> Option<()> {
    let export = ExportMetricsServiceRequest::decode(plain(request)?.as_slice()).ok()?;
    let now = world.now();
    let mut worst_stamp = Span::ZERO;
    let scopes = export.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let points = match &metric.data {
            Some(Data::Gauge(gauge)) => &gauge.data_points,
            Some(Data::Sum(sum)) => &sum.data_points,
            _ => continue,
        };
        for point in points {
            received.points += 1;
            let stamp = TrueTime::from_nanos(i64::try_from(point.time_unix_nano).unwrap_or(i64::MAX));
            worst_stamp = worst_stamp.max(now.since(stamp).abs());
            if let (true, Some(Value::AsDouble(value))) = (metric.name == "clock.offset", point.value) {
                received.offset = Some(value);
            }
        }
    }
    received.exports += 1;
    received.last_in_time = worst_stamp < Span::from_seconds(1.0);
    received.exports_in_time += u64::from(received.last_in_time);
    Some(())
}

fn take_logs(request: &Request, received: &mut Received) -> Option<()> {
    let export = ExportLogsServiceRequest::decode(plain(request)?.as_slice()).ok()?;
    let scopes = export.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    received.log_records += scopes.map(|scope| scope.log_records.len() as u64).sum::<u64>();
    Some(())
}
