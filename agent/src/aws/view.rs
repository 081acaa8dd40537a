//! What an SDK within one process sees: the variables and properties that it was started with, and its files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::ini::{Dialect, Profiles};
use crate::foreign::{self, Found};

/// Variables whose values are kept.
const KEPT: [&str; 16] = [
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_CREDENTIAL_PROFILES_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_V1_DISABLED",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
    "AWS_METADATA_SERVICE_TIMEOUT",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "HOME",
];
/// Variables of which it is kept that they are set. The relative URI is one: whoever knows it gets the role of the task.
const WITHHELD: [&str; 9] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "SECRET_ACCESS_KEY",
];
/// A URL, of which all up to the path is kept.
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
/// Variables by which every Java machine is given arguments.
const JAVA_OPTIONS: [&str; 3] = ["JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"];
/// Java system properties whose values are kept.
const KEPT_PROPERTIES: [&str; 4] = ["aws.disableEc2Metadata", "aws.profile", "aws.roleArn", "aws.webIdentityTokenFile"];
/// Java system properties of which it is kept that they are set.
const WITHHELD_PROPERTIES: [&str; 4] = ["aws.accessKeyId", "aws.secretAccessKey", "aws.secretKey", "aws.sessionToken"];
/// The longest file that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It answers.
    Yes,
    /// It was asked and is not there.
    No,
    /// Nobody asked.
    Unknown,
}

/// Why nothing is known of a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is for others.
    #[error("permission denied")]
    Denied,
    /// It is not a configuration.
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// It is not UTF-8.
    #[error("it is not text")]
    NotText,
    /// The system has another reason.
    #[error("it cannot be read")]
    Unreadable,
}

/// One of the shared files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Where it is looked for; empty where there is no home to look in.
    pub path: PathBuf,
    /// What it says: nothing where it is missing or not read.
    pub profiles: Profiles,
    /// Why it was not read.
    pub fault: Option<Fault>,
    is_there: bool,
}

/// What one process sees, without any secret.
#[derive(Clone, Debug)]
pub struct View {
    variables: BTreeMap<&'static str, String>,
    withheld: BTreeSet<&'static str>,
    properties: Properties,
    /// `~/.aws/config`, or wherever the process looks for it.
    pub config: File,
    /// `~/.aws/credentials`, or wherever the process looks for it.
    pub credentials: File,
    /// The one file that version 1 of the Java SDK reads.
    pub java_v1: File,
    /// Both files together, as all other SDKs take them.
    pub profiles: Profiles,
    /// The profile that the program names itself, such as by `--profile`, whatever the variables say.
    pub profile: Option<String>,
    /// Whether the endpoint that hands out the role of a container answers, where the variables name one.
    pub container: Presence,
    /// Whether the instance has a role.
    pub instance_role: Presence,
}

impl File {
    fn read(dialect: Dialect, path: PathBuf, load: &impl Fn(&Path) -> io::Result<String>) -> Self {
        if path.as_os_str().is_empty() {
            return Self::default();
        }
        let (profiles, fault, is_there) = match load(&path) {
            Ok(text) => (Profiles::parse(dialect, &text), None, true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                (Profiles::default(), None, false)
            }
            Err(error) => (Profiles::default(), Some(Fault::of(&error)), true),
        };
        Self { path, profiles, fault, is_there }
    }

    /// Whether there is such a file, readable or not.
    pub const fn is_there(&self) -> bool {
        self.is_there
    }
}

impl Fault {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::FileTooLarge => Self::TooLarge,
            ErrorKind::InvalidData => Self::NotText,
            _ => Self::Unreadable,
        }
    }
}

