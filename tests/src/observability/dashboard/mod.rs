//! The dashboards.

pub mod fleet;
pub mod host;
