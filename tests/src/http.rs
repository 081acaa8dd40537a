//! A scripted HTTP/1.1 server and a small client: fakes of metadata services, collectors and webhooks, and their faults.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};

use crate::net::{Net, Side};
use crate::process::Server;
use crate::wait::wait_until;

/// For so long an address may seem to be taken.
const TAKEN: Duration = Duration::from_secs(5);
const SHUTDOWN_POLL: Duration = Duration::from_millis(10);
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body by `Content-Length`; chunked bodies are not read.
    pub body: Vec<u8>,
}

impl Request {
    /// Method and path without the query, the key by which routes and counts go: `GET /latest/meta-data/`.
    pub fn route(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }
}

/// What the server does with a request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Status code; 0 closes the connection without a word.
    pub status: u16,
    /// Beside `Content-Length` and `Connection: close`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Wait before the first byte.
    pub delay: Duration,
    /// Send the body byte by byte with this pause between them.
    pub drip: Duration,
    /// Cut the connection after so many bytes of the body, though `Content-Length` promises all.
    pub cut_after: Option<usize>,
    /// How many hops the packets of the reply may take; as many as is usual where it is `None`.
    pub hop_limit: Option<u32>,
}

impl Reply {
    /// A status with a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// 200 with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// Closes the connection without a word.
    pub fn hang_up() -> Self {
        Self::default()
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before the first byte.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Lets the packets of the reply take so many hops and no more.
    #[must_use]
    pub fn within_hops(mut self, limit: u32) -> Self {
        self.hop_limit = Some(limit);
        self
    }

    /// Sends the body byte by byte.
    #[must_use]
    pub fn dripping(mut self, pause: Duration) -> Self {
        self.drip = pause;
        self
    }
}

/// What time it is, as servers tell it.
pub fn http_date() -> String {
    http_date_ahead(0)
}

/// The same by a server whose clock is so many seconds ahead.
pub fn http_date_ahead(seconds: u64) -> String {
    let time = std::time::SystemTime::now() + Duration::from_secs(seconds);
    DateTime::<Utc>::from(time).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

#[derive(Default)]
struct State {
    routes: Mutex<BTreeMap<String, Handler>>,
    requests: Mutex<Vec<Request>>,
    stop: AtomicBool,
}

/// A server whose routes a test sets and resets. A route that is not set answers 404.
pub struct HttpServer {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves on an address inside a namespace.
    ///
    /// # Errors
    /// When the address is not there or taken.
    pub fn start(net: &Net, side: Side, address: SocketAddr) -> Result<Self> {
        // What another thread has forked holds the socket of a server that has ended, until it becomes its program.
        let mut bound = net.within(side, || TcpListener::bind(address))?;
        let began = Instant::now();
        while began.elapsed() < TAKEN && bound.as_ref().is_err_and(|error| error.kind() == ErrorKind::AddrInUse) {
            thread::sleep(SHUTDOWN_POLL);
            bound = net.within(side, || TcpListener::bind(address))?;
        }
        Self::serve(bound.with_context(|| format!("failed to bind {address}"))?)
    }

    /// Serves on a socket that is already bound.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn serve(listener: TcpListener) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let thread = thread::spawn({
            let state = Arc::clone(&state);
            move || accept_until_stopped(&listener, &state)
        });
        Ok(Self { address, state, thread: Some(thread) })
    }

    /// Sets the reply of a route such as `PUT /latest/api/token`.
    pub fn on(&self, route: &str, reply: Reply) {
        self.on_each(route, move |_| reply.clone());
    }

    /// Sets a route whose reply depends on the request, or on the time.
    pub fn on_each(&self, route: &str, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        lock(&self.state.routes).insert(route.to_owned(), Arc::new(handler));
    }

    /// Unsets a route.
    pub fn off(&self, route: &str) {
        lock(&self.state.routes).remove(route);
    }

    /// All requests so far, in the order of their arrival, those to unset routes included.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state.requests).clone()
    }

    /// How many requests a route has had.
    pub fn count(&self, route: &str) -> usize {
        lock(&self.state.requests).iter().filter(|request| request.route() == route).count()
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept_until_stopped(listener: &TcpListener, state: &Arc<State>) {
    while !state.stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let state = Arc::clone(state);
                // A slow reply must not hold up the others. A client that leaves midway is part of the lab.
                thread::spawn(move || drop(converse(stream, &state)));
            }
            Err(_) => thread::sleep(SHUTDOWN_POLL),
        }
    }
}

fn converse(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let request = read_request(&stream)?;
    let handler = lock(&state.routes).get(&request.route()).cloned();
    let reply = handler.map_or_else(|| Reply::new(404, "no such route"), |handler| handler(&request));
    lock(&state.requests).push(request);
    thread::sleep(reply.delay);
    if let Some(limit) = reply.hop_limit {
        stream.set_ttl(limit)?;
    }
    write_reply(&mut stream, &reply)?;
    stream.shutdown(Shutdown::Both)
}

