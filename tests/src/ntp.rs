//! The lab's own NTP: a packet, a client that serves as the yardstick, and a server whose every reply a test builds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::net::{Net, Side};

/// The NTP port.
pub const PORT: u16 = 123;

const UNIX_EPOCH_IN_NTP_SECONDS: u64 = 2_208_988_800;
const TIMEOUT: Duration = Duration::from_secs(1);
const SHUTDOWN_POLL: Duration = Duration::from_millis(50);

/// An NTP packet's header (RFC 5905 §7.3); anything can be put in, sense or nonsense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Leap indicator; 3 is "not synchronized".
    pub leap: u8,
    /// Protocol version.
    pub version: u8,
    /// 3 is a client, 4 a server.
    pub mode: u8,
    /// 0 is a kiss-o'-death.
    pub stratum: u8,
    /// Base-2 logarithm of the poll interval in seconds.
    pub poll: i8,
    /// Base-2 logarithm of the clock's precision in seconds.
    pub precision: i8,
    /// 16.16 fixed-point seconds.
    pub root_delay: u32,
    /// 16.16 fixed-point seconds.
    pub root_dispersion: u32,
    /// Four letters at stratum 0 and 1, else an address.
    pub reference_id: [u8; 4],
    /// When the server's clock was last set, as all times here in 32.32 fixed-point seconds since 1900.
    pub reference: u64,
    /// T1: the client's transmit time, echoed.
    pub originate: u64,
    /// T2: when the request arrived.
    pub receive: u64,
    /// T3: when the reply left.
    pub transmit: u64,
}

impl Packet {
    /// Length of the encoded header.
    pub const LEN: usize = 48;

    /// A blameless stratum 1 reply from a server whose clock is `offset` seconds ahead of the system's.
    pub fn answer(request: &Self, offset: f64) -> Self {
        let now = shifted(now(), offset);
        Self {
            version: request.version,
            mode: 4,
            stratum: 1,
            poll: request.poll,
            precision: -20,
            root_dispersion: 1,
            reference_id: *b"LAB\0",
            reference: shifted(now, -1.0),
            originate: request.transmit,
            receive: now,
            transmit: now,
            ..Self::default()
        }
    }

    /// A kiss-o'-death: `RATE`, `DENY` or `RSTR` (RFC 5905 §7.4).
    pub fn kiss(request: &Self, code: [u8; 4]) -> Self {
        Self { leap: 3, stratum: 0, reference_id: code, ..Self::answer(request, 0.0) }
    }

    /// The wire form.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let flags = (self.leap & 3) << 6 | (self.version & 7) << 3 | self.mode & 7;
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.extend([flags, self.stratum, self.poll.cast_unsigned(), self.precision.cast_unsigned()]);
        bytes.extend(self.root_delay.to_be_bytes());
        bytes.extend(self.root_dispersion.to_be_bytes());
        bytes.extend(self.reference_id);
        for time in [self.reference, self.originate, self.receive, self.transmit] {
            bytes.extend(time.to_be_bytes());
        }
        bytes.try_into().expect("4 + 3 × 4 + 4 × 8 bytes are 48")
    }

    /// Reads the header; what follows it is ignored.
    ///
    /// # Errors
    /// When there are fewer than 48 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let [flags, stratum, poll, precision] = take(&mut rest)?;
        Ok(Self {
            leap: flags >> 6,
            version: flags >> 3 & 7,
            mode: flags & 7,
            stratum,
            poll: poll.cast_signed(),
            precision: precision.cast_signed(),
            root_delay: u32::from_be_bytes(take(&mut rest)?),
            root_dispersion: u32::from_be_bytes(take(&mut rest)?),
            reference_id: take(&mut rest)?,
            reference: u64::from_be_bytes(take(&mut rest)?),
            originate: u64::from_be_bytes(take(&mut rest)?),
            receive: u64::from_be_bytes(take(&mut rest)?),
            transmit: u64::from_be_bytes(take(&mut rest)?),
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = rest.split_first_chunk().context("the NTP packet is too short")?;
    *rest = tail;
    Ok(*head)
}

/// The system clock in NTP's 32.32 fixed point, wrapping at the end of an era.
pub fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("the machine's clock is past 1970");
    let seconds = since_epoch.as_secs().wrapping_add(UNIX_EPOCH_IN_NTP_SECONDS);
    (seconds << 32) | ((u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000)
}

/// `time` moved by `seconds`, to the microsecond.
pub fn shifted(time: u64, seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "a test's offsets lie far within ±68 years")]
    let units = (seconds * 4_294_967_296.0) as i64;
    time.wrapping_add_signed(units)
}

/// `later − earlier` in seconds, right across the end of an era.
pub fn difference(later: u64, earlier: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for 400 s the loss is far below a nanosecond")]
    let units = later.wrapping_sub(earlier).cast_signed() as f64;
    units / 4_294_967_296.0
}

/// One measurement by the yardstick.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// Server time − system time in seconds; positive means that the system clock is slow.
    pub offset: f64,
    /// Round trip without the server's own time, in seconds.
    pub delay: f64,
    /// The reply itself.
    pub packet: Packet,
}

