//! Containers without systemd, as a node of Kubernetes runs them: podman and crun of the workshop, on the agent's side of
//! the lab's network, and a registry on the loopback of that side.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::Answer;
use crate::container::{ROOT, Release, Root, answer, child_of};
use crate::http;
use crate::net::{Net, Side};
use crate::process::{Server, private_dir};
use crate::wait::wait_for;

const START_DEADLINE: Duration = Duration::from_secs(30);
/// No other is in that network.
const REGISTRY: &str = "127.0.0.1:5000";
/// The first process of the node, whose root is that of its namespace of mounts: podman enters containers by that. In a mere
/// chroot what it runs in a container would be in the machine's files. `$1` is its root. Containers lie in memory, because an
/// overlay cannot be on an overlay; the controllers of the unified hierarchy may be elsewhere, and so limits are none.
const HOLD: &str = r#"cd "$1"
mkdir -p former dev/shm var/lib/containers
pivot_root . former
mount -t proc proc /proc
umount -l /former
mount -t sysfs sysfs /sys
mount -t cgroup2 none /sys/fs/cgroup
for folder in /run /tmp /dev/shm /var/lib/containers; do mount -t tmpfs none "$folder"; done
echo ready
exec sleep infinity"#;
/// Of podman and its registry, by path.
const FILES: [(&str, &str); 3] = [
    (
        "/etc/containers/containers.conf",
        "[containers]\ncgroups = \"disabled\"\nlog_driver = \"k8s-file\"\npids_limit = 0\n\
         [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n",
    ),
    ("/etc/containers/registries.conf", "[[registry]]\nlocation = \"127.0.0.1:5000\"\ninsecure = true\n"),
    (
        "/etc/registry.yml",
        "version: 0.1\nstorage: { filesystem: { rootdirectory: /tmp/registry } }\nhttp: { addr: \"127.0.0.1:5000\" }\n",
    ),
];

/// A node with podman and a registry. All of it ends with it.
pub struct Podman<'net> {
    net: &'net Net,
    // Before the root: what runs in it ends first.
    registry: Server,
    _holder: Server,
    /// The first process of the node, as the machine counts it.
    init: u32,
    root: Root,
    _dir: TempDir,
}

impl<'net> Podman<'net> {
    /// One in which nothing runs yet.
    ///
    /// # Errors
    /// When `tests/run` has made no workshop, or the registry does not answer.
    pub fn new(net: &'net Net) -> Result<Self> {
        let (root, dir) = (Root::new(Release::Workshop)?, private_dir()?);
        for (file, text) in FILES {
            root.write(file, text)?;
        }
        // In the network, because sysfs is that of the network of whoever mounts it.
        let mut command = root.enter(net, Side::Agent)?;
        command.args(["unshare", "--mount", "--propagation", "private", "sh", "-ec", HOLD, "sh", ROOT]);
        let mut holder = Server::start(&mut command, &dir.path().join("node"))?;
        wait_for("a node", START_DEADLINE, || match holder.still_runs() {
            Ok(()) => holder.log().contains("ready").then_some(Ok(())),
            Err(error) => Some(Err(error)),
        })
        .with_context(|| holder.log())??;
        let init = child_of(holder.pid())?;
        let mut serve = enter(net, init)?;
        serve.args(["docker-registry", "serve", "/etc/registry.yml"]);
        let registry = Server::start(&mut serve, &dir.path().join("registry"))?;
        let mut podman = Self { net, registry, _holder: holder, init, root, _dir: dir };
        podman.await_registry()?;
        Ok(podman)
    }

    fn await_registry(&mut self) -> Result<()> {
        let address: SocketAddr = REGISTRY.parse()?;
        http::await_answer((self.net, Side::Agent), &mut self.registry, (address, "/v2/"), START_DEADLINE)
    }

    /// Its files.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The registry, as the name of an image begins with it.
    pub fn registry(&self) -> &'static str {
        REGISTRY
    }

    /// Runs a script of the shell on the node, as root.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, script: &str) -> Result<Answer> {
        answer(enter(self.net, self.init)?, script)
    }

    /// The standard output of a script that must succeed, without the end of its last line.
    ///
    /// # Errors
    /// When it fails; the text has all that it has written.
    pub fn told(&self, script: &str) -> Result<String> {
        let answer = self.run(script)?.succeeded().with_context(|| script.to_owned())?;
        Ok(answer.stdout.trim_end().to_owned())
    }

    /// What the agent in a container says of itself, once its clock is in this state.
    ///
    /// # Errors
    /// When it is not by `deadline`; the text has what the container has written.
    pub fn await_clock(&self, container: &str, state: &str, deadline: Duration) -> Result<Value> {
        let ask = format!("podman exec {container} /skewguard status --format json");
        let reached = wait_for(&format!("a clock that is {state}"), deadline, || {
            let status = self.run(&ask).ok()?.json().ok()?;
            status.pointer("/clock/state").is_some_and(|is| is == state).then_some(status)
        });
        reached
            .with_context(|| self.run(&format!("podman logs {container}")).map(|said| said.stderr).unwrap_or_default())
    }
}

/// A command in the namespaces of the node and in the network.
fn enter(net: &Net, init: u32) -> Result<Command> {
    let mut command = net.command(Side::Agent, "nsenter")?;
    command.args(["--target", &init.to_string(), "--mount", "--pid", "--"]);
    Ok(command)
}
