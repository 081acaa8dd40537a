//! The clock of a network card as a source, in a guest whose card has one: a real `/dev/ptp0`, which the test sets.

#![cfg(target_arch = "x86_64")]
#![expect(clippy::print_stdout, reason = "what is measured is worth reading: --nocapture")]
#![expect(clippy::disallowed_methods, reason = "how long the lab takes is worth reading")]
#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use tests::chrony::Chrony;
use tests::net::{Net, TIME_SYNC};
use tests::udev;
use tests::vm::Vm;
use tests::wait::wait_for;

/// A source is asked every 16 s at most, and one that is gone has to be missed first.
const PATIENCE: Duration = Duration::from_secs(60);
const CONFIG: &str = "/etc/skewguard.yaml";
const NTP: &str = "{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }";
/// A guest that is interpreted may count hundreds of ppm wrong, and its card is as exact as its test has set it.
const CARD: &str = "{ name: card, phc: { device: /dev/ptp0, timescale: utc, error_bound: 20ms } }";
const AUTO: &str = "{ name: card, phc: auto, trusted: true }";

fn config(sources: &[&str]) -> String {
    format!(
        "sources: [{}]\ncredentials: {{ imds: {{ enabled: false }} }}\nalerts: {{ boot_grace: 0s }}\nsocket: \
         /tmp/skewguard.sock\n",
        sources.join(", ")
    )
}

/// A guest with a clock in its card.
struct Guest {
    vm: Vm,
    _net: Net,
    _chrony: Chrony,
}

impl Guest {
    fn boot(yaml: &str) -> Self {
        let net = Net::new().unwrap();
        let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        let begun = Instant::now();
        let programs = [Path::new(env!("CARGO_BIN_EXE_set-phc")), &udev::udevadm().unwrap()];
        let vm = Vm::boot_with_clock(&net, yaml, &programs).unwrap();
        println!("the guest is up after {:?}", begun.elapsed());
        let mut guest = Self { vm, _net: net, _chrony: chrony };
        guest.run(&format!("chmod 644 {CONFIG} && test -c /dev/ptp0"));
        guest
    }

    fn run(&mut self, line: &str) -> String {
        self.vm.run(line).unwrap()
    }

    /// Answers as JSON, whatever the exit code says.
    fn json(&mut self, command: &str) -> Value {
        let answer = self.run(&format!("{command} 2>/dev/ttyS0 || true"));
        serde_json::from_str(&answer).with_context(|| format!("{answer}\n{}", self.vm.console())).unwrap()
    }

    fn check(&mut self) -> Value {
        self.json(&format!("skewguard check --config {CONFIG} --format json"))
    }

    fn check_as_nobody(&mut self) -> Value {
        self.json(&format!("su -s /bin/sh nobody -c 'skewguard check --config {CONFIG} --format json'"))
    }

    fn configure(&mut self, sources: &[&str]) {
        for (number, line) in config(sources).lines().enumerate() {
            let into = if number == 0 { ">" } else { ">>" };
            self.run(&format!("echo '{line}' {into}{CONFIG}"));
        }
    }

    /// Has the kernel's class of clocks look as a driver of another name would have it, and one that tells this bound.
    fn name_clock(&mut self, name: &str, bound: Option<&str>) {
        self.run("umount /sys/class/ptp 2>/dev/null; rm -rf /tmp/class; mkdir -p /tmp/class/ptp0/device");
        self.run(&format!(
            "cp /sys/class/ptp/ptp0/dev /tmp/class/ptp0/dev && echo '{name}' >/tmp/class/ptp0/clock_name"
        ));
        if let Some(bound) = bound {
            self.run(&format!("echo {bound} >/tmp/class/ptp0/device/phc_error_bound"));
        }
        self.run("chmod -R a+rX /tmp/class && mount --bind /tmp/class /sys/class/ptp");
    }

    /// The mode of the device after all rules were applied to it again.
    fn mode(&mut self) -> String {
        udev::mode(&mut self.vm, "ptp", "/dev/ptp0").unwrap()
    }

    fn await_status(&mut self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let found = wait_for(what, PATIENCE, || {
            let answer = self.run(&format!("skewguard status --format json --config {CONFIG} || true"));
            serde_json::from_str(&answer).ok().filter(|status| is_wanted(status))
        });
        found.with_context(|| self.vm.console()).unwrap()
    }
}

fn card(snapshot: &Value) -> &Value {
    snapshot["sources"].as_array().unwrap().iter().find(|source| source["name"] == "card").unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().with_context(|| value.to_string()).unwrap()
}

