//! What waits for delivery, and which of it is sent next: without I/O and without a clock, so that it can be played in
//! invented time.
//!
//! Each destination has a lane, in which the oldest item comes first. `room` says what is given up where
//! there is no room for all, `pace` when a lane goes on, [`policy`](super::policy) what a failure means, and
//! [`fate`](super::fate) what those are told who remember an alert until it is safe. `disk` is the queue as its keeper sees it.

mod disk;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::fate::{Fate, Mark};
use super::item::{Class, Item};
use super::lane::{Entry, Lane};
use super::policy::Again;
use super::request::{Answer, Failure};
use super::room::{Id, Place, Room, Weight};
use crate::clock::true_clock::Stamp;
use crate::snapshot::Delivery;
use crate::time::{BootTime, Span};

pub use super::pace::Rhythm;
pub use super::room::Budget;
pub use super::ticket::{Chore, Found, Losses, Next, Pushed, Ticket};

/// All that waits.
#[derive(Debug)]
pub struct Queue {
    room: Room,
    lanes: BTreeMap<String, Lane>,
    next_number: u64,
    is_on_disk: bool,
    /// Given up or delivered, and still on disk: to be removed there.
    discarded: Vec<Ticket>,
    /// The same, which the disk has refused to remove.
    unremoved: Vec<Ticket>,
    /// What was given up for want of room since the last look, by lane.
    losses: BTreeMap<String, Losses>,
}

