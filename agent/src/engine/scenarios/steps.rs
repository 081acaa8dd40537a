//! Steps of the system clock: each is told, whenever it came, but for the one that a calendar has foretold.

use std::sync::Arc;

use crate::alert::machine::Change;
use crate::assess::finding::Kind;
use crate::config::load::parse;
use crate::engine::{Engine, Event};
use crate::time::{BootTime, Reading, Span, SystemTime};

/// 2027-01-01 and 2026-11-16, at midnight.
const NEW_YEAR: f64 = 1_798_761_600.0;
const ANY_MIDNIGHT: f64 = 1_794_787_200.0;

/// A clock that says `begin` at its start, and what the agent tells of its steps.
struct Clock {
    begin: f64,
    stepped: f64,
    engine: Engine,
    told: Vec<(f64, Change)>,
}

impl Clock {
    fn new(text: &str, begin: f64) -> Self {
        let config = parse(text, std::path::Path::new("steps.yaml"), &|_| None).unwrap();
        let engine = Engine::new(Arc::new(config), reading(begin, 0.0, 0.0));
        Self { begin, stepped: 0.0, engine, told: Vec::new() }
    }

    fn step(&mut self, by: f64) {
        self.stepped += by;
    }

    /// Another process goes on at this moment of the same boot.
    fn restart(&mut self, at: f64) {
        let (config, image) = (Arc::clone(&self.engine.config), self.engine.image());
        self.engine = Engine::restore(config, image, reading(self.begin, self.stepped, at), true);
    }

    fn tick(&mut self, at: f64) {
        let now = reading(self.begin, self.stepped, at);
        let told = self.engine.handle(Event::Tick { kernel: None, asleep: Span::ZERO }, now).transitions;
        self.told.extend(told.iter().filter(|told| told.kind == Kind::ClockStepped).map(|told| (at, told.change)));
    }
}

fn reading(begin: f64, stepped: f64, at: f64) -> Reading {
    Reading { boot: BootTime::from_seconds(100.0 + at), system: SystemTime::from_seconds(begin + stepped + at) }
}

#[test]
fn a_step_within_the_boot_grace_is_told_after_it_however_short_its_alert_is() {
    for (stays, over) in [("10s", 70.0), ("0s", 61.0), ("5m", 360.0)] {
        let mut clock =
            Clock::new(&format!("alerts: {{boot_grace: 1m, clock-stepped: {{for: {stays}}}}}"), ANY_MIDNIGHT);
        clock.tick(1.0);
        clock.step(-3.0);
        for second in 2..600 {
            clock.tick(f64::from(second));
        }
        assert_eq!(clock.told, [(60.0, Change::Firing), (over, Change::Resolved)], "{stays}");
    }
}

#[test]
fn a_step_that_is_told_late_because_nobody_looked_stays_for_its_time_from_then_on() {
    for restarts in [true, false] {
        let mut clock = Clock::new("alerts: {boot_grace: 1m, clock-stepped: {for: 5m}}", ANY_MIDNIGHT);
        clock.tick(1.0);
        clock.step(-3.0);
        clock.tick(2.0);
        if restarts {
            clock.restart(500.0);
        }
        for second in 500..1_000 {
            clock.tick(f64::from(second));
        }
        assert_eq!(clock.told, [(500.0, Change::Firing), (800.0, Change::Resolved)]);
    }
}

#[test]
fn the_small_corrections_that_follow_a_step_within_the_boot_grace_do_not_hide_it() {
    for stays in ["10s", "0s", "5m"] {
        let mut clock =
            Clock::new(&format!("alerts: {{boot_grace: 2m, clock-stepped: {{for: {stays}}}}}"), ANY_MIDNIGHT);
        clock.tick(1.0);
        clock.step(500.0);
        for second in 2..121 {
            if second % 40 == 0 {
                clock.step(0.005);
            }
            clock.tick(f64::from(second));
        }
        assert_eq!(clock.told, [(120.0, Change::Firing)], "{stays}");
    }
}

#[test]
fn a_smaller_step_is_told_once_the_alert_of_a_larger_one_is_over_by_its_own_section() {
    let mut clock = Clock::new("alerts: {boot_grace: 0s, clock-stepped: {for: 10s}}", ANY_MIDNIGHT);
    clock.tick(1.0);
    clock.step(500.0);
    for second in 2..45 {
        if second == 30 {
            clock.step(2.0);
        }
        clock.tick(f64::from(second));
    }
    let expected = [(2.0, Change::Firing), (12.0, Change::Resolved), (30.0, Change::Firing), (40.0, Change::Resolved)];
    assert_eq!(clock.told, expected);
}

#[test]
fn a_step_of_which_the_alert_stays_for_no_time_is_told_and_over_at_the_next_event() {
    let mut clock = Clock::new("alerts: {boot_grace: 0s, clock-stepped: {for: 0s}}", ANY_MIDNIGHT);
    clock.tick(1.0);
    clock.step(5.0);
    clock.tick(2.0);
    clock.tick(3.0);
    assert_eq!(clock.told, [(2.0, Change::Firing), (3.0, Change::Resolved)]);
}

#[test]
fn a_leap_second_at_the_end_of_june_or_december_is_no_step() {
    let leaps = |begin, before: f64, at: f64, by| {
        let mut clock = Clock::new("alerts: {boot_grace: 0s}", begin);
        clock.tick(before);
        clock.step(by);
        clock.tick(at);
        let steps = clock.engine.snapshot(reading(begin, clock.stepped, at)).clock.steps;
        (clock.told.len(), steps.forward + steps.backward)
    };
    let new_year = NEW_YEAR - 60.0;
    assert_eq!(leaps(new_year, 58.0, 60.5, -1.0), (0, 0), "23:59:59.5 again");
    assert_eq!(leaps(new_year, 59.9, 68.0, -1.000_4), (0, 0), "noticed late, with the noise of two readings");
    assert_eq!(leaps(new_year, 58.0, 59.5, 1.0), (0, 0), "a second is left out");
    // 2026-07-01.
    assert_eq!(leaps(1_782_864_000.0 - 60.0, 59.0, 61.0, -1.0), (0, 0));
    assert_eq!(leaps(new_year, 30.0, 31.0, -1.0), (1, 1), "half a minute before");
    assert_eq!(leaps(new_year, 62.0, 63.0, -1.0), (1, 1), "after it");
    assert_eq!(leaps(new_year, 59.0, 61.0, -2.0), (1, 1), "more than a leap second");
    assert_eq!(leaps(ANY_MIDNIGHT - 60.0, 59.0, 61.0, -1.0), (1, 1), "on no day of leap seconds");
}
