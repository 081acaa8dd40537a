//! Which AWS limit breaks, and when: pure arithmetic over what was measured.

pub mod sdk;
