//! The chart of `deploy/kubernetes`, rendered by helm, and what Kubernetes makes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{command, output, private_dir};

/// Validates each `{"version", "document"}` of a list in a file, strictly; prints what is wrong.
const VALIDATE: &str = "import json, sys, kubernetes_validate
for case in json.load(open(sys.argv[1])):
    try:
        kubernetes_validate.validate(case['document'], case['version'], strict=True)
    except kubernetes_validate.ValidationError as error:
        path = '.'.join(map(str, error.path))
        print(f\"{case['version']} {case['document']['kind']} {path}: {error.message}\")";

/// Where what belongs to Kubernetes is.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes")
}

/// Where the chart is.
pub fn chart() -> PathBuf {
    folder().join("skewguard")
}

/// The objects that a chart renders for these values, in the namespace kube-system.
///
/// # Errors
/// When helm refuses the values; the text is what it says.
pub fn render_chart(chart: &Path, values: &str) -> Result<Vec<Value>> {
    let dir = private_dir()?;
    let file = dir.path().join("values.yaml");
    fs::write(&file, values)?;
    let mut helm = command("helm")?;
    // Neither what the user of this machine has set, nor a folder of his.
    helm.env_clear().env("HOME", dir.path());
    helm.args(["template", "skewguard", "--namespace", "kube-system", "--values"]).arg(file).arg(chart);
    objects(&output(&mut helm)?)
}

/// The same of the chart that lies here.
///
/// # Errors
/// As [`render_chart`].
pub fn render(values: &str) -> Result<Vec<Value>> {
    render_chart(&chart(), values)
}

/// The objects in a file of manifests.
///
/// # Errors
/// When it is no YAML.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = <Value as serde::Deserialize>::deserialize(document).context("no YAML")?;
        if !value.is_null() {
            objects.push(value);
        }
    }
    Ok(objects)
}

/// The one object of a kind.
///
/// # Errors
/// When there is none, or more than one.
pub fn one<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let found: Vec<_> = objects.iter().filter(|object| object["kind"] == kind).collect();
    let [one] = found.as_slice() else { bail!("there is not one {kind}: {objects:#?}") };
    Ok(one)
}

/// The pods that a DaemonSet makes.
///
/// # Errors
/// When there is not one DaemonSet.
pub fn pod(objects: &[Value]) -> Result<&Value> {
    Ok(at(one(objects, "DaemonSet")?, "/spec/template"))
}

/// The agent's configuration in it.
///
/// # Errors
/// When there is none.
pub fn configuration(objects: &[Value]) -> Result<String> {
    let text = at(one(objects, "ConfigMap")?, "/data/skewguard.yaml").as_str();
    text.map(ToOwned::to_owned).context("the ConfigMap has no skewguard.yaml")
}

/// What is wrong with objects for these releases of Kubernetes, where nothing unknown is allowed.
///
/// # Errors
/// When the judge is missing.
pub fn faults(objects: &[Value], versions: &[&str]) -> Result<Vec<String>> {
    ensure!(!objects.is_empty() && !versions.is_empty(), "there is nothing to judge");
    let cases = versions.iter().flat_map(|version| {
        objects.iter().map(move |document| serde_json::json!({ "version": version, "document": document }))
    });
    let dir = private_dir()?;
    let file = dir.path().join("cases.json");
    fs::write(&file, serde_json::to_vec(&cases.collect::<Vec<_>>())?)?;
    let said = output(python()?.args(["-c", VALIDATE]).arg(file))?;
    Ok(said.lines().map(ToOwned::to_owned).collect())
}

/// What stands at a place (RFC 6901), null where there is nothing.
fn at<'a>(value: &'a Value, place: &str) -> &'a Value {
    static NOTHING: Value = Value::Null;
    value.pointer(place).unwrap_or(&NOTHING)
}

fn python() -> Result<Command> {
    Ok(Command::new(crate::process::lab_dir()?.join("venv/bin/python")))
}

/// The controls of the Pod Security Standard that a pod is not right by.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PodSecurity {
    /// Those of the policy baseline.
    pub baseline: Vec<String>,
    /// Those that restricted has beside.
    pub restricted: Vec<String>,
}

