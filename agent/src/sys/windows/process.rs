//! Other processes, as far as they can be asked without a look into their memory: whoever opens a process to read that is
//! taken for a thief of passwords by what guards a host.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::mem::{offset_of, size_of, size_of_val};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Component, Path, PathBuf, Prefix};
use std::ptr;

use windows_registry::LOCAL_MACHINE;
use windows_sys::Wdk::System::SystemInformation::{NtQuerySystemInformation, SYSTEM_INFORMATION_CLASS};
use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessCommandLineInformation};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, ERROR_NO_MORE_FILES, INVALID_HANDLE_VALUE, STATUS_INVALID_INFO_CLASS,
    UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{GetDriveTypeW, QueryDosDeviceW};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Memory::{MEM_IMAGE, MEM_MAPPED, MEMORY_BASIC_INFORMATION, VirtualQueryEx};
use windows_sys::Win32::System::ProcessStatus::K32GetMappedFileNameW;
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_ACCESS_RIGHTS, PROCESS_QUERY_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION,
    QueryFullProcessImageNameW,
};
use windows_sys::Win32::System::WindowsProgramming::{DRIVE_FIXED, DRIVE_REMOVABLE};

use super::security::user_of_process;
use super::system::expanded;
use super::wide::wide;
use crate::sys::ProcessFacts;

/// Whether processes are told by `/proc`, and not here.
pub const HAS_PROC: bool = false;
/// The longest path and the longest command line, in characters of UTF-16 (UNICODE_STRING).
const LONGEST: usize = 32_768;
/// More processes are not listed.
const MOST_PROCESSES: usize = 65_536;
/// More pieces of the memory of a process are not asked for.
const MOST_REGIONS: usize = 65_536;
/// More files of a process are not told.
const MOST_MODULES: usize = 4_096;
/// SystemProcessIdInformation, which tells everybody what every process runs.
const PROCESS_ID_INFORMATION: SYSTEM_INFORMATION_CLASS = 88;
/// Where the profiles of users are.
const PROFILES: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";
/// How devices are named that are parts of disks.
const DISK: &str = r"\Device\Harddisk";

/// The numbers of all processes.
///
/// # Errors
/// They cannot be listed.
#[expect(unsafe_code, reason = "calls of Windows")]
pub fn processes() -> io::Result<Vec<u32>> {
    // SAFETY: nothing is handed over.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened just now, and belongs to nobody else.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry = PROCESSENTRY32W { dwSize: length_of::<PROCESSENTRY32W>(), ..Default::default() };
    let mut pids = Vec::new();
    // SAFETY: the handle is open, and what is written is as long as it says.
    let mut is_told = unsafe { Process32FirstW(snapshot.as_raw_handle(), &raw mut entry) } != 0;
    while is_told && pids.len() < MOST_PROCESSES {
        pids.push(entry.th32ProcessID);
        // SAFETY: as above.
        is_told = unsafe { Process32NextW(snapshot.as_raw_handle(), &raw mut entry) } != 0;
    }
    let end = io::Error::last_os_error();
    if !is_told && !is(&end, ERROR_NO_MORE_FILES) {
        return Err(end);
    }
    Ok(pids)
}

/// What can be asked of a process. What may not be is left out.
///
/// # Errors
/// There is none, or nothing of it may be known.
pub fn process(pid: u32) -> io::Result<ProcessFacts> {
    let is_refused = |error: &io::Error| is(error, ERROR_ACCESS_DENIED);
    let in_full = match opened(pid, PROCESS_QUERY_INFORMATION) {
        Err(error) if is_refused(&error) => None,
        opened => Some(opened?),
    };
    let are_modules_open = in_full.is_some();
    let limited = || opened(pid, PROCESS_QUERY_LIMITED_INFORMATION);
    let process = match in_full.map_or_else(limited, Ok) {
        // It belongs to another user. What it runs is told to everybody.
        Err(error) if is_refused(&error) => {
            let executable = executable_by_number(pid).map_err(|_| error)?;
            return Ok(ProcessFacts { executable, ..ProcessFacts::default() });
        }
        opened => opened?,
    };
    let (modules, are_all_modules) = if are_modules_open { mapped(&process) } else { (Vec::new(), false) };
    Ok(ProcessFacts {
        command_line: command_line(&process).ok(),
        executable: executable(&process).ok(),
        modules,
        are_all_modules,
        home: home(&process).ok(),
    })
}

