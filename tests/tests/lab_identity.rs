//! Whose state a host finds, and under which name it speaks: hosts that are renamed, cloned, or cut off from the instance
//! metadata service.

#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::agent::{FakeClock, Running, Skewguard};
use tests::alertmanager::Alertmanager;
use tests::http::Reply;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::{output, private_dir};
use tests::receiver::{Receiver, Told};
use tests::wait::{wait_for, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// One source, and no grace.
const NEAR: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }]
alerts: { boot_grace: 0s }
";
const NO_IMDS: &str = "credentials: { imds: { enabled: false } }\n";

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(IMDS, port)
}

fn time_server(net: &Net) -> NtpServer {
    NtpServer::start(net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(0.0)).unwrap()
}

fn synchronized(running: &mut Running<'_>) -> Value {
    running.await_status("the time", PATIENCE, |status| status["clock"]["state"] == "synchronized").unwrap()
}

/// Waits for a message about a skew of the clock that says `change`, the last one so far.
#[track_caller]
fn await_skew(receiver: &Receiver<'_>, change: &str, running: &Running<'_>) -> Told {
    let skew = || receiver.taken().told.into_iter().rfind(|told| told.text("alert") == "clock-skew");
    wait_for(change, PATIENCE, || skew().filter(|told| told.text("change") == change))
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", receiver.taken().told, running.log()))
}

// The name

#[test]
fn an_alert_ends_under_the_name_and_the_id_under_which_it_began() {
    let net = Net::new().unwrap();
    let _server = time_server(&net);
    let receiver = Receiver::start(&net, at(8080)).unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let yaml = format!(
        "{NEAR}{NO_IMDS}state_dir: {}\nchannels: [{{ name: ops, webhook: {{ url: \"{}/hook\" }} }}]\n",
        state.path().display(),
        receiver.url()
    );
    let agent = Skewguard::new(&net, &yaml).unwrap().with_clock(&clock).unwrap();
    let name = agent.dir().join("hostname");
    fs::write(&name, "before\n").unwrap();
    let agent = agent.prepared_by(&format!("mount --bind {} /proc/sys/kernel/hostname", name.display()));

    let mut running = agent.run().unwrap();
    synchronized(&mut running);
    clock.set(400.0).unwrap();
    let fired = await_skew(&receiver, "firing", &running);
    assert_eq!(fired.text("host"), "before");
    fs::write(&name, "after\n").unwrap();
    assert!(running.stop(PATIENCE).unwrap().success());

    let mut running = agent.run().unwrap();
    synchronized(&mut running);
    clock.set(0.0).unwrap();
    let resolved = await_skew(&receiver, "resolved", &running);
    assert_eq!((resolved.text("id"), resolved.text("host")), (fired.text("id"), "before"), "{}", running.log());

    clock.set(400.0).unwrap();
    let next = await_skew(&receiver, "firing", &running);
    assert_eq!(next.text("host"), "after");
    assert!(next.text("id").starts_with("after/clock-skew/"), "{}", next.text("id"));
}

#[test]
fn a_restart_that_the_metadata_service_does_not_notice_makes_no_second_alert_in_alertmanager() {
    let net = Net::new().unwrap();
    let _server = time_server(&net);
    let instance = metadata::start(&net, Side::Aws, at(80), "{}").unwrap();
    let alertmanager = Alertmanager::start(&net, at(9093), 3_600, "http://127.0.0.1:9/none").unwrap();
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let yaml = format!(
        "{NEAR}state_dir: {}\nchannels: [{{ name: am, alerts: [clock-skew], alertmanager: {{ url: \"{}\" }} }}]\n",
        state.path().display(),
        alertmanager.url()
    );
    // The role has nothing to hand out, but the service says which instance this is.
    instance.on("GET /latest/meta-data/iam/security-credentials/", Reply::new(404, ""));
    let agent = Skewguard::new(&net, &yaml).unwrap().with_clock(&clock).unwrap();
    let mut running = agent.run().unwrap();
    let is_known = |status: &Value| status["host"]["host.id"] == metadata::INSTANCE_ID;
    running.await_status("who this is", PATIENCE, is_known).unwrap();
    synchronized(&mut running);
    clock.set(400.0).unwrap();
    let active = || alertmanager.active("clock-skew").unwrap();
    wait_until("the alert", PATIENCE, || active().len() == 1)
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", active(), running.log()));
    let before = active();
    assert_eq!(before[0]["labels"]["instance_id"], metadata::INSTANCE_ID, "{before:?}");
    assert!(running.stop(PATIENCE).unwrap().success());

    drop(instance);
    let posts = alertmanager.received("firing").unwrap();
    let running = agent.run().unwrap();
    // What fires is posted again at the start.
    wait_until("another post", PATIENCE, || alertmanager.received("firing").unwrap() > posts)
        .unwrap_or_else(|error| panic!("{error}: {}", running.log()));
    let after: Vec<_> = active().into_iter().map(|alert| alert["labels"].clone()).collect();
    assert_eq!(after, [before[0]["labels"].clone()], "{}", running.log());
}

// The state of another host

/// What a host is known by: its machine-id, and what its firmware calls the instance.
#[derive(Clone, Copy, Debug)]
struct Identity {
    machine: &'static str,
    instance: Option<&'static str>,
}

