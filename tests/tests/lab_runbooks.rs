//! The runbooks of `deploy/runbooks`: every command of a block ```` ```console SCENE ```` is run on a host in the state of that
//! scene, and prints what stands there, but for its numbers. `SKEWGUARD_WRITE_DOCS=1` writes it. What only a fleet or a receiver
//! can show has no scene, nor have a forecast and an overdue rotation: there a host is `well`, and no agent runs on it. Blocks of `sh` and `promql` are not run.

#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tests::agent::{FakeClock, Skewguard};
use tests::http::Reply;
use tests::metadata;
use tests::net::{IMDS, Net, SECOND_TIME_SERVER, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::observability::committed::root;

const BEGIN: &str = "```console ";
const END: &str = "```\n";
/// An instance of EC2, as its firmware has it.
const FIRMWARE: &str = "mount -t tmpfs none /sys/class && mkdir -p /sys/class/dmi/id && \
                        echo 'Amazon EC2' > /sys/class/dmi/id/sys_vendor";
const FILE: &str = "/etc/skewguard/skewguard.yaml";
const DEADLINE: Duration = Duration::from_secs(30);
const TIME_SYNC_ALONE: &str = "sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }]";

/// A host in a state.
struct Scene {
    /// What Time Sync says: by so many seconds the host is slow. It is mute without.
    slow_by: Option<f64>,
    /// What a second and a third server say.
    others: [Option<f64>; 2],
    /// How long the credentials of the role live; without, its trust is missing.
    credentials: Option<i64>,
    config: &'static str,
    /// The alert that an agent which runs here has to tell before anything is asked.
    awaited: Option<&'static str>,
    /// By so many seconds the clock is set while the agent runs.
    step: Option<f64>,
}

const WELL: Scene = Scene {
    slow_by: Some(0.0),
    others: [None, None],
    credentials: Some(6 * 3_600),
    config: "",
    awaited: None,
    step: None,
};

fn scene(name: &str) -> Scene {
    match name {
        "well" => WELL,
        "slow" => Scene { slow_by: Some(400.0), ..WELL },
        "mute" => Scene { slow_by: None, ..WELL },
        "liar" => Scene {
            others: [Some(0.0), Some(30.0)],
            config: "sources:\n\
                     - { name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }\n\
                     - { name: corp-1, ntp: 169.254.169.124, poll: 1s }\n\
                     - { name: corp-2, ntp: 169.254.169.125, poll: 1s }\n",
            ..WELL
        },
        "expiring" => Scene { credentials: Some(200), ..WELL },
        "no-trust" => Scene { credentials: None, ..WELL },
        "late-refresh" => Scene { slow_by: Some(700.0), config: "sdks: [botocore]\n", ..WELL },
        "undisciplined" => Scene {
            slow_by: Some(2.5),
            config: "alerts: { boot_grace: 0s, clock-undisciplined: { for: 1s } }\n",
            awaited: Some("clock-undisciplined"),
            ..WELL
        },
        "stepped" => {
            Scene { config: "alerts: { boot_grace: 0s }\n", awaited: Some("clock-stepped"), step: Some(30.0), ..WELL }
        }
        other => panic!("there is no scene {other}"),
    }
}

impl Scene {
    /// What each command prints, in their order.
    fn run(&self, commands: &[String]) -> Vec<String> {
        let net = Net::new().unwrap();
        let mut servers = Vec::new();
        let serve = |address: IpAddr, ahead: f64| {
            NtpServer::start(&net, Side::Aws, SocketAddr::new(address, ntp::PORT), ahead_by(ahead)).unwrap()
        };
        servers.extend(self.slow_by.map(|slow| serve(TIME_SYNC, slow)));
        for (address, ahead) in [SECOND_TIME_SERVER, "169.254.169.125".parse().unwrap()].into_iter().zip(self.others) {
            if let Some(ahead) = ahead {
                net.add_address(address).unwrap();
                servers.push(serve(address, ahead));
            }
        }
        let document = metadata::document(self.credentials.unwrap_or(0));
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &document).unwrap();
        if self.credentials.is_none() {
            let refused = r#"{"Code":"AssumeRoleUnauthorizedAccess","LastUpdated":"2026-03-01T10:00:00Z"}"#;
            imds.on(&format!("GET /latest/meta-data/iam/security-credentials/{}", metadata::ROLE), Reply::ok(refused));
        }
        let sources = if self.config.contains("sources:") { "" } else { TIME_SYNC_ALONE };
        let dir = tests::process::private_dir().unwrap();
        let state = dir.path().join("state");
        let clock = FakeClock::new().unwrap();
        let agent =
            Skewguard::new(&net, &format!("{sources}\n{}\nstate_dir: {}\n", self.config, state.display())).unwrap();
        let agent = agent.on_machine_of("Amazon EC2").with_clock(&clock).unwrap();
        let mut running = self.awaited.map(|_| agent.run().unwrap());
        if let Some(running) = &mut running {
            running
                .await_status("a verified clock", DEADLINE, |status| status["clock"]["state"] == "synchronized")
                .unwrap();
            self.step.into_iter().for_each(|seconds| clock.set(seconds).unwrap());
            let is_told = |status: &Value| status["findings"].to_string().contains(self.awaited.unwrap_or_default());
            running.await_status("the alert", DEADLINE, is_told).unwrap();
        }
        let told = commands.iter().map(|command| shell(&net, &agent, &clock, self.step.is_some(), command)).collect();
        drop(running);
        told
    }
}

