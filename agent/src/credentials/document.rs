//! What is read of a JSON document that holds secrets. They are skipped where they stand and never become a value.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lease::{Lease, Unavailable};
use super::timestamp::{Basis, Timestamp, parse};

/// The longest text that is kept, in characters.
pub(super) const MAX_TEXT: usize = 128;

/// One value that is wanted of a document.
#[derive(Clone, Copy)]
pub(super) struct Want<'a> {
    path: &'a [&'a str],
    is_kept: bool,
}

impl<'a> Want<'a> {
    /// The value at `path`: the keys of objects and the numbers of elements, from the outermost on.
    pub(super) const fn value(path: &'a [&'a str]) -> Self {
        Self { path, is_kept: true }
    }

    /// Only whether there is something at `path`, which is [`Value::Other`] whatever it is.
    pub(super) const fn presence(path: &'a [&'a str]) -> Self {
        Self { path, is_kept: false }
    }
}

/// How the keys of a document are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// As they are written.
    Exact,
    /// In any case, as the AWS SDK for Rust does.
    AnyCase,
}

/// What stands at a path. It has no `Debug`: what a hostile document puts there may be a secret.
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// Something else, which was skipped.
    Other,
}

/// Reads the values that are wanted, each `None` where there is nothing or `null`; of two under the same key the last. No
/// path may lead through another.
///
/// # Errors
/// `Malformed` where it is no JSON, or something other than an object or a list stands where a path goes on.
pub(super) fn select<const N: usize>(
    body: &[u8],
    keys: Keys,
    wants: [Want<'_>; N],
) -> Result<[Option<Value>; N], Unavailable> {
    let mut found = [const { None }; N];
    let mut json = serde_json::Deserializer::from_slice(body);
    let level = Level { wants: &wants, keys, depth: 0, active: (0..N).collect(), found: &mut found };
    level.deserialize(&mut json).map_err(|error| shape(&error))?;
    json.end().map_err(|error| shape(&error))?;
    Ok(found)
}

/// Reads the document of a role's credentials, as IMDS and the services of containers hand them out: Code, Type,
/// LastUpdated, Expiration, and `RoleArn`, of which `identity` makes the name.
///
/// # Errors
/// `Rejected`, `MissingExpiration`, and `Malformed` for all that is not such a document.
pub(super) fn role_lease(body: &[u8], identity: impl FnOnce(Option<&str>) -> String) -> Result<Lease, Unavailable> {
    let wants = [&["Code"], &["Type"], &["LastUpdated"], &["Expiration"], &["RoleArn"]].map(|path| Want::value(path));
    let [code, kind, last_updated, expiration, arn] = select(body, Keys::AnyCase, wants)?;
    let code = text(code)?.and_then(printable);
    if let Some(code) = code.as_ref().filter(|code| !code.eq_ignore_ascii_case("success")) {
        return Err(Unavailable::Rejected { code: code.clone() });
    }
    let expiration = text(expiration)?.ok_or(Unavailable::MissingExpiration)?;
    Ok(Lease {
        identity: identity(text(arn)?.as_deref()),
        code,
        kind: text(kind)?.and_then(printable),
        // No SDK reads it: whatever is wrong with it, the credentials are good.
        last_updated: text(last_updated).ok().flatten().and_then(|text| time(&text, Basis::Server).ok()),
        expiration: Some(time(&expiration, Basis::Server)?),
    })
}

/// The text of a value; `None` where there is none or it is empty.
///
/// # Errors
/// `Malformed` where it is something else.
pub(super) fn text(value: Option<Value>) -> Result<Option<String>, Unavailable> {
    match value {
        None => Ok(None),
        Some(Value::Text(text)) => Ok((!text.is_empty()).then_some(text)),
        Some(Value::Number(_) | Value::Other) => Err(Unavailable::Malformed(UNEXPECTED)),
    }
}

/// The time that `text` says, by the clock of `basis`; without an offset it is UTC.
///
/// # Errors
/// `Malformed` where it says none.
pub(super) fn time(text: &str, basis: Basis) -> Result<Timestamp, Unavailable> {
    let nanos = parse(text).ok_or(Unavailable::Malformed("a time is not in rfc 3339, or out of range"))?;
    Ok(basis.at(nanos))
}

/// `text` in printable ASCII, 128 characters at most; `None` where nothing is left.
pub(super) fn printable(text: impl AsRef<[u8]>) -> Option<String> {
    let visible = text.as_ref().iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
    let text: String = visible.take(MAX_TEXT).map(|byte| char::from(*byte)).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

const UNEXPECTED: &str = "the document has an unexpected shape";

/// The reason in constant text: what `serde_json` says may quote the value that it did not expect.
pub(super) fn shape(error: &serde_json::Error) -> Unavailable {
    Unavailable::Malformed(match error.classify() {
        serde_json::error::Category::Eof => "the document is cut short",
        serde_json::error::Category::Data => UNEXPECTED,
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "the document is not json",
    })
}

/// An object or a list on the way of some paths, or the end of one.
struct Level<'a, 'f> {
    wants: &'a [Want<'a>],
    keys: Keys,
    /// How many steps led here.
    depth: usize,
    /// Which paths lead here.
    active: Vec<usize>,
    found: &'f mut [Option<Value>],
}

impl<'a> Level<'a, '_> {
    /// The want whose path ends here.
    fn end(&self) -> Option<(usize, &'a Want<'a>)> {
        let wants = self.active.iter().filter_map(|at| Some((*at, self.wants.get(*at)?)));
        wants.into_iter().find(|(_, want)| want.path.len() == self.depth)
    }

    /// The paths that go on with a step for which `is` holds.
    fn onwards(&self, is: impl Fn(&str) -> bool) -> Vec<usize> {
        let step = |at: usize| self.wants.get(at)?.path.get(self.depth);
        self.active.iter().copied().filter(|at| step(*at).is_some_and(|step| is(step))).collect()
    }

    fn below(&mut self, active: Vec<usize>) -> Level<'a, '_> {
        Level { wants: self.wants, keys: self.keys, depth: self.depth + 1, active, found: self.found }
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some((at, want)) = self.end() else { return deserializer.deserialize_any(self) };
        let value = if want.is_kept {
            deserializer.deserialize_any(Leaf)?
        } else {
            deserializer.deserialize_option(Presence)?
        };
        if let Some(slot) = self.found.get_mut(at) {
            *slot = value;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(active) = map.next_key_seed(Key(&self))? {
            if active.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(self.below(active))?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        if self.onwards(|step| number(step).is_some()).is_empty() {
            return Err(A::Error::custom("a list is not expected here"));
        }
        for element in 0.. {
            let active = self.onwards(|step| number(step) == Some(element));
            let is_there = if active.is_empty() {
                list.next_element::<IgnoredAny>()?.is_some()
            } else {
                list.next_element_seed(self.below(active))?.is_some()
            };
            if !is_there {
                break;
            }
        }
        Ok(())
    }
}

/// The number of an element as a step of a path. Source: RFC 6901 §4.
fn number(step: &str) -> Option<usize> {
    let is_plain = step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    is_plain.then(|| step.parse().ok())?
}

/// A key, which becomes the paths that go on with it.
struct Key<'k, 'a, 'f>(&'k Level<'a, 'f>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_, '_> {
    type Value = Vec<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_, '_, '_> {
    type Value = Vec<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.onwards(|step| match self.0.keys {
            Keys::Exact => step == key,
            Keys::AnyCase => step.eq_ignore_ascii_case(key),
        }))
    }
}

