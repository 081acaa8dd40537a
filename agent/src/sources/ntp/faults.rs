//! What a server can do wrong, each at a test: the query is refused with its reason, and nothing panics.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use super::query::query;
use super::refusal::Refusal;
use super::timestamp::encode;
use crate::built::BUILT;
use crate::clock::local;
use crate::clock::sample::{Failure, Sample, Timestamps};
use crate::time::{Span, TrueTime};

const PATIENCE: Duration = Duration::from_millis(300);

/// A good reply, field by field, to be spoilt.
struct Reply {
    bytes: [u8; 48],
}

impl Reply {
    fn to(request: &[u8]) -> Self {
        let now = encode(TrueTime::from_nanos(local::read().system.nanos()));
        let mut reply = Self { bytes: [0; 48] };
        reply.bytes[0] = 4 << 3 | 4;
        reply.bytes[1] = 2;
        reply.bytes[3] = 0xe8;
        reply.bytes[24..32].copy_from_slice(&request[40..48]);
        reply.set(16, now).set(32, now).set(40, now)
    }

    fn set(mut self, at: usize, value: u64) -> Self {
        self.bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
        self
    }

    fn byte(mut self, at: usize, value: u8) -> Self {
        self.bytes[at] = value;
        self
    }

    fn word(mut self, at: usize, value: u32) -> Self {
        self.bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        self
    }

