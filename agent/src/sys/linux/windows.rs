//! There is no Windows to ask.

use crate::sys::system::System;

/// The Windows on which this runs: none.
pub const fn windows() -> Option<Box<dyn System + Send>> {
    None
}
