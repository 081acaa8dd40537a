//! From a file, or from none, to a checked configuration.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::check::check;
use super::checked::Config;
use super::explain::ConfigError;
use super::{raw, wording};
use crate::reason::reason;
use crate::setting::fault::Fault;
use crate::setting::locate::Position;
use crate::sys;

/// The longest configuration, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Reads the configuration in `path`, or makes the built-in one where there is no path. `env` looks up an environment
/// variable.
///
/// # Errors
/// Where the file cannot be read, is empty, is no YAML, or says what makes no sense; and where an environment variable
/// that matters does not make sense.
pub fn load(path: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    load_on(path, env, true)
}

/// The same on a host that is an EC2 instance or not, as far as its defaults differ: the address of Amazon Time Sync is
/// Amazon's on EC2, and belongs to whoever takes it on any other link.
///
/// # Errors
/// As those of [`load`].
pub fn load_on(path: Option<&Path>, env: &dyn Fn(&str) -> Option<String>, is_ec2: bool) -> Result<Config, ConfigError> {
    match path {
        Some(path) => parse_on(&read(path)?, path, env, is_ec2),
        None => check(&raw::Config::default(), env, is_ec2).map_err(|fault| match fault {
            Fault::At { path, message } => ConfigError::nowhere(format!("{path}: {message}")),
            Fault::Variable { name, message } => of_variable(name, &message),
        }),
    }
}

/// Loads the file at its usual place, of which nobody has said that it is meant: whoever wrote it has to be somebody who may
/// say what the agent does.
///
/// # Errors
/// As those of [`load`], and it is a stranger's.
pub fn load_installed(path: &Path, env: &dyn Fn(&str) -> Option<String>, is_ec2: bool) -> Result<Config, ConfigError> {
    match sys::owner_without_say(path) {
        Ok(None) => load_on(Some(path), env, is_ec2),
        Ok(Some(owner)) => Err(ConfigError::of_file(
            format!(
                "it, or its folder, belongs to {owner}, who may not say what the agent does: let an administrator own it, \
                 or name it with --config"
            ),
            path,
        )),
        Err(error) => Err(ConfigError::of_file(format!("who owns it cannot be read: {}", reason(&error)), path)),
    }
}

/// Makes a configuration from `text`, which errors say to be from `path_for_messages`. `env` looks up an environment
/// variable.
///
/// # Errors
/// As those of [`load`].
pub fn parse(
    text: &str,
    path_for_messages: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    parse_on(text, path_for_messages, env, true)
}

fn parse_on(
    text: &str,
    path_for_messages: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    is_ec2: bool,
) -> Result<Config, ConfigError> {
    let reworded = |found: wording::Reworded| ConfigError::at(found.message, path_for_messages, text, found.position);
    // Syntax first, so that a broken line is not reported as a wrong key.
    IgnoredAny::deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| reworded(wording::syntax(&error, text)))?;
    let raw =
        serde_yaml::from_str::<Option<raw::Config>>(text).map_err(|error| reworded(wording::content(&error, text)))?;
    let Some(raw) = raw else {
        let message = "the file is empty: write at least one key, such as sources, or remove the file to use the \
                       built-in default";
        return Err(ConfigError::of_file(message.to_owned(), path_for_messages));
    };
    check(&raw, env, is_ec2).map_err(|fault| match fault {
        Fault::At { path, message } => {
            ConfigError::at(format!("{path}: {message}"), path_for_messages, text, path.position(text))
        }
        Fault::Variable { name, message } => of_variable(name, &message),
    })
}

