//! The queue on disk: a folder for each destination, a file for each item.
//!
//! A file is written beside its place, synchronized and then renamed, so that it is there whole or not at all. All of
//! this blocks: it belongs onto a thread of its own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::item::{Corrupt, Item, MOST_BYTES};
use super::mutex::lock;
use super::ticket::{Found, Ticket};
use crate::clock::local;
use crate::files::{UNFINISHED, replace};
use crate::host::mark::Claim;
use crate::sys;
use crate::time::Span;

/// What the files of items are called after their number.
const SUFFIX: &str = ".item";
/// What was damaged is kept for those who want to know, under this name, and only the last one of each destination.
const DAMAGED: &str = "damaged";

/// The folder of all queues.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// By which something may be written; `None` where anybody may.
    claim: Option<Arc<Claim>>,
}

/// A disk that takes longer than this for one file hangs: not even one that is busy does.
pub const HANGS: Duration = Duration::from_secs(30);

/// What a disk that hangs says.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the disk does not answer")]
pub struct Hangs;

/// On a disk that is just full something fits in at times. Only one that has worked for so long since is told of again.
const SOUND: Span = Span::from_nanos(60 * 1_000_000_000);

/// Whether the state directory can be written, as one of those sees it who write there. They share what has been told, so
/// that a disk which fails is told once, and that it works again once nobody fails any more.
#[derive(Debug, Default)]
pub struct Health {
    is_failing: bool,
    shared: Arc<Told>,
}

/// What those who write there share.
#[derive(Debug, Default)]
struct Told {
    /// How many of them cannot.
    failing: AtomicUsize,
    /// Since when nobody fails any more, as [`local::awake`] counts; `None` before the first failure.
    sound_since: Mutex<Option<Span>>,
}

impl Health {
    /// For another one who writes there.
    pub fn share(&self) -> Self {
        Self { is_failing: false, shared: Arc::clone(&self.shared) }
    }

    /// This one cannot write to `folder`.
    pub fn fails(&mut self, folder: &Path, error: &dyn std::fmt::Display) {
        let begins =
            !std::mem::replace(&mut self.is_failing, true) && self.shared.failing.fetch_add(1, Ordering::Relaxed) == 0;
        if begins && lock(&self.shared.sound_since).take().is_none_or(|since| local::awake().minus(since) >= SOUND) {
            tracing::warn!(
                folder = %folder.display(),
                %error,
                "the state directory cannot be written: what fires and what waits for delivery is kept in memory, and lost \
                 with the process, and what was kept there may be sent again: make room, or let the agent's user write there"
            );
        }
    }

    /// This one could write all that it has.
    pub fn works(&mut self) {
        if std::mem::take(&mut self.is_failing) && self.shared.failing.fetch_sub(1, Ordering::Relaxed) == 1 {
            *lock(&self.shared.sound_since) = Some(local::awake());
            tracing::info!("the state directory can be written again");
        }
    }
}

