//! What the agent reports, to a real backend and to collectors that fail.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tests::agent::Skewguard;
use tests::chrony::Chrony;
use tests::http::{HttpServer, Reply};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::victoria::Victoria;
use tests::wait::{wait_for, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A metadata service whose credential expires in ten minutes.
fn expiring(net: &Net) -> HttpServer {
    let now = std::process::Command::new("date").args(["-u", "-d", "+10 min", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    let expiration = String::from_utf8(now.stdout).unwrap();
    let document = format!(
        r#"{{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"{}"}}"#,
        expiration.trim()
    );
    metadata::start(net, Side::Aws, SocketAddr::new(IMDS, 80), &document).unwrap()
}

fn config(otlp: &str) -> String {
    format!(
        "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}]
credentials: {{ imds: {{ poll: 10s }} }}
alerts: {{ boot_grace: 0s }}
telemetry: {{ detail: full, otlp: {{ endpoint: \"{otlp}\", interval: 1s, timeout: 1s }} }}
"
    )
}

/// A query of the backend, and where `status` has the same value.
struct Expected {
    promql: &'static str,
    pointer: &'static str,
    /// What the value changes by between a status and an export, and how it is rounded.
    tolerance: f64,
    /// The backend's value times this is the value of the status.
    scale: f64,
}

const fn expect(promql: &'static str, pointer: &'static str, tolerance: f64) -> Expected {
    Expected { promql, pointer, tolerance, scale: 1.0 }
}

/// Every metric whose value stands in the status as a number.
const NUMBERS: [Expected; 26] = [
    expect("clock_offset_seconds", "/clock/offset_seconds", 0.01),
    expect("clock_error_bound_seconds", "/clock/error_bound_seconds", 0.01),
    Expected { scale: 1e6, ..expect("clock_drift_ratio", "/clock/drift_ppm", 5.0) },
    expect("clock_steps_total{clock_direction=\"forward\"}", "/clock/steps/forward", 0.0),
    expect("clock_steps_total{clock_direction=\"backward\"}", "/clock/steps/backward", 0.0),
    expect("clock_kernel_max_error_seconds", "/clock/kernel/max_error_seconds", 0.01),
    Expected { scale: 1e6, ..expect("clock_kernel_frequency_ratio", "/clock/kernel/frequency_ppm", 1e-6) },
    expect("clock_source_offset_seconds{clock_source=\"amazon-time-sync\"}", "/sources/0/offset_seconds", 0.01),
    expect("clock_source_delay_seconds", "/sources/0/delay_seconds", 0.001),
    expect("clock_source_root_distance_seconds", "/sources/0/root_distance_seconds", 0.001),
    expect("clock_source_stratum", "/sources/0/stratum", 0.0),
    expect("clock_source_reachability_ratio", "/sources/0/reachability", 0.0),
    expect("clock_source_queries_total{outcome=\"ok\"}", "/sources/0/outcomes/ok", 4.0),
    expect("aws_signature_margin_seconds{aws_limit=\"sdk-correction\"}", "/limits/0/margin_seconds", 0.01),
    expect("aws_signature_margin_seconds{aws_limit=\"sigv4\"}", "/limits/1/margin_seconds", 0.01),
    expect("aws_signature_time_to_limit_seconds{aws_limit=\"s3-sts\"}", "/limits/2/time_to_limit_seconds", 20_000.0),
    expect("aws_credential_expiration_seconds", "/credentials/0/expiration_seconds", 0.0),
    expect(
        "aws_credential_remaining_seconds{aws_credential_identity=\"web\"}",
        "/credentials/0/remaining_seconds",
        4.0,
    ),
    expect("aws_credential_remaining_local_seconds", "/credentials/0/remaining_local_seconds", 4.0),
    expect("aws_credential_age_seconds", "/credentials/0/age_seconds", 4.0),
    expect(
        "aws_credential_refresh_margin_seconds{aws_sdk=\"botocore\"}",
        "/credentials/0/refresh_margins_seconds/botocore",
        0.05,
    ),
    expect("aws_imds_requests_total{outcome=\"ok\"}", "/imds_requests/ok", 4.0),
    expect("skewguard_delivery_queued{destination=\"otlp-metrics\"}", "/delivery/1/queued", 1.0),
    expect("skewguard_delivery_bytes{destination=\"otlp-logs\"}", "/delivery/0/bytes", 0.0),
    expect("skewguard_delivery_dropped_total{destination=\"otlp-metrics\"}", "/delivery/1/dropped", 0.0),
    expect("skewguard_delivery_failures_total{destination=\"otlp-metrics\"}", "/delivery/1/failures", 0.0),
];

/// Every metric whose value follows from a word of the status.
const FLAGS: [(&str, f64); 9] = [
    ("clock_state{clock_state=\"synchronized\"}", 1.0),
    ("clock_state{clock_state=\"holdover\"}", 0.0),
    ("clock_source_verdict{clock_source_verdict=\"truechimer\"}", 1.0),
    ("clock_source_verdict{clock_source_verdict=\"falseticker\"}", 0.0),
    ("skewguard_alert_active{alert=\"credential-expiring\",severity=\"warning\"}", 1.0),
    ("count(clock_kernel_synchronized)", 1.0),
    ("count(aws_imds_duration_seconds_count{outcome=\"ok\"})", 1.0),
    ("count(aws_imds_duration_seconds_bucket{outcome=\"ok\",le=\"+Inf\"})", 1.0),
    ("count(aws_credential_refresh_margin_seconds)", 5.0),
];

#[test]
fn every_metric_arrives_in_a_real_backend_with_the_value_that_status_shows() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::with_drift(&net, TIME_SYNC, 500.0).unwrap();
    let _metadata = expiring(&net);
    let victoria = Victoria::start(&net, Side::Aws, SocketAddr::new(IMDS, 8428)).unwrap();
    let agent = Skewguard::new(&net, &config(&victoria.otlp_url())).unwrap();
    let mut running = agent.run().unwrap();
    let is_complete = |status: &Value| {
        status["clock"]["drift_ppm"].is_f64()
            && status["alerts"].as_array().is_some_and(|alerts| alerts.iter().any(|alert| alert["state"] == "firing"))
            && status["delivery"][1]["delivered"].as_u64() > Some(20)
    };
    running.await_status("a drift, an alert and exports", PATIENCE, is_complete).unwrap();

    for Expected { promql, pointer, tolerance, scale } in NUMBERS {
        // The export after a status may be a second late.
        let agreed = wait_for(promql, Duration::from_secs(10), || {
            let status = running.status().ok()?;
            let expected = status.pointer(pointer)?.as_f64()?;
            let series = victoria.query(promql).ok()?;
            (series.len() == 1 && (series[0].1 * scale - expected).abs() <= tolerance).then_some(())
        });
        agreed.unwrap_or_else(|error| {
            panic!(
                "{error}: status {:?}, backend {:?}",
                running.status().unwrap().pointer(pointer),
                victoria.query(promql)
            )
        });
    }
    for (promql, expected) in FLAGS {
        let agreed = wait_for(promql, Duration::from_secs(10), || {
            let series = victoria.query(promql).ok()?;
            (series.len() == 1 && (series[0].1 - expected).abs() < 1e-9).then_some(())
        });
        agreed.unwrap_or_else(|error| panic!("{error}: {:?}", victoria.query(promql)));
    }
    let labels = &victoria.query("clock_offset_seconds").unwrap()[0].0;
    for (label, value) in [
        ("service.name", "skewguard"),
        ("host.id", "i-0123456789abcdef0"),
        ("cloud.region", "eu-central-1"),
        ("cloud.account.id", "123456789012"),
        ("cloud.provider", "aws"),
    ] {
        let underscored = label.replace('.', "_");
        let found = labels.get(label).or_else(|| labels.get(&underscored));
        assert_eq!(found.map(String::as_str), Some(value), "{label}: {labels:?}");
    }
}

#[test]
fn the_variables_of_opentelemetry_are_honoured() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let collector = HttpServer::start(&net, Side::Aws, SocketAddr::new(IMDS, 4318)).unwrap();
    collector.on("POST /v1/metrics", Reply::ok(""));
    let yaml = "sources: [{ name: s, ntp: 169.254.169.123, poll: 1s }]\ncredentials: { imds: { enabled: false } }\n";
    let agent = Skewguard::new(&net, yaml)
        .unwrap()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "1000")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab,service.name=named-by-hand")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "none");
    let _running = agent.run().unwrap();
    let request = wait_for("an export", PATIENCE, || collector.requests().into_iter().next()).unwrap();
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    assert_eq!((header("x-tenant"), header("content-type")), (Some("blue"), Some("application/x-protobuf")));
    assert_eq!(header("content-encoding"), None);
    let holds = |text: &str| request.body.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("deployment.environment.name") && holds("named-by-hand") && holds("clock.state"));
}

#[test]
fn a_host_of_a_fleet_costs_less_than_one_that_tells_everything() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let _metadata = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
    let sizes = [("fleet", 4318), ("full", 4319)].map(|(detail, port)| {
        let collector = HttpServer::start(&net, Side::Aws, SocketAddr::new(IMDS, port)).unwrap();
        collector.on("POST /v1/metrics", Reply::ok(""));
        let yaml = config(&collector.url()).replace("full", detail);
        let agent = Skewguard::new(&net, &yaml).unwrap();
        let _running = agent.run().unwrap();
        let exports = wait_for("exports", PATIENCE, || {
            let requests = collector.requests();
            (requests.len() >= 10).then_some(requests)
        });
        let exports = exports.unwrap();
        let last = exports.last().unwrap();
        let headers: usize = last.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        println!("{detail}: {} bytes of headers and {} of metrics", headers, last.body.len());
        headers + last.body.len()
    });
    let [fleet, full] = sizes;
    let a_day = |size: usize| size as f64 * 1_440.0 / 1e6;
    println!("a day, by the usual minute: {:.2} MB and {:.2} MB", a_day(fleet), a_day(full));
    assert!(fleet * 3 < full * 2, "{fleet} and {full}");
}

/// What a collector can do wrong: its name, its reply, and the reason that the agent gives.
fn bad_collectors() -> Vec<(&'static str, Option<Reply>, &'static str)> {
    vec![
        ("refused", None, "no connection: Connection refused"),
        ("400", Some(Reply::new(400, "")), "status 400"),
        ("503", Some(Reply::new(503, "")), "status 503"),
        ("slow", Some(Reply::ok("").delayed(Duration::from_secs(3))), "no answer in time"),
        ("silent", Some(Reply::ok("").delayed(Duration::from_secs(3_600))), "no answer in time"),
        ("hangs up", Some(Reply::hang_up()), ""),
    ]
}

#[test]
fn a_collector_that_fails_is_logged_once_and_counted_and_measuring_goes_on_to_the_second() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    std::thread::scope(|scope| {
        for (index, (name, reply, reason)) in bad_collectors().into_iter().enumerate() {
            let net = &net;
            scope.spawn(move || {
                let port = 5_000 + u16::try_from(index).unwrap();
                let address = SocketAddr::new(IMDS, port);
                let collector = reply.clone().map(|reply| {
                    let server = HttpServer::start(net, Side::Aws, address).unwrap();
                    server.on("POST /v1/metrics", reply);
                    server
                });
                let yaml =
                    config(&format!("http://{address}")).replace("imds: { poll: 10s }", "imds: { enabled: false }");
                let agent = Skewguard::new(net, &yaml).unwrap();
                let mut running = agent.run().unwrap();
                let failing = running
                    .await_status(name, PATIENCE, |status| status["delivery"][1]["failures"].as_u64() >= Some(2))
                    .unwrap();
                let error = failing["delivery"][1]["error"].as_str().unwrap();
                assert!(error.starts_with(reason), "{name}: {error}");
                // Ten answers of the time server after that, at one a second, none of them late.
                let polls = |status: &Value| status["sources"][0]["outcomes"]["ok"].as_u64().unwrap();
                let started = std::time::Instant::now();
                let first = polls(&failing);
                running.await_status("ten polls", PATIENCE, |status| polls(status) >= first + 10).unwrap();
                let seconds = started.elapsed().as_secs_f64();
                assert!((7.0..20.0).contains(&seconds), "{name}: ten polls took {seconds} s");
                let warnings = running.log().matches("delivery fails").count();
                assert_eq!(warnings, 1, "{name}: {}", running.log());
                if let Some(collector) = &collector {
                    collector.on("POST /v1/metrics", Reply::ok(""));
                    let recovered = |status: &Value| status["delivery"][1]["error"].is_null();
                    running.await_status("recovery", PATIENCE, recovered).unwrap();
                    let works_again = || running.log().matches("delivery works again").count();
                    // The log is written beside the work.
                    wait_until("a word of recovery", PATIENCE, || works_again() > 0).unwrap();
                    assert_eq!(works_again(), 1, "{name}: {}", running.log());
                }
            });
        }
    });
}

#[test]
fn alerts_arrive_as_log_records_and_at_a_signed_webhook_that_failed_at_first() {
    let net = Net::new().unwrap();
    let _chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let _metadata = expiring(&net);
    let collector = HttpServer::start(&net, Side::Aws, SocketAddr::new(IMDS, 4318)).unwrap();
    collector.on("POST /v1/metrics", Reply::ok(""));
    collector.on("POST /v1/logs", Reply::ok(""));
    let hook = HttpServer::start(&net, Side::Aws, SocketAddr::new(IMDS, 8080)).unwrap();
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    hook.on_each("POST /hook", move |_| {
        let is_first = attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        Reply::new(if is_first { 503 } else { 200 }, "")
    });
    let yaml = config(&collector.url())
        + &format!(
            "channels: [{{ name: ops, webhook: {{ url: \"{}/hook\", secret: \"env:HOOK_SECRET\", headers: {{ authorization: \"env:HOOK_TOKEN\" }} }} }}]\n",
            hook.url()
        );
    let agent = Skewguard::new(&net, &yaml)
        .unwrap()
        .env("HOOK_SECRET", "very secret")
        .env("HOOK_TOKEN", "Bearer 1234")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "none");
    let running = agent.run().unwrap();
    wait_for("the second attempt", PATIENCE, || (hook.count("POST /hook") >= 2).then_some(())).unwrap();
    let requests = hook.requests();
    assert_eq!(requests[0].body, requests[1].body);
    for header in ["idempotency-key", "x-skewguard-signature", "authorization"] {
        assert!(requests[0].headers.contains_key(header), "{header}");
        assert_eq!(requests[0].headers.get(header), requests[1].headers.get(header));
    }
    assert_eq!(requests[0].headers["authorization"], "Bearer 1234");
    let message: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(message["alert"], "credential-expiring");
    assert_eq!(message["attributes"]["host.id"].as_str().unwrap_or("i-0123456789abcdef0"), "i-0123456789abcdef0");
    let log = wait_for("a log record", PATIENCE, || {
        collector.requests().into_iter().find(|request| request.route() == "POST /v1/logs")
    })
    .unwrap();
    let holds = |text: &str| log.body.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("skewguard.alert") && holds("credential-expiring") && holds("alert.remedy"));
    for secret in ["very secret", "Bearer 1234"] {
        assert!(!running.log().contains(secret) && !holds(secret));
        assert!(!running.status().unwrap().to_string().contains(secret));
    }
}
