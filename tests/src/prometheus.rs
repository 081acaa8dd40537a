//! Prometheus and node_exporter, of the distribution: they scrape, and ask whether a page is as it should be.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, command, private_dir};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// A Prometheus on the agent's host, with storage of its own.
pub struct Prometheus<'net> {
    net: &'net Net,
    address: SocketAddr,
    _server: Server,
    _dir: TempDir,
}

impl<'net> Prometheus<'net> {
    /// Starts one that scrapes these targets every second; the namespace is private, so any port is free.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn start(net: &'net Net, address: SocketAddr, targets: &[SocketAddr]) -> Result<Self> {
        let dir = private_dir()?;
        let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
        fs::write(
            dir.path().join("prometheus.yml"),
            format!(
                "global: {{ scrape_interval: 1s }}\n\
                 scrape_configs: [{{ job_name: hosts, static_configs: [{{ targets: [{}] }}] }}]\n",
                targets.join(", ")
            ),
        )?;
        let mut server = Server::start(
            net.command(Side::Agent, "prometheus")?
                .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
                .arg(format!("--web.listen-address={address}")),
            &dir.path().join("log"),
        )?;
        http::await_answer((net, Side::Agent), &mut server, (address, "/-/ready"), START_DEADLINE)?;
        Ok(Self { net, address, _server: server, _dir: dir })
    }

    /// The values of all series that an expression finds now.
    ///
    /// # Errors
    /// When it is refused.
    pub fn query(&self, promql: &str) -> Result<Vec<f64>> {
        let target = format!("/api/v1/query?query={}", http::encode_query(promql));
        let body = self.net.within(Side::Agent, || http::get(self.address, &target))??;
        let answer: Value = serde_json::from_str(&body)?;
        let result = answer.pointer("/data/result").and_then(Value::as_array).with_context(|| body.clone())?;
        let value = |series: &Value| series.pointer("/value/1")?.as_str()?.parse::<f64>().ok();
        result.iter().map(|series| value(series).with_context(|| series.to_string())).collect()
    }
}

/// A node_exporter on the agent's host that shows the files of a folder alone.
///
/// # Errors
/// When it does not start.
pub fn node_exporter(net: &Net, address: SocketAddr, folder: &Path, log: &Path) -> Result<Server> {
    Server::start(
        net.command(Side::Agent, "prometheus-node-exporter")?
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .arg(format!("--collector.textfile.directory={}", folder.display()))
            .arg(format!("--web.listen-address={address}")),
        log,
    )
}

/// What promtool has to say of a page of metrics in the text format.
///
/// # Errors
/// It has something to say.
pub fn check_metrics(page: &str) -> Result<()> {
    let mut promtool = command("promtool")?;
    let mut child = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("promtool has no standard input")?;
    std::io::Write::write_all(&mut input, page.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(output.status.success() && said.is_empty(), "{said}{page}");
    Ok(())
}
