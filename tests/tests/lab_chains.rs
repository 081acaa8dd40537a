//! Chains: what skewguard says that an SDK picks is what botocore, aws-config and the SDKs for Java (both) and
//! JavaScript really pick, in generated environments.

#![expect(clippy::panic, clippy::unwrap_used, reason = "clippy takes what tests share for production code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use fastrand::Rng;
use serde_json::{Value, json};
use skewguard::aws::chain::{Chain, Failure, How, Outcome, Pick, Step, pick};
use skewguard::aws::known::Known;
use skewguard::aws::processes::properties::Properties;
use skewguard::aws::view::{Presence, View, load};
use tempfile::TempDir;
use tests::http::{HttpServer, Reply, Request};
use tests::net::{Net, Side};
use tests::process::{output, private_dir};
use tests::sdks::{Java, Picking};

/// How many environments there are, each asked of every SDK.
const ENVIRONMENTS: usize = 500;
/// How many files there are that mean to be read differently.
const FILES: usize = 500;
const SEED: u64 = 4;
/// Where a relative URI leads: the endpoint of ECS.
const ECS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)), 80);
const IMDS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8_001);
/// A metadata service of an instance without a role.
const IMDS_WITHOUT_ROLE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8_002);
/// STS and IAM Identity Center.
const SERVICES: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8_003);
/// The names by which SDKs look for a token in `~/.aws/sso/cache`: SHA-1 of the start URL, and of the session's name.
const SSO_CACHE: [&str; 2] = ["7377e82004c017d627d7348cacd973870d0d9f18", "3953f9ddf975ab5097ee468d99555c5b441169bf"];
const START_URL: &str = "https://lab.awsapps.com/start";
const ROLE: &str = "arn:aws:iam::123456789012:role/";
const LATER: &str = "2099-01-01T00:00:00Z";

/// The servers from which the SDKs get credentials. Each hands out keys whose identifier names it.
struct Lab {
    net: Net,
    _servers: Vec<HttpServer>,
    dir: TempDir,
}

/// What a process is started with, and what it is given.
struct Environment {
    variables: BTreeMap<String, String>,
    /// What a JVM is given besides, as options.
    properties: Vec<String>,
    config: String,
    credentials: String,
    has_role: bool,
}

/// What an SDK answered.
#[derive(Debug)]
struct Answer {
    /// `picked`, the name of botocore's provider, `nothing` or `failed`.
    outcome: String,
    id: String,
    error: String,
}

#[test]
fn five_sdks_pick_what_skewguard_says_in_generated_environments() {
    let lab = Lab::new();
    let mut random = Rng::with_seed(SEED);
    let environments: Vec<_> = (0..ENVIRONMENTS).map(|number| lab.generate(&mut random, number)).collect();
    let (table, seen) = lab.compare(&environments);
    assert!(table.is_empty(), "{} of {} disagree\n{}", table.len(), 5 * ENVIRONMENTS, table.join("\n"));
    // The generator has to go on reaching all of it.
    for wanted in [
        "environment",
        "system-properties",
        "web-identity",
        "static",
        "assume-role",
        "credential-source",
        "profile-web-identity",
        "sso",
        "process",
        "container",
        "instance-role",
        "nothing",
        "partial-keys",
        "profile-missing",
        "profile",
        "no-role-arn",
        "container-refused",
        "file",
    ] {
        assert!(seen.contains(wanted), "no environment for {wanted}: {seen:?}");
    }
}

#[test]
fn five_sdks_read_generated_files_by_the_grammar_that_skewguard_has_of_them() {
    let lab = Lab::new();
    let mut random = Rng::with_seed(SEED);
    let environments: Vec<_> = (0..FILES).map(|number| lab.generate_file(&mut random, number)).collect();
    let (table, seen) = lab.compare(&environments);
    assert!(table.is_empty(), "{} of {} disagree\n{}", table.len(), 5 * FILES, table.join("\n"));
    for wanted in ["static", "instance-role", "partial-keys", "file"] {
        assert!(seen.contains(wanted), "no file for {wanted}: {seen:?}");
    }
}

