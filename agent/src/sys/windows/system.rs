//! What can be asked of Windows, for whoever judges a host.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE, Type, USERS};
use windows_service::service::{ServiceAccess, ServiceStartType, ServiceState};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_sys::Win32::Foundation::{ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SUCCESS};
use windows_sys::Win32::Globalization::{CP_OEMCP, MultiByteToWideChar};
use windows_sys::Win32::NetworkManagement::NetManagement::{
    NETSETUP_JOIN_STATUS, NetApiBufferFree, NetGetJoinInformation, NetSetupDomainName,
};
use windows_sys::Win32::System::Environment::ExpandEnvironmentStringsW;
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;
use windows_sys::Win32::System::Threading::CREATE_NO_WINDOW;

use super::foreign;
use super::network;
use super::wide::{from_wide, wide};
use crate::sys::Want;
use crate::sys::system::{Interface, Route, Service, Start, State, System, Value};

/// The largest value, and the longest output, in bytes.
const LARGEST: usize = 64 * 1024;
/// So many keys are told.
const MOST_KEYS: usize = 1_024;
/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The Windows on which this runs.
pub fn windows() -> Option<Box<dyn System + Send>> {
    Some(Box::new(Host))
}

struct Host;

impl System for Host {
    fn value(&self, key: &str, name: &str) -> io::Result<Option<Value>> {
        let Some(key) = open(key)? else { return Ok(None) };
        let value = match key.get_value(name).map_err(of_registry) {
            Err(error) if is_missing(&error) => return Ok(None),
            value => value?,
        };
        if value.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(match value.ty() {
            Type::U32 | Type::U64 => u64::try_from(value).map(Value::Number)?,
            Type::String => String::try_from(value).map(Value::Text)?,
            Type::ExpandString => Value::Text(expanded(&String::try_from(value)?)),
            Type::MultiString => {
                let list = Vec::<String>::try_from(value)?;
                Value::List(list.into_iter().filter(|text| !text.is_empty()).collect())
            }
            Type::Bytes | Type::Other(_) => Value::Bytes(value.to_vec()),
        }))
    }

    fn has(&self, key: &str, name: &str) -> io::Result<bool> {
        let Some(key) = open(key)? else { return Ok(false) };
        match key.get_type(name).map_err(of_registry) {
            Err(error) if is_missing(&error) => Ok(false),
            found => found.map(|_| true),
        }
    }

    fn keys(&self, key: &str) -> io::Result<Vec<String>> {
        let Some(key) = open(key)? else { return Ok(Vec::new()) };
        Ok(key.keys()?.take(MOST_KEYS).collect())
    }

    fn service(&self, name: &str) -> io::Result<Option<Service>> {
        let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT).map_err(failed)?;
        let service = match manager.open_service(name, ServiceAccess::QUERY_CONFIG | ServiceAccess::QUERY_STATUS) {
            Err(windows_service::Error::Winapi(error))
                if error.raw_os_error() == Some(ERROR_SERVICE_DOES_NOT_EXIST.cast_signed()) =>
            {
                return Ok(None);
            }
            service => service.map_err(failed)?,
        };
        let start = match service.query_config().map_err(failed)?.start_type {
            ServiceStartType::Disabled => Start::Disabled,
            ServiceStartType::OnDemand => Start::Manual,
            _ if self.is_delayed(name) => Start::AutomaticDelayed,
            _ => Start::Automatic,
        };
        let state = match service.query_status().map_err(failed)?.current_state {
            ServiceState::Running => State::Running,
            ServiceState::Stopped => State::Stopped,
            _ => State::Between,
        };
        Ok(Some(Service { start, state }))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let folder = system_folder()?;
        let mut child = Command::new(folder.join(program))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir(&folder)
            .creation_flags(CREATE_NO_WINDOW)
            .spawn()?;
        let (done, is_done) = mpsc::channel();
        let stdout = child.stdout.take();
        let reading = thread::Builder::new().name("output".to_owned()).spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.map_or(Ok(0), |stdout| stdout.take(LARGEST as u64).read_to_end(&mut bytes));
            // Nobody waits for it any more where that took too long.
            let _ = done.send(read.map(|_| bytes));
        });
        let said = reading.and_then(|_| is_done.recv_timeout(PATIENCE).map_err(|_| io::ErrorKind::TimedOut.into()));
        // What has said all that it has to say ends by itself, and what has not is ended.
        let _ = child.kill();
        let _ = child.wait();
        Ok(decoded(&said??))
    }

    fn routes(&self) -> io::Result<Vec<Route>> {
        network::routes()
    }

    fn addresses(&self) -> io::Result<Vec<Interface>> {
        network::interfaces()
    }

    #[expect(unsafe_code, reason = "a call of Windows")]
    fn domain(&self) -> io::Result<Option<String>> {
        let (mut name, mut status): (*mut u16, NETSETUP_JOIN_STATUS) = (null_mut(), 0);
        // SAFETY: a pointer and a number are written.
        let failed = unsafe { NetGetJoinInformation(null_mut(), &raw mut name, &raw mut status) };
        if failed != ERROR_SUCCESS {
            return Err(io::Error::from_raw_os_error(failed.cast_signed()));
        }
        // SAFETY: it ends with a zero, and is freed once.
        let text = unsafe {
            let text = from_wide(name);
            NetApiBufferFree(name.cast());
            text
        };
        Ok((status == NetSetupDomainName).then_some(text))
    }

    fn file(&self, path: &Path, cap: usize) -> io::Result<Vec<u8>> {
        Ok(foreign::on_host(path, Want::File)?.beginning(cap)?)
    }
}

