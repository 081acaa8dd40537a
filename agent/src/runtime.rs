//! The running agent: tasks that measure send events, one loop feeds them to the engine, and what follows is told.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::alert::machine::Transition;
use crate::clock::local;
use crate::clock::time::SystemTime;
use crate::clock::true_clock::{Stamp, TrueClock};
use crate::config::checked::{Channel, Config, Target};
use crate::credentials::imds;
use crate::delivery::client::{ClientError, client};
use crate::delivery::item::{Class, Content, Item};
use crate::delivery::outbox::Outbox;
use crate::delivery::request::Endpoint;
use crate::engine::{Engine, Event};
use crate::notify::channel::{endpoint, told};
use crate::notify::message::message;
use crate::ntp::poller;
use crate::snapshot::{AlertMessage, Snapshot};
use crate::status;
use crate::sys;
use crate::telemetry::endpoint::{OtlpEndpoint, url};
use crate::telemetry::export::{Parts, Telemetry};
use crate::telemetry::gateway::Signal;
use crate::telemetry::resource::hostname;

/// The clocks are compared this often, which is how late a step can be noticed.
const TICK: Duration = Duration::from_secs(1);
/// More events than this wait only if the host is so loaded that measuring has to wait as well.
const MAILBOX: usize = 256;
/// How long the end of the agent waits for what is still queued.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An HTTP client cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client of the instance metadata service cannot be set up.
    #[error("the client of the instance metadata service cannot be set up: {0}")]
    Imds(#[from] imds::client::SetupError),
    /// The exporters cannot be set up.
    #[error("OTLP cannot be set up: {0}")]
    Otlp(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The status socket cannot be opened.
    #[error(
        "failed to open the status socket {path}: {source}: its folder must exist and be writable, or set `socket` in the configuration"
    )]
    Socket {
        /// Where it was to be.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// How an agent differs from the one that a service manager starts.
pub struct Options<'a> {
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Whether transitions are written to standard error, and a socket is opened for `status`.
    pub is_service: bool,
    /// Called once when measuring begins.
    pub ready: &'a dyn Fn(),
}

/// Runs the agent until `shutdown` resolves; then what is queued is delivered, within a deadline.
///
/// # Errors
/// Something cannot be set up. Once it measures, nothing ends it but `shutdown`.
pub async fn run(
    config: Arc<Config>,
    options: Options<'_>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let (mailbox, inbox) = mpsc::channel(MAILBOX);
    let mut engine = Engine::new(Arc::clone(&config), local::read());
    let published = Arc::new(ArcSwap::from_pointee(engine.snapshot(local::read())));
    let clock = Arc::new(TrueClock::default());

    let mut reporters = Reporters::start(&config, &options, &mailbox, &published, &clock)?;
    let status = if options.is_service { open_status(&config.socket, &published)? } else { None };
    let (burst, _) = broadcast::channel(1);
    let mut measuring: Vec<JoinHandle<()>> = Vec::new();
    for (index, source) in config.sources.iter().enumerate() {
        measuring.push(tokio::spawn(poller::run(index, source.clone(), mailbox.clone(), burst.subscribe())));
    }
    if let Some(imds) = &config.imds {
        let client = imds::client::ImdsClient::new(imds)?;
        measuring.push(tokio::spawn(imds::poller::run(client, imds.poll, Arc::clone(&clock), mailbox.clone())));
    }
    (options.ready)();

    let flow =
        Flow { inbox, engine: &mut engine, published: &published, clock: &clock, reporters: &mut reporters, burst };
    flow.run(shutdown).await;

    for task in measuring.iter().chain(&status) {
        task.abort();
    }
    if status.is_some() {
        status::remove(&config.socket);
    }
    reporters.end().await;
    Ok(())
}

/// Opens the socket for `status`. Without a folder to put it in, as for a user who tries the agent out, the agent does
/// its work without.
fn open_status(path: &Path, published: &Arc<ArcSwap<Snapshot>>) -> Result<Option<JoinHandle<()>>, StartError> {
    match status::listen(path) {
        Ok(listener) => Ok(Some(tokio::spawn(status::serve(listener, Arc::clone(published))))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            tracing::warn!(socket = %path.display(), %error, "`skewguard status` cannot ask this agent");
            Ok(None)
        }
        Err(source) => Err(StartError::Socket { path: path.display().to_string(), source }),
    }
}

/// One event after the other, until the end.
struct Flow<'a> {
    inbox: mpsc::Receiver<Event>,
    engine: &'a mut Engine,
    published: &'a ArcSwap<Snapshot>,
    clock: &'a TrueClock,
    reporters: &'a mut Reporters,
    burst: broadcast::Sender<()>,
}

impl Flow<'_> {
    async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            let event = tokio::select! {
                () = &mut shutdown => return,
                event = self.inbox.recv() => match event {
                    Some(event) => event,
                    None => return,
                },
                _ = tick.tick() => Event::Tick(sys::kernel_clock().ok()),
            };
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        if let Event::Credential(read) = &event
            && let Some(telemetry) = &self.reporters.telemetry
        {
            for request in &read.requests {
                telemetry.imds_duration.record(&request.outcome, request.duration);
            }
        }
        let now = local::read();
        let reaction = self.engine.handle(event, now);
        if let Some(anchor) = self.engine.anchor() {
            self.clock.set(anchor);
        }
        let snapshot = Arc::new(self.engine.snapshot(now));
        let before = self.published.swap(Arc::clone(&snapshot));
        log_changes(&before, &snapshot);
        for transition in &reaction.transitions {
            self.reporters.tell(transition, &snapshot, now.system);
        }
        if reaction.burst {
            // Without a source nobody listens, and that is as well.
            let _ = self.burst.send(());
        }
    }
}

