//! What holds for every target: that all it may say is documented, shown and refused in order, and that no secret of it
//! comes back.

use std::path::Path;

use schemars::JsonSchema;
use serde_yaml::{Mapping, Value};

use super::list::where_alerts_go;
use super::target::{Target, attempt};
use super::{AnyTarget, WrittenChannel, documented};
use crate::alert::machine::Change;
use crate::config::checked::Config;
use crate::config::documented::{assert_documented, uncommented};
use crate::config::load::parse;
use crate::config::show::show;
use crate::credentials::imds::fake::{Fake, SECRETS};
use crate::demo::http::{Response, start};
use crate::notify::aws::tests::aws;
use crate::notify::message::tests::{item, skew};
use crate::setting::text::described;

/// What the documentation says of a target.
pub(super) struct Documented {
    key: &'static str,
    what: String,
    reference: &'static str,
    example: &'static str,
    /// All its keys, by the schema.
    keys: Vec<String>,
    /// What the schema says of each key.
    descriptions: Vec<(String, String)>,
}

impl Documented {
    pub(super) fn of<T: Target + JsonSchema>(key: &'static str) -> Self {
        let schema = schemars::schema_for!(T);
        let properties = schema.get("properties").and_then(serde_json::Value::as_object).unwrap();
        let described_as = |value: &serde_json::Value| value["description"].as_str().unwrap_or_default().to_owned();
        let descriptions = properties.iter().map(|(key, value)| (key.clone(), described_as(value))).collect();
        let keys = properties.keys().cloned().collect();
        let [reference, example] = [T::reference(), T::example()].map(|text| text.trim_start_matches('\n'));
        Self { key, what: described::<T>(), reference, example, keys, descriptions }
    }

    /// The channel of the reference, with every key.
    fn channel(&self) -> Value {
        let yaml = uncommented(self.reference);
        let mut channels: Vec<Value> = serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{error} in\n{yaml}"));
        assert_eq!(channels.len(), 1, "{yaml}");
        channels.remove(0)
    }

    /// The same with `value` at a way of keys in its target.
    fn with(&self, way: &[String], value: &Value) -> Value {
        let mut channel = self.channel();
        let mut at = &mut channel[self.key];
        for key in way {
            at = &mut at[key.as_str()];
        }
        *at = value.clone();
        channel
    }

    /// The ways to all values in its target, those of mappings included.
    fn ways(&self) -> Vec<Vec<String>> {
        fn below(value: &Value, way: &[String], ways: &mut Vec<Vec<String>>) {
            for (key, value) in value.as_mapping().into_iter().flatten() {
                let way = [way, &[key.as_str().unwrap().to_owned()]].concat();
                below(value, &way, ways);
                ways.push(way);
            }
        }
        let mut ways = Vec::new();
        below(&self.channel()[self.key], &[], &mut ways);
        ways
    }
}

fn yaml(channel: &Value) -> String {
    let channels = Value::Sequence(vec![channel.clone()]);
    serde_yaml::to_string(&Mapping::from_iter([("channels".into(), channels)])).unwrap()
}

fn loaded(text: &str) -> Result<Config, String> {
    parse(text, Path::new("a.yaml"), &|_| None).map_err(|error| error.to_string())
}

