//! What is wrong with a credential.

use std::time::Duration;

use super::finding::{Finding, Graded, Kind, Severity, grade_below};
use super::lifetime::Lifetime;
use super::sdk::Sdk;
use crate::clock::time::{Span, humane};
use crate::config::checked::{Alerts, Levels, Rule};
use crate::credentials::lease::Unavailable;
use crate::credentials::provider::{Provider, Renewal};

/// Expirations have whole seconds, so that a shorter lag is never judged.
const RESOLUTION: Span = Span::from_nanos(1_000_000_000);
/// A lag that comes and goes around the resolution does not clear an alert until it is shorter than this.
const CLEARED: Span = Span::from_nanos(800_000_000);
/// One failed read proves nothing.
const FAILURES: u32 = 2;

const LAG: &str = "set the clock (with chrony: `sudo chronyc makestep`); until then restart processes that use this SDK, or \
    let them refresh earlier";
const LEAD: &str = "set the clock (with chrony: `sudo chronyc makestep`); restarting processes does not help";

/// What is known of one thing that expires.
pub struct CredentialFacts<'a> {
    /// Who hands it out.
    pub provider: Provider,
    /// What tells it from all others.
    pub subject: String,
    /// The role, the profile or the file; empty while it is not known.
    pub identity: &'a str,
    /// How long it lives; `None` while it could not be read, and where nobody is to be told.
    pub lifetime: Option<&'a Lifetime>,
    /// Levels of its own, in the place of those of the rule.
    pub levels: Levels,
    /// By how much the system clock is behind; negative where it is ahead.
    pub offset: Span,
    /// Its age and the longest interval between its rotations of late, where it should have been rotated again.
    pub overdue: Option<(Span, Span)>,
    /// Why it cannot be read now.
    pub failure: Option<Outage<'a>>,
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

