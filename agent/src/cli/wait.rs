//! `wait`: blocks until the host is as it is wanted.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::time::sleep;

use super::args::Wait;
use super::informant::Informant;
use super::ready::{Demand, Judgement, Readiness, Verdict};
use super::text;
use crate::clock::local;
use crate::config::checked::Config;
use crate::snapshot::Snapshot;
use crate::stderr::Stderr;
use crate::sys::Ending;
use crate::time::{BootTime, Span, humane};

/// The limit is looked at this often: tokio's timers stand still while the host sleeps, and the limit does not.
const LOOK: Duration = Duration::from_secs(1);
/// What changes in its numbers alone is told this often.
const RETELL: Span = Span::from_nanos(10 * 1_000_000_000);

pub(super) async fn wait(config: Config, arguments: &Wait) -> anyhow::Result<u8> {
    let limit = Limit::new(local::boot(), arguments.timeout);
    let mut ending = Ending::new().context("failed to listen for what ends it")?;
    let mut progress = Progress::new(arguments.quiet)?;
    let mut informant = Informant::new(arguments.subject.narrow_config(config));
    let demand = Demand::from(arguments);
    let end = loop {
        let snapshot = informant.snapshot();
        let judgement = demand.judge(snapshot.as_ref());
        let now = local::boot();
        let end = |is_interrupted| End { judgement: judgement.clone(), snapshot: snapshot.clone(), is_interrupted };
        if judgement.readiness() == Readiness::Good || limit.is_over(now) {
            break end(false);
        }
        progress.tell(&judgement, now);
        tokio::select! {
            biased;
            () = ending.came() => break end(true),
            more = informant.next() => more?,
            () = sleep(limit.left(now).min(LOOK)) => {}
        }
    };
    let waited = local::boot().since(limit.begun);
    if !arguments.quiet {
        let report = Report::new(&end, arguments, waited, informant.is_agent());
        let json = arguments.format.is_json();
        text::answer(&if json { serde_json::to_string(&report)? + "\n" } else { report.text() })?;
    }
    Ok(end.exit_code())
}

/// The limit of the waiting, by the clock that nobody sets and that goes on while the host sleeps.
struct Limit {
    begun: BootTime,
    end: Option<BootTime>,
}

impl Limit {
    /// `timeout` after `begun`; none where it is nothing.
    fn new(begun: BootTime, timeout: Duration) -> Self {
        let end = (!timeout.is_zero()).then(|| begun.plus(Span::from_duration(timeout)));
        Self { begun, end }
    }

    fn is_over(&self, now: BootTime) -> bool {
        self.end.is_some_and(|end| now >= end)
    }

    fn left(&self, now: BootTime) -> Duration {
        self.end.map_or(Duration::MAX, |end| end.since(now).to_duration())
    }
}

/// What is told while it lasts, a line for each change. Whoever does not read it keeps nobody waiting.
struct Progress {
    stderr: Option<Stderr>,
    told: Option<(String, String, BootTime)>,
}

impl Progress {
    fn new(is_quiet: bool) -> anyhow::Result<Self> {
        let start = || Stderr::of_this_process(|_| {}).context("failed to start the writer of standard error");
        Ok(Self { stderr: (!is_quiet).then(start).transpose()?, told: None })
    }

    fn tell(&mut self, judgement: &Judgement, now: BootTime) {
        let Some(stderr) = &self.stderr else { return };
        let (gist, text) = (judgement.gist(), judgement.text());
        if is_news(self.told.as_ref(), &gist, &text, now) {
            // What cannot be told while it lasts is told at the end.
            let _ = stderr.log().write_all(format!("waiting: {text}\n").as_bytes());
            self.told = Some((gist, text, now));
        }
    }
}

/// Whether this was not told before: another gist, or after a while other numbers.
fn is_news(told: Option<&(String, String, BootTime)>, gist: &str, text: &str, now: BootTime) -> bool {
    told.is_none_or(|(before, words, at)| before != gist || (words != text && now.since(*at) >= RETELL))
}

/// How the waiting ended.
struct End {
    judgement: Judgement,
    snapshot: Option<Snapshot>,
    is_interrupted: bool,
}

impl End {
    fn exit_code(&self) -> u8 {
        if self.is_interrupted { Readiness::NotGood.exit_code() } else { self.judgement.readiness().exit_code() }
    }
}

/// What is told at the end.
#[derive(Serialize)]
struct Report {
    /// `good`, `not-good`, `unknown` or `interrupted`.
    outcome: &'static str,
    /// For people.
    summary: String,
    waited_seconds: f64,
    timeout_seconds: f64,
    /// Who says so: `agent`, or `wait` where none answered.
    measured_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<CredentialsReport>,
}

