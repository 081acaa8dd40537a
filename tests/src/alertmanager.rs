//! Prometheus Alertmanager as a real target of a channel.
//!
//! It runs on the machine's own clock: a Go program does not ask libfaketime for the time. What a test believes to be a
//! wrong clock is therefore always the agent's.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, lab_dir, private_dir, tool};

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Debian's build reads its templates from a fixed place, which is brought there for this one process.
const IN_ITS_PLACE: &str = "mount -t tmpfs lab /usr/share && cp -r \"$0\" /usr/share/ && exec \"$@\"";

/// An Alertmanager that tells a webhook of every alert at once, and that a test takes down and brings up again.
pub struct Alertmanager<'net> {
    net: &'net Net,
    address: SocketAddr,
    server: Option<Server>,
    dir: TempDir,
}

impl<'net> Alertmanager<'net> {
    /// Starts one on AWS's side. An alert that is not posted again for `resolve_timeout` seconds is over; `hook` is the
    /// URL that is notified.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn start(net: &'net Net, address: SocketAddr, resolve_timeout: u32, hook: &str) -> Result<Self> {
        let config = format!(
            "global: {{ resolve_timeout: {resolve_timeout}s }}\n\
             route: {{ receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}\n\
             receivers: [{{ name: hook, webhook_configs: [{{ url: '{hook}', send_resolved: true }}] }}]\n"
        );
        Self::configured(net, address, &config)
    }

    /// Starts one on AWS's side with this configuration.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn configured(net: &'net Net, address: SocketAddr, config: &str) -> Result<Self> {
        let dir = private_dir()?;
        fs::write(dir.path().join("alertmanager.yml"), config)?;
        let mut alertmanager = Self { net, address, server: None, dir };
        alertmanager.up()?;
        Ok(alertmanager)
    }

    /// Starts it again on its address. It remembers whom it has notified, and no alert.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn up(&mut self) -> Result<()> {
        let (address, dir) = (self.address, self.dir.path());
        let server = Server::start(
            self.net
                .command(Side::Aws, "unshare")?
                .args(["--mount", "sh", "-c", IN_ITS_PLACE])
                .arg(lab_dir()?.canonicalize()?.join("root/usr/share/prometheus"))
                .arg(tool("prometheus-alertmanager")?.canonicalize()?)
                .arg(format!("--config.file={}", dir.join("alertmanager.yml").display()))
                .arg(format!("--storage.path={}", dir.join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--cluster.listen-address="),
            &dir.join("log"),
        )?;
        let server = self.server.insert(server);
        http::await_answer((self.net, Side::Agent), server, (address, "/-/ready"), START_DEADLINE)
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it does not stop, or has stopped by itself.
    pub fn down(&mut self) -> Result<()> {
        let mut server = self.server.take().context("Alertmanager is down")?;
        server.stop(STOP_DEADLINE)?;
        Ok(())
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes alerts as an agent posts them.
    ///
    /// # Errors
    /// When they are refused.
    pub fn take(&self, alerts: &[Value]) -> Result<()> {
        let (address, body) = (self.address, serde_json::to_vec(alerts)?);
        let json = [("Content-Type", "application/json")];
        let response =
            self.net.within(Side::Agent, || http::request(address, "POST", "/api/v2/alerts", &json, body))??;
        ensure!(response.status == 200, "alerts: {} {}", response.status, response.body);
        Ok(())
    }

    /// The alerts of this name that are active now.
    ///
    /// # Errors
    /// When it does not answer with a list.
    pub fn active(&self, alertname: &str) -> Result<Vec<Value>> {
        self.alerts(&format!("?filter={}", http::encode_query(&format!("alertname=\"{alertname}\""))))
    }

    /// All alerts that are active now.
    ///
    /// # Errors
    /// As [`Alertmanager::active`].
    pub fn all_active(&self) -> Result<Vec<Value>> {
        self.alerts("")
    }

    fn alerts(&self, filter: &str) -> Result<Vec<Value>> {
        let address = self.address;
        let target = format!("/api/v2/alerts{filter}");
        let body = self.net.within(Side::Agent, || http::get(address, &target))??;
        match serde_json::from_str(&body)? {
            Value::Array(alerts) => Ok(alerts),
            other => bail!("no list of alerts: {other}"),
        }
    }

    /// How many alerts it was posted since it was started, by their `status`: `firing` or `resolved`.
    ///
    /// # Errors
    /// When it does not answer, or does not count them.
    pub fn received(&self, status: &str) -> Result<u64> {
        let address = self.address;
        let metrics = self.net.within(Side::Agent, || http::get(address, "/metrics"))??;
        let name = format!("alertmanager_alerts_received_total{{status=\"{status}\",version=\"v2\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&name)).with_context(|| metrics.clone())?;
        Ok(count.parse()?)
    }

    /// What it has written since it was started.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }
}
