//! What is recorded: first what the agents say, under labels that are the same in every backend and in what the agents tell
//! Alertmanager themselves; then which hosts share what.

use std::collections::BTreeMap;

use super::rule::Written;
use super::scheme::Scheme;

/// What a host is told by: the label that the agent gives its own alerts, or one like it, and the attribute it comes from.
const HOST: [(&str, &str); 9] = [
    ("host", "host.name"),
    ("instance_id", "host.id"),
    ("account_id", "cloud.account.id"),
    ("region", "cloud.region"),
    ("availability_zone", "cloud.availability_zone"),
    ("image", "host.image.id"),
    ("instance_type", "host.type"),
    ("version", "service.version"),
    ("configuration", "skewguard.configuration"),
];

/// What hosts share that may be the cause where many go wrong at once. The region is last: it is named where nothing in it
/// tells those that are wrong from the others.
pub const CAUSES: [&str; 5] = ["availability_zone", "image", "instance_type", "version", "configuration"];

/// The hosts that report: one series each.
pub const PRESENT: &str = "skewguard:host:present";
/// A host that was seen within this time and is not now has fallen silent. One that was terminated is forgotten after it.
const MEMORY: &str = "1h";
/// The hosts where node_exporter runs: what they call themselves, and the address that they are scraped at.
pub const SEEN: &str = "skewguard:host:seen";
/// The addresses at which agents are scraped.
pub const ADDRESS: &str = "skewguard:address:present";
/// A host that is scraped, in the label `instance`: without its port, be it an address of IPv6 or not.
const INSTANCE: &str = "([^:]+|[[].+[]]|.*:.*:.*)(:[0-9]+)?";
/// The addresses of Amazon Time Sync, and its clock on an instance's network card.
const TIME_SYNC: &str = "169[.]254[.]169[.]123|fd00:ec2::123|PHC of the ENA";

/// All of them, in the order in which they rest upon one another.
pub fn all(scheme: Scheme) -> Vec<Written> {
    let mut all = said_by_agents(scheme);
    all.extend(hosts());
    all.extend(causes(scheme));
    all
}

fn record(record: &str, expr: String) -> Written {
    labelled(record, expr, &[])
}

