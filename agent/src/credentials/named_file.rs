//! The files that the configuration names: a JSON document that says somewhere when something expires, or a certificate.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Provider;
use super::certificate;
use super::document::{self, Keys, Value, Want, select};
use super::file::{self, LARGE};
use super::lease::{Lease, Unavailable};
use super::levels::Levels;
use super::pointer::{Pointer, PointerError};
use super::provide::{Around, Provide, Renewal};
use super::round::{Read, Reading, Round};
use super::timestamp::{Basis, Timestamp};
use crate::foreign::Content;
use crate::setting::fault::{Bounds, Environment, Fault, unique};
use crate::setting::locate::Path;
use crate::setting::named::Named;
use crate::setting::path::absolute;
use crate::setting::period::Period;
use crate::time::Span;

/// Numbers below it are seconds since the epoch, and from here on milliseconds: the year 5138 and 1973.
const MILLISECONDS: f64 = 1e11;
/// Where nanoseconds in 64 bits end, in milliseconds.
const LATEST: f64 = 9.2e12;

/// The levels of what is left of a file's life.
const REMAINING: Bounds = Bounds(Duration::ZERO, Duration::from_secs(365 * 24 * 3_600));
/// A certificate is renewed by people or their tools, in days.
const OF_A_CERTIFICATE: Levels =
    Levels { warning: Some(Duration::from_secs(168 * 3_600)), critical: Some(Duration::from_secs(24 * 3_600)) };
const MOST_FILES: usize = 64;

/// The files that are read; no two have the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings(pub Vec<NamedFile>);

/// A file of the user's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// What it is called in output.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub holds: Holds,
    /// When its expiring is told.
    pub levels: Levels,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A JSON document.
    Json {
        /// Where the expiration is in it: a text in RFC 3339, or a number of seconds or milliseconds since the epoch.
        pointer: Pointer,
        /// By whose clock it was written.
        basis: Basis,
    },
    /// A certificate in PEM, beside which other certificates and private keys may stand.
    Certificate,
}

/// Further files that say when something expires, at most 64. Default: none.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Written(#[schemars(length(max = 64))] pub Vec<File>);

/// A file that says when something expires: exactly one of json and certificate.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
#[schemars(extend("oneOf" = [{ "required": ["json"] }, { "required": ["certificate"] }]))]
pub struct File {
    /// What people call it: unique, 1 to 64 letters, digits, dots, underscores and hyphens.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    pub name: String,
    /// A JSON file with an expiration in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Json>,
    /// A PEM file whose first certificate expires, as for IAM Roles Anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// The remaining life from which its expiring is a warning. Default: that of credential-expiring, for a certificate
    /// 168h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Period>,
    /// The remaining life from which its expiring is critical. Default: that of credential-expiring, for a certificate 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<Period>,
}

/// A JSON file with an expiration in it.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Json {
    /// The file, an absolute path.
    #[schemars(regex(pattern = r"^/"))]
    pub path: String,
    /// Where the expiration stands (RFC 6901), such as /Credentials/Expiration: a text in RFC 3339, or a number of seconds
    /// or milliseconds since the Unix epoch.
    #[schemars(regex(pattern = r"^/"))]
    pub pointer: String,
    /// By whose clock it was written: server, or local where a program of this host added a lifetime to its own time.
    /// Default: server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Named<Basis>>,
}

/// A PEM file whose first certificate expires.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Certificate {
    /// The file, an absolute path.
    #[schemars(regex(pattern = r"^/"))]
    pub path: String,
}

