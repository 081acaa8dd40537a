//! Every metric of this agent, observed on the snapshot: what is gone from it disappears.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use crate::clock::estimate::ClockState;
use crate::clock::source::Verdict;
use crate::snapshot::{Credential, Delivery, Limit, Snapshot, Source};

/// Where the metrics are read from.
pub type Published = Arc<ArcSwap<Snapshot>>;

/// One value of a metric and what it is a value of.
type Point<T> = (T, Vec<KeyValue>);

/// The duration of requests to the instance metadata service; the one instrument that is not observed.
#[derive(Clone)]
pub struct ImdsDuration(Histogram<f64>);

impl ImdsDuration {
    /// Adds a request.
    pub fn record(&self, outcome: &str, duration: Duration) {
        self.0.record(duration.as_secs_f64(), &[KeyValue::new("outcome", outcome.to_owned())]);
    }
}

/// A metric: a row for each, which is all that there is to say of it.
struct Metric<T> {
    name: &'static str,
    /// In UCUM, as OpenTelemetry has it. `1` is for ratios alone: Prometheus ends their names with `_ratio`.
    unit: &'static str,
    about: &'static str,
    /// Its values, each with its attributes; what is not there is not exported.
    points: fn(&Snapshot) -> Vec<Point<T>>,
}

/// The one metric that is not read from the snapshot.
const IMDS_DURATION: Metric<f64> = Metric {
    name: "aws.imds.duration",
    unit: "s",
    about: "Duration of requests to the instance metadata service",
    points: |_| Vec::new(),
};

