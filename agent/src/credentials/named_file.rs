//! The files that the configuration names: a JSON document that says somewhere when something expires, or a certificate.

use std::path::PathBuf;

use async_trait::async_trait;

use super::certificate;
use super::document::{self, Keys, Value, Want, select};
use super::file::{self, LARGE};
use super::lease::{Lease, Unavailable};
use super::provider::Provider;
use super::round::{Read, Reading, Round};
use super::timestamp::{Basis, Timestamp};
use crate::foreign::Content;
use crate::time::Span;

/// Numbers below it are seconds since the epoch, and from here on milliseconds: the year 5138 and 1973.
const MILLISECONDS: f64 = 1e11;
/// Where nanoseconds in 64 bits end, in milliseconds.
const LATEST: f64 = 9.2e12;

/// A file of the user's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// What it is called in output; no two have the same.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub kind: Kind,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
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

/// The place of a value in a JSON document. Source: RFC 6901.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// A text is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not begin with a slash.
    #[error("a json pointer begins with /, such as /Credentials/Expiration")]
    Start,
    /// A tilde that stands for nothing.
    #[error("in a json pointer ~0 stands for ~ and ~1 for /: no other character follows a ~")]
    Escape,
}

impl Pointer {
    /// Reads a pointer such as `/Credentials/Expiration`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let steps = text.strip_prefix('/').ok_or(PointerError::Start)?.split('/');
        steps.map(step).collect::<Result<_, _>>().map(Self)
    }
}

fn step(text: &str) -> Result<String, PointerError> {
    let mut parts = text.split('~');
    let mut step = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            (None, None) => return Err(PointerError::Escape),
        };
        step.push(sign);
        step.push_str(rest);
    }
    Ok(step)
}

/// Reads when the files of the user's choice expire.
pub struct NamedFiles(Vec<NamedFile>);

impl NamedFiles {
    /// These files, of which each is a reading even if it is not there.
    pub const fn new(files: Vec<NamedFile>) -> Self {
        Self(files)
    }
}

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
    let (last_updated, expiration) = match &file.kind {
        Kind::Json { pointer, basis } => (Timestamp::Local(content.modified), time(&content.bytes, pointer, *basis)?),
        Kind::Certificate => {
            let validity = certificate::validity(&content.bytes)?;
            (validity.from, validity.until)
        }
    };
    let (last_updated, expiration) = (Some(last_updated), Some(expiration));
    Ok(Lease { identity: file.name.clone(), code: None, kind: None, last_updated, expiration })
}

/// The time at `pointer`. All else in the document is skipped.
fn time(body: &[u8], pointer: &Pointer, basis: Basis) -> Result<Timestamp, Unavailable> {
    let path: Vec<&str> = pointer.0.iter().map(String::as_str).collect();
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

    fn json(pointer: &str, basis: Basis) -> Kind {
        Kind::Json { pointer: Pointer::parse(pointer).unwrap(), basis }
    }

    fn at(pointer: &str) -> Result<String, Unavailable> {
        let pointer = Pointer::parse(pointer).unwrap();
        time(DOCUMENT.as_bytes(), &pointer, Basis::Server).map(|time| rfc3339(time.nanos()))
    }

    async fn read(files: Vec<NamedFile>) -> Vec<Reading> {
        let mut provider = NamedFiles::new(files);
        assert_eq!(provider.provider(), Provider::File);
        let round = provider.read().await;
        assert_unmarked(&round);
        round.readings
    }

    fn named(name: &str, path: &Path, kind: Kind) -> NamedFile {
        NamedFile { name: name.into(), path: path.to_owned(), kind }
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

    #[test]
    fn a_pointer_is_checked_before_it_is_followed() {
        let steps = |text: &str| Pointer::parse(text).map(|pointer| pointer.0);
        for (text, expected) in [
            ("", &[][..]),
            ("/", &[""]),
            ("/a/b", &["a", "b"]),
            ("/a~1b/~0~1/m~0n", &["a/b", "~/", "m~n"]),
            ("/~01", &["~1"]),
        ] {
            assert_eq!(steps(text).unwrap(), expected, "{text}");
        }
        assert_eq!(steps("a"), Err(PointerError::Start));
        for text in ["/~", "/a~2", "/a~~1"] {
            assert_eq!(steps(text), Err(PointerError::Escape), "{text}");
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
            named("anywhere", &pem, Kind::Certificate),
            named("none", &none, Kind::Certificate),
            named("swapped", &document, Kind::Certificate),
            named("folder", folder.path(), Kind::Certificate),
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
