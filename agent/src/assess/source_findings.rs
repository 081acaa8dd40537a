//! What is wrong with a source of time.

use super::alerts::Ask;
use super::answer::{self, Answer, Ruling};
use super::finding::{Finding, Graded, Severity};
use super::rule::{Rule, Rules};
use crate::clock::leap;
use crate::clock::source::Verdict;
use crate::time::{Offset, Span, humane_offset};

/// What mends a clock on another time scale.
pub const OF_TIMESCALE: &str =
    "write the `timescale` of that clock, if it is a `phc`; else mend its server, which has to turn TAI into UTC";

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
    /// What all that agree say of it.
    pub agreed: Option<Offset>,
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
    let apart =
        facts.offset.zip(facts.agreed).map(|(own, agreed)| own.span().nanos().saturating_sub(agreed.span().nanos()));
    let (scale, remedy) = match apart.and_then(|nanos| leap::taken_for_utc(Span::from_nanos(nanos))) {
        Some(words) => (format!(", which is how far TAI and UTC differ: {words}"), OF_TIMESCALE),
        None => (String::new(), "take it out of the time daemon's configuration, or mend its server"),
    };
    found(
        rule,
        format!(
            "{name} ({server}) contradicts the majority{claim}{scale}. It is not used; who trusts it gets wrong time"
        ),
        remedy,
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
            let facts =
                SourceFacts { name: "a", server, verdict, offset, agreed: None, refusal, remedy: &str::to_owned };
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

    #[test]
    fn a_clock_that_tells_tai_is_told_as_one() {
        let rules = parse("{}", std::path::Path::new("sources.yaml"), &|_| None).unwrap().alerts.rules;
        // The system clock itself is 400 s fast.
        for (own, is_tai) in [(-363.0, true), (-400.0 - 39.0, false), (37.0, false)] {
            let [offset, agreed] = [own, -400.0].map(|seconds| Some(Offset::new(Span::from_seconds(seconds))));
            let (server, verdict) = ("/dev/ptp0".to_owned(), Verdict::Falseticker);
            let facts =
                SourceFacts { name: "a", server, verdict, offset, agreed, refusal: None, remedy: &str::to_owned };
            let told = judge(&facts, &rules).into_iter().find_map(|ruling| match ruling.answer {
                Answer::Found(finding) => Some((finding.summary, finding.remedy)),
                Answer::Absent | Answer::Unknown => None,
            });
            let (summary, remedy) = told.unwrap();
            assert_eq!(summary.contains("this clock tells TAI"), is_tai, "{own}: {summary}");
            assert_eq!(remedy.contains("`timescale`"), is_tai, "{own}: {remedy}");
        }
    }
}
