//! The checks of what expires beside the role of the instance: in the environment, in containers and in files.

use std::path::PathBuf;
use std::time::Duration;

use super::checked::OtherCredentials;
use super::raw_credentials as written;
use super::{default, raw};
use crate::credentials::named::{Levels, NamedFile, NamedKind};
use crate::credentials::named_file::{Pointer, PointerError};
use crate::credentials::timestamp::Basis;
use crate::setting::fault::{Bounds, Environment, Fault, from_variable, unique};
use crate::setting::locate::Path;
use crate::setting::period::Period;

/// How often files are read: they are small, and near.
const POLL: Bounds = Bounds(Duration::from_secs(10), Duration::from_secs(3_600));
/// The levels of what is left of a file's life.
const REMAINING: Bounds = Bounds(Duration::ZERO, Duration::from_secs(365 * 24 * 3_600));
const MOST_FILES: usize = 64;
const MOST_HOMES: usize = 16;

const CONTAINER: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
const WEB_IDENTITY: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const SHARED_FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";
const HOME: &str = "HOME";

/// Checks all that expires beside the role of the instance.
pub(super) fn other_credentials(
    given: Option<&raw::Credentials>,
    env: Environment<'_>,
) -> Result<OtherCredentials, Fault> {
    let none = raw::Credentials::default();
    let given = given.unwrap_or(&none);
    let at = Path::root("credentials");
    let is_set = |name: &&str| env(name).is_some_and(|value| !value.trim().is_empty());
    let container = given.container.as_ref().and_then(|container| container.enabled).unwrap_or(true);
    let shared_file = match &given.shared_file {
        Some(path) => Some(absolute(path, &at.key("shared_file"))?),
        None => from_variable(env, SHARED_FILE, |path| Ok(PathBuf::from(path)))?,
    };
    Ok(OtherCredentials {
        container: container && CONTAINER.iter().any(is_set),
        web_identity: web_identity(given.web_identity.as_ref(), env)?,
        environment: is_set(&EXPIRATION),
        shared_file,
        homes: homes(given.homes.as_deref(), env)?,
        files: files(given.files.as_deref().unwrap_or_default())?,
        poll: POLL.or(given.poll, default::FILES_POLL, &at, "poll")?,
    })
}

fn web_identity(given: Option<&written::WebIdentity>, env: Environment<'_>) -> Result<Option<PathBuf>, Fault> {
    let at = Path::root("credentials").key("web_identity");
    let (enabled, file) = given.map_or((None, None), |given| (given.enabled, given.token_file.as_deref()));
    let file = match file {
        Some(path) => Some(absolute(path, &at.key("token_file"))?),
        None => from_variable(env, WEB_IDENTITY, |path| Ok(PathBuf::from(path)))?,
    };
    match (enabled, file) {
        (Some(false), _) => Ok(None),
        (Some(true), None) => {
            let message = "there is no file: write one, or set AWS_WEB_IDENTITY_TOKEN_FILE";
            Err(Fault::at(at.key("token_file"), message))
        }
        (_, file) => Ok(file),
    }
}

