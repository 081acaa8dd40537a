//! A process as its platform shows it, and the files that it sees.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use super::layout::{Layout, on_drive};
use super::text::is_path;
use crate::foreign::{self, Found, Reader, Refusal, Rule, Tree, Want};
use crate::sys;

/// More of a folder is not listed.
const MOST_ENTRIES: usize = 4_096;
/// How much of a file is read at once.
const BUFFER: usize = 8 * 1024;
/// No file of `/proc` that says who a process is is longer.
const LONGEST_STATUS: usize = 256 * 1024;

/// One process. Its files are those that it could read itself: what it names is not read for it.
pub struct View {
    folder: Result<Tree, Refusal>,
    base: Result<Base, Refusal>,
    reader: Reader,
    is_elsewhere: bool,
    /// Where its root is for us; `None` where it is ours.
    top: Option<PathBuf>,
    layout: Layout,
}

/// Below what the files of a process are.
enum Base {
    /// A folder.
    Tree(Tree),
    /// The disks of this host, by their drives.
    Drives,
}

impl View {
    /// The process `pid` of this host, as its platform shows it.
    pub fn of(root: &Path, pid: u32) -> Self {
        if sys::HAS_PROC { Self::new(root, pid) } else { Self::of_drives() }
    }

    /// A process of Windows, which shows nothing of its own. What it names is read as far as whoever asks may read it.
    pub fn of_drives() -> Self {
        Self::of_windows(Ok(Base::Drives))
    }

    /// The same, with the drives as folders below `root`.
    #[cfg(test)]
    pub(super) fn of_drives_below(root: &Path) -> Self {
        Self::of_windows(Tree::at(root).map(Base::Tree))
    }

    fn of_windows(base: Result<Base, Refusal>) -> Self {
        let (folder, reader) = (Err(Refusal::NotFound), Reader::ourselves());
        Self { folder, base, reader, is_elsewhere: false, top: None, layout: Layout::Windows }
    }

    /// The process `pid` below `root`, which is `/` but in tests.
    pub fn new(root: &Path, pid: u32) -> Self {
        let folder = Tree::at(&root.join("proc").join(pid.to_string()));
        let host = Tree::at(root);
        // Where the process lives in a container, its files are below its own root.
        let own = folder.as_ref().ok().and_then(|folder| folder.behind("root").ok());
        let is_elsewhere = match (&own, &host) {
            (Some(own), Ok(host)) => own.identity() != host.identity(),
            _ => false,
        };
        let top = folder.as_ref().ok().and_then(|folder| folder.link("root").ok());
        let top = top.filter(|top| is_elsewhere && top.is_absolute() && top != Path::new("/"));
        let (base, reader) = (own.map_or(host, Ok).map(Base::Tree), Reader::default());
        let mut view = Self { folder, base, reader, is_elsewhere, top, layout: Layout::Unix };
        view.reader = view.who(root);
        view
    }

