//! Who is told of an alert.

pub mod message;
pub mod webhook;
