//! What is wrong with a credential.

use std::time::Duration;

use super::finding::{Finding, Graded, Kind, Severity, grade_below};
use super::lifetime::Lifetime;
use super::sdk::Sdk;
use crate::clock::time::{Span, humane};
use crate::config::checked::{Alerts, Rule};

/// Expirations have whole seconds, so that a shorter lag is never judged.
const RESOLUTION: Span = Span::from_nanos(1_000_000_000);
/// One failed read proves nothing.
const FAILURES: u32 = 2;

const ROTATION: &str = "look whether the instance metadata service still rotates: `LastUpdated` of \
    `iam/security-credentials/ROLE` must change at least five minutes before the expiration; detach and attach the \
    instance profile, or stop and start the instance";
const LAG: &str = "set the clock (with chrony: `sudo chronyc makestep`); until then restart processes that use this SDK, or \
    let them refresh earlier";

/// What is known of the credentials of one provider.
pub struct CredentialFacts<'a> {
    /// Who hands them out.
    pub provider: &'a str,
    /// The role or profile; empty while it is not known.
    pub identity: &'a str,
    /// How long they live; `None` while they could not be read.
    pub lifetime: Option<&'a Lifetime>,
    /// By how much the system clock is behind.
    pub lag: Span,
    /// Why they cannot be read now.
    pub failure: Option<Outage<'a>>,
}

/// Credentials that cannot be read.
pub struct Outage<'a> {
    /// Reads that failed in a row.
    pub failures: u32,
    /// For how long.
    pub lasting: Span,
    /// Why.
    pub reason: String,
    /// What mends it.
    pub remedy: &'a str,
}

/// All that is wrong with them.
pub fn find(facts: &CredentialFacts<'_>, alerts: &Alerts) -> Vec<Finding> {
    [
        refresh_margin(facts, &alerts.credential_refresh_margin),
        expiring(facts, &alerts.credential_expiring),
        unavailable(facts, &alerts.credential_unavailable),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One finding for all SDKs: the worst of them gives the severity, and the text names each.
fn refresh_margin(facts: &CredentialFacts<'_>, rule: &Rule) -> Option<Finding> {
    let lifetime = facts.lifetime.filter(|_| rule.enabled && facts.lag >= RESOLUTION)?;
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
        humane(facts.lag),
        name(facts),
        words.join("; ")
    );
    Some(finding(Kind::CredentialRefreshMargin, facts, rule.hold, Graded { raised, held }, summary, LAG))
}

fn expiring(facts: &CredentialFacts<'_>, rule: &Rule) -> Option<Finding> {
    let remaining = facts.lifetime.filter(|_| rule.enabled)?.remaining?;
    let graded = grade_below(remaining.seconds(), rule.warning, rule.critical)?;
    let summary = if remaining > Span::ZERO {
        format!(
            "{} expires in {} (true time) and was not rotated; then requests fail with ExpiredToken",
            name(facts),
            humane(remaining)
        )
    } else {
        format!(
            "{} expired {} ago (true time) and was not rotated: requests fail with ExpiredToken, unless AWS has extended \
             its life during an outage",
            name(facts),
            humane(remaining)
        )
    };
    Some(finding(Kind::CredentialExpiring, facts, rule.hold, graded, summary, ROTATION))
}

/// The level of `critical` is a length of time; a warning needs nothing but a second failure.
fn unavailable(facts: &CredentialFacts<'_>, rule: &Rule) -> Option<Finding> {
    let outage = facts.failure.as_ref().filter(|outage| rule.enabled && outage.failures >= FAILURES)?;
    let critical = rule.critical.is_some_and(|level| outage.lasting >= Span::from_duration(level));
    let severity = if critical { Severity::Critical } else { Severity::Warning };
    let summary =
        format!("{} cannot be read: {}. SDKs that start or refresh now get no credentials", name(facts), outage.reason);
    let graded = Graded::at(severity);
    Some(finding(Kind::CredentialUnavailable, facts, rule.hold, graded, summary, outage.remedy))
}

fn name(facts: &CredentialFacts<'_>) -> String {
    match facts.identity {
        "" => format!("the credential of {}", facts.provider),
        identity => format!("the credential {identity} of {}", facts.provider),
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
    // The provider alone: the role's name may not be known while the provider is out of reach.
    Finding::new(kind, facts.provider, hold, graded, summary, remedy)
}
