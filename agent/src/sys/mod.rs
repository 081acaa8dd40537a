//! What only the operating system can tell. One file for each platform; nothing above this folder asks which it is.

#[cfg(target_os = "linux")]
mod ethtool;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod phc;
#[cfg(target_os = "linux")]
mod terminal;

#[cfg(target_os = "linux")]
pub use ethtool::interface_statistics;
#[cfg(target_os = "linux")]
pub use linux::{
    KernelClock, StepWatch, boot_id, boot_time, enable_timestamping, keep_timestamping, kernel_clock, monotonic,
    monotonic_raw, realtime, receive, transmit_timestamp,
};
#[cfg(target_os = "linux")]
pub use memory::keep_memory_small;
#[cfg(target_os = "linux")]
pub use phc::device_time;
#[cfg(target_os = "linux")]
pub use terminal::{keys, terminal_size};
