//! What is told: each alert of the agent as it says it itself, and what only the fleet can know.

use std::collections::BTreeMap;

use skewguard::assess::alerts::{Part, ROWS, Row};

use super::record::{ADDRESS, PRESENT, SEEN};
use super::rule::Written;

/// Where the runbooks are, unless whoever installs the rules has others: the agent says the same.
pub use skewguard::notify::runbooks::OURS as RUNBOOKS;
/// The label `source` of what the rules tell; what an agent tells itself has `skewguard`.
pub const BY_RULES: &str = "skewguard-rules";
/// The alert of many hosts with one cause.
pub const FLEET_CAUSE: &str = "fleet-cause";
/// The alert of a host that has ceased to report.
pub const HOST_SILENT: &str = "host-silent";

/// What a host is told by: as much as the agent says in its own alerts, so that both are known for one.
const HOST: &str = "host, instance_id, account_id, region, availability_zone";
/// What hosts that share a cause are counted by.
const CAUSE: &str = "account_id, region, kind, severity, cause, value";
/// Fewer than these are named one by one.
const MANY: u32 = 5;

/// One alert.
pub struct Alert {
    /// What it is called: as its runbook.
    pub name: String,
    /// Where this yields anything, there is one.
    pub expr: String,
    /// For so long.
    pub hold: &'static str,
    /// How bad it is; `None` where the series says it.
    pub severity: Option<&'static str>,
    /// What it is, in a line.
    pub summary: String,
    /// What it means.
    pub description: String,
}

impl Alert {
    /// Whether it is of many hosts.
    pub fn is_of_fleet(&self) -> bool {
        self.name.starts_with("fleet-")
    }

    /// The rule.
    pub fn written(&self) -> Written {
        let severity = self.severity.map(|severity| ("severity", severity.to_owned()));
        let source = [("source", BY_RULES.to_owned())];
        Written::Alert {
            alert: self.name.clone(),
            expr: self.expr.clone(),
            hold: self.hold,
            labels: severity.into_iter().chain(source).collect(),
            annotations: BTreeMap::from([
                ("summary", self.summary.clone()),
                ("description", self.description.clone()),
                ("runbook_url", format!("{RUNBOOKS}/{}.md", self.name)),
            ]),
        }
    }
}

/// Every alert: those of the agent in the order of its table, then those of the fleet.
pub fn all() -> Vec<Alert> {
    ROWS.iter().map(of_agent).chain(of_fleet()).collect()
}

/// The agent has judged by its levels and waited as it was told to; so nothing is judged here again.
fn of_agent(row: &Row) -> Alert {
    let name = row.kind.name();
    let of = match row.kind.part() {
        Some(Part::Source | Part::Credential) => " of {{ $labels.subject }}",
        Some(Part::Clock) | None => "",
    };
    Alert {
        name: name.to_owned(),
        expr: format!("max by ({HOST}, severity, subject) (skewguard:alert:firing{{kind=\"{name}\"}})"),
        hold: "0s",
        severity: None,
        summary: format!("{name}{of} on {{{{ $labels.host }}}}"),
        description: format!("{} On the host, skewguard doctor tells the cause and what mends it.", row.description),
    }
}

