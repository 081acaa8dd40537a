//! What an SDK within one process sees: the variables and properties that it was started with, and its files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ini::{Dialect, Profiles};
use super::known::{Known, MOST_PROFILES};
use super::parser::Refused;
use super::processes::properties::Properties;
use super::step::Chain;
use super::store;
use crate::foreign::{self, Found};

/// Variables whose values are kept.
const KEPT: [&str; 18] = [
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
    "LOCALAPPDATA",
    "USERPROFILE",
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
    /// The system has another reason.
    #[error("it cannot be read")]
    Unreadable,
}

/// One of the shared files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Where it is looked for; empty where there is no home to look in.
    pub path: PathBuf,
    /// What it says: nothing where it is missing, not read or refused.
    pub profiles: Arc<Profiles>,
    /// Why it was not read.
    pub fault: Option<Fault>,
    /// Why the SDK that reads it refuses it as a whole.
    pub refused: Option<Refused>,
    is_there: bool,
}

/// The shared files as one SDK reads them.
#[derive(Clone, Debug, Default)]
struct Files {
    config: File,
    credentials: File,
    /// Both together.
    profiles: Arc<Profiles>,
}

/// What one process sees, without any secret.
#[derive(Clone, Debug)]
pub struct View {
    variables: BTreeMap<&'static str, String>,
    /// Variables that hold a secret, and whether that is more than blanks.
    withheld: BTreeMap<&'static str, bool>,
    properties: Properties,
    /// `~/.aws/config`, or wherever the process looks for it.
    pub config: File,
    /// `~/.aws/credentials`, or wherever the process looks for it.
    pub credentials: File,
    /// Both files together.
    pub profiles: Arc<Profiles>,
    /// The encrypted store of .NET, whose profiles are named in lower case.
    pub store: File,
    /// The same as each SDK reads them.
    read: BTreeMap<Chain, Files>,
    /// The profile that the program names itself, such as by `--profile`, whatever the variables say.
    pub profile: Option<String>,
    /// Whether the endpoint that hands out the role of a container answers, where the variables name one.
    pub container: Presence,
    /// Whether the instance has a role.
    pub instance_role: Presence,
}

/// A file as it was found, before anybody has read it.
struct Loaded {
    path: PathBuf,
    bytes: Result<Vec<u8>, Option<Fault>>,
}

impl Loaded {
    fn new(path: PathBuf, load: &impl Fn(&Path) -> io::Result<Vec<u8>>) -> Self {
        let bytes = match path.as_os_str().is_empty() {
            true => Err(None),
            false => load(&path).map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => None,
                _ => Some(Fault::of(&error)),
            }),
        };
        Self { path, bytes }
    }

    const fn is_there(&self) -> bool {
        !matches!(self.bytes, Err(None))
    }

    /// The file as the SDK of a chain reads it, or as most SDKs do.
    fn read(&self, dialect: Dialect, chain: Option<Chain>, known: &Known) -> File {
        let (path, is_there) = (self.path.clone(), self.is_there());
        let (profiles, fault, refused) = match &self.bytes {
            Ok(bytes) => known
                .read(dialect, chain, bytes)
                .map_or_else(|refused| (Arc::default(), None, Some(refused)), |profiles| (profiles, None, None)),
            Err(fault) => (Arc::default(), *fault, None),
        };
        File { path, profiles, fault, refused, is_there }
    }

    /// The file as the encrypted store of .NET. One that cannot be read counts as empty.
    fn as_store(&self) -> File {
        let (path, is_there) = (self.path.clone(), self.is_there());
        let profiles = self.bytes.as_ref().map(|bytes| Arc::new(store::read(bytes, MOST_PROFILES))).unwrap_or_default();
        File { path, profiles, fault: None, refused: None, is_there }
    }
}

impl File {
    /// Whether there is such a file, readable or not.
    pub const fn is_there(&self) -> bool {
        self.is_there
    }
}

impl Files {
    fn new(config: File, credentials: File, known: &Known) -> Self {
        let profiles = known.merged(&config.profiles, &credentials.profiles);
        Self { config, credentials, profiles }
    }
}

impl Fault {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Unreadable,
        }
    }
}

