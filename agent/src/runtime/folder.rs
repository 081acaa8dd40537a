//! The state directory: that of one process, and of one host.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::checked::StateDir;
use crate::delivery::store::Health;
use crate::files::UNFINISHED;
use crate::host::mark::{self, Claim, Mark};
use crate::{state, sys};

/// Shows which process a state directory belongs to.
const LOCK: &str = "lock";
/// What waits for delivery.
pub(super) const QUEUE: &str = "queue";
/// Where that is put which another host has left. Only the last one is kept.
const ASIDE: &str = "another-host";
/// All that a host leaves, in the order in which it is put aside: as long as the mark is there, it is known whose it is.
const LEFT: [&str; 4] = [QUEUE, state::FILE, state::UNREADABLE, mark::FILE];

/// A state directory that this process alone writes to, and in which nothing is of another host.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) health: Health,
    /// By which something may be written there.
    pub(super) claim: Arc<Claim>,
    _lock: Option<File>,
}

impl Folder {
    /// Takes possession of the directory for the host of this mark; `None` where there is none, or where it is another
    /// agent's.
    pub(super) fn open(configured: Option<&StateDir>, here: &Mark) -> Option<Self> {
        const EFFECT: &str = "a restart forgets what fires and what waits for delivery";
        let StateDir { path, is_given } = configured?;
        let folder = path.display();
        if !path.is_dir() {
            if *is_given {
                tracing::warn!(state_dir = %folder, "the state directory does not exist: create it for the agent's user, else {EFFECT}");
            } else {
                tracing::info!(state_dir = %folder, "there is no state directory: {EFFECT}");
            }
            return None;
        }
        let mut health = Health::default();
        let lock =
            match sys::open_private(OpenOptions::new().create(true).truncate(false).write(true), &path.join(LOCK)) {
                Ok(lock) => Some(lock),
                // What can be read may still be of use, and the disk may become writable again.
                Err(error) => {
                    health.fails(path, &error);
                    None
                }
            };
        // Some file systems know no locks.
        if let Some(Err(TryLockError::WouldBlock)) = lock.as_ref().map(File::try_lock) {
            tracing::warn!(state_dir = %folder, "the state directory belongs to another agent that runs: give each its own, else {EFFECT}");
            return None;
        }
        let is_marked = match claim(path, here) {
            Ok(is_marked) => is_marked,
            Err(error) => {
                tracing::warn!(
                    state_dir = %folder,
                    %error,
                    "the state directory may hold what another host has left, and that cannot be put aside: nothing there is \
                     read, written or sent, and {EFFECT}: let the agent's user write there, or give it another one"
                );
                return None;
            }
        };
        let claim = Arc::new(Claim::new(path.clone(), here.clone(), is_marked));
        if let Err(error) = claim.make() {
            health.fails(path, &error);
        }
        Some(Self { path: path.clone(), health, claim, _lock: lock })
    }
}

/// Puts aside what another host has left in `folder`, or somebody of whom nothing is known: what this agent writes has its
/// mark from the beginning. Returns whether the mark of this host is there already.
fn claim(folder: &Path, here: &Mark) -> io::Result<bool> {
    let found = Mark::read(folder)?;
    let is_own = found.as_ref().is_some_and(|found| found.is_of(here));
    let is_left = |name: &&str| match *name {
        mark::FILE => false,
        // One whose items were all delivered is empty, and so may its lanes be.
        QUEUE => has_files(&folder.join(QUEUE)),
        name => folder.join(name).symlink_metadata().is_ok(),
    };
    let is_anything_left = !is_own && LEFT.iter().any(is_left);
    // A process that was killed meanwhile may have begun. What has the mark of this host has nothing more to give.
    let unfinished = folder.join(format!("{ASIDE}{UNFINISHED}"));
    if is_anything_left || unfinished.symlink_metadata().is_ok_and(|kind| kind.is_dir()) {
        set_aside(folder, &unfinished, if is_own { &[] } else { &LEFT }, here)?;
    }
    Ok(is_own && found.as_ref() == Some(here))
}

