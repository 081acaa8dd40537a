//! Who is told of an alert: what every channel says is worked out apart from sending it.

pub mod attempt;
pub mod aws;
pub mod channel;
pub mod event;
pub mod message;
pub mod runbooks;
pub mod targets;

mod text;
