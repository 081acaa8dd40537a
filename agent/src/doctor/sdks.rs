//! Which AWS SDKs run on this host, and which of them correct a wrong clock by themselves.

use std::collections::BTreeMap;

use super::report::{Area, Check};
use crate::aws::processes::process::{Library, Process};
use crate::aws::sdk::Correction;
use crate::sys::{self, WORDS};

/// More processes of one SDK are counted, not named.
const NAMED: usize = 5;
/// The variable that turns the correction off.
const SWITCH: &str = "AWS_DISABLE_CLOCK_SKEW_CORRECTION";

/// Checks the processes of this host.
pub fn check(processes: &[Process]) -> Vec<Check> {
    let mut checks = vec![correction(processes)];
    checks.extend(switched_off(processes));
    checks
}

fn correction(processes: &[Process]) -> Check {
    const NAME: &str = "sdk-clock-correction";
    let mut users: BTreeMap<(Correction, Library), Vec<String>> = BTreeMap::new();
    for process in processes {
        for found in &process.found {
            let key = (correction_of(found.library), found.library);
            users.entry(key).or_default().push(format!("{} ({}, by {})", process.command, process.pid, found.evidence));
        }
    }
    let unread = processes.iter().filter(|process| process.is_partial).count();
    let unread = (unread > 0).then(|| {
        let why = match sys::is_superuser() {
            true => WORDS.hidden_from_all,
            false => WORDS.see_all_processes,
        };
        format!("{unread} of {} processes cannot be read in full: {why}", processes.len())
    });
    if users.is_empty() {
        let why = match processes.is_empty() {
            true => WORDS.no_process,
            false => "no process of this host is seen to use an AWS SDK",
        };
        return Check::skipped(Area::Sdks, NAME, why).with_evidence(unread);
    }
    let names = |wanted: Correction| {
        let names = users.keys().filter(|(correction, _)| *correction == wanted).map(|(_, library)| library.name());
        names.collect::<Vec<_>>().join(", ")
    };
    let parts = [("from 240 s on by", names(Correction::BySelf)), ("never by", names(Correction::Never))];
    let parts: Vec<String> =
        parts.iter().filter(|(_, names)| !names.is_empty()).map(|(how, names)| format!("{how} {names}")).collect();
    let summary = format!("a wrong clock is corrected {}; in pre-signed URLs it never is", parts.join(", and "));
    let evidence = users.iter().map(|((_, library), users)| format!("{}: {}", library.name(), listed(users)));
    Check::ok(Area::Sdks, NAME, summary).with_evidence(evidence).with_evidence(unread)
}

/// The correction is forbidden where it would have been made.
fn switched_off(processes: &[Process]) -> Option<Check> {
    let is_off = |process: &&Process| {
        let value = process.environment.as_ref().and_then(|environment| environment.value(SWITCH));
        value.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    };
    let switched: Vec<String> =
        processes.iter().filter(is_off).map(|process| format!("{} ({})", process.command, process.pid)).collect();
    let first = switched.first()?;
    let others = match switched.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    Some(
        Check::warning(
            Area::Sdks,
            "sdk-correction-disabled",
            format!("{SWITCH}=true is set for {first}{others}"),
            "its SDK does not sign again when AWS refuses a request because of the clock, so that the first request past \
             300 s fails",
            format!("unset {SWITCH} where the process gets its environment, and restart it"),
        )
        .with_evidence([listed(&switched)]),
    )
}

const fn correction_of(library: Library) -> Correction {
    match library {
        Library::Sdk(sdk) => sdk.row().correction,
        Library::JavaV1 => Correction::BySelf,
        Library::GoV1 | Library::JsV2 => Correction::Never,
    }
}

fn listed(users: &[String]) -> String {
    let named = users.get(..NAMED.min(users.len())).unwrap_or_default().join(", ");
    match users.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::processes::environment::Environment;
    use crate::aws::processes::process::Found;
    use crate::aws::processes::properties::Properties;
    use crate::aws::sdk::Sdk;
    use crate::doctor::report::Verdict;

    fn process(pid: u32, libraries: &[Library], environment: &str) -> Process {
        let found = |library| Found { library, version: None, evidence: "/opt/app".to_owned() };
        Process {
            pid,
            command: "app".to_owned(),
            found: libraries.iter().copied().map(found).collect(),
            environment: Some(Environment::read(environment.as_bytes()).0),
            is_overwritten: false,
            properties: Properties::default(),
            home: None,
            is_partial: false,
        }
    }

    #[test]
    fn what_corrects_a_clock_and_what_does_not_is_told_without_alarm() {
        let libraries = [Library::Sdk(Sdk::Botocore), Library::Sdk(Sdk::JavaV2), Library::Sdk(Sdk::GoV2Legacy)];
        let checks = check(&[process(7, &libraries, ""), process(8, &libraries[..1], "")]);
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].verdict, Verdict::Ok);
        assert_eq!(
            checks[0].summary,
            "a wrong clock is corrected from 240 s on by java-v2, and never by botocore, go-v2-2025; in pre-signed URLs it \
             never is"
        );
        assert_eq!(checks[0].evidence[0], "botocore: app (7, by /opt/app), app (8, by /opt/app)");
    }

    #[test]
    fn many_processes_are_counted() {
        let processes: Vec<Process> = (0..8).map(|pid| process(pid, &[Library::Sdk(Sdk::Rust)], "")).collect();
        assert!(check(&processes)[0].evidence[0].ends_with("app (4, by /opt/app) and 3 more"));
    }

    #[cfg(unix)]
    #[test]
    fn a_host_without_sdks_is_skipped_and_says_what_it_could_not_see() {
        let mut hidden = process(8, &[], "");
        hidden.is_partial = true;
        let checks = check(&[process(7, &[], ""), hidden]);
        assert_eq!(checks[0].verdict, Verdict::Skipped);
        assert!(checks[0].evidence[0].starts_with("1 of 2 processes cannot be read in full: "), "{checks:?}");
        assert!(!sys::is_superuser() || !checks[0].evidence[0].contains("as root"), "{checks:?}");
        assert!(check(&[])[0].summary.contains(WORDS.no_process));
    }

    #[test]
    fn a_correction_that_is_switched_off_is_a_warning_and_one_that_is_not_is_none() {
        let on = process(7, &[], "AWS_DISABLE_CLOCK_SKEW_CORRECTION=false");
        assert_eq!(check(std::slice::from_ref(&on)).len(), 1);
        let off = |pid| process(pid, &[], "AWS_DISABLE_CLOCK_SKEW_CORRECTION=True\0AWS_PROFILE=x");
        let checks = check(&[on, off(8), off(9)]);
        assert_eq!((checks[1].name.as_str(), checks[1].verdict), ("sdk-correction-disabled", Verdict::Warning));
        assert_eq!(checks[1].summary, "AWS_DISABLE_CLOCK_SKEW_CORRECTION=true is set for app (8) and 1 more");
    }
}
