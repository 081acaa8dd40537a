//! What SDKs sign with: what each of them would pick and why, what that shadows, and what of it has expired.

use std::collections::BTreeMap;

use super::report::{Area, Check, Verdict};
use super::seen::Seen;
use crate::assess::finding::{Kind, Severity};
use crate::aws::chain::{Life, Outcome, Pick, Step};
use crate::credentials::timestamp::parse;
use crate::snapshot::{Finding, Snapshot};
use crate::time::{Span, humane};

const AREA: Area = Area::Credentials;
/// Keys by their usual names.
const KEYS: &str = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION";

/// What is known of credentials.
pub struct Facts<'a> {
    /// Who may sign requests, the shell first.
    pub seen: &'a [Seen],
    /// Processes with an SDK that have written over what they were started with.
    pub overwritten: &'a [String],
    /// What was measured.
    pub snapshot: &'a Snapshot,
    /// Whether the clock is a problem of its own, of which late refreshes are a part.
    pub clock_is_blamed: bool,
}

/// All that is to be said of credentials.
pub fn check(facts: &Facts<'_>) -> Vec<Check> {
    let truth = parse(&facts.snapshot.time.truth);
    let shadows: Vec<Shadow<'_>> = facts.seen.iter().filter_map(|seen| shadow(seen, truth)).collect();
    let blamed: Vec<String> = shadows.iter().filter_map(Shadow::subject).collect();
    let mut checks = vec![picked(facts), shadowed(&shadows), broken(facts.seen)];
    let findings = facts.snapshot.findings.iter();
    let told = findings.filter(|finding| !blamed.contains(&finding.subject));
    checks.extend(told.filter_map(|finding| of_finding(finding, facts)));
    checks
}

fn picked(facts: &Facts<'_>) -> Check {
    const NAME: &str = "credentials-pick";
    let mut evidence = Vec::new();
    for one in facts.seen {
        let mut by_outcome: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for pick in &one.picks {
            let why = pick.given().map_or_else(String::new, |given| format!(" ({})", given.evidence));
            by_outcome.entry(format!("{}{why}", pick.outcome)).or_default().push(pick.chain.name());
        }
        let line =
            |(outcome, chains): (String, Vec<&str>)| format!("{}: {} pick {outcome}", one.who, chains.join(", "));
        evidence.extend(by_outcome.into_iter().map(line));
    }
    let check = match (evidence.len(), facts.overwritten.len()) {
        (0, 0) => Check::skipped(AREA, NAME, "no SDK of which the order is known was found"),
        (0, _) => Check::skipped(AREA, NAME, "what is picked cannot be told: the variables were overwritten"),
        _ => Check::ok(AREA, NAME, "what each SDK would pick"),
    };
    let unknown = facts.overwritten.iter().map(|who| {
        format!(
            "{who}: its environment was overwritten with a title, as by gunicorn or Celery, so that nobody can tell what it picks; \
             its unit, its container definition or its start script says what it was given"
        )
    });
    let cut = facts.seen.iter().flat_map(|one| one.cut_files.iter().map(|file| (&one.who, file.display())));
    let cut = cut.map(|(who, file)| format!("{who}: {file} has more than 4,096 profiles, and the others are not read"));
    check.with_evidence(evidence).with_evidence(cut).with_evidence(unknown)
}

/// Keys that stand before the role, and that nobody renews.
struct Shadow<'a> {
    seen: &'a Seen,
    step: &'a Step,
    chains: Vec<&'static str>,
    evidence: &'a str,
    /// What is left of them in seconds, as far as they say so.
    left: Option<f64>,
    verdict: Verdict,
    /// The role that would be used otherwise.
    role: Option<&'static str>,
}

impl Shadow<'_> {
    /// What findings about the same keys are about.
    fn subject(&self) -> Option<String> {
        match self.step {
            // The agent reads what the shell sees, and nothing of what other processes do.
            _ if self.seen.process.is_some() => None,
            Step::Environment => Some("environment".to_owned()),
            Step::Profile { name, .. } => Some(format!("shared-file/{name}")),
            _ => None,
        }
    }
}

fn shadow(seen: &Seen, truth: Option<i64>) -> Option<Shadow<'_>> {
    let mut worst: Option<Shadow<'_>> = None;
    for pick in &seen.picks {
        let Some(given) = pick.given() else { continue };
        let role = role(pick);
        let ends = seen.expiration(&given.step).zip(truth);
        let left = ends.map(|(end, truth)| Span::from_nanos(end.saturating_sub(truth)).seconds());
        let verdict = match (given.life, left, role) {
            (Life::Refreshed, ..) => continue,
            (Life::Unrenewed, Some(left), _) if left > 0.0 => continue,
            (Life::Unrenewed, Some(_), _) | (Life::Unrenewed, None, Some(_)) => Verdict::Problem,
            (Life::Unrenewed, None, None) | (Life::LongLived, _, Some(_)) => Verdict::Warning,
            (Life::LongLived, _, None) => continue,
        };
        match &mut worst {
            Some(shadow) if shadow.verdict >= verdict => {
                if *shadow.step == given.step {
                    shadow.chains.push(pick.chain.name());
                }
            }
            _ => {
                let (step, evidence, chains) = (&given.step, given.evidence.as_str(), vec![pick.chain.name()]);
                worst = Some(Shadow { seen, step, chains, evidence, left, verdict, role });
            }
        }
    }
    worst
}

