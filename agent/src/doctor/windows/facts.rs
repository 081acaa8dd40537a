//! What a host with Windows shows.

use super::credentials::{self, Folders};
use super::ec2;
use super::launch::Launch;
use super::proxy::checks as proxy;
use super::reader::Reader;
use super::routes::Network;
use super::vmic;
use super::w32time::kept::W32Time;
use super::zone::Zone;
use crate::sys::system::{Interface, Route, System};

/// More routes and interfaces than these are not looked at.
const MOST_ROUTES: usize = 4_096;
const MOST_INTERFACES: usize = 256;

/// What a host with Windows shows. There is no secret in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Whether the firmware says that this is an EC2 instance.
    pub is_ec2: bool,
    /// The Windows Time service.
    pub time: W32Time,
    /// Whether the clock of Hyper-V is asked as well; `None` where Windows has no provider for it.
    pub is_vmic_enabled: Option<bool>,
    /// In which zone the hardware clock is taken to be.
    pub zone: Zone,
    /// The ways to the services of AWS.
    pub network: Network,
    /// The proxies.
    pub proxies: proxy::Facts,
    /// Where there are credentials.
    pub credentials: credentials::Facts,
    /// What could not be read, a line each.
    pub unread: Vec<String>,
}

/// Looks at all of it. It takes some milliseconds, and five seconds where w32tm does not answer.
pub fn gather(system: &dyn System, folders: &Folders) -> Facts {
    let reader = Reader::new(system);
    let routes = reader.told("the routes", system.routes());
    let interfaces = reader.told("the interfaces", system.addresses()).unwrap_or_default();
    let facts = Facts {
        is_ec2: ec2::is_ec2(&reader),
        time: W32Time::read(&reader),
        is_vmic_enabled: reader.number(vmic::KEY, "Enabled").map(|number| number != 0),
        zone: Zone::read(&reader),
        network: Network {
            routes: routes.map(|routes: Vec<Route>| routes.into_iter().take(MOST_ROUTES).collect()),
            interfaces: interfaces.into_iter().take(MOST_INTERFACES).collect::<Vec<Interface>>(),
            launch: Launch::read(&reader),
        },
        proxies: proxy::Facts::read(&reader),
        credentials: credentials::Facts::read(&reader, folders),
        unread: Vec::new(),
    };
    Facts { unread: reader.unread(), ..facts }
}
