//! What holds for every kind: that all it may say is documented, shown and refused in order.

use std::path::Path;
use std::sync::Arc;

use serde_yaml::{Mapping, Value};

use super::kind::{SourceKind, Words};
use super::pace::SLOWEST;
use super::{AnyKind, WrittenSource, schemas, words};
use crate::config::checked::Config;
use crate::config::documented::{assert_documented, uncommented};
use crate::config::load::parse;
use crate::config::schema::schema;
use crate::config::show::show;

/// What the documentation says of a kind.
struct Documented {
    key: &'static str,
    words: Words,
    /// All keys below its own, by the schema; none where a text is written there.
    keys: Vec<String>,
}

/// The same of each, in the order of the list.
fn documented() -> Vec<Documented> {
    let all = words().into_iter().zip(schemas()).map(|((key, words), schema)| {
        let properties = schema.get("properties").and_then(serde_json::Value::as_object);
        Documented { key, words, keys: properties.into_iter().flat_map(|keys| keys.keys().cloned()).collect() }
    });
    all.collect()
}

impl Documented {
    fn reference(&self) -> &'static str {
        self.words.reference.trim_start_matches('\n')
    }

    /// The source of the reference, with every key.
    fn source(&self) -> Value {
        let yaml = uncommented(self.reference());
        let mut sources: Vec<Value> = serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{error} in\n{yaml}"));
        assert_eq!(sources.len(), 1, "{yaml}");
        let mut source = sources.remove(0);
        for (key, value) in [
            ("trusted", true.into()),
            ("leap_smear", true.into()),
            ("group", Value::from("own")),
            ("poll", Value::from("100s")),
        ] {
            source[key] = value;
        }
        source
    }

    /// The same with `value` at a way of keys.
    fn with(&self, way: &[String], value: &Value) -> Value {
        let mut source = self.source();
        let mut at = &mut source;
        for key in way {
            at = &mut at[key.as_str()];
        }
        *at = value.clone();
        source
    }

    /// The ways to what is written below its key, and to all values in that.
    fn ways(&self) -> Vec<Vec<String>> {
        fn below(value: &Value, way: &[String], ways: &mut Vec<Vec<String>>) {
            for (key, value) in value.as_mapping().into_iter().flatten() {
                below(value, &[way, &[key.as_str().unwrap().to_owned()]].concat(), ways);
            }
            ways.push(way.to_owned());
        }
        let mut ways = Vec::new();
        below(&self.source()[self.key], &[self.key.to_owned()], &mut ways);
        ways
    }
}

fn yaml(sources: &[Value]) -> String {
    let sources = Value::Sequence(sources.to_vec());
    serde_yaml::to_string(&Mapping::from_iter([("sources".into(), sources)])).unwrap()
}

fn loaded(text: &str) -> Result<Config, String> {
    parse(text, Path::new("a.yaml"), &|_| None).map_err(|error| error.to_string())
}

