//! The dashboards of `deploy/dashboards`: every query of every file, without what stands in for nothing, returns data of a fleet, from a real VictoriaMetrics with
//! the recordings of a real vmalert, under both schemes of names; those for CloudWatch of the same fleet under its own.

#![expect(clippy::disallowed_methods, reason = "what a host was seen at lies in the past")]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tests::exported::{Exported, Sample, request, sample};
use tests::net::{IMDS, Net, Side};
use tests::observability::asked;
use tests::observability::committed::root;
use tests::observability::scheme::{RESOURCE, Scheme};
use tests::process::lab_dir;
use tests::victoria::Victoria;
use tests::vmalert::Vmalert;
use tests::wait::wait_until;

/// What each host has left to the limits: each is in another part of the panel that counts them so.
const MARGINS: [f64; 6] = [-10.0, 50.0, 100.0, 200.0, 200.0, 200.0];

/// What a host exports after so many minutes of which things went wrong.
fn host(index: u32, minutes: f64) -> Exported {
    let resource = vec![
        ("host.name", format!("web-{index}")),
        ("host.id", format!("i-{index}")),
        ("cloud.account.id", "123456789012".to_owned()),
        ("cloud.region", "eu-central-1".to_owned()),
        ("cloud.availability_zone", format!("eu-central-1{}", ["a", "b"][usize::from(index % 2 == 1)])),
        ("host.image.id", "ami-0a".to_owned()),
        ("host.type", "m7g.large".to_owned()),
        ("service.version", "0.1.0".to_owned()),
    ];
    let (state, severity) = if index == 0 { ("unverified", "critical") } else { ("synchronized", "warning") };
    let mut samples = vec![
        sample("clock.state", &[("clock.state", state)], 1.0),
        sample("clock.offset", &[], 0.2),
        sample("clock.error_bound", &[], 0.001),
        sample("clock.drift", &[], 1e-5),
        sample("clock.disruptions", &[], minutes),
        sample("skewguard.alert.active", &[("alert", "clock-undisciplined"), ("severity", severity)], 1.0),
    ];
    samples.extend(["credential-rotation-overdue", "credential-unavailable"].map(|alert| {
        sample("skewguard.alert.active", &[("alert", alert), ("severity", "warning"), ("subject", "imds")], 1.0)
    }));
    samples.extend(["forward", "backward"].map(|way| sample("clock.steps", &[("clock.direction", way)], minutes)));
    samples.extend(["sigv4", "s3-sts"].into_iter().flat_map(|limit| {
        let of = [("aws.limit", limit)];
        [
            sample("aws.signature.margin", &of, MARGINS[index as usize % 6]),
            sample("aws.signature.time_to_limit", &of, 9e5),
        ]
    }));
    let sources = [("amazon-time-sync", "ntp", "169.254.169.123"), ("aws", "http_date", "dynamodb.amazonaws.com")];
    samples.extend(sources.into_iter().flat_map(|(name, kind, address)| of_source(name, kind, address)));
    let credential = [("aws.credential.provider", "imds"), ("aws.credential.identity", "web"), ("subject", "imds")];
    samples.push(sample("aws.credential.remaining", &credential, 18_000.0));
    let of_sdk = [&credential[..], &[("aws.sdk", "botocore")]].concat();
    samples.push(sample("aws.credential.refresh_margin", &of_sdk, 600.0));
    let to = [("destination", "telemetry")];
    samples.push(sample("skewguard.delivery.queued", &to, 3.0));
    samples
        .extend(["skewguard.delivery.refusals", "skewguard.delivery.dropped"].map(|name| sample(name, &to, minutes)));
    Exported { resource, samples }
}

fn of_source(name: &str, kind: &str, address: &str) -> Vec<Sample> {
    let of = [("clock.source", name), ("clock.source.kind", kind), ("server.address", address)];
    let verdict = [&of[..], &[("clock.source.verdict", "truechimer")]].concat();
    vec![
        sample("clock.source.offset", &of, 0.2),
        sample("clock.source.reachability", &of, 1.0),
        sample("clock.source.verdict", &verdict, 1.0),
    ]
}

/// The queries of all files under this scheme, and how many files there are.
fn queries(scheme: Scheme) -> (BTreeSet<String>, usize) {
    let (mut found, mut files) = (BTreeSet::new(), 0);
    for folder in fs::read_dir(root().join("deploy/dashboards")).unwrap().map(|entry| entry.unwrap().path()) {
        // CloudWatch asks other things, under names of its own.
        if !folder.is_dir() || folder.ends_with("cloudwatch") {
            continue;
        }
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_dotted = path.to_str().unwrap().ends_with(".dotted.json");
            if is_dotted == (scheme == Scheme::Opentelemetry) {
                found.append(&mut asked::by_file(&path).unwrap());
                files += 1;
            }
        }
    }
    (found, files)
}

