//! What a rule answers: that something is wrong, that it is not, or that nobody can know.

use super::alerts::{ROWS, Row};
use super::finding::{Finding, Kind};
use super::rule::{Rule, Rules};

/// What a rule answers about one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    Found(Finding),
    /// It is not there: whoever would know of it has been asked.
    Absent,
    /// Too little is known to say either, because whoever would know of it is silent, or was not asked yet.
    Unknown,
}

impl Answer {
    /// What was found, and `otherwise` where nothing was.
    pub fn or(found: Option<Finding>, otherwise: Self) -> Self {
        found.map_or(otherwise, Self::Found)
    }

    /// Whether something was found that is to be told.
    fn is_raised(&self) -> bool {
        matches!(self, Self::Found(finding) if finding.raised.is_some())
    }
}

/// The answer of a rule about one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What the rule looks for.
    pub kind: Kind,
    /// What it is about, where there can be several of a kind: a source, or a credential; else empty.
    pub subject: String,
    /// Whether it is there.
    pub answer: Answer,
}

impl Ruling {
    /// Asks the rule for this kind. One that is disabled is not asked: what nobody wants to know is not there.
    pub fn of(kind: Kind, subject: &str, rules: &Rules, ask: impl FnOnce(&Rule) -> Answer) -> Self {
        let rule = rules.of(kind);
        Self { kind, subject: subject.to_owned(), answer: if rule.enabled { ask(rule) } else { Answer::Absent } }
    }
}

/// Asks all rules about one subject. `asked` says how a row is asked about it; `None` where it is about something else.
pub fn judge<F: FnOnce(&Rule) -> Answer>(
    subject: &str,
    rules: &Rules,
    asked: impl Fn(&'static Row) -> Option<F>,
) -> Vec<Ruling> {
    let rows = ROWS.iter().filter_map(|row| Some((row, asked(row)?)));
    let mut rulings: Vec<_> = rows.map(|(row, ask)| (row, Ruling::of(row.kind, subject, rules, ask))).collect();
    let is_told = |(_, ruling): &&(&Row, Ruling)| ruling.answer.is_raised();
    let told: Vec<Kind> = rulings.iter().filter(is_told).map(|(row, _)| row.kind).collect();
    for (row, ruling) in &mut rulings {
        if let Answer::Found(finding) = &mut ruling.answer
            && row.yields_to.is_some_and(|other| told.contains(&other))
        {
            finding.raised = None;
        }
    }
    rulings.into_iter().map(|(_, ruling)| ruling).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::assess::finding::{Graded, Severity};
    use crate::config::load::parse;

    fn rules() -> Rules {
        parse("{}", std::path::Path::new("answers.yaml"), &|_| None).unwrap().alerts.rules
    }

    /// What each rule answers that finds its own `for`.
    fn answers(rules: &Rules) -> Vec<(Kind, Option<Duration>)> {
        let found = |rule: &Rule| {
            let graded = Graded::at(Severity::Warning);
            Answer::Found(Finding::new(rule.hold, graded, String::new(), ""))
        };
        let hold = |ruling: Ruling| match ruling.answer {
            Answer::Found(finding) => (ruling.kind, Some(finding.hold)),
            Answer::Absent | Answer::Unknown => (ruling.kind, None),
        };
        judge("", rules, |_| Some(found)).into_iter().map(hold).collect()
    }

    #[test]
    fn each_alert_is_judged_by_its_own_section_and_by_no_other() {
        let default = answers(&rules());
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let mut changed = rules();
            changed.change(kind, |rule| rule.hold = Duration::from_secs(7_777));
            let mut expected = default.clone();
            expected[index] = (kind, Some(Duration::from_secs(7_777)));
            assert_eq!(answers(&changed), expected);
            changed.change(kind, |rule| rule.enabled = false);
            expected[index] = (kind, None);
            assert_eq!(answers(&changed), expected);
        }
    }

    #[test]
    fn a_kind_that_nobody_looks_for_is_absent() {
        let answer = Ruling::of(Kind::Test, "", &rules(), |_| Answer::Unknown).answer;
        assert_eq!(answer, Answer::Absent);
    }
}
