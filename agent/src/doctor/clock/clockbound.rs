//! What ClockBound says of the clock to the applications that ask it: the memory that it shares with them, in version 2.
//!
//! It says how wrong the system clock may be, and not by how much it is: a claim, which can be compared with what was measured.

use std::path::Path;

use super::tree;
use crate::foreign::{self, Refusal, Writers};
use crate::sys;
use crate::time::{BootTime, Span};

/// Where the daemon of ClockBound 2 and 3 keeps it.
const MEMORY: &str = "/run/clockbound/shm0";
const LENGTH: usize = 80;
/// The first eight bytes, as two numbers in the order of the machine.
const MAGIC: [u32; 2] = [0x414d_5a4e, 0x4342_0200];
const VERSION: u16 = 2;
/// The writer has another clock than the reader, which is behind it by a tick of the kernel at most.
const CLOCKS_APART: Span = Span::from_nanos(1_000_000_000);
/// A writer that is at work is waited for so many times.
const ATTEMPTS: u32 = 10;

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockBound {
    /// How far the clock was off at most when that was written.
    pub bound: Span,
    /// How long ago that was, by the monotonic clock.
    pub age: Span,
    /// By how much the claim grows, in seconds a second.
    pub drift: f64,
    /// Whether it holds: not after its end, and not where ClockBound itself says that it does not know.
    pub holds: bool,
}

impl ClockBound {
    /// How far the clock is off now at most; `None` where nothing is claimed.
    pub fn claim(&self) -> Option<Span> {
        self.holds.then(|| self.bound.plus(self.age.scaled(self.drift)))
    }
}

/// Reads it below `root`, where one of `writers` owns it; `None` where there is none. Their group may write to its folder, as
/// the daemon's documents have it for old releases of systemd.
pub fn read(root: &Path, writers: &Writers) -> Option<Result<ClockBound, String>> {
    let path = tree::under(root, MEMORY);
    let read = || {
        let found = foreign::file(&path)?;
        let owner = found.owner();
        if !writers.include(owner) {
            return Err(Refusal::Owner { path: MEMORY.into(), owner });
        }
        found.beginning(LENGTH)
    };
    for _ in 0..ATTEMPTS {
        let (before, after) = match read().and_then(|before| Ok((before, read()?))) {
            Err(Refusal::NotFound) => return None,
            Err(refusal) => return Some(Err(refusal.to_string())),
            Ok(pages) => pages,
        };
        // An odd generation is written at this moment, and another one was written meanwhile. What has none is no memory.
        if before == after && generation(&before).is_none_or(|generation| generation.is_multiple_of(2)) {
            let decoded = sys::monotonic().ok().and_then(|now| decode(&before, now));
            return Some(decoded.ok_or_else(|| "it is not the memory of ClockBound in version 2".to_owned()));
        }
    }
    Some(Err("it is written all the time".to_owned()))
}

fn generation(page: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(page.get(14..16)?.try_into().ok()?))
}

