//! Dashboards as Perses has them.

use serde_json::{Map, Value, json};

use super::alert::RUNBOOKS;
use super::panel::{Dashboard, Levels, Panel, Shape, Unit, with};
use super::scheme::Scheme;

const GREEN: &str = "#2ca02c";
const ORANGE: &str = "#e06c00";
const RED: &str = "#d62728";

/// A dashboard, in a project of its own, with the data source that is the default there.
pub fn written(dashboard: &Dashboard, scheme: Scheme) -> Value {
    let mut panels = Map::new();
    let mut layouts = Vec::new();
    for row in &dashboard.rows {
        let (places, _) = row.places();
        let mut items = Vec::new();
        for (panel, x, y) in places {
            let key = format!("panel{}", panels.len() + 1);
            items.push(json!({
                "x": x, "y": y, "width": panel.width, "height": panel.height(),
                "content": { "$ref": format!("#/spec/panels/{key}") },
            }));
            panels.insert(key, drawn(panel, scheme));
        }
        let display = json!({ "title": row.title, "collapse": { "open": true } });
        layouts.push(json!({ "kind": "Grid", "spec": { "display": display, "items": items } }));
    }
    let (label, are_several) = dashboard.choice;
    let labels = json!({ "labelName": label, "matchers": ["skewguard:host:present"] });
    let mut choice = json!({
        "name": label, "allowAllValue": are_several, "allowMultiple": are_several,
        "plugin": { "kind": "PrometheusLabelValuesVariable", "spec": labels },
    });
    if are_several {
        choice = with(choice, json!({ "customAllValue": ".*", "defaultValue": "$__all" }));
    }
    json!({
        "kind": "Dashboard",
        "metadata": { "name": format!("skewguard-{}", dashboard.name), "project": "skewguard" },
        "spec": {
            "display": { "name": dashboard.title }, "duration": "6h", "refreshInterval": "1m",
            "variables": [{ "kind": "ListVariable", "spec": choice }],
            "panels": panels, "layouts": layouts,
        },
    })
}

fn drawn(panel: &Panel, scheme: Scheme) -> Value {
    let unit = json!({ "unit": match panel.unit {
        Unit::Seconds => "seconds",
        Unit::Share => "percent-decimal",
        Unit::Count | Unit::Drift | Unit::PlainSeconds => "decimal",
    } });
    let (kind, spec) = match panel.shape {
        Shape::Lines => ("TimeSeriesChart", chart(panel, &unit, &json!({ "lineWidth": 2 }))),
        Shape::Stack => {
            ("TimeSeriesChart", chart(panel, &unit, &json!({ "lineWidth": 2, "stack": "all", "areaOpacity": 0.4 })))
        }
        Shape::Number => (
            "StatChart",
            json!({
                "calculation": "last-number", "format": unit, "thresholds": thresholds(panel.levels), "sparkline": {},
            }),
        ),
        Shape::Table => ("Table", table(panel)),
    };
    let query = |query: &super::panel::Query| {
        let spec = json!({ "query": scheme.query(query.expr), "seriesNameFormat": scheme.legend(query.legend) });
        let plugin = json!({ "kind": "PrometheusTimeSeriesQuery", "spec": spec });
        json!({ "kind": "TimeSeriesQuery", "spec": { "plugin": plugin } })
    };
    let runbook = panel.runbook.map(|name| {
        json!({ "name": format!("Runbook: {name}"), "url": format!("{RUNBOOKS}/{name}.md"), "targetBlank": true })
    });
    json!({ "kind": "Panel", "spec": {
        "display": { "name": panel.title, "description": panel.description(RUNBOOKS) },
        "plugin": { "kind": kind, "spec": spec },
        "links": runbook.into_iter().collect::<Vec<_>>(),
        "queries": panel.queries.iter().map(query).collect::<Vec<_>>(),
    } })
}

fn chart(panel: &Panel, unit: &Value, visual: &Value) -> Value {
    json!({
        "legend": if panel.has_names_beside() { json!({ "mode": "table", "position": "right", "values": ["last"] }) }
            else { json!({ "mode": "list", "position": "bottom" }) },
        "yAxis": { "format": unit, "label": if panel.unit == Unit::PlainSeconds { "seconds" } else { "" } },
        "thresholds": thresholds(panel.levels), "visual": visual,
    })
}

/// A row for each series, with these of its labels. What is bad has the colour of its level beside its word or number.
fn table(panel: &Panel) -> Value {
    let (labels, value) = panel.columns;
    let mut columns: Vec<_> = labels.iter().map(|label| json!({ "name": label, "enableSorting": true })).collect();
    let ascending = matches!(panel.levels, Levels::Below(..));
    columns.push(match value {
        Some(header) => json!({
            "name": "value", "header": header, "align": "right", "enableSorting": true,
            "sort": if ascending { "asc" } else { "desc" },
        }),
        None => json!({ "name": "value", "hide": true }),
    });
    columns.push(json!({ "name": "timestamp", "hide": true }));
    let colour = |condition: Value, colour: &str| json!({ "condition": condition, "textColor": colour });
    let word = |word: &str| json!({ "kind": "Value", "spec": { "value": word } });
    let most = |most: f64| json!({ "kind": "Range", "spec": { "max": most } });
    let mut cells = vec![colour(word("critical"), RED), colour(word("warning"), ORANGE)];
    if let Levels::Below(critical, warning) = panel.levels {
        cells.extend([colour(most(critical), RED), colour(most(warning), ORANGE)]);
    }
    json!({ "density": "compact", "defaultColumnWidth": "auto", "columnSettings": columns, "cellSettings": cells })
}

fn thresholds(levels: Levels) -> Value {
    let step = |value: f64, color: &str, name: &str| json!({ "value": value, "color": color, "name": name });
    match levels {
        Levels::None => json!({ "steps": [] }),
        Levels::Below(critical, warning) => json!({
            "defaultColor": RED, "steps": [step(critical, ORANGE, "warning"), step(warning, GREEN, "ok")],
        }),
        Levels::Above(warning, critical) => json!({
            "defaultColor": GREEN, "steps": [step(warning, ORANGE, "warning"), step(critical, RED, "critical")],
        }),
        // No two may have one name.
        Levels::Beyond(warning, critical) => json!({ "defaultColor": RED, "steps": [
            step(-critical, ORANGE, "warning, fast"), step(-warning, GREEN, "ok"), step(warning, ORANGE, "warning, slow"),
            step(critical, RED, "critical"),
        ] }),
    }
}