fn labelled(record: &str, expr: String, labels: &[(&'static str, &str)]) -> Written {
    let labels: BTreeMap<_, _> = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Written::Record { record: record.to_owned(), expr, labels }
}

/// An expression with its attributes under their labels, and nothing else: those of the host and these.
fn named(scheme: Scheme, expression: &str, more: &[(&str, &str)]) -> String {
    aggregated("max", scheme, expression, more)
}

/// The same with the least of several values of one host, or the greatest.
fn aggregated(which: &str, scheme: Scheme, expression: &str, more: &[(&str, &str)]) -> String {
    let labels = || HOST.iter().chain(more);
    // Where nothing else is known, what is scraped has an instance, which is the host, and a port.
    let mut renamed = vec![("host", "\"instance\"".to_owned(), INSTANCE)];
    renamed.extend(labels().map(|(label, attribute)| (*label, scheme.quoted(attribute), "(.+)")));
    renamed.retain(|(label, attribute, _)| *attribute != format!("\"{label}\""));
    let by: Vec<&str> = labels().map(|(label, _)| *label).collect();
    let begin = "label_replace(".repeat(renamed.len());
    let end: String = renamed
        .iter()
        .map(|(label, attribute, pattern)| format!(",\n  \"{label}\", \"$1\", {attribute}, \"{pattern}\")"))
        .collect();
    format!("{which} by ({}) (\n  {begin}\n  {}{end}\n)", by.join(", "), with_resource(scheme, expression))
}

/// An expression, of which what is scraped gets the attributes that its `target_info` has. Scraped names are those of Prometheus.
fn with_resource(scheme: Scheme, expression: &str) -> String {
    if scheme == Scheme::Opentelemetry {
        return scheme.expression(expression);
    }
    let of = |host: &str| scheme.expression(&selecting(expression, host));
    let (pushed, scraped) = (of("`host.name`!=\"\""), of(SCRAPED));
    let attributes = scheme.expression(&HOST.map(|(_, attribute)| format!("`{attribute}`")).join(", "));
    // Whatever else node_exporter has files of is told apart by its name; OTLP has made that the job.
    let info = "target_info{host_name!=\"\", service_name=~\"skewguard|\"}";
    format!(
        "(\n  {pushed}\n  or\n  ({scraped}) * on (job, instance) group_left ({attributes})\n  \
         topk by (job, instance) (1, {info})\n  or\n  ({scraped}) unless on (job, instance) {info}\n  )"
    )
}

/// A series without a resource.
const SCRAPED: &str = "`host.name`=\"\"";

/// An expression with one more matcher for its metric, which is the first name in it.
fn selecting(expression: &str, matcher: &str) -> String {
    let mut pieces = expression.splitn(3, '`');
    let (before, metric, after) =
        (pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default());
    let after = after.strip_prefix('{').map_or_else(|| format!("}}{after}"), |more| format!(", {more}"));
    format!("{before}`{metric}`{{{matcher}{after}")
}

fn said_by_agents(scheme: Scheme) -> Vec<Written> {
    let firing = [("kind", "alert"), ("severity", "severity"), ("subject", "subject")];
    let lost = |counter: &str| {
        let grown = format!("increase(`skewguard.delivery.{counter}`[15m]) > 0");
        let of_hosts = named(scheme, &grown, &[("destination", "destination")]);
        record(
            &format!("skewguard:destination:{counter}"),
            format!("count by (account_id, region, destination) ({of_hosts})"),
        )
    };
    let least = |name: &str, metric: &str| record(name, aggregated("min", scheme, &format!("`{metric}`"), &[]));
    vec![
        record(PRESENT, named(scheme, "`clock.state` == 1", &[])),
        record(
            ADDRESS,
            format!(
                "max by (address) (label_replace(\n  {},\n  \"address\", \"$1\", \"instance\", \"{INSTANCE}\"))",
                scheme.expression("`clock.state`{instance=~\".+:[0-9]+\"} == 1")
            ),
        ),
        record("skewguard:alert:firing", named(scheme, "`skewguard.alert.active` == 1", &firing)),
        record("skewguard:host:time_sync_against_http_date", against_http(scheme)),
        lost("refusals"),
        lost("dropped"),
        record(
            "skewguard:hosts:state",
            format!(
                "count by (account_id, region, state) ({})",
                named(scheme, "`clock.state` == 1", &[("state", "clock.state")])
            ),
        ),
        least("skewguard:host:margin_seconds", "aws.signature.margin"),
        least("skewguard:host:credential_remaining_seconds", "aws.credential.remaining"),
        least("skewguard:host:refresh_margin_seconds", "aws.credential.refresh_margin"),
    ]
}

/// By how much Time Sync is ahead of all HTTPS servers of a host, or behind them all, by the nearest of them; 0 where it is
/// between them: then one of them is wrong.
fn against_http(scheme: Scheme) -> String {
    let time_sync = format!("`clock.source.offset`{{`server.address`=~\"{TIME_SYNC}\"}}");
    let http = "`clock.source.offset`{`clock.source.kind`=\"http_date\"}";
    let ahead = |which, of_http| {
        let (time_sync, http) = (aggregated(which, scheme, &time_sync, &[]), aggregated(of_http, scheme, http, &[]));
        format!("{time_sync} - {http}")
    };
    format!("clamp_min({}, 0)\n+\nclamp_max({}, 0)", ahead("min", "max"), ahead("max", "min"))
}

fn hosts() -> Vec<Written> {
    let shared = CAUSES.join(", ");
    // The name of a host is not always one of a kind; before the metadata service has answered there is nothing else.
    let silent = format!(
        "(max_over_time({PRESENT}{{instance_id!=\"\"}}[{MEMORY}]) unless on (host, instance_id) {PRESENT})\n\
         or\n(max_over_time({PRESENT}{{instance_id=\"\"}}[{MEMORY}]) unless on (host) {PRESENT})"
    );
    // node_exporter tells a host whose agent has ended from one that was terminated, which nothing is wrong with.
    let lost = format!("(skewguard:host:silent and on (host) {SEEN})");
    let as_alert = format!(
        "label_replace(label_replace(\n  {lost},\n  \
         \"kind\", \"host-silent\", \"\", \"\"),\n  \"severity\", \"warning\", \"\", \"\")"
    );
    let host = HOST.map(|(label, _)| label).join(", ");
    // A host counts once, as the worst that it has of a kind.
    let firing = |is| format!("max by ({host}, kind, severity) (skewguard:alert:firing{{severity{is}\"critical\"}})");
    let by_region = "count by (account_id, region)";
    vec![
        record(
            SEEN,
            format!(
                "max by (host, address) (label_replace(label_replace(\n  node_uname_info,\n  \
                 \"host\", \"$1\", \"nodename\", \"(.+)\"),\n  \"address\", \"$1\", \"instance\", \"{INSTANCE}\"))"
            ),
        ),
        record("skewguard:host:silent", silent),
        record(
            "skewguard:hosts:silent_share",
            format!(
                "{by_region} (skewguard:host:silent)\n/\n{by_region} (\n  {PRESENT}\n  or\n  skewguard:host:silent\n)"
            ),
        ),
        record("skewguard:hosts", format!("count by (account_id, region, {shared}) (\n  {PRESENT}\n  or\n  {lost}\n)")),
        record(
            "skewguard:hosts:alerting",
            format!(
                "count by (account_id, region, {shared}, kind, severity) (\n  {}\n  or on ({host}, kind)\n  {}\n  or\n  \
                 {as_alert}\n)",
                firing("="),
                firing("!=")
            ),
        ),
    ]
}

/// How many hosts share a cause, and how many of them are wrong.
fn causes(scheme: Scheme) -> Vec<Written> {
    let mut all = Vec::new();
    for cause in CAUSES.into_iter().chain(["region"]) {
        let value = |series: &str, more: &str| {
            format!("label_replace({series}{{{cause}!=\"\"{more}}}, \"value\", \"$1\", \"{cause}\", \"(.*)\")")
        };
        let hosts = format!("sum by (account_id, region, value) ({})", value("skewguard:hosts", ""));
        let wrong = worst("sum", |more| value("skewguard:hosts:alerting", more));
        all.push(labelled("skewguard:cause:hosts", hosts, &[("cause", cause)]));
        all.push(labelled("skewguard:cause:alerting", wrong, &[("cause", cause)]));
    }
    // Of a source: those who ask it, and those who complain of it.
    let asked = named(scheme, "`clock.source.reachability`", &[("value", "clock.source")]);
    let blamed = |more: &str| {
        let firing = format!("skewguard:alert:firing{{kind=~\"source-.*\"{more}}}");
        format!("label_replace({firing}, \"value\", \"$1\", \"subject\", \"(.*)\")")
    };
    let source = [("cause", "source")];
    all.push(labelled("skewguard:cause:hosts", format!("count by (account_id, region, value) ({asked})"), &source));
    all.push(labelled("skewguard:cause:alerting", worst("count", blamed), &source));
    all
}

/// Those that are wrong, however badly, by what they share; the severity is that of the worst of them.
fn worst(count: &str, wrong: impl Fn(&str) -> String) -> String {
    let by = "(account_id, region, kind, value)";
    let all = format!("{count} by {by} ({})", wrong(""));
    let some = wrong(", severity=\"critical\"");
    let told = |severity: &str, of: &str| format!("label_replace({of}, \"severity\", \"{severity}\", \"\", \"\")");
    let critical = told("critical", &format!("\n  {all}\n  and on {by} {some}\n  "));
    format!("{critical}\nor on {by}\n{}", told("warning", &all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_goes_to_the_metric_whatever_it_has_already() {
        let selected = |expression| selecting(expression, "a=\"b\"");
        assert_eq!(selected("`clock.state` == 1"), "`clock.state`{a=\"b\"} == 1");
        assert_eq!(selected("increase(`clock.steps`[15m]) > 0"), "increase(`clock.steps`{a=\"b\"}[15m]) > 0");
        assert_eq!(selected("`clock.offset`{`c`=\"d\"}"), "`clock.offset`{a=\"b\", `c`=\"d\"}");
    }
}
