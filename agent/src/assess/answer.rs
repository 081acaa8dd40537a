//! What a rule answers: that something is wrong, that it is not, or that nobody can know.

use super::finding::{Finding, Kind};
use crate::config::checked::{Alerts, Rule};

/// What a rule answers about one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    Found(Finding),
    /// It is not there: whoever would know of it has been asked.
    Absent,
    /// Too little is known to say either, because whoever would know of it is silent, or was not asked yet.
    Unknown,
}

impl Answer {
    /// What was found, and `otherwise` where nothing was.
    pub fn or(found: Option<Finding>, otherwise: Self) -> Self {
        found.map_or(otherwise, Self::Found)
    }
}

/// The answer of a rule about one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What the rule looks for.
    pub kind: Kind,
    /// What it is about, where there can be several of a kind: a source, or a credential; else empty.
    pub subject: String,
    /// Whether it is there.
    pub answer: Answer,
}

impl Ruling {
    /// Asks the rule for this kind. One that is disabled is not asked: what nobody wants to know is not there.
    pub fn of(kind: Kind, subject: &str, alerts: &Alerts, ask: impl FnOnce(&Rule) -> Answer) -> Self {
        let rule = rule(alerts, kind).filter(|rule| rule.enabled);
        Self { kind, subject: subject.to_owned(), answer: rule.map_or(Answer::Absent, ask) }
    }

    /// Whether it is about this.
    pub fn is_about(&self, kind: Kind, subject: &str) -> bool {
        self.kind == kind && self.subject == subject
    }
}

const fn rule(alerts: &Alerts, kind: Kind) -> Option<&Rule> {
    Some(match kind {
        Kind::ClockSkew => &alerts.clock_skew,
        Kind::ClockSkewForecast => &alerts.clock_skew_forecast,
        Kind::ClockUndisciplined => &alerts.clock_undisciplined,
        Kind::ClockStepped => &alerts.clock_stepped,
        Kind::ClockUnverified => &alerts.clock_unverified,
        Kind::SourceFalseticker => &alerts.source_falseticker,
        Kind::SourceUnreachable => &alerts.source_unreachable,
        Kind::CredentialRefreshMargin => &alerts.credential_refresh_margin,
        Kind::CredentialExpiring => &alerts.credential_expiring,
        Kind::CredentialRotationOverdue => &alerts.credential_rotation_overdue,
        Kind::CredentialUnavailable => &alerts.credential_unavailable,
        // Nobody looks for this.
        Kind::Test => return None,
    })
}
