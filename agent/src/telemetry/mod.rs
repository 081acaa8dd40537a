//! Metrics and log records over OTLP.

pub mod export;
mod gateway;
pub mod logs;
pub mod metrics;
pub mod resource;
