//! Walks a path, a folder at a time, by handles that open nothing.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use super::found::{FileType, Found, here};
use super::rule::{READ, Reader, SEARCH, Writers, trusted};
use crate::sys::{Refusal, Rule, Want};

/// More links are a circle; the kernel follows no more either.
const MOST_LINKS: usize = 40;
/// More folders below one another are held open for nobody.
const DEEPEST: usize = 128;
/// A path, with all that its links add, has no more steps.
const MOST_STEPS: usize = 1_024;

/// A folder, and all that is below it.
pub struct Tree {
    top: OwnedFd,
}

impl Found {
    /// The folder itself, to look for more in it.
    pub fn into_tree(self) -> Tree {
        Tree::new(self.into_handle())
    }
}

impl Tree {
    pub(super) const fn new(top: OwnedFd) -> Self {
        Self { top }
    }

    /// The folder at `path`, wherever links lead: for paths that nobody else can have made, such as `/` or `/proc/PID/root`.
    ///
    /// # Errors
    /// Those of `open(2)`.
    pub fn at(path: &Path) -> Result<Self, Refusal> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self::new(nix::fcntl::open(path, flags, Mode::empty())?))
    }

    /// The folder to which the link `name` in this one leads by the kernel's own word.
    ///
    /// # Errors
    /// Those of `open(2)`.
    pub fn behind(&self, name: &str) -> Result<Self, Refusal> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self::new(openat(&self.top, name, flags, Mode::empty())?))
    }

    /// The file to which the link `name` in this folder leads by the kernel's own word, whatever it is called.
    ///
    /// # Errors
    /// Those of `open(2)`.
    pub fn file_behind(&self, name: &str) -> Result<Found, Refusal> {
        // Elsewhere a link is a text that anybody may have written.
        if fstatfs(&self.top)?.filesystem_type() != PROC_SUPER_MAGIC {
            return Err(Refusal::NotFound);
        }
        let handle = openat(&self.top, name, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        let stat = fstat(&handle)?;
        Ok(Found::new(handle, stat))
    }

    /// The text of the link `name` in this folder.
    ///
    /// # Errors
    /// Those of `readlink(2)`.
    pub fn link(&self, name: &str) -> Result<PathBuf, Refusal> {
        Ok(fs::read_link(here(self.top.as_fd()).join(name))?)
    }

    /// The folder itself as a file of its file system: device and inode.
    ///
    /// # Errors
    /// Those of `fstat(2)`.
    pub fn identity(&self) -> Result<(u64, u64), Refusal> {
        let stat = fstat(&self.top)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// What is in the folder, one by one, of at most `most`.
    ///
    /// # Errors
    /// Those of `opendir(3)`.
    pub fn entries(&self, most: usize) -> Result<impl Iterator<Item = DirEntry> + use<>, Refusal> {
        Ok(fs::read_dir(here(self.top.as_fd()))?.take(most).flatten())
    }

    /// Finds what is at `path` in this folder by a rule. Whether the path begins with a slash is all the same.
    ///
    /// # Errors
    /// Why there is nothing of the kind, or what forbids to go on.
    pub fn find(&self, path: &Path, want: Want, rule: &Rule<'_>) -> Result<Found, Refusal> {
        let mut walk = Walk::new(&self.top, *rule)?;
        walk.add(path);
        walk.finish(want)
    }
}

/// A walk that goes on.
struct Walk<'a> {
    top: &'a OwnedFd,
    rule: Rule<'a>,
    /// The folders below the top, down to the one that is reached.
    folders: Vec<(OwnedFd, OsString)>,
    /// The next step last.
    steps: Vec<Step>,
    taken: usize,
    links: usize,
    /// Whose links lead anywhere.
    trusted: [u32; 2],
    /// Who made the links that were followed.
    makers: Vec<Reader>,
}

enum Step {
    Top,
    Up,
    Down(OsString),
}

impl<'a> Walk<'a> {
    fn new(top: &'a OwnedFd, rule: Rule<'a>) -> Result<Self, Refusal> {
        let (folders, steps, makers) = (Vec::new(), Vec::new(), Vec::new());
        let walk = Self { top, rule, folders, steps, taken: 0, links: 0, trusted: trusted(), makers };
        if let Rule::WrittenBy(_) = rule {
            walk.may(SEARCH, &fstat(top)?, OsStr::new(""))?;
        }
        Ok(walk)
    }