fn of_variable(name: &str, message: &str) -> ConfigError {
    ConfigError::nowhere(format!("environment variable {name}: {message}"))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let bytes = read_capped(path).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "correct the path, or name no file to use the built-in default",
            io::ErrorKind::PermissionDenied => "let the agent's user read it",
            io::ErrorKind::IsADirectory => "name the file in it",
            _ => "make sure that it is a readable file",
        };
        ConfigError::of_file(format!("failed to read the configuration: {error}: {remedy}"), path)
    })?;
    if bytes.len() > LONGEST {
        let message = "the file is longer than 1 MiB: a configuration is a few lines; name the right file";
        return Err(ConfigError::of_file(message.to_owned(), path));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        let before = text.get(..valid).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let message = "not UTF-8: save the file in this encoding".to_owned();
        ConfigError::at(message, path, &text, Some(Position { line, column }))
    })
}

/// Reads one byte more than is allowed, so that too much can be told from enough.
fn read_capped(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::checked::Queue;
    use super::super::documented::uncommented;
    use super::super::show::show;
    use super::*;
    use crate::assess::alerts::ROWS;
    use crate::assess::finding::Severity;
    use crate::assess::level::Level;
    use crate::aws::sdk::Sdk;
    use crate::credentials::Credentials;
    use crate::notify::channel::Channel;
    use crate::notify::targets::AnyTarget;
    use crate::sources::AnyKind;
    use crate::telemetry::settings::Telemetry;

    const FILE: &str = "/etc/skewguard/skewguard.yaml";

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn loaded(text: &str) -> Config {
        parse(text, Path::new(FILE), &nothing).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is said of `text`, in an environment of `variables`.
    fn refused(text: &str, variables: &[(&str, &str)]) -> String {
        match parse(text, Path::new(FILE), &|name| of(variables, name)) {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => error.to_string(),
        }
    }

    fn of(variables: &[(&str, &str)], name: &str) -> Option<String> {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    fn with(text: &str, variables: &[(&str, &str)]) -> Config {
        parse(text, Path::new(FILE), &|name| of(variables, name)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn shipped(name: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name)).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn every_mistake_is_told_with_its_place_and_its_remedy() {
        let cases = include_str!("refused.txt").split("%% refused\n").skip(1);
        let mut count = 0;
        for case in cases {
            let (text, error) = case.split_once("%% with\n").unwrap();
            let error = error.replace("%% targets", &AnyTarget::KEYS.join(", "));
            let error = error.replace("%% kinds", &AnyKind::KEYS.join(", "));
            let error = error.replace("%% alerts", &ROWS.each_ref().map(|row| row.kind.name()).join(", "));
            assert_eq!(refused(text, &[]) + "\n", error, "\nof:\n{text}");
            count += 1;
        }
        assert!(count > 50, "only {count} cases were read");
    }

    #[test]
    fn no_error_repeats_a_secret() {
        let errors = include_str!("refused.txt").split("%% with\n").skip(1);
        for error in errors.filter_map(|rest| rest.split("%% refused\n").next()) {
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn thirty_three_sources_are_too_many() {
        let list = |count| {
            let lines = (0..count).map(|n| format!("  - {{ name: s{n}, ntp: 10.0.0.{} }}\n", n + 1));
            format!("sources:\n{}", lines.collect::<String>())
        };
        assert_eq!(loaded(&list(32)).sources.len(), 32);
        assert_eq!(
            refused(&list(33), &[]),
            "error: sources: 33 sources are too many: at most 32 are allowed\n\
             \x20--> /etc/skewguard/skewguard.yaml:2:3\n\
             \x20 |\n\
             2 |   - { name: s0, ntp: 10.0.0.1 }\n\
             \x20 |   ^"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_read_is_told_with_a_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let error = |path: &Path| load(Some(path), &nothing).err().expect("an error").to_string();
        let path = directory.path().join("skewguard.yaml");
        let shown = path.display();
        assert_eq!(
            error(&path),
            format!(
                "error: failed to read the configuration: No such file or directory (os error 2): correct the path, or \
                 name no file to use the built-in default\n --> {shown}"
            )
        );
        assert_eq!(
            error(directory.path()),
            format!(
                "error: failed to read the configuration: Is a directory (os error 21): name the file in it\n --> {}",
                directory.path().display()
            )
        );
        std::fs::write(&path, b"# d\xc3\xa9j\xc3\xa0 vu\nsocket: /\xc3\xa9\xe9\n").unwrap();
        assert_eq!(
            error(&path),
            format!(
                "error: not UTF-8: save the file in this encoding\n --> {shown}:2:11\n  |\n2 | socket: /é\u{fffd}\n  \
                 |           ^"
            )
        );
        std::fs::write(&path, vec![b'#'; LONGEST + 1]).unwrap();
        assert_eq!(
            error(&path),
            format!(
                "error: the file is longer than 1 MiB: a configuration is a few lines; name the right file\n --> {shown}"
            )
        );
        std::fs::write(&path, "socket: /a").unwrap();
        assert_eq!(load(Some(&path), &nothing).unwrap_or_else(|error| panic!("{error}")).socket, Path::new("/a"));
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_makes_no_sense_is_named() {
        let otlp = "telemetry: { otlp: { endpoint: http://c } }";
        for (text, name, value, message) in [
            ("{}", "AWS_EC2_METADATA_DISABLED", "1", "1 is neither true nor false"),
            ("{}", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "v6", "v6 is neither IPv4 nor IPv6"),
            (
                "{}",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                "http://u:hunter2@h/",
                "the endpoint is http:// and a host, without a path, such as http://169.254.169.254",
            ),
            ("{}", "AWS_METADATA_SERVICE_TIMEOUT", "1s", "1s is not a number of seconds, such as 1 or 0.5"),
            ("{}", "AWS_METADATA_SERVICE_TIMEOUT", "-1", "-1 s is out of range: allowed is 50ms to 1m"),
            ("{}", "AWS_METADATA_SERVICE_TIMEOUT", "NaN", "NaN s is out of range: allowed is 50ms to 1m"),
            ("{}", "AWS_METADATA_SERVICE_TIMEOUT", "90", "90s is too long: allowed is 50ms to 1m"),
            ("{}", "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "0", "0 is out of range: allowed is 1 to 10"),
            ("{}", "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "two", "two is not a whole number: write 1 to 10"),
            ("{}", "OTEL_SDK_DISABLED", "yes", "yes is neither true nor false"),
            (
                "{}",
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "hunter2",
                "a URL begins with http:// or https:// and a host (the value is not shown)",
            ),
            (
                "{}",
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                "hunter2",
                "a URL begins with http:// or https:// and a host (the value is not shown)",
            ),
            ("{}", "STATE_DIRECTORY", "state", "the folder is an absolute path below /, such as /var/lib/skewguard"),
            (otlp, "OTEL_METRIC_EXPORT_INTERVAL", "60s", "60s is not a number of milliseconds, such as 10000"),
            (otlp, "OTEL_METRIC_EXPORT_INTERVAL", "60", "60ms is too short: allowed is 1s to 1h"),
            (otlp, "OTEL_EXPORTER_OTLP_TIMEOUT", "10", "10ms is too short: allowed is 50ms to 1m"),
        ] {
            let error = format!("error: environment variable {name}: {message}");
            assert_eq!(refused(text, &[(name, value)]), error);
            let nowhere = load(None, &|asked| of(&[(name, value)], asked)).err().map(|error| error.to_string());
            assert_eq!(nowhere, (text == "{}").then_some(error));
        }
    }

    #[test]
    fn the_address_of_time_sync_is_trusted_on_ec2_alone_unless_the_file_says_so() {
        let trusted = |config: &Config| config.sources.iter().map(|source| source.trusted).collect::<Vec<_>>();
        let file = |trusted: &str| format!("sources: [{{ name: a, ntp: 169.254.169.123{trusted} }}]");
        for (is_ec2, said, expected) in
            [(true, "", true), (false, "", false), (false, ", trusted: true", true), (true, ", trusted: false", false)]
        {
            let config =
                parse_on(&file(said), Path::new("c.yaml"), &nothing, is_ec2).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(trusted(&config), [expected], "{is_ec2} {said}");
        }
        let built_in = load_on(None, &nothing, false).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(trusted(&built_in), [false]);
    }

    #[cfg(unix)]
    #[test]
    fn without_a_file_all_is_as_designed() {
        let config = load(None, &nothing).unwrap_or_else(|error| panic!("{error}"));
        let [near] = config.sources.as_slice() else { panic!("{:?}", config.sources) };
        assert_eq!((near.name.as_str(), near.kind.to_string().as_str()), ("amazon-time-sync", "169.254.169.123"));
        assert!(near.trusted && near.leap_smear && near.poll == Duration::from_secs(16));
        let imds = config.credentials.imds.expect("imds");
        assert_eq!((imds.endpoint.as_str(), imds.attempts), ("http://169.254.169.254", 3));
        assert_eq!((imds.timeout, imds.poll), (Duration::from_secs(1), Duration::from_secs(300)));
        assert_eq!(config.sdks, Sdk::usual());
        let limits: Vec<_> = config.limits.iter().map(|l| (l.name.as_str(), l.window.as_secs(), l.masked)).collect();
        assert_eq!(limits, [("sdk-correction", 240, true), ("sigv4", 300, false), ("s3-sts", 900, false)]);
        let alerts = &config.alerts;
        assert_eq!((alerts.boot_grace.as_secs(), alerts.repeat.as_secs()), (120, 14_400));
        let value = |level: Option<Level>| level.map(Level::value);
        let rules = alerts.rules.iter().map(|(row, rule)| {
            assert!(rule.enabled);
            (row.kind.name(), value(rule.warning), value(rule.critical), rule.hold.as_secs())
        });
        // In the unit of each.
        let expected = [
            ("clock-skew", Some(60.0), Some(150.0), 0),
            ("clock-skew-forecast", Some(604_800.0), Some(86_400.0), 300),
            ("clock-undisciplined", Some(1.0), None, 600),
            ("clock-stepped", Some(1.0), None, 300),
            ("clock-unverified", None, None, 900),
            ("source-falseticker", None, None, 600),
            ("source-unreachable", None, None, 600),
            ("credential-refresh-margin", Some(60.0), Some(0.0), 60),
            ("credential-expiring", Some(900.0), Some(300.0), 0),
            ("credential-rotation-overdue", None, None, 600),
            ("credential-unavailable", None, Some(300.0), 0),
        ];
        assert_eq!(rules.collect::<Vec<_>>(), expected);
        assert!(config.channels.is_empty() && config.telemetry.otlp.is_none());
        assert_eq!(config.socket, Path::new("/run/skewguard/skewguard.sock"));
        let state_dir = config.state_dir.expect("a folder");
        assert_eq!((state_dir.path.as_path(), state_dir.is_given), (Path::new("/var/lib/skewguard"), false));
        assert_eq!(config.queue, Queue { size: 268_435_456, age: Duration::from_secs(259_200) });
    }

    #[test]
    fn a_collector_of_either_signal_is_enough() {
        for name in
            ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]
        {
            assert!(with("{}", &[(name, "http://c:4318")]).telemetry.otlp.is_some(), "{name}");
        }
    }

    #[test]
    fn the_environment_wins_over_the_default_and_the_file_over_both() {
        let variables = [
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6"),
            ("AWS_METADATA_SERVICE_TIMEOUT", "2.5"),
            ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "5"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "30000"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "7000"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "8000"),
        ];
        let config = with("{}", &variables);
        let (imds, otlp) = (config.credentials.imds.expect("imds"), config.telemetry.otlp.expect("otlp"));
        assert_eq!((imds.endpoint.as_str(), imds.attempts), ("http://[fd00:ec2::254]", 5));
        assert_eq!(imds.timeout, Duration::from_millis(2_500));
        assert_eq!((otlp.endpoint.is_none(), otlp.interval.as_secs(), otlp.timeout.as_secs()), (true, 30, 7));

        let file = "\
credentials: { imds: { endpoint: http://127.0.0.1:1338, timeout: 3s, attempts: 4 } }
telemetry: { otlp: { endpoint: http://d:4318, interval: 20s, timeout: 9s } }
";
        let config = with(file, &variables);
        let (imds, otlp) = (config.credentials.imds.expect("imds"), config.telemetry.otlp.expect("otlp"));
        assert_eq!((imds.endpoint.as_str(), imds.attempts), ("http://127.0.0.1:1338", 4));
        assert_eq!(imds.timeout, Duration::from_secs(3));
        let endpoint = otlp.endpoint.map(|url| url.to_string());
        let otlp = (endpoint.as_deref(), otlp.interval.as_secs(), otlp.timeout.as_secs());
        assert_eq!(otlp, (Some("http://d:4318"), 20, 9));
    }

    #[test]
    fn the_endpoint_of_the_environment_wins_over_its_mode() {
        let variables = [
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6"),
        ];
        assert_eq!(with("{}", &variables).credentials.imds.expect("imds").endpoint, "http://127.0.0.1:1338");
    }

    #[test]
    fn what_is_disabled_in_the_environment_can_be_enabled_in_the_file() {
        let variables = [
            ("AWS_EC2_METADATA_DISABLED", "TRUE"),
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/v1/metrics"),
        ];
        let config = with("telemetry: { otlp: { endpoint: http://c } }", &variables);
        assert!(config.credentials.imds.is_none() && config.telemetry.otlp.is_none());
        let config =
            with("{ credentials: { imds: { enabled: true } }, telemetry: { otlp: { enabled: true } } }", &variables);
        assert!(config.credentials.imds.is_some() && config.telemetry.otlp.is_some());
        let [_, _, endpoint] = variables;
        assert!(with("telemetry: { otlp: { enabled: false } }", &[endpoint]).telemetry.otlp.is_none());
    }

    #[test]
    fn version_1_of_the_metadata_service_is_disabled_by_the_word_true_alone() {
        for (value, expected) in [("true", false), ("TRUE", false), ("false", true), ("1", true), ("", true)] {
            let config = with("{}", &[("AWS_EC2_METADATA_V1_DISABLED", value)]);
            assert_eq!(config.credentials.imds.unwrap().version_1, expected, "{value}");
        }
    }

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        let variables = [
            ("AWS_EC2_METADATA_DISABLED", ""),
            ("AWS_METADATA_SERVICE_TIMEOUT", ""),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ];
        assert_eq!(show(&with("{}", &variables)), show(&loaded("{}")));
    }

    #[test]
    fn a_source_of_amazon_is_known_as_such() {
        let config = loaded("sources: [{ name: a, ntp: 'fd00:ec2::123' }, { name: b, ntp: time.google.com }]");
        let [amazon, other] = config.sources.as_slice() else { panic!("{:?}", config.sources) };
        assert!(amazon.trusted && amazon.leap_smear && amazon.poll == Duration::from_secs(16));
        assert!(!other.trusted && !other.leap_smear && other.poll == Duration::from_secs(64));
    }

    #[test]
    fn the_installed_file_says_the_default() {
        let default = load(None, &nothing).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(show(&loaded(&shipped("skewguard.yaml"))), show(&default));
    }

    #[cfg(unix)]
    #[test]
    fn every_key_of_the_installed_file_can_be_uncommented() {
        let shipped = shipped("skewguard.yaml");
        let all = uncommented(&shipped);
        assert_ne!(all, shipped);
        let config = loaded(&all);
        let named = config.state_dir.as_ref().map(|dir| dir.path.as_path());
        assert_eq!(named, Some(sys::places().state_dir.as_path()));
        for Channel { name, severity, alerts, timeout, .. } in &config.channels {
            let is_told_all = alerts.is_none() || name == "ops";
            assert!(*severity == Severity::Warning && is_told_all && timeout.as_secs() == 10, "{name}");
        }
        assert_eq!((config.limits.len(), config.sources.len()), (4, 1 + AnyKind::KEYS.len()));
        assert_eq!((config.channels.len(), config.telemetry.otlp.is_some()), (AnyTarget::KEYS.len(), true));
        assert_eq!(
            (config.credentials.files.as_ref().map(|files| files.0.len()), config.credentials.homes.len()),
            (Some(2), 1)
        );
        // Every key of the schema stands in the file.
        let schema: serde_json::Value = serde_json::from_str(&super::super::schema::schema()).unwrap();
        let definitions = schema["$defs"].as_object().unwrap().values();
        for properties in definitions.chain([&schema]).filter_map(|definition| definition["properties"].as_object()) {
            for key in properties.keys() {
                assert!(all.contains(&format!("{key}:")), "{key} is not in the installed file");
            }
        }
        // Where a default is shown, it is the default.
        let default = load(None, &nothing).unwrap_or_else(|error| panic!("{error}"));
        let (config, default) = (
            Config {
                sources: default.sources.clone(),
                limits: default.limits.clone(),
                channels: Vec::new(),
                telemetry: Telemetry::default(),
                // Where it is named, it must exist.
                state_dir: default.state_dir.clone(),
                // Which files there are is different on each host.
                credentials: Credentials {
                    imds: config.credentials.imds.clone(),
                    poll: config.credentials.poll,
                    ..default.credentials.clone()
                },
                ..config
            },
            Config { telemetry: Telemetry::default(), ..default },
        );
        assert_eq!(show(&config), show(&default));
    }

    #[cfg(unix)]
    #[test]
    fn every_example_is_accepted() {
        let mut count = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples")).unwrap() {
            let path = entry.unwrap().path();
            if let Err(error) = load(Some(&path), &nothing) {
                panic!("{error}");
            }
            count += 1;
        }
        assert_eq!(count, 6);
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in ".*|[-a-z0-9:\\[\\]{}&*!#\"'|>?%@, \n\t\r]{0,80}") {
            let _ = parse(&text, Path::new(FILE), &nothing).map_err(|error| error.to_string());
        }

        #[cfg(unix)]
        #[test]
        fn no_damage_to_a_file_is_a_panic(at in 0..1_100_usize, cut in 0..40_usize, added in "[-:\\[{}&*!#'|a \n\t\u{85}é]{0,4}") {
            let file = "channels:\n- &a\n  name: ops\n  severity: critical\n  webhook:\n    url: \
                        https://u:hunter2@ops.example/hook\n    secret: env:A\n    headers: { X: file:/x }\n- name: am\n  \
                        alerts: [clock-skew, clock-stepped]\n  alertmanager:\n    url: https://u:hunter2@am.example\n    \
                        repost: 1m\n  tls:\n    ca: /a\n- name: chat\n  slack: { url: env:B }\n  alerts:\n  - \
                        clock-skew\n- name: topic\n  sns:\n    topic: arn:aws:sns:eu-west-1:123456789012:alerts\n    \
                        endpoint: https://vpce.example\n- pagerduty:\n    routing_key: env:C\n    url: \
                        https://u:hunter2@a.example\n  severity: warning\n  name: pager\n- name: bus\n  eventbridge: { \
                        bus: 'arn:aws:events:eu-west-1:123456789012:event-bus/default' }\nsources:\n  - { name: a, ntp: \
                        10.0.0.1, poll: 16s }\nalerts: { clock-skew: { warning: 60s, for: 0s } }\nlimits: [{ name: k, \
                        window: 5m }]\nsdks: [rust, cpp]\nqueue: { size: 16MiB, age: 72h }\n";
            prop_assert!(parse(file, Path::new(FILE), &nothing).is_ok());
            let mut text: Vec<char> = file.chars().collect();
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, added.chars());
            let text: String = text.into_iter().collect();
            if let Err(error) = parse(&text, Path::new(FILE), &nothing) {
                prop_assert!(!error.to_string().contains("hunter2"), "{}", error);
            }
        }
    }
}
