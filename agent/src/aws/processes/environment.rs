//! What a process was started with, about AWS and proxies: names, and the values that are no secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::properties::{Properties, VARIABLES};
use super::text::printable;

/// More variables are not kept.
const MOST: usize = 128;
/// More folders of `PYTHONPATH` are not kept.
const MOST_FOLDERS: usize = 1_024;
/// The longest name.
const LONGEST_NAME: usize = 64;

/// Variables whose value is kept: what is none of a secret, and tells what an SDK does.
const OPEN: &[&str] = &[
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_DISABLE_CLOCK_SKEW_CORRECTION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_V1_DISABLED",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
    "AWS_METADATA_SERVICE_TIMEOUT",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SDK_LOAD_CONFIG",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    HOME,
    NODE_SWITCH,
    GATEWAY,
    PROFILE_OF_WINDOWS,
];
/// Where the shared files of AWS are.
const HOME: &str = "HOME";
/// Whether Node.js goes by the variables that name a proxy.
const NODE_SWITCH: &str = "NODE_USE_ENV_PROXY";
/// What tells a program of .NET that `HTTP_PROXY` is a header that any client may send.
const GATEWAY: &str = "GATEWAY_INTERFACE";
/// Where .NET looks for the shared files where there is no `HOME`.
const PROFILE_OF_WINDOWS: &str = "USERPROFILE";
/// Variables beside those of AWS and of proxies.
const OTHERS: [&str; 4] = [HOME, NODE_SWITCH, GATEWAY, PROFILE_OF_WINDOWS];
/// Variables that hold a URL, whose password and query are not kept.
const URLS: &[&str] = &["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"];
/// The last part of this path is known to one task alone, and whoever knows it gets its credentials.
const CAPABILITY: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
/// Variables that name a proxy, or what is reached without one, in upper or lower case.
const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// The variables of a process about AWS and proxies, and `HOME`, where the shared files of AWS are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Each by its name.
    variables: BTreeMap<String, Value>,
}

/// What is kept of a value, which is judged before it is withheld.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// It is no secret.
    Open(String),
    /// It is one.
    Withheld,
    /// It could be one, and is made of blanks.
    Blank,
    /// It could be one, and is empty.
    Empty,
}

/// What else an environment tells of where libraries are.
#[derive(Default)]
pub struct Hints {
    /// `VIRTUAL_ENV`.
    pub virtual_env: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `PYTHONPATH`.
    pub python_path: Vec<PathBuf>,
    /// System properties in options for Java, by the variables in the order of [`VARIABLES`].
    pub properties: [Properties; 3],
    /// Whether there is more of either than is kept.
    pub is_cut: bool,
}

impl Environment {
    /// Reads the variables of a process as `/proc` has them.
    pub fn read(bytes: &[u8]) -> (Self, Hints) {
        let (mut environment, mut hints) = (Self::default(), Hints::default());
        for entry in bytes.split(|byte| *byte == 0) {
            let Ok(entry) = std::str::from_utf8(entry) else { continue };
            let Some((name, value)) = entry.split_once('=') else { continue };
            match name {
                "VIRTUAL_ENV" => hints.virtual_env = Some(value.into()),
                "PYTHONPATH" => {
                    hints.python_path = value.split(':').take(MOST_FOLDERS).map(PathBuf::from).collect();
                    hints.is_cut |= value.split(':').nth(MOST_FOLDERS).is_some();
                }
                _ if VARIABLES.contains(&name) => {
                    let own = VARIABLES.iter().zip(&mut hints.properties).find(|(known, _)| **known == name);
                    own.into_iter().for_each(|(known, own)| *own = Properties::of_variable(value).given_by(known));
                }
                _ if is_told(name) => {
                    if environment.variables.len() >= MOST {
                        hints.is_cut = true;
                        continue;
                    }
                    if name == HOME {
                        hints.home = Some(value.into());
                    }
                    environment.variables.insert(name.to_owned(), kept(name, value));
                }
                _ => {}
            }
        }
        (environment, hints)
    }