fn of_fleet() -> Vec<Alert> {
    let alert = |name: &str, hold, severity, expr: String, summary: &str, description: &str| Alert {
        name: name.to_owned(),
        expr,
        hold,
        severity,
        summary: summary.to_owned(),
        description: description.to_owned(),
    };
    vec![
        alert(
            FLEET_CAUSE,
            // What is recorded is not all there at once, and hosts do not go wrong at once: the first look may be wrong.
            "1m",
            None,
            fleet_cause(),
            "{{ $labels.kind }} on {{ $value }} hosts that share the {{ $labels.cause }} {{ $labels.value }}",
            "Half of the hosts that share this, or more, have the alert, and hosts that do not share it have it three times \
             less often; it is as bad as the worst of them. While this is told, the alerts of its hosts are not.",
        ),
        alert(
            HOST_SILENT,
            "5m",
            Some("warning"),
            format!("max by ({HOST}) (skewguard:host:silent)"),
            "{{ $labels.host }} has ceased to report",
            "The agent reported within the last hour and does not now. A host that was terminated is forgotten after that \
             hour; where node_exporter runs, host-without-agent tells those that are still there, and fleet-cause counts \
             these alone.",
        ),
        alert(
            "host-without-agent",
            "15m",
            Some("warning"),
            format!(
                "max by (host) (\n  {SEEN}\n  unless on (host) {PRESENT}\n  unless on (address) {ADDRESS}\n  \
                 unless on (address) label_replace({PRESENT}, \"address\", \"$1\", \"host\", \"(.+)\")\n)"
            ),
            "{{ $labels.host }} runs node_exporter, and no agent reports from it",
            "Nobody watches the clock and the credentials of this host: the agent was never installed, or it does not report.",
        ),
        alert(
            "fleet-time-sync-off",
            "5m",
            Some("critical"),
            time_sync_off(),
            "Amazon Time Sync is {{ $value }} s off in {{ $labels.availability_zone }}",
            "On half of the hosts of this availability zone, Amazon Time Sync contradicts the dates of all their HTTPS servers, \
             on the same side, by more than these can be wrong. Positive: Time Sync is ahead.",
        ),
        alert(
            "fleet-version-skew",
            "1d",
            Some("warning"),
            "sum(skewguard:hosts) - max(sum by (version) (skewguard:hosts)) > 0".to_owned(),
            "{{ $value }} hosts run another version of the agent than most",
            "For a day the fleet has had agents of several versions: a rollout has stopped, or images have an old one.",
        ),
        alert(
            "fleet-delivery-refused",
            "15m",
            Some("warning"),
            "skewguard:destination:refusals > 0".to_owned(),
            "{{ $labels.destination }} refuses what {{ $value }} hosts send",
            "A receiver refuses telemetry or alerts, such as for their time stamps, a token, or their size. Alerts are tried \
             again, slowly, until queue.age, but for those that are refused as such (400, 413, 422); telemetry is given up.",
        ),
        alert(
            "fleet-delivery-lost",
            "0s",
            Some("warning"),
            "skewguard:destination:dropped > 0".to_owned(),
            "{{ $value }} hosts have given up items for {{ $labels.destination }}",
            "A queue was full, its items were too old before its receiver took them, or the receiver refused them for good.",
        ),
        alert(
            "fleet-absent",
            "10m",
            Some("critical"),
            format!("absent({PRESENT})"),
            "No agent reports",
            "Not one host of the fleet is seen: the way of the telemetry is broken, or these rules ask another backend than \
             the one that has it.",
        ),
    ]
}

/// How many hosts with one cause are wrong. Where no cause tells them from the others, the whole region is it.
fn fleet_cause() -> String {
    let wrong = |cause: &str| format!("skewguard:cause:alerting{{cause{cause}}}");
    let share = |cause: &str| {
        format!("{} / on (account_id, region, cause, value) group_left () skewguard:cause:hosts", wrong(cause))
    };
    let elsewhere = "(\n    sum without (value, severity) (skewguard:cause:alerting) \
         - on (account_id, region, kind, cause) group_right () skewguard:cause:alerting\n  ) / \
         on (account_id, region, cause, value) group_left () (\n    sum without (value) (skewguard:cause:hosts) \
         - on (account_id, region, cause) group_right () skewguard:cause:hosts\n  )";
    let one = format!(
        "{} >= {MANY}\nand on ({CAUSE})\n{} >= 0.5\nand on ({CAUSE})\n(\n  {} > 3 * {elsewhere}\n  or\n  {}\n)",
        wrong("!=\"region\""),
        share("!=\"region\""),
        share("!=\"region\""),
        wrong("=\"source\""),
    );
    let region = format!("(\n{} >= {MANY}\nand on ({CAUSE})\n{} >= 0.5\n)", wrong("=\"region\""), share("=\"region\""));
    format!("(\n{one}\n)\nor on (account_id, region, kind)\n{region}")
}

/// How far Time Sync is ahead of HTTPS servers, as half of the hosts of an availability zone have it. A date of HTTP has
/// whole seconds.
fn time_sync_off() -> String {
    let against = "skewguard:host:time_sync_against_http_date";
    let by = "account_id, region, availability_zone";
    format!(
        "(\n  quantile by ({by}) (0.5, {against}) > 2\n  or\n  quantile by ({by}) (0.5, {against}) < -2\n)\n\
         and on ({by})\ncount by ({by}) ({against}) >= 3"
    )
}
