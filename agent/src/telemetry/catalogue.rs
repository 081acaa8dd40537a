//! The list of all metrics: a row for each, read off the snapshot.

use opentelemetry::KeyValue;

use super::metric::{InFleet, Metric, Point};
use crate::clock::estimate::ClockState;
use crate::clock::source::Verdict;
use crate::snapshot::{Credential, Delivery, Limit, Snapshot, Source};

/// The one metric that is not read from the snapshot.
pub(super) const IMDS_DURATION: Metric<f64> = Metric {
    name: "aws.imds.duration",
    unit: "s",
    about: "Duration of requests to the instance metadata service",
    in_fleet: InFleet::No,
    points: |_| Vec::new(),
};

/// The metrics that go up and down.
pub(super) const GAUGES: &[Metric<f64>] = &[
    Metric {
        name: "clock.offset",
        unit: "s",
        about: "True time minus system time: positive where the clock is slow",
        in_fleet: InFleet::Same,
        points: |s| plain(s.clock.offset_seconds),
    },
    Metric {
        name: "clock.error_bound",
        unit: "s",
        about: "Half the width of the interval that holds the true offset",
        in_fleet: InFleet::Same,
        points: |s| plain(s.clock.error_bound_seconds),
    },
    Metric {
        name: "clock.drift",
        unit: "1",
        about: "Trend of the offset, seconds a second; absent without one",
        in_fleet: InFleet::Same,
        points: |s| plain(s.clock.drift_ppm.map(|ppm| ppm * 1e-6)),
    },
    Metric {
        name: "clock.state",
        unit: "{state}",
        about: "1 for the state that the clock is in, else 0",
        in_fleet: InFleet::States,
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
        in_fleet: InFleet::Same,
        points: |s| plain(s.clock.disruptions.and_then(|disruptions| disruptions.expected_within_seconds)),
    },
    Metric {
        name: "clock.kernel.synchronized",
        unit: "{state}",
        about: "1 where a time daemon says that the clock is synchronized",
        in_fleet: InFleet::No,
        points: |s| plain(s.clock.kernel.map(|kernel| flag(kernel.synchronized))),
    },
    Metric {
        name: "clock.kernel.max_error",
        unit: "s",
        about: "The kernel's bound on the error of its clock",
        in_fleet: InFleet::No,
        points: |s| plain(s.clock.kernel.and_then(|kernel| kernel.max_error_seconds)),
    },
    Metric {
        name: "clock.kernel.frequency",
        unit: "1",
        about: "The kernel's correction of the clock's frequency",
        in_fleet: InFleet::No,
        points: |s| plain(s.clock.kernel.map(|kernel| kernel.frequency_ppm * 1e-6)),
    },
    Metric {
        name: "clock.source.offset",
        unit: "s",
        about: "True minus system time, as this source has it",
        in_fleet: InFleet::Same,
        points: |s| of_sources(s, |source| source.offset_seconds),
    },
    Metric {
        name: "clock.source.delay",
        unit: "s",
        about: "Round trip to this source",
        in_fleet: InFleet::No,
        points: |s| of_sources(s, |source| source.delay_seconds),
    },
    Metric {
        name: "clock.source.root_distance",
        unit: "s",
        about: "How far this source can be wrong",
        in_fleet: InFleet::No,
        points: |s| of_sources(s, |source| source.root_distance_seconds),
    },
    Metric {
        name: "clock.source.stratum",
        unit: "{hop}",
        about: "Hops from the primary reference; absent where there are none",
        in_fleet: InFleet::No,
        points: |s| of_sources(s, |source| source.stratum.map(f64::from)),
    },
    Metric {
        name: "clock.source.reachability",
        unit: "1",
        about: "Answered share of the last eight polls",
        in_fleet: InFleet::Same,
        points: |s| of_sources(s, |source| source.reachability),
    },
    Metric {
        name: "clock.source.verdict",
        unit: "{verdict}",
        about: "1 for the verdict on this source, else 0",
        in_fleet: InFleet::States,
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
        in_fleet: InFleet::Same,
        points: |s| of_limits(s, |limit| limit.margin_seconds),
    },
    Metric {
        name: "aws.signature.time_to_limit",
        unit: "s",
        about: "When a limit is passed; absent without a trend",
        in_fleet: InFleet::Same,
        points: |s| of_limits(s, |limit| limit.time_to_limit_seconds),
    },
    Metric {
        name: "aws.credential.expiration",
        unit: "s",
        about: "When the credential expires, since the Unix epoch",
        in_fleet: InFleet::Same,
        points: |s| of_credentials(s, |credential| credential.expiration_seconds),
    },
    Metric {
        name: "aws.credential.remaining",
        unit: "s",
        about: "Lifetime that is left, in true time",
        in_fleet: InFleet::Same,
        points: |s| of_credentials(s, |credential| credential.remaining_seconds),
    },
    Metric {
        name: "aws.credential.remaining_local",
        unit: "s",
        about: "Lifetime that is left, as this host believes",
        in_fleet: InFleet::No,
        points: |s| of_credentials(s, |credential| credential.remaining_local_seconds),
    },
    Metric {
        name: "aws.credential.age",
        unit: "s",
        about: "True time since the last rotation",
        in_fleet: InFleet::No,
        points: |s| of_credentials(s, |credential| credential.age_seconds),
    },
    Metric {
        name: "aws.credential.refresh_margin",
        unit: "s",
        about: "Lifetime that is left when an SDK refreshes; negative: it uses expired credentials",
        in_fleet: InFleet::As(least_refresh_margins),
        points: |s| s.credentials.iter().flat_map(refresh_margins).collect(),
    },
    Metric {
        name: "skewguard.alert.active",
        unit: "{alert}",
        about: "1 for every alert that fires",
        in_fleet: InFleet::Same,
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
        in_fleet: InFleet::Same,
        points: |s| of_destinations(s, |delivery| delivery.queued).into_iter().map(in_floats).collect(),
    },
    Metric {
        name: "skewguard.delivery.bytes",
        unit: "By",
        about: "Size of the items that wait for delivery",
        in_fleet: InFleet::No,
        points: |s| of_destinations(s, |delivery| delivery.bytes).into_iter().map(in_floats).collect(),
    },
];