    /// Whether a variable is set, even if it is empty.
    pub fn has(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    /// The value of a variable; `None` where it is not set or a secret.
    pub fn value(&self, name: &str) -> Option<&str> {
        match self.variables.get(name)? {
            Value::Open(value) => Some(value),
            Value::Withheld | Value::Blank | Value::Empty => None,
        }
    }

    /// A text that stands for the value of a variable, which SDKs judge as they would the value: that itself where it is no
    /// secret, and blanks or nothing for a secret that is no more. `None` where the variable is not set.
    pub fn stand_in(&self, name: &str) -> Option<&str> {
        Some(match self.variables.get(name)? {
            Value::Open(value) => value,
            Value::Withheld => "withheld",
            Value::Blank => " ",
            Value::Empty => "",
        })
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}

/// Whether somebody has written over what a process was started with, as those do who show what they are doing in the list of
/// processes (`setproctitle`): then nothing is known of its variables. What is left is zeros or blanks, behind the end of the
/// title where that is long.
pub fn is_overwritten(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else { return false };
    let (first, rest) = bytes.split_at(end);
    let is_name = |byte: &u8| byte.is_ascii_graphic();
    let name = first.split(|byte| *byte == b'=').next().filter(|name| name.len() < first.len() && !name.is_empty());
    name.is_none_or(|name| !name.iter().all(is_name)) || (rest.len() > 2 && rest.iter().all(|byte| *byte == 0))
}

fn is_told(name: &str) -> bool {
    let is_aws = || name.starts_with("AWS_") && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    name.len() <= LONGEST_NAME && (OTHERS.contains(&name) || is_aws() || is_proxy(name))
}

/// Whether a variable names a proxy. One in mixed case is read by nobody.
fn is_proxy(name: &str) -> bool {
    let is_of_one_case = || [str::to_ascii_uppercase, str::to_ascii_lowercase].iter().any(|cased| cased(name) == name);
    PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name)) && is_of_one_case()
}

/// What is kept of a value.
fn kept(name: &str, value: &str) -> Value {
    match open_value(name, value) {
        Some(value) => Value::Open(value),
        None if value.is_empty() => Value::Empty,
        None if value.trim().is_empty() => Value::Blank,
        None => Value::Withheld,
    }
}

/// The value where it is no secret, without what is one in it.
fn open_value(name: &str, value: &str) -> Option<String> {
    if value.is_empty() && name == CAPABILITY {
        return Some(String::new());
    }
    if OPEN.contains(&name) {
        return Some(printable(value));
    }
    if name == CAPABILITY {
        let kept = value.rsplit_once('/').map_or("", |(kept, _)| kept);
        return Some(printable(&format!("{}/…", without_password(kept))));
    }
    (is_proxy(name) || URLS.contains(&name)).then(|| printable(&without_password(value)))
}

