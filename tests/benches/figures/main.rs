//! The figures that the project promises: `cargo bench -p tests --features lab`, in the environment that `tests/run`
//! prepares. `SKEWGUARD_FIGURES_MINUTES` is how long the agent is watched, ten by default.
//!
//! Ratios and medians are of one run; single figures mean little on a shared machine.

#![expect(clippy::print_stdout, reason = "printing figures is what it is for")]
#![expect(clippy::disallowed_methods, reason = "a bench takes the time")]

mod doctor;
mod fleet;
mod witnesses;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde_json::Value;
use skewguard::clock::local;
use skewguard::clock::true_clock::Stamp;
use skewguard::delivery::item::{Class, Content, Item};
use skewguard::sources::ntp::query::query;
use skewguard::time::TrueTime;
use tests::agent::Skewguard;
use tests::chrony::Chrony;
use tests::http::{HttpServer, Reply};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{NtpServer, ahead_by};
use tests::packages;
use tests::process::private_dir;

const MEASUREMENTS: usize = 200;
const YARDSTICKS: usize = 40;
const CHECKS: usize = 50;
const QUEUED: u64 = 1_000;
const DOCUMENT: &str = r#"{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Expiration":"2099-01-01T00:00:00Z"}"#;

fn main() -> Result<()> {
    // `cargo test` builds benches as well and must not run them.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    // Those of the witnesses alone.
    if std::env::args().any(|argument| argument == "witnesses") {
        return witnesses::witnesses();
    }
    if std::env::args().any(|argument| argument == "doctor") {
        return doctor::doctor();
    }
    // Those of a fleet alone, which take ten minutes.
    if std::env::args().any(|argument| argument == "fleet") {
        return fleet::fleet();
    }
    println!("figure                                          median       reach");
    accuracy()?;
    check()?;
    size()?;
    queued()?;
    witnesses::witnesses()?;
    doctor::doctor()?;
    endurance()
}