impl Identity {
    /// Shows it to the agent, in a mount namespace of its own.
    fn preparation(self, folder: &Path) -> String {
        let id = folder.join("machine-id");
        fs::write(&id, format!("{}\n", self.machine)).unwrap();
        let machine = format!("mount --bind {} /etc/machine-id", id.display());
        let firmware = "mount -t tmpfs lab /sys/class; mkdir -p /sys/class/dmi/id";
        match self.instance {
            None => machine,
            Some(instance) => format!("{machine}; {firmware}; echo {instance} >/sys/class/dmi/id/board_asset_tag"),
        }
    }
}

#[test]
fn every_clone_of_a_host_speaks_for_itself_and_the_host_goes_on_where_it_was() {
    const FIRST: &str = "11111111111111111111111111111111";
    const SECOND: &str = "22222222222222222222222222222222";
    let on_premises = |machine| Identity { machine, instance: None };
    let instance = |instance| Identity { machine: FIRST, instance: Some(instance) };
    std::thread::scope(|scope| {
        // Whoever clones an instance seldom gives it another machine-id.
        for (host, clones) in [
            (on_premises(FIRST), [on_premises(SECOND), instance("i-0ccccccccccccccc3")]),
            (instance("i-0aaaaaaaaaaaaaaa1"), [instance("i-0bbbbbbbbbbbbbbb2"), instance("i-0ccccccccccccccc3")]),
        ] {
            scope.spawn(move || is_cloned(host, clones));
        }
    });
}

fn is_cloned(host: Identity, clones: [Identity; 2]) {
    let net = Net::new().unwrap();
    let _server = time_server(&net);
    let (state, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
    let yaml = |state: &Path, url: &str| {
        let channel = format!("channels: [{{ name: ops, alerts: [clock-skew], webhook: {{ url: \"{url}/hook\" }} }}]");
        let near = NEAR.replace("boot_grace: 0s", "boot_grace: 0s, clock-stepped: { enabled: false }");
        format!("{near}{NO_IMDS}state_dir: {}\n{channel}\n", state.display())
    };
    let items = |state: &Path| {
        let files = fs::read_dir(state.join("queue/ops")).into_iter().flatten();
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "item")).count()
    };

    // A skew fires, and nobody takes it.
    let agent =
        Skewguard::new(&net, &yaml(state.path(), "http://169.254.169.254:9")).unwrap().with_clock(&clock).unwrap();
    let preparation = host.preparation(agent.dir());
    let agent = agent.prepared_by(&preparation);
    let mut running = agent.run().unwrap();
    synchronized(&mut running);
    clock.set(400.0).unwrap();
    wait_until("an alert that waits", PATIENCE, || items(state.path()) == 1)
        .unwrap_or_else(|error| panic!("{error}: {}", running.log()));
    assert!(running.stop(PATIENCE).unwrap().success());
    clock.set(0.0).unwrap();

    for (identity, port) in clones.into_iter().zip([8081, 8082]) {
        let receiver = Receiver::start(&net, at(port)).unwrap();
        let (copy, clock) = (private_dir().unwrap(), FakeClock::new().unwrap());
        output(Command::new("cp").arg("-a").arg(format!("{}/.", state.path().display())).arg(copy.path())).unwrap();
        let clone = Skewguard::new(&net, &yaml(copy.path(), &receiver.url())).unwrap().with_clock(&clock).unwrap();
        let preparation = identity.preparation(clone.dir());
        let clone = clone.prepared_by(&preparation);
        let mut running = clone.run().unwrap();
        let status = synchronized(&mut running);
        assert_eq!(status["alerts"], Value::Array(Vec::new()), "{identity:?}");
        let log = running.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("another host")).collect();
        assert_eq!(lines.len(), 1, "{identity:?}: {log}");
        assert!(lines[0].contains("items=1") && lines[0].contains("alerts=1"), "{}", lines[0]);
        let aside = copy.path().join("another-host");
        assert_eq!((items(copy.path()), items(&aside)), (0, 1));
        assert_eq!(fs::read(aside.join("state.json")).unwrap(), fs::read(state.path().join("state.json")).unwrap());
        // Whatever was to be sent would have been sent before this.
        clock.set(400.0).unwrap();
        await_skew(&receiver, "firing", &running);
        clock.set(0.0).unwrap();
        await_skew(&receiver, "resolved", &running);
        assert_eq!(receiver.taken().told.len(), 2, "{identity:?}: {:?}", receiver.taken().told);
        // From now on the state is its own.
        assert!(running.stop(PATIENCE).unwrap().success());
        let mut running = clone.run().unwrap();
        synchronized(&mut running);
        assert!(!running.log().contains("another host"), "{}", running.log());
        assert_eq!(items(&aside), 1);
    }

    let receiver = Receiver::start(&net, at(8080)).unwrap();
    agent.configure(&yaml(state.path(), &receiver.url())).unwrap();
    let mut running = agent.run().unwrap();
    synchronized(&mut running);
    let resolved = await_skew(&receiver, "resolved", &running);
    let told = receiver.taken().told;
    let changes: Vec<_> = told.iter().map(|told| (told.text("change"), told.text("id"))).collect();
    assert_eq!(changes, [("firing", resolved.text("id")), ("resolved", resolved.text("id"))], "{}", running.log());
}
