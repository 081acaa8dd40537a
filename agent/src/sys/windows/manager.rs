//! The service manager, which hears how the agent is.

use super::service;
use super::standing;
use crate::sys::Phase;

/// The service manager, whether it has started this process or not. To tell it something never waits.
#[derive(Default)]
pub struct Manager(());

impl Manager {
    /// Whether this process was started by one, as a service.
    pub fn is_there() -> bool {
        standing::is_service()
    }

    /// Tells it what has happened.
    pub fn tell(&self, phase: Phase) {
        service::tell_phase(phase);
    }

    /// Called every second while all is well. The manager looks after processes alone: the agent ends itself where it hangs.
    pub const fn alive(&self) {}
}
