//! The chart of Kubernetes as helm renders it, and as helm refuses it.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::chart::{PodSecurity, chart, configuration, faults, folder, objects, one, pod, render, render_chart};
use tests::process::{lab_dir, private_dir};

/// The releases of Kubernetes that it is for: from Chart.yaml's on.
const VERSIONS: [&str; 11] = ["1.27", "1.28", "1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"];

/// The values of every example, by the names of their files, and the defaults.
fn examples() -> Vec<(String, String)> {
    let mut examples = vec![("defaults".to_owned(), String::new()), ("every key".to_owned(), every_key())];
    for file in fs::read_dir(folder().join("examples")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        examples.push((name, fs::read_to_string(path).unwrap()));
    }
    assert!(examples.len() > 5, "{examples:?}");
    examples
}

/// The file of values with its examples in effect, which have a `#` right before them.
fn every_key() -> String {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let line = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => line.replacen('#', "", 1) + "\n",
        // What they are in is not empty then.
        _ => line.replace("env: []", "env:").replace("alerts: {}", "alerts:") + "\n",
    };
    text.lines().map(line).collect()
}

// What is refused

/// Values with a mistake, the key at which it is, and what is said of it.
const TYPOS: &[(&str, &str, &str)] = &[
    // Of the agent's configuration.
    ("config: { sorces: [] }", "/config", "'sorces' not allowed"),
    ("config: { sources: [{ name: a, ntp: b, pol: 16s }] }", "/config/sources/0", "'pol' not allowed"),
    ("config: { sources: [{ name: a }] }", "/config/sources/0", "missing property 'ntp'"),
    ("config: { sources: [] }", "/config/sources", "minItems: got 0, want 1"),
    (
        "config: { sources: [{ name: a, ntp: b, poll: 16 }] }",
        "/config/sources/0/poll",
        "got number, want null or string",
    ),
    ("config: { alerts: { clock-skw: {} } }", "/config/alerts", "'clock-skw' not allowed"),
    ("config: { alerts: { clock-skew: { warning: 60 } } }", "/config/alerts/clock-skew/warning", "got number"),
    ("config: { alerts: { clock-skew: { enabled: 'no' } } }", "/config/alerts/clock-skew/enabled", "got string"),
    ("config: { alerts: { boot_grace: 5 minutes! } }", "/config/alerts/boot_grace", "does not match pattern"),
    ("config: { channels: [{ name: a }] }", "/config/channels/0", "missing property 'webhook'"),
    (
        "config: { channels: [{ name: a, slack: { url: 'https://hooks.slack.com/x' } }] }",
        "/config/channels/0/slack/url",
        "does not match pattern",
    ),
    (
        "config: { channels: [{ name: a, severity: fatal, slack: { url: 'env:A' } }] }",
        "/config/channels/0/severity",
        "'warning', 'critical'",
    ),
    (
        "config: { channels: [{ name: a, alerts: [clock-skw], slack: { url: 'env:A' } }] }",
        "/config/channels/0/alerts/0",
        "'clock-skew'",
    ),
    ("config: { credentials: { imds: { attempts: 11 } } }", "/config/credentials/imds/attempts", "got 11, want 10"),
    ("config: { telemetry: { otlp: { endpont: 'http://a' } } }", "/config/telemetry/otlp", "'endpont' not allowed"),
    ("config: { queue: { size: 8MB } }", "/config/queue/size", "does not match pattern"),
    // Of the agent's configuration, where only the pod makes it wrong.
    ("config: { queue: { size: 64MiB } }", "config.queue.size: 64MiB", "does not fit into volumes.state.sizeLimit"),
    ("config: { socket: /tmp/skewguard.sock }", "config.socket: /tmp/skewguard.sock", "lies in no volume"),
    ("config: { state_dir: /data }", "config.state_dir: /data", "is no volume"),
    // Of the chart.
    ("imgae: { tag: '1' }", "''", "'imgae' not allowed"),
    ("image: { tag: 1.2 }", "/image/tag", "got number, want string"),
    ("image: { digest: 'sha256:abc' }", "/image/digest", "does not match pattern"),
    ("image: { pullPolicy: always }", "/image/pullPolicy", "'Always'"),
    ("network: hots", "/network", "'host', 'pod'"),
    ("existingSecret: { name: a }", "/existingSecret", "got object, want string"),
    ("imagePullSecrets: [{ name: a }]", "/imagePullSecrets/0", "got object, want string"),
    ("tolerations: [{ operater: Exists }]", "/tolerations/0", "'operater' not allowed"),
    ("resources: { limits: { memroy: 48Mi } }", "/resources/limits", "'memroy' not allowed"),
    ("resources: { limits: { memory: 20Mi } }", "resources.limits.memory: 20Mi", "is less than both volumes"),
    ("env: [{ name: A, valeu: b }]", "/env/0", "'valeu' not allowed"),
    ("livenessProbe: { periodSecond: 3 }", "/livenessProbe", "'periodSecond' not allowed"),
    (
        "updateStrategy: { rollingUpdate: { maxUnavailable: '10' } }",
        "/updateStrategy/rollingUpdate/maxUnavailable",
        "pattern",
    ),
    ("prometheusRule: { alerts: { clock-skw: {} } }", "/prometheusRule/alerts", "'clock-skw' not allowed"),
    (
        "prometheusRule: { alerts: { clock-skew: { four: 1m } } }",
        "/prometheusRule/alerts/clock-skew",
        "'four' not allowed",
    ),
    ("prometheusRule: { alerts: { clock-skew: { for: 90 } } }", "/prometheusRule/alerts/clock-skew/for", "got number"),
    ("prometheusRule: { enabled: 'yes' }", "/prometheusRule/enabled", "got string"),
    ("prometheusRule: { runbookUrl: wiki }", "/prometheusRule/runbookUrl", "does not match pattern"),
    ("podLabels: { team: 7 }", "/podLabels/team", "got number, want string"),
    ("terminationGracePeriodSeconds: 1", "/terminationGracePeriodSeconds", "got 1, want 8"),
    ("volumes: { state: { sizeLimit: 16MiB } }", "/volumes/state/sizeLimit", "does not match pattern"),
];

