//! Asks chronyd for its `tracking`: over UDP on loopback, which needs no privilege, or over its Unix socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::tracking::{Tracking, Unheard, decode, request};
use crate::foreign::{Refusal, Rule, Tree, Want, Writers};
use crate::reason::reason;
use crate::sys::ReplySocket;

/// How long one attempt waits; chronyd answers within a millisecond or not at all.
const PATIENCE: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 2;
/// Where a folder of our own is made, in which chronyd finds our socket.
const OWN: &str = "/run";
/// More datagrams than this that belong to no request of ours are a flood.
const MOST_JUNK: u32 = 16;

/// Where chronyd takes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// UDP, on loopback.
    Udp(SocketAddr),
    /// A Unix socket.
    Socket {
        /// The folder below which it is, which is `/` but in tests.
        root: PathBuf,
        /// Its path there.
        path: PathBuf,
        /// Who may have opened it.
        writers: Writers,
    },
}

/// Asks chronyd for its `tracking`, at each place in turn until one answers. Takes a second for each at most.
///
/// # Errors
/// Why the last place gave no answer.
pub async fn ask(places: &[Place]) -> Result<Tracking, Unheard> {
    let mut result = Err(unreachable(&io::ErrorKind::NotFound.into()));
    for place in places {
        result = match place {
            Place::Udp(address) => ask_udp(*address).await,
            Place::Socket { root, path, writers } => ask_socket(root, path, writers, Path::new(OWN)).await,
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

/// chronyd answers to the path of a socket, so that there has to be one. `chronyc` makes it beside that of chronyd, in a
/// folder in which the user of chronyd may put something else in its place; here it is in a new folder below `own` that is
/// ours alone. Where a policy of the system lets chronyd write into its own folder alone, it does not answer.
async fn ask_socket(root: &Path, path: &Path, writers: &Writers, own: &Path) -> Result<Tracking, Unheard> {
    let rule = Rule::WrittenBy(writers);
    let found = Tree::at(root).and_then(|root| root.find(path, Want::File, &rule)).map_err(refused)?;
    if !found.is_socket() {
        return Err(refused(Refusal::NotAFile));
    }
    let socket = ReplySocket::connect(own, &found).map_err(|error| unreachable(&error))?;
    converse(async |packet| socket.send(packet).await, async |buffer| socket.recv(buffer).await).await
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
    Unheard::Unreachable(reason(error))
}

fn refused(refusal: Refusal) -> Unheard {
    match refusal {
        Refusal::Owner { .. } | Refusal::Writable { .. } => Unheard::Untrusted(refusal),
        other => unreachable(&other.into()),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use tokio::net::UnixDatagram;

    use super::super::tracking::tests::{reply, tracking};
    use super::*;

    /// The sequence of a request.
    fn sequence_of(request: &[u8]) -> u32 {
        u32::from_be_bytes(*request[8..].first_chunk().unwrap())
    }

    fn socket(root: &Path) -> Place {
        Place::Socket { root: root.to_owned(), path: "chronyd.sock".into(), writers: Writers::with([]) }
    }

    #[tokio::test]
    async fn a_closed_port_and_a_missing_socket_are_told_at_once() {
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = ask(&[Place::Udp(closed)]).await.unwrap_err();
        assert_eq!(error, unreachable(&io::ErrorKind::ConnectionRefused.into()));
        let folder = tempfile::tempdir().unwrap();
        let error = ask(&[socket(folder.path())]).await.unwrap_err();
        assert_eq!(error, unreachable(&io::ErrorKind::NotFound.into()));
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
        let own = tempfile::tempdir().unwrap();
        let writers = Writers::with([]);
        let name = Path::new("chronyd.sock");
        let asking = async {
            assert!(ask(&[Place::Udp(closed)]).await.is_err());
            ask_socket(folder.path(), name, &writers, own.path()).await
        };
        let (heard, ()) = tokio::join!(asking, serve);
        assert_eq!(heard.unwrap(), tracking());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the server's own socket is left");
        assert_eq!(fs::read_dir(own.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn a_socket_in_a_folder_that_others_can_write_is_not_spoken_to_and_neither_is_what_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let _server = UnixDatagram::bind(folder.path().join("chronyd.sock")).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let expected = Unheard::Untrusted(Refusal::Writable { path: "/".into() });
        assert_eq!(ask(&[socket(folder.path())]).await, Err(expected));
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("chronyd.sock"), "").unwrap();
        let expected = refused(Refusal::NotAFile);
        assert_eq!(ask(&[socket(other.path())]).await, Err(expected));
    }

    #[tokio::test]
    async fn a_silent_chronyd_takes_a_second() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let started = Instant::now();
        assert_eq!(ask(&[Place::Udp(silent.local_addr().unwrap())]).await, Err(Unheard::Timeout));
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}
