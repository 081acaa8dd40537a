//! The dashboards.

pub mod cloudwatch;
pub mod fleet;
pub mod host;
