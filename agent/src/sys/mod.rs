//! What only the operating system can tell, and do. A folder for each platform, whose files have the same names and offer the
//! same; nothing above this folder asks which platform it is.

mod event;
mod kernel_clock;
mod listen_error;
mod phase;
mod places;
mod process_facts;
mod refusal;
mod rule;
mod service_error;
pub mod system;
mod want;
mod words;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

pub use event::{Event, EventLevel};
pub use kernel_clock::KernelClock;
pub use listen_error::ListenError;
pub use phase::Phase;
pub use places::Places;
pub use process_facts::ProcessFacts;
pub use refusal::Refusal;
pub use rule::Rule;
pub use service_error::ServiceError;
pub use want::Want;
pub use words::Words;
