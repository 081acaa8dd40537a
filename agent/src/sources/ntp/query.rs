//! One query of one server.

use std::net::SocketAddr;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use sntpc::{NtpContext, NtpTimestampGenerator, sntp_process_response, sntp_send_request};
use tokio::time::{Instant, timeout_at};

use super::refusal::Refusal;
use super::socket::{Exchanged, Stamped, StampedSocket};
use super::timestamp::decode;
use crate::built::BUILT;
use crate::clock::sample::{Sample, Timestamps};
use crate::time::{Span, TrueTime};

/// More junk than this in one query is a flood, and the query is given up.
const MOST_JUNK: u32 = 32;
/// The reading error of this host's clock.
const OWN_PRECISION: Span = Span::from_nanos(1_000);

/// Asks `server` once and waits until `patience` is over.
///
/// # Errors
/// The reason for which there is no sample. Junk does not end the query: anybody can send it.
pub async fn query(server: SocketAddr, patience: Duration) -> Result<Sample, Refusal> {
    let deadline = Instant::now() + patience;
    let socket = StampedSocket::connect(server).await.map_err(|_| Refusal::Network)?;
    ask(server, &socket, Cookie::random(), deadline).await
}

/// Asks `server` once over `socket`, which belongs to this query alone, and waits until `deadline`. The reply must repeat
/// `cookie`.
///
/// # Errors
/// As those of [`query`].
pub async fn ask(
    server: SocketAddr,
    socket: &impl Stamped,
    cookie: Cookie,
    deadline: Instant,
) -> Result<Sample, Refusal> {
    let context = NtpContext::new(cookie);
    let request = sntp_send_request(server, socket, context).await?;
    let mut last_junk = Refusal::Timeout;
    for _ in 0..MOST_JUNK {
        match timeout_at(deadline, sntp_process_response(server, socket, context, request)).await {
            Err(_) => return Err(last_junk),
            Ok(Err(error)) => {
                let refusal = Refusal::from(error);
                if !refusal.is_junk() {
                    return Err(refusal);
                }
                last_junk = refusal;
            }
            Ok(Ok(reply)) => {
                let exchanged = socket.exchanged().ok_or(Refusal::Network)?;
                return sample(&reply, &exchanged);
            }
        }
    }
    Err(last_junk)
}

/// What the exchange says, and the checks that sntpc leaves out.
fn sample(reply: &sntpc::NtpResult, exchanged: &Exchanged) -> Result<Sample, Refusal> {
    let (received, sent) = server_times(&exchanged.reply).ok_or(Refusal::ZeroReceive)?;
    if received < BUILT || sent < BUILT {
        return Err(Refusal::BeforeBuild);
    }
    if sent < received {
        return Err(Refusal::Backward);
    }
    if !(-64..=4).contains(&reply.precision) {
        return Err(Refusal::Precision);
    }
    let precision = OWN_PRECISION.plus(Span::from_seconds(f64::from(reply.precision).exp2()));
    let taken = sent.since(received);
    let delay = exchanged.arrival.since(exchanged.departure).nanos().saturating_sub(taken.nanos());
    // The two clocks tick at different rates and are read with an error; beyond that the server's times are made up.
    let allowance = precision.plus(taken.scaled(1e-3)).plus(user_space_noise(exchanged.timestamps));
    if delay < -allowance.nanos() {
        return Err(Refusal::Overlong);
    }
    // ((T2 − T1) + (T3 − T4)) / 2 with T1 and T4 on the boot clock is true time minus boot time. 128 bits hold any sum.
    let sum = i128::from(received.nanos()) - i128::from(exchanged.departure.nanos()) + i128::from(sent.nanos())
        - i128::from(exchanged.arrival.nanos());
    let anchor = crate::time::Anchor::from_nanos(i64::try_from(sum / 2).map_err(|_| Refusal::ZeroReceive)?);
    Ok(Sample {
        at: exchanged.arrival,
        anchor,
        delay: Span::from_nanos(delay.max(0)),
        root_delay: short(reply.root_delay),
        root_dispersion: short(reply.root_dispersion),
        precision,
        stratum: Some(reply.stratum),
        timestamps: exchanged.timestamps,
    })
}

/// T2 and T3 of the reply; `None` where T2 is zero. (sntpc has refused a T3 of zero.)
fn server_times(reply: &[u8; 48]) -> Option<(TrueTime, TrueTime)> {
    let field = |from: usize| {
        let bytes = reply.get(from..from + 8)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    };
    let (received, sent) = (field(32)?, field(40)?);
    (received != 0).then(|| (decode(received), decode(sent)))
}

/// NTP short format: 16 bits of seconds, 16 of fraction.
fn short(wire: u32) -> Span {
    Span::from_seconds(f64::from(wire) / 65_536.0)
}

const fn user_space_noise(timestamps: Timestamps) -> Span {
    match timestamps {
        Timestamps::Kernel => Span::from_nanos(10_000),
        Timestamps::UserSpaceMissing
        | Timestamps::UserSpaceContradicted
        | Timestamps::HttpDate
        | Timestamps::Device => Span::from_nanos(100_000),
    }
}

/// Random bits in place of the transmit time: the reply must repeat them, and they tell nobody what time it is here.
#[derive(Clone, Copy)]
pub struct Cookie {
    seconds: u32,
    micros: u32,
}

impl Cookie {
    fn random() -> Self {
        let mut bytes = [0; 8];
        // Without randomness from the kernel the cookie is merely harder to guess than the time.
        if SystemRandom::new().fill(&mut bytes).is_err() {
            bytes = fastrand::u64(..).to_ne_bytes();
        }
        Self::from(bytes)
    }
}

impl From<[u8; 8]> for Cookie {
    /// The cookie of these bits. Not all of them count, because a time stamp of sntpc has whole microseconds.
    fn from([a, b, c, d, e, f, g, h]: [u8; 8]) -> Self {
        Self { seconds: u32::from_ne_bytes([a, b, c, d]) | 1, micros: u32::from_ne_bytes([e, f, g, h]) % 1_000_000 }
    }
}

impl NtpTimestampGenerator for Cookie {
    fn init(&mut self) {}

    fn timestamp_sec(&self) -> u64 {
        u64::from(self.seconds)
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        self.micros
    }
}