    fn who(&self, root: &Path) -> Reader {
        let text = |name: &str| {
            let read = self.read(name, LONGEST_STATUS).ok();
            read.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        let (status, users, groups) = (text("status"), text("uid_map"), text("gid_map"));
        let mapped = (!self.shares_users(root)).then_some((users.as_str(), groups.as_str()));
        Reader::of_process(&status, mapped)
    }

    /// Whether it lives in our own user namespace, where its users and capabilities are what they are for us. Where that
    /// may not be seen, every user must be mapped to itself, which only root can bring about.
    pub fn shares_users(&self, root: &Path) -> bool {
        const EVERYBODY: [&str; 3] = ["0", "0", "4294967295"];
        let ours = fs::read_link(root.join("proc/self/ns/user"));
        match (self.link("ns/user"), ours) {
            (Ok(own), Ok(ours)) => own == ours,
            _ => {
                let map = self.read("uid_map", LONGEST_STATUS).map(|(map, _)| map).unwrap_or_default();
                String::from_utf8_lossy(&map).split_whitespace().eq(EVERYBODY)
            }
        }
    }

    /// Whether its root is another than ours, so that its paths mean other files.
    pub const fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// How its programs and paths are written.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The path without `.` and `..`, made absolute by the working directory; `None` for what leads to no file.
    pub fn absolute(&self, path: &Path, working_directory: Option<&Path>) -> Option<PathBuf> {
        match self.layout {
            Layout::Unix => absolute(path, working_directory),
            Layout::Windows => on_drive(path, working_directory),
        }
    }

    /// The first `limit` bytes of a file of its folder in `/proc`, and whether they are all.
    ///
    /// # Errors
    /// Those of opening and reading it, such as permission denied for what belongs to another user.
    pub fn read(&self, name: &str, limit: usize) -> io::Result<(Vec<u8>, bool)> {
        let mut bytes = self.own(name)?.beginning(limit.saturating_add(1))?;
        let is_whole = bytes.len() <= limit;
        bytes.truncate(limit);
        Ok((bytes, is_whole))
    }

    /// Hands over the lines in the first `limit` bytes of a file of its folder in `/proc`, and says whether they are all.
    /// One line is held at a time, and one that the limit cuts is left out.
    ///
    /// # Errors
    /// Those of opening and reading it.
    pub fn lines(&self, name: &str, limit: usize, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
        let file = self.own(name)?.open()?;
        let mut file = BufReader::with_capacity(BUFFER, file.take(limit as u64 + 1));
        let (mut line, mut read) = (Vec::new(), 0);
        loop {
            line.clear();
            read += file.read_until(b'\n', &mut line)?;
            if line.is_empty() || read > limit {
                return Ok(read <= limit);
            }
            take(line.strip_suffix(b"\n").unwrap_or(&line));
        }
    }

    /// Where a link of its folder in `/proc` leads, as the process sees it.
    ///
    /// # Errors
    /// Those of `readlink(2)`.
    pub fn link(&self, name: &str) -> io::Result<PathBuf> {
        let target = self.folder()?.link(name)?;
        // A file that was replaced while it runs is told as one that was deleted.
        let text = target.to_string_lossy();
        Ok(text.strip_suffix(" (deleted)").map(PathBuf::from).unwrap_or(target))
    }

    /// The file that it runs, even if that has no name any more, or none where the process lives.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn executable(&self) -> io::Result<File> {
        Ok(self.folder()?.file_behind("exe")?.open()?)
    }

    /// A path that the kernel told, as the process itself has it: one that lives below another folder does not see the way
    /// there.
    pub fn within(&self, path: &Path) -> PathBuf {
        let own = self.top.as_ref().and_then(|top| path.strip_prefix(top).ok());
        own.map_or_else(|| path.to_owned(), |below| Path::new("/").join(below))
    }

    /// The home that the user database, as the process sees it, has for its user; `None` where there is none.
    pub fn home(&self) -> Option<PathBuf> {
        let status = self.read("status", LONGEST_STATUS).ok()?.0;
        let status = String::from_utf8_lossy(&status);
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        // The effective one, which the C library asks for as well.
        let user: u32 = users.split_whitespace().nth(1)?.parse().ok()?;
        let list = self.find(Path::new("/etc/passwd")).ok()?.beginning(LONGEST_STATUS).ok()?;
        home_of(&String::from_utf8_lossy(&list), user)
    }

    /// The files that it holds open, one by one.
    pub fn open_files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let open = || Some(self.folder().ok()?.find(Path::new("fd"), Want::Folder, &Rule::Beneath).ok()?.into_tree());
        let open = open();
        let entries = open.as_ref().and_then(|open| open.entries(MOST_ENTRIES).ok()).into_iter().flatten();
        entries.filter_map(move |entry| open.as_ref()?.link(entry.file_name().to_str()?).ok())
    }

    /// Finds a file of the process.
    ///
    /// # Errors
    /// There is none, or the process may not read it.
    pub fn find(&self, path: &Path) -> Result<Found, Refusal> {
        self.at(path, Want::File)
    }

    /// Whether there is such a folder.
    pub fn is_dir(&self, path: &Path) -> bool {
        self.at(path, Want::Folder).is_ok()
    }

    /// The names in a folder of the process, one by one; none where it cannot be read.
    pub fn list(&self, path: &Path) -> impl Iterator<Item = String> + use<> {
        let entries = self.at(path, Want::Folder).and_then(|folder| folder.into_tree().entries(MOST_ENTRIES));
        entries.into_iter().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned())
    }

    /// Opens a regular file of the process.
    ///
    /// # Errors
    /// Those of opening it, and `InvalidInput` for all that is no regular file.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        match self.find(path).and_then(|found| found.open()) {
            Err(Refusal::NotAFolder) => Err(Refusal::NotAFile.into()),
            file => Ok(file?),
        }
    }

    fn folder(&self) -> Result<&Tree, Refusal> {
        self.folder.as_ref().map_err(Clone::clone)
    }

    fn own(&self, name: &str) -> Result<Found, Refusal> {
        self.folder()?.find(Path::new(name), Want::File, &Rule::Beneath)
    }

    fn at(&self, path: &Path, want: Want) -> Result<Found, Refusal> {
        let base = self.base.as_ref().map_err(Clone::clone)?;
        // What another process names may be written so that it leads to a device or a share.
        let on_drive = match self.layout {
            Layout::Unix => None,
            Layout::Windows => Some(on_drive(path, None).ok_or(Refusal::NotFound)?),
        };
        let path = on_drive.as_deref().unwrap_or(path);
        match base {
            Base::Tree(tree) => tree.find(path, want, &Rule::ReadableBy(&self.reader)),
            Base::Drives if !sys::is_on_own_disk(path) => Err(Refusal::NotFound),
            Base::Drives => match want {
                Want::File => foreign::file(path),
                Want::Folder => foreign::folder(path),
            },
        }
    }
}

