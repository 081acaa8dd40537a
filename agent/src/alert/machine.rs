//! The state machine of alerts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::assess::finding::{Finding, Kind, Severity};
use crate::clock::time::{BootTime, Span};
use crate::clock::true_clock::Stamp;
use crate::host::identity::Speaker;

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It began to fire, or its severity changed.
    Firing,
    /// It still fires, and is told again.
    Repeated,
    /// It is over.
    Resolved,
}

impl Change {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
        }
    }
}

/// A change of an alert that is to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The kind of the finding.
    pub kind: Kind,
    /// What it is about; may be empty.
    pub subject: String,
    /// How bad it is, or was.
    pub severity: Severity,
    /// How bad it was when it was told before; `None` where it was not.
    pub before: Option<Severity>,
    /// What happened.
    pub change: Change,
    /// When it began to fire.
    pub since: Stamp,
    /// When this happened.
    pub at: Stamp,
    /// Cause and effect.
    pub summary: String,
    /// What mends it.
    pub remedy: String,
    /// Who told it when it began to fire, and speaks for it to its end: receivers know an alert by that.
    #[serde(default)]
    pub speaker: Speaker,
}

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has not lasted long enough to be told.
    Pending {
        /// Since when it is there.
        since: BootTime,
    },
    /// It was told.
    Firing {
        /// Since when.
        since: Stamp,
        /// When it was told last.
        told: BootTime,
    },
}

/// An alert that is not over.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is in its life.
    pub state: State,
    /// Cause and effect, as last found.
    pub summary: String,
    /// What mends it.
    pub remedy: String,
    /// Whether it comes from before a restart, a reload or a sleep, and its finding was not seen since.
    pub carried: bool,
    /// Who told it when it began to fire; means nothing before that.
    pub speaker: Arc<Speaker>,
}

/// An alert as it outlives the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    kind: Kind,
    subject: String,
    severity: Severity,
    state: State,
    summary: String,
    remedy: String,
    /// `None` for one that does not fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    speaker: Option<Speaker>,
}

impl Kept {
    /// Whether it is a firing alert of this kind and subject.
    pub fn fires(&self, kind: Kind, subject: &str) -> bool {
        self.kind == kind && self.subject == subject && self.is_firing()
    }

    /// Whether it was told and is not over.
    pub const fn is_firing(&self) -> bool {
        matches!(self.state, State::Firing { .. })
    }
}

/// The time at which findings are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// On the clock that nobody sets: for how long something lasts.
    pub boot: BootTime,
    /// In true time: what is told.
    pub stamp: Stamp,
    /// Whether the boot grace is over.
    pub graced: bool,
}

/// All alerts that are not over.
#[derive(Clone, Debug)]
pub struct Machine {
    repeat: Duration,
    alerts: BTreeMap<(Kind, String), Alert>,
    /// Who tells what begins to fire.
    speaker: Arc<Speaker>,
}

impl Machine {
    /// Begins without alerts; a firing one is told again every `repeat`.
    pub fn new(repeat: Duration) -> Self {
        Self { repeat, alerts: BTreeMap::new(), speaker: Arc::default() }
    }

    /// From now on this one tells what begins to fire. What fires already keeps its own.
    pub fn speak_as(&mut self, speaker: Speaker) {
        self.speaker = Arc::new(speaker);
    }

    /// The alerts that are not over.
    pub fn alerts(&self) -> impl Iterator<Item = (Kind, &str, &Alert)> {
        self.alerts.iter().map(|((kind, subject), alert)| (*kind, subject.as_str(), alert))
    }

    /// Every alert that fires, as if it were told again at `now`; nothing changes by it.
    pub fn firing(&self, now: Stamp) -> impl Iterator<Item = Transition> {
        self.alerts.iter().filter_map(move |((kind, subject), alert)| {
            let State::Firing { since, .. } = alert.state else { return None };
            let moment = Moment { boot: BootTime::ZERO, stamp: now, graced: true };
            Some(transition(*kind, subject, alert, Some(alert.severity), Change::Repeated, since, moment))
        })
    }

    /// What is to outlive the process.
    pub fn keep(&self) -> Vec<Kept> {
        self.alerts()
            .map(|(kind, subject, alert)| Kept {
                kind,
                subject: subject.to_owned(),
                severity: alert.severity,
                state: alert.state,
                summary: alert.summary.clone(),
                remedy: alert.remedy.clone(),
                speaker: matches!(alert.state, State::Firing { .. }).then(|| Speaker::clone(&alert.speaker)),
            })
            .collect()
    }

