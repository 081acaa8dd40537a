//! Where this host is: on EC2 or not, in a container or not, as far as its files tell.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most that is read of a file, in bytes.
const MOST: u64 = 4_096;
/// Who made the machine, as its firmware says.
const VENDORS: [&str; 4] = ["sys_vendor", "bios_vendor", "board_vendor", "chassis_vendor"];
/// What paths of control groups are called by those who run containers.
const CONTAINER_GROUPS: [&str; 6] = ["docker", "kubepods", "containerd", "libpod", "lxc", "ecs"];
/// The names of processes that are the first of a whole host.
const INITS: [&str; 5] = ["systemd", "init", "openrc-init", "runit", "s6-svscan"];

/// Whether the host below `root` is an EC2 instance, as its firmware and its hypervisor say; `None` where neither can
/// be read.
///
/// Source: "Detect whether a host is an EC2 instance" in the EC2 user guide.
pub fn is_ec2(root: &Path) -> Option<bool> {
    let uuids = [read(root, "sys/hypervisor/uuid"), firmware(root, "product_uuid")];
    let vendors = VENDORS.map(|file| firmware(root, file));
    let told = || vendors.iter().chain(&uuids).flatten();
    let is_uuid = uuids.iter().flatten().any(|uuid| uuid.to_ascii_lowercase().starts_with("ec2"));
    let is_vendor = vendors.iter().flatten().any(|vendor| vendor == "Amazon EC2");
    let is_xen = firmware(root, "bios_version").is_some_and(|version| version.contains("amazon"));
    if is_uuid || is_vendor || is_xen || instance_id(root).is_some() {
        return Some(true);
    }
    told().next().map(|_| false)
}

/// The identifier of the instance as the firmware of Nitro says it, such as `i-0123456789abcdef0`.
pub fn instance_id(root: &Path) -> Option<String> {
    let is_id = |tag: &String| {
        tag.strip_prefix("i-").is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    firmware(root, "board_asset_tag").filter(is_id)
}

/// What speaks for a container, a line each; empty where nothing does.
pub fn container_signs(root: &Path, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut signs = Vec::new();
    for marker in [".dockerenv", "run/.containerenv"] {
        if root.join(marker).exists() {
            signs.push(format!("/{marker} exists"));
        }
    }
    for variable in ["KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI_V4", "container"] {
        if env(variable).is_some_and(|value| !value.is_empty()) {
            signs.push(format!("{variable} is set"));
        }
    }
    let groups = read(root, "proc/1/cgroup").unwrap_or_default();
    if let Some(name) = CONTAINER_GROUPS.iter().find(|name| groups.contains(**name)) {
        signs.push(format!("process 1 is in a control group of {name}"));
    }
    let first = read(root, "proc/1/comm").filter(|name| !INITS.contains(&name.as_str()));
    if let Some(name) = first {
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        signs.push(format!("process 1 is {name}"));
    }
    signs
}

fn firmware(root: &Path, file: &str) -> Option<String> {
    read(&root.join("sys/class/dmi/id"), file)
}

/// The text of a small file without the space around it; `None` where it cannot be read or is empty.
fn read(folder: &Path, file: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(folder.join(file)).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn an_instance_is_known_by_any_of_its_signs_and_another_machine_by_its_vendor() {
        for (files, expected) in [
            (vec![("sys/class/dmi/id/sys_vendor", "Amazon EC2\n")], Some(true)),
            (vec![("sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n")], Some(true)),
            (vec![("sys/hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n")], Some(true)),
            (
                vec![("sys/class/dmi/id/sys_vendor", "Xen"), ("sys/class/dmi/id/bios_version", "4.11.amazon")],
                Some(true),
            ),
            (vec![("sys/class/dmi/id/product_uuid", "EC2E1916-9099-7CAF-FD21-012345ABCDEF")], Some(true)),
            (vec![("sys/class/dmi/id/sys_vendor", "QEMU\n")], Some(false)),
            (
                vec![("sys/class/dmi/id/sys_vendor", "Dell Inc."), ("sys/class/dmi/id/board_asset_tag", "i- none")],
                Some(false),
            ),
            (vec![("sys/class/dmi/id/sys_vendor", "\n")], None),
            (vec![], None),
        ] {
            assert_eq!(is_ec2(host(&files).path()), expected, "{files:?}");
        }
    }

    #[test]
    fn the_firmware_names_the_instance() {
        let root = host(&[("sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n")]);
        assert_eq!(instance_id(root.path()).as_deref(), Some("i-0123456789abcdef0"));
        let root = host(&[("sys/class/dmi/id/board_asset_tag", "i-1;reboot")]);
        assert_eq!(instance_id(root.path()), None);
    }

    #[test]
    fn a_container_shows_in_its_files_its_variables_and_its_first_process() {
        let nothing = |_: &str| None;
        let plain = host(&[("proc/1/comm", "systemd\n"), ("proc/1/cgroup", "0::/init.scope\n")]);
        assert_eq!(container_signs(plain.path(), &nothing), Vec::<String>::new());
        let pod = host(&[
            (".dockerenv", ""),
            ("proc/1/comm", "java\n"),
            ("proc/1/cgroup", "1:name=systemd:/kubepods/burstable/pod1\n"),
        ]);
        let env = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.0.0.1".to_owned());
        assert_eq!(
            container_signs(pod.path(), &env),
            [
                "/.dockerenv exists",
                "KUBERNETES_SERVICE_HOST is set",
                "process 1 is in a control group of kubepods",
                "process 1 is java",
            ]
        );
    }
}
