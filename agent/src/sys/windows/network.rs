//! Routes and interfaces of IPv4.

use std::io;
use std::net::Ipv4Addr;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA, ERROR_SUCCESS};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GAA_FLAG_INCLUDE_GATEWAYS, GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_DNS_SERVER, GAA_FLAG_SKIP_MULTICAST,
    GetAdaptersAddresses, GetIpForwardTable2, IP_ADAPTER_ADDRESSES_LH, MIB_IPFORWARD_ROW2, MIB_IPFORWARD_TABLE2,
};
use windows_sys::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows_sys::Win32::Networking::WinSock::{AF_INET, SOCKADDR, SOCKADDR_IN};

use super::wide::from_wide;
use crate::sys::system::{Interface, Route};

/// Where persistent routes are kept: the name of each value is `DESTINATION,MASK,GATEWAY,METRIC`.
const PERSISTENT: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\PersistentRoutes";
/// More of either are not told.
const MOST: usize = 4_096;
/// Room for all interfaces, at first and at most, in bytes.
const ROOM: (u32, u32) = (16 * 1024, 4 * 1024 * 1024);

/// The routes that are in force, and the persistent ones that are not.
pub(super) fn routes() -> io::Result<Vec<Route>> {
    let (kept, adapters) = (persistent(), adapters()?);
    let mut routes = in_force()?;
    for route in &mut routes {
        let own = adapters.iter().find(|(interface, _)| Some(interface.index) == route.interface);
        route.metric = route.metric.saturating_add(own.map_or(0, |(_, metric)| *metric));
        route.is_persistent = kept.iter().any(|other| is_same(other, route));
    }
    let asleep = kept.into_iter().filter(|kept| !routes.iter().any(|route| is_same(kept, route)));
    let asleep: Vec<Route> = asleep.collect();
    routes.extend(asleep);
    Ok(routes)
}

fn is_same(one: &Route, other: &Route) -> bool {
    (one.destination, one.prefix, one.gateway) == (other.destination, other.prefix, other.gateway)
}

#[expect(unsafe_code, reason = "calls of Windows")]
fn in_force() -> io::Result<Vec<Route>> {
    let mut table: *mut MIB_IPFORWARD_TABLE2 = null_mut();
    // SAFETY: one pointer is written, to what is freed below.
    let failed = unsafe { GetIpForwardTable2(AF_INET, &raw mut table) };
    if failed != ERROR_SUCCESS || table.is_null() {
        return Err(io::Error::from_raw_os_error(failed.cast_signed()));
    }
    // SAFETY: the table has as many rows as it says, one after the other, and is not freed before they were read.
    unsafe {
        let count = (*table).NumEntries as usize;
        let rows = std::slice::from_raw_parts((&raw const (*table).Table).cast::<MIB_IPFORWARD_ROW2>(), count);
        let routes = rows.iter().take(MOST).map(route).collect();
        FreeMibTable(table.cast());
        Ok(routes)
    }
}

#[expect(unsafe_code, reason = "the family says which part of a union holds")]
fn route(row: &MIB_IPFORWARD_ROW2) -> Route {
    // SAFETY: routes of IPv4 alone were asked for.
    let (destination, gateway) = unsafe { (row.DestinationPrefix.Prefix.Ipv4, row.NextHop.Ipv4) };
    Route {
        destination: address(&destination),
        prefix: row.DestinationPrefix.PrefixLength,
        gateway: address(&gateway),
        interface: Some(row.InterfaceIndex),
        metric: row.Metric,
        is_persistent: false,
    }
}

#[expect(unsafe_code, reason = "an address of IPv4 is a union of its parts")]
fn address(address: &SOCKADDR_IN) -> Ipv4Addr {
    // SAFETY: all parts of it are the same four bytes, the first one first.
    Ipv4Addr::from(unsafe { address.sin_addr.S_un.S_addr }.to_ne_bytes())
}

fn persistent() -> Vec<Route> {
    let Ok(key) = windows_registry::LOCAL_MACHINE.open(PERSISTENT) else { return Vec::new() };
    let Ok(values) = key.values() else { return Vec::new() };
    values.take(MOST).filter_map(|(name, _)| kept(&name)).collect()
}

fn kept(name: &str) -> Option<Route> {
    let mut parts = name.split(',').map(str::trim);
    let mut next = || parts.next()?.parse::<Ipv4Addr>().ok();
    let (destination, mask, gateway) = (next()?, u32::from(next()?), next()?);
    let metric = parts.next().and_then(|metric| metric.parse().ok()).unwrap_or(1);
    let prefix = u8::try_from(mask.leading_ones()).ok().filter(|_| mask.count_ones() == mask.leading_ones())?;
    Some(Route { destination, prefix, gateway, interface: None, metric, is_persistent: true })
}