fn role(pick: &Pick) -> Option<&'static str> {
    if pick.shadows_container() {
        Some("the role of the container")
    } else if pick.shadows_instance_role() {
        Some("the role of the instance")
    } else {
        None
    }
}

fn shadowed(shadows: &[Shadow<'_>]) -> Check {
    const NAME: &str = "credentials-shadow";
    let Some(worst) = shadows.iter().max_by_key(|shadow| shadow.verdict) else {
        return Check::ok(AREA, NAME, "no keys that nobody renews stand before a role");
    };
    let Shadow { seen, step, left, role, .. } = worst;
    let instead = role.map_or_else(String::new, |role| format!(", and keep it from using {role}"));
    let life = match (*left, worst.verdict) {
        (Some(left), _) => format!("which expired {} ago", humane(Span::from_seconds(left))),
        (None, Verdict::Problem) => "which are temporary, and which nobody renews".to_owned(),
        (None, _) if role.is_some() => "which never expire".to_owned(),
        (None, _) => "which are temporary, and of which nobody says when they end".to_owned(),
    };
    let summary = format!("{} signs with {step}, {life}{instead}", seen.who);
    let effect = match worst.verdict {
        Verdict::Problem => {
            "once they have expired every request fails with ExpiredToken, InvalidClientTokenId or UnrecognizedClientException"
        }
        _ => "whoever rotates or deletes these keys breaks it, and the role's permissions are not the ones that count",
    };
    let remedy = remedy(worst);
    let check = match worst.verdict {
        Verdict::Problem => Check::problem(AREA, NAME, summary, effect, remedy),
        _ => Check::warning(AREA, NAME, summary, effect, remedy),
    };
    let line = |shadow: &Shadow<'_>| {
        format!("{}: {} pick {} ({})", shadow.seen.who, shadow.chains.join(", "), shadow.step, shadow.evidence)
    };
    check.with_evidence(shadows.iter().map(line))
}

fn remedy(shadow: &Shadow<'_>) -> String {
    let seen = shadow.seen;
    let restart = seen.process.map_or_else(String::new, |pid| {
        format!(" (for process {pid}: in its unit, its container definition or its start script), and start it anew")
    });
    match shadow.step {
        Step::Environment => format!("unset {KEYS}{restart}"),
        Step::SystemProperties => format!(
            "take -Daws.accessKeyId, -Daws.secretAccessKey (or -Daws.secretKey) and -Daws.sessionToken from {}{restart}",
            seen.givers_of_keys().join(" and ")
        ),
        Step::Profile { name, .. } => {
            let file = seen.credentials_file().display();
            format!(
                "take the keys of the profile {name} from {file}, or let a tool renew them there (`aws sso login`, a \
                 credential_process){restart}"
            )
        }
        Step::SdkStore { name, .. } => format!(
            "`Remove-AWSCredentialProfile -ProfileName {name}` in PowerShell takes the profile {name} from the SDK store{restart}"
        ),
        Step::WebIdentity | Step::Container | Step::InstanceRole => "start the process anew".to_owned(),
    }
}

/// What ends a search with an error, although there may be credentials further on.
fn broken(seen: &[Seen]) -> Check {
    const NAME: &str = "credentials-broken";
    let mut failures = Vec::new();
    for one in seen {
        for pick in &one.picks {
            if let Outcome::Failed(failure) = &pick.outcome {
                failures.push(format!("{}: {} stops: {failure}", one.who, pick.chain));
            }
        }
    }
    if failures.is_empty() {
        return Check::ok(AREA, NAME, "no search for credentials ends with an error");
    }
    Check::problem(
        AREA,
        NAME,
        "a search for credentials ends with an error before it comes to a role",
        "the SDK gives up with an error about its configuration, although there may be credentials further on",
        "mend or remove what is named: set both keys or neither, write the profile or unset the variable that names it",
    )
    .with_evidence(failures)
}

/// What the agent would tell as an alert. What the metadata service does is judged by the checks of its own.
fn of_finding(finding: &Finding, facts: &Facts<'_>) -> Option<Check> {
    let is_of_imds = finding.subject == "imds";
    let (name, effect) = match finding.alert {
        Kind::CredentialExpiring => ("credentials-expiring", "once it has expired, requests fail with ExpiredToken"),
        Kind::CredentialRefreshMargin if facts.clock_is_blamed => return None,
        Kind::CredentialRefreshMargin => (
            "credentials-refresh",
            "requests fail with ExpiredToken at the end of every lifetime, although all is rotated",
        ),
        Kind::CredentialUnavailable if is_of_imds => return None,
        Kind::CredentialUnavailable => ("credentials-unavailable", "nobody can tell when it expires"),
        _ => return None,
    };
    let (summary, remedy) = (finding.summary.as_str(), finding.remedy.as_str());
    Some(match finding.severity {
        Severity::Critical => Check::problem(AREA, name, summary, effect, remedy),
        Severity::Warning => Check::warning(AREA, name, summary, effect, remedy),
    })
}