/// The metrics that go up and down.
const GAUGES: &[Metric<f64>] = &[
    Metric {
        name: "clock.offset",
        unit: "s",
        about: "True time minus system time: positive where the clock is slow",
        points: |s| plain(s.clock.offset_seconds),
    },
    Metric {
        name: "clock.error_bound",
        unit: "s",
        about: "Half the width of the interval that holds the true offset",
        points: |s| plain(s.clock.error_bound_seconds),
    },
    Metric {
        name: "clock.drift",
        unit: "1",
        about: "Trend of the offset, seconds a second; absent without one",
        points: |s| plain(s.clock.drift_ppm.map(|ppm| ppm * 1e-6)),
    },
    Metric {
        name: "clock.state",
        unit: "{state}",
        about: "1 for the state that the clock is in, else 0",
        points: |s| {
            let state = |state: ClockState| {
                (flag(s.clock.state == state.name()), vec![KeyValue::new("clock.state", state.name())])
            };
            ClockState::ALL.into_iter().map(state).collect()
        },
    },
    Metric {
        name: "clock.disruption.expected_within",
        unit: "s",
        about: "Within which time the hypervisor has announced a migration of this machine",
        points: |s| plain(s.clock.disruptions.and_then(|disruptions| disruptions.expected_within_seconds)),
    },
    Metric {
        name: "clock.kernel.synchronized",
        unit: "{state}",
        about: "1 where a time daemon says that the clock is synchronized",
        points: |s| plain(s.clock.kernel.map(|kernel| flag(kernel.synchronized))),
    },
    Metric {
        name: "clock.kernel.max_error",
        unit: "s",
        about: "The kernel's bound on the error of its clock",
        points: |s| plain(s.clock.kernel.map(|kernel| kernel.max_error_seconds)),
    },
    Metric {
        name: "clock.kernel.frequency",
        unit: "1",
        about: "The kernel's correction of the clock's frequency",
        points: |s| plain(s.clock.kernel.map(|kernel| kernel.frequency_ppm * 1e-6)),
    },
    Metric {
        name: "clock.source.offset",
        unit: "s",
        about: "True minus system time, as this source has it",
        points: |s| of_sources(s, |source| source.offset_seconds),
    },
    Metric {
        name: "clock.source.delay",
        unit: "s",
        about: "Round trip to this source",
        points: |s| of_sources(s, |source| source.delay_seconds),
    },
    Metric {
        name: "clock.source.root_distance",
        unit: "s",
        about: "How far this source can be wrong",
        points: |s| of_sources(s, |source| source.root_distance_seconds),
    },
    Metric {
        name: "clock.source.stratum",
        unit: "{hop}",
        about: "Hops from the primary reference; absent where there are none",
        points: |s| of_sources(s, |source| source.stratum.map(f64::from)),
    },
    Metric {
        name: "clock.source.reachability",
        unit: "1",
        about: "Answered share of the last eight polls",
        points: |s| of_sources(s, |source| source.reachability),
    },
    Metric {
        name: "clock.source.verdict",
        unit: "{verdict}",
        about: "1 for the verdict on this source, else 0",
        points: |s| {
            let points = s.sources.iter().flat_map(|source| {
                Verdict::ALL.into_iter().map(|verdict| {
                    let mut attributes = source_attributes(source);
                    attributes.push(KeyValue::new("clock.source.verdict", verdict.name()));
                    (flag(source.verdict == verdict.name()), attributes)
                })
            });
            points.collect()
        },
    },
    Metric {
        name: "aws.signature.margin",
        unit: "s",
        about: "Skew that is left to a limit; negative where it is passed",
        points: |s| of_limits(s, |limit| limit.margin_seconds),
    },
    Metric {
        name: "aws.signature.time_to_limit",
        unit: "s",
        about: "When a limit is passed; absent without a trend",
        points: |s| of_limits(s, |limit| limit.time_to_limit_seconds),
    },
    Metric {
        name: "aws.credential.expiration",
        unit: "s",
        about: "When the credential expires, since the Unix epoch",
        points: |s| of_credentials(s, |credential| credential.expiration_seconds),
    },
    Metric {
        name: "aws.credential.remaining",
        unit: "s",
        about: "Lifetime that is left, in true time",
        points: |s| of_credentials(s, |credential| credential.remaining_seconds),
    },
    Metric {
        name: "aws.credential.remaining_local",
        unit: "s",
        about: "Lifetime that is left, as this host believes",
        points: |s| of_credentials(s, |credential| credential.remaining_local_seconds),
    },
    Metric {
        name: "aws.credential.age",
        unit: "s",
        about: "True time since the last rotation",
        points: |s| of_credentials(s, |credential| credential.age_seconds),
    },
    Metric {
        name: "aws.credential.refresh_margin",
        unit: "s",
        about: "Lifetime that is left when an SDK refreshes; negative: it uses expired credentials",
        points: |s| {
            let points = s.credentials.iter().flat_map(|credential| {
                credential.refresh_margins_seconds.iter().map(|(sdk, margin)| {
                    let mut attributes = credential_attributes(credential);
                    attributes.push(KeyValue::new("aws.sdk", sdk.clone()));
                    (*margin, attributes)
                })
            });
            points.collect()
        },
    },
    Metric {
        name: "skewguard.alert.active",
        unit: "{alert}",
        about: "1 for every alert that fires",
        points: |s| {
            let firing = s.alerts.iter().filter(|alert| alert.state == "firing");
            let point = |alert: &crate::snapshot::Alert| {
                let mut attributes =
                    vec![KeyValue::new("alert", alert.alert.name()), KeyValue::new("severity", alert.severity.name())];
                if !alert.subject.is_empty() {
                    attributes.push(KeyValue::new("subject", alert.subject.clone()));
                }
                (1.0, attributes)
            };
            firing.map(point).collect()
        },
    },
    Metric {
        name: "skewguard.delivery.queued",
        unit: "{item}",
        about: "Items that wait for delivery",
        points: |s| of_destinations(s, |delivery| delivery.queued).into_iter().map(in_floats).collect(),
    },
    Metric {
        name: "skewguard.delivery.bytes",
        unit: "By",
        about: "Size of the items that wait for delivery",
        points: |s| of_destinations(s, |delivery| delivery.bytes).into_iter().map(in_floats).collect(),
    },
];

