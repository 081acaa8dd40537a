//! What is wrong with the clock.

use std::time::Duration;

use super::alerts::Ask;
use super::answer::{self, Answer, Ruling};
use super::finding::{Finding, Graded, Severity, grade_above, grade_below};
use super::level::Level;
use super::limit::{Skew, Standing};
use super::rule::{Rule, Rules};
use crate::clock::estimate::ClockState;
use crate::sys::WORDS;
use crate::time::{BootTime, Span, humane, humane_offset};

/// What is known of the clock.
pub struct ClockFacts<'a> {
    /// What is known of true time.
    pub state: ClockState,
    /// The offset by the last estimate, while there is one.
    pub skew: Option<Skew>,
    /// Whether the offset rests on more than a single answer.
    pub is_confirmed: bool,
    /// Whether enough was measured for a trend, which may be none.
    pub has_trend: bool,
    /// Where the clock stands with every limit.
    pub standings: &'a [Standing],
    /// The last step of the system clock: when it came, or was told where that was later, and by how much (positive where it
    /// was set forward).
    pub last_step: Option<(BootTime, Span)>,
    /// Whether that step is yet to be told.
    pub is_step_untold: bool,
    /// Now.
    pub now: BootTime,
}

/// What each rule says of the clock.
pub fn judge(facts: &ClockFacts<'_>, rules: &Rules) -> Vec<Ruling> {
    answer::judge("", rules, |row| match row.ask {
        Ask::Clock(ask) => Some(move |rule: &Rule| ask(facts, rule)),
        Ask::Source(_) | Ask::Credential(_) => None,
    })
}

/// With a quorum the clock is judged by the most that it can be off. Without one it must be off for certain to raise an
/// alert, because silence is not a skew; and it must be right for certain to clear one. Sources that contradict one
/// another raise nothing.
pub(super) fn skew(facts: &ClockFacts<'_>, rule: &Rule) -> Answer {
    let Some(skew) = facts.skew else { return Answer::Unknown };
    let quorum = facts.state == ClockState::Synchronized;
    let raise = match facts.state {
        ClockState::Synchronized => skew.at_most(),
        ClockState::Holdover => skew.at_least(),
        ClockState::Starting | ClockState::Disagreement | ClockState::Unknown => Span::ZERO,
    };
    let found = |graded| Finding {
        urgent: quorum && facts.is_confirmed,
        ..Finding::new(
            rule.hold,
            graded,
            format!(
                "the system clock is {} (± {}): {}",
                humane_offset(skew.offset),
                humane(skew.bound.span()),
                limits_in_words(facts.standings)
            ),
            WORDS.set_the_clock,
        )
    };
    let graded = grade_above(raise.seconds(), skew.at_most().seconds(), rule.warning, rule.critical);
    Answer::or(graded.map(found), not_off(facts))
}

/// What it means that the clock is not found to be off. One answer proves nothing, but what many had said before holds.
fn not_off(facts: &ClockFacts<'_>) -> Answer {
    let rests_on_one = facts.state == ClockState::Synchronized && !facts.is_confirmed;
    if rests_on_one { Answer::Unknown } else { Answer::Absent }
}

fn limits_in_words(standings: &[Standing]) -> String {
    let (passed, ahead): (Vec<_>, Vec<_>) = standings.iter().partition(|standing| standing.margin <= Span::ZERO);
    let mut words: Vec<String> = passed
        .iter()
        .map(|standing| {
            format!(
                "past {} ({} s, {})",
                standing.limit.name,
                standing.limit.window.as_secs(),
                effect(&standing.limit.name)
            )
        })
        .collect();
    if let Some(next) = ahead.iter().min_by_key(|standing| standing.margin) {
        words.push(format!(
            "{} to {} ({} s, {})",
            humane(next.margin),
            next.limit.name,
            next.limit.window.as_secs(),
            effect(&next.limit.name)
        ));
    }
    words.join("; ")
}

/// What follows once the limit `name` is passed.
pub fn effect(name: &str) -> &'static str {
    match name {
        "sdk-correction" => "new SDKs re-sign and hide it; boto3, the AWS CLI and pre-signed URLs do not",
        "sigv4" => "most services reject: InvalidSignatureException, AuthFailure",
        "s3-sts" => "S3 and STS reject as well: RequestTimeTooSkewed, RequestExpired",
        _ => "requests are rejected",
    }
}