/// The metrics that only grow.
pub(super) const COUNTERS: &[Metric<u64>] = &[
    Metric {
        name: "clock.steps",
        unit: "{step}",
        about: "Steps of the system clock",
        in_fleet: InFleet::Same,
        points: |s| {
            let direction = |name: &'static str| vec![KeyValue::new("clock.direction", name)];
            vec![(s.clock.steps.forward, direction("forward")), (s.clock.steps.backward, direction("backward"))]
        },
    },
    Metric {
        name: "clock.disruptions",
        unit: "{disruption}",
        about: "Migrations and restorations of this machine, where the hypervisor tells of them",
        in_fleet: InFleet::Same,
        points: |s| s.clock.disruptions.iter().map(|disruptions| (disruptions.seen, Vec::new())).collect(),
    },
    Metric {
        name: "clock.source.queries",
        unit: "{query}",
        about: "Queries by their outcome",
        in_fleet: InFleet::No,
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
        in_fleet: InFleet::No,
        points: |s| {
            let point = |(outcome, count): (&String, &u64)| (*count, vec![KeyValue::new("outcome", outcome.clone())]);
            s.imds_requests.iter().map(point).collect()
        },
    },
    Metric {
        name: "skewguard.delivery.dropped",
        unit: "{item}",
        about: "Items that were given up",
        in_fleet: InFleet::Same,
        points: |s| of_destinations(s, |delivery| delivery.dropped),
    },
    Metric {
        name: "skewguard.delivery.refusals",
        unit: "{attempt}",
        about: "Attempts at delivery that the destination refused",
        in_fleet: InFleet::Same,
        points: |s| of_destinations(s, |delivery| delivery.refusals),
    },
    Metric {
        name: "skewguard.delivery.failures",
        unit: "{attempt}",
        about: "Attempts at delivery that failed",
        in_fleet: InFleet::No,
        points: |s| of_destinations(s, |delivery| delivery.failures),
    },
];

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

/// By how much the SDKs refresh a credential in time, each of them.
fn refresh_margins(credential: &Credential) -> Vec<Point<f64>> {
    let point = |(sdk, margin): (&String, &f64)| {
        let mut attributes = credential_attributes(credential);
        attributes.push(KeyValue::new("aws.sdk", sdk.clone()));
        (*margin, attributes)
    };
    credential.refresh_margins_seconds.iter().map(point).collect()
}

/// Of each credential the least, with the SDK that has it: the first that fails.
fn least_refresh_margins(snapshot: &Snapshot) -> Vec<Point<f64>> {
    let least = |credential| refresh_margins(credential).into_iter().min_by(|one, other| one.0.total_cmp(&other.0));
    snapshot.credentials.iter().filter_map(least).collect()
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
    use std::sync::Arc;

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
        fn line<T>(one: &Metric<T>, kind: &str) -> String {
            let Metric { name, unit, about, in_fleet, .. } = one;
            let in_fleet = match in_fleet {
                InFleet::No => "",
                InFleet::Same => "yes",
                InFleet::States => "what is the case, or was",
                InFleet::As(_) => "the least of each",
            };
            format!("| `{name}` | {kind} | `{unit}` | {in_fleet} | {about} |\n")
        }
        let gauges = GAUGES.iter().map(|one| line(one, "gauge"));
        let counters = COUNTERS.iter().map(|one| line(one, "counter"));
        let duration = line(&IMDS_DURATION, "histogram");
        let lines: String = gauges.chain(counters).chain([duration]).collect();
        let begin = "| metric | kind | unit | `detail: fleet` | what it says |\n|---|---|---|---|---|\n";
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
            let keys = "aws_access_key_id = a\naws_secret_access_key = b\nexpiration = 2026-12-01T16:00:00Z\n";
            let profiles: String =
                ["default", "\u{e4}", "\u{f6}", "bob:default"].iter().map(|name| format!("[{name}]\n{keys}")).collect();
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
