//! What shared files say that were read before. A host has thousands of processes, most of which share the files of a few users:
//! no file is parsed anew for each of them, nor are two put together anew.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use super::grammar::{Grammar, REFERENCE};
use super::ini::{Dialect, Profiles};
use super::parser::{self, Refused};
use super::step::Chain;

/// So many profiles of a file are kept, of each SDK that reads it. Whoever runs a process may write as many as he likes.
pub(super) const MOST_PROFILES: usize = 4_096;
/// So many files are known at once, each as one SDK reads it. Whoever has more of them pays for it in time, not in memory.
const MOST_FILES: usize = 64;
/// The same in bytes of all of them.
const MOST_BYTES: usize = 2 << 20;

/// What a file says to one SDK, or why that refuses it.
type Told = Result<Arc<Profiles>, Refused>;

/// A file by its content, of which nothing but a hash is kept, and its length; and who reads it.
type Key = (u64, usize, Dialect, Option<Chain>);

/// What is known of files. None of it is a secret.
#[derive(Default)]
pub struct Known {
    // Nobody who writes a file knows by what it is hashed.
    hasher: RandomState,
    files: RefCell<HashMap<Key, Told>>,
    /// By where the two that were put together are in memory, as long as `files` has them.
    together: RefCell<HashMap<[usize; 2], Arc<Profiles>>>,
}

impl Known {
    /// What these bytes say to the SDK of a chain; `None` stands for most of them.
    pub(super) fn read(&self, dialect: Dialect, chain: Option<Chain>, bytes: &[u8]) -> Told {
        let key = (self.hasher.hash_one(bytes), bytes.len(), dialect, chain);
        if let Some(told) = self.files.borrow().get(&key) {
            return told.clone();
        }
        let grammar = chain.map_or(&REFERENCE, Grammar::of);
        let told = parser::read(grammar, dialect, bytes, MOST_PROFILES).map(Arc::new);
        let mut files = self.files.borrow_mut();
        let bytes_of_all: usize = files.keys().map(|(_, length, ..)| length).sum();
        if files.len() >= MOST_FILES || bytes_of_all + bytes.len() > MOST_BYTES {
            self.together.borrow_mut().clear();
            files.clear();
        }
        files.insert(key, told.clone());
        told
    }

    /// What two files say together, of which the keys of the second win.
    pub(super) fn merged(&self, one: &Arc<Profiles>, later: &Arc<Profiles>) -> Arc<Profiles> {
        // What is nothing was read from no file.
        if one.is_empty() || later.is_empty() {
            return Arc::clone(if one.is_empty() { later } else { one });
        }
        let both = [one, later].map(|profiles| Arc::as_ptr(profiles).addr());
        let merge = || Arc::new(one.as_ref().clone().merge(later.as_ref().clone()));
        let is_known = |profiles| {
            self.files.borrow().values().any(|told| told.as_ref().is_ok_and(|told| Arc::ptr_eq(told, profiles)))
        };
        if !is_known(one) || !is_known(later) {
            return merge();
        }
        Arc::clone(self.together.borrow_mut().entry(both).or_insert_with(merge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(profiles: &Profiles, key: &str) -> Option<String> {
        profiles.get("default")?.value(key).map(str::to_owned)
    }

    #[test]
    fn a_file_is_read_once_for_each_sdk_and_two_are_put_together_once() {
        let known = Known::default();
        let text = b"[default]\nregion = a\n";
        let first = known.read(Dialect::Config, None, text).unwrap();
        assert!(Arc::ptr_eq(&first, &known.read(Dialect::Config, None, text).unwrap()));
        assert!(!Arc::ptr_eq(&first, &known.read(Dialect::Config, Some(Chain::Go), text).unwrap()));
        let other = known.read(Dialect::Credentials, None, b"[default]\nregion = b\n").unwrap();
        let both = known.merged(&first, &other);
        assert_eq!(value(&both, "region").as_deref(), Some("b"));
        assert!(Arc::ptr_eq(&both, &known.merged(&first, &other)));
        assert_eq!(value(&known.merged(&other, &first), "region").as_deref(), Some("a"));
    }

    #[test]
    fn whoever_has_many_files_is_told_of_each_what_it_says() {
        let known = Known::default();
        for round in 0..3 {
            for number in 0..MOST_FILES + 3 {
                let read =
                    |dialect| known.read(dialect, None, format!("[default]\nregion = r{number}\n").as_bytes()).unwrap();
                let (config, credentials) = (read(Dialect::Config), read(Dialect::Credentials));
                let both = known.merged(&config, &credentials);
                assert_eq!(value(&both, "region"), Some(format!("r{number}")), "{round}");
            }
            assert!(known.files.borrow().len() <= MOST_FILES);
        }
    }

    #[test]
    fn what_is_refused_is_refused_again() {
        let known = Known::default();
        for _ in 0..2 {
            assert!(known.read(Dialect::Config, Some(Chain::Botocore), b"[default\n").is_err());
        }
    }
}
