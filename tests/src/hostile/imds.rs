//! Answers of the instance metadata service: from the document, or from the first byte of HTTP, to the snapshot.

use std::future::Future;
use std::io;
use std::time::Duration;

use skewguard::credentials::Provider;
use skewguard::credentials::imds::client::ImdsClient;
use skewguard::credentials::imds::document;
use skewguard::credentials::imds::settings::Imds;
use skewguard::credentials::lease::{Lease, Unavailable};
use skewguard::credentials::round::{Polled, Round};
use skewguard::time::{BootTime, Reading, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::brain::Brain;
use super::bytes::Bytes;

/// What no output may hold: it stands in for the secrets of a document, and for the token of a session.
const SECRET: &str = "q7Xw0ZkVb3LmT9sR";
/// A part of the secret that is as long as this is a leak.
const LEAK: usize = 6;
/// More fields than this tell a fuzzer nothing new.
const MOST_FIELDS: usize = 12;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
}

/// A document of credentials, and a list of roles.
///
/// After a byte of 0x80 or more the document is the rest of the input as it is. Otherwise it is put together from the
/// input, and its secrets are the marker: see `made_up`.
pub fn document(input: &[u8]) {
    if has_leaked(input) {
        return;
    }
    let mut bytes = Bytes::new(input);
    let (list, body) = if bytes.byte() < 0x80 {
        (b"web".as_slice(), made_up(&mut bytes))
    } else {
        let body = bytes.rest();
        (body, body.to_vec())
    };
    if let Err(reason) = document::role(list) {
        assert_secret_free(&explained(&reason));
    }
    let role = document::role(list).unwrap_or("web");
    let result = document::lease(role, &body);
    if let Ok(lease) = &result {
        assert_sound(lease, role);
    }
    reported(Round::one(result, Vec::new()));
}

/// A whole service: its answers for the token, the list of roles and the document as they come over the wire.
///
/// The input is three HTTP heads, each after a byte that is its length; the list of roles, in the same way; and the
/// document as for [`fn@document`]. The body of the first answer is the marker.
pub fn response(input: &[u8]) {
    if has_leaked(input) {
        return;
    }
    let mut bytes = Bytes::new(input);
    let mut section = || {
        let length = bytes.byte();
        bytes.take(length.into()).to_vec()
    };
    let [token, list, document] = [section(), section(), section()];
    let roles = section();
    let document = [document, made_up(&mut bytes)].concat();
    let answers = Answers { token: [token, SECRET.into()].concat(), list: [list, roles].concat(), document };
    let (fetch, host) = RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
            let address = listener.local_addr().expect("a listener has an address");
            let [timeout, poll] = [Duration::from_secs(20), Duration::from_secs(300)];
            let config = Imds { endpoint: format!("http://{address}"), timeout, attempts: 1, poll, version_1: true };
            let mut client = ImdsClient::new(&config).expect("the endpoint is right");
            let asked = async {
                let fetch = client.credentials().await;
                (fetch, client.host().await)
            };
            beside(asked, answers.serve(&listener)).await
        })
    });
    assert_secret_free(&format!("{fetch:?} {host:?}"));
    for request in &fetch.requests {
        assert!(request.outcome.len() <= 20 && request.duration < Duration::from_secs(20), "{request:?}");
    }
    if let Ok(lease) = &fetch.result {
        assert_sound(lease, &lease.identity);
    }
    reported(Round::one(fetch.result, fetch.requests));
}

/// A document in the making. Each field begins with a byte: its low three bits choose the key, the next two how it is
/// written, and the rest what kind of value it has. Two bytes at the very beginning say where it is cut off, and two
/// where a byte of it is replaced.
fn made_up(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (cut, spoilt, by) = (bytes.short(), bytes.short(), bytes.byte());
    let mut fields = Vec::new();
    while !bytes.is_empty() && fields.len() < MOST_FIELDS {
        let kind = bytes.byte();
        let name = match kind & 7 {
            0 => "Code",
            1 => "Type",
            2 => "LastUpdated",
            3 => "Expiration",
            4 => "SecretAccessKey",
            5 => "Token",
            6 => "AccessKeyId",
            _ => "Note",
        };
        let key = match kind >> 3 & 3 {
            0 | 1 => format!("\"{name}\""),
            2 => format!("\"{}\"", name.to_ascii_lowercase()),
            _ => format!(
                "\"\\u{:04x}{}\"",
                name.as_bytes().first().copied().unwrap_or_default(),
                name.get(1..).unwrap_or_default()
            ),
        };
        let length = bytes.byte();
        let text = String::from_utf8_lossy(bytes.take(length.into()));
        let is_secret = matches!(kind & 7, 4..=6);
        let value = if is_secret { secret(kind >> 5, &text) } else { public(kind >> 5, &text) };
        fields.push(format!("{key} : {value}"));
    }
    let mut document = format!("{{\n  {}\n}}", fields.join(",\n  ")).into_bytes();
    if let Some(place) = document.get_mut(usize::from(spoilt).wrapping_sub(1)) {
        *place = by;
    }
    if cut > 0 {
        document.truncate(cut.into());
    }
    document
}

