//! The rules of `deploy/rules`, as Prometheus and VictoriaMetrics judge them: what they tell of which fleet.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tests::net::{Net, Side};
use tests::observability::alert::{self, Alert};
use tests::observability::committed::root;
use tests::observability::fleet::{Case, Host, REGION, Series, Told, cause, fleet};
use tests::observability::scheme::Scheme;
use tests::process::{command, output, private_dir};

/// A fleet of twenty that reports for an hour, and those of it that have a wrong clock.
fn skewed(is_wrong: impl Fn(&Host) -> bool, expected: Vec<Told>) -> Case {
    let hosts = fleet(20);
    let wrong = hosts.iter().filter(|host| is_wrong(host)).map(|host| host.firing("clock-skew", "critical", ""));
    let series = hosts.iter().map(|host| host.state("1x60")).chain(wrong).collect();
    Case { series, expected: vec![(10, "fleet-cause", expected)] }
}

// Which fleets

fn one_host() -> Case {
    let is_it = |host: &Host| host.name == "web-7";
    let mut case = skewed(is_it, vec![]);
    case.expected.push((10, "clock-skew", vec![(fleet(20)[7].labels("critical", ""), "1")]));
    case.series.push(fleet(1)[0].firing("credential-expiring", "warning", "imds"));
    case.expected.push((10, "credential-expiring", vec![(fleet(1)[0].labels("warning", "imds"), "1")]));
    // What is told of one kind is not told of another.
    case.expected.push((10, "clock-stepped", vec![]));
    case.expected.push((10, "fleet-absent", vec![]));
    case
}

fn several_causes() -> Vec<Case> {
    let told = |by, value: &str, count| vec![(cause("clock-skew", "critical", by, value), count)];
    vec![
        skewed(|host| host.image == "ami-0b", told("image", "ami-0b", "10")),
        skewed(|host| host.zone == "eu-central-1a", told("availability_zone", "eu-central-1a", "10")),
        skewed(|_| true, told("region", REGION, "20")),
        // Five of twenty, who share nothing that others do not; and four, whom a page could name one by one.
        skewed(|host| ["web-0", "web-3", "web-5", "web-6", "web-14"].contains(&host.name.as_str()), vec![]),
        skewed(|host| ["web-2", "web-6", "web-10", "web-14"].contains(&host.name.as_str()), vec![]),
    ]
}

/// Of ten hosts with one image four are critical and four have a warning: together they are more than half.
fn two_severities() -> Case {
    let hosts = fleet(20);
    let of_image = hosts.iter().filter(|host| host.image == "ami-0b").take(8).enumerate();
    let wrong = of_image.map(|(index, host)| {
        host.firing("clock-skew", if index.is_multiple_of(2) { "critical" } else { "warning" }, "")
    });
    let series = hosts.iter().map(|host| host.state("1x60")).chain(wrong).collect();
    let told = vec![(cause("clock-skew", "critical", "image", "ami-0b"), "8")];
    Case { series, expected: vec![(10, "fleet-cause", told)] }
}

/// Each of these hosts has two sources that it complains of, one more than the other: it is one host that is wrong.
fn two_complaints() -> Case {
    let hosts = fleet(20);
    let wrong = hosts.iter().take(4).flat_map(|host| {
        [("one", "critical"), ("other", "warning")].map(|(of, how)| host.firing("credential-expiring", how, of))
    });
    let series = hosts.iter().take(6).map(|host| host.state("1x60")).chain(wrong).collect();
    Case { series, expected: vec![(10, "fleet-cause", vec![])] }
}

/// Six of twenty ask a server of their own, which is down.
fn a_source() -> Case {
    let hosts = fleet(20);
    let asks = |host: &Host, source| {
        host.series("clock.source.reachability", &[("clock.source", source), ("clock.source.kind", "ntp")], "1x60")
    };
    let mut series: Vec<_> =
        hosts.iter().flat_map(|host| [host.state("1x60"), asks(host, "amazon-time-sync")]).collect();
    for host in hosts.iter().take(6) {
        series.extend([asks(host, "corp"), host.firing("source-unreachable", "warning", "corp")]);
    }
    let told = (cause("source-unreachable", "warning", "source", "corp"), "6");
    Case { series, expected: vec![(10, "fleet-cause", vec![told])] }
}

