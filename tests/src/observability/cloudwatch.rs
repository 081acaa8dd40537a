//! A dashboard for CloudWatch: charts of what it is sent by OTLP, asked in `PromQL`, and the records of alerts in its logs.
//!
//! `PromQL` is asked by a widget `chart` alone: one of type `metric` is refused where it has `data`. The form of a chart is that
//! of dashboards which AWS's own samples deploy.

use serde_json::{Value, json};

use super::alert::RUNBOOKS;
use super::panel::{Dashboard, Levels, Panel, Shape, Unit, with};
use super::scheme::Scheme;

/// Where it is shown, which whoever installs it replaces.
pub const REGION: &str = "eu-central-1";
/// The log group of the records of alerts: that of `telemetry.otlp.sigv4.log_group` in the documentation.
pub const LOG_GROUP: &str = "/skewguard/alerts";
/// How high a heading is, and a row of text.
const HEADING: u32 = 2;
/// How high what has happened is.
const LOG: u32 = 8;

/// A dashboard, which is the body of `PutDashboard`.
pub fn written(dashboard: &Dashboard) -> Value {
    let mut widgets = Vec::new();
    let mut below = 0;
    for row in &dashboard.rows {
        let place = json!({ "x": 0, "y": below, "width": 24, "height": HEADING });
        widgets.push(with(
            place,
            json!({ "type": "text", "properties": { "markdown": heading(row.title, &row.panels) } }),
        ));
        let (places, height) = row.places();
        for (index, (panel, x, y)) in places.into_iter().enumerate() {
            let place = json!({ "x": x, "y": below + HEADING + y, "width": panel.width, "height": panel.height() });
            let id = format!("{}{index}", row.title.chars().filter(char::is_ascii_lowercase).collect::<String>());
            widgets.push(with(place, json!({ "type": "chart", "properties": chart(panel, &id) })));
        }
        below += HEADING + height;
    }
    let place = json!({ "x": 0, "y": below, "width": 24, "height": LOG });
    widgets.push(with(place, json!({ "type": "log", "properties": records() })));
    json!({ "start": "-PT6H", "periodOverride": "inherit", "widgets": widgets })
}

/// What a row is about, and what to read where something is wrong: a chart has no place for it.
fn heading(title: &str, panels: &[Panel]) -> String {
    let mut names: Vec<_> = panels.iter().filter_map(|panel| panel.runbook).collect();
    names.sort_unstable();
    names.dedup();
    let links: Vec<_> = names.iter().map(|name| format!("[{name}]({RUNBOOKS}/{name}.md)")).collect();
    let links = if links.is_empty() { String::new() } else { format!("\nRunbooks: {}", links.join(", ")) };
    format!("## {title}{links}")
}

fn chart(panel: &Panel, id: &str) -> Value {
    let query = |(index, query): (usize, &super::panel::Query)| {
        let mut written = json!({
            "id": format!("{id}q{index}"), "type": "cloudwatch-metrics", "language": "PromQL",
            "query": Scheme::Cloudwatch.query(query.expr),
        });
        // Whatever tells several series from one another stands in what CloudWatch calls them by itself.
        if !query.legend.contains("{{") {
            written = with(written, json!({ "label": query.legend }));
        }
        written
    };
    let stacked = panel.shape == Shape::Stack;
    // All five are wanted, or none.
    let line = json!({ "width": 2, "pattern": "solid", "spline": false, "filled": stacked, "stacked": stacked });
    let (view, options) = match panel.shape {
        Shape::Number => ("number", json!({ "style": { "numberOptions": { "sparkline": true, "truncate": true } } })),
        Shape::Lines | Shape::Stack | Shape::Table => (
            "line",
            json!({
                "style": { "lineOptions": line }, "legend": { "position": "bottom", "show": true },
                "yAxis": [{ "title": if panel.unit == Unit::Count { "hosts" } else { "seconds" } }],
            }),
        ),
    };
    let levels = levels(panel.levels);
    let options =
        if levels.is_empty() { options } else { with(options, json!({ "annotations": { "horizontal": levels } })) };
    json!({
        "title": panel.title, "view": view, "region": REGION,
        "data": { "queries": panel.queries.iter().enumerate().map(query).collect::<Vec<_>>() },
        "plotOptions": options,
    })
}