impl PodSecurity {
    /// Judges a pod as the standard has it for Linux (kubernetes.io/docs/concepts/security/pod-security-standards).
    pub fn of(pod: &Value) -> Self {
        let mut found = Self::default();
        let spec = &pod["spec"];
        found.judge_pod(spec);
        for kind in ["containers", "initContainers", "ephemeralContainers"] {
            for container in spec[kind].as_array().into_iter().flatten() {
                found.judge_container(spec, container);
            }
        }
        found
    }

    fn judge_pod(&mut self, spec: &Value) {
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            self.baseline_if(spec[key] == true, key);
        }
        self.baseline_if(has_items(at(spec, "/securityContext/sysctls")), "sysctls");
        self.baseline_if(spec["securityContext"].get("seLinuxOptions").is_some(), "seLinuxOptions");
        self.baseline_if(*at(spec, "/securityContext/windowsOptions/hostProcess") == true, "hostProcess");
        for volume in spec["volumes"].as_array().into_iter().flatten() {
            let kinds: Vec<_> = volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            self.baseline_if(kinds.contains(&"hostPath"), "hostPath");
            let allowed = [
                "configMap",
                "csi",
                "downwardAPI",
                "emptyDir",
                "ephemeral",
                "persistentVolumeClaim",
                "projected",
                "secret",
            ];
            let is_allowed = kinds.iter().all(|kind| *kind == "name" || allowed.contains(kind));
            self.restricted_if(!is_allowed, "volumes");
        }
    }

    fn judge_container(&mut self, spec: &Value, container: &Value) {
        let own = &container["securityContext"];
        let either = |key: &str| own.get(key).or_else(|| spec["securityContext"].get(key)).cloned().unwrap_or_default();
        self.baseline_if(own["privileged"] == true, "privileged");
        self.baseline_if(own.get("procMount").is_some_and(|mount| mount != "Default"), "procMount");
        for port in container["ports"].as_array().into_iter().flatten() {
            self.baseline_if(port.get("hostPort").is_some_and(|port| port != 0), "hostPort");
        }
        let added = at(own, "/capabilities/add").as_array().cloned().unwrap_or_default();
        self.baseline_if(!added.is_empty(), "capabilities.add");
        let dropped = at(own, "/capabilities/drop").as_array().cloned().unwrap_or_default();
        self.restricted_if(!dropped.iter().any(|one| one == "ALL"), "capabilities.drop");
        let seccomp = at(&either("seccompProfile"), "/type").clone();
        self.baseline_if(seccomp == "Unconfined", "seccompProfile");
        self.restricted_if(!["RuntimeDefault", "Localhost"].iter().any(|kind| seccomp == *kind), "seccompProfile");
        self.restricted_if(own["allowPrivilegeEscalation"] != false, "allowPrivilegeEscalation");
        self.restricted_if(either("runAsNonRoot") != true, "runAsNonRoot");
        self.restricted_if(either("runAsUser") == 0, "runAsUser");
    }

    fn baseline_if(&mut self, is_violated: bool, control: &str) {
        if is_violated {
            self.baseline.push(control.to_owned());
        }
    }

    fn restricted_if(&mut self, is_violated: bool, control: &str) {
        if is_violated {
            self.restricted.push(control.to_owned());
        }
    }
}

fn has_items(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_that_asks_for_nothing_is_not_restricted_and_one_that_asks_for_all_is_not_even_baseline() {
        let plain = json!({ "spec": { "containers": [{ "name": "a" }] } });
        let found = PodSecurity::of(&plain);
        assert_eq!(found.baseline, [""; 0]);
        let all = ["capabilities.drop", "seccompProfile", "allowPrivilegeEscalation", "runAsNonRoot"];
        assert_eq!(found.restricted, all);
        let greedy = json!({ "spec": {
            "hostNetwork": true, "hostPID": true,
            "volumes": [{ "name": "root", "hostPath": { "path": "/" } }],
            "containers": [{ "name": "a", "ports": [{ "hostPort": 1 }],
                "securityContext": { "privileged": true, "runAsUser": 0, "capabilities": { "add": ["SYS_TIME"] } } }],
        } });
        let found = PodSecurity::of(&greedy);
        let all = ["hostNetwork", "hostPID", "hostPath", "privileged", "hostPort", "capabilities.add"];
        assert_eq!(found.baseline, all);
        assert!(["volumes", "runAsUser"].iter().all(|control| found.restricted.iter().any(|one| one == control)));
    }
}
