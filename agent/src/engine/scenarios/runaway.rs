//! A clock that runs away, past every level and limit, and comes back, while the sources answer at least by quorum.

use super::{LIMITS, Run, TICK};
use crate::assess::finding::{Kind, Severity};

/// Past the first two limits, and what the agent does in between.
const FAR: f64 = 330.0;
const QUIET: f64 = 200.0;
const FINE_TICK: f64 = 2.0;

impl Run {
    /// Whatever else happens to the host, the agent and the sources, whoever may be woken is told before the first limit.
    pub(super) fn run_away(&mut self) {
        while self.watched < QUIET {
            self.step();
        }
        self.tick = FINE_TICK;
        self.host.run_away();
        let mut next_trouble = self.watched + self.host.random.f64() * 300.0;
        while self.host.offset().abs() < FAR {
            if self.watched >= next_trouble {
                self.something_happens_but_a_quorum_stays();
                next_trouble += 20.0 + self.host.random.f64() * 600.0;
            }
            self.step();
            if self.was_killed {
                continue;
            }
            self.check();
            let offset = self.host.offset().abs();
            let told = self.firing.get(&(Kind::ClockSkew, String::new()));
            // An agent that has just lost its memory or its sources has to ask first.
            assert!(
                offset < LIMITS[0] || told == Some(&Severity::Critical) || !self.host.is_known(),
                "{offset} s away at {} s/s, and told is {told:?}",
                self.host.drift
            );
        }
        self.come_back();
        self.tick = TICK;
    }

    fn come_back(&mut self) {
        if self.host.random.bool() {
            self.host.drift = -self.host.drift;
            let side = self.host.offset().signum();
            while self.host.offset() * side > 0.5 {
                self.step();
                if !self.was_killed {
                    self.check();
                }
            }
        }
        self.host.drift = 0.0;
        self.host.step(self.host.gained - self.host.stepped);
        self.host.lost.fill(false);
    }

    /// Neither clock is set, and the agent is never away for long.
    fn something_happens_but_a_quorum_stays(&mut self) {
        self.begin_after_a_kill();
        let before = self.host.to_string();
        match self.host.random.u8(..10) {
            0 | 1 => self.restart(false, &[0.1, 5.0, 20.0]),
            2 | 3 => self.reload(),
            4 | 5 => self.something_happens_to_the_post(),
            6 => self.host.imds_out = !self.host.imds_out,
            _ => self.host.lose_or_find_one(),
        }
        if !self.host.has_quorum() {
            self.host.lost.fill(false);
        }
        if !self.host.has_quorum() {
            self.reload_with(self.host.all_sources(), 1_000, true);
        }
        self.story.push((self.host.elapsed, format!("{} was {before} is {}", self.host.elapsed, self.host)));
    }
}
