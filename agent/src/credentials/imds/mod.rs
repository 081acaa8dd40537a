//! The instance metadata service of EC2, version 2 only: the role credentials of the instance, and what the instance
//! is.

pub mod client;
pub mod document;
pub mod host;
pub mod inspect;
pub mod keys;
pub mod poller;
pub mod schedule;
pub mod settings;

#[cfg(test)]
pub(crate) mod fake;
mod token;