#[test]
fn each_mistake_is_refused_with_the_place_where_it_is() {
    for (values, place, complaint) in TYPOS {
        let said = render(values).expect_err(values).to_string();
        let is_told = said.lines().any(|line| line.contains(place) && line.contains(complaint));
        assert!(is_told, "{values}: {place} and {complaint} are missing in: {said}");
    }
}

#[test]
fn what_other_charts_share_and_what_a_user_takes_away_is_no_mistake() {
    let wishes = [
        "global: { someOtherChart: true }",
        "{ startupProbe: null, livenessProbe: null, readinessProbe: null }",
        "{ resources: null, affinity: null, nodeSelector: null }",
        "updateStrategy: { type: OnDelete, rollingUpdate: null }",
    ];
    let all: Vec<_> = wishes.iter().flat_map(|values| render(values).unwrap()).collect();
    assert_eq!(faults(&all, &["1.37"]).unwrap(), [""; 0]);
}

// What is rendered

#[test]
fn all_that_it_renders_is_right_for_each_release_of_kubernetes() {
    let all: Vec<_> = examples().iter().flat_map(|(_, values)| render(values).unwrap()).collect();
    assert_eq!(faults(&all, &VERSIONS).unwrap(), [""; 0]);
    // The judge is no rubber stamp.
    let mut objects = render("").unwrap();
    for object in &mut objects {
        if object["kind"] == "DaemonSet" {
            object["spec"]["template"]["spec"]["automountServiceAcountToken"] = false.into();
        }
    }
    let found = faults(&objects, &VERSIONS).unwrap();
    assert_eq!(found.len(), VERSIONS.len(), "{found:?}");
    assert!(found.iter().all(|fault| fault.contains("automountServiceAcountToken")), "{found:?}");
}