impl View {
    /// Looks at a process through its variables, its Java system properties, the home that the user database has for its
    /// user, and a loader of its files: [`load`] for one that sees the files of this host. Variables that are empty count as
    /// not set, as all SDKs have it.
    ///
    /// The files are read as the SDKs of `chains` do, and as most do; `known` has those that were read before. Whether there are roles is not known yet.
    pub fn new(
        variable: impl Fn(&str) -> Option<String>,
        properties: Properties,
        home_of_user: Option<&Path>,
        load: impl Fn(&Path) -> io::Result<Vec<u8>>,
        chains: &[Chain],
        known: &Known,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let told = |name: &str| set(name).filter(|value| !value.trim().is_empty());
        let mut variables: BTreeMap<_, _> = KEPT.iter().filter_map(|name| Some((*name, told(name)?))).collect();
        variables.extend(told(FULL_URI).map(|url| (FULL_URI, origin(&url).to_owned())));
        let own_home = variables.get("HOME").map(PathBuf::from);
        let home_of_user = || home_of_user.map(Path::to_owned);
        let home = own_home.clone().or_else(home_of_user);
        let file = |variable: &str, name: &str, home: &Option<PathBuf>| {
            let path = match (variables.get(variable), home) {
                (Some(path), home) => expanded(path, home.as_deref()),
                (None, Some(home)) => home.join(".aws").join(name),
                (None, None) => PathBuf::new(),
            };
            Loaded::new(path, &load)
        };
        let config = file("AWS_CONFIG_FILE", "config", &home);
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials", &home);
        let read_by = |chain: Chain| {
            let by_properties = |name: &str| properties.value(name).map(|path| Loaded::new(path.into(), &load));
            let (own_config, own_credentials) = match chain {
                // It knows neither of the two variables, has the home of the user database before that of a variable, and
                // takes the configuration where there are no credentials.
                Chain::JavaV1 => {
                    let home = properties.value("user.home").map(PathBuf::from);
                    let home = home.or_else(home_of_user).or_else(|| own_home.clone());
                    let named = file("AWS_CREDENTIAL_PROFILES_FILE", "credentials", &home);
                    let is_usual = !named.is_there() && !variables.contains_key("AWS_CREDENTIAL_PROFILES_FILE");
                    let usual = is_usual.then(|| file("", "config", &home)).filter(Loaded::is_there);
                    return match usual {
                        Some(config) => {
                            Files::new(File::default(), config.read(Dialect::Config, Some(chain), known), known)
                        }
                        None => {
                            Files::new(File::default(), named.read(Dialect::Credentials, Some(chain), known), known)
                        }
                    };
                }
                Chain::JavaV2 => (by_properties("aws.configFile"), by_properties("aws.sharedCredentialsFile")),
                // It knows no user database.
                Chain::Rust if own_home.is_none() && home.is_some() => (
                    Some(file("AWS_CONFIG_FILE", "config", &None)),
                    Some(file("AWS_SHARED_CREDENTIALS_FILE", "credentials", &None)),
                ),
                Chain::DotNetV3 | Chain::DotNetV4 | Chain::PowerShellV4 | Chain::PowerShellV5 => {
                    let value = |name: &str| variables.get(name).map(PathBuf::from);
                    let is_there = |path: &Path| Loaded::new(path.to_owned(), &load).is_there();
                    let (config, credentials) = store::shared(value, is_there);
                    (Some(Loaded::new(config, &load)), Some(Loaded::new(credentials, &load)))
                }
                Chain::Botocore | Chain::Rust | Chain::Go | Chain::JsV3 => (None, None),
            };
            Files::new(
                own_config.as_ref().unwrap_or(&config).read(Dialect::Config, Some(chain), known),
                own_credentials.as_ref().unwrap_or(&credentials).read(Dialect::Credentials, Some(chain), known),
                known,
            )
        };
        let read = chains.iter().map(|chain| (*chain, read_by(*chain))).collect();
        let store = variables.get("LOCALAPPDATA").filter(|_| chains.iter().any(|chain| chain.has_store()));
        let store = Loaded::new(store.and_then(|folder| store::path(folder)).unwrap_or_default(), &load);
        let Files { config, credentials, profiles } = Files::new(
            config.read(Dialect::Config, None, known),
            credentials.read(Dialect::Credentials, None, known),
            known,
        );
        Self {
            withheld: WITHHELD.into_iter().filter_map(|name| Some((name, !set(name)?.trim().is_empty()))).collect(),
            variables,
            properties,
            config,
            credentials,
            profiles,
            store: store.as_store(),
            read,
            profile: None,
            container: Presence::Unknown,
            instance_role: Presence::Unknown,
        }
    }

    /// What this view is for the SDK of a chain, by its own grammar of the shared files.
    pub(super) fn as_read_by(&self, chain: Chain) -> Self {
        let Files { config, credentials, profiles } = self.read.get(&chain).cloned().unwrap_or_default();
        let profile = self.profile.clone();
        let (variables, withheld, properties) =
            (self.variables.clone(), self.withheld.clone(), self.properties.clone());
        let store = if chain.has_store() { self.store.clone() } else { File::default() };
        let (container, instance_role, read) = (self.container, self.instance_role, BTreeMap::new());
        Self {
            variables,
            withheld,
            properties,
            config,
            credentials,
            profiles,
            store,
            read,
            profile,
            container,
            instance_role,
        }
    }

    /// The files of which more profiles were there than are read, each once.
    pub fn cut_files(&self) -> BTreeSet<&Path> {
        let of_chains = self.read.values().flat_map(|files| [&files.config, &files.credentials]);
        let files = of_chains.chain([&self.config, &self.credentials, &self.store]);
        files.filter(|file| file.profiles.is_cut()).map(|file| file.path.as_path()).collect()
    }

