//! Metrics and log records over OTLP.

pub mod collector;
pub mod export;
pub mod gateway;
pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod resource;
