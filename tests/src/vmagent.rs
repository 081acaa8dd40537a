//! vmagent with the flags of `deploy/collectors`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::fleet::shipped;
use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, private_dir};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// One on AWS's side.
pub struct Vmagent {
    server: Server,
    address: SocketAddr,
    _dir: TempDir,
}

impl Vmagent {
    /// Starts one with the flags of this file, in which `urls` names where it writes to, as this variable.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn start(net: &Net, address: SocketAddr, flags: &str, (variable, urls): (&str, &str)) -> Result<Self> {
        let dir = private_dir()?;
        let text = shipped(&format!("collectors/{flags}.flags"))?;
        let mut server = Server::start(
            net.command(Side::Aws, "vmagent")?
                .args(text.lines().filter(|line| line.starts_with('-')))
                // It sizes its buffers by the machine's memory; a test needs little.
                .args(["-memory.allowedBytes=128MB", "-remoteWrite.retryMaxTime=1s"])
                .env("LISTEN", address.to_string())
                .env("QUEUE", dir.path().join("queue"))
                .env(variable, urls),
            &dir.path().join("log"),
        )?;
        http::await_answer((net, Side::Aws), &mut server, (address, "/health"), START_DEADLINE)?;
        Ok(Self { server, address, _dir: dir })
    }

    /// Where agents send to.
    pub fn otlp_url(&self) -> String {
        format!("http://{}/opentelemetry", self.address)
    }

    /// Where another vmagent writes to.
    pub fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// What it has written.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