/// For how long the agent is watched.
fn minutes() -> Result<u64> {
    Ok(std::env::var("SKEWGUARD_FIGURES_MINUTES").map_or(Ok(10), |minutes| minutes.parse())?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn accuracy() -> Result<()> {
    let net = Net::new()?;
    let _chrony = Chrony::start(&net, TIME_SYNC)?;
    let idle = errors(&net)?;
    let yardstick = yardstick(&net)?;
    println!("error of one measurement, idle                {:9.2} µs   2 µs", idle * 1e6);
    println!("  chronyd -Q on the same link ({YARDSTICKS} runs)         {:9.2} µs", yardstick * 1e6);
    println!("  ratio                                       {:9.2}      0.5", idle / yardstick);
    let loops: Vec<Busy> = (0..2).map(|_| Busy::start()).collect::<Result<_>>()?;
    let loaded = errors(&net)?;
    drop(loops);
    println!("error of one measurement, two busy loops      {:9.2} µs   5 µs", loaded * 1e6);
    Ok(())
}

/// The median error of single measurements: the server has the same clock, so that the offset is the error.
fn errors(net: &Net) -> Result<f64> {
    net.within(Side::Agent, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = SocketAddr::new(TIME_SYNC, 123);
        let mut errors = Vec::new();
        for _ in 0..MEASUREMENTS {
            let sample = runtime.block_on(query(server, Duration::from_secs(1)))?;
            errors.push(local::read().offset(sample.anchor).seconds().abs());
        }
        Ok(median(errors))
    })?
}

fn yardstick(net: &Net) -> Result<f64> {
    let mut errors = Vec::new();
    for _ in 0..YARDSTICKS {
        let mut command = net.command(Side::Agent, "chronyd")?;
        command.args(["-Q", "-t", "10", "-u", "root", "server 169.254.169.123 iburst maxsamples 1"]);
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let wrong = text.split("System clock wrong by ").nth(1).and_then(|rest| rest.split(' ').next());
        let wrong: f64 = wrong.context(text.clone())?.parse()?;
        errors.push(wrong.abs());
    }
    Ok(median(errors))
}

/// A busy loop.
struct Busy(Child);

impl Busy {
    fn start() -> Result<Self> {
        Ok(Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn()?))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // It is ours and does nothing worth keeping.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn check() -> Result<()> {
    let net = Net::new()?;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let _time = NtpServer::start(&net, Side::Agent, SocketAddr::new(loopback, 123), ahead_by(0.0))?;
    let _metadata = metadata::start(&net, Side::Agent, SocketAddr::new(loopback, 80), DOCUMENT)?;
    let agent = Skewguard::new(
        &net,
        "sources: [{ name: s, ntp: 127.0.0.1 }]\ncredentials: { imds: { endpoint: \"http://127.0.0.1\" } }\n",
    )?;
    // Entering the namespace is not the program's work: the same without it is measured beside it.
    let mut empty = Vec::new();
    let mut times = Vec::new();
    for _ in 0..CHECKS {
        let started = Instant::now();
        net.command(Side::Agent, "env")?.arg("true").stdout(Stdio::null()).status()?;
        empty.push(started.elapsed().as_secs_f64());
        let started = Instant::now();
        let answer = agent.check()?;
        times.push(started.elapsed().as_secs_f64());
        ensure!(answer.code == Some(0), "{answer:?}");
    }
    let (all, empty) = (median(times), median(empty));
    println!("check, start to answer                        {:9.1} ms   60 ms", (all - empty) * 1e3);
    Ok(())
}

fn size() -> Result<()> {
    let dir = private_dir()?;
    let bytes = std::fs::metadata(packages::program(&packages::built()?, dir.path())?)?.len();
    println!("binary                                        {:9.2} MB   8 MB", bytes as f64 / 1e6);
    Ok(())
}

/// An agent that begins with a thousand exports on disk, and whose collector is down.
fn queued() -> Result<()> {
    let net = Net::new()?;
    let _chrony = Chrony::start(&net, TIME_SYNC)?;
    let state = private_dir()?;
    let yaml = format!(
        "telemetry: {{ otlp: {{ endpoint: \"http://169.254.169.254:4318\" }} }}\nstate_dir: {}\n",
        state.path().display()
    );
    let agent = Skewguard::new(&net, &yaml)?;
    agent.mark_state(Duration::from_secs(60))?;
    let lane = state.path().join("queue/otlp-metrics");
    std::fs::create_dir_all(&lane)?;
    let at = Stamp { time: TrueTime::from_nanos(1), verified: false };
    for number in 0..QUEUED {
        let (key, body) = (format!("metrics/{number}"), vec![0; 2_000].into());
        let item = Item { class: Class::Telemetry, key, at, content: Content::ProtobufGzip, body };
        std::fs::write(lane.join(format!("{number:020}.item")), item.encode())?;
    }
    let mut running = agent.run()?;
    let is_tried = |status: &Value| {
        status.pointer("/delivery/1/queued").and_then(Value::as_u64) >= Some(QUEUED)
            && status.pointer("/delivery/1/failures").and_then(Value::as_u64) >= Some(2)
    };
    // The first pause is half an interval, the second twice that.
    running.await_status("two attempts", Duration::from_secs(180), is_tried)?;
    let memory = resident_bytes(running.pid())?;
    println!("resident memory with {QUEUED} queued items       {:9.2} MB   10 MB", memory / 1e6);
    Ok(())
}

fn endurance() -> Result<()> {
    let minutes = minutes()?;
    let net = Net::new()?;
    let _chrony = Chrony::start(&net, TIME_SYNC)?;
    let mut servers = Vec::new();
    for last in [124, 125, 126] {
        let address = IpAddr::V4(Ipv4Addr::new(169, 254, 169, last));
        net.add_address(address)?;
        servers.push(NtpServer::start(&net, Side::Aws, SocketAddr::new(address, 123), ahead_by(0.0))?);
    }
    let _metadata = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), DOCUMENT)?;
    let collector = HttpServer::start(&net, Side::Aws, SocketAddr::new(IMDS, 4318))?;
    collector.on("POST /v1/metrics", Reply::ok(""));
    let state = private_dir()?;
    let yaml = format!(
        "
sources:
  - {{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true }}
  - {{ name: b, ntp: 169.254.169.124, poll: 64s }}
  - {{ name: c, ntp: 169.254.169.125, poll: 64s }}
  - {{ name: d, ntp: 169.254.169.126, poll: 64s }}
telemetry: {{ otlp: {{ endpoint: \"http://169.254.169.254:4318\" }} }}
state_dir: {}
",
        state.path().display()
    );
    let agent = Skewguard::new(&net, &yaml)?;
    let running = agent.run()?;
    std::thread::sleep(Duration::from_secs(30));
    let (started, cpu_at_start) = (Instant::now(), cpu_seconds(running.pid())?);
    for minute in 1..=minutes {
        std::thread::sleep(Duration::from_secs(60));
        let share = (cpu_seconds(running.pid())? - cpu_at_start) / started.elapsed().as_secs_f64();
        let memory = resident_bytes(running.pid())?;
        println!(
            "run, minute {minute:2}: resident memory               {:9.2} MB   9 MB and flat; CPU {:.3} % of 0.05 %",
            memory / 1e6,
            share * 100.0
        );
    }
    ensure!(collector.count("POST /v1/metrics") as u64 >= minutes, "metrics did not arrive");
    Ok(())
}

/// User and system time of all threads of the agent, those that have ended included, in seconds.
fn cpu_seconds(pid: u32) -> Result<f64> {
    // Hundredths, as in /proc, are too coarse for so little.
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(pid)?))?;
    Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
}

fn resident_bytes(pid: u32) -> Result<f64> {
    memory(pid, "VmRSS:").context("no VmRSS")
}

/// What the kernel tells of the memory of a process, in bytes; `None` once it has ended.
fn memory(pid: u32, what: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(what))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0)
}

/// Awaits the end of a process; returns how much memory it had at most, in bytes, as far as that was seen.
fn peak_bytes(child: &mut Child) -> Result<f64> {
    let mut most = 0.0_f64;
    while child.try_wait()?.is_none() {
        most = most.max(memory(child.id(), "VmHWM:").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(most)
}