/// One host ends after ten minutes, another is known by its name alone until the metadata service has answered, and a third
/// gets another version.
fn silence() -> Case {
    let hosts = fleet(3);
    let mut nameless = hosts[1].state("1x5 _x120");
    nameless.attributes.retain(|(name, _)| ["host.name", "clock.state"].contains(name));
    let newer = Host { version: "0.2.0", ..hosts[2].clone() };
    let series = vec![
        hosts[0].state("1x10 _x120"),
        nameless,
        hosts[1].state("_x5 1x120"),
        hosts[2].state("1x20 _x120"),
        newer.state("_x20 1x120"),
    ];
    let told = |minute, told| (minute, "host-silent", told);
    let silent = vec![(hosts[0].labels("warning", ""), "1")];
    Case { series, expected: vec![told(9, vec![]), told(25, silent), told(80, vec![])] }
}

/// What node_exporter tells of a host.
fn seen(name: &str, instance: &str, values: &str) -> Series {
    let attributes = vec![("nodename", name.to_owned()), ("instance", instance.to_owned())];
    Series { metric: "node_uname_info", attributes, values: values.to_owned() }
}

/// Ten of twenty hosts are replaced by ten of another image: those that are gone are silent, and nothing is wrong with them.
fn rollout() -> Case {
    let hosts = fleet(20);
    let mut series: Vec<_> = hosts[10..].iter().map(|host| host.state("1x120")).collect();
    for (index, old) in hosts[..10].iter().enumerate() {
        let old = Host { image: "ami-old", ..old.clone() };
        let new = Host { image: "ami-new", name: format!("new-{index}"), ..old.clone() };
        series.extend([old.state("1x10 stale"), seen(&old.name, &format!("10.0.0.{index}:9100"), "1x10 stale")]);
        series.push(new.state("_x10 1x110"));
    }
    let none = |minute| (minute, "fleet-cause", vec![]);
    Case { series, expected: vec![none(12), none(20), none(40)] }
}

/// The agents of one image end, and node_exporter still runs on their hosts.
fn agents_end() -> Case {
    let hosts = fleet(20);
    let end = |host: &Host| host.state(if host.image == "ami-0a" { "1x10 stale" } else { "1x60" });
    let mut series: Vec<_> = hosts.iter().map(end).collect();
    series.extend(hosts.iter().map(|host| seen(&host.name, &format!("{}:9100", host.name), "1x60")));
    let told = vec![(cause("host-silent", "warning", "image", "ami-0a"), "10")];
    Case { series, expected: vec![(20, "fleet-cause", told)] }
}

/// The whole fleet reports for ten minutes, and then no longer. A backend has the last samples for five minutes.
fn all_end() -> Case {
    let series = fleet(20).iter().map(|host| host.state("1x10 _x120")).collect();
    let told = |minute, told| (minute, "fleet-absent", told);
    let absent = vec![(vec![("severity", "critical".to_owned())], "1")];
    Case { series, expected: vec![told(10, vec![]), told(22, vec![]), told(27, absent)] }
}

/// Hosts whose page is scraped: their metrics bear a `job` and an `instance` alone, and `target_info` says the rest. The last
/// two have none, and addresses of IPv6.
fn scraped() -> Case {
    let hosts = fleet(20);
    let instance = |index: usize, port| match index {
        0..18 => format!("10.0.0.{index}:{port}"),
        _ => format!("[fd00::{index}]:{port}"),
    };
    let mut series = Vec::new();
    let mut skewed = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let target = [("job", "skewguard".to_owned()), ("instance", instance(index, 9464))];
        let own = host.series("", &[], "").attributes;
        let at = |mut series: Series| {
            series.attributes.retain(|attribute| !own.contains(attribute));
            series.attributes.extend(target.clone());
            series
        };
        series.push(at(host.state("1x60")));
        // A name that the agent does not know the host by.
        let nodename = if index == 3 { "ip-10-0-0-3.internal" } else { &host.name };
        series.push(seen(nodename, &instance(index, 9100), "1x60"));
        let mut info = host.series("target_info", &[("service.name", "skewguard")], "1x60");
        info.attributes.extend(target.clone());
        series.extend((index < 18).then_some(info));
        if host.image == "ami-0b" {
            series.push(at(host.firing("clock-skew", "critical", "")));
            let nameless = || vec![("host", format!("[fd00::{index}]")), ("severity", "critical".to_owned())];
            skewed.push((if index < 18 { host.labels("critical", "") } else { nameless() }, "1"));
        }
    }
    let caused = vec![(cause("clock-skew", "critical", "image", "ami-0b"), "8")];
    let expected = vec![(30, "host-without-agent", vec![]), (30, "clock-skew", skewed), (30, "fleet-cause", caused)];
    Case { series, expected }
}

