//! The system clock and who keeps it, and the sources of time: `checks` and `sources` gather and judge, and the others know
//! one thing each, such as a daemon, its configuration, or the protocol in which chronyd is asked.

pub mod checks;
pub mod chrony_conf;
pub mod chronyd;
mod claims;
pub mod clockbound;
pub mod daemon;
pub mod discipline;
pub mod facts;
pub mod keeper;
pub mod link_local;
mod mend;
mod offset;
pub mod phc;
pub mod program;
pub mod reference;
#[cfg(test)]
mod scenes;
pub mod sources;
mod time_conf;
pub mod tracking;
mod tree;
mod users;
