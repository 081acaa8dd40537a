//! Whom the Windows Time service asks, whether that works, and what policies have to do with it.

use super::kept::{DRIFTS, NAME as KEPT, W32Time};
use super::limits;
use super::servers::Server;
use super::settings::{Follows, listed, name};
use super::status::{Status, Unread};
use crate::doctor::report::{Area, Check};
use crate::doctor::windows::around::Around;
use crate::doctor::windows::mend;
use crate::doctor::windows::text::shown;
use crate::time::{Span, humane};

/// The check of the servers.
pub const SERVERS: &str = "clock-w32time-servers";
/// The check of what the service says of itself.
pub const SYNC: &str = "clock-w32time-sync";
const POLICY: &str = "clock-w32time-policy";

/// A server that is asked less than once a day is asked too seldom.
const LONGEST_INTERVAL: u32 = 86_400;
/// A service that was started a moment ago follows nobody yet.
const SETTLING_SECONDS: f64 = 300.0;
/// Heard for so many of its intervals no more, and not for three hours, it follows nobody any more.
const SILENT_INTERVALS: f64 = 8.0;
const SILENT_SECONDS: f64 = 3.0 * 3_600.0;
const CLIENT: &str = r"Time Providers\Configure Windows NTP Client";

/// Whom it asks.
pub fn servers(time: &W32Time, around: &Around) -> Check {
    if time.cause().is_some() {
        return Check::skipped(Area::Clock, SERVERS, format!("the Windows Time service asks nobody: see {KEPT}"));
    }
    if time.is_other_running {
        return Check::skipped(Area::Clock, SERVERS, "another service keeps this clock");
    }
    let settings = &time.settings;
    let follows = settings.follows.as_ref().map(|follows| &follows.value);
    let servers = settings.asked();
    if servers.is_empty() {
        let summary = match (&time.domain, follows) {
            (Some(domain), _) => format!("the controllers of the domain {} are asked", shown(domain)),
            (None, Some(Follows::Other(text))) => format!("whom it follows is not known: Type is {}", shown(text)),
            (None, _) => "whom it follows cannot be told".to_owned(),
        };
        return match time.domain {
            Some(_) => Check::ok(Area::Clock, SERVERS, summary),
            None => Check::skipped(Area::Clock, SERVERS, summary),
        };
    }
    let is_policy = settings.servers.as_ref().is_some_and(|servers| servers.is_policy);
    let interval = settings.special_interval.as_ref();
    let is_special = servers.iter().any(Server::is_at_special_interval);
    let every = interval.filter(|_| is_special).map(|seconds| {
        let span = humane(Span::from_seconds(f64::from(seconds.value)));
        format!("servers with flag 0x1 are asked every {span} (SpecialPollInterval is {})", seconds.value)
    });
    let evidence = [Some(format!("NtpServer: {}", listed(servers))), every];
    let check = fault(time, around, servers, is_policy).unwrap_or_else(|| {
        let names = servers.iter().map(|server| server.name.as_str());
        Check::ok(Area::Clock, SERVERS, format!("it asks {}", crate::doctor::windows::text::listed(names)))
    });
    check.with_evidence(evidence.into_iter().flatten()).with_evidence(settings.policies())
}

fn fault(time: &W32Time, around: &Around, servers: &[Server], is_policy: bool) -> Option<Check> {
    let server = if around.is_ec2 { "169.254.169.123,0x9" } else { "time.aws.com,0x9" };
    let follow = || match is_policy {
        true => mend::policy(CLIENT, &format!("NtpServer is {server}")),
        false => mend::follow_amazon(around.is_ec2),
    };
    let is_adrift = time.said().is_some_and(Status::is_adrift);
    let fails = is_adrift || around.is_clock_wrong;
    if around.is_ec2 && fails && !servers.iter().any(Server::is_amazon) && servers.iter().any(Server::is_public) {
        let summary = "Windows Time asks servers in the internet, and gets no time of them that helps";
        let effect = "a subnet without a way to the internet has none to them; Amazon Time Sync is on every instance";
        return Some(Check::warning(Area::Clock, SERVERS, summary, effect, follow()));
    }
    if servers.iter().all(Server::is_symmetric) {
        let summary = "Windows Time asks as a peer (flag 0x4) and not as a client (flag 0x8)";
        let effect = "servers that are no peers of this machine do not answer it";
        return Some(Check::warning(Area::Clock, SERVERS, summary, effect, follow()));
    }
    let interval = time.settings.special_interval.as_ref().filter(|interval| interval.value > LONGEST_INTERVAL)?;
    servers.iter().all(Server::is_at_special_interval).then(|| {
        let span = humane(Span::from_seconds(f64::from(interval.value)));
        let summary = format!("Windows Time asks once in {span}");
        let effect = "meanwhile the clock drifts, and what a resume or somebody else makes of it stays";
        let remedy = match interval.is_policy {
            true => mend::policy(CLIENT, "SpecialPollInterval is 900"),
            false => mend::write(r"TimeProviders\NtpClient", "SpecialPollInterval", "900"),
        };
        Check::warning(Area::Clock, SERVERS, summary, effect, remedy)
    })
}

