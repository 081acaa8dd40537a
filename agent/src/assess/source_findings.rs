//! What is wrong with a source of time.

use super::finding::{Finding, Graded, Kind, Severity};
use crate::clock::source::Verdict;
use crate::clock::time::{Offset, humane_offset};
use crate::config::checked::{Alerts, Rule};

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
}

/// What is wrong with one source, if anything.
pub fn find(facts: &SourceFacts<'_>, alerts: &Alerts) -> Option<Finding> {
    let SourceFacts { name, server, .. } = facts;
    match facts.verdict {
        Verdict::Falseticker => {
            let claim = facts.offset.map_or_else(String::new, |offset| {
                format!(": by its time the system clock would be {}", humane_offset(offset))
            });
            finding(
                Kind::SourceFalseticker,
                &alerts.source_falseticker,
                name,
                format!(
                    "{name} ({server}) contradicts the majority{claim}. It is not used; who trusts it gets wrong time"
                ),
                "take it out of the time daemon's configuration, or mend its server",
            )
        }
        Verdict::Unreachable | Verdict::Unsynchronized | Verdict::Denied => {
            let why = facts.refusal.as_deref().unwrap_or("no reply in time");
            finding(
                Kind::SourceUnreachable,
                &alerts.source_unreachable,
                name,
                format!("{name} ({server}) gives no time: {why}. There is one witness less for true time"),
                "let UDP 123 to it through (security group, network ACL, host firewall), or take it out of `sources`",
            )
        }
        Verdict::Truechimer | Verdict::Undecided | Verdict::WarmingUp => None,
    }
}

fn finding(kind: Kind, rule: &Rule, name: &str, summary: String, remedy: &str) -> Option<Finding> {
    rule.enabled.then(|| Finding::new(kind, name, rule.hold, Graded::at(Severity::Warning), summary, remedy))
}
