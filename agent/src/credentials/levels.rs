//! When the end of one thing is told, where that is another time than for all else.

use std::time::Duration;

/// The levels of one thing that expires; where there is none, that of the rule holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// The remaining life from which its expiring is a warning.
    pub warning: Option<Duration>,
    /// The remaining life from which its expiring is critical.
    pub critical: Option<Duration>,
}
