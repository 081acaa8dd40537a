//! The metrics of this agent, observed on the snapshot: what is gone from it disappears.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::catalogue::{COUNTERS, GAUGES, IMDS_DURATION};
use super::detail::Detail;
use super::metric::{Metric, Number};
use crate::snapshot::Snapshot;

/// Where the metrics are read from.
pub type Published = Arc<ArcSwap<Snapshot>>;

/// How much is exported, from now on; whoever exports has the same.
#[derive(Clone, Default)]
pub struct Extent(Arc<AtomicBool>);

impl Extent {
    /// The detail of now.
    pub fn detail(&self) -> Detail {
        if self.0.load(Ordering::Relaxed) { Detail::Full } else { Detail::Fleet }
    }

    /// Has all exports from now on be of this detail.
    pub fn set(&self, detail: Detail) {
        self.0.store(detail == Detail::Full, Ordering::Relaxed);
    }
}

/// The duration of requests to the instance metadata service; the one instrument that is not observed.
#[derive(Clone)]
pub struct ImdsDuration(Histogram<f64>, Extent);

impl ImdsDuration {
    /// Adds a request. What was added is exported until the end, so that nothing is where it is not wanted.
    pub fn record(&self, outcome: &str, duration: Duration) {
        if self.1.detail() == Detail::Full {
            self.0.record(duration.as_secs_f64(), &[KeyValue::new("outcome", outcome.to_owned())]);
        }
    }
}

/// Registers every metric.
pub fn register(meter: &Meter, published: &Published, extent: &Extent) -> ImdsDuration {
    for metric in GAUGES {
        let observer = Observer::new(metric, published, extent);
        let gauge = meter.f64_observable_gauge(metric.name).with_unit(metric.unit).with_description(metric.about);
        gauge.with_callback(move |told| observer.observe(|value, of| told.observe(value, of))).build();
    }
    for metric in COUNTERS {
        let observer = Observer::new(metric, published, extent);
        let counter = meter.u64_observable_counter(metric.name).with_unit(metric.unit).with_description(metric.about);
        counter.with_callback(move |told| observer.observe(|value, of| told.observe(value, of))).build();
    }
    let Metric { name, unit, about, .. } = IMDS_DURATION;
    let duration = meter.f64_histogram(name).with_unit(unit).with_description(about);
    let duration = duration.with_boundaries(vec![0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5]).build();
    ImdsDuration(duration, extent.clone())
}

/// What observes one metric.
struct Observer<T: 'static> {
    metric: &'static Metric<T>,
    published: Published,
    extent: Extent,
    /// The states that have been told.
    been: Mutex<Vec<Vec<KeyValue>>>,
}

impl<T: Number> Observer<T> {
    fn new(metric: &'static Metric<T>, published: &Published, extent: &Extent) -> Self {
        Self { metric, published: Arc::clone(published), extent: extent.clone(), been: Mutex::default() }
    }

    fn observe(&self, tell: impl Fn(T, &[KeyValue])) {
        let mut been = self.been.lock().unwrap_or_else(PoisonError::into_inner);
        for (value, attributes) in self.metric.exported(&self.published.load(), self.extent.detail(), Some(&mut been)) {
            tell(value, &attributes);
        }
    }
}
