//! Who owns something, who may have it, and whose word counts.

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_FILE_OBJECT, SE_KERNEL_OBJECT, SE_OBJECT_TYPE,
};
use windows_sys::Win32::Security::{
    CheckTokenMembership, CreateWellKnownSid, GetTokenInformation, LookupAccountNameW, OWNER_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser, WinBuiltinAdministratorsSid,
};
use windows_sys::Win32::Storage::FileSystem::CreateDirectoryW;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::wide::wide;

/// Full access for the system, administrators and ourselves (`%`), for nobody else, and inherited by nothing from above (SDDL,
/// MS-DTYP 2.5.1).
pub(super) const PRIVATE: &str = "O:%D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;%)";
/// The same, and everybody who is logged on to this host may read.
pub(super) const READABLE: &str = "O:%D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;%)(A;;FR;;;AU)(D;;FA;;;NU)";
/// The system, administrators, and the installer of Windows: whoever is one of these can do all.
const ALMIGHTY: [&str; 3] =
    ["S-1-5-18", "S-1-5-32-544", "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"];
/// The account of the service.
pub(super) const SERVICE_ACCOUNT: &str = r"NT SERVICE\skewguard";
/// Room for the largest identifier of a user (SECURITY_MAX_SID_SIZE).
const LARGEST: usize = 68;

/// A security descriptor.
pub(super) struct Descriptor(PSECURITY_DESCRIPTOR);

// SAFETY: it is memory that nobody changes.
#[expect(unsafe_code, reason = "it is memory that nobody changes")]
unsafe impl Send for Descriptor {}

impl Descriptor {
    /// That of this text, in which `%` stands for ourselves.
    #[expect(unsafe_code, reason = "a call of Windows")]
    pub(super) fn of(text: &str) -> io::Result<Self> {
        let text = wide(text.replace('%', &ourselves()?));
        let mut made = null_mut();
        // SAFETY: the text ends with a zero, and one pointer is written.
        let is_made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut made,
                null_mut(),
            )
        };
        if is_made == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(made)) }
    }

    /// For calls that make something: it must not outlive this.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }

    /// Makes a folder of this.
    #[expect(unsafe_code, reason = "a call of Windows")]
    pub(super) fn create_folder(&self, path: &Path) -> io::Result<()> {
        let (path, attributes) = (wide(path), self.attributes());
        // SAFETY: the path ends with a zero, and the descriptor lives as long as `self`.
        let is_made = unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) };
        if is_made == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Descriptor {
    #[expect(unsafe_code, reason = "a call of Windows")]
    fn drop(&mut self) {
        // SAFETY: it was allocated by the call that made it, and is freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// Who owns an open file or folder, as the text of his identifier (`S-1-…`).
pub(super) fn owner_of_file(file: &File) -> io::Result<String> {
    owner(file.as_raw_handle(), SE_FILE_OBJECT)
}

/// Who made the pipe at the other end.
pub(super) fn owner_of_pipe(pipe: &impl AsRawHandle) -> io::Result<String> {
    owner(pipe.as_raw_handle(), SE_KERNEL_OBJECT)
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn owner(handle: HANDLE, kind: SE_OBJECT_TYPE) -> io::Result<String> {
    let (mut owner, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: the handle is open, and two pointers are written, one into what the other allocates.
    let failed = unsafe {
        GetSecurityInfo(
            handle,
            kind,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if failed != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(failed.cast_signed()));
    }
    let descriptor = Descriptor(descriptor);
    // SAFETY: it points into the descriptor, which still lives.
    let text = unsafe { text_of(owner) };
    drop(descriptor);
    text
}

/// Whether this is somebody whose word counts: one who can do everything, the service, or ourselves.
pub(super) fn is_trusted(user: &str) -> bool {
    ALMIGHTY.contains(&user)
        || ourselves().is_ok_and(|own| own == user)
        || identifier_of(SERVICE_ACCOUNT).is_ok_and(|service| service == user)
}

/// Whose process this is, as the text of his identifier.
#[expect(unsafe_code, reason = "calls of Windows")]
pub(super) fn ourselves() -> io::Result<String> {
    let mut token = null_mut();
    // SAFETY: the process is this one, and one handle is written.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened just now, and belongs to nobody else.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A `TOKEN_USER` and the identifier to which it points. Of numbers, so that it is aligned.
    let mut buffer = [0_u64; 32];
    let mut length = 0;
    // SAFETY: as much is written as the buffer has room for.
    let is_told = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            buffer.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&buffer)).unwrap_or(0),
            &raw mut length,
        )
    };
    if is_told == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written a `TOKEN_USER` there, and the buffer is aligned for one.
    let user = unsafe { &*buffer.as_ptr().cast::<TOKEN_USER>() };
    // SAFETY: it points into the buffer.
    unsafe { text_of(user.User.Sid) }
}