/// Whether a path lies on a disk of this host by its drive, and not on a share to which the drive leads.
pub fn is_on_own_disk(path: &Path) -> bool {
    let Some(Component::Prefix(prefix)) = path.components().next() else { return false };
    match prefix.kind() {
        Prefix::Disk(letter) => device(letter).map_or_else(|| is_disk(letter), |device| device.starts_with(DISK)),
        _ => false,
    }
}

/// Whether a drive is a disk of this host, where nobody tells its device: Wine has disks without.
#[expect(unsafe_code, reason = "a call of Windows")]
fn is_disk(letter: u8) -> bool {
    let root = wide(format!(r"{}:\", char::from(letter)));
    // SAFETY: the path ends with a zero.
    matches!(unsafe { GetDriveTypeW(root.as_ptr()) }, DRIVE_FIXED | DRIVE_REMOVABLE)
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn opened(pid: u32, access: PROCESS_ACCESS_RIGHTS) -> io::Result<OwnedHandle> {
    // SAFETY: nothing is handed over but numbers.
    let process = unsafe { OpenProcess(access, 0, pid) };
    if process.is_null() {
        let error = io::Error::last_os_error();
        let is_missing = is(&error, ERROR_INVALID_PARAMETER);
        return Err(if is_missing { io::ErrorKind::NotFound.into() } else { error });
    }
    // SAFETY: it was opened just now, and belongs to nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(process) })
}

/// The file that a process runs.
#[expect(unsafe_code, reason = "a call of Windows")]
fn executable(process: &OwnedHandle) -> io::Result<PathBuf> {
    let mut buffer = vec![0_u16; LONGEST];
    let mut length = u32::try_from(buffer.len()).unwrap_or(0);
    // SAFETY: the handle is open, and no more is written than the buffer has room for.
    let is_told =
        unsafe { QueryFullProcessImageNameW(process.as_raw_handle(), 0, buffer.as_mut_ptr(), &raw mut length) };
    if is_told == 0 {
        return Err(io::Error::last_os_error());
    }
    let path = path_of(&buffer, length as usize);
    // Parts of the kernel have names and no files.
    if path.is_absolute() { Ok(path) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// The file that a process runs which may not be opened; `None` of a part of the kernel.
#[expect(unsafe_code, reason = "a call of Windows")]
fn executable_by_number(pid: u32) -> io::Result<Option<PathBuf>> {
    /// SYSTEM_PROCESS_ID_INFORMATION.
    #[repr(C)]
    struct Question {
        pid: usize,
        image: UNICODE_STRING,
    }
    let mut buffer = vec![0_u16; LONGEST - 1];
    let room = u16::try_from(size_of_val(buffer.as_slice())).map_err(io::Error::other)?;
    let image = UNICODE_STRING { Length: 0, MaximumLength: room, Buffer: buffer.as_mut_ptr() };
    let mut question = Question { pid: pid as usize, image };
    let length = length_of::<Question>();
    // SAFETY: the question is as long as is said, and no more is written than the buffer in it has room for.
    let status = unsafe {
        NtQuerySystemInformation(PROCESS_ID_INFORMATION, (&raw mut question).cast(), length, ptr::null_mut())
    };
    let path = path_of(&buffer, usize::from(question.image.Length) / 2);
    if status < 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    // Parts of the kernel have a name at most.
    Ok(Some(with_drive(&path, &drives())).filter(|path| path.is_absolute() || path.has_root()))
}

/// The text by which a process was started.
#[expect(unsafe_code, reason = "a call of Windows")]
fn command_line(process: &OwnedHandle) -> io::Result<String> {
    // A `UNICODE_STRING` and the text to which it points. Of numbers, so that it is aligned.
    let mut buffer = vec![0_u64; (LONGEST * 2 + size_of::<UNICODE_STRING>()).div_ceil(8)];
    let length = u32::try_from(size_of_val(buffer.as_slice())).unwrap_or(0);
    let mut needed = 0;
    // SAFETY: the handle is open, and no more is written than the buffer has room for.
    let status = unsafe {
        NtQueryInformationProcess(
            process.as_raw_handle(),
            ProcessCommandLineInformation,
            buffer.as_mut_ptr().cast(),
            length,
            &raw mut needed,
        )
    };
    if status < 0 {
        // Windows before 8.1, and Wine.
        let is_unknown = status == STATUS_INVALID_INFO_CLASS;
        return Err(if is_unknown { io::ErrorKind::Unsupported } else { io::ErrorKind::PermissionDenied }.into());
    }
    Ok(text_behind(&buffer))
}

/// The text behind its description, a `UNICODE_STRING`.
fn text_behind(buffer: &[u64]) -> String {
    let bytes: Vec<u8> = buffer.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let begin = bytes.get(offset_of!(UNICODE_STRING, Length)..).and_then(<[u8]>::first_chunk::<2>);
    let told = begin.map_or(0, |length| usize::from(u16::from_ne_bytes(*length)));
    let text = bytes.get(size_of::<UNICODE_STRING>()..).unwrap_or_default();
    let pairs = text.get(..told).unwrap_or_default().chunks_exact(2);
    let characters: Vec<u16> = pairs.filter_map(|pair| Some(u16::from_ne_bytes(*pair.first_chunk()?))).collect();
    String::from_utf16_lossy(&characters)
}

/// The files that are mapped into a process, each once, and whether these are all. The list of libraries that a process keeps
/// itself has none of those that .NET loads, and is what the process makes it.
#[expect(unsafe_code, reason = "calls of Windows")]
fn mapped(process: &OwnedHandle) -> (Vec<PathBuf>, bool) {
    let drives = drives();
    let mut files = BTreeSet::new();
    let mut buffer = vec![0_u16; LONGEST];
    let room = u32::try_from(buffer.len()).unwrap_or(0);
    let (mut at, mut last, mut is_whole) = (0_usize, 0_usize, false);
    for _ in 0..MOST_REGIONS {
        let mut region = MEMORY_BASIC_INFORMATION::default();
        // SAFETY: the handle is open; the address is looked up in the other process, and as much is written as is said.
        let told = unsafe {
            VirtualQueryEx(
                process.as_raw_handle(),
                ptr::without_provenance(at),
                &raw mut region,
                size_of::<MEMORY_BASIC_INFORMATION>(),
            )
        };
        if told == 0 {
            // Beyond the last address there is nothing to be asked for.
            is_whole = at > 0 && is(&io::Error::last_os_error(), ERROR_INVALID_PARAMETER);
            break;
        }
        let begin = region.AllocationBase.addr();
        if region.Type & (MEM_IMAGE | MEM_MAPPED) != 0 && begin != last {
            last = begin;
            // SAFETY: the handle is open, the address is looked up in the other process, and the buffer is as long as is said.
            let length = unsafe {
                K32GetMappedFileNameW(process.as_raw_handle(), region.BaseAddress, buffer.as_mut_ptr(), room)
            };
            // What is mapped may be no file.
            if length > 0 {
                files.insert(with_drive(&path_of(&buffer, length as usize), &drives));
            }
            if files.len() > MOST_MODULES {
                files.pop_last();
                break;
            }
        }
        match region.BaseAddress.addr().checked_add(region.RegionSize) {
            Some(next) if next > at => at = next,
            _ => {
                is_whole = true;
                break;
            }
        }
    }
    (files.into_iter().collect(), is_whole)
}

/// The profile of the user of a process.
fn home(process: &OwnedHandle) -> io::Result<PathBuf> {
    let user = user_of_process(process.as_raw_handle())?;
    let profile = LOCAL_MACHINE.open(format!(r"{PROFILES}\{user}")).map_err(io::Error::other)?;
    let folder = profile.get_string("ProfileImagePath").map_err(io::Error::other)?;
    Ok(expanded(&folder).into())
}

/// The drives of this host, and the devices to which they lead.
fn drives() -> Vec<(String, char)> {
    (b'A'..=b'Z').filter_map(|letter| Some((device(letter)?, char::from(letter)))).collect()
}

/// To which device a drive leads.
#[expect(unsafe_code, reason = "a call of Windows")]
fn device(letter: u8) -> Option<String> {
    let name = wide(format!("{}:", char::from(letter)));
    let mut buffer = vec![0_u16; LONGEST];
    let room = u32::try_from(buffer.len()).unwrap_or(0);
    // SAFETY: the name ends with a zero, and no more is written than the buffer has room for.
    let length = unsafe { QueryDosDeviceW(name.as_ptr(), buffer.as_mut_ptr(), room) };
    // The first of several texts, each with a zero at its end, is what holds.
    let told = buffer.get(..length as usize)?.split(|unit| *unit == 0).next()?;
    Some(String::from_utf16_lossy(told)).filter(|device| !device.is_empty())
}

/// The path by the drive of a path by its device, or the same where no drive leads there.
fn with_drive(path: &Path, drives: &[(String, char)]) -> PathBuf {
    let text = path.to_string_lossy();
    if let Some(path) = text.strip_prefix(r"\??\") {
        return path.into();
    }
    let of_drive = drives.iter().find_map(|(device, letter)| {
        let rest = text.strip_prefix(device.as_str()).filter(|rest| rest.starts_with('\\'))?;
        Some(format!("{letter}:{rest}"))
    });
    of_drive.map_or_else(|| path.to_owned(), PathBuf::from)
}

fn path_of(buffer: &[u16], length: usize) -> PathBuf {
    let told = buffer.get(..length).unwrap_or_default();
    // Some count the zero at the end.
    OsString::from_wide(told.split(|unit| *unit == 0).next().unwrap_or_default()).into()
}

fn length_of<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(0)
}

fn is(error: &io::Error, number: u32) -> bool {
    error.raw_os_error() == Some(number.cast_signed())
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn this_process_is_seen_with_what_it_runs_and_what_it_has_loaded() {
        let pid = std::process::id();
        assert!(processes().unwrap().contains(&pid));
        let facts = process(pid).unwrap();
        let own = env::current_exe().unwrap();
        let executable = facts.executable.unwrap();
        assert!(executable.is_absolute() && executable.file_name() == own.file_name(), "{executable:?}");
        let has = |name: &str| {
            let is_named = |path: &&PathBuf| path.file_name().is_some_and(|own| own.eq_ignore_ascii_case(name));
            facts.modules.iter().find(is_named).is_some_and(|path| path.is_absolute() && is_on_own_disk(path))
        };
        assert!(has("ntdll.dll") && has(&own.file_name().unwrap().to_string_lossy()), "{:?}", facts.modules);
        assert!(facts.are_all_modules);
    }

    #[test]
    fn this_process_is_seen_with_its_command_line() {
        let line = match process(std::process::id()).unwrap().command_line {
            // Wine does not tell it.
            None if Path::new(r"C:\windows\system32\winecfg.exe").exists() => return,
            line => line.unwrap(),
        };
        for argument in env::args() {
            assert!(line.contains(&argument), "{line}");
        }
    }

    #[test]
    fn a_text_is_read_behind_its_description_and_no_further_than_there_is() {
        let described = |length: u16| {
            let text = r#""C:\a b" é"#;
            let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_ne_bytes).collect();
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.resize(size_of::<UNICODE_STRING>(), 0xff);
            bytes.extend(text);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            let numbers = bytes.chunks_exact(8).map(|eight| u64::from_ne_bytes(*eight.first_chunk().unwrap()));
            text_behind(&numbers.collect::<Vec<u64>>())
        };
        assert_eq!(described(20), r#""C:\a b" é"#);
        assert_eq!(described(4), "\"C");
        assert_eq!((described(0), described(u16::MAX)), (String::new(), String::new()));
        assert_eq!((text_behind(&[]), text_behind(&[2, 0])), (String::new(), String::new()));
    }

    #[test]
    fn a_process_that_there_is_not_is_not_found() {
        assert_eq!(process(u32::MAX - 3).err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }

    #[test]
    fn what_a_process_runs_is_known_by_its_number_alone() {
        let own = env::current_exe().unwrap();
        let told = executable_by_number(std::process::id()).unwrap().unwrap();
        assert!(told.is_absolute() && told.file_name() == own.file_name(), "{told:?}");
    }

    #[test]
    fn a_share_and_a_device_lie_on_no_disk_of_this_host() {
        assert!(is_on_own_disk(Path::new(r"C:\Windows")) && is_on_own_disk(Path::new("c:/Windows")));
        for other in [r"\\server\share\a", r"\\.\pipe\a", r"\\?\C:\a", r"\a", "a", "Q:\\a", ""] {
            assert!(!is_on_own_disk(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn a_device_is_told_as_its_drive() {
        let drives = [(r"\Device\HarddiskVolume1".to_owned(), 'C'), (r"\Device\HarddiskVolume10".to_owned(), 'D')];
        for (device, path) in [
            (r"\Device\HarddiskVolume1\a\b.dll", r"C:\a\b.dll"),
            (r"\Device\HarddiskVolume10\b.dll", r"D:\b.dll"),
            (r"\??\C:\b.dll", r"C:\b.dll"),
            (r"\Device\Mup\server\share\b.dll", r"\Device\Mup\server\share\b.dll"),
        ] {
            assert_eq!(with_drive(Path::new(device), &drives), Path::new(path));
        }
    }
}
