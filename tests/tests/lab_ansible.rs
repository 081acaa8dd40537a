//! The role for Ansible: judged by its own tools, and run by the real one on a booted host in the lab's AWS, twice, and then
//! what removes all of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tests::agent::Answer;
use tests::chrony::Chrony;
use tests::container::{Container, Release, Root};
use tests::fleet::{Mirror, Packages, dist, host, path};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};

/// Where the role lies in a root.
const FOLDER: &str = "/mnt/ansible";

/// Puts all files of the role into a root.
fn put_into(root: &Root) {
    fn copy(root: &Root, from: &Path, to: &str) {
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let to = format!("{to}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() { copy(root, &path, &to) } else { root.copy_in(&path, &to).unwrap() }
        }
    }
    copy(root, &path("ansible"), FOLDER);
}

/// What a service manager and a template would read as something else.
const SECRET: &str = r#"hu"sh \$HOME `'%n"#;

/// How many tasks have changed something, and how many have failed, of a run on this host itself.
fn play(container: &Container, variables: &Value) -> (Answer, u64, u64) {
    container.root().write("/mnt/variables.json", &variables.to_string()).unwrap();
    let play = "ANSIBLE_NOCOLOR=1 ANSIBLE_PIPELINING=1 ansible-playbook --inventory localhost, --connection local \
                --extra-vars ansible_python_interpreter=/usr/bin/python3 --extra-vars @/mnt/variables.json site.yml";
    let answer = container.run(&format!("cd {FOLDER} && {play}")).unwrap();
    let recap = answer.stdout.lines().find(|line| line.starts_with("localhost ") && line.contains("unreachable="));
    let recap = recap.unwrap_or_else(|| panic!("{answer:?}"));
    let count = |name: &str| {
        let number = recap.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap();
        number.parse::<u64>().unwrap()
    };
    let (changed, failed) = (count("changed"), count("failed") + count("unreachable"));
    (answer, changed, failed)
}

