//! skewguard warns before AWS rejects a request because a clock is wrong or a credential has run out.
//!
//! In the order of the flow (ARCHITECTURE.md has the whole map):
//! - [`config`] says what to do, in [`setting`]s; [`sys`] knows what only the operating system can tell.
//! - [`aws`] says what the SDKs on this host make of its files and variables.
//! - **measure**: [`clock::local`] reads the clocks, [`sources`] asks who knows the time, [`credentials`] asks what expires.
//! - **estimate**: [`clock::estimate`] says where true time is, how sure that is, and who is wrong.
//! - **assess**: [`assess`] says which limit breaks, and when.
//! - **report**: [`alert`] gives findings a life, [`engine`] puts all of this together and publishes a [`snapshot`];
//!   [`notify`] and [`telemetry`] put it into words, [`delivery`] sends them, and [`status`] answers who asks.
//! - [`web`] has what every client of HTTP needs.
//! - [`host`] says which host this is; [`resolver`] finds addresses and [`stderr`] writes where nobody may read, both without
//!   keeping anybody waiting.
//! - [`state`] lets what is known outlive the process, [`runtime`] runs it and [`vitals`] watches over it, [`cli`] starts
//!   it, and [`demo`] shows it.
//!
//! ARCHITECTURE.md says which way each import goes.

pub mod alert;
pub mod assess;
pub mod aws;
pub mod built;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod delivery;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod files;
pub mod foreign;
pub mod host;
pub mod notify;
pub mod reason;
pub mod resolver;
pub mod runtime;
pub mod setting;
pub mod snapshot;
pub mod sources;
pub mod state;
pub mod status;
pub mod stderr;
pub mod sys;
pub mod telemetry;
pub mod time;
pub mod vitals;
pub mod web;

#[cfg(test)]
mod schedules;
