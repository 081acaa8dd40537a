//! Walks a path, a folder at a time.

use std::ffi::OsString;
use std::fs::{self, DirEntry, File, OpenOptions};
use std::io;
use std::mem::size_of;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::{self, Component, Path, PathBuf};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TAG_INFO, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_NAME_NORMALIZED, FILE_READ_ATTRIBUTES, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_TRAVERSE, FileAttributeTagInfo,
    GetFileInformationByHandleEx, GetFinalPathNameByHandleW, READ_CONTROL, SECURITY_IDENTIFICATION,
};

use super::super::security::{is_trusted, owner_of_file};
use super::found::Found;
use super::open::read;
use crate::sys::{Refusal, Rule, Want};

/// More links are a circle.
const MOST_LINKS: usize = 16;
/// The longest path, in units of UTF-16.
const LONGEST: usize = 32_768;
/// A path has no more steps.
const MOST_STEPS: usize = 256;
/// Whether a reparse point stands for another place, as links, junctions and mount points do (IsReparseTagNameSurrogate):
/// those of a cloud's files and of compressed ones do not.
const SURROGATE: u32 = 0x2000_0000;

/// A folder, and all that is below it.
pub struct Tree {
    path: PathBuf,
    /// The folders on the way, and this one: what the path means stays the same for as long as they are open.
    _held: Vec<File>,
}

impl Found {
    /// The folder itself, to look for more in it.
    pub fn into_tree(self) -> Tree {
        let (path, held) = self.into_parts();
        Tree { path, _held: held }
    }
}

impl Tree {
    /// The folder at `path`, wherever links lead.
    ///
    /// # Errors
    /// There is none.
    pub fn at(path: &Path) -> Result<Self, Refusal> {
        if fs::metadata(path)?.is_dir() {
            Ok(Self { path: path.to_owned(), _held: Vec::new() })
        } else {
            Err(Refusal::NotAFolder)
        }
    }

    /// The folder to which a link leads by the kernel's own word. There is none.
    ///
    /// # Errors
    /// There is none.
    pub fn behind(&self, _name: &str) -> Result<Self, Refusal> {
        Err(Refusal::NotFound)
    }

    /// The file to which a link leads by the kernel's own word. There is none.
    ///
    /// # Errors
    /// There is none.
    pub fn file_behind(&self, _name: &str) -> Result<Found, Refusal> {
        Err(Refusal::NotFound)
    }

    /// The text of the link `name` in this folder.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn link(&self, name: &str) -> Result<PathBuf, Refusal> {
        Ok(fs::read_link(self.path.join(name))?)
    }

    /// The folder itself. Nothing compares those of Windows.
    ///
    /// # Errors
    /// Always.
    pub fn identity(&self) -> Result<(u64, u64), Refusal> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    /// What is in the folder, one by one, of at most `most`.
    ///
    /// # Errors
    /// Those of listing it.
    pub fn entries(&self, most: usize) -> Result<impl Iterator<Item = DirEntry> + use<>, Refusal> {
        Ok(fs::read_dir(&self.path)?.take(most).flatten())
    }

    /// Finds what is at `path` in this folder by a rule. Whether the path begins with a slash is all the same.
    ///
    /// # Errors
    /// Why there is nothing of the kind, or what forbids to go on.
    pub fn find(&self, path: &Path, want: Want, rule: &Rule<'_>) -> Result<Found, Refusal> {
        let mut whole = self.path.clone();
        for part in path.components() {
            match part {
                Component::Normal(name) => whole.push(name),
                Component::ParentDir => return Err(Refusal::Escapes),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        walk(&whole, want, matches!(rule, Rule::Beneath))
    }
}

/// Walks an absolute path. Each folder on the way is held open, by which nobody can delete, rename or replace it.
pub(super) fn walk(path: &Path, want: Want, is_beneath: bool) -> Result<Found, Refusal> {
    let mut walk = Walk { held: Vec::new(), links: 0, is_beneath, place: None };
    walk.go(path, want)
}

struct Walk {
    held: Vec<File>,
    links: usize,
    is_beneath: bool,
    /// Where what was looked at last really is: what comes next is in it, or somebody has moved it meanwhile.
    place: Option<PathBuf>,
}

impl Walk {
    fn go(&mut self, path: &Path, want: Want) -> Result<Found, Refusal> {
        let mut steps = path.components();
        let mut reached = PathBuf::new();
        while let Some(step) = steps.next() {
            reached.push(step);
            if self.held.len() > MOST_STEPS {
                return Err(Refusal::Escapes);
            }
            if !matches!(step, Component::Normal(_)) {
                continue;
            }
            let itself = look(&reached)?;
            if is_link(&itself)? {
                return self.follow(&reached, itself, steps.as_path(), want);
            }
            if !steps.as_path().as_os_str().is_empty() && !itself.metadata()?.is_dir() {
                return Err(Refusal::NotAFolder);
            }
            let place = place(&itself)?;
            if self.place.as_ref().is_some_and(|above| place.parent() != Some(above)) {
                return Err(Refusal::Escapes);
            }
            self.place = Some(place);
            self.held.push(itself);
        }
        let is_folder = fs::metadata(&reached)?.is_dir();
        match want {
            Want::Folder if !is_folder => return Err(Refusal::NotAFolder),
            Want::File if is_folder => return Err(Refusal::NotAFile),
            Want::Folder | Want::File => {}
        }
        let file = if is_folder { opened(&reached, FILE_READ_ATTRIBUTES, 0)? } else { read(&reached)? };
        if self.place.as_ref().is_some_and(|looked| place(&file).ok().as_ref() != Some(looked)) {
            return Err(Refusal::Escapes);
        }
        let metadata = file.metadata()?;
        Ok(Found::new(file, metadata, reached, std::mem::take(&mut self.held)))
    }

    /// Goes on where a link leads, and from there with what is `left` of the way.
    fn follow(&mut self, link: &Path, itself: File, left: &Path, want: Want) -> Result<Found, Refusal> {
        self.links += 1;
        let maker = || owner_of_file(&opened(link, READ_CONTROL, FILE_FLAG_OPEN_REPARSE_POINT)?);
        if self.is_beneath || self.links > MOST_LINKS || !is_trusted(&maker()?) {
            return Err(Refusal::Escapes);
        }
        self.held.push(itself);
        self.place = None;
        let target = link.parent().unwrap_or(link).join(fs::read_link(link)?);
        self.go(&path::absolute(if left.as_os_str().is_empty() { target } else { target.join(left) })?, want)
    }
}

/// What is at the path itself, be it a link. It is not read, and nobody can take it away meanwhile.
fn look(path: &Path) -> io::Result<File> {
    // Who may only look at its attributes keeps nobody from deleting it (IoCheckShareAccess); to traverse a folder, or to
    // execute a file, is enough. Where not even that is allowed, what was put into its place is noticed afterwards.
    match opened(path, FILE_READ_ATTRIBUTES | FILE_TRAVERSE, FILE_FLAG_OPEN_REPARSE_POINT) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            opened(path, FILE_READ_ATTRIBUTES, FILE_FLAG_OPEN_REPARSE_POINT)
        }
        looked => looked,
    }
}