#[test]
fn a_clock_of_hardware_that_lies_is_found_out_and_one_that_tells_tai_by_name() {
    let mut guest = Guest::boot(&config(&[NTP, CARD]));
    // The driver has set its clock by the guest's, which starts with a whole second.
    let unset = guest.check();
    let amiss = number(&unset["sources"][0]["offset_seconds"]) - number(&card(&unset)["offset_seconds"]);
    guest.run(&format!("set-phc /dev/ptp0 {amiss:.6}"));
    let honest = guest.check();
    assert_eq!(card(&honest)["verdict"], "truechimer", "{honest}");
    println!("the card: {}", card(&honest));
    assert!(number(&card(&honest)["delay_seconds"]) < 1e-3, "{honest}");
    assert_eq!(card(&honest)["timestamps"], "around a reading of the device");
    assert!(card(&honest).get("stratum").is_none_or(Value::is_null), "{honest}");

    guest.run("set-phc /dev/ptp0 -400");
    let liar = guest.check();
    assert_eq!(card(&liar)["verdict"], "falseticker", "{liar}");
    assert_eq!(liar["clock"]["state"], "synchronized", "{liar}");
    let apart = number(&card(&liar)["offset_seconds"]) - number(&liar["sources"][0]["offset_seconds"]);
    assert!((apart + 400.0).abs() < 0.02, "{liar}");

    guest.run("set-phc /dev/ptp0 437");
    let text = guest.run(&format!("skewguard check --config {CONFIG} || true"));
    assert!(text.contains("this clock tells TAI") && text.contains("`timescale`"), "{text}");
    // So it is written, and then it is right.
    guest.configure(&[NTP, &CARD.replace("utc", "tai")]);
    let told = guest.check();
    assert_eq!(card(&told)["verdict"], "truechimer", "{told}");
}

#[test]
fn the_clock_of_the_ena_alone_tells_how_wrong_the_system_clock_is_and_what_forbids_to_read_it() {
    let mut guest = Guest::boot(&config(&[AUTO]));
    let none = guest.check();
    assert!(card(&none)["refusal"].as_str().unwrap().contains("no PTP hardware clock of the ENA driver"), "{none}");

    // The rule is of the ENA alone.
    udev::start(&mut guest.vm).unwrap();
    assert_eq!(guest.mode(), "600");
    guest.run(
        "echo ena-ptp-05 >/tmp/name && chmod 644 /tmp/name && mount --bind /tmp/name /sys/class/ptp/ptp0/clock_name",
    );
    let forbidden = guest.check_as_nobody();
    assert_eq!(card(&forbidden)["verdict"], "unreachable", "{forbidden}");
    let text = guest.run(&format!("su -s /bin/sh nobody -c 'skewguard check --config {CONFIG}' || true"));
    assert!(text.contains("permission denied") && text.contains("70-skewguard.rules"), "{text}");

    assert_eq!(guest.mode(), "644", "{}", guest.vm.console());
    guest.run("date -s @$(($(date +%s) + 400))");
    let fast = guest.check_as_nobody();
    let (offset, bound) = (number(&fast["clock"]["offset_seconds"]), number(&fast["clock"]["error_bound_seconds"]));
    println!("400 s fast by the card: {offset} s ± {bound} s; {}", card(&fast));
    // It grows by 500 ppm at most, in the two seconds for which `check` waits at its end.
    assert!((offset + 400.0).abs() < 1.5 && bound < 5e-3, "{fast}");
    let told = number(&card(&fast)["root_distance_seconds"]);
    assert!((100e-6..1e-3).contains(&told), "the driver tells no bound: {fast}");
    guest.name_clock("ena-ptp-05", Some("14000"));
    let told = guest.check_as_nobody();
    println!("with a bound of 14 µs: {}", card(&told));
    assert!((14e-6..100e-6).contains(&number(&card(&told)["root_distance_seconds"])), "{told}");
    assert!(fast["findings"].as_array().unwrap().iter().any(|finding| finding["alert"] == "clock-skew"), "{fast}");

    guest.name_clock("vmclock0", None);
    guest.configure(&["{ name: card, phc: /dev/ptp0 }"]);
    let refused = guest.check();
    assert!(card(&refused)["refusal"].as_str().unwrap().contains("VMClock"), "{refused}");
}

#[test]
fn a_clock_comes_back_after_its_driver_was_loaded_again() {
    let mut guest = Guest::boot(&config(&[CARD]));
    // The first look reads the program as well.
    for samples in [1, 1, 8] {
        let looked = guest.run(&format!(
            "{{ time skewguard check --samples {samples} --config {CONFIG} >/dev/null; }} 2>&1 | grep -v real || true"
        ));
        println!("CPU of {samples} readings, interpreted: {}", looked.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    guest.run(&format!("skewguard run --config {CONFIG} >/dev/ttyS0 2>&1 &"));
    let known = guest.await_status("the time", |status| status["clock"]["state"] == "synchronized");
    println!("the first estimate by the card: ± {} s", known["clock"]["error_bound_seconds"]);
    let console = guest.vm.console();
    for line in console.lines().filter(|line| line.contains("is watching") || line.contains("synchronized")) {
        println!("{}", line.trim());
    }
    guest.run("rmmod igb && test ! -e /dev/ptp0");
    let gone = guest.await_status("the loss", |status| card(status)["refusal"].is_string());
    assert_eq!(card(&gone)["refusal"], "there is no such device", "{gone}");
    let answers = |status: &Value| card(status)["outcomes"]["ok"].as_u64().unwrap();
    let before = answers(&gone);
    guest.run("insmod /modules/igb.ko && test -c /dev/ptp0");
    let back = guest.await_status("its return", |status| answers(status) > before);
    assert!(card(&back)["refusal"].is_null(), "{back}");
}
