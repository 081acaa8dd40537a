//! What there is to say of a metric.

use opentelemetry::KeyValue;

use super::detail::Detail;
use crate::snapshot::Snapshot;

/// One value of a metric and what it is a value of.
pub(super) type Point<T> = (T, Vec<KeyValue>);

/// A metric: a row for each, which is all that there is to say of it.
pub(super) struct Metric<T> {
    pub(super) name: &'static str,
    /// In UCUM, as OpenTelemetry has it. `1` is for ratios alone: Prometheus ends their names with `_ratio`.
    pub(super) unit: &'static str,
    pub(super) about: &'static str,
    /// How much of it is exported of each host of a fleet.
    pub(super) in_fleet: InFleet<T>,
    /// Its values, each with its attributes; what is not there is not exported.
    pub(super) points: fn(&Snapshot) -> Vec<Point<T>>,
}

/// How much of a metric [`Detail::Fleet`] has.
pub(super) enum InFleet<T> {
    /// Nothing.
    No,
    /// All of it.
    Same,
    /// Of states, of which one is 1, those that have been it: what was never the case costs no series, and what is over is
    /// told as 0, for a backend would hold its last value for minutes.
    States,
    /// These points in place of its own.
    As(fn(&Snapshot) -> Vec<Point<T>>),
}

/// Values that can be told apart from none.
pub(super) trait Number: Copy {
    /// Whether it is not zero.
    fn is_set(self) -> bool;
}

impl Number for f64 {
    fn is_set(self) -> bool {
        self != 0.0
    }
}

impl Number for u64 {
    fn is_set(self) -> bool {
        self != 0
    }
}

impl<T: Number> Metric<T> {
    /// What is exported of it at this detail. `been` holds the states that were told; without it only what is the case is told.
    pub(super) fn exported(
        &self,
        snapshot: &Snapshot,
        detail: Detail,
        been: Option<&mut Vec<Vec<KeyValue>>>,
    ) -> Vec<Point<T>> {
        match (detail, &self.in_fleet) {
            (Detail::Full, _) | (_, InFleet::Same) => (self.points)(snapshot),
            (_, InFleet::No) => Vec::new(),
            (_, InFleet::As(points)) => points(snapshot),
            (_, InFleet::States) => {
                let mut nothing = Vec::new();
                let been = been.unwrap_or(&mut nothing);
                let told: Vec<_> = (self.points)(snapshot)
                    .into_iter()
                    .filter(|(value, attributes)| value.is_set() || been.contains(attributes))
                    .collect();
                *been = told.iter().map(|(_, attributes)| attributes.clone()).collect();
                told
            }
        }
    }
}
