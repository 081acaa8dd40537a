//! What `deploy` has for fleets, as it is shipped, a server with a release, and a host that takes it from there.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::agent::Answer;
use crate::chrony::Chrony;
use crate::container::{Container, Release, Root};
use crate::http::{HttpServer, Reply};
use crate::metadata;
use crate::net::{IMDS, Net, Side, TIME_SYNC};
use crate::process::{command, lab_dir, output};

/// Makes a stack of a template in moto, and tells the user data of its launch template.
const STACK: &str = r#"
import base64, boto3, sys
from moto import mock_aws
with mock_aws():
    ec2 = boto3.client("ec2")
    values = {
        "Image": "ami-0123456789abcdef0", "Subnets": ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        "Release": "lab/skewguard", "Sum": sys.argv[2],
    }
    boto3.client("cloudformation").create_stack(
        StackName="fleet", TemplateBody=open(sys.argv[1]).read(), Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()])
    template = ec2.describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
    version = ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"][0]
    print(base64.b64decode(version["LaunchTemplateData"]["UserData"]).decode())
"#;

/// The address of the server with the release.
const MIRROR: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 100, 3));
/// Where a collector takes what the agent on a host reports.
pub const COLLECTOR: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 100, 4));

/// The path of a file below `deploy`.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

/// A file below `deploy`.
///
/// # Errors
/// When there is none.
pub fn shipped(name: &str) -> Result<String> {
    fs::read_to_string(path(name)).with_context(|| format!("failed to read deploy/{name}"))
}

/// A file below `deploy` whose placeholders, such as `@KEY@`, have these values; all others have none.
///
/// # Errors
/// When there is no such file, or it has no such placeholder.
pub fn filled(name: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut text = shipped(name)?;
    for (placeholder, value) in values {
        let placeholder = format!("@{placeholder}@");
        anyhow::ensure!(text.contains(&placeholder), "deploy/{name} has no {placeholder}");
        text = text.replace(&placeholder, value);
    }
    let rest = ["REPOSITORY", "KEY", "RELEASE", "SUM", "CONFIGURATION", "PARAMETER"];
    Ok(rest.iter().fold(text, |text, name| text.replace(&format!("@{name}@"), "")))
}

/// Bytes in base64.
///
/// # Errors
/// When the machine lacks the program.
pub fn base64(bytes: &[u8]) -> Result<String> {
    let dir = crate::process::private_dir()?;
    let file = dir.path().join("bytes");
    fs::write(&file, bytes)?;
    output(Command::new("base64").arg("--wrap=0").arg(file))
}

/// A text of YAML, as Python reads it.
///
/// # Errors
/// When it is none.
pub fn yaml(text: &str) -> Result<Value> {
    let dir = crate::process::private_dir()?;
    let file = dir.path().join("text");
    fs::write(&file, text)?;
    let read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    Ok(serde_json::from_str(&python(read, &[&file])?)?)
}

/// What a program of the lab's Python says.
///
/// # Errors
/// When it fails.
pub fn python(program: &str, arguments: &[&Path]) -> Result<String> {
    // Where no region is set, a library asks the metadata service; where one is, it asks nobody.
    let mut python = command("python")?;
    python.env("AWS_DEFAULT_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true");
    output(python.arg("-c").arg(program).args(arguments))
}

/// The folder of the release that `tests/run` has made.
///
/// # Errors
/// When there is no lab.
pub fn dist() -> Result<PathBuf> {
    Ok(lab_dir()?.join("dist"))
}

/// The SHA-256 of a file.
///
/// # Errors
/// When there is none.
pub fn sum(file: &Path) -> Result<String> {
    let sum = output(Command::new("sha256sum").arg(file))?;
    Ok(sum.split_whitespace().next().unwrap_or_default().to_owned())
}

/// A server on AWS's side with the release in it.
pub struct Mirror {
    server: HttpServer,
}

impl Mirror {
    /// Starts one.
    ///
    /// # Errors
    /// When `tests/run` has made no release.
    pub fn start(net: &Net) -> Result<Self> {
        net.add_address(MIRROR)?;
        let server = HttpServer::start(net, Side::Aws, SocketAddr::new(MIRROR, 80))?;
        serve(&server, &dist()?, "/release")?;
        Ok(Self { server })
    }

    /// The URL of the release.
    pub fn release(&self) -> String {
        format!("{}/release", self.server.url())
    }

    /// The URL of the repositories.
    pub fn repository(&self) -> String {
        format!("{}/repositories", self.release())
    }

    /// The server.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }
}