/// The interfaces that are up.
pub(super) fn interfaces() -> io::Result<Vec<Interface>> {
    Ok(adapters()?.into_iter().map(|(interface, _)| interface).collect())
}

/// The interfaces that are up, each with its metric.
#[expect(unsafe_code, reason = "calls of Windows")]
fn adapters() -> io::Result<Vec<(Interface, u32)>> {
    let (mut room, most) = ROOM;
    loop {
        // Of numbers, so that it is aligned for what is written into it.
        let mut buffer = vec![0_u64; (room as usize).div_ceil(8)];
        let first: *mut IP_ADAPTER_ADDRESSES_LH = buffer.as_mut_ptr().cast();
        let flags =
            GAA_FLAG_INCLUDE_GATEWAYS | GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_DNS_SERVER;
        // SAFETY: as much is written as there is room for.
        match unsafe { GetAdaptersAddresses(AF_INET.into(), flags, null_mut(), first, &raw mut room) } {
            // SAFETY: the call has written a list of them into the buffer, which still lives.
            ERROR_SUCCESS => return Ok(unsafe { all(first) }),
            ERROR_NO_DATA => return Ok(Vec::new()),
            ERROR_BUFFER_OVERFLOW if room <= most => {}
            failed => return Err(io::Error::from_raw_os_error(failed.cast_signed())),
        }
    }
}

/// # Safety
/// It is a list of interfaces, or null.
#[expect(unsafe_code, reason = "a list of pointers")]
unsafe fn all(first: *const IP_ADAPTER_ADDRESSES_LH) -> Vec<(Interface, u32)> {
    let mut interfaces = Vec::new();
    // SAFETY: each points to the next, and to lists of its addresses, all of which live as long as the first; the last
    // pointers are null. The index is in the part of the union that has it.
    unsafe {
        let mut next = first;
        while let Some(adapter) = next.as_ref() {
            let (mut addresses, mut gateways) = (Vec::new(), Vec::new());
            let mut unicast = adapter.FirstUnicastAddress;
            while let Some(own) = unicast.as_ref() {
                addresses.extend(of_socket(own.Address.lpSockaddr).map(|address| (address, own.OnLinkPrefixLength)));
                unicast = own.Next;
            }
            let mut gateway = adapter.FirstGatewayAddress;
            while let Some(hop) = gateway.as_ref() {
                gateways.extend(of_socket(hop.Address.lpSockaddr));
                gateway = hop.Next;
            }
            if adapter.OperStatus == IfOperStatusUp && interfaces.len() < MOST {
                let interface = Interface {
                    index: adapter.Anonymous1.Anonymous.IfIndex,
                    name: from_wide(adapter.FriendlyName),
                    description: from_wide(adapter.Description),
                    addresses,
                    gateways,
                };
                interfaces.push((interface, adapter.Ipv4Metric));
            }
            next = adapter.Next;
        }
    }
    interfaces
}

/// # Safety
/// It points to an address of any family, or is null.
#[expect(unsafe_code, reason = "the family says what an address is")]
unsafe fn of_socket(socket: *const SOCKADDR) -> Option<Ipv4Addr> {
    // SAFETY: what has the family of IPv4 is an address of it.
    unsafe { (socket.as_ref()?.sa_family == AF_INET).then(|| address(&*socket.cast::<SOCKADDR_IN>())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persistent_route_is_the_name_of_a_value() {
        let route = kept("169.254.169.254,255.255.255.255,10.0.0.1,15").unwrap();
        assert_eq!((route.destination, route.prefix), (Ipv4Addr::new(169, 254, 169, 254), 32));
        assert_eq!((route.gateway, route.metric, route.interface), (Ipv4Addr::new(10, 0, 0, 1), 15, None));
        for none in ["", "1.2.3.4", "1.2.3.4,255.0.255.0,1.1.1.1,1", "a,b,c,d", "1.2.3.4,255.255.255.0,"] {
            assert_eq!(kept(none), None, "{none}");
        }
    }

    #[test]
    fn this_host_has_routes_and_interfaces() {
        // Wine has neither before it has started its driver of the network.
        match interfaces() {
            Ok(found) => {
                assert!(found.iter().any(|interface| interface.addresses.iter().any(|(own, _)| own.is_loopback())));
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        }
        // A host without a network has no route, and each that is in force is by an interface.
        match routes() {
            Ok(found) => assert!(found.iter().all(|route| route.interface.is_some() || route.is_persistent)),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        }
    }
}
