//! Where files are by custom.

use std::fs;
use std::path::Path;

use crate::sys::Places;

/// Whether the SDKs for .NET have a store of their own beside the shared files.
pub const HAS_SDK_STORE: bool = false;
/// Whether a host has programs in .NET more often than not.
pub const IS_DOTNET_USUAL: bool = false;
/// Below what the files of a Unix host are: its root.
pub fn root() -> &'static Path {
    Path::new("/")
}

/// The variable that names the home of a user, where `HOME` does not.
pub const HOME: &str = "HOME";
/// Below what a folder of the agent is, in words.
pub const TOP: &str = "/";
/// With what an absolute path begins, in words.
pub const ROOT: &str = "a slash";
/// The address of a Unix socket has room for 108 bytes with the zero at its end (unix(7)).
const LONGEST_SOCKET: usize = 107;

/// Whether a path says all of the way.
pub fn is_absolute(path: &str) -> bool {
    path.starts_with('/')
}

/// Whether this can be the path of the socket for `status`.
///
/// # Errors
/// What is wrong with it.
pub fn check_socket(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
        return Err("the socket is the absolute path of a file, such as /run/skewguard/skewguard.sock");
    }
    if path.len() > LONGEST_SOCKET {
        return Err("the path is too long: the system allows a socket 107 bytes");
    }
    Ok(())
}

/// Where the agent has its files on this platform.
pub fn places() -> Places {
    Places {
        config: "/etc/skewguard/skewguard.yaml".into(),
        state_dir: "/var/lib/skewguard".into(),
        socket: "/run/skewguard/skewguard.sock".into(),
    }
}

/// The name of this host at this moment, as the kernel knows it; `None` where it cannot be read.
pub fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}
