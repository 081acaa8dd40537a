//! All who are told: standard error, the channels, and telemetry.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::timeout;

use super::error::StartError;
use crate::alert::machine::Transition;
use crate::clock::true_clock::TrueClock;
use crate::config::checked::Config;
use crate::delivery::client::Clients;
use crate::delivery::fate::Told;
use crate::delivery::queue::{Budget, Rhythm};
use crate::delivery::request::Destination;
use crate::delivery::spool::{Outbox, Spool};
use crate::engine::Engine;
use crate::notify::channel::{self, Channel, destination, told};
use crate::notify::event::event;
use crate::notify::message::{item, message};
use crate::notify::targets::target::Repost;
use crate::setting::tls::Tls;
use crate::setting::url::WebUrl;
use crate::snapshot::{AlertMessage, Snapshot};
use crate::state::Untold;
use crate::stderr::Stderr;
use crate::sys::{self, Event};
use crate::telemetry::collector::{OtlpDestination, tls, url};
use crate::telemetry::export::{Instruments, Outboxes, Telemetry};
use crate::telemetry::exposition::Exposition;
use crate::telemetry::gateway::Signal;
use crate::telemetry::otlp::Otlp;
use crate::time::{BootTime, Reading, Span};
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
    instruments: Instruments,
    ways: Vec<Way>,
    telemetry: Option<(Otlp, Telemetry)>,
    exposition: Exposition,
    /// Where alerts are written, one JSON object a line; `None` for nowhere.
    stderr: Option<Stderr>,
}

/// A channel, and the way to it.
struct Way {
    channel: Channel,
    outbox: Outbox,
    /// How what fires is told again, and when next.
    repost: Option<(Repost, BootTime)>,
}

impl Way {
    fn new(channel: Channel, outbox: Outbox) -> Self {
        let repost = channel.target.repost().map(|repost| (repost, BootTime::ZERO));
        Self { channel, outbox, repost }
    }
}

/// Everything about a configuration that can fail.
struct Prepared {
    channels: Vec<(Channel, Arc<dyn Destination>)>,
    otlp: Option<Collector>,
}

/// A collector, and where each signal goes.
struct Collector {
    otlp: Otlp,
    metrics: Option<Arc<dyn Destination>>,
    logs: Option<Arc<dyn Destination>>,
    /// The telemetry that goes there; `None` where what there is goes on.
    telemetry: Option<Telemetry>,
}

impl Reporters {
    /// Begins to report; `spool` may hold what an earlier process left.
    pub(super) async fn start(
        config: &Config,
        spool: Spool,
        sources: Sources,
        env: Environment<'_>,
        stderr: Option<Stderr>,
    ) -> Result<Self, StartError> {
        let instruments = Instruments::new(Arc::clone(&sources.published), Arc::clone(&sources.clock));
        let exposition = Exposition::new(Arc::clone(&sources.published), instruments.extent.clone());
        let (ways, telemetry) = (Vec::new(), None);
        let mut reporters = Self { spool, sources, instruments, ways, telemetry, exposition, stderr };
        let prepared = reporters.prepare(config, env)?;
        reporters.adopt(prepared);
        reporters.expose(config).await;
        Ok(reporters)
    }

    /// Reports to whom the new configuration names, and returns the destinations that it does not name any more. What
    /// cannot be set up changes nothing.
    pub(super) async fn reload(&mut self, config: &Config, env: Environment<'_>) -> Result<Vec<String>, StartError> {
        let prepared = self.prepare(config, env)?;
        if prepared.otlp.as_ref().is_none_or(|collector| collector.telemetry.is_some())
            && let Some((_, telemetry)) = self.telemetry.take()
        {
            telemetry.end().await;
        }
        self.spool.set_budget(budget(config));
        self.expose(config).await;
        Ok(self.adopt(prepared))
    }

    /// Has as much be exported as the configuration wants, and be read where it says.
    async fn expose(&mut self, config: &Config) {
        self.instruments.extent.set(config.telemetry.detail);
        self.exposition.adopt(&config.telemetry).await;
    }

