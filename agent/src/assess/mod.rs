//! Which AWS limit breaks, when, and what else is wrong: pure arithmetic over what was measured.

pub mod alerts;
pub mod answer;
pub mod clock_findings;
pub mod credential_findings;
pub mod finding;
pub mod level;
pub mod lifetime;
pub mod limit;
pub mod rotation;
pub mod rule;
pub mod source_findings;
