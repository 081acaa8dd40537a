//! The section `alerts` as it is written: its keys, and those of each alert, follow from the rows of the alerts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::default;
use super::rules::{BOOT_GRACE, HOLD, REPEAT};
use crate::assess::alerts::{ROWS, Row};
use crate::assess::finding::Kind;
use crate::assess::level::{Level, Unit};
use crate::notify::runbooks::OURS;
use crate::setting::period::Period;
use crate::setting::text;

/// When to speak.
#[derive(Default)]
pub struct Alerts {
    /// How long after its start the agent is silent about all but a measured skew.
    pub boot_grace: Option<Period>,
    /// How often a firing alert is repeated.
    pub repeat: Option<Period>,
    /// Where the runbooks are, or off.
    pub runbooks: Option<String>,
    /// What is said of each alert.
    pub sections: BTreeMap<Kind, Section>,
}

/// What is said of one alert.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Section {
    /// Whether it is judged.
    pub enabled: Option<bool>,
    /// The level of a warning.
    pub warning: Option<Level>,
    /// The level of a critical alert.
    pub critical: Option<Level>,
    /// How long a level must last before the alert fires.
    pub hold: Option<Period>,
}

static KEYS: LazyLock<Vec<&str>> =
    LazyLock::new(|| ["boot_grace", "repeat", "runbooks"].into_iter().chain(Kind::ALL.map(Kind::name)).collect());

/// The keys of the section of an alert: those of the levels that it has, and of what all have.
const fn keys(row: &Row) -> &'static [&'static str] {
    match (row.levels.warning, row.levels.critical) {
        (Some(_), Some(_)) => &["enabled", "warning", "critical", "for"],
        (Some(_), None) => &["enabled", "warning", "for"],
        (None, Some(_)) => &["enabled", "critical", "for"],
        (None, None) => &["enabled", "for"],
    }
}

/// One key out of these.
struct Key(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("field identifier")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<&'static str, E> {
        self.0.iter().copied().find(|key| *key == text).ok_or_else(|| E::unknown_field(text, self.0))
    }
}

/// What another seed makes of a value, where there is one.
struct Maybe<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("option")
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// A level of this unit.
struct LevelOf(Unit);

impl<'de> DeserializeSeed<'de> for LevelOf {
    type Value = Level;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Level, D::Error> {
        let unit = self.0;
        let expected = format_args!("a {} such as {}", unit.name(), unit.example());
        text::read(deserializer, expected, |text| unit.parse(text))
    }
}

/// The section of the alert of this row.
struct SectionOf(&'static Row);

impl<'de> DeserializeSeed<'de> for SectionOf {
    type Value = Section;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Section, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SectionOf {
    type Value = Section;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Section, A::Error> {
        let unit = self.0.levels.unit();
        let mut section = Section::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key_seed(Key(keys(self.0)))? {
            once(&mut seen, key)?;
            match key {
                "enabled" => section.enabled = map.next_value()?,
                "warning" => section.warning = map.next_value_seed(Maybe(LevelOf(unit)))?,
                "critical" => section.critical = map.next_value_seed(Maybe(LevelOf(unit)))?,
                _ => section.hold = map.next_value()?,
            }
        }
        Ok(section)
    }
}

/// Refuses a key that was seen before.
fn once<E: de::Error>(seen: &mut Vec<&'static str>, key: &'static str) -> Result<(), E> {
    if seen.contains(&key) {
        return Err(E::duplicate_field(key));
    }
    seen.push(key);
    Ok(())
}

impl<'de> Deserialize<'de> for Alerts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sections;
        impl<'de> Visitor<'de> for Sections {
            type Value = Alerts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Alerts, A::Error> {
                let mut alerts = Alerts::default();
                let mut seen = Vec::new();
                while let Some(key) = map.next_key_seed(Key(&KEYS))? {
                    once(&mut seen, key)?;
                    match ROWS.iter().find(|row| row.kind.name() == key) {
                        Some(row) => {
                            let section = map.next_value_seed(Maybe(SectionOf(row)))?;
                            alerts.sections.extend(section.map(|section| (row.kind, section)));
                        }
                        None if key == "repeat" => alerts.repeat = map.next_value()?,
                        None if key == "runbooks" => alerts.runbooks = map.next_value()?,
                        None => alerts.boot_grace = map.next_value()?,
                    }
                }
                Ok(alerts)
            }
        }
        deserializer.deserialize_map(Sections)
    }
}

impl Serialize for Alerts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "boot_grace", self.boot_grace.as_ref())?;
        entry(&mut map, "repeat", self.repeat.as_ref())?;
        entry(&mut map, "runbooks", self.runbooks.as_ref())?;
        for (kind, section) in &self.sections {
            map.serialize_entry(kind, section)?;
        }
        map.end()
    }
}

impl Serialize for Section {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |level: Option<Level>| level.map(|level| level.to_string());
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "enabled", self.enabled.as_ref())?;
        entry(&mut map, "warning", text(self.warning).as_ref())?;
        entry(&mut map, "critical", text(self.critical).as_ref())?;
        entry(&mut map, "for", self.hold.as_ref())?;
        map.end()
    }
}

fn entry<M: SerializeMap>(map: &mut M, key: &str, value: Option<&impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}

