//! One host: its clock, its sources, its credentials.

use crate::observability::panel::{
    CREDENTIAL_LIFE, Dashboard, LIMIT_MARGIN, Levels, Panel, REFRESH_MARGIN, Row, Shape, Unit, panel,
};

/// The dashboard.
pub fn dashboard() -> Dashboard {
    let row = |title, panels| Row { title, panels };
    Dashboard {
        name: "host",
        title: "skewguard: host",
        choice: ("host", false),
        rows: vec![
            row("Clock", host_clock()),
            row("Sources", host_sources()),
            row("Credentials and alerts", host_rest()),
        ],
    }
}

fn host_clock() -> Vec<Panel> {
    vec![
        panel(
            "Offset and how far it can be wrong",
            "True minus system time: positive where the clock is slow. Lines are at 240 and 300 s, the first limits of AWS, on either side; another is at 900 s.",
            Shape::Lines,
            Unit::PlainSeconds,
            &[
                ("`clock.offset`{`host.name`=\"$host\"}", "offset"),
                ("`clock.offset`{`host.name`=\"$host\"} + on (`host.name`) `clock.error_bound`{`host.name`=\"$host\"}", "at most"),
                ("`clock.offset`{`host.name`=\"$host\"} - on (`host.name`) `clock.error_bound`{`host.name`=\"$host\"}", "at least"),
            ],
        )
        .levels(Levels::Beyond(240.0, 300.0))
        .runbook("clock-skew")
        .wide(12),
        panel(
            "Margin to each limit",
            "Negative where the limit is passed.",
            Shape::Lines,
            Unit::PlainSeconds,
            &[("max by (`aws.limit`) (`aws.signature.margin`{`host.name`=\"$host\"})", "{{~aws.limit~}}")],
        )
        .levels(LIMIT_MARGIN)
        .runbook("clock-skew")
        .wide(12),
        panel(
            "Drift",
            "Trend of the offset, seconds a second; absent without one.",
            Shape::Lines,
            Unit::Drift,
            &[("`clock.drift`{`host.name`=\"$host\"}", "drift")],
        )
        .runbook("clock-undisciplined"),
        panel(
            "When a limit is passed",
            "At the present drift; absent without one.",
            Shape::Lines,
            Unit::Seconds,
            &[("min by (`aws.limit`) (`aws.signature.time_to_limit`{`host.name`=\"$host\"})", "{{~aws.limit~}}")],
        )
        .levels(Levels::Below(86_400.0, 604_800.0))
        .runbook("clock-skew-forecast"),
        panel(
            "Steps",
            "Within an hour, by direction.",
            Shape::Lines,
            Unit::Count,
            &[("increase(`clock.steps`{`host.name`=\"$host\"}[1h])", "{{~clock.direction~}}")],
        )
        .runbook("clock-stepped"),
    ]
}

fn host_sources() -> Vec<Panel> {
    vec![
        panel(
            "What each source says",
            "True minus system time, as this source has it.",
            Shape::Lines,
            Unit::PlainSeconds,
            &[("`clock.source.offset`{`host.name`=\"$host\"}", "{{~clock.source~}}")],
        )
        .runbook("source-falseticker")
        .wide(12),
        panel(
            "Answered share of the last eight polls",
            "0 where a source is unreachable.",
            Shape::Lines,
            Unit::Share,
            &[("`clock.source.reachability`{`host.name`=\"$host\"}", "{{~clock.source~}}")],
        )
        .runbook("source-unreachable")
        .wide(12),
    ]
}

fn host_rest() -> Vec<Panel> {
    vec![
        panel(
            "True life that is left",
            "Of each credential.",
            Shape::Lines,
            Unit::Seconds,
            &[("`aws.credential.remaining`{`host.name`=\"$host\"}", "{{subject}}")],
        )
        .levels(CREDENTIAL_LIFE)
        .runbook("credential-expiring"),
        panel(
            "What is left at a refresh",
            "By SDK. Below 0 it uses expired credentials.",
            Shape::Lines,
            Unit::Seconds,
            &[("`aws.credential.refresh_margin`{`host.name`=\"$host\"}", "{{~aws.sdk~}} {{subject}}")],
        )
        .levels(REFRESH_MARGIN)
        .runbook("credential-refresh-margin"),
        panel(
            "Alerts",
            "Those that fire.",
            Shape::Table,
            Unit::Count,
            &[(
                "max by (severity, kind, subject) (skewguard:alert:firing{host=\"$host\"})",
                "{{severity}} {{kind}} {{subject}}",
            )],
        )
        .columns(&["severity", "kind", "subject"], None)
        .wide(8),
    ]
}
