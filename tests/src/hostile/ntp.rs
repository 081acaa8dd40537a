//! Replies of time servers, from the datagram to the snapshot.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use skewguard::clock::sample::{Sample, Timestamps};
use skewguard::engine::Event;
use skewguard::sources::ntp::query::{Cookie, ask};
use skewguard::sources::ntp::socket::{Exchanged, Stamped};
use skewguard::sources::ntp::timestamp::decode;
use skewguard::sources::poller::Polled;
use skewguard::time::{BootTime, Reading, Span, SystemTime};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::brain::Brain;
use super::bytes::Bytes;
use crate::ntp::Packet;

/// The bits of which every cookie is made.
const BITS: [u8; 8] = [1, 1, 1, 1, 0, 0, 0, 0];
/// What they are on the wire: the transmit time of every request, which a reply must repeat.
const COOKIE: u64 = 0x84ab_7f81_0000_0000;
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 123);
/// More polls than this tell a fuzzer nothing new and take their time.
const MOST_POLLS: usize = 64;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime can be built");
}

/// The life of an agent whose servers say whatever they like.
///
/// The input is the boot time and the system time at the start, 8 bytes each, and then one poll after the other:
/// - a byte: the source (2 bits, 3 is none: somebody sets the system clock instead), who stamped it (2 bits), and how many
///   datagrams arrive besides the first (2 bits);
/// - 4 bytes: milliseconds since the poll before, or by which the clock is set;
/// - 4 bytes: microseconds from departure to arrival;
/// - each datagram: a byte that is its length, and itself.
pub fn reply(input: &[u8]) {
    let mut input = Bytes::new(input);
    let nanos = |bits: u64| i64::try_from(bits >> 1).unwrap_or(i64::MAX);
    let boot = BootTime::from_nanos(nanos(input.long()));
    let mut now = Reading { boot, system: SystemTime::from_nanos(nanos(input.long())) };
    let mut brain = Brain::new(now);
    // What has not arrived by now never will. Timers have milliseconds, and one of this very moment would take one.
    let deadline = Instant::now().checked_sub(Duration::from_millis(2)).expect("this host was booted earlier");
    for _ in 0..MOST_POLLS {
        if input.is_empty() {
            break;
        }
        let flags = input.byte();
        let pause = Span::from_nanos(i64::from(input.word()) * 1_000_000);
        let source = usize::from(flags & 3);
        if source == 3 {
            let backward = flags & 4 == 0;
            let by = if backward { Span::from_nanos(-pause.nanos()) } else { pause };
            now.system = now.system.plus(by);
            brain.take(Event::Tick { kernel: None, asleep: Span::ZERO }, now);
            continue;
        }
        let round_trip = Span::from_nanos(i64::from(input.word()) * 1_000);
        let departure = now.boot.plus(pause);
        now = Reading { boot: departure.plus(round_trip), system: now.system.plus(pause).plus(round_trip) };
        let wire = Wire {
            departure,
            arrival: now.boot,
            timestamps: match flags >> 2 & 3 {
                0 => Timestamps::UserSpaceMissing,
                1 => Timestamps::UserSpaceContradicted,
                _ => Timestamps::Kernel,
            },
            waiting: RefCell::new((0..=flags >> 4 & 3).map(|_| datagram(&mut input)).collect()),
            reply: Cell::new(None),
        };
        let result = RUNTIME.with(|runtime| runtime.block_on(ask(SERVER, &wire, Cookie::from(BITS), deadline)));
        if let Ok(sample) = &result {
            assert_plausible(sample, &wire.exchanged().expect("what was judged has arrived"));
        }
        brain.take(Polled { source, address: Some(SERVER), result: result.map_err(Into::into) }, now);
    }
    brain.snapshot(now);
}

fn datagram(input: &mut Bytes<'_>) -> Vec<u8> {
    let length = input.byte();
    input.take(length.into()).to_vec()
}

/// What every accepted sample promises.
fn assert_plausible(sample: &Sample, exchanged: &Exchanged) {
    let packet = Packet::decode(&exchanged.reply).expect("48 bytes are a packet");
    assert_eq!((packet.originate, packet.mode), (COOKIE, 4), "{packet:?}");
    assert!((1..=4).contains(&packet.version) && packet.leap != 3, "{packet:?}");
    assert!((1..16).contains(&packet.stratum) && sample.stratum == Some(packet.stratum), "{packet:?}");

    let (received, sent) = (decode(packet.receive), decode(packet.transmit));
    assert!(packet.receive != 0 && packet.transmit != 0 && received <= sent, "{packet:?}");
    let round_trip = exchanged.arrival.since(exchanged.departure);
    assert!(Span::ZERO <= sample.delay && sample.delay <= round_trip, "{sample:?}");
    let taken = sent.since(received);
    let noise = sample.precision.plus(taken.scaled(1e-3)).plus(Span::from_nanos(100_001));
    assert!(taken <= round_trip.plus(noise), "{sample:?}");
    // In the middle of the exchange it was the middle of what the server says.
    let middle = |from: i64, to: i64| from.midpoint(to);
    let here = middle(exchanged.departure.nanos(), exchanged.arrival.nanos());
    let there = middle(received.nanos(), sent.nanos());
    assert!((i128::from(sample.anchor.nanos()) + i128::from(here) - i128::from(there)).abs() <= 2, "{sample:?}");

    assert_eq!((sample.at, sample.timestamps), (exchanged.arrival, exchanged.timestamps));
    assert!(Span::ZERO <= sample.root_delay && Span::ZERO <= sample.root_dispersion, "{sample:?}");
    let inherited = sample.root_delay.half().plus(sample.root_dispersion);
    assert!(inherited <= Span::from_seconds(16.0), "{sample:?}");
    assert!(Span::ZERO < sample.precision && sample.precision <= Span::from_seconds(16.001), "{sample:?}");
    assert!(sample.root_distance() >= inherited, "{sample:?}");
    let bound = |age| sample.error_bound(sample.at.plus(Span::from_seconds(age)), 15e-6);
    assert!(bound(0.0).span() == sample.root_distance() && bound(0.0) <= bound(1e3), "{sample:?}");
}

/// A socket without a network: it sends nothing, and what it is to receive has arrived already.
struct Wire {
    departure: BootTime,
    arrival: BootTime,
    timestamps: Timestamps,
    waiting: RefCell<VecDeque<Vec<u8>>>,
    reply: Cell<Option<[u8; 48]>>,
}

impl Stamped for Wire {
    fn exchanged(&self) -> Option<Exchanged> {
        let Self { departure, arrival, timestamps, .. } = *self;
        self.reply.get().map(|reply| Exchanged { departure, arrival, timestamps, reply })
    }
}

impl sntpc::NtpUdpSocket for Wire {
    async fn send_to(&self, request: &[u8], _: SocketAddr) -> sntpc::Result<usize> {
        assert_eq!(Packet::decode(request).expect("a request is a packet").transmit, COOKIE);
        Ok(request.len())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let next = self.waiting.borrow_mut().pop_front();
        let Some(datagram) = next else { return pending().await };
        let mut reply = [0; 48];
        for ((received, kept), byte) in buffer.iter_mut().zip(&mut reply).zip(&datagram) {
            *received = *byte;
            *kept = *byte;
        }
        self.reply.set(Some(reply));
        Ok((datagram.len().min(buffer.len()), SERVER))
    }
}