#[test]
fn each_configuration_that_it_renders_is_right_for_the_agent() {
    let dir = private_dir().unwrap();
    let file = dir.path().join("skewguard.yaml");
    for (name, values) in
        examples().into_iter().chain([("none".to_owned(), "config: { queue: { size: 1MiB } }".to_owned())])
    {
        let text = configuration(&render(&values).unwrap()).unwrap();
        fs::write(&file, &text).unwrap();
        let mut check = Command::new(std::env::var_os("SKEWGUARD_BIN").unwrap());
        let checked = check.args(["config", "check"]).arg(&file).output().unwrap();
        assert!(checked.status.success(), "{name}: {text}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn on_the_network_of_the_node_nothing_else_keeps_it_from_being_restricted() {
    let host = PodSecurity::of(pod(&render("").unwrap()).unwrap());
    assert_eq!(host, PodSecurity { baseline: vec!["hostNetwork".to_owned()], restricted: vec![] });
    assert_eq!(PodSecurity::of(pod(&render("network: pod").unwrap()).unwrap()), PodSecurity::default());
}

#[test]
fn a_pod_that_waits_for_the_clock_is_restricted_and_right_for_each_release_of_kubernetes() {
    let pods = objects(&fs::read_to_string(folder().join("init-container.yaml")).unwrap()).unwrap();
    assert_eq!(pods.len(), 1);
    assert_eq!(faults(&pods, &VERSIONS).unwrap(), [""; 0]);
    assert_eq!(PodSecurity::of(&pods[0]), PodSecurity::default());
    let mut misspelt = pods.clone();
    misspelt[0]["spec"]["initContainer"] = misspelt[0]["spec"]["initContainers"].take();
    assert!(!faults(&misspelt, &VERSIONS).unwrap().is_empty());
}

#[test]
fn it_opens_no_port_reads_no_path_of_the_node_and_has_no_right_and_no_token() {
    for (name, values) in examples() {
        let objects = render(&values).unwrap();
        let kinds: Vec<_> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["ConfigMap", "DaemonSet"], "{name}");
        let spec = &pod(&objects).unwrap()["spec"];
        assert_eq!(
            (&spec["automountServiceAccountToken"], &spec["enableServiceLinks"]),
            (&json!(false), &json!(false))
        );
        let text = spec.to_string();
        for word in
            ["serviceAccountName", "hostPath", "ports", "hostPort", "containerPort", "serviceAccountToken", "hostPID"]
        {
            assert!(!text.contains(word), "{name}: {word} in {text}");
        }
        let container = &spec["containers"][0];
        assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!((&spec["securityContext"]["runAsUser"], &container["args"]), (&json!(65532), &json!(["run"])));
        for volume in spec["volumes"].as_array().unwrap().iter().filter(|volume| volume.get("emptyDir").is_some()) {
            assert_eq!(volume["emptyDir"]["medium"], "Memory", "{name}");
            assert!(volume["emptyDir"]["sizeLimit"].is_string(), "{name}");
        }
    }
}

#[test]
fn it_runs_on_every_node_that_can_run_it_and_stops_at_a_tenth_of_them() {
    let objects = render("").unwrap();
    let spec = &pod(&objects).unwrap()["spec"];
    assert_eq!(spec["tolerations"], json!([{ "operator": "Exists" }]));
    assert_eq!(spec["nodeSelector"], json!({ "kubernetes.io/os": "linux" }));
    let affinity =
        &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    let fargate = json!([{ "matchExpressions": [
        { "key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"] }
    ] }]);
    assert_eq!(affinity, &fargate);
    assert_eq!(spec["priorityClassName"], "system-node-critical");
    assert_eq!((&spec["hostNetwork"], &spec["dnsPolicy"]), (&json!(true), &json!("ClusterFirstWithHostNet")));
    let update = &one(&objects, "DaemonSet").unwrap()["spec"]["updateStrategy"];
    assert_eq!(update, &json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "10%" } }));
}

