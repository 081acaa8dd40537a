//! How often the truth lies inside the bound that the agent tells: against real time servers whose truth is known.

#![expect(clippy::print_stdout, reason = "what is measured is worth reading: --nocapture")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use skewguard::clock::local;
use skewguard::config::load;
use skewguard::engine::{Engine, Event};
use skewguard::sources::ntp::query::query;
use skewguard::sources::poller::Polled;
use skewguard::time::{BootTime, Reading, Span, SystemTime};
use tests::chrony::Chrony;
use tests::net::{Net, Side, TIME_SYNC};
use tests::vm::Vm;
use tests::wait::wait_for;

/// How long each clock is watched. A trend is known after eight answers.
const WATCH: Duration = Duration::from_secs(64);
const POLL: Duration = Duration::from_secs(4);
/// Time between two readings of the estimate.
const STEP: Duration = Duration::from_millis(10);
/// How exactly chronyd tells what it serves.
const YARDSTICK: f64 = 20e-6;
/// How fast chronyd slews at most (`maxslewrate`), in seconds a second.
const CHRONY_SLEW: f64 = 83_333.333e-6;

/// What a kernel that steers would have added to this host's clocks: the machine's own may not be touched.
type Slew = fn(f64) -> f64;

fn unslewed(_: f64) -> f64 {
    0.0
}

/// From the 20th second to the 40th as fast as chronyd can, and back until the 60th.
fn slewed(second: f64) -> f64 {
    CHRONY_SLEW * ((second - 20.0).clamp(0.0, 20.0) - (second - 40.0).clamp(0.0, 20.0))
}

/// A host that asks one server, and whose clocks are those of this machine, slewed.
struct Host {
    began: BootTime,
    slew: Slew,
    engine: Engine,
}

impl Host {
    fn new(server: SocketAddr, slew: Slew) -> Self {
        let yaml = format!(
            "sources: [{{ name: time, ntp: \"{server}\", trusted: true }}]\ncredentials: {{ imds: {{ enabled: false }} }}\n"
        );
        let config = Arc::new(load::parse(&yaml, Path::new("coverage.yaml"), &|_| None).unwrap());
        let now = local::read();
        Self { began: now.boot, slew, engine: Engine::new(config, now) }
    }

    fn added(&self, at: BootTime) -> Span {
        Span::from_seconds((self.slew)(at.since(self.began).seconds()))
    }

    /// Both clocks of the host, and the system clock of this machine.
    fn read(&mut self) -> (Reading, SystemTime) {
        let steered = local::steered().expect("the kernel has a clock that it does not steer");
        let real = local::read();
        let added = self.added(real.boot);
        let now = Reading { boot: real.boot.plus(added), system: real.system.plus(added) };
        self.engine.steered(steered.plus(added), now.boot);
        (now, real.system)
    }

    async fn ask(&mut self, server: SocketAddr) {
        let result = query(server, Duration::from_secs(1)).await.map(|mut sample| {
            let added = self.added(sample.at);
            (sample.at, sample.anchor) = (sample.at.plus(added), sample.anchor.minus(added));
            sample
        });
        let (now, _) = self.read();
        self.engine.handle(Event::Source(Polled { source: 0, address: None, result: result.map_err(Into::into) }), now);
    }
}

/// One reading: the machine's system time, the offset of the host's clock, its bound, and what had been added to the clock.
struct Told {
    system: f64,
    offset: f64,
    bound: f64,
    added: f64,
}

/// What the agent tells of a host that asks `chrony` for so long.
fn watch(net: &Net, address: IpAddr, slew: Slew) -> Vec<Told> {
    let server = SocketAddr::new(address, 123);
    net.within(Side::Agent, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut host = Host::new(server, slew);
        let (started, mut asked, mut told) = (Instant::now(), 0, Vec::new());
        while started.elapsed() < WATCH {
            if started.elapsed() >= POLL * asked {
                asked += 1;
                runtime.block_on(host.ask(server));
            }
            let (now, real) = host.read();
            let clock = host.engine.snapshot(now).clock;
            told.push(Told {
                system: real.nanos() as f64 / 1e9,
                offset: clock.offset_seconds.unwrap(),
                bound: clock.error_bound_seconds.unwrap(),
                added: host
                    .added(BootTime::from_nanos(now.boot.nanos() - (now.system.nanos() - real.nanos())))
                    .seconds(),
            });
            thread::sleep(STEP);
        }
        told
    })
    .unwrap()
}

