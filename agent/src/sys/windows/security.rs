//! Who owns something, who may have it, and whose word counts.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::null_mut;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use windows_sys::Win32::Foundation::{ERROR_SUCCESS, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_FILE_OBJECT, SE_KERNEL_OBJECT, SE_OBJECT_TYPE, SetNamedSecurityInfoW,
};
use windows_sys::Win32::Security::{
    CheckTokenMembership, CreateWellKnownSid, DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl,
    GetSecurityDescriptorOwner, GetTokenInformation, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser, WinBuiltinAdministratorsSid,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL, SECURITY_IDENTIFICATION,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::standing::NAME;
use super::wide::{from_wide, wide};

/// Full access for the system, administrators and ourselves (`%`), for nobody else, and inherited by nothing from above (SDDL,
/// MS-DTYP 2.5.1).
pub(super) const PRIVATE: &str = "O:%D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;%)";
/// The same, and every user who is known may read; that nobody asks over the network is a flag of the pipe.
pub(super) const READABLE: &str = "O:%D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;%)(A;;FR;;;AU)";
/// A folder of administrators, in which the service (`#`) and every user may read.
pub(super) const SHARED: &str = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;#)(A;OICI;0x1200a9;;;BU)";
/// A folder of administrators, in which nobody else but the service (`#`) may read and write.
pub(super) const SERVICES: &str = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;#)";
/// The system, administrators, and the installer of Windows: whoever is one of these can do all.
const ALMIGHTY: [&str; 3] =
    ["S-1-5-18", "S-1-5-32-544", "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"];
/// Room for the largest identifier of a user (SECURITY_MAX_SID_SIZE).
const LARGEST: usize = 68;

/// A security descriptor.
pub(super) struct Descriptor(PSECURITY_DESCRIPTOR);

// SAFETY: it is memory that nobody changes.
#[expect(unsafe_code, reason = "it is memory that nobody changes")]
unsafe impl Send for Descriptor {}

impl Descriptor {
    /// That of this text, in which `%` stands for ourselves, and `#` for the service.
    #[expect(unsafe_code, reason = "a call of Windows")]
    pub(super) fn of(text: &str) -> io::Result<Self> {
        let text = wide(text.replace('%', &ourselves()?).replace('#', &identifier_of_service(NAME)));
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

    /// Gives a file or a folder that is there this owner and these rights, and all below it those that it inherits.
    #[expect(unsafe_code, reason = "calls of Windows")]
    pub(super) fn apply(&self, path: &Path) -> io::Result<()> {
        let path = wide(path);
        let what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
        let (mut owner, mut rights, mut defaulted, mut is_there) = (null_mut(), null_mut(), 0, 0);
        // SAFETY: the descriptor lives as long as `self`, what is written points into it, and the path ends with a zero.
        let failed = unsafe {
            if GetSecurityDescriptorOwner(self.0, &raw mut owner, &raw mut defaulted) == 0
                || GetSecurityDescriptorDacl(self.0, &raw mut is_there, &raw mut rights, &raw mut defaulted) == 0
            {
                return Err(io::Error::last_os_error());
            }
            SetNamedSecurityInfoW(path.as_ptr(), SE_FILE_OBJECT, what, owner, null_mut(), rights, null_mut())
        };
        if failed == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(failed.cast_signed())) }
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

/// Who owns what is at the path itself, be it a link.
pub(super) fn owner_at(path: &Path) -> io::Result<String> {
    let mut options = OpenOptions::new();
    options.access_mode(READ_CONTROL).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    options.security_qos_flags(SECURITY_IDENTIFICATION);
    owner_of_file(&options.open(path)?)
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
    ALMIGHTY.contains(&user) || ourselves().is_ok_and(|own| own == user) || user == identifier_of_service(NAME)
}

/// Whose process this is, as the text of his identifier.
#[expect(unsafe_code, reason = "a call of Windows")]
pub(super) fn ourselves() -> io::Result<String> {
    // SAFETY: nothing is handed over, and what comes back needs not be closed.
    user_of_process(unsafe { GetCurrentProcess() })
}

/// Whose process an open one is, as the text of his identifier.
#[expect(unsafe_code, reason = "calls of Windows")]
pub(super) fn user_of_process(process: HANDLE) -> io::Result<String> {
    let mut token = null_mut();
    // SAFETY: the handle is open, and one is written.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) } == 0 {
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

/// The identifier of the account of a service (`NT SERVICE\NAME`), which is made of its name alone: of the digest of the name
/// in capitals (MS-DTYP 2.4.2.3, "service SID").
pub(super) fn identifier_of_service(name: &str) -> String {
    let name: Vec<u8> = name.to_uppercase().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &name);
    let parts = digest.as_ref().chunks_exact(4).filter_map(|part| Some(u32::from_le_bytes(part.try_into().ok()?)));
    parts.fold("S-1-5-80".to_owned(), |identifier, part| format!("{identifier}-{part}"))
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
    // SAFETY: the text ends with a zero, and is freed once.
    let read = unsafe {
        let read = from_wide(text);
        LocalFree(text.cast());
        read
    };
    Ok(read)
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
    fn a_service_has_the_identifier_that_windows_makes_of_its_name() {
        assert_eq!(identifier_of_service("TrustedInstaller"), ALMIGHTY[2]);
        assert_eq!(identifier_of_service("trustedinstaller"), ALMIGHTY[2]);
        assert!(is_trusted(&identifier_of_service(NAME)));
    }

    #[test]
    fn a_text_that_describes_nobody_is_an_error() {
        for good in [PRIVATE, READABLE, SHARED, SERVICES] {
            assert!(Descriptor::of(good).is_ok(), "{good}");
        }
        assert!(Descriptor::of("D:(A;;FA;;;NOBODY)").is_err());
    }
}
