//! The doctor: every cause of "The security token included in the request is expired", set up one by one, is named first
//! and with its remedy, and nothing else is. On a host that is well it finds nothing.

#![expect(clippy::disallowed_methods, reason = "an expiration is set against the machine's own clock")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]
#![expect(clippy::indexing_slicing, reason = "a key that a JSON value lacks is null, which no assertion accepts")]

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use tests::http::{HttpServer, Reply};
use tests::metadata::{self, INSTANCE_ID, ROLE};
use tests::net::{IMDS, Net, Side, TIME_SYNC};
use tests::ntp::{self, NtpServer, ahead_by};
use tests::process::{private_dir, tool};

/// A program in Java that sleeps.
const SLEEPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/java/Sleeper.java");
const TOKEN: &str = "PUT /latest/api/token";
const ROOT: &str = "GET /latest/meta-data/";
const ROLES: &str = "GET /latest/meta-data/iam/security-credentials/";
const SECRETS: [&str; 3] = ["AKIALABKEYID", "SecretPiece0001", "TokenPiece0001"];
const HOUR: i64 = 3_600;
/// The doctor promises to be done by then.
const LONGEST: Duration = Duration::from_secs(30);

/// A host with everything that the doctor looks at.
struct Patient {
    net: Net,
    home: TempDir,
    imds: HttpServer,
    _time: NtpServer,
    environment: Vec<(String, String)>,
    /// A shell command that starts what else runs on the host.
    neighbours: String,
    arguments: Vec<String>,
}

impl Patient {
    /// A host that is well.
    fn new() -> Self {
        Self::on(Net::new().unwrap(), 0.0)
    }

    /// A host whose clock is behind by so many seconds, and that is well otherwise.
    fn slow_by(seconds: f64) -> Self {
        Self::on(Net::new().unwrap(), seconds)
    }

    fn on(net: Net, slow_by: f64) -> Self {
        let time = NtpServer::start(&net, Side::Aws, SocketAddr::new(TIME_SYNC, ntp::PORT), ahead_by(slow_by)).unwrap();
        let document = document(6 * HOUR);
        let imds = metadata::start(&net, Side::Aws, SocketAddr::new(IMDS, 80), &document).unwrap();
        let home = private_dir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        let config = "sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, poll: 1s }]\n\
                      credentials: { imds: { timeout: 500ms, attempts: 1 } }\nsdks: [botocore, java-v2]\n";
        fs::write(home.path().join("skewguard.yaml"), config).unwrap();
        let (environment, neighbours, arguments) = (Vec::new(), String::new(), Vec::new());
        Self { net, home, imds, _time: time, environment, neighbours, arguments }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn with(self, change: impl FnOnce(&Self)) -> Self {
        change(&self);
        self
    }

    fn beside(mut self, neighbours: &str) -> Self {
        self.neighbours = neighbours.to_owned();
        self
    }

    fn asking(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.home.path().join(".aws").join(name), text).unwrap();
    }

    /// What the doctor says, run as root in a process namespace of its own: what else the lab runs is no part of this host.
    fn examine(&self) -> Examined {
        let binary = env::var_os("SKEWGUARD_BIN").expect("SKEWGUARD_BIN is not set: start the lab with tests/run");
        let mut command = self.net.command(Side::Agent, "unshare").unwrap();
        command.args(["--pid", "--fork", "--mount-proc", "bash", "-c"]);
        command.arg(format!("{}\nenv -i \"$@\"", self.neighbours)).arg("bash");
        command.arg(format!("HOME={}", self.home.path().display())).arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        command
            .arg(binary)
            .args(["doctor", "--format", "json", "--config"])
            .arg(self.home.path().join("skewguard.yaml"));
        command.args(&self.arguments);
        let began = std::time::Instant::now();
        let output = command.output().unwrap();
        let took = began.elapsed();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        for secret in SECRETS {
            assert!(!text.contains(secret) && !stderr.contains(secret), "{secret} in {text}{stderr}");
        }
        assert!(took < LONGEST, "{took:?}");
        let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{stderr}"));
        Examined { code: output.status.code(), report }
    }
}

