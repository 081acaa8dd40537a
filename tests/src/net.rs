//! Two network namespaces joined by a cable: the agent's host, and AWS with its link-local addresses.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

use crate::process::{output, tool, unpacked_libraries};

/// Amazon Time Sync Service, IPv4.
pub const TIME_SYNC: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 123));
/// Amazon Time Sync Service, IPv6.
pub const TIME_SYNC_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x123));
/// Instance Metadata Service, IPv4.
pub const IMDS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// Instance Metadata Service, IPv6.
pub const IMDS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254));
/// The agent's own address.
pub const AGENT: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 100, 2));
/// An address for a further server; the next is `.125`. Call [`Net::add_address`] first.
pub const SECOND_TIME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 124));

/// Lets a namespace be a router.
const FORWARD: &str = "echo 1 > /proc/sys/net/ipv4/ip_forward";

/// One end of the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The host that the agent watches.
    Agent,
    /// Everything that AWS runs.
    Aws,
}

/// A pair of namespaces, removed on drop. Names start with `sg-<run>-`, where the run is `SKEWGUARD_LAB_RUN`
/// or else this process, so that `tests/run` can clear away what a killed test left.
pub struct Net {
    agent: String,
    aws: String,
    /// What stands between them, where the agent's host is a container.
    router: Option<String>,
    has_ipv6: bool,
}

impl Net {
    /// Creates both namespaces with loopback, the cable and the addresses.
    ///
    /// # Errors
    /// When the process may not create namespaces, or `ip` is missing.
    pub fn new() -> Result<Self> {
        let net = Self::named();
        net.lay_out()?;
        Ok(net)
    }

    /// The same with the agent in a container: one hop further away from AWS than its host, which is a namespace between.
    /// Over IPv4 only.
    ///
    /// # Errors
    /// As [`Net::new`].
    pub fn with_container() -> Result<Self> {
        let mut net = Self::named();
        net.has_ipv6 = false;
        net.router = Some(format!("{}-host", net.agent));
        net.lay_out_container()?;
        Ok(net)
    }

