//! A fleet at a glance: how many hosts are well, which are not, and what these share.

use crate::observability::panel::{
    CREDENTIAL_LIFE, Dashboard, LIMIT_MARGIN, Levels, Panel, REFRESH_MARGIN, Row, Shape, Unit, panel,
};

/// The dashboard.
pub fn dashboard() -> Dashboard {
    let row = |title, panels| Row { title, panels };
    Dashboard {
        name: "fleet",
        title: "skewguard: fleet",
        choice: ("region", true),
        rows: vec![
            row("Now", now()),
            row("Margin to the first limit of AWS", margins()),
            row("What goes wrong", wrongs()),
            row("Credentials", credentials()),
            row("Clocks and sources", clocks()),
            row("Delivery", delivery()),
        ],
    }
}

fn now() -> Vec<Panel> {
    let number = |title, about, expr| panel(title, about, Shape::Number, Unit::Count, &[(expr, title)]);
    vec![
        number("Hosts", "Hosts that report.", "count(skewguard:host:present{region=~\"$region\"})"),
        number(
            "Silent",
            "Reported within the last hour, and do not now.",
            "count(skewguard:host:silent{region=~\"$region\"}) or vector(0)",
        )
        .levels(Levels::Above(1.0, 100.0))
        .runbook("host-silent"),
        number(
            "Critical",
            "Hosts with an alert that is critical.",
            "count(count by (host, instance_id) (skewguard:alert:firing{severity=\"critical\", region=~\"$region\"})) or vector(0)",
        )
        .levels(Levels::Above(1.0, 1.0)),
        number(
            "Warning",
            "Hosts with an alert that is a warning.",
            "count(count by (host, instance_id) (skewguard:alert:firing{severity=\"warning\", region=~\"$region\"})) or vector(0)",
        )
        .levels(Levels::Above(1.0, 1e9)),
        number(
            "Unverified",
            "Hosts where nothing vouches for the time now.",
            "sum(skewguard:hosts:state{state!=\"synchronized\", region=~\"$region\"}) or vector(0)",
        )
        .levels(Levels::Above(1.0, 100.0))
        .runbook("clock-unverified"),
        panel(
            "Least margin",
            "What the worst host has left to the first limit.",
            Shape::Number,
            Unit::Seconds,
            &[("min(skewguard:host:margin_seconds{region=~\"$region\"})", "least margin")],
        )
        .levels(LIMIT_MARGIN)
        .runbook("clock-skew"),
    ]
}

fn margins() -> Vec<Panel> {
    let by = |title, expr| {
        panel(title, "The least margin of each.", Shape::Lines, Unit::Seconds, &[(expr, "{{value}}")])
            .levels(LIMIT_MARGIN)
            .wide(6)
    };
    vec![
        panel(
            "Hosts by margin",
            "How many hosts have how much left: 240 s is all of it.",
            Shape::Stack,
            Unit::Count,
            &[
                ("count(skewguard:host:margin_seconds{region=~\"$region\"} < 0) or vector(0)", "past a limit"),
                (
                    "count(skewguard:host:margin_seconds{region=~\"$region\"} >= 0 < 90) or vector(0)",
                    "critical: less than 90 s",
                ),
                (
                    "count(skewguard:host:margin_seconds{region=~\"$region\"} >= 90 < 180) or vector(0)",
                    "warning: less than 180 s",
                ),
                ("count(skewguard:host:margin_seconds{region=~\"$region\"} >= 180) or vector(0)", "more"),
            ],
        )
        .wide(12)
        .runbook("clock-skew"),
        panel(
            "Worst ten",
            "The hosts with the least margin.",
            Shape::Table,
            Unit::Seconds,
            &[("bottomk(10, skewguard:host:margin_seconds{region=~\"$region\"})", "{{host}}")],
        )
        .levels(LIMIT_MARGIN)
        .runbook("clock-skew"),
        by(
            "By availability zone",
            "label_replace(min by (availability_zone) (skewguard:host:margin_seconds{region=~\"$region\"}), \"value\", \"$1\", \"availability_zone\", \"(.*)\")",
        ),
        by(
            "By image",
            "label_replace(min by (image) (skewguard:host:margin_seconds{region=~\"$region\"}), \"value\", \"$1\", \"image\", \"(.*)\")",
        ),
        by(
            "By instance type",
            "label_replace(min by (instance_type) (skewguard:host:margin_seconds{region=~\"$region\"}), \"value\", \"$1\", \"instance_type\", \"(.*)\")",
        ),
        by(
            "By version of the agent",
            "label_replace(min by (version) (skewguard:host:margin_seconds{region=~\"$region\"}), \"value\", \"$1\", \"version\", \"(.*)\")",
        ),
    ]
}

