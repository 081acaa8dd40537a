//! Prometheus Alertmanager as a real taker of alerts.
//!
//! It runs on the machine's own clock: a Go program does not ask libfaketime for the time. What a test believes to be a
//! wrong clock is therefore always the agent's.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, lab_dir, private_dir, tool};
use crate::wait::wait_until;

const START_DEADLINE: Duration = Duration::from_secs(30);
/// Debian's build reads its templates from a fixed place, which is brought there for this one process.
const IN_ITS_PLACE: &str = "mount -t tmpfs lab /usr/share && cp -r \"$0\" /usr/share/ && exec \"$@\"";

/// A running Alertmanager that tells a webhook of every alert at once.
pub struct Alertmanager<'net> {
    net: &'net Net,
    address: SocketAddr,
    server: Server,
    _dir: TempDir,
}

impl<'net> Alertmanager<'net> {
    /// Starts one on AWS's side. An alert that is not posted again for `resolve_timeout` seconds is over; `hook` is the
    /// URL that is notified.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn start(net: &'net Net, address: SocketAddr, resolve_timeout: u32, hook: &str) -> Result<Self> {
        let dir = private_dir()?;
        let config = dir.path().join("alertmanager.yml");
        fs::write(
            &config,
            format!(
                "global: {{ resolve_timeout: {resolve_timeout}s }}\n\
                 route: {{ receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}\n\
                 receivers: [{{ name: hook, webhook_configs: [{{ url: '{hook}', send_resolved: true }}] }}]\n"
            ),
        )?;
        let server = Server::start(
            net.command(Side::Aws, "unshare")?
                .args(["--mount", "sh", "-c", IN_ITS_PLACE])
                .arg(lab_dir()?.canonicalize()?.join("root/usr/share/prometheus"))
                .arg(tool("prometheus-alertmanager")?.canonicalize()?)
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.path={}", dir.path().join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--cluster.listen-address="),
            &dir.path().join("log"),
        )?;
        let mut alertmanager = Self { net, address, server, _dir: dir };
        alertmanager.await_readiness()?;
        Ok(alertmanager)
    }

    fn await_readiness(&mut self) -> Result<()> {
        let address = self.address;
        let ready = self.net.within(Side::Agent, || {
            wait_until("Alertmanager", START_DEADLINE, || {
                self.server.still_runs().is_err() || http::get(address, "/-/ready").is_ok()
            })
        })?;
        self.server.still_runs()?;
        ready.with_context(|| self.server.log())
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The alerts of this name that are active now.
    ///
    /// # Errors
    /// When it does not answer with a list.
    pub fn active(&self, alertname: &str) -> Result<Vec<Value>> {
        let address = self.address;
        let target = format!("/api/v2/alerts?filter={}", http::encode_query(&format!("alertname=\"{alertname}\"")));
        let body = self.net.within(Side::Agent, || http::get(address, &target))??;
        match serde_json::from_str(&body)? {
            Value::Array(alerts) => Ok(alerts),
            other => bail!("no list of alerts: {other}"),
        }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