#[test]
fn in_a_network_of_its_own_the_pod_asks_the_metadata_service_only_if_somebody_wants_that() {
    let is_enabled = |values: &str| {
        let configuration = configuration(&render(values).unwrap()).unwrap();
        serde_yaml::from_str::<Value>(&configuration).unwrap()["credentials"]["imds"]["enabled"].clone()
    };
    assert_eq!(is_enabled(""), Value::Null);
    assert_eq!(is_enabled("network: pod"), false);
    assert_eq!(is_enabled("{ network: pod, config: { credentials: { imds: { enabled: true } } } }"), true);
    let objects = render("network: pod").unwrap();
    let spec = &pod(&objects).unwrap()["spec"];
    assert_eq!((spec.get("hostNetwork"), spec.get("dnsPolicy")), (None, None));
    let node = &spec["containers"][0]["env"][0];
    assert_eq!(node["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName");
    let own = "{ network: pod, env: [{ name: OTEL_RESOURCE_ATTRIBUTES, value: a=b }] }";
    let objects = render(own).unwrap();
    let expected = json!([{ "name": "OTEL_RESOURCE_ATTRIBUTES", "value": "a=b" }]);
    assert_eq!(pod(&objects).unwrap()["spec"]["containers"][0]["env"], expected);
}

#[test]
fn another_configuration_restarts_the_agents_and_nothing_else_does() {
    let template = |values: &str| pod(&render(values).unwrap()).unwrap().clone();
    let checksum = |values: &str| template(values)["metadata"]["annotations"]["checksum/config"].clone();
    let plain = checksum("");
    assert!(plain.as_str().unwrap().len() == 64, "{plain}");
    for same in ["labels: { team: a }", "annotations: { a: b }", "config: { queue: { size: 8MiB } }"] {
        assert_eq!(template(same), template(""), "{same}");
    }
    assert_ne!(checksum("config: { alerts: { repeat: 1h } }"), plain);
    // A chart of another version with the same image and configuration leaves the pods alone.
    let dir = private_dir().unwrap();
    let copy = dir.path().join("skewguard");
    assert!(Command::new("cp").arg("-r").arg(chart()).arg(&copy).status().unwrap().success());
    let about = copy.join("Chart.yaml");
    let text = fs::read_to_string(&about).unwrap();
    fs::write(&about, text.replacen("\nversion: ", "\nversion: 9", 1)).unwrap();
    let newer = render_chart(&copy, "").unwrap();
    assert!(one(&newer, "DaemonSet").unwrap()["metadata"]["labels"]["helm.sh/chart"].as_str().unwrap().contains("-9"));
    assert_eq!(pod(&newer).unwrap(), &template(""));
}

#[test]
fn the_image_is_named_as_a_registry_of_ones_own_needs_it() {
    let rendered = |values: &str| pod(&render(values).unwrap()).unwrap()["spec"].clone();
    let image = |values: &str| rendered(values)["containers"][0]["image"].as_str().unwrap().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image(""), format!("ghcr.io/skewguard/skewguard:{version}"));
    assert_eq!(image("image: { registry: '', tag: x }"), "skewguard/skewguard:x");
    let digest = format!("sha256:{}", "0a".repeat(32));
    let pinned =
        image(&format!("{{ image: {{ digest: '{digest}' }}, global: {{ imageRegistry: 'r.example:5000/m/' }} }}"));
    assert_eq!(pinned, format!("r.example:5000/m/skewguard/skewguard:{version}@{digest}"));
    let secrets =
        rendered("{ imagePullSecrets: [a, b], global: { imagePullSecrets: [b, c] } }")["imagePullSecrets"].clone();
    assert_eq!(secrets, json!([{ "name": "b" }, { "name": "c" }, { "name": "a" }]));
    assert_eq!(rendered("").get("imagePullSecrets"), None);
}

