//! Values of the file that are more than text: headers, and names out of a list.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use reqwest::header::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::secret::SecretRef;
use crate::assess::finding::{Kind, Severity};
use crate::credentials::timestamp::Basis;

/// The headers of a request, in the order in which they are written.
#[derive(Clone, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, SecretRef)>);

/// One of a list by its name alone: serde's own way would let YAML tags through.
pub struct Named<T>(pub T);

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

impl<'de, T: DeserializeOwned> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name<T>(PhantomData<T>);
        impl<T: DeserializeOwned> Visitor<'_> for Name<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Named<T>, E> {
                T::deserialize(text.into_deserializer()).map(Named)
            }
        }
        deserializer.deserialize_str(Name(PhantomData))
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Named<Kind> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Kind::ALL.map(Kind::name) })
    }
}

impl JsonSchema for Named<Basis> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Basis".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": [Basis::Server.name(), Basis::Local.name()] })
    }
}

impl JsonSchema for Named<Severity> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Severity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": [Severity::Warning.name(), Severity::Critical.name()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_accepted_is_the_one_that_is_shown() {
        for kind in Kind::ALL {
            assert_eq!(serde_yaml::from_str::<Named<Kind>>(kind.name()).unwrap().0, kind);
            assert_eq!(serde_yaml::to_string(&Named(kind)).unwrap().trim(), kind.name());
        }
        for severity in [Severity::Warning, Severity::Critical] {
            assert_eq!(serde_yaml::from_str::<Named<Severity>>(severity.name()).unwrap().0, severity);
            assert_eq!(serde_yaml::to_string(&Named(severity)).unwrap().trim(), severity.name());
        }
    }

    #[test]
    fn a_tag_is_no_name() {
        assert!(serde_yaml::from_str::<Named<Severity>>("!critical").is_err());
        assert!(serde_yaml::from_str::<Named<Kind>>("!clock-skew").is_err());
        assert!(serde_yaml::from_str::<Named<Kind>>("{ clock-skew: }").is_err());
    }
}
