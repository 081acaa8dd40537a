//! Real web servers of a test's own, which tell the date: nginx over TLS, and lighttpd.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::net::{Net, Side};
use crate::process::{Server, libfaketime, private_dir};
use crate::tls::Identity;
use crate::wait::wait_until;

const START_DEADLINE: Duration = Duration::from_secs(10);

/// A web server on AWS's side.
pub struct WebServer {
    _server: Server,
    _dir: TempDir,
}

impl WebServer {
    /// nginx over TLS, whose clock is off by `offset`, such as `+400` seconds.
    ///
    /// # Errors
    /// When it does not answer, with its log.
    pub fn nginx(net: &Net, address: SocketAddr, identity: &Identity, offset: &str) -> Result<Self> {
        let dir = private_dir()?;
        let at = dir.path().display();
        fs::write(dir.path().join("certificate.pem"), &identity.certificate)?;
        fs::write(dir.path().join("key.pem"), &identity.key)?;
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders: String = folders.iter().map(|name| format!("{name}_temp_path {at}/{name};\n")).collect();
        // It forgets its environment otherwise, in which libfaketime looks now and then.
        let config = format!(
            "daemon off;\nmaster_process off;\nenv FAKETIME;\nenv FAKETIME_DONT_FAKE_MONOTONIC;\npid {at}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{folders}access_log off;\n\
             server {{ listen {address} ssl; ssl_certificate {at}/certificate.pem; ssl_certificate_key {at}/key.pem;\n\
             location / {{ return 204; }} }}\n}}\n"
        );
        Self::start(net, dir, "nginx", &config, &["-c"], address, offset)
    }

    /// lighttpd, which keeps its date for up to a second, with a clock that is off by `offset`.
    ///
    /// # Errors
    /// When it does not answer, with its log.
    pub fn lighttpd(net: &Net, address: SocketAddr, offset: &str) -> Result<Self> {
        let dir = private_dir()?;
        let (at, ip, port) = (dir.path().display(), address.ip(), address.port());
        let config = format!("server.document-root = \"{at}\"\nserver.bind = \"{ip}\"\nserver.port = {port}\n");
        Self::start(net, dir, "lighttpd", &config, &["-D", "-f"], address, offset)
    }

    fn start(
        net: &Net,
        dir: TempDir,
        program: &str,
        config: &str,
        options: &[&str],
        address: SocketAddr,
        offset: &str,
    ) -> Result<Self> {
        let file = dir.path().join("config");
        fs::write(&file, config)?;
        let mut command = net.command(Side::Aws, program)?;
        command.args(options).arg(&file);
        command.env("LD_PRELOAD", libfaketime()?).env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME", offset);
        let mut server = Server::start(&mut command, &dir.path().join("log"))?;
        wait_until(program, START_DEADLINE, || {
            server.still_runs().is_ok()
                && net.within(Side::Agent, || TcpStream::connect(address)).is_ok_and(|answer| answer.is_ok())
        })
        .with_context(|| server.log())?;
        Ok(Self { _server: server, _dir: dir })
    }
}