    /// Goes on with the alerts of the process before, which nobody looked after for `away`. That time counts neither for
    /// nor against those that pend. Where the host was booted since (`away` is `None`), only those that fire go on.
    pub fn resumed(repeat: Duration, kept: Vec<Kept>, away: Option<Span>, now: BootTime) -> Self {
        let resume = |state| match (state, away) {
            (State::Pending { since }, Some(away)) => Some(State::Pending { since: since.plus(away).min(now) }),
            (State::Pending { .. }, None) => None,
            (State::Firing { since, told }, Some(_)) => Some(State::Firing { since, told: told.min(now) }),
            (State::Firing { since, .. }, None) => Some(State::Firing { since, told: now }),
        };
        let alerts = kept.into_iter().filter_map(|one| {
            let Kept { kind, subject, severity, state, summary, remedy, speaker } = one;
            let (state, speaker) = (resume(state)?, Arc::new(speaker.unwrap_or_default()));
            Some(((kind, subject), Alert { severity, state, summary, remedy, carried: true, speaker }))
        });
        Self { repeat, alerts: alerts.collect(), speaker: Arc::default() }
    }

    /// Goes on after a reload, in which much of what findings rest on may have been lost.
    pub fn reload(&mut self, repeat: Duration) {
        self.repeat = repeat;
        self.alerts.values_mut().for_each(|alert| alert.carried = true);
    }

    /// Takes note that the host slept for `by`: that does not count for alerts that pend, and much of what findings rest on
    /// is worth nothing until it is measured again.
    ///
    /// A process that was killed right after the sleep has counted it as its own absence: no time lies ahead of `now`.
    pub fn slept(&mut self, by: Span, now: BootTime) {
        for alert in self.alerts.values_mut() {
            alert.carried = true;
            if let State::Pending { since } = &mut alert.state {
                *since = since.plus(by).min(now);
            }
        }
    }

    /// Takes all findings of a moment, and says what is to be told.
    ///
    /// What is not found is over; an alert that was carried over a restart, a reload or a sleep only where `is_settled` says that
    /// enough is known for its finding to be missed.
    pub fn step(
        &mut self,
        findings: &[Finding],
        now: Moment,
        is_settled: impl Fn(Kind, &str) -> bool,
    ) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let is_found =
            |kind: Kind, subject: &str| findings.iter().any(|one| one.kind == kind && one.subject == subject);
        self.alerts.retain(|(kind, subject), alert| {
            let lasts = is_found(*kind, subject) || (alert.carried && !is_settled(*kind, subject));
            if !lasts && let State::Firing { since, .. } = alert.state {
                transitions.push(transition(*kind, subject, alert, Some(alert.severity), Change::Resolved, since, now));
            }
            lasts
        });
        for finding in findings {
            if let Some(change) = self.take(finding, now) {
                transitions.push(change);
            }
        }
        transitions
    }

    fn take(&mut self, finding: &Finding, now: Moment) -> Option<Transition> {
        let key = (finding.kind, finding.subject.clone());
        if let Some(alert) = self.alerts.get_mut(&key) {
            alert.summary.clone_from(&finding.summary);
            alert.remedy.clone_from(&finding.remedy);
            alert.carried = false;
        }
        match self.alerts.get_mut(&key) {
            // What is only held by the level of clearing neither begins to pend nor goes on doing so.
            None => {
                let severity = finding.raised?;
                let (summary, remedy) = (finding.summary.clone(), finding.remedy.clone());
                let state = State::Pending { since: now.boot };
                let speaker = Arc::clone(&self.speaker);
                let alert = Alert { severity, state, summary, remedy, carried: false, speaker };
                self.alerts.insert(key.clone(), alert);
                self.fire(&key, finding, now)
            }
            Some(alert) => match (alert.state, finding.raised) {
                (State::Pending { .. }, None) => {
                    self.alerts.remove(&key);
                    None
                }
                (State::Pending { .. }, Some(severity)) => {
                    alert.severity = severity;
                    self.fire(&key, finding, now)
                }
                (State::Firing { since, told }, raised) => {
                    // It rises with the levels of raising, and falls with those of clearing.
                    let severity = raised.max(Some(alert.severity.min(finding.held))).unwrap_or(alert.severity);
                    let changed = severity != alert.severity;
                    let due = now.boot.since(told) >= Span::from_duration(self.repeat);
                    if !changed && !due {
                        return None;
                    }
                    let before = std::mem::replace(&mut alert.severity, severity);
                    alert.state = State::Firing { since, told: now.boot };
                    let change = if changed { Change::Firing } else { Change::Repeated };
                    Some(transition(key.0, &key.1, alert, Some(before), change, since, now))
                }
            },
        }
    }

    /// Lets a pending alert fire if it has lasted long enough.
    fn fire(&mut self, key: &(Kind, String), finding: &Finding, now: Moment) -> Option<Transition> {
        let alert = self.alerts.get_mut(key)?;
        let State::Pending { since } = alert.state else { return None };
        let lasted = now.boot.since(since) >= Span::from_duration(finding.hold);
        if !lasted || !(now.graced || finding.urgent) {
            return None;
        }
        alert.state = State::Firing { since: now.stamp, told: now.boot };
        alert.speaker = Arc::clone(&self.speaker);
        Some(transition(key.0, &key.1, alert, None, Change::Firing, now.stamp, now))
    }
}