/// What the server serves beyond the machine's time, and when, in seconds.
fn served(chrony: &Chrony) -> (f64, f64) {
    let before = local::read().system.nanos();
    let offset = chrony.served_offset().unwrap();
    (f64::midpoint(before as f64 / 1e9, local::read().system.nanos() as f64 / 1e9), offset)
}

/// Watches a host whose server runs away by `ppm` from the machine's clock.
fn assert_covered(net: &Net, last: u8, ppm: f64, slew: Slew, name: &str) {
    let address = IpAddr::V4(Ipv4Addr::new(169, 254, 169, last));
    let chrony = Chrony::with_drift(net, address, ppm).unwrap();
    let (began, first) = served(&chrony);
    let told = watch(net, address, slew);
    let (ended, end) = served(&chrony);
    let rate = (end - first) / (ended - began);
    assert!((rate * 1e6 - ppm).abs() < 5.0, "the server runs away by {} ppm, not by {ppm}", rate * 1e6);
    let error = |one: &Told| (one.offset - (first + rate * (one.system - began) - one.added)).abs();
    let missed = told.iter().filter(|one| error(one) > one.bound + YARDSTICK).count();
    let worst = told.iter().map(|one| error(one) / one.bound).fold(0.0, f64::max);
    let mut bounds: Vec<f64> = told.iter().map(|one| one.bound).collect();
    bounds.sort_by(f64::total_cmp);
    println!(
        "{ppm} ppm, {name}: {missed} of {} readings outside, the worst by {worst:.2} bounds; bounds from {:.3} over {:.3} to {:.3} ms",
        told.len(),
        bounds[0] * 1e3,
        bounds[bounds.len() / 2] * 1e3,
        bounds[bounds.len() - 1] * 1e3,
    );
    assert!(told.len() >= 2_000, "{} readings show nothing", told.len());
    assert!(missed * 1_000 <= told.len(), "{ppm} ppm, {name}: {missed} of {} outside", told.len());
}

#[test]
fn the_truth_is_inside_the_bound_of_drifting_and_slewed_clocks() {
    let net = Net::new().unwrap();
    let hosts: [(u8, f64, Slew, &str); 6] = [
        (123, 0.0, unslewed, "not slewed"),
        (124, 15.0, unslewed, "not slewed"),
        (125, 100.0, unslewed, "not slewed"),
        (126, 500.0, unslewed, "not slewed"),
        (127, 0.0, slewed, "slewed as chronyd does"),
        (128, 100.0, slewed, "slewed as chronyd does"),
    ];
    for (last, ..) in hosts.iter().skip(1) {
        net.add_address(IpAddr::V4(Ipv4Addr::new(169, 254, 169, *last))).unwrap();
    }
    let net = &net;
    thread::scope(|scope| {
        for (last, ppm, slew, name) in hosts {
            scope.spawn(move || assert_covered(net, last, ppm, slew, name));
        }
    });
}

/// A guest whose kernel is really told to slew, as chronyd tells it.
#[cfg(target_arch = "x86_64")]
mod guest {
    use serde_json::Value;

    use super::*;

    const CONFIG: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 16s }]