/// Those that return nothing of a fleet.
fn empty(scheme: Scheme) -> Vec<String> {
    let net = Net::new().unwrap();
    let at = |port| SocketAddr::new(IMDS, port);
    let victoria = Victoria::with_names(&net, Side::Aws, at(8428), scheme).unwrap();
    let name = if scheme == Scheme::Prometheus { "skewguard.rules.yaml" } else { "skewguard.dotted.rules.yaml" };
    let rules = fs::read_to_string(root().join("deploy/rules").join(name)).unwrap();
    // A page for the whole fleet comes after a minute.
    let rules = [("interval: 30s", "interval: 1s"), ("for: 1m\n", "for: 1s\n")]
        .iter()
        .fold(rules, |rules, (from, into)| rules.replace(from, into));
    // A host was there ten minutes ago, of which a backend knows after five that it is not.
    let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(600);
    let gone = "skewguard:host:present{host=\"gone\",instance_id=\"i-gone\",region=\"eu-central-1\"} 1";
    victoria.import(&format!("{gone} {}\n", then.as_millis())).unwrap();
    // No agent was ever installed there.
    victoria.import("node_uname_info{nodename=\"bare\",instance=\"10.0.0.99:9100\"} 1\n").unwrap();
    // Nobody is told.
    let _vmalert = Vmalert::start(&net, at(8880), &rules, &victoria.url(), "http://127.0.0.1:9").unwrap();
    let (queries, files) = queries(scheme);
    assert!(files == 5 && queries.len() > 40, "{files} files with {} queries", queries.len());
    let mut missing: Vec<String> = queries.into_iter().collect();
    let mut minutes = 0.0;
    let all = wait_until("data for each query", Duration::from_secs(60), || {
        minutes += 1.0;
        let fleet: Vec<_> = (0..6).map(|index| host(index, minutes)).collect();
        victoria.take(&request(&fleet)).unwrap();
        thread::sleep(Duration::from_millis(500));
        missing.retain(|query| {
            // A panel that shows 0 where there is nothing would hide that it asks for nothing.
            let query = query.replace(" or vector(0)", "").replace("$region", ".*").replace("$host", "web-1");
            victoria.query(&query).unwrap().is_empty()
        });
        missing.is_empty()
    });
    assert_eq!(all.is_ok(), missing.is_empty());
    missing
}

#[test]
fn a_host_that_is_chosen_in_a_table_goes_along_to_the_dashboard_of_a_host_whatever_its_address() {
    for dotted in ["", ".dotted"] {
        let read = |name: &str| -> Value {
            let path = root().join(format!("deploy/dashboards/grafana/{name}{dotted}.json"));
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };
        let (host, mut fleet) = (read("host"), read("fleet"));
        for dashboard in [&host, &fleet] {
            assert_eq!((&dashboard["uid"], &dashboard["id"]), (&Value::Null, &Value::Null), "an import gives it one");
            let names: Vec<_> =
                dashboard["templating"]["list"].as_array().unwrap().iter().map(|one| one["name"].as_str()).collect();
            assert!(names.contains(&Some("host")), "{names:?}");
            let link = &dashboard["links"][0];
            assert_eq!((&link["type"], &link["includeVars"]), (&"dashboards".into(), &true.into()));
            assert_eq!(link["tags"], dashboard["tags"]);
        }
        let panels = fleet["panels"].take();
        let overrides =
            panels.as_array().unwrap().iter().flat_map(|panel| panel["fieldConfig"]["overrides"].as_array());
        let links: Vec<_> = overrides.flatten().filter_map(|one| one.pointer("/properties/0/value/0/url")).collect();
        assert!(links.len() > 2, "{links:?}");
        for url in links.iter().map(|url| url.as_str().unwrap()) {
            assert!(url.starts_with("?${datasource:queryparam}&") && url.contains("&var-host=${__value.raw}"), "{url}");
        }
    }
}

/// What hosts export, under the names of CloudWatch, as of so many minutes ago.
fn in_cloudwatch(fleet: &[Exported], minutes_ago: u64) -> String {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(minutes_ago * 60);
    let mut lines = String::new();
    for Exported { resource, samples } in fleet {
        for Sample { metric, attributes, value } in samples {
            let resource = resource.iter().map(|(name, value)| (format!("{RESOURCE}{name}"), value.clone()));
            let own = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            let name = [("__name__".to_owned(), (*metric).to_owned())];
            let labels: BTreeMap<_, _> = resource.chain(own).chain(name).collect();
            let at = u64::try_from(at.as_millis()).unwrap();
            let line = serde_json::json!({ "metric": labels, "values": [value], "timestamps": [at] });
            lines += &format!("{line}\n");
        }
    }
    lines
}

