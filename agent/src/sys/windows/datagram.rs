//! Time stamps of datagrams: those of user space. Windows has some of its own (`SIO_TIMESTAMPING`, since Windows 10 2004), by
//! a counter and on drivers that nobody here could verify; a stamp that is wrong would be worse than one that is late.

use std::io;

use tokio::net::UdpSocket;
use windows_sys::Win32::Networking::WinSock::WSAEMSGSIZE;

use crate::time::SystemTime;

/// What keeps the kernel stamping.
pub type Stamping = ();

/// Asks the kernel to stamp what this socket sends and receives.
///
/// # Errors
/// It does not.
pub fn enable_timestamping(_socket: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Keeps the kernel stamping.
///
/// # Errors
/// It does not.
pub fn keep_timestamping() -> io::Result<Stamping> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Receives one datagram without waiting: its length, and when the kernel received it, where the kernel says so.
///
/// # Errors
/// Those of `recv`, `WouldBlock` where nothing has arrived.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Option<SystemTime>)> {
    match socket.try_recv(buffer) {
        // It was longer than there is room for: its beginning is there, which is all that other systems tell.
        Err(error) if error.raw_os_error() == Some(WSAEMSGSIZE) => Ok((buffer.len(), None)),
        received => Ok((received?, None)),
    }
}

/// When the kernel sent the last datagram of this socket, where it says so.
///
/// # Errors
/// None.
pub const fn transmit_timestamp(_socket: &UdpSocket) -> io::Result<Option<SystemTime>> {
    Ok(None)
}
