//! How often the truth lies inside the bound, on hosts in invented time: free-running, steered, and set aside.

use super::estimator::Estimator;
use super::filter::tests::sample;
use super::sample::Failure;
use super::source::Traits;
use crate::time::{BootTime, Span};

/// Time between two readings of the estimate, in seconds.
const STEP: f64 = 0.25;
/// How fast chronyd slews at most (`maxslewrate`), in seconds a second.
const CHRONY_SLEW: f64 = 83_333.333e-6;

/// One source and one host: its oscillator is off, and its kernel steers it.
struct Host {
    random: fastrand::Rng,
    /// By how much the oscillator runs too fast, in seconds a second.
    oscillator: f64,
    /// By how much the kernel makes the clock faster, in seconds a second.
    steering: f64,
    poll: f64,
    /// True time since the beginning.
    elapsed: f64,
    boot: f64,
    /// What the kernel has added.
    steered: f64,
    estimator: Estimator,
    next_poll: f64,
    is_silent: bool,
}

/// What became of a number of readings.
#[derive(Debug, Default)]
struct Coverage {
    readings: u32,
    missed: u32,
    /// How many bounds off the worst estimate was.
    worst: f64,
    bounds: Vec<f64>,
}

impl Coverage {
    fn bound(&self) -> f64 {
        let mut bounds = self.bounds.clone();
        bounds.sort_by(f64::total_cmp);
        bounds[bounds.len() / 2]
    }

    fn assert_honest(&self, of: &str) {
        println!(
            "{of}: {} of {} readings outside, the worst by {:.2} bounds; a bound is {:.3} ms in the middle",
            self.missed,
            self.readings,
            self.worst,
            self.bound() * 1e3
        );
        assert!(self.readings >= 300, "{of}: {} readings show nothing", self.readings);
        assert!(self.missed * 1_000 <= self.readings, "{of}: {} of {} outside", self.missed, self.readings);
    }
}

impl Host {
    fn new(oscillator: f64, poll: f64, seed: u64) -> Self {
        let witness = Traits { trusted: true, leap_smear: true, group: None };
        Self {
            random: fastrand::Rng::with_seed(seed),
            oscillator,
            steering: 0.0,
            poll,
            elapsed: 0.0,
            boot: 0.0,
            steered: 0.0,
            estimator: Estimator::new([witness], BootTime::ZERO),
            next_poll: 0.0,
            is_silent: false,
        }
    }

    /// One whose kernel makes up for its oscillator.
    fn disciplined(oscillator: f64, poll: f64, seed: u64) -> Self {
        Self { steering: -oscillator, ..Self::new(oscillator, poll, seed) }
    }

    /// The truth: true time minus boot time.
    fn anchor(&self) -> f64 {
        self.elapsed - self.boot
    }

    fn now(&self) -> BootTime {
        BootTime::from_seconds(self.boot)
    }

    fn ask(&mut self) {
        self.next_poll += self.poll;
        let now = self.now();
        self.estimator.steered(Span::from_seconds(1e3 + self.steered), now);
        if self.is_silent {
            self.estimator.failed(0, Failure::Unanswered, now);
            return;
        }
        let delay = 1e-4 - 2e-4 * self.random.f64().max(1e-9).ln();
        let error = (self.random.f64() - 0.5) * delay;
        self.estimator.answered(0, sample(self.boot, self.anchor() + error, delay), now);
    }

    /// Lives for so many seconds and looks at the estimate all the time.
    fn watch(&mut self, seconds: f64, coverage: &mut Coverage) {
        let end = self.elapsed + seconds;
        while self.elapsed < end {
            if self.elapsed >= self.next_poll {
                self.ask();
            }
            self.elapsed += STEP;
            self.boot += STEP * (1.0 + self.oscillator + self.steering);
            self.steered += STEP * self.steering;
            self.estimator.steered(Span::from_seconds(1e3 + self.steered), self.now());
            let estimate = self.estimator.estimate(self.now()).expect("it was answered");
            let error = (estimate.anchor.seconds() - self.anchor()).abs();
            let bound = estimate.bound.seconds();
            coverage.readings += 1;
            coverage.missed += u32::from(error > bound);
            coverage.worst = coverage.worst.max(error / bound);
            coverage.bounds.push(bound);
        }
    }

    fn watched(&mut self, seconds: f64) -> Coverage {
        let mut coverage = Coverage::default();
        self.watch(seconds, &mut coverage);
        coverage
    }
}

#[test]
fn the_truth_is_inside_the_bound_of_a_free_running_clock_from_the_first_answer_on() {
    for ppm in [0.0, 15.0, -100.0, 100.0, -500.0, 500.0] {
        for poll in [1.0, 16.0, 64.0] {
            let mut host = Host::new(ppm * 1e-6, poll, 1);
            host.watched(6.0 * poll.max(15.0)).assert_honest(&format!("{ppm} ppm, asked every {poll} s, at first"));
            host.watched(3_600.0).assert_honest(&format!("{ppm} ppm, asked every {poll} s"));
            host.is_silent = true;
            host.watched(3_600.0).assert_honest(&format!("{ppm} ppm, nobody to ask"));
        }
    }
}

#[test]
fn the_truth_is_inside_the_bound_while_the_clock_is_slewed_and_after() {
    for rate in [-CHRONY_SLEW, CHRONY_SLEW, 500e-6, -5e-3] {
        for (poll, before) in [(16.0, 80.0_f64), (16.0, 1_800.0), (1.0, 100.0), (64.0, 3_600.0)] {
            let name =
                |what| format!("{:.0} ppm, asked every {poll} s, {before} s after the start: {what}", rate * 1e6);
            let mut host = Host::disciplined(30e-6, poll, 2);
            host.watched(before).assert_honest(&name("before"));
            host.steering += rate;
            host.watched(300.0).assert_honest(&name("slewed"));
            host.steering -= rate;
            host.watched(600.0).assert_honest(&name("after"));
        }
    }
}
