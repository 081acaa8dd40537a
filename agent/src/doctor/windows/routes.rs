//! By which way Windows reaches the link-local services of AWS.
//!
//! Their routes go by the gateway of the subnet in which an instance was set up. An image that was made of it takes the
//! persistent ones along, and in another subnet nobody is there: the metadata service is then out of reach while all else
//! works.

use std::net::Ipv4Addr;

use super::around::Around;
use super::launch::Launch;
use super::text::shown;
use super::w32time::kept::W32Time;
use super::w32time::servers::Server;
use crate::doctor::report::{Area, Check};
use crate::sys::system::{Interface, Route};

/// The check of the way to the metadata service.
pub const IMDS: &str = "imds-route";
/// The check of the way to Amazon Time Sync.
pub const TIME: &str = "clock-route";

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const TIME_SYNC: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 123);
/// All to which the agents of AWS make routes: the metadata service, Amazon Time Sync, DNS, the activation of Windows, and
/// others of their kind.
const SERVICES: [Ipv4Addr; 6] = [
    METADATA,
    Ipv4Addr::new(169, 254, 169, 250),
    Ipv4Addr::new(169, 254, 169, 251),
    Ipv4Addr::new(169, 254, 169, 253),
    TIME_SYNC,
    Ipv4Addr::new(169, 254, 169, 249),
];

/// What is known of the ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The routes; `None` where they could not be had.
    pub routes: Option<Vec<Route>>,
    /// The interfaces that are up.
    pub interfaces: Vec<Interface>,
    /// The agent that makes the routes.
    pub launch: Launch,
}

