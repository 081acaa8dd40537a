//! Where files are by custom.

use std::env;
use std::path::{Path, PathBuf};

use crate::sys::Places;

/// Whether the SDKs for .NET have a store of their own beside the shared files, which Windows encrypts for its user.
pub const HAS_SDK_STORE: bool = true;
/// Whether a host has programs in .NET more often than not.
pub const IS_DOTNET_USUAL: bool = true;
/// Below what the files of a Unix host are: nothing. In the root of a drive every user may make a folder of any name.
pub fn root() -> &'static Path {
    Path::new(r"\\?\GLOBALROOT\no-unix-host")
}

/// The variable that names the home of a user, where `HOME` does not.
pub const HOME: &str = "USERPROFILE";
/// Below what a folder of the agent is, in words.
pub const TOP: &str = "a drive";
/// With what an absolute path begins, in words.
pub const ROOT: &str = r"a drive, as in C:\, or a share";
/// What the names of pipes begin with.
const PIPES: &str = r"\\.\pipe\";
/// The longest name of a pipe, the beginning included (CreateNamedPipeW).
const LONGEST_PIPE: usize = 256;

/// Where the agent has its files on this platform.
pub fn places() -> Places {
    let folder = program_data().join("skewguard");
    Places {
        config: folder.join("skewguard.yaml"),
        state_dir: folder.join("state"),
        socket: format!("{PIPES}skewguard").into(),
    }
}

/// Where programs keep what belongs to no user.
fn program_data() -> PathBuf {
    // Variables are whoever's who starts a process.
    let list = windows_registry::LOCAL_MACHINE.open(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList").ok();
    let named = list.and_then(|list| list.get_string("ProgramData").ok());
    let drive = || env::var("SystemDrive").ok().filter(|drive| drive.len() == 2).unwrap_or_else(|| "C:".to_owned());
    let named = named.map(|path| PathBuf::from(path.replace("%SystemDrive%", &drive())));
    named.filter(|path| path.is_absolute()).unwrap_or_else(|| r"C:\ProgramData".into())
}

/// Whether a path says all of the way.
pub fn is_absolute(path: &str) -> bool {
    Path::new(path).is_absolute()
}

/// Whether this can be the name of the pipe for `status`.
///
/// # Errors
/// What is wrong with it.
pub fn check_socket(path: &str) -> Result<(), &'static str> {
    let name = path.get(..PIPES.len()).filter(|begin| begin.eq_ignore_ascii_case(PIPES));
    match name.and_then(|_| path.get(PIPES.len()..)) {
        Some(name) if !name.is_empty() && !name.contains(['\\', '/', '\0']) && path.len() <= LONGEST_PIPE => Ok(()),
        _ => Err(
            r"the socket is the name of a pipe of this host, such as \\.\pipe\skewguard, with at most 256 characters",
        ),
    }
}

/// The name of this host; `None` where it cannot be read.
pub fn host_name() -> Option<String> {
    // The name of DNS; that of NetBIOS in COMPUTERNAME has 15 characters at most.
    let parameters =
        windows_registry::LOCAL_MACHINE.open(r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters").ok()?;
    let name = parameters.get_string("Hostname").ok().filter(|name| !name.is_empty());
    name.or_else(|| env::var("COMPUTERNAME").ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_one_of_this_host() {
        for good in [r"\\.\pipe\skewguard", r"\\.\PIPE\a b"] {
            assert_eq!(check_socket(good), Ok(()), "{good}");
        }
        let long = format!("{PIPES}{}", "x".repeat(260));
        for bad in
            ["", r"\\.\pipe\", r"\\server\pipe\x", r"C:\x", r"\\.\pipe\a\b", "/run/x.sock", "\\\\.\\pipe\\a\0", &long]
        {
            assert!(check_socket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_drive_or_a_share_is_absolute_and_a_slash_is_not() {
        assert!(is_absolute(r"C:\a") && is_absolute(r"\\server\share\a") && is_absolute("C:/a"));
        assert!(!is_absolute("/a") && !is_absolute(r"\a") && !is_absolute("C:a") && !is_absolute("a"));
    }
}