impl Provide for Settings {
    const NAME: &'static str = "file";
    const RENEWAL: Renewal = Renewal::Tool;
    const RENEW: &'static str = "run the tool that writes this file, and look why it did not run by itself";
    const IS_USED_BY_SDKS: bool = false;
    const NOUN: &'static str = "file";
    const READS: &'static str =
        "a JSON file with an expiration, or a certificate (IAM Roles Anywhere), that the configuration names";
    const EXPIRES_BY: &'static str = "as configured";
    const REFERENCE: &'static str = r"
  # Further files that say when something expires. Each has exactly one of json and certificate.
  files:
    #- name: broker
      #json:
        #path: /run/broker/aws.json
        # Where the expiration stands (RFC 6901): RFC 3339, or seconds or milliseconds since the Unix epoch.
        #pointer: /Credentials/Expiration
        # By whose clock: server, or local where a program of this host added a lifetime to its own time.
        #basis: server
    # The first certificate of a PEM file, as for IAM Roles Anywhere.
    #- name: roles-anywhere
      #certificate:
        #path: /etc/pki/host.pem
      # From how much remaining life on its expiring is told. Default: that of credential-expiring, for a certificate this.
      #warning: 168h
      #critical: 24h
";

    type Written = Written;

    fn check(written: Option<&Written>, at: &Path, _: &Around<'_>) -> Result<Option<Self>, Fault> {
        let given = written.map(|Written(files)| files.as_slice()).unwrap_or_default();
        if given.len() > MOST_FILES {
            let message = format!("{} files are too many: at most {MOST_FILES} are allowed", given.len());
            return Err(Fault::at(at.clone(), message));
        }
        unique(at, given.iter().map(|file| file.name.as_str()))?;
        let files: Vec<_> =
            given.iter().enumerate().map(|(index, given)| given.check(&at.index(index))).collect::<Result<_, _>>()?;
        Ok((!files.is_empty()).then_some(Self(files)))
    }

    fn written(settings: Option<&Self>) -> Option<Written> {
        let files = settings.map(|Self(files)| files.as_slice()).unwrap_or_default();
        Some(Written(files.iter().map(File::of).collect()))
    }

    fn reader(&self, _: Environment<'_>) -> Option<Box<dyn Read>> {
        Some(Box::new(NamedFiles(self.0.clone())))
    }

    fn levels(&self, slot: &str) -> Levels {
        self.0.iter().find(|file| file.name == slot).map(|file| file.levels).unwrap_or_default()
    }

    /// Each has a name of its own, by which it is known in the next round.
    fn goes_on_from(&self, _: &Self) -> bool {
        true
    }
}

impl File {
    fn check(&self, at: &Path) -> Result<NamedFile, Fault> {
        let (path, holds, usual) = match (&self.json, &self.certificate) {
            (Some(json), None) => {
                let at = at.key("json");
                // An empty one is the whole document, which is no expiration.
                let none = json.pointer.is_empty().then_some(PointerError::Start);
                let pointer = none.map_or_else(|| Pointer::parse(&json.pointer), Err);
                let pointer = pointer.map_err(|error| Fault::at(at.key("pointer"), error.to_string()))?;
                let basis = json.basis.as_ref().map_or(Basis::Server, |basis| basis.0);
                (absolute(&json.path, &at.key("path"))?, Holds::Json { pointer, basis }, Levels::default())
            }
            (None, Some(certificate)) => {
                let path = absolute(&certificate.path, &at.key("certificate").key("path"))?;
                (path, Holds::Certificate, OF_A_CERTIFICATE)
            }
            (None, None) => return Err(Fault::at(at.clone(), "it says nothing: write json or certificate")),
            (Some(_), Some(_)) => {
                return Err(Fault::at(at.key("certificate"), "json is there already: write one file for each"));
            }
        };
        Ok(NamedFile { name: self.name.clone(), path, holds, levels: self.levels(usual, at)? })
    }

    fn levels(&self, usual: Levels, at: &Path) -> Result<Levels, Fault> {
        let level = |given: Option<Period>, usual: Option<Duration>, key| match given {
            Some(_) => REMAINING.or(given, Duration::ZERO, at, key).map(Some),
            None => Ok(usual),
        };
        let warning = level(self.warning, usual.warning, "warning")?;
        let critical = level(self.critical, usual.critical, "critical")?;
        if let (Some(first), Some(then)) = (warning, critical)
            && first < then
        {
            let (first, then) = (Period(first), Period(then));
            let message = format!("warning {first} is below critical {then}: a warning comes first");
            return Err(Fault::at(at.key(if self.warning.is_some() { "warning" } else { "critical" }), message));
        }
        Ok(Levels { warning, critical })
    }

