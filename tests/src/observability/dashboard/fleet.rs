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

/// How many hosts the alert of this name has.
const WITHOUT_AGENT: &str = "count(max by (host) (skewguard:host:seen unless on (host) skewguard:host:present unless on (address) skewguard:address:present unless on (address) label_replace(skewguard:host:present, \"address\", \"$1\", \"host\", \"(.+)\"))) or vector(0)";

fn now() -> Vec<Panel> {
    let number = |title, about, expr| panel(title, about, Shape::Number, Unit::Count, &[(expr, title)]).wide(6);
    vec![
        number(
            "Hosts",
            "Hosts that report. Without any, the way of the telemetry is broken.",
            "count(skewguard:host:present{region=~\"$region\"}) or vector(0)",
        )
        .levels(Levels::Below(1.0, 1.0))
        .runbook("fleet-absent"),
        number(
            "Silent",
            "Reported within the last hour, and do not now.",
            "count(skewguard:host:silent{region=~\"$region\"}) or vector(0)",
        )
        .levels(Levels::Above(1.0, 100.0))
        .runbook("host-silent"),
        number("Without agent", "Hosts where node_exporter runs, in all regions, and from which no agent reports.", WITHOUT_AGENT)
            .levels(Levels::Above(1.0, 1e9))
            .runbook("host-without-agent"),
        number(
            "Unverified",
            "Hosts where nothing vouches for the time now.",
            "sum(skewguard:hosts:state{state!=\"synchronized\", region=~\"$region\"}) or vector(0)",
        )
        .levels(Levels::Above(1.0, 100.0))
        .runbook("clock-unverified"),
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
        panel(
            "Least margin, seconds",
            "What the worst host has left to the first limit.",
            Shape::Number,
            Unit::PlainSeconds,
            &[("min(skewguard:host:margin_seconds{region=~\"$region\"})", "least margin")],
        )
        .levels(LIMIT_MARGIN)
        .runbook("clock-skew")
        .wide(6),
        number(
            "Other versions",
            "Hosts with another version of the agent than most. It is more than 0 during a rollout, and not for a day.",
            "sum(skewguard:hosts{region=~\"$region\"}) - max(sum by (version) (skewguard:hosts{region=~\"$region\"}))",
        )
        .levels(Levels::Above(1.0, 1e9))
        .runbook("fleet-version-skew"),
    ]
}

fn margins() -> Vec<Panel> {
    let by = |title, expr| {
        panel(title, "The least margin of each.", Shape::Lines, Unit::PlainSeconds, &[(expr, "{{value}}")])
            .levels(LIMIT_MARGIN)
            .runbook("clock-skew")
            .wide(12)
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
            Unit::PlainSeconds,
            &[(
                "round(bottomk(10, min by (host, availability_zone, image) (skewguard:host:margin_seconds{region=~\"$region\"})), 0.1)",
                "{{host}}",
            )],
        )
        .columns(&["host", "availability_zone", "image"], Some("seconds left"))
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
            &[(
                "topk(20, max by (kind, severity, cause, shared) (label_replace(skewguard:cause:alerting{region=~\"$region\"}, \"shared\", \"$1\", \"value\", \"(.*)\")))",
                "{{kind}} {{cause}} {{shared}}",
            )],
        )
        .columns(&["kind", "severity", "cause", "shared"], Some("hosts"))
        .runbook("fleet-cause"),
        panel(
            "Hosts and their alerts",
            "A row for each.",
            Shape::Table,
            Unit::Count,
            &[(
                "topk(100, max by (host, severity, kind, subject, availability_zone, image) (skewguard:alert:firing{region=~\"$region\"}))",
                "{{host}} {{kind}} {{subject}}",
            )],
        )
        .columns(&["host", "severity", "kind", "subject", "availability_zone", "image"], None)
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
            &[(
                "round(bottomk(10, min by (host, availability_zone, image) (skewguard:host:credential_remaining_seconds{region=~\"$region\"})))",
                "{{host}}",
            )],
        )
        .columns(&["host", "availability_zone", "image"], Some("seconds left"))
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
        credentials_of(
            "Rotation overdue",
            "Hosts with a credential that is not replaced at the interval that was usual.",
            "count(skewguard:alert:firing{kind=\"credential-rotation-overdue\", region=~\"$region\"}) or vector(0)",
            "credential-rotation-overdue",
        ),
        credentials_of(
            "Unavailable",
            "Hosts where a provider hands out no credentials.",
            "count(skewguard:alert:firing{kind=\"credential-unavailable\", region=~\"$region\"}) or vector(0)",
            "credential-unavailable",
        ),
    ]
}

/// How many hosts have an alert.
fn credentials_of(title: &'static str, about: &'static str, expr: &'static str, alert: &'static str) -> Panel {
    let one = panel(title, about, Shape::Number, Unit::Count, &[(expr, title)]);
    one.levels(Levels::Above(1.0, 100.0)).runbook(alert).wide(12)
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
        .runbook("clock-unverified")
        .wide(12),
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
        .runbook("clock-stepped")
        .wide(12),
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
        .runbook("source-falseticker")
        .wide(12),
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
        .runbook("fleet-time-sync-off")
        .wide(12),
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