/// The folders of users. That of a service is the root or none, where nobody keeps credentials.
fn homes(given: Option<&[String]>, env: Environment<'_>) -> Result<Vec<PathBuf>, Fault> {
    let at = Path::root("credentials").key("homes");
    let Some(given) = given else {
        let home = from_variable(env, HOME, |home| Ok(PathBuf::from(home)))?;
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

fn files(given: &[written::File]) -> Result<Vec<NamedFile>, Fault> {
    let at = Path::root("credentials").key("files");
    if given.len() > MOST_FILES {
        return Err(Fault::at(at, format!("{} files are too many: at most {MOST_FILES} are allowed", given.len())));
    }
    unique(&at, given.iter().map(|file| file.name.as_str()))?;
    given.iter().enumerate().map(|(index, given)| file(given, &at.index(index))).collect()
}

fn file(given: &written::File, at: &Path) -> Result<NamedFile, Fault> {
    let (kind, usual) = match (&given.json, &given.certificate) {
        (Some(json), None) => {
            let at = at.key("json");
            let pointer = json.pointer.clone();
            // An empty one is the whole document, which is no expiration.
            let parsed = if pointer.is_empty() { Err(PointerError::Start) } else { Pointer::parse(&pointer) };
            parsed.map_err(|error| Fault::at(at.key("pointer"), error.to_string()))?;
            let basis = json.basis.as_ref().map_or(Basis::Server, |basis| basis.0);
            (NamedKind::Json { path: absolute(&json.path, &at.key("path"))?, pointer, basis }, Levels::default())
        }
        (None, Some(certificate)) => {
            let path = absolute(&certificate.path, &at.key("certificate").key("path"))?;
            (NamedKind::Certificate { path }, default::CERTIFICATE)
        }
        (None, None) => return Err(Fault::at(at.clone(), "it says nothing: write json or certificate")),
        (Some(_), Some(_)) => {
            return Err(Fault::at(at.key("certificate"), "json is there already: write one file for each"));
        }
    };
    let level = |given: Option<Period>, usual: Option<Duration>, key| match given {
        Some(_) => REMAINING.or(given, Duration::ZERO, at, key).map(Some),
        None => Ok(usual),
    };
    let warning = level(given.warning, usual.warning, "warning")?;
    let critical = level(given.critical, usual.critical, "critical")?;
    if let (Some(first), Some(then)) = (warning, critical)
        && first < then
    {
        let (first, then) = (Period(first), Period(then));
        let message = format!("warning {first} is below critical {then}: a warning comes first");
        return Err(Fault::at(at.key(if given.warning.is_some() { "warning" } else { "critical" }), message));
    }
    Ok(NamedFile { name: given.name.clone(), kind, levels: Levels { warning, critical } })
}

fn absolute(text: &str, at: &Path) -> Result<PathBuf, Fault> {
    if !text.starts_with('/') || text.contains(char::is_control) {
        return Err(Fault::at(at.clone(), "the path is absolute: it begins with a slash"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::super::load::parse;
    use super::*;

    fn loaded(text: &str, variables: &[(&str, &str)]) -> Result<OtherCredentials, String> {
        let env = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let config = parse(text, std::path::Path::new("held.yaml"), &env);
        config.map(|config| config.other_credentials).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_says_what_there_is_where_the_file_does_not() {
        let nothing = loaded("{}", &[]).unwrap();
        assert!(!nothing.container && !nothing.environment && nothing.web_identity.is_none());
        assert!(nothing.homes.is_empty() && nothing.files.is_empty() && nothing.shared_file.is_none());
        let variables = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/etc/aws/credentials"),
            ("AWS_CREDENTIAL_EXPIRATION", "2026-03-01T16:00:00Z"),
            ("HOME", "/home/app"),
        ];
        let all = loaded("{}", &variables).unwrap();
        assert!(all.container && all.environment);
        assert_eq!(all.web_identity.as_deref(), Some(std::path::Path::new("/var/run/token")));
        assert_eq!(all.homes, [PathBuf::from("/home/app")]);
        let text = "credentials: { container: { enabled: false }, web_identity: { enabled: false }, homes: [/a, /b] }";
        let chosen = loaded(text, &variables).unwrap();
        assert!(!chosen.container && chosen.web_identity.is_none());
        assert_eq!(chosen.homes, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert!(loaded("{}", &[("HOME", "/")]).unwrap().homes.is_empty(), "a service has no home");
    }

    #[test]
    fn a_certificate_is_warned_of_days_before_its_end_and_a_json_file_as_all_else() {
        let text = "credentials: { files: [{ name: a, certificate: { path: /a.pem } }, { name: b, json: { path: /b, \
                    pointer: /x, basis: local }, warning: 1h }] }";
        let files = loaded(text, &[]).unwrap().files;
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
        assert_eq!(files[0].levels, Levels { warning: hours(168), critical: hours(24) });
        assert_eq!(files[1].levels, Levels { warning: hours(1), critical: None });
        assert!(matches!(files[1].kind, NamedKind::Json { basis: Basis::Local, .. }));
    }
}