/// The metrics that only grow.
const COUNTERS: &[Metric<u64>] = &[
    Metric {
        name: "clock.steps",
        unit: "{step}",
        about: "Steps of the system clock",
        points: |s| {
            let direction = |name: &'static str| vec![KeyValue::new("clock.direction", name)];
            vec![(s.clock.steps.forward, direction("forward")), (s.clock.steps.backward, direction("backward"))]
        },
    },
    Metric {
        name: "clock.disruptions",
        unit: "{disruption}",
        about: "Migrations and restorations of this machine, where the hypervisor tells of them",
        points: |s| s.clock.disruptions.iter().map(|disruptions| (disruptions.seen, Vec::new())).collect(),
    },
    Metric {
        name: "clock.source.queries",
        unit: "{query}",
        about: "Queries by their outcome",
        points: |s| {
            let points = s.sources.iter().flat_map(|source| {
                source.outcomes.iter().map(|(outcome, count)| {
                    let mut attributes = source_attributes(source);
                    attributes.push(KeyValue::new("outcome", outcome.clone()));
                    (*count, attributes)
                })
            });
            points.collect()
        },
    },
    Metric {
        name: "aws.imds.requests",
        unit: "{request}",
        about: "Requests to the instance metadata service",
        points: |s| {
            let point = |(outcome, count): (&String, &u64)| (*count, vec![KeyValue::new("outcome", outcome.clone())]);
            s.imds_requests.iter().map(point).collect()
        },
    },
    Metric {
        name: "skewguard.delivery.dropped",
        unit: "{item}",
        about: "Items that were given up",
        points: |s| of_destinations(s, |delivery| delivery.dropped),
    },
    Metric {
        name: "skewguard.delivery.refusals",
        unit: "{attempt}",
        about: "Attempts at delivery that the destination refused",
        points: |s| of_destinations(s, |delivery| delivery.refusals),
    },
    Metric {
        name: "skewguard.delivery.failures",
        unit: "{attempt}",
        about: "Attempts at delivery that failed",
        points: |s| of_destinations(s, |delivery| delivery.failures),
    },
];

/// Registers every metric.
pub fn register(meter: &Meter, published: &Published) -> ImdsDuration {
    for Metric { name, unit, about, points } in GAUGES {
        let published = Arc::clone(published);
        let gauge = meter.f64_observable_gauge(*name).with_unit(*unit).with_description(*about);
        gauge
            .with_callback(move |observer| observe(&published, *points, |value, of| observer.observe(value, of)))
            .build();
    }
    for Metric { name, unit, about, points } in COUNTERS {
        let published = Arc::clone(published);
        let counter = meter.u64_observable_counter(*name).with_unit(*unit).with_description(*about);
        counter
            .with_callback(move |observer| observe(&published, *points, |value, of| observer.observe(value, of)))
            .build();
    }
    let Metric { name, unit, about, .. } = IMDS_DURATION;
    let duration = meter.f64_histogram(name).with_unit(unit).with_description(about);
    ImdsDuration(duration.with_boundaries(vec![0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5]).build())
}

fn observe<T>(published: &Published, points: fn(&Snapshot) -> Vec<Point<T>>, tell: impl Fn(T, &[KeyValue])) {
    for (value, attributes) in points(&published.load()) {
        tell(value, &attributes);
    }
}

