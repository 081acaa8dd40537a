//! The socket under sntpc: it keeps what sntpc throws away, the raw reply and the moments of departure and arrival.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::clock::local;
use crate::clock::sample::Timestamps;
use crate::sys;
use crate::time::{BootTime, Reading, Span, SystemTime};

/// A step of the system clock between departure and arrival that is larger than this is noticed.
const STEADY: Span = Span::from_nanos(100_000);

/// A socket that remembers its last exchange.
pub trait Stamped: sntpc::NtpUdpSocket {
    /// The exchange that has just ended; `None` before the first reply.
    fn exchanged(&self) -> Option<Exchanged>;
}

/// When the request left and the reply arrived, on the boot clock, and the reply.
#[derive(Clone, Copy, Debug)]
pub struct Exchanged {
    /// The departure of the request.
    pub departure: BootTime,
    /// The arrival of the reply.
    pub arrival: BootTime,
    /// By whose clock readings.
    pub timestamps: Timestamps,
    /// The first 48 bytes of the reply; zeroes follow a shorter one.
    pub reply: [u8; 48],
}

/// A UDP socket that is connected to one server and remembers one exchange.
pub(super) struct StampedSocket {
    socket: UdpSocket,
    server: SocketAddr,
    kernel_stamps: bool,
    exchange: Mutex<Exchange>,
}

#[derive(Clone, Copy, Default)]
struct Exchange {
    departure: Option<Reading>,
    arrival: Option<Arrival>,
}

#[derive(Clone, Copy)]
struct Arrival {
    reading: Reading,
    kernel: Option<SystemTime>,
    reply: [u8; 48],
}

impl StampedSocket {
    pub(super) async fn connect(server: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(server).await?;
        // Held until the process ends; a sandbox that refuses it refuses the next line as well.
        static KEEPER: OnceLock<Option<sys::Stamping>> = OnceLock::new();
        KEEPER.get_or_init(|| sys::keep_timestamping().ok());
        let kernel_stamps = sys::enable_timestamping(&socket).is_ok();
        Ok(Self { socket, server, kernel_stamps, exchange: Mutex::default() })
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamped for StampedSocket {
    fn exchanged(&self) -> Option<Exchanged> {
        let Exchange { departure, arrival } = *self.exchange();
        let (departure, Arrival { reading: arrival, kernel: kernel_arrival, reply }) = (departure?, arrival?);
        // Stamps of one side alone would bias the offset by half the path through the kernel: both or neither.
        let kernel = if self.kernel_stamps {
            sys::transmit_timestamp(&self.socket).ok().flatten().zip(kernel_arrival)
        } else {
            None
        };
        let user_space = |timestamps| Exchanged { departure: departure.boot, arrival: arrival.boot, timestamps, reply };
        let Some((sent, received)) = kernel else { return Some(user_space(Timestamps::UserSpaceMissing)) };
        let stepped = arrival.system_minus_boot().nanos().saturating_sub(departure.system_minus_boot().nanos());
        let ordered = departure.system <= sent && sent <= received && received <= arrival.system;
        if !ordered || Span::from_nanos(stepped).abs() > STEADY {
            return Some(user_space(Timestamps::UserSpaceContradicted));
        }
        let boot =
            |stamp: SystemTime| BootTime::from_nanos(stamp.nanos().saturating_sub(arrival.system_minus_boot().nanos()));
        Some(Exchanged { departure: boot(sent), arrival: boot(received), timestamps: Timestamps::Kernel, reply })
    }
}

impl sntpc::NtpUdpSocket for StampedSocket {
    async fn send_to(&self, request: &[u8], _server: SocketAddr) -> sntpc::Result<usize> {
        // Waiting for the socket comes before the reading of the clock, not after it.
        self.socket.writable().await.map_err(|_| sntpc::Error::Network)?;
        self.exchange().departure = Some(local::read());
        self.socket.send(request).await.map_err(|_| sntpc::Error::Network)
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let receive = || sys::receive(&self.socket, buffer);
        // A refusal by the network arrives as an error, not as something to read.
        let ready = Interest::READABLE | Interest::ERROR;
        let (length, kernel) = self.socket.async_io(ready, receive).await.map_err(|_| sntpc::Error::Network)?;
        let reading = local::read();
        let mut reply = [0; 48];
        for (kept, received) in reply.iter_mut().zip(buffer.iter().take(length)) {
            *kept = *received;
        }
        self.exchange().arrival = Some(Arrival { reading, kernel, reply });
        Ok((length, self.server))
    }
}
