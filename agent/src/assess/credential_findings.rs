//! What is wrong with a credential.

use super::alerts::Ask;
use super::answer::{self, Answer, Ruling};
use super::finding::{Finding, Graded, Severity, grade_below};
use super::level::Level;
use super::lifetime::Lifetime;
use super::rule::{Rule, Rules};
use crate::aws::sdk::Sdk;
use crate::credentials::Provider;
use crate::credentials::lease::Unavailable;
use crate::credentials::levels::Levels;
use crate::credentials::provide::Renewal;
use crate::sys::WORDS;
use crate::time::{Span, humane};

/// Expirations have whole seconds, so that a shorter lag is never judged.
const RESOLUTION: Span = Span::from_nanos(1_000_000_000);
/// A lag that comes and goes around the resolution does not clear an alert until it is shorter than this.
const CLEARED: Span = Span::from_nanos(800_000_000);
/// One failed read proves nothing.
const FAILURES: u32 = 2;

/// What is known of one thing that expires.
pub struct CredentialFacts<'a> {
    /// Who hands it out.
    pub provider: Provider,
    /// What tells it from all others.
    pub subject: String,
    /// The role, the profile or the file; empty while it is not known.
    pub identity: &'a str,
    /// How long it lives.
    pub life: Life<'a>,
    /// Levels of its own, in the place of those of the rule.
    pub levels: Levels,
    /// By how much the system clock is behind; negative where it is ahead. `None` while true time is not known.
    pub offset: Option<Span>,
    /// Whether it should have been rotated again.
    pub overdue: Overdue,
    /// Whether it can be read.
    pub reads: Reads<'a>,
}

/// How long something lives.
#[derive(Clone, Copy)]
pub enum Life<'a> {
    /// It was read, and it ends.
    Known(&'a Lifetime),
    /// There is nothing that ends, or nobody is to be told of its end.
    Untold,
    /// It was not read yet, or not since the host slept.
    Unknown,
}

/// Whether something should have been rotated again.
#[derive(Clone, Copy)]
pub enum Overdue {
    /// It should have been.
    Since {
        /// Its age.
        age: Span,
        /// The longest interval between its rotations of late.
        habit: Span,
    },
    /// It was rotated in time, or nobody knows its habit.
    No,
    /// What cannot be read now may well have been rotated.
    Unknown,
}

/// Whether something can be read.
pub enum Reads<'a> {
    /// It can, or it is nobody's loss that it cannot.
    Fine,
    /// It cannot.
    Failing(Outage<'a>),
    /// It was not asked for yet, or not since the host slept.
    Unknown,
}

/// Credentials that cannot be read.
pub struct Outage<'a> {
    /// Reads that failed in a row.
    pub failures: u32,
    /// For how long; `None` where they were never read, so that nobody can have lost them.
    pub lasting: Option<Span>,
    /// Why.
    pub reason: &'a Unavailable,
}

impl CredentialFacts<'_> {
    /// How long it lives; else what every rule answers that rests on that.
    const fn lifetime(&self) -> Result<&Lifetime, Answer> {
        match self.life {
            Life::Known(lifetime) => Ok(lifetime),
            Life::Untold => Err(Answer::Absent),
            Life::Unknown => Err(Answer::Unknown),
        }
    }
}

/// What each rule says of it.
pub fn judge(facts: &CredentialFacts<'_>, rules: &Rules) -> Vec<Ruling> {
    // Not by the identity: the role's name may not be known while the provider is out of reach.
    answer::judge(&facts.subject, rules, |row| match row.ask {
        Ask::Credential(ask) => Some(move |rule: &Rule| ask(facts, rule)),
        Ask::Clock(_) | Ask::Source(_) => None,
    })
}

pub(super) fn refresh_margin(facts: &CredentialFacts<'_>, rule: &Rule) -> Answer {
    let lifetime = match facts.lifetime() {
        Ok(lifetime) => lifetime,
        Err(answer) => return answer,
    };
    let Some(offset) = facts.offset else { return Answer::Unknown };
    let found = match offset {
        _ if offset.abs() < CLEARED => None,
        _ if offset > Span::ZERO => too_late(facts, lifetime, offset, rule),
        _ => too_early(facts, lifetime, offset, rule),
    };
    let is_judged = offset.abs() >= RESOLUTION;
    let found = found.map(|finding| Finding { raised: finding.raised.filter(|_| is_judged), ..finding });
    Answer::or(found, Answer::Absent)
}