fn plain(value: Option<f64>) -> Vec<Point<f64>> {
    value.map(|value| (value, Vec::new())).into_iter().collect()
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

fn in_floats((value, attributes): Point<u64>) -> Point<f64> {
    (value as f64, attributes)
}

fn of_sources(snapshot: &Snapshot, value: fn(&Source) -> Option<f64>) -> Vec<Point<f64>> {
    snapshot.sources.iter().filter_map(|source| Some((value(source)?, source_attributes(source)))).collect()
}

fn source_attributes(source: &Source) -> Vec<KeyValue> {
    vec![
        KeyValue::new("clock.source", source.name.clone()),
        KeyValue::new("clock.source.kind", source.kind.clone()),
        KeyValue::new("server.address", source.server.clone()),
    ]
}

fn of_limits(snapshot: &Snapshot, value: fn(&Limit) -> Option<f64>) -> Vec<Point<f64>> {
    let point = |limit: &Limit| Some((value(limit)?, vec![KeyValue::new("aws.limit", limit.name.clone())]));
    snapshot.limits.iter().filter_map(point).collect()
}

fn of_credentials(snapshot: &Snapshot, value: fn(&Credential) -> Option<f64>) -> Vec<Point<f64>> {
    let point = |credential: &Credential| Some((value(credential)?, credential_attributes(credential)));
    snapshot.credentials.iter().filter_map(point).collect()
}

fn credential_attributes(credential: &Credential) -> Vec<KeyValue> {
    vec![
        KeyValue::new("aws.credential.provider", credential.provider.clone()),
        KeyValue::new("aws.credential.identity", credential.identity.clone()),
        // As that of alerts: what two files call the same is told apart by it.
        KeyValue::new("subject", credential.subject.clone()),
    ]
}

fn of_destinations(snapshot: &Snapshot, value: fn(&Delivery) -> u64) -> Vec<Point<u64>> {
    let point =
        |delivery: &Delivery| (value(delivery), vec![KeyValue::new("destination", delivery.destination.clone())]);
    snapshot.delivery.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::documented::assert_documented;
    use crate::config::load::parse;
    use crate::credentials::cache::Caches;
    use crate::credentials::cli_cache::CliCache;
    use crate::credentials::poller::once;
    use crate::credentials::provide::Provide;
    use crate::credentials::round::Read;
    use crate::credentials::shared_file::SharedFile;
    use crate::engine::{Engine, Event};
    use crate::time::{BootTime, Reading, SystemTime};

    #[test]
    fn each_metric_is_documented_in_the_readme() {
        let line =
            |name: &str, kind: &str, unit: &str, about: &str| format!("| `{name}` | {kind} | `{unit}` | {about} |\n");
        let gauges = GAUGES.iter().map(|one| line(one.name, "gauge", one.unit, one.about));
        let counters = COUNTERS.iter().map(|one| line(one.name, "counter", one.unit, one.about));
        let duration = line(IMDS_DURATION.name, "histogram", IMDS_DURATION.unit, IMDS_DURATION.about);
        let lines: String = gauges.chain(counters).chain([duration]).collect();
        let begin = "| metric | kind | unit | what it says |\n|---|---|---|---|\n";
        assert_documented("README.md", Some((begin, "\nAn offset is")), &lines);
    }

    #[tokio::test]
    async fn what_two_homes_or_two_files_call_the_same_are_two_series() {
        let root = tempfile::tempdir().unwrap();
        let homes = ["alice", "bob"].map(|name| root.path().join(name));
        let role = r#"{"Credentials": {"Expiration": "2026-12-01T16:00:00Z"}, "AssumedRoleUser":
            {"Arn": "arn:aws:sts::123456789012:assumed-role/web/botocore-session-1"}}"#;
        for home in &homes {
            fs::create_dir_all(home.join(".aws/cli/cache")).unwrap();
            // A name that cannot be shown is told by its place among those of its kind.
            let profiles = "[default]\nexpiration = 2026-12-01 16:00:00\n[\u{e4}]\nexpiration = 2026-12-01 16:00:00\n\
                            [\u{f6}]\nexpiration = 2026-12-01 16:00:00\n[bob:default]\nexpiration = 2026-12-01 16:00:00\n";
            fs::write(home.join(".aws/credentials"), profiles).unwrap();
            for name in ["1.json", "2.json"] {
                fs::write(home.join(".aws/cli/cache").join(name), role).unwrap();
            }
        }
        let text = format!("credentials: {{ homes: ['{}', '{}'] }}", homes[0].display(), homes[1].display());
        let config = Arc::new(parse(&text, Path::new("homes.yaml"), &|_| None).unwrap());
        let now = Reading { boot: BootTime::ZERO, system: SystemTime::from_seconds(1_796_000_000.0) };
        let mut engine = Engine::new(config, now);
        let mut readers: [Box<dyn Read>; 2] = [
            Box::new(SharedFile::new(homes.to_vec(), None)),
            Caches::<CliCache>::of(homes.to_vec()).reader(&|_| None).unwrap(),
        ];
        for reader in &mut readers {
            engine.handle(Event::from(once(reader.as_mut()).await), now);
        }
        let points = of_credentials(&engine.snapshot(now), |credential| credential.expiration_seconds);
        let text = |attributes: &[KeyValue]| {
            attributes.iter().map(|one| format!("{}={} ", one.key, one.value)).collect::<String>()
        };
        let series: BTreeSet<String> = points.iter().map(|(_, attributes)| text(attributes)).collect();
        assert_eq!((points.len(), series.len()), (12, 12), "{series:#?}");
        // Whose it is shows, and where the home is does not.
        assert!(series.iter().any(|one| one.contains("identity=bob:default ")), "{series:#?}");
        assert!(!series.iter().any(|one| one.contains(root.path().to_str().unwrap())), "{series:#?}");
    }
}
