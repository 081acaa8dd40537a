//! Who is told of an alert.

pub mod channel;
pub mod message;
pub mod webhook;
