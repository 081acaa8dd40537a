//! What a stranger can hand to the agent: each kind of it as a function that takes any bytes, hands them to the code that
//! would get them, and panics where a promise is broken.
//!
//! The fuzzers in `tests/fuzz` call these functions, and so does `tests/hostile.rs`, with all that the fuzzers have found.

pub mod config;
pub mod explain;
pub mod imds;
pub mod kept;
pub mod ntp;

mod brain;
mod bytes;

/// Hands bytes to the agent, and panics where a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by the name that it has in `tests/fuzz`.
pub const TARGETS: [(&str, Target); 7] = [
    ("ntp_reply", ntp::reply),
    ("imds_document", imds::document),
    ("imds_response", imds::response),
    ("config", config::text),
    ("explain", explain::text),
    ("queue_item", kept::queue_item),
    ("state", kept::state),
];
