//! What of the engine outlives the process.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::known::Before;
use super::machine::Engine;
use crate::alert::machine::{Kept, Machine};
use crate::assess::finding::Kind;
use crate::clock::estimator::Memory;
use crate::config::checked::Config;
use crate::credentials::imds::host::HostIdentity;
use crate::host::vmclock::Page;
use crate::sources::source::Source;
use crate::time::{BootTime, Reading, Span, TrueTime};

/// What of the engine outlives the process. All but the alerts and what is known of the host means something only while the
/// host is not booted again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    alerts: Vec<Kept>,
    /// Since when the boot grace ran.
    started: BootTime,
    /// Both clocks at the last event.
    last: Reading,
    last_step: Option<(BootTime, Span)>,
    asleep: Option<(BootTime, Span)>,
    estimate: Memory,
    /// What the hypervisor said last of the machine.
    #[serde(default)]
    machine: Option<Page>,
    /// The last time for which a quorum or a trusted source vouched; it holds over boots.
    #[serde(default)]
    vouched: Option<TrueTime>,
    /// The sources that contradicted the majority, by name and server.
    condemned: Vec<(String, String)>,
    credentials: Vec<(String, Before)>,
    /// What the instance metadata service said of this host.
    #[serde(default)]
    host: Option<HostIdentity>,
}

/// What of an image there may be more of than a file has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The alerts that fire.
    Firing,
    /// The alerts that pend.
    Pending,
    /// What is remembered of credentials.
    Credentials,
}

impl Image {
    /// How many alerts fire.
    pub fn firing(&self) -> usize {
        self.alerts.iter().filter(|alert| alert.is_firing()).count()
    }

    /// The same without any [`Part`].
    #[must_use]
    pub fn bare(&self) -> Self {
        Self { alerts: Vec::new(), credentials: Vec::new(), ..self.clone() }
    }

    /// Adds a part of `whole`, as far as there is room for it; returns how many did not fit in.
    pub fn add(&mut self, whole: &Self, part: Part, room: &mut Room) -> usize {
        match part {
            Part::Firing => room.fill(&mut self.alerts, whole.alerts.iter().filter(|alert| alert.is_firing())),
            Part::Pending => room.fill(&mut self.alerts, whole.alerts.iter().filter(|alert| !alert.is_firing())),
            Part::Credentials => room.fill(&mut self.credentials, &whole.credentials),
        }
    }
}

/// So many bytes are left for the elements of lists, as JSON.
#[derive(Clone, Copy, Debug)]
pub struct Room(pub usize);

impl Room {
    /// Adds what fits in to `list`, one after the other; returns how many did not.
    pub fn fill<'a, T: Serialize + Clone + 'a>(
        &mut self,
        list: &mut Vec<T>,
        from: impl IntoIterator<Item = &'a T>,
    ) -> usize {
        let mut left_out = 0_usize;
        for one in from {
            // With the comma behind it.
            let length = serde_json::to_vec(one).map_or(usize::MAX, |text| text.len().saturating_add(1));
            match self.0.checked_sub(length) {
                Some(left) => {
                    self.0 = left;
                    list.push(one.clone());
                }
                None => left_out = left_out.saturating_add(1),
            }
        }
        left_out
    }
}

impl Engine {
    /// What is to outlive the process.
    pub fn image(&self) -> Image {
        let sources = self.estimator.sources().iter().zip(&self.config.sources);
        Image {
            alerts: self.alerts.keep(),
            started: self.started,
            last: self.last,
            last_step: self.last_step,
            asleep: self.asleep,
            estimate: self.estimator.memory(),
            machine: self.machine,
            vouched: self.last_vouched(),
            condemned: sources
                .filter(|(source, _)| source.is_condemned())
                .map(|(_, configured)| (configured.name.clone(), configured.kind.to_string()))
                .collect(),
            credentials: self.credentials.memory(self.last.boot, self.at(self.last).truth),
            host: self.host.clone(),
        }
    }