/// Lines at levels, with a word each.
fn levels(levels: Levels) -> Vec<Value> {
    let at = |value: f64, label: &str, color: &str| json!({ "type": "static", "value": value, "label": label, "color": color });
    match levels {
        Levels::None => Vec::new(),
        Levels::Below(critical, warning) | Levels::Above(warning, critical) => {
            vec![at(warning, "warning", "#e06c00"), at(critical, "critical", "#d62728")]
        }
        Levels::Beyond(warning, critical) => [1.0, -1.0]
            .into_iter()
            .flat_map(|side| [at(side * warning, "warning", "#e06c00"), at(side * critical, "critical", "#d62728")])
            .collect(),
    }
}

/// What has happened, the newest first, as the agents have told it.
fn records() -> Value {
    let query = [
        &format!("SOURCE '{LOG_GROUP}'"),
        "fields @timestamp, attributes.severity, attributes.alert, body, @message",
        "filter @message like /skewguard.alert/",
        "sort @timestamp desc",
        "limit 100",
    ];
    json!({ "title": "Alerts, as they were told", "region": REGION, "view": "table", "query": query.join("\n| ") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::dashboard::cloudwatch::dashboard;
    use super::*;

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    /// What is documented of the body of a dashboard, and what CloudWatch has said of those that it refused.
    fn assert_taken(body: &Value) {
        assert_eq!(keys(body), ["periodOverride", "start", "widgets"].into());
        let widgets = body["widgets"].as_array().unwrap();
        assert!((1..=500).contains(&widgets.len()));
        let mut cells = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for widget in widgets {
            assert_eq!(keys(widget), ["height", "properties", "type", "width", "x", "y"].into());
            let [x, y, width, height] = ["x", "y", "width", "height"].map(|key| widget[key].as_u64().unwrap());
            assert!(x < 24 && (1..=24).contains(&width) && x + width <= 24 && (1..=1000).contains(&height), "{widget}");
            for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{widget} lies upon another one");
            }
            let properties = &widget["properties"];
            match widget["type"].as_str().unwrap() {
                "text" => assert_eq!(keys(properties), ["markdown"].into()),
                "log" => {
                    assert_eq!(keys(properties), ["query", "region", "title", "view"].into());
                    assert!(properties["query"].as_str().unwrap().starts_with("SOURCE '/skewguard/alerts'\n| "));
                }
                "chart" => {
                    assert_eq!(keys(properties), ["data", "plotOptions", "region", "title", "view"].into());
                    assert!(["line", "number"].contains(&properties["view"].as_str().unwrap()));
                    let style = &properties["plotOptions"]["style"];
                    let options = if properties["view"] == "number" {
                        ["numberOptions", "sparkline", "truncate"].as_slice()
                    } else {
                        ["lineOptions", "filled", "pattern", "spline", "stacked", "width"].as_slice()
                    };
                    assert_eq!(
                        keys(&style[options[0]]),
                        options[1..].iter().copied().collect(),
                        "all of them, or it is refused"
                    );
                    let queries = properties["data"]["queries"].as_array().unwrap();
                    assert!(!queries.is_empty());
                    for query in queries {
                        let id = query["id"].as_str().unwrap();
                        assert!(id.starts_with(|c: char| c.is_ascii_lowercase()) && id.len() <= 255);
                        assert!(id.chars().all(|c| c.is_ascii_alphanumeric()) && ids.insert(id), "{id}");
                        assert_eq!(
                            (&query["type"], &query["language"]),
                            (&"cloudwatch-metrics".into(), &"PromQL".into())
                        );
                        assert!(query["query"].as_str().unwrap().contains("{\""));
                    }
                    let lines = properties["plotOptions"]["annotations"]["horizontal"].as_array();
                    for line in lines.into_iter().flatten() {
                        assert_eq!(keys(line), ["color", "label", "type", "value"].into());
                    }
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn what_is_written_is_what_cloudwatch_takes() {
        let body = written(&dashboard());
        assert_taken(&body);
        assert!(body.to_string().len() < 100_000);
        let text = body.to_string();
        // It records nothing, so nothing that is recorded is there.
        assert!(!text.contains("skewguard:") && !text.contains('`') && !text.contains("$region"), "{text}");
    }
}
