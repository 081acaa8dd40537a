//! What the event log of the platform is told of an alert.

use crate::alert::machine::{Change, Transition};
use crate::assess::alerts::Kind;
use crate::assess::finding::Severity;
use crate::snapshot::AlertMessage;
use crate::sys::EventLevel;

/// The numbers of alerts that fire begin after this one, in the order of their rows.
pub const FIRING: u16 = 100;
/// Those of alerts that are over.
pub const RESOLVED: u16 = 200;

/// How grave an event of this alert is, its number, and its text: what a person reads first, and all of it as JSON then.
pub fn event(transition: &Transition, message: &AlertMessage, json: &str) -> (EventLevel, u16, String) {
    let level = match (transition.change, transition.severity) {
        (Change::Resolved, _) => EventLevel::Information,
        (_, Severity::Critical) => EventLevel::Error,
        (_, Severity::Warning) => EventLevel::Warning,
    };
    let subject = if message.subject.is_empty() { String::new() } else { format!(" {}", message.subject) };
    let kind = message.alert.name();
    let (change, severity) = (transition.change.name(), message.severity.name());
    let text =
        format!("{kind}{subject} is {change} ({severity})\n\n{}\n\n{}\n\n{json}", message.summary, message.remedy);
    (level, number(transition.kind, transition.change), text)
}

/// The number of an event: the same for all of its kind.
pub fn number(kind: Kind, change: Change) -> u16 {
    let row = Kind::ALL.iter().position(|other| *other == kind).and_then(|row| u16::try_from(row).ok()).unwrap_or(0);
    let begin = match change {
        Change::Firing | Change::Repeated => FIRING,
        Change::Resolved => RESOLVED,
    };
    begin + 1 + row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::documented::assert_documented;

    #[test]
    fn each_event_is_documented() {
        let mut table = "\n| id | level | what |\n|---|---|---|\n".to_owned();
        for (id, level, what) in [
            ("1", "information", "the agent watches"),
            ("2", "information", "it ends"),
            ("3", "information", "a new configuration is in force"),
            ("10", "error", "a line of the log that is an error, such as a wrong configuration at a reload"),
            ("11", "error", "the service could not go on"),
            ("12", "warning", "events that were left out, while the event log took none"),
        ] {
            table += &format!("| {id} | {level} | {what} |\n");
        }
        for kind in Kind::ALL {
            let (firing, resolved) = (number(kind, Change::Firing), number(kind, Change::Resolved));
            table += &format!(
                "| {firing}, {resolved} | warning or error, information | `{}` fires, is over |\n",
                kind.name()
            );
        }
        assert_documented(
            "deploy/windows/README.md",
            Some(("<!-- event ids -->\n", "\n<!-- end of event ids -->")),
            &table,
        );
    }

    #[test]
    fn no_two_events_have_one_number_and_none_is_beyond_what_has_a_text() {
        let numbers =
            Kind::ALL.iter().flat_map(|kind| [number(*kind, Change::Firing), number(*kind, Change::Resolved)]);
        let mut numbers: Vec<u16> = numbers.collect();
        assert!(numbers.iter().all(|number| (101..=1_000).contains(number)));
        numbers.sort_unstable();
        let count = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }
}
