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
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};
use std::sync::Weak;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gateway::{Gateway, Pushed, Signal};
use super::logs::{AlertLog, Entry};
use super::metrics::{Extent, ImdsDuration, Published, register};
use super::resource::resource;
use crate::clock::estimate::ClockState;
use crate::clock::local;
use crate::clock::true_clock::TrueClock;
use crate::delivery::spool::Outbox;
use crate::telemetry::otlp::Otlp;
use crate::time::{Reading, Span, TrueTime};
use crate::vitals::{Ailment, Pulse, Task};

/// More series than any instrument of the clock has.
const MOST_OF_CLOCK: usize = 2 * ClockState::ALL.len();

/// All that is measured, and what it is stamped by. It counts on while telemetry is set up anew.
pub struct Instruments {
    /// The histogram that is not observed.
    pub imds_duration: ImdsDuration,
    /// How much is exported.
    pub extent: Extent,
    /// The instruments live as long as this.
    _provider: SdkMeterProvider,
    reader: Arc<ManualReader>,
    published: Published,
    clock: Arc<TrueClock>,
    started: Reading,
    start: Arc<OnceLock<TrueTime>>,
}

impl Instruments {
    /// Metrics are observed on `published`, and stamped by `clock`.
    pub fn new(published: Published, clock: Arc<TrueClock>) -> Self {
        let reader = Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build());
        let provider = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_reader(SharedReader(Arc::clone(&reader)))
            .with_view(room)
            .build();
        let extent = Extent::default();
        let imds_duration = register(&provider.meter("skewguard"), &published, &extent);
        Self {
            imds_duration,
            extent,
            _provider: provider,
            reader,
            published,
            clock,
            started: local::read(),
            start: Arc::default(),
        }
    }

    fn gateway(&self, signal: Signal, outbox: &Outbox, pushed: &Pushed) -> Gateway {
        Gateway {
            signal,
            outbox: outbox.clone(),
            clock: Arc::clone(&self.clock),
            snapshot: Arc::clone(&self.published),
            started: self.started,
            start: Arc::clone(&self.start),
            pushed: pushed.clone(),
        }
    }
}

/// The SDK makes room for as many series of an instrument as there may be, which by default are two thousand. Those of the
/// clock are at most one for each of its states.
fn room(instrument: &Instrument) -> Option<Stream> {
    let of_clock = instrument.name().starts_with("clock.");
    of_clock.then(|| Stream::builder().with_cardinality_limit(MOST_OF_CLOCK).build().ok())?
}

/// Where telemetry goes.
pub struct Outboxes {
    /// The queue of metrics; `None` where they have nowhere to go.
    pub metrics: Option<Outbox>,
    /// The queue of log records; `None` where they have nowhere to go.
    pub logs: Option<Outbox>,
}

/// What other parts of the agent write telemetry with.
pub struct Telemetry {
    /// Alerts as log records.
    pub alerts: Option<AlertLog>,
    tasks: Vec<Task>,
    ending: CancellationToken,
}

impl Telemetry {
    /// Starts exporting.
    ///
    /// # Errors
    /// The `OTEL_*` variables make no sense. Then nothing was started.
    pub fn start(
        config: &Otlp,
        env: &dyn Fn(&str) -> Option<String>,
        instruments: &Instruments,
        outboxes: &Outboxes,
    ) -> Result<Self, ExporterBuildError> {
        if let Some(protocol) = env("OTEL_EXPORTER_OTLP_PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
            tracing::warn!(protocol, "OTEL_EXPORTER_OTLP_PROTOCOL is not spoken here: exporting by http/protobuf");
        }
        let compress = |signal: &str| {
            let is_set = |name: &str| env(name).is_some();
            !is_set("OTEL_EXPORTER_OTLP_COMPRESSION") && !is_set(&format!("OTEL_EXPORTER_OTLP_{signal}_COMPRESSION"))
        };

        let metrics = |outbox| {
            let gateway = instruments.gateway(Signal::Metrics, outbox, &Pushed::default());
            let metrics = MetricExporter::builder().with_http().with_http_client(gateway);
            prepare(metrics, config, compress("METRICS")).build()
        };
        let pushed = Pushed::default();
        let logs = |outbox| {
            let gateway = instruments.gateway(Signal::Logs, outbox, &pushed);
            let logs = LogExporter::builder().with_http().with_http_client(gateway);
            prepare(logs, config, compress("LOGS")).build()
        };
        let metrics = outboxes.metrics.as_ref().map(metrics).transpose()?;
        let logs = outboxes.logs.as_ref().map(logs).transpose()?;

        let ending = CancellationToken::new();
        let mut tasks = Vec::new();
        if let Some(metrics) = metrics {
            let (interval, end) = (config.interval, ending.clone());
            let collected = (Arc::clone(&instruments.reader), Arc::clone(&instruments.published));
            let export = |pulse| export_metrics(collected, metrics, interval, end, pulse);
            tasks.push(Task::spawn("metrics export", export));
        }
        let alerts = logs.map(|mut logs| {
            logs.set_resource(&resource());
            let (records, inbox) = mpsc::unbounded_channel();
            tasks.push(Task::spawn("log export", |pulse| export_logs(inbox, logs, pushed, pulse)));
            AlertLog::new(records)
        });
        Ok(Self { alerts, tasks, ending })
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

/// Neither the network nor, for more than a second, the disk holds up the export of a record.
const ENCODE: Duration = Duration::from_secs(2);

/// How often an exporter that waits for the first estimate looks for it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The first export waits for a random part of the interval, so that a fleet that was started together does not export
/// together.
async fn export_metrics(
    (reader, published): (Arc<ManualReader>, Published),
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
}

async fn export_logs(mut entries: mpsc::UnboundedReceiver<Entry>, exporter: LogExporter, pushed: Pushed, pulse: Pulse) {
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
                let _ = done.send(pushed.take());
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::io::Read;
    use std::path::Path;
    use std::sync::Mutex;

    use arc_swap::ArcSwap;
    use async_trait::async_trait;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, GaugeDataPoint, MetricData, ScopeMetrics};
    use prost::Message;

    use super::*;
    use crate::config::load::parse;
    use crate::delivery::item::Item;
    use crate::delivery::queue::{Budget, Rhythm};
    use crate::delivery::request::{Answer, Destination, Failure};
    use crate::delivery::spool::Spool;
    use crate::engine::Engine;
    use crate::telemetry::detail::Detail;

    /// Takes everything, and remembers when each series began and what it counts.
    #[derive(Default)]
    struct Collector(Mutex<Vec<BTreeMap<String, (u64, u64)>>>);

    #[async_trait]
    impl Destination for Collector {
        async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(item.body.as_ref()).read_to_end(&mut plain).unwrap();
            let request = ExportMetricsServiceRequest::decode(plain.as_slice()).unwrap();
            let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
            let series = scopes.flat_map(|scope| scope.metrics).filter_map(|metric| match metric.data? {
                Data::Sum(sum) => Some((metric.name, (sum.data_points.first()?.start_time_unix_nano, 0))),
                Data::Histogram(histogram) => {
                    let point = histogram.data_points.first()?;
                    Some((metric.name, (point.start_time_unix_nano, point.count)))
                }
                _ => None,
            });
            self.0.lock().unwrap().push(series.collect());
            Ok(Answer { status: 200, body: bytes::Bytes::new() })
        }
    }

