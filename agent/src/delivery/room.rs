//! Room for what waits, and who gives way where there is not enough: the oldest telemetry first, wherever it waits, and an
//! alert only where no telemetry is left, then the oldest, for the sake of the newest.
//!
//! There are two limits. All that waits has to fit on disk, where every item takes whole blocks. And what the disk does not
//! keep has to fit into little memory. What the disk has only not been asked for yet is no part of that: however much comes
//! at once, the disk has its say on each before anything is given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::item::Class;

/// What may wait in memory that no disk keeps, in bytes.
const MEMORY: u64 = 512 * 1024;
/// More items must not wait: each takes some memory even where the disk has it.
const MOST_ITEMS: usize = 65_536;
/// The disk gives room by the block.
pub(super) const BLOCK: u64 = 4_096;
/// What stands before the body in a file, beside the key, at most.
pub(super) const DESCRIPTION: u64 = 256;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes, on disk.
    pub size: u64,
    /// How old an item may become.
    pub age: Duration,
}

/// An item by its place in the order of all, and its lane.
pub(super) type Id = (u64, Arc<str>);

/// Where an item waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In memory; the disk has not been asked for it, or has not answered.
    Pending,
    /// In memory; the disk has refused it.
    Refused,
    /// On disk.
    Stored,
}

const ALL: [Place; 3] = [Place::Pending, Place::Refused, Place::Stored];

/// What an item takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    /// Of the disk, once it is there.
    pub(super) disk: u64,
    /// Of memory, until then.
    pub(super) memory: u64,
}

impl Weight {
    /// That of an item whose body and key are so long.
    pub(super) const fn new(body: u64, key: u64) -> Self {
        let memory = body.saturating_add(key);
        let file = memory.saturating_add(DESCRIPTION);
        Self { disk: file.div_ceil(BLOCK).saturating_mul(BLOCK), memory }
    }
}

/// All items of a class in one place, oldest first.
#[derive(Debug, Default)]
struct Shelf {
    ids: BTreeSet<Id>,
    disk: u64,
    memory: u64,
}

/// Who takes how much room.
#[derive(Debug)]
pub(super) struct Room {
    budget: Budget,
    /// There is a disk, and it answers.
    has_disk: bool,
    shelves: BTreeMap<(Class, Place), Shelf>,
}

impl Room {
    pub(super) const fn new(budget: Budget) -> Self {
        Self { budget, has_disk: false, shelves: BTreeMap::new() }
    }

    pub(super) const fn budget(&self) -> Budget {
        self.budget
    }

    pub(super) const fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    pub(super) const fn has_disk(&self) -> bool {
        self.has_disk
    }

    pub(super) const fn set_has_disk(&mut self, has_disk: bool) {
        self.has_disk = has_disk;
    }

    /// An item is there.
    pub(super) fn put(&mut self, class: Class, place: Place, id: Id, weight: Weight) {
        let shelf = self.shelves.entry((class, place)).or_default();
        if shelf.ids.insert(id) {
            shelf.disk = shelf.disk.saturating_add(weight.disk);
            shelf.memory = shelf.memory.saturating_add(weight.memory);
        }
    }

    /// An item is there no more.
    pub(super) fn take(&mut self, class: Class, place: Place, id: &Id, weight: Weight) {
        let Some(shelf) = self.shelves.get_mut(&(class, place)) else { return };
        if shelf.ids.remove(id) {
            shelf.disk = shelf.disk.saturating_sub(weight.disk);
            shelf.memory = shelf.memory.saturating_sub(weight.memory);
        }
    }

    /// The oldest item in a place, of whichever class.
    pub(super) fn oldest_in(&self, place: Place) -> Option<&Id> {
        let of = |class| self.oldest(class, &[place], None);
        [of(Class::Telemetry), of(Class::Alert)].into_iter().flatten().min()
    }

    /// The oldest telemetry on disk.
    pub(super) fn oldest_stored_telemetry(&self) -> Option<&Id> {
        self.oldest(Class::Telemetry, &[Place::Stored], None)
    }

    /// All in a place, oldest first.
    pub(super) fn all_in(&self, place: Place) -> impl Iterator<Item = &Id> {
        self.shelves.iter().filter(move |((_, of), _)| *of == place).flat_map(|(_, shelf)| &shelf.ids)
    }