#[derive(Serialize)]
struct ClockReport {
    outcome: &'static str,
    within_seconds: f64,
    state: Option<String>,
    offset_seconds: Option<f64>,
    error_bound_seconds: Option<f64>,
}

#[derive(Serialize)]
struct CredentialsReport {
    outcome: &'static str,
    wanted_seconds: f64,
    /// Those that count.
    all: Vec<CredentialReport>,
}

#[derive(Serialize)]
struct CredentialReport {
    provider: String,
    identity: String,
    state: String,
    code: String,
    remaining_seconds: Option<f64>,
}

impl Report {
    fn new(end: &End, arguments: &Wait, waited: Span, is_agent: bool) -> Self {
        let End { judgement, snapshot, is_interrupted } = end;
        let snapshot = snapshot.as_ref();
        let outcome =
            |verdict: &Option<Verdict>| verdict.as_ref().map_or(Readiness::Unknown, |verdict| verdict.readiness).name();
        let clock = snapshot.map(|snapshot| &snapshot.clock);
        Self {
            outcome: if *is_interrupted { "interrupted" } else { judgement.readiness().name() },
            summary: judgement.text(),
            waited_seconds: waited.seconds(),
            timeout_seconds: arguments.timeout.as_secs_f64(),
            measured_by: if is_agent { "agent" } else { "wait" },
            clock: arguments.subject.has_clock().then(|| ClockReport {
                outcome: outcome(&judgement.clock),
                within_seconds: arguments.within.as_secs_f64(),
                state: clock.map(|clock| clock.state.clone()),
                offset_seconds: clock.and_then(|clock| clock.offset_seconds),
                error_bound_seconds: clock.and_then(|clock| clock.error_bound_seconds),
            }),
            credentials: arguments.subject.has_credentials().then(|| CredentialsReport {
                outcome: outcome(&judgement.credentials),
                wanted_seconds: arguments.remaining.as_secs_f64(),
                all: snapshot
                    .iter()
                    .flat_map(|snapshot| &snapshot.credentials)
                    .filter(|one| one.judged)
                    .map(credential)
                    .collect(),
            }),
        }
    }

    fn text(&self) -> String {
        let waited = humane(Span::from_seconds(self.waited_seconds));
        format!("{} after {waited}: {}\n", self.outcome.replace('-', " "), self.summary)
    }
}

fn credential(one: &crate::snapshot::Credential) -> CredentialReport {
    CredentialReport {
        provider: one.provider.clone(),
        identity: one.identity.clone(),
        state: one.state.clone(),
        code: one.code.clone(),
        remaining_seconds: one.remaining_seconds,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    proptest! {
        #[test]
        fn the_limit_is_one_of_time_since_boot_alone(
            begun in 0..i64::MAX / 2, timeout in 1..3_600_u64, passed in 0..7_200 * SECOND
        ) {
            let begun = BootTime::from_nanos(begun);
            let limit = Limit::new(begun, Duration::from_secs(timeout));
            let now = begun.plus(Span::from_nanos(passed));
            let wanted = Duration::from_secs(timeout);
            prop_assert_eq!(limit.is_over(now), now.since(begun).to_duration() >= wanted);
            prop_assert_eq!(limit.left(now), wanted.saturating_sub(now.since(begun).to_duration()));
            prop_assert_eq!(limit.is_over(now), limit.left(now).is_zero());
        }
    }

    #[test]
    fn without_a_limit_it_is_waited_for_ever() {
        let limit = Limit::new(BootTime::ZERO, Duration::ZERO);
        assert!(!limit.is_over(BootTime::from_nanos(i64::MAX)));
        assert!(limit.left(BootTime::from_nanos(i64::MAX)) > LOOK);
    }

    #[test]
    fn each_change_is_told_at_once_and_numbers_now_and_then() {
        let at = BootTime::from_seconds;
        let told = ("it is wrong".to_owned(), "it is 400 s wrong".to_owned(), at(100.0));
        assert!(is_news(None, "it is wrong", "it is 400 s wrong", at(100.0)));
        assert!(is_news(Some(&told), "it is unknown", "it is unknown", at(100.1)));
        assert!(!is_news(Some(&told), "it is wrong", "it is 399 s wrong", at(109.0)));
        assert!(is_news(Some(&told), "it is wrong", "it is 390 s wrong", at(110.0)));
        assert!(!is_news(Some(&told), "it is wrong", "it is 400 s wrong", at(500.0)));
    }
}