/// What the service says of itself.
pub fn sync(time: &W32Time, around: &Around) -> Check {
    let skipped = |why: String| Check::skipped(Area::Clock, SYNC, why);
    let status = match &time.status {
        _ if time.is_other_running => return skipped("another service keeps this clock".to_owned()),
        Some(Ok(status)) => status,
        None if time.cause().is_some() => {
            return skipped(format!("the Windows Time service cannot be asked: see {KEPT}"));
        }
        None => return skipped("the Windows Time service was not asked".to_owned()),
        Some(Err(Unread::NotStarted)) => return skipped(format!("the Windows Time service does not run: see {KEPT}")),
        Some(Err(Unread::Denied)) => {
            return skipped("w32tm may not be asked here: call the doctor as administrator".to_owned());
        }
        Some(Err(Unread::Error(code))) => return skipped(format!("w32tm says error 0x{code:08X}")),
        Some(Err(Unread::Unknown)) => return skipped("w32tm says nothing that is understood".to_owned()),
    };
    let evidence = evidence(status);
    let silent = status.age.filter(|_| !status.is_of_hypervisor()).filter(|age| {
        let special = time.settings.special_interval.as_ref().map_or(0, |interval| interval.value);
        let interval = f64::from(status.poll.unwrap_or(0).max(special));
        *age > SILENT_SECONDS && *age > SILENT_INTERVALS * interval
    });
    let who = shown(&status.source);
    let check = if time.cause().is_some_and(|cause| cause != super::kept::Cause::NotAtBoot) {
        skipped(format!("the Windows Time service keeps no clock: see {KEPT}"))
    } else if status.is_adrift() && status.age.is_some_and(|age| age < SETTLING_SECONDS) {
        Check::ok(Area::Clock, SYNC, "the Windows Time service was started a moment ago, and follows nobody yet")
    } else if status.is_adrift() {
        let why = match status.last_error {
            Some(1) => ": nobody answers it",
            Some(2) => ": what it hears is older than what it knows",
            Some(3) => ": the correction was too big for it",
            _ => "",
        };
        let summary = format!("the Windows Time service runs and follows nobody{why}");
        Check::warning(Area::Clock, SYNC, summary, DRIFTS, way(time, around, status))
    } else if let Some(age) = silent {
        let span = humane(Span::from_seconds(age));
        let summary = format!("the Windows Time service has heard {who} for {span} no more");
        Check::warning(Area::Clock, SYNC, summary, DRIFTS, way(time, around, status))
    } else if around.is_clock_wrong && time.is_of_domain() && !status.is_of_hypervisor() {
        let summary = format!("the Windows Time service follows its domain ({who}), whose time is wrong as well");
        let effect = "all members of the domain have the same wrong time";
        Check::warning(Area::Clock, SYNC, summary, effect, mend::at_the_emulator(around.is_ec2))
    } else {
        Check::ok(Area::Clock, SYNC, format!("the Windows Time service follows {who}"))
    };
    check.with_evidence(evidence)
}

fn evidence(status: &Status) -> Vec<String> {
    let numbers = [("leap indicator", status.leap), ("stratum", status.stratum), ("last error", status.last_error)];
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some(format!("{name} {}", number?)));
    let told = numbers.chain([format!("source {}", shown(&status.source))]).collect::<Vec<_>>().join(", ");
    let age = status.age.map(|age| format!("last in step {} ago", humane(Span::from_seconds(age))));
    [Some(format!("w32tm: {told}")), age].into_iter().flatten().collect()
}

/// What to do where nobody is followed.
fn way(time: &W32Time, around: &Around, status: &Status) -> String {
    if status.last_error == Some(3) {
        return limits::remedy(&time.settings, around);
    }
    if time.is_of_domain() {
        return match time.is_controller {
            true => mend::at_the_emulator(around.is_ec2),
            false => format!(
                "{}; where that finds nobody, `nltest /dsgetdc: /timeserv /force` tells whether a controller gives time, and \
                 {}",
                mend::RESYNC,
                mend::at_the_emulator(around.is_ec2)
            ),
        };
    }
    let servers = time.settings.asked();
    let is_policy = time.settings.servers.as_ref().is_some_and(|servers| servers.is_policy);
    if servers.iter().any(Server::is_amazon) {
        return format!(
            "{}; where that finds nobody, `w32tm /stripchart /computer:169.254.169.123 /samples:3 /dataonly` tells whether \
             it answers, and `Get-NetRoute -DestinationPrefix 169.254.169.123/32` by which way it is asked",
            mend::RESYNC
        );
    }
    match is_policy {
        true => mend::policy(CLIENT, "NtpServer is a server that can be reached, such as 169.254.169.123,0x9 on EC2"),
        false => mend::follow_amazon(around.is_ec2),
    }
}

/// What policies say.
pub fn policy(time: &W32Time) -> Check {
    let lines = time.settings.policies();
    if lines.is_empty() {
        return Check::ok(Area::Clock, POLICY, "no policy says anything of the Windows Time service");
    }
    let follows =
        time.settings.follows.as_ref().map_or_else(String::new, |one| format!(" (Type is {})", name(&one.value)));
    let summary = format!("a policy is in the place of local settings of the Windows Time service{follows}");
    Check::ok(Area::Clock, POLICY, summary)
        .with_evidence(lines)
        .with_evidence(["what `w32tm /config` writes counts for nothing where a policy says the same"])
}
