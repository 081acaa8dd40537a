//! Who touches a file: the kernel tells whoever asks, without a part in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A watch over some files and folders. To open a file without opening it (`O_PATH`) is not told.
pub struct Watch {
    inotify: Inotify,
    watched: Vec<(nix::sys::inotify::WatchDescriptor, PathBuf)>,
}

impl Watch {
    /// Watches nothing.
    ///
    /// # Errors
    /// When the kernel has no more watches to give.
    pub fn new() -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Self { inotify, watched: Vec::new() })
    }

    /// Is told when the file at `path`, of whatever kind, is opened.
    ///
    /// # Errors
    /// When there is none.
    pub fn opening(mut self, path: &Path) -> Result<Self> {
        self.add(path, AddWatchFlags::IN_OPEN)?;
        Ok(self)
    }

    /// Is told when something is made in the folder at `path`.
    ///
    /// # Errors
    /// When there is none.
    pub fn making(mut self, path: &Path) -> Result<Self> {
        self.add(path, AddWatchFlags::IN_CREATE)?;
        Ok(self)
    }

    fn add(&mut self, path: &Path, flags: AddWatchFlags) -> Result<()> {
        let watch = self.inotify.add_watch(path, flags);
        self.watched.push((watch.with_context(|| format!("failed to watch {}", path.display()))?, path.to_owned()));
        Ok(())
    }

    /// What was touched since the last call, each once.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn touched(&self) -> Result<Vec<PathBuf>> {
        let mut touched = Vec::new();
        loop {
            let events = match self.inotify.read_events() {
                Err(Errno::EAGAIN) => break,
                events => events?,
            };
            for event in events {
                let watched = self.watched.iter().find(|(watch, _)| *watch == event.wd).map(|(_, path)| path);
                let path = watched.context("an event of nobody's watch")?;
                touched.push(event.name.map_or_else(|| path.clone(), |name| path.join(name)));
            }
        }
        touched.sort();
        touched.dedup();
        Ok(touched)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_opened_and_what_is_made_is_told_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (file, made) = (folder.path().join("file"), folder.path().join("made"));
        fs::write(&file, "").unwrap();
        let watch = Watch::new().unwrap().opening(&file).unwrap().making(folder.path()).unwrap();
        fs::metadata(&file).unwrap();
        assert!(watch.touched().unwrap().is_empty());
        fs::read(&file).unwrap();
        fs::create_dir(&made).unwrap();
        assert_eq!(watch.touched().unwrap(), [file, made]);
        assert!(watch.touched().unwrap().is_empty());
    }
}
