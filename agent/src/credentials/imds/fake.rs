//! A metadata service for tests: loopback only, on a port that the kernel chooses, and it answers what the test wrote.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::credentials::imds::settings::Imds;

/// What must never be seen outside of the wire.
pub(crate) const SECRETS: [&str; 3] = ["ASIAEXAMPLEKEY", "wJalrSecretExample", "IQoJSessionExample"];
pub(crate) const TOKEN: &str = "AQAEAtokenExample==";
pub(crate) const TOKEN_ROUTE: &str = "PUT /latest/api/token";
pub(crate) const ROLES_ROUTE: &str = "GET /latest/meta-data/iam/security-credentials/";
pub(crate) const DOCUMENT_ROUTE: &str = "GET /latest/meta-data/iam/security-credentials/web";
pub(crate) const DOCUMENT: &str = r#"{
  "Code" : "Success",
  "LastUpdated" : "2026-03-01T10:00:00Z",
  "Type" : "AWS-HMAC",
  "AccessKeyId" : "ASIAEXAMPLEKEY",
  "SecretAccessKey" : "wJalrSecretExample",
  "Token" : "IQoJSessionExample",
  "Expiration" : "2026-03-01T16:00:00Z"
}"#;

/// A configuration of one attempt, with a timeout that a loaded machine does not reach by accident.
pub(crate) fn config(endpoint: &str) -> Imds {
    let [timeout, poll] = [20, 300].map(Duration::from_secs);
    Imds { endpoint: endpoint.into(), timeout, attempts: 1, poll, version_1: true }
}

/// How the end of a body is told.
#[derive(Clone)]
enum Framing {
    Length(usize),
    Chunked,
    Close,
    Raw,
}

