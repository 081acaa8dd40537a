//! Six hours of a fleet that there is not, in which things go wrong that dashboards have to show: an image whose hosts nobody
//! keeps the clock of, a time server that is wrong, hosts that fall silent, credentials that are not replaced.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::scheme::Scheme;

/// How long it lasts, in minutes.
pub const MINUTES: u32 = 360;
/// The host that is looked at: the clock of no other is as wrong.
pub const WORST: &str = "ip-10-0-3-31";
/// How many hosts there are, of which two fall silent.
pub const HOSTS: u32 = 40;
/// The image that is to blame, which a quarter of them has.
pub const IMAGE: &str = "ami-0new9c4e";
/// From which minute on its clocks run away.
const RUNAWAY: f64 = 120.0;

/// All series, with their values, one a minute: those of OpenTelemetry's names are written under those of a scheme.
struct Tale<'a> {
    scheme: Scheme,
    /// When it ends, in milliseconds since the epoch.
    end: u64,
    resource: BTreeMap<&'static str, String>,
    /// The minute from which on the host says nothing.
    silent_from: u32,
    lines: &'a mut String,
}

impl Tale<'_> {
    /// Adds a series; a minute without a value has none.
    fn tell(&mut self, metric: &str, more: &[(&'static str, &str)], value: impl Fn(f64) -> Option<f64>) {
        let name = |name: &str| {
            if name.contains('.') {
                self.scheme.expression(&format!("`{name}`")).replace('\\', "")
            } else {
                name.to_owned()
            }
        };
        let own = self.resource.iter().map(|(key, value)| (name(key), value.clone()));
        let more = more.iter().map(|(key, value)| (name(key), (*value).to_owned()));
        let mut labels: BTreeMap<String, String> = own.chain(more).collect();
        labels.insert("__name__".to_owned(), name(metric));
        let told = (0..=MINUTES.min(self.silent_from)).filter_map(|minute| {
            let at = self.end - u64::from(MINUTES - minute) * 60_000;
            Some((at, value(f64::from(minute))?))
        });
        let (timestamps, values): (Vec<u64>, Vec<f64>) = told.unzip();
        if !values.is_empty() {
            let line = json!({ "metric": labels, "values": values, "timestamps": timestamps });
            // Writing to a string cannot fail.
            let _ = writeln!(self.lines, "{line}");
        }
    }
}

/// As lines of JSON, which VictoriaMetrics imports, ending at `end` in seconds since the epoch.
pub fn lines(scheme: Scheme, end: u64) -> String {
    let mut lines = String::new();
    for index in 0..HOSTS {
        host(index, scheme, end * 1000, &mut lines);
    }
    // Nobody installed an agent there.
    let resource = BTreeMap::from([("nodename", "batch-7".to_owned()), ("instance", "10.0.9.7:9100".to_owned())]);
    let mut tale = Tale { scheme, end: end * 1000, resource, silent_from: MINUTES, lines: &mut lines };
    tale.tell("node_uname_info", &[], |_| Some(1.0));
    lines
}

fn host(index: u32, scheme: Scheme, end: u64, lines: &mut String) {
    let has_image = index % 4 == 3;
    let zone = match index % 3 {
        0 => "eu-central-1a",
        1 => "eu-central-1b",
        _ => "eu-central-1c",
    };
    // Some run away faster than others, and one faster than all.
    let pace = if index == 31 { 0.0182 } else { 0.002 + 0.0009 * f64::from(index % 11) };
    let resource = BTreeMap::from([
        ("host.name", format!("ip-10-0-{}-{index}", index % 4)),
        ("host.id", format!("i-0{index:015x}")),
        ("cloud.account.id", "123456789012".to_owned()),
        ("cloud.region", "eu-central-1".to_owned()),
        ("cloud.availability_zone", zone.to_owned()),
        ("host.image.id", if has_image { IMAGE } else { "ami-0old1f7a" }.to_owned()),
        ("host.type", if index.is_multiple_of(5) { "c7g.xlarge" } else { "m7g.large" }.to_owned()),
        ("service.version", if index < 3 { "0.0.9" } else { "0.1.0" }.to_owned()),
        ("service.name", "skewguard".to_owned()),
    ]);
    let silent_from = if matches!(index, 8 | 17) { MINUTES - 25 } else { MINUTES };
    let mut tale = Tale { scheme, end, resource, silent_from, lines };
    // No two clocks are wrong alike, even where they are right.
    let noise = move |minute: f64| 0.0004 * (minute * 0.37 + f64::from(index)).sin();
    let offset = move |minute: f64| {
        let ran = if has_image { (minute - RUNAWAY).max(0.0) * 60.0 * pace } else { 0.0 };
        ran + noise(minute)
    };
    clock(&mut tale, index, has_image, pace, offset);
    sources(&mut tale, index, offset);
    credentials(&mut tale, index);
    let growing = (index % 13 == 2).then_some(MINUTES - 40);
    if let Some(from) = growing {
        let to = [("destination", "pager")];
        let since = move |minute: f64| (minute - f64::from(from)).max(0.0);
        tale.tell("skewguard.delivery.queued", &to, |minute| Some(since(minute).min(12.0)));
        tale.tell("skewguard.delivery.refusals", &to, |minute| Some(since(minute)));
        tale.tell("skewguard.delivery.dropped", &to, |minute| Some((since(minute) - 30.0).max(0.0)));
    }
}

fn clock(tale: &mut Tale<'_>, index: u32, has_image: bool, pace: f64, offset: impl Fn(f64) -> f64 + Copy) {
    let holds_over = move |minute: f64| index % 17 == 5 && minute > 280.0;
    for state in ["synchronized", "holdover"] {
        let is_it = move |minute: f64| holds_over(minute) == (state == "holdover");
        tale.tell("clock.state", &[("clock.state", state)], |minute| Some(f64::from(u8::from(is_it(minute)))));
    }
    tale.tell("clock.offset", &[], |minute| Some(offset(minute)));
    tale.tell("clock.error_bound", &[], |minute| Some(if holds_over(minute) { 0.004 } else { 0.0006 }));
    let drifts = move |minute: f64| has_image && minute > RUNAWAY + 10.0;
    tale.tell("clock.drift", &[], |minute| Some(if drifts(minute) { pace } else { 2e-6 }));
    for direction in ["forward", "backward"] {
        let steps = u8::from(index == 12 && direction == "backward");
        let of = [("clock.direction", direction)];
        tale.tell("clock.steps", &of, |minute| Some(if minute < 60.0 { 0.0 } else { f64::from(steps) }));
    }
    let moved = u8::from(index % 9 == 4);
    tale.tell("clock.disruptions", &[], |minute| Some(if minute < 200.0 { 0.0 } else { f64::from(moved) }));
    for (limit, window) in [("sdk-correction", 240.0), ("sigv4", 300.0), ("s3-sts", 900.0)] {
        let of = [("aws.limit", limit)];
        let margin = move |minute: f64| window - offset(minute).abs();
        tale.tell("aws.signature.margin", &of, |minute| Some(margin(minute)));
        let until = |minute: f64| drifts(minute).then(|| (margin(minute) / pace).max(0.0));
        tale.tell("aws.signature.time_to_limit", &of, until);
    }
    let skewed = |severity: &'static str, from: f64, below: f64| {
        move |minute: f64| (from..below).contains(&offset(minute)).then_some(1.0).filter(|_| !severity.is_empty())
    };
    for (severity, from, below) in [("warning", 60.0, 150.0), ("critical", 150.0, f64::MAX)] {
        fires(tale, "clock-skew", severity, "", skewed(severity, from, below));
    }
    fires(tale, "clock-undisciplined", "warning", "", |minute| {
        (has_image && offset((minute - 10.0).max(0.0)) > 1.0).then_some(1.0)
    });
    fires(tale, "clock-skew-forecast", "critical", "", |minute| drifts(minute).then_some(1.0));
}

