//! `check --format npd`: a plugin of node-problem-detector, which takes an exit code and 80 bytes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::args::{Check, Subject};
use super::measure::measure;
use super::{brief, ready, text};
use crate::assess::finding::{Kind, Severity};
use crate::clock::local;
use crate::config::checked::Config;
use crate::snapshot::{Finding, Snapshot, Status};
use crate::status::ask_trusted;

/// It kills a plugin after five seconds.
const PATIENCE: Duration = Duration::from_millis(3_500);
/// A part of that is the agent's.
const ASKING: Duration = Duration::from_secs(1);
/// It cuts what is longer, without regard for letters of several bytes; the newline counts.
const MOST_BYTES: usize = 80;

pub(super) async fn check(config: Arc<Config>, arguments: &Check) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let snapshot = match timeout_at(begun + ASKING, ask_trusted(&config.socket)).await {
        Ok(Ok(snapshot)) => snapshot,
        _ => {
            let left = PATIENCE.saturating_sub(begun.elapsed()).min(arguments.timeout);
            measure(config, arguments.samples, left).await?.snapshot_of_one_look(local::read())
        }
    };
    text::answer(&line(&snapshot, arguments.subject))?;
    Ok(exit_code(status(&snapshot, arguments.subject)))
}

/// As bad as the worst of what is told: a forecast that has yet to last is no condition of a node. What rests on the one
/// answer of a source that nobody has to believe is not known, as `wait` has it: pods are not kept away for that.
fn status(snapshot: &Snapshot, subject: Subject) -> Status {
    let worst = |counts: &dyn Fn(&Finding) -> bool| {
        let told = brief::told(snapshot, subject).into_iter().filter(|&finding| counts(finding));
        told.map(|finding| finding.severity).max()
    };
    if ready::rests_on_one_answer(&snapshot.clock) && worst(&|_| true) == Some(Severity::Critical) {
        return Status::of(worst(&|finding| !rests_on_time(finding.alert)), false);
    }
    Status::of(worst(&|_| true), snapshot.clock.is_known())
}

/// Whether it is found by true time.
const fn rests_on_time(kind: Kind) -> bool {
    match kind {
        Kind::ClockSkew
        | Kind::ClockSkewForecast
        | Kind::ClockUndisciplined
        | Kind::CredentialRefreshMargin
        | Kind::CredentialExpiring
        | Kind::CredentialRotationOverdue => true,
        Kind::ClockStepped
        | Kind::ClockUnverified
        | Kind::SourceFalseticker
        | Kind::SourceUnreachable
        | Kind::CredentialUnavailable
        | Kind::Test => false,
    }
}

/// 0 is well, 1 is a problem, and all else is not known. A warning is no reason to keep pods away from a node.
const fn exit_code(status: Status) -> u8 {
    match status {
        Status::Ok | Status::Warning => 0,
        Status::Critical => 1,
        Status::Unknown => 2,
    }
}

fn line(snapshot: &Snapshot, subject: Subject) -> String {
    const CUT: &str = "…";
    let is_doubtful = ready::rests_on_one_answer(&snapshot.clock) && status(snapshot, subject) == Status::Unknown;
    let doubt = if is_doubtful { "not confirmed: " } else { "" };
    let line = format!("{doubt}{}", brief::line(snapshot, subject)).replace(['\n', '\r'], " ");
    let room = MOST_BYTES.saturating_sub(1);
    if line.len() <= room {
        return line + "\n";
    }
    let room = room.saturating_sub(CUT.len());
    let kept: String =
        line.char_indices().take_while(|(at, letter)| at + letter.len_utf8() <= room).map(|(_, c)| c).collect();
    format!("{}{CUT}\n", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::cli::brief::tests::{found, snapshot};

    #[test]
    fn a_warning_is_no_problem_and_what_is_not_known_is_none_either() {
        let codes = [Status::Ok, Status::Warning, Status::Critical, Status::Unknown].map(exit_code);
        assert_eq!(codes, [0, 0, 1, 2]);
    }

    #[test]
    fn what_shows_over_time_counts_once_it_fires() {
        let forecast = |state: &str| {
            snapshot(|value| {
                value["status"] = json!("critical");
                value["clock"]["confirmed"] = json!(true);
                value["findings"] = json!([found("clock-skew-forecast", "critical")]);
                value["alerts"] = json!([{
                    "alert": "clock-skew-forecast", "severity": "critical", "subject": "", "state": state, "since": null,
                }]);
            })
        };
        assert_eq!(status(&forecast("pending"), Subject::All), Status::Ok);
        assert_eq!(status(&forecast("firing"), Subject::All), Status::Critical);
        assert_eq!(status(&forecast("firing"), Subject::Credentials), Status::Ok);
    }

    #[test]
    fn a_clock_that_nobody_knows_is_unknown_unless_something_is_critical() {
        let blind = |findings| {
            snapshot(|value| {
                value["clock"]["state"] = json!("disagreement");
                value["findings"] = findings;
            })
        };
        assert_eq!(status(&blind(json!([])), Subject::Clock), Status::Unknown);
        assert_eq!(status(&blind(json!([found("source-falseticker", "warning")])), Subject::Clock), Status::Unknown);
        let critical = blind(json!([found("credential-unavailable", "critical")]));
        assert_eq!(status(&critical, Subject::All), Status::Critical);
        assert_eq!(status(&critical, Subject::Clock), Status::Unknown);
    }

    #[test]
    fn what_one_answer_alone_says_is_not_known_and_keeps_no_pod_away() {
        let judged = |(confirmed, vouched): (bool, bool), state: &str, found: serde_json::Value| {
            let snapshot = snapshot(|value| {
                value["clock"]["state"] = json!(state);
                value["clock"]["confirmed"] = json!(confirmed);
                value["clock"]["vouched"] = json!(vouched);
                value["findings"] = json!([found]);
            });
            (status(&snapshot, Subject::All), line(&snapshot, Subject::All).starts_with("not confirmed: critical "))
        };
        for (kind, is_of_time) in
            [("clock-skew", true), ("credential-expiring", true), ("credential-unavailable", false)]
        {
            let found = || found(kind, "critical");
            let doubtful = judged((false, false), "synchronized", found());
            let expected = if is_of_time { (Status::Unknown, true) } else { (Status::Critical, false) };
            assert_eq!(doubtful, expected, "{kind}");
            for proof in [(true, false), (false, true)] {
                assert_eq!(judged(proof, "synchronized", found()), (Status::Critical, false), "{kind}");
            }
            // What was known for certain before all fell silent.
            assert_eq!(judged((false, false), "holdover", found()), (Status::Critical, false), "{kind}");
        }
        // What is well by one answer is no problem either way.
        assert_eq!(judged((false, false), "synchronized", found("clock-skew", "warning")), (Status::Warning, false));
    }

    proptest! {
        #[test]
        fn it_is_one_line_of_80_bytes_at_most(summary in ".{0,120}") {
            let critical = snapshot(|value| {
                value["clock"]["confirmed"] = json!(true);
                value["findings"] = json!([found("clock-skew", "critical")]);
                value["findings"][0]["summary"] = json!(summary);
            });
            let line = line(&critical, Subject::All);
            prop_assert!(line.len() <= MOST_BYTES && line.lines().count() == 1 && line.ends_with('\n'), "{line:?}");
            prop_assert!(line.starts_with("critical clock-skew:"));
        }
    }
}