impl Queue {
    /// A queue with what was found on disk, and nothing else. Until [`Queue::set_disk_answers`] says otherwise there is no
    /// disk.
    pub fn new(budget: Budget, found: impl IntoIterator<Item = Found>) -> Self {
        let mut queue = Self {
            room: Room::new(budget),
            lanes: BTreeMap::new(),
            next_number: 1,
            is_on_disk: false,
            discarded: Vec::new(),
            unremoved: Vec::new(),
            losses: BTreeMap::new(),
        };
        for Found { ticket: Ticket { lane, number }, class, key, at, bytes } in found {
            queue.number_after(number);
            let weight = Weight::new(bytes, length(key.len()));
            let (since, item, place, failed_reads, mark) = (None, None, Place::Stored, 0, None);
            let key = (class == Class::Alert).then(|| Arc::from(key));
            queue.add(&lane, number, Entry { class, key, at, since, place, weight, item, failed_reads, mark });
            queue.lane(&lane).pace.found();
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
        self.room.set_budget(budget);
        self.keep_to_budget();
    }

    fn lane(&mut self, name: &str) -> &mut Lane {
        self.lanes.entry(name.to_owned()).or_insert_with(|| Lane::new(name))
    }

    /// Takes an item. Until [`Queue::stored`] says otherwise it waits in memory.
    pub fn push(&mut self, lane: &str, item: Item, now: BootTime) -> Pushed {
        let number = self.next_number;
        let is_alert = item.class == Class::Alert;
        let served = self.lane(lane);
        if is_alert {
            if served.keys.contains_key(item.key.as_str()) {
                return Pushed::Known;
            }
            served.pace.alert(now);
        }
        let key = is_alert.then(|| Arc::from(item.key.as_str()));
        let weight = Weight::new(length(item.body.len()), length(item.key.len()));
        let (class, at, since, place, failed_reads, mark) = (item.class, item.at, Some(now), Place::Pending, 0, None);
        let item = Some(item);
        self.add(lane, number, Entry { class, key, at, since, place, weight, item, failed_reads, mark });
        self.next_number = number.saturating_add(1);
        self.keep_to_budget();
        Pushed::Waits(Ticket { lane: lane.to_owned(), number })
    }

    /// Puts `item` in the place of an earlier one like it: sent while nothing else waits, and forgotten with the process.
    pub fn push_latest(&mut self, lane: &str, item: Option<Item>) {
        self.lane(lane).latest = item;
    }

    /// Where it stands what becomes of the alert of this key; `None` where none waits.
    pub(super) fn mark(&mut self, lane: &str, key: &str) -> Option<Mark> {
        let has_disk = self.room.has_disk();
        let lane = self.lanes.get_mut(lane)?;
        let entry = lane.entries.get_mut(lane.keys.get(key)?)?;
        let fate = if lane.is_abandoned { Fate::Settled } else { fate(entry.place, has_disk) };
        Some(entry.mark.get_or_insert_with(|| Mark::new(fate)).clone())
    }

    /// What is to be sent next in a lane.
    pub fn next(&self, name: &str, now: BootTime) -> Next {
        let Some(lane) = self.lanes.get(name) else { return Next::Nothing };
        if lane.entries.is_empty() && lane.latest.is_none() {
            return Next::Nothing;
        }
        if let Some(then) = lane.pace.until(now) {
            return Next::Wait(then);
        }
        match (lane.entries.first_key_value(), &lane.latest) {
            (Some((number, entry)), _) => {
                let ticket = Ticket { lane: name.to_owned(), number: *number };
                match &entry.item {
                    Some(item) => Next::Item(Some(ticket), item.clone()),
                    None => Next::Stored(ticket),
                }
            }
            (None, Some(latest)) => Next::Item(None, latest.clone()),
            (None, None) => Next::Nothing,
        }
    }

    /// What waits behind `ticket` in its lane, and the item itself where that is not on disk.
    pub fn following(&self, ticket: &Ticket) -> Option<(Ticket, Option<Item>)> {
        let lane = self.lanes.get(&ticket.lane)?;
        let after = (Bound::Excluded(ticket.number), Bound::Unbounded);
        let (number, entry) = lane.entries.range(after).next()?;
        Some((Ticket { lane: ticket.lane.clone(), number: *number }, entry.item.clone()))
    }

    /// Whether a lane leads to what many hosts share and hear of all the time.
    pub(super) fn is_shared(&self, name: &str) -> bool {
        self.lanes.get(name).is_some_and(|lane| lane.pace.is_shared())
    }

    /// Ends the pause of a lane.
    pub fn hurry(&mut self, name: &str) {
        self.lane(name).pace.hurry();
    }

    /// Notes how an attempt at these ended, which were sent as one, or at the latest item where there are none; `luck` of 0 to 1 spreads the
    /// next one. Returns whether that is news: the destination recovered, or fails in a way in
    /// which it has not since it last took something.
    pub fn settle(
        &mut self,
        name: &str,
        tickets: &[Ticket],
        result: &Result<Answer, Failure>,
        now: BootTime,
        luck: f64,
    ) -> bool {
        let takes_turns = self.lanes.values().any(|lane| lane.pace.takes_turns());
        let lane = self.lane(name);
        let is_news = lane.note(result);
        match result {
            Err(Failure { again: again @ (Again::Soon | Again::Slowly), retry_after, .. }) => {
                lane.pace.fails(*again, *retry_after, now, luck);
            }
            Ok(_) | Err(Failure { again: Again::Never, .. }) => {
                lane.pace.goes_on(takes_turns, now, luck);
                if tickets.is_empty() {
                    lane.latest = None;
                }
                for ticket in tickets {
                    // What was given up on its way is counted as such.
                    if self.remove(ticket, Fate::Settled) {
                        let state = &mut self.lane(name).state;
                        let count = if result.is_ok() { &mut state.delivered } else { &mut state.dropped };
                        *count = count.saturating_add(1);
                    }
                }
            }
        }
        let lane = self.lane(name);
        if lane.entries.is_empty() {
            lane.pace.is_empty(result.is_ok(), now);
        }
        is_news
    }

    /// Gives up an item that cannot be read.
    pub fn lose(&mut self, ticket: &Ticket) {
        if self.remove(ticket, Fate::Lost) {
            let state = &mut self.lane(&ticket.lane).state;
            state.dropped = state.dropped.saturating_add(1);
        }
    }

    /// Gives up what is older than the budget allows at `now`, which is `boot` by the boot clock. Only what is known to be
    /// old is: by two stamps neither of which rests on the system clock alone, or because it has waited here for so long.
    pub fn expire(&mut self, now: Stamp, boot: BootTime) -> u64 {
        let age = Span::from_duration(self.room.budget().age);
        let is_old = |at: Stamp, since: BootTime| {
            boot.since(since) > age || at.verified && now.verified && now.time.since(at.time) > age
        };
        let mut expired = Vec::new();
        for (name, lane) in &mut self.lanes {
            for (number, entry) in &mut lane.entries {
                if is_old(entry.at, *entry.since.get_or_insert(boot)) {
                    expired.push(Ticket { lane: name.clone(), number: *number });
                }
            }
        }
        for ticket in &expired {
            self.remove(ticket, Fate::Settled);
            let state = &mut self.lane(&ticket.lane).state;
            state.dropped = state.dropped.saturating_add(1);
        }
        length(expired.len())
    }

    /// What was given up for want of room since the last call, by lane.
    pub fn take_losses(&mut self) -> BTreeMap<String, Losses> {
        std::mem::take(&mut self.losses)
    }

    /// The state of a lane.
    pub fn state(&self, name: &str) -> Option<Delivery> {
        self.lanes.get(name).map(|lane| Delivery { on_disk: self.is_on_disk, ..lane.state.clone() })
    }

    /// Makes sure that there is a lane of this name, which is served from now on, and returns its state; `luck` of 0 to 1
    /// spreads the first attempt at what was found there.
    pub fn open(&mut self, name: &str, rhythm: Rhythm, now: BootTime, luck: f64) -> Delivery {
        let (is_on_disk, has_disk) = (self.is_on_disk, self.room.has_disk());
        let lane = self.lane(name);
        lane.is_abandoned = false;
        lane.entries.values().for_each(|entry| entry.become_of(fate(entry.place, has_disk)));
        lane.pace.open(rhythm, now, luck);
        Delivery { on_disk: is_on_disk, ..lane.state.clone() }
    }

    /// Takes note that nothing is sent any more from the lane of this name: what waits there waits for nobody.
    pub fn abandon(&mut self, name: &str) {
        let lane = self.lane(name);
        lane.is_abandoned = true;
        lane.entries.values().for_each(|entry| entry.become_of(Fate::Settled));
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
        self.lanes.get(name).is_none_or(|lane| lane.entries.values().all(|entry| entry.place == Place::Stored))
    }

    /// Puts an entry into a lane.
    fn add(&mut self, lane: &str, number: u64, entry: Entry) {
        let lane = self.lane(lane);
        let id = (number, Arc::clone(&lane.name));
        let (class, place, weight) = (entry.class, entry.place, entry.weight);
        if lane.insert(number, entry) {
            self.room.put(class, place, id, weight);
        }
    }

    /// Takes an item out of its lane; returns whether it was there.
    fn remove(&mut self, ticket: &Ticket, fate: Fate) -> bool {
        let Some(lane) = self.lanes.get_mut(&ticket.lane) else { return false };
        let Some(entry) = lane.remove(ticket.number) else { return false };
        entry.become_of(fate);
        let id = (ticket.number, Arc::clone(&lane.name));
        self.room.take(entry.class, entry.place, &id, entry.weight);
        if entry.place == Place::Stored {
            self.discarded.push(ticket.clone());
        }
        true
    }

    /// Takes note that an item is somewhere else now; returns whether it waits at all.
    fn relocate(&mut self, ticket: &Ticket, place: Place) -> bool {
        let Some(lane) = self.lanes.get_mut(&ticket.lane) else { return false };
        let Some(entry) = lane.entries.get_mut(&ticket.number) else { return false };
        let id = (ticket.number, Arc::clone(&lane.name));
        self.room.take(entry.class, entry.place, &id, entry.weight);
        self.room.put(entry.class, place, id, entry.weight);
        entry.place = place;
        if place == Place::Stored {
            entry.item = None;
        }
        if !lane.is_abandoned {
            entry.become_of(fate(place, self.room.has_disk()));
        }
        true
    }

    /// Gives up an item for want of room.
    fn give_way(&mut self, id: &Id) {
        let lane = self.lanes.get(&*id.1);
        let class = lane.and_then(|lane| lane.entries.get(&id.0)).map(|entry| entry.class);
        let losses = self.losses.entry(id.1.to_string()).or_default();
        match class {
            Some(Class::Alert) => losses.alerts = losses.alerts.saturating_add(1),
            Some(Class::Telemetry) | None => losses.telemetry = losses.telemetry.saturating_add(1),
        }
        self.lose(&ticket(id));
    }

    fn keep_to_budget(&mut self) {
        let newest = self.next_number.saturating_sub(1);
        while let Some(id) = self.room.first_to_go(newest).cloned() {
            self.give_way(&id);
        }
    }
}

fn ticket((number, lane): &Id) -> Ticket {
    Ticket { lane: lane.to_string(), number: *number }
}

/// What is to be known of an alert that waits in a place.
const fn fate(place: Place, has_disk: bool) -> Fate {
    match place {
        Place::Pending if has_disk => Fate::Pending,
        Place::Pending | Place::Refused => Fate::Exposed,
        Place::Stored => Fate::Stored,
    }
}

fn length(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::delivery::item::tests::item;
    use crate::delivery::room::{BLOCK, DESCRIPTION};
    use crate::time::TrueTime;

    /// Room for a hundred blocks.
    const BUDGET: Budget = Budget { size: 100 * BLOCK, age: Duration::from_secs(100) };

    fn at(seconds: f64) -> BootTime {
        BootTime::from_seconds(seconds)
    }

    fn answered(status: u16) -> Result<Answer, Failure> {
        let answer = Answer { status, body: bytes::Bytes::new() };
        if status == 200 { Ok(answer) } else { Err(Failure::transient(format!("status {status}"))) }
    }

    /// Pushes an item of so many blocks.
    fn push(queue: &mut Queue, lane: &str, class: Class, key: &str, blocks: u64) -> Ticket {
        let length = blocks * BLOCK - DESCRIPTION - key.len() as u64;
        let body = vec![0; usize::try_from(length).unwrap()];
        match queue.push(lane, item(class, key, &body), at(0.0)) {
            Pushed::Waits(ticket) => ticket,
            Pushed::Known => panic!("{key} is known"),
        }
    }

    fn fate_of(queue: &mut Queue, lane: &str, key: &str) -> Option<Fate> {
        Some(queue.mark(lane, key)?.get())
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
        queue.set_disk_answers(true);
        let tickets = [("b", "1"), ("a", "2")].map(|(lane, key)| push(&mut queue, lane, Class::Alert, key, 1));
        let [first, second] = &tickets;
        let mut written = Vec::new();
        while let Some(Chore::Write(ticket, item)) = queue.chore() {
            queue.refused(&ticket);
            written.push((ticket, item.key));
        }
        assert_eq!(written, [(first.clone(), "1".to_owned()), (second.clone(), "2".to_owned())]);
        assert_eq!(fate_of(&mut queue, "b", "1"), Some(Fate::Exposed));
        assert!(!queue.has_chores());

        queue.retry();
        assert_eq!(fate_of(&mut queue, "b", "1"), Some(Fate::Pending));
        let mark = queue.mark("b", "1").unwrap();
        assert!(queue.stored(first));
        assert_eq!(mark.get(), Fate::Stored);
        queue.settle("b", std::slice::from_ref(first), &answered(200), at(0.0), 0.5);
        let removal = Some(Chore::Remove(vec![first.clone()]));
        assert_eq!(queue.chore(), removal);
        queue.not_removed(vec![first.clone()]);
        assert!(matches!(queue.chore(), Some(Chore::Write(ticket, _)) if ticket == *second));
        queue.retry();
        assert_eq!(queue.chore(), removal);
        let other = queue.mark("a", "2").unwrap();
        queue.settle("a", std::slice::from_ref(second), &answered(200), at(0.0), 0.5);
        assert_eq!(queue.chore(), None, "what was never on disk need not be removed");
        assert_eq!((mark.get(), other.get()), (Fate::Settled, Fate::Settled));
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
            queue.settle("t", std::slice::from_ref(&ticket), &answered(503), now, 0.5);
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
            queue.settle("t", std::slice::from_ref(&ticket), &asks, now, luck);
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
        queue.settle("t", std::slice::from_ref(&first), &answered(200), at(0.0), 0.5);
        let state = queue.state("t").unwrap();
        assert_eq!((state.queued, state.delivered, state.dropped), (1, 0, 1));
    }

    #[test]
    fn a_new_alert_shortens_a_pause_that_nobody_asked_for() {
        let mut queue = Queue::new(BUDGET, []);
        let ticket = push(&mut queue, "a", Class::Alert, "a1", 1);
        for _ in 0..9 {
            queue.settle("a", std::slice::from_ref(&ticket), &answered(503), at(0.0), 0.5);
        }
        push(&mut queue, "a", Class::Alert, "a2", 1);
        assert!(matches!(queue.next("a", at(0.0)), Next::Wait(then) if then == at(1.0)));
    }

    #[test]
    fn what_has_waited_is_sent_at_a_pace_and_what_has_not_at_once() {
        let mut queue = Queue::new(BUDGET, []);
        let tickets: Vec<_> = ["1", "2", "3"].map(|key| push(&mut queue, "t", Class::Telemetry, key, 1)).into();
        queue.settle("t", std::slice::from_ref(&tickets[0]), &answered(200), at(0.0), 0.5);
        assert!(matches!(queue.next("t", at(0.0)), Next::Item(..)));
        queue.settle("t", std::slice::from_ref(&tickets[1]), &answered(503), at(0.0), 0.5);
        queue.settle("t", std::slice::from_ref(&tickets[1]), &answered(200), at(10.0), 0.5);
        let wait = |queue: &Queue, now| match queue.next("t", at(now)) {
            Next::Wait(then) => then,
            next => panic!("{next:?}"),
        };
        assert_eq!(wait(&queue, 10.0), at(11.0), "slowly at first");
        queue.settle("t", std::slice::from_ref(&tickets[2]), &answered(200), at(11.0), 0.5);
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
        queue.settle("a", std::slice::from_ref(&ticket), &answered(200), at(0.0), 0.5);
        assert!(matches!(queue.next("a", at(0.0)), Next::Item(None, item) if item.key == "new"));
        queue.settle("a", &[], &answered(200), at(0.0), 0.5);
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

    #[test]
    fn what_was_given_up_for_want_of_room_is_counted_and_lost_and_what_is_too_old_or_refused_is_settled() {
        let mut queue = Queue::new(BUDGET, []);
        let mark_of = |queue: &mut Queue, key: &str| {
            let ticket = push(queue, "a", Class::Alert, key, 60);
            (ticket, queue.mark("a", key).unwrap())
        };
        let (_, first) = mark_of(&mut queue, "1");
        assert_eq!(queue.take_losses(), BTreeMap::new());
        let (second, mark) = mark_of(&mut queue, "2");
        assert_eq!((first.get(), mark.get()), (Fate::Lost, Fate::Exposed));
        let losses = Losses { alerts: 1, telemetry: 0 };
        assert_eq!(queue.take_losses(), BTreeMap::from([("a".to_owned(), losses)]));
        queue.settle("a", std::slice::from_ref(&second), &Err(Failure::lasting("status 400")), at(0.0), 0.5);
        assert_eq!(mark.get(), Fate::Settled);
        let (_, third) = mark_of(&mut queue, "3");
        queue.expire(Stamp { time: TrueTime::from_seconds(0.0), verified: false }, at(101.0));
        assert_eq!((third.get(), queue.state("a").unwrap().dropped), (Fate::Settled, 3));
        assert_eq!(queue.take_losses(), BTreeMap::new());
    }

    #[test]
    fn what_waits_for_nobody_is_settled_until_somebody_is_there_again() {
        let mut queue = Queue::new(BUDGET, []);
        push(&mut queue, "a", Class::Alert, "1", 1);
        let mark = queue.mark("a", "1").unwrap();
        queue.abandon("a");
        assert_eq!(mark.get(), Fate::Settled);
        queue.open("a", Rhythm::AsItComes, at(0.0), 0.5);
        assert_eq!(mark.get(), Fate::Exposed);
    }

    #[test]
    fn a_refusal_is_counted_and_is_news_once_though_it_was_out_of_reach_before() {
        let mut queue = Queue::new(BUDGET, []);
        let ticket = push(&mut queue, "a", Class::Alert, "1", 1);
        let refusal = Err(Failure { again: Again::Slowly, ..Failure::transient("status 401") });
        let news: Vec<_> = [&answered(503), &answered(503), &refusal, &refusal, &answered(503), &answered(200)]
            .map(|result| queue.settle("a", std::slice::from_ref(&ticket), result, at(0.0), 0.5))
            .into();
        assert_eq!(news, [true, false, true, false, false, true]);
        let state = queue.state("a").unwrap();
        assert_eq!((state.failures, state.refusals, state.dropped, state.delivered), (5, 2, 0, 1));
    }

    /// The numbers of all items of a class that wait.
    fn numbers(queue: &Queue, class: Class) -> BTreeSet<u64> {
        let all = queue.lanes.values().flat_map(|lane| &lane.entries);
        all.filter(|(_, entry)| entry.class == class).map(|(number, _)| *number).collect()
    }

    proptest! {
        /// Whatever is pushed, stored, delivered and refused: every alert that was not delivered or refused still waits,
        /// unless no telemetry was left to give up for it; the budget holds; and the order is that of pushing.
        #[test]
        fn nothing_is_lost_but_by_the_rules(actions in proptest::collection::vec((0..8_u8, 0..3_usize, 1..40_u64), 1..200)) {
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
                        queue.settle(names[lane], std::slice::from_ref(&ticket), &result, now, 0.5);
                    }
                }
                let states: Vec<_> = names.iter().filter_map(|name| queue.state(name)).collect();
                let sum = |of: fn(&Delivery) -> u64| states.iter().map(of).sum::<u64>();
                prop_assert_eq!(sum(|one| one.queued) + sum(|one| one.delivered) + sum(|one| one.dropped), pushed);
                prop_assert!(sum(|one| one.bytes) <= BUDGET.size || sum(|one| one.queued) == 1);
            }
        }
    }
}
