//! How many pages a fleet makes of what goes wrong, with the rules and the routing of `deploy/rules`: through a real
//! VictoriaMetrics, vmalert and Alertmanager, in which time passes fifteen times as fast.

#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::fs;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::alertmanager::Alertmanager;
use tests::exported::{Exported, request, sample};
use tests::http::{HttpServer, Reply};
use tests::net::{IMDS, Net, Side};
use tests::observability::committed::root;
use tests::victoria::Victoria;
use tests::vmalert::Vmalert;
use tests::wait::wait_for;

const HOSTS: usize = 10_000;
/// Those of an image of their own, which nothing is wrong with.
const OTHERS: usize = 500;
/// In seconds, how long a group waits for what it is told of next.
const GROUP_INTERVAL: u64 = 20;
const HOOK: &str = "POST /hook";

/// A host of the fleet: those of one image are spread over three availability zones, as the others are.
fn host(index: usize) -> Exported {
    let image = if index < HOSTS { "ami-0bad" } else { "ami-0fine" };
    let resource = vec![
        ("host.name", format!("web-{index}")),
        ("host.id", format!("i-{index:017x}")),
        ("cloud.account.id", "123456789012".to_owned()),
        ("cloud.region", "eu-central-1".to_owned()),
        ("cloud.availability_zone", format!("eu-central-1{}", ["a", "b", "c"][index % 3])),
        ("host.image.id", image.to_owned()),
        ("host.type", ["m7g.large", "c7g.large"][index / 3 % 2].to_owned()),
        ("service.version", "0.1.0".to_owned()),
    ];
    let samples = vec![sample("clock.state", &[("clock.state", "synchronized")], 1.0)];
    Exported { resource, samples }
}

/// The same with an alert.
fn alerting(index: usize, alert: &str, subject: &str) -> Exported {
    let mut host = host(index);
    let about = [("alert", alert), ("severity", "critical"), ("subject", subject)];
    let about = if subject.is_empty() { &about[..2] } else { &about[..] };
    host.samples.push(sample("skewguard.alert.active", about, 1.0));
    host
}

/// What the agent of a host posts to Alertmanager of itself.
fn posted(index: usize, alert: &str) -> Value {
    json!({
        "labels": {
            "alertname": alert, "severity": "critical", "host": format!("web-{index}"), "source": "skewguard",
            "instance_id": format!("i-{index:017x}"), "account_id": "123456789012", "region": "eu-central-1",
        },
        "annotations": { "summary": "the system clock is 400 s slow", "remedy": "start chronyd" },
    })
}

/// A file of `deploy/rules` in which time passes fifteen times as fast, but for a minute in which what was recorded becomes
/// visible: VictoriaMetrics takes seconds for that, and they pass no faster.
fn hurried(name: &str) -> String {
    let text = fs::read_to_string(root().join("deploy/rules").join(name)).unwrap();
    let hurried = ["interval: 30s", "group_wait: 30s", "group_wait: 10s", "group_interval: 5m", "for: 1m\n"];
    let interval = format!("group_interval: {GROUP_INTERVAL}s");
    let into = ["interval: 2s", "group_wait: 2s", "group_wait: 700ms", &interval, "for: 8s\n"];
    hurried.iter().zip(into).fold(text, |text, (from, into)| text.replace(from, into))
}

/// All notifications so far.
fn notifications(hook: &HttpServer) -> Vec<Value> {
    let requests = hook.requests();
    requests
        .iter()
        .filter(|request| request.route() == HOOK)
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect()
}

/// A notification in a line: what it is of, and what its first alerts are.
fn shortly(notification: &Value) -> String {
    let alerts = notification["alerts"].as_array().unwrap();
    let short = |alert: &Value| {
        let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default();
        format!("{} {} {} {}{}", alert["status"], label("severity"), label("cause"), label("value"), label("host"))
    };
    let some: Vec<_> = alerts.iter().take(5).map(short).collect();
    let (name, truncated) = (&notification["groupLabels"]["alertname"], &notification["truncatedAlerts"]);
    format!("{name} {} + {truncated}: {some:?}", alerts.len())
}

fn label<'a>(notification: &'a Value, name: &str) -> Vec<&'a str> {
    let alerts = notification["alerts"].as_array().unwrap();
    alerts.iter().map(|alert| alert["labels"][name].as_str().unwrap_or_default()).collect()
}

