//! A PTP hardware clock as it is written: the device alone, or with what its driver does not tell.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::setting::named::Named;
use crate::setting::period::Period;
use crate::setting::text::inline_schema;

/// What is written below `phc`.
pub struct Written {
    /// `auto`, or the path of a device.
    pub(super) device: String,
    /// The time scale of a clock whose driver does not tell it.
    pub(super) timescale: Option<Timescale>,
    /// How far a clock can be wrong whose driver does not tell it.
    pub(super) error_bound: Option<Period>,
}

/// On what time scale a clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Timescale {
    /// As the system clock does.
    Utc,
    /// International Atomic Time, which knows no leap seconds.
    Tai,
}

/// The longer form.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, expecting = "auto, a path or a mapping")]
struct Mapping {
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timescale: Option<Named<Timescale>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_bound: Option<Period>,
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMapping;
        impl<'de> Visitor<'de> for TextOrMapping {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("auto, a path such as /dev/ptp0, or a mapping")
            }

            fn visit_str<E: de::Error>(self, device: &str) -> Result<Written, E> {
                Ok(Written { device: device.to_owned(), timescale: None, error_bound: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
                let Mapping { device, timescale, error_bound } = Mapping::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Written { device, timescale: timescale.map(|Named(scale)| scale), error_bound })
            }
        }
        deserializer.deserialize_any(TextOrMapping)
    }
}

impl Serialize for Written {
    /// In the shorter form where that says all.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.timescale.is_none() && self.error_bound.is_none() {
            return serializer.serialize_str(&self.device);
        }
        let Self { device, timescale, error_bound } = self;
        let (device, timescale) = (device.clone(), timescale.map(Named));
        Mapping { device, timescale, error_bound: *error_bound }.serialize(serializer)
    }
}

inline_schema!(Written, "Phc", {
    "type": ["string", "object"],
    "pattern": "^(auto|/.+)$",
    "properties": {
        "device": {
            "type": "string",
            "pattern": "^(auto|/.+)$",
            "description": "auto, or the path of a device such as /dev/ptp0."
        },
        "timescale": {
            "type": "string",
            "enum": ["utc", "tai"],
            "description": "The time scale of a clock whose driver is not known to tell one."
        },
        "error_bound": {
            "type": "string",
            "pattern": "^\\s*([0-9]+(\\.[0-9]+)?\\s*[a-zµ]+\\s*)+$",
            "description": "How far a clock can be wrong whose driver does not tell it, 1us to 10s. Default: 100us, and 100ms for the clock of a hypervisor."
        }
    },
    "required": ["device"],
    "additionalProperties": false
});

#[cfg(test)]
mod tests {
    use super::*;

    fn again(yaml: &str) -> String {
        let written: Written = serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        serde_yaml::to_string(&written).unwrap()
    }

    #[test]
    fn the_device_alone_is_a_text_and_what_it_does_not_tell_stands_beside_it() {
        assert_eq!(again("auto"), "auto\n");
        assert_eq!(again("{ device: /dev/ptp1 }"), "/dev/ptp1\n");
        assert_eq!(
            again("{ device: /dev/ptp1, error_bound: 1ms, timescale: tai }"),
            "device: /dev/ptp1\ntimescale: tai\nerror_bound: 1ms\n"
        );
    }

    #[test]
    fn nothing_else_is_understood() {
        for yaml in ["[auto]", "{}", "{ device: auto, hunter: 2 }", "{ device: a, timescale: gps }", "1"] {
            assert!(serde_yaml::from_str::<Written>(yaml).is_err(), "{yaml}");
        }
    }
}
