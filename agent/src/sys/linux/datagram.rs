//! Kernel time stamps of datagrams.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, TimestampingFlag, recvmsg, setsockopt, socket,
};
use tokio::net::UdpSocket;

use super::clock::nanos;
use crate::time::SystemTime;

/// What keeps the kernel stamping.
pub type Stamping = OwnedFd;

/// Asks the kernel to stamp what this socket sends and receives.
///
/// # Errors
/// Those of `setsockopt(2)`; some sandboxes refuse it.
pub fn enable_timestamping(socket: &UdpSocket) -> io::Result<()> {
    stamp(socket)
}

fn stamp(socket: &impl AsFd) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    setsockopt(socket, Timestamping, &flags)?;
    Ok(())
}

/// Keeps the kernel stamping for as long as the result lives.
///
/// The kernel begins to stamp what arrives a moment after the first socket asks for it, and ends with the last one: a
/// process that opens a socket for each query would lose stamps to that moment again and again.
///
/// # Errors
/// Those of `socket(2)` and `setsockopt(2)`.
pub fn keep_timestamping() -> io::Result<Stamping> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    stamp(&socket)?;
    Ok(socket)
}

/// Receives one datagram without waiting: its length, and when the kernel received it, where the kernel says so.
///
/// # Errors
/// Those of `recvmsg(2)`, `WouldBlock` where nothing has arrived.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Option<SystemTime>)> {
    receive_with(socket.as_fd(), buffer, MsgFlags::MSG_DONTWAIT)
}

/// When the kernel sent the last datagram of this socket, where it says so.
///
/// # Errors
/// Those of `recvmsg(2)`, `WouldBlock` where there is no stamp (yet).
pub fn transmit_timestamp(socket: &UdpSocket) -> io::Result<Option<SystemTime>> {
    receive_with(socket.as_fd(), &mut [0; 1], MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT).map(|(_, stamp)| stamp)
}

fn receive_with(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> io::Result<(usize, Option<SystemTime>)> {
    // Room for SCM_TIMESTAMPING (three timespecs) and the IP_RECVERR block that comes with it, each with its header.
    let mut control = [0; 256];
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    let stamp = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampsns(stamps) => Some(stamps.system),
            _ => None,
        })
    });
    let stamp = stamp.map(nanos).filter(|stamp| *stamp != 0).map(SystemTime::from_nanos);
    Ok((message.bytes, stamp))
}

#[cfg(test)]
mod tests {
    use tokio::io::Interest;

    use super::*;
    use crate::sys::realtime;

    #[tokio::test]
    async fn datagrams_on_loopback_are_stamped_in_both_directions() {
        let _keeper = keep_timestamping().unwrap();
        // The first may come before the kernel has begun.
        for attempt in 0.. {
            let stamps = exchange().await;
            if stamps.iter().all(Option::is_some) {
                assert!(stamps.is_sorted(), "{stamps:?}");
                return;
            }
            assert!(attempt < 100, "{stamps:?}");
        }
    }

    /// When user space was about to send, the kernel sent, it received, and user space had all of it.
    async fn exchange() -> [Option<SystemTime>; 4] {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        enable_timestamping(&client).unwrap();
        client.connect(server.local_addr().unwrap()).await.unwrap();
        let before = realtime().unwrap();
        client.send(b"ping").await.unwrap();
        let (_, from) = server.recv_from(&mut [0; 8]).await.unwrap();
        server.send_to(b"pong!", from).await.unwrap();
        let mut buffer = [0; 8];
        let (length, received) = loop {
            client.readable().await.unwrap();
            match client.try_io(Interest::READABLE, || receive(&client, &mut buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => break other.unwrap(),
            }
        };
        assert_eq!(buffer.get(..length), Some(&b"pong!"[..]));
        let sent = transmit_timestamp(&client).unwrap();
        [Some(before), sent, received, Some(realtime().unwrap())]
    }
}
