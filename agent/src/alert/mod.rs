//! Findings with a life: pending, firing, resolved.

pub mod machine;