fn opened(path: &Path, access: u32, flags: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Not shared for deletion, which is what a renaming asks for.
    options.access_mode(access).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
    options.security_qos_flags(SECURITY_IDENTIFICATION);
    options.custom_flags(flags | FILE_FLAG_BACKUP_SEMANTICS).open(path)
}

/// Where an open file really is, by its volume.
#[expect(unsafe_code, reason = "a call of Windows")]
fn place(file: &File) -> io::Result<PathBuf> {
    let mut path = vec![0_u16; LONGEST];
    let room = u32::try_from(path.len()).unwrap_or(0);
    // SAFETY: the handle is open, and as much is written as there is room for.
    let length =
        unsafe { GetFinalPathNameByHandleW(file.as_raw_handle(), path.as_mut_ptr(), room, FILE_NAME_NORMALIZED) };
    match path.get(..length as usize) {
        Some([]) => Err(io::Error::last_os_error()),
        Some(path) => Ok(OsString::from_wide(path).into()),
        None => Err(io::ErrorKind::InvalidFilename.into()),
    }
}

/// Whether it stands for another place.
#[expect(unsafe_code, reason = "a call of Windows")]
fn is_link(file: &File) -> io::Result<bool> {
    let mut told = FILE_ATTRIBUTE_TAG_INFO { FileAttributes: 0, ReparseTag: 0 };
    let length = u32::try_from(size_of::<FILE_ATTRIBUTE_TAG_INFO>()).unwrap_or(0);
    // SAFETY: the handle is open, and as much is written as is said.
    let is_told = unsafe {
        GetFileInformationByHandleEx(file.as_raw_handle(), FileAttributeTagInfo, (&raw mut told).cast(), length)
    };
    if is_told == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(told.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 && told.ReparseTag & SURROGATE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &Path, want: Want) -> Result<PathBuf, Refusal> {
        walk(path, want, false).map(|found| found.path())
    }

    #[test]
    fn a_path_leads_to_files_and_folders_and_to_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, file) = (folder.path().join("a"), folder.path().join("a").join("b.txt"));
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "text").unwrap();
        assert_eq!(found(&file, Want::File), Ok(file.clone()));
        assert_eq!(found(&inner, Want::Folder), Ok(inner.clone()));
        assert_eq!(found(&inner, Want::File), Err(Refusal::NotAFile));
        assert_eq!(found(&file, Want::Folder), Err(Refusal::NotAFolder));
        assert_eq!(found(&file.join("c"), Want::File), Err(Refusal::NotAFolder));
        assert_eq!(found(&inner.join("c"), Want::File), Err(Refusal::NotFound));
        let tree = Tree::at(folder.path()).unwrap();
        let beneath = tree.find(Path::new("a/b.txt"), Want::File, &Rule::Beneath).unwrap();
        assert_eq!(beneath.read(10).unwrap().bytes, b"text");
        assert!(matches!(beneath.read(3), Err(Refusal::TooLarge)));
        assert_eq!(beneath.beginning(2).unwrap(), b"te");
        assert!(matches!(tree.find(Path::new("../x"), Want::File, &Rule::Beneath), Err(Refusal::Escapes)));
        assert_eq!(tree.entries(10).unwrap().count(), 1);
    }

    #[test]
    fn what_is_held_cannot_be_put_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "text").unwrap();
        let found = walk(&file, Want::File, false).unwrap();
        assert!(fs::rename(&file, folder.path().join("b")).is_err());
        drop(found);
        fs::rename(&file, folder.path().join("b")).unwrap();
    }
}