    #[test]
    fn the_series_of_the_clock_all_have_room() {
        let config = parse("sources: [{ name: a, ntp: 127.0.0.1 }]", Path::new("test.yaml"), &|_| None).unwrap();
        let now = local::read();
        let published = Arc::new(ArcSwap::from_pointee(Engine::new(Arc::new(config), now).snapshot(now)));
        let instruments = Instruments::new(published, Arc::default());
        instruments.extent.set(Detail::Full);
        let mut metrics = ResourceMetrics::default();
        for _ in 0..3 {
            instruments.reader.collect(&mut metrics).unwrap();
            let all = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
            let states = all.filter(|metric| metric.name() == "clock.state").flat_map(|metric| match metric.data() {
                AggregatedMetrics::F64(MetricData::Gauge(gauge)) => gauge.data_points(),
                other => panic!("{other:?}"),
            });
            let states: BTreeSet<String> =
                states.flat_map(GaugeDataPoint::attributes).map(|state| state.value.to_string()).collect();
            assert_eq!(states, ClockState::ALL.map(|state| state.name().to_owned()).into());
        }
    }

    #[tokio::test]
    async fn series_go_on_with_their_start_and_their_count_when_telemetry_is_set_up_anew() {
        let second = Duration::from_secs(1);
        let yaml = "sources: [{ name: a, ntp: 127.0.0.1 }]\ntelemetry: { otlp: { endpoint: \"http://127.0.0.1:9\" } }";
        let config = Arc::new(parse(yaml, Path::new("test.yaml"), &|_| None).unwrap());
        let now = local::read();
        let published = Arc::new(ArcSwap::from_pointee(Engine::new(Arc::clone(&config), now).snapshot(now)));
        let clock = Arc::new(TrueClock::default());
        clock.set(TrueTime::from_seconds(2e9).anchored(now.boot), true);

        let collector = Arc::new(Collector::default());
        let spool = Spool::start(None, Budget { size: 1_000_000, age: second }, |_| true);
        let outboxes =
            Outboxes { metrics: Some(spool.lane("otlp", Rhythm::AsItComes, Arc::clone(&collector) as _)), logs: None };
        let instruments = Instruments::new(published, clock);
        instruments.extent.set(Detail::Full);
        for _ in 0..2 {
            instruments.imds_duration.record("ok", second);
            let otlp = config.telemetry.otlp.as_ref().unwrap();
            let telemetry = Telemetry::start(otlp, &|_| None, &instruments, &outboxes).unwrap();
            telemetry.end().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        spool.close().await;
        let exports = collector.0.lock().unwrap();
        let [first, second] = exports.as_slice() else { panic!("{exports:?}") };
        assert!(first.len() >= 2, "{first:?}");
        for (name, (start, count)) in first {
            let (later, counted) = second.get(name).unwrap();
            assert_eq!((start, count + u64::from(*count > 0)), (later, *counted), "{name}");
        }
        assert_eq!(first.get("aws.imds.duration").unwrap().1, 1);
    }
}