    fn prepare(&self, config: &Config, env: Environment<'_>) -> Result<Prepared, StartError> {
        if config.telemetry.otlp.is_none() && config.channels.is_empty() {
            return Ok(Prepared { channels: Vec::new(), otlp: None });
        }
        let clock = &self.sources.clock;
        let mut clients = Clients::new(Arc::clone(clock));
        let mut client = |destination: &str, url: Option<&WebUrl>, tls: &Tls| {
            let failed = |error| StartError::Client { destination: destination.to_owned(), error };
            clients.client(url, tls).map_err(failed)
        };
        let mut channels = Vec::new();
        for channel in &config.channels {
            let client = client(&channel.name, channel.target.url(), &channel.tls)?;
            channels.push((channel.clone(), destination(channel, client, clock, config.credentials.imds.as_ref())));
        }
        let Some(otlp) = &config.telemetry.otlp else { return Ok(Prepared { channels, otlp: None }) };
        let mut signal = |signal, name| -> Result<Option<Arc<dyn Destination>>, StartError> {
            let Some(url) = url(signal, otlp, env) else { return Ok(None) };
            let client = client(name, Some(&url), &tls(signal, otlp, env)?)?;
            Ok(Some(Arc::new(OtlpDestination::new(client, clock, signal, url, otlp, env))))
        };
        let (metrics, logs) = (signal(Signal::Metrics, METRICS)?, signal(Signal::Logs, LOGS)?);
        // The last that can fail, because it is at work as soon as it is there.
        let telemetry = match &self.telemetry {
            Some((before, _)) if before == otlp => None,
            _ => {
                let outbox = |destination: &Option<_>, name| destination.as_ref().map(|_| self.spool.outbox(name));
                let outboxes = Outboxes { metrics: outbox(&metrics, METRICS), logs: outbox(&logs, LOGS) };
                Some(Telemetry::start(otlp, env, &self.instruments, &outboxes)?)
            }
        };
        Ok(Prepared { channels, otlp: Some(Collector { otlp: otlp.clone(), metrics, logs, telemetry }) })
    }

    /// Reports to all these and to nobody else; returns the destinations of before that are gone. A destination that is not
    /// what it was is tried at once; any other may have asked for patience.
    fn adopt(&mut self, Prepared { channels, otlp }: Prepared) -> Vec<String> {
        let mut names = BTreeSet::new();
        let mut lane = |name: &str, rhythm, destination, is_changed| {
            names.insert(name.to_owned());
            let outbox = self.spool.lane(name, rhythm, destination);
            if is_changed {
                outbox.hurry();
            }
            outbox
        };
        let before = std::mem::take(&mut self.ways);
        let ways = channels.into_iter().map(|(channel, destination)| {
            let is_changed = !before.iter().any(|way| way.channel == channel);
            let outbox = lane(&channel.name, Rhythm::AsItComes, destination, is_changed);
            Way::new(channel, outbox)
        });
        self.ways = ways.collect();
        if let Some(Collector { otlp, metrics, logs, telemetry }) = otlp {
            let rhythms =
                [(METRICS, Rhythm::Every(otlp.interval), metrics), (LOGS, Rhythm::Beside(otlp.interval), logs)];
            for (name, rhythm, destination) in rhythms {
                if let Some(destination) = destination {
                    lane(name, rhythm, destination, telemetry.is_some());
                }
            }
            if let Some(telemetry) = telemetry {
                self.telemetry = Some((otlp, telemetry));
            }
        }
        self.spool.retain(&names)
    }

    /// Takes note of how long a request to the instance metadata service took.
    pub(super) fn record_request(&self, outcome: &str, duration: Duration) {
        self.instruments.imds_duration.record(outcome, duration);
    }

    /// Tells transitions to all, and returns at once.
    pub(super) fn tell(&mut self, untold: &[Untold]) -> Vec<Told> {
        let tell = |Untold { transition, message }: &Untold| {
            self.tell_one(transition, message).unwrap_or_else(|error| {
                tracing::error!(%error, "an alert cannot be written as JSON");
                Told::default()
            })
        };
        untold.iter().map(tell).collect()
    }

