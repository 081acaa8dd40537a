//! What is made of the list of kinds: a source as it is written, and what one of any kind is once it is checked.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::kind::Words;
use crate::setting::fault::Fault;
use crate::setting::locate::Path;

/// Makes all that depends on which kinds there are, of `key: Struct` for each.
///
/// The only kind there is need not be told from others: then its key is as required as the name.
macro_rules! kinds {
    ($key:ident: $Kind:ident $(,)?) => {
        $crate::sources::list::kinds! { @each [] $key: $Kind }
    };
    ($($key:ident: $Kind:ident),+ $(,)?) => {
        $crate::sources::list::kinds! { @each $([default] $key: $Kind),+ }
    };
    (@each $([$($default:ident)?] $key:ident: $Kind:ident),+) => {
        /// A source exactly as it is written.
        #[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, expecting = "a mapping")]
        #[schemars(
            rename = "Source",
            description = $crate::sources::list::what(&words()),
            transform = $crate::sources::list::one_of(&AnyKind::KEYS)
        )]
        pub struct WrittenSource {
            /// What people call it: unique, 1 to 64 letters, digits, dots, underscores and hyphens.
            #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
            pub name: String,
            $(
                #[doc = concat!("What a source of this kind is: [`", stringify!($Kind), "`](", stringify!($key), ").")]
                #[serde($($default,)? skip_serializing_if = "crate::sources::list::Given::is_absent")]
                #[schemars(description = <$key::$Kind as $crate::sources::kind::SourceKind>::words().value)]
                pub $key: $crate::sources::list::Given<<$key::$Kind as $crate::sources::kind::SourceKind>::Written>,
            )+
            /// Whether it wins a tie, because AWS judges by AWS's clock.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(description = $crate::sources::list::trusted(&words()))]
            pub trusted: Option<bool>,
            /// Whether it smears leap seconds.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(description = $crate::sources::list::leap_smear(&words()))]
            pub leap_smear: Option<bool>,
            /// The witness that it is a part of.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(
                description = $crate::sources::list::group(&words()),
                regex(pattern = r"^[A-Za-z0-9._-]{1,64}$")
            )]
            pub group: Option<String>,
            /// How often it is asked.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(description = $crate::sources::list::poll(&words()))]
            pub poll: Option<$crate::setting::period::Period>,
        }

        impl WrittenSource {
            /// The keys that every source has, whatever its kind.
            pub const COMMON: [&'static str; 5] = ["name", "trusted", "leap_smear", "group", "poll"];

            /// A source that is called so, and nothing else.
            pub fn named(name: String) -> Self {
                $(let $key = $crate::sources::list::Given::default();)+
                Self { name, $($key,)+ trusted: None, leap_smear: None, group: None, poll: None }
            }

            /// The one kind that is written, once it is checked.
            ///
            /// # Errors
            /// None is written, or several are; or what is wrong with it, where, and what is allowed.
            pub fn kind(
                &self,
                at: &$crate::setting::locate::Path,
            ) -> Result<AnyKind, $crate::setting::fault::Fault> {
                let written = [$(self.$key.get().map(|_| stringify!($key))),+];
                $crate::sources::list::at_most_one(&AnyKind::KEYS, &written, at)?;
                $(
                    if let Some(written) = self.$key.get() {
                        let at = at.key(stringify!($key));
                        return <$key::$Kind as $crate::sources::kind::SourceKind>::check(written, &at).map(AnyKind::from);
                    }
                )+
                Err($crate::sources::list::nobody(&AnyKind::KEYS, at))
            }

            /// This source with `kind` in it.
            #[must_use]
            pub fn with(mut self, kind: &AnyKind) -> Self {
                match kind {
                    $(AnyKind::$Kind(kind) => self.$key = $crate::sources::kind::SourceKind::written(kind).into()),+
                }
                self
            }
        }

        /// One of the kinds.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum AnyKind {
            $(
                #[doc = concat!("[`", stringify!($Kind), "`](", stringify!($key), ").")]
                $Kind($key::$Kind),
            )+
        }

        impl AnyKind {
            /// The keys of all kinds.
            pub const KEYS: [&'static str; [$(stringify!($key)),+].len()] = [$(stringify!($key)),+];

            /// The key under which it is written.
            pub const fn key(&self) -> &'static str {
                match self {
                    $(Self::$Kind(_) => stringify!($key)),+
                }
            }
        }

        impl std::fmt::Display for AnyKind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&**self, f)
            }
        }

        impl std::ops::Deref for AnyKind {
            type Target = dyn $crate::sources::kind::SourceKind;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$Kind(kind) => kind),+
                }
            }
        }

        $(
            impl From<$key::$Kind> for AnyKind {
                fn from(kind: $key::$Kind) -> Self {
                    Self::$Kind(kind)
                }
            }
        )+

        /// What the documents say of each kind, in the order of the list.
        fn words() -> Vec<(&'static str, $crate::sources::kind::Words)> {
            vec![$((stringify!($key), <$key::$Kind as $crate::sources::kind::SourceKind>::words())),+]
        }

        /// The schema of what is written below the key of each kind, in the order of the list.
        #[cfg(test)]
        fn schemas() -> Vec<schemars::Schema> {
            vec![$(schemars::schema_for!(<$key::$Kind as $crate::sources::kind::SourceKind>::Written)),+]
        }
    };
}

