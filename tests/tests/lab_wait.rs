//! `wait`, against a real time server, beside a real agent, and as the unit that packages bring.

#![expect(clippy::disallowed_methods, reason = "how long a command takes is read from the machine's own clock")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::os::unix::net::UnixListener;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::agent::{FakeClock, Running, Skewguard, TIME_SYNC_ALONE, WITH_IMDS};
use tests::chrony::Chrony;
use tests::container::{Release, Root};
use tests::host::{Host, WAIT};
use tests::http::{HttpServer, Reply};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::packages::{FOLDER, Packages};
use tests::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The same as JSON: the exit code beside it.
fn waited(agent: &Skewguard<'_>, arguments: &[&str]) -> (Option<i32>, Value) {
    let answer = agent.answer(&[&["wait", "--format", "json"], arguments].concat()).unwrap();
    let json = answer.json().unwrap();
    (answer.code, json)
}

fn is_told(begun: &Running<'_>, text: &str) {
    wait_until(text, PATIENCE, || begun.log().contains(text))
        .unwrap_or_else(|error| panic!("{error}: {}", begun.log()));
}

fn code(status: ExitStatus) -> Option<i32> {
    status.code()
}

// What is waited for: the clock

#[test]
fn a_clock_that_is_right_is_not_waited_for() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    let (answer, took) = agent.timed(&["wait"]).unwrap();
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stdout.starts_with("good after ") && answer.stdout.contains("the clock is "), "{answer:?}");
    assert!(took < seconds(3.0), "{took:?}");
}

#[test]
fn where_no_source_answers_nothing_is_known_at_the_limit() {
    let net = Net::new().unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    let (answer, took) = agent.timed(&["wait", "--timeout", "3s"]).unwrap();
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert!(took >= seconds(3.0) && took < seconds(4.5), "{took:?}");
    assert!(answer.stdout.starts_with("unknown after 3."), "{answer:?}");
    assert!(answer.stderr.contains("waiting: no source of time has answered (amazon-time-sync: "), "{answer:?}");
    // A line for each change, and no more.
    assert!(answer.stderr.lines().count() <= 3, "{answer:?}");
    let quiet = agent.answer(&["wait", "--timeout", "1s", "--quiet"]).unwrap();
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(3), "", ""));
}

#[test]
fn a_clock_that_is_wrong_is_waited_for_until_it_is_mended() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    chrony.set_offset(400.0).unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    let (answer, took) = agent.timed(&["wait", "--timeout", "3s"]).unwrap();
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stdout.starts_with("not good after 3.") && answer.stdout.contains("400 s slow"), "{answer:?}");
    assert!(took < seconds(4.5), "{took:?}");

    let mut begun = agent.begin(&["wait", "--timeout", "60s"]).unwrap();
    is_told(&begun, "waiting: the clock is 400 s slow");
    thread::sleep(seconds(2.0));
    chrony.set_offset(0.0).unwrap();
    let mended = Instant::now();
    let status = begun.end(PATIENCE).unwrap();
    assert_eq!(code(status), Some(0), "{}", begun.log());
    assert!(mended.elapsed() < seconds(6.0), "{:?}: {}", mended.elapsed(), begun.log());
    assert!(begun.log().contains("\ngood after "), "{}", begun.log());
}

#[test]
fn the_limit_does_not_move_when_somebody_sets_the_clock() {
    let net = Net::new().unwrap();
    let clock = FakeClock::new().unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap().with_clock(&clock).unwrap();
    let started = Instant::now();
    let mut begun = agent.begin(&["wait", "--timeout", "5s"]).unwrap();
    thread::sleep(seconds(1.5));
    clock.set(-3_600.0).unwrap();
    thread::sleep(seconds(1.5));
    clock.set(7_200.0).unwrap();
    let status = begun.end(PATIENCE).unwrap();
    let took = started.elapsed();
    assert_eq!(code(status), Some(3), "{}", begun.log());
    assert!(took >= seconds(5.0) && took < seconds(7.0), "{took:?}: {}", begun.log());
}

#[test]
fn whoever_ends_the_waiting_is_obeyed_at_once() {
    let net = Net::new().unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut begun = agent.begin(&["wait", "--timeout", "0"]).unwrap();
        is_told(&begun, "waiting: no source of time");
        let told = Instant::now();
        begun.signal(signal).unwrap();
        let status = begun.end(PATIENCE).unwrap();
        assert_eq!(code(status), Some(1), "{}", begun.log());
        assert!(told.elapsed() < seconds(1.0) && begun.log().contains("\ninterrupted after "), "{}", begun.log());
    }
}

// Who is asked

