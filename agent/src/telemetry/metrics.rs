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

/// Registers every metric.
pub fn register(meter: &Meter, published: &Published) -> ImdsDuration {
    let metrics = Metrics { meter, published };
    metrics.clock();
    metrics.sources();
    metrics.signature();
    metrics.credentials();
    metrics.agent();
    let duration = meter.f64_histogram("aws.imds.duration").with_unit("s");
    let duration = duration.with_description("Duration of requests to the instance metadata service");
    ImdsDuration(duration.with_boundaries(vec![0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5]).build())
}

struct Metrics<'a> {
    meter: &'a Meter,
    published: &'a Published,
}

impl Metrics<'_> {
    fn gauge(
        &self,
        name: &'static str,
        unit: &'static str,
        about: &'static str,
        points: fn(&Snapshot) -> Vec<Point<f64>>,
    ) {
        let published = Arc::clone(self.published);
        let gauge = self.meter.f64_observable_gauge(name).with_unit(unit).with_description(about);
        gauge
            .with_callback(move |observer| {
                for (value, attributes) in points(&published.load()) {
                    observer.observe(value, &attributes);
                }
            })
            .build();
    }

    fn counter(
        &self,
        name: &'static str,
        unit: &'static str,
        about: &'static str,
        points: fn(&Snapshot) -> Vec<Point<u64>>,
    ) {
        let published = Arc::clone(self.published);
        let counter = self.meter.u64_observable_counter(name).with_unit(unit).with_description(about);
        counter
            .with_callback(move |observer| {
                for (value, attributes) in points(&published.load()) {
                    observer.observe(value, &attributes);
                }
            })
            .build();
    }

    fn clock(&self) {
        self.gauge("clock.offset", "s", "True time minus system time: positive where the clock is slow", |s| {
            plain(s.clock.offset_seconds)
        });
        self.gauge("clock.error_bound", "s", "Half the width of the interval that holds the true offset", |s| {
            plain(s.clock.error_bound_seconds)
        });
        self.gauge("clock.drift", "1", "Trend of the offset, seconds a second; absent without one", |s| {
            plain(s.clock.drift_ppm.map(|ppm| ppm * 1e-6))
        });
        self.gauge("clock.state", "1", "1 for the state that the clock is in, else 0", |s| {
            let state = |state: ClockState| {
                (flag(s.clock.state == state.name()), vec![KeyValue::new("clock.state", state.name())])
            };
            ClockState::ALL.into_iter().map(state).collect()
        });
        self.counter("clock.steps", "{step}", "Steps of the system clock", |s| {
            let direction = |name: &'static str| vec![KeyValue::new("clock.direction", name)];
            vec![(s.clock.steps.forward, direction("forward")), (s.clock.steps.backward, direction("backward"))]
        });
        self.gauge(
            "clock.kernel.synchronized",
            "1",
            "1 where a time daemon says that the clock is synchronized",
            |s| plain(s.clock.kernel.map(|kernel| flag(kernel.synchronized))),
        );
        self.gauge("clock.kernel.max_error", "s", "The kernel's bound on the error of its clock", |s| {
            plain(s.clock.kernel.map(|kernel| kernel.max_error_seconds))
        });
        self.gauge("clock.kernel.frequency", "1", "The kernel's correction of the clock's frequency", |s| {
            plain(s.clock.kernel.map(|kernel| kernel.frequency_ppm * 1e-6))
        });
    }

    fn sources(&self) {
        self.gauge("ntp.source.offset", "s", "True minus system time, as this source has it", |s| {
            of_sources(s, |source| source.offset_seconds)
        });
        self.gauge("ntp.source.delay", "s", "Round trip to this source", |s| {
            of_sources(s, |source| source.delay_seconds)
        });
        self.gauge("ntp.source.root_distance", "s", "How far this source can be wrong", |s| {
            of_sources(s, |source| source.root_distance_seconds)
        });
        self.gauge("ntp.source.stratum", "1", "Hops from the primary reference", |s| {
            of_sources(s, |source| source.stratum.map(f64::from))
        });
        self.gauge("ntp.source.reachability", "1", "Answered share of the last eight polls", |s| {
            of_sources(s, |source| source.reachability)
        });
        self.gauge("ntp.source.verdict", "1", "1 for the verdict on this source, else 0", |s| {
            let points = s.sources.iter().flat_map(|source| {
                Verdict::ALL.into_iter().map(|verdict| {
                    let mut attributes = source_attributes(source);
                    attributes.push(KeyValue::new("ntp.verdict", verdict.name()));
                    (flag(source.verdict == verdict.name()), attributes)
                })
            });
            points.collect()
        });
        self.counter("ntp.queries", "{query}", "Queries by their outcome", |s| {
            let points = s.sources.iter().flat_map(|source| {
                source.outcomes.iter().map(|(outcome, count)| {
                    let mut attributes = source_attributes(source);
                    attributes.push(KeyValue::new("outcome", outcome.clone()));
                    (*count, attributes)
                })
            });
            points.collect()
        });
    }

    fn signature(&self) {
        self.gauge("aws.signature.margin", "s", "Skew that is left to a limit; negative where it is passed", |s| {
            of_limits(s, |limit| limit.margin_seconds)
        });
        self.gauge("aws.signature.time_to_limit", "s", "When a limit is passed; absent without a trend", |s| {
            of_limits(s, |limit| limit.time_to_limit_seconds)
        });
    }

    fn credentials(&self) {
        self.gauge("aws.credential.expiration", "s", "When the credential expires, since the Unix epoch", |s| {
            of_credentials(s, |credential| credential.expiration_seconds)
        });
        self.gauge("aws.credential.remaining", "s", "Lifetime that is left, in true time", |s| {
            of_credentials(s, |credential| credential.remaining_seconds)
        });
        self.gauge("aws.credential.remaining_local", "s", "Lifetime that is left, as this host believes", |s| {
            of_credentials(s, |credential| credential.remaining_local_seconds)
        });
        self.gauge("aws.credential.age", "s", "True time since the last rotation", |s| {
            of_credentials(s, |credential| credential.age_seconds)
        });
        self.gauge(
            "aws.credential.refresh_margin",
            "s",
            "Lifetime that is left when an SDK refreshes; negative: it uses expired credentials",
            |s| {
                let points = s.credentials.iter().flat_map(|credential| {
                    credential.refresh_margins_seconds.iter().map(|(sdk, margin)| {
                        let mut attributes = credential_attributes(credential);
                        attributes.push(KeyValue::new("aws.sdk", sdk.clone()));
                        (*margin, attributes)
                    })
                });
                points.collect()
            },
        );
        self.counter("aws.imds.requests", "{request}", "Requests to the instance metadata service", |s| {
            let point = |(outcome, count): (&String, &u64)| (*count, vec![KeyValue::new("outcome", outcome.clone())]);
            s.imds_requests.iter().map(point).collect()
        });
    }

    fn agent(&self) {
        self.gauge("skewguard.alert.active", "1", "1 for every alert that fires", |s| {
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
        });
        self.gauge("skewguard.delivery.queued", "{item}", "Items that wait for delivery", |s| {
            of_destinations(s, |delivery| delivery.queued).into_iter().map(in_floats).collect()
        });
        self.gauge("skewguard.delivery.bytes", "By", "Size of the items that wait for delivery", |s| {
            of_destinations(s, |delivery| delivery.bytes).into_iter().map(in_floats).collect()
        });
        self.counter("skewguard.delivery.dropped", "{item}", "Items that were given up", |s| {
            of_destinations(s, |delivery| delivery.dropped)
        });
        self.counter(
            "skewguard.delivery.refusals",
            "{attempt}",
            "Attempts at delivery that the destination refused",
            |s| of_destinations(s, |delivery| delivery.refusals),
        );
        self.counter("skewguard.delivery.failures", "{attempt}", "Attempts at delivery that failed", |s| {
            of_destinations(s, |delivery| delivery.failures)
        });
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
    vec![KeyValue::new("ntp.source", source.name.clone()), KeyValue::new("server.address", source.server.clone())]
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
    use crate::config::load::parse;
    use crate::credentials::cli_cache::CliCache;
    use crate::credentials::poller::once;
    use crate::credentials::round::Read;
    use crate::credentials::shared_file::SharedFile;
    use crate::engine::{Engine, Event};
    use crate::time::{BootTime, Reading, SystemTime};

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
        let mut readers: [Box<dyn Read>; 2] =
            [Box::new(SharedFile::new(homes.to_vec(), None)), Box::new(CliCache::new(homes.to_vec()))];
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
