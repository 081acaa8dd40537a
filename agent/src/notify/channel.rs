//! A channel, what it is told of an alert, and where that goes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::attempt::Road;
use super::targets::AnyTarget;
use super::targets::target::attempt;
use crate::alert::machine::{Change, Transition};
use crate::assess::finding::{Kind, Severity};
use crate::clock::true_clock::TrueClock;
use crate::credentials::imds::settings::Imds;
use crate::delivery::client::Client;
use crate::delivery::item::Item;
use crate::delivery::request::{Answer, Destination, Failure};
use crate::setting::tls::Tls;
use crate::snapshot::AlertMessage;

/// Where alerts go, and which.
#[derive(Clone, PartialEq, Eq)]
pub struct Channel {
    /// What people call it.
    pub name: String,
    /// The least severity that is told there.
    pub severity: Severity,
    /// The alerts that are told there; `None` for all.
    pub alerts: Option<Vec<Kind>>,
    /// Who takes them.
    pub target: AnyTarget,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Whom TLS trusts, and as whom it speaks.
    pub tls: Tls,
}

/// The message of a transition as a channel sees it, from that of the transition itself.
pub fn message(message: &AlertMessage, seen: &Transition) -> AlertMessage {
    let Transition { severity, change, .. } = *seen;
    let before = seen.before.filter(|before| *before != severity);
    AlertMessage { severity, before, change, ..message.clone() }
}

/// A transition as a channel sees it; `None` where it is told nothing.
///
/// A channel of a severity sees an alert that falls below it as resolved, with the severity that it had there.
pub fn told(channel: &Channel, transition: &Transition) -> Option<Transition> {
    if channel.alerts.as_ref().is_some_and(|kinds| !kinds.contains(&transition.kind)) {
        return None;
    }
    let before = transition.before.filter(|before| *before >= channel.severity);
    if transition.severity >= channel.severity {
        return Some(Transition { before, ..transition.clone() });
    }
    let severity = before?;
    Some(Transition { severity, before, change: Change::Resolved, ..transition.clone() })
}

/// Where what `channel` is told goes: `client` sends it, and what is signed is signed by `clock` with keys from `imds`.
pub fn destination(
    channel: &Channel,
    client: Client,
    clock: &Arc<TrueClock>,
    imds: Option<&Imds>,
) -> Arc<dyn Destination> {
    let road = Road { client, imds: imds.cloned(), clock: Arc::clone(clock), timeout: channel.timeout };
    Arc::new(Reached { target: channel.target.clone(), road })
}

/// A target, and the road to it.
struct Reached {
    target: AnyTarget,
    road: Road,
}

