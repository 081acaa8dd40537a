//! What can be wrong with a setting, and the checks that many settings share.

use std::fmt;
use std::time::Duration;

use super::locate::Path;
use super::period::Period;

/// What is wrong, and with what.
pub enum Fault {
    /// Something in the file, or missing in it.
    At {
        /// The way to it.
        path: Path,
        /// What is wrong with it, and what is allowed.
        message: String,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it, and what is allowed.
        message: String,
    },
}

impl Fault {
    /// A fault in the file.
    pub(crate) fn at(path: Path, message: impl Into<String>) -> Self {
        Self::At { path, message: message.into() }
    }
}

/// Looks up an environment variable.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a variable says; `None` where it is not set. One that is empty counts as not set, as the AWS SDKs and
/// OpenTelemetry have it.
pub(crate) fn from_variable<T>(
    env: Environment<'_>,
    name: &'static str,
    understand: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Fault> {
    let value = env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    value.map(|text| understand(&text).map_err(|message| Fault::Variable { name, message })).transpose()
}

/// Whether a variable says anything.
pub(crate) fn is_set(env: Environment<'_>, name: &str) -> bool {
    env(name).is_some_and(|value| !value.trim().is_empty())
}

/// The shortest and the longest duration that is allowed.
#[derive(Clone, Copy)]
pub(crate) struct Bounds(pub(crate) Duration, pub(crate) Duration);

impl Bounds {
    /// The duration, if it is allowed; else what is wrong with it.
    pub(crate) fn check(self, duration: Duration) -> Result<Duration, String> {
        let Self(shortest, longest) = self;
        let complaint = match duration {
            _ if duration < shortest => "short",
            _ if duration > longest => "long",
            _ => return Ok(duration),
        };
        Err(format!("{} is too {complaint}: allowed is {self}", Period(duration)))
    }

    /// The duration of `key` in the file, or else `default`.
    pub(crate) fn or(self, given: Option<Period>, default: Duration, at: &Path, key: &str) -> Result<Duration, Fault> {
        match given {
            Some(Period(duration)) => self.check(duration).map_err(|message| Fault::at(at.key(key), message)),
            None => Ok(default),
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", Period(self.0), Period(self.1))
    }
}

/// Refuses what is no name of a source, a group and the like.
///
/// # Errors
/// What is allowed.
pub(crate) fn plain_name(name: &str) -> Result<(), &'static str> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_plain && (1..=64).contains(&name.len()) {
        return Ok(());
    }
    Err("a name is 1 to 64 letters, digits, dots, underscores or hyphens")
}

/// Checks that each name is one, and that none is taken twice.
pub(crate) fn unique<'a>(at: &Path, names: impl Iterator<Item = &'a str>) -> Result<(), Fault> {
    let names: Vec<&str> = names.collect();
    for (index, name) in names.iter().enumerate() {
        let complaint = if let Err(complaint) = plain_name(name) {
            complaint.to_owned()
        } else if let Some(first) = names.iter().take(index).position(|other| other.eq_ignore_ascii_case(name)) {
            format!("{name} is the name of {at}[{first}] already: choose another")
        } else {
            continue;
        };
        return Err(Fault::at(at.index(index).key("name"), complaint));
    }
    Ok(())
}
