//! Asks chronyd for its `tracking`: over UDP on loopback, which needs no privilege, or over its Unix socket.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UdpSocket, UnixDatagram};
use tokio::time::{Instant, timeout_at};

use super::tracking::{Tracking, Unheard, decode, request};

/// How long one attempt waits; chronyd answers within a millisecond or not at all.
const PATIENCE: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 2;
/// More datagrams than this that belong to no request of ours are a flood.
const MOST_JUNK: u32 = 16;

/// Where chronyd takes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// UDP, on loopback.
    Udp(SocketAddr),
    /// A Unix socket in a folder that belongs to chronyd, in which the one who asks needs a socket as well.
    Socket(PathBuf),
}

/// Asks chronyd for its `tracking`, at each place in turn until one answers. Takes a second for each at most.
///
/// # Errors
/// Why the last place gave no answer.
pub async fn ask(places: &[Place]) -> Result<Tracking, Unheard> {
    let mut result = Err(Unheard::Unreachable(io::ErrorKind::NotFound));
    for place in places {
        result = match place {
            Place::Udp(address) => ask_udp(*address).await,
            Place::Socket(path) => ask_socket(path).await,
        };
        if result.is_ok() {
            break;
        }
    }
    result
}

async fn ask_udp(address: SocketAddr) -> Result<Tracking, Unheard> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(|error| unreachable(&error))?;
    socket.connect(address).await.map_err(|error| unreachable(&error))?;
    converse(async |packet| socket.send(packet).await, async |buffer| socket.recv(buffer).await).await
}

/// chronyd answers to the path of a socket, so that there has to be one, beside its own as that of `chronyc` is.
async fn ask_socket(path: &Path) -> Result<Tracking, Unheard> {
    let own = path.with_file_name(format!("skewguard.{}.sock", std::process::id()));
    let socket = UnixDatagram::bind(&own).map_err(|error| unreachable(&error))?;
    let _removed = Removed(&own);
    // chronyd has given up the privileges with which it could write to a socket of root's.
    fs::set_permissions(&own, Permissions::from_mode(0o666)).map_err(|error| unreachable(&error))?;
    socket.connect(path).map_err(|error| unreachable(&error))?;
    converse(async |packet| socket.send(packet).await, async |buffer| socket.recv(buffer).await).await
}

/// A path at which nothing is left in the end.
struct Removed<'a>(&'a Path);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        // It is gone, or its folder is.
        let _ = fs::remove_file(self.0);
    }
}

async fn converse(
    send: impl AsyncFn(&[u8]) -> io::Result<usize>,
    receive: impl AsyncFn(&mut [u8]) -> io::Result<usize>,
) -> Result<Tracking, Unheard> {
    let mut result = Err(Unheard::Timeout);
    for _ in 0..ATTEMPTS {
        let sequence = fastrand::u32(..);
        let deadline = Instant::now() + PATIENCE;
        match timeout_at(deadline, send(&request(sequence))).await {
            Err(_) => continue,
            Ok(sent) => sent.map_err(|error| unreachable(&error))?,
        };
        for _ in 0..MOST_JUNK {
            let mut buffer = [0; 1_024];
            let Ok(received) = timeout_at(deadline, receive(&mut buffer)).await else {
                break;
            };
            let length = received.map_err(|error| unreachable(&error))?;
            result = decode(buffer.get(..length).unwrap_or_default(), sequence);
            match result {
                Err(Unheard::Foreign) => {}
                _ => return result,
            }
        }
    }
    result
}

fn unreachable(error: &io::Error) -> Unheard {
    Unheard::Unreachable(error.kind())
}

#[cfg(test)]
mod tests {
    use super::super::tracking::tests::{reply, tracking};
    use super::*;

    /// The sequence of a request.
    fn sequence_of(request: &[u8]) -> u32 {
        u32::from_be_bytes(*request[8..].first_chunk().unwrap())
    }

    #[tokio::test]
    async fn a_closed_port_and_a_missing_socket_are_told_at_once() {
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = ask(&[Place::Udp(closed)]).await.unwrap_err();
        assert_eq!(error, Unheard::Unreachable(io::ErrorKind::ConnectionRefused));
        let folder = tempfile::tempdir().unwrap();
        let error = ask(&[Place::Socket(folder.path().join("chronyd.sock"))]).await.unwrap_err();
        assert_eq!(error, Unheard::Unreachable(io::ErrorKind::NotFound));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn replies_to_others_are_passed_over_and_the_socket_is_asked_where_udp_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chronyd.sock");
        let server = UnixDatagram::bind(&path).unwrap();
        let serve = async {
            let mut buffer = [0; 200];
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            let sequence = sequence_of(&buffer[..length]);
            for sequence in [sequence.wrapping_add(1), sequence] {
                server.send_to(&reply(sequence), from.as_pathname().unwrap()).await.unwrap();
            }
        };
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let places = [Place::Udp(closed), Place::Socket(path)];
        let (heard, ()) = tokio::join!(ask(&places), serve);
        assert_eq!(heard.unwrap(), tracking());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the server's own socket is left");
    }

    #[tokio::test]
    async fn a_silent_chronyd_takes_a_second() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let started = Instant::now();
        assert_eq!(ask(&[Place::Udp(silent.local_addr().unwrap())]).await, Err(Unheard::Timeout));
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}
