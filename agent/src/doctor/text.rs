//! A report as text for people: what is wrong first, with all that is known of it, then a line for each of the others.

use std::fmt::Write as _;

use super::report::{CLOCK_OFFSET, Check, Report, Verdict};
use crate::snapshot::Status;

/// Where the text of a check begins.
const INDENT: usize = 9;

/// A report as text; `paint` colours the name of a status or a verdict.
pub fn render(report: &Report, paint: &dyn Fn(Status, &str) -> String) -> String {
    let mut text = String::new();
    let (word, summary) = headline(report);
    push(&mut text, &format!("{}  {summary}", paint(report.status, word)));
    for check in report.checks.iter().filter(|check| check.verdict >= Verdict::Warning) {
        push(&mut text, "");
        push(&mut text, &title(check, paint));
        let lines = check.evidence.iter().map(|line| ("seen", line));
        let lines = lines.chain(check.effect.iter().map(|line| ("effect", line)));
        for (label, line) in lines.chain(check.remedy.iter().map(|line| ("remedy", line))) {
            push(&mut text, &format!("{:INDENT$}{label:<8}{line}", ""));
        }
    }
    push(&mut text, "");
    for check in report.checks.iter().filter(|check| check.verdict < Verdict::Warning) {
        push(&mut text, &title(check, paint));
        for line in &check.evidence {
            push(&mut text, &format!("{:INDENT$}        {line}", ""));
        }
    }
    text
}

fn headline(report: &Report) -> (&'static str, String) {
    let of_host = || report.checks.iter().filter(|check| check.is_of_host());
    let count = |verdict| of_host().filter(|check| check.verdict == verdict).count();
    let (problems, warnings) = (count(Verdict::Problem), count(Verdict::Warning));
    let (word, why) = match report.status {
        Status::Critical => ("PROBLEM", String::new()),
        Status::Warning => ("WARNING", String::new()),
        Status::Unknown => ("UNKNOWN", format!("how far the clock is off is not known ({CLOCK_OFFSET}): ")),
        Status::Ok => ("OK", String::new()),
    };
    let many = |count: usize, name: &str| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
    if of_host().next().is_none() {
        return (word, format!("this host was not looked at; {} explained", many(report.errors.len(), "error")));
    }
    let summary = format!(
        "{why}{}, {}, {} well, {} skipped",
        many(problems, "problem"),
        many(warnings, "warning"),
        count(Verdict::Ok),
        count(Verdict::Skipped)
    );
    (word, summary)
}

fn title(check: &Check, paint: &dyn Fn(Status, &str) -> String) -> String {
    let name = check.verdict.name();
    let pad = " ".repeat(INDENT.saturating_sub(name.len()));
    format!("{}{pad}{}: {}", paint(check.verdict.status(), name), check.name, check.summary)
}

fn push(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::super::report::Area;
    use super::*;

    #[test]
    fn what_is_wrong_stands_first_with_its_remedy() {
        let report = Report::new(vec![
            Check::ok(Area::Clock, "clock-offset", "3.0 ms slow"),
            Check::skipped(Area::Agent, "agent-running", "no agent answers"),
            Check::problem(Area::Imds, "imds-role", "no role is attached", "SDKs find no credentials", "attach one")
                .with_evidence(["404"]),
        ]);
        let text = render(&report, &|_, name| name.to_owned());
        let expected = "PROBLEM  1 problem, 0 warnings, 1 well, 1 skipped\n\n\
                        problem  imds-role: no role is attached\n         \
                        seen    404\n         effect  SDKs find no credentials\n         remedy  attach one\n\n\
                        ok       clock-offset: 3.0 ms slow\nskipped  agent-running: no agent answers\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_first_word_is_what_the_exit_code_says() {
        let offset = |is_known| match is_known {
            true => Check::ok(Area::Clock, CLOCK_OFFSET, "3.0 ms slow"),
            false => Check::skipped(Area::Clock, CLOCK_OFFSET, "no source answers"),
        };
        let warning =
            || Check::warning(Area::Sources, "source-a", "no reply in time", "one witness less", "ask another");
        let problem = || Check::problem(Area::Imds, "imds-role", "no role is attached", "no credentials", "attach one");
        // An error that was handed in counts where its cause is here.
        let error = || Check::warning(Area::Error, "error-expired-token", "ExpiredToken", "refused", "renew them");
        let here = || Check { verdict: Verdict::Problem, ..error() };
        for (checks, word, code) in [
            (vec![offset(true)], "OK  ", 0),
            (vec![offset(true), error()], "OK  ", 0),
            (vec![offset(true), here()], "PROBLEM  ", 2),
            (vec![offset(true), warning()], "WARNING  ", 1),
            (vec![offset(true), warning(), problem()], "PROBLEM  ", 2),
            (vec![offset(false), warning(), problem()], "PROBLEM  ", 2),
            (vec![offset(false), warning()], "UNKNOWN  how far the clock is off is not known (clock-offset): ", 3),
            (vec![offset(false)], "UNKNOWN  how far the clock is off is not known (clock-offset): ", 3),
        ] {
            let report = Report::new(checks);
            let text = render(&report, &|_, name| name.to_owned());
            assert!(text.starts_with(word), "{text}");
            assert_eq!(report.status.exit_code(), code, "{text}");
            let json = serde_json::to_value(&report).unwrap();
            assert_eq!(json["status"], report.status.name(), "{json}");
        }
    }

    #[test]
    fn a_text_alone_says_nothing_of_a_host() {
        let error = Check::warning(Area::Error, "error-expired-token", "ExpiredToken", "refused", "renew them");
        let report = Report::of_text(vec![error], Vec::new());
        let text = render(&report, &|_, name| name.to_owned());
        assert!(text.starts_with("UNKNOWN  this host was not looked at"), "{text}");
        assert!(text.contains("error-expired-token: ExpiredToken"), "{text}");
        assert_eq!(report.status.exit_code(), 3);
    }
}
