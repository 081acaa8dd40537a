//! A name out of a list.

use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, value};
use serde::{Deserialize, Serialize, Serializer};

use super::text;

/// One of a list by its name alone: serde's own way would let YAML tags through.
pub struct Named<T>(pub T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, "a name", |text| {
            T::deserialize(IntoDeserializer::<value::Error>::into_deserializer(text)).map(Self)
        })
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
