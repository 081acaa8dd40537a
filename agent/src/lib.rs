//! skewguard warns before AWS rejects a request because a clock is wrong or a credential has run out.

pub mod assess;
pub mod clock;
pub mod config;
