//! The headers of a request.

use std::borrow::Cow;
use std::fmt;

use reqwest::header::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::secret::SecretRef;

/// The headers of a request, in the order in which they are written.
#[derive(Clone, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, SecretRef)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    // Before its value is read, because the parser names the key of a value that is wrong. A name that
                    // is none may be a secret: without a blank after its colon the value belongs to the key.
                    if HeaderName::from_bytes(name.as_bytes()).is_err() {
                        return Err(de::Error::custom(
                            "the name of a header is letters, digits and hyphens, such as Authorization, and a blank \
                             follows its colon",
                        ));
                    }
                    headers.push((name, map.next_value()?));
                }
                Ok(Headers(headers))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, secret)| (name, secret)))
    }
}

impl JsonSchema for Headers {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<SecretRef>() })
    }
}
