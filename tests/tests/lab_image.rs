//! The image as `deploy/release` makes it: pushed to a registry, pulled, and run where 169.254.169.123 and .254 are the
//! lab's, as a container and as the pod of the chart.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::chart;
use tests::chrony::Chrony;
use tests::http::HttpServer;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::podman::Podman;
use tests::process::{lab_dir, output, private_dir};
use tests::receiver::Receiver;
use tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(30);
/// What a layer may have, compressed.
const MOST_BYTES: u64 = 4 << 20;
/// How far what is served may be from what was asked for, in seconds: chronyd's own precision.
const TOLERANCE: f64 = 0.005;
/// A bound that says nothing would be no answer. A busy machine answers late, and an emulated one later.
const MOST_BOUND: f64 = 0.5;
/// As a hardened container is run, with nothing mounted.
const HARDENED: &str =
    "--network host --read-only --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges";

// What it is

/// The unpacked layout of an image.
struct Layout {
    dir: TempDir,
}

impl Layout {
    fn of(archive: &Path) -> Self {
        let dir = private_dir().unwrap();
        output(Command::new("tar").arg("--extract").arg("--file").arg(archive).arg("--directory").arg(dir.path()))
            .unwrap();
        Self { dir }
    }

    fn blob(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let path = self.dir.path().join("blobs/sha256").join(digest);
        let summed = output(Command::new("sha256sum").arg(&path)).unwrap();
        assert_eq!((&summed[..64], fs::metadata(&path).unwrap().len()), (digest, descriptor["size"].as_u64().unwrap()));
        path
    }

    fn json(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(&fs::read(self.blob(descriptor)).unwrap()).unwrap()
    }

    /// What one tag means: an index.
    fn index(&self) -> Value {
        let outer: Value = serde_json::from_slice(&fs::read(self.dir.path().join("index.json")).unwrap()).unwrap();
        let tags = outer["manifests"].as_array().unwrap();
        assert_eq!((tags.len(), &tags[0]["mediaType"]), (1, &json!("application/vnd.oci.image.index.v1+json")));
        self.json(&tags[0])
    }
}

fn archive() -> PathBuf {
    let file = format!("dist/skewguard-{}-image.tar", env!("CARGO_PKG_VERSION"));
    lab_dir().unwrap().join(file).canonicalize().expect("tests/run packs the image")
}

#[test]
fn it_has_one_static_program_for_each_architecture_and_nothing_else_that_runs() {
    let layout = Layout::of(&archive());
    let mut machines = BTreeMap::new();
    for descriptor in layout.index()["manifests"].as_array().unwrap() {
        let manifest = layout.json(descriptor);
        let config = layout.json(&manifest["config"]);
        let architecture = config["architecture"].as_str().unwrap();
        assert_eq!((&descriptor["platform"]["architecture"], &config["os"]), (&json!(architecture), &json!("linux")));
        let run = &config["config"];
        assert_eq!(
            (&run["User"], &run["Entrypoint"], &run["Cmd"]),
            (&json!("65532:65532"), &json!(["/skewguard"]), &json!(["run"]))
        );
        assert_eq!(run["Labels"]["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));

        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1);
        let layer = layout.blob(&layers[0]);
        let size = fs::metadata(&layer).unwrap().len();
        assert!(size <= MOST_BYTES, "{architecture}: {size} bytes");
        println!("{architecture}: {size} bytes");
        let plain = output(Command::new("sh").args(["-c", "gzip -dc \"$0\" | sha256sum"]).arg(&layer)).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{}", &plain[..64])]));

        let listed = output(Command::new("tar").args(["-tvzf"]).arg(&layer)).unwrap();
        let entry = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            format!("{} {} {}", words[0], words[1], words.last().unwrap())
        };
        let mut entries: Vec<_> = listed.lines().map(entry).collect();
        entries.sort();
        let expected = [
            "-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt",
            "-rwxr-xr-x 0/0 skewguard",
            "drwxr-xr-x 0/0 etc/",
            "drwxr-xr-x 0/0 etc/ssl/",
            "drwxr-xr-x 0/0 etc/ssl/certs/",
            "drwxr-xr-x 0/0 run/",
            "drwxr-xr-x 0/0 var/",
            "drwxr-xr-x 0/0 var/lib/",
            "drwxr-xr-x 65532/65532 run/skewguard/",
            "drwxr-xr-x 65532/65532 var/lib/skewguard/",
        ];
        assert_eq!(entries, expected);
        output(Command::new("tar").arg("-xzf").arg(&layer).arg("-C").arg(layout.dir.path())).unwrap();
        let program = fs::read(layout.dir.path().join("skewguard")).unwrap();
        assert!(program.starts_with(b"\x7fELF\x02\x01"));
        machines.insert(architecture.to_owned(), u16::from_le_bytes([program[18], program[19]]));
    }
    // As ELF numbers them.
    assert_eq!(machines, BTreeMap::from([("amd64".to_owned(), 62), ("arm64".to_owned(), 183)]));
}

