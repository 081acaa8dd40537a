//! The tasks that export metrics and log records.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, MetricExporter, Protocol, RetryPolicy, WithExportConfig,
    WithHttpConfig,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};
use std::sync::Weak;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gateway::{Gateway, Signal};
use super::logs::{AlertLog, Entry};
use super::metrics::{ImdsDuration, Published, register};
use super::resource::resource;
use crate::clock::estimate::ClockState;
use crate::clock::local;
use crate::clock::time::Span;
use crate::clock::true_clock::TrueClock;
use crate::config::checked::Otlp;
use crate::delivery::spool::Outbox;
use crate::vitals::{Ailment, Pulse, Task};

/// What telemetry is made of and where it goes.
pub struct Parts {
    /// The queue of metrics; `None` where they have nowhere to go.
    pub metrics: Option<Outbox>,
    /// The queue of log records; `None` where they have nowhere to go.
    pub logs: Option<Outbox>,
    /// What metrics are observed on.
    pub published: Published,
    /// What telemetry is stamped by.
    pub clock: Arc<TrueClock>,
}

/// What other parts of the agent write telemetry with.
pub struct Telemetry {
    /// Alerts as log records.
    pub alerts: Option<AlertLog>,
    /// The histogram that is not observed.
    pub imds_duration: ImdsDuration,
    tasks: Vec<Task>,
    ending: CancellationToken,
}

impl Telemetry {
    /// Starts exporting.
    ///
    /// # Errors
    /// The `OTEL_*` variables make no sense.
    pub fn start(
        config: &Otlp,
        env: &dyn Fn(&str) -> Option<String>,
        parts: &Parts,
    ) -> Result<Self, ExporterBuildError> {
        let gateway = |signal, outbox: &Outbox| Gateway {
            signal,
            outbox: outbox.clone(),
            clock: Arc::clone(&parts.clock),
            snapshot: Arc::clone(&parts.published),
            started: local::read(),
            start: OnceLock::new(),
        };
        if let Some(protocol) = env("OTEL_EXPORTER_OTLP_PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
            tracing::warn!(protocol, "OTEL_EXPORTER_OTLP_PROTOCOL is not spoken here: exporting by http/protobuf");
        }
        let resource = resource();
        let compress = |signal: &str| {
            let is_set = |name: &str| env(name).is_some();
            !is_set("OTEL_EXPORTER_OTLP_COMPRESSION") && !is_set(&format!("OTEL_EXPORTER_OTLP_{signal}_COMPRESSION"))
        };

        let reader = Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build());
        let provider = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(SharedReader(Arc::clone(&reader)))
            .build();
        let imds_duration = register(&provider.meter("skewguard"), &parts.published);

        let ending = CancellationToken::new();
        let mut tasks = Vec::new();
        if let Some(outbox) = &parts.metrics {
            let metrics = MetricExporter::builder().with_http().with_http_client(gateway(Signal::Metrics, outbox));
            let metrics = prepare(metrics, config, compress("METRICS")).build()?;
            let (interval, end) = (config.interval, ending.clone());
            let collected = Collected { provider, reader, published: Arc::clone(&parts.published) };
            let export = |pulse| export_metrics(collected, metrics, interval, end, pulse);
            tasks.push(Task::spawn("metrics export", export));
        }
        let alerts = match &parts.logs {
            Some(outbox) => {
                let logs = LogExporter::builder().with_http().with_http_client(gateway(Signal::Logs, outbox));
                let mut logs = prepare(logs, config, compress("LOGS")).build()?;
                logs.set_resource(&resource);
                let (records, inbox) = mpsc::unbounded_channel();
                tasks.push(Task::spawn("log export", |pulse| export_logs(inbox, logs, pulse)));
                Some(AlertLog::new(records, outbox.clone()))
            }
            None => None,
        };
        Ok(Self { alerts, imds_duration, tasks, ending })
    }

    /// Exports once more and ends.
    pub async fn end(self) {
        self.ending.cancel();
        drop(self.alerts);
        for task in self.tasks {
            task.join().await;
        }
    }

    /// What is wrong with the tasks at `now`.
    pub fn ailment(&self, now: Span) -> Option<Ailment> {
        self.tasks.iter().find_map(|task| task.ailment(now))
    }
}

/// What both exporters share. Retries are the queue's: the exporter's own would trust the wrong clock.
fn prepare<B: WithExportConfig + WithHttpConfig>(builder: B, config: &Otlp, compress: bool) -> B {
    let builder = builder
        .with_protocol(Protocol::HttpBinary)
        // The queue knows where to.
        .with_endpoint("http://localhost")
        .with_timeout(config.timeout)
        .with_retry_policy(RetryPolicy::disabled())
        .with_headers(HashMap::new());
    if compress { builder.with_compression(Compression::Gzip) } else { builder }
}

/// What metrics are collected with.
struct Collected {
    provider: SdkMeterProvider,
    reader: Arc<ManualReader>,
    published: Published,
}

/// Neither the network nor, for more than a second, the disk holds up the export of a record.
const ENCODE: Duration = Duration::from_secs(2);

/// How often an exporter that waits for the first estimate looks for it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The first export waits for a random part of the interval, so that a fleet that was started together does not export
/// together.
async fn export_metrics(
    Collected { provider, reader, published }: Collected,
    exporter: MetricExporter,
    interval: Duration,
    ending: CancellationToken,
    pulse: Pulse,
) {
    let mut next = interval.mul_f64(fastrand::f64());
    let mut metrics = ResourceMetrics::default();
    // The very first points would bear the system clock's time.
    while published.load().clock.state == ClockState::Starting.name() && !ending.is_cancelled() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    loop {
        pulse.expect(next);
        let is_last = tokio::select! {
            () = tokio::time::sleep(next) => false,
            () = ending.cancelled() => true,
        };
        next = interval;
        let exported = match reader.collect(&mut metrics) {
            Ok(()) => exporter.export(&metrics).await,
            failed => failed,
        };
        if let Err(error) = exported {
            tracing::warn!(%error, "metrics cannot be exported");
        }
        if is_last {
            break;
        }
    }
    drop(provider);
}

async fn export_logs(mut entries: mpsc::UnboundedReceiver<Entry>, exporter: LogExporter, pulse: Pulse) {
    loop {
        pulse.rest();
        let Some(entry) = entries.recv().await else { break };
        pulse.expect(ENCODE);
        match entry {
            Entry::Record(record, scope) => {
                if let Err(error) = exporter.export(LogBatch::new(&[(&record, &scope)])).await {
                    tracing::warn!(%error, "a log record cannot be exported");
                }
            }
            Entry::Mark(done) => {
                // Whoever wrote the record need not wait for it.
                let _ = done.send(());
            }
        }
    }
}

/// The provider wants a reader of its own, and the task that collects needs it as well.
#[derive(Debug)]
struct SharedReader(Arc<ManualReader>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
