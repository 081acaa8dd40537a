//! Whether the Windows Time service keeps the clock, or the one reason why it does not.

use super::settings::{Follows, Settings};
use super::status::{Status, Unread};
use crate::doctor::report::{Area, Check};
use crate::doctor::windows::around::Around;
use crate::doctor::windows::mend;
use crate::doctor::windows::reader::Reader;
use crate::sys::system::{Service, Start, State};

/// The check that says so.
pub const NAME: &str = "clock-w32time";
/// What follows from a clock that nobody keeps.
pub const DRIFTS: &str = "left to itself a clock drifts by seconds a day and stays wrong after a resume or a manual change, \
    until AWS rejects requests";

const SERVICE: &str = "W32Time";
/// The name of the service of Meinberg's port of ntpd, which wants the Windows Time service out of its way.
const OTHER: &str = "NTP";

/// What is known of the service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct W32Time {
    /// The service; `None` where there is none.
    pub service: Option<Service>,
    /// Whether nothing could be learnt of it.
    pub is_unread: bool,
    /// Whether something starts it that is not the boot (`TriggerInfo`).
    pub has_triggers: bool,
    /// The domain of the machine.
    pub domain: Option<String>,
    /// Whether it could be told.
    pub is_domain_known: bool,
    /// Whether the machine is a controller of its domain.
    pub is_controller: bool,
    /// Whether another service keeps the clock.
    pub is_other_running: bool,
    /// What the service is told.
    pub settings: Settings,
    /// What it says of itself; `None` where it does not run.
    pub status: Option<Result<Status, Unread>>,
}

impl W32Time {
    /// Looks, and asks the service where it runs.
    pub fn read(reader: &Reader<'_>) -> Self {
        let service = reader.told(SERVICE, reader.system.service(SERVICE));
        let is_running = service.flatten().is_some_and(|service| service.state == State::Running);
        let domain = reader.told("the domain of this machine", reader.system.domain());
        let kind = reader.text(r"SYSTEM\CurrentControlSet\Control\ProductOptions", "ProductType");
        let ask = || {
            let output = reader.system.run("w32tm.exe", &["/query", "/status", "/verbose"]);
            reader.told("what w32tm says", output).map(|text| Status::read(&text))
        };
        Self {
            is_unread: service.is_none(),
            service: service.flatten(),
            has_triggers: reader.has_keys(&format!(r"SYSTEM\CurrentControlSet\Services\{SERVICE}\TriggerInfo")),
            is_domain_known: domain.is_some(),
            domain: domain.flatten(),
            is_controller: kind.is_some_and(|kind| kind.eq_ignore_ascii_case("LanmanNT")),
            is_other_running: reader.service(OTHER).is_some_and(|service| service.state == State::Running),
            settings: Settings::read(reader),
            status: if is_running { ask() } else { None },
        }
    }

    /// Why the clock is not kept; `None` where it is, or nobody can tell.
    pub fn cause(&self) -> Option<Cause> {
        if self.is_unread || self.is_other_running {
            return None;
        }
        let Some(service) = self.service else { return Some(Cause::Missing) };
        match (service.state, service.start) {
            (State::Stopped, Start::Disabled) => return Some(Cause::Disabled),
            (State::Stopped, Start::Manual) => return Some(Cause::Untriggered),
            (State::Stopped, Start::Automatic | Start::AutomaticDelayed) => return Some(Cause::Stopped),
            (State::Running | State::Between, _) => {}
        }
        let settings = &self.settings;
        let follows = settings.follows.as_ref().map(|follows| &follows.value);
        match follows {
            Some(Follows::Nobody) => return Some(Cause::NoSync),
            _ if settings.is_client.as_ref().is_some_and(|is_client| !is_client.value) => {
                return Some(Cause::NotClient);
            }
            Some(Follows::Domain) if self.is_workgroup() => return Some(Cause::NoDomain),
            Some(Follows::Servers) if settings.asked().is_empty() => return Some(Cause::NoServers),
            _ => {}
        }
        let never_again = service.start == Start::Disabled || (service.start == Start::Manual && !self.has_triggers);
        never_again.then_some(Cause::NotAtBoot)
    }

    fn is_workgroup(&self) -> bool {
        self.is_domain_known && self.domain.is_none()
    }

    /// Whether its triggers stop it after each boot.
    fn is_stopped_by_triggers(&self) -> bool {
        self.has_triggers && self.is_workgroup()
    }

    /// Whether it follows the controllers of its domain.
    pub fn is_of_domain(&self) -> bool {
        let follows = self.settings.follows.as_ref().map(|follows| &follows.value);
        self.domain.is_some() && matches!(follows, Some(Follows::Domain | Follows::All) | None)
    }

    /// What it says of itself, where it does.
    pub fn said(&self) -> Option<&Status> {
        self.status.as_ref()?.as_ref().ok()
    }
}

