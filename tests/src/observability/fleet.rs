//! Fleets that there are not, as tests of rules have them: what their hosts export, and what is to be told of it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::scheme::Scheme;

/// What is exported, by the names of OpenTelemetry: a metric, its attributes, and its values, one a minute.
pub struct Series {
    /// The metric, as OpenTelemetry calls it.
    pub metric: &'static str,
    /// Its attributes, those of its resource among them.
    pub attributes: Vec<(&'static str, String)>,
    /// Its values, as tests of rules write them.
    pub values: String,
}

/// What is told at a minute: labels and the value.
pub type Told = (Vec<(&'static str, String)>, &'static str);

/// A fleet, and what is to be told of it.
pub struct Case {
    /// What it exports.
    pub series: Vec<Series>,
    /// At which minute, by which alert.
    pub expected: Vec<(u32, &'static str, Vec<Told>)>,
}

/// A host, as its resource tells of it.
#[derive(Clone)]
pub struct Host {
    /// What it calls itself.
    pub name: String,
    /// Its availability zone.
    pub zone: &'static str,
    /// The image that it was started from.
    pub image: &'static str,
    /// The version of its agent.
    pub version: &'static str,
}

/// The region of all.
pub const REGION: &str = "eu-central-1";

/// Hosts in two availability zones by turns, and of two images by turns of two.
pub fn fleet(count: usize) -> Vec<Host> {
    let host = |index: usize| Host {
        name: format!("web-{index}"),
        zone: if index.is_multiple_of(2) { "eu-central-1a" } else { "eu-central-1b" },
        image: if (index / 2).is_multiple_of(2) { "ami-0a" } else { "ami-0b" },
        version: "0.1.0",
    };
    (0..count).map(host).collect()
}

impl Host {
    /// A metric of it, with more attributes than those of its resource.
    pub fn series(&self, metric: &'static str, more: &[(&'static str, &str)], values: &str) -> Series {
        let mut attributes = vec![
            ("host.name", self.name.clone()),
            ("host.id", format!("i-{}", self.name)),
            ("cloud.account.id", "123456789012".to_owned()),
            ("cloud.region", REGION.to_owned()),
            ("cloud.availability_zone", self.zone.to_owned()),
            ("host.image.id", self.image.to_owned()),
            ("host.type", "m7g.large".to_owned()),
            ("service.version", self.version.to_owned()),
        ];
        attributes.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Series { metric, attributes, values: values.to_owned() }
    }

    /// That it reports.
    pub fn state(&self, values: &str) -> Series {
        self.series("clock.state", &[("clock.state", "synchronized")], values)
    }

    /// An alert that it has for an hour.
    pub fn firing(&self, alert: &'static str, severity: &str, subject: &str) -> Series {
        let about = [("alert", alert), ("severity", severity), ("subject", subject)];
        let about = if subject.is_empty() { &about[..2] } else { &about[..] };
        self.series("skewguard.alert.active", about, "1x60")
    }

    /// What an alert of it bears.
    pub fn labels(&self, severity: &str, subject: &str) -> Vec<(&'static str, String)> {
        let mut labels = vec![
            ("host", self.name.clone()),
            ("instance_id", format!("i-{}", self.name)),
            ("account_id", "123456789012".to_owned()),
            ("region", REGION.to_owned()),
            ("availability_zone", self.zone.to_owned()),
            ("severity", severity.to_owned()),
        ];
        labels.extend((!subject.is_empty()).then(|| ("subject", subject.to_owned())));
        labels
    }
}

/// What the page for a fleet bears.
pub fn cause(kind: &str, severity: &str, cause: &str, value: &str) -> Vec<(&'static str, String)> {
    let named = [
        ("account_id", "123456789012"),
        ("region", REGION),
        ("kind", kind),
        ("severity", severity),
        ("cause", cause),
        ("value", value),
    ];
    named.map(|(name, value)| (name, value.to_owned())).to_vec()
}

impl Series {
    /// A series as tests of rules have it.
    pub fn written(&self, scheme: Scheme) -> Value {
        let name = |name: &str| scheme.expression(&format!("`{name}`"));
        let mut text = if self.metric.contains('.') { name(self.metric) } else { self.metric.to_owned() };
        let attributes = self.attributes.iter().map(|(key, value)| format!("{}=\"{value}\"", name(key)));
        let _ = write!(text, "{{{}}}", attributes.collect::<Vec<_>>().join(", "));
        json!({ "series": text, "values": self.values })
    }
}
