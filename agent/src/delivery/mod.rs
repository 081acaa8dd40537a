//! How telemetry and alerts leave the agent: a queue and a sender for each destination.

pub mod aws_refusal;
pub mod client;
pub mod fate;
pub mod item;
mod keeper;
mod lane;
mod mutex;
mod pace;
pub mod policy;
pub mod queue;
pub mod request;
mod room;
mod sender;
mod shared;
pub mod signature;
pub mod spool;
pub mod store;
mod ticket;

#[cfg(test)]
mod fleet;
