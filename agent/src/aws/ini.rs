//! What the shared configuration of the SDKs says, `~/.aws/config` and `~/.aws/credentials`: which profile says what.
//!
//! Each SDK has a grammar of its own (`grammar`), by which the files are read (`parser`). Values are kept of keys that are
//! known to hold no secret; of keys that hold one only that they are there, and whether they are empty; all other keys are
//! forgotten.

use std::collections::{BTreeMap, BTreeSet};

/// Keys whose values are kept, beside those that say when something expires.
const KEPT: [&str; 22] = [
    "aws_account_id",
    "credential_source",
    "duration_seconds",
    "ec2_metadata_service_endpoint",
    "ec2_metadata_service_endpoint_mode",
    "ec2_metadata_v1_disabled",
    "login_session",
    "metadata_service_num_attempts",
    "metadata_service_timeout",
    "mfa_serial",
    "region",
    "role_arn",
    "role_session_name",
    "source_profile",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "sts_regional_endpoints",
    "web_identity_token_file",
    CREDENTIAL_PROCESS,
];
/// Keys of which it is kept that they are there.
const WITHHELD: [&str; 6] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_security_token",
    "aws_session_token",
    "endpoint_name",
    "external_id",
];
/// Keys by which tools mark what they have written. Of these as well it is kept that they are there.
const MARKS: [&str; 3] = ["assumed_role", "autoawsume", "awsumepy_command"];
/// Who keeps a profile, by the word of the one tool that says so.
const MANAGER: (&str, &str) = ("manager", "awsume");
/// A command line, which may name a password: the program alone is kept.
const CREDENTIAL_PROCESS: &str = "credential_process";

/// Which of the two files it is: they name their sections differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `~/.aws/config`.
    Config,
    /// `~/.aws/credentials`.
    Credentials,
}

/// What is kept of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    /// All of it.
    Open(String),
    /// That there is one.
    Withheld,
    /// That it is empty.
    Empty,
}

/// What one profile or one SSO session says, without any secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile(BTreeMap<String, Kept>);

/// All that a file says, or several files together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles {
    profiles: BTreeMap<String, Profile>,
    sso_sessions: BTreeMap<String, Profile>,
    is_cut: bool,
}

impl Profile {
    /// Whether a key is written here, in lower case. Keys that no SDK picks credentials by are not kept.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether a key is written here without a value.
    pub fn is_empty(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(Kept::is_empty)
    }

    /// The value of a key; `None` where it is not written, or is a secret. Of `credential_process` it is the program.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.value()
    }

    /// The keys that are kept, in alphabetical order, and their values where those are no secret.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.value()))
    }

    /// Keeps what is no secret of a key.
    pub(super) fn put(&mut self, key: &str, value: &str) {
        if let Some(kept) = kept(key, value) {
            self.0.insert(key.to_owned(), kept);
        }
    }

    /// Forgets the keys without a value.
    pub(super) fn forget_empty(&mut self) {
        self.0.retain(|_, value| !value.is_empty());
    }
}

impl Kept {
    fn is_empty(&self) -> bool {
        match self {
            Self::Open(value) => value.is_empty(),
            Self::Withheld => false,
            Self::Empty => true,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            Self::Open(value) => Some(value),
            Self::Withheld | Self::Empty => None,
        }
    }
}

impl Profiles {
    /// This together with a later file, whose keys win. The SDKs read the configuration first and the credentials second.
    #[must_use]
    pub fn merge(mut self, later: Self) -> Self {
        for (name, profile) in later.profiles {
            self.profiles.entry(name).or_default().0.extend(profile.0);
        }
        for (name, session) in later.sso_sessions {
            self.sso_sessions.entry(name).or_default().0.extend(session.0);
        }
        self.is_cut |= later.is_cut;
        self
    }

    /// Whether there are more than whoever read them wanted.
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Those of these names alone, without the SSO sessions.
    #[must_use]
    pub fn only(&self, names: &BTreeSet<String>) -> Self {
        let named = |name: &String| Some((name.clone(), self.profiles.get(name)?.clone()));
        Self { profiles: names.iter().filter_map(named).collect(), sso_sessions: BTreeMap::new(), is_cut: self.is_cut }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty() && self.sso_sessions.is_empty() && !self.is_cut
    }

    /// The profile of that name. One that has its section and nothing in it is there.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// All profiles by name, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.profiles.iter().map(|(name, profile)| (name.as_str(), profile))
    }

    /// The SSO session of that name.
    pub fn sso_session(&self, name: &str) -> Option<&Profile> {
        self.sso_sessions.get(name)
    }

    /// Puts a profile, unless there are as many as there may be.
    pub(super) fn put_profile(&mut self, name: &str, profile: Profile, most: usize) {
        put(&mut self.profiles, &mut self.is_cut, (name, profile), most);
    }

    /// The same of an SSO session.
    pub(super) fn put_session(&mut self, name: &str, session: Profile, most: usize) {
        put(&mut self.sso_sessions, &mut self.is_cut, (name, session), most);
    }

    pub(super) fn remove_profile(&mut self, name: &str) -> Option<Profile> {
        self.profiles.remove(name)
    }

    pub(super) fn remove_session(&mut self, name: &str) -> Option<Profile> {
        self.sso_sessions.remove(name)
    }
}

fn put(own: &mut BTreeMap<String, Profile>, is_cut: &mut bool, (name, profile): (&str, Profile), most: usize) {
    if own.len() < most {
        own.insert(name.to_owned(), profile);
    } else {
        *is_cut = true;
    }
}

/// What is to be kept of a key; `None` for one that is forgotten.
fn kept(key: &str, value: &str) -> Option<Kept> {
    let says_when = key.contains("expir") && !["secret", "password", "key"].iter().any(|word| key.contains(word));
    if key == CREDENTIAL_PROCESS {
        let program = value.split([' ', '\t']).next().unwrap_or_default();
        return Some(Kept::Open(program.trim_matches(['"', '\'']).to_owned()));
    }
    if says_when || KEPT.contains(&key) {
        return Some(Kept::Open(value.to_owned()));
    }
    let kept = if value.is_empty() { Kept::Empty } else { Kept::Withheld };
    if (key, value) == MANAGER {
        return Some(Kept::Open(value.to_owned()));
    }
    (WITHHELD.contains(&key) || MARKS.contains(&key)).then_some(kept)
}