    fn tell_one(&mut self, transition: &Transition, message: &AlertMessage) -> Result<Told, serde_json::Error> {
        let mut told_to = Told::default();
        // All who see the same are sent the same bytes.
        let whole = item(message, transition.at)?;
        for way in &mut self.ways {
            let Some(seen) = told(&way.channel, transition) else { continue };
            let seen = channel::message(message, &seen);
            let item = if seen == *message { whole.clone() } else { item(&seen, transition.at)? };
            told_to.add(way.outbox.push(item));
            // What was to be told again may be over.
            way.outbox.push_latest(None);
        }
        let alerts = self.telemetry.as_ref().and_then(|(_, telemetry)| telemetry.alerts.as_ref());
        alerts.iter().for_each(|alerts| told_to.add(alerts.write(transition, message)));
        // The last of all, for nobody may be reading it.
        if let Some(stderr) = &self.stderr {
            stderr.alert(&whole.body);
            let (level, id, text) = event(transition, message, &String::from_utf8_lossy(&whole.body));
            sys::report(&Event { level, id, text: &text });
        }
        Ok(told_to)
    }

    /// Tells what fires again to those who would take it for resolved otherwise, where it is time.
    pub(super) fn repost(&mut self, engine: &Engine, now: Reading) {
        let stamp = self.sources.clock.at(now);
        for Way { channel, outbox, repost } in &mut self.ways {
            let Some((repost, due)) = repost.as_mut().filter(|(_, due)| *due <= now.boot) else { continue };
            *due = now.boot.plus(Span::from_duration(repost.every));
            let firing = engine.firing(stamp).filter_map(|transition| told(channel, &transition));
            let firing: Vec<_> = firing.map(|seen| message(&seen, now.system, engine.runbooks())).collect();
            outbox.push_latest((repost.item)(&firing, stamp));
        }
    }

    /// Tells what could not be told of the destinations when it happened.
    pub(super) fn catch_up(&self) {
        self.spool.catch_up();
    }

    /// Gives up what has waited for too long, and asks the disk again for what it has refused.
    pub(super) fn keep_house(&self) {
        self.spool.keep_house(self.sources.clock.now());
    }

    /// What is wrong with the tasks that report, at `now`.
    pub(super) fn ailment(&self, now: Span) -> Option<Ailment> {
        let telemetry = self.telemetry.as_ref().and_then(|(_, telemetry)| telemetry.ailment(now));
        telemetry.or_else(|| self.exposition.ailment(now)).or_else(|| self.spool.ailment(now))
    }

