//! Telemetry straight to AWS: what botocore says of the signatures, on a host whose clock is wrong. The server is a simple one,
//! for AWS itself is not here; what it asks for is what CloudWatch documents of its endpoints for OTLP.

#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "clippy takes what tests share for production code")]
#![expect(clippy::disallowed_methods, reason = "the lab is the yardstick: it takes the time itself")]

use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::NaiveDateTime;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use serde_json::json;
use tests::agent::Skewguard;
use tests::botocore;
use tests::chrony::Chrony;
use tests::http::{HttpServer, Reply, Request};
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);
const SKEW: f64 = 400.0;
/// Of one request, before it is compressed.
const MOST_BYTES: usize = 1024 * 1024;

fn config(aws: &HttpServer, more: &str) -> String {
    format!(
        "
sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }}]
credentials: {{ imds: {{ poll: 10s }} }}
alerts: {{ boot_grace: 0s, clock-skew: {{ for: 0s }} }}
telemetry:
  otlp:
    endpoint: {}
    interval: 1s
    sigv4: {{ region: eu-central-1{more} }}
",
        aws.url()
    )
}

/// The body, as CloudWatch takes it.
fn body(request: &Request) -> Vec<u8> {
    assert_eq!(request.headers["content-type"], "application/x-protobuf");
    assert_eq!(request.headers["content-encoding"], "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(request.body.as_slice()).read_to_end(&mut plain).unwrap();
    assert!(plain.len() <= MOST_BYTES);
    plain
}

/// The question of [`botocore::verifier`].
fn question(aws: &HttpServer, request: &Request, service: &str) -> String {
    let hex: String = request.body.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "method": request.method, "url": format!("{}{}", aws.url(), request.target), "headers": request.headers,
        "body": hex, "access_key": "lab", "secret_key": "lab", "token": "lab", "region": "eu-central-1",
        "service": service,
    })
    .to_string()
}

fn since_epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn metrics_and_alerts_are_signed_in_true_time_as_botocore_does_on_a_host_that_is_far_behind() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    chrony.set_offset(SKEW).unwrap();
    let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &metadata::valid_document()).unwrap();
    let aws = HttpServer::start(&net, Side::Aws, SocketAddr::new(IMDS, 4318)).unwrap();
    aws.on("POST /v1/metrics", Reply::ok(""));
    aws.on("POST /v1/logs", Reply::ok(""));
    let agent = Skewguard::new(&net, &config(&aws, ", log_group: /ops/alerts, log_stream: 'all hosts'")).unwrap();
    let mut running = agent.run().unwrap();
    let first = |route: &str| {
        let is_it = |request: &Request| request.route() == route;
        wait_for(route, PATIENCE, || aws.requests().into_iter().find(is_it)).unwrap()
    };
    let (metrics, logs) = (first("POST /v1/metrics"), first("POST /v1/logs"));
    let mut botocore = botocore::verifier(&net).unwrap();
    for (request, service) in [(&metrics, "monitoring"), (&logs, "logs")] {
        assert_eq!(botocore.ask(&question(&aws, request, service)).unwrap(), "the same");
        let signed = NaiveDateTime::parse_from_str(&request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").unwrap();
        let off = since_epoch() + SKEW - signed.and_utc().timestamp() as f64;
        assert!((-1.0..60.0).contains(&off), "signed {off} s before true time");
        let of = format!("{}/eu-central-1/{service}/aws4_request", &request.headers["x-amz-date"][..8]);
        assert!(request.headers["authorization"].contains(&of), "{:?}", request.headers);
    }
    // One whose body is another is not the same: the yardstick measures.
    let other = Request { body: b"other".to_vec(), ..metrics.clone() };
    assert_ne!(botocore.ask(&question(&aws, &other, "monitoring")).unwrap(), "the same");
    assert_eq!(logs.headers["x-aws-log-group"], "/ops/alerts");
    assert_eq!(logs.headers["x-aws-log-stream"], "all hosts");
    assert!(!metrics.headers.contains_key("x-aws-log-group"));

    // Neither too far ahead nor too far behind for CloudWatch, and no point without a time.
    let exported = ExportMetricsServiceRequest::decode(body(&metrics).as_slice()).unwrap();
    assert!(!exported.resource_metrics.is_empty());
    let told = ExportLogsServiceRequest::decode(body(&logs).as_slice()).unwrap();
    let records = told.resource_logs.iter().flat_map(|one| &one.scope_logs).flat_map(|one| &one.log_records);
    let names: Vec<_> =
        records.map(|record| (record.event_name.as_str(), record.time_unix_nano as f64 * 1e-9)).collect();
    assert!(!names.is_empty() && names.iter().all(|(name, _)| *name == "skewguard.alert"), "{names:?}");
    assert!(names.iter().all(|(_, at)| (since_epoch() + SKEW - at).abs() < 60.0), "{names:?}");

    // Keys are fetched for each request, and a refusal that passes loses nothing.
    let fetched = "GET /latest/meta-data/iam/security-credentials/web";
    let before = imds.count(fetched);
    aws.on("POST /v1/metrics", Reply::new(403, r#"{"__type":"ExpiredTokenException","message":"lab lab"}"#));
    let status = running
        .await_status("the refusal", PATIENCE, |status| {
            let refused = |one: &serde_json::Value| {
                one["destination"] == "otlp-metrics" && one["error"] == "status 403: ExpiredTokenException"
            };
            status["delivery"].as_array().is_some_and(|all| all.iter().any(refused))
        })
        .unwrap();
    assert!(imds.count(fetched) > before, "{status:#}");
    aws.on("POST /v1/metrics", Reply::ok(""));
    let is_empty = |status: &serde_json::Value| {
        let of_metrics = |one: &&serde_json::Value| one["destination"] == "otlp-metrics";
        status["delivery"]
            .as_array()
            .unwrap()
            .iter()
            .find(of_metrics)
            .is_some_and(|one| one["queued"].as_u64() <= Some(1) && one["dropped"] == 0)
    };
    running.await_status("all of it", PATIENCE, is_empty).unwrap();
    assert!(!running.log().contains("lab lab"), "{}", running.log());
    running.stop(PATIENCE).unwrap();
}
