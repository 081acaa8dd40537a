//! Exit codes beside those of `check` (sysexits.h).

pub(super) const USAGE: u8 = 64;
/// Nobody answers.
pub(super) const UNAVAILABLE: u8 = 69;
pub(super) const SOFTWARE: u8 = 70;
/// A part of the running agent has ended or hangs (`EX_TEMPFAIL`: another start may mend it).
pub(super) const AILING: u8 = 75;
pub(super) const CONFIG: u8 = 78;