/// Where the trend may as well be none, it is no end of a forecast either, unless even the steepest that it can be leaves
/// more time than the levels.
pub(super) fn forecast(facts: &ClockFacts<'_>, rule: &Rule) -> Answer {
    if facts.state != ClockState::Synchronized || !facts.has_trend {
        return Answer::Unknown;
    }
    let graded = |time_left: Span| grade_below(time_left.seconds(), rule.warning, rule.critical);
    let of_trend = facts.standings.iter().filter_map(|standing| Some((standing, standing.time_to_limit?)));
    let found = of_trend.min_by_key(|(_, time_left)| *time_left).and_then(|(next, time_left)| {
        let summary = format!(
            "the system clock is {} and drifts away: {} to {} ({} s, {})",
            facts.skew.map(|skew| humane_offset(skew.offset)).unwrap_or_default(),
            humane(time_left),
            next.limit.name,
            next.limit.window.as_secs(),
            effect(&next.limit.name)
        );
        Some(Finding::new(rule.hold, graded(time_left)?, summary, WORDS.keep_the_clock))
    });
    let soonest = facts.standings.iter().filter_map(|standing| standing.soonest).min();
    let may_be = soonest.is_some_and(|soonest| graded(soonest).is_some());
    Answer::or(found, if may_be { Answer::Unknown } else { Answer::Absent })
}

pub(super) fn undisciplined(facts: &ClockFacts<'_>, rule: &Rule) -> Answer {
    let Some(skew) = facts.skew else { return Answer::Unknown };
    let graded = grade_above(skew.at_least().seconds(), skew.at_most().seconds(), rule.warning, rule.critical);
    let found = |graded| {
        let summary = format!(
            "the system clock is {} and nobody corrects it: it gets worse until AWS rejects requests",
            humane_offset(skew.offset)
        );
        Finding::new(rule.hold, graded, summary, WORDS.keep_the_clock)
    };
    Answer::or(graded.map(found), not_off(facts))
}

/// An event, kept as a finding until it was told, and then for the rule's `for`.
pub(super) fn stepped(facts: &ClockFacts<'_>, rule: &Rule) -> Answer {
    let Some((at, by)) = facts.last_step else {
        // One that was told before the host was booted again is over when it is known what time that is.
        return if facts.state == ClockState::Starting { Answer::Unknown } else { Answer::Absent };
    };
    let stays = at.plus(Span::from_duration(rule.hold));
    let is_now = facts.now <= at;
    if facts.now >= stays && !facts.is_step_untold && !is_now {
        return Answer::Absent;
    }
    let is_reached = |level: Duration| by.abs() >= Span::from_duration(level);
    let level = |level: Option<Level>| level.and_then(Level::time).is_some_and(is_reached);
    let severity = if level(rule.critical) {
        Severity::Critical
    } else if level(rule.warning) {
        Severity::Warning
    } else {
        return Answer::Absent;
    };
    let direction = if by >= Span::ZERO { "forward" } else { "back" };
    let now = facts.skew.map_or_else(|| "not known".to_owned(), |skew| humane_offset(skew.offset));
    Answer::Found(Finding::new(
        Duration::ZERO,
        Graded::at(severity),
        format!("somebody set the system clock {} {direction}; its offset is now {now}", humane(by)),
        WORDS.find_who_stepped,
    ))
}

/// This is never unknown: that nothing vouches for the time is what it says.
pub(super) fn unverified(facts: &ClockFacts<'_>, rule: &Rule) -> Answer {
    let (why, remedy) = match facts.state {
        ClockState::Synchronized => return Answer::Absent,
        ClockState::Disagreement => (
            "the sources of time contradict one another",
            "compare the sources with `skewguard status`, and mark the one that AWS runs as `trusted: true`",
        ),
        ClockState::Starting | ClockState::Holdover | ClockState::Unknown => {
            ("no source of time answers", WORDS.reach_a_source)
        }
    };
    let effect = facts.skew.map_or_else(
        || "the clock may be wrong by any amount".to_owned(),
        |skew| format!("the clock may be wrong by up to {}, and the doubt grows", humane(skew.at_most())),
    );
    let graded = Graded::at(Severity::Warning);
    Answer::Found(Finding::new(rule.hold, graded, format!("{why}: {effect}"), remedy))
}
