//! A snapshot in one line, for whoever has just installed the agent.

use std::cmp::Reverse;

use super::args::Subject;
use super::text::{offset, seconds};
use crate::snapshot::{Alert, Clock, Credential, Finding, Snapshot};

/// The worst finding on `subject`, or how that is where there is none.
pub(super) fn line(snapshot: &Snapshot, subject: Subject) -> String {
    let told = told(snapshot, subject);
    match (told.split_first(), subject) {
        (Some((worst, others)), _) => finding(worst, others.len()),
        (None, Subject::Clock) => clock(&snapshot.clock),
        (None, Subject::Credentials) => credentials(&snapshot.credentials),
        (None, Subject::All) => format!("{}, {}", clock(&snapshot.clock), credentials(&snapshot.credentials)),
    }
}

/// The findings on `subject`, the worst first. What shows over time alone is told once it fires: a host that has just booted
/// may be without a disciplined clock for a while.
pub(super) fn told(snapshot: &Snapshot, subject: Subject) -> Vec<&Finding> {
    let fires = |finding: &Finding| {
        let is_it = |alert: &Alert| alert.alert == finding.alert && alert.subject == finding.subject;
        snapshot.alerts.iter().any(|alert| is_it(alert) && alert.state == "firing")
    };
    let is_told =
        |finding: &&Finding| subject.includes(finding.alert) && (finding.alert.shows_at_once() || fires(finding));
    let mut told: Vec<_> = snapshot.findings.iter().filter(is_told).collect();
    // Stable: among those that are as bad, the first one is the cause of the others.
    told.sort_by_key(|finding| Reverse(finding.severity));
    told
}

/// Whether the agent has looked at what [`line`] tells: before that, silence says nothing.
pub(super) fn is_known(snapshot: &Snapshot) -> bool {
    snapshot.clock.state != STARTING && !snapshot.credentials.is_empty()
}

/// The state of a clock that nobody has judged yet.
const STARTING: &str = "starting";

fn finding(finding: &Finding, others: usize) -> String {
    let subject = if finding.subject.is_empty() { String::new() } else { format!(" {}", finding.subject) };
    let others = if others == 0 { String::new() } else { format!(" (and {others} more)") };
    format!("{} {}{subject}: {}{others}", finding.severity.name(), finding.alert.name(), finding.summary)
}

fn clock(clock: &Clock) -> String {
    match (clock.offset_seconds, clock.error_bound_seconds) {
        (Some(value), Some(bound)) => format!("clock {} ± {}", offset(value), seconds(bound)),
        _ if clock.state == STARTING => "clock not known yet".to_owned(),
        _ => format!("clock not known ({})", clock.state),
    }
}

/// What is wrong with one of them outweighs that others are right.
fn credentials(credentials: &[Credential]) -> String {
    let mut states = credentials.iter().map(|credential| credential.state.as_str());
    let is_there = |state: &&str| !matches!(*state, "no-role" | "absent");
    if let Some(state) = states.clone().find(|state| is_there(state) && *state != "valid") {
        return format!("credentials {state}");
    }
    if states.any(|state| state == "valid") { "credentials ok" } else { "no credentials found" }.to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in crate::cli) fn snapshot(change: impl FnOnce(&mut Value)) -> Snapshot {
        let mut value = json!({
            "status": "ok", "time": { "system": "", "true": "", "verified": true },
            "clock": {
                "state": "synchronized", "offset_seconds": 0.0003, "error_bound_seconds": 0.001, "drift_ppm": null,
                "steps": { "forward": 0, "backward": 0 }, "kernel": null,
            },
            "sources": [], "limits": [], "credentials": [credential("valid")], "findings": [], "alerts": [],
            "imds_requests": {}, "delivery": [], "host": {},
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn credential(state: &str) -> Value {
        json!({
            "provider": "imds", "identity": "a-role", "state": state, "code": "Success", "expiration": null,
            "expiration_seconds": null, "last_updated": null, "remaining_seconds": null,
            "remaining_local_seconds": null, "age_seconds": null, "refresh_margins_seconds": {},
        })
    }

    pub(in crate::cli) fn found(alert: &str, severity: &str) -> Value {
        json!({ "alert": alert, "severity": severity, "subject": "", "summary": "it is wrong", "remedy": "mend it" })
    }

    fn told_of(snapshot: &Snapshot) -> String {
        line(snapshot, Subject::All)
    }

    #[test]
    fn a_host_without_a_finding_tells_how_its_clock_and_its_credentials_are() {
        assert_eq!(told_of(&snapshot(|_| {})), "clock 300.0 µs slow ± 1.0 ms, credentials ok");
        let none = snapshot(|value| value["credentials"] = json!([credential("no-role"), credential("absent")]));
        assert_eq!(told_of(&none), "clock 300.0 µs slow ± 1.0 ms, no credentials found");
        let bad = snapshot(|value| value["credentials"] = json!([credential("valid"), credential("expired")]));
        assert_eq!(told_of(&bad), "clock 300.0 µs slow ± 1.0 ms, credentials expired");
    }

    #[test]
    fn what_is_not_known_is_not_called_right() {
        let blind = |state: &str| {
            snapshot(|value| {
                value["clock"]["state"] = json!(state);
                value["clock"]["offset_seconds"] = Value::Null;
                value["credentials"] = json!([]);
            })
        };
        assert_eq!(told_of(&blind("starting")), "clock not known yet, no credentials found");
        assert_eq!(told_of(&blind("unknown")), "clock not known (unknown), no credentials found");
        assert!(!is_known(&blind("starting")) && !is_known(&blind("unknown")) && is_known(&snapshot(|_| {})));
    }

    #[test]
    fn the_worst_finding_is_told_and_what_shows_over_time_only_once_it_fires() {
        let findings = [found("credential-unavailable", "warning"), found("clock-skew", "critical")];
        let both = snapshot(|value| value["findings"] = json!(findings));
        assert_eq!(told_of(&both), "critical clock-skew: it is wrong (and 1 more)");
        let undisciplined = |state: &str| {
            snapshot(|value| {
                value["findings"] = json!([found("clock-undisciplined", "warning")]);
                value["alerts"] = json!([{
                    "alert": "clock-undisciplined", "severity": "warning", "subject": "", "state": state, "since": null,
                }]);
            })
        };
        assert_eq!(told_of(&undisciplined("firing")), "warning clock-undisciplined: it is wrong");
        assert_eq!(told_of(&undisciplined("pending")), "clock 300.0 µs slow ± 1.0 ms, credentials ok");
    }

    #[test]
    fn a_line_on_one_subject_says_nothing_of_the_other() {
        let findings = [found("credential-unavailable", "warning"), found("source-falseticker", "critical")];
        let both = snapshot(|value| value["findings"] = json!(findings));
        assert_eq!(line(&both, Subject::Clock), "critical source-falseticker: it is wrong");
        assert_eq!(line(&both, Subject::Credentials), "warning credential-unavailable: it is wrong");
        assert_eq!(line(&snapshot(|_| {}), Subject::Clock), "clock 300.0 µs slow ± 1.0 ms");
        assert_eq!(line(&snapshot(|_| {}), Subject::Credentials), "credentials ok");
    }
}
