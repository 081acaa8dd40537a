//! Two sets of credentials on one Windows: the variables of the machine and of the user, and the stores of .NET and of all
//! others.
//!
//! No more is known of a variable than whether it is there, and of a profile no more than its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::around::Around;
use super::proxy::environment::{MACHINE, USER};
use super::reader::Reader;
use super::text::listed;
use crate::doctor::report::{Area, Check};

/// The check of the variables.
pub const ENVIRONMENTS: &str = "credentials-environments";
/// The check of the stores.
pub const STORES: &str = "credentials-stores";

const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
/// Each variable that decides with what is signed.
const VARIABLES: [&str; 8] = [
    KEY,
    SECRET,
    TOKEN,
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];
/// A file is read up to here.
const LARGE: usize = 1 << 20;
/// More profiles of a store than these are not looked at.
const MOST: usize = 1_024;

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The variables of the machine.
    pub machine: BTreeSet<&'static str>,
    /// Those of the user.
    pub user: BTreeSet<&'static str>,
    /// The profiles of the SDK Store of .NET.
    pub store: BTreeSet<String>,
    /// Those of `.aws\credentials` in the user's profile.
    pub shared: BTreeSet<String>,
}

/// The folders of the user, as his variables name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// `USERPROFILE`.
    pub profile: Option<String>,
    /// `LOCALAPPDATA`.
    pub local: Option<String>,
}

impl Folders {
    /// Reads the variables.
    pub fn of(env: &dyn Fn(&str) -> Option<String>) -> Self {
        Self { profile: env("USERPROFILE"), local: env("LOCALAPPDATA") }
    }
}

impl Facts {
    /// Looks at both.
    pub fn read(reader: &Reader<'_>, folders: &Folders) -> Self {
        let names = |key: &str| VARIABLES.into_iter().filter(|name| reader.has(key, name)).collect();
        let read = |folder: &Option<String>, file: &str| {
            let path = format!(r"{}\{file}", folder.as_ref()?);
            reader.system.file(Path::new(&path), LARGE).ok()
        };
        let store = read(&folders.local, r"AWSToolkit\RegisteredAccounts.json");
        let shared = read(&folders.profile, r".aws\credentials");
        Self {
            machine: names(MACHINE),
            user: names(USER),
            store: store.map(|bytes| registered(&bytes)).unwrap_or_default(),
            shared: shared.map(|bytes| profiles(&bytes)).unwrap_or_default(),
        }
    }
}

/// The names of the profiles in the SDK Store: an object that has one for each. Their other keys are skipped and never copied.
fn registered(bytes: &[u8]) -> BTreeSet<String> {
    #[derive(Deserialize)]
    struct Account {
        #[serde(rename = "DisplayName")]
        name: Option<String>,
    }
    // .NET may write a mark of the byte order before it.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let accounts: BTreeMap<String, Account> = serde_json::from_slice(bytes).unwrap_or_default();
    accounts.into_values().filter_map(|account| account.name).take(MOST).collect()
}

/// The names of the profiles in a file of credentials.
fn profiles(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    let sections = text.lines().filter_map(|line| line.trim().strip_prefix('[')?.split_once(']'));
    sections.map(|(name, _)| name.trim().to_owned()).filter(|name| !name.is_empty()).take(MOST).collect()
}

/// Whether the variables of the machine and those of the user make one set of keys.
pub fn environments(facts: &Facts, around: &Around) -> Check {
    let Facts { machine, user, .. } = facts;
    let told = |whose: &str, names: &BTreeSet<&str>| (!names.is_empty()).then(|| format!("{whose}: {}", listed(names)));
    let evidence = [told("variables of the machine", machine), told("variables of this user", user)];
    let check = if let Some(mixed) = mixed(facts) {
        let summary = format!("programs of this user sign with keys of two sets: {mixed}");
        let effect = "AWS refuses the signature or the token (SignatureDoesNotMatch, InvalidClientTokenId, \
                      UnrecognizedClientException)";
        Check::problem(Area::Credentials, ENVIRONMENTS, summary, effect, unset_of_machine(machine))
    } else if machine.contains(KEY) && user.contains(KEY) {
        let summary = "both the machine and this user have keys in their variables: programs of the user sign with his, and \
                       services with those of the machine";
        let effect = "who rotates one of them leaves the other behind, and what works in a shell fails in a service";
        Check::warning(Area::Credentials, ENVIRONMENTS, summary, effect, unset_of_machine(machine))
    } else if machine.contains(KEY) && around.is_ec2 {
        let summary = "the variables of the machine have keys, with which every service signs";
        let effect = "they stand before the role of the instance, and nobody renews them";
        Check::warning(Area::Credentials, ENVIRONMENTS, summary, effect, unset_of_machine(machine))
    } else {
        Check::ok(Area::Credentials, ENVIRONMENTS, "the variables of the machine and of this user do not contradict")
    };
    check.with_evidence(evidence.into_iter().flatten())
}

/// How a key of one set meets a part of another. Windows lays the variables of the user over those of the machine one by one.
fn mixed(facts: &Facts) -> Option<String> {
    let Facts { machine, user, .. } = facts;
    let has_keys = |names: &BTreeSet<&str>| names.contains(KEY) || names.contains(SECRET);
    if !(has_keys(user) || user.contains(TOKEN)) {
        return None;
    }
    let of_machine = [KEY, SECRET, TOKEN].into_iter().filter(|name| machine.contains(name) && !user.contains(name));
    let of_machine: Vec<&str> = of_machine.collect();
    let of_user = [KEY, SECRET, TOKEN].into_iter().filter(|name| user.contains(name));
    (!of_machine.is_empty()).then(|| format!("{} of the user, {} of the machine", listed(of_user), listed(of_machine)))
}