/// The identifier of an account of this host or its domain.
#[expect(unsafe_code, reason = "a call of Windows")]
pub(super) fn identifier_of(account: &str) -> io::Result<String> {
    let account = wide(account);
    let mut identifier = [0_u64; LARGEST.div_ceil(8)];
    let mut domain = [0; 256];
    let (mut length, mut domain_length, mut usage) = (LARGEST as u32, domain.len() as u32, 0);
    // SAFETY: each buffer is as long as is said.
    let is_found = unsafe {
        LookupAccountNameW(
            null(),
            account.as_ptr(),
            identifier.as_mut_ptr().cast(),
            &raw mut length,
            domain.as_mut_ptr(),
            &raw mut domain_length,
            &raw mut usage,
        )
    };
    if is_found == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written an identifier there.
    unsafe { text_of(identifier.as_mut_ptr().cast()) }
}

/// Whether the rights of an administrator are in force here.
#[expect(unsafe_code, reason = "calls of Windows")]
pub(super) fn is_administrator() -> bool {
    let mut identifier = [0_u64; LARGEST.div_ceil(8)];
    let (mut length, mut is_member) = (LARGEST as u32, 0);
    let identifier: PSID = identifier.as_mut_ptr().cast();
    // SAFETY: the buffer is as long as is said, and the second call reads what the first has written.
    unsafe {
        CreateWellKnownSid(WinBuiltinAdministratorsSid, null_mut(), identifier, &raw mut length) != 0
            && CheckTokenMembership(null_mut(), identifier, &raw mut is_member) != 0
            && is_member != 0
    }
}

/// The text of an identifier.
///
/// # Safety
/// It points to one.
#[expect(unsafe_code, reason = "a call of Windows")]
unsafe fn text_of(identifier: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: it points to an identifier, and one pointer is written.
    if unsafe { ConvertSidToStringSidW(identifier, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut characters = Vec::new();
    // SAFETY: the text ends with a zero, and nothing is read beyond it.
    unsafe {
        let mut at = text;
        while *at != 0 {
            characters.push(*at);
            at = at.add(1);
        }
        LocalFree(text.cast());
    }
    Ok(String::from_utf16_lossy(&characters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_somebody_whose_word_counts_and_everybody_is_not() {
        let own = ourselves().unwrap();
        assert!(own.starts_with("S-1-5-"), "{own}");
        assert!(is_trusted(&own) && is_trusted("S-1-5-18") && is_trusted("S-1-5-32-544"));
        for stranger in ["", "S-1-1-0", "S-1-5-11", "S-1-5-32-545", "S-1-5-180"] {
            assert!(!is_trusted(stranger), "{stranger}");
        }
    }

    #[test]
    fn what_we_make_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a")).unwrap();
        let owner = owner_of_file(&file).unwrap();
        assert!(is_trusted(&owner), "{owner}");
    }

    #[test]
    fn a_text_that_describes_nobody_is_an_error() {
        assert!(Descriptor::of(PRIVATE).is_ok() && Descriptor::of(READABLE).is_ok());
        assert!(Descriptor::of("D:(A;;FA;;;NOBODY)").is_err());
    }
}
