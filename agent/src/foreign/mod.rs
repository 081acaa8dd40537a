//! The one way in which a file is opened that belongs to somebody else, or that somebody else has named. How that is done is
//! the platform's: [`crate::sys`] has it.

pub use crate::sys::Refusal;
pub use crate::sys::foreign::{Content, Found, Reader, Rule, Tree, Want, Writers, file, folder};
