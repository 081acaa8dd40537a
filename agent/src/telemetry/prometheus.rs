//! The metrics as text that Prometheus reads, without stamps: the time of a scrape is that of the server, which is right.
//!
//! Names and units are those that a collector gives them on the way from OTLP to Prometheus, so that the same query finds both.
//! The library of Prometheus's own project writes OpenMetrics alone, and what reads the older format, node_exporter and
//! promtool among it, takes all counters therein for something untyped.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use super::catalogue::{COUNTERS, GAUGES};
use super::detail::Detail;
use super::metric::{Metric, Number};
use crate::snapshot::Snapshot;

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The text format 0.0.4, which all read.
    Text,
    /// OpenMetrics 1.0.0, for those who ask for it.
    OpenMetrics,
}

impl Format {
    /// The media type of it.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What a scraper with this `Accept` header is given.
    pub(super) fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }
}

/// What a family is, and how its samples end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Gauge,
    Counter,
    Info,
}

/// Everything that is exported at this detail.
pub(super) fn text(snapshot: &Snapshot, resource: &Resource, detail: Detail, format: Format) -> String {
    let mut page = Page { format, text: String::new() };
    page.info(resource, snapshot);
    for metric in GAUGES {
        page.metric(metric, Type::Gauge, snapshot, detail);
    }
    for metric in COUNTERS {
        page.metric(metric, Type::Counter, snapshot, detail);
    }
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

struct Page {
    format: Format,
    text: String,
}

impl Page {
    /// Who speaks, as the one sample of `target_info`.
    fn info(&mut self, resource: &Resource, snapshot: &Snapshot) {
        let own = resource.iter().map(|(key, value)| (key.as_str().to_owned(), value.to_string()));
        let learnt = snapshot.host.iter().map(|(key, value)| (key.clone(), value.clone()));
        let mut labels = BTreeMap::new();
        for (key, value) in own.chain(learnt) {
            // What is there already wins.
            labels.entry(label(&key)).or_insert(value);
        }
        self.family("target", "", Type::Info, "The host and its agent");
        self.sample("target_info", labels.into_iter(), 1);
    }

    fn metric<T: Number + Display>(&mut self, metric: &Metric<T>, kind: Type, snapshot: &Snapshot, detail: Detail) {
        let points = metric.exported(snapshot, detail, None);
        if points.is_empty() {
            return;
        }
        let unit = unit(metric.unit);
        let mut name = metric.name.replace('.', "_");
        // As for `skewguard.delivery.bytes`.
        if !name.ends_with(unit) {
            name.push('_');
            name.push_str(unit);
        }
        self.family(&name, unit, kind, metric.about);
        let name = if kind == Type::Counter { format!("{name}_total") } else { name };
        for (value, attributes) in points {
            let labels = attributes.iter().map(|KeyValue { key, value, .. }| (label(key.as_str()), value.to_string()));
            self.sample(&name, labels, value);
        }
    }

    /// The lines before the samples of a family. In the older format it has the name of its samples.
    fn family(&mut self, name: &str, unit: &str, kind: Type, about: &str) {
        let (suffix, kind) = match (kind, self.format) {
            (Type::Gauge, _) => ("", "gauge"),
            (Type::Counter, Format::OpenMetrics) => ("", "counter"),
            (Type::Counter, Format::Text) => ("_total", "counter"),
            (Type::Info, Format::OpenMetrics) => ("", "info"),
            (Type::Info, Format::Text) => ("_info", "gauge"),
        };
        self.line(format_args!("# HELP {name}{suffix} {}\n", escaped(about, false)));
        self.line(format_args!("# TYPE {name}{suffix} {kind}\n"));
        if self.format == Format::OpenMetrics && !unit.is_empty() {
            self.line(format_args!("# UNIT {name} {unit}\n"));
        }
    }

    fn sample(&mut self, name: &str, labels: impl Iterator<Item = (String, String)>, value: impl Display) {
        let labels: Vec<_> = labels.map(|(key, value)| format!("{key}=\"{}\"", escaped(&value, true))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{labels} {value}\n"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.write_fmt(line).expect("memory takes what is written");
    }
}

/// What a name ends with for a unit of UCUM: nothing for what is counted in braces.
fn unit(unit: &str) -> &'static str {
    match unit {
        "s" => "seconds",
        "By" => "bytes",
        "1" => "ratio",
        _ => "",
    }
}

/// The name of a label for a key: letters, digits and underscores, the first no digit.
fn label(key: &str) -> String {
    let mut label: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if label.starts_with(|c: char| c.is_ascii_digit()) {
        label.insert(0, '_');
    }
    label
}

fn escaped(text: &str, is_quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if is_quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    use opentelemetry_sdk::Resource;

    use super::*;
    use crate::clock::local;
    use crate::config::load::parse;
    use crate::engine::Engine;

    /// A host with one source and one credential, all of which is known, and two destinations.
    fn snapshot() -> Snapshot {
        let config = parse("sources: [{ name: a, ntp: 127.0.0.1 }]", Path::new("a.yaml"), &|_| None).unwrap();
        let now = local::read();
        let empty = serde_json::to_value(Engine::new(Arc::new(config), now).snapshot(now)).unwrap();
        let mut json = empty;
        let known = [
            ("/clock/state", "synchronized".into()),
            ("/clock/offset_seconds", 1e-7.into()),
            ("/clock/error_bound_seconds", 0.001.into()),
            ("/clock/drift_ppm", (-0.5).into()),
            ("/sources/0/offset_seconds", 0.0.into()),
            ("/sources/0/delay_seconds", 0.001.into()),
            ("/sources/0/root_distance_seconds", 0.001.into()),
            ("/sources/0/stratum", 1.into()),
            ("/sources/0/verdict", "truechimer".into()),
        ];
        for (pointer, value) in known {
            *json.pointer_mut(pointer).unwrap() = value;
        }
        for limit in json["limits"].as_array_mut().unwrap() {
            limit["margin_seconds"] = 240.into();
            limit["time_to_limit_seconds"] = 1e9.into();
        }
        json["credentials"] = serde_json::json!([{
            "provider": "imds", "identity": "role \"a\\b\"", "subject": "imds", "state": "valid", "code": "Success",
            "expiration": "2026-12-01T16:00:00Z", "expiration_seconds": 1_796_140_800.0, "last_updated": null,
            "remaining_seconds": 21_600, "remaining_local_seconds": 21_600, "age_seconds": 60,
            "refresh_margins_seconds": {"botocore": 599, "java-v2": 300, "go-v2": 10},
        }]);
        json["imds_requests"] = serde_json::json!({"ok": 3, "timeout": 0});
        json["delivery"] = ["otlp-logs", "otlp-metrics"]
            .map(|destination| {
                serde_json::json!({"destination": destination, "queued": 0, "bytes": 0, "delivered": 7, "dropped": 0,
                    "refusals": 0, "failures": 0})
            })
            .to_vec()
            .into();
        json["host"] = serde_json::json!({"host.id": "i-1", "service.name": "learnt"});
        serde_json::from_value(json).unwrap()
    }

    fn page(detail: Detail, format: Format) -> String {
        let attributes = [("service.name", "skewguard"), ("host.name", "a\n\"b\"")].map(|(k, v)| KeyValue::new(k, v));
        text(&snapshot(), &Resource::builder_empty().with_attributes(attributes).build(), detail, format)
    }

    fn samples(page: &str) -> Vec<&str> {
        page.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn a_host_of_a_fleet_has_at_most_25_series_and_each_of_full_is_one() {
        let fleet = page(Detail::Fleet, Format::Text);
        // The one that says who speaks is OTLP's resource.
        let series = samples(&fleet).len() - 1;
        println!("{series} of {}", samples(&page(Detail::Full, Format::Text)).len() - 1);
        assert!((20..=25).contains(&series), "{series}\n{fleet}");
        for (wanted, not) in [
            ("clock_state{clock_state=\"synchronized\"} 1\n", "clock_state=\"holdover\""),
            ("clock_source_verdict=\"truechimer\"} 1\n", "falseticker"),
            ("aws_sdk=\"go-v2\"} 10\n", "botocore"),
            ("clock_offset_seconds 0.0000001\n", "e-7"),
        ] {
            assert!(fleet.contains(wanted) && !fleet.contains(not), "{wanted} {not}\n{fleet}");
        }
        let full = page(Detail::Full, Format::Text);
        let all = samples(&full);
        let of = |line: &&str| line.rsplit_once(' ').unwrap().0.to_owned();
        assert_eq!(all.iter().map(of).collect::<BTreeSet<_>>().len(), all.len(), "{full}");
        let kept = samples(&fleet).iter().all(|line| all.contains(line));
        assert!(kept, "{fleet}\n{full}");
    }

    #[test]
    fn names_of_families_are_those_of_their_samples_in_the_older_format_and_without_the_suffix_in_the_newer() {
        let (old, new) = (page(Detail::Full, Format::Text), page(Detail::Full, Format::OpenMetrics));
        assert!(old.contains("# TYPE clock_steps_total counter\nclock_steps_total{"), "{old}");
        assert!(new.contains("# TYPE clock_steps counter\nclock_steps_total{"), "{new}");
        assert!(new.contains("# TYPE clock_offset_seconds gauge\n# UNIT clock_offset_seconds seconds\n"), "{new}");
        assert!(new.ends_with("\n# EOF\n") && !old.contains("# EOF") && !old.contains("# UNIT"));
        for page in [&old, &new] {
            let info = "target_info{host_id=\"i-1\",host_name=\"a\\n\\\"b\\\"\",service_name=\"skewguard\"} 1\n";
            assert!(page.contains(info), "{page}");
            assert!(page.contains("aws_credential_identity=\"role \\\"a\\\\b\\\"\""), "{page}");
        }
        assert_eq!(samples(&old), samples(&new));
    }

    #[test]
    fn what_asks_for_the_newer_format_gets_it_and_all_else_the_older() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::wanted(prometheus), Format::OpenMetrics);
        for accept in ["", "*/*", "text/plain;version=0.0.4"] {
            assert_eq!(Format::wanted(accept), Format::Text);
        }
    }

    #[test]
    fn a_key_of_any_letters_is_a_label() {
        assert_eq!([label("cloud.region"), label("1a-b"), label("ä")], ["cloud_region", "_1a_b", "_"]);
    }
}
