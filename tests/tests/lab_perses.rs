//! The dashboards of `deploy/dashboards` as they look: the components of Perses draw them in a browser, over six hours of a fleet
//! in a real VictoriaMetrics, with what the rules would have recorded. `SKEWGUARD_WRITE_DOCS=1` keeps the pictures beside them.

#![expect(clippy::disallowed_methods, reason = "a dashboard shows the last hours of the machine's own clock")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no text is")]

use std::fs;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tests::browser::{Drawn, draw};
use tests::net::{IMDS, Net, Side};
use tests::observability::committed::root;
use tests::observability::record;
use tests::observability::rule::Written;
use tests::observability::scheme::Scheme;
use tests::observability::story::{self, HOSTS, IMAGE, WORST};
use tests::victoria::Victoria;

/// How high a fleet is drawn, so that all of it is there.
const TALL: u32 = 4_100;
/// The largest picture that is kept.
const LARGEST: usize = 200 * 1024;

/// A backend that has seen the fleet, and what the rules have recorded of it.
fn told(net: &Net) -> Victoria<'_> {
    let victoria = Victoria::start(net, Side::Aws, SocketAddr::new(IMDS, 8428)).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    victoria.import_series(&story::lines(Scheme::Prometheus, now)).unwrap();
    let span = (now - u64::from(story::MINUTES) * 60, now);
    for rule in record::all(Scheme::Prometheus) {
        let Written::Record { record, expr, labels } = rule else { continue };
        victoria.record((&record, &expr), &labels, span).unwrap();
    }
    victoria
}

fn dashboard(name: &str) -> Value {
    let path = root().join(format!("deploy/dashboards/perses/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The titles of its panels and of its rows.
fn titles(dashboard: &Value) -> Vec<String> {
    let panels =
        dashboard["spec"]["panels"].as_object().unwrap().values().map(|panel| &panel["spec"]["display"]["name"]);
    let rows = dashboard["spec"]["layouts"].as_array().unwrap().iter().map(|row| &row["spec"]["display"]["title"]);
    panels.chain(rows).map(|title| title.as_str().unwrap().to_owned()).collect()
}

/// Nothing is missing, and nothing has failed.
#[track_caller]
fn assert_whole(drawn: &Drawn, dashboard: &Value) {
    for title in titles(dashboard) {
        assert!(drawn.says(&title), "{title} is not drawn: {:?}", drawn.text);
    }
    for text in &drawn.text {
        let lower = text.to_lowercase();
        let is_bad = ["error", "failed", "no data", "not found", "unable to", "undefined", "nan"];
        let is_bad =
            is_bad.iter().any(|bad| lower == *bad || lower.contains(&format!("{bad} ")) || lower.ends_with(bad));
        assert!(!is_bad, "{text:?} is drawn: {:?}", drawn.text);
    }
    assert!(drawn.picture.len() > 40_000, "the picture is all but empty");
}

/// Keeps a picture, or compares nothing but that there is one: no two are alike to the pixel.
fn keep(name: &str, drawn: &Drawn) {
    let path = root().join(format!("deploy/dashboards/{name}.png"));
    if std::env::var_os("SKEWGUARD_WRITE_DOCS").is_some() {
        fs::write(&path, &drawn.picture).unwrap();
    }
    let kept = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(kept.starts_with(b"\x89PNG") && kept.len() <= LARGEST, "{} has {} bytes", path.display(), kept.len());
}

#[test]
fn the_dashboards_show_what_is_wrong_with_a_fleet_and_with_its_worst_host() {
    let net = Net::new().unwrap();
    let victoria = told(&net);
    let see = |name: &str, chosen: &[(&str, &str)], height| {
        draw(&net, &dashboard(name), &victoria.url(), chosen, height).unwrap()
    };

    let (fleet, host) = (see("fleet", &[], TALL), see("host", &[("host", WORST)], 1600));
    assert_whole(&fleet, &dashboard("fleet"));
    assert_whole(&host, &dashboard("host"));
    // How many there are, and what the worst of them, and what the page for all of them, are about.
    for text in [&(HOSTS - 2).to_string(), "Without agent", WORST, IMAGE, "clock-undisciplined", "critical"] {
        assert!(fleet.says(text), "{text} is not drawn: {:?}", fleet.text);
    }
    // No other host has a skew that is critical.
    for text in ["clock-skew", "clock-undisciplined", "critical", "sigv4", "amazon-time-sync"] {
        assert!(host.says(text), "{text} is not drawn: {:?}", host.text);
    }
    // The whole of it is too tall for a page that somebody reads.
    keep("fleet", &see("fleet", &[], 1500));
    keep("host", &host);
}
