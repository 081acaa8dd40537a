//! All who are told: standard error, the channels, and telemetry.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::timeout;

use super::StartError;
use crate::alert::machine::Transition;
use crate::clock::time::{BootTime, SystemTime};
use crate::clock::true_clock::{Stamp, TrueClock};
use crate::config::checked::{Channel, Config, Otlp, Target, Tls};
use crate::delivery::client::Clients;
use crate::delivery::item::{Class, Content, Item};
use crate::delivery::queue::Budget;
use crate::delivery::request::Endpoint;
use crate::delivery::spool::{Outbox, Spool};
use crate::notify::channel::{endpoint, told};
use crate::notify::message::message;
use crate::snapshot::{AlertMessage, Snapshot};
use crate::telemetry::endpoint::{OtlpEndpoint, tls, url};
use crate::telemetry::export::{Parts, Telemetry};
use crate::telemetry::gateway::Signal;
use crate::telemetry::resource::hostname;
use crate::vitals::Ailment;

/// The destinations of OTLP, by the name that output has for them.
const METRICS: &str = "otlp-metrics";
const LOGS: &str = "otlp-logs";

/// What all reporters read and stamp by.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) published: Arc<ArcSwap<Snapshot>>,
    pub(super) clock: Arc<TrueClock>,
}

/// Looks up an environment variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// All who are told.
pub(super) struct Reporters {
    spool: Spool,
    sources: Sources,
    channels: Vec<(Channel, Outbox)>,
    telemetry: Option<(Otlp, Telemetry)>,
    pub(super) to_stderr: bool,
    host: String,
}

/// Everything about a configuration that can fail.
struct Prepared {
    channels: Vec<(Channel, Arc<dyn Endpoint>)>,
    otlp: Option<(Otlp, Arc<dyn Endpoint>, Option<Arc<dyn Endpoint>>)>,
}

impl Prepared {
    fn new(config: &Config, sources: &Sources, env: Environment<'_>) -> Result<Self, StartError> {
        if config.otlp.is_none() && config.channels.is_empty() {
            return Ok(Self { channels: Vec::new(), otlp: None });
        }
        let mut clients = Clients::new(Arc::clone(&sources.clock));
        let mut client = |destination: &str, url: Option<&str>, tls: &Tls| {
            let failed = |source| StartError::Client { destination: destination.to_owned(), source };
            clients.client(url, tls).map_err(failed)
        };
        let mut channels = Vec::new();
        for channel in &config.channels {
            let client = client(&channel.name, address(&channel.target), &channel.tls)?;
            channels.push((channel.clone(), endpoint(channel, client)));
        }
        let Some(otlp) = &config.otlp else { return Ok(Self { channels, otlp: None }) };
        let mut endpoint = |signal, name| -> Result<Option<Arc<dyn Endpoint>>, StartError> {
            let Some(url) = url(signal, otlp, env) else { return Ok(None) };
            let client = client(name, Some(&url), &tls(signal, otlp, env)?)?;
            Ok(Some(Arc::new(OtlpEndpoint::new(client, signal, url, otlp, env))))
        };
        let (metrics, logs) = (endpoint(Signal::Metrics, METRICS)?, endpoint(Signal::Logs, LOGS)?);
        Ok(Self { channels, otlp: metrics.map(|metrics| (otlp.clone(), metrics, logs)) })
    }
}

impl Reporters {
    /// Begins to report; `spool` may hold what an earlier process left.
    pub(super) fn start(
        config: &Config,
        spool: Spool,
        sources: Sources,
        env: Environment<'_>,
        to_stderr: bool,
    ) -> Result<Self, StartError> {
        let mut reporters = Self { spool, sources, channels: Vec::new(), telemetry: None, to_stderr, host: hostname() };
        let prepared = Prepared::new(config, &reporters.sources, env)?;
        reporters.adopt(prepared, env)?;
        Ok(reporters)
    }

    /// Reports to whom the new configuration names. What cannot be set up changes nothing.
    pub(super) async fn reload(&mut self, config: &Config, env: Environment<'_>) -> Result<(), StartError> {
        let prepared = Prepared::new(config, &self.sources, env)?;
        let is_kept = |(otlp, _): &(Otlp, Telemetry)| prepared.otlp.as_ref().is_some_and(|(new, ..)| new == otlp);
        if !self.telemetry.as_ref().is_some_and(is_kept)
            && let Some((_, telemetry)) = self.telemetry.take()
        {
            telemetry.end().await;
        }
        self.spool.set_budget(budget(config));
        self.adopt(prepared, env)
    }