#[test]
fn the_role_installs_configures_checks_and_removes_and_a_second_run_changes_nothing() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    chrony.set_offset(0.2).unwrap();
    let mirror = Mirror::start(&net).unwrap();
    let _imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
    let root = host(Packages::Apt, false).unwrap();
    put_into(&root);
    root.copy_in(&dist().unwrap().join("repositories/skewguard-archive-keyring.asc"), "/mnt/keyring.asc").unwrap();
    let container = Container::boot_root(&net, root).unwrap();
    let before = container.root().paths().unwrap();
    let wanted = |more: &Value| {
        let mut all = json!({
            "skewguard_repository": mirror.repository(),
            "skewguard_keyring": "/mnt/keyring.asc",
            "skewguard_configuration": {"credentials": {"imds": {"poll": "10m"}}},
            "skewguard_environment": {"OPS_HOOK_SECRET": SECRET},
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let process = || container.property("skewguard", "MainPID").unwrap();

    let (first, changed, failed) = play(&container, &wanted(&json!({})));
    assert!(changed > 0 && failed == 0, "{first:?}");
    assert_eq!(container.property("skewguard", "ActiveState").unwrap(), "active");
    assert!(!first.stdout.contains("`'%n"), "a secret is told");
    assert_eq!(container.told("stat --format=%a /etc/skewguard/environment").unwrap(), "600");
    let environment = "tr '\\0' '\\n' </proc/$(systemctl show --property=MainPID --value skewguard)/environ";
    let environment = container.told(environment).unwrap();
    assert!(environment.lines().any(|line| line == format!("OPS_HOOK_SECRET={SECRET}")), "{environment}");
    let running = process();
    let (again, changed, failed) = play(&container, &wanted(&json!({})));
    assert_eq!((changed, failed), (0, 0), "{again:?}");
    assert_eq!(process(), running);

    // What is wrong does not take the place of what is right.
    let (wrong, _, failed) = play(&container, &wanted(&json!({"skewguard_configuration": {"sauces": []}})));
    assert!(failed == 1 && wrong.stdout.contains("sauces"), "{wrong:?}");
    assert!(container.told("cat /etc/skewguard/skewguard.yaml").unwrap().contains("poll: 10m"));
    // A change is reloaded; what the gate finds is a failure of the play, and the agent runs on.
    chrony.set_offset(200.0).unwrap();
    let other = json!({"skewguard_configuration": {"credentials": {"imds": {"poll": "20m"}}}});
    let (found, changed, failed) = play(&container, &wanted(&other));
    assert!(changed > 0 && failed == 1 && found.stdout.contains("critical clock-skew"), "{found:?}");
    assert_eq!(process(), running);
    let journal = container.told("journalctl --sync; journalctl --unit skewguard --output=cat").unwrap();
    assert!(journal.contains("Reloaded skewguard.service"), "{journal}");

    // What the administrator has stopped stays so, whatever changes, and the gate still judges the host.
    container.told("systemctl --quiet disable --now skewguard").unwrap();
    let state = || {
        ["ActiveState", "UnitFileState"].map(|property| container.property("skewguard", property).unwrap()).join(" ")
    };
    let other = wanted(&json!({"skewguard_environment": {"OPS_HOOK_SECRET": "other"}}));
    let (found, _, failed) = play(&container, &other);
    assert!(failed == 1 && found.stdout.contains("critical clock-skew"), "{found:?}");
    assert_eq!(state(), "inactive disabled");
    chrony.set_offset(0.2).unwrap();
    let (again, changed, failed) = play(&container, &other);
    assert_eq!((changed, failed, &*state()), (0, 0, "inactive disabled"), "{again:?}");
    let (wanted_running, changed, failed) = play(&container, &wanted(&json!({"skewguard_service": "running"})));
    assert!(changed > 0 && failed == 0, "{wanted_running:?}");
    assert_eq!(state(), "active enabled");

    let (removed, changed, failed) = play(&container, &json!({"skewguard_state": "absent"}));
    assert!(changed > 0 && failed == 0, "{removed:?}");
    let (again, changed, failed) = play(&container, &json!({"skewguard_state": "absent"}));
    assert_eq!((changed, failed), (0, 0), "{again:?}");
    // Its facts about packages are asked of rpm as well, which is there too.
    let others = ["/var/lib/rpm/", "/root/.ansible", "/usr/lib/python3/", "/mnt/"];
    let kept = [&["/var/lib/apt/", "/var/lib/systemd/", "/usr/share/man/"], &others[..]].concat();
    let left = container.root().paths().unwrap();
    let left: Vec<_> =
        left.difference(&before).filter(|path| !kept.iter().any(|kept| path.starts_with(kept))).collect();
    assert_eq!(left, Vec::<&String>::new());
}

#[test]
fn the_role_does_the_same_with_dnf_and_forgets_the_keys_of_the_repository() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    chrony.set_offset(-0.2).unwrap();
    let mirror = Mirror::start(&net).unwrap();
    let _imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
    let root = host(Packages::Dnf, false).unwrap();
    put_into(&root);
    // By this Ansible knows which manager of packages it has to do with.
    root.run("rm /etc/os-release /etc/debian_version").and_then(Answer::succeeded).unwrap();
    root.write("/etc/os-release", "NAME=\"Amazon Linux\"\nVERSION=2023\nID=amzn\nID_LIKE=fedora\nVERSION_ID=2023\n")
        .unwrap();
    root.write("/etc/system-release", "Amazon Linux release 2023 (Amazon Linux)\n").unwrap();
    root.copy_in(&dist().unwrap().join("repositories/skewguard-archive-keyring.asc"), "/mnt/keyring.asc").unwrap();
    let container = Container::boot_root(&net, root).unwrap();
    let wanted = json!({"skewguard_repository": mirror.repository(), "skewguard_keyring": "/mnt/keyring.asc"});
    let (first, changed, failed) = play(&container, &wanted);
    assert!(changed > 0 && failed == 0, "{first:?}");
    assert_eq!(container.property("skewguard", "ActiveState").unwrap(), "active");
    container.told("rpm --verify skewguard skewguard-archive-keyring").unwrap();
    let (again, changed, failed) = play(&container, &wanted);
    assert_eq!((changed, failed), (0, 0), "{again:?}");
    let imported = || container.run("rpm --query gpg-pubkey").unwrap().code;
    assert_eq!(imported(), Some(0));
    let absent = json!({"skewguard_state": "absent"});
    let (removed, changed, failed) = play(&container, &absent);
    assert!(changed > 0 && failed == 0, "{removed:?}");
    assert_eq!(imported(), Some(1));
    let left = container.told("ls /etc/pki/rpm-gpg /etc/yum.repos.d").unwrap();
    assert!(!left.contains("skewguard."), "{left}");
    assert!(!left.contains("KEY-skewguard"), "{left}");
}

#[test]
fn ansible_and_its_lint_have_nothing_to_say_of_the_role_and_know_what_is_wrong() {
    let root = Root::new(Release::Workshop).unwrap();
    put_into(&root);
    let within = |command: &str| root.run(&format!("cd {FOLDER} && {command}")).unwrap();
    let parsed = within("ansible-playbook --inventory localhost, --syntax-check site.yml");
    assert_eq!(parsed.code, Some(0), "{parsed:?}");
    let lint = "ansible-lint --offline --nocolor --strict --profile production site.yml uninstall.yml roles";
    let said = within(lint);
    assert_eq!(said.code, Some(0), "{said:?}");
    let tasks = format!("{FOLDER}/roles/skewguard/tasks/file.yml");
    let text = fs::read_to_string(root.path(&tasks)).unwrap();
    root.write(&tasks, &text.replace("mode: \"0755\"", "mode: 0755")).unwrap();
    let said = within(lint);
    assert!(said.code != Some(0) && said.stdout.contains("octal"), "{said:?}");
}
