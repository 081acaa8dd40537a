//! The cable, listened to from outside of all programs: how many packets go to and from an address.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;

use crate::net::{Net, Side};

const SHUTDOWN_POLL: TimeVal = TimeVal::new(0, 50_000);
/// The largest packet; what a network card would cut to pieces may be one here.
const LARGEST: usize = 65_536;
/// What of a TCP stream fits into one packet on a link with an MTU of 1500.
const SEGMENT: usize = 1_460;

/// Counts packets of TCP and UDP to and from one address, until it is dropped.
pub struct Wire {
    packets: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// Begins to count on one side of the cable.
    ///
    /// # Errors
    /// When the process may not listen to a link, or the address is not IPv4.
    pub fn listen(net: &Net, side: Side, address: IpAddr) -> Result<Self> {
        let IpAddr::V4(address) = address else { bail!("{address} is not IPv4, the only one that is counted") };
        let socket = net.within(side, || {
            socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        })?;
        let socket = socket.context("failed to listen to the link")?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &SHUTDOWN_POLL)?;
        let (packets, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (packets, stop) = (Arc::clone(&packets), Arc::clone(&stop));
            move || count_until_stopped(&socket, address, &packets, &stop)
        });
        Ok(Self { packets, stop, thread: Some(thread) })
    }

    /// How many there were so far, in both directions.
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn count_until_stopped(socket: &OwnedFd, address: Ipv4Addr, packets: &AtomicU64, stop: &AtomicBool) {
    let mut buffer = vec![0; LARGEST];
    while !stop.load(Ordering::SeqCst) {
        // An error is the timeout that makes room for `stop`.
        let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) else { continue };
        let packet = buffer.get(..length).unwrap_or_default();
        packets.fetch_add(segments(packet, address).unwrap_or(0), Ordering::SeqCst);
    }
}

/// As how many packets an IPv4 packet (RFC 791 §3.1) of TCP (RFC 9293 §3.1) or UDP to or from `address` travels; `None` for
/// any other.
fn segments(packet: &[u8], address: Ipv4Addr) -> Option<u64> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let is_ours = |at: usize| packet.get(at..at + 4) == Some(&address.octets());
    if packet.first()? >> 4 != 4 || !(is_ours(12) || is_ours(16)) {
        return None;
    }
    match *packet.get(9)? {
        TCP => {}
        UDP => return Some(1),
        _ => return None,
    }
    let header = usize::from(packet.first()? & 0xf) * 4;
    let tcp_header = usize::from(packet.get(header + 12)? >> 4) * 4;
    let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let content = length.saturating_sub(header + tcp_header);
    u64::try_from(content.div_ceil(SEGMENT).max(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

    fn packet(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, content: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0];
        packet.extend((40 + content).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        packet.extend(source.octets());
        packet.extend(destination.octets());
        packet.extend([0; 12]);
        packet.extend([0x50, 0, 0, 0, 0, 0, 0, 0]);
        packet
    }

    #[test]
    fn tcp_and_udp_in_both_directions_are_counted_and_nothing_else() {
        let other = Ipv4Addr::new(169, 254, 100, 2);
        assert_eq!(segments(&packet(6, ADDRESS, other, 0), ADDRESS), Some(1));
        assert_eq!(segments(&packet(6, other, ADDRESS, 1_460), ADDRESS), Some(1));
        assert_eq!(segments(&packet(6, other, ADDRESS, 1_461), ADDRESS), Some(2));
        assert_eq!(segments(&packet(17, other, ADDRESS, 0), ADDRESS), Some(1));
        assert_eq!(segments(&packet(1, other, ADDRESS, 0), ADDRESS), None);
        assert_eq!(segments(&packet(6, other, other, 0), ADDRESS), None);
        assert_eq!(segments(&packet(6, other, ADDRESS, 0)[..21], ADDRESS), None);
    }
}