/// One finding for all SDKs: the worst of them gives the severity, and the text names each.
fn too_late(facts: &CredentialFacts<'_>, lifetime: &Lifetime, offset: Span, rule: &Rule) -> Option<Finding> {
    let judged: Vec<(Sdk, Span, Graded)> = lifetime
        .refresh_margins
        .iter()
        .filter_map(|(sdk, margin)| {
            // An SDK whose whole margin is less than the level is judged by half of what it has.
            let half = sdk.refresh_margin() / 2;
            let warning = rule.warning.map(|level| level.at_most(Level::Time(half)));
            Some((*sdk, *margin, grade_below(margin.seconds(), warning, rule.critical)?))
        })
        .collect();
    let held = judged.iter().map(|(_, _, graded)| graded.held).max()?;
    let raised = judged.iter().filter_map(|(_, _, graded)| graded.raised).max();
    let words: Vec<String> = judged
        .iter()
        .map(|(sdk, margin, _)| match *margin < Span::ZERO {
            true => format!("{} uses expired credentials for {} of every lifetime", sdk.name(), humane(*margin)),
            false => format!("{} refreshes only {} before they expire", sdk.name(), humane(*margin)),
        })
        .collect();
    let summary = format!(
        "the clock is {} slow, so that SDKs believe {} to live longer than it does: {}",
        humane(offset),
        name(facts),
        words.join("; ")
    );
    Some(Finding::new(rule.hold, Graded { raised, held }, summary, WORDS.lag))
}

/// A clock that is ahead by almost a whole lifetime makes every new credential look as if it were at its end.
fn too_early(facts: &CredentialFacts<'_>, lifetime: &Lifetime, offset: Span, rule: &Rule) -> Option<Finding> {
    let whole = lifetime.whole?;
    // What a host believes to be left of a new credential.
    let believed = whole.plus(offset);
    let judged: Vec<(Sdk, Graded)> = lifetime
        .refresh_margins
        .iter()
        .filter_map(|(sdk, _)| {
            let margin = Span::from_duration(sdk.refresh_margin());
            let grade = |expired: Span, short: Span| match believed {
                _ if believed <= expired => Some(Severity::Critical),
                _ if believed <= short => Some(Severity::Warning),
                _ => None,
            };
            // As far as this from a level an alert that fires is cleared.
            let room = margin.scaled(0.2).max(CLEARED);
            let (raised, held) = (grade(Span::ZERO, margin), grade(room, margin.plus(room))?);
            Some((*sdk, Graded { raised, held }))
        })
        .collect();
    let held = judged.iter().map(|(_, graded)| graded.held).max()?;
    let raised = judged.iter().filter_map(|(_, graded)| graded.raised).max();
    let names: Vec<&str> = judged
        .iter()
        .filter(|(_, graded)| raised.is_none() || graded.raised.is_some())
        .map(|(sdk, _)| sdk.name())
        .collect();
    let effect = match raised {
        Some(Severity::Critical) => {
            "find every new one expired, and refuse to sign (`refreshed credentials are still expired`)"
        }
        Some(Severity::Warning) | None => "fetch new ones for every call, until the metadata service throttles them",
    };
    let summary = format!(
        "the clock is {} fast, and {} lives for {}, so that {} {effect}",
        humane(offset),
        name(facts),
        humane(whole),
        names.join(", ")
    );
    Some(Finding::new(rule.hold, Graded { raised, held }, summary, WORDS.lead))
}

