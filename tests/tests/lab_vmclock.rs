//! What the agent does when the hypervisor says that it has disrupted the clocks of the machine. The device is a file with the
//! page that QEMU writes, for machines without a guest; `lab_vmclock_guest.rs` has the real one.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::agent::Skewguard;
use tests::chrony::Chrony;
use tests::net::{Net, TIME_SYNC};

const PATIENCE: Duration = Duration::from_secs(30);
/// An agent that asks nobody in this time is not told of anything by asking.
const SILENCE: Duration = Duration::from_secs(3);

/// Writes the page as QEMU 10 does: no time, and a marker.
fn bump(device: &Path, marker: u64) {
    let head: [&[u8]; 4] = [b"VCLK", &4096_u32.to_le_bytes(), &[1, 0, 0xff, 0], &(2 * marker).to_le_bytes()[..4]];
    let page = [head.concat(), marker.to_le_bytes().to_vec(), vec![0; 88]].concat();
    assert_eq!(page.len(), 112);
    if device.exists() {
        fs::OpenOptions::new().write(true).open(device).unwrap().write_all_at(&page, 0).unwrap();
    } else {
        fs::write(device, page).unwrap();
    }
}

fn is_critical(status: &Value) -> bool {
    status["alerts"].as_array().is_some_and(|alerts| {
        alerts.iter().any(|alert| {
            alert["alert"] == "clock-skew" && alert["severity"] == "critical" && alert["state"] == "firing"
        })
    })
}

#[test]
fn a_clock_that_stood_still_is_told_within_a_second_of_the_hypervisors_word_and_not_without_it() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let yaml = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1024s }]
credentials: { imds: { enabled: false } }
alerts: { boot_grace: 0s }
";
    let agent = Skewguard::new(&net, yaml).unwrap();
    let device = agent.dir().join("vmclock0");
    bump(&device, 1);
    agent.configure(&format!("{yaml}vmclock: {}\n", device.display())).unwrap();
    let mut running = agent.run().unwrap();
    running
        .await_status("three answers", PATIENCE, |status| {
            status["clock"]["state"] == "synchronized" && status["sources"][0]["outcomes"]["ok"].as_u64() >= Some(3)
        })
        .unwrap();
    let asked = |status: &Value| status["sources"][0]["outcomes"]["ok"].as_u64();
    let before = running.status().unwrap();
    chrony.set_offset(400.0).unwrap();
    // Nothing on the machine has moved, and the next poll is a quarter of an hour away.
    thread::sleep(SILENCE);
    let silent = running.status().unwrap();
    assert!(!is_critical(&silent) && asked(&silent) == asked(&before), "{silent:#}");
    assert_eq!(silent["clock"]["disruptions"]["seen"], 0);

    let bumped = Instant::now();
    bump(&device, 2);
    let status = running.await_status("the skew", PATIENCE, is_critical).unwrap();
    println!("told {:?} after the marker", bumped.elapsed());
    assert!(bumped.elapsed() < Duration::from_millis(1_500), "{:?}", bumped.elapsed());
    assert_eq!(status["clock"]["disruptions"]["seen"], 1);
    assert_eq!((&status["clock"]["steps"]["forward"], &status["clock"]["steps"]["backward"]), (&0.into(), &0.into()));
    assert!(running.log().contains("the hypervisor has disrupted the clocks"), "{}", running.log());
}
