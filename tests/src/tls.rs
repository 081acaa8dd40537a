//! Authorities, certificates and HTTPS servers of a test's own; the servers judge by the machine's clock.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::http::{Reply, Request, http_date, read_request, write_reply};
use crate::net::{Net, Side};

const SHUTDOWN_POLL: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(5);
const DAY: f64 = 86_400.0;

/// An authority that issues certificates, valid for a century around now.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// When the name does not fit into a certificate.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = params(&[], -18_000.0 * DAY, 18_000.0 * DAY)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for a name or an address, valid for a day around `true_minus_system` seconds from now.
    ///
    /// # Errors
    /// When the name does not fit into a certificate.
    pub fn issue(&self, name: &str, true_minus_system: f64) -> Result<Identity> {
        let params = params(&[name], true_minus_system - DAY / 2.0, true_minus_system + DAY / 2.0)?;
        let key = KeyPair::generate()?;
        Ok(Identity { certificate: params.signed_by(&key, &self.0)?.pem(), key: key.serialize_pem() })
    }
}

/// Valid between two points, in seconds from now.
fn params(names: &[&str], from: f64, to: f64) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    let now = SystemTime::now();
    let at = |seconds: f64| {
        let distance = Duration::from_secs_f64(seconds.abs());
        if seconds < 0.0 { now - distance } else { now + distance }
    };
    (params.not_before, params.not_after) = (at(from).into(), at(to).into());
    Ok(params)
}

/// What a server asks of those who come.
#[derive(Clone, Copy, Default)]
pub struct Demands<'a> {
    /// A certificate of this authority.
    pub clients_of: Option<&'a Authority>,
    /// A `CONNECT` before TLS: the server plays an HTTP proxy and every host behind it.
    pub connect: bool,
}

#[derive(Default)]
struct State {
    taken: Mutex<Vec<Request>>,
    connects: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// An HTTPS server which takes every request that arrives, and closes the connection after it.
pub struct HttpsServer {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl HttpsServer {
    /// Serves on an address inside a namespace.
    ///
    /// # Errors
    /// When the address is not there or taken, or the identity is none.
    pub fn start(
        net: &Net,
        side: Side,
        address: SocketAddr,
        identity: &Identity,
        demands: Demands<'_>,
    ) -> Result<Self> {
        let config = Arc::new(config(identity, demands.clients_of)?);
        let listener = net.within(side, || TcpListener::bind(address))?;
        let listener = listener.with_context(|| format!("failed to bind {address}"))?;
        listener.set_nonblocking(true)?;
        let state = Arc::new(State::default());
        let thread = thread::spawn({
            let state = Arc::clone(&state);
            move || accept_until_stopped(&listener, &config, demands.connect, &state)
        });
        Ok(Self { address, state, thread: Some(thread) })
    }

    /// All requests that arrived so far.
    pub fn taken(&self) -> Vec<Request> {
        self.state.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The hosts and ports to which a proxy was asked to connect.
    pub fn connects(&self) -> Vec<String> {
        self.state.connects.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn config(identity: &Identity, clients_of: Option<&Authority>) -> Result<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match clients_of {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    Ok(builder.with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?)?)
}

fn accept_until_stopped(listener: &TcpListener, config: &Arc<ServerConfig>, connect: bool, state: &Arc<State>) {
    while !state.stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let (state, config) = (Arc::clone(state), Arc::clone(config));
                // A client that leaves midway is what some tests are about.
                thread::spawn(move || drop(converse(stream, config, connect, &state)));
            }
            Err(_) => thread::sleep(SHUTDOWN_POLL),
        }
    }
}

fn converse(mut stream: TcpStream, config: Arc<ServerConfig>, connect: bool, state: &State) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    if connect {
        let target = read_connect(&mut stream)?;
        state.connects.lock().unwrap_or_else(PoisonError::into_inner).push(target);
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    }
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let taken = take(&mut tls, state);
    // An alert must not be lost in a reset because something was left unread.
    tls.conn.send_close_notify();
    while tls.conn.wants_write() && tls.conn.write_tls(&mut tls.sock)? > 0 {}
    tls.sock.shutdown(Shutdown::Write)?;
    io::copy(&mut tls.sock, &mut io::sink())?;
    taken
}

fn take(tls: &mut StreamOwned<ServerConnection, TcpStream>, state: &State) -> io::Result<()> {
    let request = read_request(&mut *tls)?;
    state.taken.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    write_reply(tls, &Reply::ok("").header("Date", &http_date()))
}

/// Reads a request byte by byte, so that nothing of what follows is lost.
fn read_connect(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    target.map(ToOwned::to_owned).ok_or_else(|| ErrorKind::InvalidData.into())
}