fn fires(tale: &mut Tale<'_>, alert: &'static str, severity: &str, subject: &str, value: impl Fn(f64) -> Option<f64>) {
    let about = [("alert", alert), ("severity", severity), ("subject", subject)];
    tale.tell("skewguard.alert.active", if subject.is_empty() { &about[..2] } else { &about[..] }, value);
}

fn sources(tale: &mut Tale<'_>, index: u32, offset: impl Fn(f64) -> f64 + Copy) {
    let is_wrong = move |name: &str, minute: f64| name == "corp-ntp" && index % 10 == 6 && minute > 240.0;
    let servers = [
        ("amazon-time-sync", "ntp", "169.254.169.123"),
        ("corp-ntp", "ntp", "10.0.0.2"),
        ("aws", "http_date", "dynamodb.eu-central-1.amazonaws.com"),
    ];
    for (name, kind, address) in servers {
        let of = [("clock.source", name), ("clock.source.kind", kind), ("server.address", address)];
        let by = move |minute: f64| if is_wrong(name, minute) { 2.4 } else { 0.0 };
        tale.tell("clock.source.offset", &of, |minute| Some(offset(minute) + by(minute)));
        tale.tell("clock.source.reachability", &of, |_| Some(1.0));
        for verdict in ["truechimer", "falseticker"] {
            let of = [&of[..], &[("clock.source.verdict", verdict)]].concat();
            let is_it = move |minute: f64| is_wrong(name, minute) == (verdict == "falseticker");
            tale.tell("clock.source.verdict", &of, |minute| Some(f64::from(u8::from(is_it(minute)))));
        }
    }
    fires(tale, "source-falseticker", "warning", "corp-ntp", |minute| {
        is_wrong("corp-ntp", minute - 10.0).then_some(1.0)
    });
}

