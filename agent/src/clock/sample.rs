//! One answer of one time server, and how far it can be wrong.

use crate::time::{Anchor, BootTime, ErrorBound, Span};

/// How fast a disciplined clock may gain an error, in seconds a second (PHI of RFC 5905 §7.2).
pub const FREQUENCY_TOLERANCE: f64 = 15e-6;

/// What the answer of a server says of true time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When the answer arrived.
    pub at: BootTime,
    /// True time minus boot time, according to the server.
    pub anchor: Anchor,
    /// The round trip without the time that the server took, never negative.
    pub delay: Span,
    /// The round trip from the server to its primary reference.
    pub root_delay: Span,
    /// The error that the server has gathered against its primary reference.
    pub root_dispersion: Span,
    /// The reading error of both clocks together.
    pub precision: Span,
    /// The server's distance from its primary reference in hops, 1 to 15; `None` where it tells none.
    pub stratum: Option<u8>,
    /// By whose clock readings the exchange was timed.
    pub timestamps: Timestamps,
}

/// Who stamped the departure of the request and the arrival of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamps {
    /// The kernel, both.
    Kernel,
    /// This process, both: the kernel's were refused or missing.
    UserSpaceMissing,
    /// This process, both: the kernel's contradict the clock that this process sees (a faked clock, or a step).
    UserSpaceContradicted,
    /// This process, both, and the server has told a whole second: all of the interval may be true, and no part of it is
    /// more so than another.
    HttpDate,
    /// This process, right before and right after it read the clock of a device.
    Device,
}

/// Why a poll gave no sample, as far as the estimate cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No usable answer.
    Unanswered,
    /// The server says that it does not know the time.
    Unsynchronized,
    /// The server refuses to serve this host.
    Denied,
}

impl Timestamps {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::UserSpaceMissing => "user-space (no kernel stamps)",
            Self::UserSpaceContradicted => "user-space (kernel stamps contradict the clock of this process)",
            Self::HttpDate => "HTTP Date",
            Self::Device => "around a reading of the device",
        }
    }
}

impl Sample {
    /// The server's own part of the error: λ of RFC 5905 §11.1 without the age.
    pub fn root_distance(&self) -> Span {
        let nanos = (self.root_delay.nanos() / 2)
            .saturating_add(self.root_dispersion.nanos())
            .saturating_add(self.delay.nanos() / 2)
            .saturating_add(self.precision.nanos());
        Span::from_nanos(nanos)
    }

    /// How far the anchor can be wrong at `now`, if the local clock gains at most `aging` seconds a second.
    pub fn error_bound(&self, now: BootTime, aging: f64) -> ErrorBound {
        let age = now.since(self.at).abs().scaled(aging);
        ErrorBound::new(Span::from_nanos(self.root_distance().nanos().saturating_add(age.nanos())))
    }
}
