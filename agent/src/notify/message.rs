//! The JSON body of one transition of an alert, the same for every channel.

use std::collections::BTreeMap;

use crate::alert::machine::{Change, Transition};
use crate::clock::time::{SystemTime, rfc3339};
use crate::snapshot::AlertMessage;
use crate::telemetry::logs::EVENT;

/// Writes the message of a transition that happened at `system` by the system clock, as `change`.
pub fn message(
    transition: &Transition,
    change: Change,
    host: &str,
    attributes: &BTreeMap<String, String>,
    system: SystemTime,
) -> AlertMessage {
    let since = rfc3339(transition.since.time.nanos());
    AlertMessage {
        event: EVENT.to_owned(),
        version: 1,
        id: format!("{host}/{}/{}/{since}", transition.kind.name(), transition.subject),
        alert: transition.kind,
        subject: transition.subject.clone(),
        severity: transition.severity,
        change,
        summary: transition.summary.clone(),
        remedy: transition.remedy.clone(),
        host: host.to_owned(),
        attributes: attributes.clone(),
        since,
        true_time: rfc3339(transition.at.time.nanos()),
        system_time: rfc3339(system.nanos()),
        verified: transition.at.verified,
    }
}
