//! The agent in a guest whose clock is really set, which no other test may do.

#![cfg(target_arch = "x86_64")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it measures when an alert arrives")]
#![expect(clippy::print_stdout, reason = "what is measured is worth reading: --nocapture")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use tests::chrony::Chrony;
use tests::http::{HttpServer, Reply};
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::vm::Vm;
use tests::wait::wait_for;

/// How soon after a step its alerts must be out. A second is promised, but a tick of a second would sometimes do that too.
const PROMPT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

fn config(poll: &str) -> String {
    format!(
        "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: {poll} }}]
credentials: {{ imds: {{ enabled: false }} }}
alerts: {{ boot_grace: 0s, clock-stepped: {{ for: 5s }} }}
channels: [{{ name: ops, webhook: {{ url: \"http://169.254.169.254:8080/hook\" }} }}]
socket: /run/skewguard.sock
"
    )
}

/// An alert and when it arrived.
type Told = (Instant, Value);

/// A guest with a running agent, time to ask for and somebody to tell.
struct Host {
    vm: Vm,
    told: Arc<Mutex<Vec<Told>>>,
    _hook: HttpServer,
    _chrony: Chrony,
}

impl Host {
    /// Returns once the agent has three answers and knows the time; from then on it asks every `poll`.
    fn start(net: &Net, poll: &str) -> Self {
        Self::start_as(net, &config(poll), None, "true")
    }

    /// The same as the instance of this id, once `preparation` was done there.
    fn start_as(net: &Net, yaml: &str, instance: Option<&str>, preparation: &str) -> Self {
        let chrony = Chrony::start(net, TIME_SYNC).unwrap();
        let hook = HttpServer::start(net, Side::Aws, (IMDS, 8080).into()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let arrivals = Arc::clone(&told);
        hook.on_each("POST /hook", move |request| {
            let arrival = Instant::now();
            arrivals.lock().unwrap().push((arrival, serde_json::from_slice(&request.body).unwrap()));
            Reply::ok("")
        });
        let booting = Instant::now();
        let mut vm = Vm::boot_as(net, yaml, instance).unwrap();
        println!("the guest is up after {:?}", booting.elapsed());
        vm.run(preparation).unwrap();
        vm.run("skewguard run --config /etc/skewguard.yaml >/dev/ttyS0 2>&1 &").unwrap();
        let mut host = Self { vm, told, _hook: hook, _chrony: chrony };
        host.await_status("the time", |status| {
            status["clock"]["state"] == "synchronized" && status["sources"][0]["outcomes"]["ok"].as_u64() >= Some(3)
        });
        println!("it knows the time after {:?}", booting.elapsed());
        host
    }

    fn await_status(&mut self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, PATIENCE, || {
            let answer = self.vm.run("skewguard status --format json --config /etc/skewguard.yaml || true").unwrap();
            serde_json::from_str(&answer).ok().filter(|status| is_wanted(status))
        })
        .with_context(|| self.vm.console())
        .unwrap()
    }

    /// The first of its kind that arrived after `since`, and how long after.
    fn await_alert(&self, since: Instant, alert: &str, change: &str) -> (Duration, Value) {
        wait_for(&format!("{alert} {change}"), PATIENCE, || {
            let told = self.told.lock().unwrap();
            let mut later = told.iter().filter(|one| one.0 >= since);
            let found = later.find(|one| one.1["alert"] == alert && one.1["change"] == change)?;
            Some((found.0 - since, found.1.clone()))
        })
        .with_context(|| self.vm.console())
        .unwrap()
    }

    /// Sets the guest's clock so many whole seconds forward or back, give or take one.
    /// The moment returned is before the step, so that what is counted from it is never too short.
    fn step(&mut self, seconds: i64) -> Instant {
        let before = Instant::now();
        self.vm.run(&format!("date -s @$(($(date +%s) + {seconds}))")).unwrap();
        println!("set by {seconds} s; the command took {:?} at most", before.elapsed());
        before
    }
}

#[test]
fn a_step_of_the_clock_is_told_within_a_second_in_either_direction() {
    let net = Net::new().unwrap();
    // So rarely that the answer to a question is not what reveals the step.
    let mut host = Host::start(&net, "16s");
    assert_eq!(*host.told.lock().unwrap(), [], "a right clock is no reason for an alert");

    for (seconds, direction) in [(400, "forward"), (-400, "back")] {
        let before = host.step(seconds);
        let skew_change = if seconds > 0 { "firing" } else { "resolved" };
        let (stepped_after, stepped) = host.await_alert(before, "clock-stepped", "firing");
        let (skew_after, skew) = host.await_alert(before, "clock-skew", skew_change);
        println!("{seconds} s: clock-stepped after {stepped_after:?}, clock-skew {skew_change} after {skew_after:?}");
        assert_eq!(skew["severity"], "critical", "{skew}");
        let summary = stepped["summary"].as_str().unwrap();
        assert!(summary.contains(direction), "{summary}");
        assert!(stepped_after < PROMPT && skew_after < PROMPT, "{stepped_after:?} {skew_after:?}");
        // A step is an event: the alert ends by itself, and the next one is told anew.
        host.await_alert(before, "clock-stepped", "resolved");
    }
}

#[test]
fn a_suspended_host_wakes_up_without_a_step() {
    let net = Net::new().unwrap();
    let mut host = Host::start(&net, "1s");
    let answers = |status: &Value| status["sources"][0]["outcomes"]["ok"].as_u64().unwrap();
    let awake = host.await_status("a status", |_| true);
    println!("before the sleep: {}", awake["clock"]);
    let falling_asleep = Instant::now();
    host.vm.run("echo +5 >/sys/class/rtc/rtc0/wakealarm && echo mem >/sys/power/state").unwrap();
    println!("the guest slept for {:?} at most", falling_asleep.elapsed());
    assert_eq!(host.vm.run("cat /sys/power/suspend_stats/success").unwrap().trim(), "1");

    let status = host.await_status("answers after the sleep", |status| answers(status) >= answers(&awake) + 3);
    println!("after the sleep: {}", status["clock"]);
    assert_eq!(status["clock"]["state"], "synchronized", "{status}");
    assert_eq!(status["clock"]["steps"], json!({ "forward": 0, "backward": 0 }), "{status}");
    assert_eq!(*host.told.lock().unwrap(), [], "{}", host.vm.console());
}

#[test]
fn an_instance_that_was_made_of_the_image_of_another_tells_and_sends_nothing_of_it() {
    const STATE: &str = "/tmp/state";
    let with_state = |yaml: String| format!("{yaml}state_dir: {STATE}\n");
    let unheard = with_state(config("1s")).replace(":8080/hook", ":9/hook");
    let net = Net::new().unwrap();
    let origin = Some("i-0aaaaaaaaaaaaaaa1");
    let image = {
        let mut host = Host::start_as(&net, &unheard, origin, &format!("mkdir -m 700 {STATE}"));
        host.step(400);
        host.await_status("an alert that waits", |status| status["delivery"][0]["queued"].as_u64() >= Some(1));
        host.vm.run("kill $! && wait $!").unwrap();
        host.vm.run(&format!("tar -C {STATE} -c . | gzip | base64 | tr -d '\\n'; echo")).unwrap()
    };
    let unpacked = format!("mkdir -m 700 {STATE} && echo {} | base64 -d | gzip -d | tar -C {STATE} -x", image.trim());

    let yaml = with_state(config("1s"));
    {
        let mut clone = Host::start_as(&net, &yaml, Some("i-0bbbbbbbbbbbbbbb2"), &unpacked);
        let console = clone.vm.console();
        let told: Vec<_> = console.lines().filter(|line| line.contains("another host")).collect();
        assert_eq!(told.len(), 1, "{console}");
        assert!(told[0].contains("i-0aaaaaaaaaaaaaaa1") && told[0].contains("i-0bbbbbbbbbbbbbbb2"), "{}", told[0]);
        clone
            .vm
            .run(&format!("test -f {STATE}/another-host/state.json && test -d {STATE}/another-host/queue"))
            .unwrap();
        let before = clone.step(400);
        clone.await_alert(before, "clock-skew", "firing");
        let told = clone.told.lock().unwrap();
        assert!(told.iter().all(|one| one.0 >= before), "{told:?}");
    }
    // The origin itself was booted again: it tells what waited, and that it is over.
    let begun = Instant::now();
    let host = Host::start_as(&net, &yaml, origin, &unpacked);
    let (_, fired) = host.await_alert(begun, "clock-skew", "firing");
    let (_, resolved) = host.await_alert(begun, "clock-skew", "resolved");
    assert_eq!(resolved["id"], fired["id"]);
    assert!(!host.vm.console().contains("another host"), "{}", host.vm.console());
}
