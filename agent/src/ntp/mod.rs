//! Asks NTP servers: one connected socket a query, one task a source.

#[cfg(test)]
mod faults;
pub mod pace;
pub mod poller;
pub mod query;
pub mod refusal;
pub mod socket;
pub mod timestamp;
