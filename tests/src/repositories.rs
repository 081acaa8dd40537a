//! The repositories that `deploy/sign` makes of a release, and a server of them in the lab's network.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::net::{Net, Side};
use crate::process::{Server, lab_dir, output, private_dir};
use crate::wait::wait_until;

/// Where hosts in the lab find what [`Mirror`] serves.
pub const URL: &str = "http://169.254.100.1:8080";
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 100, 1)), 8080);
const START_DEADLINE: Duration = Duration::from_secs(10);

/// A command in the workshop, in the project's folder.
///
/// # Errors
/// When `tests/run` has set up no lab.
pub fn workshop() -> Result<Command> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests have a folder")?;
    let mut command = Command::new(project.join("tests/workshop"));
    command.current_dir(project).env("SKEWGUARD_LAB", lab_dir()?);
    Ok(command)
}

/// The keys that the release of the lab was signed with.
///
/// # Errors
/// When `tests/run` has set up no lab.
pub fn keys() -> Result<PathBuf> {
    let keys = lab_dir()?.join("keys");
    keys.canonicalize().with_context(|| format!("{} is missing: tests/run makes it with deploy/keys", keys.display()))
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// When that fails.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    output(Command::new("cp").args(["--recursive", "--preserve=mode"]).arg(from).arg(to))?;
    Ok(())
}

/// Sets of keys of which each follows the former, as rotations go: a host of the first trusts the key of the second, and
/// not that of the third before it has the keyring of the second.
pub struct Rotations {
    dir: TempDir,
}

impl Rotations {
    /// Begins with the keys of the lab, and rotates them.
    ///
    /// # Errors
    /// When that fails.
    pub fn new() -> Result<Self> {
        let dir = private_dir()?;
        let path = |name: &str| dir.path().join(name);
        copy(&keys()?, &path("first"))?;
        copy(&keys()?, &path("second"))?;
        output(workshop()?.args(["deploy/keys", "--rotate"]).arg(path("second")))?;
        // Another rotation, for which it does not matter which key would be next.
        copy(&path("second"), &path("third"))?;
        fs::copy(path("second/next/archive.asc"), path("third/archive.asc"))?;
        fs::copy(path("first/archive-next.pub.asc"), path("third/archive-next.pub.asc"))?;
        Ok(Self { dir })
    }

    /// `first`, `second` or `third`.
    pub fn keys(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Repositories in a folder, one set of them at a time, and a server that hands out that one at [`URL`].
pub struct Mirror {
    dir: TempDir,
    _server: Server,
}

impl Mirror {
    /// Serves on the side of AWS, nothing at first.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn start(net: &Net) -> Result<Self> {
        let dir = private_dir()?;
        let (address, port) = (ADDRESS.ip().to_string(), ADDRESS.port().to_string());
        let mut command = net.command(Side::Aws, "python3")?;
        command.args(["-m", "http.server", "--bind", &address, &port, "--directory"]).arg(dir.path().join("now"));
        let mut server = Server::start(&mut command, &dir.path().join("log"))?;
        wait_until("the server of a repository", START_DEADLINE, || {
            server.still_runs().is_ok()
                && net.within(Side::Agent, || TcpStream::connect(ADDRESS)).is_ok_and(|answer| answer.is_ok())
        })
        .with_context(|| server.log())?;
        Ok(Self { dir, _server: server })
    }

    /// Makes the repositories of the lab's release and of further packages.
    ///
    /// # Errors
    /// When that fails.
    pub fn make(&self, name: &str, keys: &Path, further: &[&Path]) -> Result<PathBuf> {
        let (dist, former) = (self.dir.path().join("dist"), self.dir.path().join("former"));
        if !dist.exists() {
            copy(&lab_dir()?.join("dist"), &dist)?;
        }
        fs::create_dir(&former)?;
        for package in further {
            fs::copy(package, former.join(package.file_name().context("a package has a name")?))?;
        }
        let mut sign = workshop()?;
        sign.args(["deploy/sign", "--repository-url", URL, "--keys"]).arg(keys).arg("--former").arg(&former).arg(&dist);
        output(&mut sign)?;
        fs::remove_dir_all(former)?;
        let made = self.dir.path().join(name);
        fs::rename(dist.join("repositories"), &made)?;
        Ok(made)
    }

    /// Hands out one of those that were made.
    ///
    /// # Errors
    /// When that fails.
    pub fn serve(&self, name: &str) -> Result<()> {
        let (now, new) = (self.dir.path().join("now"), self.dir.path().join("new"));
        symlink(name, &new)?;
        Ok(fs::rename(new, now)?)
    }

    /// A copy to damage, which is handed out from then on.
    ///
    /// # Errors
    /// When that fails.
    pub fn serve_copy(&self, of: &str, name: &str) -> Result<PathBuf> {
        let copied = self.dir.path().join(name);
        copy(&self.dir.path().join(of), &copied)?;
        self.serve(name)?;
        Ok(copied)
    }
}

/// Turns over one bit in the middle of a file.
///
/// # Errors
/// When there is no such file, or nothing in it.
pub fn damage(file: &Path) -> Result<()> {
    let mut bytes = fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty file")? ^= 1;
    Ok(fs::write(file, bytes)?)
}
