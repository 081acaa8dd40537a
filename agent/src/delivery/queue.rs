//! What waits for delivery, and which of it is sent next: without I/O and without a clock, so that it can be played in
//! invented time.
//!
//! Each destination has a lane, in which the oldest item comes first. All lanes share one budget: where there is no room
//! for all, the oldest telemetry goes first, wherever it waits, and an alert only where no telemetry is left: then the
//! oldest, for the sake of the newest.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::item::{Class, Item};
use super::request::{Answer, Failure};
use crate::clock::time::{BootTime, Span};
use crate::clock::true_clock::Stamp;
use crate::snapshot::Delivery;

/// What may wait in memory while there is no disk to keep it.
const MEMORY: u64 = 512 * 1024;
/// Neither on disk nor in memory may more items wait.
const MOST_ITEMS: usize = 20_000;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A destination that asks for more patience than this is asked again all the same.
const LONGEST_WISH: Duration = Duration::from_secs(3_600);
/// A fleet that was told the same does not come back at the same moment: up to this part of it is added.
const WISH_SPREAD: f64 = 0.1;
/// An item that cannot be read is tried so often, which takes two minutes: what the host is short of may be there again.
const MOST_READS: u32 = 8;
/// The distance between items that have waited, so that a fleet which comes back does not trample its collector.
const PACE: Duration = Duration::from_millis(100);

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes, on disk.
    pub size: u64,
    /// How old an item may become.
    pub age: Duration,
}

/// An item, by its place in the order of all that were accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Where it goes.
    pub lane: String,
    /// A later item has a higher number.
    pub number: u64,
}

/// What was found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which item it is.
    pub ticket: Ticket,
    /// What is given up first.
    pub class: Class,
    /// Its idempotency key.
    pub key: String,
    /// When it was made.
    pub at: Stamp,
    /// Its size.
    pub bytes: u64,
}

/// What the sender of a lane is to do.
#[derive(Debug)]
pub enum Next {
    /// Wait until something comes.
    Nothing,
    /// Wait until then, or until something comes.
    Wait(BootTime),
    /// Send this item, which is on disk.
    Stored(Ticket),
    /// Send this item.
    Item(Option<Ticket>, Item),
}

/// What became of an item that was pushed.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits, if there was room for it.
    Waits(Ticket),
    /// It waits already, by its key.
    Known,
}

/// What the disk is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Chore {
    /// Forget these.
    Remove(Vec<Ticket>),
    /// Keep this.
    Write(Ticket, Item),
}

/// Whether an alert outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is on disk, or does not wait any more.
    Safe,
    /// It waits in memory until the disk has it.
    Pending,
    /// It waits in memory, and the disk has refused it.
    Refused,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    class: Class,
    /// The idempotency key of an alert, by which a second push of the same is known.
    key: Option<Box<str>>,
    at: Stamp,
    /// Since when this process has had it; `None` for what was found on disk, until the first look at its age.
    since: Option<BootTime>,
    bytes: u64,
    /// The item itself, until it is on disk.
    item: Option<Item>,
    /// The disk has refused it, and is not asked again before it is time to.
    is_refused: bool,
    /// How often it could not be read from disk.
    failed_reads: u32,
}

/// One destination.
#[derive(Debug, Default)]
struct Lane {
    entries: VecDeque<Entry>,
    /// What is worth sending only while nothing newer is there: it neither waits in line nor outlives the process.
    latest: Option<Item>,
    pause: Option<Duration>,
    not_before: Option<BootTime>,
    /// The destination itself has asked to wait.
    is_asked_to_wait: bool,
    /// What is in the lane has waited: it is sent at a pace.
    is_backlog: bool,
    /// The configuration does not name it any more.
    is_abandoned: bool,
    state: Delivery,
}

/// All that waits.
#[derive(Debug)]
pub struct Queue {
    budget: Budget,
    lanes: BTreeMap<String, Lane>,
    next_number: u64,
    is_on_disk: bool,
    /// Given up or delivered, and still on disk: to be removed there.
    discarded: Vec<Ticket>,
    /// The same, which the disk has refused to remove.
    unremoved: Vec<Ticket>,
}