    fn of(file: &NamedFile) -> Self {
        let path = file.path.display().to_string();
        let (json, certificate) = match &file.holds {
            Holds::Json { pointer, basis } => {
                (Some(Json { path, pointer: pointer.to_string(), basis: Some(Named(*basis)) }), None)
            }
            Holds::Certificate => (None, Some(Certificate { path })),
        };
        let (warning, critical) = (file.levels.warning.map(Period), file.levels.critical.map(Period));
        Self { name: file.name.clone(), json, certificate, warning, critical }
    }
}

/// Reads when the files of the user's choice expire. Each is a reading even if it is not there.
pub struct NamedFiles(Vec<NamedFile>);

#[async_trait]
impl Read for NamedFiles {
    fn provider(&self) -> Provider {
        Provider::File
    }

    async fn read(&mut self) -> Round {
        let files = self.0.clone();
        let reading = |file: NamedFile| {
            let result = file::read(&file.path, LARGE).and_then(|content| lease(&file, &content));
            Reading { slot: file.name, result }
        };
        Round::of(file::apart(move || files.into_iter().map(reading).collect()).await)
    }
}

fn lease(file: &NamedFile, content: &Content) -> Result<Lease, Unavailable> {
    let (last_updated, expiration) = match &file.holds {
        Holds::Json { pointer, basis } => (Timestamp::Local(content.modified), time(&content.bytes, pointer, *basis)?),
        Holds::Certificate => {
            let validity = certificate::validity(&content.bytes)?;
            (validity.from, validity.until)
        }
    };
    let (last_updated, expiration) = (Some(last_updated), Some(expiration));
    Ok(Lease { identity: file.name.clone(), code: None, kind: None, last_updated, expiration })
}

/// The time at `pointer`. All else in the document is skipped.
fn time(body: &[u8], pointer: &Pointer, basis: Basis) -> Result<Timestamp, Unavailable> {
    let path: Vec<&str> = pointer.steps().collect();
    let [value] = select(body, Keys::Exact, [Want::value(&path)])?;
    match value.ok_or(Unavailable::Malformed("there is nothing at the json pointer"))? {
        Value::Text(text) => document::time(&text, basis),
        Value::Number(number) => epoch(number, basis),
        Value::Other => Err(Unavailable::Malformed("at the json pointer is neither a time nor a number")),
    }
}

