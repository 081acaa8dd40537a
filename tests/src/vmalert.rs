//! vmalert, which judges rules over what a VictoriaMetrics has, and tells an Alertmanager.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, private_dir};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// One on AWS's side.
pub struct Vmalert {
    server: Server,
    _dir: TempDir,
}

impl Vmalert {
    /// Starts one with these rules. What it records is written to where it reads.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn start(net: &Net, address: SocketAddr, rules: &str, victoria: &str, alertmanager: &str) -> Result<Self> {
        let dir = private_dir()?;
        let path = dir.path().join("rules.yaml");
        fs::write(&path, rules)?;
        let mut server = Server::start(
            net.command(Side::Aws, "vmalert")?
                .arg(format!("-httpListenAddr={address}"))
                .arg(format!("-rule={}", path.display()))
                .args(["datasource", "remoteWrite"].map(|url| format!("-{url}.url={victoria}")))
                .arg(format!("-notifier.url={alertmanager}"))
                // What is in the storage is there at once, in a lab.
                .args(["-rule.evalDelay=0s", "-remoteWrite.flushInterval=200ms"])
                .arg("-rule.resendDelay=10s"),
            &dir.path().join("log"),
        )?;
        http::await_answer((net, Side::Aws), &mut server, (address, "/health"), START_DEADLINE)?;
        Ok(Self { server, _dir: dir })
    }

    /// What it has written.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
