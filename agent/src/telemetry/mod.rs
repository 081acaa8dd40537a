//! What is measured and told, for others to store: metrics and log records over OTLP, and metrics as Prometheus reads them.

mod catalogue;
pub mod collector;
pub mod detail;
pub mod direct;
pub mod export;
pub mod exposition;
pub mod gateway;
pub mod logs;
mod metric;
pub mod metrics;
pub mod otlp;
mod page;
mod prometheus;
pub mod resource;
mod scrape;
pub mod settings;
mod textfile;
