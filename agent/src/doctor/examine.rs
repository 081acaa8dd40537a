//! One examination: everything is looked at, at the same time where that is possible, and then judged.

use std::collections::BTreeSet;
use std::path::Path;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::agent::AgentFacts;
use super::clock::{checks as clock, sources};
use super::explain::host::{Holding, HostFacts};
use super::explain::paste::Paste;
use super::imds::{checks as imds, probe};
use super::report::{Area, CLOCK_OFFSET, Check, Report, Verdict};
use super::seen::Seen;
use super::windows::{adopt, host as windows};
use super::{agent, credentials, explain, sdks};
use crate::aws::chain::Chain;
use crate::aws::known::Known;
use crate::aws::processes::cache::Cache;
use crate::aws::processes::library::Library;
use crate::aws::processes::process::{Process, sdks_in_use};
use crate::aws::processes::scan::{self, ProcessError};
use crate::aws::sdk::Sdk;
use crate::aws::view::Presence;
use crate::clock::local;
use crate::config::checked::Config;
use crate::config::explain::ConfigError;
use crate::credentials::imds::settings::Imds;
use crate::credentials::lease::Unavailable;
use crate::engine::Engine;
use crate::status;
use crate::sys;

/// How long each of the looks may take. They go on at the same time.
const PATIENCE: Duration = Duration::from_secs(14);

/// What is to be looked at.
pub struct Order<'a> {
    /// The configuration.
    pub config: Arc<Config>,
    /// The metadata service, even if a variable keeps SDKs from asking it; `None` where the configuration disables it.
    pub imds: Option<Imds>,
    /// Why the one that was asked for cannot be used.
    pub wrong_config: Option<ConfigError>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// One process alone.
    pub pid: Option<u32>,
    /// One profile of the shared files.
    pub profile: Option<String>,
    /// A text with errors to explain.
    pub error: Option<Paste>,
    /// Told what is being done.
    pub progress: &'a dyn Fn(&str),
}

/// Looks at everything else once `engine` has measured the clock and the credentials, and judges it all.
///
/// # Errors
/// There is no such process, or it may not be looked at.
pub async fn examine(order: &Order<'_>, engine: &Engine) -> Result<Report, ProcessError> {
    let root = sys::root();
    let snapshot = engine.snapshot_of_one_look(local::read());
    (order.progress)("asking the metadata service, the time daemon and the agent");
    let processes = processes(root, order.pid);
    let (clock_facts, source_facts, imds_facts, status, processes, windows) = tokio::join!(
        timeout(PATIENCE, clock::gather(root, order.env)),
        timeout(PATIENCE, sources::gather(root, &snapshot)),
        ask_imds(order, root),
        timeout(PATIENCE, status::ask_trusted(&order.config.socket)),
        processes,
        timeout(PATIENCE, windows::facts(order.env)),
    );
    let processes = processes?;
    let in_use = sdks_in_use(&processes);
    (order.progress)("judging");

    let status = match status {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the agent does not answer in time".to_owned()),
    };
    let mut checks = Vec::new();
    if let Ok(facts) = &clock_facts {
        checks.extend(clock::check(facts, &snapshot, status.as_ref().ok(), &order.config));
        if let Ok(sources) = &source_facts {
            let is_ec2 = imds_facts.as_ref().is_some_and(|facts| facts.is_ec2 == Some(true));
            checks.extend(sources::check(sources, facts, &snapshot, &order.config, is_ec2));
        }
    } else {
        checks.push(Check::skipped(Area::Clock, "clock-discipline", "the host does not answer in time"));
    }
    let clock_is_blamed = checks.iter().any(|check| check.area == Area::Clock && check.verdict == Verdict::Problem);

    let role = presence(imds_facts.as_ref());
    let seen = seen(order, root, &processes, &in_use, role);
    checks.extend(of_imds(order, imds_facts.as_ref(), &processes, &seen));
    let overwritten = overwritten(order, &processes);
    let facts = credentials::Facts { seen: &seen, overwritten: &overwritten, snapshot: &snapshot, clock_is_blamed };
    checks.extend(credentials::check(&facts));
    checks.extend(sdks::check(&processes));
    let facts = AgentFacts {
        status: status.as_ref().map_err(Clone::clone),
        wrong_config: order.wrong_config.as_ref(),
        config: &order.config,
    };
    checks.extend(agent::check(&facts));
    let windows = windows.ok().flatten();
    let is_ec2 = imds_facts.as_ref().is_some_and(|facts| facts.is_ec2 == Some(true));
    if let Some(facts) = &windows {
        adopt::adopt(&mut checks, facts, &snapshot, is_ec2);
    }
    let Some(paste) = &order.error else { return Ok(Report::new(checks)) };
    let set_the_clock = match &windows {
        Some(facts) => Some(adopt::remedy(facts, &checks, &snapshot, is_ec2)),
        None => clock_facts.ok().map(|facts| clock::remedy(&facts, &snapshot)),
    };
    let (explained, errors) = explain::answer::explain(paste, Some(&host(engine, &checks, set_the_clock)));
    checks.extend(explained);
    Ok(Report::new(checks).with_errors(errors))
}

async fn processes(root: &Path, pid: Option<u32>) -> Result<Vec<Process>, ProcessError> {
    let root = root.to_owned();
    let look = move || match pid {
        Some(pid) => scan::one(&root, pid, &mut Cache::default()).map(|process| vec![process]),
        None => Ok(scan::scan(&root, &mut Cache::default())),
    };
    // Executables on a disk that hangs are as good as unreadable.
    match timeout(PATIENCE, tokio::task::spawn_blocking(look)).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => Ok(Vec::new()),
    }
}

