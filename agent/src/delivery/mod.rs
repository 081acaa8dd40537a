//! How telemetry and alerts leave the agent: a queue and a sender for each destination.

pub mod client;
pub mod item;
mod keeper;
pub mod proxy;
pub mod queue;
pub mod request;
pub mod spool;
pub mod store;
pub mod tls;
