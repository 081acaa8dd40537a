//! The command line: one file for each command.

mod alert;
pub mod args;
mod brief;
mod check;
mod config;
mod demo;
pub mod dispatch;
mod doctor;
mod exit;
mod informant;
mod input;
mod log;
mod measure;
mod npd;
mod outcome;
mod ready;
mod run;
mod service;
mod status;
mod subject;
mod text;
mod wait;
mod watch;
