//! The user data that is shipped, fetched by the real cloud-init from the metadata service at its first boot, in the lab's
//! network: it installs the agent, which reports to a collector.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "clippy takes what tests share for production code"
)]

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tests::chrony::Chrony;
use tests::container::{Container, Release, Root};
use tests::fleet::{self, COLLECTOR, Mirror, Packages, base64, dist, filled, host, key, sum};
use tests::http::{HttpServer, Reply};
use tests::metadata::{self, USER_DATA};
use tests::net::{IMDS, Net, SECOND_TIME_SERVER, Side, TIME_SYNC};
use tests::receiver::Receiver;
use tests::s3::{self, S3};
use tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(30);
/// What cloud-init says once its work is over: 0 done, 1 an error, 2 done but for something that it would rather not have seen.
const OUTCOME: &str = "cloud-init status --wait --long";

// AWS

/// The lab's AWS before a host is launched in it, whose clock is wrong by so many seconds.
struct Aws {
    net: Net,
    mirror: Mirror,
    imds: HttpServer,
    _chrony: Chrony,
}

impl Aws {
    fn new(offset: f64) -> Self {
        let net = Net::new().unwrap();
        let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        chrony.set_offset(offset).unwrap();
        let mirror = Mirror::start(&net).unwrap();
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
        net.add_address(COLLECTOR).unwrap();
        Self { net, mirror, imds, _chrony: chrony }
    }

    /// Launches a host with this user data. When it returns, cloud-init has done with it.
    fn launch(&self, packages: Packages, user_data: &str) -> Container {
        metadata::hand_out(&self.imds, user_data);
        let container = Container::boot_root(&self.net, host(packages, true).unwrap()).unwrap();
        assert!(self.imds.count(USER_DATA) > 0, "{:?}", self.imds.requests());
        container
    }

    fn collector(&self) -> Receiver<'_> {
        Receiver::start(&self.net, SocketAddr::new(COLLECTOR, 4318)).unwrap()
    }
}

/// A configuration that sends everything to the collector.
fn configuration() -> String {
    format!("telemetry:\n  otlp: {{ endpoint: \"http://{COLLECTOR}:4318\", interval: 1s }}\n")
}

fn configured() -> String {
    base64(configuration().as_bytes()).unwrap()
}

/// The size of what is handed out, with the keys of the repositories wherever they have a place.
fn size(name: &str) -> usize {
    let text = fleet::shipped(&format!("aws/{name}")).unwrap();
    text.len() + text.matches("@KEY@").count() * key().unwrap().len()
}

/// What went on, for a test that fails.
fn log(container: &Container) -> String {
    let tell = "cloud-init status --long; tail -n 60 /var/log/cloud-init-output.log; grep -E 'WARN|Trace' /var/log/cloud-init.log";
    container.run(tell).map(|answer| answer.stdout).unwrap()
}

/// Fails unless the host runs an agent that user data has installed, and that reports.
fn assert_reports(container: &Container, receiver: &Receiver<'_>, what: &str) {
    assert_eq!(container.run(OUTCOME).unwrap().code, Some(0), "{}", log(container));
    assert_runs(container, receiver, what);
}

/// The same whatever cloud-init thinks of it.
fn assert_runs(container: &Container, receiver: &Receiver<'_>, what: &str) {
    assert_eq!(container.property("skewguard", "ActiveState").unwrap(), "active", "{}", log(container));
    let written = container.told("cat /etc/skewguard/skewguard.yaml").unwrap();
    assert_eq!(written, configuration().trim_end());
    let export = wait_for("a report to the collector", PATIENCE, || receiver.taken().exports.pop());
    let export = export.unwrap_or_else(|error| panic!("{error}: {}", log(container)));
    assert_eq!(export.resource["host.id"], metadata::INSTANCE_ID);
    assert_eq!(receiver.taken().faults, Vec::<String>::new());
    let microseconds = |unit: &str, name: &str| container.property(unit, name).unwrap().parse::<f64>().unwrap();
    let active = microseconds("skewguard", "ActiveEnterTimestampMonotonic");
    let booted = container.told("systemctl show --property=UserspaceTimestampMonotonic --value").unwrap();
    let seconds = (active - booted.parse::<f64>().unwrap()) / 1e6;
    println!("{what}: active {seconds:.1} s after systemd has begun, boot over after {:.1?}", container.booted_in());
}

// With a repository

#[test]
fn apt_installs_from_a_signed_repository_at_the_first_boot() {
    let aws = Aws::new(0.2);
    let receiver = aws.collector();
    let values =
        [("REPOSITORY", &*aws.mirror.repository()), ("KEY", &key().unwrap()), ("CONFIGURATION", &configured())];
    let container = aws.launch(Packages::Apt, &filled("aws/user-data/apt.yaml", &values).unwrap());
    assert_reports(&container, &receiver, "apt, repository");
    // The next keys come as a package.
    container.told("dpkg --verify skewguard-archive-keyring && apt-get --quiet update").unwrap();
}

#[test]
fn dnf_installs_from_a_signed_repository_at_the_first_boot() {
    let aws = Aws::new(-0.2);
    let receiver = aws.collector();
    let values =
        [("REPOSITORY", &*aws.mirror.repository()), ("KEY", &key().unwrap()), ("CONFIGURATION", &configured())];
    let container = aws.launch(Packages::Dnf, &filled("aws/user-data/dnf.yaml", &values).unwrap());
    assert_reports(&container, &receiver, "dnf, repository");
    // The next keys come as a package.
    container.told("rpm --verify skewguard skewguard-archive-keyring").unwrap();
}

