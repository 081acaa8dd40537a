//! What is shipped for Systems Manager, Distributor, Image Builder, CloudFormation and IAM: its commands as they are, run on
//! booted hosts in the lab's AWS, twice, and then what removes all of it; its documents, judged by moto and cfn-lint.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::agent::Answer;
use tests::chrony::Chrony;
use tests::container::Container;
use tests::fleet::{self, Mirror, Packages, base64, dist, host, key, python, shipped, sum, yaml};
use tests::http::HttpServer;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::process::{command, output, private_dir};

/// A configuration that differs from the default.
const CONFIGURATION: &str = "credentials: { imds: { poll: 10m } }\n";

/// A booted host in the lab's AWS, beside a server with the release.
struct Host {
    container: Container,
    before: BTreeSet<String>,
    chrony: Chrony,
    mirror: Mirror,
    _imds: HttpServer,
    _net: Net,
}

impl Host {
    fn boot(packages: Packages) -> Self {
        let net = Net::new().unwrap();
        let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
        chrony.set_offset(0.2).unwrap();
        let mirror = Mirror::start(&net).unwrap();
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
        let container = Container::boot_root(&net, host(packages, false).unwrap()).unwrap();
        let before = container.root().paths().unwrap();
        Self { container, before, chrony, mirror, _imds: imds, _net: net }
    }

    /// Runs a script that must succeed.
    fn run(&self, script: &str) -> Answer {
        self.container.run(script).and_then(Answer::succeeded).unwrap()
    }

    /// The process of the service, which must run.
    fn process(&self) -> String {
        assert_eq!(self.container.property("skewguard", "ActiveState").unwrap(), "active");
        self.container.property("skewguard", "MainPID").unwrap()
    }

    /// What is there now and was not before, but for what a package manager keeps of every package.
    fn left(&self) -> Vec<String> {
        let kept = ["/var/lib/apt/", "/var/lib/dnf", "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/systemd/", "/usr/share/man/"];
        let paths = self.container.root().paths().unwrap();
        paths.difference(&self.before).filter(|path| !kept.iter().any(|kept| path.starts_with(kept))).cloned().collect()
    }

    fn assert_gone(&self) {
        assert_eq!(self.left(), Vec::<String>::new());
        assert_eq!(self.container.property("skewguard", "ActiveState").unwrap(), "inactive");
    }
}

/// The sum of the release's list of sums.
fn sums() -> String {
    sum(&dist().unwrap().join("SHA256SUMS")).unwrap()
}

/// A text in which each `{{ Name }}` has its value.
fn substituted(text: &str, values: &[(&str, &str)]) -> String {
    let text = values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{ {name} }}}}"), value));
    assert!(!text.contains("{{ "), "something has no value: {text}");
    text
}

/// The commands of a step, as one script.
fn script(step: &Value, commands: &str) -> String {
    let lines: Vec<&str> = step["inputs"][commands].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    lines.join("\n")
}

// Systems Manager

/// The document for Run Command, on a host.
struct Document {
    content: Value,
}

impl Document {
    fn new() -> Self {
        Self { content: yaml(&shipped("aws/ssm/command.yaml").unwrap()).unwrap() }
    }

    /// Runs both steps with these parameters, and the defaults of all others, and returns what each said.
    fn run(&self, host: &Host, given: &[(&str, &str)]) -> [Answer; 2] {
        let parameters = self.content["parameters"].as_object().unwrap();
        let values: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, parameter)| {
                let given = given.iter().find(|(given, _)| given == name).map(|(_, value)| *value);
                (name.as_str(), given.unwrap_or_else(|| parameter["default"].as_str().unwrap()))
            })
            .collect();
        let steps = self.content["mainSteps"].as_array().unwrap();
        let [first, second] = steps.as_slice() else { panic!("{} steps", steps.len()) };
        [first, second].map(|step| host.container.run(&substituted(&script(step, "runCommand"), &values)).unwrap())
    }
}

