//! Dashboards as Grafana imports them: without a data source of their own.

use serde_json::{Value, json};

use super::alert::RUNBOOKS;
use super::panel::{Dashboard, Levels, Panel, Shape, Unit, with};
use super::scheme::Scheme;

/// The variable of one host.
const HOST: &str = "host";
/// The schema of Grafana 11 and later.
const SCHEMA: u32 = 39;

/// A dashboard.
pub fn written(dashboard: &Dashboard, scheme: Scheme) -> Value {
    let mut panels = Vec::new();
    let mut below = 0;
    for row in &dashboard.rows {
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": below, "w": 24, "h": 1 },
        }));
        let (places, height) = row.places();
        for (panel, x, y) in places {
            let place = json!({ "x": x, "y": below + 1 + y, "w": panel.width, "h": panel.height() });
            panels.push(drawn(panel, dashboard.choice.0, scheme, panels.len() + 1, &place));
        }
        below += 1 + height;
    }
    // Found by their tag: whoever imports them may give them any address. What is chosen here goes with whoever follows.
    let dashboards = with(link("skewguard", "dashboards", ""), json!({ "tags": ["skewguard"], "includeVars": true }));
    let (label, are_several) = dashboard.choice;
    let mut variables = vec![
        json!({ "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" }),
        variable(label, are_several),
    ];
    if label != HOST {
        // Chosen in a table, and carried to the dashboard of one host.
        variables.push(with(variable(HOST, false), json!({ "hide": 2 })));
    }
    json!({
        "title": dashboard.title, "tags": ["skewguard"], "schemaVersion": SCHEMA, "editable": true,
        "graphTooltip": 1, "refresh": "1m", "time": { "from": "now-6h", "to": "now" }, "timezone": "utc",
        "templating": { "list": variables },
        "annotations": { "list": [{
            "name": "Alerts", "enable": true, "iconColor": "red", "datasource": source(), "titleFormat": "{{kind}}",
            "textFormat": "{{severity}} {{subject}} {{host}}", "step": "1m",
            "expr": if are_several { "ALERTS{alertname=~\"fleet-.*\", alertstate=\"firing\"}".to_owned() }
                else { format!("skewguard:alert:firing{{{label}=\"${label}\"}}") },
        }] },
        "links": [dashboards],
        "panels": panels,
    })
}

/// What is chosen: a value of a label, or several.
fn variable(label: &str, are_several: bool) -> Value {
    let labels = format!("label_values(skewguard:host:present, {label})");
    let choice = json!({
        "name": label, "type": "query", "datasource": source(), "refresh": 2, "sort": 1,
        "query": { "qryType": 1, "query": labels, "refId": "labels" }, "multi": are_several, "includeAll": are_several,
    });
    if !are_several {
        return choice;
    }
    with(choice, json!({ "allValue": ".*", "current": { "text": ["All"], "value": ["$__all"] } }))
}

fn link(title: &str, kind: &str, url: &str) -> Value {
    json!({
        "title": title, "type": kind, "url": url, "tags": [], "icon": "external link", "tooltip": "",
        "includeVars": false, "keepTime": true, "asDropdown": false, "targetBlank": false,
    })
}

