//! What is wrong with a source of time.

use super::alerts::Ask;
use super::answer::{self, Answer, Ruling};
use super::finding::{Finding, Graded, Severity};
use super::rule::{Rule, Rules};
use crate::clock::source::Verdict;
use crate::time::{Offset, humane_offset};

/// What is known of a source.
pub struct SourceFacts<'a> {
    /// What people call it.
    pub name: &'a str,
    /// Where it is.
    pub server: String,
    /// What is held of it.
    pub verdict: Verdict,
    /// What it says of the system clock.
    pub offset: Option<Offset>,
    /// Why its last poll failed.
    pub refusal: Option<String>,
    /// What mends that.
    pub remedy: &'a dyn Fn(&str) -> String,
}

/// What each rule says of one source.
pub fn judge(facts: &SourceFacts<'_>, rules: &Rules) -> Vec<Ruling> {
    answer::judge(facts.name, rules, |row| match row.ask {
        Ask::Source(ask) => Some(move |rule: &Rule| ask(facts, rule)),
        Ask::Clock(_) | Ask::Credential(_) => None,
    })
}

/// A liar that falls silent has not become honest, and neither has one about which the others do not agree.
pub(super) fn falseticker(facts: &SourceFacts<'_>, rule: &Rule) -> Answer {
    match facts.verdict {
        Verdict::Falseticker => {}
        Verdict::Truechimer => return Answer::Absent,
        Verdict::Undecided | Verdict::Unreachable | Verdict::Unsynchronized | Verdict::Denied | Verdict::WarmingUp => {
            return Answer::Unknown;
        }
    }
    let SourceFacts { name, server, .. } = facts;
    let claim = facts.offset.map_or_else(String::new, |offset| {
        format!(": by its time the system clock would be {}", humane_offset(offset))
    });
    found(
        rule,
        format!("{name} ({server}) contradicts the majority{claim}. It is not used; who trusts it gets wrong time"),
        "take it out of the time daemon's configuration, or mend its server",
    )
}

pub(super) fn unreachable(facts: &SourceFacts<'_>, rule: &Rule) -> Answer {
    match facts.verdict {
        Verdict::Unreachable | Verdict::Unsynchronized | Verdict::Denied => {}
        Verdict::Truechimer | Verdict::Falseticker | Verdict::Undecided => return Answer::Absent,
        Verdict::WarmingUp => return Answer::Unknown,
    }
    let SourceFacts { name, server, .. } = facts;
    let why = facts.refusal.as_deref().unwrap_or("no reply in time");
    found(
        rule,
        format!("{name} ({server}) gives no time: {why}. There is one witness less for true time"),
        &(facts.remedy)(why),
    )
}

fn found(rule: &Rule, summary: String, remedy: &str) -> Answer {
    Answer::Found(Finding::new(rule.hold, Graded::at(Severity::Warning), summary, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    #[test]
    fn a_liar_is_none_only_once_it_agrees_and_a_silent_source_is_none_once_it_answers() {
        let rules = parse("{}", std::path::Path::new("sources.yaml"), &|_| None).unwrap().alerts.rules;
        let said = |verdict| {
            let (server, offset, refusal) = ("10.0.0.1".to_owned(), None, None);
            let facts = SourceFacts { name: "a", server, verdict, offset, refusal, remedy: &str::to_owned };
            let said = judge(&facts, &rules).into_iter().map(|ruling| match ruling.answer {
                Answer::Found(_) => "found",
                Answer::Absent => "absent",
                Answer::Unknown => "unknown",
            });
            <[_; 2]>::try_from(said.collect::<Vec<_>>()).unwrap()
        };
        for (verdict, expected) in [
            (Verdict::Truechimer, ["absent", "absent"]),
            (Verdict::Falseticker, ["found", "absent"]),
            (Verdict::Undecided, ["unknown", "absent"]),
            (Verdict::Unreachable, ["unknown", "found"]),
            (Verdict::Unsynchronized, ["unknown", "found"]),
            (Verdict::Denied, ["unknown", "found"]),
            (Verdict::WarmingUp, ["unknown", "unknown"]),
        ] {
            assert_eq!(said(verdict), expected, "{verdict:?}");
        }
    }
}
