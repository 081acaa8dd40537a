//! The metrics as Prometheus and node_exporter read them, with the real ones.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use serde_json::Value;
use tests::agent::{Running, Skewguard};
use tests::chrony::Chrony;
use tests::http::{self, HttpServer};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::process::private_dir;
use tests::prometheus::{Prometheus, check_metrics, node_exporter};
use tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);
const PAGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

const fn port(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn config(telemetry: &str) -> String {
    format!(
        "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}]
credentials: {{ imds: {{ poll: 10s }} }}
alerts: {{ boot_grace: 0s }}
telemetry: {telemetry}
"
    )
}

fn aws(net: &Net) -> (Chrony, HttpServer) {
    let chrony = Chrony::start(net, TIME_SYNC).unwrap();
    let imds = metadata::start(net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
    (chrony, imds)
}

fn await_all(running: &mut Running<'_>) -> Value {
    let is_known = |status: &Value| {
        status.pointer("/clock/state").is_some_and(|state| state == "synchronized")
            && status.pointer("/credentials/0/remaining_seconds").is_some_and(Value::is_f64)
    };
    running.await_status("the time and the credentials", PATIENCE, is_known).unwrap()
}

fn page(net: &Net) -> String {
    net.within(Side::Agent, || http::get(PAGE, "/metrics")).unwrap().unwrap()
}

#[test]
fn prometheus_reads_what_status_shows_from_the_page_and_by_node_exporter_and_nothing_after_the_end() {
    let net = Net::new().unwrap();
    let (chrony, _imds) = aws(&net);
    chrony.set_offset(100.0).unwrap();
    let folder = private_dir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.path().join("skewguard.prom");
    let telemetry = format!("{{ prometheus: {{}}, textfile: {} }}", file.display());
    let agent = Skewguard::new(&net, &config(&telemetry)).unwrap();
    let mut running = agent.run().unwrap();
    await_all(&mut running);

    // The page of `fleet`, and then that of `full`.
    check_metrics(&page(&net)).unwrap();
    let of_fleet = page(&net).lines().filter(|line| !line.starts_with('#')).count();
    // A link is all that the folder of node_exporter needs.
    let collected = private_dir().unwrap();
    symlink(&file, collected.path().join("skewguard.prom")).unwrap();
    let log = folder.path().join("log");
    let _exporter = node_exporter(&net, port(9100), collected.path(), &log).unwrap();
    let prometheus = Prometheus::start(&net, port(9090), &[PAGE, port(9100)]).unwrap();
    let agree = |promql: &str, pointer: &str, tolerance: f64| {
        wait_for(promql, PATIENCE, || {
            let expected = running.status().ok()?.pointer(pointer)?.as_f64()?;
            let values = prometheus.query(promql).ok()?;
            // By both ways, and the file is a quarter of a minute old at most.
            (values.len() == 2 && values.iter().all(|value| (value - expected).abs() <= tolerance)).then_some(())
        })
        .unwrap_or_else(|error| panic!("{error}: {:?}", prometheus.query(promql)));
    };
    agree("clock_offset_seconds", "/clock/offset_seconds", 0.01);
    agree("clock_steps_total{clock_direction=\"forward\"}", "/clock/steps/forward", 0.0);
    agree("aws_signature_margin_seconds{aws_limit=\"sigv4\"}", "/limits/1/margin_seconds", 0.01);
    agree("aws_credential_remaining_seconds", "/credentials/0/remaining_seconds", 20.0);
    assert_eq!(prometheus.query("clock_state{clock_state=\"synchronized\"}").unwrap(), [1.0, 1.0]);
    let told = prometheus.query("target_info{host_id=\"i-0123456789abcdef0\",cloud_region=\"eu-central-1\"}").unwrap();
    assert_eq!(told, [1.0, 1.0]);
    // What of the format Prometheus did not understand, it would tell so.
    assert_eq!(prometheus.query("up").unwrap(), [1.0, 1.0]);
    assert_eq!(prometheus.query("node_textfile_scrape_error").unwrap(), [0.0]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    check_metrics(&fs::read_to_string(&file).unwrap()).unwrap();

    agent.configure(&config("{ prometheus: {}, detail: full }")).unwrap();
    running.signal(nix::sys::signal::Signal::SIGHUP).unwrap();
    let of_full = wait_for("all of it", PATIENCE, || {
        let samples = page(&net).lines().filter(|line| !line.starts_with('#')).count();
        (samples > of_fleet).then_some(samples)
    });
    println!("{of_fleet} samples of fleet, {} of full", of_full.unwrap());
    check_metrics(&page(&net)).unwrap();
    assert!(!file.exists(), "a file that nobody writes any more would be shown for ever");

    agent.configure(&config(&telemetry)).unwrap();
    running.signal(nix::sys::signal::Signal::SIGHUP).unwrap();
    wait_for("the file", PATIENCE, || file.exists().then_some(())).unwrap();
    running.stop(PATIENCE).unwrap();
    wait_for("the error", PATIENCE, || (prometheus.query("node_textfile_scrape_error").ok()? == [1.0]).then_some(()))
        .unwrap();
    assert!(!file.exists() && net.within(Side::Agent, || http::get(PAGE, "/metrics")).unwrap().is_err());
}

#[test]
fn who_asks_wrongly_slowly_or_for_too_much_harms_nobody() {
    let net = Net::new().unwrap();
    let (_chrony, _imds) = aws(&net);
    let agent = Skewguard::new(&net, &config("{ prometheus: { listen: '127.0.0.1:9464' } }")).unwrap();
    let mut running = agent.run().unwrap();
    await_all(&mut running);
    let said = |request: &[u8]| {
        net.within(Side::Agent, || {
            let mut stream = TcpStream::connect(PAGE).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = stream.write_all(request);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        })
        .unwrap()
    };
    assert!(said(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 404 "));
    let refused = said(b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD"), "{refused}");
    assert!(said(b"\x16\x03\x01 no HTTP\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let long = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &vec![b'a'; 2 << 20]].concat();
    assert!(!said(&long).starts_with("HTTP/1.1 200 "));
    let newer = said(b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: application/openmetrics-text\r\n\r\n");
    assert!(newer.contains("application/openmetrics-text; version=1.0.0") && newer.ends_with("# EOF\n"), "{newer}");

    // Twice as many as are served at once say nothing: they are cut off, and whoever asks then has an answer.
    let silent: Vec<_> =
        net.within(Side::Agent, || (0..16).map(|_| TcpStream::connect(PAGE).unwrap()).collect()).unwrap();
    let answer = wait_for("an answer", PATIENCE, || net.within(Side::Agent, || http::get(PAGE, "/metrics")).ok()?.ok());
    assert!(answer.unwrap().contains("clock_offset_seconds"));
    drop(silent);
    assert_eq!(running.status().unwrap()["clock"]["state"], "synchronized");
}

#[test]
fn a_port_that_is_taken_is_told_once_and_had_as_soon_as_it_is_free_and_a_folder_that_is_missing_likewise() {
    let net = Net::new().unwrap();
    let (_chrony, _imds) = aws(&net);
    let folder = private_dir().unwrap();
    let file = folder.path().join("later/skewguard.prom");
    let taken = net.within(Side::Agent, || TcpListener::bind(PAGE)).unwrap().unwrap();
    let agent =
        Skewguard::new(&net, &config(&format!("{{ prometheus: {{}}, textfile: {} }}", file.display()))).unwrap();
    let mut running = agent.run().unwrap();
    await_all(&mut running);
    wait_for("the words", PATIENCE, || {
        let log = running.log();
        (log.contains("Prometheus cannot scrape") && log.contains("a file of metrics cannot be written")).then_some(())
    })
    .unwrap();
    drop(taken);
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::set_permissions(file.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
    wait_for("the page", PATIENCE, || net.within(Side::Agent, || http::get(PAGE, "/metrics")).ok()?.ok()).unwrap();
    wait_for("the file", PATIENCE, || file.exists().then_some(())).unwrap();
    let log = running.log();
    assert_eq!(log.matches("Prometheus cannot scrape").count(), 1, "{log}");
    assert_eq!(log.matches("a file of metrics cannot be written").count(), 1, "{log}");
    running.stop(PATIENCE).unwrap();
}