pub(super) fn expiring(facts: &CredentialFacts<'_>, rule: &Rule) -> Answer {
    let lifetime = match facts.lifetime() {
        Ok(lifetime) => lifetime,
        Err(answer) => return answer,
    };
    let Some(remaining) = lifetime.remaining else { return Answer::Unknown };
    let (warning, critical) = levels(facts, lifetime, rule);
    let Some(graded) = grade_below(remaining.seconds(), warning, critical) else { return Answer::Absent };
    let renewal = facts.provider.renewal();
    let effect = match (facts.provider.is_used_by_sdks(), remaining > Span::ZERO, renewal) {
        (false, true, _) => "and was not renewed; then whoever uses it is refused",
        (false, false, _) => "and was not renewed: whoever uses it is refused",
        (true, true, _) => "and was not rotated; then requests fail with ExpiredToken",
        (true, false, Renewal::Platform) if may_be_extended(remaining) => {
            "and was not rotated: requests fail with ExpiredToken, unless AWS has extended its life during an outage"
        }
        (true, false, _) => "and was not rotated: requests fail with ExpiredToken",
    };
    let when = if remaining > Span::ZERO {
        format!("expires in {}", humane(remaining))
    } else {
        format!("expired {} ago", humane(remaining))
    };
    let summary = format!("{} {when} (true time) {effect}", name(facts));
    Answer::Found(Finding::new(rule.hold, graded, summary, facts.provider.renew()))
}

/// Whether AWS may have extended the life of credentials with so much left of it, as it does during an outage of its own:
/// none of those has lasted a week.
pub fn may_be_extended(remaining: Span) -> bool {
    const LONGEST: Span = Span::from_nanos(-7 * 86_400 * 1_000_000_000);
    (LONGEST..=Span::ZERO).contains(&remaining)
}

/// The levels for the remaining life. A token that the kubelet renews is renewed at four fifths of its life, and may have
/// less left than the levels at any time.
fn levels(facts: &CredentialFacts<'_>, lifetime: &Lifetime, rule: &Rule) -> (Option<Level>, Option<Level>) {
    let own = facts.levels;
    let (warning, critical) =
        (own.warning.map(Level::Time).or(rule.warning), own.critical.map(Level::Time).or(rule.critical));
    let Some(whole) = lifetime.whole.filter(|_| facts.provider.renewal() == Renewal::Kubelet) else {
        return (warning, critical);
    };
    let part =
        |level: Option<Level>, part| level.map(|level| level.at_most(Level::Time(whole.scaled(part).to_duration())));
    (part(warning, 0.15), part(critical, 0.05))
}

/// Where the end is near, what was told before goes on, for the rotation has not.
pub(super) fn overdue(facts: &CredentialFacts<'_>, rule: &Rule) -> Answer {
    let (age, habit) = match facts.overdue {
        Overdue::Since { age, habit } => (age, habit),
        Overdue::No => return Answer::Absent,
        Overdue::Unknown => return Answer::Unknown,
    };
    let summary = format!(
        "{} was issued {} ago, and was replaced within {} until now: the rotation has stopped, and unless it goes on \
         requests fail with ExpiredToken at the expiration",
        name(facts),
        humane(age),
        humane(habit)
    );
    Answer::Found(Finding::new(rule.hold, Graded::at(Severity::Warning), summary, facts.provider.renew()))
}

/// The level of `critical` is a length of time; a warning needs nothing but a second failure. A file that the agent may not
/// read is no outage for anybody else.
pub(super) fn unavailable(facts: &CredentialFacts<'_>, rule: &Rule) -> Answer {
    let outage = match &facts.reads {
        Reads::Failing(outage) if outage.failures >= FAILURES => outage,
        Reads::Fine => return Answer::Absent,
        Reads::Failing(_) | Reads::Unknown => return Answer::Unknown,
    };
    // SDKs know nothing of the keys by which tools say when a profile expires.
    let is_of_agent = outage.reason.concerns_reader_alone() || facts.provider == Provider::SharedFile;
    let lasts = |level| outage.lasting.is_some_and(|lasting| lasting >= Span::from_duration(level));
    let critical = !is_of_agent && rule.critical.and_then(Level::time).is_some_and(lasts);
    let severity = if critical { Severity::Critical } else { Severity::Warning };
    let effect = match (is_of_agent, facts.provider) {
        (true, _) => "Nobody watches when it expires",
        (false, provider) if !provider.is_used_by_sdks() => "Whoever uses it may be refused",
        (false, Provider::Imds) if outage.lasting.is_none() => {
            "None were ever read: SDKs on this host that count on the role of the instance get no credentials"
        }
        (false, _) => "SDKs that start or refresh now get no credentials",
    };
    let summary = format!("{} cannot be read: {}. {effect}", name(facts), outage.reason);
    let (graded, remedy) = (Graded::at(severity), outage.reason.remedy(facts.provider));
    Answer::Found(Finding::new(rule.hold, graded, summary, remedy))
}