/// The kind of what was said, so that a kind that no environment has is noticed.
fn kind(pick: &Pick) -> &'static str {
    match &pick.outcome {
        Outcome::Picked(given) => match &given.step {
            Step::Environment => "environment",
            Step::SystemProperties => "system-properties",
            Step::WebIdentity => "web-identity",
            Step::SdkStore { .. } => "sdk-store",
            Step::Container => "container",
            Step::InstanceRole => "instance-role",
            Step::Profile { how, .. } => match how {
                How::Static => "static",
                How::AssumeRole => "assume-role",
                How::CredentialSource => "credential-source",
                How::WebIdentity => "profile-web-identity",
                How::Sso => "sso",
                How::Process => "process",
                How::Login => "login",
                How::Saml => "saml",
            },
        },
        Outcome::Failed(failure) => match failure {
            Failure::PartialKeys { .. } => "partial-keys",
            Failure::ProfileMissing { .. } => "profile-missing",
            Failure::File { .. } => "file",
            Failure::Profile { .. } => "profile",
            Failure::NoRoleArn => "no-role-arn",
            Failure::RelativeToken => "relative-token",
            Failure::ContainerRefused => "container-refused",
            Failure::ContainerSilent { .. } => "container-silent",
        },
        Outcome::Nothing => "nothing",
    }
}

/// Whether the lab has no way to give an SDK what it picks: the SDK for Java of that version has no variable for the endpoint of
/// STS, and what the lab has of the other lacks the module for IAM Identity Center.
fn is_out_of_reach(pick: &Pick) -> bool {
    let needs = |step: &Step| match (pick.chain, step) {
        (Chain::JavaV1, Step::WebIdentity) => true,
        (Chain::JavaV1, Step::Profile { how, .. }) => matches!(how, How::AssumeRole),
        (Chain::JavaV2, Step::Profile { how, .. }) => matches!(how, How::Sso),
        _ => false,
    };
    pick.given().is_some_and(|given| needs(&given.step) || given.base.as_ref().is_some_and(needs))
}

/// Whether an SDK did what was said of it.
fn agrees(pick: &Pick, answer: &Answer) -> bool {
    match &pick.outcome {
        Outcome::Nothing => answer.outcome == "nothing",
        Outcome::Picked(given) => {
            // A role's identifier has the name of its profile first, and last the keys with which the first was assumed.
            let names_it = match (&given.base, answer.id.rsplit_once("_BY_")) {
                (Some(base), Some((_, last))) => answer.id.starts_with(&id(&given.step)) && last.starts_with(&id(base)),
                (None, None) => answer.id.starts_with(&id(&given.step)),
                (Some(_), None) | (None, Some(_)) => false,
            };
            names_it && (pick.chain != Chain::Botocore || methods(&given.step).contains(&answer.outcome.as_str()))
        }
        Outcome::Failed(failure) => {
            answer.outcome == "failed"
                && (pick.chain != Chain::Botocore || errors(failure).contains(&answer.error.as_str()))
        }
    }
}

/// What the identifier of the keys begins with that a step yields in the lab.
fn id(step: &Step) -> String {
    match step {
        Step::Environment => "AKID_ENVIRONMENT".to_owned(),
        Step::SystemProperties => "AKID_PROPERTIES".to_owned(),
        Step::WebIdentity => "ASIA_WEB_environment".to_owned(),
        Step::SdkStore { .. } => "the lab is no Windows".to_owned(),
        Step::Container => "ASIA_CONTAINER".to_owned(),
        Step::InstanceRole => "ASIA_INSTANCE".to_owned(),
        Step::Profile { name, how } => match how {
            How::Static => format!("AKID_FILE_{name}"),
            How::AssumeRole | How::CredentialSource => format!("ASIA_ROLE_{name}_BY_"),
            // The role may come from a variable all the same.
            How::WebIdentity => "ASIA_WEB_file_".to_owned(),
            How::Sso => format!("ASIA_SSO_{name}"),
            How::Process => format!("ASIA_PROCESS_{name}"),
            How::Login => "the lab has no login".to_owned(),
            How::Saml => "the lab is no Windows".to_owned(),
        },
    }
}

