//! What only the operating system can tell. One file for each platform; nothing above this folder asks which it is.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::{
    KernelClock, StepWatch, boot_id, boot_time, enable_timestamping, keep_timestamping, kernel_clock, monotonic,
    realtime, receive, transmit_timestamp,
};
