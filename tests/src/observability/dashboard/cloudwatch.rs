//! A fleet as CloudWatch can show it, which records nothing: all is asked of what the agents say.

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
        number("Hosts", "Hosts that report.", "count(count by (`host.name`) (`clock.offset`)) or vector(0)")
            .runbook("fleet-absent"),
        number(
            "Silent",
            "Reported within the last hour, and do not now.",
            "count(count by (`host.name`) (max_over_time(`clock.error_bound`[1h])) unless count by (`host.name`) (`clock.error_bound`)) or vector(0)",
        )
        .runbook("host-silent"),
        number(
            "Critical",
            "Hosts with an alert that is critical.",
            "count(count by (`host.name`) (`skewguard.alert.active`{severity=\"critical\"} == 1)) or vector(0)",
        ),
        number(
            "Warning",
            "Hosts with an alert that is a warning.",
            "count(count by (`host.name`) (`skewguard.alert.active`{severity=\"warning\"} == 1)) or vector(0)",
        ),
        number(
            "Unverified",
            "Hosts where nothing vouches for the time now.",
            "count(`clock.state`{~clock.state~!=\"synchronized\"} == 1) or vector(0)",
        )
        .runbook("clock-unverified"),
        number("Least margin, seconds", "What the worst host has left to the first limit.", "min(`aws.signature.margin`)")
            .runbook("clock-skew"),
    ]
}

fn lines(title: &'static str, about: &'static str, expr: &'static str, alert: &'static str) -> Panel {
    panel(title, about, Shape::Lines, Unit::PlainSeconds, &[(expr, "{{all}}")]).runbook(alert).wide(12)
}

fn stack(title: &'static str, about: &'static str, expr: &'static str) -> Panel {
    panel(title, about, Shape::Stack, Unit::Count, &[(expr, "{{all}}")]).wide(12)
}

fn margins() -> Vec<Panel> {
    let by = |title, expr| lines(title, "The least margin of each.", expr, "clock-skew").levels(LIMIT_MARGIN);
    vec![
        by("Worst ten", "bottomk(10, min by (`host.name`) (`aws.signature.margin`))"),
        by("By availability zone", "min by (`cloud.availability_zone`) (`aws.signature.margin`)"),
        by("By image", "min by (`host.image.id`) (`aws.signature.margin`)"),
        by("By version of the agent", "min by (`service.version`) (`aws.signature.margin`)"),
        lines(
            "When a limit is passed",
            "At the present drift, of the ten hosts that come first; absent without one.",
            "bottomk(10, min by (`host.name`) (`aws.signature.time_to_limit`))",
            "clock-skew-forecast",
        )
        .levels(Levels::Below(86_400.0, 604_800.0)),
    ]
}

fn wrongs() -> Vec<Panel> {
    vec![
        stack(
            "Alerts that fire",
            "Hosts by alert and severity.",
            "count by (severity, alert) (`skewguard.alert.active` == 1)",
        ),
        stack(
            "What they share",
            "Hosts by image and alert: where one image stands out, it is to blame.",
            "count by (`host.image.id`, alert) (`skewguard.alert.active` == 1)",
        )
        .runbook("fleet-cause"),
    ]
}

fn credentials() -> Vec<Panel> {
    vec![
        lines(
            "Ten that end first",
            "True life that is left of a credential, the least of each host.",
            "bottomk(10, min by (`host.name`) (`aws.credential.remaining`))",
            "credential-expiring",
        )
        .levels(CREDENTIAL_LIFE),
        lines(
            "Refresh margin by SDK",
            "What is left of a credential when an SDK refreshes it, the least of all hosts. Below 0 it uses expired ones.",
            "min by (`aws.sdk`) (`aws.credential.refresh_margin`)",
            "credential-refresh-margin",
        )
        .levels(REFRESH_MARGIN),
    ]
}

fn clocks() -> Vec<Panel> {
    vec![
        stack(
            "Hosts by state of the clock",
            "Synchronized: a majority of sources agrees.",
            "count by (~clock.state~) (`clock.state` == 1)",
        )
        .runbook("clock-unverified"),
        stack(
            "Sources by verdict",
            "How many hosts hold what of each source.",
            "count by (`clock.source`, ~clock.source.verdict~) (`clock.source.verdict` == 1)",
        )
        .runbook("source-falseticker"),
    ]
}

fn delivery() -> Vec<Panel> {
    vec![
        stack(
            "Waiting",
            "Items that wait for delivery, on all hosts.",
            "sum by (destination) (`skewguard.delivery.queued`)",
        )
        .runbook("fleet-delivery-lost"),
    ]
}
