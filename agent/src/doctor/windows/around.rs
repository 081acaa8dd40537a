//! What is known from elsewhere when a host with Windows is judged.

use crate::time::Offset;

/// What the other checks have found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Whether this is an EC2 instance.
    pub is_ec2: bool,
    /// How far the clock is off, where that is known.
    pub offset: Option<Offset>,
    /// Whether that is too far.
    pub is_clock_wrong: bool,
    /// Whether the metadata service answers; `None` where it was not asked.
    pub is_imds_reached: Option<bool>,
}