#[test]
fn a_secret_is_mounted_as_files_that_nobody_in_the_pod_can_change() {
    let objects = render("existingSecret: channels").unwrap();
    let spec = &pod(&objects).unwrap()["spec"];
    let volume = spec["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "secret").unwrap();
    assert_eq!(volume["secret"], json!({ "secretName": "channels", "defaultMode": 0o444 }));
    let mounts = spec["containers"][0]["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["name"] == "secret").unwrap();
    assert_eq!(mount, &json!({ "name": "secret", "mountPath": "/etc/skewguard-secret", "readOnly": true }));
}

#[test]
fn the_probes_only_ask_whether_the_agent_answers() {
    let objects = render("").unwrap();
    let container = &pod(&objects).unwrap()["spec"]["containers"][0];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["exec"]["command"], json!(["/skewguard", "status", "--alive"]), "{probe}");
    }
}

/// The rule of this name, and how many rules there are.
fn rule(values: &str, name: &str) -> (Option<Value>, usize) {
    let objects = render(values).unwrap();
    let groups = one(&objects, "PrometheusRule").unwrap()["spec"]["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    (rules.iter().find(|rule| rule["alert"] == name).map(|rule| (*rule).clone()), rules.len())
}

#[test]
fn the_rules_are_those_of_the_project_and_each_alert_can_be_changed() {
    let objects = render("prometheusRule: { enabled: true }").unwrap();
    let text = fs::read_to_string(folder().join("../rules/skewguard.rules.yaml")).unwrap();
    let rules: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(one(&objects, "PrometheusRule").unwrap()["spec"], rules);
    assert!(one(&render("").unwrap(), "PrometheusRule").is_err());

    let (usual, all) = rule("prometheusRule: { enabled: true }", "clock-skew");
    let values =
        "prometheusRule: { enabled: true, runbookUrl: 'https://wiki.example/run', alertLabels: { a: b }, alerts: {
        host-silent: { enabled: false },
        clock-skew: { for: 1m, severity: page, labels: { team: x }, annotations: { dashboard: there } } } }";
    assert_eq!(rule(values, "host-silent"), (None, all - 1));
    let changed = rule(values, "clock-skew").0.unwrap();
    let mut expected = usual.unwrap();
    expected["for"] = json!("1m");
    expected["labels"] = json!({ "a": "b", "severity": "page", "source": "skewguard-rules", "team": "x" });
    expected["annotations"]["dashboard"] = json!("there");
    expected["annotations"]["runbook_url"] = json!("https://wiki.example/run/clock-skew.md");
    assert_eq!(changed, expected);
}

#[test]
fn manifests_of_ones_own_are_installed_with_it() {
    let values = "extraManifests:
  - { apiVersion: v1, kind: Service, metadata: { name: a }, spec: { clusterIP: None } }
  - |
    apiVersion: v1
    kind: Secret
    metadata: { name: '{{ .Release.Name }}-b' }
";
    let objects = render(values).unwrap();
    assert_eq!(one(&objects, "Service").unwrap()["metadata"]["name"], "a");
    assert_eq!(one(&objects, "Secret").unwrap()["metadata"]["name"], "skewguard-b");
}

// What is released

#[test]
fn the_chart_that_is_released_renders_what_the_one_that_lies_here_does() {
    let version = env!("CARGO_PKG_VERSION");
    let about: Value = serde_yaml::from_str(&fs::read_to_string(chart().join("Chart.yaml")).unwrap()).unwrap();
    assert_eq!((&about["version"], &about["appVersion"]), (&json!(version), &json!(version)));
    let packed = lab_dir().unwrap().join(format!("dist/skewguard-chart-{version}.tgz"));
    for (name, values) in examples() {
        assert_eq!(render_chart(Path::new(&packed), &values).unwrap(), render(&values).unwrap(), "{name}");
    }
}
