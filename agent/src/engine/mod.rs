//! The brain: it takes one event after the other and says what follows. It does no I/O and reads no clock, so that
//! thousands of hours pass through it in a test.

mod burst;
#[cfg(test)]
mod card;
mod credentials;
mod disruption;
mod event;
mod history;
mod image;
mod judged;
mod known;
mod machine;
mod possession;
mod publish;
mod reload;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod scenes;

pub use event::{Event, Reaction};
pub use image::{Image, Part, Room};
pub use known::Holding;
pub use machine::Engine;