    /// What is to be walked before all else.
    fn add(&mut self, path: &Path) {
        let steps: Vec<Step> = path
            .components()
            .filter_map(|part| match part {
                Component::RootDir => Some(Step::Top),
                Component::ParentDir => Some(Step::Up),
                Component::Normal(name) => Some(Step::Down(name.to_owned())),
                Component::CurDir | Component::Prefix(_) => None,
            })
            .collect();
        self.steps.extend(steps.into_iter().rev());
    }

    fn finish(&mut self, want: Want) -> Result<Found, Refusal> {
        while let Some(step) = self.steps.pop() {
            self.taken += 1;
            if self.taken > MOST_STEPS || self.folders.len() > DEEPEST {
                return Err(Refusal::Escapes);
            }
            match step {
                // Where the path itself begins with a slash, that is the top; where a link does, it leads out.
                Step::Top if matches!(self.rule, Rule::Beneath) && self.links > 0 => return Err(Refusal::Escapes),
                Step::Top => self.folders.clear(),
                Step::Up if self.folders.pop().is_none() && matches!(self.rule, Rule::Beneath) => {
                    return Err(Refusal::Escapes);
                }
                Step::Up => {}
                Step::Down(name) => {
                    if let Some(found) = self.down(name, want)? {
                        return Ok(found);
                    }
                }
            }
        }
        // All of it were folders.
        let handle = self.reached().try_clone_to_owned()?;
        let stat = fstat(&handle)?;
        match want {
            Want::Folder => Ok(Found::new(handle, stat)),
            Want::File => Err(Refusal::NotAFile),
        }
    }