pub(crate) fn read_request(stream: impl Read) -> io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let first = read_line(&mut reader)?;
    let mut words = first.split(' ').map(ToOwned::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        headers: read_headers(&mut reader)?,
        body: Vec::new(),
    };
    let length = request.headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut request.body)?;
    Ok(request)
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(headers);
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

pub(crate) fn write_reply(stream: &mut impl Write, reply: &Reply) -> io::Result<()> {
    if reply.status == 0 {
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} Scripted\r\nConnection: close\r\n", reply.status);
    if reply.status != 204 {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let body = reply.cut_after.and_then(|end| reply.body.get(..end)).unwrap_or(&reply.body);
    if reply.drip.is_zero() {
        return stream.write_all(body);
    }
    for byte in body.chunks(1) {
        stream.write_all(byte)?;
        thread::sleep(reply.drip);
    }
    Ok(())
}

/// A response to [`request`].
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, which must be UTF-8.
    pub body: String,
}

/// Makes one request. Call it through [`Net::within`] to make it from inside a namespace.
///
/// # Errors
/// When the server cannot be reached, is silent for 5 s, or answers no HTTP.
pub fn request(
    server: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Result<Response> {
    let body = body.as_ref();
    let mut stream = TcpStream::connect_timeout(&server, CLIENT_TIMEOUT)?;
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    // HTTP/1.0 forbids the chunked bodies that this client does not read.
    let mut head = format!("{method} {target} HTTP/1.0\r\nHost: {server}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(&[head.as_bytes(), b"\r\n", body].concat())?;
    let mut reader = BufReader::new(stream);
    let first = read_line(&mut reader)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let headers = read_headers(&mut reader)?;
    let mut body = String::new();
    reader.read_to_string(&mut body)?;
    Ok(Response { status: status.with_context(|| format!("no HTTP status in {first:?}"))?, headers, body })
}

/// Awaits that a program answers at a path with 200, as soon as it has started.
///
/// # Errors
/// When it ends, or does not by `deadline`, with its log.
pub fn await_answer(
    (net, side): (&Net, Side),
    server: &mut Server,
    (address, target): (SocketAddr, &str),
    deadline: Duration,
) -> Result<()> {
    let answered = net.within(side, || {
        wait_until("an answer", deadline, || server.still_runs().is_err() || get(address, target).is_ok())
    })?;
    server.still_runs()?;
    answered.with_context(|| format!("{address}{target}: {}", server.log()))
}

/// Makes one GET request and returns the body.
///
/// # Errors
/// As [`request`], and when the status is not 200.
pub fn get(server: SocketAddr, target: &str) -> Result<String> {
    let response = request(server, "GET", target, &[], "")?;
    ensure!(response.status == 200, "GET {target}: {} {}", response.status, response.body);
    Ok(response.body)
}

/// Percent-encodes a value for a query.
pub fn encode_query(value: &str) -> String {
    value
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn server() -> HttpServer {
        HttpServer::serve(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap()
    }

    #[test]
    fn a_route_answers_with_its_script_and_is_counted() {
        let server = server();
        server.on("PUT /latest/api/token", Reply::ok("secret").header("X-Ttl", "60"));
        let response =
            request(server.address(), "PUT", "/latest/api/token?a=b", &[("X-Wanted", "60")], "body").unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "secret"));
        assert_eq!(response.headers["x-ttl"], "60");
        assert_eq!(server.count("PUT /latest/api/token"), 1);
        let seen = &server.requests()[0];
        assert_eq!((seen.headers["x-wanted"].as_str(), seen.body.as_slice()), ("60", b"body".as_slice()));
    }

    #[test]
    fn an_unset_route_is_not_found() {
        let server = server();
        server.on("GET /", Reply::ok(""));
        server.off("GET /");
        assert_eq!(request(server.address(), "GET", "/", &[], "").unwrap().status, 404);
    }

    #[test]
    fn faults_look_to_the_client_as_scripted() {
        let server = server();
        server.on("GET /gone", Reply::hang_up());
        assert!(get(server.address(), "/gone").is_err());
        server.on("GET /cut", Reply { cut_after: Some(2), ..Reply::ok("whole") });
        assert_eq!(get(server.address(), "/cut").unwrap(), "wh");
        server.on("GET /slow", Reply::ok("abc").delayed(Duration::from_millis(30)).dripping(Duration::from_millis(10)));
        let started = Instant::now();
        assert_eq!(get(server.address(), "/slow").unwrap(), "abc");
        assert!(started.elapsed() >= Duration::from_millis(50));
    }

    #[test]
    fn a_query_value_is_encoded_whole() {
        assert_eq!(encode_query("up{a=\"b\"}"), "up%7Ba%3D%22b%22%7D");
    }
}
