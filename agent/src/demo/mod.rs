//! An AWS in a box: time servers, an instance metadata service and a collector on loopback, and a script that breaks
//! them one after the other while the real agent watches.

mod collector;
pub mod fleet;
pub(crate) mod http;
mod imds;
pub(crate) mod ntp;
pub mod script;
pub(crate) mod world;
