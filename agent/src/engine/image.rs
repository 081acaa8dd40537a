//! What of the engine outlives the process.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::known::Before;
use super::machine::Engine;
use crate::alert::machine::{Kept, Machine};
use crate::assess::finding::Kind;
use crate::clock::estimate::Memory;
use crate::clock::time::{BootTime, Reading, Span};
use crate::config::checked::{Config, Source};

/// What of the engine outlives the process. All but the alerts means something only while the host is not booted again.
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
    /// The sources that contradicted the majority, by name and server.
    condemned: Vec<(String, String)>,
    credentials: Vec<(String, Before)>,
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
            condemned: sources
                .filter(|(source, _)| source.is_condemned())
                .map(|(_, configured)| (configured.name.clone(), configured.server.to_string()))
                .collect(),
            credentials: self.credentials.memory(),
        }
    }

    /// Goes on where another process left off. In the same boot of the host the estimate holds, and a step of the system
    /// clock since then is noticed with the first event; after another boot only alerts and outages go on.
    pub fn restore(config: Arc<Config>, image: Image, now: Reading, same_boot: bool) -> Self {
        let mut engine = Self::new(config, now);
        // A boot clock that stands before what was read of it is another one, whatever its name.
        let same_boot = same_boot && image.last.boot <= now.boot;
        let away = same_boot.then(|| now.boot.since(image.last.boot));
        for (subject, before) in image.credentials {
            // After another boot, what was told goes on; a role that was taken away meanwhile is no outage.
            let is_told = image.alerts.iter().any(|kept| kept.fires(Kind::CredentialUnavailable, &subject));
            let before = if same_boot || is_told { before } else { before.without_outage() };
            engine.credentials.remember(subject, before.after(image.last.boot, now.boot));
        }
        engine.alerts = Machine::resumed(engine.config.alerts.repeat, image.alerts, away, now.boot);
        if !same_boot {
            return engine;
        }
        engine.started = image.started.min(now.boot);
        engine.last = image.last;
        engine.last_step = image.last_step.map(|(at, by)| (at.min(now.boot), by));
        engine.asleep = image.asleep;
        engine.estimator.resume(&image.estimate, now.boot);
        for (name, server) in &image.condemned {
            let is_it = |source: &Source| *name == source.name && *server == source.server.to_string();
            if let Some(index) = engine.config.sources.iter().position(is_it) {
                engine.estimator.condemn(index);
            }
        }
        engine
    }
}
