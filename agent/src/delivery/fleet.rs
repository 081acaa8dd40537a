//! Plays a fleet whose collector breaks down and comes back, in invented time.

use std::time::Duration;

use super::item::Class;
use super::item::tests::item;
use super::policy::Again;
use super::queue::{Budget, Next, Queue, Rhythm};
use super::request::{Answer, Failure};
use crate::config::load::load;
use crate::schedules;
use crate::time::BootTime;

const HOSTS: u32 = 200;
/// When the collector breaks down.
const BEGIN: f64 = 600.0;
/// What an export of a host and a log record of an alert take, in bytes.
const EXPORT: usize = 1_400;
const RECORD: usize = 700;
const BUDGET: Budget = Budget { size: 1 << 30, age: Duration::from_secs(1_000_000) };

/// What happens to the collector.
#[derive(Clone, Copy, Debug)]
struct Outage {
    /// How often each host exports.
    interval: f64,
    /// For how long the collector is away.
    lasts: f64,
    /// How many alerts each host has to tell meanwhile.
    alerts: u32,
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

/// The destinations of a host, both at the one collector.
const LANES: [&str; 2] = ["metrics", "logs"];

/// What the collector sees from the moment at which it is back.
#[derive(Debug, Default)]
struct Seen {
    /// The most within any sixth of an interval, as a multiple of what is usual.
    load: f64,
    /// The items of either kind that arrived or still wait, of those that were made.
    taken: [usize; 2],
    made: [usize; 2],
    /// When the last host had nothing left of a kind that had waited, in seconds.
    caught_up: [f64; 2],
}

/// One host of the fleet, at `now`.
struct Host {
    queue: Queue,
    random: fastrand::Rng,
    now: f64,
    /// When it exports next.
    export: f64,
    /// When it has an alert to tell, the next one last.
    alerts: Vec<f64>,
    /// What of either kind has failed and still waits.
    is_late: [bool; 2],
}

impl Host {
    fn new(outage: Outage, budget: Budget, mut random: fastrand::Rng) -> Self {
        let Outage { interval, lasts, alerts, .. } = outage;
        let mut queue = Queue::new(budget, []);
        let period = Duration::from_secs_f64(interval);
        for (lane, rhythm) in LANES.into_iter().zip([Rhythm::Every(period), Rhythm::Beside(period)]) {
            queue.open(lane, rhythm, BootTime::ZERO, random.f64());
        }
        // What takes the collector away makes every host tell the same, at the same moment.
        let alerts = (0..alerts).map(|number| BEGIN + lasts * f64::from(number) / f64::from(alerts));
        let alerts = alerts.rev().collect();
        let export = random.f64() * interval;
        Self { queue, random, now: 0.0, export, alerts, is_late: [false; 2] }
    }

    /// When something new comes.
    fn next_made(&self) -> f64 {
        self.alerts.last().copied().unwrap_or(f64::INFINITY).min(self.export)
    }

    fn make(&mut self, interval: f64, made: &mut [usize; 2]) {
        let now = BootTime::from_seconds(self.now);
        if self.export <= self.now {
            self.export += interval;
            self.queue.push(LANES[0], item(Class::Telemetry, &made[0].to_string(), &[0; EXPORT]), now);
            made[0] += 1;
        } else {
            self.alerts.pop();
            self.queue.push(LANES[1], item(Class::Alert, &made[1].to_string(), &[0; RECORD]), now);
            made[1] += 1;
        }
    }