#[test]
fn the_running_agent_is_asked_and_one_that_hangs_or_is_gone_is_not_waited_for() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    let mut running = agent.run().unwrap();
    running.await_status("an estimate", PATIENCE, |status| status["clock"]["state"] == "synchronized").unwrap();
    let (code, json) = waited(&agent, &["--timeout", "5s"]);
    assert_eq!((code, &json["outcome"], &json["measured_by"]), (Some(0), &"good".into(), &"agent".into()), "{json}");
    assert!(json["waited_seconds"].as_f64().unwrap() < 0.4, "nothing was measured: {json}");

    running.signal(Signal::SIGSTOP).unwrap();
    let (code, json) = waited(&agent, &["--timeout", "5s"]);
    assert_eq!((code, &json["measured_by"]), (Some(0), &"wait".into()), "{json}");
    assert!(json["waited_seconds"].as_f64().unwrap() < 2.0, "{json}");
    running.signal(Signal::SIGCONT).unwrap();

    running.kill().unwrap();
    let (code, json) = waited(&agent, &["--timeout", "5s"]);
    assert_eq!((code, &json["measured_by"]), (Some(0), &"wait".into()), "{json}");
}

#[test]
fn whoever_says_nothing_or_nonsense_on_the_socket_is_no_agent() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let folder = tests::process::private_dir().unwrap();
    let socket = folder.path().join("liar.sock");
    let agent = Skewguard::new(&net, &format!("{TIME_SYNC_ALONE}socket: {}\n", socket.display())).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    // Nobody accepts.
    let (code, json) = waited(&agent, &["--timeout", "5s"]);
    assert_eq!((code, &json["measured_by"]), (Some(0), &"wait".into()), "{json}");
    let liar = thread::spawn(move || {
        use std::io::Write;
        for stream in listener.incoming() {
            // Whoever asks may have gone.
            let _ = stream.unwrap().write_all(b"{\"status\":\"ok\",\"clock\":{\"state\":\"synchronized\"}}");
        }
    });
    let (code, json) = waited(&agent, &["--timeout", "5s"]);
    assert_eq!((code, &json["measured_by"]), (Some(0), &"wait".into()), "{json}");
    assert!(!liar.is_finished());
}

#[test]
fn an_agent_that_starts_or_ends_meanwhile_is_followed() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    chrony.set_offset(400.0).unwrap();
    let agent = Skewguard::new(&net, TIME_SYNC_ALONE).unwrap();
    let arguments = ["wait", "--timeout", "60s", "--format", "json"];
    let end = |mut begun: Running<'_>| {
        let status = begun.end(PATIENCE).unwrap();
        let log = begun.log();
        let json: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        (code(status), json)
    };

    let begun = agent.begin(&arguments).unwrap();
    is_told(&begun, "400 s slow");
    let mut running = agent.run().unwrap();
    running.await_status("an estimate", PATIENCE, |status| status["clock"]["state"] == "synchronized").unwrap();
    // The agent is asked once a second.
    thread::sleep(seconds(1.5));
    chrony.set_offset(0.0).unwrap();
    let (code, json) = end(begun);
    assert_eq!((code, &json["measured_by"]), (Some(0), &"agent".into()), "{json}");

    chrony.set_offset(400.0).unwrap();
    running.await_status("the skew", PATIENCE, |status| status["status"] == "critical").unwrap();
    let begun = agent.begin(&arguments).unwrap();
    is_told(&begun, "400 s slow");
    running.kill().unwrap();
    thread::sleep(seconds(2.0));
    chrony.set_offset(0.0).unwrap();
    let (code, json) = end(begun);
    assert_eq!((code, &json["measured_by"]), (Some(0), &"wait".into()), "{json}");
}

// What is waited for: the credentials

fn imds(net: &Net, left: i64) -> HttpServer {
    metadata::start(net, Side::Aws, (IMDS, 80).into(), &metadata::document(left)).unwrap()
}

#[test]
fn a_credential_is_good_while_it_lives_longer_than_is_wanted() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let _imds = imds(&net, 30);
    let agent = Skewguard::new(&net, WITH_IMDS).unwrap();
    let (code, json) = waited(&agent, &["--for", "all", "--timeout", "3s", "--remaining", "60s"]);
    assert_eq!((code, &json["clock"]["outcome"]), (Some(1), &"good".into()), "{json}");
    assert_eq!(json["credentials"]["outcome"], "not-good", "{json}");
    assert!(json["summary"].as_str().unwrap().contains(" left (wanted: more than 1m)"), "{json}");
    let (code, json) = waited(&agent, &["--for", "all", "--timeout", "3s", "--remaining", "10s"]);
    assert_eq!((code, &json["outcome"]), (Some(0), &"good".into()), "{json}");
    assert_eq!(json["credentials"]["all"][0]["identity"], metadata::ROLE, "{json}");
}

