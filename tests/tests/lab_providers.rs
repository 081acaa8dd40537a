//! Everything that expires, on one host at once: each provider is read, and nothing that is secret in it is left anywhere.

#![expect(clippy::disallowed_methods, reason = "an expiration is set against the machine's own clock")]
#![expect(clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tests::agent::{Running, Skewguard};
use tests::http::{HttpServer, Reply};
use tests::memory;
use tests::metadata;
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::private_dir;

const PATIENCE: Duration = Duration::from_secs(30);
/// What every piece of a secret begins with, by the place where it is.
const SECRETS: [&str; 9] = [
    "SecretOfImds",
    "SecretOfTask",
    "SecretOfToken",
    "SecretOfProfile",
    "SecretOfSso",
    "SecretOfCli",
    "SecretOfLogin",
    "SecretOfVault",
    "TokenOfTask",
];
/// Base64url of a text that a signature may be, as in a token.
const SIGNATURE: &str = "U2VjcmV0T2ZTaWduYXR1cmU";

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn time_in(seconds: i64) -> String {
    let moment = chrono::DateTime::from_timestamp(now() + seconds, 0).unwrap();
    moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn keys(secret: &str, expires: i64) -> String {
    format!(
        r#"{{"Code":"Success","LastUpdated":"{}","Type":"AWS-HMAC","AccessKeyId":"{secret}Id","SecretAccessKey":"{secret}Key","Token":"{secret}Session","Expiration":"{}"}}"#,
        time_in(-60),
        time_in(expires)
    )
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digits = (0..=chunk.len()).map(|digit| char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize]));
        text.extend(digits);
    }
    text
}

/// A home with all that tools keep there.
fn furnish(home: &Path) {
    let aws = home.join(".aws");
    for folder in ["sso/cache", "cli/cache", "login/cache"] {
        fs::create_dir_all(aws.join(folder)).unwrap();
    }
    let profile = "aws_access_key_id = SecretOfProfileId\naws_secret_access_key = SecretOfProfileKey\n\
                   aws_session_token = SecretOfProfileSession\n";
    let credentials = format!("[work]\n{profile}x_security_token_expires = {}\n[plain]\n{profile}", time_in(7_200));
    fs::write(aws.join("credentials"), credentials).unwrap();
    let sso = format!(
        r#"{{"startUrl":"https://portal.example/start","region":"eu-west-1","accessToken":"SecretOfSsoAccess","expiresAt":"{}","clientSecret":"SecretOfSsoClient","refreshToken":"SecretOfSsoRefresh"}}"#,
        time_in(3_600)
    );
    fs::write(aws.join("sso/cache/0123456789abcdef.json"), sso).unwrap();
    let cli = format!(
        r#"{{"Credentials":{{"AccessKeyId":"SecretOfCliId","SecretAccessKey":"SecretOfCliKey","SessionToken":"SecretOfCliSession","Expiration":"{}"}},"AssumedRoleUser":{{"Arn":"arn:aws:sts::123456789012:assumed-role/ops/me"}}}}"#,
        time_in(3_000)
    );
    fs::write(aws.join("cli/cache/fedcba9876543210.json"), cli).unwrap();
    let login = format!(
        r#"{{"accessToken":{{"accessKeyId":"SecretOfLoginId","secretAccessKey":"SecretOfLoginKey","sessionToken":"SecretOfLoginSession","accountId":"123456789012","expiresAt":"{}"}},"refreshToken":"SecretOfLoginRefresh","dpopKey":"SecretOfLoginDpop"}}"#,
        time_in(900)
    );
    fs::write(aws.join("login/cache/00ff.json"), login).unwrap();
}

