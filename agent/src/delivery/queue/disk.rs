//! The queue as the one sees it who keeps it on disk: what is to be written and removed there, and what the disk has said.

use super::{Queue, ticket};
use crate::delivery::item::Item;
use crate::delivery::room::Place;
use crate::delivery::ticket::{Chore, Ticket};

/// An item that cannot be read is tried so often, which takes two minutes: what the host is short of may be there again.
const MOST_READS: u32 = 8;

impl Queue {
    /// Takes note of whether there is a disk that answers, be it by refusing. Without one only little may wait.
    pub fn set_disk_answers(&mut self, answers: bool) {
        self.room.set_has_disk(answers);
        self.keep_to_budget();
    }

    /// Takes note of whether there is a disk that keeps what waits; returns whether that is news.
    pub const fn set_on_disk(&mut self, is_on_disk: bool) -> bool {
        std::mem::replace(&mut self.is_on_disk, is_on_disk) != is_on_disk
    }

    /// What the disk is to do next; `None` where it has all, or has refused what it has not.
    pub fn chore(&mut self) -> Option<Chore> {
        if !self.discarded.is_empty() {
            return Some(Chore::Remove(self.take_discarded()));
        }
        let ticket = ticket(self.room.oldest_in(Place::Pending)?);
        let item = self.in_memory(&ticket)?.clone();
        Some(Chore::Write(ticket, item))
    }

    /// Whether the disk has anything to do.
    pub fn has_chores(&self) -> bool {
        self.has_removals() || !self.room.is_empty(Place::Pending)
    }

    /// Whether there is something to be removed from disk.
    pub fn has_removals(&self) -> bool {
        !self.discarded.is_empty()
    }

    /// What was given up or delivered since the last call, and is still on disk.
    pub fn take_discarded(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.discarded)
    }

    /// An item that waits in memory.
    pub fn in_memory(&self, ticket: &Ticket) -> Option<&Item> {
        self.lanes.get(&ticket.lane)?.entries.get(&ticket.number)?.item.as_ref()
    }

    /// All items that wait in memory.
    pub fn all_in_memory(&self) -> Vec<Ticket> {
        let mut all: Vec<_> =
            [Place::Pending, Place::Refused].iter().flat_map(|place| self.room.all_in(*place)).map(ticket).collect();
        all.sort();
        all
    }

    /// Whether all that waits is on disk.
    pub fn is_all_stored(&self) -> bool {
        self.room.is_empty(Place::Pending) && self.room.is_empty(Place::Refused)
    }

    /// Takes note that an item is on disk; returns whether it still waits. If not, it is to be removed there.
    pub fn stored(&mut self, ticket: &Ticket) -> bool {
        let waits = self.relocate(ticket, Place::Stored);
        if !waits {
            self.discarded.push(ticket.clone());
        }
        waits
    }

    /// Takes note that the disk has refused an item.
    pub fn refused(&mut self, ticket: &Ticket) {
        self.relocate(ticket, Place::Refused);
        self.keep_to_budget();
    }

    /// Takes note that the disk has refused to remove these.
    pub fn not_removed(&mut self, tickets: Vec<Ticket>) {
        self.unremoved.extend(tickets);
    }

    /// Lets the disk be asked again for all that it has refused.
    pub fn retry(&mut self) {
        self.discarded.append(&mut self.unremoved);
        let refused: Vec<_> = self.room.all_in(Place::Refused).map(ticket).collect();
        for ticket in refused {
            self.relocate(&ticket, Place::Pending);
        }
    }

    /// Takes note that an item could not be read from disk; returns whether it never will be, as far as anybody can know.
    pub fn unreadable(&mut self, ticket: &Ticket) -> bool {
        let lane = self.lanes.get_mut(&ticket.lane);
        lane.and_then(|lane| lane.entries.get_mut(&ticket.number)).is_some_and(|entry| {
            entry.failed_reads = entry.failed_reads.saturating_add(1);
            entry.failed_reads >= MOST_READS
        })
    }

    /// Makes room on a full disk: gives up the oldest telemetry that is stored there, up to `bytes`. Returns whether
    /// there was any.
    pub fn make_room(&mut self, bytes: u64) -> bool {
        let mut room = 0_u64;
        while room < bytes {
            let Some(id) = self.room.oldest_stored_telemetry().cloned() else { break };
            let weight = self.lanes.get(&*id.1).and_then(|lane| Some(lane.entries.get(&id.0)?.weight.disk));
            room = room.saturating_add(weight.unwrap_or(bytes));
            self.give_way(&id);
        }
        room > 0
    }
}