impl JsonSchema for Alerts {
    fn schema_name() -> Cow<'static, str> {
        "Alerts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let grace = format!(
            "How long after its start the agent is silent about all but a measured skew, {BOOT_GRACE}. Default: {}.",
            Period(default::BOOT_GRACE)
        );
        let repeat = format!("How often a firing alert is repeated, {REPEAT}. Default: {}.", Period(default::REPEAT));
        let mut properties = serde_json::Map::new();
        properties.insert("boot_grace".into(), described::<Period>(generator, grace));
        properties.insert("repeat".into(), described::<Period>(generator, repeat));
        properties.insert("runbooks".into(), runbooks());
        for row in &ROWS {
            properties.insert(row.kind.name().into(), section(row, generator));
        }
        json_schema!({
            "type": "object", "description": "When to speak.", "additionalProperties": false, "properties": properties,
        })
    }
}

/// The schema of where the runbooks are.
fn runbooks() -> serde_json::Value {
    let text = format!(
        "Where the runbooks are, whose URL every alert carries: the http:// or https:// URL of a folder, to which /ALERT.md \
         is added, or off. Default: {OURS}."
    );
    serde_json::json!({ "type": ["string", "null"], "pattern": "^(off|https?://[^/@?#\\s]+(/[^?#\\s]*)?)$", "description": text })
}

/// The schema of the section of an alert.
fn section(row: &Row, generator: &mut SchemaGenerator) -> serde_json::Value {
    let mut properties = serde_json::Map::new();
    properties.insert("enabled".into(), described::<bool>(generator, "Whether it is judged. Default: true.".into()));
    let (least, most) = row.levels.bounds;
    for (key, what, level) in
        [("warning", "a warning", row.levels.warning), ("critical", "a critical alert", row.levels.critical)]
    {
        let Some(level) = level else { continue };
        let text = format!("The level of {what}, {least} to {most}. Default: {level}.");
        let value = match level.unit() {
            Unit::Time => described::<Period>(generator, text),
            Unit::Ppm => serde_json::json!({
                "type": ["string", "null"], "pattern": "^\\s*[0-9]+(\\.[0-9]+)?\\s*ppm\\s*$", "description": text,
            }),
        };
        properties.insert(key.into(), value);
    }
    let hold = format!("How long it lasts before the alert fires, {HOLD}. Default: {}.", Period(row.hold));
    properties.insert("for".into(), described::<Period>(generator, hold));
    serde_json::json!({
        "type": ["object", "null"], "description": row.description, "additionalProperties": false,
        "properties": properties,
    })
}

/// The schema of a value that may be left out.
fn described<T: JsonSchema>(generator: &mut SchemaGenerator, description: String) -> serde_json::Value {
    let mut schema = generator.subschema_for::<Option<T>>();
    schema.insert("description".into(), description.into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &'static Row, text: &str) -> Result<Section, String> {
        SectionOf(row).deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_alert_has_the_keys_of_its_levels_in_their_unit_and_no_others() {
        for row in &ROWS {
            for (key, level) in [("warning", row.levels.warning), ("critical", row.levels.critical)] {
                let said = read(row, &format!("{{ {key}: {} }}", level.unwrap_or(row.levels.bounds.1)));
                match level {
                    None => assert!(said.unwrap_err().contains("unknown field"), "{} {key}", row.kind.name()),
                    Some(level) => {
                        let section = said.unwrap();
                        assert_eq!(if key == "warning" { section.warning } else { section.critical }, Some(level));
                        let other = if level.unit() == Unit::Time { "450ppm" } else { "16s" };
                        assert!(read(row, &format!("{{ {key}: {other} }}")).is_err());
                    }
                }
            }
            let said = read(row, "{ enabled: false, for: 3s }").unwrap();
            assert_eq!((said.enabled, said.hold.map(|hold| hold.0.as_secs())), (Some(false), Some(3)));
        }
    }

    #[test]
    fn a_level_may_be_a_rate() {
        let row: &'static Row = Box::leak(Box::new(Row {
            levels: crate::assess::level::Levels {
                bounds: (Level::Ppm(1.0), Level::Ppm(500.0)),
                warning: Some(Level::Ppm(450.0)),
                critical: None,
                ..ROWS[0].levels
            },
            ..ROWS[0]
        }));
        let section = read(row, "{ warning: 420.5ppm }").unwrap();
        assert_eq!(section.warning, Some(Level::Ppm(420.5)));
        assert_eq!(serde_yaml::to_string(&section).unwrap(), "warning: 420.5ppm\n");
        let error = read(row, "{ warning: 16s }").unwrap_err();
        assert!(error.contains("16s is not a rate: write one such as 450ppm"), "{error}");
        let error = read(row, "{ warning: 420 }").unwrap_err();
        assert!(error.contains("420 is not a rate"), "{error}");
        let schema = section_schema(row);
        assert_eq!(
            schema["properties"]["warning"]["description"],
            "The level of a warning, 1ppm to 500ppm. Default: 450ppm."
        );
        assert_eq!(schema["properties"]["critical"], serde_json::Value::Null);
    }

    fn section_schema(row: &Row) -> serde_json::Value {
        section(row, &mut SchemaGenerator::default())
    }
}
