//! The state machine of alerts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::assess::answer::{Answer, Ruling};
use crate::assess::finding::{Finding, Kind, Severity};
use crate::clock::true_clock::Stamp;
use crate::host::identity::Speaker;
use crate::time::{BootTime, Span};

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
    /// Who told it when it began to fire; means nothing before that.
    pub speaker: Arc<Speaker>,
}

impl Alert {
    /// Lets `time`, at the end of which it is `now`, not count for it while it pends.
    fn wait(&mut self, time: Span, now: BootTime) {
        if let State::Pending { since } = &mut self.state {
            *since = since.plus(time).min(now);
        }
    }
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
    /// When answers were taken last.
    heard: Option<BootTime>,
}

impl Machine {
    /// Begins without alerts; a firing one is told again every `repeat`.
    pub fn new(repeat: Duration) -> Self {
        Self { repeat, alerts: BTreeMap::new(), speaker: Arc::default(), heard: None }
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
            Some(((kind, subject), Alert { severity, state, summary, remedy, speaker }))
        });
        Self { repeat, alerts: alerts.collect(), speaker: Arc::default(), heard: None }
    }

    /// From now on a firing alert is told again every `repeat`.
    pub const fn repeat_every(&mut self, repeat: Duration) {
        self.repeat = repeat;
    }

    /// Takes note that the host slept for `by`: that does not count for alerts that pend.
    ///
    /// A process that was killed right after the sleep has counted it as its own absence: no time lies ahead of `now`.
    pub fn slept(&mut self, by: Span, now: BootTime) {
        self.heard = Some(now);
        self.alerts.values_mut().for_each(|alert| alert.wait(by, now));
    }

    /// Takes what the rules answer at a moment, and says what is to be told. `gone` answers for an alert about whose subject
    /// no rule was asked.
    ///
    /// What is absent is over. What is unknown goes on as it was: the time in which nobody knows counts for no alert that
    /// pends.
    pub fn step(&mut self, rulings: &[Ruling], gone: impl Fn(Kind, &str) -> Answer, now: Moment) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let mut unasked = Vec::new();
        let unheard = self.heard.replace(now.boot).map_or(Span::ZERO, |last| now.boot.since(last));
        let answers: BTreeMap<(Kind, &str), &Answer> =
            rulings.iter().map(|ruling| ((ruling.kind, ruling.subject.as_str()), &ruling.answer)).collect();
        self.alerts.retain(|(kind, subject), alert| {
            let answer_on_gone;
            let answer = match answers.get(&(*kind, subject.as_str())) {
                Some(answer) => *answer,
                None => {
                    answer_on_gone = gone(*kind, subject);
                    unasked.push(Ruling { kind: *kind, subject: subject.clone(), answer: answer_on_gone.clone() });
                    &answer_on_gone
                }
            };
            match answer {
                Answer::Found(_) => true,
                Answer::Absent => {
                    if let State::Firing { since, .. } = alert.state {
                        let before = Some(alert.severity);
                        transitions.push(transition(*kind, subject, alert, before, Change::Resolved, since, now));
                    }
                    false
                }
                Answer::Unknown => {
                    alert.wait(unheard, now.boot);
                    true
                }
            }
        });
        for Ruling { kind, subject, answer } in rulings.iter().chain(&unasked) {
            let change = match answer {
                Answer::Found(finding) => self.take(&(*kind, subject.clone()), finding, now),
                Answer::Absent => None,
                Answer::Unknown => self.repeat(&(*kind, subject.clone()), now),
            };
            transitions.extend(change);
        }
        transitions
    }

    /// Tells a firing alert again whose time has come, although nobody knows whether it is over.
    fn repeat(&mut self, key: &(Kind, String), now: Moment) -> Option<Transition> {
        let alert = self.alerts.get_mut(key)?;
        let State::Firing { since, told } = alert.state else { return None };
        if now.boot.since(told) < Span::from_duration(self.repeat) {
            return None;
        }
        alert.state = State::Firing { since, told: now.boot };
        Some(transition(key.0, &key.1, alert, Some(alert.severity), Change::Repeated, since, now))
    }

    fn take(&mut self, key: &(Kind, String), finding: &Finding, now: Moment) -> Option<Transition> {
        if let Some(alert) = self.alerts.get_mut(key) {
            alert.summary.clone_from(&finding.summary);
            alert.remedy.clone_from(&finding.remedy);
        }
        match self.alerts.get_mut(key) {
            // What is only held by the level of clearing neither begins to pend nor goes on doing so.
            None => {
                let severity = finding.raised?;
                let (summary, remedy) = (finding.summary.clone(), finding.remedy.clone());
                let state = State::Pending { since: now.boot };
                let speaker = Arc::clone(&self.speaker);
                let alert = Alert { severity, state, summary, remedy, speaker };
                self.alerts.insert(key.clone(), alert);
                self.fire(key, finding, now)
            }
            Some(alert) => match (alert.state, finding.raised) {
                (State::Pending { .. }, None) => {
                    self.alerts.remove(key);
                    None
                }
                (State::Pending { .. }, Some(severity)) => {
                    alert.severity = severity;
                    self.fire(key, finding, now)
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
    use crate::time::TrueTime;

    fn moment(seconds: f64) -> Moment {
        let time = TrueTime::from_seconds(seconds);
        Moment { boot: BootTime::from_seconds(seconds), stamp: Stamp { time, verified: true }, graced: true }
    }

    fn found(raised: Option<Severity>, held: Severity, hold: u64) -> Finding {
        let hold = Duration::from_secs(hold);
        Finding { raised, held, hold, urgent: false, summary: "s".into(), remedy: "r".into() }
    }

    fn ruling(answer: Answer) -> [Ruling; 1] {
        [Ruling { kind: Kind::ClockSkew, subject: String::new(), answer }]
    }

    fn finding(raised: Option<Severity>, held: Severity, hold: u64) -> [Ruling; 1] {
        ruling(Answer::Found(found(raised, held, hold)))
    }

    /// What no rule was asked about goes on.
    const fn goes_on(_: Kind, _: &str) -> Answer {
        Answer::Unknown
    }

    fn absent() -> [Ruling; 1] {
        ruling(Answer::Absent)
    }

    fn unknown() -> [Ruling; 1] {
        ruling(Answer::Unknown)
    }

    fn told(transitions: &[Transition]) -> Vec<(Change, Severity)> {
        transitions.iter().map(|one| (one.change, one.severity)).collect()
    }

    #[test]
    fn an_alert_fires_once_it_has_lasted_is_repeated_and_resolves() {
        let mut machine = Machine::new(Duration::from_secs(100));
        let found = finding(Some(Severity::Warning), Severity::Warning, 10);
        assert_eq!(machine.step(&found, goes_on, moment(0.0)), []);
        assert_eq!(machine.step(&found, goes_on, moment(9.9)), []);
        assert_eq!(told(&machine.step(&found, goes_on, moment(10.0))), [(Change::Firing, Severity::Warning)]);
        assert_eq!(machine.step(&found, goes_on, moment(109.0)), []);
        assert_eq!(told(&machine.step(&found, goes_on, moment(110.0))), [(Change::Repeated, Severity::Warning)]);
        let resolved = machine.step(&absent(), goes_on, moment(111.0));
        assert_eq!(told(&resolved), [(Change::Resolved, Severity::Warning)]);
        assert_eq!(resolved[0].since, moment(10.0).stamp);
        assert_eq!(machine.alerts().count(), 0);
    }

    #[test]
    fn what_does_not_last_is_never_told() {
        let mut machine = Machine::new(Duration::from_secs(100));
        let found = finding(Some(Severity::Critical), Severity::Critical, 10);
        assert_eq!(machine.step(&found, goes_on, moment(0.0)), []);
        assert_eq!(machine.step(&finding(None, Severity::Warning, 10), goes_on, moment(5.0)), []);
        assert_eq!(machine.step(&found, goes_on, moment(11.0)), [], "the count begins again");
        assert_eq!(machine.step(&absent(), goes_on, moment(12.0)), []);
    }

    #[test]
    fn severity_rises_at_the_level_and_falls_only_below_the_level_of_clearing() {
        let mut machine = Machine::new(Duration::from_secs(1_000));
        let mut step = |raised, held, at| told(&machine.step(&finding(raised, held, 0), goes_on, moment(at)));
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
        let found = found(Some(Severity::Critical), Severity::Critical, 0);
        assert_eq!(machine.step(&ruling(Answer::Found(found.clone())), goes_on, early), []);
        let urgent = ruling(Answer::Found(Finding { urgent: true, ..found }));
        assert_eq!(told(&machine.step(&urgent, goes_on, early)), [(Change::Firing, Severity::Critical)]);
    }

    #[test]
    fn a_firing_alert_outlives_the_process_in_silence_and_its_resolve_waits_until_it_can_be_missed() {
        let (warning, critical) = (Severity::Warning, Severity::Critical);
        let mut before = Machine::new(Duration::from_secs(1_000));
        before.step(&finding(Some(critical), critical, 0), goes_on, moment(0.0));
        for away in [Some(Span::from_seconds(50.0)), None] {
            let now = BootTime::from_seconds(60.0);
            let mut after = Machine::resumed(Duration::from_secs(1_000), before.keep(), away, now);
            assert_eq!(after.step(&unknown(), goes_on, moment(61.0)), []);
            let mut found = after.clone();
            assert_eq!(found.step(&finding(Some(critical), critical, 0), goes_on, moment(62.0)), []);
            let lower = found.step(&finding(Some(warning), warning, 0), goes_on, moment(63.0));
            assert_eq!(told(&lower), [(Change::Firing, warning)]);
            assert_eq!(told(&found.step(&absent(), goes_on, moment(64.0))), [(Change::Resolved, warning)]);
            let resolved = after.step(&absent(), goes_on, moment(62.0));
            assert_eq!(told(&resolved), [(Change::Resolved, critical)]);
            assert_eq!(resolved[0].since, moment(0.0).stamp);
        }
    }

    #[test]
    fn a_pending_alert_goes_on_pending_without_the_time_in_which_nobody_looked() {
        let found = finding(Some(Severity::Warning), Severity::Warning, 10);
        let mut before = Machine::new(Duration::from_secs(1_000));
        before.step(&found, goes_on, moment(0.0));
        before.slept(Span::from_seconds(100.0), BootTime::from_seconds(106.0));
        assert_eq!(before.step(&found, goes_on, moment(106.0)), []);
        let now = BootTime::from_seconds(206.0);
        let resume = |away| Machine::resumed(Duration::from_secs(1_000), before.keep(), away, now);
        let mut after = resume(Some(Span::from_seconds(100.0)));
        assert_eq!(after.step(&found, goes_on, moment(209.9)), []);
        assert_eq!(told(&after.step(&found, goes_on, moment(210.0))), [(Change::Firing, Severity::Warning)]);
        assert_eq!(resume(None).alerts().count(), 0, "after another boot it begins again");
        // The absence was a sleep, of which the next process learns as well: it does not count twice.
        let mut twice = resume(Some(Span::from_seconds(100.0)));
        twice.slept(Span::from_seconds(100.0), now);
        assert_eq!(told(&twice.step(&found, goes_on, moment(216.0))), [(Change::Firing, Severity::Warning)]);
    }

    #[test]
    fn what_nobody_knows_goes_on_is_told_again_and_is_not_over_until_somebody_says_so() {
        let warning = Severity::Warning;
        let mut machine = Machine::new(Duration::from_secs(100));
        machine.step(&finding(Some(warning), warning, 0), goes_on, moment(0.0));
        for second in 1..100 {
            assert_eq!(machine.step(&unknown(), goes_on, moment(f64::from(second))), []);
        }
        assert_eq!(machine.step(&[], goes_on, moment(99.5)), [], "nobody answers for it");
        assert_eq!(told(&machine.step(&unknown(), goes_on, moment(100.0))), [(Change::Repeated, warning)]);
        assert_eq!(machine.step(&unknown(), goes_on, moment(199.0)), []);
        assert_eq!(told(&machine.step(&absent(), goes_on, moment(200.0))), [(Change::Resolved, warning)]);
        assert_eq!(machine.step(&unknown(), goes_on, moment(201.0)), [], "nothing begins with it");
        assert_eq!(machine.alerts().count(), 0);
    }

    #[test]
    fn the_time_in_which_nobody_knows_counts_for_no_pending_alert() {
        let found = finding(Some(Severity::Warning), Severity::Warning, 10);
        let mut machine = Machine::new(Duration::from_secs(1_000));
        machine.step(&found, goes_on, moment(0.0));
        machine.step(&found, goes_on, moment(6.0));
        for second in 7..1_000 {
            assert_eq!(machine.step(&unknown(), goes_on, moment(f64::from(second))), []);
        }
        assert_eq!(machine.step(&found, goes_on, moment(1_000.0)), []);
        assert_eq!(machine.step(&found, goes_on, moment(1_002.0)), []);
        assert_eq!(told(&machine.step(&found, goes_on, moment(1_003.0))), [(Change::Firing, Severity::Warning)]);
    }

    #[test]
    fn an_alert_is_told_to_its_end_by_who_told_it_first_and_over_a_restart_as_well() {
        let called = |host: &str| Speaker { host: host.to_owned(), ..Speaker::default() };
        let hosts = |told: Vec<Transition>| told.into_iter().map(|one| one.speaker.host).collect::<Vec<_>>();
        let (warning, critical) = (Severity::Warning, Severity::Critical);
        let found = |raised, hold| finding(Some(raised), raised, hold);
        let mut before = Machine::new(Duration::from_secs(100));
        before.speak_as(called("a"));
        assert_eq!(hosts(before.step(&found(warning, 10), goes_on, moment(0.0))), [""; 0]);
        before.speak_as(called("b"));
        // It began to pend under another name, of which nobody was told.
        assert_eq!(hosts(before.step(&found(warning, 10), goes_on, moment(10.0))), ["b"]);
        before.speak_as(called("c"));
        let now = BootTime::from_seconds(20.0);
        let kept: Vec<Kept> = serde_json::from_str(&serde_json::to_string(&before.keep()).unwrap()).unwrap();
        assert_eq!(kept, before.keep());
        let mut after = Machine::resumed(Duration::from_secs(100), kept, None, now);
        after.speak_as(called("d"));
        for machine in [&mut before, &mut after] {
            assert_eq!(machine.firing(moment(21.0).stamp).map(|one| one.speaker.host).collect::<Vec<_>>(), ["b"]);
            assert_eq!(hosts(machine.step(&found(critical, 0), goes_on, moment(22.0))), ["b"]);
            assert_eq!(hosts(machine.step(&found(critical, 0), goes_on, moment(122.0))), ["b"]);
            assert_eq!(hosts(machine.step(&absent(), goes_on, moment(123.0))), ["b"]);
        }
        assert_eq!(hosts(before.step(&found(critical, 0), goes_on, moment(124.0))), ["c"]);
        assert_eq!(hosts(after.step(&found(critical, 0), goes_on, moment(124.0))), ["d"]);
    }
}
