//! Which AWS SDKs run on this host, told from `/proc` as far as it can be read, or by what Windows tells.
//!
//! Command lines and environments hold secrets. They pass through memory here and nowhere else: what is kept are names,
//! and the values of those variables alone that are no secret.

pub mod binary;
pub mod cache;
pub mod command_line;
pub mod dotnet;
pub mod environment;
pub mod error;
pub mod facts;
pub mod java;
pub mod layout;
pub mod libraries;
pub mod library;
pub mod node;
pub mod process;
pub mod properties;
pub mod python;
pub mod scan;
pub(in crate::aws) mod text;
pub mod view;
pub mod watch;
