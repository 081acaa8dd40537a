//! How far away an address is.

use std::net::IpAddr;

/// Whether it is this host's own or on its link, as far as the address alone tells.
pub(crate) const fn is_on_link(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// Whether it is one of AWS's own inside a VPC, fd00:ec2::/32, which each instance reaches as if it were on its link.
pub(crate) const fn is_of_vpc(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if matches!(ip.segments(), [0xfd00, 0x0ec2, ..]))
}