/// What is kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All items that can be read.
    pub found: Vec<Found>,
    /// The highest number that any item has whose name can be read, be it damaged or out of reach; 0 where there is none.
    pub highest: u64,
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
        Self { root, claim: None }
    }

    /// The same, to which nothing is written before the claim is made.
    #[must_use]
    pub fn by(self, claim: Arc<Claim>) -> Self {
        Self { claim: Some(claim), ..self }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All that is kept. What was not finished is removed, and what is damaged is set aside. What the disk does not give
    /// stays where it is, with a warning: another process may read it.
    ///
    /// # Errors
    /// The folder is there, and cannot be read.
    pub fn scan(&self) -> io::Result<Inventory> {
        let mut inventory = Inventory::default();
        let lanes = match fs::read_dir(&self.root) {
            Err(error) if is_no_folder(&error) => return Ok(inventory),
            lanes => lanes?,
        };
        for lane in lanes {
            let lane = lane?;
            let Ok(name) = lane.file_name().into_string() else { continue };
            match self.scan_lane(&name, &mut inventory) {
                Err(error) if !is_no_folder(&error) => tracing::warn!(
                    folder = %lane.path().display(),
                    %error,
                    "what waits for this destination cannot be read, and waits for the next start"
                ),
                _ => {}
            }
        }
        Ok(inventory)
    }

    fn scan_lane(&self, lane: &str, Inventory { found, highest }: &mut Inventory) -> io::Result<()> {
        let mut out_of_reach = Vec::new();
        for file in fs::read_dir(self.root.join(lane))? {
            let file = file?;
            let Ok(name) = file.file_name().into_string() else { continue };
            if name.ends_with(UNFINISHED) {
                // It was never accepted.
                let _ = fs::remove_file(file.path());
                continue;
            }
            let Some(number) = number(&name) else { continue };
            *highest = number.max(*highest);
            let ticket = Ticket { lane: lane.to_owned(), number };
            match self.read(&ticket) {
                Ok(Item { class, key, at, body, .. }) => {
                    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
                    found.push(Found { ticket, class, key, at, bytes });
                }
                Err(ReadError::Corrupt(reason)) => self.set_aside(&ticket, &reason),
                Err(ReadError::Io(error)) => out_of_reach.push(error),
            }
        }
        if let Some(error) = out_of_reach.first() {
            tracing::warn!(
                destination = lane,
                items = out_of_reach.len(),
                %error,
                "items that wait on disk cannot be read, and wait for the next start"
            );
        }
        Ok(())
    }

    /// Writes an item. When this returns, it outlives the process and the host.
    ///
    /// # Errors
    /// The disk is full, read-only, or broken, or another item has this number. Then nothing is left of it.
    pub fn write(&self, ticket: &Ticket, item: &Item) -> io::Result<()> {
        self.claim.as_ref().map_or(Ok(()), |claim| claim.make())?;
        let (folder, path) = (self.root.join(&ticket.lane), self.path(ticket));
        // A folder that could not be read at the start may hold an item that nobody has seen. This agent alone writes here.
        if path.symlink_metadata().is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another item is in its place"));
        }
        if !folder.is_dir() {
            sys::create_private_folder(&folder, true)?;
            for made in [&folder, &self.root].into_iter().chain(self.root.parent().map(Path::to_path_buf).as_ref()) {
                sys::sync_folder(made)?;
            }
        }
        replace(&path, &item.encode()).inspect_err(|_| {
            // It may be in its place already, and only the folder could not be synchronized.
            let _ = fs::remove_file(&path);
        })
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
    ///
    /// # Errors
    /// It is still there, and another process would send it again.
    pub fn remove(&self, ticket: &Ticket) -> io::Result<()> {
        let path = self.path(ticket);
        match fs::remove_file(&path) {
            // A read-only disk refuses to remove even what is not there.
            Err(error) if path.symlink_metadata().is_ok() => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes what is not worth another reading out of the way, and says so.
    pub fn set_aside(&self, ticket: &Ticket, error: &dyn std::fmt::Display) {
        let (path, aside) = (self.path(ticket), self.root.join(&ticket.lane).join(DAMAGED));
        match fs::rename(&path, &aside) {
            Ok(()) => tracing::warn!(path = %aside.display(), %error, "a queued item cannot be used and was set aside"),
            Err(reason) => tracing::warn!(path = %path.display(), %error, %reason, "a queued item cannot be used"),
        }
    }

    fn path(&self, ticket: &Ticket) -> PathBuf {
        self.root.join(&ticket.lane).join(name(ticket.number))
    }
}

/// Nothing was ever written there.
fn is_no_folder(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What the file of an item is called.
fn name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The number of the item in a file of this name; `None` where it is no item's.
fn number(file: &str) -> Option<u64> {
    let number = file.strip_suffix(SUFFIX)?.parse().ok()?;
    (name(number) == file).then_some(number)
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
        assert_eq!(store.scan().unwrap(), Inventory::default());
        let kept = item(Class::Alert, "key", b"body");
        store.write(&ticket("ops", 7), &kept).unwrap();
        store.write(&ticket("ops", 8), &kept).unwrap();
        store.remove(&ticket("ops", 8)).unwrap();
        store.remove(&ticket("ops", 9)).unwrap();
        let inventory = Store::new(folder.path().join("queue")).scan().unwrap();
        let expected =
            Found { ticket: ticket("ops", 7), class: Class::Alert, key: "key".into(), at: kept.at, bytes: 4 };
        assert_eq!(inventory, Inventory { found: vec![expected], highest: 7 });
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
        let Inventory { found, highest } = store.scan().unwrap();
        assert_eq!(found.iter().map(|one| one.ticket.number).collect::<Vec<_>>(), [1]);
        assert_eq!(highest, 2, "the damaged one has its number for ever");
        let mut left: Vec<_> = fs::read_dir(lane).unwrap().map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["00000000000000000001.item", "damaged", "notes.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_the_disk_does_not_give_stays_there_and_hides_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        store.write(&ticket("ops", 4), &item(Class::Alert, "key", b"body")).unwrap();
        // Reading a folder fails as reading from a broken disk does, and so does following a link to itself.
        for number in [3, 9] {
            fs::create_dir(folder.path().join(format!("ops/{}", name(number)))).unwrap();
        }
        for lane in ["a", "z"] {
            std::os::unix::fs::symlink(lane, folder.path().join(lane)).unwrap();
        }
        fs::write(folder.path().join("notes.txt"), b"not ours").unwrap();
        let Inventory { found, highest } = store.scan().unwrap();
        assert_eq!(found.iter().map(|one| one.ticket.clone()).collect::<Vec<_>>(), [ticket("ops", 4)]);
        assert_eq!(highest, 9);
        assert!(folder.path().join("ops").join(name(3)).is_dir() && folder.path().join("ops").join(name(9)).is_dir());
    }

    #[cfg(unix)]
    #[test]
    fn a_root_that_cannot_be_read_is_an_error_and_one_that_is_no_folder_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("queue", folder.path().join("queue")).unwrap();
        fs::write(folder.path().join("file"), b"").unwrap();
        Store::new(folder.path().join("queue")).scan().unwrap_err();
        assert_eq!(Store::new(folder.path().join("file")).scan().unwrap(), Inventory::default());
    }

    #[test]
    fn an_item_is_never_written_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let first = item(Class::Alert, "first", b"body");
        store.write(&ticket("ops", 1), &first).unwrap();
        let error = store.write(&ticket("ops", 1), &item(Class::Alert, "second", b"body")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(store.read(&ticket("ops", 1)).unwrap(), first);
    }

    #[test]
    fn a_name_that_only_resembles_that_of_an_item_has_no_number() {
        assert_eq!(number(&name(7)), Some(7));
        for other in ["7.item", "+0000000000000000007.item", "00000000000000000007", "x.item", ".item"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it() {
        #[cfg(unix)]
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
