//! What was found in files, so that each is looked at once.

use std::collections::HashMap;
use std::fs::Metadata;

use super::library::Found;
use crate::sys;
use crate::time::SystemTime;

/// Larger files are not searched.
const LARGEST: u64 = 256 * 1024 * 1024;
/// More files are not remembered, and searched in each scan.
const MOST_KNOWN: usize = 4_096;
/// So much is read in one scan at most; what is left is read in the next.
const MOST_IN_A_SCAN: u64 = 1024 * 1024 * 1024;

/// What was found in the files of earlier scans. Keep it from one scan to the next.
#[derive(Debug, Default)]
pub struct Cache {
    known: HashMap<Key, Known>,
    round: u64,
    spent: u64,
}

/// A file whose content has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    identity: (u64, u64),
    modified: Option<SystemTime>,
    length: u64,
}

#[derive(Debug)]
struct Known {
    found: Vec<Found>,
    round: u64,
}

impl Cache {
    /// Begins a scan.
    pub fn begin(&mut self) {
        self.round += 1;
        self.spent = 0;
    }

    /// Ends a scan: what no process of it uses is forgotten.
    pub fn end(&mut self) {
        self.known.retain(|_, known| known.round == self.round);
    }

    /// What is in a file: known from before, or by `look`. `None` where it is too large to be searched, or the turn of
    /// another scan, or `look` fails.
    pub fn get(&mut self, file: &Metadata, look: impl FnOnce() -> Option<Vec<Found>>) -> Option<Vec<Found>> {
        let key = Key {
            identity: sys::file_identity(file),
            modified: file.modified().ok().map(SystemTime::of),
            length: file.len(),
        };
        if let Some(known) = self.known.get_mut(&key) {
            known.round = self.round;
            return Some(known.found.clone());
        }
        if file.len() > LARGEST || self.spent.saturating_add(file.len()) > MOST_IN_A_SCAN {
            return None;
        }
        self.spent += file.len();
        let found = look()?;
        if self.known.len() < MOST_KNOWN {
            self.known.insert(key, Known { found: found.clone(), round: self.round });
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn a_file_is_looked_at_once_until_it_changes_or_nobody_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let mut cache = Cache::default();
        let mut looks = 0;
        let mut get = |cache: &mut Cache| {
            cache.get(&fs::metadata(&path).unwrap(), || {
                looks += 1;
                Some(Vec::new())
            });
            looks
        };
        cache.begin();
        assert_eq!((get(&mut cache), get(&mut cache)), (1, 1));
        cache.end();
        cache.begin();
        assert_eq!(get(&mut cache), 1);
        fs::write(&path, "another").unwrap();
        assert_eq!(get(&mut cache), 2);
        cache.end();
        cache.begin();
        cache.end();
        cache.begin();
        assert_eq!(get(&mut cache), 3, "nobody used it in the scan before");
    }

    #[test]
    fn no_more_files_are_remembered_than_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut cache = Cache::default();
        cache.begin();
        for length in 0..=MOST_KNOWN {
            fs::write(&path, "").unwrap();
            File::options().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            assert!(cache.get(&fs::metadata(&path).unwrap(), || Some(Vec::new())).is_some());
        }
        assert_eq!(cache.known.len(), MOST_KNOWN);
    }

    #[test]
    fn what_is_too_large_and_what_is_too_much_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sparse = |name: &str, length| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(length).unwrap();
            file.metadata().unwrap()
        };
        let mut cache = Cache::default();
        cache.begin();
        assert_eq!(cache.get(&sparse("large", LARGEST + 1), || panic!("it is read")), None);
        for number in 0..4 {
            assert!(cache.get(&sparse(&number.to_string(), LARGEST), || Some(Vec::new())).is_some());
        }
        assert_eq!(cache.get(&sparse("last", 1), || panic!("it is read")), None);
        cache.begin();
        assert!(cache.get(&sparse("last", 1), || Some(Vec::new())).is_some());
    }
}