// With a release alone

#[test]
fn a_package_at_a_url_is_installed_at_the_first_boot() {
    let aws = Aws::new(0.3);
    let receiver = aws.collector();
    let sum = sum(&dist().unwrap().join("SHA256SUMS")).unwrap();
    let values = [("RELEASE", &*aws.mirror.release()), ("SUM", &sum), ("CONFIGURATION", &configured())];
    let container = aws.launch(Packages::Apt, &filled("aws/user-data/package.yaml", &values).unwrap());
    assert_reports(&container, &receiver, "apt, package at a URL");
}

#[test]
fn a_node_of_eks_joins_by_nodeadm_and_has_the_agent() {
    let aws = Aws::new(-0.3);
    let receiver = aws.collector();
    let sum = sum(&dist().unwrap().join("SHA256SUMS")).unwrap();
    let values =
        [("RELEASE", &*aws.mirror.release()), ("SUM", &sum), ("CONFIGURATION", &configured()), ("CLUSTER", "lab")];
    let user_data = filled("aws/eks/user-data.mime", &values).unwrap();
    let container = aws.launch(Packages::Dnf, &user_data);
    // Its part is nothing to cloud-init, which says so, and has nothing else to say.
    let outcome = container.run(OUTCOME).unwrap();
    assert_eq!(outcome.code, Some(2), "{}", log(&container));
    assert!(outcome.stdout.contains("errors: []"), "{outcome:?}");
    for line in outcome.stdout.lines().filter(|line| line.starts_with("\t- ")) {
        assert!(line.contains("Unhandled unknown content-type (application/node.eks.aws)"), "{line}");
    }
    assert_runs(&container, &receiver, "dnf, package at a URL, EKS");
    // nodeadm is not here; it finds its part in what cloud-init has fetched.
    let configured = container.told("cat /var/lib/cloud/instance/user-data.txt").unwrap();
    assert!(configured.contains("kind: NodeConfig") && configured.contains("    name: lab\n"), "{configured}");
}

#[test]
fn an_air_gapped_host_installs_from_s3_by_its_role_and_fails_by_its_clock() {
    // Past the level of a warning; S3 would still take the signature.
    let aws = Aws::new(100.0);
    let document = metadata::valid_document().replace(
        "\"AccessKeyId\":\"lab\",\"SecretAccessKey\":\"lab\"",
        &format!("\"AccessKeyId\":\"{}\",\"SecretAccessKey\":\"{}\"", s3::ACCESS_KEY, s3::SECRET_KEY),
    );
    aws.imds.on(&format!("GET /latest/meta-data/iam/security-credentials/{}", metadata::ROLE), Reply::ok(document));
    let address = SocketAddr::new(SECOND_TIME_SERVER, 9000);
    aws.net.add_address(SECOND_TIME_SERVER).unwrap();
    let s3 = S3::start(&aws.net, address, "+100s").unwrap();
    for file in fs::read_dir(dist().unwrap()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            s3.put(&format!("skewguard/{}", path.file_name().unwrap().to_str().unwrap()), &fs::read(&path).unwrap())
                .unwrap();
        }
    }
    let sum = sum(&dist().unwrap().join("SHA256SUMS")).unwrap();
    let values = [("RELEASE", "s3://lab/skewguard"), ("SUM", &*sum), ("CONFIGURATION", &configured())];
    let script = filled("aws/user-data/script.sh", &values).unwrap();
    let endpoint = format!("#!/bin/sh\nexport AWS_ENDPOINT_URL_S3=http://{address}\n");
    let container = aws.launch(Packages::Apt, &script.replacen("#!/bin/sh\n", &endpoint, 1));
    assert_eq!(container.property("skewguard", "ActiveState").unwrap(), "active", "{}\n{}", log(&container), s3.log());
    let outcome = container.run(OUTCOME).unwrap();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let said = container.told("cat /var/log/cloud-init-output.log").unwrap();
    assert!(said.contains("warning clock-skew"), "{said}");
    // What signed is in no log.
    let found = container.run(&format!("grep -rl {} /var/log /var/lib/cloud", s3::SECRET_KEY)).unwrap();
    assert_eq!((found.code, &*found.stdout), (Some(1), ""));
}

// As it is shipped

#[test]
fn cloud_init_knows_every_key_of_what_is_shipped() {
    let root = Root::new(Release::Workshop).unwrap();
    let check = |name: &str, text: &str| {
        root.write(&format!("/mnt/{name}"), text).unwrap();
        root.run(&format!("cloud-init schema --config-file /mnt/{name}")).unwrap()
    };
    for name in ["apt.yaml", "dnf.yaml", "package.yaml"] {
        let text = fleet::shipped(&format!("aws/user-data/{name}")).unwrap();
        let answer = check(name, &text);
        assert_eq!(answer.code, Some(0), "{name}: {answer:?}");
    }
    let misspelt = fleet::shipped("aws/user-data/apt.yaml").unwrap().replace("write_files:", "write_flies:");
    assert_eq!(check("misspelt.yaml", &misspelt).code, Some(1));
    // EC2 takes 16 KiB with all values: the keys, a configuration of 768 bytes, and what a cluster is known by.
    for name in ["user-data/apt.yaml", "user-data/dnf.yaml", "user-data/package.yaml", "user-data/script.sh"] {
        assert!(size(name) + 1024 <= 16 * 1024, "{name}: {}", size(name));
    }
    assert!(size("eks/user-data.mime") + 1024 + 1536 <= 16 * 1024);
}