    /// Whether nothing is in a place.
    pub(super) fn is_empty(&self, place: Place) -> bool {
        self.all_in(place).next().is_none()
    }

    /// What is to be given up so that there is room for the rest; `None` where there is. `newest` is the number of what
    /// came last, which is kept if it is an alert, however large it is; and so is what waits alone.
    pub(super) fn first_to_go(&self, newest: u64) -> Option<&Id> {
        let count: usize = self.shelves.values().map(|shelf| shelf.ids.len()).sum();
        let disk: u64 = self.shelves.values().map(|shelf| shelf.disk).sum();
        let unkept: &[Place] = if self.has_disk { &[Place::Refused] } else { &[Place::Pending, Place::Refused] };
        let of_unkept = self.shelves.iter().filter(|((_, place), _)| unkept.contains(place));
        let memory: u64 = of_unkept.map(|(_, shelf)| shelf.memory).sum();
        let places = if disk > self.budget.size || count > MOST_ITEMS {
            &ALL
        } else if memory > MEMORY {
            unkept
        } else {
            return None;
        };
        if count < 2 {
            return None;
        }
        let telemetry = self.oldest(Class::Telemetry, places, None);
        telemetry.or_else(|| self.oldest(Class::Alert, places, Some(newest)))
    }

    fn oldest(&self, class: Class, places: &[Place], but: Option<u64>) -> Option<&Id> {
        let shelves = places.iter().filter_map(|place| self.shelves.get(&(class, *place)));
        shelves.filter_map(|shelf| shelf.ids.iter().find(|id| Some(id.0) != but)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { size: 1 << 30, age: Duration::from_secs(100) };

    fn weight() -> Weight {
        Weight::new(MEMORY / 4, 0)
    }

    fn room(places: &[Place]) -> Room {
        let mut room = Room::new(BUDGET);
        room.set_has_disk(true);
        for (number, place) in (1..).zip(places) {
            room.put(Class::Alert, *place, (number, "a".into()), weight());
        }
        room
    }

    fn first_to_go(room: &Room) -> Option<u64> {
        room.first_to_go(u64::MAX).map(|id| id.0)
    }

    #[test]
    fn an_item_takes_whole_blocks() {
        for (body, blocks) in [(0, 1), (1, 1), (BLOCK - DESCRIPTION - 3, 1), (BLOCK - DESCRIPTION - 2, 2), (BLOCK, 2)] {
            assert_eq!(Weight::new(body, 3), Weight { disk: blocks * BLOCK, memory: body + 3 }, "{body}");
        }
    }

    #[test]
    fn what_the_disk_was_not_asked_for_is_not_given_up_for_want_of_memory() {
        assert_eq!(first_to_go(&room(&[Place::Pending; 100])), None);
        assert_eq!(first_to_go(&room(&[Place::Stored; 100])), None);
        let mixed = [Place::Pending, Place::Refused, Place::Stored, Place::Refused, Place::Refused, Place::Refused];
        assert_eq!(first_to_go(&room(&mixed)), None);
        assert_eq!(first_to_go(&room(&[&mixed[..], &[Place::Refused]].concat())), Some(2));
    }

    #[test]
    fn without_a_disk_or_with_one_that_hangs_all_in_memory_counts() {
        let mut room =
            room(&[Place::Stored, Place::Pending, Place::Pending, Place::Refused, Place::Pending, Place::Pending]);
        assert_eq!(first_to_go(&room), None);
        room.set_has_disk(false);
        assert_eq!(first_to_go(&room), Some(2));
    }

    #[test]
    fn what_is_taken_away_makes_room() {
        let mut room = room(&[Place::Refused; 5]);
        assert_eq!(first_to_go(&room), Some(1));
        for _ in 0..2 {
            room.take(Class::Alert, Place::Refused, &(3, "a".into()), weight());
        }
        assert_eq!(first_to_go(&room), None);
        room.put(Class::Telemetry, Place::Refused, (9, "t".into()), weight());
        assert_eq!(first_to_go(&room), Some(9), "telemetry goes first, however new");
    }
}