#[async_trait]
impl Destination for Reached {
    async fn attempt(&self, item: &Item) -> Result<Answer, Failure> {
        attempt(&*self.target, &self.road, item).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::machine::{Machine, Moment};
    use crate::assess::answer::{Answer, Ruling};
    use crate::assess::finding::Finding;
    use crate::clock::true_clock::Stamp;
    use crate::notify::targets::slack::Slack;
    use crate::setting::secret::SecretRef;
    use crate::time::{BootTime, TrueTime};

    const BOTH: [Severity; 2] = [Severity::Warning, Severity::Critical];
    const REPEAT: Duration = Duration::from_secs(5);

    fn channel(severity: Severity, alerts: Option<Vec<Kind>>) -> Channel {
        let target = AnyTarget::Slack(Slack { url: SecretRef::Environment("A".into()) });
        Channel { name: "a".into(), severity, alerts, target, timeout: REPEAT, tls: Tls::default() }
    }

    /// What the machine says second by second while a finding is raised, held, or gone.
    fn life(seconds: &[Option<(Option<Severity>, Severity)>]) -> Vec<Transition> {
        let mut machine = Machine::new(REPEAT);
        let step = |(second, found): (i32, &Option<(Option<Severity>, Severity)>)| {
            let time = f64::from(second);
            let stamp = Stamp { time: TrueTime::from_seconds(time), verified: true };
            let moment = Moment { boot: BootTime::from_seconds(time), stamp, graced: true };
            let finding = found.map(|(raised, held)| Finding {
                raised,
                held: held.max(raised.unwrap_or(held)),
                hold: Duration::from_secs(1),
                urgent: false,
                summary: String::new(),
                remedy: String::new(),
            });
            let answer = Answer::or(finding, Answer::Absent);
            let ruling = Ruling { kind: Kind::ClockSkew, subject: String::new(), answer };
            machine.step(&[ruling], |_, _| Answer::Unknown, moment)
        };
        (0..).zip(seconds).flat_map(step).collect()
    }

    fn any_life() -> impl Strategy<Value = Vec<Transition>> {
        let severity = || prop::sample::select(BOTH.as_slice());
        let second = prop::option::weighted(0.8, (prop::option::of(severity()), severity()));
        prop::collection::vec(second, 0..60).prop_map(|seconds| life(&seconds))
    }

    proptest! {
        #[test]
        fn every_channel_sees_an_alert_fire_before_it_resolves_and_nothing_twice(
            life in any_life(), least in prop::sample::select(BOTH.as_slice()),
        ) {
            let channel = channel(least, None);
            let mut open: Option<Severity> = None;
            for transition in &life {
                let Some(seen) = told(&channel, transition) else {
                    prop_assert!(transition.severity < least && open.is_none(), "{:?} while {:?}", transition, open);
                    continue;
                };
                prop_assert!(seen.severity >= least);
                prop_assert_eq!(seen.before, open, "what was told before is what was told here");
                open = match seen.change {
                    Change::Firing => {
                        prop_assert_ne!(open, Some(seen.severity), "told twice");
                        Some(seen.severity)
                    }
                    Change::Repeated => {
                        prop_assert_eq!(open, Some(seen.severity));
                        open
                    }
                    Change::Resolved => {
                        prop_assert_eq!(open, Some(seen.severity), "the one that ends is the one that began");
                        None
                    }
                };
                let fires = transition.change != Change::Resolved && transition.severity >= least;
                prop_assert_eq!(open.is_some(), fires, "as it stands");
            }
        }

        #[test]
        fn what_fired_is_resolved_once_the_finding_is_gone(
            seconds in prop::collection::vec(prop::sample::select(BOTH.as_slice()), 2..20),
            least in prop::sample::select(BOTH.as_slice()),
        ) {
            let mut seconds: Vec<_> = seconds.into_iter().map(|severity| Some((Some(severity), severity))).collect();
            seconds.push(None);
            let seen: Vec<_> = life(&seconds).iter().filter_map(|one| told(&channel(least, None), one)).collect();
            let is_over = seen.last().is_none_or(|last| last.change == Change::Resolved);
            prop_assert!(is_over, "{:?}", seen);
        }

        #[test]
        fn a_channel_is_told_of_its_alerts_alone(life in any_life()) {
            for transition in &life {
                prop_assert_eq!(told(&channel(Severity::Warning, Some(vec![Kind::ClockStepped])), transition), None);
                let named = channel(Severity::Warning, Some(vec![Kind::ClockStepped, Kind::ClockSkew]));
                prop_assert_eq!(told(&named, transition), Some(transition.clone()));
            }
        }
    }

    #[test]
    fn an_alert_that_falls_below_the_severity_of_a_channel_is_over_there() {
        let second = |severity| Some((Some(severity), severity));
        let seconds = [Severity::Critical, Severity::Critical, Severity::Warning].map(second);
        let all = life(&seconds);
        let seen = |least| {
            let told = all.iter().filter_map(|one| told(&channel(least, None), one));
            told.map(|one| (one.change, one.severity, one.before)).collect::<Vec<_>>()
        };
        let (warning, critical) = (Severity::Warning, Severity::Critical);
        assert_eq!(seen(warning), [(Change::Firing, critical, None), (Change::Firing, warning, Some(critical))]);
        assert_eq!(seen(critical), [(Change::Firing, critical, None), (Change::Resolved, critical, Some(critical))]);
    }
}
