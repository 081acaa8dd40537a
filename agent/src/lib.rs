//! skewguard warns before AWS rejects a request because a clock is wrong or a credential has run out.
//!
//! The modules in the order in which a measurement goes through them; none imports one that comes after it.

pub mod alert;
pub mod assess;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod delivery;
pub mod demo;
pub mod engine;
pub mod notify;
pub mod ntp;
pub mod runtime;
pub mod snapshot;
pub mod status;
pub mod sys;
pub mod telemetry;
