//! The task definitions of `deploy/ecs`, judged by botocore's model of the service and registered in moto's.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::chart;
use tests::net::{Net, Side};
use tests::process::{lab_dir, output, private_dir};

const FILES: [&str; 2] = ["daemon.json", "fargate-sidecar.json"];
/// botocore refuses what its model does not know before moto is asked. Prints for each what moto has kept, or why not.
const REGISTER: &str = "import boto3, json, sys
from botocore.exceptions import ParamValidationError
from moto import mock_aws
def register(ecs, path):
    try:
        return ecs.register_task_definition(**json.load(open(path)))['taskDefinition']
    except ParamValidationError as error:
        return str(error)
with mock_aws():
    ecs = boto3.client('ecs', region_name='eu-central-1')
    print(json.dumps([register(ecs, path) for path in sys.argv[1:]], default=str))";

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/ecs").join(file)
}

fn definition(file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(file)).unwrap()).unwrap()
}

/// The container of the agent.
fn agent(definition: &Value) -> Value {
    let containers = definition["containerDefinitions"].as_array().unwrap();
    containers.iter().find(|container| container["name"] == "skewguard").unwrap().clone()
}

#[test]
fn each_is_what_the_service_takes() {
    // The judge is no rubber stamp.
    let dir = private_dir().unwrap();
    let wrong = dir.path().join("wrong.json");
    let text = fs::read_to_string(path(FILES[0])).unwrap().replace("readonlyRootFilesystem", "readOnlyRootFilesystem");
    fs::write(&wrong, text).unwrap();
    // Where no service of AWS can be reached.
    let net = Net::new().unwrap();
    let mut python = net.command(Side::Aws, lab_dir().unwrap().join("venv/bin/python")).unwrap();
    python.args(["-c", REGISTER]).args(FILES.map(path)).arg(&wrong);
    let answers: Vec<Value> = serde_json::from_str(&output(&mut python).unwrap()).unwrap();
    for (file, kept) in FILES.iter().zip(&answers) {
        let given = definition(file);
        let count = |definition: &Value| definition["containerDefinitions"].as_array().map(Vec::len);
        assert_eq!(
            (count(kept), &kept["family"], &kept["networkMode"]),
            (count(&given), &given["family"], &given["networkMode"])
        );
    }
    let refused = answers[FILES.len()].as_str().unwrap();
    assert!(refused.contains("Unknown parameter in containerDefinitions[0]: \"readOnlyRootFilesystem\""), "{refused}");
}

#[test]
fn the_agent_is_as_confined_as_in_the_pod_of_the_chart() {
    let objects = chart::render("").unwrap();
    let spec = &chart::pod(&objects).unwrap()["spec"];
    let pod = &spec["containers"][0];
    let (user, group) = (&spec["securityContext"]["runAsUser"], &spec["securityContext"]["runAsGroup"]);
    let probe: Vec<_> = pod["livenessProbe"]["exec"]["command"].as_array().unwrap().clone();
    for file in FILES {
        let container = agent(&definition(file));
        assert_eq!(container["image"], pod["image"], "{file}");
        assert_eq!(container["command"], pod["args"], "{file}");
        assert_eq!(container["user"], format!("{user}:{group}"), "{file}");
        assert_eq!(container["readonlyRootFilesystem"], pod["securityContext"]["readOnlyRootFilesystem"], "{file}");
        assert_eq!(
            container["linuxParameters"]["capabilities"]["drop"], pod["securityContext"]["capabilities"]["drop"],
            "{file}"
        );
        assert_eq!(container["stopTimeout"], spec["terminationGracePeriodSeconds"], "{file}");
        assert_eq!(
            format!("{}Mi", container["memory"]),
            pod["resources"]["limits"]["memory"].as_str().unwrap(),
            "{file}"
        );
        assert_eq!(
            format!("{}Mi", container["memoryReservation"]),
            pod["resources"]["requests"]["memory"].as_str().unwrap()
        );
        let expected: Vec<_> = std::iter::once(json!("CMD")).chain(probe.clone()).collect();
        assert_eq!(container["healthCheck"]["command"], json!(expected), "{file}");
        assert_eq!((container.get("portMappings"), &container["privileged"]), (None, &json!(false)), "{file}");
    }
}

#[test]
fn on_a_host_it_has_the_network_of_the_host_and_memory_to_write_to_and_beside_an_application_volumes_of_the_task() {
    let daemon = definition("daemon.json");
    assert_eq!((&daemon["networkMode"], daemon.get("volumes")), (&json!("host"), None));
    let container = agent(&daemon);
    let memory = container["linuxParameters"]["tmpfs"].as_array().unwrap().clone();
    let folders: Vec<_> = memory.iter().map(|one| one["containerPath"].as_str().unwrap()).collect();
    assert_eq!(folders, ["/run/skewguard", "/var/lib/skewguard"]);
    let sidecar = definition("fargate-sidecar.json");
    let container = agent(&sidecar);
    // A task does not end because of it.
    assert_eq!(container["essential"], false);
    let mounts: Vec<_> =
        container["mountPoints"].as_array().unwrap().iter().map(|mount| &mount["containerPath"]).collect();
    assert_eq!(mounts, [&json!("/run/skewguard"), &json!("/var/lib/skewguard")]);
    assert_eq!(container["environment"], json!([{ "name": "AWS_EC2_METADATA_DISABLED", "value": "true" }]));
    assert!(container["linuxParameters"].get("tmpfs").is_none());
}
