//! Sends what the hosts of a drill export: one request for each, as agents do.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};

use super::error::DrillError;
use super::hosts::Due;
use crate::clock::true_clock::TrueClock;
use crate::delivery::client::Clients;
use crate::delivery::policy::Again;
use crate::delivery::request::{Destination, Failure};
use crate::setting::tls::Tls;
use crate::setting::url::WebUrl;
use crate::telemetry::collector::{OtlpDestination, tls};
use crate::telemetry::gateway::Signal;
use crate::telemetry::otlp::Otlp;

/// So many requests are under way at once.
const MOST_FLYING: usize = 32;
/// So often one is tried, with a pause that doubles: a receiver that starts anew loses nothing.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(30);

/// What was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) exports: u64,
    pub(super) points: u64,
    /// As they went over the wire, compressed, without the headers.
    pub(super) bytes: u64,
    /// Exports that nobody took.
    pub(super) lost: u64,
    /// Why the last of these was not taken.
    pub(super) reason: String,
}

/// An export that was under way: its points, its bytes, and what came of it.
type Flight = (u64, u64, Result<(), Failure>);

/// The way into the collector; without one, what is to be sent is only counted.
pub(super) struct Post {
    collector: Option<Arc<dyn Destination>>,
    flying: JoinSet<Flight>,
    pub(super) sent: Sent,
}

impl Post {
    /// The way to the collector at this base URL, with the headers and the TLS of the `OTEL_*` variables.
    ///
    /// # Errors
    /// The variables make no sense, or there is no TLS to be had.
    pub(super) fn new(base: Option<WebUrl>) -> Result<Self, DrillError> {
        let collector = base.map(|base| -> Result<Arc<dyn Destination>, DrillError> {
            let env = |name: &str| std::env::var(name).ok();
            let otlp = Otlp {
                endpoint: Some(base.clone()),
                headers: Vec::new(),
                interval: Duration::from_secs(60),
                timeout: TIMEOUT,
                tls: Tls::default(),
                sigv4: None,
            };
            let wrong = |error: &dyn std::fmt::Display| DrillError::Collector(error.to_string());
            let tls = tls(Signal::Metrics, &otlp, &env).map_err(|error| wrong(&error))?;
            let clock = Arc::new(TrueClock::default());
            let url = base.followed_by("/v1/metrics");
            let mut clients = Clients::new(Arc::clone(&clock)).keeping(MOST_FLYING);
            let client = clients.client(Some(&url), &tls).map_err(|error| wrong(&error))?;
            Ok(Arc::new(OtlpDestination::new(client, &clock, Signal::Metrics, url, &otlp, &env)))
        });
        Ok(Self { collector: collector.transpose()?, flying: JoinSet::new(), sent: Sent::default() })
    }

    /// Sends all of these. The very first export is waited for: whoever mistyped the address is to know at once.
    ///
    /// # Errors
    /// The first is not taken.
    pub(super) async fn send(&mut self, all: Vec<Due>) -> Result<(), DrillError> {
        for Due { item, points } in all {
            let (points, bytes) = (points as u64, item.body.len() as u64);
            let Some(collector) = self.collector.clone() else {
                self.note(points, bytes, Ok(()));
                continue;
            };
            if self.sent.exports == 0 && self.flying.is_empty() {
                let first = collector.attempt(&item).await;
                first.map_err(|failure| DrillError::Refused(failure.reason))?;
                self.note(points, bytes, Ok(()));
                continue;
            }
            while self.under_way() >= MOST_FLYING {
                self.land().await;
            }
            self.flying.spawn(async move {
                let mut pause = FIRST_PAUSE;
                for _ in 1..ATTEMPTS {
                    match collector.attempt(&item).await {
                        Ok(_) => return (points, bytes, Ok(())),
                        Err(failure) if failure.again == Again::Never => return (points, bytes, Err(failure)),
                        Err(_) => {}
                    }
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                (points, bytes, collector.attempt(&item).await.map(drop))
            });
        }
        Ok(())
    }

    /// Takes note of what has ended meanwhile; returns how many exports are still under way, of which nobody knows whether they
    /// are taken.
    pub(super) fn under_way(&mut self) -> usize {
        while let Some(landed) = self.flying.try_join_next() {
            self.take_note(landed);
        }
        self.flying.len()
    }

    /// Waits until nothing is under way any more.
    pub(super) async fn finish(&mut self) {
        while !self.flying.is_empty() {
            self.land().await;
        }
    }

    async fn land(&mut self) {
        if let Some(landed) = self.flying.join_next().await {
            self.take_note(landed);
        }
    }

    fn take_note(&mut self, landed: Result<Flight, JoinError>) {
        if let Ok((points, bytes, outcome)) = landed {
            self.note(points, bytes, outcome);
        }
    }

    fn note(&mut self, points: u64, bytes: u64, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => {
                self.sent.exports += 1;
                self.sent.points += points;
                self.sent.bytes += bytes;
            }
            Err(failure) => {
                self.sent.lost += 1;
                self.sent.reason = failure.reason;
            }
        }
    }
}