fn without_agent() -> Case {
    let expected = vec![(vec![("host", "web-9".to_owned()), ("severity", "warning".to_owned())], "1")];
    let seen = |name: &str| seen(name, "10.0.0.1:9100", "1x60");
    let series = vec![fleet(1)[0].state("1x60"), seen("web-0"), seen("web-9")];
    Case { series, expected: vec![(10, "host-without-agent", vec![]), (30, "host-without-agent", expected)] }
}

/// In one availability zone Time Sync is 3 s ahead of what HTTPS servers say; in the other there is the second that such
/// a date may be wrong by, and one of two servers that is wrong.
fn time_sync() -> Case {
    let of = |host: &Host, address, kind, value: &str| {
        let about = [("server.address", address), ("clock.source", address), ("clock.source.kind", kind)];
        host.series("clock.source.offset", &about, &format!("{value}x60"))
    };
    let hosts = fleet(8);
    let series = hosts.iter().flat_map(|host| {
        let ahead = if host.zone == "eu-central-1a" { "3.5" } else { "1.5" };
        let other = if host.zone == "eu-central-1a" { "0" } else { "10" };
        [
            of(host, "169.254.169.123", "ntp", ahead),
            of(host, "aws", "http_date", "0.5"),
            of(host, "corp", "http_date", other),
            host.state("1x60"),
        ]
    });
    let labels = [
        ("account_id", "123456789012"),
        ("region", REGION),
        ("availability_zone", "eu-central-1a"),
        ("severity", "critical"),
    ];
    let labels = labels.map(|(name, value)| (name, value.to_owned())).to_vec();
    Case { series: series.collect(), expected: vec![(20, "fleet-time-sync-off", vec![(labels, "3")])] }
}

fn versions() -> Case {
    let hosts = fleet(3);
    let old = Host { version: "0.0.9", ..hosts[2].clone() };
    let series = vec![hosts[0].state("1x60"), hosts[1].state("1x60"), old.state("1x60")];
    let told = vec![(vec![("severity", "warning".to_owned())], "1")];
    Case { series, expected: vec![(29, "fleet-version-skew", vec![]), (35, "fleet-version-skew", told)] }
}

/// Two hosts are refused and a third is not; a fourth has lost something.
fn delivery() -> Case {
    let hosts = fleet(4);
    let of = |host: &Host, metric, values| host.series(metric, &[("destination", "channel pager")], values);
    let mut series: Vec<_> = hosts.iter().map(|host| host.state("1x60")).collect();
    series.extend(hosts[..2].iter().map(|host| of(host, "skewguard.delivery.refusals", "0+1x60")));
    series.push(of(&hosts[2], "skewguard.delivery.refusals", "0x60"));
    series.push(of(&hosts[3], "skewguard.delivery.dropped", "0x20 5x40"));
    let labels =
        [("account_id", "123456789012"), ("region", REGION), ("destination", "channel pager"), ("severity", "warning")];
    let told = |count| vec![(labels.map(|(name, value)| (name, value.to_owned())).to_vec(), count)];
    let expected = vec![
        (30, "fleet-delivery-refused", told("2")),
        (15, "fleet-delivery-lost", vec![]),
        (25, "fleet-delivery-lost", told("1")),
        (40, "fleet-delivery-lost", vec![]),
    ];
    Case { series, expected }
}

fn nobody() -> Case {
    let labels = vec![("severity", "critical".to_owned())];
    let series = vec![Series { metric: "node_uname_info", attributes: vec![], values: "1x60".to_owned() }];
    Case { series, expected: vec![(5, "fleet-absent", vec![]), (20, "fleet-absent", vec![(labels, "1")])] }
}

fn cases() -> Vec<Case> {
    let mut cases = several_causes();
    cases.extend([one_host(), two_severities(), two_complaints(), a_source()]);
    cases.extend([silence(), rollout(), agents_end(), all_end(), nobody(), without_agent(), scraped()]);
    cases.extend([time_sync(), versions(), delivery()]);
    cases
}

// How they are written

/// A template with its labels and its value.
fn expanded(template: &str, labels: &BTreeMap<&str, String>, value: &str) -> String {
    let filled = labels.iter().fold(template.replace("{{ $value }}", value), |text, (name, value)| {
        text.replace(&format!("{{{{ $labels.{name} }}}}"), value)
    });
    assert!(!filled.contains("{{"), "{filled}: an alert does not bear what its text names");
    filled
}

