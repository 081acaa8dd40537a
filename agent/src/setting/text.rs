//! How a setting that is written as text is read, and how the schema describes it.

use std::fmt;

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::{self, Deserializer, Visitor};

/// Reads a value that is written as text: `expected` says what such a text is, and `parse` understands it.
pub(crate) fn read<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    expected: impl fmt::Display,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { expected, parse })
}

struct Text<F, P> {
    expected: F,
    parse: P,
}

impl<F: fmt::Display, P: FnOnce(&str) -> Result<T, E>, T, E: fmt::Display> Visitor<'_> for Text<F, P> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expected.fmt(f)
    }

    fn visit_str<Error: de::Error>(self, text: &str) -> Result<T, Error> {
        (self.parse)(text).map_err(Error::custom)
    }
}

/// What the schema says of a type, which is what its comment says.
pub(crate) fn described<T: JsonSchema>() -> String {
    let schema = T::json_schema(&mut SchemaGenerator::default());
    let description = schema.get("description").and_then(|description| description.as_str());
    description.unwrap_or_default().to_owned()
}

/// Describes a type in the schema wherever it is used, and not under its name.
macro_rules! inline_schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(crate) use inline_schema;