#[test]
fn the_life_of_a_credential_is_the_true_one() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    // By a clock that is an hour ahead it would have expired.
    let server = imds(&net, 1_800);
    let ahead = Skewguard::new(&net, WITH_IMDS).unwrap().with_faked_time("+1h").unwrap();
    let (code, json) = waited(&ahead, &["--for", "credentials", "--timeout", "5s"]);
    assert_eq!(code, Some(0), "{json}");
    drop(server);
    // By one that is an hour behind it would not.
    let _server = imds(&net, -1_800);
    let behind = Skewguard::new(&net, WITH_IMDS).unwrap().with_faked_time("-1h").unwrap();
    let (code, json) = waited(&behind, &["--for", "credentials", "--timeout", "3s"]);
    assert_eq!(code, Some(1), "{json}");
    assert!(json["summary"].as_str().unwrap().contains("expired 30 min ago"), "{json}");
}

#[test]
fn a_metadata_service_that_refuses_at_first_is_asked_again() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let agent = Skewguard::new(&net, WITH_IMDS).unwrap();
    let mut begun = agent.begin(&["wait", "--for", "credentials", "--timeout", "60s"]).unwrap();
    is_told(&begun, "waiting: imds cannot be read (refused)");
    let _imds = imds(&net, 3_600);
    let there = Instant::now();
    let status = begun.end(PATIENCE).unwrap();
    assert_eq!(code(status), Some(0), "{}", begun.log());
    assert!(there.elapsed() < seconds(12.0), "{:?}", there.elapsed());
}

#[test]
fn a_host_without_a_role_is_good_only_where_that_is_allowed() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let server = imds(&net, 3_600);
    server.on("GET /latest/meta-data/iam/security-credentials/", Reply::new(404, ""));
    let agent = Skewguard::new(&net, WITH_IMDS).unwrap();
    let answer = agent.answer(&["wait", "--for", "credentials", "--timeout", "2s"]).unwrap();
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stdout.contains("hands out no role (--allow-no-role would take that)"), "{answer:?}");
    let answer = agent.answer(&["wait", "--for", "credentials", "--timeout", "5s", "--allow-no-role"]).unwrap();
    assert_eq!(answer.code, Some(0), "{answer:?}");
}

// The unit

/// Something that orders itself after the time, as `systemd.special` has it.
const NEEDS_TIME: &str =
    "[Unit]\nAfter=time-sync.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n";

#[test]
fn the_unit_holds_back_what_needs_the_time_and_goes_with_its_package() {
    let packages = Packages::new().unwrap();
    for release in Release::ALL {
        let host = Host::boot(Root::new(release).unwrap(), 400.0).unwrap();
        packages.put_into(host.root()).unwrap();
        host.root().write("/etc/systemd/system/needs-time.service", NEEDS_TIME).unwrap();
        let before = host.root().paths().unwrap();
        host.run(&format!("dpkg --install {FOLDER}/present.deb"));
        assert_eq!(host.run(&format!("systemctl is-enabled {WAIT} || true")).trim(), "disabled");
        host.run(&format!("systemctl enable {WAIT}"));
        let verified = host.run("systemd-analyze verify --man=no default.target 2>&1 || true");
        let of_ours: Vec<_> =
            verified.lines().filter(|line| line.contains("skewguard") || line.contains("cycle")).collect();
        assert_eq!(of_ours, [""; 0], "{}", release.name());

        host.run(&format!("systemctl start --no-block {WAIT} needs-time.service"));
        let said = || host.run(&format!("journalctl --unit {WAIT} --no-pager --output=cat"));
        wait_until("the first line", PATIENCE, || said().contains("waiting: the clock is 400 s slow"))
            .unwrap_or_else(|error| panic!("{}: {error}: {}", release.name(), said()));
        let state = |unit| host.container.property(unit, "ActiveState").unwrap();
        assert_eq!((state(WAIT).as_str(), state("needs-time.service").as_str()), ("activating", "inactive"));
        host.chrony.set_offset(0.0).unwrap();
        host.container.await_state("needs-time.service", "active", PATIENCE).unwrap();
        assert_eq!(state(WAIT), "active");
        assert!(said().contains("good after "), "{}", said());

        // Its end takes nothing away from the service.
        host.run(&format!("systemctl stop {WAIT}"));
        assert_eq!(host.property("ActiveState"), "active");
        host.status();
        host.run("dpkg --purge skewguard");
        assert_eq!(host.left_since(&before), [""; 0], "{}", release.name());
    }
}
