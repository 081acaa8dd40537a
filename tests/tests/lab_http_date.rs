//! The date of real web servers as a witness of the time: nginx, lighttpd, a proxy, and a host that knows no time at all.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy takes what tests share for production code"
)]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tests::agent::{Answer, Skewguard};
use tests::chrony::Chrony;
use tests::http::{HttpServer, Reply, http_date, http_date_ahead};
use tests::net::{IMDS, Net, SECOND_TIME_SERVER, Side, TIME_SYNC};
use tests::tls::{Authority, Demands, HttpsServer};
use tests::wait::{wait_for, wait_until};
use tests::web::WebServer;

const DAY: f64 = 86_400.0;
const PATIENCE: Duration = Duration::from_secs(30);

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(IMDS, port)
}

fn config(sources: &str) -> String {
    format!("sources: [{sources}]\ncredentials: {{ imds: {{ enabled: false }} }}\n")
}

/// An agent that trusts `authority`, as a system does whose roots it is among.
fn agent<'net>(net: &'net Net, sources: &str, authority: &Authority) -> Skewguard<'net> {
    let agent = Skewguard::new(net, &config(sources)).unwrap();
    let ca = agent.dir().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    agent.env("SSL_CERT_FILE", ca)
}

fn check(agent: &Skewguard<'_>) -> (Answer, Value) {
    let answer = agent.check().unwrap();
    let found = answer.json().unwrap();
    (answer, found)
}

/// Fails unless the offset is `truth` within the bound, and the bound is one of a whole second.
fn assert_measured(found: &Value, truth: f64) {
    let value = |name: &str| found["clock"][name].as_f64().unwrap_or_else(|| panic!("no {name}: {found:#}"));
    let (offset, bound) = (value("offset_seconds"), value("error_bound_seconds"));
    assert!((offset - truth).abs() <= bound && (0.2..1.2).contains(&bound), "{truth}: {offset} ± {bound}");
}

#[test]
fn the_date_of_nginx_and_of_lighttpd_holds_the_truth() {
    let net = Net::new().unwrap();
    let authority = Authority::new("lab").unwrap();
    let identity = authority.issue(&IMDS.to_string(), 0.0).unwrap();
    let _nginx = WebServer::nginx(&net, at(8443), &identity, "+0").unwrap();
    let _ahead = WebServer::nginx(&net, at(8444), &identity, "+400.3").unwrap();
    let _lighttpd = WebServer::lighttpd(&net, at(8080), "-250.7").unwrap();
    for (url, truth) in [
        ("https://169.254.169.254:8443/", 0.0),
        ("https://169.254.169.254:8444/", 400.3),
        ("http://169.254.169.254:8080/", -250.7),
    ] {
        let agent = agent(&net, &format!("{{ name: date, http_date: \"{url}\", trusted: true }}"), &authority);
        let (answer, found) = check(&agent);
        assert_measured(&found, truth);
        let source = &found["sources"][0];
        assert_eq!((&source["kind"], &source["verdict"]), (&"http_date".into(), &"truechimer".into()), "{answer:?}");
        assert_eq!((source["stratum"].as_u64(), source["timestamps"].as_str()), (None, Some("HTTP Date")));
        // Five minutes are AWS's window, and what is a second off is none.
        assert_eq!(answer.code, Some(if truth == 0.0 { 0 } else { 2 }), "{url}: {answer:?}");
    }
}

#[test]
fn beside_a_time_server_it_is_a_second_witness_that_leaves_the_bound_to_the_first() {
    let net = Net::new().unwrap();
    net.add_address(SECOND_TIME_SERVER).unwrap();
    let authority = Authority::new("lab").unwrap();
    let identity = authority.issue(&IMDS.to_string(), 0.0).unwrap();
    let _nginx = WebServer::nginx(&net, at(8443), &identity, "+0").unwrap();
    let chronies = [TIME_SYNC, SECOND_TIME_SERVER].map(|address| Chrony::start(&net, address).unwrap());
    let both = "{ name: a, ntp: 169.254.169.123, trusted: false, group: card }, \
                { name: b, ntp: 169.254.169.124, trusted: false, group: card }, \
                { name: date, http_date: \"https://169.254.169.254:8443/\" }";
    let agent = agent(&net, both, &authority);
    let (answer, found) = check(&agent);
    assert_eq!((answer.code, &found["clock"]["state"]), (Some(0), &"synchronized".into()), "{answer:?}");
    assert!(found["clock"]["error_bound_seconds"].as_f64() < Some(0.05), "{found:#}");
    // What is one witness has one vote: two servers of it do not outvote the date.
    for chrony in &chronies {
        chrony.set_offset(30.0).unwrap();
    }
    // On a busy machine a server may not answer in time.
    let have_all = |found: &Value| {
        let of = |source: &Value| source["outcomes"].as_object().unwrap().keys().eq(["ok"]);
        found["sources"].as_array().unwrap().iter().all(of)
    };
    let found = wait_for("answers of all", PATIENCE, || Some(check(&agent).1).filter(have_all)).unwrap();
    assert_eq!(found["clock"]["state"], "disagreement", "{found:#}");
}