fn loads(text: &str) -> Config {
    loaded(text).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

/// That an error says where and what is wrong, and what to do.
fn assert_told(error: &str, at: &str) {
    let (what, place) = error.split_once("\n").unwrap_or_else(|| panic!("no place: {error}"));
    assert!(what.starts_with(&format!("error: {at}")), "not at {at}: {error}");
    assert!(place.contains("--> a.yaml:") && place.ends_with('^'), "no place: {error}");
    let says = [
        "write",
        "allowed",
        "expected",
        "begins with",
        "ends with",
        "such as",
        "correct",
        "the fourth part",
        "is added",
    ];
    assert!(says.iter().any(|word| what.contains(word)), "no remedy: {error}");
}

/// Texts that are secrets, or hold one.
const SECRET_TEXTS: [&str; 4] = [
    "hunter2",
    "arn:aws hunter2hunter2hunter2",
    "https://hooks.slack.com/services/T0/B0/hunter2hunter2hunter2",
    "https://u:hunter2@h.example/hunter2hunter2hunter2?k=hunter2hunter2#hunter2",
];

#[cfg(unix)]
#[test]
fn a_target_with_every_key_is_shown_as_it_is_loaded() {
    for target in documented() {
        let written = target.channel();
        let keys: Vec<_> = written[target.key].as_mapping().unwrap().keys().map(|key| key.as_str().unwrap()).collect();
        for key in &target.keys {
            assert!(keys.contains(&key.as_str()), "{key} is missing in the reference of {}", target.key);
        }
        let config = loads(&yaml(&written));
        assert_eq!(config.channels[0].target.key(), target.key);
        let shown = show(&config);
        let again = loads(&shown);
        assert!(again.channels == config.channels, "{shown}");
        let shown: Value = serde_yaml::from_str(&shown).unwrap();
        // What is written is shown, letter by letter.
        assert_eq!(shown["channels"][0][target.key], written[target.key], "{}", target.key);
    }
}

#[test]
fn each_default_is_documented_as_it_is_filled_in() {
    let mut count = 0;
    for target in documented() {
        for (key, description) in &target.descriptions {
            let mut without = target.channel();
            without[target.key].as_mapping_mut().unwrap().remove(key.as_str());
            let Ok(config) = loaded(&yaml(&without)) else { continue };
            let shown: Value = serde_yaml::from_str(&show(&config)).unwrap();
            let Some(filled_in) = shown["channels"][0][target.key].get(key.as_str()) else { continue };
            let filled_in = filled_in.as_str().unwrap();
            assert!(description.contains(filled_in), "{}.{key} is {filled_in} by default: {description}", target.key);
            assert_eq!(target.channel()[target.key][key.as_str()], filled_in, "the reference of {}.{key}", target.key);
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn no_secret_is_shown_or_repeated_wherever_it_is_written() {
    for target in documented() {
        for way in target.ways() {
            for secret in SECRET_TEXTS {
                let text = yaml(&target.with(&way, &secret.into()));
                match loaded(&text) {
                    Err(error) => {
                        assert!(!error.contains("hunter2"), "{error}");
                        assert_told(&error, &format!("channels[0].{}", target.key));
                    }
                    Ok(config) => {
                        let shown = show(&config);
                        assert!(!shown.contains("hunter2"), "{} of {} is shown:\n{shown}", way.join("."), target.key);
                        let url = config.channels[0].target.url().map(ToString::to_string);
                        assert!(url.is_none_or(|url| !url.contains("hunter2")), "{}", way.join("."));
                    }
                }
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_damaged_is_refused_with_its_place_and_a_remedy() {
    for target in documented() {
        let at = format!("channels[0].{}", target.key);
        for way in target.ways() {
            for damage in [Value::Sequence(Vec::new()), Value::Bool(true), "\u{7f}".into()] {
                let text = yaml(&target.with(&way, &damage));
                assert_told(&loaded(&text).err().unwrap_or_else(|| panic!("accepted:\n{text}")), &at);
            }
        }
        for key in &target.keys {
            let mut channel = target.channel();
            channel[target.key].as_mapping_mut().unwrap().remove(key.as_str());
            if let Err(error) = loaded(&yaml(&channel)) {
                assert!(error.starts_with(&format!("error: {at}: the key {key} is missing\n")), "{error}");
            }
        }
        let mut unknown = target.channel();
        unknown[target.key].as_mapping_mut().unwrap().insert("hunter".into(), 2.into());
        let error = loaded(&yaml(&unknown)).err().unwrap();
        let (_, allowed) = error.split_once(&format!("{at}: unknown key hunter: allowed here are ")).expect(&error);
        let allowed: Vec<_> = allowed.lines().next().unwrap().split(", ").collect();
        assert!(target.keys.iter().all(|key| allowed.contains(&key.as_str())), "{error}");
        // Every channel has these, and once its target had two of them.
        for key in WrittenChannel::COMMON {
            let mut old = target.channel();
            old[target.key].as_mapping_mut().unwrap().insert(key.into(), "5s".into());
            let error = loaded(&yaml(&old)).err().unwrap();
            assert!(error.contains(&format!("write it beside {}, as channels[0].{key}\n", target.key)), "{error}");
        }
    }
}

/// The receiver repeats all that it is sent, and refuses it or not.
#[tokio::test]
async fn what_comes_of_an_attempt_repeats_no_secret() {
    let imds = Fake::healthy([]).await;
    for target in documented() {
        for status in [200, 404] {
            let echo = start(move |request| {
                let names = ["authorization", "x-amz-security-token", "x-api-key", "x-token"];
                let headers = names.map(|name| request.header(name).unwrap_or_default().to_owned());
                // A key behind the name of its scheme is repeated without that as well.
                let alone = |header: &String| header.split_once(' ').map(|(_, rest)| rest.to_owned());
                let keys: Vec<_> = headers.iter().filter_map(alone).filter(|key| !key.contains(' ')).collect();
                let body = String::from_utf8_lossy(&request.body).into_owned();
                Response {
                    status,
                    ..Response::ok(format!("{} {} {} {body}", request.path, headers.join(" "), keys.join(" ")))
                }
            });
            let address = echo.await.unwrap();
            let url = format!("http://u:hunter2@{address}/hunter2hunter2hunter2");
            let folder = tempfile::tempdir().unwrap();
            // Another secret than those of the URL, which are masked wherever it is used.
            let secret = format!("http://u:swordfish@{address}/swordfishswordfish");
            std::fs::write(folder.path().join("secret"), secret).unwrap();
            let mut channel = target.channel();
            channel.as_mapping_mut().unwrap().remove("tls");
            let mut config = loads(&yaml(&secrets_from(&channel, &folder.path().join("secret"))));
            let target = &mut config.channels[0].target;
            lead(target, &url, &format!("http://{address}"));
            let outcome = attempt(&**target, &aws(Some(&imds.endpoint)), &item(&skew(Change::Firing))).await;
            let shown = format!("{outcome:?}");
            let answered = outcome.as_ref().err().is_none_or(|failure| failure.answer.is_some());
            assert!(answered, "{} was not sent: {shown}", target.key());
            let secret = ["hunter2", "swordfish"].into_iter().chain(SECRETS).find(|secret| shown.contains(secret));
            assert_eq!(secret, None, "{}: {shown}", target.key());
        }
    }
}

/// `value` with every secret read from `file`.
fn secrets_from(value: &Value, file: &Path) -> Value {
    match value {
        Value::String(text) if text.starts_with("env:") || text.starts_with("file:") => {
            format!("file:{}", file.display()).into()
        }
        Value::Mapping(mapping) => {
            let each = mapping.iter().map(|(key, value)| (key.clone(), secrets_from(value, file)));
            Value::Mapping(each.collect())
        }
        other => other.clone(),
    }
}

/// Leads a target to `url`, or where that may be no more than a scheme and a host, to `origin`.
fn lead(target: &mut AnyTarget, url: &str, origin: &str) {
    let mut written = serde_yaml::to_value(WrittenChannel::named("a".into()).with(target.clone())).unwrap();
    let at = &mut written[target.key()];
    let place = ["url", "endpoint"].into_iter().find(|key| at.get(key).is_some()).expect("a url");
    if at[place].as_str().unwrap().starts_with("file:") {
        return;
    }
    at[place] = url.into();
    let config = loaded(&yaml(&written)).unwrap_or_else(|_| {
        written[target.key()][place] = origin.into();
        loads(&yaml(&written))
    });
    *target = config.channels.into_iter().next().unwrap().target;
}

#[test]
fn each_target_is_documented() {
    let all = documented();
    let rows: String = all.iter().map(|target| format!("| `{}` | {} |\n", target.key, target.what)).collect();
    let begin = "| channel | what it leads to |\n|---|---|\n";
    assert_documented("README.md", Some((begin, "\nSNS and EventBridge")), &rows);
    let exactly_one = where_alerts_go(&AnyTarget::KEYS).replace("Where alerts go: ", "");
    let references: String = all.iter().map(|target| target.reference).collect();
    let reference = format!(
        ", beside standard error. Default: nowhere. All channels take severity, alerts, timeout and tls. Each has\n\
         # {exactly_one}\nchannels:\n{references}"
    );
    assert_documented("config/skewguard.yaml", Some(("\n# Where alerts go", "\ntelemetry:\n")), &reference);
    let examples = all.iter().map(|target| target.example).collect::<Vec<_>>().join("\n");
    let (begin, end) = ("\nchannels:\n", "\n# What cannot be delivered");
    assert_documented("config/examples/channels.yaml", Some((begin, end)), &examples);
}

#[test]
fn every_file_of_a_target_is_in_the_list() {
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/notify/targets")).unwrap();
    let names = folder.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    let mut files: Vec<String> =
        names.filter(|name| !["mod", "list", "target", "tests"].contains(&name.as_str())).collect();
    files.sort();
    let mut keys = AnyTarget::KEYS;
    keys.sort_unstable();
    assert_eq!(files, keys, "each target is a file and a word of the list in mod.rs, by the same name");
}