fn log_changes(before: &Snapshot, now: &Snapshot) {
    if before.clock.state != now.clock.state {
        tracing::info!(
            from = before.clock.state,
            to = now.clock.state,
            offset_seconds = now.clock.offset_seconds,
            error_bound_seconds = now.clock.error_bound_seconds,
            "the state of the clock changed"
        );
    }
    if before.clock.steps != now.clock.steps {
        tracing::warn!(offset_seconds = now.clock.offset_seconds, "somebody set the system clock");
    }
    for (earlier, source) in before.sources.iter().zip(&now.sources) {
        if earlier.verdict != source.verdict {
            tracing::info!(
                source = source.name,
                address = source.address,
                verdict = source.verdict,
                refusal = source.refusal,
                "verdict"
            );
        }
    }
}

/// All who are told.
struct Reporters {
    telemetry: Option<Telemetry>,
    channels: Vec<(Channel, Outbox)>,
    outboxes: Vec<(String, Outbox, JoinHandle<()>)>,
    to_stderr: bool,
    host: String,
}

impl Reporters {
    fn start(
        config: &Config,
        options: &Options<'_>,
        mailbox: &mpsc::Sender<Event>,
        published: &Arc<ArcSwap<Snapshot>>,
        clock: &Arc<TrueClock>,
    ) -> Result<Self, StartError> {
        let mut reporters = Self {
            telemetry: None,
            channels: Vec::new(),
            outboxes: Vec::new(),
            to_stderr: options.is_service,
            host: hostname(),
        };
        if config.otlp.is_none() && config.channels.is_empty() {
            return Ok(reporters);
        }
        let client = client(needs_tls(config, options.env))?;
        for channel in &config.channels {
            let outbox = reporters.outbox(&channel.name, endpoint(channel, client.clone()), mailbox);
            reporters.channels.push((channel.clone(), outbox));
        }
        if let Some(otlp) = &config.otlp {
            let mut outbox = |signal, name| {
                let url = url(signal, otlp, options.env)?;
                let endpoint = OtlpEndpoint::new(client.clone(), signal, url, otlp, options.env);
                Some(reporters.outbox(name, Arc::new(endpoint), mailbox))
            };
            let (metrics, logs) = (outbox(Signal::Metrics, "otlp-metrics"), outbox(Signal::Logs, "otlp-logs"));
            let Some(metrics) = metrics else { return Ok(reporters) };
            let parts = Parts { metrics, logs, published: Arc::clone(published), clock: Arc::clone(clock) };
            reporters.telemetry = Some(Telemetry::start(otlp, options.env, &parts)?);
        }
        Ok(reporters)
    }

    fn outbox(&mut self, name: &str, endpoint: Arc<dyn Endpoint>, mailbox: &mpsc::Sender<Event>) -> Outbox {
        let (outbox, task) = Outbox::start(name, endpoint, mailbox.clone());
        self.outboxes.push((name.to_owned(), outbox.clone(), task));
        outbox
    }

    fn tell(&self, transition: &Transition, snapshot: &Snapshot, system: SystemTime) {
        let message = message(transition, transition.change, &self.host, &snapshot.host, system);
        let Some(item) = alert_item(&message, transition.at) else { return };
        if self.to_stderr {
            write_line(&item.body);
        }
        if let Some(alerts) = self.telemetry.as_ref().and_then(|telemetry| telemetry.alerts.as_ref()) {
            alerts.write(transition, &message);
        }
        for (channel, outbox) in &self.channels {
            match told(channel, transition) {
                Some(change) if change == message.change => outbox.push(item.clone()),
                Some(change) => {
                    let message = AlertMessage { change, ..message.clone() };
                    if let Some(item) = alert_item(&message, transition.at) {
                        outbox.push(item);
                    }
                }
                None => {}
            }
        }
    }

    /// Delivers what is queued, within a deadline, and says what is left.
    async fn end(self) {
        let drain = async {
            if let Some(telemetry) = self.telemetry {
                telemetry.end().await;
            }
            for (_, outbox, _) in &self.outboxes {
                outbox.close();
            }
            let (rest, tasks): (Vec<_>, Vec<_>) =
                self.outboxes.into_iter().map(|(name, outbox, task)| ((name, outbox), task)).unzip();
            let all = async {
                for task in tasks {
                    let _ = task.await;
                }
            };
            if timeout(DRAIN, all).await.is_err() {
                for (destination, outbox) in rest.iter().filter(|(_, outbox)| !outbox.is_empty()) {
                    tracing::warn!(destination, items = outbox.len(), "not delivered before the end");
                }
            }
        };
        // The exporters' own end has no deadline.
        let _ = timeout(DRAIN * 2, drain).await;
    }
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

fn needs_tls(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let is_https = |url: &str| url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    let endpoints =
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"];
    // A proxy may itself be reached over TLS.
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    config
        .channels
        .iter()
        .any(|channel| !matches!(&channel.target, Target::Webhook(webhook) if !is_https(&webhook.url)))
        || config.otlp.as_ref().and_then(|otlp| otlp.endpoint.as_deref()).is_some_and(is_https)
        || endpoints.iter().chain(&proxies).any(|name| env(name).is_some_and(|url| is_https(&url)))
}