#[test]
fn a_host_that_knows_no_time_gets_its_first_one_and_believes_no_date_outside_of_the_certificate() {
    let net = Net::new().unwrap();
    let authority = Authority::new("lab").unwrap();
    let issue = |days: f64| authority.issue(&IMDS.to_string(), days * DAY).unwrap();
    let _nginx = WebServer::nginx(&net, at(8443), &issue(0.0), "+0").unwrap();
    // Its certificate is valid in two years alone, and its date is of today; and one that is of then.
    let _liar = WebServer::nginx(&net, at(8444), &issue(730.0), "+0").unwrap();
    let _later = WebServer::nginx(&net, at(8445), &issue(730.0), "+730d").unwrap();
    let found = |port: u16, faked: &str, authority: &Authority| {
        let url = format!("https://169.254.169.254:{port}/");
        let agent = agent(&net, &format!("{{ name: date, http_date: \"{url}\", trusted: true }}"), authority);
        check(&agent.with_faked_time(faked).unwrap()).1
    };
    for (faked, truth) in [("+730d", -730.0 * DAY), ("-30d", 30.0 * DAY)] {
        assert_measured(&found(8443, faked, &authority), truth);
    }
    assert_measured(&found(8445, "+0", &authority), 730.0 * DAY);
    let refusal = |found: &Value| found["sources"][0]["refusal"].as_str().unwrap_or_default().to_owned();
    let lied = found(8444, "+0", &authority);
    assert_eq!(refusal(&lied), "at the date of the answer the certificate of the server was not valid", "{lied:#}");
    assert!(lied["clock"]["offset_seconds"].is_null(), "{lied:#}");
    let strange = found(8443, "+730d", &Authority::new("another").unwrap());
    assert!(refusal(&strange).contains("unknown issuer"), "{strange:#}");
}