fn set_aside(folder: &Path, unfinished: &Path, left: &[&str], here: &Mark) -> io::Result<()> {
    let aside = folder.join(ASIDE);
    match sys::create_private_folder(unfinished, false) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for name in left {
        match fs::rename(folder.join(name), unfinished.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let replaces_earlier = match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        removed => removed.map(|()| true)?,
    };
    fs::rename(unfinished, &aside)?;
    sys::sync_folder(folder)?;
    let left_by = match Mark::read(&aside).ok().flatten() {
        Some(Mark { host: Some(host), .. }) => host.to_string(),
        Some(_) => "a host without an identity".to_owned(),
        None => "somebody who left no mark".to_owned(),
    };
    tracing::warn!(
        state_dir = %folder.display(),
        left_by,
        this_host = here.host.as_ref().map_or_else(|| "a host without an identity".to_owned(), ToString::to_string),
        alerts = state::peek(&aside).map(|state| state.image.firing()),
        items = items(&aside.join(QUEUE)),
        kept_as = %aside.display(),
        replaces_earlier,
        "the state directory is that of another host, as where an image was made of one that ran, or has no mark that says \
         whose it is: nothing of it is told or sent, and what fires here is told anew: remove what was put aside once nobody \
         wants to look at it"
    );
    Ok(())
}

/// Whether there is anything but folders in a queue. What cannot be looked at counts.
fn has_files(queue: &Path) -> bool {
    let is_empty_folder = |lane: io::Result<fs::DirEntry>| {
        lane.and_then(|lane| fs::read_dir(lane.path())).is_ok_and(|mut files| files.next().is_none())
    };
    match fs::read_dir(queue) {
        Ok(mut lanes) => !lanes.all(is_empty_folder),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// How many items wait in a queue.
fn items(queue: &Path) -> usize {
    let lanes = fs::read_dir(queue).into_iter().flatten().flatten();
    let files = lanes.flat_map(|lane| fs::read_dir(lane.path()).into_iter().flatten().flatten());
    files.filter(|file| file.path().extension().is_some_and(|end| end == "item")).count()
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::delivery::item::Class;
    use crate::delivery::item::tests::item;
    use crate::delivery::queue::Ticket;
    use crate::delivery::spool::tests::{count, log};
    use crate::delivery::store::Store;
    use crate::host::identity::HostId;

    fn host(id: &str) -> Mark {
        let host: HostId = serde_json::from_str(&format!("\"{id}\"")).unwrap();
        Mark { boot_id: format!("boot of {id}"), host: Some(host) }
    }

    fn open(folder: &Path, here: &Mark) -> Option<Folder> {
        Folder::open(Some(&StateDir { path: folder.to_owned(), is_given: true }), here)
    }

    /// What is there, but for the lock.
    fn names(folder: &Path) -> Vec<String> {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = files.filter(|name| name != LOCK).collect();
        names.sort();
        names
    }

    /// Leaves a state that cannot be read, and two items.
    fn live(folder: &Path, words: &str) {
        fs::create_dir_all(folder.join("queue/ops")).unwrap();
        for file in [state::FILE, state::UNREADABLE, "queue/ops/1.item", "queue/ops/2.item"] {
            fs::write(folder.join(file), words).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_a_host_left_is_its_own_after_another_boot_and_is_put_aside_by_every_other_host() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let (log, _guard) = log();
        open(folder, &host("i-1")).unwrap();
        live(folder, "of one");
        let own = names(folder);
        assert_eq!(own, [mark::FILE, QUEUE, state::FILE, state::UNREADABLE]);
        let booted = Mark { boot_id: "another".to_owned(), ..host("i-1") };
        open(folder, &booted).unwrap();
        assert_eq!((names(folder), Mark::read(folder).unwrap()), (own, Some(booted)));
        assert_eq!(count(&log, "another host"), 0);

        for (id, before) in [("i-2", "of one"), ("i-3", "of i-2")] {
            open(folder, &host(id)).unwrap();
            assert_eq!(
                (names(folder), Mark::read(folder).unwrap()),
                (vec![ASIDE.into(), mark::FILE.into()], Some(host(id)))
            );
            let aside = folder.join(ASIDE);
            assert_eq!(fs::metadata(&aside).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(names(&aside), [mark::FILE, QUEUE, state::FILE, state::UNREADABLE]);
            for file in [state::FILE, state::UNREADABLE, "queue/ops/2.item"] {
                assert_eq!(fs::read_to_string(aside.join(file)).unwrap(), before);
            }
            live(folder, &format!("of {id}"));
        }
        assert_eq!(count(&log, "another host"), 2);
        assert_eq!(count(&log, "items=2"), 2);
    }

    /// Puts so many things aside, as a process does that is killed then.
    fn put_aside(folder: &Path, moved: usize) {
        let unfinished = folder.join(format!("{ASIDE}{UNFINISHED}"));
        fs::create_dir(&unfinished).unwrap();
        for name in &LEFT[..moved] {
            fs::rename(folder.join(name), unfinished.join(name)).unwrap();
        }
    }

    #[test]
    fn a_process_that_was_killed_at_any_moment_of_putting_things_aside_has_lost_nothing() {
        for moved in 0..=LEFT.len() {
            for next in ["i-2", "i-3"] {
                let dir = tempfile::tempdir().unwrap();
                let folder = dir.path();
                open(folder, &host("i-1")).unwrap();
                live(folder, "of one");
                put_aside(folder, moved);
                // A line that is first written on a thread whose log nobody takes may never be written on any other.
                let (log, _guard) = log();
                open(folder, &host(next)).unwrap();
                assert_eq!((count(&log, "another host"), count(&log, "left_by=\"i-1\"")), (1, 1), "{moved} {next}");
                assert_eq!(names(folder), [ASIDE, mark::FILE]);
                assert_eq!(names(&folder.join(ASIDE)), [mark::FILE, QUEUE, state::FILE, state::UNREADABLE]);
                assert_eq!(items(&folder.join(ASIDE).join(QUEUE)), 2);
                live(folder, "of the next");
                open(folder, &host("i-4")).unwrap();
                assert_eq!((count(&log, "another host"), count(&log, "replaces_earlier=true")), (2, 1));
                assert_eq!(fs::read_to_string(folder.join(ASIDE).join(state::FILE)).unwrap(), "of the next");
            }
        }
    }

    #[test]
    fn a_host_that_comes_back_while_its_things_are_put_aside_keeps_what_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        open(folder, &host("i-1")).unwrap();
        live(folder, "of one");
        put_aside(folder, 1);
        let (log, _guard) = log();
        open(folder, &host("i-1")).unwrap();
        assert_eq!(names(folder), [ASIDE, mark::FILE, state::FILE, state::UNREADABLE]);
        assert_eq!((items(&folder.join(ASIDE).join(QUEUE)), count(&log, "items=2")), (2, 1));
    }

    #[test]
    fn what_has_no_mark_is_nobodys() {
        for left in [state::FILE, state::UNREADABLE, "queue/ops/1.item"] {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path();
            fs::create_dir_all(folder.join("queue/ops")).unwrap();
            fs::write(folder.join(left), "of somebody").unwrap();
            let (log, _guard) = log();
            open(folder, &host("i-1")).unwrap();
            assert_eq!(count(&log, "left_by=\"somebody who left no mark\""), 1, "{left}");
            assert_eq!(fs::read_to_string(folder.join(ASIDE).join(left)).unwrap(), "of somebody");
            assert!(!folder.join(left).exists());
            assert_eq!(Mark::read(folder).unwrap(), Some(host("i-1")));
        }
    }

    #[test]
    fn nothing_is_kept_before_the_mark_is() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        // A file cannot take the place of a folder.
        fs::create_dir(folder.join(mark::FILE)).unwrap();
        let opened = open(folder, &host("i-1")).unwrap();
        let store = Store::new(folder.join(QUEUE)).by(Arc::clone(&opened.claim));
        let ticket = Ticket { lane: "ops".to_owned(), number: 1 };
        store.write(&ticket, &item(Class::Alert, "key", b"body")).unwrap_err();
        assert_eq!(names(folder), [mark::FILE]);
        fs::remove_dir(folder.join(mark::FILE)).unwrap();
        store.write(&ticket, &item(Class::Alert, "key", b"body")).unwrap();
        assert_eq!(
            (names(folder), Mark::read(folder).unwrap()),
            (vec![mark::FILE.into(), QUEUE.into()], Some(host("i-1")))
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_another_host_left_and_cannot_be_put_aside_is_used_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        open(folder, &host("i-1")).unwrap();
        live(folder, "of one");
        // A folder cannot take the place of a file.
        fs::write(folder.join(format!("{ASIDE}{UNFINISHED}")), "in the way").unwrap();
        let (log, _guard) = log();
        assert!(open(folder, &host("i-2")).is_none());
        assert_eq!(count(&log, "cannot be put aside"), 1);
        assert_eq!(Mark::read(folder).unwrap(), Some(host("i-1")));
        assert_eq!(fs::read_to_string(folder.join(state::FILE)).unwrap(), "of one");
        assert_eq!(items(&folder.join(QUEUE)), 2);
        assert!(open(folder, &host("i-1")).is_some(), "its own host goes on");
    }

    #[test]
    fn a_mark_without_anything_else_is_written_over_and_nothing_is_said() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), &host("i-1")).unwrap();
        let (log, _guard) = log();
        open(dir.path(), &host("i-2")).unwrap();
        assert_eq!((names(dir.path()), Mark::read(dir.path()).unwrap()), (vec![mark::FILE.into()], Some(host("i-2"))));
        assert_eq!(count(&log, "another host"), 0);
    }
}
