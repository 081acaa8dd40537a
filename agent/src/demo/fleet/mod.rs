//! A fleet that there is not: as many hosts as somebody wants, each with the real engine, in a world of their own in which
//! some of them get into trouble. What they export goes into a backend before any real host does: a fire drill.

mod drill;
mod error;
mod host;
mod hosts;
mod place;
mod post;
mod seen;
mod trouble;

pub use drill::{Drill, End, Show, play};
pub use error::DrillError;
