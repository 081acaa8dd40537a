//! Who is told of an alert: what every channel says is worked out apart from sending it.

pub mod alertmanager;
pub mod aws;
pub mod channel;
pub mod eventbridge;
pub mod message;
pub mod pagerduty;
pub mod slack;
pub mod sns;
pub mod webhook;

mod post;
mod text;