    /// Goes on where another process left off. In the same boot of the host the estimate holds, and a step of the system
    /// clock since then is noticed with the first event; after another boot only alerts, outages and what is known of the host go on.
    pub fn restore(config: Arc<Config>, image: Image, now: Reading, same_boot: bool) -> Self {
        let mut engine = Self::new(config, now);
        // A boot clock that stands before what was read of it is another one, whatever its name.
        let same_boot = same_boot && image.last.boot <= now.boot;
        let away = same_boot.then(|| now.boot.since(image.last.boot));
        for (subject, before) in image.credentials {
            // After another boot, what was told goes on; a role that was taken away meanwhile is no outage.
            let is_told = image.alerts.iter().any(|kept| kept.fires(Kind::CredentialUnavailable, &subject));
            let before = if same_boot { before } else { before.booted(is_told) };
            engine.credentials.remember(subject, before.after(image.last.boot, now.boot));
        }
        engine.alerts = Machine::resumed(engine.config.alerts.repeat, image.alerts, away, now.boot);
        engine.host = image.host;
        engine.introduce();
        engine.vouched_before = image.vouched;
        if !same_boot {
            return engine;
        }
        engine.started = image.started.min(now.boot);
        engine.last = image.last;
        engine.last_step = image.last_step.map(|(at, by)| (at.min(now.boot), by));
        engine.asleep = image.asleep;
        engine.machine = image.machine;
        engine.estimator.resume(&image.estimate, now.boot);
        for (name, server) in &image.condemned {
            let is_it = |source: &Source| *name == source.name && *server == source.kind.to_string();
            if let Some(index) = engine.config.sources.iter().position(is_it) {
                engine.estimator.condemn(index);
            }
        }
        engine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;
    use crate::engine::Event;
    use crate::time::SystemTime;

    fn now(seconds: f64) -> Reading {
        Reading { boot: BootTime::from_seconds(seconds), system: SystemTime::from_seconds(1e9 + seconds) }
    }

    #[test]
    fn what_is_known_of_the_host_is_known_to_the_next_process_as_well_even_after_another_boot() {
        let text = "sources: [{name: a, ntp: 10.0.0.1}]\nalerts: { boot_grace: 0s, clock-unverified: { for: 1s } }";
        let config = Arc::new(parse(text, std::path::Path::new("image.yaml"), &|_| None).unwrap());
        let mut before = Engine::new(Arc::clone(&config), now(0.0));
        let host = HostIdentity { instance_id: Some("i-1".to_owned()), ..HostIdentity::default() };
        before.handle(Event::Host(host), now(1.0));
        let image = serde_json::to_string(&before.image()).unwrap();
        for same_boot in [true, false] {
            let image: Image = serde_json::from_str(&image).unwrap();
            let mut after = Engine::restore(Arc::clone(&config), image, now(2.0), same_boot);
            after.name_host("web-1".to_owned());
            assert_eq!(after.snapshot(now(2.0)).host["host.id"], "i-1");
            let tick = |seconds| (Event::Tick { kernel: None, asleep: Span::ZERO }, now(seconds));
            let told: Vec<_> = (3..1_000)
                .flat_map(|second| {
                    let (event, now) = tick(f64::from(second));
                    after.handle(event, now).transitions
                })
                .collect();
            assert!(!told.is_empty());
            for one in told {
                assert_eq!((one.speaker.host.as_str(), one.speaker.attributes["host.id"].as_str()), ("web-1", "i-1"));
            }
        }
    }

    #[test]
    fn the_last_time_that_somebody_vouched_for_is_known_to_the_next_process_even_after_another_boot() {
        let config = Arc::new(parse("{}", std::path::Path::new("image.yaml"), &|_| None).unwrap());
        let mut image = serde_json::to_value(Engine::new(Arc::clone(&config), now(0.0)).image()).unwrap();
        let vouched = TrueTime::from_nanos(1_800_000_000_000_000_000);
        for (written, expected) in
            [(serde_json::to_value(vouched).unwrap(), Some(vouched)), (serde_json::Value::Null, None)]
        {
            image["vouched"] = written;
            for same_boot in [true, false] {
                let image: Image = serde_json::from_value(image.clone()).unwrap();
                let after = Engine::restore(Arc::clone(&config), image, now(2.0), same_boot);
                assert_eq!(after.last_vouched(), expected);
                // Although nobody vouched for any time in this process.
                assert_eq!(after.image().vouched, expected);
            }
        }
    }
}
