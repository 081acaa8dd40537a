//! The command line: one file for each command.

pub mod args;
mod check;
mod config;
mod demo;
pub mod dispatch;
mod input;
mod run;
mod status;
mod text;
