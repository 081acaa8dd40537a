//! The servers of the lab do what the other tests take for granted.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tests::chrony::Chrony;
use tests::http::{self, HttpServer, Reply};
use tests::moto::{self, Moto};
use tests::net::{IMDS, Net, SECOND_TIME_SERVER, Side, TIME_SYNC, TIME_SYNC_V6};
use tests::ntp::{self, Measurement, NtpServer, Packet, scripted};
use tests::ntpsec::Ntpsec;
use tests::process::output;
use tests::victoria::Victoria;
use tests::wait::{wait_for, wait_until};

const MILLISECOND: f64 = 0.001;

/// The best of a few measurements from the agent's side: the one with the least delay.
fn measure(net: &Net, server: IpAddr) -> Measurement {
    let ask = || ntp::query(SocketAddr::new(server, ntp::PORT)).expect("the server answers");
    let measurements = net.within(Side::Agent, || [(); 5].map(|()| ask())).expect("the namespace is there");
    measurements.into_iter().min_by(|a, b| a.delay.total_cmp(&b.delay)).expect("there are five")
}

#[test]
fn chronyd_serves_the_system_time_at_stratum_1() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let measured = measure(&net, TIME_SYNC);
    assert!(measured.offset.abs() < MILLISECOND, "{measured:?}");
    assert_eq!((measured.packet.leap, measured.packet.stratum, measured.packet.mode), (0, 1, 4));
    assert!(chrony.served_offset().unwrap().abs() < MILLISECOND);
}

#[test]
fn chronyd_serves_the_offset_it_is_given_and_reads_it_back_within_a_millisecond() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    for wanted in [400.0, -400.0, 0.25, 0.0] {
        let set = chrony.set_offset(wanted).unwrap();
        let measured = measure(&net, TIME_SYNC).offset;
        let read_back = chrony.served_offset().unwrap();
        assert!((set - wanted).abs() < 10.0 * MILLISECOND, "{wanted}: set {set}");
        assert!((measured - set).abs() < MILLISECOND, "{wanted}: set {set}, measured {measured}");
        assert!((measured - read_back).abs() < MILLISECOND, "{wanted}: read back {read_back}, measured {measured}");
    }
}

#[test]
fn chronyd_serves_time_that_drifts() {
    let net = Net::new().unwrap();
    net.add_address(SECOND_TIME_SERVER).unwrap();
    let _gains = Chrony::with_drift(&net, TIME_SYNC, 500.0).unwrap();
    let _loses = Chrony::with_drift(&net, SECOND_TIME_SERVER, -500.0).unwrap();
    let firsts = [TIME_SYNC, SECOND_TIME_SERVER].map(|server| measure(&net, server));
    for ((server, ppm), first) in [(TIME_SYNC, 500.0), (SECOND_TIME_SERVER, -500.0)].into_iter().zip(firsts) {
        // 5 ms are as good as 10 s at 500 ppm, and tell the sign as well.
        let last = wait_for("5 ms of drift", Duration::from_secs(30), || {
            let last = measure(&net, server);
            ((last.offset - first.offset).abs() >= 5.0 * MILLISECOND).then_some(last)
        });
        let last = last.unwrap();
        let elapsed = ntp::difference(last.packet.originate, first.packet.originate);
        let measured = (last.offset - first.offset) / elapsed * 1e6;
        assert!((measured - ppm).abs() < 20.0, "{ppm} ppm wanted, {measured} measured over {elapsed} s");
    }
}

#[test]
fn chronyd_serves_over_ipv6() {
    let net = Net::new().unwrap();
    assert!(net.has_ipv6(), "this kernel has no IPv6, so that half of the product cannot be tested here");
    let _v4 = Chrony::start(&net, TIME_SYNC).unwrap();
    let _v6 = Chrony::start(&net, TIME_SYNC_V6).unwrap();
    assert!(measure(&net, TIME_SYNC_V6).offset.abs() < MILLISECOND);
}

#[test]
fn ntpsec_serves_synchronized_time_beside_chronyd() {
    let net = Net::new().unwrap();
    net.add_address(SECOND_TIME_SERVER).unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let _ntpsec = Ntpsec::start(&net, SECOND_TIME_SERVER).unwrap();
    let measured = measure(&net, SECOND_TIME_SERVER);
    assert!(measured.offset.abs() < MILLISECOND, "{measured:?}");
    assert_eq!((measured.packet.leap, measured.packet.stratum), (0, 4));
}

