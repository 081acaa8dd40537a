//! What is shipped for Systems Manager, Distributor and Image Builder: its commands as they are, run on booted hosts in the
//! lab's AWS, twice, and then what removes all of it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy takes what tests share for production code"
)]

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::agent::Answer;
use tests::fleet::{self, Member, Packages, base64, dist, key, python, shipped, sum, sums, yaml};
use tests::http::Reply;
use tests::packages::{self, built};
use tests::process::private_dir;
use tests::rpms::Rpms;
use tests::tarball;

/// A configuration that differs from the default.
const CONFIGURATION: &str = "credentials: { imds: { poll: 10m } }\n";

/// A text in which each `{{ Name }}` has its value.
fn substituted(text: &str, values: &[(&str, &str)]) -> String {
    let text =
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{ {name} }}}}"), value));
    assert!(!text.contains("{{ "), "something has no value: {text}");
    text
}

/// The commands of a step, as one script.
fn script(step: &Value, commands: &str) -> String {
    let lines: Vec<&str> =
        step["inputs"][commands].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
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

    /// Runs both steps for Linux with these parameters, and the defaults of all others, and returns what each said.
    fn run(&self, host: &Member, given: &[(&str, &str)]) -> [Answer; 2] {
        let parameters = self.content["parameters"].as_object().unwrap();
        let values: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, parameter)| {
                let given = given.iter().find(|(given, _)| given == name).map(|(_, value)| *value);
                (name.as_str(), given.unwrap_or_else(|| parameter["default"].as_str().unwrap()))
            })
            .collect();
        let steps = self.content["mainSteps"].as_array().unwrap().iter();
        let steps: Vec<_> = steps.filter(|step| step["precondition"]["StringEquals"][1] == "Linux").collect();
        let [first, second] = steps.as_slice() else { panic!("{} steps", steps.len()) };
        [first, second].map(|step| host.container.run(&substituted(&script(step, "runCommand"), &values)).unwrap())
    }
}