/// What a command prints, on either stream, as root on the host.
fn shell(net: &Net, agent: &Skewguard<'_>, clock: &FakeClock, is_faked: bool, command: &str) -> String {
    let bin = agent.dir().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let program = bin.join("skewguard");
    let binary = env::var_os("SKEWGUARD_BIN").expect("SKEWGUARD_BIN is not set: start the lab with tests/run");
    let faked: String = if is_faked {
        let variables = clock.environment().unwrap();
        variables.iter().map(|(name, value)| format!("{name}='{}' ", value.to_str().unwrap())).collect()
    } else {
        String::new()
    };
    let script = format!(
        "#!/bin/sh\ncase $1 in --version) ;; config) set -- config check {1} ;; *) set -- \"$@\" --config {1} ;; esac\n{faked}exec {0} \"$@\"\n",
        PathBuf::from(binary).canonicalize().unwrap().display(),
        agent.config().display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut inside = net.command(Side::Agent, "unshare").unwrap();
    inside.args(["--pid", "--fork", "--mount-proc", "bash", "-c"]);
    inside.arg(format!("{FIRMWARE}\nexec env -i \"$@\" 2>&1")).arg("bash").arg("HOME=/root");
    inside.arg(format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display()));
    let output = inside.args(["bash", "-c", command]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let own = |name: &str| agent.dir().join(name).display().to_string();
    // Where they lie on a host.
    text.replace(&own("skewguard.sock"), "/run/skewguard/skewguard.sock").replace(&own("skewguard.yaml"), FILE)
}

/// A text without what is another each time: numbers, their units, whether a clock is a few microseconds slow or fast, and what
/// the kernel of this machine thinks of its clock.
fn without_numbers(text: &str) -> String {
    let text = text.replace(", kernel says unsynchronized", "").replace(", kernel says synchronized", "");
    let is_of_number = |c: char| c.is_ascii_digit() || ".:-".contains(c);
    let word = |word: &str| match word.trim_matches(['(', ')', ',', ';']) {
        "s" | "ms" | "µs" | "ns" | "min" | "h" => "UNIT".to_owned(),
        "slow" | "fast" => "OFF".to_owned(),
        number if number.contains(|c: char| c.is_ascii_digit()) => number.replace(is_of_number, ""),
        other => other.to_owned(),
    };
    text.lines().map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// A block of a runbook.
struct Block {
    scene: String,
    commands: Vec<String>,
    text: String,
}

fn blocks(runbook: &str) -> Vec<Block> {
    let parse = |text: &str| {
        let (scene, rest) = text.split_once('\n').unwrap();
        let body = &rest[..rest.find(END).unwrap()];
        let commands = body.lines().filter_map(|line| line.strip_prefix("$ ").map(ToOwned::to_owned)).collect();
        Block { scene: scene.to_owned(), commands, text: body.to_owned() }
    };
    runbook.split(BEGIN).skip(1).map(parse).collect()
}

#[test]
fn each_command_of_a_runbook_prints_what_stands_there() {
    let mut runbooks = BTreeMap::new();
    for entry in fs::read_dir(root().join("deploy/runbooks")).unwrap() {
        let path = entry.unwrap().path();
        runbooks.insert(path.clone(), fs::read_to_string(path).unwrap());
    }
    // Each scene is played once, for all runbooks.
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in runbooks.values().flat_map(|text| blocks(text)) {
        assert!(!block.commands.is_empty(), "{} without a command", block.scene);
        let commands = wanted.entry(block.scene).or_default();
        commands.extend(block.commands);
        commands.sort();
        commands.dedup();
    }
    assert!(wanted.len() > 5, "{wanted:?}");
    let played: BTreeMap<String, BTreeMap<String, String>> = thread::scope(|scope| {
        let started: Vec<_> = wanted
            .iter()
            .map(|(name, commands)| {
                (name, scope.spawn(|| commands.iter().cloned().zip(scene(name).run(commands)).collect()))
            })
            .collect();
        started.into_iter().map(|(name, play)| (name.clone(), play.join().unwrap())).collect()
    });
    let mut wrong = Vec::new();
    for (path, text) in &runbooks {
        let mut right = text.clone();
        for block in blocks(text) {
            let told = |command: &String| format!("$ {command}\n{}", played[&block.scene][command]);
            let printed: String = block.commands.iter().map(told).collect();
            if without_numbers(&printed) != without_numbers(&block.text) {
                wrong.push(format!("{}: {} prints\n{printed}", path.display(), block.scene));
                right = right.replace(&block.text, &printed);
            }
        }
        if env::var_os("SKEWGUARD_WRITE_DOCS").is_some() && right != *text {
            fs::write(path, right).unwrap();
        }
    }
    assert!(wrong.is_empty() || env::var_os("SKEWGUARD_WRITE_DOCS").is_some(), "{}", wrong.join("\n"));
}