/// What the service says to one request.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
    drip: Option<Duration>,
    delay: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let framing = Framing::Length(body.len());
        Self { status, headers: Vec::new(), body, framing, drip: None, delay: Duration::ZERO }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::new(status, "<html>not for you</html>")
    }

    /// A token that lives for `ttl` seconds.
    pub(crate) fn token(ttl: u64) -> Self {
        Self::ok(TOKEN).with("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", &ttl.to_string())
    }

    /// Bytes instead of an answer.
    pub(crate) fn raw(bytes: &str) -> Self {
        Self { framing: Framing::Raw, ..Self::ok(bytes) }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A body whose end is the end of the connection.
    pub(crate) fn until_close(self) -> Self {
        Self { framing: Framing::Close, ..self }
    }

    pub(crate) fn chunked(self) -> Self {
        Self { framing: Framing::Chunked, ..self }
    }

    /// A `Content-Length` that may not be true.
    pub(crate) fn claiming(self, length: usize) -> Self {
        Self { framing: Framing::Length(length), ..self }
    }

    /// One byte of the body every `pause`.
    pub(crate) fn dripping(self, pause: Duration) -> Self {
        Self { drip: Some(pause), ..self }
    }

    /// The whole answer, after `delay`.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Seen {
    /// Method and path.
    pub(crate) line: String,
    /// The number of the connection.
    pub(crate) connection: usize,
    headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A running service. It ends when this is dropped.
pub(crate) struct Fake {
    pub(crate) endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// A service that answers `routes`, each with its replies in turn and then the last of them for ever. It hands out
    /// tokens unless told otherwise, and says 404 to all else.
    pub(crate) async fn start<const N: usize>(routes: [(&str, Vec<Reply>); N]) -> Self {
        Self::start_on(IpAddr::V4(Ipv4Addr::LOCALHOST), routes).await
    }

    /// A service with the credentials of the role `web`, in which `routes` take the place of what is usual.
    pub(crate) async fn healthy<const N: usize>(routes: [(&str, Vec<Reply>); N]) -> Self {
        Self::healthy_on(IpAddr::V4(Ipv4Addr::LOCALHOST), routes).await
    }

    pub(crate) async fn healthy_on<const N: usize>(address: IpAddr, routes: [(&str, Vec<Reply>); N]) -> Self {
        let usual = [(ROLES_ROUTE, vec![Reply::ok("web")]), (DOCUMENT_ROUTE, vec![Reply::ok(DOCUMENT)])];
        Self::start_on(address, usual.into_iter().chain(routes)).await
    }

    /// A service that answers `routes`, of which the last of the same name counts.
    pub(crate) async fn start_with(routes: impl IntoIterator<Item = (&str, Vec<Reply>)>) -> Self {
        Self::start_on(IpAddr::V4(Ipv4Addr::LOCALHOST), routes).await
    }

    async fn start_on(address: IpAddr, routes: impl IntoIterator<Item = (&str, Vec<Reply>)>) -> Self {
        let usual = [(TOKEN_ROUTE, vec![Reply::token(21_600)])];
        let script: HashMap<String, Vec<Reply>> =
            usual.into_iter().chain(routes).map(|(route, replies)| (route.to_owned(), replies)).collect();
        let listener = TcpListener::bind(SocketAddr::new(address, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, Arc::new(script), Arc::clone(&seen)));
        Self { endpoint, seen, task }
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How often `route` was asked.
    pub(crate) fn count(&self, route: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|request| request.line == route).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, script: Arc<HashMap<String, Vec<Reply>>>, seen: Arc<Mutex<Vec<Seen>>>) {
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
        tokio::spawn(async move {
            // The client may close at any moment; only what it then makes of it is of interest.
            let _ = answer(stream, connection, &script, &seen).await;
        });
    }
}

/// Answers every request of one connection, which it leaves open: whether to reuse it is for the client to decide.
async fn answer(
    mut stream: TcpStream,
    connection: usize,
    script: &HashMap<String, Vec<Reply>>,
    seen: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    while let Some(request) = read_request(&mut stream, connection).await? {
        let reply = {
            let mut seen = seen.lock().unwrap();
            let turn = seen.iter().filter(|earlier| earlier.line == request.line).count();
            let replies = script.get(&request.line);
            let reply = replies.and_then(|replies| replies.get(turn).or(replies.last()).cloned());
            seen.push(request);
            reply.unwrap_or_else(|| Reply::status(404))
        };
        tokio::time::sleep(reply.delay).await;
        write_reply(&mut stream, &reply).await?;
        if !matches!(reply.framing, Framing::Length(length) if length == reply.body.len()) {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

async fn read_request(stream: &mut TcpStream, connection: usize) -> std::io::Result<Option<Seen>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(None),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(key, value)| (key.into(), value.into()));
    Ok(Some(Seen { line, connection, headers: headers.collect() }))
}

async fn write_reply(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    if matches!(reply.framing, Framing::Raw) {
        return stream.write_all(&reply.body).await;
    }
    let mut head = format!("HTTP/1.1 {} Said\r\n", reply.status);
    if reply.headers.iter().all(|(name, _)| name != "Server") {
        head.push_str("Server: EC2ws\r\n");
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match reply.framing {
        Framing::Length(length) => head.push_str(&format!("Content-Length: {length}\r\n\r\n")),
        Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n\r\n"),
        Framing::Close | Framing::Raw => head.push_str("\r\n"),
    }
    stream.write_all(head.as_bytes()).await?;
    if let Some(pause) = reply.drip {
        for byte in &reply.body {
            stream.write_all(&[*byte]).await?;
            tokio::time::sleep(pause).await;
        }
    } else if matches!(reply.framing, Framing::Chunked) {
        for chunk in reply.body.chunks(1_000) {
            stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            stream.write_all(chunk).await?;
            stream.write_all(b"\r\n").await?;
        }
        stream.write_all(b"0\r\n\r\n").await?;
    } else {
        stream.write_all(&reply.body).await?;
    }
    Ok(())
}
