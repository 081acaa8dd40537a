//! The script of the demo: what is broken, which alert must come of it, and what is mended.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::collector::{ALERTS, Collector};
use super::world::World;
use super::{imds, ntp};
use crate::alert::machine::Change;
use crate::assess::finding::{Kind, Severity};
use crate::clock::local;
use crate::config::checked::Config;
use crate::credentials::Credentials;
use crate::credentials::imds::settings::Imds;
use crate::notify::channel::Channel;
use crate::notify::targets::AnyTarget;
use crate::notify::targets::webhook::Webhook;
use crate::runtime::{self, Options};
use crate::setting::tls::Tls;
use crate::setting::url::WebUrl;
use crate::snapshot::AlertMessage;
use crate::sources::ntp::Server;
use crate::sources::source::Source;
use crate::telemetry::otlp::Otlp;
use crate::telemetry::settings::Telemetry;
use crate::time::{Offset, Span, humane_offset, rfc3339};

/// Loses 43 s a day, as bad as oscillators get: the first limit, 240 s, is five and a half days away.
const DRIFT: f64 = 500e-6;
const JUMP: Span = Span::from_nanos(400 * 1_000_000_000);
/// The whole demo, with time to spare on a slow host.
const LONGEST: Duration = Duration::from_secs(58);
/// At one export a second and one measurement a second, few can fall between a jump and its discovery.
const MOST_LATE: u64 = 8;
const SECOND: Duration = Duration::from_secs(1);

/// What must be told: the alert, its severity, and by which act of the script.
const EXPECTED: [(Kind, Severity, &str); 4] = [
    (Kind::ClockSkewForecast, Severity::Warning, "drift"),
    (Kind::ClockSkew, Severity::Critical, "jump"),
    (Kind::CredentialRefreshMargin, Severity::Critical, "jump"),
    (Kind::CredentialExpiring, Severity::Warning, "stall"),
];