impl Queue {
    /// A queue with what was found on disk, and nothing else.
    pub fn new(budget: Budget, found: impl IntoIterator<Item = Found>) -> Self {
        let mut queue = Self {
            budget,
            lanes: BTreeMap::new(),
            next_number: 1,
            is_on_disk: false,
            discarded: Vec::new(),
            unremoved: Vec::new(),
        };
        for Found { ticket: Ticket { lane, number }, class, key, at, bytes } in found {
            queue.next_number = queue.next_number.max(number.saturating_add(1));
            let lane = queue.lane(&lane);
            let key = (class == Class::Alert).then(|| key.into());
            let (since, item, is_refused, failed_reads) = (None, None, false, 0);
            lane.entries.push_back(Entry { number, class, key, at, since, bytes, item, is_refused, failed_reads });
            lane.is_backlog = true;
        }
        for lane in queue.lanes.values_mut() {
            lane.entries.make_contiguous().sort_by_key(|entry| entry.number);
            lane.count();
        }
        queue.keep_to_budget();
        queue
    }

    /// Gives all that is pushed from now on a higher number than `number`.
    pub fn number_after(&mut self, number: u64) {
        self.next_number = self.next_number.max(number.saturating_add(1));
    }

    /// Changes how much may wait.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
        self.keep_to_budget();
    }

    fn lane(&mut self, name: &str) -> &mut Lane {
        let make =
            || Lane { state: Delivery { destination: name.to_owned(), ..Delivery::default() }, ..Lane::default() };
        self.lanes.entry(name.to_owned()).or_insert_with(make)
    }

    /// Takes an item. Until [`Queue::stored`] says otherwise it waits in memory.
    pub fn push(&mut self, lane: &str, item: Item, now: BootTime) -> Pushed {
        let number = self.next_number;
        let name = lane.to_owned();
        let lane = self.lane(lane);
        let is_alert = item.class == Class::Alert;
        if is_alert && lane.entries.iter().any(|entry| entry.key.as_deref() == Some(item.key.as_str())) {
            return Pushed::Known;
        }
        // An alert does not sit out a pause that began long before it.
        if is_alert && !lane.is_asked_to_wait {
            lane.not_before = lane.not_before.map(|then| then.min(now.plus(Span::from_duration(FIRST_PAUSE))));
        }
        let key = is_alert.then(|| item.key.as_str().into());
        let bytes = length(item.body.len());
        let (class, at, since, is_refused, failed_reads) = (item.class, item.at, Some(now), false, 0);
        let item = Some(item);
        lane.entries.push_back(Entry { number, class, key, at, since, bytes, item, is_refused, failed_reads });
        self.next_number = number.saturating_add(1);
        self.keep_to_budget();
        self.lane(&name).count();
        Pushed::Waits(Ticket { lane: name, number })
    }

    /// Puts `item` in the place of an earlier one like it: sent while nothing else waits, and forgotten with the process.
    pub fn push_latest(&mut self, lane: &str, item: Option<Item>) {
        self.lane(lane).latest = item;
    }

    /// Takes note that an item is on disk; returns whether it still waits. If not, it is to be removed there.
    pub fn stored(&mut self, ticket: &Ticket) -> bool {
        let Some(entry) = self.entry(ticket) else {
            self.discarded.push(ticket.clone());
            return false;
        };
        (entry.item, entry.is_refused) = (None, false);
        true
    }

    /// Takes note that the disk has refused an item.
    pub fn refused(&mut self, ticket: &Ticket) {
        if let Some(entry) = self.entry(ticket) {
            entry.is_refused = true;
        }
    }

    /// Takes note that an item could not be read from disk; returns whether it never will be, as far as anybody can know.
    pub fn unreadable(&mut self, ticket: &Ticket) -> bool {
        self.entry(ticket).is_some_and(|entry| {
            entry.failed_reads = entry.failed_reads.saturating_add(1);
            entry.failed_reads >= MOST_READS
        })
    }

    /// Takes note that the disk has refused to remove these.
    pub fn not_removed(&mut self, tickets: Vec<Ticket>) {
        self.unremoved.extend(tickets);
    }

    /// Lets the disk be asked again for all that it has refused.
    pub fn retry(&mut self) {
        self.discarded.append(&mut self.unremoved);
        for entry in self.lanes.values_mut().flat_map(|lane| &mut lane.entries) {
            entry.is_refused = false;
        }
    }

    /// What the disk is to do next; `None` where it has all, or has refused what it has not.
    pub fn chore(&mut self) -> Option<Chore> {
        if !self.discarded.is_empty() {
            return Some(Chore::Remove(self.take_discarded()));
        }
        let ticket = self.unwritten()?;
        let item = self.in_memory(&ticket)?.clone();
        Some(Chore::Write(ticket, item))
    }

    /// Whether the disk has anything to do.
    pub fn has_chores(&self) -> bool {
        self.has_removals() || self.unwritten().is_some()
    }

    /// Whether there is something to be removed from disk.
    pub fn has_removals(&self) -> bool {
        !self.discarded.is_empty()
    }

    fn unwritten(&self) -> Option<Ticket> {
        self.oldest(|entry| entry.item.is_some() && !entry.is_refused)
    }

    /// Whether the alert of this key outlives the process. In a lane that is abandoned it waits for nobody.
    pub fn keeping(&self, lane: &str, key: &str) -> Keeping {
        let lane = self.lanes.get(lane).filter(|lane| !lane.is_abandoned);
        let entry = lane.and_then(|lane| lane.entries.iter().find(|entry| entry.key.as_deref() == Some(key)));
        match entry {
            Some(Entry { item: Some(_), is_refused: false, .. }) => Keeping::Pending,
            Some(Entry { item: Some(_), is_refused: true, .. }) => Keeping::Refused,
            Some(Entry { item: None, .. }) | None => Keeping::Safe,
        }
    }

    /// An item that waits in memory.
    pub fn in_memory(&self, ticket: &Ticket) -> Option<&Item> {
        let lane = self.lanes.get(&ticket.lane)?;
        lane.entries.iter().find(|entry| entry.number == ticket.number)?.item.as_ref()
    }

    /// All items that wait in memory.
    pub fn all_in_memory(&self) -> Vec<Ticket> {
        let of = |(name, lane): (&String, &Lane)| {
            let memory = lane.entries.iter().filter(|entry| entry.item.is_some());
            memory.map(|entry| Ticket { lane: name.clone(), number: entry.number }).collect::<Vec<_>>()
        };
        self.lanes.iter().flat_map(of).collect()
    }

    /// What is to be sent next in a lane.
    pub fn next(&self, name: &str, now: BootTime) -> Next {
        let Some(lane) = self.lanes.get(name) else { return Next::Nothing };
        if lane.entries.is_empty() && lane.latest.is_none() {
            return Next::Nothing;
        }
        if let Some(then) = lane.not_before.filter(|then| *then > now) {
            return Next::Wait(then);
        }
        match (lane.entries.front(), &lane.latest) {
            (Some(entry), _) => {
                let ticket = Ticket { lane: name.to_owned(), number: entry.number };
                match &entry.item {
                    Some(item) => Next::Item(Some(ticket), item.clone()),
                    None => Next::Stored(ticket),
                }
            }
            (None, Some(latest)) => Next::Item(None, latest.clone()),
            (None, None) => Next::Nothing,
        }
    }

    /// Ends the pause of a lane.
    pub fn hurry(&mut self, name: &str) {
        let lane = self.lane(name);
        (lane.pause, lane.not_before, lane.is_asked_to_wait) = (None, None, false);
    }

    /// Notes how an attempt at `ticket` ended, or at the latest item where there is none; `luck` of 0 to 1 spreads the
    /// next one. Returns whether the destination broke down or recovered with it.
    pub fn settle(
        &mut self,
        name: &str,
        ticket: Option<&Ticket>,
        result: &Result<Answer, Failure>,
        now: BootTime,
        luck: f64,
    ) -> bool {
        let lane = self.lane(name);
        let was_broken = lane.state.error.is_some();
        let spread = |pause: Duration| Span::from_duration(pause.mul_f64(0.5 + luck));
        lane.is_asked_to_wait = false;
        let is_final = match result {
            Ok(_) => {
                lane.state.error = None;
                true
            }
            Err(failure) => {
                lane.state.failures = lane.state.failures.saturating_add(1);
                lane.state.error = Some(failure.reason.clone());
                !failure.retry
            }
        };
        match result {
            Err(Failure { retry: true, retry_after, .. }) => {
                let pause = lane.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
                let wish = retry_after.unwrap_or_default().min(LONGEST_WISH);
                let wish = Span::from_duration(wish.mul_f64(1.0 + WISH_SPREAD * luck));
                lane.pause = Some(pause);
                lane.is_asked_to_wait = retry_after.is_some();
                lane.is_backlog = true;
                lane.not_before = Some(now.plus(spread(pause).max(wish)));
            }
            _ => {
                lane.pause = None;
                lane.not_before = lane.is_backlog.then(|| now.plus(spread(PACE)));
            }
        }
        if is_final {
            match ticket {
                Some(ticket) => {
                    // What was given up on its way is counted as such.
                    if self.remove(ticket) {
                        let state = &mut self.lane(name).state;
                        let count = if result.is_ok() { &mut state.delivered } else { &mut state.dropped };
                        *count = count.saturating_add(1);
                    }
                }
                None => lane.latest = None,
            }
        }
        let lane = self.lane(name);
        lane.is_backlog &= !lane.entries.is_empty();
        lane.count();
        was_broken != lane.state.error.is_some()
    }

    /// Gives up an item.
    pub fn lose(&mut self, ticket: &Ticket) {
        if self.remove(ticket) {
            let lane = self.lane(&ticket.lane);
            lane.state.dropped = lane.state.dropped.saturating_add(1);
            lane.count();
        }
    }

    /// Gives up what is older than the budget allows at `now`, which is `boot` by the boot clock. Only what is known to be
    /// old is: by two stamps neither of which rests on the system clock alone, or because it has waited here for so long.
    pub fn expire(&mut self, now: Stamp, boot: BootTime) -> u64 {
        let age = Span::from_duration(self.budget.age);
        let is_old = |at: Stamp, since: BootTime| {
            boot.since(since) > age || at.verified && now.verified && now.time.since(at.time) > age
        };
        let mut expired = 0_u64;
        for (name, lane) in &mut self.lanes {
            let discarded = &mut self.discarded;
            let before = expired;
            lane.entries.retain_mut(|entry| {
                let is_old = is_old(entry.at, *entry.since.get_or_insert(boot));
                if is_old {
                    if entry.item.is_none() {
                        discarded.push(Ticket { lane: name.clone(), number: entry.number });
                    }
                    expired = expired.saturating_add(1);
                }
                !is_old
            });
            lane.state.dropped = lane.state.dropped.saturating_add(expired.saturating_sub(before));
            lane.count();
        }
        expired
    }

    /// Makes room on a full disk: gives up the oldest telemetry that is stored there, up to `bytes`. Returns whether
    /// there was any.
    pub fn make_room(&mut self, bytes: u64) -> bool {
        let mut room = 0_u64;
        while room < bytes {
            let is_stored_telemetry = |entry: &Entry| entry.class == Class::Telemetry && entry.item.is_none();
            let Some(ticket) = self.oldest(is_stored_telemetry) else { break };
            room = room.saturating_add(self.entry(&ticket).map_or(0, |entry| entry.bytes));
            self.lose(&ticket);
        }
        room > 0
    }

    /// What was given up or delivered since the last call, and is still on disk.
    pub fn take_discarded(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.discarded)
    }

    /// The state of a lane.
    pub fn state(&self, name: &str) -> Option<Delivery> {
        self.lanes.get(name).map(|lane| Delivery { on_disk: self.is_on_disk, ..lane.state.clone() })
    }

    /// Makes sure that there is a lane of this name, and returns its state.
    pub fn open(&mut self, name: &str) -> Delivery {
        let is_on_disk = self.is_on_disk;
        let lane = self.lane(name);
        lane.is_abandoned = false;
        Delivery { on_disk: is_on_disk, ..lane.state.clone() }
    }

    /// Takes note that nothing is sent any more from the lane of this name.
    pub fn abandon(&mut self, name: &str) {
        self.lane(name).is_abandoned = true;
    }

    /// Takes note of whether there is a disk that keeps what waits; returns whether that is news.
    pub const fn set_on_disk(&mut self, is_on_disk: bool) -> bool {
        std::mem::replace(&mut self.is_on_disk, is_on_disk) != is_on_disk
    }

    /// The names of all lanes in which something waits, and how much.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lanes
            .iter()
            .filter(|(_, lane)| !lane.entries.is_empty())
            .map(|(name, lane)| (name.as_str(), lane.entries.len()))
    }

    /// Whether all that waits in a lane is on disk.
    pub fn is_safe(&self, name: &str) -> bool {
        self.lanes.get(name).is_none_or(|lane| lane.entries.iter().all(|entry| entry.item.is_none()))
    }

    fn entry(&mut self, ticket: &Ticket) -> Option<&mut Entry> {
        self.lanes.get_mut(&ticket.lane)?.entries.iter_mut().find(|entry| entry.number == ticket.number)
    }

    /// Takes an item out of its lane; returns whether it was there.
    fn remove(&mut self, ticket: &Ticket) -> bool {
        let Some(lane) = self.lanes.get_mut(&ticket.lane) else { return false };
        let place = lane.entries.iter().position(|entry| entry.number == ticket.number);
        let Some(entry) = place.and_then(|place| lane.entries.remove(place)) else { return false };
        if entry.item.is_none() {
            self.discarded.push(ticket.clone());
        }
        true
    }

    /// The oldest item of all lanes that is one of those.
    fn oldest(&self, is_one: impl Fn(&Entry) -> bool) -> Option<Ticket> {
        let first = |(name, lane): (&String, &Lane)| {
            let entry = lane.entries.iter().find(|entry| is_one(entry))?;
            Some(Ticket { lane: name.clone(), number: entry.number })
        };
        self.lanes.iter().filter_map(first).min_by_key(|ticket| ticket.number)
    }

    fn keep_to_budget(&mut self) {
        loop {
            let all = || self.lanes.values().flat_map(|lane| &lane.entries);
            let sum = |entries: &mut dyn Iterator<Item = &Entry>| entries.map(|entry| entry.bytes).sum::<u64>();
            let in_memory = |entry: &Entry| entry.item.is_some();
            let memory = sum(&mut all().filter(|entry| in_memory(entry)));
            let is_over = sum(&mut all()) > self.budget.size || all().count() > MOST_ITEMS;
            let is_candidate = |entry: &Entry| is_over || in_memory(entry);
            if !is_over && memory <= MEMORY || all().nth(1).is_none() {
                return;
            }
            let newest = self.next_number.saturating_sub(1);
            let telemetry = self.oldest(|entry| entry.class == Class::Telemetry && is_candidate(entry));
            let alert = || self.oldest(|entry| entry.number != newest && is_candidate(entry));
            let Some(ticket) = telemetry.or_else(alert) else { return };
            self.lose(&ticket);
        }
    }
}