/// Why the service does not keep the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no such service.
    Missing,
    /// It is disabled.
    Disabled,
    /// It waits for a trigger.
    Untriggered,
    /// It should have been started at boot.
    Stopped,
    /// It is told to follow nobody.
    NoSync,
    /// It is told not to be a client.
    NotClient,
    /// It is told to follow a domain, and there is none.
    NoDomain,
    /// It is told to follow a list that is empty.
    NoServers,
    /// It runs, and will not after the next boot.
    NotAtBoot,
}

impl Cause {
    const fn summary(self) -> &'static str {
        match self {
            Self::Missing => "nobody keeps this clock: there is no Windows Time service",
            Self::Disabled => "nobody keeps this clock: the Windows Time service is disabled",
            Self::Untriggered => "nobody keeps this clock: the Windows Time service waits for a trigger and is stopped",
            Self::Stopped => "nobody keeps this clock: the Windows Time service is stopped",
            Self::NoSync => {
                "nobody keeps this clock: the Windows Time service is told to follow nobody (Type is NoSync)"
            }
            Self::NotClient => "nobody keeps this clock: the Windows Time service is no client (NtpClient is disabled)",
            Self::NoDomain => {
                "nobody keeps this clock: the Windows Time service looks for a domain, of which this machine is no member"
            }
            Self::NoServers => "nobody keeps this clock: the list of servers of the Windows Time service is empty",
            Self::NotAtBoot => "the Windows Time service runs, and nothing starts it after the next boot",
        }
    }

    fn remedy(self, time: &W32Time, is_ec2: bool) -> String {
        let settings = &time.settings;
        let follow = || match &time.domain {
            Some(_) => mend::FOLLOW_DOMAIN.to_owned(),
            None => mend::follow_amazon(is_ec2),
        };
        let by_policy = |is_policy: bool, name: &str, what: &str, remedy: String| match is_policy {
            true => mend::policy(name, what),
            false => remedy,
        };
        let client = r"Time Providers\Configure Windows NTP Client";
        let server = if is_ec2 { "169.254.169.123,0x9" } else { "time.aws.com,0x9" };
        let list = format!("Type is NTP and NtpServer is {server}");
        match self {
            // Registered anew, it has its triggers.
            Self::Missing => format!("w32tm /register; {}", mend::start(time.is_workgroup())),
            Self::Disabled | Self::Untriggered | Self::Stopped => mend::start(time.is_stopped_by_triggers()),
            Self::NotAtBoot => mend::start_at_boot(time.is_stopped_by_triggers()),
            Self::NoSync | Self::NoDomain => {
                let is_policy = settings.follows.as_ref().is_some_and(|follows| follows.is_policy);
                let what = if time.domain.is_some() { "Type is NT5DS" } else { &list };
                by_policy(is_policy, client, what, follow())
            }
            Self::NotClient => {
                let is_policy = settings.is_client.as_ref().is_some_and(|is_client| is_client.is_policy);
                let name = r"Time Providers\Enable Windows NTP Client";
                by_policy(is_policy, name, "Enabled", mend::write(r"TimeProviders\NtpClient", "Enabled", "1"))
            }
            Self::NoServers => {
                let is_policy = settings.servers.as_ref().is_some_and(|servers| servers.is_policy);
                by_policy(is_policy, client, &list, follow())
            }
        }
    }
}

/// Whether the service keeps the clock.
pub fn check(time: &W32Time, around: &Around) -> Check {
    let service = time.service.map(describe);
    if time.is_unread {
        return Check::skipped(Area::Clock, NAME, "the Windows Time service may not be asked for");
    }
    if time.is_other_running {
        return Check::ok(Area::Clock, NAME, "the service NTP keeps this clock, in the place of Windows Time")
            .with_evidence(service);
    }
    if time.service.is_some_and(|service| service.state == State::Between) && time.cause().is_none() {
        return Check::skipped(
            Area::Clock,
            NAME,
            "the Windows Time service is about to start or to stop, or is paused",
        )
        .with_evidence(service);
    }
    let Some(cause) = time.cause() else {
        return Check::ok(Area::Clock, NAME, "the Windows Time service keeps this clock").with_evidence(service);
    };
    let is_stopped = matches!(cause, Cause::Untriggered | Cause::Stopped);
    let triggers = (is_stopped && time.is_stopped_by_triggers()).then_some(
        "the machine is in no domain: the triggers of the service do not start it there, and stop it after a boot even where \
         its start is automatic",
    );
    let policies = time.settings.policies();
    Check::warning(Area::Clock, NAME, cause.summary(), DRIFTS, cause.remedy(time, around.is_ec2))
        .with_evidence(service)
        .with_evidence(triggers)
        .with_evidence(policies)
}

fn describe(service: Service) -> String {
    let start = match service.start {
        Start::Automatic => "automatic",
        Start::AutomaticDelayed => "automatic, delayed",
        Start::Manual => "manual",
        Start::Disabled => "disabled",
    };
    let state = match service.state {
        State::Running => "running",
        State::Stopped => "stopped",
        State::Between => "starting, stopping or paused",
    };
    format!("service W32Time: start is {start}, {state}")
}