fn unset_of_machine(machine: &BTreeSet<&str>) -> String {
    format!("{}, and start the services anew", unset(machine, "Machine"))
}

fn unset(names: &BTreeSet<&str>, scope: &str) -> String {
    let keys = [KEY, SECRET, TOKEN].into_iter().filter(|name| names.contains(name));
    let lines = keys.map(|name| format!("[Environment]::SetEnvironmentVariable('{name}', $null, '{scope}')"));
    lines.collect::<Vec<_>>().join("; ")
}

/// Whether a profile has two meanings, or stands beside keys in variables.
///
/// Source: "Credential and profile resolution" of the AWS SDK for .NET: the SDK Store is looked at before the shared file, and
/// no other SDK knows it. `FallbackCredentialsFactory` of its version 3 looks for a profile before it looks at variables,
/// `DefaultAWSCredentialsIdentityResolver` of version 4 and all other SDKs after that.
pub fn stores(facts: &Facts) -> Check {
    let both: Vec<&String> = facts.store.intersection(&facts.shared).collect();
    let told =
        |whose: &str, names: &BTreeSet<String>| (!names.is_empty()).then(|| format!("{whose}: {}", listed(names)));
    let evidence = [
        told(r"SDK Store (%LOCALAPPDATA%\AWSToolkit\RegisteredAccounts.json)", &facts.store),
        told(r"shared file (%USERPROFILE%\.aws\credentials)", &facts.shared),
    ];
    let check = match both.first() {
        None if is_split(facts) => {
            let summary = "keys in variables stand beside the profile default: version 3 of .NET signs with the profile, and \
                           version 4 and all other SDKs with the variables";
            let effect = "who rotates one of them leaves the other behind, and requests fail in one program and not in the other";
            let sets = [("Machine", &facts.machine), ("User", &facts.user)]
                .map(|(scope, names)| (scope, names.contains(KEY), names));
            let sets = sets.into_iter().filter(|(_, has_keys, _)| *has_keys);
            let (names, remedies): (Vec<String>, Vec<String>) = sets
                .map(|(scope, _, names)| {
                    (format!("keys in the variables of the {}", scope.to_ascii_lowercase()), unset(names, scope))
                })
                .unzip();
            let remedy = format!("where the profile is meant, {}; else take the profile away", remedies.join("; "));
            Check::warning(Area::Credentials, STORES, summary, effect, remedy).with_evidence(names)
        }
        None => Check::ok(Area::Credentials, STORES, "no profile stands in two stores"),
        Some(first) => {
            let summary = format!(
                "in two stores: {}; .NET and the AWS Tools for PowerShell take the one of the SDK Store, and all others the \
                 one of the shared file",
                listed(&both)
            );
            let effect = "who rotates one of them leaves the other behind, and requests fail with ExpiredToken or \
                          InvalidClientTokenId in one program and not in the other";
            // A name that would be more than a word of a command is left for whoever types it.
            let is_plain = first.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            let name = if is_plain { first.as_str() } else { "<name>" };
            let remedy = format!("Remove-AWSCredentialProfile -ProfileName {name}");
            Check::warning(Area::Credentials, STORES, summary, effect, remedy)
        }
    };
    check.with_evidence(evidence.into_iter().flatten())
}

/// Whether SDKs do not agree on which of two sets of keys comes first.
fn is_split(facts: &Facts) -> bool {
    let names = || facts.machine.union(&facts.user);
    let has_keys = [KEY, SECRET].iter().all(|key| names().any(|name| name == key));
    // Who names a profile in a variable has chosen.
    let has_chosen = names().any(|name| *name == "AWS_PROFILE");
    has_keys && !has_chosen && [&facts.store, &facts.shared].iter().any(|names| names.contains("default"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_a_store_nothing_but_names_is_kept() {
        let json = b"\xef\xbb\xbf{\"0a\": {\"AWSAccessKey\": \"01000000d08c\", \"AWSSecretKey\": \"hunter2\", \"DisplayName\": \
            \"default\"}, \"0b\": {\"SettingsKey\": [1]}}";
        assert_eq!(registered(json), BTreeSet::from(["default".to_owned()]));
        assert_eq!(registered(b"{\"a\": 3}"), BTreeSet::new());
        let text = b"[default]\r\naws_secret_access_key = hunter2\n [ web ] ; x\n[]\n[open\n";
        assert_eq!(profiles(text), BTreeSet::from(["default".to_owned(), "web".to_owned()]));
    }

    #[test]
    fn keys_of_two_sets_are_seen_however_they_meet() {
        let facts = |machine: &[&'static str], user: &[&'static str]| Facts {
            machine: machine.iter().copied().collect(),
            user: user.iter().copied().collect(),
            ..Facts::default()
        };
        for (machine, user, expected) in [
            (&[KEY, SECRET, TOKEN][..], &[KEY, SECRET][..], true),
            (&[KEY, SECRET], &[KEY], true),
            (&[KEY, SECRET], &[TOKEN], true),
            (&[KEY, SECRET], &[KEY, SECRET, TOKEN], false),
            (&[KEY, SECRET, TOKEN], &["AWS_PROFILE"], false),
            (&[], &[KEY, SECRET], false),
        ] {
            assert_eq!(mixed(&facts(machine, user)).is_some(), expected, "{machine:?} {user:?}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\":a ]{0,30}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let _ = (registered(bytes), profiles(bytes));
            }
        }
    }
}