/// Why the demo cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A server cannot be started on loopback.
    #[error("failed to start a server on 127.0.0.1: {0}")]
    Server(#[from] std::io::Error),
    /// The agent cannot be started.
    #[error("the agent cannot be started: {0}")]
    Agent(#[from] runtime::RunError),
}

/// Shows the demo, line by line; returns whether every expected alert came and resolved, and no other.
///
/// # Errors
/// Nothing can be shown.
pub async fn show(defaults: Config, print: &dyn Fn(&str)) -> Result<bool, DemoError> {
    let world = Arc::new(World::default());
    let servers = [
        ntp::start(Arc::clone(&world)).await?,
        ntp::start(Arc::clone(&world)).await?,
        ntp::start(Arc::clone(&world)).await?,
    ];
    let metadata = imds::start(Arc::clone(&world)).await?;
    let collector = Collector::start(Arc::clone(&world)).await?;
    let usual = impatient(defaults);
    let config = Config {
        sources: servers
            .iter()
            .zip(["time-sync", "time-b", "time-c"])
            .map(|(address, name)| Source {
                name: name.to_owned(),
                kind: Server::Address(*address).into(),
                trusted: name == "time-sync",
                leap_smear: true,
                group: None,
                poll: SECOND,
            })
            .collect(),
        credentials: Credentials {
            imds: Some(Imds {
                endpoint: format!("http://{metadata}"),
                timeout: SECOND,
                attempts: 1,
                poll: SECOND,
                version_1: true,
            }),
            ..usual.credentials
        },
        channels: vec![Channel {
            name: "demo".to_owned(),
            severity: Severity::Warning,
            alerts: None,
            target: AnyTarget::Webhook(Webhook {
                url: WebUrl::unchecked(format!("http://{}{ALERTS}", collector.address)),
                headers: None,
                secret: None,
            }),
            timeout: SECOND,
            tls: Tls::default(),
        }],
        telemetry: Telemetry {
            otlp: Some(Otlp {
                endpoint: Some(WebUrl::unchecked(format!("http://{}", collector.address))),
                headers: Vec::new(),
                interval: SECOND,
                timeout: SECOND,
                tls: Tls::default(),
                sigv4: None,
            }),
            ..Telemetry::default()
        },
        socket: PathBuf::new(),
        state_dir: None,
        ..usual
    };
    print(&format!(
        "An AWS in a box: three NTP servers, an instance metadata service ({metadata}) and an OTLP collector ({}) on \
         loopback.\nThe agent is the real one. The clock of this host is not touched: the box's time moves against it.\n",
        collector.address
    ));
    let (end, ended) = oneshot::channel::<()>();
    let shutdown = async {
        // A script that breaks off ends the agent as well.
        let _ = ended.await;
    };
    let (_, reloads) = mpsc::channel(1);
    let options = Options { env: &|_| None, stderr: None, is_service: false, ready: &|| {}, alive: &|| {}, reloads };
    let mut show = Show { world, collector, print, started: Instant::now(), told: Vec::new(), acts: Vec::new() };
    let script = async {
        let is_complete = show.play().await;
        let _ = end.send(());
        is_complete
    };
    let (agent, is_complete) = tokio::join!(runtime::run(Arc::new(config), options, shutdown), script);
    agent?;
    Ok(show.summary(is_complete))
}

/// The defaults, without the patience that a fleet needs.
fn impatient(mut config: Config) -> Config {
    let alerts = &mut config.alerts;
    alerts.boot_grace = Duration::ZERO;
    for kind in [Kind::ClockSkewForecast, Kind::CredentialRefreshMargin] {
        alerts.rules.change(kind, |rule| rule.hold = Duration::ZERO);
    }
    config
}

struct Show<'a> {
    world: Arc<World>,
    collector: Collector,
    print: &'a dyn Fn(&str),
    started: Instant,
    told: Vec<(Instant, AlertMessage)>,
    acts: Vec<(&'static str, Instant)>,
}

impl Show<'_> {
    /// Plays the script; `false` where something expected did not come in time.
    async fn play(&mut self) -> bool {
        self.say("box", "all is well: the clock is right, credentials live for 6 h");
        if !self.until(|show| show.collector.received().offset.is_some_and(|offset| offset.abs() < 1.0)).await {
            self.say("demo", "no metrics arrived");
            return false;
        }
        let received = self.collector.received();
        self.say(
            "agent",
            &format!(
                "healthy: the clock is {} (as its metrics say), nothing to tell",
                humane_offset(Offset::new(Span::from_seconds(received.offset.unwrap_or_default())))
            ),
        );

        self.act("drift", "the host's clock begins to lose 43 s a day (500 ppm)");
        self.world.drift(DRIFT);
        let forecast = self.until_told(Kind::ClockSkewForecast, Change::Firing).await;

        self.act("jump", "the host slept, and nobody told its clock: it is 400 s slow now");
        self.world.jump(JUMP);
        let skew = self.until_told(Kind::ClockSkew, Change::Firing).await
            && self.until_told(Kind::CredentialRefreshMargin, Change::Firing).await;

        self.act("stall", "the metadata service has stopped rotating: 10 min are left of the credential");
        self.world.stall_rotation();
        let expiring = self.until_told(Kind::CredentialExpiring, Change::Firing).await;

        self.act("repair", "the clock is set right and the rotation goes on");
        self.world.jump(Span::ZERO);
        self.world.resume_rotation();
        let mut resolved = true;
        for (kind, _, _) in EXPECTED {
            resolved &= self.until_told(kind, Change::Resolved).await;
        }
        forecast && skew && expiring && resolved
    }

    fn act(&mut self, name: &'static str, text: &str) {
        self.acts.push((name, Instant::now()));
        self.say("box", text);
    }

    async fn until_told(&mut self, kind: Kind, change: Change) -> bool {
        let came =
            self.until(|show| show.told.iter().any(|(_, alert)| alert.alert == kind && alert.change == change)).await;
        if !came {
            self.say("demo", &format!("{} was not told as {} in time", kind.name(), change.name()));
        }
        came
    }

    /// Takes alerts as they come, until `is_so`.
    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        let deadline = self.started + LONGEST;
        while !is_so(self) {
            let step = deadline.min(Instant::now() + SECOND / 10);
            match timeout_at(step, self.collector.alerts.recv()).await {
                Ok(Some(alert)) => self.hear(alert),
                Ok(None) => return false,
                Err(_) if Instant::now() >= deadline => return false,
                Err(_) => {}
            }
        }
        true
    }

    fn hear(&mut self, alert: AlertMessage) {
        let what = match alert.change {
            Change::Resolved => format!("resolved {}", alert.alert.name()),
            Change::Firing | Change::Repeated => {
                format!(
                    "{} {}: {}\n{:22}remedy: {}",
                    alert.severity.name().to_uppercase(),
                    alert.alert.name(),
                    alert.summary,
                    "",
                    alert.remedy
                )
            }
        };
        self.say("agent", &what);
        self.told.push((Instant::now(), alert));
    }

    fn say(&self, who: &str, what: &str) {
        let wall = rfc3339(local::read().system.nanos());
        // The time of day is enough for less than a minute.
        let wall: String = wall.chars().skip(11).take(8).collect();
        (self.print)(&format!("{wall} {:>5.1}s {who:<5} {what}", self.started.elapsed().as_secs_f64()));
    }

    /// Says what came of it; returns whether all came as expected and nothing else.
    fn summary(&self, is_complete: bool) -> bool {
        (self.print)("\nalert                      severity  told after  resolved");
        for (kind, severity, act) in EXPECTED {
            let since = self.acts.iter().find(|(name, _)| *name == act).map(|(_, at)| *at);
            let of = |change| {
                self.told
                    .iter()
                    .find(move |(_, alert)| alert.alert == kind && alert.severity == severity && alert.change == change)
            };
            let after =
                of(Change::Firing).zip(since).map(|((at, _), since)| format!("{:.1} s", (*at - since).as_secs_f64()));
            (self.print)(&format!(
                "{:<26} {:<9} {:<11} {}",
                kind.name(),
                severity.name(),
                after.unwrap_or_else(|| "never".to_owned()),
                if of(Change::Resolved).is_some() { "yes" } else { "NO" }
            ));
        }
        let is_expected = |alert: &AlertMessage| {
            EXPECTED.iter().any(|(kind, severity, _)| alert.alert == *kind && alert.severity == *severity)
        };
        let others: Vec<_> = self.told.iter().map(|(_, alert)| alert).filter(|alert| !is_expected(alert)).collect();
        for alert in &others {
            (self.print)(&format!(
                "unexpected: {} {} {}",
                alert.alert.name(),
                alert.severity.name(),
                alert.change.name()
            ));
        }
        let received = self.collector.received();
        (self.print)(&format!(
            "\nThe collector took {} exports with {} points and {} log records; {} exports were stamped with the box's time to \
             the second,\nall but those between the jump and the next measurement.",
            received.exports, received.points, received.log_records, received.exports_in_time
        ));
        let late = received.exports - received.exports_in_time;
        let is_well = is_complete && others.is_empty() && received.last_in_time && late <= MOST_LATE;
        (self.print)(if is_well {
            "Every expected alert came, every one resolved, and nothing else was told."
        } else {
            "Something did not come as it should: see above."
        });
        is_well
    }
}
