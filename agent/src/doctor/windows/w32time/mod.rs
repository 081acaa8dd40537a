//! The Windows Time service: what it is told, what it says of itself, and what is wrong with both.

pub mod checks;
pub mod kept;
pub mod limits;
pub mod seeding;
pub mod servers;
pub mod settings;
pub mod status;
