//! What is judged: the clock, the credentials, or both.

use super::args::Subject;
use crate::assess::alerts::Part;
use crate::assess::finding::Kind;
use crate::config::checked::Config;
use crate::credentials::Credentials;
use crate::snapshot::{Snapshot, Status};

impl Subject {
    pub(super) fn has_clock(self) -> bool {
        self != Self::Credentials
    }

    pub(super) fn has_credentials(self) -> bool {
        self != Self::Clock
    }

    /// Whether a finding of this kind is about it.
    pub(super) fn includes(self, kind: Kind) -> bool {
        match kind.part() {
            Some(Part::Clock | Part::Source) => self.has_clock(),
            Some(Part::Credential) => self.has_credentials(),
            None => true,
        }
    }

    /// The same configuration without those whom nobody needs to ask. The time is needed by both.
    pub(super) fn narrow_config(self, config: Config) -> Config {
        if self.has_credentials() { config } else { Config { credentials: Credentials::none(), ..config } }
    }

    /// What a snapshot says of it.
    pub(super) fn narrow(self, mut snapshot: Snapshot) -> Snapshot {
        snapshot.findings.retain(|finding| self.includes(finding.alert));
        snapshot.alerts.retain(|alert| self.includes(alert.alert));
        let worst = snapshot.findings.iter().map(|finding| finding.severity).max();
        snapshot.status = Status::of(worst, snapshot.clock.is_known());
        snapshot
    }
}
