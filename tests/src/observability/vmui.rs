//! Dashboards for VictoriaMetrics' own page, `-vmui.customDashboardsPath`. There is nothing to choose by: all regions are shown.

use serde_json::{Value, json};

use super::alert::RUNBOOKS;
use super::panel::{Dashboard, Panel, Unit};
use super::scheme::Scheme;

/// A dashboard.
pub fn written(dashboard: &Dashboard, scheme: Scheme) -> Value {
    let chosen = format!("${}", dashboard.choice.0);
    let panel = |panel: &Panel| {
        let expr = panel.queries.iter().map(|query| scheme.query(query.expr).replace(&chosen, ".*"));
        let alias = panel.queries.iter().map(|query| scheme.legend(query.legend));
        json!({
            "title": panel.title, "description": panel.description(RUNBOOKS), "showLegend": true,
            "unit": if matches!(panel.unit, Unit::Seconds | Unit::PlainSeconds) { "s" } else { "" },
            "expr": expr.collect::<Vec<_>>(), "alias": alias.collect::<Vec<_>>(), "width": (panel.width / 2).max(3),
        })
    };
    let rows = dashboard
        .rows
        .iter()
        .map(|row| json!({ "title": row.title, "panels": row.panels.iter().map(panel).collect::<Vec<_>>() }));
    json!({ "title": dashboard.title, "rows": rows.collect::<Vec<_>>() })
}
