//! The JSON body of one transition of an alert, the same for every channel.

use super::runbooks::Runbooks;
use crate::alert::machine::Transition;
use crate::clock::true_clock::Stamp;
use crate::delivery::item::{Class, Content, Item};
use crate::delivery::request::Failure;
use crate::host::identity::Speaker;
use crate::snapshot::AlertMessage;
use crate::telemetry::logs::EVENT;
use crate::time::{SystemTime, rfc3339};

/// Writes the message of a transition that happened at `system` by the system clock, with the runbook among these.
pub fn message(transition: &Transition, system: SystemTime, runbooks: &Runbooks) -> AlertMessage {
    let Speaker { host, attributes } = &transition.speaker;
    let since = rfc3339(transition.since.time.nanos());
    AlertMessage {
        event: EVENT.to_owned(),
        version: 1,
        id: format!("{host}/{}/{}/{since}", transition.kind.name(), transition.subject),
        alert: transition.kind,
        subject: transition.subject.clone(),
        severity: transition.severity,
        before: transition.before.filter(|before| *before != transition.severity),
        change: transition.change,
        summary: transition.summary.clone(),
        remedy: transition.remedy.clone(),
        runbook: runbooks.of(transition.kind),
        host: host.clone(),
        attributes: attributes.clone(),
        since,
        since_verified: transition.since.verified,
        true_time: rfc3339(transition.at.time.nanos()),
        system_time: rfc3339(system.nanos()),
        verified: transition.at.verified,
    }
}

/// The message as what is delivered.
///
/// # Errors
/// It cannot be written as JSON, which would be a fault of the agent's.
pub fn item(message: &AlertMessage, at: Stamp) -> Result<Item, serde_json::Error> {
    let body = serde_json::to_vec(message)?.into();
    Ok(Item { class: Class::Alert, key: message.key(), at, content: Content::Json, body })
}

/// The message that an item carries.
///
/// # Errors
/// It carries none that this version can read; no further attempt will change that.
pub(super) fn carried(item: &Item) -> Result<AlertMessage, Failure> {
    serde_json::from_slice(&item.body).map_err(|_| Failure::lasting("what was queued is not an alert"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::alert::machine::Change;
    use crate::assess::finding::{Kind, Severity};
    use crate::clock::true_clock::Stamp;
    use crate::delivery::item::{Class, Content};
    use crate::delivery::policy::Again;
    use crate::time::TrueTime;

    /// True time of every message here, by which the system clock is a day fast.
    pub(in crate::notify) const TRUE_TIME: &str = "2026-03-01T10:05:00.000Z";

    /// The runbook of every message here.
    pub(in crate::notify) const RUNBOOK: &str = "https://wiki.example/a&b/clock-skew.md";

    pub(crate) fn skew(change: Change) -> AlertMessage {
        AlertMessage {
            event: EVENT.into(),
            version: 1,
            id: "ip-10-0-0-1/clock-skew//2026-03-01T10:00:00.000Z".into(),
            alert: Kind::ClockSkew,
            subject: String::new(),
            severity: Severity::Critical,
            before: None,
            change,
            summary: "The system clock is 24.0 h fast".into(),
            remedy: "Start chronyd".into(),
            runbook: Some(RUNBOOK.into()),
            host: "ip-10-0-0-1".into(),
            attributes: BTreeMap::from(
                [("host.id", "i-1"), ("cloud.region", "eu-central-1"), ("cloud.account.id", "123456789012")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            ),
            since: "2026-03-01T10:00:00.000Z".into(),
            since_verified: true,
            true_time: TRUE_TIME.into(),
            system_time: "2026-03-02T10:05:00.000Z".into(),
            verified: true,
        }
    }

    pub(in crate::notify) fn item(message: &AlertMessage) -> Item {
        let at = Stamp { time: TrueTime::from_seconds(1_772_359_500.0), verified: message.verified };
        let body = serde_json::to_vec(message).unwrap().into();
        Item { class: Class::Alert, key: message.key(), at, content: Content::Json, body }
    }

    /// Text of up to some thousand characters, which would take long to make one by one.
    fn long(piece: &'static str, most: usize) -> impl Strategy<Value = String> {
        (piece, 0..=most).prop_map(|(piece, times)| piece.repeat(times))
    }

    prop_compose! {
        /// Whatever a source, a role or a host may be called, and however much there is to say.
        pub(in crate::notify) fn any_message()(
            kind in prop::sample::select(Kind::ALL.as_slice()),
            is_critical: bool,
            before in prop::option::of(prop::sample::select([Severity::Warning, Severity::Critical].as_slice())),
            change in prop::sample::select([Change::Firing, Change::Repeated, Change::Resolved].as_slice()),
            subject in long(".{0,10}", 30),
            summary in long(".{0,10}", 500),
            remedy in long("[a-z&<> é]{0,10}", 400),
            runbook in prop::option::of("https://[a-z]{1,9}/[a-z&]{0,480}"),
            host in long(".{1,10}", 30),
            attributes in prop::collection::btree_map("[a-z.]{1,12}", ".{0,12}", 0..4),
            since_verified: bool,
            verified: bool,
        ) -> AlertMessage {
            AlertMessage {
                id: format!("{host}/{}/{subject}/2026-03-01T10:00:00.000Z", kind.name()),
                alert: kind,
                severity: if is_critical { Severity::Critical } else { Severity::Warning },
                before: before.filter(|_| change == Change::Firing),
                change, subject, summary, remedy, runbook, host, attributes, since_verified, verified,
                ..skew(change)
            }
        }
    }

    proptest! {
        #[test]
        fn an_item_carries_its_message_and_nothing_else_is_one(message in any_message(), bytes: Vec<u8>) {
            let item = item(&message);
            prop_assert_eq!(carried(&item).ok(), Some(message));
            let foreign = carried(&Item { body: bytes.into(), ..item });
            prop_assert!(foreign.is_err_and(|failure| failure.again == Again::Never));
        }
    }

    #[test]
    fn a_message_without_what_was_added_later_is_read() {
        let mut json = serde_json::to_value(skew(Change::Firing)).unwrap();
        for later in ["since_verified", "runbook"] {
            json.as_object_mut().unwrap().remove(later).unwrap();
        }
        assert_eq!(json.get("before"), None);
        let read: AlertMessage = serde_json::from_value(json).unwrap();
        assert!(!read.since_verified, "what is not said is not vouched for");
        assert_eq!(read.runbook, None);
    }
}