    fn get(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    fn kiss(self, code: &[u8; 4]) -> Self {
        self.byte(1, 0).word(12, u32::from_be_bytes(*code))
    }

    fn sent(self) -> Vec<Vec<u8>> {
        vec![self.bytes.to_vec()]
    }
}

/// Asks a server on `ip` which answers a request with these datagrams.
async fn ask_on(ip: IpAddr, answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Result<Sample, Refusal> {
    let socket = UdpSocket::bind((ip, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = async {
        let mut request = [0; 64];
        let (length, client) = socket.recv_from(&mut request).await.unwrap();
        for datagram in answer(&request[..length]) {
            socket.send_to(&datagram, client).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = query(address, PATIENCE) => result,
        () = server => unreachable!("the server waits for ever"),
    }
}

async fn ask(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Result<Sample, Refusal> {
    ask_on([127, 0, 0, 1].into(), answer).await
}

async fn outcome(spoil: impl Fn(Reply) -> Reply + Send + 'static) -> &'static str {
    match ask(move |request| spoil(Reply::to(request)).sent()).await {
        Ok(_) => "ok",
        Err(refusal) => refusal.outcome(),
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_good_reply_gives_the_offset_by_kernel_time_stamps_on_ipv4_and_ipv6() {
    for ip in [IpAddr::from([127, 0, 0, 1]), Ipv6Addr::LOCALHOST.into()] {
        let mut sample = ask_on(ip, |request| Reply::to(request).sent()).await.unwrap();
        // The kernel begins to stamp a moment after it was asked to, which on a busy host is a long one.
        let begins = async {
            while sample.timestamps != Timestamps::Kernel {
                sample = ask_on(ip, |request| Reply::to(request).sent()).await.unwrap();
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), begins).await.expect("the kernel stamps nothing");
        let offset = local::read().offset(sample.anchor);
        assert!(offset.span().abs() < Span::from_seconds(0.05), "{offset:?}");
        assert_eq!((sample.stratum, sample.timestamps), (Some(2), Timestamps::Kernel));
    }
}

#[tokio::test]
async fn the_request_does_not_tell_what_time_it_is_here() {
    let sample = ask(|request| {
        let now = encode(TrueTime::from_nanos(local::read().system.nanos()));
        let told = u64::from_be_bytes(request[40..48].try_into().unwrap());
        // Within a day of the truth by chance once in 25,000 runs.
        let is_random = told.abs_diff(now) >> 32 > 86_400;
        let zeroes = request[1..40].iter().all(|byte| *byte == 0);
        if is_random && zeroes && request[0] == 0x23 { Reply::to(request).sent() } else { vec![] }
    })
    .await;
    assert!(sample.is_ok(), "{sample:?}");
}

#[tokio::test]
async fn silence_is_a_timeout() {
    assert_eq!(ask(|_| vec![]).await, Err(Refusal::Timeout));
}

#[cfg(unix)]
#[tokio::test]
async fn a_closed_port_is_refused_at_once() {
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(query(closed, Duration::from_secs(60)).await, Err(Refusal::Network));
}

#[tokio::test]
async fn a_short_reply_is_refused() {
    assert_eq!(ask(|request| vec![Reply::to(request).bytes[..47].to_vec()]).await, Err(Refusal::Short));
    assert_eq!(ask(|_| vec![vec![]]).await, Err(Refusal::Short));
}

#[tokio::test]
async fn junk_before_the_good_reply_does_not_end_the_query() {
    let sample = ask(|request| {
        let forged = Reply::to(request).set(24, 1).set(40, 1);
        vec![vec![], vec![0xff; 9], vec![0xff; 1_000], forged.bytes.to_vec(), Reply::to(request).bytes.to_vec()]
    })
    .await
    .unwrap();
    assert!(local::read().offset(sample.anchor).span().abs() < Span::from_seconds(0.05));
}

#[tokio::test]
async fn a_flood_of_junk_ends_the_query() {
    assert_eq!(ask(|_| vec![vec![0; 48]; 100]).await, Err(Refusal::Origin));
}

#[tokio::test]
async fn a_reply_to_another_request_is_refused() {
    assert_eq!(outcome(|reply| reply.set(24, 7)).await, "wrong-origin");
}

#[tokio::test]
async fn a_wrong_mode_is_refused() {
    for mode in [0, 1, 2, 3, 5, 6, 7] {
        assert_eq!(outcome(move |reply| reply.byte(0, 4 << 3 | mode)).await, "wrong-mode", "{mode}");
    }
}

#[tokio::test]
async fn a_wrong_version_is_refused() {
    for version in [0, 5, 7] {
        assert_eq!(outcome(move |reply| reply.byte(0, version << 3 | 4)).await, "wrong-version", "{version}");
    }
}

#[tokio::test]
async fn a_server_without_time_is_refused() {
    assert_eq!(outcome(|reply| reply.byte(0, 3 << 6 | 4 << 3 | 4)).await, "unsynchronized");
    for stratum in [16, 17, 255] {
        assert_eq!(outcome(move |reply| reply.byte(1, stratum)).await, "bad-stratum", "{stratum}");
    }
}

#[tokio::test]
async fn a_time_before_this_program_was_built_is_of_a_server_without_time_and_not_of_the_next_era() {
    // 1970, 1999, 2016, and a day before the build; in none of them the server says that anything is wrong.
    let day_before = encode(BUILT) - (86_400 << 32);
    for told in [2_208_988_800 << 32, 3_140_000_000 << 32, 3_673_728_000 << 32, day_before] {
        let refused = ask(move |request| Reply::to(request).set(16, told).set(32, told).set(40, told).sent()).await;
        let refusal = refused.unwrap_err();
        assert_eq!((refusal.outcome(), refusal.failure()), ("unsynchronized", Failure::Unsynchronized), "{told:x}");
    }
    let day_after = encode(BUILT) + (86_400 << 32);
    assert_eq!(outcome(move |reply| reply.set(16, day_after).set(32, day_after).set(40, day_after)).await, "ok");
}

#[tokio::test]
async fn every_kiss_of_death_is_told_apart_as_far_as_it_matters() {
    for (code, name) in [
        (b"RATE", "kiss-rate"),
        (b"DENY", "kiss-deny"),
        (b"RSTR", "kiss-rstr"),
        (b"INIT", "kiss-other"),
        (b"STEP", "kiss-other"),
        (b"XFUN", "kiss-other"),
        (&[0xff; 4], "kiss-other"),
        (&[0; 4], "kiss-other"),
    ] {
        assert_eq!(outcome(move |reply| reply.kiss(code)).await, name);
    }
    let denied = ask(|request| Reply::to(request).kiss(b"DENY").sent()).await.unwrap_err();
    assert_eq!(denied.failure(), Failure::Denied);
}

#[tokio::test]
async fn impossible_server_times_are_refused() {
    assert_eq!(outcome(|reply| reply.set(32, 0)).await, "zero-receive-time");
    assert_eq!(outcome(|reply| reply.set(40, 0)).await, "zero-transmit-time");
    assert_eq!(
        outcome(|reply| {
            let sent = reply.get(40);
            reply.set(32, sent + (1 << 30))
        })
        .await,
        "backward"
    );
    assert_eq!(
        outcome(|reply| {
            let sent = reply.get(40);
            reply.set(32, sent - (1 << 32))
        })
        .await,
        "overlong"
    );
    assert_eq!(
        outcome(|reply| {
            let sent = reply.get(40);
            reply.set(16, sent + (1 << 40))
        })
        .await,
        "future-reference"
    );
}

#[tokio::test]
async fn a_precision_that_no_clock_has_is_refused() {
    for precision in [127_i8, -128, 5, -65] {
        assert_eq!(
            outcome(move |reply| reply.byte(3, precision.cast_unsigned())).await,
            "bad-precision",
            "{precision}"
        );
    }
}

#[tokio::test]
async fn a_root_distance_of_16_s_is_refused() {
    assert_eq!(outcome(|reply| reply.word(8, 16 << 16)).await, "root-distance");
    assert_eq!(outcome(|reply| reply.word(4, 32 << 16)).await, "root-distance");
    assert_eq!(outcome(|reply| reply.word(4, 16 << 16).word(8, 7 << 16)).await, "ok");
}

#[tokio::test]
async fn a_reply_from_another_address_never_arrives() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = async {
        let mut request = [0; 64];
        let (length, client) = socket.recv_from(&mut request).await.unwrap();
        stranger.send_to(&Reply::to(&request[..length]).bytes, client).await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = query(address, PATIENCE) => assert_eq!(result, Err(Refusal::Timeout)),
        () = server => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_reply_makes_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..80), repeats_origin in any::<bool>(), serves in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = runtime.block_on(ask(move |request| {
            let mut bytes = bytes.clone();
            if let (true, Some(origin)) = (repeats_origin, bytes.get_mut(24..32)) {
                origin.copy_from_slice(&request[40..48]);
            }
            if let (true, Some(first)) = (serves, bytes.get_mut(0)) {
                *first = 4 << 3 | 4;
            }
            // The last datagram ends the query where the first is junk that would have to be waited out.
            vec![bytes, Reply::to(request).kiss(b"XEND").bytes.to_vec()]
        }));
    }
}