/// Packs what is in an image again, elsewhere and by somebody with other habits.
const PACK_AGAIN: &str = r#"set -Eeuo pipefail
umask 077
export TZ=Asia/Kathmandu LC_ALL=C SOURCE_DATE_EPOCH=$4
work=$1 version=$2 artefacts=$1/artefacts
mkdir "$artefacts"
declare -A programs=([x86_64]=$3/amd64 [aarch64]=$3/arm64)
say() { :; }
die() { echo "$*" >&2; exit 1; }
lacks() { die "$*"; }
. deploy/artefacts/commands.sh
. deploy/artefacts/image.sh
pack_image"#;

#[test]
fn the_same_programs_give_the_same_image() {
    let (layout, dir) = (Layout::of(&archive()), private_dir().unwrap());
    let index = layout.index();
    for descriptor in index["manifests"].as_array().unwrap() {
        let manifest = layout.json(descriptor);
        let unpack = "tar -xzf \"$0\" -C \"$1\" skewguard && mv \"$1/skewguard\" \"$1/$2\"";
        let layer = layout.blob(&manifest["layers"][0]);
        let architecture = descriptor["platform"]["architecture"].as_str().unwrap();
        output(Command::new("sh").args(["-c", unpack]).arg(layer).arg(dir.path()).arg(architecture)).unwrap();
    }
    let created = index["annotations"]["org.opencontainers.image.created"].as_str().unwrap();
    let date = output(Command::new("date").args(["--date", created, "+%s"])).unwrap();
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pack = Command::new(project.join("tests/workshop"));
    pack.args(["bash", "-c", PACK_AGAIN, "bash"]).arg(&work).arg(env!("CARGO_PKG_VERSION")).arg(dir.path());
    output(pack.arg(date.trim()).current_dir(project)).unwrap();
    let again = work.join("artefacts").join(archive().file_name().unwrap());
    let sum = |path: &Path| output(Command::new("sha256sum").arg(path)).unwrap()[..64].to_owned();
    assert_eq!(sum(&again), sum(&archive()), "or the image was packed of another commit");
}

// Where it runs

/// The lab's AWS, with a clock that is right but for so many seconds.
struct Aws {
    offset: f64,
    _chrony: Chrony,
    imds: HttpServer,
}

