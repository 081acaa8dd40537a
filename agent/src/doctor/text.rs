//! A report as text for people: what is wrong first, with all that is known of it, then a line for each of the others.

use std::fmt::Write as _;

use super::report::{Check, Report, Verdict};

/// Where the text of a check begins.
const INDENT: usize = 9;

/// A report as text; `paint` colours the name of a verdict.
pub fn render(report: &Report, paint: &dyn Fn(Verdict, &str) -> String) -> String {
    let mut text = String::new();
    push(&mut text, &format!("{}  {}", paint(report.verdict, &headline(report).0), headline(report).1));
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

fn headline(report: &Report) -> (String, String) {
    let count = |verdict| report.checks.iter().filter(|check| check.verdict == verdict).count();
    let (problems, warnings) = (count(Verdict::Problem), count(Verdict::Warning));
    let word = match report.verdict {
        Verdict::Problem => "PROBLEM",
        Verdict::Warning => "WARNING",
        Verdict::Ok | Verdict::Skipped => "OK",
    };
    let many = |count: usize, name: &str| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
    let summary = format!(
        "{}, {}, {} well, {} skipped",
        many(problems, "problem"),
        many(warnings, "warning"),
        count(Verdict::Ok),
        count(Verdict::Skipped)
    );
    (word.to_owned(), summary)
}

fn title(check: &Check, paint: &dyn Fn(Verdict, &str) -> String) -> String {
    let name = check.verdict.name();
    let pad = " ".repeat(INDENT.saturating_sub(name.len()));
    format!("{}{pad}{}: {}", paint(check.verdict, name), check.name, check.summary)
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
}
