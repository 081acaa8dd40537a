//! What the agent does when a hypervisor disrupts the clocks of its machine: a guest with a real VMClock, which QEMU restores
//! from a snapshot and moves into another QEMU. Of both QEMU tells by the marker, once the machine goes on.

#![cfg(target_arch = "x86_64")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]
#![expect(clippy::print_stdout, reason = "what is measured is worth reading: --nocapture")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tests::chrony::Chrony;
use tests::http::{HttpServer, Reply};
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::vm::Vm;
use tests::wait::wait_for;
use tests::{metadata, udev};

const PATIENCE: Duration = Duration::from_secs(30);
/// An agent that asks nobody in this time is not told of anything by asking.
const SILENCE: Duration = Duration::from_secs(3);
/// From the agent's reading of another marker to an alert, by the clock of the guest. The guest is interpreted, so that a busy
/// machine makes it longer: what the agent needs is the least of a few times.
const PROMPT: Duration = Duration::from_secs(1);
const TIMES: usize = 3;
/// From the moment when the guest goes on to an alert that has arrived, on any machine: the marker is read once a second.
const ARRIVAL: Duration = Duration::from_secs(15);
const CONFIG: &str = "/etc/skewguard.yaml";
const YAML: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1024s }]
alerts: { boot_grace: 0s }
channels: [{ name: ops, webhook: { url: \"http://169.254.169.254:8080/hook\" } }]
socket: /tmp/skewguard.sock
";
/// Where QEMU puts the flags of the page (vmclock.h, vmclock-abi.h).
const FLAGS: &str = "0xfeffb018";
const CREDENTIALS: &str = "GET /latest/meta-data/iam/security-credentials/web";

/// An alert and when it arrived.
type Told = (SystemTime, Value);

/// A guest with VMClock, time to ask for and somebody to tell.
struct Guest {
    vm: Vm,
    chrony: Chrony,
    imds: HttpServer,
    told: Arc<Mutex<Vec<Told>>>,
    /// So many disruptions the agent has told of that count no more.
    forgotten: usize,
    _hook: HttpServer,
    net: Net,
}

impl Guest {
    fn boot() -> Self {
        let net = Net::new().unwrap();
        let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        let imds = metadata::start(&net, Side::Aws, (IMDS, 80).into(), &metadata::valid_document()).unwrap();
        let hook = HttpServer::start(&net, Side::Aws, (IMDS, 8080).into()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let arrivals = Arc::clone(&told);
        hook.on_each("POST /hook", move |request| {
            let arrival = SystemTime::now();
            arrivals.lock().unwrap().push((arrival, serde_json::from_slice(&request.body).unwrap()));
            Reply::ok("")
        });
        let begun = Instant::now();
        let mut vm = Vm::boot_with_vmclock(&net, YAML, &[&udev::udevadm().unwrap()]).unwrap();
        println!("the guest is up after {:?}", begun.elapsed());
        vm.run(&format!("chmod 644 {CONFIG} && chmod 1777 /tmp")).unwrap();
        Self { vm, chrony, imds, told, forgotten: 0, _hook: hook, net }
    }

    /// What a command prints that nobody runs, who owns nothing in the guest.
    fn as_nobody(&mut self, command: &str) -> String {
        let line = format!("su -s /bin/sh nobody -c 'skewguard {command} --config {CONFIG}' 2>/dev/null || true");
        self.vm.run(&line).unwrap()
    }

    /// What the doctor says of migrations.
    fn migration(&mut self) -> Value {
        let told: Value = serde_json::from_str(&self.as_nobody("doctor --format json")).unwrap();
        let check = told["checks"].as_array().unwrap().iter().find(|check| check["name"] == "clock-migration").cloned();
        check.with_context(|| told.to_string()).unwrap()
    }

    /// Starts the agent and returns once it has three answers and credentials, and knows the time.
    fn start_agent(&mut self) -> Value {
        let run = format!("exec skewguard run --config {CONFIG}");
        self.vm.run(&format!("NO_COLOR=1 su -s /bin/sh nobody -c '{run}' >/dev/ttyS0 2>&1 &")).unwrap();
        self.await_status("the time", |status| {
            is_synchronized(status) && asked(status) >= Some(3) && status["credentials"][0]["state"] == "valid"
        })
    }

    fn status(&mut self) -> Value {
        serde_json::from_str(&self.as_nobody("status --format json")).unwrap_or_default()
    }

    fn await_status(&mut self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = wait_for(what, PATIENCE, || {
            last = self.status();
            is_wanted(&last).then(|| last.clone())
        });
        found.with_context(|| format!("{last:#}\n{}", self.vm.console())).unwrap()
    }

    /// The lower half of the marker.
    fn marker(&mut self) -> String {
        let line = r#"dd if=/dev/vmclock0 bs=4 skip=4 count=1 2>/dev/null | hexdump -e '1/4 "%d\n"'"#;
        self.vm.run(line).unwrap().trim().to_owned()
    }

    /// Awaits a critical alert after the guest went on, which it has just done. Returns how long after the agent's reading of
    /// another marker it fired.
    fn await_alert(&mut self, why: &str) -> Duration {
        let resumed = self.vm.monitor().resumed().unwrap();
        let (arrived, alert) =
            wait_for("an alert", PATIENCE, || self.told.lock().unwrap().iter().find(|told| told.0 > resumed).cloned())
                .with_context(|| self.examination())
                .unwrap();
        let after = arrived.duration_since(resumed).unwrap();
        let noticed = self.noticed();
        let fired: DateTime<Utc> = alert["system_time"].as_str().unwrap().parse().unwrap();
        let within = (fired - noticed).to_std().unwrap();
        println!("{why}: told {within:?} after the marker was read, and {after:?} after the guest went on");
        assert!(after < ARRIVAL, "{}", self.vm.console());
        assert_eq!((&alert["alert"], &alert["severity"]), (&"clock-skew".into(), &"critical".into()), "{alert}");
        assert!(alert["summary"].as_str().unwrap().contains("s slow"), "{alert}");
        within
    }

    /// Whether the machine still runs, and what goes on in it.
    fn examination(&mut self) -> String {
        let machine = self.vm.monitor().execute("query-status", &json!({}));
        let inside = self.vm.run("cat /proc/uptime; date; ps; dmesg | tail -n 5; cat /proc/interrupts");
        format!("{}\n{machine:?}\n{inside:?}", self.vm.console())
    }

    /// Forgets what was told so far, and what the agent has read.
    fn forget(&mut self) {
        self.told.lock().unwrap().clear();
        self.forgotten = self.disruptions().len();
    }

    /// When the agent read another marker since then, by the clock of the guest. What it writes takes longer to the console than
    /// an alert takes over the network.
    fn noticed(&self) -> DateTime<Utc> {
        let time = wait_for("a line of the agent", PATIENCE, || self.disruptions().get(self.forgotten).cloned());
        let time = time.with_context(|| self.vm.console()).unwrap();
        time.parse().with_context(|| time.clone()).unwrap()
    }

    /// When the agent has read another marker.
    fn disruptions(&self) -> Vec<String> {
        let console = self.vm.console();
        let lines = console.lines().filter(|line| line.contains("the hypervisor has disrupted the clocks"));
        lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
    }
}

fn is_synchronized(status: &Value) -> bool {
    status["clock"]["state"] == "synchronized"
}

fn asked(status: &Value) -> Option<u64> {
    status["sources"][0]["outcomes"]["ok"].as_u64()
}

/// That the agent has seen so many disruptions, and no step.
fn assert_seen(status: &Value, disruptions: u32) {
    assert_eq!(status["clock"]["disruptions"]["seen"], disruptions, "{status:#}");
    assert_eq!(status["clock"]["steps"], json!({ "forward": 0, "backward": 0 }), "{status:#}");
}

#[test]
fn a_machine_that_was_restored_or_moved_is_told_at_once_how_wrong_its_clock_is_and_one_that_was_paused_is_not() {
    let mut guest = Guest::boot();
    // So the kernel makes it.
    assert_eq!(guest.vm.run("stat -c %a /dev/vmclock0").unwrap().trim(), "600");
    let forbidden = guest.migration();
    assert_eq!(forbidden["verdict"], "skipped", "{forbidden}");
    assert!(forbidden["summary"].as_str().unwrap().contains("70-skewguard.rules"), "{forbidden}");
    udev::start(&mut guest.vm).unwrap();
    assert_eq!(udev::mode(&mut guest.vm, "misc", "/dev/vmclock0").unwrap(), "444", "{}", guest.vm.console());
    let readable = guest.migration();
    assert_eq!(readable["verdict"], "ok", "{readable}");

    guest.start_agent();
    // QEMU announces nothing, so that the guest writes the flag into the page itself: a migration within the hour.
    guest.vm.run(&format!("devmem {FLAGS} 64 4")).unwrap();
    let announced = guest.migration();
    assert_eq!(announced["verdict"], "warning", "{announced}");
    let expected = |status: &Value| status["clock"]["disruptions"]["expected_within_seconds"].as_f64();
    guest.await_status("the announcement", |status| expected(status) == Some(3600.0));
    guest.vm.run(&format!("devmem {FLAGS} 64 0")).unwrap();
    let right = guest.await_status("its end", |status| expected(status).is_none());
    assert_seen(&right, 0);
    assert_eq!(guest.marker(), "1");
    guest.vm.save("right").unwrap();
    let fetched = guest.imds.count(CREDENTIALS);

    // Nothing on the machine moves with the true time, the next poll is a quarter of an hour away, and of a pause QEMU says
    // nothing.
    guest.chrony.set_offset(400.0).unwrap();
    guest.vm.monitor().pause(Duration::from_secs(1)).unwrap();
    thread::sleep(SILENCE);
    let silent = guest.status();
    assert!(is_synchronized(&silent) && asked(&silent) == asked(&right), "{silent:#}");
    assert_seen(&silent, 0);
    assert_eq!((guest.marker().as_str(), guest.imds.count(CREDENTIALS)), ("1", fetched));
    assert_eq!(*guest.told.lock().unwrap(), [], "{}", guest.vm.console());

    let prompt = (0..TIMES).any(|_| {
        guest.forget();
        guest.vm.monitor().load("right").unwrap();
        let within = guest.await_alert("restored");
        let restored = guest.status();
        assert_seen(&restored, 1);
        assert!(asked(&restored) > asked(&right), "{restored:#}");
        assert_eq!(guest.marker(), "2");
        within < PROMPT
    });
    assert!(prompt, "{}", guest.vm.console());
    wait_for("credentials that are read again", PATIENCE, || (guest.imds.count(CREDENTIALS) > fetched).then_some(()))
        .with_context(|| guest.vm.console())
        .unwrap();

    // Once more, with a clock that is right all the same: that is seen, and nobody is woken.
    guest.chrony.set_offset(0.0).unwrap();
    guest.forget();
    guest.vm.monitor().load("right").unwrap();
    let again = guest.await_status("the time again", |status| {
        is_synchronized(status) && status["clock"]["disruptions"]["seen"] == 1 && asked(status) > asked(&right)
    });
    assert_seen(&again, 1);
    assert_eq!(*guest.told.lock().unwrap(), [], "{}", guest.vm.console());

    guest.chrony.set_offset(400.0).unwrap();
    guest.forget();
    guest.vm.migrate(&guest.net).unwrap();
    guest.await_alert("moved");
    let moved = guest.status();
    assert_seen(&moved, 2);
    assert!(asked(&moved) > asked(&again), "{moved:#}");
    assert_eq!(guest.marker(), "3");
    let told = guest.told.lock().unwrap().iter().map(|told| told.1["alert"].clone()).collect::<Vec<_>>();
    assert_eq!(told, ["clock-skew"], "{}", guest.vm.console());
}