fn transition(
    kind: Kind,
    subject: &str,
    alert: &Alert,
    before: Option<Severity>,
    change: Change,
    since: Stamp,
    now: Moment,
) -> Transition {
    Transition {
        kind,
        subject: subject.to_owned(),
        severity: alert.severity,
        before,
        change,
        since,
        at: now.stamp,
        summary: alert.summary.clone(),
        remedy: alert.remedy.clone(),
        speaker: Speaker::clone(&alert.speaker),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::time::TrueTime;

    fn moment(seconds: f64) -> Moment {
        let time = TrueTime::from_seconds(seconds);
        Moment { boot: BootTime::from_seconds(seconds), stamp: Stamp { time, verified: true }, graced: true }
    }

    fn finding(raised: Option<Severity>, held: Severity, hold: u64) -> Finding {
        Finding {
            kind: Kind::ClockSkew,
            subject: String::new(),
            raised,
            held,
            hold: Duration::from_secs(hold),
            urgent: false,
            summary: "s".into(),
            remedy: "r".into(),
        }
    }

    fn settled(_: Kind, _: &str) -> bool {
        true
    }

    fn told(transitions: &[Transition]) -> Vec<(Change, Severity)> {
        transitions.iter().map(|one| (one.change, one.severity)).collect()
    }

    #[test]
    fn an_alert_fires_once_it_has_lasted_is_repeated_and_resolves() {
        let mut machine = Machine::new(Duration::from_secs(100));
        let found = [finding(Some(Severity::Warning), Severity::Warning, 10)];
        assert_eq!(machine.step(&found, moment(0.0), settled), []);
        assert_eq!(machine.step(&found, moment(9.9), settled), []);
        assert_eq!(told(&machine.step(&found, moment(10.0), settled)), [(Change::Firing, Severity::Warning)]);
        assert_eq!(machine.step(&found, moment(109.0), settled), []);
        assert_eq!(told(&machine.step(&found, moment(110.0), settled)), [(Change::Repeated, Severity::Warning)]);
        let resolved = machine.step(&[], moment(111.0), settled);
        assert_eq!(told(&resolved), [(Change::Resolved, Severity::Warning)]);
        assert_eq!(resolved[0].since, moment(10.0).stamp);
        assert_eq!(machine.alerts().count(), 0);
    }

    #[test]
    fn what_does_not_last_is_never_told() {
        let mut machine = Machine::new(Duration::from_secs(100));
        let found = [finding(Some(Severity::Critical), Severity::Critical, 10)];
        assert_eq!(machine.step(&found, moment(0.0), settled), []);
        assert_eq!(machine.step(&[finding(None, Severity::Warning, 10)], moment(5.0), settled), []);
        assert_eq!(machine.step(&found, moment(11.0), settled), [], "the count begins again");
        assert_eq!(machine.step(&[], moment(12.0), settled), []);
    }

    #[test]
    fn severity_rises_at_the_level_and_falls_only_below_the_level_of_clearing() {
        let mut machine = Machine::new(Duration::from_secs(1_000));
        let mut step = |raised, held, at| told(&machine.step(&[finding(raised, held, 0)], moment(at), settled));
        let (warning, critical) = (Severity::Warning, Severity::Critical);
        assert_eq!(step(Some(warning), critical, 0.0), [(Change::Firing, warning)]);
        assert_eq!(step(Some(critical), critical, 1.0), [(Change::Firing, critical)]);
        assert_eq!(step(Some(warning), critical, 2.0), []);
        assert_eq!(step(Some(warning), warning, 3.0), [(Change::Firing, warning)]);
        assert_eq!(step(None, warning, 4.0), []);
    }

    #[test]
    fn nothing_but_what_is_urgent_is_told_within_the_boot_grace() {
        let mut machine = Machine::new(Duration::from_secs(1_000));
        let early = Moment { graced: false, ..moment(1.0) };
        let found = finding(Some(Severity::Critical), Severity::Critical, 0);
        assert_eq!(machine.step(std::slice::from_ref(&found), early, settled), []);
        let urgent = Finding { urgent: true, ..found };
        assert_eq!(told(&machine.step(&[urgent], early, settled)), [(Change::Firing, Severity::Critical)]);
    }

    #[test]
    fn a_firing_alert_outlives_the_process_in_silence_and_its_resolve_waits_until_it_can_be_missed() {
        let (warning, critical) = (Severity::Warning, Severity::Critical);
        let mut before = Machine::new(Duration::from_secs(1_000));
        before.step(&[finding(Some(critical), critical, 0)], moment(0.0), settled);
        for away in [Some(Span::from_seconds(50.0)), None] {
            let now = BootTime::from_seconds(60.0);
            let mut after = Machine::resumed(Duration::from_secs(1_000), before.keep(), away, now);
            assert_eq!(after.step(&[], moment(61.0), |_, _| false), []);
            let mut found = after.clone();
            assert_eq!(found.step(&[finding(Some(critical), critical, 0)], moment(62.0), |_, _| false), []);
            let lower = found.step(&[finding(Some(warning), warning, 0)], moment(63.0), |_, _| false);
            assert_eq!(told(&lower), [(Change::Firing, warning)]);
            assert_eq!(told(&found.step(&[], moment(64.0), |_, _| false)), [(Change::Resolved, warning)]);
            let resolved = after.step(&[], moment(62.0), settled);
            assert_eq!(told(&resolved), [(Change::Resolved, critical)]);
            assert_eq!(resolved[0].since, moment(0.0).stamp);
        }
    }

    #[test]
    fn a_pending_alert_goes_on_pending_without_the_time_in_which_nobody_looked() {
        let found = [finding(Some(Severity::Warning), Severity::Warning, 10)];
        let mut before = Machine::new(Duration::from_secs(1_000));
        before.step(&found, moment(0.0), settled);
        before.slept(Span::from_seconds(100.0), BootTime::from_seconds(106.0));
        assert_eq!(before.step(&found, moment(106.0), settled), []);
        let now = BootTime::from_seconds(206.0);
        let resume = |away| Machine::resumed(Duration::from_secs(1_000), before.keep(), away, now);
        let mut after = resume(Some(Span::from_seconds(100.0)));
        assert_eq!(after.step(&found, moment(209.9), settled), []);
        assert_eq!(told(&after.step(&found, moment(210.0), settled)), [(Change::Firing, Severity::Warning)]);
        assert_eq!(resume(None).alerts().count(), 0, "after another boot it begins again");
        // The absence was a sleep, of which the next process learns as well: it does not count twice.
        let mut twice = resume(Some(Span::from_seconds(100.0)));
        twice.slept(Span::from_seconds(100.0), now);
        assert_eq!(told(&twice.step(&found, moment(216.0), settled)), [(Change::Firing, Severity::Warning)]);
    }

    #[test]
    fn an_alert_is_told_to_its_end_by_who_told_it_first_and_over_a_restart_as_well() {
        let called = |host: &str| Speaker { host: host.to_owned(), ..Speaker::default() };
        let hosts = |told: Vec<Transition>| told.into_iter().map(|one| one.speaker.host).collect::<Vec<_>>();
        let (warning, critical) = (Severity::Warning, Severity::Critical);
        let found = |raised, hold| [finding(Some(raised), raised, hold)];
        let mut before = Machine::new(Duration::from_secs(100));
        before.speak_as(called("a"));
        assert_eq!(hosts(before.step(&found(warning, 10), moment(0.0), settled)), [""; 0]);
        before.speak_as(called("b"));
        // It began to pend under another name, of which nobody was told.
        assert_eq!(hosts(before.step(&found(warning, 10), moment(10.0), settled)), ["b"]);
        before.speak_as(called("c"));
        let now = BootTime::from_seconds(20.0);
        let kept: Vec<Kept> = serde_json::from_str(&serde_json::to_string(&before.keep()).unwrap()).unwrap();
        assert_eq!(kept, before.keep());
        let mut after = Machine::resumed(Duration::from_secs(100), kept, None, now);
        after.speak_as(called("d"));
        for machine in [&mut before, &mut after] {
            assert_eq!(machine.firing(moment(21.0).stamp).map(|one| one.speaker.host).collect::<Vec<_>>(), ["b"]);
            assert_eq!(hosts(machine.step(&found(critical, 0), moment(22.0), settled)), ["b"]);
            assert_eq!(hosts(machine.step(&found(critical, 0), moment(122.0), settled)), ["b"]);
            assert_eq!(hosts(machine.step(&[], moment(123.0), settled)), ["b"]);
        }
        assert_eq!(hosts(before.step(&found(critical, 0), moment(124.0), settled)), ["c"]);
        assert_eq!(hosts(after.step(&found(critical, 0), moment(124.0), settled)), ["d"]);
    }
}
