//! What is made of the list of targets: a channel as it is written, and one target of any kind.

/// Makes all that depends on which targets there are, of `key: Struct` for each.
macro_rules! targets {
    ($($key:ident: $Target:ident),+ $(,)?) => {
        /// A channel exactly as it is written.
        #[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, expecting = "a mapping")]
        #[schemars(
            rename = "Channel",
            description = list::where_alerts_go(&AnyTarget::KEYS),
            extend("oneOf" = [$({ "required": [stringify!($key)] }),+])
        )]
        pub struct WrittenChannel {
            /// What people call it: unique, 1 to 64 letters, digits, dots, underscores and hyphens, no dot first, and
            /// neither otlp-metrics nor otlp-logs.
            #[schemars(regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"))]
            pub name: String,
            /// The least severity that is told there: warning or critical. Default: warning.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub severity: Option<crate::setting::named::Named<crate::assess::finding::Severity>>,
            /// The alerts that are told there. Default: all.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1))]
            pub alerts: Option<Vec<crate::setting::named::Named<crate::assess::finding::Kind>>>,
            /// How long one attempt may take, 50ms to 60s. Default: 10s.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub timeout: Option<crate::setting::period::Period>,
            /// Whom TLS trusts, and as whom it speaks. Default: the authorities of the system, and no client certificate.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tls: Option<crate::setting::tls::WrittenTls>,
            $(
                #[doc = concat!("The target of this name: [`", stringify!($Target), "`](", stringify!($key), ").")]
                #[serde(skip_serializing_if = "Option::is_none")]
                #[schemars(description = crate::setting::text::described::<$key::$Target>())]
                pub $key: Option<$key::$Target>,
            )+
        }

        impl WrittenChannel {
            /// The keys that every channel has, whatever its target.
            pub const COMMON: [&'static str; 5] = ["name", "severity", "alerts", "timeout", "tls"];

            /// A channel that is called so, and nothing else.
            pub fn named(name: String) -> Self {
                Self { name, severity: None, alerts: None, timeout: None, tls: None, $($key: None),+ }
            }

            /// The targets that are written, which should be one.
            pub fn targets(&self) -> Vec<AnyTarget> {
                let written = [$(self.$key.clone().map(AnyTarget::$Target)),+];
                written.into_iter().flatten().collect()
            }

            /// This channel with `target` in it.
            #[must_use]
            pub fn with(mut self, target: AnyTarget) -> Self {
                match target {
                    $(AnyTarget::$Target(target) => self.$key = Some(target)),+
                }
                self
            }
        }

        /// One of the targets.
        #[derive(Clone, PartialEq, Eq)]
        pub enum AnyTarget {
            $(
                #[doc = concat!("[`", stringify!($Target), "`](", stringify!($key), ").")]
                $Target($key::$Target),
            )+
        }

        impl AnyTarget {
            /// The keys of all targets.
            pub const KEYS: [&'static str; [$(stringify!($key)),+].len()] = [$(stringify!($key)),+];

            /// The key under which it is written.
            pub const fn key(&self) -> &'static str {
                match self {
                    $(Self::$Target(_) => stringify!($key)),+
                }
            }

            /// Whether an error may show `value`, which is written at a `key` of a target.
            pub fn is_public(key: &str, value: &str) -> bool {
                [$(<$key::$Target as target::Target>::is_public(key, value)),+].contains(&true)
            }
        }

        impl std::ops::Deref for AnyTarget {
            type Target = dyn target::Target;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$Target(target) => target),+
                }
            }
        }

        impl std::ops::DerefMut for AnyTarget {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(Self::$Target(target) => target),+
                }
            }
        }

        /// What the documentation says of each target, in the order of the list.
        #[cfg(test)]
        fn documented() -> Vec<tests::Documented> {
            vec![$(tests::Documented::of::<$key::$Target>(stringify!($key))),+]
        }
    };
}

pub(super) use targets;

/// What the schema says of a channel.
pub(super) fn where_alerts_go(keys: &[&str]) -> String {
    let (last, others) = keys.split_last().unwrap_or((&"", &[]));
    format!("Where alerts go: exactly one of {} and {last}.", others.join(", "))
}
