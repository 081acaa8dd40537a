//! How far away an address is.

use std::net::IpAddr;

/// Whether it is this host's own or on its link, as far as the address alone tells.
pub(crate) const fn is_on_link(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// The same of the host of a URL, which has an address of IPv6 in brackets; a name is none.
pub(crate) fn is_host_on_link(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse().is_ok_and(is_on_link)
}

/// Whether it is one of AWS's own inside a VPC, fd00:ec2::/32, which each instance reaches as if it were on its link.
pub(crate) const fn is_of_vpc(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if matches!(ip.segments(), [0xfd00, 0x0ec2, ..]))
}
