//! What is made of the list of providers: their names, and the credentials as they are written and as they are checked.

use std::path::PathBuf;
use std::time::Duration;

use crate::setting::fault::{Bounds, Environment, Fault, from_variable};
use crate::setting::locate::Path;
use crate::setting::path::absolute;
use crate::sys;

/// How often files are read: they are small, and near.
pub(super) const POLL: Bounds = Bounds(Duration::from_secs(10), Duration::from_secs(3_600));
/// How often they are read by default.
pub(super) const USUAL_POLL: Duration = Duration::from_secs(60);
const MOST_HOMES: usize = 16;
const HOME: &str = "HOME";

/// Makes all that depends on which providers there are, of `Name as field: Settings, at key` for each. The key is what it
/// has below `credentials`, if it has any.
macro_rules! providers {
    ($($(#[$doc:meta])+ $Name:ident as $field:ident: $Settings:path $(, at $key:ident)?;)+) => {
        /// Who hands out credentials.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Provider {
            $($(#[$doc])+ $Name,)+
        }

        impl Provider {
            /// The name in output and attributes.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Name => <$Settings as provide::Provide>::NAME,)+
                }
            }

            /// Who renews what it hands out.
            pub const fn renewal(self) -> provide::Renewal {
                match self {
                    $(Self::$Name => <$Settings as provide::Provide>::RENEWAL,)+
                }
            }

            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$Name),+];

            /// What an operator can do where nobody has renewed what it hands out.
            pub const fn renew(self) -> &'static str {
                match self {
                    $(Self::$Name => <$Settings as provide::Provide>::RENEW,)+
                }
            }

            /// Whether SDKs sign requests with what it hands out, or with what they get for it.
            pub const fn is_used_by_sdks(self) -> bool {
                match self {
                    $(Self::$Name => <$Settings as provide::Provide>::IS_USED_BY_SDKS,)+
                }
            }

            /// What one of the things that it hands out is called in a sentence.
            pub const fn noun(self) -> &'static str {
                match self {
                    $(Self::$Name => <$Settings as provide::Provide>::NOUN,)+
                }
            }

            /// What an operator can do where it is out of order.
            pub fn remedy(self, reason: &lease::Unavailable) -> &'static str {
                match self {
                    $(Self::$Name => <$Settings as provide::Provide>::remedy(reason),)+
                }
            }

            /// Whether SDKs refresh by the expiration that this provider tells, so that their margin can be judged by it.
            pub const fn is_refreshed_by_sdks(self) -> bool {
                match self {
                    $(Self::$Name => <$Settings as provide::Provide>::IS_REFRESHED_BY_SDKS,)+
                }
            }
        }

        /// The credentials whose expiry is watched.
        #[derive(Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields, expecting = "a mapping")]
        #[schemars(rename = "Credentials")]
        pub struct WrittenCredentials {
            $($(
                #[doc = concat!("What is written for [`Provider::", stringify!($Name), "`].")]
                #[serde(skip_serializing_if = "Option::is_none")]
                #[schemars(
                    description = crate::setting::text::described::<<$Settings as provide::Provide>::Written>()
                )]
                pub $key: Option<<$Settings as provide::Provide>::Written>,
            )?)+
            /// The homes of users whose .aws folders are looked at, absolute paths, at most 16. Default: HOME, where it is one.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(max = 16))]
            pub homes: Option<Vec<String>>,
            /// How often all but the role of the instance is read, 10s to 1h. Default: 1m.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub poll: Option<crate::setting::period::Period>,
        }

        /// Who is asked for what expires, and how.
        #[derive(Clone, PartialEq)]
        pub struct Credentials {
            $(
                $(#[$doc])+
                pub $field: Option<$Settings>,
            )+
            /// The homes of users whose `.aws` folders are looked at.
            pub homes: Vec<std::path::PathBuf>,
            /// How often all but the role of the instance is read.
            pub poll: std::time::Duration,
        }

        impl Credentials {
            /// Nobody is asked for anything.
            pub const fn none() -> Self {
                Self { $($field: None,)+ homes: Vec::new(), poll: list::USUAL_POLL }
            }

            /// Checks what is written below `credentials`, and fills in what is not.
            ///
            /// # Errors
            /// What is wrong, where, and what is allowed.
            pub(crate) fn check(
                written: &WrittenCredentials,
                env: crate::setting::fault::Environment<'_>,
            ) -> Result<Self, crate::setting::fault::Fault> {
                let at = crate::setting::locate::Path::root("credentials");
                let homes = list::homes(written.homes.as_deref(), env)?;
                let around = provide::Around { env, homes: &homes };
                Ok(Self {
                    $($field: <$Settings as provide::Provide>::check(
                        list::providers!(@written written $($key)?),
                        &at$(.key(stringify!($key)))?,
                        &around,
                    )?,)+
                    poll: list::POLL.or(written.poll, list::USUAL_POLL, &at, "poll")?,
                    homes,
                })
            }

            /// The same as it could be written, every default filled in.
            pub fn written(&self) -> WrittenCredentials {
                WrittenCredentials {
                    $($($key: <$Settings as provide::Provide>::written(self.$field.as_ref()),)?)+
                    homes: Some(self.homes.iter().map(|home| home.display().to_string()).collect()),
                    poll: Some(crate::setting::period::Period(self.poll)),
                }
            }

            /// Who is asked for what expires.
            pub fn providers(&self) -> std::collections::BTreeSet<Provider> {
                let asked = [$((Provider::$Name, self.$field.is_some())),+];
                asked.into_iter().filter_map(|(provider, is_asked)| is_asked.then_some(provider)).collect()
            }

            /// Who reads what is handed out, but for the role of the instance, in this environment.
            pub fn readers(&self, env: &dyn Fn(&str) -> Option<String>) -> Vec<Box<dyn round::Read>> {
                let readers =
                    [$(self.$field.as_ref().and_then(|settings| provide::Provide::reader(settings, env))),+];
                readers.into_iter().flatten().collect()
            }

            /// The levels of what `provider` hands out in `slot` alone.
            pub fn levels(&self, provider: Provider, slot: &str) -> levels::Levels {
                let levels = match provider {
                    $(Provider::$Name => {
                        self.$field.as_ref().map(|settings| provide::Provide::levels(settings, slot))
                    })+
                };
                levels.unwrap_or_default()
            }

            /// Whether what was known of `provider` by the `earlier` settings still holds.
            pub fn goes_on_from(&self, earlier: &Self, provider: Provider) -> bool {
                match provider {
                    $(Provider::$Name => match (&self.$field, &earlier.$field) {
                        (Some(now), Some(earlier)) => provide::Provide::goes_on_from(now, earlier),
                        (now, earlier) => now.is_none() && earlier.is_none(),
                    })+
                }
            }
        }

        /// What the documentation says of each provider, in the order of the list.
        #[cfg(test)]
        fn documented() -> Vec<tests::Documented> {
            vec![$(
                tests::Documented::of::<$Settings>(list::providers!(@key $($key)?)),
            )+]
        }
    };
    (@written $written:ident) => { None };
    (@written $written:ident $key:ident) => { $written.$key.as_ref() };
    (@key) => { None };
    (@key $key:ident) => { Some(stringify!($key)) };
}

pub(super) use providers;

/// The folders of users. That of a service is the root or none, where nobody keeps credentials.
pub(super) fn homes(given: Option<&[String]>, env: Environment<'_>) -> Result<Vec<PathBuf>, Fault> {
    let at = Path::root("credentials").key("homes");
    let Some(given) = given else {
        let of = |name| from_variable(env, name, |home| Ok(PathBuf::from(home)));
        let home = match of(HOME)? {
            Some(home) => Some(home),
            None => of(sys::HOME)?,
        };
        return Ok(home.filter(|home| home.is_absolute() && home.parent().is_some()).into_iter().collect());
    };
    if given.len() > MOST_HOMES {
        return Err(Fault::at(at, format!("{} homes are too many: at most {MOST_HOMES} are allowed", given.len())));
    }
    let mut homes = Vec::new();
    for (index, home) in given.iter().enumerate() {
        let home = absolute(home, &at.index(index))?;
        if homes.contains(&home) {
            return Err(Fault::at(at.index(index), format!("{} is named twice: remove one", home.display())));
        }
        homes.push(home);
    }
    Ok(homes)
}