/// Why a way leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault<'a> {
    /// There is no way at all.
    Missing,
    /// Its gateway is in no subnet of its interface.
    OldGateway(&'a Route),
    /// It ends at an interface that gave itself an address for want of DHCP, and that leads nowhere.
    Stray(&'a Route),
}

impl Network {
    /// The route that is taken to an address.
    fn taken(&self, to: Ipv4Addr) -> Option<&Route> {
        let routes = self.routes.iter().flatten().filter(|route| route.interface.is_some());
        let fitting = routes.filter(|route| is_within(to, route.destination, route.prefix));
        fitting.min_by_key(|route| (std::cmp::Reverse(route.prefix), route.metric))
    }

    fn interface(&self, route: &Route) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| Some(interface.index) == route.interface)
    }

    fn fault(&self, to: Ipv4Addr) -> Option<Fault<'_>> {
        self.routes.as_ref()?;
        // Without interfaces nothing can be said against a route.
        if self.interfaces.is_empty() {
            return None;
        }
        let Some(route) = self.taken(to) else { return Some(Fault::Missing) };
        if !route.gateway.is_unspecified() {
            return (!self.is_neighbour(route)).then_some(Fault::OldGateway(route));
        }
        let interface = self.interface(route)?;
        let is_stray = interface.gateways.is_empty() && interface.addresses.iter().all(|(own, _)| own.is_link_local());
        let is_led = self.interfaces.iter().any(|interface| !interface.gateways.is_empty());
        (is_stray && is_led).then_some(Fault::Stray(route))
    }

    /// Whether its gateway is in a subnet of its interface, or of any where the interface is not known.
    fn is_neighbour(&self, route: &Route) -> bool {
        let own = self.interface(route);
        let near = |one: &Interface| {
            one.addresses.iter().any(|(own, prefix)| is_within(route.gateway, *own, *prefix))
                || one.gateways.contains(&route.gateway)
        };
        own.map_or_else(|| self.interfaces.iter().any(near), near)
    }

    /// A persistent route to an address that is not the one that is taken, and that leads nowhere.
    fn sleeping(&self, to: Ipv4Addr) -> Option<&Route> {
        let host = |route: &&Route| route.destination == to && route.prefix == 32 && route.is_persistent;
        let mut routes = self.routes.iter().flatten().filter(host);
        routes.find(|route| !route.gateway.is_unspecified() && !self.is_neighbour(route))
    }

    /// The interface that leads out, with its gateway.
    fn way_out(&self) -> Option<(&Interface, Ipv4Addr)> {
        let by_route = self.taken(Ipv4Addr::new(1, 1, 1, 1)).and_then(|route| {
            let interface = self.interface(route)?;
            interface.gateways.contains(&route.gateway).then_some((interface, route.gateway))
        });
        by_route.or_else(|| self.interfaces.iter().find_map(|one| Some((one, *one.gateways.first()?))))
    }

    /// Sets the routes anew.
    fn remedy(&self) -> String {
        if let Some(command) = self.launch.add_routes() {
            return command;
        }
        let wrong = |to: &&Ipv4Addr| self.fault(**to).is_some() || self.sleeping(**to).is_some();
        let wrong: Vec<String> = SERVICES.iter().filter(wrong).map(|to| format!("'{to}/32'")).collect();
        let (interface, gateway) = match self.way_out() {
            Some((interface, gateway)) => (interface.index.to_string(), gateway.to_string()),
            None => ("<number>".to_owned(), "<gateway>".to_owned()),
        };
        format!(
            "{} | ForEach-Object {{ Remove-NetRoute -DestinationPrefix $_ -Confirm:$false -ErrorAction SilentlyContinue; \
             New-NetRoute -DestinationPrefix $_ -InterfaceIndex {interface} -NextHop {gateway} -RouteMetric 1 }}",
            wrong.join(", ")
        )
    }

    fn evidence(&self, to: Ipv4Addr) -> Vec<String> {
        let route = self.taken(to).map(|route| self.describe(route, "is taken"));
        let sleeping = self.sleeping(to).filter(|one| Some(*one) != self.taken(to));
        let sleeping = sleeping.map(|route| self.describe(route, "is not in force"));
        let interfaces = self.interfaces.iter().filter(|one| !one.gateways.is_empty()).take(4).map(|one| {
            let addresses = one.addresses.iter().take(4).map(|(own, prefix)| format!("{own}/{prefix}"));
            let gateways = one.gateways.iter().take(4).map(Ipv4Addr::to_string);
            let addresses = addresses.collect::<Vec<_>>().join(", ");
            let gateways = gateways.collect::<Vec<_>>().join(", ");
            format!("interface {} ({}): {addresses}, gateway {gateways}", one.index, shown(&one.name))
        });
        let at_boot = self.launch.at_boot().map(str::to_owned);
        route.into_iter().chain(sleeping).chain(interfaces).chain(at_boot).collect()
    }

    fn describe(&self, route: &Route, what: &str) -> String {
        let by = match route.gateway.is_unspecified() {
            true => "on the link".to_owned(),
            false => format!("by {}", route.gateway),
        };
        let persistent = if route.is_persistent { ", persistent" } else { "" };
        let interface = self.interface(route).map_or_else(String::new, |one| format!(" of {}", shown(&one.name)));
        format!("route {}/{} {by}{interface}{persistent} {what}", route.destination, route.prefix)
    }
}

/// By which way the metadata service is reached.
pub fn imds(network: &Network, around: &Around) -> Check {
    let skipped = |why| Check::skipped(Area::Imds, IMDS, why);
    if network.routes.is_none() {
        return skipped("the routes could not be read");
    }
    if !around.is_ec2 {
        return skipped("this is no EC2 instance");
    }
    let evidence = network.evidence(METADATA);
    let is_reached = around.is_imds_reached == Some(true);
    let check = match network.fault(METADATA).filter(|_| !is_reached) {
        Some(fault) => {
            let effect = "SDKs find no credentials of the instance role, and each waits for its timeout first.";
            Check::problem(Area::Imds, IMDS, describe(fault, METADATA), effect, network.remedy())
        }
        None => match network.sleeping(METADATA) {
            Some(route) => {
                let summary = format!(
                    "a persistent route to {METADATA} has the gateway {}, which is in no subnet of this machine",
                    route.gateway
                );
                let effect = "after a boot it may be taken, and then the metadata service is out of reach";
                Check::warning(Area::Imds, IMDS, summary, effect, network.remedy())
            }
            None => Check::ok(Area::Imds, IMDS, "the way to the metadata service leads out of this machine"),
        },
    };
    check.with_evidence(evidence)
}

