//! What the committed dashboards ask of a backend.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::committed::root;
use super::scheme::Scheme;

/// The queries of a file, whichever program draws it.
///
/// # Errors
/// It cannot be read, or asks nothing.
pub fn by_file(path: &Path) -> Result<BTreeSet<String>> {
    let at = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(at)?;
    let mut found = BTreeSet::new();
    collect(&serde_json::from_str(&text).with_context(at)?, &mut found);
    ensure!(!found.is_empty(), "{} asks nothing", at());
    Ok(found)
}

/// What Grafana's dashboards ask under this scheme.
///
/// # Errors
/// As [`by_file`].
pub fn by_grafana(scheme: Scheme) -> Result<BTreeSet<String>> {
    let end = if scheme == Scheme::Prometheus { "json" } else { "dotted.json" };
    let mut found = BTreeSet::new();
    for name in ["fleet", "host"] {
        found.append(&mut by_file(&root().join(format!("deploy/dashboards/grafana/{name}.{end}")))?);
    }
    Ok(found)
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match (key.as_str(), member) {
                    ("expr", Value::String(expr)) => drop(found.insert(expr.clone())),
                    // One string is Grafana's, a list that of vmui, and Perses has a `query` beside the name of its series.
                    ("expr", Value::Array(list)) => {
                        found.extend(list.iter().filter_map(|expr| Some(expr.as_str()?.to_owned())));
                    }
                    ("query", Value::String(expr)) if members.contains_key("seriesNameFormat") => {
                        found.insert(expr.clone());
                    }
                    _ => collect(member, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|one| collect(one, found)),
        _ => {}
    }
}
