//! What holds for every provider: that all it may say is documented, shown and refused in order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::levels::Levels;
use super::named_file::Holds;
use super::provide::Provide;
use super::timestamp::Basis;
use super::{Credentials, Provider, documented, named_file};
use crate::config::checked::Config;
use crate::config::documented::{assert_documented, uncommented};
use crate::config::load::parse;
use crate::config::show::show;

/// What the documentation says of a provider.
pub(super) struct Documented {
    key: Option<&'static str>,
    name: &'static str,
    reads: &'static str,
    expires_by: &'static str,
    reference: &'static str,
}

impl Documented {
    pub(super) fn of<T: Provide>(key: Option<&'static str>) -> Self {
        let reference = T::REFERENCE.trim_start_matches('\n');
        Self { key, name: T::NAME, reads: T::READS, expires_by: T::EXPIRES_BY, reference }
    }

    /// What the reference says, with every key.
    fn written(&self) -> Option<(&'static str, Value)> {
        let key = self.key?;
        let yaml = uncommented(self.reference);
        let mut all: Value = serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{error} in\n{yaml}"));
        Some((key, std::mem::take(&mut all[key])))
    }
}

fn yaml(key: &str, written: &Value) -> String {
    let credentials = Mapping::from_iter([(key.into(), written.clone())]);
    serde_yaml::to_string(&Mapping::from_iter([("credentials".into(), Value::Mapping(credentials))])).unwrap()
}

/// In an environment in which everybody who can be asked is.
fn loaded(text: &str) -> Result<Config, String> {
    let env = |name: &str| (name == "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").then(|| "/v2/credentials".to_owned());
    parse(text, Path::new("a.yaml"), &env).map_err(|error| error.to_string())
}