/// By which way Amazon Time Sync is reached, where it is asked.
pub fn time(network: &Network, time: &W32Time, around: &Around) -> Check {
    let skipped = |why| Check::skipped(Area::Clock, TIME, why);
    if network.routes.is_none() {
        return skipped("the routes could not be read");
    }
    if !around.is_ec2 {
        return skipped("this is no EC2 instance");
    }
    let is_asked = time.settings.asked().iter().any(Server::is_amazon);
    let follows = time.said().is_some_and(|status| !status.is_adrift() && status.reference == u32::from(TIME_SYNC));
    match network.fault(TIME_SYNC).filter(|_| !follows) {
        Some(fault) => {
            let effect = match is_asked {
                true => "the Windows Time service gets no time, and nobody keeps this clock",
                false => "skewguard gets no time of it, and neither would the Windows Time service",
            };
            Check::warning(Area::Clock, TIME, describe(fault, TIME_SYNC), effect, network.remedy())
        }
        None => Check::ok(Area::Clock, TIME, "the way to Amazon Time Sync leads out of this machine"),
    }
    .with_evidence(network.evidence(TIME_SYNC))
}

fn describe(fault: Fault<'_>, to: Ipv4Addr) -> String {
    match fault {
        Fault::Missing => format!("no route leads to {to}"),
        Fault::OldGateway(route) => format!(
            "the route to {to} goes by {}, which is in no subnet of this machine: it is of another subnet, or of the image",
            route.gateway
        ),
        Fault::Stray(_) => format!("the route to {to} ends at an interface that leads nowhere"),
    }
}

/// Whether an address is in a network of this many bits; one with more than 32 has none but its own address.
fn is_within(address: Ipv4Addr, network: Ipv4Addr, prefix: u8) -> bool {
    let mask = match prefix {
        0 => 0,
        prefix => u32::MAX << 32_u32.saturating_sub(u32::from(prefix)),
    };
    u32::from(address) & mask == u32::from(network) & mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_network_is_as_wide_as_its_prefix() {
        let within = |address: [u8; 4], network: [u8; 4], prefix| is_within(address.into(), network.into(), prefix);
        assert!(within([10, 0, 2, 1], [10, 0, 2, 99], 24) && !within([10, 0, 3, 1], [10, 0, 2, 99], 24));
        assert!(within([1, 2, 3, 4], [9, 9, 9, 9], 0) && !within([1, 2, 3, 4], [1, 2, 3, 5], 32));
        assert!(within([1, 2, 3, 4], [1, 2, 3, 4], 255));
    }

    fn route() -> impl Strategy<Value = Route> {
        let address = || prop_oneof![any::<u32>().prop_map(Ipv4Addr::from), prop::sample::select(SERVICES.to_vec())];
        (address(), any::<u8>(), address(), any::<Option<u8>>(), any::<u32>(), any::<bool>()).prop_map(
            |(destination, prefix, gateway, interface, metric, is_persistent)| {
                let interface = interface.map(u32::from);
                Route { destination, prefix, gateway, interface, metric, is_persistent }
            },
        )
    }

    proptest! {
        #[test]
        fn no_routes_make_a_check_panic(routes in prop::collection::vec(route(), 0..6), own in any::<u32>(), prefix in any::<u8>()) {
            let interface = Interface {
                index: 7,
                name: "\u{1b}[2J".to_owned(),
                description: String::new(),
                addresses: vec![(Ipv4Addr::from(own), prefix)],
                gateways: vec![Ipv4Addr::from(own)],
            };
            let network = Network { routes: Some(routes), interfaces: vec![interface], launch: Launch::None };
            let around = Around { is_ec2: true, is_imds_reached: Some(false), ..Around::default() };
            for check in [imds(&network, &around), time(&network, &W32Time::default(), &around)] {
                prop_assert!(!serde_json::to_string(&check).unwrap().contains("\\u001b"));
            }
        }
    }
}
