//! The credentials of this host: which there are, when they expire, and by whose clock. The secrets in them are never
//! kept.

pub mod imds;
pub mod lease;
