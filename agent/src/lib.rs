//! skewguard warns before AWS rejects a request because a clock is wrong or a credential has run out.
//!
//! The modules in the order in which a measurement goes through them; none imports one that comes after it.

pub mod alert;
pub mod assess;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod delivery;
pub mod engine;
pub mod notify;
pub mod ntp;
pub mod snapshot;
pub mod sys;
pub mod telemetry;
