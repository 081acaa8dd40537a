//! What a kernel says of the discipline of its clock.

use crate::time::Span;

/// What the kernel says of the discipline of its clock (`adjtimex(2)` of Linux, `GetSystemTimeAdjustmentPrecise` of Windows).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelClock {
    /// Whether a time daemon keeps telling the kernel that the clock is synchronized; on Windows, whether somebody adjusts it,
    /// whomever he follows.
    pub synchronized: bool,
    /// The kernel's own bound on its error, never negative; `None` where it has none, as on Windows.
    pub max_error: Option<Span>,
    /// The correction of the clock's frequency, its `tick` included, in seconds a second: positive where the clock is made
    /// faster.
    pub frequency: f64,
}