/// The AWS CLI, as far as a host calls it for a secret. As version 1 does, it finds no region by itself.
const CLI: &str = "#!/bin/sh
[ \"$*\" != 'configure get region' ] || exit 1
[ -n \"${AWS_DEFAULT_REGION:-}\" ] || { echo 'You must specify a region' >&2; exit 253; }
echo \"$AWS_DEFAULT_REGION\" >>/mnt/regions
[ \"$*\" = 'ssm get-parameter --with-decryption --name /skewguard/environment --query Parameter.Value --output text' ] || exit 64
echo 'OPS_HOOK_SECRET=hush'
";

#[test]
fn the_command_document_installs_checks_explains_and_removes() {
    let host = Member::boot(Packages::Apt);
    let document = Document::new();
    let (repository, key, configuration) =
        (host.mirror.repository(), key().unwrap(), base64(CONFIGURATION.as_bytes()).unwrap());
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
    assert!(
        host.run("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID skewguard)/environ")
            .stdout
            .contains("OPS_HOOK_SECRET=hush")
    );
    assert!(!format!("{secret:?}").contains("hush"));
    let again = |environment: &str| {
        host.container.root().write("/mnt/host.sh", &shipped("aws/host.sh").unwrap()).unwrap();
        let place = "SKEWGUARD_PARAMETER=/skewguard/environment sh /mnt/host.sh place";
        host.container.run(&format!("{environment} {place}")).unwrap()
    };
    again("AWS_REGION=eu-west-1").succeeded().unwrap();
    again("AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-2").succeeded().unwrap();
    assert_eq!(host.run("cat /mnt/regions").stdout, "eu-central-1\neu-west-1\neu-west-2\n");
    // Where nobody answers, it is soon over, and the CLI says what is missing.
    host.imds.on("PUT /latest/api/token", Reply::ok("late").delayed(Duration::from_secs(60)));
    let nowhere = again("timeout 30 env");
    assert!(nowhere.code != Some(0) && nowhere.stderr.contains("You must specify a region"), "{nowhere:?}");
    host.imds.on("PUT /latest/api/token", Reply::ok("token").header("x-aws-ec2-metadata-token-ttl-seconds", "21600"));
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
fn the_commands_take_a_repository_with_dnf_and_a_purge_forgets_its_keys_and_no_others() {
    let host = Member::boot(Packages::Dnf);
    let document = Document::new();
    let (repository, key) = (host.mirror.repository(), key().unwrap());
    let act = |action: &str| document.run(&host, &[("Action", action), ("Repository", &repository), ("Key", &key)]);
    let imported = || host.container.run("rpm --query gpg-pubkey").unwrap().stdout;
    host.run(STRANGER);
    let strange = imported();
    assert_eq!(strange.lines().count(), 1, "{strange}");

    let [installed, _] = act("install");
    assert_eq!(installed.code, Some(0), "{installed:?}");
    host.run("rpm --verify skewguard skewguard-archive-keyring");
    let process = host.process();
    let [again, _] = act("install");
    assert_eq!((again.code, host.process()), (Some(0), process), "{again:?}");
    // What the package has brought is not overwritten by what the first installation knew.
    host.run("rpm --verify skewguard-archive-keyring");
    host.run("rpmkeys --import /etc/pki/rpm-gpg/RPM-GPG-KEY-skewguard-next");
    assert_eq!(imported().lines().count(), 3, "{}", imported());
    for _ in 0..2 {
        let [purged, _] = act("purge");
        assert_eq!(purged.code, Some(0), "{purged:?}");
        assert_eq!(imported(), strange);
        host.assert_gone();
    }
}

/// Lets rpm trust the key of somebody else.
const STRANGER: &str = "export GNUPGHOME=$(mktemp -d)
gpg --quiet --batch --passphrase '' --quick-generate-key 'somebody <somebody@example.com>' rsa2048 sign never
gpg --quiet --armor --export >/mnt/stranger.asc
gpgconf --kill all
rpmkeys --import /mnt/stranger.asc
rm -r \"$GNUPGHOME\"";

#[test]
fn the_commands_take_a_release_with_dnf_and_without_any_manager_of_packages() {
    let document = Document::new();
    for packages in [Packages::Dnf, Packages::None] {
        let host = Member::boot(packages);
        let (release, sum) = (host.mirror.release(), sums().unwrap());
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
    let host = Member::boot(Packages::Apt);
    let document = Document::new();
    let (release, repository) = (host.mirror.release(), host.mirror.repository());
    let act = |more: &[(&str, &str)]| document.run(&host, &[&[("Action", "install")], more].concat())[0].clone();

    let other = act(&[("Release", &release), ("Sum", &"0".repeat(64))]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains("SHA256SUMS has not the sum that was given"), "{other:?}");
    let unsummed = act(&[("Release", &release)]);
    assert_eq!(unsummed.code, Some(1), "{unsummed:?}");
    // A package that was exchanged beside a list that was not.
    let package = built().unwrap();
    let name = package.file_name().unwrap().to_str().unwrap();
    let route = format!("GET /release/{name}");
    host.mirror.server().on(&route, Reply::ok("another"));
    let exchanged = act(&[("Release", &release), ("Sum", &sums().unwrap())]);
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

/// The package of Distributor for this architecture, unpacked.
fn unpacked() -> TempDir {
    let folder = dist().unwrap().join("ssm-distributor");
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    for (name, file) in manifest["files"].as_object().unwrap() {
        assert_eq!(file["checksums"]["sha256"], sum(&folder.join(name)).unwrap(), "{name}");
    }
    let name = manifest["packages"]["_any"]["_any"][std::env::consts::ARCH]["file"].as_str().unwrap();
    let unpacked = private_dir().unwrap();
    let unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    python(unpack, &[&folder.join(name), unpacked.path()]).unwrap();
    unpacked
}

/// Puts it where the agent of Systems Manager would.
fn hand_over(host: &Member, unpacked: &TempDir) {
    for file in fs::read_dir(unpacked.path()).unwrap() {
        let file = file.unwrap();
        let inside = format!("/mnt/package/{}", file.file_name().to_str().unwrap());
        host.container.root().copy_in(&file.path(), &inside).unwrap();
    }
}

const MANAGERS: [Packages; 3] = [Packages::Apt, Packages::Dnf, Packages::None];

#[test]
fn the_package_of_distributor_installs_and_uninstalls_whatever_the_host_has() {
    let unpacked = unpacked();
    for packages in MANAGERS {
        let host = Member::boot(packages);
        hand_over(&host, &unpacked);
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
            let kept = [
                "/var/lib/private/",
                "/var/lib/skewguard",
                "/etc/systemd/system/multi-user.target.wants/skewguard.service",
            ];
            let left: Vec<_> =
                host.left().into_iter().filter(|path| !kept.iter().any(|kept| path.starts_with(kept))).collect();
            assert_eq!(left, Vec::<String>::new(), "{packages:?}");
        }
    }
}

/// Puts the next version, whose unit allows 80 MiB, in the place of the present one.
fn offer_next(host: &Member, packages: Packages) {
    let root = host.container.root();
    let replace = match packages {
        Packages::Apt => {
            packages::Packages::new().unwrap().put_into(root).unwrap();
            "for old in skewguard_*.deb; do mv /mnt/next.deb \"$old\"; done"
        }
        Packages::Dnf => {
            Rpms::new().unwrap().put_into(root).unwrap();
            "for old in *.rpm; do mv /mnt/next.rpm \"$old\"; done"
        }
        Packages::None => {
            tarball::put_into(root).unwrap();
            "for old in *.tar.gz; do tar --create --gzip --file \"$old\" --directory /srv next; done"
        }
    };
    host.run(&format!("cd /mnt/package && {replace} && sha256sum -- *.deb *.rpm *.tar.gz >SHA256SUMS"));
}

#[test]
fn an_update_in_place_is_one_and_leaves_the_service_as_the_administrator_has() {
    let unpacked = unpacked();
    for packages in MANAGERS {
        let host = Member::boot(packages);
        hand_over(&host, &unpacked);
        let before = host.left();
        let nothing = host.run("sh /mnt/package/update.sh");
        assert!(nothing.stdout.contains("not installed, so that nothing was updated"), "{nothing:?}");
        assert_eq!(host.left(), before, "{packages:?}");

        host.run("sh /mnt/package/install.sh");
        let process = host.process();
        let limit = || host.container.property("skewguard", "MemoryMax").unwrap();
        assert_eq!(limit(), (64 << 20).to_string());
        offer_next(&host, packages);
        let updated = host.run("sh /mnt/package/update.sh");
        assert!(updated.stdout.contains("OK  the clock is right"), "{packages:?}: {updated:?}");
        assert_eq!(limit(), (80 << 20).to_string(), "{packages:?}: {updated:?}");
        assert_ne!(host.process(), process, "{packages:?}: the former version runs on");

        // One that was stopped and disabled is updated, and does not run.
        host.run("sh /mnt/package/uninstall.sh");
        hand_over(&host, &unpacked);
        host.run("sh /mnt/package/install.sh && systemctl --quiet disable --now skewguard");
        offer_next(&host, packages);
        let updated = host.run("sh /mnt/package/update.sh");
        assert!(updated.stdout.contains("this host has a finding (exit code 3)"), "{packages:?}: {updated:?}");
        assert_eq!(limit(), (80 << 20).to_string(), "{packages:?}: {updated:?}");
        assert_eq!(host.container.property("skewguard", "ActiveState").unwrap(), "inactive", "{packages:?}");
        assert_eq!(host.container.property("skewguard", "UnitFileState").unwrap(), "disabled", "{packages:?}");
    }
}

// Image Builder

#[test]
fn the_component_of_image_builder_bakes_an_agent_without_a_state_and_tests_it() {
    let host = Member::boot(Packages::Apt);
    // Python is enough to download.
    host.run("rm /usr/bin/curl");
    let component = yaml(&shipped("aws/image-builder.yaml").unwrap()).unwrap();
    let (release, sum) = (host.mirror.release(), sums().unwrap());
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