impl Host {
    fn is_delayed(&self, name: &str) -> bool {
        let key = format!(r"SYSTEM\CurrentControlSet\Services\{name}");
        matches!(self.value(&key, "DelayedAutostart"), Ok(Some(Value::Number(1..))))
    }
}

/// Where the programs of Windows are, whatever the variables of this process say.
#[expect(unsafe_code, reason = "a call of Windows")]
fn system_folder() -> io::Result<PathBuf> {
    let mut path = [0; 512];
    // SAFETY: as much is written as there is room for.
    let length = unsafe { GetSystemDirectoryW(path.as_mut_ptr(), u32::try_from(path.len()).unwrap_or(0)) };
    match path.get(..length as usize) {
        Some([]) | None => Err(io::Error::last_os_error()),
        Some(path) => Ok(OsString::from_wide(path).into()),
    }
}

fn open(path: &str) -> io::Result<Option<Key>> {
    let within = |begin: &str| path.get(begin.len()..).filter(|_| path.starts_with(begin));
    let opened = match (within(r"HKCU\"), within(r"HKU\")) {
        (Some(path), _) => CURRENT_USER.open(path),
        (None, Some(path)) => USERS.open(path),
        (None, None) => LOCAL_MACHINE.open(path),
    };
    match opened.map_err(of_registry) {
        Err(error) if is_missing(&error) => Ok(None),
        key => key.map(Some),
    }
}

/// The library's errors are those of COM, which wraps the numbers of Windows (HRESULT_FROM_WIN32).
fn of_registry(error: impl Into<io::Error>) -> io::Error {
    const WRAPPED: u32 = 0x8007_0000;
    let error = error.into();
    match error.raw_os_error().map(i32::cast_unsigned) {
        Some(code) if code & 0xffff_0000 == WRAPPED => io::Error::from_raw_os_error((code & 0xffff).cast_signed()),
        _ => error,
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn failed(error: windows_service::Error) -> io::Error {
    match error {
        windows_service::Error::Winapi(error) => error,
        other => io::Error::other(other),
    }
}

/// With the variables in their places.
#[expect(unsafe_code, reason = "a call of Windows")]
pub(super) fn expanded(text: &str) -> String {
    let (from, mut to) = (wide(text), vec![0; LARGEST / 2]);
    // SAFETY: the text ends with a zero, and as much is written as there is room for.
    let length =
        unsafe { ExpandEnvironmentStringsW(from.as_ptr(), to.as_mut_ptr(), u32::try_from(to.len()).unwrap_or(0)) }
            as usize;
    match to.get(..length.saturating_sub(1)) {
        Some(expanded) if length > 0 => String::from_utf16_lossy(expanded),
        _ => text.to_owned(),
    }
}

/// The text of a program of the console, in the code page of this host.
#[expect(unsafe_code, reason = "a call of Windows")]
fn decoded(bytes: &[u8]) -> String {
    let Ok(length) = i32::try_from(bytes.len()) else { return String::new() };
    if length == 0 {
        return String::new();
    }
    // No byte is more than one unit of UTF-16 there.
    let mut text = vec![0; bytes.len()];
    // SAFETY: as much is read and written as is said.
    let written = unsafe { MultiByteToWideChar(CP_OEMCP, 0, bytes.as_ptr(), length, text.as_mut_ptr(), length) };
    text.truncate(usize::try_from(written).unwrap_or(0));
    String::from_utf16_lossy(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_registry_is_read_by_its_type_and_what_is_not_is_none() {
        let key = format!(r"Software\skewguard-test-{:016x}", fastrand::u64(..));
        let made = CURRENT_USER.create(&key).unwrap();
        made.set_u32("number", 7).unwrap();
        made.set_string("text", "a").unwrap();
        made.set_expand_string("expanded", "%SystemRoot%").unwrap();
        made.set_multi_string("list", &["a", "b"]).unwrap();
        made.create("below").unwrap();
        let path = format!(r"HKCU\{key}");
        let value = |name: &str| Host.value(&path, name).unwrap();
        assert!(value("number") == Some(Value::Number(7)) && value("text") == Some(Value::Text("a".to_owned())));
        assert!(value("list") == Some(Value::List(vec!["a".to_owned(), "b".to_owned()])));
        let Some(Value::Text(expanded)) = value("expanded") else { panic!("no text") };
        assert!(expanded.contains(':') && !expanded.contains('%'), "{expanded}");
        assert!(value("nothing").is_none() && Host.value(r"HKCU\Software\nothing", "a").unwrap().is_none());
        assert!(Host.has(&path, "text").unwrap() && !Host.has(&path, "nothing").unwrap());
        assert_eq!(Host.keys(&path).unwrap(), ["below"]);
        CURRENT_USER
            .options()
            .read()
            .write()
            .open("Software")
            .unwrap()
            .remove_tree(key.split('\\').next_back().unwrap())
            .unwrap();
    }

    #[test]
    fn a_program_says_what_it_says_and_one_that_is_not_there_is_an_error() {
        assert!(Host.run("cmd.exe", &["/c", "echo", "hello"]).unwrap().starts_with("hello"));
        assert!(Host.run("no-such-program.exe", &[]).is_err());
        assert!(Host.service("no-such-service").unwrap().is_none());
        Host.domain().unwrap();
    }
}