impl Aws {
    fn start(net: &Net, offset: f64) -> Self {
        let chrony = Chrony::start(net, TIME_SYNC).unwrap();
        // On a busy machine it becomes another, which does as well.
        let offset = chrony.set_offset(offset).or_else(|_| chrony.served_offset()).unwrap();
        let imds = metadata::start(net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
        Self { offset, _chrony: chrony, imds }
    }

    /// What the agent or a look says is what is served.
    fn assert_told(&self, status: &Value) {
        let number = |key: &str| status["clock"][key].as_f64().unwrap();
        let (told, bound) = (number("offset_seconds"), number("error_bound_seconds"));
        let is_right = (told - self.offset).abs() < bound + TOLERANCE;
        assert!(is_right && bound < MOST_BOUND, "{told} ± {bound} instead of {}", self.offset);
    }
}

/// An offset that is no finding, in either direction.
fn small_offset() -> f64 {
    let size = 0.05 + 0.9 * fastrand::f64();
    if fastrand::bool() { size } else { -size }
}

/// Puts the image into the registry, and returns its name there.
fn push(podman: &Podman<'_>) -> String {
    podman.root().copy_in(&archive(), "/mnt/image.tar").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("{}/skewguard/skewguard:{version}", podman.registry());
    podman.told(&format!("skopeo copy --quiet --all oci-archive:/mnt/image.tar:{version} docker://{name}")).unwrap();
    name
}

#[test]
fn it_runs_from_a_registry_without_any_right_and_is_right_about_the_clock() {
    let net = Net::new().unwrap();
    let (aws, podman) = (Aws::start(&net, small_offset()), Podman::new(&net).unwrap());
    let image = push(&podman);
    podman.told(&format!("podman pull --quiet {image}")).unwrap();
    let looked = podman.run(&format!("podman run --rm {HARDENED} {image} check --format json")).unwrap();
    assert_eq!(looked.code, Some(0), "{looked:?}");
    aws.assert_told(&looked.json().unwrap());

    podman.told(&format!("podman run --detach --name agent {HARDENED} {image}")).unwrap();
    let status = podman.await_clock("agent", "synchronized", PATIENCE).unwrap();
    aws.assert_told(&status);
    assert_eq!(status["credentials"][0]["state"], "valid", "{status}");
    // It is nobody, and what it is refused is nothing that it needs.
    let process = podman.told("podman inspect --format '{{.State.Pid}}' agent").unwrap();
    let seen = podman.told(&format!("cat /proc/{process}/status")).unwrap();
    for line in [
        "Uid:\t65532\t65532",
        "Gid:\t65532\t65532",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    let shell = podman.run("podman exec agent /bin/sh -c true").unwrap();
    assert_eq!(shell.code, Some(127), "{shell:?}");
    let log = podman.run("podman logs agent").unwrap().stderr;
    assert!(!log.contains(" WARN ") && !log.contains(" ERROR "), "{log}");
    let memory = seen.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    println!("{memory}");
    podman.told("podman stop --time 15 agent").unwrap();
    // It was not killed.
    assert_eq!(podman.told("podman inspect --format '{{.State.ExitCode}}' agent").unwrap(), "0");
}

#[test]
fn the_other_architecture_is_as_right_about_the_clock() {
    let net = Net::new().unwrap();
    let (aws, podman) = (Aws::start(&net, small_offset()), Podman::new(&net).unwrap());
    let image = push(&podman);
    podman
        .told(&format!(
            "podman create --quiet --arch arm64 --name other {image} && podman cp other:/skewguard /mnt/arm64"
        ))
        .unwrap();
    let looked = podman.run("qemu-aarch64-static /mnt/arm64 check --format json").unwrap();
    assert_eq!(looked.code, Some(0), "{looked:?}");
    aws.assert_told(&looked.json().unwrap());
}

#[test]
fn the_chart_is_installed_from_a_registry() {
    let net = Net::new().unwrap();
    let podman = Podman::new(&net).unwrap();
    let (dir, version) = (private_dir().unwrap(), env!("CARGO_PKG_VERSION"));
    let helm = |arguments: &[&str]| {
        let mut helm = net.command(Side::Agent, "helm").unwrap();
        output(helm.env("HOME", dir.path()).args(arguments).arg("--plain-http")).unwrap()
    };
    let charts = format!("oci://{}/charts", podman.registry());
    let packed = lab_dir().unwrap().join(format!("dist/skewguard-chart-{version}.tgz"));
    helm(&["push", packed.to_str().unwrap(), &charts]);
    let chart = format!("{charts}/skewguard");
    let rendered = helm(&["template", "skewguard", &chart, "--version", version, "--namespace", "kube-system"]);
    assert_eq!(chart::objects(&rendered).unwrap(), chart::render("").unwrap());
}

#[test]
fn its_signature_is_verified_and_one_of_another_image_is_not() {
    let net = Net::new().unwrap();
    let podman = Podman::new(&net).unwrap();
    let image = push(&podman);
    let repository = image.rsplit_once(':').unwrap().0;
    let digest_of =
        |name: &str| podman.told(&format!("skopeo inspect --format '{{{{.Digest}}}}' docker://{name}")).unwrap();
    let digest = digest_of(&image);
    let script = |line: &str| format!("cd /mnt && export COSIGN_PASSWORD=throw-away && {line}");
    podman.told(&script("cosign generate-key-pair")).unwrap();
    let sign = "cosign sign --yes --key cosign.key --tlog-upload=false --allow-insecure-registry --recursive";
    podman.told(&script(&format!("{sign} {repository}@{digest}"))).unwrap();
    let verify = |name: &str| {
        let verify = "cosign verify --key cosign.pub --insecure-ignore-tlog=true --allow-insecure-registry";
        podman.run(&script(&format!("{verify} {name}"))).unwrap()
    };
    let verified = verify(&image);
    assert!(verified.code == Some(0) && verified.stdout.contains(&digest), "{verified:?}");

    // Another image under the same tag, to which the signature is put.
    let change = "buildah from --quiet --name other IMAGE && buildah config --label changed=yes other &&
        buildah commit --quiet other docker://IMAGE";
    podman.told(&change.replace("IMAGE", &image)).unwrap();
    let changed = digest_of(&image);
    assert_ne!(changed, digest);
    let tag = |digest: &str| format!("docker://{repository}:{}.sig", digest.replace(':', "-"));
    podman.told(&format!("skopeo copy --quiet {} {}", tag(&digest), tag(&changed))).unwrap();
    let refused = verify(&image);
    assert!(refused.code != Some(0) && refused.stderr.contains("no matching signatures"), "{refused:?}");
    assert_eq!(verify(&format!("{repository}@{digest}")).code, Some(0));
}

/// What the chart renders for these values, with a secret in front, as podman takes it.
fn manifests(podman: &Podman<'_>, values: &str) -> String {
    let values = format!("image: {{ registry: '{}' }}\nexistingSecret: channels\n{values}", podman.registry());
    let data = json!({ "hook": "key" });
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "channels" }, "stringData": data });
    let mut objects = chart::render(&values).unwrap();
    for object in &mut objects {
        let Some(volumes) = object.pointer_mut("/spec/template/spec/volumes") else { continue };
        for volume in volumes.as_array_mut().unwrap().iter_mut().filter(|volume| volume.get("emptyDir").is_some()) {
            // What is in memory belongs to root with podman, and to everybody with the kubelet.
            assert_eq!(volume["emptyDir"]["medium"], "Memory");
            volume["emptyDir"] = json!({});
        }
    }
    let documents: Vec<_> = std::iter::once(secret).chain(objects).map(|object| object.to_string()).collect();
    documents.join("\n---\n")
}

