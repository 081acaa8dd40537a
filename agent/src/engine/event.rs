//! What goes into the engine, and what comes out beside the snapshot.

use std::collections::BTreeSet;

use crate::alert::machine::Transition;
use crate::aws::processes::watch::InUse;
use crate::aws::sdk::Sdk;
use crate::credentials::imds::host::HostIdentity;
use crate::credentials::round;
use crate::snapshot::Delivery;
use crate::sources::poller::Polled;
use crate::sys::KernelClock;
use crate::time::Span;

/// Something that was measured, or happened.
pub enum Event {
    /// A second has passed, or somebody set the clock.
    Tick {
        /// What the kernel says of its clock, where it may be asked.
        kernel: Option<KernelClock>,
        /// For how long the host has slept since it was booted ([`crate::clock::local::asleep`]).
        asleep: Span,
    },
    /// A source was asked; its number is the one that [`super::Engine::source_ids`] gave it.
    Source(Polled),
    /// Credentials were read, or could not be.
    Credential(round::Polled),
    /// The SDKs that run on this host, as far as can be told.
    Sdks {
        /// Those that were found.
        sdks: BTreeSet<Sdk>,
        /// Whether no other can be there.
        is_whole: bool,
    },
    /// The instance metadata service said what host this is.
    Host(HostIdentity),
    /// The state of a destination changed.
    Delivery(Delivery),
}

impl From<Polled> for Event {
    fn from(polled: Polled) -> Self {
        Self::Source(polled)
    }
}

impl From<round::Polled> for Event {
    fn from(polled: round::Polled) -> Self {
        Self::Credential(polled)
    }
}

impl From<InUse> for Event {
    fn from(InUse { sdks, is_whole }: InUse) -> Self {
        Self::Sdks { sdks, is_whole }
    }
}

impl From<HostIdentity> for Event {
    fn from(host: HostIdentity) -> Self {
        Self::Host(host)
    }
}

impl From<Delivery> for Event {
    fn from(delivery: Delivery) -> Self {
        Self::Delivery(delivery)
    }
}

/// What follows from an event.
#[derive(Debug, Default)]
pub struct Reaction {
    /// What is to be told.
    pub transitions: Vec<Transition>,
    /// Whether every source is to be asked at once.
    pub burst: bool,
    /// For how long the host slept, where it just woke up.
    pub slept: Option<Span>,
}