/// What was chosen.
fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn drawn(panel: &Panel, label: &str, scheme: Scheme, id: usize, place: &Value) -> Value {
    let is_table = panel.shape == Shape::Table;
    let is_now = matches!(panel.shape, Shape::Table | Shape::Number);
    let target = |(index, query): (usize, &super::panel::Query)| {
        json!({
            "refId": char::from(b'A' + u8::try_from(index).unwrap_or_default()).to_string(), "datasource": source(),
            "expr": scheme.query(query.expr), "legendFormat": scheme.legend(query.legend), "instant": is_now,
            "range": !is_now, "format": if is_table { "table" } else { "time_series" },
        })
    };
    let runbook = panel.runbook.map(|name| {
        let link = link(&format!("Runbook: {name}"), "link", &format!("{RUNBOOKS}/{name}.md"));
        with(link, json!({ "targetBlank": true }))
    });
    let mut custom = json!({});
    if !is_now {
        let stack = if panel.shape == Shape::Stack { "normal" } else { "none" };
        let drawn_levels = if matches!(panel.levels, Levels::None) { "off" } else { "dashed" };
        custom = json!({
            "lineWidth": 2, "fillOpacity": if panel.shape == Shape::Stack { 40 } else { 0 }, "spanNulls": 300_000,
            "stacking": { "mode": stack, "group": "A" }, "thresholdsStyle": { "mode": drawn_levels },
        });
    }
    json!({
        "id": id, "title": panel.title, "description": panel.description(RUNBOOKS), "gridPos": place,
        "type": match panel.shape {
            Shape::Lines | Shape::Stack => "timeseries",
            Shape::Number => "stat",
            Shape::Table => "table",
        },
        "datasource": source(),
        "targets": panel.queries.iter().enumerate().map(target).collect::<Vec<_>>(),
        "links": runbook.into_iter().collect::<Vec<_>>(),
        "fieldConfig": { "defaults": {
            "unit": unit(panel.unit), "custom": custom, "color": { "mode": if is_now { "thresholds" } else { "palette-classic" } },
            "thresholds": { "mode": "absolute", "steps": steps(panel.levels) },
        }, "overrides": overrides(panel, label) },
        "options": match panel.shape {
            Shape::Number => json!({
                "colorMode": "background", "graphMode": "area", "justifyMode": "auto", "textMode": "auto",
                "orientation": "auto", "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            }),
            Shape::Table => json!({ "showHeader": true, "cellHeight": "sm" }),
            Shape::Lines | Shape::Stack => json!({
                "legend": { "displayMode": if panel.has_names_beside() { "table" } else { "list" },
                    "placement": if panel.has_names_beside() { "right" } else { "bottom" }, "calcs": ["lastNotNull"], "showLegend": true },
                "tooltip": { "mode": "multi", "sort": "none" },
            }),
        },
        "transformations": if is_table { organized(panel) } else { json!([]) },
    })
}

/// The columns of a table, in their order.
fn organized(panel: &Panel) -> Value {
    let (labels, value) = panel.columns;
    let places = labels.iter().copied().chain(["Value"]).enumerate();
    let places: serde_json::Map<_, _> = places.map(|(place, name)| (name.to_owned(), place.into())).collect();
    json!([{ "id": "organize", "options": {
        "excludeByName": { "Time": true, "__name__": true, "Value": value.is_none() },
        "indexByName": places, "renameByName": value.map_or(json!({}), |name| json!({ "Value": name })),
    } }])
}

/// A host in a table is chosen by a click; the link to its dashboard, at the top, takes it along.
fn overrides(panel: &Panel, label: &str) -> Value {
    if panel.shape != Shape::Table || label == HOST {
        return json!([]);
    }
    let url = format!(
        "?${{datasource:queryparam}}&${{{label}:queryparam}}&var-{HOST}=${{__value.raw}}&${{__url_time_range}}"
    );
    let link = json!({ "title": "Choose this host for \"skewguard: host\"", "url": url, "targetBlank": false });
    json!([
        { "matcher": { "id": "byName", "options": "host" }, "properties": [{ "id": "links", "value": [link] }] },
        { "matcher": { "id": "byName", "options": panel.columns.1.unwrap_or("Value") }, "properties": [
            { "id": "custom.cellOptions", "value": { "type": "color-text" } },
        ] },
    ])
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "short",
        Unit::Seconds => "s",
        Unit::PlainSeconds => "suffix: s",
        Unit::Share => "percentunit",
        Unit::Drift => "none",
    }
}

fn steps(levels: Levels) -> Value {
    match levels {
        Levels::None => json!([{ "color": "blue", "value": null }]),
        Levels::Below(critical, warning) => json!([
            { "color": "red", "value": null }, { "color": "orange", "value": critical }, { "color": "green", "value": warning },
        ]),
        Levels::Above(warning, critical) => json!([
            { "color": "green", "value": null }, { "color": "orange", "value": warning }, { "color": "red", "value": critical },
        ]),
        Levels::Beyond(warning, critical) => json!([
            { "color": "red", "value": null }, { "color": "orange", "value": -critical }, { "color": "green", "value": -warning },
            { "color": "orange", "value": warning }, { "color": "red", "value": critical },
        ]),
    }
}
