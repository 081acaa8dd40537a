//! The doctor on a host with many processes and many profiles: `cargo bench -p tests --features lab -- doctor`. The program is that
//! of the release, and the same host without them is beside it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tests::agent::WITH_IMDS;
use tests::chrony::Chrony;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::packages;
use tests::process::private_dir;

const PROCESSES: usize = 3_000;
const PROFILES: usize = 400;
const TIMES: usize = 5;

/// Prints how long it takes, and how much memory.
///
/// # Errors
/// A program of the lab fails, or the doctor overlooks what it was given.
pub(super) fn doctor() -> Result<()> {
    let net = Net::new()?;
    let _chrony = Chrony::start(&net, TIME_SYNC)?;
    let _metadata = metadata::start(&net, Side::Aws, (IMDS, 80).into(), &metadata::valid_document())?;
    let dir = private_dir()?;
    let program = packages::program(&packages::built()?, &dir.path().join("package"))?;
    let config = dir.path().join("skewguard.yaml");
    fs::write(&config, WITH_IMDS)?;
    let home = dir.path().join("home");
    fs::create_dir(&home)?;
    let look = |processes: usize| -> Result<(f64, f64)> {
        let runs = (0..TIMES).map(|_| run(&net, (&program, &config, &home), processes)).collect::<Result<Vec<_>>>()?;
        let (times, peaks): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        Ok((super::median(times), peaks.into_iter().fold(0.0, f64::max)))
    };
    let (bare, bare_peak) = look(0)?;
    write_profiles(&home)?;
    let crowd = Crowd::start(&home)?;
    let (crowded, peak) = look(PROCESSES)?;
    drop(crowd);
    println!("doctor, as the host is                        {bare:9.2} s");
    println!("  with {PROCESSES} processes, {PROFILES} profiles            {crowded:9.2} s    2 s");
    println!(
        "  peak memory                                 {:9.2} MB   30 MB (before: {:.2} MB)",
        peak / 1e6,
        bare_peak / 1e6
    );
    Ok(())
}

fn run(net: &Net, (program, config, home): (&Path, &Path, &Path), processes: usize) -> Result<(f64, f64)> {
    let out = home.join("out");
    let mut command = net.command(Side::Agent, program)?;
    command.args(["doctor", "--format", "json", "--config"]).arg(config).env("HOME", home);
    let begun = Instant::now();
    let mut child = command.stdout(fs::File::create(&out)?).stderr(Stdio::null()).spawn()?;
    let peak = super::peak_bytes(&mut child)?;
    let seconds = begun.elapsed().as_secs_f64();
    let text = fs::read_to_string(out)?;
    let report: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    ensure!(report.get("checks").and_then(Value::as_array).is_some_and(|checks| checks.len() > 10), "{text}");
    let told = text.matches("(rust-sdk)").count();
    ensure!(told >= processes, "{told} of {processes} processes are told of");
    Ok((seconds, peak))
}

/// Each with keys that end, as tools write them.
fn write_profiles(home: &Path) -> Result<()> {
    let (mut config, mut credentials) = (String::new(), String::new());
    for number in 0..PROFILES {
        writeln!(config, "[profile p{number}]\nregion = eu-central-1\noutput = json\n")?;
        writeln!(
            credentials,
            "[p{number}]\naws_access_key_id = ASIA{number:016}\naws_secret_access_key = secret\naws_session_token = token\n\
             aws_expiration = 2099-01-01T00:00:00Z\n"
        )?;
    }
    fs::create_dir(home.join(".aws"))?;
    fs::write(home.join(".aws/config"), config)?;
    fs::write(home.join(".aws/credentials"), credentials)?;
    Ok(())
}

/// Programs on the SDK for Rust that wait, each with a profile in its environment.
struct Crowd(Child);

impl Crowd {
    fn start(home: &Path) -> Result<Self> {
        let line = format!(
            "exec 3<&0; i=0; while [ $i -lt {PROCESSES} ]; do AWS_PROFILE=p$((i % {PROFILES})) {} http://127.0.0.1:9 <&3 & \
             i=$((i + 1)); done; wait",
            env!("CARGO_BIN_EXE_rust-sdk")
        );
        let mut command = Command::new("sh");
        command.args(["-c", &line]).env("HOME", home).stdin(Stdio::piped()).process_group(0);
        let crowd = Self(command.stdout(Stdio::null()).spawn()?);
        let there = || -> Result<usize> {
            let group = crowd.0.id().to_string();
            let of_group = |entry: std::io::Result<fs::DirEntry>| {
                let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
                let (head, tail) = stat.rsplit_once(')')?;
                let is_ours = head.ends_with("(rust-sdk") && tail.split_whitespace().nth(2) == Some(group.as_str());
                is_ours.then_some(())
            };
            Ok(fs::read_dir("/proc")?.filter_map(of_group).count())
        };
        let begun = Instant::now();
        while there()? < PROCESSES {
            ensure!(begun.elapsed() < Duration::from_secs(60), "the processes do not start");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // The group is that of our own shell, which is there until it is waited for.
        if let Ok(group) = i32::try_from(self.0.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}