/// The home of a user in a list such as `/etc/passwd`.
pub fn home_of(list: &str, user: u32) -> Option<PathBuf> {
    let home = list.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let number: u32 = fields.next()?.parse().ok()?;
        fields.nth(2).filter(|home| number == user && home.starts_with('/'))
    });
    home.map(PathBuf::from)
}

/// The path without `.` and `..`, made absolute by the working directory; `None` for one that is too long to be any.
fn absolute(path: &Path, working_directory: Option<&Path>) -> Option<PathBuf> {
    if !is_path(path) {
        return None;
    }
    let path = if path.is_absolute() { path.to_owned() } else { working_directory?.join(path) };
    let mut whole = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::ParentDir => {
                whole.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    is_path(&whole).then_some(whole)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_process_in_a_container_sees_its_own_files() {
        let root = tempfile::tempdir().unwrap();
        for path in ["proc/7", "proc/8", "srv/container/etc"] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        symlink("../../srv/container", root.path().join("proc/7/root")).unwrap();
        assert!(View::new(root.path(), 7).is_dir(Path::new("/etc")));
        assert!(!View::new(root.path(), 8).is_dir(Path::new("/etc")));
        fs::write(root.path().join("srv/container/etc/file"), "").unwrap();
        assert!(View::new(root.path(), 7).open(Path::new("/../../etc/file")).is_ok(), "no way up");
        assert!(
            View::new(root.path(), 8).open(Path::new("/srv/container/etc/../../../../srv/container/etc/file")).is_ok()
        );
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("bin")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(root.path().join("bin/app")).status().unwrap();
        assert!(made.success());
        let view = View::new(root.path(), 7);
        assert_eq!(view.open(Path::new("/bin/app")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(view.open(Path::new("/bin")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_relative_path_needs_a_working_directory() {
        let at = |path: &str, base: Option<&str>| absolute(Path::new(path), base.map(Path::new));
        assert_eq!(at("venv/bin/../lib", Some("/srv/app")), Some(PathBuf::from("/srv/app/venv/lib")));
        assert_eq!(at("../../../x", Some("/srv/app")), Some(PathBuf::from("/x")));
        assert_eq!(at("/opt/./x", None), Some(PathBuf::from("/opt/x")));
        assert_eq!(at("x", None), None);
        let long = "x/".repeat(2_000);
        assert!(at(&long, Some("/srv/app")).is_some());
        assert_eq!(at(&long, Some(&format!("/{long}"))), None, "longer than any path");
    }

    #[test]
    fn what_is_read_ends_at_the_limit_and_says_so() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/7")).unwrap();
        fs::write(root.path().join("proc/7/maps"), "one\ntwo\nthree").unwrap();
        let view = View::new(root.path(), 7);
        let lines = |limit| {
            let mut lines = Vec::new();
            let is_whole = view.lines("maps", limit, |line| lines.push(String::from_utf8_lossy(line).into_owned()));
            (lines.join(" "), is_whole.unwrap())
        };
        assert_eq!(lines(100), ("one two three".to_owned(), true));
        assert_eq!(lines(13), ("one two three".to_owned(), true));
        assert_eq!(lines(12), ("one two".to_owned(), false));
        assert_eq!(lines(8), ("one two".to_owned(), false));
        assert_eq!(view.read("maps", 13).unwrap(), (b"one\ntwo\nthree".to_vec(), true));
        assert_eq!(view.read("maps", 3).unwrap(), (b"one".to_vec(), false));
    }
}