fn loads(text: &str) -> Config {
    loaded(text).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

/// The same with each of its values damaged, one by one.
fn damaged(value: &Value) -> Vec<Value> {
    let wrong = if value.is_mapping() { Value::from("wrong") } else { Value::Mapping(Mapping::new()) };
    let mut all = vec![wrong];
    match value {
        Value::Mapping(mapping) => {
            for (key, below) in mapping {
                for damage in damaged(below) {
                    let mut whole = mapping.clone();
                    whole.insert(key.clone(), damage);
                    all.push(Value::Mapping(whole));
                }
            }
            let mut more = mapping.clone();
            more.insert("unknown".into(), 1.into());
            all.push(Value::Mapping(more));
        }
        Value::Sequence(values) => {
            for (index, below) in values.iter().enumerate() {
                for damage in damaged(below) {
                    let mut whole = values.clone();
                    whole[index] = damage;
                    all.push(Value::Sequence(whole));
                }
            }
        }
        _ => {}
    }
    all
}

#[cfg(unix)]
#[test]
fn a_provider_with_every_key_is_shown_as_it_is_loaded() {
    let mut count = 0;
    for (key, written) in documented().iter().filter_map(Documented::written) {
        assert!(!written.is_null(), "{key} is not in its own reference");
        let config = loads(&yaml(key, &written));
        let text = show(&config);
        assert!(loads(&text).credentials == config.credentials, "{text}");
        let shown: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(shown["credentials"][key], written, "{key}");
        count += 1;
    }
    assert!(count > 0);
}

#[cfg(unix)]
#[test]
fn whoever_is_asked_is_read() {
    let all = documented();
    let written = all.iter().filter_map(Documented::written).map(|(key, written)| (Value::from(key), written));
    let mut below: Mapping = written.collect();
    below.insert("homes".into(), vec![Value::from("/home/app")].into());
    let text = serde_yaml::to_string(&Mapping::from_iter([("credentials".into(), Value::Mapping(below))])).unwrap();
    let env = |name: &str| match name {
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" => Some("/v2/credentials".to_owned()),
        "AWS_CREDENTIAL_EXPIRATION" => Some("2026-03-01T16:00:00Z".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("x".to_owned()),
        _ => None,
    };
    let config = parse(&text, Path::new("a.yaml"), &env).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.credentials.providers(), Provider::ALL.iter().copied().collect());
    let read: Vec<Provider> = config.credentials.readers(&env).iter().map(|reader| reader.provider()).collect();
    // The role of the instance is read by the task that asks the metadata service for all else.
    let others: Vec<Provider> = Provider::ALL.iter().copied().filter(|one| *one != Provider::Imds).collect();
    assert_eq!(read, others);
}

#[test]
fn every_file_of_a_provider_is_in_the_list() {
    let common = [
        "cache",
        "certificate",
        "document",
        "file",
        "homes",
        "http",
        "identity",
        "lease",
        "levels",
        "list",
        "marked",
        "mod",
        "pointer",
        "poller",
        "provide",
        "round",
        "tests",
        "timestamp",
    ];
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/credentials")).unwrap();
    let names = folder.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    let mut files: Vec<String> = names.filter(|name| !common.contains(&name.as_str())).collect();
    files.sort();
    let file = |provider: &Provider| match provider {
        Provider::File => "named_file".to_owned(),
        other => other.name().replace('-', "_"),
    };
    let mut listed: Vec<String> = Provider::ALL.iter().map(file).collect();
    listed.sort();
    assert_eq!(files, listed, "each provider is a file or a folder and a line of the list in mod.rs, by the same name");
}

#[test]
fn damage_is_refused_with_its_place() {
    for (key, written) in documented().iter().filter_map(Documented::written) {
        for damage in damaged(&written) {
            let text = yaml(key, &damage);
            let Err(error) = loaded(&text) else { panic!("accepted:\n{text}") };
            let place = error.split_once("\n").unwrap_or_else(|| panic!("no place: {error}")).1;
            assert!(place.contains("--> a.yaml:") && place.ends_with('^'), "no place: {error}");
        }
    }
}

#[test]
fn each_provider_is_documented_in_the_installed_file() {
    let sections: String = documented().iter().map(|provider| provider.reference).collect();
    let (begin, end) = ("\ncredentials:\n", "  # The homes of users whose .aws folders are looked at");
    assert_documented("config/skewguard.yaml", Some((begin, end)), &sections);
}

#[test]
fn each_provider_is_documented_in_the_readme() {
    let line = |one: &Documented| format!("| `{}` | {} | {} |\n", one.name, one.reads, one.expires_by);
    let lines: String = documented().iter().map(line).collect();
    let begin = "| provider | what is read | by whose clock it expires |\n|---|---|---|\n";
    assert_documented("README.md", Some((begin, "\nOnly the times")), &lines);
}

fn with(text: &str, variables: &[(&str, &str)]) -> Credentials {
    let env = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    parse(text, Path::new("a.yaml"), &env).unwrap_or_else(|error| panic!("{error}")).credentials
}

#[cfg(unix)]
#[test]
fn the_environment_says_what_there_is_where_the_file_does_not() {
    let nothing = with("{}", &[]);
    assert!(nothing.container.is_none() && nothing.environment.is_none() && nothing.web_identity.is_none());
    assert!(nothing.homes.is_empty() && nothing.files.is_none() && nothing.shared_file.is_none());
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/etc/aws/credentials"),
        ("AWS_CREDENTIAL_EXPIRATION", "2026-03-01T16:00:00Z"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("HOME", "/home/app"),
    ];
    let all = with("{}", &variables);
    assert!(all.container.is_some() && all.environment.is_some());
    assert_eq!(all.web_identity.map(|settings| settings.token_file), Some(PathBuf::from("/var/run/token")));
    assert_eq!(all.shared_file.and_then(|settings| settings.file), Some(PathBuf::from("/etc/aws/credentials")));
    assert_eq!(all.homes, [PathBuf::from("/home/app")]);
    let text = "credentials: { container: { enabled: false }, web_identity: { enabled: false }, homes: [/a, /b] }";
    let chosen = with(text, &variables);
    assert!(chosen.container.is_none() && chosen.web_identity.is_none());
    assert_eq!(chosen.homes, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert!(with("{}", &[("HOME", "/")]).homes.is_empty(), "a service has no home");
}

#[cfg(unix)]
#[test]
fn a_certificate_is_warned_of_days_before_its_end_and_a_json_file_as_all_else() {
    let text = "credentials: { files: [{ name: a, certificate: { path: /a.pem } }, { name: b, json: { path: /b, \
                pointer: /x, basis: local }, warning: 1h }] }";
    let named_file::Settings(files) = with(text, &[]).files.unwrap();
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
    assert_eq!(files[0].levels, Levels { warning: hours(168), critical: hours(24) });
    assert_eq!(files[1].levels, Levels { warning: hours(1), critical: None });
    assert!(matches!(files[1].holds, Holds::Json { basis: Basis::Local, .. }));
}

#[cfg(unix)]
#[test]
fn what_is_known_holds_only_while_the_same_is_asked() {
    let of = |text: &str| {
        with(
            &format!("credentials: {text}"),
            &["AWS_CREDENTIAL_EXPIRATION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "x")),
        )
    };
    let first = of("{ imds: { endpoint: 'http://a' }, homes: [/a] }");
    let slower = of("{ imds: { endpoint: 'http://a', poll: 1h }, homes: [/a] }");
    let other = of("{ imds: { endpoint: 'http://b' }, homes: [/b] }");
    for provider in [Provider::Imds, Provider::SharedFile, Provider::SsoCache, Provider::CliCache, Provider::LoginCache]
    {
        assert!(slower.goes_on_from(&first, provider), "{}", provider.name());
        assert!(!other.goes_on_from(&first, provider), "{}", provider.name());
    }
    assert!(other.goes_on_from(&first, Provider::Environment));
}
