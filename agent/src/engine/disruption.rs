//! What a hypervisor does to the clocks of its machine.

use super::machine::Engine;
use crate::host::vmclock::Page;
use crate::time::Reading;

impl Engine {
    /// Takes what the hypervisor says of the machine, before the event that is handled at the same moment. Returns whether the
    /// clocks were disrupted since it was heard last: then nothing is known of the time, and how the clocks stand to one
    /// another now is no step that anybody has made.
    pub fn runs_on(&mut self, page: Page, now: Reading) -> bool {
        let is_disrupted = self.machine.replace(page).is_some_and(|before| page.is_disrupted_since(&before));
        if is_disrupted {
            self.disruptions = self.disruptions.saturating_add(1);
            self.estimator.disrupted(now.boot);
            (self.last, self.asleep, self.last_burst) = (now, None, None);
            // As after a start, one answer that nothing confirms is not enough to wake anybody.
            (self.started, self.unconfirmed_since) = (now.boot, Some(now.boot));
            self.wants_burst = true;
        }
        is_disrupted
    }
}

#[cfg(test)]
mod tests {
    //! Through the whole engine, in invented time.

    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::assess::finding::Kind;
    use crate::clock::filter::tests::sample;
    use crate::config::checked::Config;
    use crate::config::load::parse;
    use crate::engine::{Event, Image, Reaction};
    use crate::sources::poller::Polled;
    use crate::time::{BootTime, Span, SystemTime};

    const CONFIGURATION: &str = "
    sources: [{ name: time, ntp: 169.254.169.123, trusted: true, poll: 1024s }]
    credentials: { imds: { enabled: false } }
    alerts: { boot_grace: 120s }
    ";

    struct Machine {
        config: Arc<Config>,
        engine: Engine,
        boot: f64,
        /// Whether all are to be asked at once since what was heard last.
        bursts: bool,
        /// System minus boot time.
        system: f64,
    }

    impl Machine {
        /// One that knows the time.
        fn new() -> Self {
            let config = Arc::new(parse(CONFIGURATION, Path::new("machine.yaml"), &|_| None).unwrap());
            let reading = Reading { boot: BootTime::ZERO, system: SystemTime::from_seconds(1e9) };
            let engine = Engine::new(Arc::clone(&config), reading);
            let mut machine = Self { config, engine, boot: 0.0, bursts: false, system: 1e9 };
            machine.says(1);
            machine.tick();
            for _ in 0..3 {
                machine.hears(1e9);
            }
            assert_eq!(machine.state(), "synchronized");
            machine
        }

        fn now(&self) -> Reading {
            Reading {
                boot: BootTime::from_seconds(self.boot),
                system: SystemTime::from_seconds(self.system + self.boot),
            }
        }

        fn says(&mut self, marker: u64) -> bool {
            self.engine.runs_on(Page { marker, generation: None, expected: None }, self.now())
        }

        fn tick(&mut self) -> Reaction {
            self.boot += 1.0;
            self.engine.handle(Event::Tick { kernel: None, asleep: Span::ZERO }, self.now())
        }

        /// The source answers that true minus boot time is so much.
        fn hears(&mut self, anchor: f64) -> Vec<Kind> {
            self.boot += 0.001;
            self.hears_of(self.boot, anchor)
        }

        /// The same of an answer that came at `at`, and was waiting since.
        fn hears_of(&mut self, at: f64, anchor: f64) -> Vec<Kind> {
            let result = Ok(sample(at, anchor, 0.001));
            let reaction = self.engine.handle(Event::Source(Polled { source: 0, address: None, result }), self.now());
            self.bursts = reaction.burst;
            reaction.transitions.iter().map(|transition| transition.kind).collect()
        }

        fn state(&self) -> String {
            self.engine.snapshot(self.now()).clock.state
        }
    }

    #[test]
    fn after_a_disruption_nothing_is_known_and_the_first_answers_tell_how_wrong_the_clock_is() {
        let mut machine = Machine::new();
        assert!(!machine.says(1) && !machine.tick().burst);
        // All clocks of the machine stood still for 400 s.
        assert!(machine.says(2));
        assert_eq!((machine.state().as_str(), machine.engine.anchor()), ("starting", None));
        assert!(machine.tick().burst, "all sources are asked at once, however lately they were");
        assert_eq!(machine.hears_of(0.5, 1e9), [], "an answer from before");
        assert_eq!(machine.state(), "starting");
        assert_eq!(machine.hears(1e9 + 400.0), [], "one answer proves nothing");
        assert!(machine.bursts, "so that all are asked once more");
        assert_eq!(machine.hears(1e9 + 400.0), [Kind::ClockSkew]);
        assert!(!machine.bursts);
        let snapshot = machine.engine.snapshot(machine.now());
        assert_eq!(snapshot.clock.disruptions.unwrap().seen, 1);
        assert!((snapshot.clock.offset_seconds.unwrap() - 400.0).abs() < 0.01);
    }

    #[test]
    fn without_a_word_of_the_hypervisor_the_first_answer_that_contradicts_is_held_back() {
        let mut machine = Machine::new();
        machine.tick();
        assert_eq!(machine.hears(1e9 + 400.0), []);
        assert_eq!(machine.state(), "synchronized");
    }

    #[test]
    fn what_a_disruption_does_to_the_clocks_is_no_step() {
        let mut machine = Machine::new();
        machine.system += 100.0;
        assert!(machine.says(2));
        machine.tick();
        machine.hears(1e9 + 100.0);
        let snapshot = machine.engine.snapshot(machine.now());
        assert_eq!((snapshot.clock.steps.forward, snapshot.clock.steps.backward), (0, 0));
        assert_eq!(snapshot.alerts, []);
        // A step by somebody is still one.
        machine.system += 100.0;
        machine.tick();
        assert_eq!(machine.engine.snapshot(machine.now()).clock.steps.forward, 1);
    }

    #[test]
    fn a_process_that_begins_after_a_disruption_does_not_go_on_with_what_the_former_one_knew() {
        for (marker, expected) in [(1, "holdover"), (2, "starting")] {
            let mut machine = Machine::new();
            let image = serde_json::to_string(&machine.engine.image()).unwrap();
            let image: Image = serde_json::from_str(&image).unwrap();
            machine.engine = Engine::restore(Arc::clone(&machine.config), image, machine.now(), true);
            assert_eq!(machine.says(marker), marker == 2);
            assert_eq!(machine.state(), expected);
        }
    }
}