    /// Forgets what the files say, but for these profiles of both together: once it is known what is picked, no more is
    /// asked for, and a host has thousands of processes.
    pub fn keep(&mut self, names: &BTreeSet<String>) {
        self.read.clear();
        self.config.profiles = Arc::default();
        self.credentials.profiles = Arc::default();
        self.store.profiles = Arc::default();
        self.profiles = Arc::new(self.profiles.only(names));
    }

    /// Whether a variable is set to more than blanks. Only variables by which SDKs pick credentials are known.
    pub fn has(&self, variable: &str) -> bool {
        self.withheld.get(variable).copied().unwrap_or_else(|| self.variables.contains_key(variable))
    }

    /// Whether a variable is set and not empty, be it to blanks.
    pub(super) fn has_even_blank(&self, variable: &str) -> bool {
        self.withheld.contains_key(variable) || self.variables.contains_key(variable)
    }

    /// The value of a variable; `None` where it is not set, or is a secret. Of a URL it is all up to the path.
    pub fn value(&self, variable: &str) -> Option<&str> {
        self.variables.get(variable).map(String::as_str)
    }

    /// Whether a Java system property is set.
    pub fn has_property(&self, name: &str) -> bool {
        self.properties.has(name)
    }

    /// The value of a Java system property; `None` where it is not set, or is a secret.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.value(name)
    }

    /// The variable that sets a Java system property; `None` where it is set on the command line, or not at all.
    pub fn giver_of_property(&self, name: &str) -> Option<&'static str> {
        self.properties.giver(name)
    }

    /// The first of several variables that is set.
    pub fn first_of(&self, variables: &[&'static str]) -> Option<&'static str> {
        variables.iter().copied().find(|name| self.has(name))
    }
}

/// Reads a file of this host, of 1 MiB at most.
///
/// # Errors
/// `FileTooLarge` where it is longer, `InvalidInput` where it is no file, and those of
/// the system.
pub fn load(path: &Path) -> io::Result<Vec<u8>> {
    bytes(&foreign::file(path)?)
}

/// Reads a file that was found, as [`load`] does.
///
/// # Errors
/// Those of [`load`].
pub fn bytes(found: &Found) -> io::Result<Vec<u8>> {
    Ok(found.read(LONGEST)?.bytes)
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

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI";

    fn view(variables: &[(&str, &str)], arguments: &[&str], files: &[(&str, &str)]) -> View {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let properties = Properties::of_variables(variable).then(&Properties::of_command_line(arguments));
        View::new(
            variable,
            properties,
            None,
            |path| {
                let found = files.iter().find(|(known, _)| Path::new(known) == path);
                found.map(|(_, text)| text.as_bytes().to_owned()).ok_or_else(|| ErrorKind::NotFound.into())
            },
            &Chain::ALL,
            &Known::default(),
        )
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
        assert!(usual.profiles.get("b").is_some() && usual.as_read_by(Chain::JavaV1).profiles.get("b").is_some());
        let moved = view(&[("HOME", "/h"), ("AWS_CONFIG_FILE", "~/other"), ("AWS_PROFILE", " ")], &[], &files);
        assert_eq!(moved.profiles.get("default").unwrap().value("region"), Some("d"));
        assert_eq!(moved.config.path, Path::new("/h/other"));
        assert!(!moved.has("AWS_PROFILE"));
        let legacy = view(&[("HOME", "/h")], &[], &files[..1]);
        assert_eq!(legacy.as_read_by(Chain::JavaV1).credentials.path, Path::new("/h/.aws/config"));
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
        fs::write(&path, vec![b'a'; (1 << 20) + 1]).unwrap();
        assert_eq!(fault(&path), Fault::TooLarge);
        fs::write(&path, "[default]").unwrap();
        assert_eq!(load(&path).unwrap(), b"[default]");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        // Root may read it all the same.
        assert!(load(&path).map_or_else(|error| Fault::of(&error) == Fault::Denied, |text| text == b"[default]"));
    }

    #[test]
    fn of_a_file_with_many_profiles_the_first_are_read_and_nothing_is_kept_of_what_nobody_picks() {
        let text: String = (0..MOST_PROFILES + 9).map(|n| format!("[p{n:05}]\nregion=x\n")).collect();
        let mut view = view(&[("HOME", "/h")], &[], &[("/h/.aws/credentials", &text)]);
        assert_eq!(view.cut_files(), BTreeSet::from([Path::new("/h/.aws/credentials")]));
        assert!(Chain::ALL.iter().all(|chain| view.as_read_by(*chain).profiles.iter().count() == MOST_PROFILES));
        view.keep(&BTreeSet::from(["p00007".to_owned()]));
        assert_eq!(view.profiles.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["p00007"]);
        assert!(view.read.is_empty() && view.credentials.profiles.iter().next().is_none());
        assert_eq!(view.credentials.path, Path::new("/h/.aws/credentials"));
    }
}
