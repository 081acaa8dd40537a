//! The queue on disk: a folder for each destination, a file for each item.
//!
//! A file is written beside its place, synchronized and then renamed, so that it is there whole or not at all. All of
//! this blocks: it belongs onto a thread of its own.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::item::{Corrupt, Item, MOST_BYTES};
use super::queue::{Found, Ticket};
use crate::files::{UNFINISHED, replace};

/// What the files of items are called after their number.
const SUFFIX: &str = ".item";
/// What was damaged is kept for those who want to know, under this name, and only the last one of each destination.
const DAMAGED: &str = "damaged";

/// The folder of all queues.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// Whether the state directory can be written: all who write there share one, so that a disk which fails is told once.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<AtomicBool>);

impl Health {
    /// Somebody cannot write to `folder`.
    pub fn fails(&self, folder: &Path, error: &dyn std::fmt::Display) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                folder = %folder.display(),
                %error,
                "the state directory cannot be written: what fires and what waits for delivery is kept in memory, and lost \
                 with the process: make room, or let the agent's user write there"
            );
        }
    }

    /// Somebody could write.
    pub fn works(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            tracing::info!("the state directory can be written again");
        }
    }
}

/// Why an item could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk did not give it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What it gave is no item.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl Store {
    /// The queues below `root`, which is made when something is written.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All that is kept. What was not finished is removed, and what is damaged is set aside.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub fn scan(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        let folders = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            folders => folders?,
        };
        for folder in folders {
            let folder = folder?;
            let Ok(lane) = folder.file_name().into_string() else { continue };
            if folder.file_type()?.is_dir() {
                self.scan_lane(&lane, &mut found)?;
            }
        }
        Ok(found)
    }

    fn scan_lane(&self, lane: &str, found: &mut Vec<Found>) -> io::Result<()> {
        for file in fs::read_dir(self.root.join(lane))? {
            let file = file?;
            let Ok(name) = file.file_name().into_string() else { continue };
            if name.ends_with(UNFINISHED) {
                // It was never accepted.
                let _ = fs::remove_file(file.path());
                continue;
            }
            let Some(number) = name.strip_suffix(SUFFIX).and_then(|number| number.parse().ok()) else { continue };
            let ticket = Ticket { lane: lane.to_owned(), number };
            match self.read(&ticket) {
                Ok(Item { class, key, at, body, .. }) => {
                    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
                    found.push(Found { ticket, class, key, at, bytes });
                }
                Err(error) => self.set_aside(&ticket, &error),
            }
        }
        Ok(())
    }

    /// Writes an item. When this returns, it outlives the process and the host.
    ///
    /// # Errors
    /// The disk is full, read-only, or broken. Then nothing is left of it.
    pub fn write(&self, ticket: &Ticket, item: &Item) -> io::Result<()> {
        let folder = self.root.join(&ticket.lane);
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            for made in [&folder, &self.root].into_iter().chain(self.root.parent().map(Path::to_path_buf).as_ref()) {
                File::open(made)?.sync_all()?;
            }
        }
        replace(&self.path(ticket), &item.encode())
    }

    /// Reads an item.
    ///
    /// # Errors
    /// It is gone, unreadable or damaged.
    pub fn read(&self, ticket: &Ticket) -> Result<Item, ReadError> {
        let mut file = Vec::new();
        // A description is far shorter than a kibibyte for each of its fields.
        let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX).saturating_add(16 * 1024);
        File::open(self.path(ticket))?.take(most).read_to_end(&mut file)?;
        Ok(Item::decode(&file)?)
    }

    /// Removes an item; one that is gone already is as good.
    pub fn remove(&self, ticket: &Ticket) {
        let path = self.path(ticket);
        // A read-only disk refuses to remove even what is not there.
        if let Err(error) = fs::remove_file(&path)
            && path.exists()
        {
            tracing::warn!(path = %path.display(), %error, "a delivered item cannot be removed: it will be sent again after a restart");
        }
    }

    /// Takes what cannot be read out of the way, and says so.
    pub fn set_aside(&self, ticket: &Ticket, error: &ReadError) {
        let (path, aside) = (self.path(ticket), self.root.join(&ticket.lane).join(DAMAGED));
        match fs::rename(&path, &aside) {
            Ok(()) => tracing::warn!(path = %aside.display(), %error, "a queued item is damaged and was set aside"),
            Err(reason) => tracing::warn!(path = %path.display(), %error, %reason, "a queued item cannot be read"),
        }
    }

    fn path(&self, ticket: &Ticket) -> PathBuf {
        self.root.join(&ticket.lane).join(format!("{:020}{SUFFIX}", ticket.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::item::Class;
    use crate::delivery::item::tests::item;

    fn ticket(lane: &str, number: u64) -> Ticket {
        Ticket { lane: lane.to_owned(), number }
    }

    #[test]
    fn what_was_written_is_found_by_another_process_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("queue"));
        assert_eq!(store.scan().unwrap(), []);
        let kept = item(Class::Alert, "key", b"body");
        store.write(&ticket("ops", 7), &kept).unwrap();
        store.write(&ticket("ops", 8), &kept).unwrap();
        store.remove(&ticket("ops", 8));
        store.remove(&ticket("ops", 9));
        let found = Store::new(folder.path().join("queue")).scan().unwrap();
        let expected =
            Found { ticket: ticket("ops", 7), class: Class::Alert, key: "key".into(), at: kept.at, bytes: 4 };
        assert_eq!(found, [expected]);
        assert_eq!(store.read(&ticket("ops", 7)).unwrap(), kept);
    }

    #[test]
    fn what_is_unfinished_is_removed_and_what_is_damaged_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        store.write(&ticket("ops", 1), &item(Class::Alert, "key", b"body")).unwrap();
        let lane = folder.path().join("ops");
        let whole = fs::read(lane.join("00000000000000000001.item")).unwrap();
        fs::write(lane.join("00000000000000000002.item"), &whole[..whole.len() - 1]).unwrap();
        fs::write(lane.join("00000000000000000003.item.unfinished"), b"half").unwrap();
        fs::write(lane.join("notes.txt"), b"not ours").unwrap();
        let found = store.scan().unwrap();
        assert_eq!(found.iter().map(|one| one.ticket.number).collect::<Vec<_>>(), [1]);
        let mut left: Vec<_> = fs::read_dir(lane).unwrap().map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["00000000000000000001.item", "damaged", "notes.txt"]);
    }

    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("queue"));
        store.write(&ticket("ops", 1), &item(Class::Alert, "key", b"body")).unwrap();
        let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("queue/ops/00000000000000000001.item"), 0o600);
        assert_eq!((mode("queue"), mode("queue/ops")), (0o700, 0o700));
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("queue"), b"a file is in the way").unwrap();
        let store = Store::new(folder.path().join("queue"));
        store.write(&ticket("ops", 1), &item(Class::Alert, "key", b"body")).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