/// The AWS CLI, as far as a host calls it for a secret.
const CLI: &str = "#!/bin/sh
[ \"$*\" = 'ssm get-parameter --with-decryption --name /skewguard/environment --query Parameter.Value --output text' ] || exit 64
echo 'OPS_HOOK_SECRET=hush'
";

#[test]
fn the_command_document_installs_checks_explains_and_removes() {
    let host = Host::boot(Packages::Apt);
    let document = Document::new();
    let (repository, key, configuration) = (host.mirror.repository(), key().unwrap(), base64(CONFIGURATION.as_bytes()).unwrap());
    let source = [("Repository", &*repository), ("Key", &*key), ("Configuration", &*configuration)];
    let act = |action: &str, more: &[(&str, &str)]| {
        document.run(&host, &[&[("Action", action)], source.as_slice(), more].concat())
    };

    let [nothing, _] = act("upgrade", &[]);
    assert_eq!((nothing.code, host.left()), (Some(0), Vec::new()), "{nothing:?}");
    let [installed, explained] = act("install", &[]);
    assert_eq!((installed.code, explained.code), (Some(0), Some(0)), "{installed:?} {explained:?}");
    assert!(installed.stdout.contains("OK  the clock is right"), "{installed:?}");
    let process = host.process();
    let shown = host.run("skewguard config show").stdout;
    assert!(shown.contains("poll: 10m"), "{shown}");

    // Once more, nothing changes: not even the process is another.
    for action in ["install", "upgrade"] {
        let [again, _] = act(action, &[]);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert_eq!(host.process(), process, "{action}");
    }
    // A secret comes from Parameter Store, for root alone, and the service hears of it.
    host.container.root().write("/usr/bin/aws", CLI).unwrap();
    host.run("chmod 755 /usr/bin/aws");
    let [secret, _] = act("install", &[("Parameter", "/skewguard/environment")]);
    assert_eq!(secret.code, Some(0), "{secret:?}");
    assert_eq!(host.run("stat --format='%a %U' /etc/skewguard/environment").stdout, "600 root\n");
    assert!(host.run("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID skewguard)/environ").stdout.contains("OPS_HOOK_SECRET=hush"));
    assert!(!format!("{secret:?}").contains("hush"));
    host.run("rm /usr/bin/aws");

    // A finding is the exit code, and the second step says what it is.
    host.chrony.set_offset(200.0).unwrap();
    let [wrong, explained] = act("check", &[]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stdout.contains("critical clock-skew"), "{wrong:?}");
    assert!(explained.stdout.contains("slow"), "{explained:?}");

    let [removed, _] = act("remove", &[]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(host.left().contains(&"/etc/skewguard/skewguard.yaml".to_owned()));
    for _ in 0..2 {
        let [purged, _] = act("purge", &[]);
        assert_eq!(purged.code, Some(0), "{purged:?}");
        host.assert_gone();
    }
}

#[test]
fn the_commands_take_a_release_with_dnf_and_without_any_manager_of_packages() {
    let document = Document::new();
    for packages in [Packages::Dnf, Packages::None] {
        let host = Host::boot(packages);
        let (release, sum) = (host.mirror.release(), sums());
        let act = |action: &str| document.run(&host, &[("Action", action), ("Release", &release), ("Sum", &sum)]);
        let [installed, _] = act("install");
        assert_eq!(installed.code, Some(0), "{packages:?}: {installed:?}");
        let process = host.process();
        let [again, _] = act("install");
        assert_eq!((again.code, host.process()), (Some(0), process), "{packages:?}: {again:?}");
        for _ in 0..2 {
            let [purged, _] = act("purge");
            assert_eq!(purged.code, Some(0), "{packages:?}: {purged:?}");
            host.assert_gone();
        }
    }
}

#[test]
fn what_is_not_what_was_meant_is_not_installed() {
    let host = Host::boot(Packages::Apt);
    let document = Document::new();
    let (release, repository) = (host.mirror.release(), host.mirror.repository());
    let act = |more: &[(&str, &str)]| document.run(&host, &[&[("Action", "install")], more].concat())[0].clone();

    let other = act(&[("Release", &release), ("Sum", &"0".repeat(64))]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains("SHA256SUMS has not the sum that was given"), "{other:?}");
    let unsummed = act(&[("Release", &release)]);
    assert_eq!(unsummed.code, Some(1), "{unsummed:?}");
    // A package that was exchanged beside a list that was not.
    let name = fs::read_dir(dist().unwrap()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = name.into_iter().find(|name| name.ends_with("_amd64.deb") || name.ends_with("_arm64.deb")).unwrap();
    let route = format!("GET /release/{name}");
    host.mirror.server().on(&route, tests::http::Reply::ok("another"));
    let exchanged = act(&[("Release", &release), ("Sum", &sums())]);
    assert_eq!(exchanged.code, Some(1), "{exchanged:?}");
    assert!(exchanged.stderr.contains(&format!("{name} has not the sum that was given")), "{exchanged:?}");
    // A repository by another's key.
    host.run("test ! -e /usr/bin/gpg");
    let strange = base64(fs::read(fleet::path("../tests/lab/apt.sh")).unwrap().as_slice()).unwrap();
    let unsigned = act(&[("Repository", &repository), ("Key", &strange)]);
    assert_ne!(unsigned.code, Some(0), "{unsigned:?}");
    assert!(!host.container.run("command -v skewguard").unwrap().stdout.contains("skewguard"));
}

#[test]
fn no_parameter_of_the_document_can_end_the_word_that_it_stands_in() {
    let document = Document::new();
    let hostile = "'; id #";
    for (name, parameter) in document.content["parameters"].as_object().unwrap() {
        let Some(pattern) = parameter["allowedPattern"].as_str() else {
            assert!(parameter["allowedValues"].is_array(), "{name} may be anything");
            continue;
        };
        let file = private_dir().unwrap();
        let file = file.path().join("words");
        fs::write(&file, format!("{pattern}\n{hostile}\n{}", parameter["default"].as_str().unwrap())).unwrap();
        let judge = "import re, sys; p, h, d = open(sys.argv[1]).read().split('\\n'); print(bool(re.search(p, h)), bool(re.search(p, d)))";
        assert_eq!(python(judge, &[&file]).unwrap().trim(), "False True", "{name}");
    }
}

// Distributor

#[test]
fn the_package_of_distributor_installs_and_uninstalls_whatever_the_host_has() {
    let folder = dist().unwrap().join("ssm-distributor");
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    for (name, file) in manifest["files"].as_object().unwrap() {
        assert_eq!(file["checksums"]["sha256"], sum(&folder.join(name)).unwrap(), "{name}");
    }
    let name = manifest["packages"]["_any"]["_any"][std::env::consts::ARCH]["file"].as_str().unwrap();
    let unpacked = private_dir().unwrap();
    let unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    python(unpack, &[&folder.join(name), unpacked.path()]).unwrap();
    for packages in [Packages::Apt, Packages::Dnf, Packages::None] {
        let host = Host::boot(packages);
        for file in fs::read_dir(unpacked.path()).unwrap() {
            let file = file.unwrap();
            let inside = format!("/mnt/package/{}", file.file_name().to_str().unwrap());
            host.container.root().copy_in(&file.path(), &inside).unwrap();
        }
        let installed = host.run("sh /mnt/package/install.sh");
        assert!(installed.stdout.contains("OK  the clock is right"), "{installed:?}");
        let process = host.process();
        host.run("sh /mnt/package/install.sh");
        assert_eq!(host.process(), process, "{packages:?}");
        // The clock of this host is wrong: all the more it keeps the agent.
        host.chrony.set_offset(200.0).unwrap();
        let found = host.run("sh /mnt/package/install.sh");
        assert!(found.stdout.contains("installed, and this host has a finding (exit code 2)"), "{found:?}");
        for _ in 0..2 {
            host.run("sh /mnt/package/uninstall.sh");
            // The state, and where dpkg keeps it until a purge, that it was enabled.
            let kept = ["/var/lib/private/", "/var/lib/skewguard", "/etc/systemd/system/multi-user.target.wants/skewguard.service"];
            let left: Vec<_> =
                host.left().into_iter().filter(|path| !kept.iter().any(|kept| path.starts_with(kept))).collect();
            assert_eq!(left, Vec::<String>::new(), "{packages:?}");
        }
    }
}

// Image Builder

#[test]
fn the_component_of_image_builder_bakes_an_agent_without_a_state_and_tests_it() {
    let host = Host::boot(Packages::Apt);
    // Python is enough to download.
    host.run("rm /usr/bin/curl");
    let component = yaml(&shipped("aws/image-builder.yaml").unwrap()).unwrap();
    let (release, sum) = (host.mirror.release(), sums());
    let values = [("Release", &*release), ("Sum", &*sum)];
    let run = |phase: &str| {
        let phase = component["phases"].as_array().unwrap().iter().find(|one| one["name"] == phase).unwrap();
        let steps = phase["steps"].as_array().unwrap();
        let scripts: Vec<String> = steps.iter().map(|step| substituted(&script(step, "commands"), &values)).collect();
        host.container.run(&scripts.join("\n")).unwrap()
    };
    for _ in 0..2 {
        let built = run("build");
        assert_eq!(built.code, Some(0), "{built:?}");
        let validated = run("validate");
        assert_eq!(validated.code, Some(0), "{validated:?}");
    }
    assert_ne!(run("test").code, Some(0), "it does not run in an image that is being built");
    // The first boot of the image.
    host.run("systemctl start multi-user.target && systemctl start skewguard");
    let tested = run("test");
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert_ne!(run("validate").code, Some(0), "one that runs has a state");
}

// CloudFormation

/// Makes a stack of the template in moto, and tells the user data of its launch template.
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
/// The AWS CLI, as far as a host calls it for an object; and what tells a stack.
const PROGRAMS: &str = r#"mkdir -p /opt/aws/bin
cat >/usr/bin/aws <<'END'
#!/bin/sh
[ "$1 $2 $3" = 's3 cp --only-show-errors' ] && exec cp "/mnt/release/${4#s3://lab/skewguard/}" "$5"
END
cat >/opt/aws/bin/cfn-signal <<'END'
#!/bin/sh
echo "$*" >>/mnt/signals
END
chmod 755 /usr/bin/aws /opt/aws/bin/cfn-signal"#;

#[test]
fn the_stack_hears_of_each_instance_what_the_gate_has_found() {
    let user_data = python(STACK, &[&fleet::path("aws/cloudformation.yaml"), Path::new(&sums())]).unwrap();
    let host = Host::boot(Packages::Apt);
    host.run(PROGRAMS);
    for file in fs::read_dir(dist().unwrap()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let inside = format!("/mnt/release/{}", path.file_name().unwrap().to_str().unwrap());
            host.container.root().copy_in(&path, &inside).unwrap();
        }
    }
    let run = || {
        host.container.root().write("/mnt/user-data", &user_data).unwrap();
        host.container.run("sh /mnt/user-data").unwrap().code
    };
    assert_eq!(run(), Some(0));
    let process = host.process();
    assert_eq!((run(), host.process()), (Some(0), process));
    host.chrony.set_offset(200.0).unwrap();
    assert_eq!(run(), Some(2));
    let signals = host.run("cat /mnt/signals").stdout;
    let signal = |code| format!("--exit-code {code} --stack fleet --resource Group --region eu-central-1\n");
    assert_eq!(signals, [signal(0), signal(0), signal(2)].concat());
    let written = host.run("cat /etc/skewguard/skewguard.yaml && skewguard config check /etc/skewguard/skewguard.yaml").stdout;
    assert!(written.starts_with("telemetry: { otlp: { endpoint: \"http://127.0.0.1:4318\" } }"), "{written}");
}

#[test]
fn cfn_lint_has_nothing_to_say_of_the_template_and_knows_what_is_misspelt() {
    let text = shipped("aws/cloudformation.yaml").unwrap();
    let misspelt = text.replace("LaunchTemplateData:", "LaunchTemplateDate:");
    let dir = private_dir().unwrap();
    fs::write(dir.path().join("shipped.yaml"), &text).unwrap();
    fs::write(dir.path().join("misspelt.yaml"), misspelt).unwrap();
    let mut lint = command("cfn-lint").unwrap();
    let lint = lint.args(["--format", "parseable", "--", "shipped.yaml", "misspelt.yaml"]).current_dir(dir.path());
    let said = String::from_utf8(lint.output().unwrap().stdout).unwrap();
    assert!(!said.contains("shipped.yaml"), "{said}");
    assert!(said.contains("misspelt.yaml") && said.contains("LaunchTemplateDate"), "{said}");
}

// What AWS is told

/// Hands the documents and policies to moto, and the association to the model of the service.
const ACCEPT: &str = r#"
import boto3, json, pathlib, sys
from moto import mock_aws
folder, manifest = pathlib.Path(sys.argv[1]), sys.argv[2]
association = json.load(open(folder / "ssm/association.json"))
with mock_aws():
    ssm = boto3.client("ssm")
    document = (folder / "ssm/command.yaml").read_text()
    ssm.create_document(Content=document, Name="skewguard", DocumentType="Command", DocumentFormat="YAML")
    ssm.create_document(Content=open(manifest).read(), Name="skewguard-package", DocumentType="Package", VersionName="1",
        Attachments=[{"Key": "SourceUrl", "Values": ["s3://lab/skewguard"]}])
    ssm.send_command(DocumentName="skewguard", Targets=association["Targets"], Parameters=association["Parameters"],
        MaxConcurrency=association["MaxConcurrency"], MaxErrors=association["MaxErrors"])
    iam = boto3.client("iam")
    for file in sorted((folder / "iam").glob("*.json")):
        iam.create_policy(PolicyName=file.stem, PolicyDocument=file.read_text())
        print(file.stem, ",".join(sorted(s["Action"] for s in json.load(open(file))["Statement"])))
    try:
        iam.create_policy(PolicyName="wrong", PolicyDocument=(folder / "iam/sns.json").read_text().replace("Effect", "Efect"))
        print("takes anything")
    except iam.exceptions.MalformedPolicyDocumentException:
        pass
from botocore.validate import ParamValidator
model = boto3.client("ssm").meta.service_model.operation_model("CreateAssociation").input_shape
validator = ParamValidator()
print("association", validator.validate(association, model).has_errors())
print("misspelt", validator.validate({**association, "MaxConcurency": "10%"}, model).has_errors())
parameters = __import__("yaml").safe_load(document)["parameters"]
print("unknown", sorted(set(association["Parameters"]) - set(parameters)))
print("rate", association["MaxConcurrency"], association["MaxErrors"])
"#;

#[test]
fn aws_takes_the_documents_the_association_and_policies_of_what_the_agent_calls_and_no_more() {
    let manifest = dist().unwrap().join("ssm-distributor/manifest.json");
    let said = python(ACCEPT, &[&fleet::path("aws"), &manifest]).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "eventbridge events:PutEvents",
            "parameter ssm:GetParameter",
            "release s3:GetObject",
            "sns sns:Publish",
            "association False",
            "misspelt True",
            "unknown []",
            "rate 10% 1%",
        ]
    );
    // Each is called where it says, and no other service of AWS is.
    let targets = fleet::path("../agent/src/notify/targets");
    let read = |name: &str| fs::read_to_string(targets.join(name)).unwrap();
    assert!(read("eventbridge.rs").contains("\"AWSEvents.PutEvents\"") && read("eventbridge.rs").contains("name: \"events\""));
    assert!(read("sns.rs").contains("name: \"sns\"") && read("sns.rs").contains("Publish"));
    let signing = fs::read_dir(&targets).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    assert_eq!(signing.filter(|text| text.contains("Service { name:")).count(), 2, "a policy is missing");
    let script = shipped("aws/host.sh").unwrap();
    assert!(script.contains("aws ssm get-parameter") && script.contains("aws s3 cp"));
    assert_eq!(script.matches("aws ssm ").count() + script.matches("aws s3 ").count(), 2, "a policy is missing");
}

#[test]
fn all_files_have_the_same_commands_in_them() {
    output(Command::new(fleet::path("aws/embed")).arg("--check")).unwrap();
}
