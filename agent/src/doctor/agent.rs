//! skewguard itself: whether it runs, since when, and whether what it says arrives.

use super::report::{Area, Check};
use crate::config::checked::Config;
use crate::config::explain::ConfigError;
use crate::snapshot::{Delivery, Snapshot};
use crate::sys::WORDS;

const AREA: Area = Area::Agent;
/// From so many queued items on, somebody should look, although nothing is lost yet.
const LONG_QUEUE: u64 = 100;

/// What was learnt of the agent on this host.
pub struct AgentFacts<'a> {
    /// What it says of itself, or why it does not.
    pub status: Result<&'a Snapshot, String>,
    /// Why the configuration cannot be used; the built-in one was used in its place.
    pub wrong_config: Option<&'a ConfigError>,
    /// The configuration in use.
    pub config: &'a Config,
}

/// All that is to be said of the agent.
pub fn check(facts: &AgentFacts<'_>) -> Vec<Check> {
    let mut checks = vec![configuration(facts), running(facts)];
    if let Ok(status) = facts.status {
        checks.push(delivery(&status.delivery));
    }
    checks
}

fn configuration(facts: &AgentFacts<'_>) -> Check {
    const NAME: &str = "agent-config";
    if let Some(wrong) = facts.wrong_config {
        let lines: Vec<String> = wrong.to_string().lines().map(str::to_owned).collect();
        return Check::problem(
            AREA,
            NAME,
            "the configuration is wrong; the doctor goes on with the built-in one",
            "the agent does not start with it, and one that runs does not take it",
            format!("mend what `skewguard config check FILE` points at, then `{}`", WORDS.reload),
        )
        .with_evidence(lines);
    }
    let Config { channels, telemetry, sources, .. } = facts.config;
    let told: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    let told = if told.is_empty() { "standard error alone".to_owned() } else { told.join(", ") };
    let ways = [
        telemetry.otlp.is_some().then(|| "to a collector".to_owned()),
        telemetry.listen.map(|address| format!("to Prometheus at {address}")),
        telemetry.textfile.as_ref().map(|path| format!("into {}", path.display())),
    ];
    let ways: Vec<String> = ways.into_iter().flatten().collect();
    let ways = if ways.is_empty() { "nowhere".to_owned() } else { ways.join(" and ") };
    let summary = format!("{} sources of time; alerts go to {told}, metrics {ways}", sources.len());
    Check::ok(AREA, NAME, summary)
}

fn running(facts: &AgentFacts<'_>) -> Check {
    const NAME: &str = "agent-running";
    match &facts.status {
        Ok(status) => {
            let summary = format!("skewguard {} runs since {}", status.version, status.since);
            let state = format!("it says {}, its clock is {}", status.status.name(), status.clock.state);
            Check::ok(AREA, NAME, summary).with_evidence([state])
        }
        Err(why) => Check::skipped(AREA, NAME, why.as_str()),
    }
}

fn delivery(destinations: &[Delivery]) -> Check {
    const NAME: &str = "agent-delivery";
    if destinations.is_empty() {
        return Check::ok(AREA, NAME, "nothing is to be delivered");
    }
    let evidence = destinations.iter().map(line);
    let failing: Vec<&str> = destinations
        .iter()
        .filter(|one| one.error.is_some() || one.queued >= LONG_QUEUE)
        .map(|one| one.destination.as_str())
        .collect();
    let check = if failing.is_empty() {
        Check::ok(AREA, NAME, "what it says arrives")
    } else {
        Check::warning(
            AREA,
            NAME,
            format!("what it says does not arrive at {}", failing.join(", ")),
            "it waits, and is delivered in its order once that is possible; until then nobody there is told",
            format!("try the channels with `skewguard alert test`, and look at the reasons with `{}`", WORDS.read_log),
        )
    };
    check.with_evidence(evidence)
}

fn line(delivery: &Delivery) -> String {
    let Delivery { destination, queued, delivered, dropped, error, last_delivered, .. } = delivery;
    let last = last_delivered.as_ref().map_or_else(String::new, |last| format!(", the last at {last}"));
    let error = error.as_ref().map_or_else(String::new, |error| format!(", failing: {error}"));
    format!("{destination}: {delivered} delivered{last}, {queued} queued, {dropped} given up{error}")
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    fn destination(name: &str, queued: u64, error: Option<&str>) -> Delivery {
        let error = error.map(str::to_owned);
        Delivery { destination: name.to_owned(), queued, error, ..Delivery::default() }
    }

    #[test]
    fn a_destination_that_fails_or_lags_behind_is_a_warning_that_names_it() {
        let good = destination("ops", 0, None);
        assert_eq!(delivery(std::slice::from_ref(&good)).verdict, Verdict::Ok);
        for bad in [destination("otlp-metrics", 0, Some("no connection")), destination("otlp-metrics", 500, None)] {
            let check = delivery(&[good.clone(), bad]);
            assert_eq!(check.verdict, Verdict::Warning);
            assert!(check.summary.ends_with("at otlp-metrics"), "{check:?}");
            assert_eq!(check.evidence.len(), 2);
        }
    }
}