    fn adopt(&mut self, prepared: Prepared, env: Environment<'_>) -> Result<(), StartError> {
        let mut names = BTreeSet::new();
        let mut lane = |name: &str, endpoint| {
            names.insert(name.to_owned());
            self.spool.lane(name, endpoint)
        };
        let channels = prepared.channels.into_iter();
        self.channels = channels
            .map(|(channel, endpoint)| {
                let outbox = lane(&channel.name, endpoint);
                (channel, outbox)
            })
            .collect();
        if let Some((otlp, metrics, logs)) = prepared.otlp {
            let metrics = lane(METRICS, metrics);
            let logs = logs.map(|logs| lane(LOGS, logs));
            if self.telemetry.is_none() {
                let Sources { published, clock } = self.sources.clone();
                let telemetry = Telemetry::start(&otlp, env, &Parts { metrics, logs, published, clock })?;
                self.telemetry = Some((otlp, telemetry));
            }
        }
        self.spool.retain(&names);
        Ok(())
    }

    /// Takes note of how long a request to the instance metadata service took.
    pub(super) fn record_request(&self, outcome: &str, duration: Duration) {
        if let Some((_, telemetry)) = &self.telemetry {
            telemetry.imds_duration.record(outcome, duration);
        }
    }

    /// The message of a transition that happened at `system` by the system clock.
    pub(super) fn message(&self, transition: &Transition, snapshot: &Snapshot, system: SystemTime) -> AlertMessage {
        message(transition, transition.change, &self.host, &snapshot.host, system)
    }

    /// Tells a transition to all. Returns once it outlives the process, as far as it can.
    pub(super) async fn tell(&self, transition: &Transition, message: &AlertMessage) {
        let Some(item) = alert_item(message, transition.at) else { return };
        if self.to_stderr {
            write_line(&item.body);
        }
        let mut kept = Vec::new();
        for (channel, outbox) in &self.channels {
            match told(channel, transition) {
                Some(change) if change == message.change => kept.push(outbox.push(item.clone())),
                Some(change) => {
                    let message = AlertMessage { change, ..message.clone() };
                    kept.extend(alert_item(&message, transition.at).map(|item| outbox.push(item)));
                }
                None => {}
            }
        }
        let alerts = self.telemetry.as_ref().and_then(|(_, telemetry)| telemetry.alerts.as_ref());
        let logged = alerts.map(|alerts| alerts.write(transition, message));
        for one in kept {
            one.wait().await;
        }
        if let Some(logged) = logged {
            // The exporter may have ended meanwhile.
            let _ = logged.await;
        }
    }

    /// Gives up what has waited for too long.
    pub(super) fn expire(&self) {
        self.spool.expire(self.sources.clock.now());
    }

    /// What is wrong with the tasks that report, at `now`.
    pub(super) fn ailment(&self, now: BootTime) -> Option<Ailment> {
        let telemetry = self.telemetry.as_ref().and_then(|(_, telemetry)| telemetry.ailment(now));
        telemetry.or_else(|| self.spool.ailment(now))
    }

    /// Delivers what is queued, within a deadline, and says what is left.
    pub(super) async fn end(self, deadline: Duration) {
        let drain = async {
            if let Some((_, telemetry)) = self.telemetry {
                telemetry.end().await;
            }
            self.spool.close().await;
        };
        // The exporters' own end has no deadline.
        let in_time = timeout(deadline, drain).await.is_ok();
        for (destination, items, is_safe) in self.spool.waiting() {
            if is_safe {
                tracing::info!(destination, items, "not delivered before the end: kept for the next start");
            } else {
                tracing::warn!(destination, items, in_time, "not delivered before the end, and lost");
            }
        }
    }
}

/// How much may wait.
pub(super) fn budget(config: &Config) -> Budget {
    Budget { size: config.queue.size, age: config.queue.age }
}

/// The message as what is delivered.
fn alert_item(message: &AlertMessage, at: Stamp) -> Option<Item> {
    match serde_json::to_vec(message) {
        Ok(body) => {
            Some(Item { class: Class::Alert, key: message.key(), at, content: Content::Json, body: body.into() })
        }
        Err(error) => {
            tracing::error!(%error, "an alert cannot be written as JSON");
            None
        }
    }
}

/// Alerts stand on standard error as they are, one JSON object a line, between the lines of the log.
fn write_line(body: &[u8]) {
    use std::io::Write;
    // A closed standard error takes nothing away from the other channels.
    let _ = io::stderr().lock().write_all(&[body, b"\n"].concat());
}

/// Where a channel is reached; `None` where that is a secret.
fn address(target: &Target) -> Option<&str> {
    match target {
        Target::Webhook(webhook) => Some(&webhook.url),
        Target::Alertmanager(alertmanager) => Some(&alertmanager.url),
        Target::PagerDuty(pager_duty) => Some(&pager_duty.url),
        Target::Sns(sns) => Some(&sns.endpoint),
        Target::EventBridge(event_bridge) => Some(&event_bridge.endpoint),
        Target::Slack(_) => None,
    }
}
