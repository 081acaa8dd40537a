//! True time as it is held to be, and when another claim contradicts that.

use crate::time::{Anchor, ErrorBound, Offset, Reading, Span};

/// An estimate whose bound has grown to this says nothing about a limit of minutes any more.
const WORTHLESS: Span = Span::from_nanos(30 * 1_000_000_000);
/// A move of the estimate beyond what both bounds explain and this ends the trend; smaller ones a robust slope ignores.
const JUMP: Span = Span::from_nanos(100_000_000);

/// What is known of true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockState {
    /// Nothing was heard yet.
    Starting,
    /// A quorum of sources agrees.
    Synchronized,
    /// The sources are gone; the last estimate holds, and its bound grows.
    Holdover,
    /// The sources answer and contradict one another.
    Disagreement,
    /// No source has answered, or not for so long that the last estimate is worth nothing.
    Unknown,
}

impl ClockState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Synchronized, Self::Holdover, Self::Disagreement, Self::Unknown];

    /// The name in output and attributes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Synchronized => "synchronized",
            Self::Holdover => "holdover",
            Self::Disagreement => "disagreement",
            Self::Unknown => "unknown",
        }
    }
}

/// True time as last agreed, and how far it can be wrong by now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// True time minus boot time.
    pub anchor: Anchor,
    /// How far the anchor can be wrong.
    pub bound: ErrorBound,
}

impl Estimate {
    /// The offset of the system clock at `reading`.
    pub const fn offset(&self, reading: Reading) -> Offset {
        reading.offset(self.anchor)
    }
}

/// Whether a claim lies further from what is held than both bounds and a jump that nobody cares for explain.
pub(super) fn contradicts(held: &Estimate, anchor: Anchor, bound: ErrorBound) -> bool {
    anchor.since(held.anchor).abs() > bound.span().plus(held.bound.span()).plus(JUMP)
}

/// Whether a bound is so wide that it says nothing about a limit of minutes.
pub(super) fn is_worthless(bound: ErrorBound) -> bool {
    bound.span() > WORTHLESS
}