/// Serves every file of a folder.
fn serve(server: &HttpServer, folder: &Path, at: &str) -> Result<()> {
    let missing = || format!("{} is missing: tests/run makes a release", folder.display());
    for entry in fs::read_dir(folder).with_context(missing)? {
        let entry = entry?;
        let at = format!("{at}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            serve(server, &entry.path(), &at)?;
        } else {
            server.on(&format!("GET {at}"), Reply::ok(fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// The keys of the repositories, in base64.
///
/// # Errors
/// When there are none.
pub fn key() -> Result<String> {
    base64(&fs::read(dist()?.join("repositories/skewguard-archive-keyring.asc"))?)
}

/// How a host manages its software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packages {
    /// With apt, and without gnupg, as Debian's smallest images are.
    Apt,
    /// With dnf, and without apt.
    Dnf,
    /// Not at all.
    None,
}

/// What an rpm needs of a host, as the packages of Amazon Linux and its kin provide it.
const PROVIDED: &str = "mkdir -p /tmp/host && cd /tmp/host && cat >host.spec <<'END'
Name: lab-host
Version: 1
Release: 1
Summary: What a host provides
License: MIT
BuildArch: noarch
Provides: /bin/sh
Provides: systemd = 252
AutoReqProv: no
%description
What a host provides.
%files
END
rpmbuild --quiet -bb --define '_rpmdir /tmp/host' --define '_build_name_fmt host.rpm' host.spec
rpm --install --nodeps host.rpm
mkdir -p /etc/pki/rpm-gpg /etc/yum.repos.d /usr/share/licenses /usr/share/zsh/site-functions";

/// A host before its first boot, with cloud-init as an image of EC2 has it, or without.
///
/// # Errors
/// When `tests/run` has made no workshop.
pub fn host(packages: Packages, has_cloud_init: bool) -> Result<Root> {
    let root = Root::new(Release::Workshop)?;
    // What a workshop has and a host has not.
    root.run("systemctl --quiet disable docker-registry netavark-dhcp-proxy.socket; rm -f /etc/apt/sources.list /var/lib/man-db/auto-update")
        .and_then(Answer::succeeded)?;
    let lacking = match packages {
        Packages::Apt => "rm /usr/bin/gpg".to_owned(),
        Packages::Dnf => format!("{PROVIDED} && rm /usr/bin/apt-get /usr/bin/dpkg /usr/bin/dpkg-query"),
        Packages::None => "rm /usr/bin/apt-get /usr/bin/dpkg /usr/bin/dpkg-query /usr/bin/dnf* /usr/bin/rpm".to_owned(),
    };
    root.run(&lacking).and_then(Answer::succeeded)?;
    if has_cloud_init {
        let modules = if packages == Packages::Apt { "" } else { WITHOUT_APT };
        root.write("/etc/cloud/cloud.cfg.d/99-lab.cfg", &format!("{IMAGE}{modules}"))?;
    } else {
        root.write("/etc/cloud/cloud-init.disabled", "")?;
    }
    Ok(root)
}

/// That this is EC2 is otherwise seen by the firmware, and the network is there already.
const IMAGE: &str = "datasource_list: [Ec2]
datasource: { Ec2: { strict_id: false } }
network: { config: disabled }
apt: { preserve_sources_list: true }
ssh_genkeytypes: []
";
/// What an image without apt does not have cloud-init do.
const WITHOUT_APT: &str = "cloud_config_modules: [runcmd]
cloud_final_modules: [scripts_user]
";

/// A booted host in the lab's AWS, beside a server with the release.
pub struct Member {
    /// Where its systemd runs.
    pub container: Container,
    before: BTreeSet<String>,
    /// Amazon Time Sync.
    pub chrony: Chrony,
    /// Where the release is.
    pub mirror: Mirror,
    /// The metadata service.
    pub imds: HttpServer,
    _net: Net,
}

impl Member {
    /// Boots one, whose clock is 0.2 s slow.
    ///
    /// # Panics
    /// When the lab is not there; the others when the host does not do as it is told.
    pub fn boot(packages: Packages) -> Self {
        let net = Net::new().unwrap();
        let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        chrony.set_offset(0.2).unwrap();
        let mirror = Mirror::start(&net).unwrap();
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
        let container = Container::boot_root(&net, host(packages, false).unwrap()).unwrap();
        let before = container.root().paths().unwrap();
        Self { container, before, chrony, mirror, imds, _net: net }
    }

    /// Runs a script that must succeed.
    pub fn run(&self, script: &str) -> Answer {
        self.container.run(script).and_then(Answer::succeeded).unwrap()
    }

    /// The process of the service, which must run.
    pub fn process(&self) -> String {
        assert_eq!(self.container.property("skewguard", "ActiveState").unwrap(), "active");
        self.container.property("skewguard", "MainPID").unwrap()
    }

    /// What is there now and was not before, but for what a package manager keeps of every package.
    pub fn left(&self) -> Vec<String> {
        let kept = [
            "/var/lib/apt/",
            "/var/lib/dnf",
            "/var/lib/rpm",
            "/usr/lib/sysimage/rpm",
            "/var/lib/systemd/",
            "/usr/share/man/",
        ];
        let paths = self.container.root().paths().unwrap();
        paths.difference(&self.before).filter(|path| !kept.iter().any(|kept| path.starts_with(kept))).cloned().collect()
    }

    /// Fails unless nothing is left, and the service is gone.
    pub fn assert_gone(&self) {
        assert_eq!(self.left(), Vec::<String>::new());
        assert_eq!(self.container.property("skewguard", "ActiveState").unwrap(), "inactive");
    }
}

/// The sum of the release's list of sums.
///
/// # Errors
/// When there is no release.
pub fn sums() -> Result<String> {
    sum(&dist()?.join("SHA256SUMS"))
}

/// The user data of the launch template that moto makes of a template of CloudFormation.
///
/// # Errors
/// When moto refuses it.
pub fn stack(template: &Path) -> Result<String> {
    python(STACK, &[template, Path::new(&sums()?)])
}