fn credentials(tale: &mut Tale<'_>, index: u32) {
    // They live for six hours, and are replaced when one is left; those of one host are not replaced any more.
    let age = move |minute: f64| (minute + 37.0 * f64::from(index)) % 300.0;
    let stuck = index == 22;
    let left = move |minute: f64| {
        let usual = (360.0 - age(minute)) * 60.0;
        if stuck { (5.0 * 3600.0 - minute * 48.0).max(600.0) } else { usual }
    };
    let of = [("aws.credential.provider", "imds"), ("aws.credential.identity", "web"), ("subject", "imds")];
    tale.tell("aws.credential.remaining", &of, |minute| Some(left(minute)));
    for (sdk, margin) in [("botocore", 780.0), ("java-v2", 240.0), ("js-v3", 300.0)] {
        let of = [&of[..], &[("aws.sdk", sdk)]].concat();
        tale.tell("aws.credential.refresh_margin", &of, |minute| Some(margin + (minute * 0.1).sin()));
    }
    fires(tale, "credential-expiring", "warning", "imds", |minute| (left(minute) < 900.0).then_some(1.0));
    fires(tale, "credential-rotation-overdue", "warning", "imds", |minute| (stuck && minute > 310.0).then_some(1.0));
    fires(tale, "credential-unavailable", "warning", "imds", |minute| (index == 29 && minute > 330.0).then_some(1.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_tells_a_value_a_minute_until_it_falls_silent() {
        let lines = lines(Scheme::Prometheus, 1_800_000_000);
        let offsets: Vec<serde_json::Value> = lines
            .lines()
            .filter(|line| line.contains("clock_offset_seconds"))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(offsets.len(), HOSTS as usize);
        let counts: Vec<usize> = offsets.iter().map(|one| one["values"].as_array().unwrap().len()).collect();
        assert_eq!((counts.iter().max(), counts.iter().min()), (Some(&361), Some(&336)));
        assert!(
            offsets.iter().any(|one| one["metric"]["host_name"] == WORST && one["values"][360].as_f64() > Some(240.0))
        );
    }
}