#[test]
fn a_proxy_is_gone_through_and_what_it_or_a_cache_says_itself_is_no_time() {
    let net = Net::new().unwrap();
    let authority = Authority::new("lab").unwrap();
    let identity = authority.issue("date.test", 0.0).unwrap();
    let demands = Demands { connect: true, ..Demands::default() };
    let proxy = HttpsServer::start(&net, Side::Aws, at(3128), &identity, demands).unwrap();
    let through = agent(&net, "{ name: date, http_date: \"https://date.test/\", trusted: true }", &authority)
        .env("HTTPS_PROXY", "http://169.254.169.254:3128");
    let (_, found) = check(&through);
    assert_measured(&found, 0.0);
    assert!(proxy.connects().iter().all(|target| target == "date.test:443") && !proxy.connects().is_empty());

    let date = http_date();
    let dated = |status| Reply::new(status, "").header("Date", &date);
    let replies = [
        (dated(200).header("Age", "17280"), "cached"),
        (dated(200).header("X-Cache", "Hit from cloudfront"), "cached"),
        (dated(407), "proxy"),
        (dated(503), "server-failure"),
        (dated(200).header("Date", &date), "no-date"),
        (Reply::new(200, ""), "no-date"),
        (Reply::new(200, "").header("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), "implausible"),
        (Reply::hang_up(), "network"),
        (dated(403), "ok"),
    ];
    let ports = || (8080..).take(replies.len());
    let servers = replies.iter().zip(ports()).map(|((reply, _), port)| {
        let server = HttpServer::start(&net, Side::Aws, at(port)).unwrap();
        server.on("HEAD /", reply.clone());
        server
    });
    let _servers: Vec<_> = servers.collect();
    let sources = ports().map(|port| format!("{{ name: s{port}, http_date: \"http://169.254.169.254:{port}/\" }}"));
    let agent = Skewguard::new(&net, &config(&sources.collect::<Vec<_>>().join(", "))).unwrap();
    let (_, found) = check(&agent);
    for ((reply, outcome), source) in replies.iter().zip(found["sources"].as_array().unwrap()) {
        let outcomes = source["outcomes"].as_object().unwrap();
        assert_eq!(outcomes.keys().collect::<Vec<_>>(), [outcome], "{reply:?}: {source:#}");
    }
}

#[test]
fn a_proxy_that_demands_authentication_is_told_as_such() {
    let net = Net::new().unwrap();
    let authority = Authority::new("lab").unwrap();
    let proxy = HttpServer::start(&net, Side::Aws, at(3128)).unwrap();
    proxy.on("CONNECT date.test:443", Reply::new(407, "").header("Proxy-Authenticate", "Basic realm=\"lab\""));
    let through = agent(&net, "{ name: date, http_date: \"https://date.test/\", trusted: true }", &authority)
        .env("HTTPS_PROXY", "http://169.254.169.254:3128");
    let (_, found) = check(&through);
    let source = &found["sources"][0];
    assert_eq!(source["refusal"], "a proxy on the way asks for credentials", "{found:#}");
    assert_eq!(source["outcomes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["proxy"], "{found:#}");
    let finding =
        found["findings"].as_array().unwrap().iter().find(|one| one["alert"] == "source-unreachable").unwrap();
    assert!(finding["remedy"].as_str().unwrap().contains("HTTPS_PROXY in its environment"), "{finding:#}");
    assert_eq!(proxy.count("CONNECT date.test:443"), 2, "it is asked twice at one look");
}

#[test]
fn whoever_looks_once_asks_a_server_twice_at_most_whatever_is_wrong() {
    let net = Net::new().unwrap();
    let server = HttpServer::start(&net, Side::Aws, at(8080)).unwrap();
    let yaml = config("{ name: date, http_date: \"http://169.254.169.254:8080/\" }");
    let agent = Skewguard::new(&net, &yaml).unwrap();
    // One question is two requests, and one that is refused is over with the first.
    let asked = |arguments: &[&str]| {
        let before = server.count("HEAD /");
        let answer = agent.answer(arguments).unwrap();
        println!("{:?}: {} requests, exit code {:?}", arguments, server.count("HEAD /") - before, answer.code);
        (server.count("HEAD /") - before, answer)
    };
    let looks: [&[&str]; 3] = [&["check"], &["check", "--format", "npd"], &["doctor"]];
    server.on_each("HEAD /", |_| Reply::new(200, "").header("Date", &http_date_ahead(400)));
    for arguments in looks {
        let (requests, answer) = asked(arguments);
        assert_eq!(requests, 4, "{answer:?}");
        assert!(answer.stdout.contains("clock-skew") || answer.stdout.contains("clock-offset"), "{answer:?}");
    }
    server.on("HEAD /", Reply::hang_up());
    for arguments in looks {
        let (requests, answer) = asked(arguments);
        assert_eq!(requests, 2, "{answer:?}");
    }
    let (_, found) = check(&agent);
    assert_eq!(found["findings"][0]["alert"], "source-unreachable", "{found:#}");
    // Whoever wants more says so.
    assert_eq!(asked(&["check", "--samples", "3"]).0, 3);
}

#[test]
fn a_server_that_knows_no_head_is_asked_with_get_and_a_fleet_is_polite() {
    let net = Net::new().unwrap();
    let server = HttpServer::start(&net, Side::Aws, at(8080)).unwrap();
    let dated = |status| Reply::new(status, "").header("Date", &http_date());
    server.on_each("HEAD /", move |_| dated(405));
    server.on_each("GET /", move |_| dated(200));
    let yaml = config("{ name: date, http_date: \"http://169.254.169.254:8080/\", trusted: true, poll: 60s }");
    let agent = Skewguard::new(&net, &yaml).unwrap();
    let mut running = agent.run().unwrap();
    wait_until("an estimate", PATIENCE, || {
        running.status().is_ok_and(|status| status["clock"]["state"] == "synchronized")
    })
    .unwrap();
    assert_measured(&running.status().unwrap(), 0.0);
    // One question is two requests. A second one confirms the first, and the others come in minutes.
    running.await_status("a second answer", PATIENCE, |status| status["clock"]["confirmed"] == true).unwrap();
    let routes: Vec<_> = server.requests().iter().map(tests::http::Request::route).collect();
    assert!(routes.len() <= 6 && routes.chunks(2).all(|one| one == ["HEAD /", "GET /"]), "{routes:?}");
    assert!(server.requests().iter().all(|request| request.headers["cache-control"] == "no-cache"));
}