/// The same for VictoriaMetrics, which knows names in quotes everywhere but in `by (…)`.
fn unquoted(query: &str) -> String {
    let mut pieces = query.split("by (");
    let mut text = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (labels, rest) = piece.split_once(')').unwrap();
        let labels = labels.replace('"', "").replace('.', "\\.").replace('@', "\\@");
        text += &format!("by ({labels}){rest}");
    }
    text
}

#[test]
fn each_query_for_cloudwatch_returns_data_of_what_is_kept_under_its_names() {
    let net = Net::new().unwrap();
    let victoria = Victoria::start(&net, Side::Aws, SocketAddr::new(IMDS, 8428)).unwrap();
    let fleet: Vec<_> = (0..6).map(|index| host(index, 1.0)).collect();
    victoria.import_series(&in_cloudwatch(&fleet, 0)).unwrap();
    // It has fallen silent since.
    victoria.import_series(&in_cloudwatch(&[host(6, 1.0)], 20)).unwrap();
    let path = root().join("deploy/dashboards/cloudwatch/fleet.json");
    let body: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let charts = body["widgets"].as_array().unwrap().iter().filter(|widget| widget["type"] == "chart");
    let queries = charts.flat_map(|chart| chart["properties"]["data"]["queries"].as_array().unwrap());
    let queries: Vec<_> = queries.map(|query| query["query"].as_str().unwrap()).collect();
    assert!(queries.len() > 15, "{queries:?}");
    let is_empty = |query: &&&str| victoria.query(&unquoted(&query.replace(" or vector(0)", ""))).unwrap().is_empty();
    wait_until("data for each query", Duration::from_secs(20), || queries.iter().find(is_empty).is_none())
        .unwrap_or_else(|error| panic!("{error}: {:?}", queries.iter().filter(is_empty).collect::<Vec<_>>()));
}

/// What is a string in JSON and a constant in Grafana's types.
const CONSTANTS: [(&str, &str); 3] = [
    ("\"mode\": \"absolute\"", "\"mode\": ThresholdsMode.Absolute"),
    ("\"mode\": \"thresholds\"", "\"mode\": FieldColorModeId.Thresholds"),
    ("\"mode\": \"palette-classic\"", "\"mode\": FieldColorModeId.PaletteClassic"),
];

/// A dashboard as a literal of Grafana's type. What a data source of Prometheus reads of an annotation is not in that.
fn literal(name: &str) -> String {
    let text = fs::read_to_string(root().join("deploy/dashboards/grafana").join(name)).unwrap();
    let mut dashboard: Value = serde_json::from_str(&text).unwrap();
    for annotation in dashboard["annotations"]["list"].as_array_mut().unwrap() {
        let annotation = annotation.as_object_mut().unwrap();
        annotation.retain(|key, _| !["expr", "step", "titleFormat", "textFormat"].contains(&key.as_str()));
    }
    let literal = CONSTANTS.iter().fold(format!("{dashboard:#}"), |text, (string, name)| text.replace(string, name));
    format!(
        "import {{ type Dashboard, FieldColorModeId, ThresholdsMode }} from '@grafana/schema';\n\
             export const dashboard: Dashboard = {literal};\n"
    )
}

#[test]
fn grafana_finds_nothing_in_its_dashboards_that_it_does_not_know() {
    let dir = tempfile::Builder::new().prefix("check-").tempdir_in(lab_dir().unwrap().join("grafana")).unwrap();
    let checked = |texts: &[(&str, String)]| {
        let mut compiler = Command::new("node");
        compiler.arg("../node_modules/typescript/bin/tsc").current_dir(dir.path());
        compiler.args(["--strict", "--noEmit", "--skipLibCheck", "--target", "es2022"]);
        compiler.args(["--module", "nodenext", "--moduleResolution", "nodenext"]);
        for (name, text) in texts {
            fs::write(dir.path().join(name), text).unwrap();
            compiler.arg(name);
        }
        String::from_utf8(compiler.output().unwrap().stdout).unwrap()
    };
    let names = ["fleet.json", "fleet.dotted.json", "host.json", "host.dotted.json"];
    let files = ["fleet.ts", "fleet_dotted.ts", "host.ts", "host_dotted.ts"];
    let texts: Vec<_> = files.into_iter().zip(names.map(literal)).collect();
    assert_eq!(checked(&texts), "");
    let typo = literal("fleet.json").replacen("\"gridPos\"", "\"gridpos\"", 1);
    assert!(checked(&[("typo.ts", typo)]).contains("'\"gridpos\"' does not exist"));
}

#[test]
fn each_query_returns_data_under_the_names_of_prometheus() {
    assert_eq!(empty(Scheme::Prometheus), [""; 0]);
}

#[test]
fn each_query_returns_data_under_the_names_of_opentelemetry() {
    assert_eq!(empty(Scheme::Opentelemetry), [""; 0]);
}
