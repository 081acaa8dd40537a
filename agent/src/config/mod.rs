//! The configuration: YAML as written (`raw`), the same once it is known to be right (`checked`), and errors that show
//! the place.
//!
//! `load` reads, `check` judges, `explain` says what is wrong and where, and `show` writes a configuration back.

pub(crate) mod arn;
mod channels;
pub(crate) mod check;
pub mod checked;
mod default;
#[cfg(test)]
pub(crate) mod documented;
mod endpoints;
pub mod explain;
mod held;
pub mod load;
pub(crate) mod locate;
pub mod masker;
pub mod period;
pub mod raw;
pub mod raw_alerts;
pub mod raw_credentials;
mod rules;
pub mod schema;
pub mod secret;
pub mod server;
pub mod show;
pub mod size;
mod storage;
pub mod url;
pub mod value;
pub(crate) mod web;
mod wording;