async fn ask_imds(order: &Order<'_>, root: &Path) -> Option<probe::Facts> {
    Some(probe::probe(order.imds.as_ref()?, root, order.env).await)
}

fn presence(facts: Option<&probe::Facts>) -> Presence {
    match facts.and_then(|facts| facts.role.as_ref()) {
        Some(Ok(_)) => Presence::Yes,
        Some(Err(Unavailable::NoRole)) => Presence::No,
        Some(Err(_)) | None => Presence::Unknown,
    }
}

/// Who may sign requests here. Where one process is asked for, it alone counts.
fn seen(order: &Order<'_>, root: &Path, processes: &[Process], in_use: &BTreeSet<Sdk>, role: Presence) -> Vec<Seen> {
    let profile = order.profile.as_deref();
    let mut seen = Vec::new();
    if order.pid.is_none() {
        let mut chains: Vec<Chain> = in_use.iter().filter_map(|sdk| sdk.row().chain).collect();
        // Of some that run nobody knows in which order they look.
        if chains.is_empty() {
            chains = order.config.sdks.iter().filter_map(|sdk| sdk.row().chain).collect();
        }
        chains.sort_unstable();
        chains.dedup();
        seen.push(Seen::shell(order.env, profile, role, &chains));
    }
    let asked_for =
        |process: &&Process| order.pid.is_some() || !process.found.is_empty() || !process.properties.is_empty();
    let known = Known::default();
    seen.extend(processes.iter().filter(asked_for).filter_map(|process| {
        // A profile that somebody asks about is one of the shell, or of the one process that is asked about.
        let is_asked_about = order.pid.is_some();
        Seen::process(process, root, profile.filter(|_| is_asked_about), role, is_asked_about, &known)
    }));
    seen
}

/// Processes with an SDK of whose variables nothing is known, or the one that is asked about.
fn overwritten(order: &Order<'_>, processes: &[Process]) -> Vec<String> {
    let is_asked_for = |process: &&Process| order.pid.is_some() || !process.found.is_empty();
    let overwritten = processes.iter().filter(|process| process.is_overwritten).filter(is_asked_for);
    overwritten.map(|process| format!("process {} ({})", process.pid, process.command)).collect()
}

fn of_imds(order: &Order<'_>, facts: Option<&probe::Facts>, processes: &[Process], seen: &[Seen]) -> Vec<Check> {
    let libraries = of(processes);
    let elsewhere = seen.first().and_then(Seen::elsewhere);
    let variable = |name: &str| match (order.pid, processes.first()) {
        (Some(_), Some(process)) => process.environment.as_ref()?.value(name).map(str::to_owned),
        _ => (order.env)(name),
    };
    let asked = order.pid.map(|pid| format!("process {pid}"));
    let whose = seen.first().map_or(asked.as_deref().unwrap_or("this shell"), |seen| seen.who.as_str());
    let key = |key: &str| seen.first()?.setting(key);
    let around = imds::Surroundings {
        whose,
        env: &variable,
        profile: Some(&key),
        libraries: &libraries,
        elsewhere: elsewhere.as_deref(),
    };
    match facts {
        Some(facts) => {
            let mut checks = imds::check(facts, &around);
            // What variables say to a process may be worse than what they say to the shell.
            for process in processes {
                let Some(environment) = &process.environment else { continue };
                let whose = format!("process {} ({})", process.pid, process.command);
                let env = |name: &str| environment.value(name).map(str::to_owned);
                let libraries = of(slice::from_ref(process));
                if !libraries.is_empty() {
                    let around = imds::Surroundings { whose: &whose, env: &env, libraries: &libraries, ..around };
                    let others = imds::check(facts, &around);
                    checks.iter_mut().zip(others).for_each(|(one, other)| worse_by_variables(one, other));
                }
            }
            checks
        }
        None => vec![Check::skipped(Area::Imds, "imds-enabled", "the configuration of skewguard disables it")],
    }
}

/// The libraries in these processes, each once.
fn of(processes: &[Process]) -> Vec<Library> {
    let libraries: BTreeSet<Library> =
        processes.iter().flat_map(|process| &process.found).map(|found| found.library).collect();
    libraries.into_iter().collect()
}

fn worse_by_variables(one: &mut Check, other: Check) {
    const BY_VARIABLES: [&str; 3] = ["imds-enabled", "imds-endpoint", "imds-proxy"];
    if BY_VARIABLES.contains(&other.name.as_str()) && one.name == other.name && other.verdict > one.verdict {
        *one = other;
    }
}

/// What an error is explained by.
fn host(engine: &Engine, checks: &[Check], set_the_clock: Option<String>) -> HostFacts {
    let wrong = |name: &str| checks.iter().find(|check| check.name == name && check.verdict >= Verdict::Warning);
    let shadow = wrong("credentials-shadow");
    let (skew, holdings) = engine.holdings(local::read());
    let holding = |(provider, identity, life)| Holding { provider, identity, life };
    HostFacts {
        skew,
        // What is wrong with it may say more.
        clock_remedy: wrong(CLOCK_OFFSET).and_then(|check| check.remedy.clone()).or(set_the_clock),
        holdings: holdings.into_iter().map(holding).collect(),
        shadow: shadow.map(|check| check.summary.clone()),
        shadow_remedy: shadow.and_then(|check| check.remedy.clone()),
        // What never expires is a warning, and all else a problem.
        is_shadow_lasting: shadow.is_some_and(|check| check.verdict == Verdict::Warning),
        proxy: wrong("imds-proxy").map(|check| check.summary.clone()),
    }
}
