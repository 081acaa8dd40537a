//! rotel, a collector that takes OTLP and sends it on as that.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, lab_dir, private_dir};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// One on AWS's side.
pub struct Rotel {
    server: Server,
    address: SocketAddr,
    _dir: TempDir,
}

impl Rotel {
    /// Starts one that sends metrics to the base URL of another receiver of OTLP.
    ///
    /// # Errors
    /// When it is missing, or does not become ready, with its log.
    pub fn start(net: &Net, address: SocketAddr, otlp: &str) -> Result<Self> {
        let dir = private_dir()?;
        // As the package has it, it may be no program.
        let program = dir.path().join("rotel");
        fs::copy(program_of_pip()?, &program)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        let mut server = Server::start(
            net.command(Side::Aws, &program)?
                .args(["start", "--otlp-http-endpoint", &address.to_string()])
                .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
                .args(["--otlp-exporter-endpoint", otlp])
                .args(["--batch-timeout", "200ms"]),
            &dir.path().join("log"),
        )?;
        // It has nothing to be asked: that it answers at all is enough.
        let answers = net.within(Side::Aws, || {
            crate::wait::wait_until("rotel", START_DEADLINE, || {
                server.still_runs().is_err() || http::request(address, "GET", "/", &[], "").is_ok()
            })
        })?;
        server.still_runs()?;
        answers.with_context(|| server.log())?;
        Ok(Self { server, address, _dir: dir })
    }

    /// Where agents send to.
    pub fn otlp_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has written.
    pub fn log(&self) -> String {
        self.server.log()
    }
}

/// Where pip has put it.
fn program_of_pip() -> Result<PathBuf> {
    let libraries = lab_dir()?.join("venv/lib");
    let folders = fs::read_dir(&libraries).with_context(|| format!("{} is missing", libraries.display()))?;
    folders
        .filter_map(|folder| Some(folder.ok()?.path().join("site-packages/rotel/rotel-agent")))
        .find(|program| program.exists())
        .context("rotel is missing: tests/run installs it with pip")
}