/// The name that podman gives to the container of the pod.
const POD: &str = "skewguard-pod-skewguard";

fn play(podman: &Podman<'_>, manifests: &str, options: &str) {
    podman.root().write("/mnt/chart.yaml", manifests).unwrap();
    podman.told(&format!("podman kube play {options} /mnt/chart.yaml")).unwrap();
}

#[test]
fn the_pod_of_the_chart_runs_and_a_wrong_clock_neither_ends_it_nor_keeps_it_from_saying_so() {
    let net = Net::new().unwrap();
    let (aws, podman) = (Aws::start(&net, 400.0), Podman::new(&net).unwrap());
    let receiver = Receiver::start(&net, SocketAddr::new(TIME_SYNC, 8080)).unwrap();
    push(&podman);
    let hook = format!("url: '{}/hook', secret: 'file:/etc/skewguard-secret/hook'", receiver.url());
    let values = format!("config: {{ channels: [{{ name: ops, webhook: {{ {hook} }} }}] }}");
    play(&podman, &manifests(&podman, &values), "");
    let status = podman.await_clock(POD, "synchronized", PATIENCE).unwrap();
    aws.assert_told(&status);
    assert_eq!(status["credentials"][0]["state"], "valid", "{status}");
    let ask = |more: &str| podman.run(&format!("podman exec {POD} /skewguard status {more}")).unwrap();
    assert_eq!((ask("").code, ask("--alive").code), (Some(2), Some(0)));
    // The probe that the chart has, as podman runs it.
    podman.told(&format!("podman healthcheck run {POD}")).unwrap();

    let told = wait_for("the alert", PATIENCE, || receiver.taken().told.into_iter().next()).unwrap();
    assert_eq!((told.text("alert"), told.text("severity"), told.text("change")), ("clock-skew", "critical", "firing"));
    podman.told("podman kube down /mnt/chart.yaml").unwrap();
    assert_eq!(podman.told("podman ps --all --quiet").unwrap(), "");
}

#[test]
fn in_a_network_of_its_own_the_pod_measures_the_clock_and_asks_nobody_for_credentials() {
    let net = Net::with_container().unwrap();
    let (aws, podman) = (Aws::start(&net, small_offset()), Podman::new(&net).unwrap());
    push(&podman);
    // podman cannot tell a pod its node, and is in the network of a container already.
    let values = "network: pod\nenv: [{ name: OTEL_RESOURCE_ATTRIBUTES, value: a=b }]";
    play(&podman, &manifests(&podman, values), "--network host");
    let status = podman.await_clock(POD, "synchronized", PATIENCE).unwrap();
    aws.assert_told(&status);
    assert_eq!((&status["credentials"], &status["status"]), (&json!([]), &json!("ok")), "{status}");
    assert_eq!(aws.imds.requests().len(), 0);
}