/// A value that is kept where it is a text or a number.
struct Leaf;

impl<'de> Visitor<'de> for Leaf {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Value::Text(text.to_owned())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Value::Number(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Value::Number(number as f64)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Value::Number(number as f64)))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Some(Value::Other))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(Value::Other))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Value::Other))
    }
}

/// A value that is skipped, unless it is `null`.
struct Presence;

impl<'de> Visitor<'de> for Presence {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_ignored_any(IgnoredAny)?;
        Ok(Some(Value::Other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DOCUMENT: &str =
        r#"{"a": {"b": [1, {"c": "deep"}], "B": "wJalrSecretExample"}, "n": 7.5, "t": true, "x": null}"#;

    fn shown(value: Option<&Value>) -> String {
        match value {
            None => "nothing".to_owned(),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Other) => "other".to_owned(),
        }
    }

    fn at(path: &[&str], body: &str) -> Result<String, Unavailable> {
        select(body.as_bytes(), Keys::Exact, [Want::value(path)]).map(|[value]| shown(value.as_ref()))
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        for (path, value) in [
            (&["a", "b", "1", "c"][..], "deep"),
            (&["a", "b", "0"], "1"),
            (&["a", "b", "2"], "nothing"),
            (&["a", "b", "00"], "unexpected"),
            (&["a", "b"], "other"),
            (&["a"], "other"),
            (&["n"], "7.5"),
            (&["t"], "other"),
            (&["x"], "nothing"),
            (&["x", "y"], "nothing"),
            (&["n", "y"], "unexpected"),
            (&["N"], "nothing"),
            (&[], "other"),
        ] {
            let result = at(path, DOCUMENT).unwrap_or_else(|_| "unexpected".into());
            assert_eq!(result, value, "{path:?}");
        }
        assert_eq!(at(&[], "5").unwrap(), "5");
        assert_eq!(at(&["a"], r#"{"a": 1, "a": "last"}"#).unwrap(), "last");
    }

    #[test]
    fn several_paths_are_followed_at_once_and_what_is_only_to_be_there_is_skipped() {
        let wants =
            [Want::value(&["N"]), Want::presence(&["A", "B"]), Want::presence(&["x"]), Want::presence(&["none"])];
        let [number, there, null, none] = select(DOCUMENT.as_bytes(), Keys::AnyCase, wants).ok().unwrap();
        assert_eq!(
            [number, there, null, none].map(|value| shown(value.as_ref())),
            ["7.5", "other", "nothing", "nothing"]
        );
    }

    #[test]
    fn a_text_is_wanted_and_an_empty_one_is_none() {
        assert_eq!(text(None), Ok(None));
        assert_eq!(text(Some(Value::Text(String::new()))), Ok(None));
        assert_eq!(text(Some(Value::Text("x".into()))), Ok(Some("x".into())));
        for value in [Value::Number(7.0), Value::Other] {
            assert_eq!(text(Some(value)), Err(Unavailable::Malformed(UNEXPECTED)));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>, path: Vec<String>) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let _ = select(&body, Keys::Exact, [Want::value(&path)]);
        }

        #[test]
        fn what_is_not_on_the_path_is_never_kept(cut in 0..=DOCUMENT.len(), at in 0..DOCUMENT.len(), byte: u8) {
            let mut body = DOCUMENT.as_bytes().to_vec();
            body[at] = byte;
            body.truncate(cut);
            let wants = [Want::value(&["a", "b", "1", "c"]), Want::value(&["n"]), Want::presence(&["a", "B"])];
            for value in select(&body, Keys::Exact, wants).into_iter().flatten() {
                prop_assert!(!shown(value.as_ref()).contains("wJalr"));
            }
        }
    }
}
