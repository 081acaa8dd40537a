//! How rules are written: the format of Prometheus, which VictoriaMetrics and the Prometheus Operator read as well.

use std::collections::BTreeMap;

use serde::Serialize;

use super::scheme::Scheme;
use super::{alert, record};

/// A file of rules.
#[derive(Debug, Serialize)]
pub struct File {
    /// Its groups.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other.
#[derive(Debug, Serialize)]
pub struct Group {
    /// What it is called.
    pub name: &'static str,
    /// How often.
    pub interval: &'static str,
    /// Its rules, in their order.
    pub rules: Vec<Written>,
}

/// A rule.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Written {
    /// One that records.
    Record {
        /// As what.
        record: String,
        /// What is recorded.
        expr: String,
        /// Labels that each series gets.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<&'static str, String>,
    },
    /// One that tells.
    Alert {
        /// What it is called.
        alert: String,
        /// Where this yields anything.
        expr: String,
        /// For so long.
        #[serde(rename = "for")]
        hold: &'static str,
        /// Labels that each alert gets.
        labels: BTreeMap<&'static str, String>,
        /// What people read.
        annotations: BTreeMap<&'static str, String>,
    },
}

/// How often all is evaluated. VictoriaMetrics finds what was recorded at the evaluation after that, and a page for a whole
/// fleet rests on three of these.
const INTERVAL: &str = "30s";

/// All rules for backends that call things so. What is told of a fleet does not wait for what is told of ten thousand hosts.
pub fn file(scheme: Scheme) -> File {
    let group = |name, rules| Group { name, interval: INTERVAL, rules };
    let alerts = |is_of_fleet| {
        alert::all().iter().filter(|alert| alert.is_of_fleet() == is_of_fleet).map(alert::Alert::written).collect()
    };
    File {
        groups: vec![
            group("skewguard-records", record::all(scheme)),
            group("skewguard-fleet", alerts(true)),
            group("skewguard-hosts", alerts(false)),
        ],
    }
}

impl File {
    /// Its text, below a comment.
    ///
    /// # Errors
    /// It cannot be written as YAML, which does not happen.
    pub fn text(&self, comment: &str) -> anyhow::Result<String> {
        Ok(format!("{comment}{}", serde_yaml::to_string(self)?))
    }
}
