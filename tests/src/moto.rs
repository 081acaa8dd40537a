//! moto's server as an independent, lenient instance metadata service.
//!
//! It serves `/latest/meta-data/…` under any `Host`. `PUT /latest/api/token` works and always yields `fake-imdsv2-token`,
//! with no TTL header; no other request demands the token. The one role is `default-role`, its document has no `Code`,
//! no `Type` and no `LastUpdated`, and the expiration is a day ahead at each request. There is no
//! instance identity document (404), and `/latest/meta-data/iam/` is a 500.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, private_dir};

const START_DEADLINE: Duration = Duration::from_secs(60);
/// The only role there is.
pub const ROLE: &str = "default-role";

/// A running `moto_server`.
pub struct Moto {
    server: Server,
    _dir: TempDir,
}

impl Moto {
    /// Starts one on AWS's side and returns once it answers.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub fn start(net: &Net, address: SocketAddr) -> Result<Self> {
        let dir = private_dir()?;
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let mut server = Server::start(
            net.command(Side::Aws, "moto_server")?.args(["-H", &host, "-p", &port]),
            &dir.path().join("log"),
        )?;
        http::await_answer((net, Side::Agent), &mut server, (address, "/latest/meta-data/"), START_DEADLINE)?;
        Ok(Self { server, _dir: dir })
    }

    /// The access log.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