#[test]
fn one_host_of_ten_thousand_is_named_in_one_page_and_ten_thousand_with_one_cause_are_one() {
    let net = Net::new().unwrap();
    let at = |port| SocketAddr::new(IMDS, port);
    let victoria = Victoria::start(&net, Side::Aws, at(8428)).unwrap();
    let hook = HttpServer::start(&net, Side::Aws, at(9095)).unwrap();
    hook.on(HOOK, Reply::ok(""));
    let routing = hurried("alertmanager.yaml").replace("http://127.0.0.1:9095/", &format!("http://{}/hook", at(9095)));
    let alertmanager = Alertmanager::configured(&net, at(9093), &routing).unwrap();
    let export = |hosts: &[Exported]| hosts.chunks(2_000).for_each(|some| victoria.take(&request(some)).unwrap());

    // All report. One has a wrong clock and says so itself; of another one only the metrics tell.
    let mut fleet: Vec<Exported> = (0..HOSTS + OTHERS).map(host).collect();
    let (skewed, expiring) = (HOSTS + 7, HOSTS + 8);
    fleet[skewed] = alerting(skewed, "clock-skew", "");
    fleet[expiring] = alerting(expiring, "credential-expiring", "imds");
    export(&fleet);
    alertmanager.take(&[posted(skewed, "clock-skew")]).unwrap();
    let rules = hurried("skewguard.rules.yaml");
    let vmalert = Vmalert::start(&net, at(8880), &rules, &victoria.url(), &alertmanager.url()).unwrap();
    let both = wait_for("both pages", Duration::from_secs(40), || {
        let told = notifications(&hook);
        (told.len() >= 2).then_some(told)
    });
    let _ = both.unwrap_or_else(|error| panic!("{error}: {:?} {}", notifications(&hook), vmalert.log()));
    // As long as a group may wait for what it is told of next.
    sleep(Duration::from_secs(GROUP_INTERVAL + 2));
    let mut told = notifications(&hook);
    told.sort_by_key(|one| one["groupLabels"]["alertname"].to_string());
    let named: Vec<_> = told.iter().map(|one| (label(one, "host"), label(one, "source"))).collect();
    let (web, other) = (format!("web-{skewed}"), format!("web-{expiring}"));
    assert_eq!(named, [(vec![web.as_str()], vec!["skewguard"]), (vec![other.as_str()], vec!["skewguard-rules"])]);
    // The rules tell of the first as well, but there it is the same alert.
    let active = alertmanager.active("clock-skew").unwrap();
    let muted = active.iter().filter(|alert| alert["status"]["state"] == "suppressed").count();
    assert_eq!((active.len(), muted), (2, 1), "{active:#?}");

    // All hosts of one image go wrong within a minute, which is four seconds here, and each says so itself.
    let begin = Instant::now();
    for part in 0..4 {
        let wrong: Vec<usize> = (part * HOSTS / 4..(part + 1) * HOSTS / 4).collect();
        export(&wrong.iter().map(|index| alerting(*index, "clock-skew", "")).collect::<Vec<_>>());
        for some in wrong.chunks(500) {
            alertmanager.take(&some.iter().map(|index| posted(*index, "clock-skew")).collect::<Vec<_>>()).unwrap();
        }
    }
    let page = wait_for("the page", Duration::from_secs(120), || {
        let told = notifications(&hook);
        told.into_iter().find(|one| one["groupLabels"]["alertname"] == "fleet-cause")
    });
    page.unwrap_or_else(|error| panic!("{error}: {}", vmalert.log()));
    // Until then the hosts are told of once an interval, however long a busy machine takes.
    let intervals = usize::try_from(begin.elapsed().as_secs() / GROUP_INTERVAL).unwrap();
    sleep(Duration::from_secs(GROUP_INTERVAL + 2));
    let more = notifications(&hook).split_off(2);
    let shown: Vec<_> = more.iter().map(shortly).collect();
    assert!(more.len() <= 3 + intervals, "{} notifications in {intervals} intervals: {shown:#?}", more.len());
    // From the page on nothing else is told, but for what was on its way.
    let paged = more.iter().position(|one| one["groupLabels"]["alertname"] == "fleet-cause").unwrap();
    let others = more[paged..].iter().filter(|one| one["groupLabels"]["alertname"] != "fleet-cause").count();
    assert!(others <= 1, "{shown:#?}");
    let page = more.iter().rfind(|one| one["groupLabels"]["alertname"] == "fleet-cause").unwrap();
    assert_eq!((label(page, "cause"), label(page, "value")), (vec!["image"], vec!["ami-0bad"]), "{shown:#?}");
    let summary = page["alerts"][0]["annotations"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("clock-skew on ") && summary.ends_with("share the image ami-0bad"), "{summary}");
}