    /// Delivers what is queued, within a deadline, and says what is left.
    pub(super) async fn end(self, deadline: Duration) {
        let drain = async {
            let deliver = async {
                if let Some((_, telemetry)) = self.telemetry {
                    telemetry.end().await;
                }
                self.spool.close().await;
            };
            // Neither waits for the other: what is queued is worth more than a file.
            tokio::join!(self.exposition.end(), deliver);
        };
        // The exporters' own end has no deadline.
        let in_time = timeout(deadline, drain).await.is_ok();
        self.spool.tell_losses();
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::sleep;

    use super::*;
    use crate::clock::local;
    use crate::config::load::parse;
    use crate::delivery::store::{Health, Store};
    use crate::demo::http::{Response, start};
    use crate::runtime::recorder::tests::untold;

    fn config(channel: &str, url: &str, otlp: &str, env: Environment<'_>) -> Config {
        let yaml = format!(
            "sources: [{{ name: a, ntp: 127.0.0.1 }}]\nchannels: [{{ name: {channel}, webhook: {{ url: \"{url}\" }} }}]\n{otlp}"
        );
        parse(&yaml, Path::new("test.yaml"), env).unwrap()
    }

    async fn reporters(config: &Config, env: Environment<'_>) -> Reporters {
        let now = local::read();
        let engine = Engine::new(Arc::new(config.clone()), now);
        let published = Arc::new(ArcSwap::from_pointee(engine.snapshot(now)));
        let spool = Spool::start(None, budget(config), |_| true);
        Reporters::start(config, spool, Sources { published, clock: Arc::default() }, env, None).await.unwrap()
    }

    #[tokio::test]
    async fn a_reload_tries_what_has_changed_at_once_and_is_patient_with_the_rest() {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let patience = move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Response { headers: vec![("retry-after", "300".to_owned())], ..Response::status(429) }
        };
        let url = format!("http://{}", start(patience).await.unwrap());
        let same = config("ops", &url, "", &|_| None);
        let mut reporters = reporters(&same, &|_| None).await;
        reporters.tell(&[untold().1]);
        let reach = async |count| {
            while requests.load(Ordering::Relaxed) < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        reach(1).await;
        sleep(Duration::from_millis(200)).await;
        reporters.reload(&same, &|_| None).await.unwrap();
        sleep(Duration::from_millis(200)).await;
        assert_eq!(requests.load(Ordering::Relaxed), 1);
        let changed = config("ops", &format!("{url}/new"), "", &|_| None);
        reporters.reload(&changed, &|_| None).await.unwrap();
        timeout(Duration::from_secs(10), reach(2)).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_collector_that_cannot_be_set_up_changes_nothing() {
        let none = |_: &str| None;
        let plain = "telemetry: { otlp: { endpoint: \"http://127.0.0.1:9\" } }";
        let broken = "telemetry: { otlp: { endpoint: \"https://127.0.0.1:9\", tls: { ca: /nowhere/ca.pem } } }";
        let old = config("old", "http://127.0.0.1:9", plain, &none);
        let mut reporters = reporters(&old, &none).await;
        let new = config("new", "http://127.0.0.1:9", broken, &none);
        let error = reporters.reload(&new, &none).await.err().unwrap();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
        let names: Vec<_> = reporters.ways.iter().map(|way| way.channel.name.as_str()).collect();
        assert_eq!(names, ["old"]);
        assert!(reporters.telemetry.as_ref().is_some_and(|(otlp, _)| Some(otlp) == old.telemetry.otlp.as_ref()));
        assert_eq!(reporters.ailment(local::awake()), None, "its telemetry is at work");
    }

    #[tokio::test]
    async fn a_thousand_alerts_at_once_reach_four_webhooks_and_are_safe() {
        const ALERTS: usize = 1_000;
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let take = move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Response::ok("")
        };
        let url = format!("http://{}", start(take).await.unwrap());
        let channels =
            ["a", "b", "c", "d"].map(|name| format!("{{ name: {name}, webhook: {{ url: \"{url}/{name}\" }} }}"));
        let yaml = format!("sources: [{{ name: a, ntp: 127.0.0.1 }}]\nchannels: [{}]", channels.join(", "));
        let config = parse(&yaml, Path::new("test.yaml"), &|_| None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let now = local::read();
        let published = Arc::new(ArcSwap::from_pointee(Engine::new(Arc::new(config.clone()), now).snapshot(now)));
        let sources = Sources { published, clock: Arc::default() };
        let store = (Store::new(folder.path().join("queue")), Health::default());
        let spool = Spool::start(Some(store), budget(&config), |_| true);
        let mut reporters = Reporters::start(&config, spool, sources, &|_| None, None).await.unwrap();

        let one = untold().1;
        let many: Vec<_> = (0..ALERTS)
            .map(|number| {
                let mut untold = one.clone();
                untold.message.id = format!("{}/{number}", untold.message.id);
                untold
            })
            .collect();
        let mut told = reporters.tell(&many);
        let all_taken = async {
            while taken.load(Ordering::Relaxed) < ALERTS * channels.len() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = timeout(Duration::from_secs(60), all_taken).await.is_ok();
        assert!(in_time, "{} of {} were taken", taken.load(Ordering::Relaxed), ALERTS * channels.len());
        let all_safe = async {
            while !told.iter_mut().all(Told::is_safe) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), all_safe).await.unwrap();
    }
}