/// All that is wrong with them.
pub fn find(facts: &CredentialFacts<'_>, alerts: &Alerts) -> Vec<Finding> {
    [
        refresh_margin(facts, &alerts.credential_refresh_margin),
        expiring(facts, &alerts.credential_expiring),
        overdue(facts, alerts),
        unavailable(facts, &alerts.credential_unavailable),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn refresh_margin(facts: &CredentialFacts<'_>, rule: &Rule) -> Option<Finding> {
    let lifetime = facts.lifetime.filter(|_| rule.enabled && facts.offset.abs() >= CLEARED)?;
    let slow = facts.offset > Span::ZERO;
    let finding = if slow { too_late(facts, lifetime, rule) } else { too_early(facts, lifetime, rule) }?;
    let is_judged = facts.offset.abs() >= RESOLUTION;
    Some(Finding { raised: finding.raised.filter(|_| is_judged), ..finding })
}

/// One finding for all SDKs: the worst of them gives the severity, and the text names each.
fn too_late(facts: &CredentialFacts<'_>, lifetime: &Lifetime, rule: &Rule) -> Option<Finding> {
    let judged: Vec<(Sdk, Span, Graded)> = lifetime
        .refresh_margins
        .iter()
        .filter_map(|(sdk, margin)| {
            // An SDK whose whole margin is less than the level is judged by half of what it has.
            let half = sdk.refresh_margin() / 2;
            let warning = rule.warning.map(|level| level.min(half));
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
        humane(facts.offset),
        name(facts),
        words.join("; ")
    );
    Some(finding(Kind::CredentialRefreshMargin, facts, rule.hold, Graded { raised, held }, summary, LAG))
}

/// A clock that is ahead by almost a whole lifetime makes every new credential look as if it were at its end.
fn too_early(facts: &CredentialFacts<'_>, lifetime: &Lifetime, rule: &Rule) -> Option<Finding> {
    let whole = lifetime.whole?;
    // What a host believes to be left of a new credential.
    let believed = whole.plus(facts.offset);
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
        humane(facts.offset),
        name(facts),
        humane(whole),
        names.join(", ")
    );
    Some(finding(Kind::CredentialRefreshMargin, facts, rule.hold, Graded { raised, held }, summary, LEAD))
}

fn expiring(facts: &CredentialFacts<'_>, rule: &Rule) -> Option<Finding> {
    let lifetime = facts.lifetime.filter(|_| rule.enabled)?;
    let remaining = lifetime.remaining?;
    let (warning, critical) = levels(facts, lifetime, rule);
    let graded = grade_below(remaining.seconds(), warning, critical)?;
    let renewal = facts.provider.renewal();
    let effect = match (facts.provider, remaining > Span::ZERO, renewal) {
        (Provider::File, true, _) => "and was not renewed; then whoever uses it is refused",
        (Provider::File, false, _) => "and was not renewed: whoever uses it is refused",
        (_, true, _) => "and was not rotated; then requests fail with ExpiredToken",
        (_, false, Renewal::Platform) => {
            "and was not rotated: requests fail with ExpiredToken, unless AWS has extended its life during an outage"
        }
        (_, false, _) => "and was not rotated: requests fail with ExpiredToken",
    };
    let when = if remaining > Span::ZERO {
        format!("expires in {}", humane(remaining))
    } else {
        format!("expired {} ago", humane(remaining))
    };
    let summary = format!("{} {when} (true time) {effect}", name(facts));
    Some(finding(Kind::CredentialExpiring, facts, rule.hold, graded, summary, renew(facts.provider)))
}

/// The levels for the remaining life. A token that the kubelet renews is renewed at four fifths of its life, and may have
/// less left than the levels at any time.
fn levels(facts: &CredentialFacts<'_>, lifetime: &Lifetime, rule: &Rule) -> (Option<Duration>, Option<Duration>) {
    let (warning, critical) = (facts.levels.warning.or(rule.warning), facts.levels.critical.or(rule.critical));
    let Some(whole) = lifetime.whole.filter(|_| facts.provider.renewal() == Renewal::Kubelet) else {
        return (warning, critical);
    };
    let part = |level: Option<Duration>, part| level.map(|level| level.min(whole.scaled(part).to_duration()));
    (part(warning, 0.15), part(critical, 0.05))
}

/// Nothing is told where the end is near: that says it all.
fn overdue(facts: &CredentialFacts<'_>, alerts: &Alerts) -> Option<Finding> {
    let rule = &alerts.credential_rotation_overdue;
    let (age, habit) = facts.overdue.filter(|_| rule.enabled)?;
    if expiring(facts, &alerts.credential_expiring).is_some_and(|finding| finding.raised.is_some()) {
        return None;
    }
    let summary = format!(
        "{} was issued {} ago, and was replaced within {} until now: the rotation has stopped, and unless it goes on \
         requests fail with ExpiredToken at the expiration",
        name(facts),
        humane(age),
        humane(habit)
    );
    let graded = Graded::at(Severity::Warning);
    Some(finding(Kind::CredentialRotationOverdue, facts, rule.hold, graded, summary, renew(facts.provider)))
}

/// What is to be done where nobody has renewed it.
pub const fn renew(provider: Provider) -> &'static str {
    match provider {
        Provider::Imds => {
            "look whether the instance metadata service still rotates: `LastUpdated` of \
             `iam/security-credentials/ROLE` must change at least five minutes before the expiration; detach and attach \
             the instance profile, or stop and start the instance"
        }
        Provider::Container => {
            "look at the agent that hands them out: `docker logs ecs-agent` on an ECS instance, `kubectl -n kube-system \
             logs ds/eks-pod-identity-agent` on EKS; a new task or pod gets new credentials"
        }
        Provider::WebIdentity => {
            "look at the kubelet of this node, which renews the token at four fifths of its life: `journalctl -u \
             kubelet`; a new pod gets a new token"
        }
        Provider::Environment => {
            "start the process anew with new credentials: what stands in an environment cannot be renewed; a role \
             (instance profile, task role, service account) can"
        }
        Provider::SharedFile => {
            "run the tool that writes this profile (`aws sso login`, saml2aws, aws-mfa, a cron job), or let the profile \
             have a credential_process or a role, which SDKs refresh by themselves"
        }
        Provider::SsoCache => "run `aws sso login`",
        Provider::LoginCache => "run `aws login`",
        Provider::CliCache => "the next call of the AWS CLI renews it",
        Provider::File => "run the tool that writes this file, and look why it did not run by itself",
    }
}

/// The level of `critical` is a length of time; a warning needs nothing but a second failure. A file that the agent may not
/// read is no outage for anybody else.
fn unavailable(facts: &CredentialFacts<'_>, rule: &Rule) -> Option<Finding> {
    let outage = facts.failure.as_ref().filter(|outage| rule.enabled && outage.failures >= FAILURES)?;
    // SDKs know nothing of the keys by which tools say when a profile expires.
    let is_of_agent = outage.reason.concerns_reader_alone() || facts.provider == Provider::SharedFile;
    let lasts = |level| outage.lasting.is_some_and(|lasting| lasting >= Span::from_duration(level));
    let critical = !is_of_agent && rule.critical.is_some_and(lasts);
    let severity = if critical { Severity::Critical } else { Severity::Warning };
    let effect = match (is_of_agent, facts.provider) {
        (true, _) => "Nobody watches when it expires",
        (false, Provider::File) => "Whoever uses it may be refused",
        (false, Provider::Imds) if outage.lasting.is_none() => {
            "It was never heard: SDKs on this host that count on the role of the instance get no credentials"
        }
        (false, _) => "SDKs that start or refresh now get no credentials",
    };
    let summary = format!("{} cannot be read: {}. {effect}", name(facts), outage.reason);
    let (graded, remedy) = (Graded::at(severity), outage.reason.remedy(facts.provider));
    Some(finding(Kind::CredentialUnavailable, facts, rule.hold, graded, summary, remedy))
}

fn name(facts: &CredentialFacts<'_>) -> String {
    let (identity, provider) = (facts.identity, facts.provider.name());
    match (identity, facts.provider) {
        ("", _) => format!("the credential of {provider}"),
        (_, Provider::File) => format!("the file {identity}"),
        (_, Provider::WebIdentity) => format!("the token {identity} of {provider}"),
        _ => format!("the credential {identity} of {provider}"),
    }
}

fn finding(
    kind: Kind,
    facts: &CredentialFacts<'_>,
    hold: Duration,
    graded: Graded,
    summary: String,
    remedy: &str,
) -> Finding {
    // Not by the identity: the role's name may not be known while the provider is out of reach.
    Finding::new(kind, &facts.subject, hold, graded, summary, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    const HOUR: f64 = 3_600.0;

    fn alerts() -> Alerts {
        parse("{}", std::path::Path::new("credentials.yaml"), &|_| None).unwrap().alerts
    }

    fn facts(provider: Provider, lifetime: &Lifetime, offset: f64) -> CredentialFacts<'_> {
        CredentialFacts {
            provider,
            subject: provider.name().to_owned(),
            identity: "web",
            lifetime: Some(lifetime),
            levels: Levels::default(),
            offset: Span::from_seconds(offset),
            overdue: None,
            failure: None,
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
        find(facts, &alerts()).into_iter().map(|finding| (finding.kind, finding.raised)).collect()
    }

    #[test]
    fn a_clock_ahead_by_nearly_a_lifetime_is_a_warning_and_by_a_whole_one_is_critical() {
        let life = life(HOUR, HOUR, &[(Sdk::Botocore, 600.0), (Sdk::JavaV2, 60.0)]);
        let at = |ahead: f64| found(&facts(Provider::Imds, &life, -ahead));
        assert_eq!(at(HOUR - 721.0), []);
        assert_eq!(at(HOUR - 601.0), [(Kind::CredentialRefreshMargin, None)], "it is held until a fifth more is left");
        assert_eq!(at(HOUR - 599.0), [(Kind::CredentialRefreshMargin, Some(Severity::Warning))]);
        assert_eq!(at(HOUR + 1.0), [(Kind::CredentialRefreshMargin, Some(Severity::Critical))]);
        let told = find(&facts(Provider::Imds, &life, -(HOUR - 300.0)), &alerts());
        assert!(told[0].summary.contains("botocore") && !told[0].summary.contains("java-v2"), "{}", told[0].summary);
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
        let overdue = Some((hours(3.0), hours(1.0)));
        let (long, short) = (life(3.0 * HOUR, 6.0 * HOUR, &[]), life(600.0, 6.0 * HOUR, &[]));
        let told = found(&CredentialFacts { overdue, ..facts(Provider::Imds, &long, 0.0) });
        assert_eq!(told, [(Kind::CredentialRotationOverdue, Some(Severity::Warning))]);
        let told = found(&CredentialFacts { overdue, ..facts(Provider::Imds, &short, 0.0) });
        assert_eq!(told, [(Kind::CredentialExpiring, Some(Severity::Warning))]);
    }

    #[test]
    fn a_certificate_is_told_of_by_the_levels_of_its_own() {
        let life = life(100.0 * HOUR, 2_000.0 * HOUR, &[]);
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
        let levels = Levels { warning: hours(168), critical: hours(24) };
        let told = find(&CredentialFacts { levels, ..facts(Provider::File, &life, 0.0) }, &alerts());
        assert_eq!((told.len(), told[0].raised), (1, Some(Severity::Warning)));
        assert!(told[0].summary.starts_with("the file web expires in 4.2 days"), "{}", told[0].summary);
        assert_eq!(found(&facts(Provider::File, &life, 0.0)), []);
    }

    #[test]
    fn a_file_that_the_agent_may_not_read_never_becomes_critical() {
        let lasting = Span::from_seconds(86_400.0);
        let outage = |provider, reason| {
            let failure = Some(Outage { failures: 9, lasting: Some(lasting), reason });
            let nothing = Lifetime::default();
            let facts = CredentialFacts { failure, lifetime: None, ..facts(provider, &nothing, 0.0) };
            let [finding] = find(&facts, &alerts()).try_into().unwrap();
            (finding.raised, finding.remedy)
        };
        let (severity, remedy) = outage(Provider::SharedFile, &Unavailable::Denied);
        assert!(severity == Some(Severity::Warning) && remedy.contains("setfacl"), "{remedy}");
        let (severity, remedy) = outage(Provider::Container, &Unavailable::Refused);
        assert!(severity == Some(Severity::Critical) && remedy.contains("ecs-agent"), "{remedy}");
    }
}
