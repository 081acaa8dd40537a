//! Plays a fleet whose collector breaks down and comes back, in invented time.

use std::time::Duration;

use super::item::Class;
use super::item::tests::item;
use super::policy::Again;
use super::queue::{Budget, Next, Queue, Rhythm};
use super::request::{Answer, Failure};
use crate::clock::time::BootTime;

const HOSTS: u32 = 200;
/// When the collector breaks down.
const BEGIN: f64 = 600.0;
const BUDGET: Budget = Budget { size: 1 << 30, age: Duration::from_secs(1_000_000) };

/// What happens to the collector.
#[derive(Clone, Copy, Debug)]
struct Outage {
    /// How often each host exports.
    interval: f64,
    /// For how long the collector is away.
    lasts: f64,
    /// What it says meanwhile; `None` where nobody answers.
    wish: Option<Wish>,
}

/// How long a collector asks to wait.
#[derive(Clone, Copy, Debug)]
enum Wish {
    For(f64),
    /// Until it is back, as a date says it: everybody hears the same moment.
    UntilTheEnd,
}

/// What the collector sees from the moment at which it is back.
#[derive(Debug)]
struct Seen {
    /// The most within any sixth of an interval, as a multiple of what is usual.
    load: f64,
    /// The items that arrived, of those that were made.
    taken: usize,
    made: usize,
    /// When the last host had nothing left that had waited, in seconds.
    caught_up: f64,
}

fn play(outage: Outage, seed: u64) -> Seen {
    let Outage { interval, lasts, wish } = outage;
    let (back, end) = (BEGIN + lasts, BEGIN + 2.5 * lasts + 600.0 + 20.0 * interval);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut arrivals, mut taken, mut made, mut caught_up) = (Vec::new(), 0, 0, 0.0_f64);
    for _ in 0..HOSTS {
        let mut queue = Queue::new(BUDGET, []);
        queue.open("t", Rhythm::Every(Duration::from_secs_f64(interval)), BootTime::ZERO, random.f64());
        let mut export = random.f64() * interval;
        let (mut now, mut is_late) = (0.0, false);
        loop {
            let then = match queue.next("t", BootTime::from_seconds(now)) {
                Next::Nothing => {
                    if std::mem::take(&mut is_late) {
                        caught_up = caught_up.max(now - back);
                    }
                    f64::INFINITY
                }
                Next::Wait(then) => then.since(BootTime::ZERO).seconds(),
                Next::Item(ticket, _) => {
                    let is_down = (BEGIN..back).contains(&now);
                    let retry_after = wish.map(|wish| match wish {
                        Wish::For(seconds) => Duration::from_secs_f64(seconds),
                        Wish::UntilTheEnd => Duration::from_secs_f64((back - now).max(0.0)),
                    });
                    let refused =
                        || Err(Failure { again: Again::Soon, retry_after, ..Failure::transient("status 503") });
                    let result =
                        if is_down { refused() } else { Ok(Answer { status: 200, body: bytes::Bytes::new() }) };
                    is_late |= is_down;
                    taken += usize::from(!is_down);
                    if now >= back {
                        arrivals.push(now);
                    }
                    queue.settle("t", ticket.as_ref(), &result, BootTime::from_seconds(now), random.f64());
                    now += 0.001;
                    continue;
                }
                Next::Stored(_) => unreachable!("nothing is on disk"),
            };
            now = then.min(export);
            if now >= end {
                break;
            }
            if export <= then {
                queue.push("t", item(Class::Telemetry, &made.to_string(), b"x"), BootTime::from_seconds(now));
                made += 1;
                export += interval;
            }
        }
        taken += usize::try_from(queue.state("t").unwrap().queued).unwrap();
    }
    arrivals.sort_by(f64::total_cmp);
    let window = interval / 6.0;
    let within =
        |first: &f64| arrivals.partition_point(|at| *at < first + window) - arrivals.partition_point(|at| at < first);
    let most = arrivals.iter().map(within).max().unwrap();
    Seen { load: most as f64 / (f64::from(HOSTS) / 6.0), taken, made, caught_up }
}

#[test]
fn two_hundred_hosts_never_load_a_collector_that_comes_back_more_than_three_times_as_usual() {
    let mut worst = 0.0_f64;
    for interval in [10.0, 60.0] {
        for lasts in [0.1, 0.5, 1.0, 2.0, 10.0, 60.0].map(|intervals| intervals * interval) {
            for wish in [None, Some(Wish::For(30.0)), Some(Wish::UntilTheEnd)] {
                let outage = Outage { interval, lasts, wish };
                let seen = play(outage, 1);
                println!("{outage:?}: {seen:?}");
                worst = worst.max(seen.load);
                assert!(seen.load <= 3.0, "{outage:?}: {seen:?}");
                assert_eq!(seen.taken, seen.made, "{outage:?}");
                // What has come during the outage and the last pause is gone after as long again.
                let pause = (1.5 * interval.max(60.0)).max(40.0 + interval);
                let expected = 1.3 * (lasts + 2.0 * pause) + 5.0 * interval;
                assert!((0.1..expected).contains(&seen.caught_up), "{outage:?}: {seen:?}, and not {expected}");
            }
        }
    }
    assert!(worst > 1.5, "the fleet does catch up: {worst}");
}
