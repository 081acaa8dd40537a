//! s3s: an S3 server that verifies signatures, and refuses one whose time is too far from its clock. `tests/s3` is its
//! program.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::agent::FakeClock;
use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, assignment, lab_dir, libfaketime, private_dir};
use crate::wait::wait_until;

const START_DEADLINE: Duration = Duration::from_secs(30);
/// The window of S3 itself.
pub const WINDOW: Duration = Duration::from_secs(900);
/// The one key that it knows.
pub const ACCESS_KEY: &str = "ASIALABKEYID";
/// Its secret.
pub const SECRET_KEY: &str = "SecretPiece0001SecretPiece0002SecretPiece";
/// The one bucket that it has.
pub const BUCKET: &str = "lab";

/// A running server.
pub struct S3 {
    server: Server,
    dir: TempDir,
}

impl S3 {
    /// Starts one on AWS's side whose clock is off by `offset`, such as `+2d` (libfaketime), and whose window is S3's.
    ///
    /// # Errors
    /// When it does not answer, with its log.
    pub fn start(net: &Net, address: SocketAddr, offset: &str) -> Result<Self> {
        let environment = [
            ("LD_PRELOAD", libfaketime()?.into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("FAKETIME", offset.into()),
        ];
        Self::with(net, address, &environment, WINDOW)
    }

    /// Starts one on AWS's side that lives by `clock`, and refuses what is more than `window` off it.
    ///
    /// # Errors
    /// As [`S3::start`].
    pub fn with_clock(net: &Net, address: SocketAddr, clock: &FakeClock, window: Duration) -> Result<Self> {
        Self::with(net, address, &clock.environment()?, window)
    }

    fn with(net: &Net, address: SocketAddr, environment: &[(&str, OsString)], window: Duration) -> Result<Self> {
        let dir = private_dir()?;
        let root = dir.path().join("root");
        fs::create_dir_all(root.join(BUCKET))?;
        let mut command = net.command(Side::Aws, "env")?;
        command.arg(format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}")).arg(format!("AWS_SECRET_ACCESS_KEY={SECRET_KEY}"));
        command.args(environment.iter().map(|(name, value)| assignment(*name, value)));
        command.arg(lab_dir()?.join("s3s/bin/lab-s3")).arg(address.to_string()).arg(&root);
        command.arg(window.as_secs().to_string());
        let server = Server::start(&mut command, &dir.path().join("log"))?;
        let mut s3 = Self { server, dir };
        s3.await_answer(net, address)?;
        Ok(s3)
    }

    fn await_answer(&mut self, net: &Net, address: SocketAddr) -> Result<()> {
        let answered = net.within(Side::Agent, || {
            wait_until("the S3 server", START_DEADLINE, || {
                self.server.still_runs().is_err() || http::request(address, "GET", "/", &[], "").is_ok()
            })
        })?;
        self.server.still_runs()?;
        answered.with_context(|| self.server.log())
    }

    /// Puts an object into its bucket, as by somebody else.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, key: &str, content: &[u8]) -> Result<()> {
        let path = self.dir.path().join("root").join(BUCKET).join(key);
        fs::create_dir_all(path.parent().context("an object has a bucket")?)?;
        Ok(fs::write(path, content)?)
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
