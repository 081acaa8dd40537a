//! Whether enough is known for the absence of a finding to mean that it is over. After a restart, or a sleep of the
//! host, little is found at first, because nothing was measured yet.

use super::machine::{Engine, Now};
use crate::assess::finding::Kind;
use crate::clock::estimate::ClockState;
use crate::clock::source::Verdict;
use crate::config::checked::{Alerts, Rule};

impl Engine {
    /// Whether an alert of this kind and subject, which fired before, is over where its finding is absent.
    pub(super) fn is_settled(&self, kind: Kind, subject: &str, now: &Now) -> bool {
        let is_synchronized = now.state == ClockState::Synchronized;
        !rule(&self.config.alerts, kind).is_some_and(|rule| rule.enabled)
            || match kind {
                // One answer proves nothing, but what many had said before holds.
                Kind::ClockSkew | Kind::ClockUndisciplined => {
                    now.skew.is_some() && (!is_synchronized || self.estimator.is_confirmed())
                }
                Kind::ClockSkewForecast => is_synchronized && self.estimator.drift().is_some(),
                Kind::ClockStepped => now.state != ClockState::Starting,
                // It is absent only where there is a quorum.
                Kind::ClockUnverified | Kind::Test => true,
                Kind::SourceFalseticker | Kind::SourceUnreachable => {
                    let mut sources = self.estimator.sources().iter().zip(&self.config.sources);
                    let source = sources.find(|(_, configured)| configured.name == subject);
                    source.is_none_or(|(source, _)| source.verdict() != Verdict::WarmingUp)
                }
                Kind::CredentialUnavailable => self.credentials.is_read(subject),
                Kind::CredentialRefreshMargin | Kind::CredentialExpiring | Kind::CredentialRotationOverdue => {
                    self.credentials.is_read(subject) && now.truth.is_some()
                }
            }
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
        // Nobody finds this.
        Kind::Test => return None,
    })
}