fn decode(page: &[u8], now: BootTime) -> Option<ClockBound> {
    let word = |at: usize| Some(u32::from_ne_bytes(page.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(i64::from_ne_bytes(page.get(at..at + 8)?.try_into().ok()?));
    let time =
        |at: usize| Some(BootTime::from_nanos(long(at)?.saturating_mul(1_000_000_000).saturating_add(long(at + 8)?)));
    let version = u16::from_ne_bytes(page.get(12..14)?.try_into().ok()?);
    if [word(0)?, word(4)?] != MAGIC || version != VERSION || generation(page)? == 0 {
        return None;
    }
    let (as_of, void_after) = (time(16)?, time(32)?);
    let bound = Span::from_nanos(long(48)?);
    // Nobody is right to less than nothing, and of a time to come nobody knows anything.
    if bound < Span::ZERO || as_of > void_after || as_of.since(now) > CLOCKS_APART {
        return None;
    }
    // Unknown 0, synchronized 1, free-running 2, disrupted 3.
    let is_known = matches!(word(68)?, 1 | 2);
    Some(ClockBound {
        bound,
        age: now.since(as_of).max(Span::ZERO),
        drift: f64::from(word(64)?) * 1e-9,
        holds: is_known && now <= void_after,
    })
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;

    use clock_bound_shm::{ClockErrorBound, ClockStatus, ShmWrite, ShmWriter};
    use proptest::prelude::*;

    use super::*;

    fn read_of(root: &Path) -> Option<Result<ClockBound, String>> {
        read(root, &Writers::with([]))
    }

    /// What ClockBound's own writer leaves below a root: as of so many seconds ago.
    fn written(ago: f64, holds_for: f64, status: ClockStatus) -> tempfile::TempDir {
        written_with(ago, holds_for, 1_500_000, status)
    }

    fn written_with(ago: f64, holds_for: f64, bound: i64, status: ClockStatus) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let path = tree::under(root.path(), MEMORY);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let at = |seconds: f64| {
            sys::monotonic().unwrap().plus(Span::from_seconds(seconds)).since(BootTime::ZERO).to_duration()
        };
        let (as_of, void_after) = (at(-ago).into(), at(holds_for).into());
        let bound = ClockErrorBound::new(as_of, void_after, bound, 0, 50_000, status, true);
        ShmWriter::new(&path).unwrap().write(&bound);
        root
    }

    #[test]
    fn what_the_writer_of_clockbound_leaves_is_read() {
        let read = |ago, holds_for, status| read_of(written(ago, holds_for, status).path()).unwrap().unwrap();
        let fresh = read(0.0, 1e3, ClockStatus::Synchronized);
        assert_eq!((fresh.bound, fresh.drift), (Span::from_nanos(1_500_000), 5e-5));
        let claim = read(100.0, 1e3, ClockStatus::FreeRunning).claim().unwrap();
        assert!((claim.seconds() - 0.0015 - 0.005).abs() < 1e-4, "{claim:?}");
        assert_eq!(read(100.0, -1.0, ClockStatus::Synchronized).claim(), None, "it is over");
        for status in [ClockStatus::Unknown, ClockStatus::Disrupted] {
            assert_eq!(read(0.0, 1e3, status).claim(), None);
        }
    }

    #[test]
    fn what_cannot_be_so_is_not_believed() {
        let refused = |root: tempfile::TempDir| read_of(root.path()).unwrap().unwrap_err();
        let status = ClockStatus::Synchronized;
        assert!(
            refused(written_with(0.0, 1e3, -10_000_000_000, status)).contains("not the memory"),
            "less than nothing"
        );
        assert!(refused(written(-60.0, 1e3, status)).contains("not the memory"), "from the future");
        assert!(refused(written(0.0, -60.0, status)).contains("not the memory"), "over before it began");
    }

    #[test]
    fn what_somebody_else_owns_is_not_read() {
        let root = written(0.0, 1e3, ClockStatus::Synchronized);
        let refused = read(root.path(), &Writers::with([])).unwrap();
        // Whoever runs the tests owns it: root's word counts, and theirs.
        assert!(refused.is_ok(), "{refused:?}");
        let refused = read(root.path(), &Writers::only([54_321])).unwrap().unwrap_err();
        assert!(refused.contains("whose word does not count"), "{refused}");
    }

    #[test]
    fn what_is_not_there_or_is_something_else_claims_nothing() {
        assert_eq!(read_of(tree::plant(&[]).path()), None);
        let odd = tree::plant(&[(
            MEMORY,
            "something else that is long enough to be the memory of ClockBound, 80 bytes and more",
        )]);
        assert!(matches!(read_of(odd.path()), Some(Err(_))));
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in prop::collection::vec(any::<u8>(), 0..100), is_one in any::<bool>()) {
            let mut page = page;
            if is_one && page.len() >= 16 {
                let head = [MAGIC[0].to_ne_bytes(), MAGIC[1].to_ne_bytes()].concat();
                page[..8].copy_from_slice(&head);
                page[12..14].copy_from_slice(&VERSION.to_ne_bytes());
            }
            if let Some(found) = decode(&page, BootTime::ZERO) {
                let _ = found.claim();
            }
        }
    }
}