/// The names that botocore has for a step.
fn methods(step: &Step) -> &'static [&'static str] {
    match step {
        Step::Environment => &["env"],
        Step::SystemProperties | Step::SdkStore { .. } => &[],
        Step::WebIdentity => &["assume-role-with-web-identity"],
        Step::Container => &["container-role"],
        Step::InstanceRole => &["iam-role"],
        Step::Profile { how, .. } => match how {
            How::Static => &["shared-credentials-file", "config-file"],
            How::AssumeRole | How::CredentialSource => &["assume-role"],
            How::WebIdentity => &["assume-role-with-web-identity"],
            How::Sso => &["sso"],
            How::Process => &["custom-process"],
            How::Login => &["login"],
            How::Saml => &[],
        },
    }
}

/// The exceptions that botocore has for a failure.
fn errors(failure: &Failure) -> &'static [&'static str] {
    match failure {
        Failure::PartialKeys { .. } => &["PartialCredentialsError"],
        Failure::ProfileMissing { .. } => &["ProfileNotFound"],
        Failure::File { .. } => &["ConfigParseError"],
        Failure::NoRoleArn | Failure::RelativeToken => &["InvalidConfigError"],
        Failure::ContainerRefused => &["ValueError"],
        Failure::ContainerSilent { .. } => &["CredentialRetrievalError"],
        Failure::Profile { .. } => {
            &["InvalidConfigError", "PartialCredentialsError", "InfiniteLoopConfigError", "CredentialRetrievalError"]
        }
    }
}

impl Environment {
    fn view(&self) -> View {
        let line: Vec<&str> = self.properties.iter().map(String::as_str).collect();
        let properties = Properties::of_command_line(&[&["java"], line.as_slice(), &["Main"]].concat());
        let mut view =
            View::new(|name| self.variables.get(name).cloned(), properties, None, load, &Chain::ALL, &Known::default());
        view.container = Presence::Yes;
        view.instance_role = if self.has_role { Presence::Yes } else { Presence::No };
        view
    }
}

impl std::fmt::Display for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| format!("  {name}={value}")).collect();
        let (variables, properties) = (variables.join("\n"), self.properties.join(" "));
        write!(f, "{variables}\n  {properties}\n-- config\n{}-- credentials\n{}", self.config, self.credentials)
    }
}

impl Lab {
    /// What the SDKs answer otherwise than was said, and the kinds of what was said.
    fn compare(&self, environments: &[Environment]) -> (Vec<String>, BTreeSet<&'static str>) {
        let views: Vec<_> = environments.iter().map(Environment::view).collect();
        let ask = |sdk: Picking| move || self.ask(sdk, environments);
        // All at the same time: none of them needs much.
        let answers = thread::scope(|scope| {
            let others = [
                (Chain::Botocore, scope.spawn(|| self.ask_botocore(environments))),
                (Chain::JsV3, scope.spawn(ask(Picking::JavaScript))),
                (Chain::JavaV2, scope.spawn(ask(Picking::Java(Java::V2)))),
                (Chain::JavaV1, scope.spawn(ask(Picking::Java(Java::V1)))),
            ];
            let rust = environments.iter().map(|environment| self.ask_aws_config(environment)).collect::<Vec<_>>();
            let others = others.into_iter().map(|(chain, answers)| (chain, answers.join().unwrap()));
            others.chain([(Chain::Rust, rust)]).collect::<Vec<_>>()
        });
        let mut table = Vec::new();
        let mut seen = BTreeSet::new();
        for (chain, answers) in answers {
            assert_eq!(answers.len(), environments.len());
            for (number, ((environment, view), answer)) in environments.iter().zip(&views).zip(&answers).enumerate() {
                let pick = pick(chain, view);
                if is_out_of_reach(&pick) {
                    continue;
                }
                seen.insert(kind(&pick));
                if !agrees(&pick, answer) {
                    let said = &pick.outcome;
                    table.push(format!("{number} {chain}: said {said}\n  answered {answer:?}\n{environment}"));
                }
            }
        }
        (table, seen)
    }