fn states(status: &Value) -> Vec<(&str, &str)> {
    let credentials = status["credentials"].as_array().unwrap().iter();
    credentials.map(|one| (one["provider"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

#[track_caller]
fn assert_secret_free(text: &str, what: &str) {
    for secret in SECRETS.into_iter().chain([SIGNATURE]) {
        assert!(!text.contains(secret), "{secret} in {what}:\n{text}");
    }
}

/// The scan finds what must be there, and nothing that is secret.
#[track_caller]
fn assert_memory_is_secret_free(running: &Running<'_>) {
    let needles: Vec<&str> = ["portal.example"].into_iter().chain(SECRETS).chain([SIGNATURE]).collect();
    // A core dump holds these pages and no others.
    assert_eq!(memory::found(running.pid(), &needles).unwrap(), ["portal.example"]);
}

#[test]
fn every_provider_is_read_and_no_secret_of_any_is_kept_anywhere() {
    let net = Net::new().unwrap();
    let _time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(0.0)).unwrap();
    let _imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &keys("SecretOfImds", 20_000)).unwrap();
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let task = HttpServer::start(&net, Side::Agent, loopback(0)).unwrap();
    task.on_each("GET /v1/credentials", |request| {
        let is_known = request.headers.get("authorization").is_some_and(|token| token == "TokenOfTaskPart1");
        if is_known { Reply::ok(keys("SecretOfTask", 15_000)) } else { Reply::new(403, "") }
    });
    let collector = HttpServer::start(&net, Side::Agent, loopback(0)).unwrap();
    collector.on("POST /v1/metrics", Reply::ok(""));
    collector.on("POST /v1/logs", Reply::ok(""));

    let (home, other, files) = (private_dir().unwrap(), private_dir().unwrap(), private_dir().unwrap());
    furnish(home.path());
    fs::create_dir(other.path().join(".aws")).unwrap();
    fs::write(
        other.path().join(".aws/credentials"),
        format!("[night]\naws_access_key_id = a\naws_secret_access_key = b\naws_expiration = {}\n", time_in(8_000)),
    )
    .unwrap();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let claims = format!(r#"{{"iat":{},"nbf":{0},"exp":{},"sub":"SecretOfToken"}}"#, now() - 60, now() + 80_000);
    let token = format!("{}.{}.{SIGNATURE}", base64url(br#"{"alg":"RS256"}"#), base64url(claims.as_bytes()));
    let (token, authorization) = (file("token", &token), file("authorization", "TokenOfTaskPart1\n"));
    let vault = format!(r#"{{"lease":{{"data":{{"secret_key":"SecretOfVaultKey","ttl":"{}"}}}}}}"#, time_in(30_000));
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["host.example".into()]).unwrap().self_signed(&key).unwrap();
    let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
    let body_of_key = key.serialize_pem().lines().nth(1).unwrap().to_owned();
    let yaml = format!(
        "sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s }}]\n\
         credentials:\n  homes: ['{}', '{}']\n  files:\n  - {{ name: vault, json: {{ path: '{}', pointer: /lease/data/ttl }} }}\n  \
         - {{ name: anywhere, certificate: {{ path: '{}' }} }}\n  poll: 10s\n\
         telemetry: {{ otlp: {{ endpoint: '{}', interval: 1s }} }}\n",
        home.path().display(),
        other.path().display(),
        file("vault.json", &vault),
        file("host.pem", &pem),
        collector.url(),
    );
    let skewguard = Skewguard::new(&net, &yaml)
        .unwrap()
        .env("RUST_LOG", "trace")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v1/credentials", task.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", authorization)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
        .env("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_CREDENTIAL_EXPIRATION", time_in(5_000));
    let mut running = skewguard.run().unwrap();
    let expected = [
        ("imds", "valid"),
        ("container", "valid"),
        ("web-identity", "valid"),
        ("environment", "valid"),
        ("shared-file", "valid"),
        ("shared-file", "valid"),
        ("sso-cache", "valid"),
        ("cli-cache", "valid"),
        ("login-cache", "expiring"),
        ("file", "valid"),
        ("file", "valid"),
    ];
    let status = running.await_status("all providers", PATIENCE, |status| states(status) == expected).unwrap();
    let of = |provider: &str| {
        let credentials = status["credentials"].as_array().unwrap().iter();
        credentials.filter(|one| one["provider"] == provider).collect::<Vec<_>>()
    };
    for (provider, basis, life) in [
        ("container", "server", 15_000.0),
        ("web-identity", "server", 80_000.0),
        ("environment", "server", 5_000.0),
        ("sso-cache", "local", 3_600.0),
        ("cli-cache", "server", 3_000.0),
        ("login-cache", "local", 900.0),
    ] {
        let one = of(provider)[0];
        assert_eq!(one["basis"], basis, "{one:#}");
        let left = one["remaining_seconds"].as_f64().unwrap();
        assert!((life - 60.0..=life).contains(&left), "{provider}: {left}");
    }
    assert_eq!(of("web-identity")[0]["identity"], "pod");
    assert_eq!(of("cli-cache")[0]["identity"], "ops/me");
    assert_eq!(status["findings"], Value::Array(Vec::new()), "{status:#}");

    // Once more, and with metrics of all of them on their way.
    let seen = collector.count("POST /v1/metrics");
    tests::wait::wait_until("exports", PATIENCE, || collector.count("POST /v1/metrics") >= seen + 2).unwrap();
    assert_memory_is_secret_free(&running);
    let exported: Vec<u8> = collector.requests().into_iter().flat_map(|request| request.body).collect();
    let exported = String::from_utf8_lossy(&exported);
    assert!(exported.contains("aws.credential.remaining") && exported.contains("login-cache"));
    assert_secret_free(&exported, "telemetry");
    assert_secret_free(&status.to_string(), "status");
    let log = running.log();
    assert!(log.contains("TRACE"));
    assert_secret_free(&log, "the log");
    let doctor = skewguard.answer(&["doctor", "--format", "json"]).unwrap();
    assert!(doctor.stdout.contains("credentials-pick"), "{doctor:?}");
    assert_secret_free(&format!("{}{}", doctor.stdout, doctor.stderr), "what the doctor says");
    assert!(!memory::found(running.pid(), &[body_of_key.as_str()]).unwrap().contains(&body_of_key.as_str()));
}

#[test]
fn what_may_not_be_read_is_a_finding_with_its_remedy_and_a_link_is_not_followed_out() {
    let net = Net::new().unwrap();
    let _time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(0.0)).unwrap();
    let (home, elsewhere) = (private_dir().unwrap(), private_dir().unwrap());
    furnish(home.path());
    let secret = elsewhere.path().join("secret.json");
    fs::write(&secret, r#"{"expiresAt":"2030-01-01T00:00:00Z","startUrl":"https://outside.example"}"#).unwrap();
    std::os::unix::fs::symlink(&secret, home.path().join(".aws/sso/cache/link.json")).unwrap();
    let yaml = format!(
        "sources: [{{ name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s }}]\ncredentials:\n  imds: {{ enabled: false }}\n  \
         homes: ['{}']\n  files: [{{ name: gone, json: {{ path: '{}/gone.json', pointer: /a }} }}]\n",
        home.path().display(),
        home.path().display()
    );
    let skewguard = Skewguard::new(&net, &yaml).unwrap();
    let checked = skewguard.check().unwrap();
    let snapshot = checked.json().unwrap();
    let codes: Vec<&str> =
        snapshot["credentials"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"link-escapes") && codes.contains(&"not-found"), "{snapshot:#}");
    assert!(!checked.stdout.contains("outside.example"), "{snapshot:#}");
    let finding = |subject: &str| {
        let findings = snapshot["findings"].as_array().unwrap().iter();
        findings.filter(|one| one["subject"].as_str().unwrap().starts_with(subject)).cloned().collect::<Vec<_>>()
    };
    for subject in ["sso-cache", "file/gone"] {
        let findings = finding(subject);
        assert_eq!(findings.len(), 1, "{snapshot:#}");
        assert_eq!(
            (&findings[0]["alert"], &findings[0]["severity"]),
            (&"credential-unavailable".into(), &"warning".into())
        );
    }
    assert_eq!(checked.code, Some(1));
}
