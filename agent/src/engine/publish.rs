//! From the state of the engine to the snapshot.

use super::known::{Holding, Known};
use super::machine::{Engine, Now};
use crate::alert::machine::State;
use crate::assess::answer::{Answer, Ruling};
use crate::assess::finding::Kind;
use crate::assess::limit::Skew;
use crate::clock::drift::Drift;
use crate::clock::estimate::ClockState;
use crate::host::vmclock::Expected;
use crate::snapshot::{Alert, Clock, Delivery, Disruptions, Finding, Kernel, Limit, Snapshot, Source, Status, Time};
use crate::time::{Offset, Reading, Span, rfc3339};

impl Engine {
    /// What is known at `reading`.
    pub fn snapshot(&self, reading: Reading) -> Snapshot {
        let alerts = self.publish_alerts();
        Snapshot { alerts, ..self.publish(reading, |_| true) }
    }

    /// The same without what exists only over time: the life of alerts, and some findings.
    pub fn snapshot_of_one_look(&self, reading: Reading) -> Snapshot {
        self.publish(reading, Kind::shows_at_once)
    }

    /// How far the clock is off, and what is known of the life of all that expires, for those who reason about it.
    pub fn holdings(&self, reading: Reading) -> (Option<Skew>, Vec<Holding>) {
        let now = self.at(reading);
        let holding =
            |known: &Known| known.holding(&known.assess(reading, now.truth, now.skew.as_ref(), self.sdks.all()));
        (now.skew, self.credentials.iter().filter_map(holding).collect())
    }

    fn publish(&self, reading: Reading, is_wanted: impl Fn(Kind) -> bool) -> Snapshot {
        let now = self.at(reading);
        let rulings = self.rulings(&now).into_iter().filter(|ruling| is_wanted(ruling.kind));
        let findings: Vec<Finding> = rulings.filter_map(publish_finding).collect();
        let stamp = now.stamp();
        let moment = |boot| rfc3339(stamp.time.minus(reading.boot.since(boot)).nanos());
        Snapshot {
            status: status(now.state, &findings),
            time: Time {
                system: rfc3339(reading.system.nanos()),
                truth: rfc3339(stamp.time.nanos()),
                verified: stamp.verified,
            },
            since: moment(self.begun),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clock: self.publish_clock(&now),
            sources: self.publish_sources(reading),
            limits: self.publish_limits(&now),
            credentials: self
                .credentials
                .iter()
                .filter_map(|known| {
                    let assessed = known.assess(reading, now.truth, now.skew.as_ref(), self.sdks.all());
                    known.publish(&assessed, self.credentials.is_missed(known))
                })
                .collect(),
            awaited: self.credentials.awaited().map(|provider| provider.name().to_owned()).collect(),
            findings,
            alerts: Vec::new(),
            imds_requests: self.credentials.imds_requests().clone(),
            delivery: self
                .delivery
                .values()
                .map(|delivery| {
                    let last_delivered = self.arrivals.get(&delivery.destination).map(|at| moment(*at));
                    Delivery { last_delivered, ..delivery.clone() }
                })
                .collect(),
            host: self.attributes(),
        }
    }

    fn publish_clock(&self, now: &Now) -> Clock {
        let drift = self.estimator.drift().filter(Drift::is_significant);
        Clock {
            state: now.state.name().to_owned(),
            offset_seconds: now.skew.map(|skew| skew.offset.seconds()),
            error_bound_seconds: now.skew.map(|skew| skew.bound.seconds()),
            confirmed: now.skew.is_some() && self.estimator.is_confirmed(),
            vouched: now.skew.is_some() && self.estimator.is_vouched(),
            drift_ppm: drift.map(|drift| drift.rate * 1e6),
            steps: self.steps,
            disruptions: self.machine.map(|machine| Disruptions {
                seen: self.disruptions,
                expected_within_seconds: machine.expected.map(Expected::seconds),
            }),
            history: self.history.publish(now.reading.boot),
            kernel: self.kernel.map(|kernel| Kernel {
                synchronized: kernel.synchronized,
                max_error_seconds: kernel.max_error.map(Span::seconds),
                frequency_ppm: kernel.frequency * 1e6,
            }),
        }
    }

    fn publish_sources(&self, reading: Reading) -> Vec<Source> {
        let sources = self.estimator.sources().iter().zip(&self.sources).zip(&self.config.sources);
        sources
            .map(|((source, log), configured)| {
                let sample = source.latest();
                Source {
                    name: configured.name.clone(),
                    kind: configured.kind.key().to_owned(),
                    address: log.address.map_or_else(|| configured.kind.to_string(), |address| address.to_string()),
                    server: configured.kind.to_string(),
                    verdict: source.verdict().name().to_owned(),
                    offset_seconds: self.estimator.claimed(source, reading).map(Offset::seconds),
                    delay_seconds: sample.map(|sample| sample.delay.seconds()),
                    root_distance_seconds: sample.map(|sample| sample.root_distance().seconds()),
                    stratum: sample.and_then(|sample| sample.stratum),
                    timestamps: sample.map(|sample| sample.timestamps.name().to_owned()),
                    reachability: source.reachability(),
                    refusal: log.refusal.as_ref().map(ToString::to_string),
                    outcomes: log.outcomes.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count)).collect(),
                }
            })
            .collect()
    }

    /// Every limit is listed, with its margin once the offset is known.
    fn publish_limits(&self, now: &Now) -> Vec<Limit> {
        let limits = self.config.limits.iter().enumerate();
        limits
            .map(|(index, limit)| {
                let standing = now.standings.get(index);
                Limit {
                    name: limit.name.clone(),
                    window_seconds: limit.window.as_secs_f64(),
                    masked: limit.masked,
                    margin_seconds: standing.map(|standing| standing.margin.seconds()),
                    time_to_limit_seconds: standing.and_then(|standing| standing.time_to_limit).map(Span::seconds),
                }
            })
            .collect()
    }

    fn publish_alerts(&self) -> Vec<Alert> {
        let alerts = self.alerts.alerts();
        alerts
            .map(|(kind, subject, alert)| {
                let (state, since) = match alert.state {
                    State::Pending { .. } => ("pending", None),
                    State::Firing { since, .. } => ("firing", Some(rfc3339(since.time.nanos()))),
                };
                Alert {
                    alert: kind,
                    severity: alert.severity,
                    subject: subject.to_owned(),
                    state: state.to_owned(),
                    since,
                }
            })
            .collect()
    }
}

fn publish_finding(Ruling { kind, subject, answer }: Ruling) -> Option<Finding> {
    let Answer::Found(finding) = answer else { return None };
    Some(Finding { alert: kind, severity: finding.raised?, subject, summary: finding.summary, remedy: finding.remedy })
}

fn status(state: ClockState, findings: &[Finding]) -> Status {
    let worst = findings.iter().map(|finding| finding.severity).max();
    Status::of(worst, state == ClockState::Synchronized || state == ClockState::Holdover)
}