/// A report, read.
struct Examined {
    code: Option<i32>,
    report: Value,
}

impl Examined {
    fn checks(&self, verdict: &str) -> Vec<&Value> {
        self.report["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] == verdict).collect()
    }

    fn names(&self, verdict: &str) -> Vec<&str> {
        self.checks(verdict).iter().map(|check| check["name"].as_str().unwrap()).collect()
    }
}

fn time_in(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let at = i64::try_from(now).unwrap() + seconds;
    chrono::DateTime::from_timestamp(at, 0).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A role's document as AWS writes it, with a life of so many seconds left.
fn document(life: i64) -> String {
    let [id, secret, token] = SECRETS;
    format!(
        r#"{{"Code":"Success","LastUpdated":"{}","Type":"AWS-HMAC","AccessKeyId":"{id}","SecretAccessKey":"{secret}","Token":"{token}","Expiration":"{}"}}"#,
        time_in(life - 6 * HOUR),
        time_in(life)
    )
}

/// A profile with the keys of a session that is over.
fn expired_profile(with_expiration: bool) -> String {
    let [id, secret, token] = SECRETS;
    let keys =
        format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\naws_session_token = {token}\n");
    if with_expiration { format!("{keys}x_security_token_expires = {}\n", time_in(-600)) } else { keys }
}

/// One cause: its name, the host that has it, the check that must name it, what its remedy must say, and the warnings that
/// may stand beside it because they are true as well.
struct Row {
    cause: &'static str,
    patient: Patient,
    problem: &'static str,
    remedy: &'static str,
    warnings: &'static [&'static str],
}

fn rows() -> Vec<Row> {
    let row = |cause, patient, problem, remedy, warnings| Row { cause, patient, problem, remedy, warnings };
    let [id, secret, token] = SECRETS;
    let session = |patient: Patient| {
        patient.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_SESSION_TOKEN", token)
    };
    vec![
        row("clock slow", Patient::slow_by(400.0), "clock-offset", "makestep", &["clock-discipline"]),
        row("clock fast", Patient::slow_by(-400.0), "clock-offset", "makestep", &["clock-discipline"]),
        row(
            "an hour: time zone",
            Patient::slow_by(3_600.0),
            "clock-offset",
            "timedatectl",
            &["clock-discipline", "clock-time-zone"],
        ),
        row(
            "temporary credentials not refreshed: the instance's role",
            Patient::new().with(|patient| patient.imds.on(&format!("{ROLES}{ROLE}"), Reply::ok(document(200)))),
            "credentials-expiring",
            "rotates",
            &[],
        ),
        row(
            "temporary credentials not refreshed: a profile without an end",
            Patient::new().with(|patient| patient.file("credentials", &expired_profile(false))),
            "credentials-shadow",
            "credentials",
            &[],
        ),
        row("shadowing from the environment", session(Patient::new()), "credentials-shadow", "AWS_ACCESS_KEY_ID", &[]),
        row(
            "shadowing from the environment, expired",
            session(Patient::new()).env("AWS_CREDENTIAL_EXPIRATION", &time_in(-600)),
            "credentials-shadow",
            "AWS_ACCESS_KEY_ID",
            &[],
        ),
        row(
            "shadowing from Java properties",
            Patient::new().beside(&format!(
                "(JAVA_TOOL_OPTIONS='-Daws.accessKeyId={id} -Daws.secretAccessKey={secret} -Daws.sessionToken={token}' \
                 exec {} -cp /opt/app/sdk-core-2.31.1.jar {SLEEPER} >/dev/null 2>&1) &\nsleep 0.5",
                tool("java").unwrap().display()
            )),
            "credentials-shadow",
            "-Daws.accessKeyId",
            &[],
        ),
        row(
            "shadowing from the shared file",
            Patient::new().with(|patient| patient.file("credentials", &expired_profile(true))),
            "credentials-shadow",
            "credentials",
            &[],
        ),
        row(
            "a proxy that swallows the metadata service",
            Patient::new().env("HTTP_PROXY", "http://127.0.0.1:3128").env("NO_PROXY", "localhost"),
            "imds-proxy",
            "NO_PROXY",
            &[],
        ),
        row(
            "throttling",
            Patient::new().with(|patient| {
                let count = AtomicUsize::new(0);
                let is_throttled = move || count.fetch_add(1, Ordering::Relaxed) % 2 == 1;
                patient
                    .imds
                    .on_each(ROLES, move |_| if is_throttled() { Reply::new(503, "") } else { Reply::ok(ROLE) });
            }),
            "imds-throttling",
            "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
            &[],
        ),
        row("the hop limit, from a container", hop_limit(), "imds-hop-limit", "--http-put-response-hop-limit 2", &[]),
        row(
            "no role",
            Patient::new().with(|patient| {
                patient.imds.on(ROLES, Reply::new(404, ""));
                patient.imds.on("GET /latest/meta-data/iam/info", Reply::new(404, ""));
            }),
            "imds-role",
            "associate-iam-instance-profile",
            &[],
        ),
        row(
            "a role without trust",
            Patient::new().with(|patient| {
                let document = r#"{"Code":"AssumeRoleUnauthorizedAccess","LastUpdated":"2026-03-01T10:00:00Z"}"#;
                patient.imds.on(&format!("{ROLES}{ROLE}"), Reply::ok(document));
            }),
            "imds-role",
            "update-assume-role-policy",
            &[],
        ),
        row(
            "an instance profile with a stale role",
            Patient::new().with(|patient| patient.imds.on(&format!("{ROLES}{ROLE}"), Reply::new(404, ""))),
            "imds-role",
            "--role-name web",
            &[],
        ),
        row(
            "the metadata service turned off for the instance",
            Patient::new().with(|patient| {
                for route in [TOKEN, ROOT, ROLES] {
                    patient.imds.on(route, Reply::new(403, ""));
                }
            }),
            "imds-enabled",
            "--http-endpoint enabled",
            &[],
        ),
        row(
            "the metadata service disabled by variable",
            Patient::new().env("AWS_EC2_METADATA_DISABLED", "true"),
            "imds-enabled",
            "AWS_EC2_METADATA_DISABLED",
            &[],
        ),
    ]
}

/// The answer to PUT may take one hop, as by default, and the doctor is two away.
fn hop_limit() -> Patient {
    let patient = Patient::on(Net::with_container().unwrap(), 0.0);
    let token = Reply::ok("token").header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    patient.imds.on(TOKEN, token.within_hops(1));
    let answers = |request: &tests::http::Request| request.headers.contains_key("x-aws-ec2-metadata-token");
    patient
        .imds
        .on_each(ROOT, move |request| if answers(request) { Reply::ok(INSTANCE_ID) } else { Reply::new(401, "") });
    patient
}

#[test]
fn every_cause_is_named_first_with_its_remedy_and_nothing_else_is() {
    let examined: Vec<(Row, Examined)> = thread::scope(|scope| {
        let started: Vec<_> = rows()
            .into_iter()
            .map(|row| {
                scope.spawn(|| {
                    let examined = row.patient.examine();
                    (row, examined)
                })
            })
            .collect();
        started.into_iter().map(|row| row.join().unwrap()).collect()
    });
    let mut wrong = Vec::new();
    for (row, examined) in &examined {
        let (problems, warnings) = (examined.names("problem"), examined.names("warning"));
        println!("{:<62} {problems:?} {warnings:?}", row.cause);
        let remedy = examined.checks("problem").first().and_then(|check| check["remedy"].as_str()).unwrap_or_default();
        let is_right = problems == [row.problem]
            && remedy.contains(row.remedy)
            && warnings.iter().all(|name| row.warnings.contains(name))
            && examined.code == Some(2);
        if !is_right {
            wrong.push(format!("{}: wanted {} ({}), got {:#}", row.cause, row.problem, row.remedy, examined.report));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn on_a_host_that_is_well_it_finds_nothing() {
    let examined = Patient::new().examine();
    assert_eq!(examined.names("problem"), [""; 0], "{:#}", examined.report);
    // Nobody keeps the clock of a namespace, and no warning may come of that while it is right.
    assert_eq!(examined.names("warning"), [""; 0], "{:#}", examined.report);
    assert_eq!(examined.code, Some(0));
    let well = examined.names("ok");
    for name in ["clock-offset", "imds-reachable", "imds-role", "credentials-pick", "agent-config"] {
        assert!(well.contains(&name), "{name} is missing in {well:?}");
    }
}

/// Hides the firmware and the hypervisor, by which a host tells whether it is an EC2 instance.
const HIDE_FIRMWARE: &str = "for place in /sys/class/dmi /sys/hypervisor; do\n\
                             [ ! -d $place ] || mount -t tmpfs none $place || exit 9\ndone";

/// A container without a way to the metadata service, as a task of Fargate is one.
fn task() -> Patient {
    Patient::new().beside(HIDE_FIRMWARE).with(|patient| {
        let mut ip = patient.net.command(Side::Agent, "ip").unwrap();
        assert!(ip.args(["route", "add", "unreachable", &IMDS.to_string()]).status().unwrap().success());
    })
}

#[test]
fn in_a_container_with_a_role_of_its_own_it_finds_nothing() {
    const AUTHORIZATION: &str = "TokenOfTaskPart1";
    let patient = task().with(|patient| patient.file("authorization", AUTHORIZATION));
    let endpoint =
        HttpServer::start(&patient.net, Side::Agent, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
    let role = document(6 * HOUR);
    endpoint.on_each("GET /v1/credentials", move |request| {
        let is_allowed = request.headers.get("authorization").is_some_and(|value| value == AUTHORIZATION);
        if is_allowed { Reply::ok(role.clone()) } else { Reply::new(401, "") }
    });
    let authorization = patient.home.path().join(".aws/authorization");
    let examined = patient
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", endpoint.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", authorization.to_str().unwrap())
        .examine();
    assert_eq!(examined.names("problem"), [""; 0], "{:#}", examined.report);
    assert_eq!(examined.names("warning"), [""; 0], "{:#}", examined.report);
    assert_eq!(examined.code, Some(0));
    assert!(endpoint.count("GET /v1/credentials") > 0, "nobody asked for the role");
    assert!(!examined.report.to_string().contains(AUTHORIZATION));
    let skipped = examined.checks("skipped").into_iter().find(|check| check["name"] == "imds-reachable").unwrap();
    assert!(skipped["summary"].to_string().contains("find credentials before that"), "{skipped:#}");

    let without = task().examine();
    assert_eq!(without.names("warning"), ["imds-reachable"], "{:#}", without.report);
}

#[test]
fn one_process_and_one_profile_are_looked_at_where_they_are_named() {
    let [id, secret, token] = SECRETS;
    let start = format!(
        "(AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret} AWS_SESSION_TOKEN={token} exec sleep 600) &\nsleep 0.3"
    );
    // The first process of the namespace is the shell, and the second the neighbour.
    let examined = Patient::new().beside(&start).asking(&["--pid", "2"]).examine();
    assert_eq!(examined.names("problem"), ["credentials-shadow"], "{:#}", examined.report);

    let profile =
        format!("[old]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\naws_session_token = {token}\n");
    let patient = Patient::new().with(|patient| patient.file("credentials", &profile));
    assert_eq!(patient.examine().names("problem"), [""; 0], "nobody uses it");
    let examined = patient.asking(&["--profile", "old"]).examine();
    assert_eq!(examined.names("problem"), ["credentials-shadow"], "{:#}", examined.report);
}

#[test]
fn an_error_message_is_explained_by_what_the_host_is_like() {
    let message = "An error occurred (InvalidSignatureException) when calling the ListTables operation: Signature expired: \
                   20260301T120000Z is now earlier than 20260301T120200Z (20260301T120700Z - 5 min.)";
    let examined = Patient::slow_by(420.0).asking(&["--explain", message]).examine();
    let first = &examined.report["checks"][0];
    assert_eq!(first["area"], "error", "{first:#}");
    assert_eq!(first["verdict"], "problem", "{first:#}");
    assert!(first.to_string().contains("420 s slow"), "{first:#}");
}
