//! Dashboards as Perses has them.

use serde_json::{Map, Value, json};

use super::alert::RUNBOOKS;
use super::panel::{Dashboard, Levels, Panel, Shape, Unit, with};
use super::scheme::Scheme;

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
        Unit::Count | Unit::Drift => "decimal",
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
        Shape::Table => ("TimeSeriesTable", json!({})),
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
        "legend": { "mode": "table", "position": "bottom", "values": ["last"] }, "yAxis": { "format": unit },
        "thresholds": thresholds(panel.levels), "visual": visual,
    })
}

fn thresholds(levels: Levels) -> Value {
    match levels {
        Levels::None => json!({ "steps": [] }),
        Levels::Below(critical, warning) => json!({ "defaultColor": "#d62728", "steps": [
            { "value": critical, "color": "#ff7f0e", "name": "warning" }, { "value": warning, "color": "#2ca02c", "name": "ok" },
        ] }),
        Levels::Above(warning, critical) => json!({ "defaultColor": "#2ca02c", "steps": [
            { "value": warning, "color": "#ff7f0e", "name": "warning" }, { "value": critical, "color": "#d62728", "name": "critical" },
        ] }),
        Levels::Beyond(warning, critical) => json!({ "defaultColor": "#d62728", "steps": [
            { "value": -critical, "color": "#ff7f0e", "name": "warning" }, { "value": -warning, "color": "#2ca02c", "name": "ok" },
            { "value": warning, "color": "#ff7f0e", "name": "warning" }, { "value": critical, "color": "#d62728", "name": "critical" },
        ] }),
    }
}