    fn ask(&self, sdk: Picking, environments: &[Environment]) -> Vec<Answer> {
        let mut program = sdk.start(&self.net).unwrap();
        let is_java = matches!(sdk, Picking::Java(_));
        let properties = |environment: &Environment| if is_java { environment.properties.clone() } else { Vec::new() };
        let answer = |environment: &Environment| {
            let variables = environment.variables.iter().map(|(name, value)| format!("{name}={value}"));
            let line: Vec<_> = variables.chain(properties(environment)).collect();
            let told = program.ask(&line.join("\u{1f}")).unwrap();
            let mut fields = told.split('\t').map(str::to_owned);
            let mut next = || fields.next().unwrap_or_default();
            Answer { outcome: next(), id: next(), error: next() }
        };
        environments.iter().map(answer).collect()
    }

    fn new() -> Self {
        let net = Net::new().unwrap();
        net.add_address(ECS.ip()).unwrap();
        let start = |side, address| HttpServer::start(&net, side, address).unwrap();
        let [ecs, imds] = [start(Side::Aws, ECS), start(Side::Agent, IMDS)];
        let [without_role, services] = [start(Side::Agent, IMDS_WITHOUT_ROLE), start(Side::Agent, SERVICES)];
        ecs.on("GET /role", Reply::ok(document("ASIA_CONTAINER")));
        services.on("GET /role", Reply::ok(document("ASIA_CONTAINER")));
        for server in [&imds, &without_role] {
            let token = Reply::ok("token").header("X-aws-ec2-metadata-token-ttl-seconds", "21600");
            server.on("PUT /latest/api/token", token);
        }
        imds.on("GET /latest/meta-data/iam/security-credentials/", Reply::ok("lab"));
        imds.on("GET /latest/meta-data/iam/security-credentials/lab", Reply::ok(document("ASIA_INSTANCE")));
        services.on_each("POST /", sts);
        services.on_each("GET /federation/credentials", portal);

        let dir = private_dir().unwrap();
        let cache = dir.path().join(".aws/sso/cache");
        fs::create_dir_all(&cache).unwrap();
        for name in SSO_CACHE {
            let token = json!({ "startUrl": START_URL, "region": "us-east-1", "accessToken": "t", "expiresAt": LATER });
            fs::write(cache.join(format!("{name}.json")), token.to_string()).unwrap();
        }
        for name in ["environment", "file"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        for profile in PROFILES {
            let keys = json!({
                "Version": 1, "AccessKeyId": format!("ASIA_PROCESS_{profile}"), "SecretAccessKey": "lab",
                "SessionToken": "lab", "Expiration": LATER,
            });
            fs::write(dir.path().join(format!("process-{profile}")), keys.to_string()).unwrap();
        }
        Self { net, _servers: vec![ecs, imds, without_role, services], dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ask_botocore(&self, environments: &[Environment]) -> Vec<Answer> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdks/botocore_picks.py");
        let variables: Vec<_> = environments.iter().map(|environment| &environment.variables).collect();
        let input = self.path("environments.json");
        fs::write(&input, serde_json::to_vec(&variables).unwrap()).unwrap();
        let mut command = self.net.command(Side::Agent, "python3").unwrap();
        let input = fs::File::open(input).unwrap();
        let answers = output(command.arg(script).env_clear().stdin(Stdio::from(input))).unwrap();
        let answers: Vec<Value> = serde_json::from_str(&answers).unwrap();
        assert_eq!(answers.len(), environments.len());
        answers.iter().map(Answer::new).collect()
    }

    fn ask_aws_config(&self, environment: &Environment) -> Answer {
        let mut command = self.net.command(Side::Agent, env!("CARGO_BIN_EXE_aws-config-pick")).unwrap();
        let answer = output(command.env_clear().envs(&environment.variables)).unwrap();
        Answer::new(&serde_json::from_str(&answer).unwrap())
    }
}

impl Answer {
    fn new(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { outcome: text("outcome"), id: text("id"), error: text("error") }
    }
}

/// A document of credentials as the metadata service and ECS have it.
fn document(id: &str) -> String {
    let document = json!({
        "Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": id,
        "SecretAccessKey": "lab", "Token": "lab", "Expiration": LATER,
    });
    document.to_string()
}

/// STS: the identifier says which role was assumed, and with what.
fn sts(request: &Request) -> Reply {
    let body = String::from_utf8_lossy(&request.body);
    let field = |name: &str| {
        let found = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    let role = field("RoleArn").rsplit("%2F").next().unwrap_or_default().to_owned();
    let action = field("Action");
    let id = if action == "AssumeRole" {
        let authorization = request.headers.get("authorization").map(String::as_str).unwrap_or_default();
        let signer = authorization.split("Credential=").nth(1).and_then(|rest| rest.split('/').next());
        format!("ASIA_ROLE_{role}_BY_{}", signer.unwrap_or("nobody"))
    } else {
        format!("ASIA_WEB_{}_{role}", field("WebIdentityToken"))
    };
    Reply::ok(format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><AssumedRoleUser>\
         <Arn>arn:aws:sts::123456789012:assumed-role/lab/lab</Arn><AssumedRoleId>AROA:lab</AssumedRoleId>\
         </AssumedRoleUser><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>lab</SecretAccessKey>\
         <SessionToken>lab</SessionToken><Expiration>{LATER}</Expiration></Credentials></{action}Result>\
         <ResponseMetadata><RequestId>lab</RequestId></ResponseMetadata></{action}Response>"
    ))
    .header("Content-Type", "text/xml")
}

/// IAM Identity Center: the role is named after the profile.
fn portal(request: &Request) -> Reply {
    let query = request.target.split('?').nth(1).unwrap_or_default();
    let role = query.split('&').find_map(|pair| pair.strip_prefix("role_name=")).unwrap_or_default();
    let keys = json!({
        "accessKeyId": format!("ASIA_SSO_{role}"), "secretAccessKey": "lab", "sessionToken": "lab",
        "expiration": 4_070_908_800_000_u64,
    });
    Reply::ok(json!({ "roleCredentials": keys }).to_string()).header("Content-Type", "application/json")
}

const PROFILES: [&str; 3] = ["default", "a", "b"];

impl Lab {
    /// Makes up an environment, and writes its files.
    fn generate(&self, random: &mut Rng, number: usize) -> Environment {
        let mut variables = BTreeMap::from(
            [
                ("AWS_ENDPOINT_URL_SSO", format!("http://{SERVICES}")),
                ("AWS_ENDPOINT_URL_STS", format!("http://{SERVICES}")),
                ("AWS_REGION", "us-east-1".to_owned()),
                ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
                ("HOME", self.dir.path().display().to_string()),
                ("PATH", "/usr/bin:/bin".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let mut set = |name: &str, value: &str| drop(variables.insert(name.to_owned(), value.to_owned()));
        let (has_id, has_secret) =
            choose(random, &[(8, (false, false)), (2, (true, true)), (1, (true, false)), (1, (false, true))]);
        if has_id {
            set("AWS_ACCESS_KEY_ID", "AKID_ENVIRONMENT");
        }
        if has_secret {
            set("AWS_SECRET_ACCESS_KEY", "lab");
        }
        if random.u8(..4) == 0 {
            set("AWS_SESSION_TOKEN", "lab");
        }
        // Where there are profiles, hardly a search gets beyond them.
        let has_profiles = random.u8(..3) > 0;
        let selected = choose(random, &[(3, None), (4, Some("a")), (2, Some("b")), (1, Some("missing"))]);
        if let Some(name) = selected.filter(|_| has_profiles) {
            set("AWS_PROFILE", name);
        }
        if has_profiles && random.u8(..12) == 0 {
            set("AWS_DEFAULT_PROFILE", "b");
        }
        let (has_token, has_role) =
            choose(random, &[(7, (false, false)), (2, (true, true)), (1, (true, false)), (1, (false, true))]);
        if has_token {
            set("AWS_WEB_IDENTITY_TOKEN_FILE", &self.path("environment").display().to_string());
        }
        if has_role {
            set("AWS_ROLE_ARN", &format!("{ROLE}environment"));
        }
        match random.u8(..10) {
            0 | 1 => set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/role"),
            2 | 3 => set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{SERVICES}/role")),
            4 => set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/role"),
            _ => {}
        }
        let has_instance_role = random.u8(..3) > 0;
        let imds = if has_instance_role { IMDS } else { IMDS_WITHOUT_ROLE };
        set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{imds}"));
        if random.u8(..6) == 0 {
            set("AWS_EC2_METADATA_DISABLED", choose(random, &[(1, "true"), (1, "TRUE"), (1, "false")]));
        }

        let keys = ["-Daws.accessKeyId=AKID_PROPERTIES", "-Daws.secretAccessKey=lab"];
        let of_jvm: &[&str] = choose(
            random,
            &[
                (12, &[]),
                (1, &keys),
                (1, &["-Daws.accessKeyId=AKID_PROPERTIES", "-Daws.secretKey=lab"]),
                (1, &["-Daws.accessKeyId=AKID_PROPERTIES"]),
                (2, &["-Daws.profile=b"]),
                (1, &["-Daws.disableEc2Metadata=true"]),
            ],
        );
        let properties = of_jvm.iter().map(|option| (*option).to_owned()).collect();

        let mut config = format!(
            "[sso-session lab]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n[sso-session bare]\nx = y\n"
        );
        let mut credentials = String::new();
        for name in PROFILES.into_iter().filter(|_| has_profiles) {
            let (in_config, in_credentials) =
                choose(random, &[(3, (true, false)), (3, (false, true)), (1, (true, true)), (1, (false, false))]);
            if in_config {
                let prefix = if name == "default" { "" } else { "profile " };
                config += &format!("[{prefix}{name}]\nregion = us-east-1\n{}", self.profile(random, name));
            }
            if in_credentials {
                credentials += &format!("[{name}]\n{}", self.profile(random, name));
            }
        }
        if random.u8(..25) == 0 {
            config += "a line that means nothing\n";
        }
        let folder = self.path(&number.to_string());
        fs::create_dir(&folder).unwrap();
        for (variable, name, text) in
            [("AWS_CONFIG_FILE", "config", &config), ("AWS_SHARED_CREDENTIALS_FILE", "credentials", &credentials)]
        {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            set(variable, &path.display().to_string());
        }
        // As version 1 for Java calls it.
        set("AWS_CREDENTIAL_PROFILES_FILE", &folder.join("credentials").display().to_string());
        Environment { variables, properties, config, credentials, has_role: has_instance_role }
    }

    /// Makes up a credentials file of what editors, people and tools write, on an instance with a role.
    fn generate_file(&self, random: &mut Rng, number: usize) -> Environment {
        let begin: &[u8] = choose(
            random,
            &[
                (16, &b""[..]),
                (1, b"\xef\xbb\xbf"),
                (1, b"# c\n"),
                (1, b"; c\n"),
                (1, b"  # c\n"),
                (1, b"\n"),
                (1, b"x\n"),
                (1, b"region = a\n"),
                (1, b"# cl\xe9\n"),
            ],
        );
        let header = choose(
            random,
            &[
                (16, "[default]"),
                (1, "[default] # c"),
                (1, "[default]# c"),
                (1, "[default] c"),
                (1, "[ default ]"),
                (1, " [default]"),
                (1, "[default"),
                (1, "[profile default]"),
                (1, "[Default]"),
                (1, "[default]\t; c"),
            ],
        );
        let mut text = format!("{header}\n");
        for (key, value) in [("aws_access_key_id", "AKID_FILE_default"), ("aws_secret_access_key", "lab")] {
            text += choose(
                random,
                &[
                    (30, ""),
                    (1, "region =\n"),
                    (1, "s3 =\n  a = b\n"),
                    (1, "s3 =\n  a\n"),
                    (1, "  x\n"),
                    (1, "  # c\n"),
                    (1, "x\n"),
                    (1, "= x\n"),
                    (1, "a b = c\n"),
                    (1, "region = a\nregion = b\n"),
                    (1, "[other]\n[default]\n"),
                    (1, "[b]\nregion = x\n"),
                    (1, "\n  \n\t\n"),
                    (1, "region: a\n"),
                ],
            );
            let indent = choose(random, &[(20, ""), (1, "  "), (1, "\t")]);
            let key = if random.u8(..16) == 0 { key.to_uppercase() } else { key.to_owned() };
            let sign = choose(
                random,
                &[(16, " = "), (4, "="), (1, ": "), (1, ":"), (1, "\u{a0}=\u{a0}"), (1, "\t=\t"), (1, " ")],
            );
            let end = choose(random, &[(16, ""), (1, " # c"), (1, "#c"), (1, "\t; c"), (1, "  "), (1, "\n  more")]);
            text += &format!("{indent}{key}{sign}{value}{end}\n");
        }
        let bytes =
            [begin, text.replace('\n', choose(random, &[(12, "\n"), (1, "\r\n"), (1, "\r")])).as_bytes()].concat();
        let folder = self.path(&format!("file-{number}"));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("credentials");
        fs::write(&path, &bytes).unwrap();
        let variables = [
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{IMDS}")),
            ("AWS_CONFIG_FILE", folder.join("none").display().to_string()),
            ("AWS_SHARED_CREDENTIALS_FILE", path.display().to_string()),
            // As version 1 for Java calls it.
            ("AWS_CREDENTIAL_PROFILES_FILE", path.display().to_string()),
            ("HOME", self.dir.path().display().to_string()),
            ("PATH", "/usr/bin:/bin".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        let credentials = format!("{:?}", String::from_utf8_lossy(&bytes));
        Environment { variables, properties: Vec::new(), config: String::new(), credentials, has_role: true }
    }

    /// The lines of a profile: one way to get credentials, or none, or several at once.
    fn profile(&self, random: &mut Rng, name: &str) -> String {
        let keys = format!("aws_access_key_id = AKID_FILE_{name}\naws_secret_access_key = lab\n");
        let role = format!("role_arn = {ROLE}{name}\n");
        let file = self.path("file").display().to_string();
        let sso = format!("sso_account_id = 123456789012\nsso_role_name = {name}\n");
        let process = format!("credential_process = /bin/cat {}\n", self.path(&format!("process-{name}")).display());
        let source = choose(random, &[(3, "a"), (3, "b"), (2, "default"), (1, "missing")]);
        let named =
            choose(random, &[(3, "Environment"), (3, "EcsContainer"), (3, "Ec2InstanceMetadata"), (1, "Nowhere")]);
        let ways = [
            String::new(),
            keys.clone(),
            format!("{keys}aws_session_token = lab\n"),
            format!("aws_access_key_id = AKID_FILE_{name}\n"),
            "aws_secret_access_key = lab\n".to_owned(),
            format!("{role}source_profile = {source}\n"),
            format!("{role}source_profile = {name}\n{keys}"),
            format!("{role}source_profile = {source}\n{keys}"),
            format!("{role}credential_source = {named}\n"),
            format!("{role}credential_source = {named}\nsource_profile = {source}\n"),
            role.clone(),
            format!("{role}web_identity_token_file = {file}\n"),
            format!("web_identity_token_file = {file}\n"),
            format!("{sso}sso_start_url = {START_URL}\nsso_region = us-east-1\n"),
            format!("{sso}sso_session = lab\n"),
            format!("{sso}sso_session = missing\n"),
            format!(
                "{sso}sso_session = lab\nsso_start_url = https://other.awsapps.com/start\nsso_region = eu-west-1\n"
            ),
            format!("{sso}sso_session = bare\nsso_start_url = {START_URL}\nsso_region = us-east-1\n"),
            sso,
            process.clone(),
            format!("{process}{keys}"),
            format!("{role}web_identity_token_file = {file}\n{keys}"),
        ];
        // The usual ways stand for themselves; each of the odd ones would end most searches early.
        let index = if random.bool() {
            choose(random, &[(2, 1), (3, 5), (2, 8), (2, 11), (1, 13), (1, 14), (2, 17)])
        } else {
            random.usize(..ways.len())
        };
        ways.get(index).cloned().unwrap_or_default()
    }
}

/// One of several, each as often as its weight says.
fn choose<T: Copy>(random: &mut Rng, of: &[(u32, T)]) -> T {
    let sum: u32 = of.iter().map(|(weight, _)| weight).sum();
    let mut left = random.u32(..sum);
    for (weight, one) in of {
        if left < *weight {
            return *one;
        }
        left -= weight;
    }
    panic!("the weights have a sum of nothing")
}