credentials: { imds: { enabled: false } }
socket: /run/skewguard.sock
";
    /// A tick of 10 000 µs is that of a clock which is left alone; chronyd slews by no more than a twelfth.
    const SLEW: &str = "adjtimex -t 10833";
    const LEAVE: &str = "adjtimex -t 10000";
    /// More than a poll, so that answers grow old while the clock is slewed.
    const LONG: Duration = Duration::from_secs(36);
    const PATIENCE: Duration = Duration::from_secs(60);

    /// One look at the clock: system time, the offset that is told, and its bound, in seconds.
    #[derive(Clone, Copy, Debug)]
    struct Look {
        system: f64,
        offset: f64,
        bound: f64,
    }

    fn look(vm: &mut Vm, command: &str) -> Option<Look> {
        let json = vm.run(&format!("skewguard {command} --format json --config /etc/skewguard.yaml || true")).unwrap();
        let json: Value = serde_json::from_str(&json).ok()?;
        let system = chrono::DateTime::parse_from_rfc3339(json["time"]["system"].as_str()?).ok()?;
        Some(Look {
            system: system.timestamp_nanos_opt()? as f64 / 1e9,
            offset: json["clock"]["offset_seconds"].as_f64()?,
            bound: json["clock"]["error_bound_seconds"].as_f64()?,
        })
    }

    /// What the agent tells for so long, each time between two measurements of this moment.
    fn watch(vm: &mut Vm) -> Vec<[Look; 3]> {
        let measure = |vm: &mut Vm| wait_for("a measurement", PATIENCE, || look(vm, "check")).unwrap();
        let mut looks = Vec::new();
        let (began, mut before) = (Instant::now(), measure(vm));
        while began.elapsed() < LONG {
            let told = look(vm, "status").unwrap();
            let after = measure(vm);
            if told.system > before.system {
                looks.push([before, told, after]);
            }
            before = after;
        }
        looks
    }

    fn assert_covered(looks: &[[Look; 3]], name: &str) {
        let error = |[before, told, after]: &[Look; 3]| {
            let share = (told.system - before.system) / (after.system - before.system);
            let truth = before.offset + share * (after.offset - before.offset);
            ((told.offset - truth).abs(), before.bound.max(after.bound))
        };
        let missed: Vec<_> = looks
            .iter()
            .filter(|look| {
                let (error, yardstick) = error(look);
                error > look[1].bound + yardstick
            })
            .collect();
        let worst = looks.iter().map(|look| error(look).0).fold(0.0, f64::max);
        let bound = looks.iter().map(|look| look[1].bound).fold(0.0, f64::max);
        let went = looks[looks.len() - 1][2].offset - looks[0][0].offset;
        println!(
            "{name}: {} of {} readings outside; off by {:.3} ms at most, the widest bound is {:.3} ms; the offset went by {went:.3} s",
            missed.len(),
            looks.len(),
            worst * 1e3,
            bound * 1e3,
        );
        assert!(looks.len() >= 10, "{name}: {} readings show nothing", looks.len());
        assert!(missed.is_empty(), "{name}: {missed:?}");
    }

    #[test]
    fn the_truth_is_inside_the_bound_while_the_kernel_of_a_guest_slews_its_clock() {
        let net = Net::new().unwrap();
        let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        let mut vm = Vm::boot(&net, CONFIG).unwrap();
        vm.run("skewguard run --config /etc/skewguard.yaml >/dev/ttyS0 2>&1 &").unwrap();
        wait_for("the first estimate", PATIENCE, || look(&mut vm, "status")).unwrap();

        vm.run(SLEW).unwrap();
        let slewed = watch(&mut vm);
        let status = vm.run("skewguard status --format json --config /etc/skewguard.yaml || true").unwrap();
        vm.run(LEAVE).unwrap();
        assert_covered(&slewed, "slewed");
        let went = slewed[slewed.len() - 1][2].offset - slewed[0][0].offset;
        assert!(went < -1.0, "the guest's clock was not slewed: {went} s");
        let status: Value = serde_json::from_str(&status).unwrap();
        let frequency = status["clock"]["kernel"]["frequency_ppm"].as_f64().unwrap();
        assert!((frequency - 83_300.0).abs() < 500.0, "{status}");
        assert_covered(&watch(&mut vm), "after the slew");
    }
}
