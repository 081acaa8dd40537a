//! Linux.

mod account;
mod clock;
mod datagram;
mod device;
mod ethtool;
mod event_log;
mod files;
mod firmware;
pub mod foreign;
mod local;
mod manager;
mod memory;
mod output;
mod place;
mod process;
mod reply_socket;
mod service;
mod stop;
mod terminal;
mod windows;
mod words;

pub use account::{is_superuser, owner_without_say, user};
pub use clock::{StepWatch, boot_id, boot_time, kernel_clock, monotonic, monotonic_raw, realtime};
pub use datagram::{Stamping, enable_timestamping, keep_timestamping, receive, transmit_timestamp};
pub use device::{DeviceNumber, Opened, device_number, device_time, open_device, read_at_start};
pub use ethtool::interface_statistics;
pub use event_log::report;
pub use files::{
    create_private_folder, file_identity, is_open_to_all, open_private, set_readable, sync_folder, user_of,
};
pub use firmware::{firmware, machine_id};
pub use local::{Listener, Stream, connect, remove, stranger};
pub use manager::Manager;
pub use memory::keep_memory_small;
pub use output::Output;
pub use place::{HAS_SDK_STORE, HOME, IS_DOTNET_USUAL, ROOT, TOP, check_socket, host_name, is_absolute, places, root};
pub use process::{HAS_PROC, is_on_own_disk, process, processes};
pub use reply_socket::ReplySocket;
pub use service::{
    HAS_SERVICE, configure_service, install_service, reload_service, run_service, service_state, start_service,
    stop_service, uninstall_service,
};
pub use stop::{Ending, Reloads};
pub use terminal::{Keys, RawTerminal, terminal_size};
pub use windows::windows;
pub use words::WORDS;
