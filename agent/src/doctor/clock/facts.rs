//! What a host shows of its clock.

use super::clockbound::ClockBound;
use super::daemon::Seen;
use super::phc;
use super::reference::Configured;
use super::tracking::{Tracking, Unheard};
use crate::credentials::timestamp;
use crate::host::distribution::{Distribution, Place};
use crate::snapshot::Snapshot;
use crate::time::TrueTime;

/// What this host shows of its clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The time daemons.
    pub seen: Seen,
    /// What the configuration of the daemon that sets the clock says; `None` where none does.
    pub followed: Option<Configured>,
    /// Whether that daemon keeps telling the kernel that the clock is synchronized.
    pub tells_kernel: bool,
    /// What chronyd said when it was asked; `None` where it was not, because it does not run here.
    pub tracking: Option<Result<Tracking, Unheard>>,
    /// Whether chrony is installed, by its configuration.
    pub has_chrony: bool,
    /// Whether the hardware clock is kept in local time (`/etc/adjtime`).
    pub is_rtc_local: bool,
    /// The time zone, where it has a name.
    pub zone: Option<String>,
    /// Clocks of the hardware and of the hypervisor.
    pub offered: phc::Offered,
    /// What ClockBound says, or why it does not; `None` where there is none.
    pub clockbound: Option<Result<ClockBound, String>>,
    /// Which distribution it is.
    pub distribution: Distribution,
    /// What kind of place it is.
    pub place: Place,
}

/// The best that is known of the time.
pub(super) fn now(snapshot: &Snapshot) -> Option<TrueTime> {
    timestamp::parse(&snapshot.time.truth).map(TrueTime::from_nanos)
}
