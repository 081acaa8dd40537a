//! What each kind of source costs, and how exact it is.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use skewguard::config::load::parse;
use tests::agent::Skewguard;
use tests::chrony::Chrony;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::packages;
use tests::process::private_dir;
use tests::tls::Authority;
use tests::web::WebServer;
use tests::wire::Wire;

use super::{median, minutes};

/// So many polls one `check` makes, and so often the pair of it and a `check` of one poll is measured.
const MANY: u32 = 8;
const ROUNDS: usize = 3;
const STARTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// A source that is asked by itself.
struct Witness<'a> {
    kind: &'a str,
    yaml: &'a str,
    address: IpAddr,
}

/// What it comes to: of one poll, and of an hour.
struct Cost {
    packets: f64,
    cpu: f64,
    polls: f64,
}

pub(super) fn witnesses() -> Result<()> {
    let net = Net::new()?;
    let _chrony = Chrony::start(&net, TIME_SYNC)?;
    let authority = Authority::new("lab")?;
    let identity = authority.issue(&IMDS.to_string(), 0.0)?;
    let _nginx = WebServer::nginx(&net, SocketAddr::new(IMDS, 8443), &identity, "+0")?;
    let dir = private_dir()?;
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, authority.pem())?;
    let witnesses = [
        Witness { kind: "ntp", yaml: "{ name: a, ntp: 169.254.169.123, trusted: true }", address: TIME_SYNC },
        Witness {
            kind: "http_date",
            yaml: "{ name: a, http_date: \"https://169.254.169.254:8443/\", trusted: true }",
            address: IMDS,
        },
    ];
    println!(
        "witness    packets/poll  polls/h  packets/h  CPU/poll  CPU/h   first estimate  its bound  bound after {} min",
        minutes()?
    );
    for witness in &witnesses {
        let cost = witness.cost(&net, &ca)?;
        let (first, bound) = witness.first_estimate(&net, &ca)?;
        let later = witness.bound_later(&net, &ca)?;
        println!(
            "{:<10} {:12.1} {:8.0} {:10.0} {:6.2} ms {:4.0} ms {:12.0} ms {:8.2} ms {:8.2} ms",
            witness.kind,
            cost.packets,
            cost.polls,
            cost.packets * cost.polls,
            cost.cpu * 1e3,
            cost.cpu * cost.polls * 1e3,
            first * 1e3,
            bound * 1e3,
            later * 1e3
        );
    }
    Ok(())
}

fn bound(status: &Value) -> Result<f64> {
    status.pointer("/clock/error_bound_seconds").and_then(Value::as_f64).context("no bound")
}

impl Witness<'_> {
    fn config(&self) -> String {
        format!("sources: [{}]\ncredentials: {{ imds: {{ enabled: false }} }}\n", self.yaml)
    }

    /// What more polls of one `check` cost than a single one.
    fn cost(&self, net: &Net, ca: &Path) -> Result<Cost> {
        let package = private_dir()?;
        let program = packages::program(&packages::built()?, package.path())?;
        let agent = Skewguard::new(net, &self.config())?;
        let wire = Wire::listen(net, Side::Agent, self.address)?;
        let check = |samples: u32| -> Result<(f64, u64)> {
            let before = wire.packets();
            let mut command = net.command(Side::Agent, "bash")?;
            command.args(["-c", "TIMEFORMAT='%U %S'; time \"$@\" >/dev/null", "bash", "env"]);
            command.arg(format!("SSL_CERT_FILE={}", ca.display()));
            command.arg(&program);
            command.args(["check", "--timeout", "60s", "--samples", &samples.to_string(), "--config"]);
            let output = command.arg(agent.config()).output()?;
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.success(), "{told}");
            let seconds = told.split_whitespace().map(|word| Ok(word.parse::<f64>()?)).sum::<Result<f64>>()?;
            // The last packets may be on their way.
            thread::sleep(Duration::from_millis(200));
            Ok((seconds, wire.packets() - before))
        };
        let (mut cpu, mut packets) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (one, many) = (check(1)?, check(MANY)?);
            cpu.push((many.0 - one.0) / f64::from(MANY - 1));
            packets.push((many.1 - one.1) as f64 / f64::from(MANY - 1));
        }
        let config =
            parse(&self.config(), Path::new("figures.yaml"), &|_| None).map_err(|_| anyhow!("no configuration"))?;
        let poll = config.sources.first().context("no source")?.poll;
        Ok(Cost { packets: median(packets), cpu: median(cpu), polls: 3_600.0 / poll.as_secs_f64() })
    }

    /// How long after its start the agent has its first estimate, and how far that can be wrong.
    fn first_estimate(&self, net: &Net, ca: &Path) -> Result<(f64, f64)> {
        let (mut times, mut bounds) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let agent = Skewguard::new(net, &self.config())?.env("SSL_CERT_FILE", ca);
            let begun = Instant::now();
            let running = agent.run()?;
            let status = loop {
                if let Ok(status) = running.status()
                    && status.pointer("/clock/state").is_some_and(|state| state == "synchronized")
                {
                    break status;
                }
                ensure!(begun.elapsed() < PATIENCE, "no estimate: {}", running.log());
                thread::sleep(Duration::from_millis(10));
            };
            times.push(begun.elapsed().as_secs_f64());
            bounds.push(bound(&status)?);
        }
        Ok((median(times), median(bounds)))
    }

    /// How far the estimate can be wrong after some minutes.
    fn bound_later(&self, net: &Net, ca: &Path) -> Result<f64> {
        let agent = Skewguard::new(net, &self.config())?.env("SSL_CERT_FILE", ca);
        let running = agent.run()?;
        thread::sleep(Duration::from_secs(60 * minutes()?));
        bound(&running.status()?)
    }
}