/// Asks a server once. Call it through [`Net::within`] to ask from inside a namespace.
///
/// # Errors
/// When no reply to this very request arrives within a second.
pub fn query(server: SocketAddr) -> Result<Measurement> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.connect(server)?;
    let sent = now();
    socket.send(&Packet { version: 4, mode: 3, transmit: sent, ..Packet::default() }.encode())?;
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).with_context(|| format!("no reply from {server}"))?;
    let received = now();
    let packet = Packet::decode(buffer.get(..length).expect("recv returns at most the buffer's length"))?;
    ensure!(packet.originate == sent, "{server} answered another request");
    let there = difference(packet.receive, sent);
    let back = difference(packet.transmit, received);
    let delay = difference(received, sent) - difference(packet.transmit, packet.receive);
    Ok(Measurement { offset: f64::midpoint(there, back), delay, packet })
}

/// Builds the datagrams that answer one request: none, one or many, well formed or not. It may sleep first.
pub type Script = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>> + Send>;

/// An NTP server that says what a test makes it say.
pub struct NtpServer {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    requests: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NtpServer {
    /// Serves on an address inside a namespace.
    ///
    /// # Errors
    /// When the address is not there or taken.
    pub fn start(
        net: &Net,
        side: Side,
        address: SocketAddr,
        script: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Result<Self> {
        let socket = net.within(side, || UdpSocket::bind(address))?;
        Self::serve(socket.with_context(|| format!("failed to bind {address}"))?, script)
    }

    /// Serves on a socket that is already bound.
    ///
    /// # Errors
    /// When the socket refuses a timeout.
    pub fn serve(socket: UdpSocket, script: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Result<Self> {
        socket.set_read_timeout(Some(SHUTDOWN_POLL))?;
        let address = socket.local_addr()?;
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let requests = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (script, requests, stop) = (Arc::clone(&script), Arc::clone(&requests), Arc::clone(&stop));
            move || answer_until_stopped(&socket, &script, &requests, &stop)
        });
        Ok(Self { address, script, requests, stop, thread: Some(thread) })
    }

    /// Replaces the script.
    pub fn set_script(&self, script: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many datagrams have arrived.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A script that answers every proper request with what `reply` makes of it.
pub fn scripted(mut reply: impl FnMut(&Packet) -> Packet + Send + 'static) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send {
    move |request| Packet::decode(request).map(|request| reply(&request).encode().to_vec()).into_iter().collect()
}

/// A script that serves the machine's time plus so many seconds: a host that asks is slow by as much.
pub fn ahead_by(seconds: f64) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send {
    scripted(move |request| Packet::answer(request, seconds))
}

fn answer_until_stopped(socket: &UdpSocket, script: &Mutex<Script>, requests: &AtomicUsize, stop: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::SeqCst) {
        // An error is the timeout that makes room for `stop`, or an ICMP answer to an earlier reply.
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        requests.fetch_add(1, Ordering::SeqCst);
        let request = buffer.get(..length).unwrap_or_default();
        let replies = script.lock().unwrap_or_else(PoisonError::into_inner)(request);
        for reply in replies {
            // The client may be gone: that is its own affair.
            let _ = socket.send_to(&reply, client);
        }
    }
}

impl Drop for NtpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_loopback(script: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> NtpServer {
        NtpServer::serve(UdpSocket::bind("127.0.0.1:0").unwrap(), script).unwrap()
    }

    #[test]
    fn a_packet_survives_the_wire() {
        let request = Packet { version: 4, mode: 3, poll: -3, transmit: now(), ..Packet::default() };
        let packet = Packet { leap: 3, precision: -25, root_delay: 7, ..Packet::answer(&request, -400.0) };
        assert_eq!(Packet::decode(&packet.encode()).unwrap(), packet);
        assert!(Packet::decode(&packet.encode()[..47]).is_err());
    }

    #[test]
    fn the_yardstick_sees_the_offset_that_a_server_was_given() {
        for offset in [0.0, 400.0, -400.0, 86_400.5] {
            let server = on_loopback(scripted(move |request| Packet::answer(request, offset)));
            let measured = query(server.address()).unwrap();
            assert!((measured.offset - offset).abs() < 0.01, "{offset}: {measured:?}");
            assert_eq!(server.requests(), 1);
        }
    }

    #[test]
    fn a_script_can_be_replaced_while_the_server_runs() {
        let server = on_loopback(scripted(|request| Packet::answer(request, 0.0)));
        server.set_script(scripted(|request| Packet::kiss(request, *b"RATE")));
        let packet = query(server.address()).unwrap().packet;
        assert_eq!((packet.stratum, packet.reference_id), (0, *b"RATE"));
    }

    #[test]
    fn a_reply_to_another_request_is_refused() {
        let server = on_loopback(scripted(|request| Packet { originate: 1, ..Packet::answer(request, 0.0) }));
        assert!(query(server.address()).is_err());
    }
}