#[test]
fn victoria_metrics_finds_what_it_was_given() {
    let net = Net::new().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 4318));
    let victoria = Victoria::start(&net, Side::Agent, address).unwrap();
    assert_eq!(victoria.query("clock_offset_seconds").unwrap(), []);
    victoria.import("clock_offset_seconds{host=\"a\"} -400.5\n").unwrap();
    let series = wait_for("the imported sample", Duration::from_secs(10), || {
        victoria.query("clock_offset_seconds{host=\"a\"}").unwrap().pop()
    });
    let (labels, value) = series.unwrap();
    assert_eq!(labels["__name__"], "clock_offset_seconds");
    assert!((value + 400.5).abs() < f64::EPSILON);
}

#[test]
fn moto_serves_the_document_of_a_role() {
    let net = Net::new().unwrap();
    let address = SocketAddr::new(IMDS, 80);
    let _moto = Moto::start(&net, address).unwrap();
    let document = net.within(Side::Agent, || {
        let ttl = [("X-aws-ec2-metadata-token-ttl-seconds", "21600")];
        let token = http::request(address, "PUT", "/latest/api/token", &ttl, "").unwrap();
        assert_eq!((token.status, token.body.as_str()), (200, "fake-imdsv2-token"));
        assert_eq!(http::get(address, "/latest/meta-data/iam/security-credentials/").unwrap(), moto::ROLE);
        http::get(address, &format!("/latest/meta-data/iam/security-credentials/{}", moto::ROLE)).unwrap()
    });
    let document: Value = serde_json::from_str(&document.unwrap()).unwrap();
    assert!(document["Expiration"].as_str().unwrap().ends_with('Z'), "{document}");
    assert!(document["Code"].is_null(), "moto has learnt to serve a Code: {document}");
}

#[test]
fn scripted_servers_answer_on_the_addresses_of_aws() {
    let net = Net::new().unwrap();
    let imds = HttpServer::start(&net, Side::Aws, SocketAddr::new(IMDS, 80)).unwrap();
    imds.on("GET /latest/meta-data/", Reply::ok("iam/"));
    let time = NtpServer::start(
        &net,
        Side::Aws,
        SocketAddr::new(TIME_SYNC, ntp::PORT),
        scripted(|request| Packet { leap: 3, stratum: 16, ..Packet::answer(request, 7.0) }),
    );
    let time = time.unwrap();
    let body = net.within(Side::Agent, || http::get(imds.address(), "/latest/meta-data/").unwrap());
    assert_eq!(body.unwrap(), "iam/");
    let measured = measure(&net, TIME_SYNC);
    assert!((measured.offset - 7.0).abs() < 10.0 * MILLISECOND, "{measured:?}");
    assert_eq!((measured.packet.leap, measured.packet.stratum, time.requests()), (3, 16, 5));
}

#[test]
fn a_pulled_cable_silences_a_server_until_it_is_back() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let ask = || net.within(Side::Agent, || ntp::query(SocketAddr::new(TIME_SYNC, ntp::PORT))).unwrap();
    assert!(ask().is_ok());
    net.set_cable(false).unwrap();
    assert!(ask().is_err());
    net.set_cable(true).unwrap();
    wait_until("an answer over the cable", Duration::from_secs(10), || ask().is_ok()).unwrap();
}

#[test]
fn nothing_in_the_lab_can_set_the_clock_of_the_machine() {
    let net = Net::new().unwrap();
    let status = output(net.command(Side::Aws, "cat").unwrap().arg("/proc/self/status")).unwrap();
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    let bounding = u64::from_str_radix(bounding.trim(), 16).unwrap();
    let cap_sys_time = 1 << 25;
    assert_eq!(bounding & cap_sys_time, 0, "{bounding:x}");
}

#[test]
fn the_namespaces_are_gone_once_dropped() {
    let net = Net::new().unwrap();
    let paths = [Side::Agent, Side::Aws].map(|side| format!("/run/netns/{}", net.name(side)));
    assert!(paths.iter().all(|path| std::path::Path::new(path).exists()));
    drop(net);
    assert!(!paths.iter().any(|path| std::path::Path::new(path).exists()));
}