/// The value of a field that holds no secret: a text, or whatever the input says.
fn public(kind: u8, text: &str) -> String {
    match kind & 3 {
        0..=2 => quoted(text),
        _ => text.to_owned(),
    }
}

/// The marker, in a value of any kind.
fn secret(kind: u8, text: &str) -> String {
    match kind {
        0 | 1 => quoted(SECRET),
        2 => quoted(&format!("{text}{SECRET}")),
        3 => quoted(&format!("{SECRET}{text}")),
        4 => format!("{{\"Code\": \"{SECRET}\", \"Expiration\": \"{SECRET}\"}}"),
        5 => format!("[{}, \"{SECRET}\", {{\"{SECRET}\": null}}]", quoted(text)),
        6 => SECRET.to_owned(),
        _ => format!("{}\"{SECRET}\"", "[".repeat(text.len())),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether any part of the secret is in there.
fn has_leaked(output: &[u8]) -> bool {
    SECRET.as_bytes().windows(LEAK).any(|part| output.windows(LEAK).any(|shown| shown == part))
}

fn assert_secret_free(output: &str) {
    assert!(!has_leaked(output.as_bytes()), "{output}");
}

/// What every lease promises.
fn assert_sound(lease: &Lease, role: &str) {
    assert_eq!(lease.identity, role);
    assert!(!role.is_empty() && role.len() <= 64 && role.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
    assert!(lease.expiration.is_some(), "{lease:?}");
    assert!(lease.code.as_ref().is_none_or(|code| code.eq_ignore_ascii_case("success")), "{lease:?}");
    let printable = |text: &String| (1..=128).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    assert!(lease.kind.as_ref().is_none_or(printable), "{lease:?}");
}

/// All that is ever said of a reason.
fn explained(reason: &Unavailable) -> String {
    format!("{reason:?} {reason} {} {}", reason.code(), reason.remedy(Provider::Imds))
}

/// What became of a reading, by all the ways by which it leaves the agent.
fn reported(round: Round) {
    for reading in &round.readings {
        match &reading.result {
            Ok(lease) => assert_secret_free(&format!("{lease:?}")),
            Err(reason) => assert_secret_free(&explained(reason)),
        }
    }
    let polled = Polled { provider: Provider::Imds, round };
    // 2026-03-01T12:00:00Z, an hour after boot.
    let (boot, system) = (BootTime::from_seconds(3_600.0), SystemTime::from_seconds(1_772_366_400.0));
    let now = Reading { boot, system };
    let mut brain = Brain::new(now);
    brain.take(polled, now);
    let snapshot = brain.snapshot(now);
    assert_secret_free(&serde_json::to_string(&snapshot).expect("a snapshot is JSON"));
}

/// The bytes that the service says to each request.
struct Answers {
    token: Vec<u8>,
    list: Vec<u8>,
    document: Vec<u8>,
}

impl Answers {
    /// Answers for ever, one connection after the other.
    async fn serve(&self, listener: &TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.expect("loopback accepts");
            // The client may go at any moment: what it makes of that is the question.
            let _ = self.answer(stream).await;
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let roles = b"GET /latest/meta-data/iam/security-credentials/";
        let answer = match head.strip_prefix(roles) {
            _ if head.starts_with(b"PUT ") => &self.token,
            Some([first, ..]) if *first != b' ' => &self.document,
            // What the host is, is no secret: it gets what the list of roles gets.
            _ => &self.list,
        };
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        // Its end must come first, so that no port of the server is left in TIME_WAIT.
        while stream.read_buf(&mut head).await? > 0 {
            head.clear();
        }
        Ok(())
    }
}

/// The result of `work`, while `server` runs for ever.
async fn beside<T>(work: impl Future<Output = T>, server: impl Future<Output = ()>) -> T {
    tokio::select! {
        result = work => result,
        () = server => unreachable!("a server ends only when it is dropped"),
    }
}
