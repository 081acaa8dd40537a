//! Files of the state directory: what waits for delivery, and what the engine remembers.

use std::time::Duration;

use skewguard::clock::true_clock::Stamp;
use skewguard::delivery::item::{Class, Content, Item};
use skewguard::delivery::queue::{Budget, Found, Next, Queue, Ticket};
use skewguard::delivery::request::Failure;
use skewguard::engine::{Event, Image};
use skewguard::state::{self, State};
use skewguard::time::{BootTime, Reading, Span, SystemTime, TrueTime};

use super::brain::Brain;
use super::bytes::Bytes;

const BUDGET: Budget = Budget { size: 4_096, age: Duration::from_secs(3_600) };
/// More items than this tell a fuzzer nothing new.
const MOST_ITEMS: usize = 32;

/// A file of the queue, or a whole folder of them.
///
/// After a byte of 0x80 or more the file is the rest of the input as it is. Otherwise items are made of the input, with
/// right checksums, because no fuzzer finds one.
pub fn queue_item(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    if bytes.byte() >= 0x80 {
        let file = bytes.rest();
        if let Ok(item) = Item::decode(file) {
            assert_eq!(Item::decode(&item.encode()).as_ref(), Ok(&item), "what is read can be written");
        }
        return;
    }
    let mut found = Vec::new();
    while !bytes.is_empty() && found.len() < MOST_ITEMS {
        found.push(made_up(&mut bytes));
    }
    sent(found, bytes.long());
}

/// An item that is made of the input, as a restart finds it.
fn made_up(bytes: &mut Bytes<'_>) -> Found {
    let shape = bytes.byte();
    let class = if shape & 1 == 0 { Class::Telemetry } else { Class::Alert };
    let content = [Content::Json, Content::Protobuf, Content::ProtobufGzip];
    let content = content.get(usize::from(shape >> 1) % content.len()).copied().unwrap_or(Content::Json);
    let at = Stamp { time: TrueTime::from_nanos(bytes.long().cast_signed()), verified: shape & 8 != 0 };
    let length = usize::from(bytes.byte());
    let key = String::from_utf8_lossy(bytes.take(length)).into_owned();
    let length = usize::from(bytes.short());
    let body = bytes.take(length).to_vec();
    let item = Item { class, key, at, content, body: body.into() };
    let mut file = item.encode();
    assert_eq!(Item::decode(&file).as_ref(), Ok(&item), "what is written can be read");
    // A flipped bit of the body is noticed, and one of the rest never becomes another body.
    let place = usize::from(bytes.short()) % file.len();
    if let Some(byte) = file.get_mut(place) {
        *byte ^= 1 << (shape & 7);
    }
    assert!(Item::decode(&file).is_ok_and(|read| read.body == item.body) || Item::decode(&file).is_err());
    let lane = if shape & 16 == 0 { "otlp-metrics" } else { "ops" };
    let ticket = Ticket { lane: lane.to_owned(), number: bytes.long() };
    let Item { class, key, at, body, .. } = item;
    Found { ticket, class, key, at, bytes: u64::try_from(body.len()).unwrap_or(u64::MAX) }
}

/// Whatever was found, the queue keeps to its budget and ends.
fn sent(found: Vec<Found>, seed: u64) {
    let count = found.len();
    let mut queue = Queue::new(BUDGET, found);
    let mut now = BootTime::from_nanos(seed.cast_signed());
    queue.expire(Stamp { time: TrueTime::from_nanos(seed.cast_signed()), verified: true }, now);
    for lane in ["otlp-metrics", "ops"] {
        let mut attempts = 0;
        loop {
            let ticket = match queue.next(lane, now) {
                Next::Nothing => break,
                Next::Wait(then) => {
                    assert!(then > now, "it waits for the past");
                    now = then;
                    continue;
                }
                Next::Stored(ticket) => ticket,
                Next::Item(..) => unreachable!("nothing was ever in memory"),
            };
            let is_last = attempts % 2 == 1;
            let failure = if is_last { Failure::lasting("no") } else { Failure::transient("not yet") };
            queue.settle(lane, std::slice::from_ref(&ticket), &Err(failure), now, 0.5);
            attempts += 1;
            assert!(attempts <= 2 * count, "more attempts than items");
            if now == BootTime::from_nanos(i64::MAX) {
                // The end of time: no pause ends after it.
                return;
            }
        }
        assert!(queue.state(lane).is_none_or(|state| (state.queued, state.bytes) == (0, 0)));
    }
}

/// The state of an earlier process.
///
/// After a byte of 0x80 or more the file is the rest of the input as it is. Otherwise the rest is the memory of the
/// engine as JSON, which is put into a whole file with a right checksum.
pub fn state(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (kind, now) = (bytes.byte(), bytes.long());
    let now = Reading {
        boot: BootTime::from_nanos(now.cast_signed()),
        system: SystemTime::from_nanos(now.reverse_bits().cast_signed()),
    };
    let read = if kind >= 0x80 {
        state::decode(bytes.rest()).ok()
    } else {
        let image = serde_json::from_slice::<Image>(bytes.rest()).ok();
        let state = image.map(|image| State { boot_id: "a".to_owned(), image, untold: Vec::new() });
        state.inspect(|state| {
            let file = state::encode(state).expect("a state can be written");
            let read = state::decode(&file);
            assert_eq!(read.as_ref().ok(), Some(state), "what is written can be read: {:?}", read.as_ref().err());
        })
    };
    let Some(State { image, .. }) = read else { return };
    let mut brain = Brain::resumed(image, now, kind & 1 == 0);
    for seconds in [0.0, 1.0, 600.0] {
        let later = |span| Reading { boot: now.boot.plus(span), system: now.system.plus(span) };
        let now = later(Span::from_seconds(seconds));
        brain.take(Event::Tick { kernel: None, asleep: Span::ZERO }, now);
        brain.snapshot(now);
    }
}
