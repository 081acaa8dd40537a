//! Alerts as OTLP log records.

use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity as LogSeverity};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tokio::sync::{mpsc, oneshot};

use crate::alert::machine::{Change, Transition};
use crate::assess::finding::Severity;
use crate::delivery::fate::Parcel;
use crate::snapshot::AlertMessage;
use crate::time::TrueTime;

/// The `event_name` of every alert.
pub const EVENT: &str = "skewguard.alert";

/// The attribute that is different for every transition, and the same however often it is told.
pub(super) const KEY: &str = "alert.key";

/// What the exporter takes.
pub(super) enum Entry {
    /// A record.
    Record(Box<SdkLogRecord>, InstrumentationScope),
    /// All records before this are in the queue, the last of them as this says.
    Mark(oneshot::Sender<Option<Parcel>>),
}

/// Turns transitions of alerts into log records.
pub struct AlertLog {
    logger: SdkLogger,
    entries: mpsc::UnboundedSender<Entry>,
}

impl AlertLog {
    /// Records go through `entries` to the exporter, which puts them into its queue.
    pub(super) fn new(entries: mpsc::UnboundedSender<Entry>) -> Self {
        let provider = SdkLoggerProvider::builder().with_log_processor(Forward(entries.clone())).build();
        Self { logger: provider.logger("skewguard"), entries }
    }

    /// Writes one record.
    pub fn write(&self, transition: &Transition, message: &AlertMessage) -> Parcel {
        let mut record = self.logger.create_log_record();
        record.set_event_name(EVENT);
        record.set_timestamp(system_time(transition.at.time));
        record.set_observed_timestamp(system_time(transition.at.time));
        let (number, text) = match (transition.change, transition.severity) {
            (Change::Resolved, _) => (LogSeverity::Info, "INFO"),
            (_, Severity::Warning) => (LogSeverity::Warn, "WARN"),
            (_, Severity::Critical) => (LogSeverity::Error, "ERROR"),
        };
        record.set_severity_number(number);
        record.set_severity_text(text);
        record.set_body(AnyValue::from(message.summary.clone()));
        let attributes = [
            ("alert", message.alert.name()),
            ("alert.subject", message.subject.as_str()),
            ("alert.id", message.id.as_str()),
            ("alert.change", message.change.name()),
            ("severity", message.severity.name()),
            ("alert.since", message.since.as_str()),
            ("alert.remedy", message.remedy.as_str()),
            (KEY, &message.key()),
        ];
        record.add_attributes(attributes.map(|(key, value)| (key, AnyValue::from(value.to_owned()))));
        record.add_attribute("time.verified", message.verified);
        if let Some(runbook) = &message.runbook {
            record.add_attribute("alert.runbook", runbook.clone());
        }
        // The resource is the host as it is when this is exported. A receiver joins what fires and what is over by what it was.
        record.add_attribute("host.name", message.host.clone());
        record.add_attributes(message.attributes.clone());
        self.logger.emit(record);
        let (done, queued) = oneshot::channel();
        // The exporter lives as long as this.
        let _ = self.entries.send(Entry::Mark(done));
        Parcel::coming(queued)
    }
}

/// OpenTelemetry wants a [`SystemTime`]; this one was never read from a clock.
fn system_time(time: TrueTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(time.nanos()).unwrap_or(0))
}

/// Hands records to the task that exports them.
#[derive(Debug)]
struct Forward(mpsc::UnboundedSender<Entry>);

impl LogProcessor for Forward {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        // After the end of the exporter nobody is left to be told.
        let _ = self.0.send(Entry::Record(Box::new(record.clone()), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::true_clock::Stamp;
    use crate::host::identity::Speaker;
    use crate::notify::message::tests::skew;

    #[tokio::test]
    async fn a_record_says_whose_alert_it_is_whatever_the_host_is_called_when_it_is_over() {
        let message = skew(Change::Resolved);
        let at = Stamp { time: TrueTime::from_seconds(1_772_359_500.0), verified: true };
        let transition = Transition {
            kind: message.alert,
            subject: message.subject.clone(),
            severity: message.severity,
            before: None,
            change: message.change,
            since: at,
            at,
            summary: message.summary.clone(),
            remedy: message.remedy.clone(),
            speaker: Speaker::default(),
        };
        let (entries, mut exported) = mpsc::unbounded_channel();
        let _parcel = AlertLog::new(entries).write(&transition, &message);
        let Some(Entry::Record(record, _)) = exported.recv().await else { panic!("no record") };
        let runbook = message.runbook.as_deref().unwrap();
        for (key, value) in
            [("host.name", "ip-10-0-0-1"), ("host.id", "i-1"), ("alert.id", &message.id), ("alert.runbook", runbook)]
        {
            let told: Vec<_> = record.attributes_iter().filter(|(told, _)| told.as_str() == key).collect();
            assert!(matches!(told[..], [(_, AnyValue::String(told))] if told.as_str() == value), "{key}: {told:?}");
        }
        assert_eq!(record.severity_text(), Some("INFO"));
    }
}
