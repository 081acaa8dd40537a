//! What goes wrong in a drill, with whom, and what is to be told of it.

use crate::assess::finding::{Kind, Severity};

/// For so many seconds all is well; then all troubles begin.
pub(super) const CALM: f64 = 120.0;

/// What is wrong with a host, from the end of the calm on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// The clock loses 500 ppm, and nobody keeps it.
    Drift,
    /// Somebody has set the clock a minute and a half ahead.
    Step,
    /// The host comes up with an image that nobody has given a time daemon, and its clock is wrong.
    Image,
    /// Neither Time Sync nor the metadata service answers in its availability zone.
    Zone,
    /// The metadata service hands out what it has and renews nothing.
    Rotation,
    /// The agent is gone.
    Silence,
    /// A receiver of alerts refuses them.
    Refusal,
    /// The hypervisor moves the host, and nothing is to be told.
    Migration,
}

/// An alert that a trouble must lead to.
pub(super) struct Expected {
    pub(super) kind: Kind,
    pub(super) severity: Severity,
    /// How many seconds after the beginning of the trouble it is told on every host, at the latest.
    pub(super) within: f64,
}

const fn expect(kind: Kind, severity: Severity, within: f64) -> Expected {
    Expected { kind, severity, within }
}

const DRIFT: [Expected; 1] = [expect(Kind::ClockSkewForecast, Severity::Warning, 840.0)];
const STEP: [Expected; 3] = [
    expect(Kind::ClockStepped, Severity::Warning, 30.0),
    expect(Kind::ClockSkew, Severity::Warning, 30.0),
    expect(Kind::ClockUndisciplined, Severity::Warning, 660.0),
];
const IMAGE: [Expected; 3] = [
    expect(Kind::ClockSkew, Severity::Critical, 60.0),
    expect(Kind::CredentialRefreshMargin, Severity::Critical, 240.0),
    expect(Kind::ClockUndisciplined, Severity::Warning, 780.0),
];
const ZONE: [Expected; 2] = [
    expect(Kind::SourceUnreachable, Severity::Warning, 780.0),
    expect(Kind::CredentialUnavailable, Severity::Critical, 960.0),
];
const ROTATION: [Expected; 1] = [expect(Kind::CredentialExpiring, Severity::Critical, 780.0)];

/// The remaining life of what is not renewed, in seconds, when the calm ends: a minute before it is a warning.
pub(super) const STALE: f64 = 16.0 * 60.0;

impl Trouble {
    /// All, in the order in which they are told.
    pub(super) const ALL: [Self; 8] = [
        Self::Drift,
        Self::Step,
        Self::Image,
        Self::Zone,
        Self::Rotation,
        Self::Silence,
        Self::Refusal,
        Self::Migration,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Step => "step",
            Self::Image => "bad image",
            Self::Zone => "broken zone",
            Self::Rotation => "rotation stalled",
            Self::Silence => "silence",
            Self::Refusal => "channel refuses",
            Self::Migration => "migration",
        }
    }

    /// How many of a fleet of so many have it. What a rule counts by a cause takes five.
    pub(super) fn hosts(self, fleet: u32) -> u32 {
        let (of_thousand, least) = match self {
            Self::Zone => (50, 5),
            Self::Image => (30, 5),
            _ => (10, 1),
        };
        (fleet / 1_000 * of_thousand + fleet % 1_000 * of_thousand / 1_000).max(least)
    }

    /// What the agents must tell.
    pub(super) const fn expected(self) -> &'static [Expected] {
        match self {
            Self::Drift => &DRIFT,
            Self::Step => &STEP,
            Self::Image => &IMAGE,
            Self::Zone => &ZONE,
            Self::Rotation => &ROTATION,
            Self::Silence | Self::Refusal | Self::Migration => &[],
        }
    }

    /// What they may tell besides, on the way to that or long after it.
    pub(super) const fn tolerated(self) -> &'static [(Kind, Severity)] {
        match self {
            // After half an hour it is a second off, and after days it is more.
            Self::Drift => &[
                (Kind::ClockUndisciplined, Severity::Warning),
                (Kind::ClockSkew, Severity::Warning),
                (Kind::ClockSkew, Severity::Critical),
                (Kind::ClockSkewForecast, Severity::Critical),
                (Kind::CredentialRefreshMargin, Severity::Warning),
                (Kind::CredentialRefreshMargin, Severity::Critical),
            ],
            Self::Zone => &[
                (Kind::CredentialUnavailable, Severity::Warning),
                (Kind::ClockUnverified, Severity::Warning),
                (Kind::CredentialExpiring, Severity::Warning),
                (Kind::CredentialExpiring, Severity::Critical),
                (Kind::CredentialRotationOverdue, Severity::Warning),
            ],
            Self::Rotation => &[
                (Kind::CredentialExpiring, Severity::Warning),
                (Kind::CredentialRotationOverdue, Severity::Warning),
                (Kind::CredentialRefreshMargin, Severity::Warning),
            ],
            Self::Step | Self::Image | Self::Silence | Self::Refusal | Self::Migration => &[],
        }
    }

    /// What the rules of the fleet tell of it, beside the alerts of its hosts; empty where nothing.
    pub(super) const fn by_rules(self) -> &'static str {
        match self {
            Self::Image => "fleet-cause (image), after 3m",
            Self::Zone => "fleet-cause (availability_zone)",
            Self::Silence => "host-silent, after 11m",
            Self::Refusal => "fleet-delivery-lost, after 2m; fleet-delivery-refused, after 17m",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_hosts_of_any_fleet_are_well() {
        for fleet in [50, 51, 99, 100, 1_000, 10_000, 100_000] {
            let ill: u32 = Trouble::ALL.iter().map(|trouble| trouble.hosts(fleet)).sum();
            assert!(ill * 3 < fleet, "{ill} of {fleet}");
        }
        assert_eq!(Trouble::Zone.hosts(10_000), 500);
        assert_eq!(Trouble::Drift.hosts(1_950), 19);
    }
}
