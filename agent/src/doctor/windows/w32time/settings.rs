//! What the Windows Time service is told, by the registry and by Group Policy.
//!
//! Source: "Windows Time service tools and settings" of Microsoft; the values of the images of AWS stand in "Set the time
//! reference on your EC2 instance to use the local Amazon Time Sync Service".

use super::servers::Server;
use crate::doctor::windows::reader::Reader;
use crate::doctor::windows::text::{self, shown};

/// Where the service reads.
const LOCAL: &str = r"SYSTEM\CurrentControlSet\Services\W32Time";
/// Where policies are written, which win over the same value there.
const POLICY: &str = r"SOFTWARE\Policies\Microsoft\W32Time";
/// A limit of this size is none.
pub const UNLIMITED: u32 = u32::MAX;

/// A setting, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// What counts.
    pub value: T,
    /// Whether it is of a policy.
    pub is_policy: bool,
    /// What the registry of the service says besides, where a policy says something else.
    pub overruled: Option<T>,
}

impl<T> Setting<T> {
    /// The same in another type.
    fn map<U>(self, map: impl Fn(T) -> U) -> Setting<U> {
        Setting { value: map(self.value), is_policy: self.is_policy, overruled: self.overruled.map(map) }
    }
}

/// Whom the service follows (`Type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follows {
    /// `NTP`: the servers of the list.
    Servers,
    /// `NT5DS`: the controllers of the domain.
    Domain,
    /// `AllSync`: both.
    All,
    /// `NoSync`: nobody.
    Nobody,
    /// What nobody knows.
    Other(String),
}

impl Follows {
    fn read(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "ntp" => Self::Servers,
            "nt5ds" => Self::Domain,
            "allsync" => Self::All,
            "nosync" => Self::Nobody,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// Whether the list of servers counts.
    pub const fn has_servers(&self) -> bool {
        matches!(self, Self::Servers | Self::All)
    }
}

/// What the service is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whom it follows.
    pub follows: Option<Setting<Follows>>,
    /// The list of servers.
    pub servers: Option<Setting<Vec<Server>>>,
    /// Whether it is a client at all (`NtpClient\Enabled`).
    pub is_client: Option<Setting<bool>>,
    /// How often servers with flag 0x1 are asked, in seconds (`SpecialPollInterval`).
    pub special_interval: Option<Setting<u32>>,
    /// The largest correction of a slow clock, in seconds (`MaxPosPhaseCorrection`).
    pub largest_forward: Option<Setting<u32>>,
    /// The largest correction of a fast clock, in seconds (`MaxNegPhaseCorrection`).
    pub largest_back: Option<Setting<u32>>,
    /// Up to here a clock is slewed and not set, in seconds (`MaxAllowedPhaseOffset`).
    pub largest_slewed: Option<Setting<u32>>,
    /// How often it corrects, in hundredths of a second (`UpdateInterval`).
    pub update_interval: Option<Setting<u32>>,
    /// Whether it takes the time from TLS (`UtilizeSslTimeData`).
    pub uses_tls: Option<Setting<bool>>,
}

impl Settings {
    /// Reads them.
    pub fn read(reader: &Reader<'_>) -> Self {
        let word = |key: &str, name: &str| setting(key, |key| reader.text(key, name));
        let number = |key: &str, name: &str| setting(key, |key| reader.number(key, name));
        let client = r"TimeProviders\NtpClient";
        Self {
            follows: word("Parameters", "Type").map(|one| one.map(|text| Follows::read(&text))),
            servers: word("Parameters", "NtpServer").map(|one| one.map(|text| Server::list(&text))),
            is_client: number(client, "Enabled").map(|one| one.map(|number| number != 0)),
            special_interval: number(client, "SpecialPollInterval"),
            largest_forward: number("Config", "MaxPosPhaseCorrection"),
            largest_back: number("Config", "MaxNegPhaseCorrection"),
            largest_slewed: number("Config", "MaxAllowedPhaseOffset"),
            update_interval: number("Config", "UpdateInterval"),
            uses_tls: number("Config", "UtilizeSslTimeData").map(|one| one.map(|number| number != 0)),
        }
    }

    /// The servers that are asked, where the list counts.
    pub fn asked(&self) -> &[Server] {
        let counts = self.follows.as_ref().is_some_and(|follows| follows.value.has_servers());
        self.servers.as_ref().filter(|_| counts).map(|servers| servers.value.as_slice()).unwrap_or_default()
    }

    /// What policies say, a line each, and what they overrule.
    pub fn policies(&self) -> Vec<String> {
        fn line<T>(name: &str, setting: Option<&Setting<T>>, show: impl Fn(&T) -> String) -> Option<String> {
            let setting = setting.filter(|setting| setting.is_policy)?;
            let instead = setting.overruled.as_ref().map_or_else(String::new, |one| format!(", not {}", show(one)));
            Some(format!("policy: {name} is {}{instead}", show(&setting.value)))
        }
        let number = |name, setting| line(name, setting, u32::to_string);
        [
            line("Type", self.follows.as_ref(), name),
            line("NtpServer", self.servers.as_ref(), |servers| listed(servers)),
            line(r"NtpClient\Enabled", self.is_client.as_ref(), |is| u8::from(*is).to_string()),
            number("SpecialPollInterval", self.special_interval.as_ref()),
            number("MaxPosPhaseCorrection", self.largest_forward.as_ref()),
            number("MaxNegPhaseCorrection", self.largest_back.as_ref()),
            number("MaxAllowedPhaseOffset", self.largest_slewed.as_ref()),
            number("UpdateInterval", self.update_interval.as_ref()),
            line("UtilizeSslTimeData", self.uses_tls.as_ref(), |is| u8::from(*is).to_string()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The name that the registry has for whom the service follows.
pub fn name(follows: &Follows) -> String {
    match follows {
        Follows::Servers => "NTP".to_owned(),
        Follows::Domain => "NT5DS".to_owned(),
        Follows::All => "AllSync".to_owned(),
        Follows::Nobody => "NoSync".to_owned(),
        Follows::Other(text) => shown(text),
    }
}

/// Servers in one line.
pub fn listed(servers: &[Server]) -> String {
    if servers.is_empty() {
        return "empty".to_owned();
    }
    let named = servers.iter().map(|server| format!("{},0x{:x}", server.name, server.flags));
    text::listed(named)
}

fn setting<T: PartialEq>(key: &str, read: impl Fn(&str) -> Option<T>) -> Option<Setting<T>> {
    let local = read(&format!(r"{LOCAL}\{key}"));
    match read(&format!(r"{POLICY}\{key}")) {
        Some(value) => {
            let overruled = local.filter(|local| *local != value);
            Some(Setting { value, is_policy: true, overruled })
        }
        None => local.map(|value| Setting { value, is_policy: false, overruled: None }),
    }
}