impl View {
    /// Looks at a process through its variables, the arguments of its command line, and a loader of its files: [`load`]
    /// for one that sees the files of this host. Variables that are empty count as not set, as most SDKs have it. Where
    /// `HOME` is not set, the caller may say what the user database has.
    ///
    /// Whether there are roles is not known yet.
    pub fn new<'a>(
        variable: impl Fn(&str) -> Option<String>,
        arguments: impl IntoIterator<Item = &'a str>,
        load: impl Fn(&Path) -> io::Result<String>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut variables: BTreeMap<_, _> = KEPT.iter().filter_map(|name| Some((*name, set(name)?))).collect();
        variables.extend(set(FULL_URI).map(|url| (FULL_URI, origin(&url).to_owned())));
        let mut properties = Properties::default();
        for options in JAVA_OPTIONS.iter().filter_map(|name| set(name)) {
            options.split_whitespace().for_each(|argument| properties.take(argument));
        }
        arguments.into_iter().for_each(|argument| properties.take(argument));
        let home = variables.get("HOME").map(PathBuf::from);
        let path = |variable: &str, name: &str| match (variables.get(variable), &home) {
            (Some(path), home) => expanded(path, home.as_deref()),
            (None, Some(home)) => home.join(".aws").join(name),
            (None, None) => PathBuf::new(),
        };
        let config = File::read(Dialect::Config, path("AWS_CONFIG_FILE", "config"), &load);
        let credentials = File::read(Dialect::Credentials, path("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &load);
        // It knows neither of the two variables, and takes the configuration where there are no credentials.
        let mut java_v1 = File::read(Dialect::Credentials, path("AWS_CREDENTIAL_PROFILES_FILE", "credentials"), &load);
        if !java_v1.is_there() && !variables.contains_key("AWS_CREDENTIAL_PROFILES_FILE") {
            java_v1 = File::read(Dialect::Config, path("", "config"), &load);
        }
        Self {
            withheld: WITHHELD.into_iter().filter(|name| set(name).is_some()).collect(),
            profiles: config.profiles.clone().merge(credentials.profiles.clone()),
            variables,
            properties,
            config,
            credentials,
            java_v1,
            profile: None,
            container: Presence::Unknown,
            instance_role: Presence::Unknown,
        }
    }

    /// Whether a variable is set and not empty. Only variables by which SDKs pick credentials are known.
    pub fn has(&self, variable: &str) -> bool {
        self.withheld.contains(variable) || self.variables.contains_key(variable)
    }

    /// The value of a variable; `None` where it is not set, or is a secret. Of a URL it is all up to the path.
    pub fn value(&self, variable: &str) -> Option<&str> {
        self.variables.get(variable).map(String::as_str)
    }

    /// Whether a Java system property is set.
    pub fn has_property(&self, name: &str) -> bool {
        self.properties.withheld.contains(name) || self.properties.kept.contains_key(name)
    }

    /// The value of a Java system property; `None` where it is not set, or is a secret.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.kept.get(name).map(String::as_str)
    }