fn written(case: &Case, scheme: Scheme, alerts: &[Alert]) -> Value {
    let expected = case.expected.iter().map(|(minute, name, told)| {
        let alert = alerts.iter().find(|alert| alert.name == *name).unwrap();
        let told = told.iter().map(|(labels, value)| {
            let mut labels: BTreeMap<_, _> = labels.iter().cloned().collect();
            labels.insert("source", "skewguard-rules".to_owned());
            let annotations = json!({
                "summary": expanded(&alert.summary, &labels, value),
                "description": expanded(&alert.description, &labels, value),
                "runbook_url": format!("https://github.com/skewguard/skewguard/blob/main/deploy/runbooks/{name}.md"),
            });
            json!({ "exp_labels": labels, "exp_annotations": annotations })
        });
        json!({ "eval_time": format!("{minute}m"), "alertname": name, "exp_alerts": told.collect::<Vec<_>>() })
    });
    let series: Vec<_> = case.series.iter().map(|series| series.written(scheme)).collect();
    json!({ "interval": "1m", "input_series": series, "alert_rule_test": expected.collect::<Vec<_>>() })
}

fn rules(scheme: Scheme) -> String {
    let name = if scheme == Scheme::Prometheus { "skewguard.rules.yaml" } else { "skewguard.dotted.rules.yaml" };
    root().join("deploy/rules").canonicalize().unwrap().join(name).to_str().unwrap().to_owned()
}

/// A file of tests in a folder of its own, with rules whose longest time is not a day: each half minute of it is judged.
fn tests_of(scheme: Scheme, cases: &[Case]) -> (tempfile::TempDir, String) {
    let dir = private_dir().unwrap();
    let text = fs::read_to_string(rules(scheme)).unwrap();
    assert_eq!(text.matches("for: 1d\n").count(), 1);
    let shortened = dir.path().join("rules.yaml");
    fs::write(&shortened, text.replace("for: 1d\n", "for: 30m\n")).unwrap();
    let alerts = alert::all();
    let cases: Vec<_> = cases.iter().map(|case| written(case, scheme, &alerts)).collect();
    let text = json!({
        "rule_files": [shortened],
        "evaluation_interval": "30s",
        "group_eval_order": ["skewguard-records", "skewguard-fleet", "skewguard-hosts"],
        "tests": cases,
    });
    let path = dir.path().join("rules.test.yaml");
    fs::write(&path, serde_yaml::to_string(&text).unwrap()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn prometheus_tells_of_each_fleet_what_is_to_be_told() {
    let linted = output(
        command("promtool")
            .unwrap()
            .args(["check", "rules", "--lint=all", "--lint-fatal"])
            .arg(rules(Scheme::Prometheus)),
    );
    linted.unwrap();
    let (_dir, path) = tests_of(Scheme::Prometheus, &cases());
    output(command("promtool").unwrap().args(["test", "rules"]).arg(path)).unwrap();
}

#[test]
fn victoriametrics_tells_the_same_under_the_names_of_prometheus() {
    victoriametrics_tells(Scheme::Prometheus, &cases());
}

#[test]
fn victoriametrics_tells_the_same_under_the_names_of_opentelemetry() {
    // All else rests on what was recorded of these, under the same names.
    victoriametrics_tells(Scheme::Opentelemetry, &[one_host(), a_source(), time_sync(), delivery()]);
}

fn victoriametrics_tells(scheme: Scheme, cases: &[Case]) {
    output(command("vmalert").unwrap().args(["-dryRun", "-rule"]).arg(rules(scheme))).unwrap();
    let (dir, path) = tests_of(scheme, cases);
    // A port of its own, which is always the same, needs a network of its own.
    let net = Net::new().unwrap();
    let mut tool = net.command(Side::Agent, "vmalert-tool").unwrap();
    // It keeps its storage in the folder for what is temporary, under a name that is always the same.
    tool.env("TMPDIR", dir.path()).args(["unittest", "-disableAlertgroupLabel", "--files"]).arg(path);
    output(&mut tool).unwrap();
}

#[test]
fn alertmanager_takes_the_configuration() {
    let path = root().join("deploy/rules/alertmanager.yaml");
    output(command("amtool").unwrap().arg("check-config").arg(path)).unwrap();
}

#[test]
fn each_alert_of_the_fleet_is_tried() {
    let cases = cases();
    let told: Vec<_> = cases.iter().flat_map(|case| &case.expected).filter(|(_, _, told)| !told.is_empty()).collect();
    for alert in alert::all().iter().filter(|alert| alert.name.starts_with("fleet-") || alert.name.starts_with("host-"))
    {
        assert!(told.iter().any(|(_, name, _)| *name == alert.name), "{} is never told", alert.name);
    }
}
