//! The configuration: YAML as written (`raw`), the same once it is known to be right (`checked`), and errors that show
//! the place.
//!
//! `load` reads, `check` judges, `explain` says what is wrong and where, and `show` writes a configuration back.

mod channels;
mod check;
pub mod checked;
mod default;
#[cfg(test)]
pub(crate) mod documented;
pub mod explain;
pub mod load;
mod otlp;
pub mod raw;
pub mod raw_alerts;
mod rules;
pub mod schema;
pub mod show;
pub mod size;
mod storage;
mod telemetry;
mod value;
mod wording;
