//! The system clock and who keeps it, and the sources of time: `checks` and `sources` gather and judge, and the others know
//! one thing each, such as a daemon, its configuration, or the protocol in which chronyd is asked.

pub mod checks;
pub mod chrony_conf;
pub mod chronyd;
mod claims;
pub mod clockbound;
mod command_line;
pub mod daemon;
pub mod discipline;
pub mod facts;
mod glob;
pub mod keeper;
pub mod link_local;
pub mod mend;
mod ntp_conf;
mod offset;
mod other_conf;
pub mod phc;
pub mod program;
pub mod reference;
#[cfg(test)]
pub(in crate::doctor) mod scenes;
pub mod sources;
mod timesyncd_conf;
mod toml;
pub mod tracking;
mod tree;
mod users;
