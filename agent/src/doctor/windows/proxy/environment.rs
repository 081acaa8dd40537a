//! The variables of the machine and of the user, from which every process begins.

use reqwest::Url;

use crate::aws::sdk::Sdk;
use crate::doctor::imds::proxy::{ProxyEnv, swallows};
use crate::doctor::windows::reader::Reader;

/// The variables of the machine.
pub const MACHINE: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment";
/// Those of the user, which are laid over the former.
pub const USER: &str = r"HKCU\Environment";
const ENDPOINT: &str = "http://169.254.169.254";

/// What both say of proxies; no more than host and port of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// What every service sees.
    pub machine: ProxyEnv,
    /// What programs of the user see.
    pub user: ProxyEnv,
    /// Whether there is an exception for the machine.
    pub has_exceptions: bool,
}

impl Proxies {
    /// Reads them. Windows knows no difference between upper and lower case in the names of variables.
    pub fn read(reader: &Reader<'_>) -> Self {
        let machine = |name: &str| reader.text(MACHINE, &name.to_ascii_uppercase());
        let user = |name: &str| reader.text(USER, &name.to_ascii_uppercase()).or_else(|| machine(name));
        Self {
            machine: ProxyEnv::new(&machine),
            user: ProxyEnv::new(&user),
            has_exceptions: machine("NO_PROXY").is_some_and(|list| !list.trim().is_empty()),
        }
    }

    /// The SDKs that the variables of the machine lead astray.
    pub fn swallowed(&self) -> Vec<&'static str> {
        let Ok(url) = Url::parse(ENDPOINT) else { return Vec::new() };
        let current = Sdk::usual().into_iter();
        current.filter(|sdk| swallows(sdk.row().proxy, &self.machine, &url)).map(Sdk::name).collect()
    }

    /// Whether a variable names a proxy, or an exception: botocore asks WinINET only where there is none.
    pub fn is_named(env: &ProxyEnv) -> bool {
        !env.told().is_empty()
    }

    /// Excepts the metadata service.
    pub fn remedy(&self) -> String {
        let value = match self.has_exceptions {
            true => "([Environment]::GetEnvironmentVariable('NO_PROXY', 'Machine') + ',169.254.169.254')",
            false => "'169.254.169.254'",
        };
        format!("[Environment]::SetEnvironmentVariable('NO_PROXY', {value}, 'Machine'), and start the services anew")
    }
}