fn loads(text: &str) -> Config {
    loaded(text).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

/// What is said of `text`, which says where.
fn refused(text: &str, at: &str) -> String {
    let error = loaded(text).err().unwrap_or_else(|| panic!("accepted:\n{text}"));
    let (what, place) = error.split_once('\n').unwrap_or_else(|| panic!("no place: {error}"));
    assert!(what.starts_with(&format!("error: {at}")), "not at {at}: {error}");
    assert!(place.contains("--> a.yaml:") && place.ends_with('^'), "no place: {error}");
    error
}

#[cfg(unix)]
#[test]
fn a_source_with_every_key_is_shown_as_it_is_loaded() {
    for kind in documented() {
        let written = kind.source();
        for key in &kind.keys {
            assert!(written[kind.key].get(key).is_some(), "{key} is missing in the reference of {}", kind.key);
        }
        let config = loads(&yaml(std::slice::from_ref(&written)));
        assert_eq!(config.sources[0].kind.key(), kind.key);
        let shown = show(&config);
        assert!(loads(&shown).sources == config.sources, "{shown}");
        let shown: Value = serde_yaml::from_str(&shown).unwrap();
        // What is written is shown, letter by letter.
        for key in WrittenSource::COMMON.into_iter().filter(|key| *key != "poll").chain([kind.key]) {
            assert_eq!(shown["sources"][0][key], written[key], "{key} of {}", kind.key);
        }
        assert_eq!(shown["sources"][0]["poll"], "100s", "{}", kind.key);
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_written_is_as_the_kind_has_it() {
    for kind in documented() {
        let mut written = kind.source();
        for key in ["trusted", "leap_smear", "group", "poll"] {
            written.as_mapping_mut().unwrap().remove(key);
        }
        let config = loads(&yaml(&[written]));
        let [source] = config.sources.as_slice() else { panic!("{:?}", config.sources) };
        let own: &dyn SourceKind = &*source.kind;
        assert_eq!((source.trusted, source.leap_smear), (own.is_trusted(true), own.smears_leaps()), "{}", kind.key);
        assert_eq!(source.group.as_deref(), own.group(), "{}", kind.key);
        let cadence = own.cadence();
        assert_eq!(source.poll, cadence.usual, "{}", kind.key);
        assert!(cadence.shortest <= cadence.usual && cadence.usual <= SLOWEST, "{}", kind.key);
        assert!(!own.witness(&Arc::default()).patience().is_zero(), "{}", kind.key);
        assert!(!own.remedy("what nobody says", true).is_empty(), "{}", kind.key);
    }
}

#[cfg(unix)]
#[test]
fn what_is_damaged_is_refused_with_its_place() {
    for kind in documented() {
        for way in kind.ways() {
            for damage in [Value::Sequence(Vec::new()), "\u{7f}".into()] {
                refused(&yaml(&[kind.with(&way, &damage)]), &format!("sources[0].{}", kind.key));
            }
        }
        for poll in ["0s", "1025s"] {
            let text = yaml(&[kind.with(&["poll".to_owned()], &poll.into())]);
            assert!(refused(&text, "sources[0].poll").contains(" is too "), "{}", kind.key);
        }
        let error = refused(&yaml(&[kind.with(&["hunter".to_owned()], &2.into())]), "sources[0]");
        for key in WrittenSource::COMMON.iter().chain(&AnyKind::KEYS) {
            let (_, allowed) = error.split_once("unknown key hunter: allowed here are ").expect(&error);
            assert!(allowed.lines().next().unwrap().split(", ").any(|allowed| allowed == *key), "{key}: {error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn nobody_is_two_witnesses() {
    for kind in documented() {
        let again = kind.with(&["name".to_owned()], &"again".into());
        let error = refused(&yaml(&[kind.source(), again]), &format!("sources[1].{}", kind.key));
        assert!(error.contains(" is the same ") && error.contains(" sources[0]: "), "{error}");
    }
}

#[test]
fn a_source_is_of_a_kind() {
    let error = refused("sources:\n- name: a\n", "sources[0]");
    let missing = format!("error: sources[0]: the key {} is missing\n", AnyKind::KEYS[0]);
    assert!(error.starts_with(&missing) || error.contains("write one of "), "{error}");
}

#[test]
fn each_kind_is_documented() {
    let all = documented();
    let rows: String = all.iter().map(|kind| format!("| `{}` | {} |\n", kind.key, kind.words.what)).collect();
    let begin = "| source | what is asked |\n|---|---|\n";
    assert_documented("README.md", Some((begin, "\n## Deploy it")), &rows);
    let references: String = all.iter().map(Documented::reference).collect();
    assert_documented("config/skewguard.yaml", Some(("\n    #poll: 16s\n", "\ncredentials:\n")), &references);
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    for kind in all {
        let described = &schema["$defs"]["Source"]["properties"][kind.key]["description"];
        assert_eq!(described, kind.words.value, "{}", kind.key);
    }
}

#[test]
fn every_file_of_a_kind_is_in_the_list() {
    let common = ["mod", "list", "kind", "pace", "poller", "refusal", "source", "witness", "tests"];
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sources")).unwrap();
    let names = folder.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    let mut files: Vec<String> = names.filter(|name| !common.contains(&name.as_str())).collect();
    files.sort();
    let mut keys = AnyKind::KEYS;
    keys.sort_unstable();
    assert_eq!(files, keys, "each kind is a file or a folder and a word of the list in mod.rs, by the same name");
}

/// A list of several kinds, one of which says that the time is another by so much than this host's.
#[expect(dead_code, unreachable_pub, reason = "a list for the agent has more than this test needs")]
mod several {
    use crate::sources::ntp;

    pub(super) mod fixed {
        use std::fmt;
        use std::sync::Arc;
        use std::time::Duration;

        use crate::clock::true_clock::TrueClock;
        use crate::setting::fault::Fault;
        use crate::setting::locate::Path;
        use crate::setting::period::Period;
        use crate::sources::kind::{SourceKind, Words};
        use crate::sources::witness::Witness;

        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Fixed(Duration);

        impl fmt::Display for Fixed {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Period(self.0).fmt(f)
            }
        }

        impl SourceKind for Fixed {
            type Written = Period;

            fn check(written: &Period, _: &Path) -> Result<Self, Fault> {
                Ok(Self(written.0))
            }

            fn written(&self) -> Period {
                Period(self.0)
            }

            fn is_near(&self) -> bool {
                true
            }

            fn witness(&self, _: &Arc<TrueClock>) -> Box<dyn Witness> {
                unreachable!("nobody asks it")
            }

            fn remedy(&self, _: &str, _: bool) -> String {
                String::new()
            }

            fn words() -> Words {
                let (what, value, reference) = ("A guess.", "How far it is off.", "");
                Words {
                    what,
                    value,
                    trusted: "false",
                    leap_smear: "false",
                    group: "none",
                    poll: "1s to 1024s. Default: 16s",
                    reference,
                }
            }
        }
    }

    crate::sources::list::kinds! {
        ntp: Server,
        fixed: Fixed,
    }
}

#[test]
fn of_several_kinds_a_source_has_exactly_one() {
    let at = crate::setting::locate::Path::root("sources").index(0);
    let of = |text: &str| match serde_yaml::from_str::<several::WrittenSource>(text).unwrap().kind(&at) {
        Ok(kind) => Ok((kind.key(), kind.to_string())),
        Err(crate::setting::fault::Fault::At { path, message }) => Err(format!("{path}: {message}")),
        Err(crate::setting::fault::Fault::Variable { name, .. }) => panic!("{name}"),
    };
    assert_eq!(of("{ name: a, ntp: 10.0.0.1 }"), Ok(("ntp", "10.0.0.1".to_owned())));
    assert_eq!(of("{ name: a, fixed: 1.5s }"), Ok(("fixed", "1s 500ms".to_owned())));
    let error = "sources[0]: nobody is asked for the time: write one of ntp, fixed";
    assert_eq!(of("{ name: a }"), Err(error.to_owned()));
    let error = "sources[0]: ntp and fixed are two sources: write one of ntp, fixed in each";
    assert_eq!(of("{ name: a, fixed: 1s, ntp: 10.0.0.1 }"), Err(error.to_owned()));
    assert_eq!(of("{ name: a, ntp: ' ' }").unwrap_err().split_once(": ").unwrap().0, "sources[0].ntp");
    // A key without a value is a mistake, however many kinds there are.
    assert_eq!(of("{ name: a, fixed: 1s, ntp: }"), Err(error.to_owned()));

    let schema = schemars::schema_for!(several::WrittenSource);
    assert_eq!(schema.get("required").unwrap(), &serde_json::json!(["name"]));
    let one_of = serde_json::json!([{ "required": ["ntp"] }, { "required": ["fixed"] }]);
    assert_eq!(schema.get("oneOf").unwrap(), &one_of);
    let told = |key: &str| schema.pointer(&format!("{key}/description")).unwrap().as_str().unwrap().to_owned();
    assert_eq!(told(""), "A witness of true time: exactly one of ntp, fixed.");
    let trusted = "Default: true for Amazon Time Sync on EC2, else false (ntp); false (fixed).";
    assert!(told("/properties/trusted").ends_with(trusted), "{}", told("/properties/trusted"));
}
