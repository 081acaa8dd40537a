//! Where in the text a key or a value stands.
//!
//! The checks work on values, which know no place. Only when one fails, the text is parsed once more by a seed which
//! walks to the value in question and fails there: the parser adds the place to the error.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The way to a value, such as `sources[1].poll`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// To the value of a key.
    Key(String),
    /// To the element with this number, from 0.
    Index(usize),
    /// To the key itself, where it is written for the nth time, from 0.
    Name(String, usize),
}

/// A line and a column, both from 1. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Path {
    /// The way to a section of the root.
    pub(crate) fn root(key: &str) -> Self {
        Self::default().key(key)
    }

    /// The way on to the value of `key`.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// The way on to the element at `index`, from 0.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// The way on to the key itself, where it is written for the nth time, from 0.
    pub(crate) fn name(&self, key: &str, nth: usize) -> Self {
        self.then(Step::Name(key.to_owned(), nth))
    }

    /// Understands what [`Path`] and the parser write, as long as no key holds a dot or a bracket.
    pub(crate) fn parse(text: &str) -> Self {
        let steps = text.split(['.', '[']).filter(|step| !step.is_empty());
        Self(
            steps
                .map(|step| match step.strip_suffix(']').and_then(|index| index.parse().ok()) {
                    Some(index) => Step::Index(index),
                    None => Step::Key(step.to_owned()),
                })
                .collect(),
        )
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Where the value stands in `text`, or what comes nearest to it: the value may be a default that is not written.
    pub(crate) fn position(&self, text: &str) -> Option<Position> {
        (0..=self.0.len()).rev().find_map(|length| seek(text, self.0.get(..length)?))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) | Step::Name(key, _) if number == 0 => f.write_str(key)?,
                Step::Key(key) | Step::Name(key, _) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// The place of an error of the parser.
pub(crate) fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|location| Position { line: location.line(), column: location.column() })
}

/// The lines as YAML counts them (YAML 1.1 §4.2), without their ends.
pub(crate) fn lines(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ends = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((line, after)) = rest.split_once(ends) {
        let windows = rest.get(line.len()..).is_some_and(|end| end.starts_with("\r\n"));
        rest = if windows { after.get(1..).unwrap_or_default() } else { after };
        lines.push(line);
    }
    lines.push(rest);
    lines
}

fn seek(text: &str, steps: &[Step]) -> Option<Position> {
    let error = Seek(steps).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    position(&error)
}

/// Fails at the value to which the steps lead, and succeeds where they lead nowhere.
struct Seek<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0.split_first() {
            None => deserializer.deserialize_any(Here),
            Some((Step::Key(key), rest)) => deserializer.deserialize_map(InMapping { key, rest }),
            Some((Step::Name(key, nth), _)) => deserializer.deserialize_map(InKeys { key, nth: *nth }),
            Some((Step::Index(index), rest)) => deserializer.deserialize_seq(InSequence { index: *index, rest }),
        }
    }
}

/// Refuses every value: each `visit_*` that is not defined is an error.
struct Here;

impl Visitor<'_> for Here {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

struct InMapping<'a> {
    key: &'a str,
    rest: &'a [Step],
}

impl<'de> Visitor<'de> for InMapping<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == self.key {
                map.next_value_seed(Seek(self.rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct InKeys<'a> {
    key: &'a str,
    nth: usize,
}

impl<'de> Visitor<'de> for InKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(found) = map.next_key_seed(Key { key: self.key, refused: self.nth == 0 })? {
            if found {
                self.nth -= 1;
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Whether the key is the one that is sought; fails at it where it is `refused`.
struct Key<'a> {
    key: &'a str,
    refused: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
        match text == self.key {
            true if self.refused => Err(E::custom("here")),
            found => Ok(found),
        }
    }
}

struct InSequence<'a> {
    index: usize,
    rest: &'a [Step],
}

impl<'de> Visitor<'de> for InSequence<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for _ in 0..self.index {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(Seek(self.rest))?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# sources
sources:
  - name: a
    poll: 1s
  - { name: b, poll: 0s, poll: 1s }
alerts: &a
  clock-skew: {}
other: *a
";

    fn at(path: &Path) -> Option<(usize, usize)> {
        path.position(TEXT).map(|position| (position.line, position.column))
    }

    #[test]
    fn a_value_a_key_and_a_repeated_key_are_found() {
        let sources = Path::root("sources");
        assert_eq!(at(&sources), Some((3, 3)));
        assert_eq!(at(&sources.index(0)), Some((3, 5)));
        assert_eq!(at(&sources.index(0).key("poll")), Some((4, 11)));
        assert_eq!(at(&sources.index(1).key("name")), Some((5, 13)));
        assert_eq!(at(&sources.index(1).name("poll", 0)), Some((5, 16)));
        assert_eq!(at(&sources.index(1).name("poll", 1)), Some((5, 26)));
        assert_eq!(at(&Path::root("alerts").key("clock-skew")), Some((7, 15)));
    }

    #[test]
    fn what_is_not_written_is_found_at_its_parent() {
        assert_eq!(at(&Path::root("sources").index(0).key("trusted")), Some((3, 5)));
        assert_eq!(at(&Path::root("socket")), Some((2, 1)));
        assert_eq!(Path::root("socket").position("sources: [}"), Some(Position { line: 1, column: 11 }));
    }

    #[test]
    fn a_path_is_read_as_it_is_written() {
        let path = Path::root("sources").index(31).key("poll");
        assert_eq!(path.to_string(), "sources[31].poll");
        assert_eq!(Path::parse("sources[31].poll"), path);
        assert_eq!(Path::parse(""), Path::default());
    }

    #[test]
    fn lines_end_where_yaml_says() {
        assert_eq!(lines("\u{feff}a\r\nb\rc\n\nd\u{85}e\u{2028}"), ["a", "b", "c", "", "d", "e", ""]);
    }
}
