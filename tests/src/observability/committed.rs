//! The files that follow from all this, and the test that compares them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use serde_json::{Value, json};

use super::rule::file;
use super::scheme::Scheme;
use super::{alert, cloudwatch, dashboard, grafana, perses, routing, vmui};

const WRITTEN_BY: &str = "\
# Rules for a fleet with skewguard, for Prometheus, VictoriaMetrics, Mimir and Thanos: see README.md beside this file.
# `SKEWGUARD_WRITE_DOCS=1 cargo test -p tests documented` writes it.
";

/// The schema of the chart's values.
const SCHEMA: &str = "deploy/kubernetes/skewguard/values.schema.json";

/// The same with the names of all alerts.
fn schema() -> Result<String> {
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(root().join(SCHEMA))?)?;
    let names = alert::all().into_iter().map(|alert| (alert.name, json!({ "$ref": "#/definitions/Alert" })));
    let place = "/properties/prometheusRule/properties/alerts/properties";
    *schema.pointer_mut(place).context(place)? = Value::Object(names.collect());
    Ok(format!("{schema:#}\n"))
}

/// What is said of the rules, and the head of its table of alerts.
const README: &str = "deploy/rules/README.md";
const TABLE: &str = "| alert | severity | for | what it means |\n|---|---|---|---|\n";

/// The same with every alert in its table.
fn readme() -> Result<String> {
    let text = fs::read_to_string(root().join(README))?;
    let (before, rest) = text.split_once(TABLE).context("there is no table of alerts")?;
    let rows = alert::all().into_iter().map(|alert| {
        let name = &alert.name;
        let severity = alert.severity.unwrap_or("as the agent has it");
        format!("| [`{name}`](../runbooks/{name}.md) | {severity} | {} | {} |\n", alert.hold, alert.description)
    });
    let after = rest.find("\nAn alert of a host").and_then(|at| rest.get(at..)).context("nothing follows the table")?;
    Ok([before, TABLE, &rows.collect::<String>(), after].concat())
}

