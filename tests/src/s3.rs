//! s3s-fs: an S3 server that verifies signatures, and refuses one that is more than 15 minutes off its clock.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, lab_dir, private_dir};
use crate::wait::wait_until;

const START_DEADLINE: Duration = Duration::from_secs(30);
/// The one key that it knows.
pub const ACCESS_KEY: &str = "ASIALABKEYID";
/// Its secret.
pub const SECRET_KEY: &str = "SecretPiece0001SecretPiece0002SecretPiece";
/// The one bucket that it has.
pub const BUCKET: &str = "lab";

/// A running s3s-fs.
pub struct S3 {
    server: Server,
    _dir: TempDir,
}

impl S3 {
    /// Starts one on AWS's side whose clock is off by `offset`, such as `+2d` (libfaketime).
    ///
    /// # Errors
    /// When it does not answer, with its log.
    pub fn start(net: &Net, address: SocketAddr, offset: &str) -> Result<Self> {
        let dir = private_dir()?;
        let root = dir.path().join("root");
        fs::create_dir_all(root.join(BUCKET))?;
        let lab = lab_dir()?;
        let faketime = lab.join(format!("root/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", env::consts::ARCH));
        let faketime = faketime.canonicalize().with_context(|| format!("{} is missing", faketime.display()))?;
        let mut command = net.command(Side::Aws, "env")?;
        command.arg(format!("LD_PRELOAD={}", faketime.display()));
        command.args([format!("FAKETIME={offset}"), "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned()]);
        command.arg(lab.join("s3s/bin/s3s-fs"));
        command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
        command.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]).arg(&root);
        let server = Server::start(&mut command, &dir.path().join("log"))?;
        let mut s3 = Self { server, _dir: dir };
        s3.await_answer(net, address)?;
        Ok(s3)
    }

    fn await_answer(&mut self, net: &Net, address: SocketAddr) -> Result<()> {
        let answered = net.within(Side::Agent, || {
            wait_until("s3s-fs", START_DEADLINE, || {
                self.server.still_runs().is_err() || http::request(address, "GET", "/", &[], "").is_ok()
            })
        })?;
        self.server.still_runs()?;
        answered.with_context(|| self.server.log())
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