    /// The first of several variables that is set.
    pub fn first_of(&self, variables: &[&'static str]) -> Option<&'static str> {
        variables.iter().copied().find(|name| self.has(name))
    }
}

/// The system properties of a Java machine.
#[derive(Clone, Debug, Default)]
struct Properties {
    kept: BTreeMap<&'static str, String>,
    withheld: BTreeSet<&'static str>,
}

impl Properties {
    /// Takes an argument of the command line, if it sets a property that matters.
    fn take(&mut self, argument: &str) {
        let property = argument.strip_prefix("-D").and_then(|property| property.split_once('='));
        let Some((name, value)) = property.filter(|(_, value)| !value.is_empty()) else { return };
        if let Some(known) = KEPT_PROPERTIES.iter().find(|known| **known == name) {
            self.kept.insert(*known, value.to_owned());
        }
        self.withheld.extend(WITHHELD_PROPERTIES.iter().find(|known| **known == name));
    }
}

/// Reads a file of this host, of 1 MiB at most.
///
/// # Errors
/// `InvalidData` where it is not UTF-8, `FileTooLarge` where it is longer, `InvalidInput` where it is no file, and those of
/// the system.
pub fn load(path: &Path) -> io::Result<String> {
    text(&foreign::file(path)?)
}

/// Reads a file that was found, as [`load`] does.
///
/// # Errors
/// Those of [`load`].
pub fn text(found: &Found) -> io::Result<String> {
    String::from_utf8(found.read(LONGEST)?.bytes).map_err(|_| ErrorKind::InvalidData.into())
}

/// A URL without user, path and query.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    let rest = url.get(start..).unwrap_or_default();
    let end = start + rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // What names a user may name a password: then not even the host is kept.
    url.get(..end).filter(|origin| !origin.contains('@')).unwrap_or_default()
}

/// A path in which `~` stands for the home, as in all SDKs.
fn expanded(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~').and_then(|rest| rest.strip_prefix('/')), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI";

    fn view(variables: &[(&str, &str)], arguments: &[&str], files: &[(&str, &str)]) -> View {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        View::new(variable, arguments.iter().copied(), |path| {
            let found = files.iter().find(|(known, _)| Path::new(known) == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| ErrorKind::NotFound.into())
        })
    }

    #[test]
    fn secrets_are_known_to_be_set_and_nothing_more() {
        let url = format!("http://127.0.0.1:80/{SECRET}?{SECRET}");
        let mut variables: Vec<_> = WITHHELD.map(|name| (name, SECRET)).to_vec();
        let options = format!("-Xmx1g -Daws.secretKey={SECRET} -Daws.profile=a");
        variables.extend([(FULL_URI, url.as_str()), ("AWS_ROLE_ARN", "arn"), ("PASSWORD", SECRET)]);
        variables.push(("JAVA_TOOL_OPTIONS", &options));
        let id = format!("-Daws.accessKeyId={SECRET}");
        let view = view(&variables, &["java", &id, "-jar", SECRET], &[]);
        for name in WITHHELD {
            assert!(view.has(name) && view.value(name).is_none(), "{name}");
        }
        assert_eq!(view.value(FULL_URI), Some("http://127.0.0.1:80"));
        assert_eq!(view.value("AWS_ROLE_ARN"), Some("arn"));
        assert!(view.has_property("aws.accessKeyId") && view.has_property("aws.secretKey"));
        assert!(!view.has_property("aws.sessionToken") && !view.has("PASSWORD"));
        assert_eq!(view.property("aws.profile"), Some("a"));
        assert!(!format!("{view:?}").contains(SECRET), "{view:?}");
    }

    #[test]
    fn a_url_that_names_a_user_is_not_kept() {
        assert_eq!(origin("http://user:password@127.0.0.1/a"), "");
        assert_eq!(origin("https://[::1]:8080?a=b@c"), "https://[::1]:8080");
        assert_eq!(origin("a/b"), "a");
    }

    #[test]
    fn files_are_where_the_variables_say_or_in_the_home() {
        let files = [
            ("/h/.aws/config", "[default]\nregion=a\n"),
            ("/h/.aws/credentials", "[b]\nx_expires=c\n"),
            ("/h/other", "[default]\nregion=d\n"),
        ];
        let usual = view(&[("HOME", "/h")], &[], &files);
        assert_eq!(usual.profiles.get("default").unwrap().value("region"), Some("a"));
        assert!(usual.profiles.get("b").is_some() && usual.java_v1.profiles.get("b").is_some());
        let moved = view(&[("HOME", "/h"), ("AWS_CONFIG_FILE", "~/other"), ("AWS_PROFILE", " ")], &[], &files);
        assert_eq!(moved.profiles.get("default").unwrap().value("region"), Some("d"));
        assert_eq!(moved.config.path, Path::new("/h/other"));
        assert!(!moved.has("AWS_PROFILE"));
        let legacy = view(&[("HOME", "/h")], &[], &files[..1]);
        assert_eq!(legacy.java_v1.path, Path::new("/h/.aws/config"));
        let homeless = view(&[], &[], &files);
        assert_eq!((homeless.config.path.as_os_str().len(), homeless.config.is_there()), (0, false));
    }

    #[test]
    fn a_file_that_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let fault = |path: &Path| Fault::of(&load(path).unwrap_err());
        assert_eq!(load(&path).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(fault(folder.path()), Fault::Unreadable);
        fs::write(&path, b"[default]\n\xff").unwrap();
        assert_eq!(fault(&path), Fault::NotText);
        fs::write(&path, vec![b'a'; (1 << 20) + 1]).unwrap();
        assert_eq!(fault(&path), Fault::TooLarge);
        fs::write(&path, "[default]").unwrap();
        assert_eq!(load(&path).unwrap(), "[default]");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        // Root may read it all the same.
        assert!(load(&path).map_or_else(|error| Fault::of(&error) == Fault::Denied, |text| text == "[default]"));
    }
}