fn wrongs() -> Vec<Panel> {
    vec![
        panel(
            "Alerts that fire",
            "Hosts by alert and severity.",
            Shape::Stack,
            Unit::Count,
            &[("sum by (kind, severity) (skewguard:hosts:alerting{region=~\"$region\"})", "{{severity}} {{kind}}")],
        )
        .wide(12),
        panel(
            "What they share",
            "By cause: how many hosts have the alert.",
            Shape::Table,
            Unit::Count,
            &[("topk(20, skewguard:cause:alerting{region=~\"$region\"})", "{{kind}} {{cause}} {{value}}")],
        )
        .runbook("fleet-cause"),
        panel(
            "Hosts and their alerts",
            "A row for each.",
            Shape::Table,
            Unit::Count,
            &[("topk(100, skewguard:alert:firing{region=~\"$region\"})", "{{host}} {{kind}} {{subject}}")],
        )
        .wide(24),
    ]
}

fn credentials() -> Vec<Panel> {
    vec![
        panel(
            "Ten that end first",
            "True life that is left of a credential, the least of each host.",
            Shape::Table,
            Unit::Seconds,
            &[("bottomk(10, skewguard:host:credential_remaining_seconds{region=~\"$region\"})", "{{host}}")],
        )
        .levels(CREDENTIAL_LIFE)
        .runbook("credential-expiring"),
        panel(
            "Refresh margin by SDK",
            "What is left of a credential when an SDK refreshes it, the least of all hosts. Below 0 it uses expired ones.",
            Shape::Lines,
            Unit::Seconds,
            &[(
                "label_replace(min by (`aws.sdk`) (`aws.credential.refresh_margin`{`cloud.region`=~\"$region\"}), \"value\", \"$1\", ~aws.sdk~, \"(.*)\")",
                "{{value}}",
            )],
        )
        .levels(REFRESH_MARGIN)
        .runbook("credential-refresh-margin")
        .wide(12),
    ]
}

fn clocks() -> Vec<Panel> {
    vec![
        panel(
            "Hosts by state of the clock",
            "Synchronized: a majority of sources agrees.",
            Shape::Stack,
            Unit::Count,
            &[("sum by (state) (skewguard:hosts:state{region=~\"$region\"})", "{{state}}")],
        )
        .runbook("clock-unverified"),
        panel(
            "Steps and disruptions",
            "Clocks that were set, and machines that were moved or restored, within an hour.",
            Shape::Lines,
            Unit::Count,
            &[
                ("sum(increase(`clock.steps`{`cloud.region`=~\"$region\"}[1h]))", "steps"),
                ("sum(increase(`clock.disruptions`{`cloud.region`=~\"$region\"}[1h]))", "disruptions"),
            ],
        )
        .runbook("clock-stepped"),
        panel(
            "Sources by verdict",
            "How many hosts hold what of each source.",
            Shape::Stack,
            Unit::Count,
            &[(
                "label_replace(label_replace(count by (`clock.source`, `clock.source.verdict`) (`clock.source.verdict`{`cloud.region`=~\"$region\"} == 1), \"source\", \"$1\", ~clock.source~, \"(.*)\"), \"verdict\", \"$1\", ~clock.source.verdict~, \"(.*)\")",
                "{{source}} {{verdict}}",
            )],
        )
        .runbook("source-falseticker"),
        panel(
            "Time Sync against HTTPS servers",
            "By how much Amazon Time Sync is ahead of the dates of all HTTPS servers of a host, by the nearest of them, as half of the hosts have it; 0 where it is between them.",
            Shape::Lines,
            Unit::Seconds,
            &[(
                "quantile by (availability_zone) (0.5, skewguard:host:time_sync_against_http_date{region=~\"$region\"})",
                "{{availability_zone}}",
            )],
        )
        .runbook("fleet-time-sync-off"),
    ]
}

fn delivery() -> Vec<Panel> {
    let panel = |title, about, expr, alert| {
        panel(title, about, Shape::Lines, Unit::Count, &[(expr, "{{destination}}")]).runbook(alert)
    };
    vec![
        panel(
            "Waiting",
            "Items that wait for delivery, on all hosts.",
            "sum by (destination) (`skewguard.delivery.queued`{`cloud.region`=~\"$region\"})",
            "fleet-delivery-lost",
        ),
        panel(
            "Refused",
            "Hosts of which a receiver refuses something.",
            "sum by (destination) (skewguard:destination:refusals{region=~\"$region\"})",
            "fleet-delivery-refused",
        ),
        panel(
            "Lost",
            "Hosts that have given something up.",
            "sum by (destination) (skewguard:destination:dropped{region=~\"$region\"})",
            "fleet-delivery-lost",
        ),
    ]
}