fn name(facts: &CredentialFacts<'_>) -> String {
    let (identity, provider) = (facts.identity, facts.provider);
    match (identity, provider.is_used_by_sdks()) {
        ("", _) => format!("the credential of {}", provider.name()),
        (_, false) => format!("the {} {identity}", provider.noun()),
        (_, true) => format!("the {} {identity} of {}", provider.noun(), provider.name()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::assess::finding::Kind;
    use crate::config::load::parse;

    const HOUR: f64 = 3_600.0;

    fn rules() -> Rules {
        parse("{}", std::path::Path::new("credentials.yaml"), &|_| None).unwrap().alerts.rules
    }

    fn facts(provider: Provider, lifetime: &Lifetime, offset: f64) -> CredentialFacts<'_> {
        CredentialFacts {
            provider,
            subject: provider.name().to_owned(),
            identity: "web",
            life: Life::Known(lifetime),
            levels: Levels::default(),
            offset: Some(Span::from_seconds(offset)),
            overdue: Overdue::No,
            reads: Reads::Fine,
        }
    }

    fn life(remaining: f64, whole: f64, margins: &[(Sdk, f64)]) -> Lifetime {
        Lifetime {
            remaining: Some(Span::from_seconds(remaining)),
            remaining_local: Span::from_seconds(remaining),
            refresh_margins: margins.iter().map(|(sdk, margin)| (*sdk, Span::from_seconds(*margin))).collect(),
            whole: Some(Span::from_seconds(whole)),
        }
    }

    fn found(facts: &CredentialFacts<'_>) -> Vec<(Kind, Option<Severity>)> {
        findings(facts).into_iter().map(|(kind, finding)| (kind, finding.raised)).collect()
    }

    fn findings(facts: &CredentialFacts<'_>) -> Vec<(Kind, Finding)> {
        let found = |ruling: Ruling| match ruling.answer {
            Answer::Found(finding) => Some((ruling.kind, finding)),
            Answer::Absent | Answer::Unknown => None,
        };
        judge(facts, &rules()).into_iter().filter_map(found).collect()
    }

    #[test]
    fn a_clock_ahead_by_nearly_a_lifetime_is_a_warning_and_by_a_whole_one_is_critical() {
        let life = life(HOUR, HOUR, &[(Sdk::Botocore, 600.0), (Sdk::JavaV2, 60.0)]);
        let at = |ahead: f64| found(&facts(Provider::Imds, &life, -ahead));
        assert_eq!(at(HOUR - 721.0), []);
        assert_eq!(at(HOUR - 601.0), [(Kind::CredentialRefreshMargin, None)], "it is held until a fifth more is left");
        assert_eq!(at(HOUR - 599.0), [(Kind::CredentialRefreshMargin, Some(Severity::Warning))]);
        assert_eq!(at(HOUR + 1.0), [(Kind::CredentialRefreshMargin, Some(Severity::Critical))]);
        let told = findings(&facts(Provider::Imds, &life, -(HOUR - 300.0)));
        let summary = &told[0].1.summary;
        assert!(summary.contains("botocore") && !summary.contains("java-v2"), "{summary}");
    }

    #[test]
    fn a_token_that_the_kubelet_renews_late_by_design_is_in_order() {
        // Of ten minutes two are left when it is renewed.
        for (remaining, severity) in [(125.0, None), (80.0, Some(Severity::Warning)), (20.0, Some(Severity::Critical))]
        {
            let life = life(remaining, 600.0, &[]);
            let told = found(&facts(Provider::WebIdentity, &life, 0.0));
            assert_eq!(told.first().and_then(|told| told.1), severity, "{remaining}");
        }
    }

    #[test]
    fn a_rotation_that_has_stopped_is_told_until_the_end_is_near() {
        let hours = |hours: f64| Span::from_seconds(hours * HOUR);
        let overdue = Overdue::Since { age: hours(3.0), habit: hours(1.0) };
        let (long, short) = (life(3.0 * HOUR, 6.0 * HOUR, &[]), life(600.0, 6.0 * HOUR, &[]));
        let told = found(&CredentialFacts { overdue, ..facts(Provider::Imds, &long, 0.0) });
        assert_eq!(told, [(Kind::CredentialRotationOverdue, Some(Severity::Warning))]);
        let told = found(&CredentialFacts { overdue, ..facts(Provider::Imds, &short, 0.0) });
        let goes_on = (Kind::CredentialRotationOverdue, None);
        assert_eq!(told, [(Kind::CredentialExpiring, Some(Severity::Warning)), goes_on], "told before, and not anew");
    }

    #[test]
    fn a_certificate_is_told_of_by_the_levels_of_its_own() {
        let life = life(100.0 * HOUR, 2_000.0 * HOUR, &[]);
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
        let levels = Levels { warning: hours(168), critical: hours(24) };
        let told = findings(&CredentialFacts { levels, ..facts(Provider::File, &life, 0.0) });
        assert_eq!((told.len(), told[0].1.raised), (1, Some(Severity::Warning)));
        assert!(told[0].1.summary.starts_with("the file web expires in 4.2 days"), "{}", told[0].1.summary);
        assert_eq!(found(&facts(Provider::File, &life, 0.0)), []);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_the_agent_may_not_read_never_becomes_critical() {
        let lasting = Span::from_seconds(86_400.0);
        let outage = |provider, reason| {
            let reads = Reads::Failing(Outage { failures: 9, lasting: Some(lasting), reason });
            let nothing = Lifetime::default();
            let facts = CredentialFacts { reads, life: Life::Unknown, ..facts(provider, &nothing, 0.0) };
            let [(_, finding)] = findings(&facts).try_into().unwrap();
            (finding.raised, finding.remedy)
        };
        let (severity, remedy) = outage(Provider::SharedFile, &Unavailable::Denied);
        assert!(severity == Some(Severity::Warning) && remedy.contains("setfacl"), "{remedy}");
        let (severity, remedy) = outage(Provider::Container, &Unavailable::Refused);
        assert!(severity == Some(Severity::Critical) && remedy.contains("ecs-agent"), "{remedy}");
    }

    #[test]
    fn what_cannot_be_known_is_neither_found_nor_over() {
        let life = life(5.0 * HOUR, 6.0 * HOUR, &[(Sdk::Botocore, 600.0)]);
        let answers = |facts: CredentialFacts<'_>| {
            let answers: Vec<Answer> = judge(&facts, &rules()).into_iter().map(|ruling| ruling.answer).collect();
            <[Answer; 4]>::try_from(answers).unwrap()
        };
        assert!(answers(facts(Provider::Imds, &life, 0.0)).iter().all(|answer| *answer == Answer::Absent));
        let unread = CredentialFacts {
            life: Life::Unknown,
            overdue: Overdue::Unknown,
            reads: Reads::Unknown,
            ..facts(Provider::Imds, &life, 0.0)
        };
        assert!(answers(unread).iter().all(|answer| *answer == Answer::Unknown));
        let timeless = Lifetime { remaining: None, ..life.clone() };
        let [margin, expiring, ..] = answers(CredentialFacts { offset: None, ..facts(Provider::Imds, &timeless, 0.0) });
        assert_eq!((margin, expiring), (Answer::Unknown, Answer::Unknown));
        let once = Outage { failures: 1, lasting: Some(Span::ZERO), reason: &Unavailable::Timeout };
        let failing = CredentialFacts { reads: Reads::Failing(once), ..facts(Provider::Imds, &life, 0.0) };
        assert_eq!(answers(failing)[3], Answer::Unknown, "one failed read proves nothing, and is no success");
        let untold = CredentialFacts { life: Life::Untold, ..facts(Provider::SsoCache, &life, 0.0) };
        assert!(answers(untold).iter().all(|answer| *answer == Answer::Absent));
    }
}