pub(super) use kinds;

/// What is written below the key of a kind, or that nothing is. Unlike an `Option` it is told apart from a key that has no
/// value, and from one that is missing where there is no other kind.
pub struct Given<T>(Option<T>);

impl<T> Given<T> {
    /// What is written.
    pub(super) const fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Whether nothing is.
    pub(super) const fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> From<T> for Given<T> {
    fn from(written: T) -> Self {
        Self(Some(written))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

impl<T: Serialize> Serialize for Given<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Given<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Refuses a source of several kinds.
pub(super) fn at_most_one(keys: &[&str], written: &[Option<&str>], at: &Path) -> Result<(), Fault> {
    let mut written = written.iter().flatten();
    let (Some(one), Some(other)) = (written.next(), written.next()) else { return Ok(()) };
    let message = format!("{one} and {other} are two sources: write one of {} in each", keys.join(", "));
    Err(Fault::at(at.clone(), message))
}

/// What is wrong with a source of no kind.
pub(super) fn nobody(keys: &[&str], at: &Path) -> Fault {
    Fault::at(at.clone(), format!("nobody is asked for the time: write one of {}", keys.join(", ")))
}

/// Asks the schema for exactly one of these keys, where there are several.
pub(super) fn one_of<const N: usize>(keys: &[&str; N]) -> impl FnMut(&mut Schema) + use<N> {
    let required = keys.map(|key| serde_json::json!({ "required": [key] }));
    move |schema| {
        if N > 1 {
            schema.insert("oneOf".to_owned(), required.to_vec().into());
        }
    }
}

/// What the schema says of a source.
pub(super) fn what(kinds: &[(&str, Words)]) -> String {
    match kinds {
        [(_, only)] => only.what.to_owned(),
        several => {
            let keys: Vec<&str> = several.iter().map(|(key, _)| *key).collect();
            format!("A witness of true time: exactly one of {}.", keys.join(", "))
        }
    }
}

/// What the schema says of `trusted`.
pub(super) fn trusted(kinds: &[(&str, Words)]) -> String {
    let default = of_each(kinds, |words| words.trusted);
    format!("Whether it wins a tie, because AWS judges by AWS's clock. Default: {default}.")
}

/// What the schema says of `leap_smear`.
pub(super) fn leap_smear(kinds: &[(&str, Words)]) -> String {
    format!("Whether it smears leap seconds. Default: {}.", of_each(kinds, |words| words.leap_smear))
}

/// What the schema says of `group`.
pub(super) fn group(kinds: &[(&str, Words)]) -> String {
    let default = of_each(kinds, |words| words.group);
    format!(
        "The witness that it is a part of: sources of one group are wrong together, and have one vote. Default: {default}."
    )
}

/// What the schema says of `poll`.
pub(super) fn poll(kinds: &[(&str, Words)]) -> String {
    format!("How often it is asked: {}.", of_each(kinds, |words| words.poll))
}

/// What is said of each kind, by its key where there are several.
fn of_each(kinds: &[(&str, Words)], said: impl Fn(&Words) -> &'static str) -> String {
    match kinds {
        [(_, only)] => said(only).to_owned(),
        several => several.iter().map(|(key, words)| format!("{} ({key})", said(words))).collect::<Vec<_>>().join("; "),
    }
}