impl Lane {
    fn count(&mut self) {
        self.state.queued = length(self.entries.len());
        self.state.bytes = self.entries.iter().map(|entry| entry.bytes).sum();
    }
}

fn length(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::time::TrueTime;
    use crate::delivery::item::tests::item;

    const BUDGET: Budget = Budget { size: 100, age: Duration::from_secs(100) };

    fn at(seconds: f64) -> BootTime {
        BootTime::from_seconds(seconds)
    }

    fn answered(status: u16) -> Result<Answer, Failure> {
        let answer = Answer { status, body: bytes::Bytes::new() };
        if status == 200 { Ok(answer) } else { Err(Failure::transient(format!("status {status}"))) }
    }

    fn push(queue: &mut Queue, lane: &str, class: Class, key: &str, size: usize) -> Ticket {
        match queue.push(lane, item(class, key, &vec![0; size]), at(0.0)) {
            Pushed::Waits(ticket) => ticket,
            Pushed::Known => panic!("{key} is known"),
        }
    }

    fn keys(queue: &Queue) -> Vec<String> {
        let items = queue.all_in_memory();
        items.iter().map(|ticket| queue.in_memory(ticket).unwrap().key.clone()).collect()
    }

    #[test]
    fn the_oldest_telemetry_goes_first_wherever_it_waits_and_alerts_last() {
        let mut queue = Queue::new(BUDGET, []);
        push(&mut queue, "a", Class::Alert, "a1", 40);
        push(&mut queue, "t", Class::Telemetry, "t1", 30);
        push(&mut queue, "u", Class::Telemetry, "u1", 30);
        push(&mut queue, "t", Class::Telemetry, "t2", 30);
        assert_eq!(keys(&queue), ["a1", "t2", "u1"]);
        assert_eq!(queue.state("t").unwrap().dropped, 1);
        push(&mut queue, "a", Class::Alert, "a2", 50);
        assert_eq!(keys(&queue), ["a1", "a2"], "no telemetry is left");
        push(&mut queue, "a", Class::Alert, "a3", 40);
        assert_eq!(keys(&queue), ["a2", "a3"]);
        push(&mut queue, "t", Class::Telemetry, "t3", 20);
        assert_eq!(keys(&queue), ["a2", "a3"], "telemetry that finds no room among alerts is given up itself");
        assert_eq!(queue.state("t").unwrap().dropped, 3);
        push(&mut queue, "a", Class::Alert, "a4", 500);
        assert_eq!(keys(&queue), ["a4"], "the newest alert is kept, however large");
        assert_eq!((queue.state("a").unwrap().dropped, queue.state("u").unwrap().dropped), (3, 1));
    }

    #[test]
    fn what_waits_alone_is_kept_however_large() {
        for class in [Class::Telemetry, Class::Alert] {
            let mut queue = Queue::new(BUDGET, []);
            push(&mut queue, "a", class, "1", 50);
            push(&mut queue, "a", class, "2", 500);
            assert_eq!(keys(&queue), ["2"]);
        }
    }

    #[test]
    fn the_disk_is_given_one_thing_to_do_after_the_other_and_what_it_refused_only_once() {
        let mut queue = Queue::new(BUDGET, []);
        let tickets = [("b", "1"), ("a", "2")].map(|(lane, key)| push(&mut queue, lane, Class::Alert, key, 1));
        let [first, second] = &tickets;
        let mut written = Vec::new();
        while let Some(Chore::Write(ticket, item)) = queue.chore() {
            queue.refused(&ticket);
            written.push((ticket, item.key));
        }
        assert_eq!(written, [(first.clone(), "1".to_owned()), (second.clone(), "2".to_owned())]);
        assert_eq!(queue.keeping("b", "1"), Keeping::Refused);
        assert!(!queue.has_chores());

        queue.retry();
        assert_eq!(queue.keeping("b", "1"), Keeping::Pending);
        assert!(queue.stored(first));
        assert_eq!(queue.keeping("b", "1"), Keeping::Safe);
        queue.settle("b", Some(first), &answered(200), at(0.0), 0.5);
        let removal = Some(Chore::Remove(vec![first.clone()]));
        assert_eq!(queue.chore(), removal);
        queue.not_removed(vec![first.clone()]);
        assert!(matches!(queue.chore(), Some(Chore::Write(ticket, _)) if ticket == *second));
        queue.retry();
        assert_eq!(queue.chore(), removal);
        queue.settle("a", Some(second), &answered(200), at(0.0), 0.5);
        assert_eq!(queue.chore(), None, "what was never on disk need not be removed");
        assert_eq!(queue.keeping("a", "2"), Keeping::Safe);
    }

    #[test]
    fn a_full_disk_makes_room_of_telemetry_alone() {
        let mut queue = Queue::new(BUDGET, []);
        for (lane, class, key) in
            [("a", Class::Alert, "a1"), ("t", Class::Telemetry, "t1"), ("t", Class::Telemetry, "t2")]
        {
            let ticket = push(&mut queue, lane, class, key, 10);
            assert!(queue.stored(&ticket));
        }
        assert!(queue.make_room(5));
        assert_eq!(queue.state("t").unwrap().queued, 1);
        assert!(queue.make_room(5) && !queue.make_room(5));
        assert_eq!((queue.state("t").unwrap().queued, queue.state("a").unwrap().queued), (0, 1));
    }

    #[test]
    fn an_item_that_was_given_up_while_it_was_written_is_removed_from_disk() {
        let mut queue = Queue::new(BUDGET, []);
        let first = push(&mut queue, "t", Class::Telemetry, "t1", 90);
        push(&mut queue, "t", Class::Telemetry, "t2", 90);
        assert!(!queue.stored(&first));
        assert_eq!(queue.take_discarded(), [first]);
    }

    #[test]
    fn the_same_alert_waits_once() {
        let mut queue = Queue::new(BUDGET, []);
        push(&mut queue, "a", Class::Alert, "same", 1);
        assert_eq!(queue.push("a", item(Class::Alert, "same", b"1"), at(0.0)), Pushed::Known);
        push(&mut queue, "b", Class::Alert, "same", 1);
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_a_wish_is_respected() {
        let mut queue = Queue::new(BUDGET, []);
        let ticket = push(&mut queue, "t", Class::Telemetry, "t", 1);
        let mut now = at(0.0);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            queue.settle("t", Some(&ticket), &answered(503), now, 0.5);
            let Next::Wait(then) = queue.next("t", now) else { panic!("it does not wait") };
            pauses.push(then.since(now).seconds());
            now = then;
        }
        assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
        let asks = Err(Failure { retry_after: Some(Duration::from_secs(300)), ..Failure::transient("status 429") });
        let wait = |queue: &Queue| match queue.next("t", now) {
            Next::Wait(then) => then.since(now).seconds(),
            next => panic!("{next:?}"),
        };
        for (luck, seconds) in [(0.0, 300.0), (1.0, 330.0), (0.5, 315.0)] {
            queue.settle("t", Some(&ticket), &asks, now, luck);
            assert_eq!(wait(&queue), seconds);
        }
        // Not even for an alert.
        push(&mut queue, "t", Class::Alert, "a", 1);
        assert_eq!(wait(&queue), 315.0);
    }

    #[test]
    fn what_is_given_up_on_its_way_is_not_counted_as_delivered_too() {
        let mut queue = Queue::new(BUDGET, []);
        let first = push(&mut queue, "t", Class::Telemetry, "1", 90);
        push(&mut queue, "t", Class::Telemetry, "2", 90);
        queue.settle("t", Some(&first), &answered(200), at(0.0), 0.5);
        let state = queue.state("t").unwrap();
        assert_eq!((state.queued, state.delivered, state.dropped), (1, 0, 1));
    }

    #[test]
    fn a_new_alert_shortens_a_pause_that_nobody_asked_for() {
        let mut queue = Queue::new(BUDGET, []);
        let ticket = push(&mut queue, "a", Class::Alert, "a1", 1);
        for _ in 0..9 {
            queue.settle("a", Some(&ticket), &answered(503), at(0.0), 0.5);
        }
        push(&mut queue, "a", Class::Alert, "a2", 1);
        assert!(matches!(queue.next("a", at(0.0)), Next::Wait(then) if then == at(1.0)));
    }

    #[test]
    fn what_has_waited_is_sent_at_a_pace_and_what_has_not_at_once() {
        let mut queue = Queue::new(BUDGET, []);
        let tickets: Vec<_> = ["1", "2", "3"].map(|key| push(&mut queue, "t", Class::Telemetry, key, 1)).into();
        queue.settle("t", Some(&tickets[0]), &answered(200), at(0.0), 0.5);
        assert!(matches!(queue.next("t", at(0.0)), Next::Item(..)));
        queue.settle("t", Some(&tickets[1]), &answered(503), at(0.0), 0.5);
        queue.settle("t", Some(&tickets[1]), &answered(200), at(10.0), 0.5);
        assert!(matches!(queue.next("t", at(10.0)), Next::Wait(then) if then == at(10.1)));
        queue.settle("t", Some(&tickets[2]), &answered(200), at(10.1), 0.5);
        push(&mut queue, "t", Class::Telemetry, "4", 1);
        assert!(matches!(queue.next("t", at(11.0)), Next::Item(..)));
    }

    #[test]
    fn the_latest_is_sent_when_nothing_else_waits_and_a_later_one_takes_its_place() {
        let mut queue = Queue::new(BUDGET, []);
        queue.push_latest("a", Some(item(Class::Alert, "old", b"")));
        queue.push_latest("a", Some(item(Class::Alert, "new", b"")));
        let ticket = push(&mut queue, "a", Class::Alert, "first", 1);
        assert!(matches!(queue.next("a", at(0.0)), Next::Item(Some(next), _) if next == ticket));
        queue.settle("a", Some(&ticket), &answered(200), at(0.0), 0.5);
        assert!(matches!(queue.next("a", at(0.0)), Next::Item(None, item) if item.key == "new"));
        queue.settle("a", None, &answered(200), at(0.0), 0.5);
        assert!(matches!(queue.next("a", at(0.0)), Next::Nothing));
        assert_eq!(queue.state("a").unwrap().delivered, 1);
    }

    #[test]
    fn only_what_is_known_to_be_old_expires() {
        let mut queue = Queue::new(BUDGET, []);
        let mut aged = |key: &str, verified| {
            let stamp = Stamp { time: TrueTime::from_seconds(0.0), verified };
            queue.push("t", Item { at: stamp, ..item(Class::Telemetry, key, b"1") }, at(0.0));
        };
        aged("old", true);
        aged("unsure", false);
        aged("behind it", true);
        let stamp = |seconds, verified| Stamp { time: TrueTime::from_seconds(seconds), verified };
        assert_eq!(queue.expire(stamp(1_000.0, false), at(0.0)), 0);
        assert_eq!(queue.expire(stamp(99.0, true), at(0.0)), 0);
        assert_eq!(queue.expire(stamp(101.0, true), at(100.0)), 2);
        assert_eq!(keys(&queue), ["unsure"], "it shields nothing behind it");
        assert_eq!(queue.expire(stamp(101.0, true), at(101.0)), 1, "it has waited here for too long");
        assert_eq!((queue.state("t").unwrap().dropped, queue.state("t").unwrap().queued), (3, 0));
    }

    #[test]
    fn what_an_earlier_process_left_ages_from_when_it_was_found_unless_both_stamps_are_verified() {
        let stamp = |seconds, verified| Stamp { time: TrueTime::from_seconds(seconds), verified };
        let found = |number, verified| {
            let ticket = Ticket { lane: "t".to_owned(), number };
            Found { ticket, class: Class::Telemetry, key: String::new(), at: stamp(0.0, verified), bytes: 1 }
        };
        let mut queue = Queue::new(BUDGET, [found(1, false), found(2, true)]);
        assert_eq!(queue.expire(stamp(1_000.0, false), at(5_000.0)), 0);
        assert_eq!(queue.expire(stamp(1_000.0, true), at(5_000.0)), 1);
        assert_eq!(queue.expire(stamp(1_000.0, true), at(5_100.0)), 0);
        assert_eq!(queue.expire(stamp(0.0, false), at(5_101.0)), 1);
    }

    /// The numbers of all items of a class that wait.
    fn numbers(queue: &Queue, class: Class) -> BTreeSet<u64> {
        let all = queue.lanes.values().flat_map(|lane| &lane.entries);
        all.filter(|entry| entry.class == class).map(|entry| entry.number).collect()
    }

    proptest! {
        /// Whatever is pushed, stored, delivered and refused: every alert that was not delivered or refused still waits,
        /// unless no telemetry was left to give up for it; the budget holds; and the order is that of pushing.
        #[test]
        fn nothing_is_lost_but_by_the_rules(actions in proptest::collection::vec((0..8_u8, 0..3_usize, 1..40_usize), 1..200)) {
            let mut queue = Queue::new(BUDGET, []);
            let names = ["a", "b", "c"];
            let mut pushed = 0_u64;
            let mut last_sent = [0_u64; 3];
            for (step, (action, lane, size)) in actions.into_iter().enumerate() {
                let now = at(step as f64 * 1_000.0);
                match action {
                    0..=3 => {
                        let class = if action < 2 { Class::Alert } else { Class::Telemetry };
                        let mut alerts = numbers(&queue, Class::Alert);
                        let ticket = push(&mut queue, names[lane], class, &step.to_string(), size);
                        pushed += 1;
                        if class == Class::Alert {
                            alerts.insert(ticket.number);
                        }
                        let left = numbers(&queue, Class::Alert);
                        let is_alert_lost = left != alerts;
                        prop_assert!(!is_alert_lost || class == Class::Alert, "telemetry pushed an alert out");
                        prop_assert!(!is_alert_lost || numbers(&queue, Class::Telemetry).is_empty());
                        prop_assert!(class != Class::Alert || left.contains(&ticket.number), "the newest alert waits");
                    }
                    4 => for ticket in queue.all_in_memory() { queue.stored(&ticket); },
                    _ => {
                        let ticket = match queue.next(names[lane], now) {
                            Next::Stored(ticket) | Next::Item(Some(ticket), _) => ticket,
                            Next::Nothing => continue,
                            next => panic!("{next:?}"),
                        };
                        prop_assert!(ticket.number >= last_sent[lane], "out of order");
                        last_sent[lane] = ticket.number;
                        let result = match action {
                            5 => answered(200),
                            6 => answered(503),
                            _ => Err(Failure::lasting("status 400")),
                        };
                        queue.settle(names[lane], Some(&ticket), &result, now, 0.5);
                    }
                }
                let states: Vec<_> = names.iter().filter_map(|name| queue.state(name)).collect();
                let sum = |of: fn(&Delivery) -> u64| states.iter().map(of).sum::<u64>();
                prop_assert_eq!(sum(|one| one.queued) + sum(|one| one.delivered) + sum(|one| one.dropped), pushed);
                prop_assert!(sum(|one| one.bytes) <= 100 || sum(|one| one.queued) == 1);
            }
        }
    }
}