    fn reached(&self) -> BorrowedFd<'_> {
        self.folders.last().map_or(self.top, |(folder, _)| folder).as_fd()
    }

    /// Goes on to what is called `name` in the folder that is reached; it is the end if it is neither folder nor link.
    fn down(&mut self, name: OsString, want: Want) -> Result<Option<Found>, Refusal> {
        let is_last = self.steps.is_empty();
        let handle = self.handle(&name, !is_last || want == Want::Folder)?;
        let stat = fstat(&handle)?;
        match FileType::of(&stat) {
            FileType::Link => self.follow(&handle, &stat, &name).map(|()| None),
            FileType::Folder => {
                self.may(if is_last { READ | SEARCH } else { SEARCH }, &stat, &name)?;
                self.folders.push((handle, name));
                Ok(None)
            }
            _ if !is_last || want == Want::Folder => Err(Refusal::NotAFolder),
            _ => {
                self.may(READ, &stat, &name)?;
                Ok(Some(Found::new(handle, stat)))
            }
        }
    }

    /// A handle on what is called `name`, without following it if it is a link.
    fn handle(&self, name: &OsStr, is_folder: bool) -> Result<OwnedFd, Refusal> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if is_folder {
            // Only who asks for a folder has a file system mounted that is mounted at its use.
            match openat(self.reached(), name, flags | OFlag::O_DIRECTORY, Mode::empty()) {
                Err(Errno::ENOTDIR) => {}
                handle => return Ok(handle?),
            }
        }
        Ok(openat(self.reached(), name, flags, Mode::empty())?)
    }

    fn follow(&mut self, link: &OwnedFd, stat: &FileStat, name: &OsStr) -> Result<(), Refusal> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Refusal::Escapes);
        }
        let is_trusted = self.trusted.contains(&stat.st_uid);
        match self.rule {
            Rule::WrittenBy(_) if !is_trusted => {
                return Err(Refusal::Owner { path: self.path(name), owner: stat.st_uid });
            }
            Rule::ReadableBy(_) if !is_trusted => self.makers.push(Reader::user(stat.st_uid)),
            Rule::WrittenBy(_) | Rule::ReadableBy(_) | Rule::Beneath => {}
        }
        let target = PathBuf::from(readlinkat(link, "")?);
        // The links of a process in /proc are more than their text, which means another place here.
        if target.is_absolute() && fstatfs(link)?.filesystem_type() == PROC_SUPER_MAGIC {
            return Err(Refusal::Escapes);
        }
        self.add(&target);
        Ok(())
    }

    /// Whether the rule lets somebody have, or search, what is called `name`.
    fn may(&self, wanted: u32, stat: &FileStat, name: &OsStr) -> Result<(), Refusal> {
        match self.rule {
            Rule::Beneath => Ok(()),
            Rule::ReadableBy(reader) if !reader.may(wanted, stat) => Err(Refusal::Denied),
            Rule::ReadableBy(_) if !self.makers.iter().all(|maker| maker.may(wanted, stat)) => Err(Refusal::Escapes),
            Rule::ReadableBy(_) => Ok(()),
            Rule::WrittenBy(writers) if !writers.include(stat.st_uid) => {
                Err(Refusal::Owner { path: self.path(name), owner: stat.st_uid })
            }
            // Whoever may write to a socket says something to who listens there, and changes nothing.
            Rule::WrittenBy(_) if FileType::of(stat) != FileType::Socket && !Writers::alone_write(stat) => {
                Err(Refusal::Writable { path: self.path(name) })
            }
            Rule::WrittenBy(_) => Ok(()),
        }
    }

    /// What is called `name`, as a path from the top, for people.
    fn path(&self, name: &OsStr) -> PathBuf {
        Path::new("/").join(self.folders.iter().map(|(_, folder)| folder.as_os_str()).collect::<PathBuf>()).join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use proptest::prelude::*;

    use super::*;
    use crate::foreign;

    fn modes(root: &Path, modes: &[(&str, u32)]) {
        for (path, mode) in modes {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(*mode)).unwrap();
        }
    }

    fn read(root: &Path, path: &str, rule: &Rule<'_>) -> Result<Vec<u8>, Refusal> {
        Ok(Tree::at(root)?.find(Path::new(path), Want::File, rule)?.read(100)?.bytes)
    }

    #[test]
    fn within_a_root_links_mean_what_they_mean_to_who_lives_there() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("container/etc")).unwrap();
        fs::write(top.path().join("etc"), "of the host").unwrap();
        fs::write(top.path().join("container/etc/file"), "own").unwrap();
        symlink("/etc/file", top.path().join("container/absolute")).unwrap();
        symlink("../../../../etc/file", top.path().join("container/etc/upward")).unwrap();
        let container = top.path().join("container");
        let ourselves = Reader::ourselves();
        for path in ["absolute", "/absolute", "etc/upward", "../../etc/file"] {
            assert_eq!(read(&container, path, &Rule::ReadableBy(&ourselves)).unwrap(), b"own", "{path}");
        }
    }

    #[test]
    fn what_a_reader_may_not_read_himself_is_not_read_for_him() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("closed")).unwrap();
        for file in ["all", "owner", "closed/all"] {
            fs::write(top.path().join(file), file).unwrap();
        }
        modes(top.path(), &[("all", 0o644), ("owner", 0o600), ("closed/all", 0o644), ("closed", 0o700)]);
        let us = fs::metadata(top.path()).unwrap().uid();
        for (reader, path, expected) in [
            (Reader::user(us), "owner", Ok(b"owner".to_vec())),
            (Reader::user(us), "closed/all", Ok(b"closed/all".to_vec())),
            (Reader::user(us + 1), "all", Ok(b"all".to_vec())),
            (Reader::user(us + 1), "owner", Err(Refusal::Denied)),
            (Reader::user(us + 1), "closed/all", Err(Refusal::Denied)),
        ] {
            assert_eq!(read(top.path(), path, &Rule::ReadableBy(&reader)), expected, "{path}");
        }
    }

    #[test]
    fn a_link_of_another_user_leads_to_what_he_may_read_and_no_further() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("his"), "his").unwrap();
        fs::write(top.path().join("secret"), "secret").unwrap();
        // As if it were not his own, who made the link may read neither by its owner nor by everybody.
        modes(top.path(), &[("his", 0o400), ("secret", 0o070)]);
        for (link, target) in [("to-his", "his"), ("to-secret", "secret"), ("to-link", "to-secret")] {
            symlink(target, top.path().join(link)).unwrap();
        }
        let tree = Tree::at(top.path()).unwrap();
        let ourselves = Reader::ourselves();
        let end = |path: &str, trusted: [u32; 2]| {
            let mut walk = Walk::new(&tree.top, Rule::ReadableBy(&ourselves)).unwrap();
            walk.trusted = trusted;
            walk.add(Path::new(path));
            walk.finish(Want::File).err()
        };
        let nobody = [u32::MAX; 2];
        assert_eq!(end("to-his", nobody), None);
        assert_eq!(end("to-secret", nobody), Some(Refusal::Escapes));
        assert_eq!(end("to-link", nobody), Some(Refusal::Escapes));
        assert_eq!((end("secret", nobody), end("to-link", trusted())), (None, None));
    }

    #[test]
    fn what_others_own_or_can_write_is_not_believed_wherever_that_is_on_the_way() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/b")).unwrap();
        fs::write(top.path().join("a/b/file"), "x").unwrap();
        let us = fs::metadata(top.path()).unwrap().uid();
        let good = [("a", 0o755), ("a/b", 0o750), ("a/b/file", 0o640), ("", 0o700)];
        let rule = Writers::with([]);
        let result = |bad: &[(&str, u32)]| {
            modes(top.path(), &good);
            modes(top.path(), bad);
            read(top.path(), "a/b/file", &Rule::WrittenBy(&rule))
        };
        assert!(result(&[]).is_ok());
        for (path, mode) in [("", 0o1777), ("a", 0o775), ("a/b", 0o702), ("a/b/file", 0o620)] {
            let expected = Refusal::Writable { path: Path::new("/").join(path) };
            assert_eq!(result(&[(path, mode)]), Err(expected), "{path}");
        }
        modes(top.path(), &good);
        let tree = Tree::at(top.path()).unwrap();
        let nobody = Writers::only([us + 1]);
        let refusal = tree.find(Path::new("a/b/file"), Want::File, &Rule::WrittenBy(&nobody)).err();
        assert_eq!(refusal, Some(Refusal::Owner { path: "/".into(), owner: us }));
    }

    #[test]
    fn neither_a_circle_nor_a_path_without_an_end_is_walked_for_ever() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("a")).unwrap();
        symlink("circle", top.path().join("circle")).unwrap();
        // Each link doubles what is to be walked.
        for level in 1..30 {
            let target = if level == 1 { "a/..".to_owned() } else { format!("{0}/{0}", level - 1) };
            symlink(target, top.path().join(level.to_string())).unwrap();
        }
        let deep = "a/../".repeat(5_000);
        let ourselves = Reader::ourselves();
        for rule in [Rule::Beneath, Rule::ReadableBy(&ourselves)] {
            for path in ["circle", "29/x", deep.as_str()] {
                assert_eq!(read(top.path(), path, &rule), Err(Refusal::Escapes));
            }
        }
    }

    #[test]
    fn the_links_of_a_process_are_not_taken_for_their_text() {
        assert_eq!(foreign::file(Path::new("/proc/self/root/etc/passwd")).err(), Some(Refusal::Escapes));
        assert!(foreign::file(Path::new("/proc/self/status")).unwrap().read(1 << 20).is_ok());
        assert_eq!(foreign::file(Path::new("/dev/null")).unwrap().open().err(), Some(Refusal::NotAFile));
        assert_eq!(foreign::file(Path::new("")).err(), Some(Refusal::NotFound));
        assert_eq!(foreign::folder(Path::new("/dev/null")).err(), Some(Refusal::NotAFolder));
        assert_eq!(foreign::file(Path::new("/dev/null/x")).err(), Some(Refusal::NotAFolder));
    }

    proptest! {
        #[test]
        fn no_links_lead_out_of_the_top(
            links in proptest::collection::vec("(/?)((\\.\\.|a|b|[0-5])/){0,4}(f|\\.\\.|[0-5])", 6),
            path in "((\\.\\.|a|b|[0-5])/){0,4}(f|[0-5])",
        ) {
            let outer = tempfile::tempdir().unwrap();
            let top = outer.path().join("top");
            for folder in ["a", "b"] {
                fs::create_dir_all(top.join(folder)).unwrap();
                fs::write(top.join(folder).join("f"), "").unwrap();
            }
            fs::write(outer.path().join("f"), "").unwrap();
            fs::write(top.join("f"), "").unwrap();
            for (name, target) in links.iter().enumerate() {
                symlink(target, top.join(["", "a", "b"][name % 3]).join(name.to_string())).unwrap();
            }
            let ourselves = Reader::ourselves();
            for rule in [Rule::Beneath, Rule::ReadableBy(&ourselves)] {
                for want in [Want::File, Want::Folder] {
                    if let Ok(found) = Tree::at(&top).unwrap().find(Path::new(&path), want, &rule) {
                        let at = fs::read_link(found.path()).unwrap();
                        prop_assert!(at.starts_with(top.canonicalize().unwrap()), "{at:?}");
                    }
                }
            }
        }
    }
}