    /// Sends what is to be sent now, and returns when there is something again.
    fn send(&mut self, outage: Outage, kind: usize, arrivals: &mut Vec<f64>, seen: &mut Seen) -> f64 {
        let back = BEGIN + outage.lasts;
        loop {
            let now = BootTime::from_seconds(self.now);
            match self.queue.next(LANES[kind], now) {
                Next::Nothing => {
                    if std::mem::take(&mut self.is_late[kind]) {
                        seen.caught_up[kind] = seen.caught_up[kind].max(self.now - back);
                    }
                    return f64::INFINITY;
                }
                Next::Wait(then) => return then.since(BootTime::ZERO).seconds(),
                Next::Item(ticket, _) => {
                    let mut tickets: Vec<_> = ticket.into_iter().collect();
                    // As a sender does with log records.
                    while kind == 1 && tickets.len() < 200 {
                        let Some((next, _)) = self.queue.following(tickets.last().unwrap()) else { break };
                        tickets.push(next);
                    }
                    let is_down = (BEGIN..back).contains(&self.now);
                    let result = if is_down {
                        let retry_after = outage.wish.map(|wish| match wish {
                            Wish::For(seconds) => Duration::from_secs_f64(seconds),
                            Wish::UntilTheEnd => Duration::from_secs_f64((back - self.now).max(0.0)),
                        });
                        Err(Failure { again: Again::Soon, retry_after, ..Failure::transient("status 503") })
                    } else {
                        Ok(Answer { status: 200, body: bytes::Bytes::new() })
                    };
                    self.is_late[kind] |= is_down;
                    seen.taken[kind] += if is_down { 0 } else { tickets.len() };
                    if self.now >= back {
                        arrivals.push(self.now);
                    }
                    self.queue.settle(LANES[kind], &tickets, &result, now, self.random.f64());
                }
                Next::Stored(_) => unreachable!("nothing is on disk"),
            }
        }
    }
}

fn play(outage: Outage, seed: u64) -> Seen {
    play_of(HOSTS, BUDGET, outage, seed).0
}

/// What is seen of so many hosts, and when each request arrived from the moment on at which the collector is back.
fn play_of(hosts: u32, budget: Budget, outage: Outage, seed: u64) -> (Seen, Vec<f64>) {
    let Outage { interval, lasts, .. } = outage;
    let end = BEGIN + 2.5 * lasts + 900.0 + 30.0 * interval;
    let (mut arrivals, mut seen) = (Vec::new(), Seen::default());
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..hosts {
        let mut host = Host::new(outage, budget, random.fork());
        loop {
            let next = [0, 1].map(|kind| host.send(outage, kind, &mut arrivals, &mut seen));
            let made = host.next_made();
            host.now = next[0].min(next[1]).min(made);
            if host.now >= end {
                break;
            }
            if made <= host.now {
                host.make(interval, &mut seen.made);
            }
        }
        for (lane, taken) in LANES.into_iter().zip(&mut seen.taken) {
            *taken += usize::try_from(host.queue.state(lane).unwrap().queued).unwrap();
        }
    }
    arrivals.sort_by(f64::total_cmp);
    let window = interval / 6.0;
    let within =
        |first: &f64| arrivals.partition_point(|at| *at < first + window) - arrivals.partition_point(|at| at < first);
    let most = arrivals.iter().map(within).max().unwrap();
    seen.load = most as f64 / (f64::from(hosts) / 6.0);
    (seen, arrivals)
}

#[test]
fn two_hundred_hosts_never_load_a_collector_that_comes_back_more_than_three_times_as_usual() {
    let mut worst = 0.0_f64;
    let seldom = if schedules::all() { 1 } else { 7 };
    let mut number = 0;
    for interval in [10.0, 60.0] {
        for lasts in [0.1, 0.5, 1.0, 2.0, 10.0, 60.0].map(|intervals| intervals * interval) {
            for wish in [None, Some(Wish::For(30.0)), Some(Wish::UntilTheEnd)] {
                for alerts in [0, 1, 6, 250] {
                    number += 1;
                    if number % seldom != 0 {
                        continue;
                    }
                    let outage = Outage { interval, lasts, alerts, wish };
                    let seen = play(outage, 1);
                    println!("{outage:?}: {seen:?}");
                    worst = worst.max(seen.load);
                    assert!(seen.load <= 3.0, "{outage:?}: {seen:?}");
                    assert_eq!(seen.taken, seen.made, "{outage:?}");
                    // What has come during the outage and the last pause is gone after as long again, once the alerts are
                    // told, of which two turns are enough.
                    let pause = (1.5 * interval.max(60.0)).max(40.0 + interval);
                    let telling = if alerts > 0 { 6.0 * interval } else { 0.0 };
                    let expected = 1.3 * (lasts + 2.0 * (pause + telling)) + 5.0 * interval;
                    assert!((0.1..expected).contains(&seen.caught_up[0]), "{outage:?}: {seen:?}, and not {expected}");
                    assert!(seen.caught_up[1] < 2.0 * pause + telling, "{outage:?}: {seen:?}");
                }
            }
        }
    }
    assert!(worst > 1.5, "the fleet does catch up: {worst}");
}

#[test]
fn ten_thousand_hosts_whose_collector_was_away_for_an_hour_lose_nothing_and_load_it_evenly() {
    let hosts = if schedules::all() { 10_000 } else { 500 };
    // As hosts are by default, and each has six alerts to tell.
    let defaults = load(None, &|_| None).unwrap().queue;
    let budget = Budget { size: defaults.size, age: defaults.age };
    let outage = Outage { interval: 60.0, lasts: 3_600.0, alerts: 6, wish: None };
    let (seen, arrivals) = play_of(hosts, budget, outage, 1);
    let back = BEGIN + outage.lasts;
    let usual = f64::from(hosts) / outage.interval;
    println!("{hosts} hosts, {usual:.0} requests a second as usual; {seen:?}");
    let curve = |from: f64, to: f64| {
        let within = arrivals.iter().filter(|at| (back + from..back + to).contains(*at)).count();
        within as f64 / (to - from)
    };
    for minute in [0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 75, 90, 105] {
        let from = 60.0 * f64::from(minute);
        let rate = curve(from, from + 60.0);
        println!("minute {minute:>3}: {rate:6.1} requests a second, {:.2} of the usual", rate / usual);
    }
    // Metrics as well as log records of alerts wait, and all of them arrive.
    assert_eq!(seen.taken, seen.made);
    assert!(seen.made[0] > 60 * hosts as usize && seen.made[1] == 6 * hosts as usize, "{seen:?}");
    assert!(seen.load <= 3.0, "{seen:?}");
    assert!(curve(0.0, 60.0) <= 2.0 * usual, "the first minute is no stampede: {}", curve(0.0, 60.0));
    assert!(curve(600.0, 1_200.0) > 1.5 * usual, "and then it is caught up with");
    assert!(seen.caught_up.iter().all(|seconds| (1.0..2.0 * outage.lasts).contains(seconds)), "{seen:?}");
}