fn epoch(number: f64, basis: Basis) -> Result<Timestamp, Unavailable> {
    let millis = if number < MILLISECONDS { number * 1e3 } else { number };
    let millis = Some(millis).filter(|millis| (0.0..LATEST).contains(millis));
    let millis = millis.ok_or(Unavailable::Malformed("the number at the json pointer is no time"))?;
    Ok(basis.at(Span::from_seconds(millis / 1e3).nanos()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::certificate::tests::certificate;
    use super::super::marked::assert_unmarked;
    use super::*;
    use crate::time::rfc3339;

    const DOCUMENT: &str = r#"{"token": "MARKERtoken", "a/b": {"~": [{"until": "2026-03-01T16:00:00Z"}, "MARKER"]},
        "seconds": 1772380800, "fraction": 1772380800.5, "millis": 1772380800000, "true": true, "null": null,
        "negative": -5, "huge": 1e30, "secret": {"deep": "MARKERsecret"}}"#;

    fn json(pointer: &str, basis: Basis) -> Holds {
        Holds::Json { pointer: Pointer::parse(pointer).unwrap(), basis }
    }

    fn at(pointer: &str) -> Result<String, Unavailable> {
        let pointer = Pointer::parse(pointer).unwrap();
        time(DOCUMENT.as_bytes(), &pointer, Basis::Server).map(|time| rfc3339(time.nanos()))
    }

    async fn read(files: Vec<NamedFile>) -> Vec<Reading> {
        let mut provider = NamedFiles(files);
        assert_eq!(provider.provider(), Provider::File);
        let round = provider.read().await;
        assert_unmarked(&round);
        round.readings
    }

    fn named(name: &str, path: &Path, holds: Holds) -> NamedFile {
        NamedFile { name: name.into(), path: path.to_owned(), holds, levels: Levels::default() }
    }

    #[test]
    fn a_pointer_leads_to_a_time_or_a_number() {
        for (pointer, expected) in [
            ("/a~1b/~0/0/until", "2026-03-01T16:00:00.000Z"),
            ("/seconds", "2026-03-01T16:00:00.000Z"),
            ("/fraction", "2026-03-01T16:00:00.500Z"),
            ("/millis", "2026-03-01T16:00:00.000Z"),
        ] {
            assert_eq!(at(pointer).unwrap(), expected, "{pointer}");
        }
        for pointer in [
            "",
            "/",
            "/none",
            "/SECONDS",
            "/null",
            "/true",
            "/negative",
            "/huge",
            "/token",
            "/secret",
            "/secret/deep",
            "/a~1b/~0/1",
            "/a~1b/~0/2",
            "/a~1b/~0/-",
            "/a~1b/~0/00/until",
            "/seconds/0",
        ] {
            let reason = at(pointer).unwrap_err();
            assert!(matches!(reason, Unavailable::Malformed(_)), "{pointer}: {reason}");
            assert!(!reason.to_string().contains("MARKER"));
        }
    }

    #[tokio::test]
    async fn each_file_is_a_reading_even_if_it_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let [document, pem, none] = ["a.json", "b.pem", "none"].map(|name| folder.path().join(name));
        fs::write(&document, DOCUMENT).unwrap();
        let (leaf, key) = certificate(3);
        fs::write(&pem, format!("{key}{leaf}")).unwrap();
        let readings = read(vec![
            named("vault", &document, json("/millis", Basis::Local)),
            named("anywhere", &pem, Holds::Certificate),
            named("none", &none, Holds::Certificate),
            named("swapped", &document, Holds::Certificate),
            named("folder", folder.path(), Holds::Certificate),
        ])
        .await;
        let slots: Vec<_> = readings.iter().map(|reading| reading.slot.as_str()).collect();
        assert_eq!(slots, ["vault", "anywhere", "none", "swapped", "folder"]);
        let mut results = readings.into_iter().map(|reading| reading.result);
        let vault = results.next().unwrap().unwrap();
        assert_eq!((vault.identity.as_str(), vault.expiration.unwrap().basis().name()), ("vault", "local"));
        assert_eq!(vault.last_updated.unwrap().basis().name(), "local");
        let anywhere = results.next().unwrap().unwrap();
        assert_eq!(rfc3339(anywhere.last_updated.unwrap().nanos()), "2026-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(anywhere.expiration.unwrap().nanos()), "2026-03-01T00:00:00.000Z");
        assert_eq!(results.next().unwrap(), Err(Unavailable::NotFound));
        assert!(matches!(results.next().unwrap(), Err(Unavailable::Malformed(_))));
        assert_eq!(results.next().unwrap(), Err(Unavailable::NotAFile));
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(body: Vec<u8>, pointer: String) {
            if let Ok(pointer) = Pointer::parse(&pointer) {
                let _ = time(&body, &pointer, Basis::Server);
            }
        }

        #[test]
        fn no_number_makes_it_panic(number: f64) {
            let _ = epoch(number, Basis::Local);
        }

        #[test]
        fn every_key_can_be_pointed_at(key: String) {
            let body = serde_json::json!({ key.clone(): 1_772_380_800 }).to_string();
            let pointer = Pointer::parse(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))).unwrap();
            prop_assert!(time(body.as_bytes(), &pointer, Basis::Server).is_ok());
        }
    }
}
