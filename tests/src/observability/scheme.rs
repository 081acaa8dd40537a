//! The names under which a backend keeps what the agent exports.

use std::collections::BTreeMap;

/// The table of metrics, which a test of the agent compares with its code.
const README: &str = include_str!("../../../README.md");
const TABLE: &str = "| metric | kind | unit | `detail: fleet` | what it says |\n|---|---|---|---|---|\n";

/// How a backend calls metrics and attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As Prometheus has it: `clock_offset_seconds`. VictoriaMetrics does so with `-opentelemetry.usePrometheusNaming`.
    Prometheus,
    /// As it was sent: `clock.offset`. VictoriaMetrics does so by default.
    Opentelemetry,
    /// As CloudWatch has it: as it was sent, in quotes, and of a resource with that before it.
    Cloudwatch,
}

/// What attributes of a resource begin with, in CloudWatch.
pub const RESOURCE: &str = "@resource.";
/// How the names of attributes of a resource begin.
const OF_RESOURCE: [&str; 4] = ["host.", "cloud.", "service.", "skewguard.configuration"];

impl Scheme {
    /// Those that rules and dashboards for any backend are written for.
    pub const ALL: [Self; 2] = [Self::Prometheus, Self::Opentelemetry];

    /// An expression in which each name of OpenTelemetry stands in backticks, with the names of this scheme.
    ///
    /// # Panics
    /// An attribute or a metric is not closed.
    pub fn expression(self, template: &str) -> String {
        let pieces: Vec<&str> = template.split('`').collect();
        assert!(pieces.len() % 2 == 1, "a backtick is missing in {template}");
        let metrics = metrics();
        let name = |(index, piece): (usize, &&str)| match (index % 2, metrics.get(*piece)) {
            (0, _) => (*piece).to_owned(),
            (_, Some(metric)) => self.metric(piece, metric),
            (_, None) => self.attribute(piece),
        };
        let text: String = pieces.iter().enumerate().map(name).collect();
        // A metric with matchers is one selector there.
        if self == Self::Cloudwatch { text.replace("\"}{", "\", ") } else { text }
    }

    fn metric(self, name: &str, metric: &Metric) -> String {
        match self {
            Self::Opentelemetry => name.replace('.', "\\."),
            Self::Cloudwatch => format!("{{\"{name}\"}}"),
            Self::Prometheus => name.replace('.', "_") + metric.unit_suffix() + metric.kind_suffix(),
        }
    }

    fn attribute(self, name: &str) -> String {
        match self {
            Self::Opentelemetry => name.replace('.', "\\."),
            Self::Cloudwatch => self.quoted(name),
            Self::Prometheus => name.replace('.', "_"),
        }
    }

    /// The expression of a panel, in which an attribute between tildes is a string.
    pub fn query(self, template: &str) -> String {
        self.expression(&between_tildes(template, |name| self.quoted(name)))
    }

    /// What the series of a panel are called, where an attribute between tildes is a label.
    pub fn legend(self, template: &str) -> String {
        between_tildes(template, |name| self.quoted(name).trim_matches('"').to_owned())
    }

    /// An attribute as a string in an expression, such as the source of `label_replace`.
    pub fn quoted(self, name: &str) -> String {
        match self {
            Self::Cloudwatch if OF_RESOURCE.iter().any(|begin| name.starts_with(begin)) => {
                format!("\"{RESOURCE}{name}\"")
            }
            Self::Opentelemetry | Self::Cloudwatch => format!("\"{name}\""),
            Self::Prometheus => format!("\"{}\"", name.replace('.', "_")),
        }
    }
}

/// A text in which `=~` is no tilde that begins or ends a name.
fn between_tildes(template: &str, name: impl Fn(&str) -> String) -> String {
    let kept = template.replace("=~", "\0");
    let pieces = kept.split('~').enumerate();
    let text: String =
        pieces.map(|(index, piece)| if index % 2 == 1 { name(piece) } else { piece.to_owned() }).collect();
    text.replace('\0', "=~")
}

/// What the README says of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// `gauge`, `counter` or `histogram`.
    pub kind: String,
    /// In UCUM.
    pub unit: String,
    /// Whether hosts export it that say no more than a fleet needs, as they do by default.
    pub is_in_fleet: bool,
}

impl Metric {
    /// What Prometheus appends for the unit.
    fn unit_suffix(&self) -> &'static str {
        match (self.unit.as_str(), self.kind.as_str()) {
            ("s", _) => "_seconds",
            ("By", _) => "_bytes",
            ("1", "gauge") => "_ratio",
            _ => "",
        }
    }

    fn kind_suffix(&self) -> &'static str {
        if self.kind == "counter" { "_total" } else { "" }
    }
}

/// Every metric of the agent, by its name.
pub fn metrics() -> BTreeMap<String, Metric> {
    let table = README.split_once(TABLE).map_or("", |(_, rest)| rest);
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).skip(1);
        let (name, kind, unit, fleet) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        Some((name, Metric { kind, unit, is_in_fleet: !fleet.is_empty() }))
    };
    rows.filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_each_backend_makes_of_it() {
        let template = "max by (`host.name`) (`clock.offset` + `clock.drift` + `clock.state` + `clock.steps`)";
        assert_eq!(
            Scheme::Prometheus.expression(template),
            "max by (host_name) (clock_offset_seconds + clock_drift_ratio + clock_state + clock_steps_total)"
        );
        assert_eq!(
            Scheme::Opentelemetry.expression(template),
            "max by (host\\.name) (clock\\.offset + clock\\.drift + clock\\.state + clock\\.steps)"
        );
        assert_eq!(
            Scheme::Cloudwatch
                .query("max by (`host.name`, `aws.limit`) (`clock.state`{~clock.state~=~\"a|b\", alert=\"c\"})"),
            "max by (\"@resource.host.name\", \"aws.limit\") ({\"clock.state\", \"clock.state\"=~\"a|b\", alert=\"c\"})"
        );
        assert!(metrics().len() > 30, "{:?}", metrics());
    }
}