/// The top of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file, by its path from there.
///
/// # Errors
/// One cannot be written, which does not happen.
pub fn files() -> Result<Vec<(String, String)>> {
    let rules = |scheme| file(scheme).text(WRITTEN_BY);
    let mut files = vec![
        ("deploy/rules/skewguard.rules.yaml".into(), rules(Scheme::Prometheus)?),
        ("deploy/rules/skewguard.dotted.rules.yaml".into(), rules(Scheme::Opentelemetry)?),
        ("deploy/kubernetes/skewguard/rules.yaml".into(), rules(Scheme::Prometheus)?),
        ("deploy/rules/alertmanager.yaml".into(), routing::alertmanager()),
        (SCHEMA.into(), schema()?),
        (README.into(), readme()?),
    ];
    let body = cloudwatch::written(&dashboard::cloudwatch::dashboard());
    files.push(("deploy/dashboards/cloudwatch/fleet.json".into(), format!("{body:#}\n")));
    for dashboard in [dashboard::fleet::dashboard(), dashboard::host::dashboard()] {
        for (scheme, dotted) in [(Scheme::Prometheus, ""), (Scheme::Opentelemetry, ".dotted")] {
            let path = |kind| format!("deploy/dashboards/{kind}/{}{dotted}.json", dashboard.name);
            files.push((path("grafana"), format!("{:#}\n", grafana::written(&dashboard, scheme))));
            files.push((path("perses"), format!("{:#}\n", perses::written(&dashboard, scheme))));
            // It has nothing to choose by, so a host cannot be chosen.
            if dashboard.choice.1 {
                files.push((path("vmui"), format!("{:#}\n", vmui::written(&dashboard, scheme))));
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use skewguard::assess::alerts::ROWS;

    use super::*;
    use crate::observability::scheme;

    #[test]
    fn what_is_committed_is_documented_as_the_lists_have_it() {
        for (path, expected) in files().unwrap() {
            let at = root().join(&path);
            if fs::read_to_string(&at).is_ok_and(|found| found == expected) {
                continue;
            }
            assert!(
                std::env::var_os("SKEWGUARD_WRITE_DOCS").is_some(),
                "{path} is not what the lists say; `SKEWGUARD_WRITE_DOCS=1 cargo test -p tests documented` writes it"
            );
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, expected).unwrap();
        }
    }

    /// The parts of a runbook, in their order.
    const PARTS: [&str; 6] = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Prevention", "Silencing"];

    #[test]
    fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
        let folder = root().join("deploy/runbooks");
        let mut found: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        let mut names: Vec<_> =
            alert::all().iter().map(|alert| std::ffi::OsString::from(format!("{}.md", alert.name))).collect();
        found.sort();
        names.sort();
        assert_eq!(found, names);
        for alert in alert::all() {
            let text = fs::read_to_string(folder.join(format!("{}.md", alert.name))).unwrap();
            let parts: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
            assert_eq!(parts, PARTS, "{}", alert.name);
            assert!(text.starts_with(&format!("# {}\n", alert.name)));
            assert!(text.contains(&format!("alertname={}", alert.name)), "{} cannot be silenced", alert.name);
            let body = text.split("\n## ").skip(1).map(|part| part.lines().filter(|line| !line.is_empty()).count());
            assert!(body.min().is_some_and(|lines| lines > 1), "{} has an empty part", alert.name);
            assert!(text.contains("```console "), "{} has no command that is run", alert.name);
        }
    }

    #[test]
    fn each_alert_has_a_rule_a_runbook_a_panel_and_its_place_in_the_documentation() {
        let files: std::collections::BTreeMap<_, _> = files().unwrap().into_iter().collect();
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let own = ROWS.each_ref().map(|row| row.kind.name());
        for alert in alert::all() {
            let name = &alert.name;
            for rules in ["skewguard.rules", "skewguard.dotted.rules"] {
                let text = &files[&format!("deploy/rules/{rules}.yaml")];
                assert!(text.contains(&format!("- alert: {name}\n")), "{name} has no rule in {rules}");
                assert!(text.contains(&format!("/{name}.md\n")), "{name} has no link to its runbook in {rules}");
            }
            assert!(root().join(format!("deploy/runbooks/{name}.md")).exists(), "{name} has no runbook");
            for kind in ["grafana", "perses"] {
                let text =
                    ["fleet", "host"].map(|name| files[&format!("deploy/dashboards/{kind}/{name}.json")].clone());
                assert!(text.concat().contains(&format!("\"Runbook: {name}\"")), "{name} has no panel for {kind}");
            }
            assert!(files[README].contains(&format!("| [`{name}`](")), "{name} is not in the table of {README}");
            if own.contains(&name.as_str()) {
                assert!(readme.contains(&format!("| `{name}` |")), "{name} is not in the README");
            }
        }
        assert!(alert::all().len() > own.len() && own.len() > 9);
    }

    #[test]
    fn nothing_is_asked_for_that_hosts_do_not_export_by_default() {
        let all: String = files().unwrap().into_iter().map(|(_, text)| text).collect();
        for (name, _) in scheme::metrics().iter().filter(|(_, metric)| !metric.is_in_fleet) {
            for named in Scheme::ALL.map(|scheme| scheme.expression(&format!("`{name}`"))) {
                // Some files have two backslashes for one.
                let in_json = named.replace('\\', "\\\\");
                assert!(!all.contains(&named) && !all.contains(&in_json), "{name}");
            }
        }
    }

    #[test]
    fn each_link_of_rules_and_runbooks_leads_to_a_file() {
        let mut links = 0;
        for folder in ["deploy/dashboards", "deploy/rules", "deploy/runbooks"].map(|folder| root().join(folder)) {
            for file in fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).filter(|file| file.is_file()) {
                if file.extension().is_some_and(|extension| extension == "png") {
                    continue;
                }
                let text = fs::read_to_string(&file).unwrap();
                for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
                    links += 1;
                    assert!(folder.join(target).exists(), "{}: {target}", file.display());
                }
            }
        }
        assert!(links > 40, "{links}");
    }
}
