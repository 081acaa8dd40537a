//! Whether this host is a container, as far as its files tell.

use std::path::Path;

use crate::host::small_file::read;

/// What paths of control groups are called by those who run containers.
const CONTAINER_GROUPS: [&str; 6] = ["docker", "kubepods", "containerd", "libpod", "lxc", "ecs"];
/// The names of processes that are the first of a whole host.
const INITS: [&str; 5] = ["systemd", "init", "openrc-init", "runit", "s6-svscan"];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::small_file::tests::host;

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