    fn named() -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let process = process::id();
        let run = env::var("SKEWGUARD_LAB_RUN").unwrap_or_else(|_| process.to_string());
        let stem = format!("sg-{run}-{process}-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        Self {
            agent: format!("{stem}-agent"),
            aws: format!("{stem}-aws"),
            router: None,
            has_ipv6: Path::new("/proc/sys/net/ipv6").exists(),
        }
    }

    fn lay_out_container(&self) -> Result<()> {
        let (agent, aws) = (self.agent.as_str(), self.aws.as_str());
        let host = self.router.as_deref().context("there is no host between")?;
        for namespace in [agent, aws, host] {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        ip(&["link", "add", "lab", "netns", agent, "type", "veth", "peer", "name", "pod", "netns", host])?;
        ip(&["link", "add", "lab", "netns", host, "type", "veth", "peer", "name", "lab", "netns", aws])?;
        for (namespace, link) in [(agent, "lab"), (host, "pod"), (host, "lab"), (aws, "lab")] {
            ip(&["-n", namespace, "link", "set", link, "up"])?;
        }
        ip(&["-n", agent, "address", "add", "10.99.0.2/24", "dev", "lab"])?;
        ip(&["-n", host, "address", "add", "10.99.0.1/24", "dev", "pod"])?;
        ip(&["-n", host, "address", "add", &format!("{AGENT}/16"), "dev", "lab"])?;
        ip(&["-n", aws, "address", "add", "169.254.100.1/16", "dev", "lab"])?;
        ip(&["-n", agent, "route", "add", "default", "via", "10.99.0.1"])?;
        ip(&["-n", aws, "route", "add", "10.99.0.0/24", "via", &AGENT.to_string()])?;
        output(Command::new(tool("ip")?).args(["netns", "exec", host, "sh", "-c"]).arg(FORWARD))?;
        self.add_address(TIME_SYNC)?;
        self.add_address(IMDS)
    }

    fn lay_out(&self) -> Result<()> {
        let (agent, aws) = (self.agent.as_str(), self.aws.as_str());
        ip(&["netns", "add", agent])?;
        ip(&["netns", "add", aws])?;
        ip(&["link", "add", "lab", "netns", agent, "type", "veth", "peer", "name", "lab", "netns", aws])?;
        for namespace in [agent, aws] {
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            ip(&["-n", namespace, "link", "set", "lab", "up"])?;
        }
        ip(&["-n", agent, "address", "add", &format!("{AGENT}/16"), "dev", "lab"])?;
        ip(&["-n", aws, "address", "add", "169.254.100.1/16", "dev", "lab"])?;
        self.add_address(TIME_SYNC)?;
        self.add_address(IMDS)?;
        if self.has_ipv6 {
            // Without `nodad` an address is unusable for its first second.
            ip(&["-n", agent, "address", "add", "fd00:ec2::2/64", "dev", "lab", "nodad"])?;
            ip(&["-n", aws, "address", "add", "fd00:ec2::1/64", "dev", "lab", "nodad"])?;
            self.add_address(TIME_SYNC_V6)?;
            self.add_address(IMDS_V6)?;
        }
        Ok(())
    }

    /// Gives AWS another address. It must lie in 169.254.0.0/16 or fd00:ec2::/64 to be reached.
    ///
    /// # Errors
    /// When AWS has the address already.
    pub fn add_address(&self, address: IpAddr) -> Result<()> {
        match address {
            IpAddr::V4(v4) => ip(&["-n", &self.aws, "address", "add", &format!("{v4}/32"), "dev", "lab"]),
            IpAddr::V6(v6) => ip(&["-n", &self.aws, "address", "add", &format!("{v6}/128"), "dev", "lab", "nodad"]),
        }
    }

    /// Plugs the cable in or pulls it out, as seen from both sides.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn set_cable(&self, plugged_in: bool) -> Result<()> {
        ip(&["-n", &self.aws, "link", "set", "lab", if plugged_in { "up" } else { "down" }])
    }

    /// Whether the IPv6 addresses exist; a kernel may be built or started without.
    pub fn has_ipv6(&self) -> bool {
        self.has_ipv6
    }

    /// The namespace's name, for `ip netns`.
    pub fn name(&self, side: Side) -> &str {
        match side {
            Side::Agent => &self.agent,
            Side::Aws => &self.aws,
        }
    }

    /// A command that runs inside a namespace, without `CAP_SYS_TIME`, and dies with the thread that starts it.
    ///
    /// # Errors
    /// When `program` is neither a path nor a [`tool`].
    pub fn command(&self, side: Side, program: impl AsRef<OsStr>) -> Result<Command> {
        let program = Path::new(program.as_ref());
        let program = match program.to_str() {
            Some(name) if !name.contains('/') => tool(name)?,
            _ => program.to_owned(),
        };
        let mut command = Command::new(tool("ip")?);
        command.args(["netns", "exec", self.name(side)]).arg(tool("setpriv")?);
        command.args(["--pdeathsig", "KILL", "--bounding-set", "-sys_time"]);
        // `env` comes last, so that the libraries of an unpacked program reach that program alone.
        if let Some(libraries) = unpacked_libraries(&program) {
            let mut assignment = OsString::from("LD_LIBRARY_PATH=");
            assignment.push(libraries);
            command.arg("env").arg(assignment);
        }
        command.arg(program);
        Ok(command)
    }

    /// Runs `work` on a thread inside a namespace. A socket that it opens stays in there wherever it is used later.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or `work` panics.
    pub fn within<T: Send>(&self, side: Side, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = format!("/run/netns/{}", self.name(side));
        let namespace = File::open(&path).with_context(|| format!("failed to open {path}"))?;
        thread::scope(|scope| {
            let inside = scope.spawn(|| -> Result<T> {
                setns(namespace, CloneFlags::CLONE_NEWNET).context("failed to enter the namespace")?;
                Ok(work())
            });
            inside.join().unwrap_or_else(|_| bail!("the work in the namespace panicked"))
        })
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // What cannot be removed here, `tests/run` removes.
        for name in [&self.agent, &self.aws].into_iter().chain(&self.router) {
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    output(Command::new(tool("ip")?).args(arguments))?;
    Ok(())
}