/// A URL without user, password, query and fragment. Whatever stands before the last `@` could be a password, wherever
/// the URL says that it ends.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // What is no scheme could be a user and the beginning of a password.
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+');
    if is_scheme { format!("{scheme}://{rest}") } else { rest.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(entries: &[&str]) -> (Environment, Hints) {
        Environment::read(entries.join("\0").as_bytes())
    }

    #[test]
    fn secrets_are_known_by_name_alone() {
        let (environment, _) = read(&[
            "AWS_ACCESS_KEY_ID=AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY=wJalr=XUtn",
            "AWS_SESSION_TOKEN=IQoJb3",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN=Bearer x",
            "AWS_PROFILE=work",
            "PATH=/usr/bin",
            "SECRET_PROXY=x",
        ]);
        let names: Vec<&str> = environment.names().collect();
        let expected = [
            "AWS_ACCESS_KEY_ID",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_PROFILE",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ];
        assert_eq!(names, expected);
        assert_eq!(environment.value("AWS_PROFILE"), Some("work"));
        let debugged = format!("{environment:?}");
        for secret in ["AKIAEXAMPLE", "wJalr", "XUtn", "IQoJb3", "Bearer"] {
            assert!(!debugged.contains(secret), "{debugged}");
        }
    }

    #[test]
    fn passwords_are_taken_out_of_urls() {
        for (variable, told) in [
            ("HTTPS_PROXY=http://user:p/a@ss@proxy:3128/", "http://proxy:3128/"),
            ("http_proxy=user:pass@proxy:3128", "proxy:3128"),
            ("HTTP_PROXY=proxy:3128", "proxy:3128"),
            ("ALL_PROXY=user:p://x@proxy", "proxy"),
            ("no_proxy=169.254.169.254,.internal", "169.254.169.254,.internal"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://u:p@127.0.0.1/get?token=x#y", "http://127.0.0.1/get"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/5e1f-secret", "/v2/credentials/…"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=secret", "/…"),
        ] {
            let name = variable.split('=').next().unwrap();
            assert_eq!(read(&[variable]).0.value(name), Some(told), "{variable}");
        }
    }

    #[test]
    fn an_environment_tells_where_python_looks_and_what_java_was_told() {
        let (environment, hints) =
            read(&["VIRTUAL_ENV=/venv", "PYTHONPATH=/a:/b", "JAVA_TOOL_OPTIONS=-Xmx1g -Daws.accessKeyId=AKIA -Dx=y"]);
        assert_eq!(hints.virtual_env, Some(PathBuf::from("/venv")));
        assert_eq!(hints.python_path, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert!(hints.properties[0].has("aws.accessKeyId"));
        assert_eq!(environment, Environment::default());
    }

    #[test]
    fn a_secret_is_judged_before_it_is_withheld() {
        let (environment, _) = read(&["AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY= \n", "AWS_SESSION_TOKEN=hunter2"]);
        let told = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"];
        assert_eq!(told.map(|name| environment.stand_in(name)), [Some(""), Some(" "), Some("withheld"), None]);
        assert!(told[..3].iter().all(|name| environment.has(name) && environment.value(name).is_none()));
        let (empty, _) = read(&["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="]);
        assert_eq!(empty.stand_in("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), Some(""));
    }

    #[test]
    fn an_environment_that_a_title_was_written_over_is_known() {
        for (bytes, expected) in [
            (&b""[..], false),
            (b"PATH=/bin\0HOME=/root\0", false),
            (b"PATH=\0", false),
            (b"\0\0\0\0", true),
            (b" [app]\0\0\0\0\0", true),
            (b"orker [a=b]\0\0\0\0", true),
            (b"a=b\0\0\0\0", true),
            (b"        \0", true),
            (b"BASH_FUNC_x%%=() { :; }\0PATH=/bin\0", false),
        ] {
            assert_eq!(is_overwritten(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn proxies_and_whether_node_goes_by_them_are_told() {
        let (environment, _) = read(&["NODE_USE_ENV_PROXY=1", "https_proxy=a", "HTTP_PROXY=b", "Http_Proxy=c"]);
        assert_eq!(environment.value("NODE_USE_ENV_PROXY"), Some("1"));
        assert_eq!(environment.names().collect::<Vec<_>>(), ["HTTP_PROXY", "NODE_USE_ENV_PROXY", "https_proxy"]);
    }

    #[test]
    fn what_is_too_much_is_cut_and_says_so() {
        let variables = |count| (0..count).map(|number| format!("AWS_{number}=a\0")).collect::<String>();
        let cut = |count| {
            let (environment, hints) = Environment::read(variables(count).as_bytes());
            (environment.names().count(), hints.is_cut)
        };
        assert_eq!((cut(MOST), cut(MOST + 1)), ((MOST, false), (MOST, true)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_no_password_stays(bytes: Vec<u8>, password in "[!-~]{12,40}") {
            Environment::read(&bytes);
            for scheme in ["", "http://"] {
                let url = format!("HTTPS_PROXY={scheme}user:{password}@proxy:3128");
                let (environment, _) = read(&[&url]);
                let told = environment.value("HTTPS_PROXY").unwrap();
                prop_assert!(password.as_bytes().windows(8).all(|part| !told.as_bytes().windows(8).any(|other| other == part)), "{told}");
            }
        }
    }
}
